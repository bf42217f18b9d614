"""Attachments of requests: which files are accepted, to whom they belong, and when they may be fetched."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path, PurePosixPath

import puremagic
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from statuspage.kernel.errors import Conflict, Invalid, NotFound
from tickets import storage
from tickets.storage import Kept
from tickets.tables import Attachment, Ticket

A_MESSAGE = 10  # files
A_TICKET_BYTES = 50_000_000
MAX_NAME = 120
_UNOWNED_FOR = timedelta(days=1)
_TEXT = "text/plain"

# By the end of the name: what it is, and by which ends the content's signature may know it. () is text.
_ACCEPTED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "pdf": ("application/pdf", (".pdf",)),
    "png": ("image/png", (".png",)),
    "jpg": ("image/jpeg", (".jpg", ".jpeg", ".jfif")),
    "jpeg": ("image/jpeg", (".jpg", ".jpeg", ".jfif")),
    "webp": ("image/webp", (".webp",)),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", (".docx",)),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", (".xlsx",)),
    "odt": ("application/vnd.oasis.opendocument.text", (".odt",)),
    "ods": ("application/vnd.oasis.opendocument.spreadsheet", (".ods",)),
    "zip": ("application/zip", (".zip",)),  # never unpacked here
    "msg": ("application/vnd.ms-outlook", (".msg", ".doc")),
    "eml": ("message/rfc822", ()),
    "xml": ("application/xml", ()),
    "json": ("application/json", ()),
    "csv": ("text/csv", ()),
    "txt": (_TEXT, ()),
    "log": (_TEXT, ()),
    "edi": (_TEXT, ()),
}
ACCEPTED = tuple(_ACCEPTED)
_PROGRAMS = (b"MZ", b"\x7fELF", b"#!", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")


class AttachmentState(StrEnum):
    """Whether it may be fetched."""

    HELD = "held"  # not scanned yet
    CLEAN = "clean"  # scanned, or no scanner is set
    INFECTED = "infected"  # never to be fetched again


@dataclass(frozen=True, slots=True)
class Offered:
    """A file before it is kept: by this it is judged."""

    name: str
    size: int  # bytes
    head: bytes  # the first bytes of its content


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that came with a message: the name that its sender gave it, and where its content is kept."""

    name: str
    kept: Kept

    @property
    def offered(self) -> Offered:
        """What it was judged by."""
        return Offered(self.name, self.kept.size, self.kept.head)


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """A file as its ticket's page lists it."""

    id: str
    name: str
    size: int
    state: AttachmentState
    message_id: int | None  # None: it came with the request itself
    by: str
    at: datetime


def tidied_name(name: str) -> str:
    """A file's name without paths and characters that steer; its end stays, so that it opens."""
    last = PurePosixPath(name.replace("\\", "/")).name
    plain = "".join(c for c in last if unicodedata.category(c)[0] not in "CZ" or c == " ")
    plain = plain.strip(" ").rstrip(" .")
    stem, dot, end = plain.rpartition(".")
    if not dot:
        stem, end = plain, ""
    return f"{stem[: MAX_NAME - len(end) - 1].strip() or 'file'}{dot}{end[:20]}"


def media_type(name: str, head: bytes) -> str:
    """What the file is, by its name and its first bytes, which have to agree. Raises Invalid."""
    end = name.rpartition(".")[2].lower()
    if end not in _ACCEPTED:
        known = ", ".join(ACCEPTED)
        raise Invalid(
            "files", "%(name)s is not accepted; these kinds are: %(known)s.", name=name, known=known
        )
    kind, signatures = _ACCEPTED[end]
    is_text = b"\0" not in head and not head.startswith(_PROGRAMS)
    if not (is_text if not signatures else _is_signed(head, name, signatures)):
        raise Invalid("files", "The content of %(name)s is not what its name says.", name=name)
    return kind


def _is_signed(head: bytes, name: str, signatures: Sequence[str]) -> bool:
    try:
        found = puremagic.magic_string(head, name)
    except (puremagic.PureError, ValueError):
        return False
    return any(match.extension in signatures for match in found)


def check(session: Session, ticket_id: str, files: Sequence[Offered]) -> None:
    """Raises Invalid for what this ticket does not take. Asked before anything is kept, too: nobody fills the disk."""
    if len(files) > A_MESSAGE:
        raise Invalid("files", "At most %(limit)s files fit in one message.", limit=A_MESSAGE)
    before = session.scalar(select(func.sum(Attachment.size)).where(Attachment.ticket_id == ticket_id)) or 0
    if before + sum(file.size for file in files) > A_TICKET_BYTES:
        limit = A_TICKET_BYTES // 1_000_000
        raise Invalid("files", "The files of one request together may have %(limit)s MB.", limit=limit)
    for file in files:
        if not file.size:
            raise Invalid("files", "%(name)s is empty.", name=tidied_name(file.name))
        media_type(tidied_name(file.name), file.head)


def attach(
    session: Session,
    ticket: Ticket,
    files: Sequence[Sent],
    *,
    message_id: int | None,
    by: str,
    is_scanned: bool,
    now: datetime,
) -> None:
    """Add files to a ticket. With `is_scanned` they are held until a scanner has seen them. Raises Invalid."""
    check(session, ticket.id, [file.offered for file in files])
    for file in files:
        name = tidied_name(file.name)
        session.add(
            Attachment(
                ticket_id=ticket.id,
                message_id=message_id,
                name=name,
                media_type=media_type(name, file.kept.head),
                size=file.kept.size,
                digest=file.kept.digest,
                state=AttachmentState.HELD if is_scanned else AttachmentState.CLEAN,
                by=by,
                created_at=now,
            )
        )
    session.flush()


def listed(session: Session, ticket_id: str) -> tuple[AttachmentView, ...]:
    """A ticket's files, oldest first."""
    rows = session.scalars(
        select(Attachment)
        .where(Attachment.ticket_id == ticket_id)
        .order_by(Attachment.created_at, Attachment.id)
    )
    return tuple(
        AttachmentView(
            row.id, row.name, row.size, AttachmentState(row.state), row.message_id, row.by, row.created_at
        )
        for row in rows
    )


def fetched(session: Session, ticket_id: str, attachment_id: str) -> Attachment:
    """A file of this ticket. Raises NotFound, also for one of another ticket; Conflict while it is held."""
    row = session.get(Attachment, attachment_id)
    if row is None or row.ticket_id != ticket_id or row.state == AttachmentState.INFECTED:
        raise NotFound("there is no such file")
    if row.state == AttachmentState.HELD:
        raise Conflict("The file is being scanned for viruses. Try again in a minute.")
    return row


def held(session: Session, *, limit: int = 20) -> Sequence[Attachment]:
    """Files that wait for the scanner, oldest first."""
    return session.scalars(
        select(Attachment)
        .where(Attachment.state == AttachmentState.HELD)
        .order_by(Attachment.created_at)
        .limit(limit)
    ).all()


def judge(session: Session, digest: str, finding: str, *, now: datetime) -> None:
    """The scanner has seen a content: `finding` names what is in it, "" where it is clean."""
    rows = session.scalars(
        select(Attachment).where(Attachment.digest == digest, Attachment.state == AttachmentState.HELD)
    )
    for row in rows:
        row.state = AttachmentState.INFECTED if finding else AttachmentState.CLEAN
        row.finding, row.scanned_at = finding[:200], now


def sweep(session: Session, *, data_dir: str, now: datetime) -> int:
    """Remove contents that belong to nobody: what was sent with a form that was refused. Returns how many."""
    lying = list(storage.stale(data_dir, now=now, older_than=_UNOWNED_FOR))
    names = [path.name for path in lying]
    owned = set(session.scalars(select(Attachment.digest).where(Attachment.digest.in_(names))))
    unowned: list[Path] = [path for path in lying if path.name not in owned]
    for path in unowned:
        path.unlink(missing_ok=True)
    return len(unowned)
