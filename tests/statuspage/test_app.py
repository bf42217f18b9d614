"""The composed application over HTTP, as it is really served: what stands on every answer, whoever gives it."""

import gc
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest
from sqlalchemy import select

from notifiers.tables import Message
from statuspage.kernel import accounts, clock
from statuspage.kernel.db import Database
from statuspage.site import pages
from tests.journeys.demo_process import until
from tests.serving import BASE_URL, HEARTBEAT, Served, serving, settings_for
from tickets import attachments, letters, requests
from tickets.requests import NewRequest
from tickets.rules import Draft

Ask = Callable[[httpx.Client], httpx.Response]

STRANGER = "evil.example"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
PAGES = ("/", "/pl/", "/en/", "/history", "/en/services/PUESC", "/en/incidents/{incident}")
API = ("summary", "status", "components", "incidents", "incidents/unresolved", "scheduled-maintenances")
FEEDS = ("/history.atom", "/history.rss", "/history.ics")
PUBLIC = (*PAGES, *(f"/api/v2/{name}.json" for name in API), *FEEDS, *pages.assets())
RENDERED = ("/subscribe", "/en/desk", "/pl/desk/new", "/console/sign-in", "/healthz", "/metrics")


@pytest.fixture(scope="module")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("served")
    shutil.copy(sqlite_template, directory / "statuspage.db")
    settings = settings_for(directory)
    db = Database(settings.database_url)
    with serving(settings, db) as running:
        until("a ready server", lambda: httpx.get(f"{running.url}/readyz").status_code == 200)
        yield running
    db.close()
    gc.unfreeze()


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def get(path: str, **headers: str) -> Ask:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda client: client.get(path, headers=named)


def post(path: str, content: str = "", **headers: str) -> Ask:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda client: client.post(path, content=content, headers=FORM | named)


def not_modified(path: str) -> Ask:
    def ask(client: httpx.Client) -> httpx.Response:
        return client.get(path, headers={"If-None-Match": client.get(path).headers["etag"]})

    return ask


def too_many_sign_ins(client: httpx.Client) -> httpx.Response:
    for _ in range(11):
        answer = client.post("/console/sign-in", data={"login": "nobody"})
        if answer.status_code == 429:
            break
    return answer


def events(client: httpx.Client) -> httpx.Response:
    """The head of the endless answer."""
    with client.stream("GET", "/live/events") as answer:
        return answer


KINDS: dict[str, tuple[int, Ask]] = {
    "page": (200, get("/pl/")),
    "page that is unchanged": (304, not_modified("/pl/")),
    "asset": (200, get(next(iter(pages.assets())))),
    "asset that is unchanged": (304, not_modified(next(iter(pages.assets())))),
    "API": (200, get("/api/v2/summary.json")),
    "API that is unchanged": (304, not_modified("/api/v2/summary.json")),
    "feed": (200, get("/history.atom")),
    "feed that is unchanged": (304, not_modified("/history.atom")),
    "form": (200, get("/en/subscribe")),
    "unknown page": (404, get("/en/nowhere")),
    "unknown incident": (404, get("/incidents/nosuchincid")),
    "unknown in the API": (404, get("/api/v2/nowhere.json")),
    "unknown asset": (404, get("/static/nowhere.css")),
    "form that is only read": (405, post("/en/desk")),
    "page that is written to": (405, post("/en/")),
    "API that is written to": (405, post("/api/v2/summary.json")),
    "too large": (413, post("/subscribe", "x" * 2_000_000)),
    "incomplete": (422, post("/en/subscribe", "email=nobody")),
    "incomplete in the API": (422, post("/api/v2/subscribers.json", "email=nobody")),
    "from a foreign site": (403, post("/subscribe", "email=a@b.example", Origin="https://evil.example")),
    "too many": (429, too_many_sign_ins),
    "redirect": (303, get("/console")),
    "metrics": (200, get("/metrics")),
    "health": (200, get("/healthz")),
    "readiness": (200, get("/readyz")),
    "heartbeat": (200, post(f"/heartbeat/{HEARTBEAT}")),
    "unknown heartbeat": (404, post("/heartbeat/unknown")),
    "heartbeat asked wrongly": (405, lambda client: client.delete(f"/heartbeat/{HEARTBEAT}")),
    "WebSocket of a foreign site": (403, get("/live", Origin="https://evil.example", **UPGRADE)),
    "WebSocket without the upgrade": (404, get("/live")),
    "WebSocket elsewhere": (404, get("/nowhere", **UPGRADE)),
    "server-sent events": (200, events),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_security_headers_stand_on_every_answer(client: httpx.Client, kind: str) -> None:
    status, ask = KINDS[kind]
    answer = ask(client)

    assert answer.status_code == status
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "server" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", [*PUBLIC, *RENDERED, "/en/nowhere", "/console", f"/heartbeat/{HEARTBEAT}"])
def test_head_says_what_get_says_without_the_body(served: Served, client: httpx.Client, path: str) -> None:
    path = path.format(incident=served.incident_id)
    shown, head = client.get(path), client.head(path)

    assert (head.status_code, head.content) == (shown.status_code, b"")
    if path == "/metrics":  # they count this very question
        return
    assert headers_of(head) == headers_of(shown)


def headers_of(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


@pytest.mark.parametrize("path", PUBLIC)
def test_what_is_public_is_sent_once_and_compressed(served: Served, client: httpx.Client, path: str) -> None:
    path = path.format(incident=served.incident_id)
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    zipped = client.get(path, headers={"Accept-Encoding": "gzip"})
    with client.stream("GET", path, headers={"Accept-Encoding": "br"}) as stream:
        raw = b"".join(stream.iter_raw())

    assert plain.status_code == 200
    assert plain.content == zipped.content
    assert "Accept-Encoding" in plain.headers["vary"]
    if len(plain.content) >= 256:
        assert zipped.headers["content-encoding"] == "gzip"
        assert stream.headers["content-encoding"] == "br"
        assert brotli.decompress(raw) == plain.content
    etag = plain.headers["etag"]
    assert zipped.headers["etag"] == stream.headers["etag"] == etag
    for known in (etag, f'"older", {etag}', "*"):
        unchanged = client.get(path, headers={"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        for name in ("etag", "vary", "cache-control"):  # RFC 9110 §15.4.5
            assert unchanged.headers[name] == plain.headers[name]
    assert client.get(path, headers={"If-None-Match": 'W/"older"'}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/history", "/services/PUESC", "/incidents/{incident}", "/subscribe", "/desk"]
)
def test_a_page_without_a_language_in_its_address_speaks_the_readers(
    served: Served, client: httpx.Client, path: str
) -> None:
    path = path.format(incident=served.incident_id)
    for accepted, language in (("en-GB, pl;q=0.5", "en"), ("pl", "pl"), ("de", "pl"), ("", "pl")):
        answer = client.get(path, headers={"Accept-Language": accepted})
        assert f'<html lang="{language}"' in answer.text
        assert "Accept-Language" in answer.headers["vary"]
    for language in ("pl", "en"):
        answer = client.get(f"/{language}{path}", headers={"Accept-Language": "de"})
        assert f'<html lang="{language}"' in answer.text


def strange(ask: Ask) -> Ask:
    """The same question under a Host header that nobody configured."""

    def asked(client: httpx.Client) -> httpx.Response:
        client.headers.update(
            {"Host": STRANGER, "X-Forwarded-Host": STRANGER, "Forwarded": f"host={STRANGER}"}
        )
        return ask(client)

    return asked


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "server-sent events"])
def test_no_answer_repeats_the_host_it_was_asked_for(client: httpx.Client, kind: str) -> None:
    """Abuse case 31."""
    answer = strange(KINDS[kind][1])(client)

    assert STRANGER not in answer.text
    assert STRANGER not in str(answer.headers)


@pytest.mark.parametrize("path", PUBLIC)
def test_what_is_public_is_the_same_under_every_host(served: Served, client: httpx.Client, path: str) -> None:
    path = path.format(incident=served.incident_id)
    known = client.get(path).content

    assert strange(get(path))(client).content == known


def test_a_mail_links_to_the_configured_address_whatever_host_was_asked_for(
    served: Served, client: httpx.Client
) -> None:
    answer = strange(post("/en/subscribe", "email=anna@firma.example"))(client)
    assert answer.status_code == 200

    mails = served.house.db.read_now(lambda s: s.scalars(select(Message)).all())
    assert "confirm" in {mail.kind for mail in mails}
    for mail in mails:
        assert f"{BASE_URL}/" in mail.text
        assert STRANGER not in mail.text + mail.html


def test_the_session_cookie_is_kept_from_scripts_and_other_sites_and_needs_https(served: Served) -> None:
    hashed = accounts.hash_password("a long password of Anna's")
    served.house.db.run_now(accounts.add_user, "anna", "Anna", accounts.Role.AGENT, hashed, now=clock.now())
    with served.client() as client:
        answer = client.post(
            "/console/sign-in", data={"login": "anna", "password": "a long password of Anna's"}
        )

    assert answer.status_code == 303
    assert {"httponly", "secure", "samesite=lax"} <= {
        part.strip().lower() for part in answer.headers["set-cookie"].split(";")
    }


def test_a_large_file_is_taken_where_files_belong_and_nowhere_else(
    served: Served, client: httpx.Client
) -> None:
    """The limit that all addresses share is one megabyte; a request's page takes ten times as much a file."""
    draft = Draft(
        "failure", "NCTS2", "A. Forwarder", "anna@firma.example", "It is refused since this morning."
    )
    filed = served.house.db.run_now(
        requests.file_request, NewRequest(draft, "en"), house=served.house, now=clock.now()
    )
    here = f"/en{letters.request_path(served.house, filed.view_key)}"
    content = b"%PDF-1.7\n" + b"\0" * 3_000_000
    sent: dict[str, Any] = {"data": {"action": "write", "text": ""}, "files": {"files": ("a.pdf", content)}}

    assert client.post(here, **sent).status_code == 303
    (file,) = served.house.db.read_now(attachments.listed, filed.ticket_id)
    assert client.get(f"{here}/files/{file.id}").content == content
    assert client.post("/en/desk/new", **sent).status_code == 413
    too_large = {**sent, "files": {"files": ("a.pdf", content * 4)}}
    assert client.post(here, **too_large).status_code == 422
