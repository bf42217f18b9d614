"""Mails about planned work: each change says what was announced before, in both languages."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from notifiers import broadcasts
from notifiers.tables import Delivery, Message
from statuspage.incidents import amendments, maintenance, recurrence, reminders, series
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.services import by_code
from statuspage.incidents.snapshot import Text
from statuspage.kernel.house import House
from tests.notifiers.scenes import add_subscribers, fill_catalogue

SAID = Text("Wymieniamy serwery.", "We replace servers.")
NAME = Text("Prace w AIS", "Work on AIS")
BEGIN = timedelta(days=5)


class Desk:
    """An officer, and the mails that follow."""

    def __init__(self, house: House, now: datetime) -> None:
        self.house, self.now = house, now
        self.policy, self.zone = house.settings.incidents, house.settings.zone
        self.do(lambda s: fill_catalogue(s, now=now))
        self.do(lambda s: add_subscribers(s, 1, now=now))

    def do(self, verb: Callable[[Session], object]) -> object:
        return self.house.db.run_now(verb)

    def plan(self, ahead: timedelta = BEGIN, *codes: str) -> str:
        begin = self.now + ahead
        new = NewMaintenance(NAME, SAID, codes or ("AIS", "NCTS2"), begin, begin + timedelta(hours=3))
        return self.house.db.run_now(
            maintenance.schedule, new, by="cli:ewa", now=self.now, policy=self.policy
        ).id

    def move(self, id: str, *, begin: timedelta | None = None, end: timedelta | None = None) -> None:
        start = self.now
        self.do(
            lambda s: amendments.reschedule(
                s,
                id,
                by="cli:ewa",
                now=start,
                policy=self.policy,
                zone=self.zone,
                begins_at=None if begin is None else start + begin,
                ends_at=None if end is None else start + end,
            )
        )

    def mails(self) -> list[tuple[Message, Message]]:
        """Polish and English, of each event that makes any."""

        def expand(session: Session) -> None:
            for seq in broadcasts.owed(session):
                while broadcasts.expand(session, seq, house=self.house, now=self.now):
                    pass

        self.do(expand)
        rows = self.house.db.read_now(
            lambda s: s.scalars(select(Message).order_by(Message.event_seq, Message.language.desc())).all()
        )
        return list(zip(rows[::2], rows[1::2], strict=True))

    def last(self) -> tuple[Message, Message]:
        return self.mails()[-1]


@pytest.fixture
def desk(house: House, now: datetime) -> Desk:
    """`now` is 06:10 on 23 November 2026 in Warsaw."""
    return Desk(house, now)


def subjects(pair: tuple[Message, Message]) -> list[str]:
    return [message.subject for message in pair]


def test_an_extension_says_the_old_end_and_that_what_it_adds_counts(desk: Desk) -> None:
    id = desk.plan()
    desk.now += BEGIN + timedelta(hours=2)
    desk.do(lambda s: maintenance.advance(s, now=desk.now, policy=desk.policy))
    desk.move(id, end=timedelta(hours=2))
    pl, en = desk.last()
    begin = desk.now.astimezone(desk.zone) - timedelta(hours=2)
    new, old = (f"{begin + timedelta(hours=hours):%H:%M}" for hours in (4, 3))
    assert pl.subject == f"NCTS2, AIS: prace planowe przedłużone do {new} – zapowiadano: {old}"
    assert en.subject == f"NCTS2, AIS: planned work extended until {new} – announced: {old}"
    for part in (en.text, en.html):
        assert "Announced before" in part
        assert "announced 5 days ahead; " in part
        assert f"{old}–{new}" in part
        assert "was announced less than 48 hours ahead: it does not count as announced unavailability" in part
    assert (
        "zapowiedziany mniej niż 48 godzin wcześniej: nie liczy się jako zapowiedziana niedostępność"
        in pl.text
    )
    assert f"Przedłużamy prace planowe do {new}" in pl.text


def test_work_moved_to_another_day_names_both(desk: Desk) -> None:
    id = desk.plan()
    desk.move(id, begin=timedelta(days=7), end=timedelta(days=7, hours=2))
    pl, en = desk.last()
    assert pl.subject.startswith("NCTS2, AIS: prace planowe przesunięte na 30 listopada")
    assert "– zapowiadano: 28 listopada" in pl.subject
    assert en.subject.startswith("NCTS2, AIS: planned work moved to 30 November")


def test_work_cut_short_says_so(desk: Desk) -> None:
    id = desk.plan()
    desk.move(id, end=BEGIN + timedelta(hours=1))
    assert "tylko do" in desk.last()[0].subject
    assert "only until" in desk.last()[1].subject


def test_a_cancelled_part_is_named_and_the_rest_stays(desk: Desk) -> None:
    id = desk.plan()
    desk.do(lambda s: amendments.cancel_part(s, id, ["AIS"], by="cli:ewa", now=desk.now, policy=desk.policy))
    pl, en = desk.last()
    assert pl.subject.startswith("AIS: część prac planowych 28 listopada")
    assert en.subject.startswith("AIS: no longer part of the planned work 28 November")
    assert "Not affected any more: AIS" in en.text
    assert "Affected: NCTS2" in en.text


def test_only_those_concerned_are_written_to(desk: Desk) -> None:
    def subscribe(session: Session) -> None:
        add_subscribers(session, 1, now=desk.now, service_ids=[ids["AIS"]])

    ids = {"AIS": desk.house.db.read_now(by_code, "AIS").id}
    desk.do(subscribe)
    id = desk.plan()
    desk.do(lambda s: amendments.cancel_part(s, id, ["AIS"], by="cli:ewa", now=desk.now, policy=desk.policy))
    desk.now += timedelta(hours=1)
    desk.do(lambda s: maintenance.cancel(s, id, by="cli:ewa", now=desk.now, policy=desk.policy))
    desk.mails()
    rows = desk.house.db.read_now(lambda s: s.scalars(select(Delivery).order_by(Delivery.event_seq)).all())
    per_event: dict[int, int] = {}
    for row in rows:
        per_event[row.event_seq or 0] = per_event.get(row.event_seq or 0, 0) + 1
    assert list(per_event.values()) == [2, 2, 1]


def test_a_reminder_says_how_long_is_left_and_does_not_wait_to_be_recalled(desk: Desk) -> None:
    desk.plan()
    desk.now += BEGIN - timedelta(hours=24) + timedelta(seconds=2)
    desk.do(lambda s: reminders.tell_due(s, now=desk.now))
    pl, en = desk.last()
    assert pl.subject.startswith("NCTS2, AIS: prace planowe rozpoczną się za 24 godziny – ")
    assert en.subject.startswith("NCTS2, AIS: planned work begins in 24 hours – ")
    assert "Wymieniamy serwery." in pl.text
    assert "Announced: announced 5 days ahead" in en.text
    due = desk.house.db.read_now(
        lambda s: s.scalars(select(Delivery.due_at).order_by(Delivery.id.desc())).first()
    )
    assert due is not None
    assert due <= desk.now


def test_work_announced_too_late_says_what_follows(desk: Desk) -> None:
    desk.plan(timedelta(hours=5))
    pl, en = desk.last()
    assert "announced less than 48 hours ahead: does not count as announced unavailability" in en.text
    assert (
        "zapowiedziane mniej niż 48 godzin wcześniej: nie liczą się jako zapowiedziana niedostępność"
        in pl.text
    )


def test_one_mail_of_a_series_names_the_further_dates(desk: Desk) -> None:
    local = (desk.now + BEGIN).astimezone(desk.zone).replace(tzinfo=None)
    plan = recurrence.parse(
        "FREQ=DAILY", zone="Europe/Warsaw", begins_local=local, duration=timedelta(hours=1)
    )
    new = series.NewSeries(NAME, SAID, ["AIS"], plan)
    id = desk.house.db.run_now(series.create, new, by="cli:ewa", now=desk.now, policy=desk.policy).id
    ((_, en),) = desk.mails()
    assert "Also planned:" in en.text
    assert "29 November 2026, 06:10–07:10" in en.text
    assert "+18" in en.text
    desk.now += timedelta(hours=1)
    desk.do(lambda s: series.end(s, id, by="cli:ewa", now=desk.now, policy=desk.policy))
    assert len(desk.mails()) == 2
    assert "Also cancelled:" in desk.last()[1].text
