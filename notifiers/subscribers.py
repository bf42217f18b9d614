"""Subscriptions: asked for, confirmed, changed, ended; imported and exported as CSV."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from notifiers import outbox
from notifiers.broadcasts import count_audience
from notifiers.compose import Content, already_mail, confirmation_mail
from notifiers.rules import MailKind, SubscriberState, check_address
from notifiers.tables import Confirmation, Subscriber, SubscriberService
from statuspage.incidents.tables import Group, Service
from statuspage.kernel.errors import Invalid, NotFound
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.security import hash_token, random_token

CONFIRMATION_LASTS = timedelta(days=7)
ONE_CONFIRMATION_A = timedelta(days=1)
COLUMNS = ("email", "language", "services", "consent")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SHOWN_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """What to be told of, and in which language. `service_ids` None: all services."""

    language: str
    service_ids: tuple[str, ...] | None = None


def choice_of(session: Session, *, language: str, services: Collection[str] | None) -> Choice:
    """A choice from codes or ids; None is all services. Raises Invalid for an unknown one, or for nothing."""
    if language not in LANGUAGES:
        raise Invalid("language", "is one of %(known)s", known=", ".join(LANGUAGES))
    if services is None:
        return Choice(language)
    if not services:
        raise Invalid("services", "choose at least one service, or all")
    known = _services(session)
    unknown = [service for service in services if service not in known]
    if unknown:
        raise Invalid("services", 'there is no service "%(service)s"', service=unknown[0][:40])
    return Choice(language, tuple(sorted({known[service] for service in services})))


def _services(session: Session) -> dict[str, str]:
    """Codes and ids of the catalogue, each with the id."""
    rows = session.execute(select(Service.id, Service.code).where(Service.archived_at.is_(None)))
    return {name: id for id, code in rows for name in (id, code)}


# --- by the reader ---


def subscribe(
    session: Session, email: str, choice: Choice, *, house: House, origin: str, now: datetime
) -> None:
    """Ask for a subscription; a mail asks back. Says nothing about whether the address is known.

    At most one mail an address a day, also to one that is subscribed already (its choice stays). `origin`
    becomes part of the evidence of consent. Raises Invalid for an address that cannot be written to.
    """
    email = check_address(email)
    subscriber = session.scalars(select(Subscriber).where(Subscriber.email == email)).one_or_none()
    if subscriber is None:
        subscriber = _add(session, email, choice, now)
    if subscriber.state == SubscriberState.SUPPRESSED:
        return
    if subscriber.state != SubscriberState.ACTIVE:
        subscriber.state = SubscriberState.PENDING
        subscriber.consent = f"asked for on {now:%Y-%m-%d %H:%M:%S} UTC from {origin}"
        choose(session, subscriber, choice)
    if subscriber.last_confirmation_at and now - subscriber.last_confirmation_at < ONE_CONFIRMATION_A:
        return
    subscriber.last_confirmation_at = now
    if subscriber.state == SubscriberState.ACTIVE:
        content = already_mail(house, subscriber.language, subscriber.id, now=now)
        _owe(session, subscriber, MailKind.ALREADY, content, now)
    else:
        _ask_back(session, subscriber, house=house, now=now)


def _add(session: Session, email: str, choice: Choice, now: datetime) -> Subscriber:
    subscriber = Subscriber(
        email=email,
        language=choice.language,
        state=SubscriberState.PENDING,
        all_services=choice.service_ids is None,
        created_at=now,
    )
    try:
        with session.begin_nested():
            session.add(subscriber)
            session.flush()
    except IntegrityError:  # the same address in another transaction, a moment earlier
        return session.scalars(select(Subscriber).where(Subscriber.email == email)).one()
    return subscriber


def _ask_back(session: Session, subscriber: Subscriber, *, house: House, now: datetime) -> None:
    token = random_token()
    expires_at = now + CONFIRMATION_LASTS
    session.add(
        Confirmation(token_hash=hash_token(token), subscriber_id=subscriber.id, expires_at=expires_at)
    )
    content = confirmation_mail(house, subscriber.language, token, expires_at=expires_at, now=now)
    _owe(session, subscriber, MailKind.CONFIRM, content, now)


def _owe(session: Session, subscriber: Subscriber, kind: MailKind, content: Content, now: datetime) -> None:
    outbox.queue(
        session,
        kind=kind,
        key=f"{kind}:{subscriber.id}:{now:%Y%m%d%H%M%S}",
        address=subscriber.email,
        language=subscriber.language,
        subject=content.subject,
        text=content.text,
        html=content.html,
        subscriber_id=subscriber.id,
        now=now,
    )


def awaiting(session: Session, token: str, *, now: datetime) -> Subscriber:
    """The subscriber whom a confirmation link belongs to. Raises NotFound when it is unknown or too old."""
    confirmation = session.get(Confirmation, hash_token(token))
    if confirmation is None or confirmation.expires_at <= now:
        raise NotFound("this confirmation link is unknown or too old")
    subscriber = session.get_one(Subscriber, confirmation.subscriber_id)
    is_asked = subscriber.state == SubscriberState.PENDING and confirmation.used_at is None
    if not is_asked and subscriber.state != SubscriberState.ACTIVE:
        raise NotFound("this confirmation link was used")
    return subscriber


def confirm(session: Session, token: str, *, origin: str, now: datetime) -> Subscriber:
    """Begin the subscription. A second click changes nothing. Raises NotFound."""
    subscriber = awaiting(session, token, now=now)
    if subscriber.state == SubscriberState.ACTIVE:
        return subscriber
    session.get_one(Confirmation, hash_token(token)).used_at = now
    subscriber.state = SubscriberState.ACTIVE
    subscriber.confirmed_at = now
    subscriber.unsubscribed_at = None
    subscriber.consent += f"; confirmed on {now:%Y-%m-%d %H:%M:%S} UTC from {origin}"
    return subscriber


def get(session: Session, subscriber_id: str) -> Subscriber:
    """Raises NotFound."""
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None:
        raise NotFound("there is no such subscription")
    return subscriber


def change(session: Session, subscriber_id: str, choice: Choice) -> Subscriber:
    """Other services, another language. Raises NotFound, also for a subscription that has ended."""
    subscriber = get(session, subscriber_id)
    if subscriber.state != SubscriberState.ACTIVE:
        raise NotFound("this subscription has ended")
    choose(session, subscriber, choice)
    return subscriber


def choose(session: Session, subscriber: Subscriber, choice: Choice) -> None:
    """Write the choice down."""
    subscriber.language = choice.language
    subscriber.all_services = choice.service_ids is None
    session.flush()
    session.execute(delete(SubscriberService).where(SubscriberService.subscriber_id == subscriber.id))
    if choice.service_ids:
        session.execute(
            insert(SubscriberService),
            [{"subscriber_id": subscriber.id, "service_id": id} for id in choice.service_ids],
        )


def chosen(session: Session, subscriber_id: str) -> frozenset[str]:
    """The ids of the services chosen one by one."""
    return frozenset(
        session.scalars(
            select(SubscriberService.service_id).where(SubscriberService.subscriber_id == subscriber_id)
        )
    )


def unsubscribe(session: Session, subscriber_id: str, *, now: datetime) -> Subscriber:
    """End the subscription; again is the same. Mail that is owed already and not sent yet is not recalled."""
    subscriber = get(session, subscriber_id)
    if subscriber.state in (SubscriberState.ACTIVE, SubscriberState.PENDING):
        subscriber.state = SubscriberState.UNSUBSCRIBED
        subscriber.unsubscribed_at = now
    return subscriber


def audience_count(session: Session, service_codes: Sequence[str]) -> int:
    """How many would be told of something that affects these services. Raises Invalid for an unknown one."""
    choice = choice_of(session, language="pl", services=service_codes)
    return count_audience(session, choice.service_ids or ())


@dataclass(frozen=True, slots=True)
class Offer:
    """A group of services that may be chosen: name in both languages, services as (id, code, names)."""

    name_pl: str
    name_en: str
    services: tuple[Service, ...]


def offers(session: Session) -> tuple[Offer, ...]:
    """The catalogue as the form shows it."""
    services = session.scalars(
        select(Service).where(Service.archived_at.is_(None)).order_by(Service.position)
    ).all()
    groups = session.scalars(select(Group).where(Group.archived_at.is_(None)).order_by(Group.position))
    found = (Offer(g.name_pl, g.name_en, tuple(s for s in services if s.group_id == g.id)) for g in groups)
    return tuple(offer for offer in found if offer.services)


# --- as CSV ---


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong in one line of a file."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.reason}"


class RowsRefused(Invalid):
    """Some rows are wrong, and nothing was imported. `rows` has them all."""

    def __init__(self, where: str, rows: Sequence[RowError]) -> None:
        more = f"; and {len(rows) - _SHOWN_ERRORS} more" if len(rows) > _SHOWN_ERRORS else ""
        super().__init__(where, "; ".join(str(row) for row in rows[:_SHOWN_ERRORS]) + more)
        self.rows = tuple(rows)


@dataclass(frozen=True, slots=True)
class _Row:
    email: str
    language: str
    service_ids: tuple[str, ...] | None
    consent: str


def import_csv(session: Session, text: str, *, where: str, now: datetime) -> int:
    """Subscribe verified addresses; `consent` is kept as the evidence, no confirmation is asked for.

    All rows or none: raises RowsRefused (an Invalid) with every wrong line. One who is subscribed gets the
    row's choice; one who has unsubscribed, or is suppressed, stays so. Returns how many the file subscribes.
    """
    rows = _parse_csv(text, _services(session), where)
    known = {s.email: s for s in _by_email(session, [row.email for row in rows])}
    count = 0
    for row in rows:
        subscriber = known.get(row.email)
        if subscriber is not None and subscriber.state in (
            SubscriberState.UNSUBSCRIBED,
            SubscriberState.SUPPRESSED,
        ):
            continue
        if subscriber is None:
            subscriber = Subscriber(email=row.email, created_at=now, language=row.language, all_services=True)
            session.add(subscriber)
        subscriber.state = SubscriberState.ACTIVE
        subscriber.confirmed_at = subscriber.confirmed_at or now
        subscriber.consent = row.consent
        subscriber.language = row.language
        subscriber.all_services = row.service_ids is None
        known[row.email] = subscriber
        count += 1
    session.flush()
    _replace_choices(session, [(known[row.email], row) for row in rows])
    return count


def _by_email(session: Session, emails: Sequence[str]) -> Iterable[Subscriber]:
    for start in range(0, len(emails), 500):
        yield from session.scalars(
            select(Subscriber).where(Subscriber.email.in_(emails[start : start + 500]))
        )


def _replace_choices(session: Session, imported: Sequence[tuple[Subscriber, _Row]]) -> None:
    active = [(s, row) for s, row in imported if s.state == SubscriberState.ACTIVE]
    ids = [s.id for s, _ in active]
    for start in range(0, len(ids), 500):
        session.execute(
            delete(SubscriberService).where(SubscriberService.subscriber_id.in_(ids[start : start + 500]))
        )
    choices = [
        {"subscriber_id": s.id, "service_id": service_id}
        for s, row in active
        for service_id in row.service_ids or ()
    ]
    if choices:
        session.execute(insert(SubscriberService), choices)


def _parse_csv(text: str, services: Mapping[str, str], where: str) -> list[_Row]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    header = [name.strip().lower() for name in next(reader, [])]
    if tuple(header) != COLUMNS:
        raise RowsRefused(where, [RowError(1, "columns", f"are to be {','.join(COLUMNS)}")])
    rows: dict[str, _Row] = {}
    errors: list[RowError] = []
    line = reader.line_num + 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                try:
                    row = _parse_row(cells, services)
                    if row.email in rows:
                        raise Invalid("email", f"{row.email} stands in the file twice")
                    rows[row.email] = row
                except Invalid as error:
                    errors.append(RowError(line, error.field, error.reason))
            line = reader.line_num + 1
    except csv.Error as error:
        errors.append(RowError(line, "row", f"is not CSV: {error}"))
    if errors:
        raise RowsRefused(where, errors)
    return list(rows.values())


def _parse_row(cells: Sequence[str], services: Mapping[str, str]) -> _Row:
    if len(cells) != len(COLUMNS):
        raise Invalid("row", f"has {len(cells)} columns instead of {len(COLUMNS)}")
    email, language, codes, consent = (_plain(cell.strip()) for cell in cells)
    if language not in LANGUAGES:
        raise Invalid("language", f'"{language[:20]}" is none of {", ".join(LANGUAGES)}')
    if not consent:
        raise Invalid("consent", "is empty; say how and when consent was given")
    unknown = [code for code in codes.split() if code not in services]
    if unknown:
        raise Invalid("services", f'there is no service "{unknown[0][:40]}"')
    ids = tuple(sorted({services[code] for code in codes.split()}))
    return _Row(check_address(email), language, ids or None, consent)


def export_csv(session: Session) -> str:
    """The active subscribers as `import_csv` reads them. Cells that a spreadsheet would run are disarmed."""
    codes: dict[str, list[str]] = {}
    for subscriber_id, code in session.execute(
        select(SubscriberService.subscriber_id, Service.code).join(Service).order_by(Service.position)
    ):
        codes.setdefault(subscriber_id, []).append(code)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    active = select(Subscriber).where(Subscriber.state == SubscriberState.ACTIVE).order_by(Subscriber.email)
    for subscriber in session.scalars(active.execution_options(yield_per=1000)):
        chosen_codes = "" if subscriber.all_services else " ".join(codes.get(subscriber.id, ()))
        cells = (subscriber.email, subscriber.language, chosen_codes, subscriber.consent)
        writer.writerow([_disarmed(cell) for cell in cells])
    return file.getvalue()


def _disarmed(cell: str) -> str:
    """A leading apostrophe keeps a spreadsheet from taking the cell for a formula (abuse case 32)."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
