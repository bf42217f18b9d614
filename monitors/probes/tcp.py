"""The TCP probe: a connection, and where asked for something said and something heard."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from monitors.patterns import compile_pattern
from monitors.probes import Context, Outcome, Verdict, named, probe, reached, unreached
from statuspage.kernel.exchange import ascii_host
from statuspage.kernel.net import Refused, Stream, TargetFault, Trust

_MAX_HEARD_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Spec:
    """A port that must take connections, and answer where `expect` says so."""

    host: Annotated[str, Meta(description="Host name or address.")]
    port: Annotated[int, Meta(ge=1, le=65_535, description="Port to connect to.")]
    send: Annotated[str, Meta(max_length=65_536, description="Text to send once connected, in UTF-8.")] = ""
    expect: Annotated[
        str | None, Meta(description="Regular expression (RE2) to match in the first 16 KiB received.")
    ] = None
    tls: Annotated[bool, Meta(description="Whether TLS is spoken from the first byte.")] = False
    verify_tls: Annotated[bool, Meta(description="Whether the certificate must be valid.")] = True
    ca_file: Annotated[
        str | None, Meta(description="PEM file of the authorities to trust instead of the system's.")
    ] = None
    slow_above: Annotated[timedelta | None, Meta(description="Right, but later than this, is slow.")] = None

    def __post_init__(self) -> None:
        """Raises ValueError naming the key."""
        named("host", ascii_host, self.host)
        named("expect", compile_pattern, self.expect or "")


@probe("tcp", Spec)
async def check(spec: Spec, context: Context) -> Outcome:
    """Connect, say, listen, hang up."""
    try:
        opening = context.network.open_stream(
            spec.host,
            spec.port,
            timeout_s=context.timeout_s,
            tls=spec.tls,
            trust=Trust(spec.verify_tls, spec.ca_file),
        )
        async with await opening as stream:
            cause = await _converse(spec, stream)
            phases_ms = stream.phases_ms
    except (Refused, TargetFault) as error:
        return unreached(error, context)
    if cause:
        return Outcome(Verdict.FAILED, cause, phases_ms["total"], phases_ms)
    return reached(phases_ms, spec.slow_above)


async def _converse(spec: Spec, stream: Stream) -> str:
    """The cause where what was heard is wrong, else nothing. Raises TargetFault."""
    if spec.send:
        await stream.write(spec.send.encode())
    if spec.expect is None:
        return ""
    expected = compile_pattern(spec.expect)
    heard = b""
    while len(heard) < _MAX_HEARD_BYTES:
        more = await stream.read(_MAX_HEARD_BYTES - len(heard))
        if not more:
            break
        heard += more
        stream.wait_for(f"“{spec.expect[:60]}”")
        if expected.search(heard.decode("utf-8", "replace")) is not None:
            return ""
    if not heard:
        return "connection closed without an answer"
    return f"answer does not match “{spec.expect[:60]}”"
