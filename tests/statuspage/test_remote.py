"""`--server`: an officer's laptop without the database speaks through the management API of a real server."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from statuspage.incidents import catalogue, incidents
from statuspage.kernel import audit, clock, tokens
from statuspage.kernel.db import Database
from statuspage.kernel.tokens import Scope
from tests.server_process import Server
from tests.statuspage.test_cli import Done, run, run_apart
from tests.statuspage.test_planner import CATALOGUE, hours_on

SAID = ("--title-pl", "Awaria", "--title-en", "Outage", "--text-pl", "Badamy.", "--text-en", "We look.")
WORK = ("maintenance", "schedule", "--service", "AIS", *SAID)
Typed = Callable[..., Done]
pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest, fast_dir: Path) -> Iterator[Server]:
    """With a catalogue; a process of its own."""
    url, name = None, "remote"
    if request.param == "postgres":
        postgres = request.getfixturevalue("postgres")
        postgres.create(name)
        request.addfinalizer(lambda: postgres.drop(name))  # noqa: PT021
        url = str(postgres.url(name))
    server = Server(fast_dir, database_url=url)
    db = server.open_database()
    db.run_now(catalogue.apply, catalogue.parse(CATALOGUE, where="c"), now=clock.now())
    db.close()
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.kill()


@pytest.fixture
def db(server: Server) -> Iterator[Database]:
    db = server.open_database()
    yield db
    db.close()


def token_of(db: Database, name: str, *scopes: Scope) -> str:
    return db.run_now(tokens.add, name, scopes, lifetime=timedelta(days=1), by="cli:ewa", now=clock.now())


@pytest.fixture
def far(server: Server, db: Database, fast_dir: Path) -> Typed:
    """A command carried out by the server."""
    file = fast_dir / "token"
    file.write_text(token_of(db, "laptop", *Scope) + "\n")
    return lambda *words: run(*words, "--server", server.url, "--token-file", str(file))


@pytest.fixture
def near(server: Server, db: Database) -> Typed:
    """The same command beside the database. A PostgreSQL is let go of when the process ends, so it has its own."""
    asked = run if db.is_sqlite else run_apart
    return lambda *words: asked(*words, "--config", str(server.file))


def good(done: Done) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_an_incident_from_its_opening_to_its_end(far: Typed, near: Typed, db: Database) -> None:
    began = (datetime.now(UTC) - timedelta(minutes=20)).isoformat()
    id = good(far("incident", "open", "--service", "AIS=major_outage", *SAID, "--began-at", began))
    assert len(id) == 12
    assert good(far("incident", "list", "--unresolved")).split()[:3] == [id, "investigating", "critical"]
    more = ("--status", "identified", "--service", "AES=degraded_performance", "--text-en", "Found.")
    assert good(far("incident", "update", id, *more)) == ""
    assert good(far("incident", "list")) == good(near("incident", "list"))
    assert good(far("incident", "resolve", id, "--text-pl", "Działa.", "--text-en", "Works.")) == ""
    assert good(far("incident", "list", "--unresolved")) == ""
    assert " resolved " in good(far("incident", "list"))
    done = db.read_now(audit.entries, action="incident")
    assert {each.actor for each in done} == {"api:laptop"}


def test_planned_work_once_and_recurring(far: Typed, near: Typed, db: Database) -> None:
    times = ("--start", hours_on(72), "--end", hours_on(75))
    id = good(far(*WORK, "--service", "AES", *times, "--by-hand"))
    assert good(far("maintenance", "list")).split()[:2] == [id, "scheduled"]
    assert good(far("maintenance", "list")) == good(near("maintenance", "list"))
    assert good(far("maintenance", "cancel", id, "--service", "AES")) == ""
    assert " scheduled " in good(far("maintenance", "list"))
    assert good(far("maintenance", "cancel", id, "--text-pl", "Nie.", "--text-en", "No.")) == ""
    assert " cancelled " in good(far("maintenance", "list"))
    local = ("--start", "2199-03-01T22:00", "--end", "2199-03-02T01:00")
    repeat = (*WORK, *local, "--repeat", "FREQ=WEEKLY")
    assert good(far(*repeat, "--preview")) == good(near(*repeat, "--preview"))
    assert len(good(far(*repeat, "--preview")).splitlines()) == 12
    assert good(near("maintenance", "series", "list")) == ""
    series = good(far(*repeat))
    assert good(near("maintenance", "series", "list")).startswith(
        f"{series}  running  FREQ=WEEKLY  Europe/Warsaw  Outage"
    )
    assert good(far(*WORK, *times, "--preview")) == good(near(*WORK, *times, "--preview"))


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_what_is_refused_is_refused_in_the_same_line(far: Typed, near: Typed, db: Database) -> None:
    id = good(far("incident", "open", "--service", "AIS=major_outage", *SAID))
    good(far("incident", "resolve", id, "--text-en", "Works."))
    future, past = ("--start", hours_on(72), "--end", hours_on(70)), ("--start", "2020-01-01T10:00Z")
    for words in (
        ("incident", "open", "--service", "AIS=broken", *SAID),
        ("incident", "open", "--service", "NCTS9=major_outage", *SAID),
        ("incident", "open", "--service", "AIS=major_outage", "--text-en", "No title."),
        ("incident", "open", "--service", "AIS=major_outage", *SAID[:4]),
        ("incident", "open", "--service", "AIS=major_outage", *SAID, "--began-at", "2099-01-01T00:00Z"),
        ("incident", "update", "abcdefghijkl", "--text-en", "x"),
        ("incident", "update", "no such incident", "--text-en", "x"),
        ("incident", "resolve", id, "--text-en", "Again."),
        ("incident", "resolve", id),
        (*WORK, *future),
        (*WORK, *past, "--end", hours_on(1)),
        (*WORK, *past, "--end", "2020-01-01T12:00Z", "--repeat", "FREQ=WEEKLY"),
        (*WORK, "--start", "2030-01-01T10:00", "--end", "2030-01-03T10:00", "--repeat", "FREQ=DAILY"),
        ("maintenance", "cancel", "abcdefghijkl"),
        ("maintenance", "cancel", "abcdefghijkl", "--text-pl", "Nie."),
    ):
        asked = far(*words)
        assert asked == near(*words), words
        assert (asked.returncode, asked.stdout, len(asked.stderr.splitlines())) == (2, "", 1), words


def test_who_asks_and_where_is_said_with_the_option_that_has_to_change(
    server: Server, db: Database, fast_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATUSPAGE_TOKEN", raising=False)
    reader, empty, strange = fast_dir / "reader", fast_dir / "empty", fast_dir / "strange"
    reader.write_text(token_of(db, "reader", Scope.READ))
    empty.write_text("\n")
    strange.write_text("one two\n")
    at, config = ("--server", server.url), ("--config", str(server.file))
    listing, opening = ("incident", "list"), ("incident", "open", "--service", "AIS=major_outage", *SAID)
    nowhere = f"http://127.0.0.1:{server.port + 1 if server.port < 65535 else 1}"
    for words, said in (
        (listing, "--config: give the settings file, or --server URL"),
        ((*listing, *at), "--token-file: a token is needed"),
        ((*listing, *at, "--token-file", str(empty)), "--token-file: a token is needed"),
        ((*listing, *at, "--token-file", str(strange)), "holds something else than one token"),
        ((*listing, *at, "--token-file", str(fast_dir / "none")), "none: cannot be read"),
        ((*listing, *at, *config), "--config: and --server exclude each other"),
        ((*listing, *config, "--token-file", str(reader)), "--token-file: goes with --server"),
        ((*opening, *at, "--token-file", str(reader)), "the token lacks the scope incidents:write"),
        ((*listing, "--server", "status.example", "--token-file", str(reader)), "--server: write it as"),
        ((*listing, "--server", nowhere, "--token-file", str(reader)), "cannot be reached"),
    ):
        done = run(*words)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done
        assert said in done.stderr
    monkeypatch.setenv("STATUSPAGE_TOKEN", "spm_wrong")
    assert "--token-file: the token is not good" in run(*listing, *at).stderr
    monkeypatch.setenv("STATUSPAGE_TOKEN", reader.read_text())
    assert run_apart(*listing, *at) == Done(0, "", "")


def test_a_lost_answer_is_asked_for_again_and_opens_no_second_incident(
    server: Server, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUSPAGE_TOKEN", token_of(db, "laptop", *Scope))
    with losing_the_first_answer(server.port) as (url, asked):
        done = run("incident", "open", "--service", "AIS=major_outage", *SAID, "--server", url)
    assert len(asked) == 2
    assert asked[0] == asked[1]
    (found,) = db.read_now(incidents.listed)
    assert good(done) == found.id
    again = run("incident", "open", "--service", "AIS=major_outage", *SAID, "--server", server.url)
    assert good(again) != found.id  # another invocation is another wish


@contextmanager
def losing_the_first_answer(port: int) -> Iterator[tuple[str, list[bytes]]]:
    """A relay before the server at `port` that hands every request on, and drops the first answer."""
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", port)) as beyond:
                request = whole_message(client)
                asked.append(request)
                beyond.sendall(request)
                answer = whole_message(beyond)
                if len(asked) > 1:
                    client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def whole_message(connection: socket.socket) -> bytes:
    """A request or an answer, read by its Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [
        line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    ]
    while len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


class Elsewhere(BaseHTTPRequestHandler):
    """A web server that is no status page: a proxy's error page, a redirect, a page."""

    seen: ClassVar[list[str]] = []
    answers: ClassVar[dict[str, int]] = {"proxy": 502, "moved": 301, "page": 200}

    def do_GET(self) -> None:
        type(self).seen.append(self.path)
        status = self.answers.get(self.path.split("/")[1], 200)
        self.send_response(status)
        if status == 301:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.mark.parametrize(
    ("place", "said"),
    [("proxy", "answered 502 Bad Gateway"), ("moved", "answered 301"), ("page", "not as a status page")],
)
def test_what_is_no_status_page_is_said_in_one_line_and_no_redirect_is_followed(
    place: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUSPAGE_TOKEN", "spm_secret")
    Elsewhere.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/{place}/"
        done = run("incident", "list", "--server", url)
        server.shutdown()
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert said in done.stderr
    assert Elsewhere.seen == [f"/{place}/api/manage/v1/incidents?limit=50"]
