"""The house rules that no linter knows: where things may stand, how they may grow, what is documented."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.documentation import COMMANDS, CONFIGURATION, ROOT, commands, configuration, sections

ROOMS = ("statuspage", "monitors", "notifiers", "tickets")
MIGRATIONS = ROOT / "statuspage" / "migrations"
MODULES = sorted(
    path.relative_to(ROOT)
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if MIGRATIONS / "versions" not in path.parents
)
TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))
MAX_MODULE_LINES = 500
MAX_TEST_MODULE_LINES = 700
MAX_FUNCTION_LINES = 60

PURE = re.compile(r"(rules|uptime|forms|clocks|recurrence|announcement)\.py")
IMPURE = {"sqlalchemy", "starlette", "asyncio", "time", "random", "socket"}
NOT_A_NOUN = {
    "util",
    "utils",
    "helper",
    "helpers",
    "base",
    "manager",
    "managers",
    "service",
    "common",
    "misc",
}

# Web functions, loops, the command line and the composition root: they ask the clock, verbs are told.
EDGES = {
    "statuspage/__main__.py",
    "statuspage/cli.py",
    "statuspage/app.py",
    "statuspage/jobs.py",
    "statuspage/kernel/clock.py",
    "statuspage/kernel/rest.py",
    "statuspage/kernel/web.py",
    "statuspage/site/account.py",
    "statuspage/site/console.py",
    "statuspage/site/copies.py",
    "statuspage/site/news_console.py",
    "statuspage/site/planned_announcing.py",
    "statuspage/site/planned_console.py",
    "statuspage/site/planned_file.py",
    "statuspage/site/planned_series.py",
    "statuspage/site/board.py",
    "statuspage/site/composer.py",
    "statuspage/site/drafts.py",
    "statuspage/site/incident_file.py",
    "statuspage/site/pages.py",
    "statuspage/site/publisher.py",
    "statuspage/site/signin.py",
    "statuspage/site/sso.py",
    "statuspage/site/staff.py",
    "monitors/probes/__init__.py",
    "monitors/latency_pages.py",
    "monitors/runner.py",
    "monitors/web.py",
    "notifiers/dispatcher.py",
    "notifiers/sender.py",
    "notifiers/web.py",
    "tickets/answers.py",
    "tickets/console.py",
    "tickets/follow_pages.py",
    "tickets/scanning.py",
    "tickets/portal.py",
}
# The demo invents a world, its clock included.
DEMO = "statuspage/demo/"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def calls(node: ast.AST) -> Iterator[str]:
    """Everything that is called or named with a dot: `session.commit`, `datetime.now`."""
    for found in ast.walk(node):
        if isinstance(found, ast.Attribute):
            yield ast.unparse(found)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_says_what_it_owns_and_stays_small(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = text.count("\n")

    assert ast.get_docstring(tree(path)), "a module opens with what it owns"
    assert lines <= MAX_MODULE_LINES, f"{lines} lines: a second noun is hidden in it"
    assert path.stem not in NOT_A_NOUN, "name it after what it knows"


@pytest.mark.parametrize("path", TESTS, ids=str)
def test_a_test_module_stays_readable(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8").count("\n") <= MAX_TEST_MODULE_LINES


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    lengths = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions(path)}

    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", [path for path in MODULES if PURE.fullmatch(path.name)], ids=str)
def test_rules_import_nothing_that_touches_the_world(path: Path) -> None:
    imported = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])

    assert imported & IMPURE == set()
    assert [call for call in calls(tree(path)) if call.endswith((".now", ".today", ".utcnow"))] == []


def test_only_the_door_to_the_database_commits() -> None:
    committing = {
        str(path)
        for path in MODULES
        if any(call.rpartition(".")[2] in ("commit", "rollback") for call in calls(tree(path)))
    }

    assert committing <= {"statuspage/kernel/db.py"}


def test_only_the_clock_reads_the_system_clock() -> None:
    raw = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic"}
    reading = {str(path) for path in MODULES if raw & set(calls(tree(path)))}

    assert {path for path in reading if not path.startswith(DEMO)} == {"statuspage/kernel/clock.py"}


def test_the_time_of_day_is_asked_for_only_at_the_edges() -> None:
    asking = {str(path) for path in MODULES if "clock.now" in set(calls(tree(path)))}

    assert {path for path in asking if not path.startswith(DEMO)} <= EDGES


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_verb_is_told_the_time_and_never_awaits(path: Path) -> None:
    for function in functions(path):
        parameters = [argument.arg for argument in function.args.args[:2]]
        if "session" in parameters:
            assert not isinstance(function, ast.AsyncFunctionDef), function.name
            assert "clock.now" not in set(calls(function)), function.name


def test_every_setting_is_documented_as_it_is_declared() -> None:
    assert CONFIGURATION.read_text(encoding="utf-8") == configuration(), "run: make docs"


def test_every_setting_says_what_it_is_for() -> None:
    from statuspage.kernel.build import describe

    assert [
        f"{name}.{key.name}" for name, cls in sections() for key in describe(cls) if not key.description
    ] == []


def test_every_command_is_documented_as_it_is_declared() -> None:
    assert COMMANDS.read_text(encoding="utf-8") == commands(), "run: make docs"


ABUSE_ROW = re.compile(r"^\| (\d+) \|.*\| (.*) \|$", re.MULTILINE)
PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def abuse_rows() -> list[tuple[str, list[tuple[str, str]]]]:
    text = (ROOT / "docs" / "abuse-cases.md").read_text(encoding="utf-8")
    return [(number, PROOF.findall(proofs)) for number, proofs in ABUSE_ROW.findall(text)]


@pytest.mark.parametrize(
    ("number", "proofs"), abuse_rows(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_abuse_case_names_a_test_that_exists(number: str, proofs: list[tuple[str, str]]) -> None:
    assert proofs, f"row {number} names no test"
    for path, name in proofs:
        assert name in {function.name for function in functions(Path(path))}, f"{path}::{name}"


@cache
def tracked() -> tuple[Path, ...]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


# The brackets keep this file from finding itself.
OF_A_MACHINE = re.compile("/[w]ork/|/[r]oot/|/[h]ome/|/[t]mp/")
OF_A_REGISTRY = re.compile(r"[p]ypi\.org|[p]ythonhosted|[n]pmjs\.|--(extra-)?[i]ndex-url")


@pytest.mark.parametrize("pattern", [OF_A_MACHINE, OF_A_REGISTRY], ids=["a machine's path", "a registry"])
def test_no_file_names(pattern: re.Pattern[str]) -> None:
    naming = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        naming += [f"{path.relative_to(ROOT)}: {match.group()}" for match in pattern.finditer(text)]

    assert naming == []
