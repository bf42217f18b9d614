"""What would be seen and sent, shown before it is done: it is done, looked at, and undone."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup
from sqlalchemy.orm import Session

from statuspage.incidents.notice_views import notice_views
from statuspage.incidents.rules import Impact
from statuspage.incidents.snapshot import NoticeView, PageSnapshot
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.panels import Mailing, Parts
from statuspage.site.views import View

# A form is asked again where so many more would be told than its button said.
_MORE = 10


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be seen and sent."""

    cards: Mapping[str, Markup]  # by language
    mailing: Mailing


class _Undo(Exception):
    """Ends a rehearsal: nothing of it is kept."""


async def rehearse(house: House, parts: Parts, act: Callable[[Session], str], *, now: datetime) -> Preview:
    """What `act`, which returns the id of a published notice, would publish and send. Raises what `act` does."""
    seen: list[tuple[NoticeView, Mailing]] = []

    def rehearsal(session: Session) -> None:
        seen.clear()
        notice_id = act(session)
        session.flush()
        (view,) = notice_views(session, [notice_id])
        seen.append((view, parts.mailing(session, house, notice_id)))
        raise _Undo

    with suppress(_Undo):
        await house.db.run(rehearsal)
    view, mailing = seen[0]
    return Preview({language: card(house, view, language, now) for language in LANGUAGES}, mailing)


def card(house: House, notice: NoticeView, language: str, now: datetime) -> Markup:
    """A notice as its readers would see it."""
    nothing = PageSnapshot(0, now, now, Impact.NONE, (), (), ())
    view = View(nothing, language, house, now)
    html = view.page("/", "console/preview.html", card=view.card(notice))
    return Markup(html)  # noqa: S704 - a template of ours, escaped there


def is_more_than_said(count: int, told: str) -> bool:
    """Whether notably more would be told than the button said: an operator's slip is asked about (abuse case 34)."""
    said = int(told) if told.isdecimal() else 0
    return count > max(said + _MORE, said * 1.05)
