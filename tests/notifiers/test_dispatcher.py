"""Events become mail: everyone once, whatever relays do, whenever the process dies (abuse cases 21, 28)."""

import asyncio
import random
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from notifiers import broadcasts, ledger, outbox
from notifiers.channels.email import Spec
from notifiers.dispatcher import IN_FLIGHT, Dispatcher
from notifiers.rules import DeliveryState, Lane
from notifiers.tables import Delivery, Message
from statuspage.incidents.notices import post, tell
from statuspage.incidents.snapshot import Text
from statuspage.kernel import clock
from statuspage.kernel.db import Database
from statuspage.kernel.events import Consumer, pending
from statuspage.kernel.house import House
from tests.notifiers import sender_process
from tests.notifiers.relay import HangUp, Relay, running
from tests.notifiers.scenes import add_subscribers, fill_catalogue, open_incident, with_relay

KILLS = 4
CROWD = 1200


async def until(is_so: Callable[[], Awaitable[bool]], *, seconds: float = 30) -> None:
    """Wait for it, with a deadline."""
    async with asyncio.timeout(seconds):
        while not await is_so():
            await asyncio.sleep(0.02)


def is_quiet(session: Session) -> bool:
    """Nothing is owed any more."""
    owed = session.scalar(select(func.count()).where(Delivery.due_at.is_not(None)))
    return not owed and not pending(session, Consumer.NOTIFIERS)


@asynccontextmanager
async def dispatching(house: House, port: int, **spec: timedelta | int) -> AsyncIterator[Dispatcher]:
    made = Spec(relay=f"smtp://127.0.0.1:{port}", connections=3, max_pause=timedelta(seconds=0.05))
    dispatcher = Dispatcher(with_relay(house, port), replace(made, **spec))  # type: ignore[arg-type]
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def fill(session: Session, count: int = 20) -> None:
    now = clock.now()
    fill_catalogue(session, now=now)
    add_subscribers(session, count, now=now)
    add_subscribers(session, 5, now=now, language="en")


async def quiet(house: House) -> None:
    await until(lambda: house.db.read(is_quiet))


async def test_an_incident_reaches_everybody_once_in_their_language(house: House) -> None:
    house.db.run_now(fill)
    async with running(Relay()) as relay, dispatching(house, relay.port):
        await house.db.run(open_incident, "PUESC", now=clock.now())
        await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.SENT] == 25))
        await quiet(house)
    assert Counter(relay.recipients).most_common(1)[0][1] == 1
    assert len(relay.accepted) == 25
    for one in relay.accepted:
        assert one.message["To"] == one.recipient
        subject = one.message["Subject"]
        assert subject.startswith("PUESC: outage since" if ".en." in one.recipient else "PUESC: awaria od")
    assert len({one.message["Message-ID"] for one in relay.accepted}) == 25


async def test_what_was_owed_before_the_start_is_sent_after_it(house: House) -> None:
    house.db.run_now(fill)
    house.db.run_now(open_incident, "NCTS2", now=clock.now())
    async with running(Relay()) as relay, dispatching(house, relay.port) as dispatcher:
        await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.SENT] == 25))
        assert dispatcher.relay_tried


async def test_component_changes_and_undelivered_updates_make_no_mail(house: House) -> None:
    house.db.run_now(fill)

    def story(session: Session) -> None:
        notice = open_incident(session, "PUESC", now=clock.now())
        update_row = post(
            session, notice, Text("cicho", "quiet"), [], by="monitor", now=clock.now(), deliver=False
        )
        tell(session, "incident.updated", notice, update_row, clock.now())

    async with running(Relay()) as relay, dispatching(house, relay.port):
        await house.db.run(story)
        await quiet(house)
    assert len(relay.accepted) == 25
    assert house.db.read_now(lambda s: s.scalar(select(func.count(Message.id)))) == 2


async def test_a_deferred_mail_is_tried_again_with_the_same_message_id_and_a_refused_one_is_not(
    house: House,
) -> None:
    house.db.run_now(fill)
    asked: list[str] = []

    def rcpt(address: str) -> str:
        asked.append(address)
        if address.startswith("user1."):
            return "550 5.1.1 unknown"
        return "450 4.2.0 greylisted" if asked.count(address) == 1 else "250 ok"

    async with running(Relay(rcpt=rcpt)) as relay, dispatching(house, relay.port):
        await house.db.run(open_incident, "PUESC", now=clock.now())
        await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.DEFERRED] == 23))
        rows = await house.db.read(lambda s: s.scalars(select(Delivery)).all())
        deferred = [row for row in rows if row.state == DeliveryState.DEFERRED]
        assert all(row.attempts == 1 and "greylisted" in row.last_reply for row in deferred)
        await house.db.run(make_due)
        await quiet(house)
    states = house.db.read_now(ledger.stats)
    assert states[DeliveryState.SENT] == 23
    assert states[DeliveryState.FAILED] == 2
    assert asked.count("user1.pl.0@example.com") == 1


def make_due(session: Session) -> None:
    """Let the back-off be over."""
    session.execute(
        update(Delivery)
        .where(Delivery.state.in_([DeliveryState.DEFERRED, DeliveryState.UNCERTAIN]))
        .where(Delivery.due_at.is_not(None))
        .values(due_at=clock.now())
    )


async def test_a_mail_deferred_for_too_long_has_failed_visibly(house: House) -> None:
    impatient = replace(
        house,
        settings=replace(
            house.settings, mail=replace(house.settings.mail, give_up_after=timedelta(seconds=1))
        ),
    )
    house.db.run_now(fill)
    async with running(Relay(rcpt=lambda _: "451 later")) as relay, dispatching(impatient, relay.port):
        await house.db.run(open_incident, "PUESC", now=clock.now())
        await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.FAILED] == 25))
    row = house.db.read_now(lambda s: s.scalars(select(Delivery)).first())
    assert row is not None
    assert row.last_reply == "451 later"


async def test_an_uncertain_mail_is_repeated_once_with_the_same_message_id(house: House) -> None:
    house.db.run_now(fill)
    read: defaultdict[str, int] = defaultdict(int)

    def taken(address: str) -> str:
        read[address] += 1
        if address.startswith("user0.pl") or (address.startswith("user2.pl") and read[address] == 1):
            raise HangUp
        return "250 ok"

    async with running(Relay(taken=taken)) as relay, dispatching(house, relay.port):
        await house.db.run(open_incident, "PUESC", now=clock.now())
        await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.UNCERTAIN] == 2))
        await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.SENT] == 23))
        await house.db.run(make_due)
        await quiet(house)
    states = house.db.read_now(ledger.stats)
    assert states[DeliveryState.SENT] == 24
    assert states[DeliveryState.UNCERTAIN] == 1
    assert read["user0.pl.0@example.com"] == 2


async def test_an_absent_relay_costs_no_attempts_and_everything_arrives_when_it_is_back(house: House) -> None:
    house.db.run_now(fill)
    async with running(Relay()) as relay:
        relay.greeting = "421 4.3.2 not now"
        async with dispatching(house, relay.port):
            await house.db.run(open_incident, "PUESC", now=clock.now())
            await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.DEFERRED] > 0))
            relay.greeting = "220 back"
            await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.LEASED] == 0))
            await house.db.run(make_due)
            await quiet(house)
    rows = house.db.read_now(lambda s: s.scalars(select(Delivery)).all())
    assert {(row.state, row.attempts) for row in rows} == {(DeliveryState.SENT, 1)}


async def test_a_confirmation_does_not_wait_behind_a_broadcast(house: House) -> None:
    """The relay is slow enough that the broadcast is still under way when the confirmation has gone."""
    house.db.run_now(fill, 2 * IN_FLIGHT)
    async with running(Relay()) as relay, dispatching(house, relay.port):
        await house.db.run(open_incident, "PUESC", now=clock.now())
        await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.SENT] > 0))
        relay.may_answer.clear()
        await house.db.run(owe_one)
        relay.may_answer.set()
        await quiet(house)
    position = relay.recipients.index("anna@firma.example")
    assert position < len(relay.recipients) - 1


def owe_one(session: Session) -> None:
    outbox.queue(
        session,
        kind="confirm",
        key="k",
        address="anna@firma.example",
        language="pl",
        subject="Dzień dobry",
        text="secret link",
        html="<p>secret link</p>",
        now=clock.now(),
    )


async def test_the_content_of_a_single_mail_is_forgotten_once_it_is_sent(house: House) -> None:
    async with running(Relay()) as relay, dispatching(house, relay.port):
        await house.db.run(owe_one)
        await quiet(house)
    message = house.db.read_now(lambda s: s.scalars(select(Message)).one())
    assert (message.text, message.html, message.subject) == ("", "", "Dzień dobry")
    (mail,) = relay.accepted
    assert mail.message["List-Unsubscribe"] is None
    assert "secret link" in mail.content.decode()


async def test_an_event_that_cannot_be_told_does_not_silence_the_next(house: House) -> None:
    house.db.run_now(fill)

    def broken_then_sound(session: Session) -> None:
        broken = open_incident(session, "PUESC", now=clock.now())
        session.flush()
        for event in pending(session, Consumer.NOTIFIERS):
            if event.subject_id == broken.id:
                event.payload = {**event.payload, "update_id": "gone"}
        open_incident(session, "SENT-GEO", now=clock.now())

    async with running(Relay()) as relay, dispatching(house, relay.port):
        await house.db.run(broken_then_sound)
        await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.SENT] == 25))
    assert {one.message["Subject"].split(":")[0] for one in relay.accepted} == {"SENT-GEO"}


async def test_a_normal_stop_repeats_nothing_and_gives_back_what_it_did_not_try(house: House) -> None:
    house.db.run_now(fill, 300)
    async with running(Relay()) as relay:
        async with dispatching(house, relay.port):
            await house.db.run(open_incident, "PUESC", now=clock.now())
            await until(lambda: house.db.read(lambda s: ledger.stats(s)[DeliveryState.SENT] > 0))
        assert house.db.read_now(ledger.stats)[DeliveryState.LEASED] == 0
        async with dispatching(house, relay.port):
            await quiet(house)
    assert len(relay.accepted) == 305
    assert len(set(relay.recipients)) == 305


async def test_a_lower_lane_is_served_when_there_is_room(house: House) -> None:
    def owe_digest(session: Session) -> None:
        outbox.queue(
            session,
            kind="digest",
            key="d",
            address="anna@firma.example",
            language="pl",
            subject="x",
            text="x",
            html="",
            lane=Lane.DIGEST,
            now=clock.now(),
        )

    async with running(Relay()) as relay, dispatching(house, relay.port):
        await house.db.run(owe_digest)
        await quiet(house)
    assert relay.recipients == ["anna@firma.example"]


# --- kill −9 ---


@pytest.mark.slow
async def test_after_kills_everybody_was_told_and_only_what_was_in_flight_is_repeated(
    database_url: str, fast_dir: Path
) -> None:
    db = Database(database_url)
    db.run_now(fill, CROWD - 5)
    db.run_now(open_incident, "PUESC", now=clock.now())
    moments = random.Random(20261123)
    kills = 0
    async with running(Relay()) as relay:
        command = [
            sys.executable,
            "-m",
            "tests.notifiers.sender_process",
            database_url,
            str(relay.port),
            str(fast_dir),
        ]
        while kills < KILLS:
            process = await asyncio.create_subprocess_exec(*command)
            await until(
                partial(has_accepted, relay, len(relay.accepted) + moments.randrange(1, CROWD // KILLS))
            )
            process.kill()
            await process.wait()
            kills += 1
            db.run_now(end_leases)
        process = await asyncio.create_subprocess_exec(*command)
        await until(lambda: db.read(is_quiet), seconds=40)
        process.kill()
        await process.wait()
    db.close()
    told = Counter(relay.recipients)
    assert len(told) == CROWD, "somebody was not told"
    assert sum(told.values()) - CROWD <= KILLS * sender_process.IN_FLIGHT
    ids = defaultdict(set)
    for one in relay.accepted:
        ids[one.recipient].add(str(one.message["Message-ID"]))
    assert all(len(found) == 1 for found in ids.values()), "a repeat has another Message-ID"


async def has_accepted(relay: Relay, wanted: int) -> bool:
    return len(relay.accepted) >= min(wanted, CROWD)


def end_leases(session: Session) -> None:
    """Thirty seconds later. (On SQLite the next start frees them by itself.)"""
    if session.get_bind().dialect.name != "sqlite":
        ledger.free_predecessor(session, now=clock.now())


async def test_the_position_of_an_expansion_survives_a_death_between_batches(house: House) -> None:
    """Rows and position are committed together: stop anywhere, go on, and nobody is missed or doubled."""
    house.db.run_now(fill, 95)
    house.db.run_now(open_incident, "PUESC", now=clock.now())
    (seq,) = [e.seq for e in house.db.read_now(pending, Consumer.NOTIFIERS) if e.kind == "incident.created"]

    class Death(Exception):
        pass

    def dies(session: Session) -> None:
        broadcasts.expand(session, seq, house=house, now=clock.now(), batch=7)
        raise Death

    alive = True
    while alive:
        with pytest.raises(Death):
            house.db.run_now(dies)
        alive = house.db.run_now(broadcasts.expand, seq, house=house, now=clock.now(), batch=7)
    rows = house.db.read_now(lambda s: s.scalars(select(Delivery.address)).all())
    assert len(rows) == len(set(rows)) == 100
    assert house.db.read_now(lambda s: s.scalar(select(func.count(Message.id)))) == 2
