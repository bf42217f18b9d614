"""Writes mails: an event becomes subject, text and HTML once per language, serialised once.

What differs per recipient (address, Message-ID, links) is put in as bytes by `Template.fill`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from zoneinfo import ZoneInfo

from babel.dates import format_date
from sqlalchemy import select
from sqlalchemy.orm import Session

from notifiers import planned
from notifiers.rules import NO_CHANGE, Broadcast, Change, MailKind, clean_text, one_line
from notifiers.tables import Message
from statuspage.incidents.announcement import Announcement
from statuspage.incidents.rules import IncidentStatus, MaintenanceStatus, ServiceStatus, worst
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Notice, NoticeService, Service, Update
from statuspage.incidents.words import IMPACT, notice_word, service_word
from statuspage.kernel import web
from statuspage.kernel.house import House
from statuspage.kernel.i18n import Catalogues, format_duration_words, offset

MANAGE = "manage"  # the signer's purposes
UNSUBSCRIBE = "unsubscribe"
MESSAGE_ID = "message-id"
# As long as a signed token of a 12-character id: what is wrapped around it stays right when it is replaced.
MANAGE_SLOT = "manage000000.token-of-each-recipien"
UNSUBSCRIBE_SLOT = "unsubs000000.token-of-each-recipien"
_TO_SLOT = b"\x00to\x00"
_ID_SLOT = b"\x00id\x00"
_CRLF = "\r\n"
_SHOWN_UNAFFECTED = 30
_OVER = frozenset(
    {
        IncidentStatus.RESOLVED,
        IncidentStatus.POSTMORTEM,
        MaintenanceStatus.COMPLETED,
        MaintenanceStatus.CANCELLED,
    }
)


@dataclass(frozen=True, slots=True)
class Content:
    """A mail in one language, before it has a recipient."""

    subject: str
    text: str
    html: str


# --- what is told ---


@dataclass(frozen=True, slots=True)
class Affected:
    """A service named in a mail."""

    name: Text
    status: ServiceStatus  # now, in this notice
    worst_status: ServiceStatus
    by_parent: bool


@dataclass(frozen=True, slots=True)
class Story:
    """All that a mail about an incident or planned work says."""

    event: str  # incident.created, maintenance.cancelled, …
    at: datetime  # of the event: a mail is dated by what it tells, not by when it leaves
    notice_id: str
    kind: MailKind
    status: str
    impact: str
    name: Text
    text: Text
    affected: tuple[Affected, ...]
    unaffected: tuple[Text, ...]
    began_at: datetime
    detected_at: datetime
    ended_at: datetime | None
    next_update_at: datetime | None
    scheduled_for: datetime | None
    scheduled_until: datetime | None
    announcement: Announcement | None = None
    change: Change = NO_CHANGE  # of planned work, by this event
    removed: tuple[Text, ...] = ()  # services that planned work goes on without
    removed_now: tuple[Text, ...] = ()

    @property
    def is_over(self) -> bool:
        """Nothing more is to be expected."""
        return self.status in _OVER

    @property
    def own(self) -> tuple[Affected, ...]:
        """The services that fail themselves, not through another."""
        return tuple(a for a in self.affected if not a.by_parent) or self.affected

    @property
    def impacted(self) -> tuple[Affected, ...]:
        """The services that suffer from those."""
        return tuple(a for a in self.affected if a not in self.own)


def load_story(session: Session, event_kind: str, at: datetime, broadcast: Broadcast) -> Story:
    """What `event_kind` told, as the notice and its update say it.

    Told late, after a standstill, the notice may be over already: its services are then as at their worst.
    """
    notice = session.get_one(Notice, broadcast.notice_id)
    update = session.get_one(Update, broadcast.update_id)
    rows = session.execute(
        select(NoticeService, Service)
        .join(Service)
        .where(NoticeService.notice_id == notice.id)
        .order_by(NoticeService.by_parent, Service.position)
    ).all()
    working = session.scalars(
        select(Service)
        .where(
            Service.archived_at.is_(None),
            Service.status == ServiceStatus.OPERATIONAL,
            Service.id.not_in([row.service_id for row, _ in rows]),
        )
        .order_by(Service.position)
    )
    is_late = notice.resolved_at is not None and update.status not in _OVER
    return Story(
        event=event_kind,
        at=at,
        notice_id=notice.id,
        kind=broadcast.kind,
        status=update.status,
        impact=notice.impact,
        name=Text(notice.name_pl, notice.name_en),
        text=Text(update.text_pl, update.text_en),
        affected=tuple(
            Affected(
                Text(service.name_pl, service.name_en),
                ServiceStatus(row.worst_status if is_late else row.status),
                ServiceStatus(row.worst_status),
                row.by_parent,
            )
            for row, service in rows
            if row.cancelled_at is None
        ),
        unaffected=tuple(Text(service.name_pl, service.name_en) for service in working),
        began_at=notice.began_at,
        detected_at=notice.detected_at,
        ended_at=notice.ended_at,
        next_update_at=notice.next_update_at,
        scheduled_for=notice.scheduled_for,
        scheduled_until=notice.scheduled_until,
        announcement=notice.announcement,
        change=broadcast.change,
        removed=tuple(Text(s.name_pl, s.name_en) for row, s in rows if row.cancelled_at is not None),
        removed_now=tuple(Text(s.name_pl, s.name_en) for _, s in rows if s.id in broadcast.change.removed),
    )


# --- in words ---


def _(message: str) -> str:
    """Marks a message for translation."""
    return message


_SINCE = {
    ServiceStatus.MAJOR_OUTAGE: _("{who}: outage since {time}"),
    ServiceStatus.PARTIAL_OUTAGE: _("{who}: partial outage since {time}"),
    ServiceStatus.DEGRADED_PERFORMANCE: _("{who}: slow or limited since {time}"),
}


@dataclass(frozen=True, slots=True)
class Words:
    """One language and zone, seen from the moment of the event."""

    catalogues: Catalogues
    language: str
    zone: ZoneInfo
    at: datetime

    def say(self, message: str, **values: str) -> str:
        """The message in this language."""
        return self.catalogues.gettext(self.language, message).format(**values)

    def day(self, at: datetime, *, year: bool = True) -> str:
        """`22 listopada 2025`. A mail is read later: never "today"."""
        return format_date(at.astimezone(self.zone), "d MMMM y" if year else "d MMMM", locale=self.language)

    def short(self, at: datetime) -> str:
        """For a subject: `06:10`, with the day when it is another."""
        clock = f"{at.astimezone(self.zone):%H:%M}"
        is_same_day = at.astimezone(self.zone).date() == self.at.astimezone(self.zone).date()
        return clock if is_same_day else f"{self.day(at, year=False)}, {clock}"

    def full(self, at: datetime) -> str:
        """`22 listopada 2025, 06:10 (UTC+1)`."""
        return f"{self.day(at)}, {at.astimezone(self.zone):%H:%M} ({offset(at, self.zone)})"

    def window(self, begin: datetime, end: datetime, *, full: bool) -> str:
        """`22 listopada, 08:00–12:00`, with year and zone when `full`."""
        zone = f" ({offset(begin, self.zone)})" if full else ""
        day, until = self.day(begin, year=full), f"{end.astimezone(self.zone):%H:%M}"
        if begin.astimezone(self.zone).date() != end.astimezone(self.zone).date():
            begin_text = f"{day}, {begin.astimezone(self.zone):%H:%M}"
            return f"{begin_text} – {self.day(end, year=full)}, {until}{zone}"
        return f"{day}, {begin.astimezone(self.zone):%H:%M}–{until}{zone}"

    def duration(self, duration: timedelta) -> str:
        return format_duration_words(duration, self.language)

    def who(self, affected: Sequence[Affected]) -> str:
        """`NCTS2`, `AIS, AES`, `PUESC, AIS, AES +4`: a subject has to stay short."""
        names = [one_line(a.name[self.language]) for a in affected]
        more = f" +{len(names) - 3}" if len(names) > 3 else ""
        return ", ".join(names[:3]) + more


def fact(story: Story, words: Words, *, full: bool) -> str:
    """What happened, in one line: short as the subject, `full` (date and UTC offset) as the first line."""
    told = planned.fact if story.kind is MailKind.MAINTENANCE else _incident_fact
    return one_line(told(story, words, full=full))


def _incident_fact(story: Story, words: Words, *, full: bool) -> str:
    time = words.full if full else words.short
    who = words.who(story.own)
    severity = worst(a.worst_status for a in story.own)
    if severity not in _SINCE:
        return story.name[words.language]
    if story.status == IncidentStatus.POSTMORTEM:
        return words.say(_("{who}: account of the outage of {day}"), who=who, day=words.day(story.began_at))
    if story.event == "incident.resolved":
        return _recovery_fact(story, words, who, severity, full=full)
    told = words.say(_SINCE[severity], who=who, time=time(story.began_at))
    if story.event == "incident.reopened":
        return f"{told} – {words.say(_('it is back since {time}'), time=time(story.at))}"
    if story.event == "incident.updated":
        return f"{told} – {_news(story, words)}"
    return told


def _news(story: Story, words: Words) -> str:
    if story.status == IncidentStatus.INVESTIGATING:
        return words.say(_("new information"))
    return notice_word(words.catalogues, words.language, story.status)


def _recovery_fact(story: Story, words: Words, who: str, severity: ServiceStatus, *, full: bool) -> str:
    ended_at = story.ended_at or story.at
    many = len(story.own) > 1
    if severity is ServiceStatus.DEGRADED_PERFORMANCE:
        works = _("{who}: work normally since {time}") if many else _("{who}: works normally since {time}")
        lasted = _("limited for {duration}")
    else:
        works = _("{who}: work since {time}") if many else _("{who}: works since {time}")
        lasted = _("the outage lasted {duration}")
    told = words.say(works, who=who, time=words.full(ended_at) if full else words.short(ended_at))
    rest = words.say(lasted, duration=words.duration(ended_at - story.began_at))
    return f"{told} – {rest}" if full else f"{told} ({rest})"


@dataclass(frozen=True, slots=True)
class Detail:
    """A line of the details; several values make a list."""

    label: str
    values: tuple[str, ...]


def details(story: Story, words: Words) -> tuple[Detail, ...]:
    """What makes a notice useful as evidence: what was affected, from when to when, under which reference."""
    rows: list[tuple[str, Sequence[str]]] = [
        (_("Reference"), [story.notice_id]),
        (_("Title"), [one_line(story.name[words.language])]),
        (_("Stage"), [notice_word(words.catalogues, words.language, story.status)]),
    ]
    if story.kind is MailKind.INCIDENT:
        rows.append((_("Severity"), [words.say(IMPACT[story.impact])]))
    rows += [
        (_("Affected"), [_service_line(a, words, story) for a in story.own]),
        (_("Affected through these"), [_service_line(a, words, story) for a in story.impacted]),
    ]
    if 0 < len(story.unaffected) <= _SHOWN_UNAFFECTED:
        rows.append((_("Working"), [", ".join(one_line(name[words.language]) for name in story.unaffected)]))
    rows += _times(story, words)
    return tuple(Detail(words.say(label), tuple(values)) for label, values in rows if values)


def _service_line(affected: Affected, words: Words, story: Story) -> str:
    name = one_line(affected.name[words.language])
    if story.is_over or story.kind is MailKind.MAINTENANCE:
        return name
    return f"{name} – {service_word(words.catalogues, words.language, affected.status)}"


def _times(story: Story, words: Words) -> list[tuple[str, Sequence[str]]]:
    if story.kind is MailKind.MAINTENANCE:
        return planned.times(story, words)
    rows: list[tuple[str, Sequence[str]]] = [
        (_("Began"), [words.full(story.began_at)]),
        (_("Detected"), [words.full(story.detected_at)]),
    ]
    if story.is_over:
        rows.append((_("Ended"), [words.full(story.ended_at or story.at)]))
    return [*rows, (_("Published"), [words.full(story.at)])]


def paragraphs(text: str) -> tuple[tuple[str, ...], ...]:
    """A text's paragraphs, each as its lines."""
    return tuple(
        tuple(block.split("\n")) for block in re.split(r"\n\s*\n", clean_text(text).strip()) if block
    )


def notice_mail(house: House, story: Story, language: str) -> Content:
    """The mail about an incident or planned work, with slots where the recipient's links come."""
    words = Words(house.catalogues, language, house.settings.zone, story.at)
    context = {
        "lead": fact(story, words, full=True),
        "paragraphs": paragraphs(story.text[language]),
        "is_over": story.is_over,
        "tone": _tone(story),
        "next_update": words.full(story.next_update_at) if story.next_update_at else None,
        "details": details(story, words),
        "permalink": f"{house.settings.server.base_url}/incidents/{story.notice_id}",
        "manage_url": manage_url(house, MANAGE_SLOT),
        "unsubscribe_url": unsubscribe_url(house, UNSUBSCRIBE_SLOT),
    }
    return _render(house, story.kind, language, fact(story, words, full=False), context, now=story.at)


def _tone(story: Story) -> str:
    """Which of the status hues marks the mail."""
    if story.kind is MailKind.MAINTENANCE:
        return "maintenance"
    if story.status in (IncidentStatus.RESOLVED, IncidentStatus.POSTMORTEM):
        return "operational"
    return worst(a.worst_status for a in story.own)


def confirmation_mail(
    house: House, language: str, token: str, *, expires_at: datetime, now: datetime
) -> Content:
    """The mail that asks whether a subscription is wanted. Its first URL confirms."""
    words = Words(house.catalogues, language, house.settings.zone, now)
    context = {
        "confirm_url": f"{house.settings.server.base_url}/subscriptions/{token}/confirm",
        "expires": words.full(expires_at),
    }
    subject = words.say(_("Confirm that you want alerts about Customs services"))
    return _render(house, MailKind.CONFIRM, language, subject, context, now=now)


def already_mail(house: House, language: str, subscriber_id: str, *, now: datetime) -> Content:
    """The mail to an address that is subscribed already, and was entered again."""
    words = Words(house.catalogues, language, house.settings.zone, now)
    context = {
        "manage_url": manage_url(house, house.signer.sign(MANAGE, subscriber_id)),
        "unsubscribe_url": unsubscribe_url(house, house.signer.sign(UNSUBSCRIBE, subscriber_id)),
    }
    return _render(
        house, MailKind.ALREADY, language, words.say(_("You get our alerts already")), context, now=now
    )


def manage_url(house: House, token: str) -> str:
    """Where a subscriber changes services and language."""
    return f"{house.settings.server.base_url}/subscriptions/{token}"


def unsubscribe_url(house: House, token: str) -> str:
    """Where one click ends it (RFC 8058)."""
    return f"{house.settings.server.base_url}/unsubscribe/{token}"


def _render(
    house: House, kind: MailKind, language: str, subject: str, context: Mapping[str, object], *, now: datetime
) -> Content:
    full = {"subject": subject, **context}
    text = web.page(house, f"mail/{kind}.txt", language, full, now=now)
    html = web.page(house, f"mail/{kind}.html", language, full, now=now)
    return Content(subject, re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", html)


# --- as bytes ---


class Template:
    """A serialised message with slots: `fill` takes a microsecond, building a message a thousand."""

    def __init__(self, raw: bytes) -> None:
        slots = (_TO_SLOT, _ID_SLOT, MANAGE_SLOT.encode(), UNSUBSCRIBE_SLOT.encode())
        self._parts = re.split(b"(" + b"|".join(re.escape(slot) for slot in slots) + b")", _stuff(_mend(raw)))

    def fill(self, *, to: str, message_id: str, manage: str = "", unsubscribe: str = "") -> bytes:
        """The message for one recipient, ready for the wire: lines end in CRLF, dots are stuffed."""
        values = {
            _TO_SLOT: to.encode(),
            _ID_SLOT: message_id.encode(),
            MANAGE_SLOT.encode(): manage.encode(),
            UNSUBSCRIBE_SLOT.encode(): unsubscribe.encode(),
        }
        return b"".join([values.get(part, part) for part in self._parts])


def template(house: House, message: Message) -> Template:
    """Serialise a message. Mails of an event are list mail: they carry List-Id and one-click unsubscribe."""
    is_list = message.event_seq is not None
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _sender(house, message.language)
    mail["Date"] = format_datetime(message.created_at.astimezone(UTC))
    if is_list:
        mail["List-Id"] = f"<{house.settings.mail.list_id}>"
    for name, value in {"Auto-Submitted": "auto-generated", **message.headers}.items():
        mail[name] = value
    mail["Content-Language"] = message.language
    mail.set_content(message.text, cte="quoted-printable")
    if message.html:
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
        mail.set_boundary(
            f"=_{message.id:08d}_of_this_mail"
        )  # repeats must not differ; "=_" cannot occur inside
    return Template(_subject(message.subject) + _own_lines(house, is_list=is_list) + mail.as_bytes())


def _subject(subject: str) -> bytes:
    """RFC 2047, each encoded word a whole number of characters."""
    encoded = Header(subject, "ascii" if subject.isascii() else "utf-8", maxlinelen=76, header_name="Subject")
    return f"Subject: {encoded.encode(linesep=_CRLF)}\r\n".encode()


def _own_lines(house: House, *, is_list: bool) -> bytes:
    """Each recipient's headers, by hand: the email package folds long URLs into encoded words."""
    lines = b"To: %s\r\nMessage-ID: <%s@%s>\r\n" % (_TO_SLOT, _ID_SLOT, _domain(house).encode())
    if is_list:
        lines += f"List-Unsubscribe: <{unsubscribe_url(house, UNSUBSCRIBE_SLOT)}>\r\n".encode()
        lines += b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    return lines


def _mend(raw: bytes) -> bytes:
    """Give a slot that quoted-printable broke over two lines a line of its own."""
    for slot in (MANAGE_SLOT.encode(), UNSUBSCRIBE_SLOT.encode()):
        perhaps_broken = rb"(?:=\r\n)?".join(re.escape(bytes([byte])) for byte in slot)
        for found in set(re.findall(perhaps_broken, raw)) - {slot}:
            raw = raw.replace(found, b"=\r\n" + slot + b"=\r\n")
    return raw


def _stuff(raw: bytes) -> bytes:
    """Double a dot that begins a line (RFC 5321 §4.5.2); what comes into the slots begins none."""
    return raw.replace(b"\n.", b"\n..")


def envelope_sender(house: House) -> str:
    """The bare address that mails come from."""
    return parseaddr(house.settings.mail.sender)[1]


def _domain(house: House) -> str:
    return envelope_sender(house).rpartition("@")[2]


def _sender(house: House, language: str) -> Address:
    name, address = parseaddr(house.settings.mail.sender)
    page = house.settings.page
    return Address(name or (page.name_pl if language == "pl" else page.name_en), addr_spec=address)
