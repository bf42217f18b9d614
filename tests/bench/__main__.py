"""Runs the benchmarks one after another: `make bench`, or `make bench ONLY=live` for one of them.

Each is a program `bench_<name>.py` of its own that prints one JSON line per figure.
"""

import subprocess
import sys
from pathlib import Path


def main(only: list[str]) -> int:
    """The number of benchmarks that failed."""
    programs = sorted(Path(__file__).parent.glob("bench_*.py"))
    names = [program.stem.removeprefix("bench_") for program in programs]
    if unknown := set(only) - set(names):
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    failed = []
    for name, program in zip(names, programs, strict=True):
        if only and name not in only:
            continue
        print(f"# {name}", file=sys.stderr, flush=True)
        if subprocess.run([sys.executable, program], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
