"""The duty officer's commands without a browser: incidents. Planned work has `statuspage.planner`."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from statuspage.carriers import Carrier, Local
from statuspage.cli import author, config_option, database_of, now
from statuspage.kernel.errors import Invalid

if TYPE_CHECKING:
    from statuspage.incidents.rules import ServiceStatus
    from statuspage.incidents.snapshot import Text

Command = TypeVar("Command", bound=Callable[..., object])


def text_of(pl: str, en: str) -> "Text":
    """Both languages; either may be empty."""
    from statuspage.incidents.snapshot import Text

    return Text(pl, en)


def _statuses(pairs: Sequence[str]) -> dict[str, "ServiceStatus"]:
    """`CODE=STATUS` pairs."""
    from statuspage.incidents.rules import ServiceStatus

    found = {}
    for pair in pairs:
        code, separator, status = pair.partition("=")
        if not separator or status not in set(ServiceStatus):
            raise Invalid(
                "--service", f'"{pair}" is not CODE=STATUS; a status is one of {", ".join(ServiceStatus)}'
            )
        found[code] = ServiceStatus(status)
    return found


def instant_of(option: str, text: str | None) -> datetime | None:
    """An ISO 8601 instant with offset or Z."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(option, f'"{text}" is not a time such as 2026-03-01T06:10+01:00') from None
    if at.tzinfo is None:
        raise Invalid(option, f'"{text}" lacks its offset from UTC; write 2026-03-01T06:10+01:00')
    return at.astimezone(UTC)


texts = [
    click.option("--text-pl", default="", help="What to say, in Polish (Markdown)."),
    click.option("--text-en", default="", help="What to say, in English; one language may follow later."),
]
titles = [
    click.option("--title-pl", default="", help="The fact as a sentence, in Polish."),
    click.option("--title-en", default="", help="The fact as a sentence, in English."),
]
INCIDENT_STATUS = click.Choice(["investigating", "identified", "monitoring", "resolved", "postmortem"])
IMPACT = click.Choice(["none", "minor", "major", "critical"])


def with_options(options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


TOKEN = "STATUSPAGE_TOKEN"  # noqa: S105 - the variable's name


def with_carrier(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `carrier`: the database of --config, or the server of --server."""

    @click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The settings file; or else --server.",
    )
    @click.option(
        "--server",
        metavar="URL",
        help="The server to ask over its management API, from a machine of one's own.",
    )
    @click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help=f"Holds the token for --server. Default: the environment's {TOKEN}.",
    )
    @wraps(command)
    def asked(
        *, config_file: Path | None, server: str | None, token_file: Path | None, **options: Any
    ) -> None:
        command(carrier=carrier_of(config_file, server, token_file), **options)

    return asked


def carrier_of(config_file: Path | None, server: str | None, token_file: Path | None) -> Carrier:
    """Who carries the wish out. Raises Invalid naming the option that has to change."""
    if server is None:
        if config_file is None:
            raise Invalid("--config", "give the settings file, or --server URL")
        if token_file is not None:
            raise Invalid("--token-file", "goes with --server")
        return Local(config_file)
    if config_file is not None:
        raise Invalid("--config", "and --server exclude each other")
    from statuspage.remote import Remote

    return Remote(server, _token(token_file))


def _token(file: Path | None) -> str:
    """Never an argument: those are seen by everybody on the machine."""
    if file is None:
        token, where = os.environ.get(TOKEN, "").strip(), TOKEN
    else:
        where = str(file)
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(where, f"cannot be read: {error}") from None
    if not token:
        raise Invalid("--token-file", f"a token is needed, in a file or in the environment's {TOKEN}")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Invalid(where, "holds something else than one token")
    return token


@click.group()
def incident() -> None:
    """Open, update and resolve incidents."""


@incident.command("open")
@with_carrier
@click.option(
    "--service",
    "services",
    multiple=True,
    required=True,
    metavar="CODE=STATUS",
    help="Repeat for each service.",
)
@with_options(titles)
@with_options(texts)
@click.option("--status", type=INCIDENT_STATUS, default="investigating", show_default=True)
@click.option("--impact", type=IMPACT, help="Default: what the services' statuses amount to.")
@click.option("--began-at", metavar="TIME", help="When it began, if before now.")
def incident_open(
    carrier: Carrier,
    services: tuple[str, ...],
    title_pl: str,
    title_en: str,
    text_pl: str,
    text_en: str,
    status: str,
    impact: str | None,
    began_at: str | None,
) -> None:
    """Publish a new incident, and print its id."""
    from statuspage.incidents import incidents
    from statuspage.incidents.rules import Impact, IncidentStatus

    new = incidents.NewIncident(
        name=text_of(title_pl, title_en),
        text=text_of(text_pl, text_en),
        services=_statuses(services),
        status=IncidentStatus(status),
        impact=Impact(impact) if impact else None,
        began_at=instant_of("--began-at", began_at),
    )
    click.echo(carrier.open_incident(new))


@incident.command("update")
@click.argument("incident_id", metavar="ID")
@with_carrier
@with_options(texts)
@click.option("--status", type=INCIDENT_STATUS)
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="CODE=STATUS",
    help="Repeat for each service that changed.",
)
def incident_update(
    carrier: Carrier,
    incident_id: str,
    text_pl: str,
    text_en: str,
    status: str | None,
    services: tuple[str, ...],
) -> None:
    """Say something new. From then on a person has taken the incident over."""
    from statuspage.incidents.rules import IncidentStatus

    carrier.post_update(
        incident_id,
        text_of(text_pl, text_en),
        status=IncidentStatus(status) if status else None,
        services=_statuses(services),
    )


@incident.command("resolve")
@click.argument("incident_id", metavar="ID")
@with_carrier
@with_options(texts)
def incident_resolve(carrier: Carrier, incident_id: str, text_pl: str, text_en: str) -> None:
    """Say that it is over."""
    carrier.resolve(incident_id, text_of(text_pl, text_en))


@incident.command("publish")
@click.argument("incident_id", metavar="ID")
@config_option
def incident_publish(config_file: Path, incident_id: str) -> None:
    """Publish a draft that monitors opened, as it is."""
    from statuspage.incidents import incidents

    database_of(config_file).run_now(incidents.publish, incident_id, by=author(), now=now())


@incident.command("list")
@with_carrier
@click.option("--unresolved", is_flag=True, help="Only those that are not over.")
def incident_list(carrier: Carrier, unresolved: bool) -> None:
    """List incidents, drafts too, newest first: id, status, impact, begin, title."""
    for line in carrier.incidents(unresolved=unresolved):
        began = f"{line.began_at:%Y-%m-%dT%H:%MZ}"
        click.echo(f"{line.id}  {line.state:<13}  {line.impact:<8}  {began}  {line.title}")
