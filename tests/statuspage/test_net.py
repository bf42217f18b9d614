"""The guarded door: what it lets out, what it refuses, and whose fault a failure is."""

import asyncio
import resource
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from statuspage.kernel.errors import Invalid, Unavailable
from statuspage.kernel.exchange import parse_url
from statuspage.kernel.guard import Guard
from statuspage.kernel.net import Network, Refused, TargetFault, Trust

LOOPBACK = ["127.0.0.0/8", "::1/128"]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Serve = Callable[..., Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server on an address of loopback that gathers requests in `heard`; gives its port."""
    servers: list[asyncio.Server] = []

    async def start(
        heard: list[bytes], *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                heard.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(ANSWER)
                await writer.drain()
            writer.transport.abort()

        server = await asyncio.start_server(answer, host, port, ssl=tls)
        servers.append(server)
        number: int = server.sockets[0].getsockname()[1]
        return number

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


def found(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that finds these."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:100.64.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:db8::1",
        "2001::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
async def test_an_internal_address_is_refused_written_out_or_found_by_name(address: str) -> None:
    """Abuse case 1."""
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(Refused):
        await Network().request("GET", f"http://{host}/", timeout_s=5)
    with pytest.raises(Refused):
        await Network(resolve=found("93.184.215.14", address)).request(
            "GET", "http://a.example/", timeout_s=5
        )
    with pytest.raises(Refused):
        await Network(resolve=found(address)).open_stream("a.example", 25, timeout_s=5)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "8.8.8.8",
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_a_public_address_is_permitted(address: str) -> None:
    assert Guard([]).permits(address)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "0",
        "1.2.3.08",
        "１２７.1",
    ],
)
async def test_an_odd_spelling_of_an_address_is_refused_even_where_its_network_is_allowed(host: str) -> None:
    """Abuse case 1: decimal, octal, hexadecimal and short forms."""
    network = Network(["0.0.0.0/0"])
    with pytest.raises(Refused, match="spelling"):
        await network.request("GET", f"http://{host}/", timeout_s=5)


@pytest.mark.parametrize(
    "host", ["", "a..b", "a b", "-" * 64, "a" * 64, ".", "fe80::1%lo", "::g", "a/b", "a\r\nb"]
)
async def test_what_cannot_be_a_host_is_refused_by_name(host: str) -> None:
    with pytest.raises(Invalid, match="host"):
        await Network().open_stream(host, 80, timeout_s=5)


async def test_an_allowed_network_is_reached_also_in_its_mapped_form(serve: Serve) -> None:
    heard: list[bytes] = []
    port = await serve(heard)
    for host in ("127.0.0.1", "[::ffff:127.0.0.1]"):
        answer = await Network(LOOPBACK).request("GET", f"http://{host}:{port}/", timeout_s=5)
        assert (answer.status, answer.body) == (200, b"ok")
    with pytest.raises(Refused):
        await Network(["127.0.0.2/32"]).request("GET", f"http://127.0.0.1:{port}/", timeout_s=5)


async def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_connected_to(serve: Serve) -> None:
    """Abuse case 2: a second lookup would lead to the internal server that listens on the same port."""
    good: list[bytes] = []
    internal: list[bytes] = []
    port = await serve(good, host="127.0.0.2")
    await serve(internal, host="127.0.0.1", port=port)
    lookups = []

    async def rebind(host: str, port: int) -> Sequence[str]:
        lookups.append(host)
        return ["127.0.0.2"] if len(lookups) == 1 else ["127.0.0.1"]

    network = Network(["127.0.0.2/32"], resolve=rebind)
    await network.request("GET", f"http://Rebind.Example:{port}/", timeout_s=5)
    assert lookups == ["rebind.example"]
    assert f"Host: rebind.example:{port}".encode() in good[0]
    with pytest.raises(Refused):
        await network.request("GET", f"http://rebind.example:{port}/", timeout_s=5)
    assert internal == []


async def test_the_name_is_kept_for_tls(serve: Serve, tmp_path: Path) -> None:
    """Abuse case 2: SNI and the certificate's check follow the name, not the address."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    asked: list[str] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("portal.example").configure_cert(server)
    server.sni_callback = lambda _, name, __: asked.append(name)
    port = await serve([], tls=server)
    network = Network(LOOPBACK, resolve=found("127.0.0.1"), ca_file=str(tmp_path / "ca.pem"))
    answer = await network.request("GET", f"https://portal.example:{port}/", timeout_s=5)
    assert (answer.status, asked) == (200, ["portal.example"])
    with pytest.raises(TargetFault, match="not valid"):
        await network.request("GET", f"https://other.example:{port}/", timeout_s=5)
    await network.request("GET", f"https://other.example:{port}/", timeout_s=5, trust=Trust(verify=False))


async def test_proxies_of_the_environment_are_ignored(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxied: list[bytes] = []
    direct: list[bytes] = []
    proxy = await serve(proxied)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
    await Network(LOOPBACK).request("GET", f"http://127.0.0.1:{await serve(direct)}/", timeout_s=5)
    assert (len(proxied), len(direct)) == (0, 1)


async def test_the_system_finds_localhost_and_the_guard_still_looks(serve: Serve) -> None:
    port = await serve([])
    network = Network(LOOPBACK)
    answer = await network.request("GET", f"http://localhost:{port}/", timeout_s=5)
    assert answer.status == 200
    network.close()
    guarded = Network()
    with pytest.raises(Refused):
        await guarded.request("GET", f"http://localhost:{port}/", timeout_s=5)
    guarded.close()


async def test_the_next_address_is_tried_where_one_refuses(serve: Serve) -> None:
    port = await serve([], host="127.0.0.3")
    network = Network(LOOPBACK, resolve=found("127.0.0.2", "127.0.0.3"))
    answer = await network.request("GET", f"http://a.example:{port}/", timeout_s=5)
    assert answer.status == 200


async def test_the_next_address_is_tried_where_one_is_silent(serve: Serve) -> None:
    """A full listening queue swallows connections as a firewall does."""
    port = await serve([], host="127.0.0.3")
    with socket.socket() as silent, socket.socket() as first, socket.socket() as second:
        silent.bind(("127.0.0.2", port))
        silent.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
        network = Network(LOOPBACK, resolve=found("127.0.0.2", "127.0.0.3"))
        answer = await network.request("GET", f"http://a.example:{port}/", timeout_s=1)
        assert answer.status == 200
        with pytest.raises(TargetFault, match=r"no connection within 0\.2 s"):
            await network.request("GET", f"http://127.0.0.2:{port}/", timeout_s=0.2)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (socket.EAI_NONAME, "name not found"),
        (socket.EAI_AGAIN, "the name servers do not answer"),
    ],
)
async def test_a_name_that_is_not_found_is_the_targets_fault(code: int, cause: str) -> None:
    async def fail(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(code, "said the resolver")

    with pytest.raises(TargetFault) as caught:
        await Network(resolve=fail).request("GET", "http://a.example/", timeout_s=5)
    assert str(caught.value) == cause
    assert "total" in caught.value.phases_ms


async def test_a_slow_lookup_ends_at_the_deadline() -> None:
    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(TargetFault, match=r"no address of the name within 0\.1 s"):
        await Network(resolve=hang).request("GET", "http://a.example/", timeout_s=0.1)


async def test_waiting_for_a_free_lookup_thread_is_our_own_fault() -> None:
    blocked = threading.Event()
    with ThreadPoolExecutor(1) as lookups:
        lookups.submit(blocked.wait)
        network = Network(LOOPBACK, lookups=lookups)
        with pytest.raises(Unavailable, match="held up"):
            await network.request("GET", "http://localhost/", timeout_s=0.1)
        blocked.set()


async def test_a_cancelled_request_leaves_no_connection_behind() -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        closed.set()
        writer.close()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    request = asyncio.create_task(Network(LOOPBACK).request("GET", url, timeout_s=60))
    await asyncio.wait_for(asked.wait(), 5)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await asyncio.wait_for(closed.wait(), 5)
    server.close()


async def test_a_stream_that_fails_to_open_tells_how_long_it_took() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(TargetFault, match="connection refused") as caught:
            await Network(LOOPBACK).open_stream("127.0.0.1", free.getsockname()[1], timeout_s=5)
    assert {"dns", "total"} <= set(caught.value.phases_ms)
    with pytest.raises(TargetFault, match="name not found") as caught:
        await Network(resolve=found()).open_stream("a.example", 25, timeout_s=5)
    assert "total" in caught.value.phases_ms


async def test_running_out_of_file_descriptors_is_our_own_fault(serve: Serve) -> None:
    port = await serve([])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as highest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), hard))
        try:
            with pytest.raises(Unavailable, match="Too many open files"):
                await Network(LOOPBACK).request("GET", f"http://127.0.0.1:{port}/", timeout_s=5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_deadline_missed_because_we_were_held_up_is_our_own_fault() -> None:
    """The loop is blocked past the deadline: that the answer is late says nothing about the target."""

    async def block(host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        until = loop.time() + 1.3
        while loop.time() < until:
            pass
        await asyncio.Event().wait()
        return []

    with pytest.raises(Unavailable, match="held up"):
        await Network(resolve=block).request("GET", "http://a.example/", timeout_s=0.1)


async def test_a_header_cannot_be_broken_out_of(serve: Serve) -> None:
    heard: list[bytes] = []
    port = await serve(heard)
    for header in (("X", "a\r\nEvil: 1"), ("X: a\r\nEvil", "1"), ("X", "a\0")):
        with pytest.raises(Invalid):
            await Network(LOOPBACK).request("GET", f"http://127.0.0.1:{port}/", timeout_s=5, headers=[header])
    assert heard == []


async def test_credentials_do_not_follow_a_redirect_to_another_origin(serve: Serve) -> None:
    heard: list[bytes] = []
    there = await serve(heard)

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 On\r\nLocation: http://127.0.0.1:{there}/x\r\n\r\n".encode())
        await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    here = server.sockets[0].getsockname()[1]
    headers = [("Authorization", "Bearer secret"), ("Cookie", "a=b"), ("X-Kept", "yes")]
    answer = await Network(LOOPBACK).request(
        "POST", f"http://127.0.0.1:{here}/", timeout_s=5, headers=headers, body=b"data"
    )
    server.close()
    assert answer.url.port == there
    assert heard[0].startswith(b"GET /x HTTP/1.1\r\n")
    assert b"X-Kept: yes" in heard[0]
    assert b"secret" not in heard[0]
    assert b"Cookie" not in heard[0]


@pytest.mark.parametrize(
    ("text", "authority", "target"),
    [
        ("http://A.example", "a.example", "/"),
        ("https://a.example:443/x?y=z#f", "a.example", "/x?y=z"),
        ("http://a.example:8080/ą b".replace(" ", "%20"), "a.example:8080", "/%C4%85%20b"),
        ("http://[2001:DB8:0::1]:81/", "[2001:db8::1]:81", "/"),
        ("http://zażółć.example/", "xn--za-6ja4f8n1l.example", "/"),
    ],
)
def test_a_url_is_taken_apart_one_way(text: str, authority: str, target: str) -> None:
    url = parse_url(text)
    assert (url.authority, url.target) == (authority, target)
