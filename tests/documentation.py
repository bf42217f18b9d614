"""Writes docs/configuration.md from the settings themselves: `make docs`. A test compares."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from statuspage.kernel.build import Key, describe
from statuspage.kernel.config import ENVIRONMENT_PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = ROOT / "docs" / "configuration.md"

_INTRODUCTION = f"""\
# Configuration

One TOML file, given with `--config FILE`. Every key has a default unless it says *(required)*; a key that is
unknown or out of bounds stops the start with the file, the key and the reason. `statuspage check-config FILE`
says whether a file is good.

A variable of the environment overrides a key: `{ENVIRONMENT_PREFIX}SECTION__KEY`, for example
`{ENVIRONMENT_PREFIX}MAIL__RELAY=smtp://relay.example:25`. Its value is read as TOML, or as text where it is
not TOML.

A duration is a text of numbers and units: `"250ms"`, `"30s"`, `"1h30m"`, `"7d"`. Relative directories
are taken from the file's own place.

This page is written by `make docs` from the settings themselves.
"""


def configuration() -> str:
    """The page, one table for each section."""
    return "\n".join([_INTRODUCTION, *(_section(name, cls) for name, cls in sections())])


def sections() -> Iterator[tuple[str, type[Any]]]:
    """Name and class of every section, in the order they are declared."""
    hints = get_type_hints(Settings)
    for declared in fields(Settings):
        if is_dataclass(hints[declared.name]):
            yield declared.name, hints[declared.name]


def _section(name: str, cls: type[Any]) -> str:
    rows = "\n".join(_row(key) for key in describe(cls))
    return f"## [{name}]\n\n| key | kind | default | what |\n|---|---|---|---|\n{rows}\n"


def _row(key: Key) -> str:
    default = f"`{key.default}`" if key.default else ""
    return f"| `{key.name}` | {key.kind} | {default} | {key.description.replace('|', '&#124;')} |"


if __name__ == "__main__":
    CONFIGURATION.write_text(configuration(), encoding="utf-8")
