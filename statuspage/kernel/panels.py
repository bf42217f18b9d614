"""A panel: what a room shows on the console's board. The board knows no room; the composition root hands it these."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Panel:
    """A small table. `title` and `columns` are msgids; cells are data. `link` leads to more, "" to nothing."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str  # msgid: what it means that there is nothing
    link: str = ""


PanelSource = Callable[[Session], Panel]
