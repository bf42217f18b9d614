"""Prepared words for situations that come again, with variables such as {service} that the composer fills in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.incidents.acts import ActKind
from statuspage.incidents.notices import MAX_TEXT, MAX_TITLE
from statuspage.incidents.rules import IncidentStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.tables import Template
from statuspage.kernel.errors import Conflict, Invalid, NotFound

# What the composer knows when it opens; the rest is for the officer to write.
VARIABLES = ("service", "began", "next_update", "reference", "page")
_VARIABLE = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """A template as it is written."""

    name: str
    kind: ActKind
    title: Text
    text: Text
    status: IncidentStatus | None = None
    position: int = 0  # the first of its kind is what the composer opens with


def fill(text: Text, values: Mapping[str, Text]) -> Text:
    """The text with its variables replaced; those without a value stay, so that nobody overlooks them."""

    def one(language: str, source: str) -> str:
        def value(match: re.Match[str]) -> str:
            known = values.get(match[1])
            return known[language] if known is not None else match[0]

        return _VARIABLE.sub(value, source)

    return Text(one("pl", text.pl), one("en", text.en))


def unfilled(text: Text) -> tuple[str, ...]:
    """The variables that still stand in a text; other words in braces are the author's own."""
    found = (name for said in (text.pl, text.en) for name in _VARIABLE.findall(said))
    return tuple(dict.fromkeys(name for name in found if name in VARIABLES))


def save(session: Session, new: NewTemplate, *, template_id: str | None = None) -> Template:
    """Add a template, or replace one. Raises Invalid naming the field, Conflict for a name that is taken."""
    name = new.name.strip()
    if not name or len(name) > MAX_TITLE or not name.isprintable():
        raise Invalid("name", "one line of at most %(limit)s characters is needed", limit=MAX_TITLE)
    for field, text, limit in (("title", new.title, MAX_TITLE), ("text", new.text, MAX_TEXT)):
        for language, said in (("pl", text.pl), ("en", text.en)):
            _check(f"{field}_{language}", said, limit)
    taken = session.scalar(select(Template.id).where(Template.name == name))
    if taken not in (None, template_id):
        raise Conflict('there is a template "%(name)s" already', name=name)
    row = get(session, template_id) if template_id else Template(name=name, kind=new.kind)
    row.name, row.kind, row.status = name, new.kind, new.status or ""
    row.title_pl, row.title_en = new.title.pl, new.title.en
    row.text_pl, row.text_en = new.text.pl, new.text.en
    row.position = new.position
    session.add(row)
    session.flush()
    return row


def _check(field: str, said: str, limit: int) -> None:
    if len(said) > limit:
        raise Invalid(field, "at most %(limit)s characters are allowed", limit=limit)
    for variable in _VARIABLE.findall(said):
        if variable not in VARIABLES:
            raise Invalid(
                field,
                "{%(variable)s} is not a variable; there are %(known)s",
                variable=variable,
                known=", ".join(f"{{{each}}}" for each in VARIABLES),
            )


def get(session: Session, template_id: str) -> Template:
    """Raises NotFound."""
    row = session.get(Template, template_id)
    if row is None:
        raise NotFound("there is no template %(template)s", template=template_id)
    return row


def remove(session: Session, template_id: str) -> None:
    """Raises NotFound. What was published with it stays."""
    session.delete(get(session, template_id))


def listed(session: Session, kind: ActKind | None = None) -> Sequence[Template]:
    """In order of their names; of one kind, or all."""
    query = select(Template).order_by(Template.position, Template.name)
    return session.scalars(query if kind is None else query.where(Template.kind == kind)).all()
