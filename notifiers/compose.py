"""Writes mails: an event becomes subject, text and HTML, once per language. `mime` makes bytes of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date
from sqlalchemy import select
from sqlalchemy.orm import Session

from notifiers import planned
from notifiers.links import MANAGE, MANAGE_SLOT, UNSUBSCRIBE, UNSUBSCRIBE_SLOT, manage_url, unsubscribe_url
from notifiers.rules import NO_CHANGE, Broadcast, Change, MailKind, clean_text, one_line
from statuspage.incidents.announcement import Announcement
from statuspage.incidents.notice_views import notice_views
from statuspage.incidents.rules import FallbackState, IncidentStatus, MaintenanceStatus, ServiceStatus, worst
from statuspage.incidents.snapshot import FallbackView, HandlingView, Text
from statuspage.incidents.tables import Notice, NoticeService, Service, Update
from statuspage.incidents.words import IMPACT, notice_word, service_word, status_word
from statuspage.kernel import web
from statuspage.kernel.house import House
from statuspage.kernel.i18n import Catalogues, format_duration_words, offset

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
    handlings: tuple[HandlingView, ...] = ()
    fallbacks: tuple[FallbackView, ...] = ()  # the last word on each service and function
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
    (view,) = notice_views(session, [notice.id])
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
        handlings=view.handlings,
        fallbacks=view.current_fallbacks,
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
    if paper := _paper_fact(story, words):
        return f"{told} – {paper}"
    if story.event == "incident.updated":
        return f"{told} – {_news(story, words)}"
    return told


def _paper_fact(story: Story, words: Words) -> str:
    """`paper allowed, no. AW-7`; that it is no longer so, in the mail that tells it. Empty where nothing is said."""
    allowed = [fallback for fallback in story.fallbacks if fallback.is_permitted(story.at)]
    if allowed:
        references = ", ".join(dict.fromkeys(one_line(fallback.reference) for fallback in allowed))
        return words.say(_("paper allowed, no. {references}"), references=references)
    ended = [fallback for fallback in story.fallbacks if fallback.withdrawn_at == story.at]
    references = ", ".join(dict.fromkeys(one_line(fallback.reference) for fallback in ended))
    return words.say(_("paper no longer allowed, no. {references}"), references=references) if ended else ""


def answers(story: Story, words: Words) -> tuple["Detail", ...]:
    """What whoever waits at the border asks: what of my messages, is paper allowed?"""
    sent = [_sent_line(handling, words) for handling in story.handlings]
    papers = [_paper_line(fallback, story, words) for fallback in story.fallbacks]
    rows = ((_("Messages already sent"), sent), (_("Paper (fallback procedure)"), papers))
    return tuple(
        Detail(words.say(label), tuple(line for lines in values for line in lines))
        for label, values in rows
        if values
    )


def _sent_line(handling: HandlingView, words: Words) -> list[str]:
    who = f"{one_line(handling.service.name[words.language])}: " if handling.service else ""
    told = who + status_word(words.catalogues, words.language, handling.handling)
    if handling.sent_from and handling.sent_until:
        window = words.window(handling.sent_from, handling.sent_until, full=True)
        told = f"{told} {words.say(_('Those sent {window}.'), window=window)}"
    text = clean_text(handling.text[words.language]).strip()
    return [told, *text.splitlines()]


def _paper_line(fallback: FallbackView, story: Story, words: Words) -> list[str]:
    function = f" – {words.say(fallback.function)}" if fallback.function else ""
    who = one_line(fallback.service.name[words.language]) + function
    word = status_word(words.catalogues, words.language, fallback.state)
    reference = one_line(fallback.reference)
    told = _("{word}: {who}, no. {reference}") if reference else _("{word}: {who}")
    lines = [words.say(told, word=word, who=who, reference=reference)]
    end = fallback.withdrawn_at or fallback.ends_at
    if fallback.state is not FallbackState.NOT_NEEDED:
        begins = words.full(fallback.begins_at)
        lines.append(
            words.window(fallback.begins_at, end, full=True)
            if end
            else words.say(_("from {time} until it is withdrawn"), time=begins)
        )
    if fallback.enter_by and not fallback.is_permitted(story.at):
        lines.append(words.say(_("Enter what went on paper by {time}."), time=words.full(fallback.enter_by)))
    instructions = clean_text(fallback.instructions[words.language]).strip()
    legal_basis = one_line(fallback.legal_basis[words.language])
    if legal_basis:
        lines.append(words.say(_("Legal basis: {text}"), text=legal_basis))
    return [*lines, *instructions.splitlines()]


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
        "answers": answers(story, words),
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


def _render(
    house: House, kind: MailKind, language: str, subject: str, context: Mapping[str, object], *, now: datetime
) -> Content:
    full = {"subject": subject, **context}
    text = web.page(house, f"mail/{kind}.txt", language, full, now=now)
    html = web.page(house, f"mail/{kind}.html", language, full, now=now)
    return Content(subject, re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", html)
