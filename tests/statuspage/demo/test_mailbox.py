"""The mail catcher, spoken to by real SMTP clients; its pages, asked for over ASGI."""

import asyncio
import mailbox
import re
import smtplib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from statuspage.demo.mailbox import Catcher, linkify, list_mails, open_mail, routes
from statuspage.kernel import web
from statuspage.kernel.config import Settings
from statuspage.kernel.db import Database
from statuspage.kernel.errors import NotFound
from statuspage.kernel.house import House
from statuspage.kernel.i18n import Catalogues
from statuspage.kernel.net import Network
from statuspage.kernel.security import Signer


def letter(subject: str = "NCTS2: awaria od 06:10", *, text: str = "Papier dozwolony.\n") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "status@customs.example"
    message["To"] = "agent@example.org"
    message["Subject"] = subject
    message["List-Unsubscribe"] = "<http://127.0.0.1:8000/unsubscribe/abc>"
    message.set_content(text)
    message.add_alternative(
        "<html><head></head><body><p>Papier dozwolony – zażółć.</p></body></html>", subtype="html"
    )
    return message


@pytest_asyncio.fixture
async def caught(tmp_path: Path) -> AsyncIterator[tuple[Path, int]]:
    catcher = Catcher(tmp_path / "mail")
    port = await catcher.start()
    yield tmp_path / "mail", port
    await catcher.stop()


async def test_a_mail_becomes_a_file_of_a_maildir(caught: tuple[Path, int]) -> None:
    directory, port = caught

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.send_message(letter())

    await asyncio.to_thread(send)
    (kept,) = mailbox.Maildir(directory, create=False)
    assert kept["To"] == "agent@example.org"
    assert kept["Delivered-To"] == "agent@example.org"
    assert kept["Return-Path"] == "<status@customs.example>"
    assert kept["List-Unsubscribe"] == "<http://127.0.0.1:8000/unsubscribe/abc>"


async def test_the_answer_is_given_only_when_the_mail_is_kept(caught: tuple[Path, int]) -> None:
    directory, port = caught
    await aiosmtplib.send(letter(), hostname="127.0.0.1", port=port)
    assert len(list((directory / "new").iterdir())) == 1
    assert not list((directory / "tmp").iterdir())


async def test_many_mails_over_several_connections_are_all_kept(caught: tuple[Path, int]) -> None:
    directory, port = caught

    async def send(lane: int) -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for number in range(50):
                await client.sendmail(
                    "status@customs.example",
                    [f"agent{lane}-{number}@example.org"],
                    f"Subject: {lane}-{number}\r\n\r\n.leading dot\r\n".encode(),
                )

    await asyncio.gather(*(send(lane) for lane in range(8)))
    mails, total = list_mails(directory, offset=0, limit=1000)
    assert total == 400
    assert {mail.subject for mail in mails} == {f"{lane}-{n}" for lane in range(8) for n in range(50)}
    assert open_mail(directory, mails[0].id).text == ".leading dot\n"


async def test_the_list_is_newest_first_and_comes_in_pages(caught: tuple[Path, int]) -> None:
    directory, port = caught
    for number in range(5):
        await aiosmtplib.send(letter(f"mail {number}"), hostname="127.0.0.1", port=port)
    mails, total = list_mails(directory, offset=1, limit=2)
    assert [mail.subject for mail in mails] == ["mail 3", "mail 2"]
    assert total == 5


async def test_an_opened_mail_shows_both_parts_and_its_headers(caught: tuple[Path, int]) -> None:
    directory, port = caught
    await aiosmtplib.send(letter("zażółć gęślą jaźń"), hostname="127.0.0.1", port=port)
    mails, _ = list_mails(directory, offset=0, limit=1)
    mail = open_mail(directory, mails[0].id)
    assert mail.caught.subject == "zażółć gęślą jaźń"
    assert mail.caught.to == "agent@example.org"
    assert "Papier dozwolony" in mail.text
    assert mail.html is not None
    assert "zażółć" in mail.html
    assert ("List-Unsubscribe", "<http://127.0.0.1:8000/unsubscribe/abc>") in mail.headers


async def test_a_mail_that_another_program_marked_as_read_is_still_found(caught: tuple[Path, int]) -> None:
    directory, port = caught
    await aiosmtplib.send(letter(), hostname="127.0.0.1", port=port)
    (new,) = (directory / "new").iterdir()
    new.rename(directory / "cur" / f"{new.name}:2,S")
    mails, _ = list_mails(directory, offset=0, limit=1)
    assert open_mail(directory, mails[0].id).caught.subject == "NCTS2: awaria od 06:10"


@pytest.mark.parametrize("id", ["nothing", "../../etc/passwd", "*", "", "a" * 300])
def test_an_unknown_or_hostile_name_is_not_found(tmp_path: Path, id: str) -> None:
    with pytest.raises(NotFound):
        open_mail(tmp_path, id)


async def test_a_mail_too_large_is_refused_and_nothing_is_kept(caught: tuple[Path, int]) -> None:
    directory, port = caught
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
        with pytest.raises(aiosmtplib.SMTPResponseException):
            await client.sendmail(
                "a@example.org", ["b@example.org"], b"Subject: x\r\n\r\n" + b"x\r\n" * 3_000_000
            )
    assert not list((directory / "new").iterdir())


async def test_stopping_hangs_up_on_a_client_that_idles(tmp_path: Path) -> None:
    catcher = Catcher(tmp_path)
    port = await catcher.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    await catcher.stop()
    async with asyncio.timeout(10):
        while await reader.readline():
            pass
    writer.close()


def test_web_addresses_in_the_text_are_told_apart() -> None:
    lines = linkify(
        "Potwierdź: http://127.0.0.1:8000/subscriptions/x/confirm\n  i <https://example.org/a>.\n\n"
    )
    assert lines == [
        [("Potwierdź: ", False), ("http://127.0.0.1:8000/subscriptions/x/confirm", True)],
        [("\u00a0\u00a0i <", False), ("https://example.org/a", True), (">.", False)],
    ]


@dataclass(frozen=True)
class Reader:
    """Somebody who looks at the demo's mail pages."""

    client: httpx.AsyncClient
    port: int

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)


@pytest_asyncio.fixture
async def reader(settings: Settings, sqlite_db: Database) -> AsyncIterator[Reader]:
    catcher = Catcher(Path(settings.data.dir) / "mail")
    port = await catcher.start()
    network = Network(settings.security.allow_networks)
    routed = Starlette(routes=routes(), exception_handlers=web.EXCEPTION_HANDLERS)
    routed.state.house = House(settings, sqlite_db, network, Signer("x" * 32), Catalogues(), is_demo=True)
    app = web.Languages(web.Guard(routed, settings.server.base_url), "pl")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000"
    ) as client:
        yield Reader(client, port)
    await catcher.stop()
    network.close()


async def test_an_empty_list_says_what_one_can_do(reader: Reader) -> None:
    assert "Nothing has been sent yet." in (await reader.get("/en/demo/mail")).text
    assert "Nic jeszcze nie wysłano." in (await reader.get("/pl/demo/mail")).text


async def test_the_list_leads_to_a_mail_and_its_links_can_be_followed(reader: Reader) -> None:
    text = "Potwierdź: http://127.0.0.1:8000/subscriptions/x/confirm\n<script>alert(1)</script>\n"
    await aiosmtplib.send(letter("Potwierdź <adres>", text=text), hostname="127.0.0.1", port=reader.port)
    page = (await reader.get("/pl/demo/mail")).text
    assert "Potwierdź &lt;adres&gt;" in page
    assert "agent@example.org" in page
    (address,) = re.findall(r'href="(/pl/demo/mail/[^"]+)"', page)
    mail = await reader.get(address)
    confirm = "http://127.0.0.1:8000/subscriptions/x/confirm"
    assert f'<a href="{confirm}">{confirm}</a>' in mail.text
    assert "<script>alert" not in mail.text
    assert f'src="{address}/html"' in mail.text
    assert "frame-src 'self'" in mail.headers["Content-Security-Policy"]


async def test_the_html_part_may_neither_run_nor_load_anything(reader: Reader) -> None:
    await aiosmtplib.send(letter(), hostname="127.0.0.1", port=reader.port)
    (address,) = re.findall(r'href="(/en/demo/mail/[^"]+)"', (await reader.get("/en/demo/mail")).text)
    answer = await reader.get(f"{address}/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox allow-popups" in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert '<head><base target="_blank">' in answer.text
    assert "zażółć" in answer.text


async def test_a_mail_that_is_not_there_is_404(reader: Reader) -> None:
    assert (await reader.get("/demo/mail/nothing")).status_code == 404
    assert (await reader.get("/demo/mail/nothing/html")).status_code == 404


async def test_a_long_list_is_paged(reader: Reader) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=reader.port, start_tls=False) as client:
        for number in range(51):
            await client.sendmail(
                "a@example.org", ["b@example.org"], f"Subject: s{number}\r\n\r\nx\r\n".encode()
            )
    first, second = await reader.get("/en/demo/mail"), await reader.get("/en/demo/mail?from=50")
    assert 'href="/en/demo/mail?from=50"' in first.text
    assert ">s0<" not in first.text
    assert ">s0<" in second.text
    assert 'href="/en/demo/mail?from=0"' in second.text
    assert (await reader.get("/en/demo/mail?from=nonsense")).status_code == 200
