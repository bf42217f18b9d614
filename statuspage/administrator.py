"""The administrator's commands: members of staff, and the audit log of what they did."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from statuspage.cli import author, config_option, database_of, now
from statuspage.kernel.errors import Invalid

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from statuspage.kernel.accounts import User

ROLE = click.Choice(["viewer", "agent", "approver", "operator", "administrator"])


@click.group()
def user() -> None:
    """Members of staff."""


@user.command("add")
@click.argument("login")
@config_option
@click.option("--name", required=True, help="As customers see it.")
@click.option("--role", type=ROLE, default="agent", show_default=True)
@click.password_option(help="Asked for when it is not given; at least 12 characters.")
def user_add(config_file: Path, login: str, name: str, role: str, password: str) -> None:
    """Add a member of staff with a local account."""
    from statuspage.kernel import accounts

    password_hash = accounts.hash_password(password)
    database_of(config_file).run_now(
        accounts.add_user, login, name, accounts.Role(role), password_hash, now=now(), by=author()
    )
    click.echo(f"added {login} ({role})")


@user.command("list")
@config_option
def user_list(config_file: Path) -> None:
    """List members of staff: login, role, kind of account, second factor, name."""
    from statuspage.kernel import accounts, otp

    def read(session: "Session") -> list[tuple["User", bool]]:
        return [(one, otp.is_on(session, one.id)) for one in accounts.listed(session)]

    for one, has_factor in database_of(config_file).read_now(read):
        kind = "closed" if one.disabled_at else "local" if one.issuer is None else "provider"
        factor = "totp" if has_factor else "-"
        click.echo(f"{one.login:<20}  {one.role:<13}  {kind:<8}  {factor:<4}  {one.name}")


@user.command("disable")
@click.argument("login")
@config_option
def user_disable(config_file: Path, login: str) -> None:
    """Close an account and end its sessions."""
    from statuspage.kernel import accounts

    def verb(session: "Session") -> None:
        accounts.disable_user(session, _found(session, login).id, now=now(), by=author())

    database_of(config_file).run_now(verb)
    click.echo(f"closed {login}")


@user.command("enable")
@click.argument("login")
@config_option
def user_enable(config_file: Path, login: str) -> None:
    """Open a closed account again."""
    from statuspage.kernel import accounts

    def verb(session: "Session") -> None:
        accounts.enable_user(session, _found(session, login).id, by=author(), now=now())

    database_of(config_file).run_now(verb)
    click.echo(f"opened {login}")


@user.command("set-role")
@click.argument("login")
@click.argument("role", type=ROLE)
@config_option
@click.option("--group", help="For the services of this group alone, by its code.")
def user_set_role(config_file: Path, login: str, role: str, group: str | None) -> None:
    """Change what somebody may do, everywhere or for one group."""
    from statuspage.kernel import accounts

    def verb(session: "Session") -> None:
        one = _found(session, login)
        if group is None:
            accounts.set_role(session, one.id, accounts.Role(role), by=author(), now=now())
            return
        _require_group(session, group)
        roles = accounts.group_roles(session, one.id) | {group: accounts.Role(role)}
        accounts.set_group_roles(session, one.id, roles, by=author(), now=now())

    database_of(config_file).run_now(verb)
    click.echo(f"{login} is {role}{f' for {group}' if group else ''}")


@user.command("set-password")
@click.argument("login")
@config_option
@click.password_option(help="Asked for when it is not given; at least 12 characters.")
def user_set_password(config_file: Path, login: str, password: str) -> None:
    """Set somebody's password and end their sessions."""
    from statuspage.kernel import accounts

    password_hash = accounts.hash_password(password)

    def verb(session: "Session") -> None:
        accounts.set_password(session, _found(session, login).id, password_hash, by=author(), now=now())

    database_of(config_file).run_now(verb)
    click.echo(f"changed the password of {login}")


@user.command("reset-totp")
@click.argument("login")
@config_option
def user_reset_totp(config_file: Path, login: str) -> None:
    """Remove somebody's second factor and end their sessions."""
    from statuspage.site.staff import reset_second_factor

    def verb(session: "Session") -> None:
        reset_second_factor(session, _found(session, login).id, by=author(), now=now())

    database_of(config_file).run_now(verb)
    click.echo(f"reset the second factor of {login}")


def _found(session: "Session", login: str) -> "User":
    from statuspage.kernel import accounts

    one = accounts.find_user(session, login)
    if one is None:
        raise Invalid("LOGIN", f'nobody has the login "{login}"; see statuspage user list')
    return one


def _require_group(session: "Session", code: str) -> None:
    from sqlalchemy import select

    from statuspage.incidents.tables import Group

    known = session.scalars(select(Group.code).where(Group.archived_at.is_(None)).order_by(Group.code)).all()
    if code not in known:
        raise Invalid("--group", f'there is no group "{code}"; there are {", ".join(known) or "none"}')


# --- the audit log ---


@click.group()
def audit() -> None:
    """The log of who did what."""


@audit.command("verify")
@config_option
@click.option("--containing", metavar="HASH", help="Fail unless an entry has this hash, noted down earlier.")
def audit_verify(config_file: Path, containing: str | None) -> None:
    """Walk the chain; print how many entries there are and the last one's hash.

    At the first entry that does not hold: its number, and exit status 1. Keep the hash somewhere else: with
    --containing it proves that the log was not written anew.
    """
    from statuspage.kernel import audit as log

    try:
        chain = database_of(config_file).read_now(log.verify, containing=containing)
    except log.Broken as broken:
        click.echo(f"broken at {broken.seq}: {broken.reason}", err=True)
        sys.exit(1)
    click.echo(f"{chain.count} entries, last hash {chain.last_hash}")


@audit.command("list")
@config_option
@click.option("--actor", default="", help="Only what this login did.")
@click.option("--action", default="", help="Only this action, such as user.added, or all of a kind: user.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def audit_list(config_file: Path, actor: str, action: str, limit: int) -> None:
    """List entries, newest first, one JSON object a line: nothing in one can look like another line."""
    import json

    from statuspage.kernel import audit as log

    for entry in database_of(config_file).read_now(log.entries, actor=actor, action=action, limit=limit):
        shown = {
            "seq": entry.seq,
            "at": f"{entry.at:%Y-%m-%dT%H:%M:%S.%fZ}",
            "actor": entry.actor,
            "action": entry.action,
            "subject": entry.subject,
            "details": json.loads(entry.details),
            "hash": entry.hash,
        }
        click.echo(json.dumps(shown))
