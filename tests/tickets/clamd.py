"""A real clamd with one signature of its own: that of the EICAR test file."""

import hashlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

# In two halves, so that no scanner takes this file for the test file.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


class Clamd:
    """A daemon on a socket file, with its signatures in a directory of the test's."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin:/sbin")
        if program is None:
            pytest.fail(
                "clamd is missing; install the package clamav-daemon (make install does where it may)"
            )
        signatures = directory / "signatures"
        signatures.mkdir(parents=True)
        digest = hashlib.md5(EICAR, usedforsecurity=False).hexdigest()
        (signatures / "test.hdb").write_text(f"{digest}:{len(EICAR)}:Eicar-Test-Signature\n")
        self.socket = directory / "clamd.sock"
        configuration = directory / "clamd.conf"
        configuration.write_text(
            f"LocalSocket {self.socket}\nDatabaseDirectory {signatures}\nForeground yes\n"
            "OfficialDatabaseOnly no\nStreamMaxLength 20M\nMaxThreads 2\n"
        )
        self._process = subprocess.Popen(
            [program, "--config-file", str(configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        self._wait()

    @property
    def address(self) -> str:
        """As `[tickets] clamd` has it."""
        return f"unix://{self.socket}"

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "clamd ended"
            with socket.socket(socket.AF_UNIX) as probe:
                if not probe.connect_ex(str(self.socket)):
                    return
            time.sleep(0.05)
        raise AssertionError("clamd does not answer")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
