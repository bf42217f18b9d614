"""How a room declares what its part of the management API does: one `Operation` for each method and address.

Routes (`rest`), the OpenAPI document (`openapi`) and the page in docs follow from the same declarations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy.orm import Session

from statuspage.kernel.config import Settings
from statuspage.kernel.errors import Conflict
from statuspage.kernel.events import take_turns
from statuspage.kernel.tokens import Scope

ROOT = "/api/manage/v1"
MAX_BODY_BYTES = 524_288  # two texts of 20,000 characters, each written as \\uXXXX
ID = "^[a-z0-9]{12}$"
# Characters that end headers, forge log lines, or that PostgreSQL cannot keep.
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
_NO_CONTROLS_BUT_SPACE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"

Id = Annotated[str, Meta(pattern=ID)]
Line = Annotated[str, Meta(max_length=200, pattern=_NO_CONTROLS)]
Prose = Annotated[str, Meta(max_length=20_000, pattern=_NO_CONTROLS_BUT_SPACE)]
Instant = Annotated[datetime, Meta(tz=True)]


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request may say. Every text in it has a pattern, every list a longest length."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says: every field is always there."""


class Stale(Conflict):
    """The caller's If-Match names a version that is not the current one."""


class Precondition(Conflict):
    """The caller has to say with If-Match which version he means to replace."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked and read."""

    by: str  # who asks, as it is recorded
    now: datetime
    settings: Settings
    path: Mapping[str, str] = field(default_factory=dict)
    query: Any = None  # an instance of the operation's `query`
    body: Any = None  # an instance of the operation's `body`
    if_match: str | None = None
    prepared: Any = None  # what the operation's `prepare` returned

    def match(self, session: Session, current: Callable[[], int], *, is_needed: bool = False) -> int:
        """The current version, which nobody changes until this unit of work ends.

        Raises Stale when If-Match names another one, Precondition when it is needed and missing.
        """
        take_turns(session)
        version = current()
        if self.if_match is None and is_needed:
            raise Precondition("send If-Match with the ETag of the version that you have read")
        if self.if_match not in (None, "*", str(version), etag(version)):
            raise Stale(f"this is version {version} by now; read it before you change it")
        return version


@dataclass(frozen=True, slots=True)
class Reply:
    """What an operation answers. `version` becomes the ETag, `subject` stands in the audit log."""

    value: Shown | None = None  # None: nothing to show (204)
    version: int | None = None
    subject: str = ""
    location: str = ""  # of what was made, below the API's root


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one address below the API's root."""

    method: str
    path: str
    name: str  # operationId
    summary: str
    scope: Scope
    verb: Callable[[Session, Call], Reply]  # in one unit of work; a GET may only read
    answer: type[Shown] | None
    body: type[Given] | None = None
    query: type[Given] | None = None
    status: int = 200
    action: str = ""  # for the audit log: template.added; "" where the verb itself records what it did
    is_versioned: bool = False  # has an ETag, and takes If-Match where it changes something
    needs_version: bool = False  # If-Match is not a choice
    current: Callable[[Session, Call], Shown] | None = None  # shown to who meets a conflict
    prepare: Callable[[Call], Any] | None = None  # slow work, on a thread, before the unit of work
    max_body_bytes: int | None = None  # where more is taken than the settings and MAX_BODY_BYTES allow others
    fields: Mapping[str, str] = field(default_factory=dict)  # the verbs' names of fields → those of the body

    @property
    def takes_if_match(self) -> bool:
        """Whether there is a version that a change could miss; what is made has none before."""
        return self.is_versioned and self.method != "GET" and "{" in self.path


# In If-Match: any version, or one; without its quotes, too, which some clients lose.
ETAG = r'^(\*|[0-9]{1,9}|"[0-9]{1,9}")$'


def etag(version: int) -> str:
    """A strong validator (RFC 9110 §8.8.3): the version says all."""
    return f'"{version}"'
