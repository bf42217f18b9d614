"""statuspage-prometheus-exporter, unchanged, as a reader of the API."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families


@contextmanager
def exporter(summary_url: str, directory: Path) -> Iterator[str]:
    """statuspage-prometheus-exporter, unchanged, reading `summary_url`; yields the URL of its metrics."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    services = directory / "services.json"
    services.write_text(
        json.dumps({"customs": {"name": "customs", "url": summary_url, "type": "status_page"}})
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "statuspage_prometheus_exporter.status_monitoring"],
        cwd=directory,
        env=os.environ
        | {"SERVICES_JSON_PATH": str(services), "METRICS_PORT": str(port), "RUN_MODE": "daemon"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        process.terminate()
        process.wait(10)


def scraped(url: str, *wanted: str) -> dict[str, dict[str, tuple[float, dict[str, str]]]]:
    """Metric → label (component or incident) → value and labels, once all that is `wanted` is there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, ConnectionError):
            text = ""
        found = {
            family.name: {
                s.labels.get("component_name") or s.labels.get("incident_id", ""): (s.value, s.labels)
                for s in family.samples
            }
            for family in text_string_to_metric_families(text)
        }
        if all(found.get(name) for name in wanted):
            return found
        threading.Event().wait(0.1)
    raise AssertionError(f"the exporter did not show {wanted} in time")
