"""Runs the demo: the product itself, pointed at the simulated world."""

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
import uvicorn
import uvloop
from sqlalchemy.orm import Session

from statuspage import app, migrations
from statuspage.demo import mailbox
from statuspage.demo.simulator import HOST
from statuspage.demo.world import World, populate
from statuspage.incidents import catalogue
from statuspage.incidents.publication import load_tree
from statuspage.kernel import accounts, clock, config, lock, logs, memory
from statuspage.kernel.db import Base, Database
from statuspage.kernel.errors import Invalid
from statuspage.kernel.house import SignInHint

SIGN_INS = (
    SignInHint("agent", "agent-of-the-demo", accounts.Role.AGENT.value),
    SignInHint("operator", "operator-of-the-demo", accounts.Role.OPERATOR.value),
    SignInHint("administrator", "administrator-of-the-demo", accounts.Role.ADMINISTRATOR.value),
    SignInHint("operator2", "second-of-the-demo", accounts.Role.OPERATOR.value),
)


def run(data_dir: Path, port: int) -> None:
    """Run until interrupted. Raises Conflict when a demo runs on this directory already."""
    logs.configure(level=logging.WARNING)
    memory.limit_arenas()
    data_dir.mkdir(parents=True, exist_ok=True)
    with lock.hold(data_dir.resolve()), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(data_dir.resolve(), _free(port)))


def _free(port: int) -> int:
    """The port itself if it is free; for 0 one that the system chooses. Raises Invalid."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Invalid(
                "--port", f"{port} cannot be used: {error.strerror}; choose another (make run PORT=…)"
            ) from None
        return int(probe.getsockname()[1])


async def _run(data_dir: Path, port: int) -> None:
    world = World(data_dir, port)
    await world.start()
    try:
        db = app.open_database(world.settings)
        await asyncio.to_thread(_prepare, db, world.settings, world.catalogue)
        house = app.open_house(world.settings, db, is_demo=True, sign_in_hints=SIGN_INS)
        application = app.Application(house, extra_routes=mailbox.routes())
        server = uvicorn.Server(uvicorn.Config(**app.server_config(application.asgi, world.settings)))  # type: ignore[arg-type]
        application.on_ready = lambda: click.echo(guide(world.settings, data_dir))
        await server.serve()
    finally:
        await world.stop()


def _prepare(db: Database, settings: config.Settings, catalogue_text: str) -> None:
    """Tables, catalogue and, the first time, staff and history."""
    if migrations.current(db.engine) != migrations.head():
        migrations.upgrade(db.engine, Base.metadata)
    is_fresh = not db.read_now(lambda session: load_tree(session).services)
    declared = catalogue.parse(catalogue_text, where="catalogue.toml")
    app.apply_catalogue(settings, db, declared, where="catalogue.toml")
    if is_fresh:
        now = clock.now()
        db.run_now(populate, settings, now=now)
        hashes = [accounts.hash_password(hint.password) for hint in SIGN_INS]
        db.run_now(_add_staff, hashes, now=now)


def _add_staff(session: Session, hashes: Sequence[str], *, now: datetime) -> None:
    for hint, password_hash in zip(SIGN_INS, hashes, strict=True):
        accounts.add_user(
            session, hint.login, hint.login.capitalize(), accounts.Role(hint.role), password_hash, now=now
        )


def guide(settings: config.Settings, data_dir: Path) -> str:
    """What to open and what to try, for the terminal."""
    base = settings.server.base_url
    command = "statuspage" if Path(sys.argv[0]).name == "statuspage" else "python -m statuspage"
    data = f" --data {data_dir}" if data_dir.name != ".demo" or data_dir.parent != Path.cwd() else ""
    sign_ins = "\n".join(f"    {hint.role:<13} {hint.login} / {hint.password}" for hint in SIGN_INS)
    return f"""
  Customs services status, with simulated services that can really be broken.

  Open
    {base}/            the status page (Polski: {base}/pl/)
    {base}/demo/mail   every mail it sends
    {base}/desk/new    a customer's request
    {base}/console     the console
{sign_ins}

  Try, in another terminal
    .venv/bin/{command} demo break NCTS2{data}              503; also --how timeout, slow, reset, tls, body
    .venv/bin/{command} demo break PUESC{data}              a gateway: one incident, its children impacted
    .venv/bin/{command} demo restore NCTS2{data}

  Ctrl-C stops it; the data stays in {data_dir.name}/.
"""
