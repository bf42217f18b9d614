"""A real OpenID Connect provider, oidc-provider-mock, in a process of its own, and a browser's way through it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from statuspage.kernel.config import Oidc

PATIENCE_S = 20.0
INSISTING = ("--require-registration", "true", "--require-nonce", "true")


@dataclass(frozen=True)
class RunningProvider:
    """Where it stands, and what it agreed with us."""

    issuer: str
    client_id: str
    client_secret: str

    def settings(self, **changed: object) -> Oidc:
        known: dict[str, object] = {
            "issuer": self.issuer,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "roles": {"status-operators": "operator", "status-desk": "agent"},
        }
        return Oidc(**(known | changed))  # type: ignore[arg-type]

    def knows(self, subject: str, **claims: object) -> None:
        """Somebody may sign in there."""
        answer = httpx.put(f"{self.issuer}/users/{quote(subject)}", json=claims)
        assert answer.status_code == 204, answer.text

    def sign_in(self, url: str, subject: str) -> str:
        """What the person does there; returns where the browser is sent back to."""
        assert httpx.get(url).status_code == 200, "the form"
        answer = httpx.post(url, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def deny(self, url: str) -> str:
        """They change their mind."""
        return httpx.post(url, data={"action": "deny"}).headers["location"]


@contextmanager
def running(redirect_uri: str) -> Iterator[RunningProvider]:
    """It insists on registered clients and on a nonce."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    issuer = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *INSISTING],
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(issuer, process)
        body = {"redirect_uris": [redirect_uri]}
        agreed = httpx.post(f"{issuer}/oauth2/clients", json=body).json()
        yield RunningProvider(issuer, agreed["client_id"], agreed["client_secret"])
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(issuer: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "the provider ended"
        try:
            httpx.get(f"{issuer}/.well-known/openid-configuration")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the provider did not start")
