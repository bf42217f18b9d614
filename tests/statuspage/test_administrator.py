"""The administrator's commands as they are typed."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PASSWORD = "correct horse battery"
CATALOGUE = """
[[groups]]
code = "transit"
name = { pl = "Tranzyt", en = "Transit" }
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(fast_dir: Path) -> Run:
    """A command on a database with all tables and one administrator."""
    settings = fast_dir / "statuspage.toml"
    settings.write_text('[data]\ndir = "data"\n')

    def command(*words: str) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "-m", "statuspage", *words, "--config", str(settings)]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)

    assert command("migrate").returncode == 0
    added = command(
        "user", "add", "boss", "--name", "Boss", "--role", "administrator", "--password", PASSWORD
    )
    assert added.stdout == "added boss (administrator)\n"
    return command


def database(fast_dir: Path) -> sqlite3.Connection:
    return sqlite3.connect(fast_dir / "data" / "statuspage.db")


def test_members_of_staff_are_listed_changed_and_closed(run: Run, fast_dir: Path) -> None:
    catalogue = fast_dir / "catalogue.toml"
    catalogue.write_text(CATALOGUE)
    assert run("apply", str(catalogue)).returncode == 0
    run("user", "add", "jan", "--name", "Jan Kowalski", "--password", PASSWORD)
    assert run("user", "set-role", "jan", "viewer").stdout == "jan is viewer\n"
    assert run("user", "set-role", "jan", "operator", "--group", "transit").stdout.endswith("for transit\n")
    assert run("user", "reset-totp", "jan").returncode == 0
    assert run("user", "set-password", "jan", "--password", PASSWORD + "!").returncode == 0
    run("user", "disable", "jan")

    boss, jan = run("user", "list").stdout.splitlines()

    assert boss.split() == ["boss", "administrator", "local", "-", "Boss"]
    assert jan.split() == ["jan", "viewer", "closed", "-", "Jan", "Kowalski"]
    assert run("user", "enable", "jan").stdout == "opened jan\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("user", "disable", "nobody"), 'nobody has the login "nobody"'),
        (("user", "disable", "boss"), "last administrator"),
        (("user", "set-role", "boss", "viewer"), "last administrator"),
        (("user", "set-role", "boss", "viewer", "--group", "x"), 'there is no group "x"'),
        (("user", "add", "boss", "--name", "B", "--password", PASSWORD), 'the login "boss" is taken'),
        (("user", "add", "two words", "--name", "B", "--password", PASSWORD), "login: a name without spaces"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(run: Run, words: tuple[str, ...], reason: str) -> None:
    done = run(*words)

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert reason in done.stderr


def test_the_verifier_counts_the_chain_and_names_where_it_breaks(run: Run, fast_dir: Path) -> None:
    for login in ("a", "b", "c"):
        run("user", "add", login, "--name", login, "--password", PASSWORD)
    good = run("audit", "verify")
    noted = good.stdout.split()[-1]
    assert good.stdout.startswith("4 entries, last hash ")
    assert good.returncode == run("audit", "verify", "--containing", noted).returncode == 0
    assert run("audit", "verify", "--containing", "f" * 64).returncode == 1

    with database(fast_dir) as connection:
        connection.execute("DROP TRIGGER audit_entries_no_update")
        connection.execute("UPDATE audit_entries SET actor = 'somebody else' WHERE seq = 3")
    broken = run("audit", "verify")

    assert (broken.returncode, broken.stdout) == (1, "")
    assert broken.stderr == "broken at 3: its content was changed\n"


def test_nothing_in_an_entry_can_look_like_another_entry(run: Run, fast_dir: Path) -> None:
    """Log forging, abuse case 32: whatever was recorded, an entry is one line of JSON in plain letters."""
    forged = 'x"}\n{"seq": 99, "actor": "boss"}\r\n\x1b[2K=cmd|calc!A0'
    from statuspage.kernel import audit, clock
    from statuspage.kernel.db import Database

    db = Database(f"sqlite:///{fast_dir / 'data' / 'statuspage.db'}")
    db.run_now(audit.record, forged, "user.added", forged, {"said": forged}, at=clock.now())
    db.close()

    listed = run("audit", "list").stdout

    assert listed.isascii()
    assert not any(ord(sign) < 32 for sign in listed.replace("\n", ""))
    newest, oldest = (json.loads(line) for line in listed.splitlines())
    assert newest["actor"] == newest["subject"] == newest["details"]["said"] == forged
    assert (oldest["seq"], oldest["action"], oldest["subject"]) == (1, "user.added", "user:boss")
    assert run("audit", "list", "--actor", "nobody").stdout == ""
