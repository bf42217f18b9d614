"""How many have been told of a notice, by language."""

from datetime import datetime, timedelta

from notifiers import broadcasts, preview
from statuspage.incidents import maintenance
from statuspage.incidents.maintenance import NewMaintenance
from statuspage.incidents.snapshot import Text
from statuspage.kernel import config
from statuspage.kernel.house import House
from tests.notifiers import scenes


def test_each_is_counted_once_however_often_they_were_told(house: House, now: datetime) -> None:
    ids = house.db.run_now(scenes.fill_catalogue, now=now)
    others = tuple(id for code, id in ids.items() if code != "NCTS2")
    for count, language, chosen in (
        (3, "pl", (ids["NCTS2"],)),
        (2, "en", (ids["NCTS2"],)),
        (4, "en", others),
    ):
        house.db.run_now(scenes.add_subscribers, count, now=now, language=language, service_ids=chosen)
    begin = now + timedelta(days=3)
    new = NewMaintenance(
        Text("Prace", "Work"), Text("Opis", "Words"), ["NCTS2"], begin, begin + timedelta(hours=1)
    )
    policy = config.Incidents()
    work = house.db.run_now(maintenance.schedule, new, by="anna", now=now, policy=policy).id
    other = house.db.run_now(maintenance.schedule, new, by="anna", now=now, policy=policy).id
    assert house.db.read_now(preview.told, work) == {}
    house.db.run_now(maintenance.cancel, work, by="anna", now=now, policy=policy)
    for seq in house.db.read_now(broadcasts.owed):
        while house.db.run_now(broadcasts.expand, seq, house=house, now=now):
            pass
    assert house.db.read_now(preview.told, work) == {"pl": 3, "en": 2}
    assert house.db.read_now(preview.told, other) == {"pl": 3, "en": 2}
    assert house.db.read_now(preview.told, "nothing") == {}
