"""The demo's mail catcher: a real SMTP server that delivers into a Maildir, and the pages that show it."""

import asyncio
import email
import itertools
import os
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from email.policy import default as default_policy
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from statuspage.demo.simulator import HOST
from statuspage.kernel import clock, web
from statuspage.kernel.errors import NotFound

DIRECTORY = "mail"
_MAX_MAIL_BYTES = 5 * 1024 * 1024
_HEADER_BYTES = 16_384
_PAGE = 50
_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")

# Mail is written by strangers: nothing of it runs, loads or is sent anywhere. Links open in a new window.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)


class Catcher:
    """Accepts every mail for everybody and keeps it in `directory`, a Maildir."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._thread = ThreadPoolExecutor(1, "demo-mail")
        self._counter = itertools.count()

    async def start(self) -> int:
        """Listen on loopback; returns the port."""
        for part in ("tmp", "new", "cur"):
            (self.directory / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._connections: set[asyncio.BaseTransport] = set()
        self._server = await asyncio.get_running_loop().create_server(self._protocol, HOST, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Stop listening, hang up, and let the last delivery end."""
        self._server.close()
        for connection in tuple(self._connections):
            connection.close()
        await asyncio.sleep(0)  # connection_lost comes in the next turn of the loop
        await asyncio.to_thread(self._thread.shutdown)

    def _protocol(self) -> SMTP:
        return _Smtp(
            self,
            self._connections,
            hostname="mail.customs.example",
            ident="demo mail catcher",
            data_size_limit=_MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
        )

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """aiosmtpd's hook: the answer is given once the mail is on disk."""
        content = envelope.original_content or b""
        recipients = [str(address) for address in envelope.rcpt_tos]
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._deliver, str(envelope.mail_from), recipients, content)
        return "250 2.0.0 caught"

    def _deliver(self, sender: str, recipients: Sequence[str], content: bytes) -> None:
        """Write to tmp, then move to new. Without fsync: the demo's mails need not survive a power cut."""
        envelope = f"Return-Path: <{sender}>\n" + "".join(
            f"Delivered-To: {address}\n" for address in recipients
        )
        micros = int(clock.now().timestamp() * 1_000_000)
        seconds, rest = divmod(micros, 1_000_000)
        name = f"{seconds}.M{rest:06}P{os.getpid()}Q{next(self._counter)}.{socket.gethostname()}"
        draft = self.directory / "tmp" / name
        draft.write_bytes(envelope.encode() + content.replace(b"\r\n", b"\n"))
        draft.rename(self.directory / "new" / name)


class _Smtp(SMTP):
    """aiosmtpd's server, with its connection known to who has to close it."""

    def __init__(self, handler: Catcher, connections: set[asyncio.BaseTransport], **options: Any) -> None:
        super().__init__(handler, **options)
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self._connections.discard(self.transport)
        super().connection_lost(error)


@dataclass(frozen=True, slots=True)
class Caught:
    """A mail in the list."""

    id: str
    at: datetime
    subject: str
    to: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A mail as its page shows it."""

    caught: Caught
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str | None


def list_mails(directory: Path, *, offset: int, limit: int) -> tuple[list[Caught], int]:
    """Some mails, newest first, and their number. Names begin with the time; only those shown are read."""
    names = sorted(_names(directory), key=_order, reverse=True)
    return [_summary(directory, name) for name in names[offset : offset + limit]], len(names)


def open_mail(directory: Path, id: str) -> Opened:
    """One mail. Raises NotFound."""
    path = _find(directory, id)
    message = email.message_from_bytes(path.read_bytes(), policy=default_policy)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    return Opened(
        _caught(id, message),
        tuple((name, str(value)) for name, value in message.items()),
        _content(text) if text else "",
        _content(html) if html else None,
    )


def _names(directory: Path) -> list[str]:
    parts = [directory / part for part in ("new", "cur")]
    return [entry.name for part in parts if part.is_dir() for entry in os.scandir(part)]


def _order(name: str) -> tuple[int, str]:
    seconds, _, rest = name.partition(".")
    return (int(seconds) if seconds.isdigit() else 0, rest)


def _find(directory: Path, id: str) -> Path:
    if _ID.fullmatch(id):
        for part in ("new", "cur"):
            for path in (
                directory / part / id,
                *(directory / part).glob(f"{id}:*"),
            ):  # a mail reader adds flags
                if path.is_file():
                    return path
    raise NotFound(f"there is no mail {id}")


def _summary(directory: Path, name: str) -> Caught:
    id = name.partition(":")[0]
    with _find(directory, id).open("rb") as file:
        head = file.read(_HEADER_BYTES).partition(b"\n\n")[0]
    return _caught(id, email.message_from_bytes(head, policy=default_policy))


def _caught(id: str, message: EmailMessage) -> Caught:
    at = datetime.fromtimestamp(_order(id)[0], UTC)
    return Caught(id, at, str(message["Subject"] or ""), str(message["To"] or message["Delivered-To"] or ""))


def _content(part: MIMEPart) -> str:
    content = part.get_content()
    return content if isinstance(content, str) else ""


# --- pages ---


def _directory(request: Request) -> Path:
    return Path(web.house(request).settings.data.dir) / DIRECTORY


async def show_list(request: Request) -> Response:
    """`/demo/mail`: newest first, a page at a time (`?from=50`)."""
    wanted = request.query_params.get("from", "0")
    offset = int(wanted) if wanted.isdecimal() and len(wanted) < 9 else 0
    mails, total = await asyncio.to_thread(list_mails, _directory(request), offset=offset, limit=_PAGE)
    context = {
        "mails": mails,
        "total": total,
        "newer": max(offset - _PAGE, 0) if offset else None,
        "older": offset + _PAGE if offset + _PAGE < total else None,
    }
    return web.render(request, "console/demo_mail.html", context)


async def show_mail(request: Request) -> Response:
    """`/demo/mail/{id}`: the text, the headers, and the HTML part in a frame that may do nothing."""
    mail = await asyncio.to_thread(open_mail, _directory(request), request.path_params["id"])
    response = web.render(request, "console/demo_mail_one.html", {"mail": mail, "parts": linkify(mail.text)})
    response.headers["Content-Security-Policy"] = f"{web.CONTENT_SECURITY_POLICY}; frame-src 'self'"
    return response


async def show_html(request: Request) -> Response:
    """`/demo/mail/{id}/html`: the HTML part alone, for the frame."""
    mail = await asyncio.to_thread(open_mail, _directory(request), request.path_params["id"])
    if mail.html is None:
        raise NotFound("this mail has no HTML part")
    headers = {
        "Content-Security-Policy": _MAIL_POLICY,
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(_retarget(mail.html), headers=headers)


def _retarget(html: str) -> str:
    """Links of the mail open beside the frame, not in it."""
    base = '<base target="_blank">'
    changed, count = re.subn(
        r"<head(\s[^>]*)?>", lambda head: head[0] + base, html, count=1, flags=re.IGNORECASE
    )
    return changed if count else base + html


def linkify(text: str) -> list[tuple[str, bool]]:
    """The text in pieces; True marks a web address, which the page makes a link."""
    pieces = re.split(r"(https?://[^\s<>\"')\]]+)", text)
    return [(piece, index % 2 == 1) for index, piece in enumerate(pieces) if piece]


def routes() -> list[BaseRoute]:
    """The pages of the caught mail."""
    return [
        Route("/demo/mail", show_list),
        Route("/demo/mail/{id}", show_mail),
        Route("/demo/mail/{id}/html", show_html),
    ]
