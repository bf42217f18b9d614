"""The composition root: opens the house, puts routes and middleware together, starts what runs for a long time."""

import asyncio
import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

import monitors.board
import monitors.catalogue
import monitors.checks
import monitors.history
import monitors.latency_pages
import monitors.manage
import monitors.web
import notifiers.broadcasts
import notifiers.preview
import notifiers.tables
import notifiers.web
import tickets.console
import tickets.follow_pages
import tickets.portal
import tickets.requests
import tickets.tables
from monitors.probes import Outcome
from monitors.runner import Runner
from notifiers.dispatcher import Dispatcher
from statuspage import migrations
from statuspage.incidents import catalogue, maintenance
from statuspage.incidents.rules import MaintenanceStatus
from statuspage.incidents.snapshots import SnapshotBuilder
from statuspage.jobs import Calendar
from statuspage.kernel import clock, config, lock, logs, memory, rest, statements
from statuspage.kernel.db import Base, Database
from statuspage.kernel.errors import Conflict, Error, Invalid, NotFound, Unavailable
from statuspage.kernel.house import House, SignInHint
from statuspage.kernel.i18n import Catalogues, Language
from statuspage.kernel.net import Network
from statuspage.kernel.operations import Operation
from statuspage.kernel.panels import Panel, Parts
from statuspage.kernel.prepared import Prepared
from statuspage.kernel.security import Signer, load_or_make_secret
from statuspage.kernel.tasks import keep_running
from statuspage.kernel.web import EXCEPTION_HANDLERS, middleware
from statuspage.site import (
    account,
    archive,
    audit_trail,
    console,
    live,
    manage,
    news_console,
    signin,
    staff,
    wire,
)
from statuspage.site.copies import Copies
from statuspage.site.live import Live
from statuspage.site.outputs import Edition, Front
from statuspage.site.publisher import Publisher
from statuspage.site.static_site import write
from statuspage.site.views import View
from tickets.answers import Answers
from tickets.scanning import Scanner

log = structlog.get_logger(__name__)

GRACE_S = 5


class Role(StrEnum):
    """What a process does. One process may do everything; with PostgreSQL they may be spread."""

    WEB = "web"
    PROBER = "prober"
    WORKER = "worker"


ALL_ROLES = frozenset(Role)


# --- the house ---


def open_database(settings: config.Settings) -> Database:
    """The database of these settings. Makes the data directory where it is missing.

    Raises Invalid naming `data.dir` or `data.database_url`.
    """
    try:
        Path(settings.data.dir).mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Invalid("data.dir", f"{settings.data.dir} cannot be made: {error.strerror}") from None
    try:
        return Database(settings.database_url)
    except (ArgumentError, ImportError):
        raise Invalid("data.database_url", "write it as postgresql+psycopg://user@host/name") from None


def open_house(
    settings: config.Settings,
    db: Database,
    *,
    is_demo: bool = False,
    sign_in_hints: tuple[SignInHint, ...] = (),
) -> House:
    """Everything the rooms are given."""
    secret = settings.security.secret or load_or_make_secret(Path(settings.data.dir))
    return House(
        settings=settings,
        db=db,
        network=Network(settings.security.allow_networks),
        signer=Signer(secret),
        catalogues=Catalogues(),
        is_demo=is_demo,
        sign_in_hints=sign_in_hints,
    )


# --- the application ---


@dataclass
class Application:
    """The ASGI application and what has to run beside it."""

    house: House
    roles: frozenset[Role] = ALL_ROLES
    extra_routes: Sequence[BaseRoute] = ()
    tasks: dict[str, Callable[[], Awaitable[None]]] = field(init=False, default_factory=dict)
    asgi: ASGIApp = field(init=False)
    on_ready: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        house, settings = self.house, self.house.settings
        self.language: Language = "pl" if settings.page.language == "pl" else "en"
        self.live = Live(settings)
        self.runner = Runner(house.db, house.network, settings) if Role.PROBER in self.roles else None
        self.dispatcher = Dispatcher(house) if Role.WORKER in self.roles else None
        starlette = Starlette(
            routes=self._routes(),
            middleware=middleware(settings),
            exception_handlers=EXCEPTION_HANDLERS,
            lifespan=self._lifespan,
        )
        starlette.router.redirect_slashes = False  # it would redirect to whatever the Host header says
        starlette.state.house = house
        self.front = Front(starlette, default_language=self.language)
        self.copies = Copies(house, self.front, lambda copied: house.db.read(graphs, copied, now=clock.now()))
        self.publisher = Publisher(house, self.front, self.live, on_edition=self.copies.wake)
        self.asgi = self.front
        self._plan_tasks()

    def _routes(self) -> list[BaseRoute]:
        routes: list[BaseRoute] = [
            Route("/healthz", healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", metrics),
            *monitors.web.routes(),
        ]
        if Role.WEB in self.roles:
            parts = Parts(
                panels=[
                    lambda session: planned_panel(session, self.house.settings.page, now=clock.now()),
                    notifiers.web.panel,
                    tickets.console.panel,
                ],
                monitors=monitors.board.lines,
                audience=notifiers.broadcasts.count_audience,
                mailing=notifiers.preview.mailing,
                told=notifiers.preview.told,
            )
            routes += [
                *live.routes(self.live),
                *console.routes(parts),
                *signin.routes(),
                *self._provider_routes(),
                *account.routes(),
                *staff.routes(),
                *audit_trail.routes(),
                *news_console.routes(),
                *archive.routes(self._view),
                rest.mount(self.house, manage_operations()),
                *notifiers.web.routes(),
                *tickets.portal.routes(),
                *tickets.follow_pages.routes(self.house.settings.tickets.attachment_bytes),
                *tickets.console.routes(),
                *self.extra_routes,
            ]
        routes.append(WebSocketRoute("/{path:path}", no_feed))
        return routes

    def _provider_routes(self) -> list[BaseRoute]:
        settings = self.house.settings
        if settings.oidc.issuer is None:
            return []
        from statuspage.kernel.oidc import Provider  # a quarter of a second, for those who have one
        from statuspage.site import sso

        back = settings.server.base_url + sso.CALLBACK
        return sso.routes(Provider(settings.oidc, self.house.network, back))

    def _view(self, language: str) -> View | None:
        edition = self.front.edition
        return edition.view(language) if edition else None

    def _plan_tasks(self) -> None:
        settings = self.house.settings
        self.tasks["watch"] = self.house.db.watch
        if Role.WEB in self.roles:
            self.tasks["publisher"] = self.publisher.run
            if settings.publish.directory:
                self.tasks["copies"] = self.copies.run
        if self.runner is not None:
            self.tasks["runner"] = self.runner.run
        if self.dispatcher is not None:
            self.tasks["dispatcher"] = self.dispatcher.run
            self.tasks["answers"] = Answers(self.house).run
            self.tasks["scanner"] = Scanner(self.house).run
            self.tasks["calendar"] = Calendar(self.house).run

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        memory.set_imports_aside()
        if Role.WEB in self.roles:
            await self.publisher.refresh()
        memory.settle()
        running = [
            asyncio.create_task(keep_running(name, run), name=name) for name, run in self.tasks.items()
        ]
        self.on_ready()
        try:
            yield
        finally:
            self.live.close()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self.house.network.close()

    async def _readyz(self, _request: Request) -> Response:
        missing = []
        if self.front.edition is None and Role.WEB in self.roles:
            missing.append("no page has been rendered yet")
        if self.runner is not None and not self.runner.is_ready:
            missing.append("not every monitor has a result")
        if self.dispatcher is not None and not self.dispatcher.relay_tried:
            missing.append("the mail relay was not tried yet")
        return PlainTextResponse("\n".join(missing or ["ready"]) + "\n", 503 if missing else 200)


def planned_panel(session: Session, page: config.Page, *, now: datetime) -> Panel:
    """The work that an officer begins and completes, as far as its time has come."""
    rows = []
    for notice in maintenance.awaiting(session):
        is_begun = notice.status != MaintenanceStatus.SCHEDULED
        due_at = notice.window.ends_at if is_begun else notice.window.begins_at
        if due_at < now:
            at = f"{due_at.astimezone(ZoneInfo(page.time_zone)):%Y-%m-%d %H:%M}"
            name = notice.name_pl if page.language == "pl" else notice.name_en
            rows.append((name, notice.id, "" if is_begun else at, at if is_begun else ""))
    return Panel(
        title="Planned work that waits for you",
        columns=("Planned work", "Reference", "Should have begun", "Should have ended"),
        rows=tuple(rows),
        empty="None is overdue.",
    )


def manage_operations() -> list[Operation]:
    """Everything that the management API does, of all rooms."""
    return [
        *manage.operations(notifiers.broadcasts.count_audience),
        *monitors.manage.operations(),
    ]


async def healthz(_request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


async def no_feed(websocket: WebSocket) -> None:
    """A WebSocket asked for where there is none: our answer with our headers, not the server's own."""
    await websocket.send_denial_response(PlainTextResponse("not found\n", 404))


async def metrics(_request: Request) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


# --- serving ---


def server_config(app: ASGIApp, settings: config.Settings) -> dict[str, object]:
    """Keyword arguments of `uvicorn.Config`."""
    return {
        "app": app,
        "host": settings.server.host,
        "port": settings.server.port,
        "loop": "uvloop",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": bool(settings.server.trusted_proxies),
        "forwarded_allow_ips": list(settings.server.trusted_proxies),
        "timeout_graceful_shutdown": GRACE_S,
        **wire.server_options(),
    }


def serve(settings: config.Settings, db: Database, *, roles: frozenset[Role] = ALL_ROLES) -> None:
    """Serve until a signal. Refuses a database of another version, and a SQLite directory that is served already."""
    import uvicorn

    require_current(db)
    logs.configure()
    memory.limit_arenas()
    application = Application(open_house(settings, db), roles)
    with held(settings, db), listening(settings.server) as listener:
        for line in statements.missing(settings):
            log.warning("settings.incomplete", missing=line)
        server = uvicorn.Server(uvicorn.Config(**server_config(application.asgi, settings)))  # type: ignore[arg-type]
        with suppress(KeyboardInterrupt):  # uvicorn has ended in order, and raises the signal again
            server.run(sockets=[listener])


def listening(server: config.Server) -> socket.socket:
    """The socket to be served. Raises Invalid when the address is not ours or the port is taken."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        return socket.create_server((server.host, server.port), family=family, backlog=2048)
    except OSError as error:
        raise Invalid(
            "server.port", f"{server.host}:{server.port} cannot be listened on: {error.strerror}"
        ) from None


def held(settings: config.Settings, db: Database) -> AbstractContextManager[None]:
    """The data directory's lock; several servers may share a PostgreSQL."""
    return lock.hold(Path(settings.data.dir)) if db.is_sqlite else nullcontext()


# --- verbs of the CLI that need more than one room ---


def migrate(settings: config.Settings) -> str:
    """Bring the tables up to date; returns what it did."""
    with closing(open_database(settings)) as db:
        before = _version(db)
        migrations.upgrade(db.engine, Base.metadata)
        after = migrations.current(db.engine)
    return f"at {after} already" if before == after else f"from {before or 'empty'} to {after}"


def require_current(db: Database) -> None:
    """Raises Conflict when the tables are not those of this version, Unavailable when nobody answers."""
    if (current := _version(db)) != migrations.head():
        raise Conflict(
            f"the database is at version {current or 'none'}, {migrations.head()} is needed; run statuspage migrate"
        )


def _version(db: Database) -> str | None:
    try:
        return migrations.current(db.engine)
    except OperationalError as error:
        raise Unavailable(f"data.database_url: the database cannot be used: {error.orig}") from None


def apply_catalogue(
    settings: config.Settings,
    db: Database,
    declared: catalogue.Catalogue,
    *,
    where: str,
    dry_run: bool = False,
) -> list[str]:
    """Apply groups, services and monitors in one unit of work. Returns a line for each difference."""
    checked = monitors.catalogue.parse_monitors(declared.monitors, where=where)
    now = clock.now()

    class DryRun(Exception):
        pass

    lines: list[str] = []

    def verb(session: Session) -> None:
        lines[:] = catalogue.apply(session, declared, now=now).lines
        lines.extend(monitors.catalogue.apply(session, checked, now=now))
        if dry_run:
            raise DryRun

    with suppress(DryRun):
        db.run_now(verb)
    return lines


def probe_once(settings: config.Settings, db: Database, monitor: str) -> list[str]:
    """One check now; returns lines that say what it saw."""
    network = Network(settings.security.allow_networks)
    seen = asyncio.run(monitors.checks.probe_now(db, network, settings, monitor, now=clock.now()))
    return [line for watched, outcome in seen for line in _outcome_lines(watched.key, outcome)]


def _outcome_lines(name: str, outcome: Outcome) -> list[str]:
    head = f"{name}: {outcome.verdict}{f' ({outcome.cause})' if outcome.cause else ''}"
    phases = [f"  {phase:<12} {ms:8.1f} ms" for phase, ms in outcome.phases_ms.items()]
    return [head, *phases, *(f"  {name:<12} {value}" for name, value in outcome.facts.items())]


def publish_site(settings: config.Settings, db: Database, directory: Path, *, is_demo: bool = False) -> int:
    """Write every public page as a file with its compressed twins. Returns how many pages."""
    house = replace(open_house(settings, db), is_demo=is_demo, is_copy=True)
    builder = SnapshotBuilder(settings.zone, counts_maintenance=settings.page.uptime_counts_maintenance)
    now = clock.now()
    edition = Edition(db.read_now(builder.build, now=now), house)
    further = db.read_now(graphs, house, now=now).items()
    return write(edition, directory, default_language=settings.page.language, further=further)


def graphs(session: Session, house: House, *, now: datetime) -> dict[str, Prepared]:
    """What the monitors' room shows to the public, as files of the static copy."""
    language = house.settings.page.language
    return dict(monitors.latency_pages.static_files(session, house, now=now, default_language=language))


def backup(settings: config.Settings, file: Path) -> str:
    """A consistent copy of a SQLite database, taken while the server runs."""
    db = open_database(settings)
    if not db.is_sqlite:
        raise Invalid("data.database_url", "is not SQLite; use pg_dump")
    if file.exists():
        raise Conflict(f"{file} exists already")
    source = Path(db.engine.url.database or "")
    if not source.exists():
        raise NotFound(f"{source} does not exist yet")
    partial = file.with_name(file.name + ".partial")
    try:
        with sqlite3.connect(source) as origin, sqlite3.connect(partial) as target:
            origin.backup(target)
        os.replace(partial, file)
    except (sqlite3.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise Error(f"{file}: cannot be written: {error}") from None
    return f"wrote {file}"
