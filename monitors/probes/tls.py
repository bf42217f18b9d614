"""The TLS probe: whether the certificate holds, is for the host, and how long it still does."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from monitors.probes import Context, Outcome, Verdict, named, probe, unreached
from statuspage.kernel.exchange import ascii_host
from statuspage.kernel.net import Refused, TargetFault, Trust, Untrusted
from statuspage.kernel.trust import Certificate, read_certificate


@dataclass(frozen=True, slots=True)
class Spec:
    """A server whose certificate is watched."""

    host: Annotated[str, Meta(description="Host name or address to connect to.")]
    port: Annotated[int, Meta(ge=1, le=65_535, description="Port that speaks TLS from the first byte.")] = 443
    server_name: Annotated[
        str | None, Meta(description="Name to ask for (SNI) and to find in the certificate; default: `host`.")
    ] = None
    warn_days_left: Annotated[
        int, Meta(ge=0, description="With fewer days left than this the service counts as degraded.")
    ] = 14
    fail_days_left: Annotated[
        int, Meta(ge=0, description="With fewer days left than this the check fails.")
    ] = 0
    ca_file: Annotated[
        str | None, Meta(description="PEM file of the authorities to trust instead of the system's.")
    ] = None

    def __post_init__(self) -> None:
        """Raises ValueError naming the key."""
        named("host", ascii_host, self.host)
        named("server_name", ascii_host, self.server_name or self.host)
        if self.fail_days_left > self.warn_days_left:
            raise ValueError("fail_days_left: must not be more than warn_days_left")


@probe("tls", Spec)
async def check(spec: Spec, context: Context) -> Outcome:
    """Shake hands, read the certificate, hang up."""
    try:
        opening = context.network.open_stream(
            spec.host,
            spec.port,
            timeout_s=context.timeout_s,
            tls=True,
            server_name=spec.server_name,
            trust=Trust(ca_file=spec.ca_file),
        )
        async with await opening as stream:
            phases_ms = stream.phases_ms
            certificate = read_certificate(stream.certificate or b"")
    except (Refused, TargetFault) as error:
        shown = error.certificate if isinstance(error, Untrusted) else None
        return replace(unreached(error, context), facts=_facts(shown) if shown else {})
    verdict, cause = judge(spec, certificate.not_after, context.now)
    return Outcome(verdict, cause, phases_ms["total"], phases_ms, _facts(certificate))


def judge(spec: Spec, expires_at: datetime, now: datetime) -> tuple[Verdict, str]:
    """What a valid certificate's remaining time means, and the cause where it is too short."""
    days_left = (expires_at - now).days
    cause = f"certificate expires in {days_left} day{'s' * (days_left != 1)}"
    if days_left < 0:
        return Verdict.FAILED, "certificate expired"
    if days_left < spec.fail_days_left:
        return Verdict.FAILED, cause
    if days_left < spec.warn_days_left:
        return Verdict.SLOW, cause
    return Verdict.OK, ""


def _facts(certificate: Certificate) -> dict[str, str]:
    return {
        "certificate_expires_at": certificate.not_after.isoformat(),
        "certificate_names": ", ".join(certificate.names),
    }
