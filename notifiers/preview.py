"""What an act would send, shown before it is done: the same words by the same hand, and to how many; and how many have
been told already.
"""

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from notifiers import rules
from notifiers.broadcasts import count_audience
from notifiers.compose import load_story, notice_mail
from notifiers.links import MANAGE_SLOT, UNSUBSCRIBE_SLOT
from notifiers.tables import Delivery, Message
from statuspage.kernel.events import Event
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES
from statuspage.kernel.panels import Mail, Mailing

_OWN = "…"  # where each recipient's own token stands


def mailing(session: Session, house: House, notice_id: str) -> Mailing:
    """What the newest event of a notice sends, in a transaction that may be given up afterwards."""
    event = session.scalars(
        select(Event).where(Event.subject_id == notice_id).order_by(Event.seq.desc()).limit(1)
    ).first()
    broadcast = rules.broadcast_of(event.kind, event.payload) if event else None
    if event is None or broadcast is None:
        return Mailing(0, {})
    story = load_story(session, event.kind, event.at, broadcast)
    mails: dict[str, Mail] = {}
    for language in LANGUAGES:
        content = notice_mail(house, story, language)
        text = content.text.replace(MANAGE_SLOT, _OWN).replace(UNSUBSCRIBE_SLOT, _OWN)
        mails[language] = Mail(content.subject, text)
    return Mailing(count_audience(session, broadcast.service_ids), mails)


def told(session: Session, notice_id: str) -> Mapping[str, int]:
    """How many have been told of a notice, or will be of what was published, by language; each of them once."""
    query = (
        select(Message.language, func.count(Delivery.subscriber_id.distinct()))
        .join(Message, Message.id == Delivery.message_id)
        .join(Event, Event.seq == Delivery.event_seq)
        .where(Event.subject_id == notice_id)
        .group_by(Message.language)
        .order_by(Message.language.desc())
    )
    return {language: count for language, count in session.execute(query)}
