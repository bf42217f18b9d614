"""Settings: one TOML file and the environment. Bad settings stop the start with file, key and reason."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from datetime import date, time, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, get_type_hints
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta

from statuspage.kernel.build import build
from statuspage.kernel.errors import Invalid
from statuspage.kernel.statements import Accessibility, Contact, Privacy

ENVIRONMENT_PREFIX = "STATUSPAGE_"
ROLES = (
    "viewer",
    "agent",
    "approver",
    "operator",
    "administrator",
)  # kernel.accounts.Role, which needs a database
MIN_STALE_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Server:
    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 lets the system choose.")] = (
        8000
    )
    base_url: Annotated[
        str, Meta(description="Where readers reach the page; every link in mails and feeds starts with it.")
    ] = "http://127.0.0.1:8000"
    max_body_bytes: Annotated[
        int, Meta(ge=1024, description="Largest request body; more is answered 413.")
    ] = 1_048_576
    max_live_clients: Annotated[
        int,
        Meta(
            ge=1,
            description="Live connections (WebSocket, SSE) held at once; more get 503 with Retry-After.",
        ),
    ] = 20_000
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description="Addresses whose X-Forwarded-For and X-Forwarded-Proto are believed."),
    ] = ()


@dataclass(frozen=True, slots=True)
class Data:
    dir: Annotated[str, Meta(description="Directory for the SQLite file, the secret and the lock.")] = "data"
    database_url: Annotated[
        str | None,
        Meta(description="SQLAlchemy URL, e.g. postgresql+psycopg://host/name; default: SQLite in `dir`."),
    ] = None


@dataclass(frozen=True, slots=True)
class Mail:
    relay: Annotated[str, Meta(description="smtp://host:port, or smtps:// for TLS from the first byte.")] = (
        "smtp://127.0.0.1:25"
    )
    sender: Annotated[str, Meta(description="The From address of every mail.")] = "status@localhost"
    connections: Annotated[int, Meta(ge=1, le=100, description="Connections to the relay at once.")] = 8
    list_id: Annotated[str, Meta(description="List-Id (RFC 2919) without the angle brackets.")] = (
        "status.localhost"
    )
    recall_window: Annotated[
        timedelta,
        Meta(description="How long a person's update waits before it is sent; 0 for monitors and the CLI."),
    ] = timedelta(0)
    give_up_after: Annotated[
        timedelta, Meta(description="How long a deferred mail is retried before it counts as failed.")
    ] = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Page:
    id: Annotated[
        str,
        Meta(
            pattern="^[a-z0-9]{12}$",
            description="The page's id in the API: 12 lower-case letters and digits.",
        ),
    ] = "customspage1"
    name_pl: Annotated[str, Meta(description="Name of the page in Polish.")] = "Status usług celnych"
    name_en: Annotated[str, Meta(description="Name of the page in English.")] = "Customs services status"
    time_zone: Annotated[str, Meta(description="IANA zone in which times are shown.")] = "Europe/Warsaw"
    language: Annotated[
        str, Meta(pattern="^(pl|en)$", description="Language of the API and feeds when none is asked for.")
    ] = "pl"
    uptime_counts_maintenance: Annotated[
        bool, Meta(description="Whether announced maintenance lowers the uptime; the page says which.")
    ] = False
    stale_after: Annotated[
        timedelta,
        Meta(
            description="The age at which a page, live or copied, says that it is no longer being updated; "
            "2 minutes or more, because pages are made anew every minute."
        ),
    ] = timedelta(minutes=5)

    def __post_init__(self) -> None:
        if self.stale_after < MIN_STALE_AFTER:
            raise ValueError("stale_after: pages are made anew every minute; write 2m or more")


@dataclass(frozen=True, slots=True)
class Security:
    secret: Annotated[
        str | None,
        Meta(
            description="Key for signed links, 32 characters or more; default: made once in `data.dir`/secret."
        ),
    ] = None
    allow_networks: Annotated[
        tuple[str, ...],
        Meta(
            description="Internal networks (CIDR) that probes and webhooks may reach; the others are refused."
        ),
    ] = ()
    session_lifetime: Annotated[timedelta, Meta(description="How long a sign-in lasts.")] = timedelta(
        hours=12
    )
    require_totp_for: Annotated[
        str | None,
        Meta(
            description="Role from which a second factor is compulsory for local accounts; default: nobody must.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Oidc:
    issuer: Annotated[
        str | None,
        Meta(
            description="OpenID Connect provider, as https://host/path; default: none, local accounts alone. "
            "One in an internal network needs security.allow_networks."
        ),
    ] = None
    client_id: Annotated[str, Meta(description="What the provider calls this program.")] = ""
    client_secret: Annotated[
        str | None,
        Meta(description="The secret agreed with the provider; better given by the environment."),
    ] = None
    scopes: Annotated[tuple[str, ...], Meta(description="What is asked for; openid is always among it.")] = (
        "openid",
        "profile",
        "email",
    )
    login_claim: Annotated[
        str, Meta(description="The claim that becomes the login at the first sign-in; spaces are refused.")
    ] = "preferred_username"
    role_claim: Annotated[
        str,
        Meta(description="The claim that holds the roles, a text or a list; dots lead inwards: realm.roles."),
    ] = "roles"
    roles: Annotated[
        dict[str, str],
        Meta(
            description='Which of its values give which role, as { celni-dyzur = "operator" }; the highest counts, '
            "and nobody without one comes in."
        ),
    ] = field(default_factory=dict)
    label_pl: Annotated[str, Meta(description="The button on the sign-in page in Polish.")] = (
        "Zaloguj się kontem służbowym"
    )
    label_en: Annotated[str, Meta(description="The button on the sign-in page in English.")] = (
        "Sign in with your work account"
    )


@dataclass(frozen=True, slots=True)
class Monitors:
    max_in_flight: Annotated[int, Meta(ge=1, description="Probes under way at once.")] = 200
    max_per_host: Annotated[int, Meta(ge=1, description="Probes of one host under way at once.")] = 10
    control_targets: Annotated[
        tuple[str, ...],
        Meta(description="host:port of places that are always up; if they fail too, nothing is published."),
    ] = ()
    keep_results: Annotated[
        timedelta, Meta(description="How long raw results are kept; hours and days stay.")
    ] = timedelta(days=3)
    flap_window: Annotated[
        timedelta, Meta(description="The window in which changes of state are counted.")
    ] = timedelta(minutes=30)
    flap_threshold: Annotated[
        int, Meta(ge=3, description="Changes within the window that make a monitor flapping.")
    ] = 6


@dataclass(frozen=True, slots=True)
class Incidents:
    join_window: Annotated[
        timedelta,
        Meta(description="A second service of the same parent or cause failing so soon joins the incident."),
    ] = timedelta(minutes=10)
    reopen_window: Annotated[
        timedelta,
        Meta(
            description="A failure so soon after recovery reopens the incident; ticket answers wait so long."
        ),
    ] = timedelta(minutes=10)
    speak_again_within: Annotated[
        timedelta,
        Meta(
            description="Until when an incident that monitors opened promises a person's next word; 0: no promise."
        ),
    ] = timedelta(minutes=30)
    fallback_prefix: Annotated[
        str,
        Meta(pattern="^[A-Z]{1,6}$", description="Letters before the number of a permission to use paper."),
    ] = "AW"
    fallback_legal_basis_pl: Annotated[
        str, Meta(description="Legal basis of such permissions, in Polish, where the officer names none.")
    ] = ""
    fallback_legal_basis_en: Annotated[str, Meta(description="The same in English.")] = ""
    four_eyes_from: Annotated[
        str,
        Meta(
            pattern="^(never|minor|major|critical)$",
            description="Impact from which what a person publishes needs a second one; never: no second is needed.",
        ),
    ] = "never"
    enter_within: Annotated[
        timedelta,
        Meta(description="Within what time after its end paper has to be entered into the system."),
    ] = timedelta(days=7)
    announce_ahead: Annotated[
        timedelta,
        Meta(
            description="Planned work announced later than that is no announced unavailability: it lowers uptime."
        ),
    ] = timedelta(hours=48)
    plan_ahead: Annotated[
        timedelta, Meta(description="How long ahead the occurrences of recurring work are announced.")
    ] = timedelta(days=35)
    remind_before: Annotated[
        tuple[timedelta, ...],
        Meta(description="How long before planned work begins its subscribers are reminded; none: never."),
    ] = (timedelta(hours=24), timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Tickets:
    number_prefix: Annotated[
        str, Meta(pattern="^[A-Z]{1,6}$", description="Letters before a request's number.")
    ] = "ZGL"
    first_number: Annotated[int, Meta(ge=1, description="The first number of the series.")] = 1_000_001
    attachment_bytes: Annotated[
        int, Meta(ge=1024, description="The largest file that may be attached to a request.")
    ] = 10_000_000
    clamd: Annotated[
        str | None,
        Meta(
            description="Where clamd listens, as tcp://host:port or unix:///path: files are held until it has"
            " scanned them. Default: files are not scanned.",
        ),
    ] = None
    works_from: Annotated[
        str, Meta(pattern=r"^\d\d:\d\d$", description="When the specialists' working day begins.")
    ] = "07:15"
    works_until: Annotated[str, Meta(pattern=r"^\d\d:\d\d$", description="When it ends.")] = "15:15"
    days_off: Annotated[
        tuple[date, ...],
        Meta(description="Days without work beside weekends and Polish public holidays, as 2026-12-31."),
    ] = ()
    answer_within: Annotated[
        timedelta, Meta(description="Until the first answer, around the clock; what a requester is told.")
    ] = timedelta(hours=4)
    solve_within_days: Annotated[
        int, Meta(ge=1, description="Working days until a question or a failure report is solved.")
    ] = 20
    request_within_days: Annotated[
        int, Meta(ge=1, description="Working days until a service request is decided.")
    ] = 10


@dataclass(frozen=True, slots=True)
class Publish:
    directory: Annotated[
        str | None,
        Meta(
            description="Where the server keeps a static copy of the public site current; default: nowhere."
        ),
    ] = None
    at_most_every: Annotated[
        timedelta, Meta(description="The shortest time from one writing of the copy to the next.")
    ] = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set."""

    server: Server = field(default_factory=Server)
    data: Data = field(default_factory=Data)
    mail: Mail = field(default_factory=Mail)
    page: Page = field(default_factory=Page)
    security: Security = field(default_factory=Security)
    oidc: Oidc = field(default_factory=Oidc)
    monitors: Monitors = field(default_factory=Monitors)
    incidents: Incidents = field(default_factory=Incidents)
    tickets: Tickets = field(default_factory=Tickets)
    contact: Contact = field(default_factory=Contact)
    accessibility: Accessibility = field(default_factory=Accessibility)
    privacy: Privacy = field(default_factory=Privacy)
    publish: Publish = field(default_factory=Publish)

    @property
    def database_url(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.data.database_url or f"sqlite:///{Path(self.data.dir).resolve() / 'statuspage.db'}"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.page.time_zone)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `path`, overridden by `STATUSPAGE_SECTION__KEY`.

    Relative directories are taken from the file's own place. Raises Invalid naming file and key.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Invalid(str(path), "there is no such settings file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(str(path), f"cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise Invalid(str(path), f"is not valid TOML: {error}") from None
    _overlay(data, environ)
    settings = build(Settings, data, where=str(path))
    check(settings, where=str(path))
    return _anchored(settings, path.parent)


def _overlay(data: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Lay the environment over the file. Values are read as TOML, or as text where they are not TOML."""
    sections = {name for name, hint in get_type_hints(Settings).items() if is_dataclass(hint)}
    for name, text in environ.items():
        section, separator, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if not (name.startswith(ENVIRONMENT_PREFIX) and separator and section in sections):
            continue
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        data.setdefault(section, {})[key] = value


def check(settings: Settings, *, where: str) -> None:
    """What types alone cannot say. Raises Invalid."""
    try:
        ZoneInfo(settings.page.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise Invalid(
            f"{where}.page.time_zone", f'"{settings.page.time_zone}" is not an IANA time zone'
        ) from None
    base = urlsplit(settings.server.base_url)
    if base.scheme not in ("http", "https") or not base.netloc or settings.server.base_url.endswith("/"):
        raise Invalid(f"{where}.server.base_url", "write it as https://host, without a slash at the end")
    relay = urlsplit(settings.mail.relay)
    if relay.scheme not in ("smtp", "smtps") or not relay.hostname:
        raise Invalid(f"{where}.mail.relay", "write it as smtp://host:port or smtps://host:port")
    if "@" not in settings.mail.sender:
        raise Invalid(f"{where}.mail.sender", "an e-mail address is expected")
    _check_security(settings.security, where=f"{where}.security")
    _check_tickets(settings.tickets, where=f"{where}.tickets")
    _check_oidc(settings.oidc, where=f"{where}.oidc")
    _check_planning(settings.incidents, where=f"{where}.incidents")
    for target in settings.monitors.control_targets:
        if not target.rpartition(":")[2].isdigit():
            raise Invalid(f"{where}.monitors.control_targets", f'"{target}" is not host:port')


def _check_security(security: Security, *, where: str) -> None:
    if security.secret is not None and len(security.secret) < 32:
        raise Invalid(f"{where}.secret", "at least 32 characters are needed")
    for network in security.allow_networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise Invalid(f"{where}.allow_networks", str(error)) from None
    if security.require_totp_for is not None and security.require_totp_for not in ROLES:
        raise Invalid(f"{where}.require_totp_for", _no_role(security.require_totp_for))


def _check_oidc(oidc: Oidc, *, where: str) -> None:
    if oidc.issuer is None:
        return
    issuer = urlsplit(oidc.issuer)
    is_here = issuer.hostname in ("localhost", "127.0.0.1", "::1")
    if not issuer.hostname or issuer.scheme not in (("https", "http") if is_here else ("https",)):
        raise Invalid(f"{where}.issuer", "write it as https://host/path")
    if not oidc.client_id:
        raise Invalid(f"{where}.client_id", "the provider's name for this program is needed")
    if not oidc.roles:
        raise Invalid(
            f"{where}.roles", "without any nobody could sign in; map a value of the claim to a role"
        )
    for value, role in oidc.roles.items():
        if role not in ROLES:
            raise Invalid(f"{where}.roles.{value}", _no_role(role))


def _no_role(text: str) -> str:
    return f'"{text}" is no role; there are {", ".join(ROLES)}'


def _check_tickets(tickets: Tickets, *, where: str) -> None:
    if tickets.clamd is not None:
        parts = urlsplit(tickets.clamd)
        is_tcp = parts.scheme == "tcp" and bool(parts.hostname) and bool(_port_of(parts))
        if not is_tcp and not (parts.scheme == "unix" and parts.path.startswith("/")):
            raise Invalid(f"{where}.clamd", "write it as tcp://host:port or unix:///path")
    for name in ("works_from", "works_until"):
        try:
            time.fromisoformat(getattr(tickets, name))
        except ValueError:
            raise Invalid(f"{where}.{name}", "is not a time of the day such as 07:15") from None
    if tickets.works_until <= tickets.works_from:
        raise Invalid(f"{where}.works_until", "must come after works_from")


def _port_of(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


def _check_planning(incidents: Incidents, *, where: str) -> None:
    if incidents.plan_ahead <= incidents.announce_ahead:
        raise Invalid(f"{where}.plan_ahead", "has to be longer than announce_ahead")
    if any(lead <= timedelta(0) for lead in incidents.remind_before):
        raise Invalid(f"{where}.remind_before", "durations longer than nothing are expected")


def _anchored(settings: Settings, base: Path) -> Settings:
    copy = settings.publish.directory
    return replace(
        settings,
        data=replace(settings.data, dir=str((base / settings.data.dir).resolve())),
        publish=replace(settings.publish, directory=copy and str((base / copy).resolve())),
    )
