"""Writes docs/configuration.md, docs/commands.md and the list in docs/management-api.md from the program itself:
`make docs`. Tests compare.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import click

from statuspage.__main__ import cli
from statuspage.kernel.build import Key, describe
from statuspage.kernel.config import ENVIRONMENT_PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = ROOT / "docs" / "configuration.md"
COMMANDS = ROOT / "docs" / "commands.md"
MANAGEMENT = ROOT / "docs" / "management-api.md"
_OPERATIONS = "<!-- operations -->"
WIDTH = 100

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


def commands() -> str:
    """The other page: every command with what it takes, as `--help` tells it."""
    introduction = (
        "# Commands\n\nAn error is one line on stderr that names the file and the key, with exit status 2. "
        "`--help` tells the same as this page,\nwhich is written by `make docs` from the commands themselves.\n"
    )
    return "\n".join(
        [introduction, *(_command(name, command) for name, command in leaves(cli, "statuspage"))]
    )


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its full name, in the order they are declared."""
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield name, command
        for sub_name, sub in command.commands.items():
            yield from leaves(sub, f"{name} {sub_name}")
    else:
        yield name, command


def _command(name: str, command: click.Command) -> str:
    context = click.Context(
        command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH, **cli.context_settings
    )
    return f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"


def management() -> str:
    """The page of the management API: its prose as it stands, and every operation there is."""
    from statuspage.app import manage_operations

    prose, _, _ = MANAGEMENT.read_text(encoding="utf-8").partition(_OPERATIONS)
    rows = "\n".join(
        f"| `{each.method}` | `{each.path}` | {each.scope} | {each.summary} |" for each in manage_operations()
    )
    table = f"| method | address | scope | what |\n|---|---|---|---|\n{rows}"
    return f"{prose}{_OPERATIONS}\n{table}\n<!-- end -->\n"


if __name__ == "__main__":
    CONFIGURATION.write_text(configuration(), encoding="utf-8")
    COMMANDS.write_text(commands(), encoding="utf-8")
    MANAGEMENT.write_text(management(), encoding="utf-8")
