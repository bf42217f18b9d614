"""The templates' pages."""

from statuspage.incidents import templates
from statuspage.kernel.house import House
from tests.statuspage.site.officers import officer

WORDS = {"name": "Outage", "text_pl": "{service} nie działa", "text_en": "{service} is down", "position": "2"}


async def test_a_template_is_written_changed_and_removed(house: House) -> None:
    async with officer(house) as anna:
        page = (await anna.get("/console/templates/new")).text
        assert (await anna.send(page, "/console/templates/new", **WORDS, do="save")).status_code == 303
        assert "Outage" in (await anna.get("/console/templates")).text
        (row,) = house.db.read_now(templates.listed)
        place = f"/console/templates/{row.id}"
        page = (await anna.get(place)).text
        await anna.send(page, place, kind="resolve", do="save")
        assert house.db.read_now(templates.get, row.id).kind == "resolve"
        await anna.send(page, place, do="remove")
        assert house.db.read_now(templates.listed) == []


async def test_what_is_wrong_is_named_and_what_was_typed_stays(house: House) -> None:
    async with officer(house) as anna:
        page = (await anna.get("/console/templates/new")).text
        for wrong, field in (
            ({"text_en": "{sevice}"}, "text_en"),
            ({"name": ""}, "name"),
            ({"position": "first"}, "position"),
        ):
            answer = await anna.send(page, "/console/templates/new", **{**WORDS, **wrong}, do="save")
            assert answer.status_code == 422
            assert f'href="#{field}"' in answer.text
            assert "{service} nie działa" in answer.text
        await anna.send(page, "/console/templates/new", **WORDS, do="save")
        taken = await anna.send(page, "/console/templates/new", **WORDS, do="save")
        assert taken.status_code == 409
        assert "There is a template of this name already." in taken.text
