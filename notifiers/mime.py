"""A composed mail as bytes: serialised once, filled in for each recipient in a microsecond.

What differs (address, Message-ID, links) stands in slots.
"""

import re
from datetime import UTC
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from notifiers.links import MANAGE_SLOT, UNSUBSCRIBE_SLOT, unsubscribe_url
from notifiers.tables import Message
from statuspage.kernel.house import House

_TO_SLOT = b"\x00to\x00"
_ID_SLOT = b"\x00id\x00"
_CRLF = "\r\n"


class Template:
    """A serialised message with slots: `fill` takes a microsecond, building a message a thousand."""

    def __init__(self, raw: bytes) -> None:
        slots = (_TO_SLOT, _ID_SLOT, MANAGE_SLOT.encode(), UNSUBSCRIBE_SLOT.encode())
        self._parts = re.split(b"(" + b"|".join(re.escape(slot) for slot in slots) + b")", _stuff(_mend(raw)))

    def fill(self, *, to: str, message_id: str, manage: str = "", unsubscribe: str = "") -> bytes:
        """The message for one recipient, ready for the wire: lines end in CRLF, dots are stuffed."""
        values = {
            _TO_SLOT: to.encode(),
            _ID_SLOT: message_id.encode(),
            MANAGE_SLOT.encode(): manage.encode(),
            UNSUBSCRIBE_SLOT.encode(): unsubscribe.encode(),
        }
        return b"".join([values.get(part, part) for part in self._parts])


def template(house: House, message: Message) -> Template:
    """Serialise a message. Mails of an event are list mail: they carry List-Id and one-click unsubscribe."""
    is_list = message.event_seq is not None
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _sender(house, message.language)
    mail["Date"] = format_datetime(message.created_at.astimezone(UTC))
    if is_list:
        mail["List-Id"] = f"<{house.settings.mail.list_id}>"
    for name, value in {"Auto-Submitted": "auto-generated", **message.headers}.items():
        mail[name] = value
    mail["Content-Language"] = message.language
    mail.set_content(message.text, cte="quoted-printable")
    if message.html:
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
        mail.set_boundary(
            f"=_{message.id:08d}_of_this_mail"
        )  # repeats must not differ; "=_" cannot occur inside
    return Template(_subject(message.subject) + _own_lines(house, is_list=is_list) + mail.as_bytes())


def _subject(subject: str) -> bytes:
    """RFC 2047, each encoded word a whole number of characters."""
    encoded = Header(subject, "ascii" if subject.isascii() else "utf-8", maxlinelen=76, header_name="Subject")
    return f"Subject: {encoded.encode(linesep=_CRLF)}\r\n".encode()


def _own_lines(house: House, *, is_list: bool) -> bytes:
    """Each recipient's headers, by hand: the email package folds long URLs into encoded words."""
    lines = b"To: %s\r\nMessage-ID: <%s@%s>\r\n" % (_TO_SLOT, _ID_SLOT, _domain(house).encode())
    if is_list:
        lines += f"List-Unsubscribe: <{unsubscribe_url(house, UNSUBSCRIBE_SLOT)}>\r\n".encode()
        lines += b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    return lines


def _mend(raw: bytes) -> bytes:
    """Give a slot that quoted-printable broke over two lines a line of its own."""
    for slot in (MANAGE_SLOT.encode(), UNSUBSCRIBE_SLOT.encode()):
        perhaps_broken = rb"(?:=\r\n)?".join(re.escape(bytes([byte])) for byte in slot)
        for found in set(re.findall(perhaps_broken, raw)) - {slot}:
            raw = raw.replace(found, b"=\r\n" + slot + b"=\r\n")
    return raw


def _stuff(raw: bytes) -> bytes:
    """Double a dot that begins a line (RFC 5321 §4.5.2); what comes into the slots begins none."""
    return raw.replace(b"\n.", b"\n..")


def envelope_sender(house: House) -> str:
    """The bare address that mails come from."""
    return parseaddr(house.settings.mail.sender)[1]


def _domain(house: House) -> str:
    return envelope_sender(house).rpartition("@")[2]


def _sender(house: House, language: str) -> Address:
    name, address = parseaddr(house.settings.mail.sender)
    page = house.settings.page
    return Address(name or (page.name_pl if language == "pl" else page.name_en), addr_spec=address)
