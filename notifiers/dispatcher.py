"""The dispatcher: events become deliveries, deliveries become mail, and what became of each is written down.

Nothing is lost. After a crash at most `IN_FLIGHT` mails a process are repeated, with the same Message-ID.
"""

import asyncio
import random
import secrets
from collections import Counter as Tally
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from prometheus_client import Counter, Gauge, Histogram

from notifiers import broadcasts, ledger, rules
from notifiers.channels.email import Pool, Result, Spec
from notifiers.ledger import Leased, Outcome
from notifiers.links import MANAGE, MESSAGE_ID, UNSUBSCRIBE
from notifiers.mime import Template, envelope_sender, template
from notifiers.rules import DeliveryState
from statuspage.kernel import clock
from statuspage.kernel.errors import Unavailable
from statuspage.kernel.house import House
from statuspage.kernel.tasks import Wakeup

log = structlog.get_logger(__name__)

IN_FLIGHT = 500  # mails between their lease and the record of their outcome
_WRITE_EVERY_S = 0.1
_LOOK_EVERY_S = 5.0  # for what another machine owes, if its notice was missed
_RENEW_EVERY_S = 10.0
_WIND_DOWN_S = 3.0
_EVENT_PAUSE_S = 30.0
_TEMPLATES = 32

_MAILS = Counter("statuspage_mails_total", "Attempts to hand a mail to the relay, by outcome", ["outcome"])
_TOLD = Counter("statuspage_events_told_total", "Events turned into deliveries, or found to need none")
_IN_HAND = Gauge("statuspage_mails_in_flight", "Mails between their lease and the record of their outcome")
_SECONDS = Histogram(
    "statuspage_mail_seconds",
    "From the mail being owed to the relay having it",
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)
_LAST = Gauge(
    "statuspage_broadcast_last_mail_seconds", "From a broadcast being owed to its latest accepted mail"
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A leased delivery, ready for the wire."""

    row: Leased
    sender: str
    content: bytes

    @property
    def recipient(self) -> str:
        return self.row.address


class Dispatcher:
    """Consumes the notifiers' events and sends what is due. One a process."""

    def __init__(self, house: House, spec: Spec | None = None, *, in_flight: int = IN_FLIGHT) -> None:
        mail = house.settings.mail
        self._house = house
        self._in_flight = in_flight
        self._pool: Pool[Outgoing] = Pool(spec or Spec(relay=mail.relay, connections=mail.connections))
        self._sender = envelope_sender(house)
        self._owner = secrets.token_hex(8)
        self._to_expand, self._to_send = Wakeup(), Wakeup()
        house.db.on_commit(self._to_expand.wake)
        house.db.on_commit(self._to_send.wake)
        self._templates: dict[int, Template] = {}
        self._in_hand: dict[int, Outgoing] = {}
        self._settled: list[tuple[Outgoing, Result]] = []
        self._has_enough = Wakeup()
        self._renewed_s = 0.0
        self._failed_s: dict[int, float] = {}  # events that could not be told, and when to try again
        self.relay_tried = False  # for /readyz

    async def run(self) -> None:
        """Until cancelled; then what the relay has answered is written down, and the rest given back."""
        self._letters: asyncio.Queue[Outgoing] = asyncio.Queue()
        self._in_hand.clear()
        self._settled.clear()
        if self._house.db.is_sqlite:
            await self._house.db.run(ledger.free_predecessor, now=clock.now())
        carrying = asyncio.create_task(self._pool.serve(self._letters, self._settle), name="couriers")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._try_relay())
                group.create_task(self._forever(self._expand))
                group.create_task(self._forever(self._send))
                group.create_task(_fail_with(carrying))
        finally:
            await self._wind_down()
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)

    async def _try_relay(self) -> None:
        fault = await self._pool.try_relay()
        self.relay_tried = True
        if fault:
            log.warning("relay.absent", reason=fault)

    @staticmethod
    async def _forever(step: Callable[[], Awaitable[None]]) -> None:
        """The database being away for a while stops nothing for good."""
        while True:
            try:
                await step()
            except Unavailable as error:
                log.warning("dispatcher.unavailable", reason=str(error))
                await asyncio.sleep(1)

    # --- events become deliveries ---

    async def _expand(self) -> None:
        for seq in await self._house.db.read(broadcasts.owed):
            if self._failed_s.get(seq, 0) < clock.monotonic():
                await self._expand_one(seq)
        await self._to_expand.wait(_LOOK_EVERY_S)

    async def _expand_one(self, seq: int) -> None:
        """One event that cannot be told must not keep the others from being told."""
        try:
            while await self._house.db.run(broadcasts.expand, seq, house=self._house, now=clock.now()):
                pass
            _TOLD.inc()
        except Unavailable:
            raise
        except Exception:
            log.exception("dispatcher.event_failed", seq=seq)
            self._failed_s[seq] = clock.monotonic() + _EVENT_PAUSE_S

    # --- deliveries become mail ---

    async def _send(self) -> None:
        now = clock.now()
        if self._settled or (self._room() > 0 and await self._is_due(now)):
            await self._exchange(now)
        if self._in_hand:
            await self._has_enough.wait(_WRITE_EVERY_S)
        else:
            await self._to_send.wait(await self._pause())

    def _room(self) -> int:
        return self._in_flight - len(self._in_hand) + len(self._settled)

    async def _is_due(self, now: datetime) -> bool:
        due_at = await self._house.db.read(ledger.next_due_at)
        return due_at is not None and due_at <= now

    async def _pause(self) -> float:
        due_at = await self._house.db.read(ledger.next_due_at)
        if due_at is None:
            return _LOOK_EVERY_S
        return min(max((due_at - clock.now()).total_seconds(), 0.01), _LOOK_EVERY_S)

    async def _exchange(self, now: datetime) -> None:
        """Write down what was settled, take what is due, in one transaction."""
        settled = self._settled
        self._settled = []
        outcomes = [self._outcome(letter, result, now) for letter, result in settled]
        held = self._in_hand.keys() - {outcome.id for outcome in outcomes}
        try:
            batch = await self._house.db.run(
                ledger.exchange,
                outcomes,
                owner=self._owner,
                room=self._in_flight - len(held),
                held=held,
                known_messages=self._templates.keys(),
                now=now,
            )
            await self._renew(held, now)
        except BaseException:
            self._settled = settled + self._settled
            raise
        self._note(settled, outcomes, now)
        for id, message in batch.messages.items():
            self._templates[id] = template(self._house, message)
        for row in batch.leased:
            letter = self._letter(row)
            self._in_hand[row.id] = letter
            self._letters.put_nowait(letter)
        while len(self._templates) > _TEMPLATES:
            self._templates.pop(next(iter(self._templates)))
        _IN_HAND.set(len(self._in_hand))

    async def _renew(self, held: set[int], now: datetime) -> None:
        if held and clock.monotonic() - self._renewed_s > _RENEW_EVERY_S:
            self._renewed_s = clock.monotonic()
            await self._house.db.run(ledger.renew, held, owner=self._owner, now=now)

    def _letter(self, row: Leased) -> Outgoing:
        sign = self._house.signer.sign
        content = self._templates[row.message_id].fill(
            to=row.address,
            message_id=sign(MESSAGE_ID, str(row.id)),
            manage=sign(MANAGE, row.subscriber_id) if row.subscriber_id else "",
            unsubscribe=sign(UNSUBSCRIBE, row.subscriber_id) if row.subscriber_id else "",
        )
        return Outgoing(row, self._sender, content)

    def _settle(self, letter: Outgoing, result: Result) -> None:
        self._settled.append((letter, result))
        if len(self._settled) >= self._in_flight // 4:
            self._has_enough.wake()

    def _outcome(self, letter: Outgoing, result: Result, now: datetime) -> Outcome:
        row = letter.row
        attempts = row.attempts + (not result.relay_absent)
        following = rules.after_attempt(
            result.verdict,
            attempts=attempts,
            was_uncertain=row.uncertain,
            created_at=row.created_at,
            now=now,
            give_up_after=self._house.settings.mail.give_up_after,
            jitter=random.uniform(-1, 1),
        )
        return Outcome(
            id=row.id,
            message_id=row.message_id,
            state=following.state,
            due_at=following.due_at,
            attempts=attempts,
            uncertain=row.uncertain or following.state is DeliveryState.UNCERTAIN,
            reply=result.reply,
            is_single=row.event_seq is None,
        )

    def _note(self, settled: list[tuple[Outgoing, Result]], outcomes: list[Outcome], now: datetime) -> None:
        """Let go of what is recorded, and count it."""
        for (letter, _), outcome in zip(settled, outcomes, strict=True):
            self._in_hand.pop(outcome.id, None)
            if outcome.state is DeliveryState.SENT:
                seconds = max(0.0, (now - letter.row.created_at).total_seconds())
                _SECONDS.observe(seconds)
                if letter.row.event_seq is not None:
                    _LAST.set(seconds)
        for state, count in Tally(outcome.state.value for outcome in outcomes).items():
            _MAILS.labels(state).inc(count)

    # --- ending ---

    async def _wind_down(self) -> None:
        """Wait for the answers of what is on the wire, write them down, give back what was not tried."""
        for _ in range(self._letters.qsize()):
            self._in_hand.pop(self._letters.get_nowait().row.id, None)
        deadline_s = clock.monotonic() + _WIND_DOWN_S
        while len(self._in_hand) > len(self._settled) and clock.monotonic() < deadline_s:
            await self._has_enough.wait(0.05)
        now = clock.now()
        outcomes = [self._outcome(letter, result, now) for letter, result in self._settled]
        try:
            await self._house.db.run(ledger.record, outcomes, now=now)
            await self._house.db.run(ledger.release, owner=self._owner, held=self._in_hand.keys(), now=now)
        except Unavailable as error:
            log.warning("dispatcher.unavailable", reason=str(error))


async def _fail_with(task: asyncio.Task[None]) -> None:
    """Couriers do not end by themselves: if they do, the dispatcher must not go on without them."""
    await asyncio.shield(task)
