"""The commands as they are typed: what they refuse, in one line, and what they leave alone."""

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from time import monotonic, sleep

import pytest

from statuspage.__main__ import main

CATALOGUE = """
[[groups]]
code = "common"
name = { pl = "Wspólne", en = "Common" }
[[services]]
code = "CRPA"
group = "common"
name = { pl = "CRPA", en = "CRPA" }
"""


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run(*words: str) -> Done:
    """The command in this process, as far as it does not serve: to start Python takes longer than most commands."""
    said, complained, typed = StringIO(), StringIO(), sys.argv
    sys.argv = ["statuspage", *words]
    try:
        with redirect_stdout(said), redirect_stderr(complained):
            main()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.argv = typed
    return Done(code, said.getvalue(), complained.getvalue())


def run_apart(*words: str) -> Done:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "statuspage", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def refused(*words: str) -> str:
    """The one line that a refused command says."""
    done = run(*words)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def settings_file(fast_dir: Path, port: int) -> Path:
    file = fast_dir / "statuspage.toml"
    file.write_text(f'[server]\nport = {port}\n[data]\ndir = "data"\n[mail]\nrelay = "smtp://127.0.0.1:9"\n')
    return file


@pytest.fixture
def catalogue_file(fast_dir: Path) -> Path:
    file = fast_dir / "catalogue.toml"
    file.write_text(CATALOGUE)
    return file


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[server]\nprot = 1", "server.prot"),
        ("[server", "not valid TOML"),
        ("server = 3", "server"),
        (None, "no such settings file"),
    ],
)
def test_a_bad_settings_file_is_named_with_its_key(fast_dir: Path, text: str | None, key: str) -> None:
    file = fast_dir / "bad.toml"
    if text is not None:
        file.write_text(text)
    said = refused("check-config", str(file))
    assert "bad.toml" in said
    assert key in said


def test_a_refusal_is_one_line_and_the_status_two_in_a_process_too(settings_file: Path) -> None:
    words = ("incident", "list", "--config", str(settings_file))
    apart = run_apart(*words)
    assert apart == run(*words)
    assert (apart.returncode, apart.stdout, len(apart.stderr.splitlines())) == (2, "", 1)


def test_statements_that_are_not_filled_in_are_a_warning_and_no_error(settings_file: Path) -> None:
    done = run("check-config", str(settings_file))
    assert done.returncode == 0
    assert "good" in done.stdout
    assert [line.partition("[")[2].partition("]")[0] for line in done.stderr.splitlines()] == [
        "contact",
        "accessibility",
        "privacy",
    ]


def test_a_database_without_tables_is_refused_by_what_needs_them(settings_file: Path) -> None:
    for words in (["incident", "list"], ["serve"], ["subscribers", "export"]):
        assert "run statuspage migrate" in refused(*words, "--config", str(settings_file))


@pytest.mark.parametrize("command", [["migrate"], ["incident", "list"], ["serve"]])
@pytest.mark.parametrize(
    "url", ["gibberish", "mysql://host/name", "postgresql+psycopg://nobody@127.0.0.1:1/name"]
)
def test_a_database_that_cannot_be_used_is_named(fast_dir: Path, command: list[str], url: str) -> None:
    file = fast_dir / "statuspage.toml"
    file.write_text(f'[data]\ndir = "data"\ndatabase_url = "{url}"\n')
    assert "data.database_url" in refused(*command, "--config", str(file))


def test_a_dry_run_and_a_bad_catalogue_change_nothing(settings_file: Path, catalogue_file: Path) -> None:
    config = ("--config", str(settings_file))
    assert run("migrate", *config).returncode == 0
    assert "+ service CRPA" in run("apply", *config, str(catalogue_file), "--dry-run").stdout
    catalogue_file.write_text(CATALOGUE + 'parents = ["NOPE"]\n')
    assert "services[0].parents" in refused("apply", *config, str(catalogue_file))
    catalogue_file.write_text(CATALOGUE)
    assert "+ service CRPA" in run("apply", *config, str(catalogue_file)).stdout


@pytest.fixture
def server(settings_file: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    run("migrate", "--config", str(settings_file))
    command = [sys.executable, "-m", "statuspage", "serve", "--config", str(settings_file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = monotonic() + 30
    while not answers(port):
        assert process.poll() is None
        assert monotonic() < deadline
        sleep(0.05)
    yield process
    process.kill()
    process.communicate()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_served_directory_and_a_taken_port_are_refused(
    server: subprocess.Popen[str], settings_file: Path, fast_dir: Path, port: int
) -> None:
    assert str(server.pid) in refused("serve", "--config", str(settings_file))
    other = fast_dir / "other.toml"
    other.write_text(f'[server]\nport = {port}\n[data]\ndir = "other"\n')
    run("migrate", "--config", str(other))
    assert "server.port" in refused("serve", "--config", str(other))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_order(server: subprocess.Popen[str], number: signal.Signals) -> None:
    server.send_signal(number)
    _, said = server.communicate(timeout=30)
    assert "Traceback" not in said
    assert server.returncode in (0, -number)
