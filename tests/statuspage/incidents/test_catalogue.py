"""The catalogue file: checked as a whole, applied as a whole, archived rather than deleted."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from statuspage.incidents import catalogue
from statuspage.incidents.tables import Service
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Invalid

from .conftest import CATALOGUE

GROUP = '[[groups]]\ncode = "g"\nname = { pl = "G", en = "G" }\n'


def service(code: str, extra: str = "") -> str:
    return f'[[services]]\ncode = "{code}"\ngroup = "g"\nname = {{ pl = "{code}", en = "{code}" }}\n{extra}\n'


def applied(db: Database, text: str, now: datetime) -> list[str]:
    return db.run_now(catalogue.apply, catalogue.parse(text, where="catalogue.toml"), now=now).lines


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[[groups", "catalogue.toml"),
        ("[[things]]\na = 1", "catalogue.toml.things"),
        (GROUP + GROUP, "catalogue.toml.groups[1].code"),
        (GROUP + service("ncts"), "catalogue.toml.services[0].code"),
        (GROUP + service("A") + service("A"), "catalogue.toml.services[1].code"),
        (service("A"), "catalogue.toml.services[0].group"),
        (GROUP + service("A", 'parents = ["B"]'), "catalogue.toml.services[0].parents"),
        (
            GROUP + service("A", 'parents = ["B"]') + service("B", 'parents = ["A"]'),
            "catalogue.toml.services[0].parents",
        ),
        (GROUP + service("A", 'colour = "red"'), "catalogue.toml.services[0].colour"),
        (GROUP + service("A", 'policy = "maybe"'), "catalogue.toml.services[0].policy"),
        (GROUP + service("A", 'description = { pl = "x" }'), "catalogue.toml.services[0].description"),
    ],
)
def test_a_bad_file_names_the_key(text: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        catalogue.parse(text, where="catalogue.toml")
    assert caught.value.field == field


def test_applying_twice_changes_nothing(db: Database, now: datetime) -> None:
    assert len(applied(db, CATALOGUE, now)) == 8
    assert applied(db, CATALOGUE, now + timedelta(hours=1)) == []


def test_the_difference_names_what_is_new_changed_and_gone(db: Database, now: datetime) -> None:
    applied(db, GROUP + service("A") + service("B") + service("C"), now)
    lines = applied(
        db, GROUP + service("A", 'functions = ["F"]') + service("C", 'parents = ["A"]') + service("D"), now
    )
    assert lines == [
        "~ service A: functions",
        "~ service C: position",
        "+ service D",
        "- service B",
        "~ service C: parents",
    ] or set(lines) == {
        "~ service A: functions",
        "~ service C: position",
        "+ service D",
        "- service B",
        "~ service C: parents",
    }


def test_what_disappears_is_archived_and_comes_back_with_its_id(db: Database, now: datetime) -> None:
    applied(db, GROUP + service("A") + service("B"), now)

    def find(code: str) -> Service:
        return db.read_now(lambda s: s.scalars(select(Service).where(Service.code == code)).one())

    before = find("B").id
    applied(db, GROUP + service("A"), now)
    assert find("B").archived_at == now
    applied(db, GROUP + service("A") + service("B"), now)
    assert (find("B").id, find("B").archived_at) == (before, None)
