"""The commands for tokens as they are typed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from statuspage.credentials import SCOPES
from statuspage.kernel.tokens import Scope

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(fast_dir: Path) -> Run:
    """A command on a database with all tables."""
    settings = fast_dir / "statuspage.toml"
    settings.write_text('[data]\ndir = "data"\n')

    def command(*words: str) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "-m", "statuspage", *words, "--config", str(settings)]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)

    assert command("migrate").returncode == 0
    return command


def test_a_token_is_printed_once_listed_without_it_and_revoked(run: Run) -> None:
    added = run("token", "add", "--name", "gateway", "--scope", "read", "--scope", "incidents:write")
    token = added.stdout.strip()
    assert token.startswith("spm_")
    listed = run("token", "list").stdout
    assert token not in listed
    assert listed.split()[:2] == ["gateway", "good"]
    assert listed.split()[3:] == ["never", "incidents:write", "read"]
    assert run("token", "revoke", "gateway").stdout == "revoked gateway\n"
    assert run("token", "list").stdout.split()[1] == "revoked"
    audit = run("audit", "list", "--action", "token").stdout
    assert "token.revoked" in audit
    assert token not in audit


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--name", "A b", "--scope", "read"), "name"),
        (("--name", "a", "--scope", "everything"), "everything"),
        (("--name", "a", "--scope", "read", "--days", "0"), "--days"),
        (("--name", "a"), "--scope"),
    ],
)
def test_a_bad_token_is_refused_in_one_line_that_names_the_option(
    run: Run, words: tuple[str, ...], reason: str
) -> None:
    refused = run("token", "add", *words)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert reason in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_the_command_knows_every_scope() -> None:
    assert list(Scope) == SCOPES
