"""Breaking the running demo from another process, through its control endpoint."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from statuspage.demo.control import Running, ask_running_demo, find_running
from statuspage.demo.simulator import Fault
from statuspage.demo.world import World
from statuspage.kernel.errors import Invalid

ASK = """
import asyncio, sys
from pathlib import Path
from statuspage.demo.control import ask_running_demo
print(asyncio.run(ask_running_demo(Path(sys.argv[1]), *sys.argv[2:])))
"""


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    running = World(tmp_path / "demo", 8000)
    await running.start()
    yield running
    await running.stop()


async def test_another_process_breaks_and_restores_a_service(world: World) -> None:
    async def ask(*words: str) -> str:
        command = [sys.executable, "-c", ASK, str(world.data_dir), *words]
        done = await asyncio.to_thread(
            subprocess.run, command, check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout.strip()

    assert await ask("break", "NCTS2", "timeout") == "NCTS2 is broken (timeout)."
    assert world.simulator.faults == {"NCTS2": Fault.TIMEOUT}
    assert await ask("restore", "ncts2") == "NCTS2 works again."
    assert world.simulator.faults == {}


async def test_an_unknown_service_is_answered_with_the_known_ones(world: World) -> None:
    with pytest.raises(Invalid, match=r"NCTS3.*AES.*NCTS2.*ZEFIR2"):
        await ask_running_demo(world.data_dir, "break", "NCTS3")


async def test_an_unknown_fault_is_answered_with_the_known_ones(world: World) -> None:
    with pytest.raises(Invalid, match="known are 503, timeout, slow, reset, tls, body"):
        await ask_running_demo(world.data_dir, "break", "NCTS2", "hammer")


async def test_where_no_demo_runs_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no demo is running here"):
        await ask_running_demo(tmp_path, "break", "NCTS2")


def test_what_a_killed_demo_left_behind_is_no_running_demo(tmp_path: Path) -> None:
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    Running(int(gone.stdout), 8000, "http://127.0.0.1:8000", 1, 1, "token").write(tmp_path)
    assert find_running(tmp_path) is None


async def test_a_process_of_the_same_number_that_is_no_demo_is_told_apart(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    Running(os.getpid(), 8000, "http://127.0.0.1:8000", 1, unused_tcp_port, "token").write(tmp_path)
    with pytest.raises(Invalid, match="no demo is running here"):
        await ask_running_demo(tmp_path, "restore", "NCTS2")


async def test_nobody_without_the_token_breaks_anything(world: World) -> None:
    running = find_running(world.data_dir)
    assert running is not None
    async with httpx.AsyncClient(trust_env=False) as client:
        address = f"http://127.0.0.1:{running.control_port}/break"
        answer = await client.post(
            address, json={"service": "NCTS2", "how": "503"}, headers={"Authorization": "Bearer guessed"}
        )
        nonsense = await client.post(
            address, content=b"[", headers={"Authorization": f"Bearer {running.token}"}
        )
    assert answer.status_code == 403
    assert nonsense.status_code == 400
    assert world.simulator.faults == {}


async def test_the_file_is_for_its_owner_only_and_goes_with_the_demo(tmp_path: Path) -> None:
    world = World(tmp_path, 8123)
    await world.start()
    path = tmp_path / "demo.json"
    assert path.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_text())["base_url"] == "http://127.0.0.1:8123"
    await world.stop()
    assert not path.exists()
