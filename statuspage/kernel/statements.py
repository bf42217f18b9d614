"""Settings that are words: how to reach the house, the accessibility statement, the privacy notice.

What is left empty is left out of the pages; `missing` tells whoever runs the page what readers will miss.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from statuspage.kernel.config import Settings

_DATE = r"^(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))?$"


@dataclass(frozen=True, slots=True)
class Contact:
    telephone: Annotated[str, Meta(description="The number to call, as people read it.")] = ""
    hours_pl: Annotated[str, Meta(description="When it is answered, in Polish.")] = ""
    hours_en: Annotated[str, Meta(description="When it is answered, in English.")] = ""
    email: Annotated[str, Meta(description="The mailbox that people read.")] = ""
    address: Annotated[str, Meta(description="Postal address; lines are kept.")] = ""
    alternatives_pl: Annotated[
        str, Meta(description="What to use while a service does not work, in Polish (Markdown).")
    ] = ""
    alternatives_en: Annotated[str, Meta(description="The same in English.")] = ""


@dataclass(frozen=True, slots=True)
class Accessibility:
    entity: Annotated[str, Meta(description="The public body that the statement binds.")] = ""
    published_on: Annotated[
        str, Meta(pattern=_DATE, description="When this site was first published: YYYY-MM-DD.")
    ] = ""
    updated_on: Annotated[
        str, Meta(pattern=_DATE, description="When it last changed substantially: YYYY-MM-DD.")
    ] = ""
    status: Annotated[
        str,
        Meta(
            pattern="^(full|partial|none)$",
            description="Conformity with the act: full, partial or none.",
        ),
    ] = "partial"
    exceptions_pl: Annotated[
        str, Meta(description="What is not accessible, why, and what to use instead, in Polish (Markdown).")
    ] = ""
    exceptions_en: Annotated[str, Meta(description="The same in English.")] = ""
    prepared_on: Annotated[
        str, Meta(pattern=_DATE, description="When the statement was prepared: YYYY-MM-DD.")
    ] = ""
    reviewed_on: Annotated[str, Meta(pattern=_DATE, description="When it was last reviewed: YYYY-MM-DD.")] = (
        ""
    )
    auditor: Annotated[
        str, Meta(description="Who judged the site; empty: the public body judged it itself.")
    ] = ""
    person: Annotated[str, Meta(description="Who answers for accessibility: a name or an office.")] = ""
    email: Annotated[str, Meta(description="Where reports of barriers are read.")] = ""
    telephone: Annotated[str, Meta(description="Where they are heard.")] = ""
    complaints: Annotated[
        str, Meta(description="Where a complaint about a refusal goes: office, address, e-mail.")
    ] = ""
    architecture_pl: Annotated[
        str, Meta(description="How the seat can be entered and used, in Polish (Markdown).")
    ] = ""
    architecture_en: Annotated[str, Meta(description="The same in English.")] = ""


@dataclass(frozen=True, slots=True)
class Privacy:
    controller: Annotated[str, Meta(description="The controller of personal data: name and address.")] = ""
    officer: Annotated[
        str, Meta(description="How to reach the data protection officer: e-mail or address.")
    ] = ""
    retention_pl: Annotated[
        str, Meta(description="How long personal data are kept, in Polish (Markdown).")
    ] = ""
    retention_en: Annotated[str, Meta(description="The same in English.")] = ""


_NEEDED = {
    "contact": ("telephone", "email"),
    "accessibility": ("entity", "published_on", "prepared_on", "person", "email", "telephone"),
    "privacy": ("controller", "officer"),
}
_PAGES = {"contact": "/contact", "accessibility": "/accessibility", "privacy": "/privacy"}


def missing(settings: "Settings") -> "Iterator[str]":
    """A line for each section whose page lacks what readers, or the law, expect of it."""
    for section, keys in _NEEDED.items():
        values = getattr(settings, section)
        if empty := [key for key in keys if not getattr(values, key)]:
            yield f"[{section}] {', '.join(empty)}: not filled in; {_PAGES[section]} is incomplete without"
