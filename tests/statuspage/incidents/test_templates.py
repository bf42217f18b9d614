"""Prepared words: variables filled in, those unknown left standing; kept in order, named once."""

import pytest

from statuspage.incidents import templates
from statuspage.incidents.acts import ActKind
from statuspage.incidents.rules import IncidentStatus
from statuspage.incidents.snapshot import Text
from statuspage.incidents.templates import NewTemplate
from statuspage.kernel.db import Database
from statuspage.kernel.errors import Conflict, Invalid, NotFound

NEW = NewTemplate(
    "Outage", ActKind.OPEN, Text("{service}", "{service}"), Text("Od {began}.", "Since {began}.")
)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        (Text("Od {began}.", "Since {began}."), Text("Od 6:10.", "Since 06:10.")),
        (Text("nr {reference}", "no. {reference}"), Text("nr {reference}", "no. {reference}")),
        (Text("{} i {inne słowo}", "{}"), Text("{} i {inne słowo}", "{}")),
        (Text("", "{began}{began}"), Text("", "06:1006:10")),
    ],
)
def test_what_is_known_is_filled_in_and_the_rest_stays(text: Text, filled: Text) -> None:
    assert templates.fill(text, {"began": Text("6:10", "06:10")}) == filled


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert templates.fill(
        Text("{service}", ""), {"service": Text("{page}", ""), "page": Text("x", "x")}
    ) == Text("{page}", "")


def test_variables_that_still_stand_are_named_once_and_other_braces_are_the_authors_own() -> None:
    assert templates.unfilled(Text("{service} {page} {service}", "{name} {page}")) == ("service", "page")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (NewTemplate("", ActKind.OPEN, NEW.title, NEW.text), "name"),
        (NewTemplate("two\nlines", ActKind.OPEN, NEW.title, NEW.text), "name"),
        (NewTemplate("x", ActKind.OPEN, Text("{sevice}", ""), NEW.text), "title_pl"),
        (NewTemplate("x", ActKind.OPEN, NEW.title, Text("", "{when}")), "text_en"),
        (NewTemplate("x", ActKind.OPEN, Text("", "x" * 201), NEW.text), "title_en"),
    ],
)
def test_a_bad_template_names_the_field(db: Database, wrong: NewTemplate, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        db.run_now(templates.save, wrong)
    assert refused.value.field == field


def test_templates_are_listed_by_kind_in_their_order_and_a_name_is_taken_once(db: Database) -> None:
    second = db.run_now(templates.save, NewTemplate("B", ActKind.OPEN, NEW.title, NEW.text, position=2))
    first = db.run_now(templates.save, NewTemplate("Z", ActKind.OPEN, NEW.title, NEW.text, position=1))
    db.run_now(templates.save, NewTemplate("A", ActKind.RESOLVE, NEW.title, NEW.text))
    assert [row.id for row in db.read_now(templates.listed, ActKind.OPEN)] == [first.id, second.id]
    assert len(db.read_now(templates.listed)) == 3
    with pytest.raises(Conflict):
        db.run_now(templates.save, NewTemplate("B", ActKind.UPDATE, NEW.title, NEW.text))


def test_a_template_is_replaced_and_removed(db: Database) -> None:
    row = db.run_now(templates.save, NEW)
    changed = NewTemplate("Outage", ActKind.UPDATE, NEW.title, NEW.text, IncidentStatus.IDENTIFIED)
    db.run_now(templates.save, changed, template_id=row.id)
    found = db.read_now(templates.get, row.id)
    assert (found.kind, found.status) == (ActKind.UPDATE, IncidentStatus.IDENTIFIED)
    db.run_now(templates.remove, row.id)
    with pytest.raises(NotFound):
        db.read_now(templates.get, row.id)
