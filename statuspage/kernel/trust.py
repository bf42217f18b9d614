"""Whom TLS trusts, and what a certificate says that does not hold."""

import ssl
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from statuspage.kernel.errors import Invalid
from statuspage.kernel.exchange import TargetFault

# X509_V_ERR_… of OpenSSL's x509_vfy.h
_NOT_YET_VALID, _EXPIRED, _HOST_MISMATCH, _ADDRESS_MISMATCH = 9, 10, 62, 64
_NO_AUTHORITY = {2, 18, 19, 20, 21}


@dataclass(frozen=True, slots=True)
class Trust:
    """How the other side's certificate is judged. `ca_file` (PEM) replaces the authorities of the system."""

    verify: bool = True
    ca_file: str | None = None


SYSTEM_TRUST = Trust()


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is read of a certificate, trusted or not."""

    names: tuple[str, ...]  # DNS names and addresses it is for
    not_before: datetime
    not_after: datetime


class Untrusted(TargetFault):
    """The certificate does not hold. `certificate` is what was shown, where it could still be read."""

    def __init__(
        self, error: ssl.SSLCertVerificationError, host: str, certificate: Certificate | None
    ) -> None:
        super().__init__(f"certificate not valid: {error.verify_message}")
        self.certificate = certificate
        self._code = error.verify_code
        self._host = host

    def cause(self, now: datetime) -> str:
        if self._code == _EXPIRED:
            return self._expired(now)
        if self._code == _NOT_YET_VALID:
            return "certificate is not valid yet"
        if self._code in (_HOST_MISMATCH, _ADDRESS_MISMATCH):
            return f"certificate is not for {self._host}"
        if self._code in _NO_AUTHORITY:
            return "certificate is not signed by a trusted authority"
        return str(self)

    def _expired(self, now: datetime) -> str:
        if self.certificate is None:
            return "certificate expired"
        if self.certificate.not_after > now:
            return "a certificate in the chain expired"
        days = (now - self.certificate.not_after).days
        return (
            f"certificate expired {days} day{'s' * (days != 1)} ago" if days else "certificate expired today"
        )


class Contexts:
    """One TLS context for each way to trust, made when first needed; making one takes 10 ms and more."""

    def __init__(self, ca_file: str | None = None) -> None:
        self._ca_file = ca_file
        self._contexts: dict[Trust, ssl.SSLContext] = {}

    def get(self, trust: Trust) -> ssl.SSLContext:
        """Raises Invalid where the authorities' file cannot be read."""
        if (context := self._contexts.get(trust)) is not None:
            return context
        try:
            context = ssl.create_default_context(cafile=trust.ca_file)
            if self._ca_file is not None and trust.ca_file is None:
                context.load_verify_locations(self._ca_file)
        except OSError as error:
            raise Invalid("ca_file", f"{trust.ca_file or self._ca_file}: {error.strerror or error}") from None
        if not trust.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._contexts[trust] = context
        return context


@lru_cache(maxsize=1024)
def read_certificate(der: bytes) -> Certificate:
    """Raises TargetFault for bytes that are not a certificate."""
    try:
        parsed = x509.load_der_x509_certificate(der)
        names = _names(parsed)
    except ValueError as error:
        raise TargetFault(f"the certificate cannot be read: {error}") from None
    return Certificate(names, parsed.not_valid_before_utc, parsed.not_valid_after_utc)


def _names(parsed: x509.Certificate) -> tuple[str, ...]:
    try:
        alternative = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = (str(address) for address in alternative.get_values_for_type(x509.IPAddress))
    return (*alternative.get_values_for_type(x509.DNSName), *addresses)
