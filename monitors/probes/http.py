"""The HTTP probe: one request on a fresh connection, and what its answer must look like."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta

from monitors.conditions import Condition, holds, read_conditions
from monitors.patterns import compile_pattern
from monitors.probes import Context, Outcome, Verdict, named, probe, reached, unreached
from statuspage.kernel.errors import Invalid
from statuspage.kernel.exchange import Answer, check_headers, parse_url
from statuspage.kernel.net import Refused, TargetFault, Trust
from statuspage.kernel.trust import read_certificate

_METHODS = "^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$"
_STATUS_RANGE = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")
_CHARSET = re.compile(r"charset=\"?([\w-]+)", re.IGNORECASE)
# Others fall back to UTF-8: some that Python knows take quadratic time.
_CHARSETS = re.compile(r"utf-?8|utf-16(le|be)?|us-ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Spec:
    """A URL and what its answer must look like."""

    url: Annotated[str, Meta(max_length=2048, description="http:// or https:// address to ask.")]
    method: Annotated[str, Meta(pattern=_METHODS, description="HTTP method.")] = "GET"
    headers: Annotated[dict[str, str], Meta(description="Headers to send beside the usual ones.")] = field(
        default_factory=dict
    )
    body: Annotated[str, Meta(max_length=65_536, description="Body to send, in UTF-8.")] = ""
    status: Annotated[
        tuple[int | str, ...],
        Meta(min_length=1, description='Statuses that are right: numbers or ranges such as "200-299".'),
    ] = ("200-299",)
    body_contains: Annotated[str | None, Meta(description="Text that the body must have.")] = None
    body_not_contains: Annotated[str | None, Meta(description="Text that the body must not have.")] = None
    body_regex: Annotated[
        str | None, Meta(description="Regular expression (RE2) that the body must match somewhere.")
    ] = None
    json: Annotated[
        tuple[str, ...],
        Meta(description="Conditions on a JSON body, such as $.status == 'ok' or $.nodes[*].queue < 100."),
    ] = ()
    slow_above: Annotated[timedelta | None, Meta(description="Right, but later than this, is slow.")] = None
    verify_tls: Annotated[bool, Meta(description="Whether the certificate must be valid.")] = True
    follow_redirects: Annotated[
        bool, Meta(description="Whether up to five redirects are followed; if not, a 3xx is the answer.")
    ] = True
    ca_file: Annotated[
        str | None, Meta(description="PEM file of the authorities to trust instead of the system's.")
    ] = None

    def __post_init__(self) -> None:
        """Raises ValueError naming the key."""
        try:
            parse_url(self.url)
            check_headers(self.headers.items())
        except Invalid as error:
            raise ValueError(str(error)) from None
        named("status", read_statuses, self.status)
        named("json", read_conditions, self.json)
        named("body_regex", compile_pattern, self.body_regex or "")


@probe("http", Spec)
async def check(spec: Spec, context: Context) -> Outcome:
    """Ask once and judge the answer."""
    try:
        answer = await context.network.request(
            spec.method,
            spec.url,
            headers=tuple(spec.headers.items()),
            body=spec.body.encode(),
            timeout_s=context.timeout_s,
            follow_redirects=spec.follow_redirects,
            trust=Trust(spec.verify_tls, spec.ca_file),
        )
    except (Refused, TargetFault) as error:
        return unreached(error, context)
    return replace(judge(spec, answer), facts=_facts(answer))


def judge(spec: Spec, answer: Answer) -> Outcome:
    """What the answer means for a monitor with this spec; the first cause where it is wrong."""
    cause = next(_wrong(spec, answer), None)
    if cause is not None:
        return Outcome(Verdict.FAILED, cause, answer.phases_ms["total"], answer.phases_ms)
    return reached(answer.phases_ms, spec.slow_above)


def _wrong(spec: Spec, answer: Answer) -> Iterator[str]:
    if not any(answer.status in statuses for statuses in read_statuses(spec.status)):
        yield f"HTTP {answer.status}"
    if not (spec.body_contains or spec.body_not_contains or spec.body_regex or spec.json):
        return
    if answer.is_cut:
        yield "body is larger than 1 MiB"
    text = _text(answer)
    if spec.body_contains and spec.body_contains not in text:
        yield f"body lacks “{_shortened(spec.body_contains)}”"
    if spec.body_not_contains and spec.body_not_contains in text:
        yield f"body has “{_shortened(spec.body_not_contains)}”"
    if spec.body_regex and compile_pattern(spec.body_regex).search(text) is None:
        yield f"body does not match “{_shortened(spec.body_regex)}”"
    if spec.json:
        yield from _wrong_in_json(read_conditions(spec.json), answer.body)


def _wrong_in_json(conditions: tuple[Condition, ...], body: bytes) -> Iterator[str]:
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        yield "body is not JSON"
        return
    for condition in conditions:
        if not holds(condition, document):
            yield f"“{_shortened(condition.text)}” does not hold"


@lru_cache(maxsize=1024)
def read_statuses(statuses: tuple[int | str, ...]) -> tuple[range, ...]:
    """`(200, "300-399")` as ranges. Raises ValueError."""
    ranges = []
    for status in statuses:
        match = _STATUS_RANGE.fullmatch(str(status))
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if first > last:
            raise ValueError(f'"{status}" is not a status or range; write 200 or "200-299"')
        ranges.append(range(first, last + 1))
    return tuple(ranges)


def _text(answer: Answer) -> str:
    match = _CHARSET.search(answer.header("content-type") or "")
    charset = match[1] if match and _CHARSETS.fullmatch(match[1]) else "utf-8"
    return answer.body.decode(charset, "replace")


def _facts(answer: Answer) -> dict[str, str]:
    facts = {"status": str(answer.status)}
    if answer.certificate is not None:
        try:
            facts["certificate_expires_at"] = read_certificate(answer.certificate).not_after.isoformat()
        except TargetFault as fault:
            facts["certificate"] = str(fault)
    return facts


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
