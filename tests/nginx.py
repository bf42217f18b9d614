"""A published copy behind a real nginx, with the configuration that docs/static-copy.md gives."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.documentation import ROOT

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def configuration(site: Path, directory: Path, port: int) -> str:
    """The document's words, on a port and in directories of the test's own."""
    text = (ROOT / "docs" / "static-copy.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    http = found.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("/srv/status", str(site))
    temporary = "".join(
        f"{name}_temp_path {directory}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; master_process off; pid {directory}/pid; error_log stderr;"
        f"events {{}}\nhttp {{ access_log {directory}/access.log; {temporary}\n{http}\n}}\n"
    )


@contextmanager
def serving_copy(site: Path, directory: Path, *, port: int | None = None) -> Iterator[str]:
    """Serve the files of `site`; nginx keeps its own in `directory`. Yields the address."""
    if NGINX is None:
        pytest.fail("nginx is missing; install the package nginx-light (make install does where it may)")
    port = port or free_port()
    (directory / "nginx.conf").write_text(configuration(site, directory, port))
    process = subprocess.Popen([NGINX, "-p", str(directory), "-c", str(directory / "nginx.conf")])
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(100):
            assert process.poll() is None, "nginx ended"
            try:
                httpx.get(url)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()
