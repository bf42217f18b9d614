"""The command line. Every command's work is a verb elsewhere; here are only its words."""

import sys
from pathlib import Path
from typing import Any

import click

import statuspage.declarations  # noqa: F401 - adds its commands to `incident`
from statuspage import __version__
from statuspage.administrator import audit, user
from statuspage.cli import config_option, database_of, now, settings_of
from statuspage.credentials import token
from statuspage.kernel.errors import Error, Invalid
from statuspage.officer import incident
from statuspage.planner import maintenance


def main() -> None:
    """Run a command. An error is one line on stderr that says what to change, and exit status 2."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        click.echo(f"statuspage: {' '.join(error.format_message().split())}", err=True)
        sys.exit(2)
    except Error as error:
        click.echo(f"statuspage: {' '.join(str(error).split())}", err=True)
        sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="statuspage")
def cli() -> None:
    """Status page, notification broadcaster and help desk for a customs administration."""


cli.add_command(incident)
cli.add_command(maintenance)
cli.add_command(user)
cli.add_command(audit)
cli.add_command(token)

# --- running ---


@cli.command()
@config_option
@click.option(
    "--roles", default="web,prober,worker", show_default=True, help="What this process does, by commas."
)
def serve(config_file: Path, roles: str) -> None:
    """Serve the page, probe the services, send the mail."""
    from statuspage.app import Role, open_database
    from statuspage.app import serve as run

    settings = settings_of(config_file)
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

    click.echo(run(settings_of(config_file)))


@cli.command("check-config")
@click.argument("file", type=click.Path(path_type=Path))
def check_config(file: Path) -> None:
    """Say whether a settings file is good, without starting anything."""
    from statuspage.kernel.statements import missing

    for line in missing(settings_of(file)):
        click.echo(f"{file}: warning: {line}", err=True)
    click.echo(f"{file}: good")


@cli.command()
@config_option
@click.argument("catalogue_file", metavar="CATALOGUE", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show the difference and change nothing.")
def apply(config_file: Path, catalogue_file: Path, dry_run: bool) -> None:
    """Bring groups, services and monitors in line with a catalogue file."""
    from statuspage.app import apply_catalogue
    from statuspage.incidents import catalogue

    settings = settings_of(config_file)
    declared = catalogue.load(catalogue_file)
    lines = apply_catalogue(
        settings, database_of(config_file), declared, where=catalogue_file.name, dry_run=dry_run
    )
    for line in lines or ["nothing to change"]:
        click.echo(line)


@cli.command()
@config_option
@click.argument("monitor")
def probe(config_file: Path, monitor: str) -> None:
    """Run one check of MONITOR now (its id, or SERVICE/name) and show what it saw."""
    from statuspage.app import probe_once

    for line in probe_once(settings_of(config_file), database_of(config_file), monitor):
        click.echo(line)


# --- subscribers ---


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
    count = database_of(config_file).run_now(import_csv, text, where=file.name, now=now())
    click.echo(f"imported {count}")


@subscribers.command("export")
@config_option
def subscribers_export(config_file: Path) -> None:
    """Print all subscribers as CSV."""
    from notifiers.subscribers import export_csv

    click.echo(database_of(config_file).read_now(export_csv), nl=False)


# --- the site beside the program ---


@cli.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="The settings file."
)
@click.option(
    "--data", "data_dir", type=click.Path(path_type=Path, file_okay=False), help="A demo's data directory."
)
def publish(directory: Path, config_file: Path | None, data_dir: Path | None) -> None:
    """Write the public site as static files with compressed twins."""
    from statuspage.app import publish_site

    if (config_file is None) == (data_dir is None):
        raise Invalid("--config", "give either --config FILE or, for a demo, --data DIR")
    settings_file = config_file or (data_dir or Path()) / "statuspage.toml"
    count = publish_site(
        settings_of(settings_file), database_of(settings_file), directory, is_demo=data_dir is not None
    )
    click.echo(f"wrote {count} pages to {directory}")


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
def backup(config_file: Path, file: Path) -> None:
    """Write a consistent copy of the SQLite database to FILE while the server runs."""
    from statuspage.app import backup as run

    click.echo(run(settings_of(config_file), file))


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
@click.option(
    "--how",
    type=click.Choice(["503", "timeout", "slow", "reset", "tls", "body"]),
    default="503",
    show_default=True,
)
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
