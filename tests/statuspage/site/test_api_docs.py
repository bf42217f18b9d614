"""docs/api.md shows what the code really answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from statuspage.kernel.config import Page
from statuspage.site import api, feeds
from statuspage.site.live import event_message, snapshot_message
from tests.statuspage.site import snapshots

DOCUMENT = Path(__file__).parents[3] / "docs" / "api.md"
BASE_URL = "https://status.example"
ATOM = "{http://www.w3.org/2005/Atom}"


def _answer(name: str) -> Any:
    return json.loads(api.render(snapshots.one_down(), Page(), BASE_URL, "en")[f"/api/v2/{name}.json"])


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _atom_entry() -> str:
    feed = etree.fromstring(feeds.atom(snapshots.one_down(), Page(), BASE_URL, "en"))
    entry = feed.find(f"{ATOM}entry")
    assert entry is not None
    etree.indent(entry)
    return etree.tostring(entry, encoding="unicode").strip()


def _on_paper() -> Any:
    answers = api.render(snapshots.on_paper(), Page(), BASE_URL, "en")
    return json.loads(answers["/api/v2/incidents.json"])["incidents"][0]["x_customs"]


def _live_snapshot() -> str:
    message = json.loads(snapshot_message(snapshots.one_down(), "en"))
    message["components"] = [c for c in message["components"] if c["code"] == "NCTS2"]
    return json.dumps(message, ensure_ascii=False)


def _live_event() -> str:
    payload = {
        "id": snapshots.identifier("svcNCTS2"),
        "code": "NCTS2",
        "name_pl": "NCTS2",
        "name_en": "NCTS2",
        "old_status": "operational",
        "new_status": "major_outage",
    }
    return json.dumps(json.loads(event_message(8, "component.updated", payload)))


def examples() -> dict[str, str]:
    """What the document quotes, made by the code."""
    components = _answer("components")["components"]
    planned = json.loads(api.render(snapshots.planned(), Page(), BASE_URL, "en")["/api/v2/summary.json"])
    maintenance = planned["scheduled_maintenances"][-1]
    calendar = feeds.ics(snapshots.planned(), Page(), BASE_URL, "en").decode().replace("\r\n", "\n")
    return {
        "status": _pretty(_answer("status")),
        "group": _pretty(next(c for c in components if c["group"])),
        "component": _pretty(next(c for c in components if c["name"] == "NCTS2")),
        "incident": _pretty({**_answer("incidents")["incidents"][0], "components": []}),
        "maintenance": _pretty({k: maintenance[k] for k in ("status", "scheduled_for", "scheduled_until")}),
        "messages": _pretty(_on_paper()["messages"][0]),
        "fallback": _pretty(_on_paper()["fallbacks"][0]),
        "atom": _atom_entry(),
        "event": calendar[calendar.index("BEGIN:VEVENT") : calendar.index("END:VEVENT") + len("END:VEVENT")],
        "live snapshot": _live_snapshot(),
        "live event": _live_event(),
    }


@pytest.mark.parametrize("name", examples())
def test_the_document_shows_what_is_answered(name: str) -> None:
    assert examples()[name] in DOCUMENT.read_text(encoding="utf-8")
