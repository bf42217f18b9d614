"""The feeds as readers read them, and against the schema of their standard."""

from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import feedparser
import icalendar
import lxml.html
import pytest
import rnc2rng
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshot import NoticeView, PageSnapshot, Text
from statuspage.kernel.config import Page
from statuspage.site import feeds
from tests.statuspage.site import snapshots

BASE_URL = "https://status.example"
PAGE = Page()
ATOM = "{http://www.w3.org/2005/Atom}"
SCHEMATRON = (  # RFC 4287, appendix B: context and assertion
    ("atom:feed", "atom:author or not(atom:entry[not(atom:author)])"),
    ("atom:entry", "atom:link[@rel='alternate'] or atom:link[not(@rel)] or atom:content"),
    ("atom:entry", "atom:author or ../atom:author or atom:source/atom:author"),
)

# Abuse case 11: control characters, overrides of direction, halves of characters, non-characters.
NASTY = "NCTS2\x00\x0b\x1b[31m \u202egnp.exe\u2066 \ud800 \ufffe\uffff ]]></title>&#8238; <b>\r\nBCC: x"


@cache
def atom_schema() -> etree.RelaxNG:
    """RFC 4287's own schema."""
    grammar = rnc2rng.loads(Path(__file__).with_name("atom.rnc").read_text(encoding="utf-8"))
    # In XML no prefix can stand for "no namespace"; the converter declares one all the same.
    schema = rnc2rng.dumps(grammar).replace('xmlns:local=""', "")
    return etree.RelaxNG(etree.fromstring(schema.encode()))


def assert_is_atom(body: bytes) -> None:
    """Valid to the schema and to the Schematron rules that stand in it as annotations."""
    document = etree.fromstring(body)
    schema = atom_schema()
    assert schema.validate(document), schema.error_log
    assert broken_rules(document) == []


def broken_rules(document: Any) -> list[str]:
    names = {"atom": ATOM.strip("{}")}
    return [
        test
        for context, test in SCHEMATRON
        for found in document.xpath(f"//{context}", namespaces=names)
        if not found.xpath(f"boolean({test})", namespaces=names)
    ]


def atom(snapshot: PageSnapshot, language: str = "en") -> bytes:
    """The feed in its bytes."""
    return feeds.atom(snapshot, PAGE, BASE_URL, language)


def rss(snapshot: PageSnapshot, language: str = "en") -> bytes:
    """The feed in its bytes."""
    return feeds.rss(snapshot, PAGE, BASE_URL, language)


def ics(snapshot: PageSnapshot, language: str = "en") -> bytes:
    """The calendar in its bytes."""
    return feeds.ics(snapshot, PAGE, BASE_URL, language)


def read(body: bytes) -> Any:
    """What a feed reader sees; refuses what it had to guess."""
    feed = feedparser.parse(body)
    assert not feed.bozo, feed.get("bozo_exception")
    return feed


def events(body: bytes) -> list[Any]:
    """The calendar's events."""
    return list(icalendar.Calendar.from_ical(body).walk("VEVENT"))


def named(snapshot: PageSnapshot, name: str, text: str) -> PageSnapshot:
    """The snapshot with every notice called `name` and every update saying `text`."""

    def rename(notice: NoticeView) -> NoticeView:
        updates = tuple(replace(update, text=Text(text, text)) for update in notice.updates)
        return replace(notice, name=Text(name, name), updates=updates)

    return replace(
        snapshot,
        incidents=tuple(rename(notice) for notice in snapshot.incidents),
        maintenances=tuple(rename(notice) for notice in snapshot.maintenances),
    )


@pytest.mark.parametrize("language", ["pl", "en"])
@pytest.mark.parametrize("scenario", snapshots.SCENARIOS)
def test_every_atom_feed_is_valid_to_the_schema_of_its_rfc(scenario: str, language: str) -> None:
    assert_is_atom(atom(snapshots.SCENARIOS[scenario](), language))


def test_the_schema_refuses_what_is_not_atom() -> None:
    broken = etree.fromstring(atom(snapshots.one_down()))
    for element in broken.findall(f"{ATOM}entry/{ATOM}updated"):
        element.text = "yesterday"
    assert not atom_schema().validate(broken)


def test_the_rules_beside_the_schema_refuse_what_they_should() -> None:
    broken = etree.fromstring(atom(snapshots.one_down()))
    for name in ("author", "entry/link", "entry/content"):
        for element in broken.findall(f"{ATOM}{name.replace('/', '/' + ATOM)}"):
            parent = element.getparent()
            assert parent is not None
            parent.remove(element)
    assert set(broken_rules(broken)) == {test for _, test in SCHEMATRON}


@pytest.mark.parametrize("language", ["pl", "en"])
@pytest.mark.parametrize("scenario", snapshots.SCENARIOS)
@pytest.mark.parametrize("make", [rss, atom])
def test_readers_find_one_entry_for_each_update_newest_first(make: Any, scenario: str, language: str) -> None:
    snapshot = snapshots.SCENARIOS[scenario]()
    feed = read(make(snapshot, language))
    count = sum(len(notice.updates) for notice in (*snapshot.incidents, *snapshot.maintenances))
    assert len(feed.entries) == min(count, feeds.NEWEST)
    assert len({entry.id for entry in feed.entries}) == len(feed.entries)
    times = [entry.published_parsed for entry in feed.entries]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("make", [rss, atom])
def test_an_entry_names_the_incident_and_leads_to_its_permalink(make: Any) -> None:
    [incident] = snapshots.one_down().incidents
    pl, en = read(make(snapshots.one_down(), "pl")), read(make(snapshots.one_down(), "en"))
    assert [entry.title for entry in en.entries] == [
        "NCTS2 does not work – cause known",
        "NCTS2 does not work – looking for the cause",
    ]
    assert all(entry.title.startswith("NCTS2 nie działa – ") for entry in pl.entries)
    assert {entry.link for entry in en.entries} == {f"{BASE_URL}/incidents/{incident.id}"}
    assert all(entry.id.startswith("tag:status.example,2026:update/") for entry in en.entries)
    assert "<strong>cause</strong>" in en.entries[1].description
    assert "Concerns: NCTS2" in en.entries[1].description


def test_planned_work_is_in_the_feed_with_its_time() -> None:
    newest = read(atom(snapshots.planned())).entries[0]
    assert newest.title == "Planned work on AIS and AES – in progress"
    assert "When: 2026-11-21 09:30 – 13:30 (UTC+1)" in newest.description


def test_a_new_update_is_a_new_entry_and_leaves_the_others_as_they_were() -> None:
    before = snapshots.one_down()
    [incident] = before.incidents
    later = snapshots.update(incident.id, 3, "monitoring", Text("Naprawione.", "Fixed."), snapshots.NOW)
    grown = replace(incident, updates=(later, *incident.updates), status="monitoring")
    old = {entry.id: entry.updated for entry in read(atom(before)).entries}
    new = {entry.id: entry.updated for entry in read(atom(replace(before, incidents=(grown,)))).entries}
    assert len(new) == len(old) + 1
    assert old.items() <= new.items()


@pytest.mark.parametrize("make", [rss, atom, ics])
def test_the_same_state_gives_the_same_bytes_at_any_time(make: Any) -> None:
    once, later = (
        snapshots.planned(),
        replace(snapshots.planned(), built_at=snapshots.NOW.replace(year=2030), seq=99),
    )
    assert make(once) == make(later)
    assert make(once, "pl") != make(once, "en")


@pytest.mark.parametrize("make", [rss, atom])
def test_a_feed_was_updated_when_the_state_was(make: Any) -> None:
    updated = read(make(snapshots.planned())).feed.updated_parsed
    assert updated == snapshots.planned().updated_at.utctimetuple()


@pytest.mark.parametrize("make", [rss, atom])
def test_control_and_bidi_characters_leave_feeds_valid(make: Any) -> None:
    body = make(named(snapshots.one_down(), NASTY, NASTY))
    feed = read(body)
    assert "NCTS2" in feed.entries[0].title
    for character in "\x00\x0b\x1b\u202e\u2066\ufffe":
        assert character not in body.decode()
        assert character not in feed.entries[0].description
    if make is atom:
        assert_is_atom(body)


def test_control_and_bidi_characters_leave_the_calendar_valid() -> None:
    body = ics(named(snapshots.planned(), NASTY, NASTY))
    assert len(events(body)) == 4
    assert b"\nBCC:" not in body
    for character in "\x00\x0b\x1b\u202e\u2066":
        assert character not in body.decode()


def test_what_people_write_cannot_run_in_a_reader() -> None:
    text = "<script>alert(1)</script> [x](javascript:alert(1)) ![i](https://evil.example/i.png) <img src=x>"
    entry = etree.fromstring(atom(named(snapshots.one_down(), "x", text))).find(f"{ATOM}entry/{ATOM}content")
    assert entry is not None
    html = lxml.html.fromstring(entry.text or "")
    assert not html.xpath("//script | //img | //@onerror")
    assert html.xpath("//a/@href") == [
        "https://evil.example/i.png"
    ]  # the picture became a link, the script text


@given(st.text(max_size=60), st.text(max_size=200))
def test_any_text_at_all_leaves_all_three_valid(name: str, text: str) -> None:
    snapshot = named(snapshots.one_down(), name, text)
    planned = named(snapshots.planned(), name, text)
    assert_is_atom(atom(snapshot))
    assert len(read(rss(snapshot)).entries) == 2
    assert [event["status"] for event in events(ics(planned))].count("CANCELLED") == 1


@pytest.mark.parametrize("language", ["pl", "en"])
def test_planned_work_is_an_event_that_later_versions_replace(language: str) -> None:
    upcoming, under_way, cancelled, completed = events(ics(snapshots.planned(), language))
    notices = snapshots.planned().maintenances
    assert upcoming["uid"] == f"{notices[0].id}@status.example"
    assert upcoming["dtstart"].dt == notices[0].scheduled_for
    assert upcoming["dtend"].dt == notices[0].scheduled_until
    assert upcoming["dtstamp"].dt == notices[0].updated_at
    assert upcoming["url"] == f"{BASE_URL}/incidents/{notices[0].id}"
    assert upcoming["summary"] == notices[0].name[language]
    assert [e["sequence"] for e in (upcoming, under_way, cancelled, completed)] == [2, 1, 3, 1]
    assert [e["status"] for e in (upcoming, cancelled)] == ["CONFIRMED", "CANCELLED"]


def test_the_calendar_without_planned_work_still_has_a_component() -> None:
    calendar = icalendar.Calendar.from_ical(ics(snapshots.all_green()))
    assert events(ics(snapshots.all_green())) == []
    assert len(calendar.subcomponents) == 1


def test_all_work_ahead_is_in_the_calendar_however_much_recurs() -> None:
    def work(number: int, status: MaintenanceStatus, days: int) -> NoticeView:
        return snapshots.maintenance(
            f"{status[:2]}{number}", status, starts_at=snapshots.NOW + timedelta(days=days)
        )

    ahead = [work(n, MaintenanceStatus.SCHEDULED, n + 1) for n in range(feeds.NEWEST + 10)]
    over = [work(n, MaintenanceStatus.COMPLETED, -n - 1) for n in range(feeds.NEWEST + 10)]
    snapshot = snapshots.page(maintenances=(*reversed(ahead), *over))
    found = {event["uid"].partition("@")[0] for event in events(ics(snapshot))}
    assert found == {notice.id for notice in [*ahead, *over[: feeds.NEWEST]]}


def test_calendar_lines_are_folded_and_end_as_the_rfc_says() -> None:
    body = ics(named(snapshots.planned(), "ż" * 200, "ó" * 400))
    assert body.endswith(b"END:VCALENDAR\r\n")
    lines = body.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert not any(b"\n" in line or b"\r" in line for line in lines)


@pytest.mark.parametrize(
    "base_url",
    ["http://127.0.0.1:8000", "http://[::1]:8000", "https://status.example/", "http://zażółć.example"],
)
def test_names_are_uris_whatever_the_base_url(base_url: str) -> None:
    entries = read(feeds.atom(snapshots.one_down(), PAGE, base_url, "en")).entries
    assert all(entry.id.isascii() and " " not in entry.id and "[" not in entry.id for entry in entries)


def test_render_offers_all_three_with_their_types() -> None:
    made = feeds.render(snapshots.planned(), PAGE, BASE_URL, "pl")
    assert {path: kind.partition(";")[0] for path, (_, kind) in made.items()} == {
        "/history.rss": "application/rss+xml",
        "/history.atom": "application/atom+xml",
        "/history.ics": "text/calendar",
    }
    assert made["/history.atom"][0] == atom(snapshots.planned(), "pl")
