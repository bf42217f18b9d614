"""A broadcast with durable delivery rows to postfix's smtp-sink, beside smtp-source: a core for each end.

Prints one JSON line per figure. The clock runs from the commit of the incident to the record of the last
relay's answer; `seconds_to_first` ends when the relay has the first mail.
"""

import argparse
import asyncio
import os
import pwd
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from notifiers import broadcasts
from notifiers.dispatcher import Dispatcher
from notifiers.rules import DeliveryState, SubscriberState
from notifiers.tables import Delivery, Subscriber
from statuspage.kernel import clock
from statuspage.kernel.db import Database, new_id
from statuspage.kernel.events import Consumer, pending
from tests.bench.figures import figure
from tests.notifiers.scenes import fill_catalogue, house_of, open_incident
from tests.schema import metadata

RECIPIENTS = 50_000
CONNECTIONS = 8
SINK, SOURCE = Path("/usr/sbin/smtp-sink"), Path("/usr/sbin/smtp-source")
MAIL_BYTES = 9000  # about what our mails have


def pin(core: int) -> None:
    """A core each, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def sink() -> Iterator[int]:
    """postfix's smtp-sink on the second core; gives its port."""
    port = free_port()
    as_user = ["-u", pwd.getpwnam("nobody").pw_name] if os.geteuid() == 0 else []
    command = [str(SINK), *as_user, f"127.0.0.1:{port}", "1000"]
    process = subprocess.Popen(command, preexec_fn=lambda: pin(1), stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def subscribe_many(session: Session, count: int) -> None:
    now = clock.now()
    fill_catalogue(session, now=now)
    rows = [
        {
            "id": new_id(),
            "email": f"trader{number}@firm{number % 997}.example",
            "language": "pl" if number % 4 else "en",
            "state": SubscriberState.ACTIVE,
            "all_services": True,
            "created_at": now,
            "consent": "bench",
        }
        for number in range(count)
    ]
    session.execute(insert(Subscriber), rows)


def measure_expansion(directory: Path, count: int) -> None:
    """Rows a second from an event to its deliveries, nothing else going on."""
    db = prepared(directory / "expansion.db", count)
    with house_of(db, directory) as house:
        db.run_now(open_incident, "PUESC", now=clock.now())
        (seq,) = broadcast_events(db)
        began = time.perf_counter()
        while db.run_now(broadcasts.expand, seq, house=house, now=clock.now()):
            pass
        seconds = time.perf_counter() - began
        figure("mail.expansion", round(count / seconds), "rows/s", rows=count)
    db.close()


def broadcast_events(db: Database) -> list[int]:
    """The events that make mail."""
    found = db.read_now(pending, Consumer.NOTIFIERS)
    return [event.seq for event in found if event.kind == "incident.created"]


def prepared(path: Path, count: int) -> Database:
    db = Database(f"sqlite:///{path}")
    metadata.create_all(db.engine)
    db.run_now(subscribe_many, count)
    return db


def sent(session: Session) -> int:
    found = session.scalar(select(func.count()).where(Delivery.state == DeliveryState.SENT))
    return found or 0


async def broadcast(db: Database, directory: Path, port: int, count: int, peer: float) -> None:
    """One incident to everybody, through the dispatcher as it runs in production."""
    with house_of(db, directory, relay=f"smtp://127.0.0.1:{port}") as house:
        dispatcher = Dispatcher(house)
        running = asyncio.create_task(dispatcher.run())
        while not dispatcher.relay_tried:
            await asyncio.sleep(0.01)
        before = resource.getrusage(resource.RUSAGE_SELF)
        await db.run(open_incident, "PUESC", now=clock.now())
        began, first = time.perf_counter(), 0.0
        while (done := await db.read(sent)) < count:
            first = first or (time.perf_counter() - began if done else 0.0)
            await asyncio.sleep(0.02 if not first else 0.25)
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rate = count / seconds
    figure(
        "mail.broadcast", round(rate), "recipients/s", smtp_source=round(peer), ratio=round(rate / peer, 2),
        recipients=count, seconds=round(seconds, 2), seconds_to_first=round(first, 3),
        cpu_us_per_mail=round(cpu_s / count * 1e6), rss_max_mb=round(peak_kb() / 1024),
    )  # fmt: skip


def source(port: int, count: int) -> float:
    """Mails a second of postfix's own load generator, on our core, over as many connections that stay open."""
    began = time.perf_counter()
    how = f"-d -s {CONNECTIONS} -m {count} -l {MAIL_BYTES} -f a@b.example -t c@d.example 127.0.0.1:{port}"
    subprocess.run([str(SOURCE), *how.split()], preexec_fn=lambda: pin(0), check=True)
    return count / (time.perf_counter() - began)


def peak_kb() -> int:
    """The most memory this program had. (ru_maxrss would count the parent's from before exec.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def run_side(directory: Path, port: int, count: int, peer: float) -> None:
    """Our side, in a process of its own so that its memory is its own."""
    pin(0)
    db = Database(f"sqlite:///{directory / 'broadcast.db'}")
    uvloop.run(broadcast(db, directory, port, count, peer))
    db.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipients", type=int, default=RECIPIENTS)
    parser.add_argument("--side", nargs=3, metavar=("DIR", "PORT", "PEER"))
    options = parser.parse_args()
    if options.side:
        where, port, peer = options.side
        run_side(Path(where), int(port), options.recipients, float(peer))
        return
    if not SINK.exists():
        sys.exit(
            "postfix's smtp-sink is missing; install the package postfix (make install does where it may)"
        )
    directory = Path(tempfile.mkdtemp(prefix="statuspage-bench-"))
    try:
        measure_expansion(directory, options.recipients)
        prepared(directory / "broadcast.db", options.recipients).close()
        with sink() as port:
            peer = source(port, min(options.recipients, 20_000))
            side = ["--side", str(directory), str(port), str(peer)]
            ours = [sys.executable, "-m", "tests.bench.bench_mail", *side]
            subprocess.run([*ours, "--recipients", str(options.recipients)], check=True)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
