"""The demo's mail catcher: a real SMTP server that delivers into a Maildir, and the pages that show it."""

import asyncio
import email
import itertools
import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from email.policy import default as default_policy
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from statuspage.demo.simulator import HOST
from statuspage.demo.smtp import Envelope, Receiver
from statuspage.kernel import clock, web
from statuspage.kernel.errors import NotFound

DIRECTORY = "mail"
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
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen on loopback; returns the port."""
        for part in ("tmp", "new", "cur"):
            (self.directory / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Stop listening, hang up, and let the last delivery end."""
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._tasks.add(task)
        try:
            await Receiver(reader, writer, self._keep).serve()
        except asyncio.CancelledError:
            writer.transport.abort()  # `stop`; asyncio's streams would report the cancellation as a fault
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _keep(self, envelope: Envelope) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._deliver, envelope)

    def _deliver(self, envelope: Envelope) -> None:
        """Write to tmp, then move to new. Without fsync: the demo's mails need not survive a power cut."""
        trace = [f"Return-Path: <{envelope.sender}>", *(f"Delivered-To: {to}" for to in envelope.recipients)]
        seconds, micros = divmod(int(clock.now().timestamp() * 1_000_000), 1_000_000)
        name = f"{seconds}.M{micros:06}P{os.getpid()}Q{next(self._counter)}.{socket.gethostname()}"
        draft = self.directory / "tmp" / name
        draft.write_bytes(
            "".join(f"{line}\n" for line in trace).encode() + envelope.content.replace(b"\r\n", b"\n")
        )
        draft.rename(self.directory / "new" / name)


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
    paths = sorted(_paths(directory), key=lambda path: _order(path.name), reverse=True)
    return [_summary(path) for path in paths[offset : offset + limit]], len(paths)


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


def _paths(directory: Path) -> list[Path]:
    parts = [directory / part for part in ("new", "cur")]
    return [Path(entry.path) for part in parts if part.is_dir() for entry in os.scandir(part)]


def _order(name: str) -> tuple[int, str]:
    seconds, _, rest = name.partition(".")
    return (int(seconds) if seconds.isdigit() else 0, rest)


def _find(directory: Path, id: str) -> Path:
    if _ID.fullmatch(id):
        if (delivered := directory / "new" / id).is_file():
            return delivered
        for path in (directory / "cur").glob(f"{id}*"):  # a mail reader adds flags
            if path.name.partition(":")[0] == id:
                return path
    raise NotFound(f"there is no mail {id}")


def _summary(path: Path) -> Caught:
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES).partition(b"\n\n")[0]
    return _caught(path.name.partition(":")[0], email.message_from_bytes(head, policy=default_policy))


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
    response = web.render(request, "console/demo_mail_one.html", {"mail": mail, "lines": linkify(mail.text)})
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


def linkify(text: str) -> list[list[tuple[str, bool]]]:
    """The lines of a text in pieces; True marks a web address, which the page makes a link."""
    lines = []
    for line in text.rstrip().splitlines():
        indented = "\u00a0" * (len(line) - len(line.lstrip())) + line.lstrip()
        pieces = re.split(r"(https?://[^\s<>\"')\]]+)", indented)
        lines.append([(piece, index % 2 == 1) for index, piece in enumerate(pieces) if piece])
    return lines


def routes() -> list[BaseRoute]:
    """The pages of the caught mail."""
    return [
        Route("/demo/mail", show_list),
        Route("/demo/mail/{id}", show_mail),
        Route("/demo/mail/{id}/html", show_html),
    ]
