"""The catalogue file: groups and services declared in TOML, compared with the database, applied as a whole.

Monitors stand in the same file; their tables are left to the room of that name.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Meta
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from statuspage.incidents import failures
from statuspage.incidents.rules import Policy
from statuspage.incidents.services import retire
from statuspage.incidents.tables import Group, Service, ServiceParent
from statuspage.kernel.build import build
from statuspage.kernel.errors import Invalid
from statuspage.kernel.events import take_turns

Row = TypeVar("Row", Group, Service)

CODE = re.compile(r"[A-Z0-9-]+")
GROUP_CODE = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Bilingual:
    pl: Annotated[str, Meta(max_length=500, description="Polish text.")]
    en: Annotated[str, Meta(max_length=500, description="English text.")]


@dataclass(frozen=True, slots=True)
class GroupDeclaration:
    """A `[[groups]]` table."""

    code: Annotated[str, Meta(description="Lower-case letters, digits and hyphens; never changes.")]
    name: Annotated[Bilingual, Meta(description="The heading.")]


@dataclass(frozen=True, slots=True)
class ServiceDeclaration:
    """A `[[services]]` table."""

    code: Annotated[str, Meta(description="Capital letters, digits and hyphens; never changes.")]
    group: Annotated[str, Meta(description="Code of its group.")]
    name: Annotated[Bilingual, Meta(description="What customers call it.")]
    description: Annotated[Bilingual, Meta(description="What it is for, in one sentence.")] = Bilingual(
        "", ""
    )
    functions: Annotated[tuple[str, ...], Meta(description="What can be done with it.")] = ()
    channels: Annotated[tuple[str, ...], Meta(description="How it is reached: web, webservice, email.")] = ()
    parents: Annotated[
        tuple[str, ...], Meta(description="Codes of the services it cannot work without.")
    ] = ()
    policy: Annotated[
        Policy, Meta(description="publish: monitors publish at once; draft: an operator decides.")
    ] = Policy.PUBLISH


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A checked catalogue; `monitors` are still raw tables."""

    groups: tuple[GroupDeclaration, ...] = ()
    services: tuple[ServiceDeclaration, ...] = ()
    monitors: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What applying a catalogue would do, a line each: "+ service NCTS2"."""

    lines: list[str] = field(default_factory=list)

    def note(self, sign: str, what: str) -> None:
        """Add a line; `sign` is + (new), ~ (changed) or - (archived)."""
        self.lines.append(f"{sign} {what}")


def load(path: Path) -> Catalogue:
    """The catalogue in a file. Raises Invalid naming file and key."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(str(path), f"cannot be read: {error}") from None
    return parse(text, where=path.name)


def parse(text: str, *, where: str) -> Catalogue:
    """The catalogue in TOML. Raises Invalid naming `where` and the key."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(where, f"is not valid TOML: {error}") from None
    if unknown := sorted(data.keys() - {"groups", "services", "monitors"}):
        raise Invalid(f"{where}.{unknown[0]}", "unknown key; known are groups, services, monitors")
    groups = tuple(
        build(GroupDeclaration, raw, where=f"{where}.groups[{i}]")
        for i, raw in enumerate(data.get("groups", []))
    )
    services = tuple(
        build(ServiceDeclaration, raw, where=f"{where}.services[{i}]")
        for i, raw in enumerate(data.get("services", []))
    )
    catalogue = Catalogue(groups, services, tuple(data.get("monitors", [])))
    _check(catalogue, where)
    return catalogue


def _check(catalogue: Catalogue, where: str) -> None:
    group_codes = _unique([g.code for g in catalogue.groups], GROUP_CODE, f"{where}.groups")
    codes = _unique([s.code for s in catalogue.services], CODE, f"{where}.services")
    for i, service in enumerate(catalogue.services):
        here = f"{where}.services[{i}]"
        if service.group not in group_codes:
            raise Invalid(f"{here}.group", f'there is no group "{service.group}"')
        for parent in service.parents:
            if parent not in codes:
                raise Invalid(f"{here}.parents", f'there is no service "{parent}"')
    parents = {service.code: set(service.parents) for service in catalogue.services}
    for i, service in enumerate(catalogue.services):
        if service.code in _reachable(service.code, parents):
            raise Invalid(f"{where}.services[{i}].parents", f"{service.code} would depend on itself")


def _unique(codes: list[str], pattern: re.Pattern[str], where: str) -> set[str]:
    seen: set[str] = set()
    for i, code in enumerate(codes):
        if not pattern.fullmatch(code):
            raise Invalid(f"{where}[{i}].code", f'"{code}" does not match {pattern.pattern}')
        if code in seen:
            raise Invalid(f"{where}[{i}].code", f'"{code}" stands twice')
        seen.add(code)
    return seen


def _reachable(code: str, parents: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = list(parents[code])
    while todo:
        if (near := todo.pop()) not in found:
            found.add(near)
            todo.extend(parents[near])
    return found


def apply(session: Session, catalogue: Catalogue, *, now: datetime) -> Difference:
    """Bring groups and services in line with the catalogue. What disappears is archived with its history.

    A dry run is the same in a unit of work that is rolled back.
    """
    difference = Difference()
    take_turns(session)
    groups = _apply_groups(session, catalogue, difference, now)
    known = _apply_services(session, catalogue, groups, difference, now)
    _apply_parents(session, catalogue, known, difference, now)
    if difference.lines:
        session.flush()
        failures.settle(session, now=now)
        session.info["notify"] = True
    return difference


def _apply_groups(
    session: Session, catalogue: Catalogue, difference: Difference, now: datetime
) -> dict[str, Group]:
    known = {group.code: group for group in session.scalars(select(Group))}
    for position, declared in enumerate(catalogue.groups):
        values = {
            "name_pl": declared.name.pl,
            "name_en": declared.name.en,
            "position": position,
            "archived_at": None,
        }
        known[declared.code] = _put(
            session, Group, known.get(declared.code), declared.code, values, difference, now
        )
    _archive(known, {g.code for g in catalogue.groups}, difference, now)
    session.flush()
    return known


def _apply_services(
    session: Session, catalogue: Catalogue, groups: Mapping[str, Group], difference: Difference, now: datetime
) -> dict[str, Service]:
    known = {service.code: service for service in session.scalars(select(Service))}
    for position, declared in enumerate(catalogue.services):
        values = {
            "group_id": groups[declared.group].id,
            "name_pl": declared.name.pl,
            "name_en": declared.name.en,
            "description_pl": declared.description.pl,
            "description_en": declared.description.en,
            "functions": list(declared.functions),
            "channels": list(declared.channels),
            "policy": declared.policy.value,
            "position": position,
            "archived_at": None,
        }
        known[declared.code] = _put(
            session, Service, known.get(declared.code), declared.code, values, difference, now
        )
    for service in _archive(known, {s.code for s in catalogue.services}, difference, now):
        retire(session, service, now=now)
    session.flush()
    return known


def _put(
    session: Session,
    table: type[Row],
    row: Row | None,
    code: str,
    values: dict[str, Any],
    difference: Difference,
    now: datetime,
) -> Row:
    what = f"{table.__name__.lower()} {code}"
    if row is None:
        since = {"status_since": now} if table is Service else {}
        row = table(code=code, created_at=now, updated_at=now, **values, **since)
        session.add(row)
        difference.note("+", what)
        return row
    changed = sorted(key for key, value in values.items() if getattr(row, key) != value)
    if changed:
        for key in changed:
            setattr(row, key, values[key])
        row.updated_at = now
        difference.note("~", f"{what}: {', '.join(changed)}")
    return row


def _archive(
    known: Mapping[str, Row], declared: set[str], difference: Difference, now: datetime
) -> list[Row]:
    gone = [row for code, row in known.items() if code not in declared and row.archived_at is None]
    for row in gone:
        row.archived_at = row.updated_at = now
        difference.note("-", f"{type(row).__name__.lower()} {row.code}")
    return gone


def _apply_parents(
    session: Session,
    catalogue: Catalogue,
    known: Mapping[str, Service],
    difference: Difference,
    now: datetime,
) -> None:
    edges = set(session.execute(select(ServiceParent.child_id, ServiceParent.parent_id)))
    for declared in catalogue.services:
        child = known[declared.code]
        wanted = {(child.id, known[parent].id) for parent in declared.parents}
        present = {edge for edge in edges if edge[0] == child.id}
        if wanted == present:
            continue
        session.execute(delete(ServiceParent).where(ServiceParent.child_id == child.id))
        session.add_all(
            ServiceParent(child_id=child_id, parent_id=parent_id) for child_id, parent_id in wanted
        )
        child.updated_at = now
        line = f"~ service {declared.code}: parents"
        if f"+ service {declared.code}" not in difference.lines:
            difference.lines.append(line)
