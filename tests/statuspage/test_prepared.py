"""Answers made in advance: encodings, ETag, 304."""

import gzip

import brotli
import pytest
from starlette.types import Message

from statuspage.kernel.prepared import PAGE, prepare

BODY = b"<p>NCTS2 works</p>" * 100


async def answer(
    *, encoding: bytes = b"", etag: bytes = b"", is_head: bool = False
) -> tuple[int, dict[str, str], bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    made = prepare(BODY, "text/html; charset=utf-8", cache=PAGE)
    await made.send(send, accept_encoding=encoding, if_none_match=etag, is_head=is_head)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        (b"", None),
        (b"identity", None),
        (b"gzip", "gzip"),
        (b"gzip, deflate, br", "br"),
        (b"br;q=0, gzip", "gzip"),
        (b"deflate", None),
    ],
)
async def test_the_best_accepted_encoding_is_sent(accepted: bytes, encoding: str | None) -> None:
    status, headers, body = await answer(encoding=accepted)
    decode = {"gzip": gzip.decompress, "br": brotli.decompress}.get(encoding or "", bytes)
    assert (status, decode(body)) == (200, BODY)
    assert headers.get("content-encoding") == encoding
    assert int(headers["content-length"]) == len(body)
    assert "Accept-Encoding" in headers["vary"]


async def test_a_known_etag_is_answered_304_without_a_body() -> None:
    _, headers, _ = await answer()
    status, again, body = await answer(etag=headers["etag"].encode())
    assert (status, body) == (304, b"")
    assert again["etag"] == headers["etag"]
    status, _, _ = await answer(etag=b'W/"other", ' + headers["etag"].encode())
    assert status == 304
    status, _, _ = await answer(etag=b'W/"other"')
    assert status == 200


async def test_head_sends_the_headers_alone() -> None:
    status, headers, body = await answer(is_head=True)
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) == len(BODY)


async def test_every_answer_carries_the_security_headers() -> None:
    _, headers, _ = await answer()
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_same_body_has_the_same_etag_and_another_has_not() -> None:
    assert prepare(BODY, "text/html", cache=PAGE).etag == prepare(BODY, "text/html", cache=PAGE).etag
    assert prepare(BODY, "text/html", cache=PAGE).etag != prepare(BODY + b"!", "text/html", cache=PAGE).etag
