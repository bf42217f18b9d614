"""Tokens and limits. Links in every mail are HMAC-derived; all other tokens are random and stored hashed."""

import hashlib
import hmac
import ipaddress
import os
import secrets
import tempfile
from base64 import urlsafe_b64encode
from collections import deque
from contextlib import suppress
from pathlib import Path

from statuspage.kernel.errors import Invalid, TooMany

MIN_SECRET = 32


_HMAC_BLOCK = 64


class Signer:
    """Derives and checks tokens of the form `value.mac` with a 128-bit HMAC-SHA-256.

    A 12-character id gives 35 characters, short enough for an unfolded List-Unsubscribe header.
    """

    def __init__(self, secret: str) -> None:
        # HMAC's two keyed states (RFC 2104 §2), made once: copying them is twice as fast as hmac.digest.
        key = secret.encode()
        key = (hashlib.sha256(key).digest() if len(key) > _HMAC_BLOCK else key).ljust(_HMAC_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def sign(self, purpose: str, value: str) -> str:
        """The token for `value`; good for `purpose` alone."""
        return f"{value}.{self._mac(purpose, value)}"

    def verify(self, purpose: str, token: str) -> str | None:
        """The value inside the token, or None if we did not sign it for this purpose."""
        value, separator, mac = token.rpartition(".")
        if not separator or not hmac.compare_digest(mac.encode(), self._mac(purpose, value).encode()):
            return None
        return value

    def _mac(self, purpose: str, value: str) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(f"{purpose}\0{value}".encode())
        outer.update(inner.digest())
        return urlsafe_b64encode(outer.digest()[:16]).rstrip(b"=").decode()


def random_token() -> str:
    """A token of 192 random bits. Store only its hash."""
    return secrets.token_urlsafe(24)


def hash_token(token: str) -> str:
    """What is stored of a random token. It has enough entropy that a fast hash is safe."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def load_or_make_secret(directory: Path) -> str:
    """The secret kept in `directory`/secret, made on the first call, readable by the owner alone.

    Raises Invalid when what stands there is too short to be one.
    """
    path = directory / "secret"
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(48))
    secret = path.read_text(encoding="ascii").strip()
    if len(secret) < MIN_SECRET:
        raise Invalid(
            str(path), f"at least {MIN_SECRET} characters are needed; delete it to have a new one made"
        )
    return secret


def _write_once(path: Path, text: str) -> None:
    """Wholly or not at all, and never over what another program wrote at the same time."""
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        os.unlink(unfinished)


class RateLimit:
    """At most `count` uses of a key in `window_s` seconds, kept in memory and bounded in size."""

    def __init__(self, count: int, window_s: float, *, max_keys: int = 100_000) -> None:
        self._count = count
        self._window_s = window_s
        self._max_keys = max_keys
        self._uses: dict[str, deque[float]] = {}

    def use(self, key: str, *, at_s: float) -> None:
        """Count one use at the monotonic time `at_s`. Raises TooMany past the limit."""
        uses = self._uses.setdefault(key, deque())
        while uses and uses[0] <= at_s - self._window_s:
            uses.popleft()
        if len(uses) >= self._count:
            raise TooMany("too many attempts", retry_after_s=max(1, int(uses[0] + self._window_s - at_s)))
        uses.append(at_s)
        if len(self._uses) > self._max_keys:
            self._uses.pop(next(iter(self._uses)))


def network_of(address: str) -> str:
    """The network an address is limited with: the /24 of IPv4, the /56 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    prefix = 24 if parsed.version == 4 else 56
    return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))
