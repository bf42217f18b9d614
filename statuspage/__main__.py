"""The command line. Every command's work is a verb elsewhere; here are only its words."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from statuspage import __version__
from statuspage.kernel.errors import Error, Invalid

if TYPE_CHECKING:  # the imports behind commands cost time; `--version` must not pay for them
    from statuspage.incidents.snapshot import Text
    from statuspage.kernel.config import Settings
    from statuspage.kernel.db import Database


def main() -> None:
    """Run a command. An error is one line on stderr that says what to change, and exit status 2."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        click.echo(f"statuspage: {' '.join(error.format_message().split())}", err=True)
        sys.exit(2)
    except Error as error:
        click.echo(f"statuspage: {error}", err=True)
        sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="statuspage")
def cli() -> None:
    """Status page, notification broadcaster and help desk for a customs administration."""


config_option = click.option(
    "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The settings file."
)


def _settings(config_file: Path) -> "Settings":
    from statuspage.kernel.config import load

    return load(config_file)


def _database(config_file: Path) -> "Database":
    from statuspage.app import open_database

    return open_database(_settings(config_file))


def _now() -> datetime:
    from statuspage.kernel import clock

    return clock.now()


def _author() -> str:
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):
        return "cli"


# --- running ---


@cli.command()
@config_option
@click.option("--roles", default="web,prober,worker", show_default=True, help="What this process does, by commas.")
def serve(config_file: Path, roles: str) -> None:
    """Serve the page, probe the services, send the mail."""
    from statuspage.app import Role, open_database, serve as run

    settings = _settings(config_file)
    try:
        chosen = frozenset(Role(role.strip()) for role in roles.split(","))
    except ValueError as error:
        raise Invalid("--roles", f"{error}; there are {', '.join(Role)}") from None
    run(settings, open_database(settings), roles=chosen)


@cli.command()
@config_option
def migrate(config_file: Path) -> None:
    """Bring the database's tables up to this version."""
    from statuspage.app import migrate as run

    click.echo(run(_settings(config_file)))


@cli.command("check-config")
@click.argument("file", type=click.Path(path_type=Path))
def check_config(file: Path) -> None:
    """Say whether a settings file is good, without starting anything."""
    _settings(file)
    click.echo(f"{file}: good")


@cli.command()
@config_option
@click.argument("catalogue_file", metavar="CATALOGUE", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show the difference and change nothing.")
def apply(config_file: Path, catalogue_file: Path, dry_run: bool) -> None:  # noqa: FBT001
    """Bring groups, services and monitors in line with a catalogue file."""
    from statuspage.app import apply_catalogue
    from statuspage.incidents import catalogue

    settings = _settings(config_file)
    declared = catalogue.load(catalogue_file)
    lines = apply_catalogue(settings, _database(config_file), declared, where=catalogue_file.name, dry_run=dry_run)
    for line in lines or ["nothing to change"]:
        click.echo(line)


@cli.command()
@config_option
@click.argument("monitor")
def probe(config_file: Path, monitor: str) -> None:
    """Run one check of MONITOR now (its id, or SERVICE/name) and show what it saw."""
    from statuspage.app import probe_once

    for line in probe_once(_settings(config_file), _database(config_file), monitor):
        click.echo(line)


# --- incidents ---


def _text(pl: str, en: str) -> "Text":
    from statuspage.incidents.snapshot import Text

    return Text(pl, en)


def _statuses(pairs: Sequence[str]) -> dict[str, Any]:
    """`CODE=STATUS` pairs."""
    from statuspage.incidents.rules import ServiceStatus

    found = {}
    for pair in pairs:
        code, separator, status = pair.partition("=")
        if not separator or status not in set(ServiceStatus):
            raise Invalid("--service", f'"{pair}" is not CODE=STATUS; a status is one of {", ".join(ServiceStatus)}')
        found[code] = ServiceStatus(status)
    return found


def _instant(option: str, text: str | None) -> datetime | None:
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
    click.option("--text-pl", required=True, help="What to say, in Polish (Markdown)."),
    click.option("--text-en", required=True, help="What to say, in English (Markdown)."),
]
titles = [
    click.option("--title-pl", required=True, help="The fact as a sentence, in Polish."),
    click.option("--title-en", required=True, help="The fact as a sentence, in English."),
]
INCIDENT_STATUS = click.Choice(["investigating", "identified", "monitoring", "resolved", "postmortem"])
IMPACT = click.Choice(["none", "minor", "major", "critical"])


def _with(options: Sequence[Any]) -> Any:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@cli.group()
def incident() -> None:
    """Open, update and resolve incidents."""


@incident.command("open")
@config_option
@click.option("--service", "services", multiple=True, required=True, metavar="CODE=STATUS", help="Repeat for each service.")
@_with(titles)
@_with(texts)
@click.option("--status", type=INCIDENT_STATUS, default="investigating", show_default=True)
@click.option("--impact", type=IMPACT, help="Default: what the services' statuses amount to.")
@click.option("--began-at", metavar="TIME", help="When it began, if before now.")
def incident_open(
    config_file: Path,
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
        name=_text(title_pl, title_en),
        text=_text(text_pl, text_en),
        services=_statuses(services),
        status=IncidentStatus(status),
        impact=Impact(impact) if impact else None,
        began_at=_instant("--began-at", began_at),
    )
    click.echo(_database(config_file).run_now(incidents.open_incident, new, by=_author(), now=_now()).id)


@incident.command("update")
@click.argument("incident_id", metavar="ID")
@config_option
@_with(texts)
@click.option("--status", type=INCIDENT_STATUS)
@click.option("--service", "services", multiple=True, metavar="CODE=STATUS", help="Repeat for each service that changed.")
def incident_update(
    config_file: Path, incident_id: str, text_pl: str, text_en: str, status: str | None, services: tuple[str, ...]
) -> None:
    """Say something new. From then on a person has taken the incident over."""
    from statuspage.incidents import incidents
    from statuspage.incidents.rules import IncidentStatus

    _database(config_file).run_now(
        incidents.post_update,
        incident_id,
        _text(text_pl, text_en),
        by=_author(),
        now=_now(),
        status=IncidentStatus(status) if status else None,
        services=_statuses(services),
    )


@incident.command("resolve")
@click.argument("incident_id", metavar="ID")
@config_option
@_with(texts)
def incident_resolve(config_file: Path, incident_id: str, text_pl: str, text_en: str) -> None:
    """Say that it is over."""
    from statuspage.incidents import incidents

    _database(config_file).run_now(
        incidents.resolve, incident_id, _text(text_pl, text_en), by=_author(), now=_now()
    )


@incident.command("publish")
@click.argument("incident_id", metavar="ID")
@config_option
def incident_publish(config_file: Path, incident_id: str) -> None:
    """Publish a draft that monitors opened, as it is."""
    from statuspage.incidents import incidents

    _database(config_file).run_now(incidents.publish, incident_id, by=_author(), now=_now())


@incident.command("list")
@config_option
@click.option("--unresolved", is_flag=True, help="Only those that are not over.")
def incident_list(config_file: Path, unresolved: bool) -> None:  # noqa: FBT001
    """List incidents, drafts too, newest first: id, status, impact, begin, title."""
    from statuspage.incidents import incidents

    for notice in _database(config_file).read_now(incidents.listed, unresolved=unresolved):
        state = "draft" if notice.published_at is None else notice.status
        click.echo(f"{notice.id}  {state:<13}  {notice.impact:<8}  {notice.began_at:%Y-%m-%dT%H:%MZ}  {notice.name_en}")


# --- maintenance ---


@cli.group()
def maintenance() -> None:
    """Schedule and cancel planned work."""


@maintenance.command("schedule")
@config_option
@click.option("--service", "services", multiple=True, required=True, metavar="CODE", help="Repeat for each service.")
@_with(titles)
@_with(texts)
@click.option("--start", required=True, metavar="TIME", help="Such as 2026-03-01T06:10+01:00.")
@click.option("--end", required=True, metavar="TIME")
def maintenance_schedule(
    config_file: Path,
    services: tuple[str, ...],
    title_pl: str,
    title_en: str,
    text_pl: str,
    text_en: str,
    start: str,
    end: str,
) -> None:
    """Announce planned work, and print its id."""
    from statuspage.incidents import maintenance as verbs

    begins_at, ends_at = _instant("--start", start), _instant("--end", end)
    if begins_at is None or ends_at is None:
        raise AssertionError("required options are there")
    new = verbs.NewMaintenance(_text(title_pl, title_en), _text(text_pl, text_en), services, begins_at, ends_at)
    click.echo(_database(config_file).run_now(verbs.schedule, new, by=_author(), now=_now()).id)


@maintenance.command("cancel")
@click.argument("maintenance_id", metavar="ID")
@config_option
def maintenance_cancel(config_file: Path, maintenance_id: str) -> None:
    """Call planned work off."""
    from statuspage.incidents import maintenance as verbs

    _database(config_file).run_now(verbs.cancel, maintenance_id, by=_author(), now=_now())


@maintenance.command("list")
@config_option
def maintenance_list(config_file: Path) -> None:
    """List planned work, newest first: id, status, begin, end, title."""
    from statuspage.incidents import maintenance as verbs

    for notice in _database(config_file).read_now(verbs.listed):
        begin, end = notice.scheduled_for or notice.began_at, notice.scheduled_until or notice.began_at
        click.echo(f"{notice.id}  {notice.status:<11}  {begin:%Y-%m-%dT%H:%MZ}  {end:%Y-%m-%dT%H:%MZ}  {notice.name_en}")


# --- people ---


@cli.group()
def user() -> None:
    """Members of staff with a local account."""


@user.command("add")
@click.argument("login")
@config_option
@click.option("--name", required=True, help="As customers see it.")
@click.option("--role", type=click.Choice(["viewer", "agent", "approver", "operator", "administrator"]), default="agent")
@click.password_option(help="Asked for when it is not given; at least 12 characters.")
def user_add(config_file: Path, login: str, name: str, role: str, password: str) -> None:
    """Add a member of staff."""
    from statuspage.kernel import accounts

    password_hash = accounts.hash_password(password)
    _database(config_file).run_now(accounts.add_user, login, name, accounts.Role(role), password_hash, now=_now())
    click.echo(f"added {login} ({role})")


@cli.group()
def subscribers() -> None:
    """Those who are told by e-mail."""


@subscribers.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@config_option
def subscribers_import(config_file: Path, file: Path) -> None:
    """Import a CSV with the columns email, language, services, consent; all rows or none."""
    from notifiers.subscribers import import_csv

    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(str(file), f"cannot be read: {error}") from None
    count = _database(config_file).run_now(import_csv, text, where=file.name, now=_now())
    click.echo(f"imported {count}")


@subscribers.command("export")
@config_option
def subscribers_export(config_file: Path) -> None:
    """Print all subscribers as CSV."""
    from notifiers.subscribers import export_csv

    click.echo(_database(config_file).read_now(export_csv), nl=False)


# --- the site beside the program ---


@cli.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="The settings file.")
@click.option("--data", "data_dir", type=click.Path(path_type=Path, file_okay=False), help="A demo's data directory.")
def publish(directory: Path, config_file: Path | None, data_dir: Path | None) -> None:
    """Write the public site as static files with compressed twins."""
    from statuspage.app import publish_site

    if (config_file is None) == (data_dir is None):
        raise Invalid("--config", "give either --config FILE or, for a demo, --data DIR")
    settings_file = config_file or (data_dir or Path()) / "statuspage.toml"
    count = publish_site(_settings(settings_file), _database(settings_file), directory)
    click.echo(f"wrote {count} pages to {directory}")


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
def backup(config_file: Path, file: Path) -> None:
    """Write a consistent copy of the SQLite database to FILE while the server runs."""
    from statuspage.app import backup as run

    click.echo(run(_settings(config_file), file))


# --- the demo ---

data_option = click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    show_default=True,
    help="Where the demo keeps its data.",
)


@cli.group(invoke_without_command=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@data_option
@click.pass_context
def demo(context: click.Context, port: int, data_dir: Path) -> None:
    """Run everything with simulated Customs services that can really be broken."""
    if context.invoked_subcommand is None:
        from statuspage.demo.run import run

        run(data_dir, port)


@demo.command("break")
@click.argument("service")
@click.option("--how", type=click.Choice(["503", "timeout", "slow", "reset", "tls", "body"]), default="503", show_default=True)
@data_option
def demo_break(service: str, how: str, data_dir: Path) -> None:
    """Break SERVICE of the running demo."""
    _ask_demo(data_dir, "break", service, how)


@demo.command("restore")
@click.argument("service")
@data_option
def demo_restore(service: str, data_dir: Path) -> None:
    """Make SERVICE of the running demo work again."""
    _ask_demo(data_dir, "restore", service, "503")


def _ask_demo(data_dir: Path, command: Any, service: str, how: str) -> None:
    import asyncio

    from statuspage.demo.control import ask_running_demo

    click.echo(asyncio.run(ask_running_demo(data_dir, command, service.upper(), how)))


if __name__ == "__main__":
    main()
