"""One server per data directory (abuse case 35)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from statuspage.kernel.errors import Conflict
from statuspage.kernel.lock import hold

HOLD = (
    "import sys, pathlib\nfrom statuspage.kernel.lock import hold\nwith hold(pathlib.Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n    sys.stdin.read()\n"
)


def test_a_second_holder_is_refused_and_told_which_process_has_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Conflict, match=str(other.pid)), hold(tmp_path):
            pass
        other.kill()
        other.wait()
    with hold(tmp_path):  # it died with its process
        assert (tmp_path / "server.lock").read_text() == f"{os.getpid()}\n"
