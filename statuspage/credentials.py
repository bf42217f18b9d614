"""The administrator's commands for tokens of the management API. Only who may read the settings makes one."""

from pathlib import Path

import click

from statuspage.cli import author, config_option, database_of, now

SCOPES = [
    "read",
    "incidents:write",
    "maintenance:write",
    "news:write",
    "duty:write",
    "monitors:write",
    "templates:write",
]


@click.group()
def token() -> None:
    """Tokens of the management API, for programs."""


@token.command("add")
@config_option
@click.option(
    "--name",
    required=True,
    help="Whatever is done with it is recorded as done by api:NAME; never given twice.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="Repeat for each scope.",
)
@click.option(
    "--days", type=click.IntRange(1, 1825), default=365, show_default=True, help="How long it is good."
)
def token_add(config_file: Path, name: str, scopes: tuple[str, ...], days: int) -> None:
    """Make a token and print it, once: only its hash is kept."""
    from datetime import timedelta

    from statuspage.kernel import tokens

    wanted = [tokens.Scope(scope) for scope in scopes]
    lifetime = timedelta(days=days)
    click.echo(
        database_of(config_file).run_now(tokens.add, name, wanted, lifetime=lifetime, by=author(), now=now())
    )


@token.command("list")
@config_option
def token_list(config_file: Path) -> None:
    """List every token there is or was: name, state, end, last use to the hour, scopes."""
    from statuspage.kernel import tokens

    at = now()
    for row in database_of(config_file).read_now(tokens.listed):
        state = "revoked" if row.revoked_at else "expired" if row.expires_at <= at else "good"
        used = f"{row.last_used_at:%Y-%m-%dT%HZ}" if row.last_used_at else "never"
        click.echo(
            f"{row.name:<24}  {state:<7}  {row.expires_at:%Y-%m-%d}  {used:<14}  {' '.join(row.scopes)}"
        )


@token.command("revoke")
@click.argument("name")
@config_option
def token_revoke(config_file: Path, name: str) -> None:
    """End a token now."""
    from statuspage.kernel import tokens

    database_of(config_file).run_now(tokens.revoke, name, by=author(), now=now())
    click.echo(f"revoked {name}")
