"""What makes a notice useful as evidence, as pages show it: messages already sent, paper, the next word, what is
not affected. Where nothing has been said yet, that is said.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from markupsafe import Markup

from statuspage.incidents.rules import FallbackState, Impact, NoticeKind
from statuspage.incidents.snapshot import FallbackView, HandlingView, NoticeView, Text
from statuspage.incidents.words import FALLBACK, status_word
from statuspage.kernel.markdown import to_html

if TYPE_CHECKING:
    from statuspage.site.views import View


def _(message: str) -> str:
    """Marks a message for translation."""
    return message


PAPER_AHEAD = _("Paper will be allowed")
PAPER_OVER = _("The permission to use paper has ended")
GRAVE = frozenset({Impact.MAJOR, Impact.CRITICAL})  # readers ask about messages and paper


@dataclass(frozen=True, slots=True)
class Said:
    """A text as HTML. `lang` is set where it stands in the other language than the page."""

    html: Markup
    lang: str = ""

    def __bool__(self) -> bool:
        return bool(self.html)


@dataclass(frozen=True, slots=True)
class Sent:
    """What becomes of messages that were sent in a window."""

    who: str  # "" for all that are affected
    sentence: str
    window: str  # "" where none was said
    text: Said


@dataclass(frozen=True, slots=True)
class Paper:
    """One declaration about the emergency procedure."""

    anchor: str
    who: str
    word: str
    is_permitted: bool  # now
    is_needed: bool
    reference: str
    window: str
    begins_at: datetime
    ends_at: datetime | None
    instructions: Said
    legal_basis: Said
    enter_by: datetime | None
    remaining: timedelta | None  # to enter the data; None while paper is allowed, or where nothing is due
    is_current: bool
    declared_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of that of one notice."""

    sent: tuple[Sent, ...]
    papers: tuple[Paper, ...]  # the last word on each service and function
    earlier_papers: tuple[Paper, ...]
    unaffected: tuple[tuple[str, str], ...]  # code, name
    is_grave: bool  # an open outage: where nothing is declared, readers are told so
    is_late: bool  # the next word was promised for a time that has passed


def evidence(notice: NoticeView, view: "View") -> Evidence:
    """What the notice says beside its words, at the view's moment and in its language."""
    next_at = notice.next_update_at
    return Evidence(
        sent=tuple(_sent(handling, view) for handling in notice.handlings),
        papers=tuple(_paper(fallback, view) for fallback in notice.current_fallbacks),
        earlier_papers=tuple(_paper(f, view) for f in notice.fallbacks if not f.is_current),
        unaffected=tuple((named.code, named.name[view.language]) for named in notice.unaffected),
        is_grave=notice.kind == NoticeKind.INCIDENT and notice.is_open and notice.impact in GRAVE,
        is_late=notice.is_open and next_at is not None and next_at < view.now,
    )


def said(text: Text, language: str) -> Said:
    """A text in the reader's language, or in the other one, marked."""
    found = text.language_for(language)
    if not text[language].strip():
        return Said(Markup())
    html = Markup(to_html(text[language]))  # noqa: S704 - sanitised there
    return Said(html, "" if found == language else found)


def _sent(handling: HandlingView, view: "View") -> Sent:
    return Sent(
        who=handling.service.name[view.language] if handling.service else "",
        sentence=status_word(view.catalogues, view.language, handling.handling),
        window=view.window(handling.sent_from, handling.sent_until) if handling.sent_from else "",
        text=said(handling.text, view.language),
    )


def _paper(fallback: FallbackView, view: "View") -> Paper:
    gettext = view.catalogues.translator(view.language)
    is_over = fallback.ends_at is not None and fallback.ends_at <= view.now
    is_ahead = fallback.begins_at > view.now
    word = FALLBACK[fallback.state]
    if fallback.state is FallbackState.PERMITTED and (is_over or is_ahead):
        word = PAPER_OVER if is_over else PAPER_AHEAD
    is_permitted = fallback.is_permitted(view.now) and not is_ahead
    enter_by = None if is_permitted else fallback.enter_by
    function = f" – {gettext(fallback.function)}" if fallback.function else ""
    return Paper(
        anchor=f"p-{fallback.id}",
        who=fallback.service.name[view.language] + function,
        word=gettext(word),
        is_permitted=is_permitted,
        is_needed=fallback.state is not FallbackState.NOT_NEEDED,
        reference=fallback.reference,
        window=view.window(fallback.begins_at, fallback.withdrawn_at or fallback.ends_at),
        begins_at=fallback.begins_at,
        ends_at=fallback.withdrawn_at or fallback.ends_at,
        instructions=said(fallback.instructions, view.language),
        legal_basis=said(fallback.legal_basis, view.language),
        enter_by=enter_by,
        remaining=enter_by - view.now if enter_by and enter_by > view.now else None,
        is_current=fallback.is_current,
        declared_at=fallback.declared_at,
    )
