"""Runs the benchmarks one after another: `make bench`, or `make bench ONLY="live mail"` for some of them.

Each is a program `bench_<name>.py` of its own that prints one JSON line per figure. Here `limits` and `met` are
added to the lines that have a bound. Ends with 1 when a bound is missed or a benchmark broke.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.limits import LIMITS, limits_on


def main(only: list[str]) -> int:
    """0 when every benchmark ran and every figure holds."""
    names = sorted(
        program.stem.removeprefix("bench_") for program in Path(__file__).parent.glob("bench_*.py")
    )
    if unknown := set(only) - set(names):
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    names = only or names
    broken = [name for name in names if not (_run(name))]
    missed = [str(limit) for limit in LIMITS if limit.figure.split(".")[0] in names and not _held.get(limit)]
    for name in broken:
        print(f"broke: {name}", file=sys.stderr)
    for limit in missed:
        print(f"missed: {limit}", file=sys.stderr)
    if not broken and not missed:
        print("every limit holds", file=sys.stderr)
    return 1 if broken or missed else 0


_held: dict[Any, bool] = {}


def _run(name: str) -> bool:
    """Whether it ran to its end. Its lines are judged and printed as they come."""
    print(f"# {name}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"tests.bench.bench_{name}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            print(_judged(text), flush=True)
    return process.returncode == 0


def _judged(text: str) -> str:
    text = text.rstrip("\n")
    if not text.startswith("{"):
        return text
    line: dict[str, Any] = json.loads(text)
    limits = list(limits_on(line))
    if not limits:
        return text
    for limit in limits:
        _held[limit] = limit.is_met(line)
    bounds = [str(limit).removeprefix(f"{limit.figure}: ") for limit in limits]
    return json.dumps({**line, "limits": bounds, "met": all(_held[limit] for limit in limits)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
