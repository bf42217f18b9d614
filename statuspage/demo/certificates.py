"""The demo's own certificate authority, a valid and an expired certificate; made once, kept on disk."""

import os
import ssl
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from statuspage.kernel import clock

_LIFETIME = timedelta(days=397)
_RENEW_AFTER = timedelta(days=300)
HOSTS = tuple(f"127.0.1.{number}" for number in range(1, 65))  # one for each service
_NAMES = ("127.0.0.1", "localhost", *HOSTS)


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files; `valid` and `expired` hold the key and the chain."""

    ca: Path
    valid: Path
    expired: Path

    def context(self, *, expired: bool = False) -> ssl.SSLContext:
        """A context for servers."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.expired if expired else self.valid)
        return context


def keep(directory: Path) -> Certificates:
    """The certificates in `directory`, made anew where they are missing or getting old."""
    files = Certificates(directory / "ca.pem", directory / "valid.pem", directory / "expired.pem")
    paths = (files.ca, files.valid, files.expired)
    oldest = time.time() - _RENEW_AFTER.total_seconds()
    if not all(path.exists() and path.stat().st_mtime > oldest for path in paths):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _issue(files)
    return files


def _issue(files: Certificates) -> None:
    import trustme  # brings `cryptography`, 15 MB resident: only for the first start

    now = clock.now()
    ca = trustme.CA(organization_name="Customs demo", organization_unit_name="Demo certificate authority")
    valid = ca.issue_cert(*_NAMES, not_before=now - timedelta(days=1), not_after=now + _LIFETIME)
    expired = ca.issue_cert(*_NAMES, not_before=now - _LIFETIME, not_after=now - timedelta(days=1))
    _write(files.ca, ca.cert_pem.bytes())
    _write(files.valid, valid.private_key_and_cert_chain_pem.bytes())
    _write(files.expired, expired.private_key_and_cert_chain_pem.bytes())


def _write(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
