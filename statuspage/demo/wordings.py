"""The demo's templates: words for outages of Customs services, in both languages."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from statuspage.incidents import templates
from statuspage.incidents.acts import ActKind
from statuspage.incidents.rules import IncidentStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.templates import NewTemplate
from statuspage.kernel.build import build

CONTENT = Path(__file__).with_name("wordings.toml")


@dataclass(frozen=True, slots=True)
class Wording:
    """A template as the file has it. Without a title the composer writes its own."""

    name: str
    kind: ActKind
    text: Text
    title: Text | None = None
    status: IncidentStatus | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """wordings.toml."""

    templates: tuple[Wording, ...] = ()


def read_content(path: Path = CONTENT) -> Content:
    """The content of wordings.toml. Raises Invalid naming file and key."""
    return build(Content, tomllib.loads(path.read_text(encoding="utf-8")), where=path.name)


def fill(session: Session) -> bool:
    """Write the templates, in the file's order; False when there are some."""
    if templates.listed(session):
        return False
    for position, wording in enumerate(read_content().templates, 1):
        title = wording.title or Text("", "")
        new = NewTemplate(wording.name, wording.kind, title, wording.text, wording.status, position)
        templates.save(session, new)
    return True
