"""What the embedded widget (static/widget.js) shows, said by the server so that the words are the page's own. Pure."""

from datetime import datetime

import msgspec

from statuspage.incidents.snapshot import PageSnapshot
from statuspage.incidents.words import SHAPES, service_word
from statuspage.kernel.house import House
from statuspage.kernel.i18n import format_instant
from statuspage.site.charts import CLASSES, UNMEASURED
from statuspage.site.headline import headline, shown_status


def as_json(snapshot: PageSnapshot, language: str, house: House, *, now: datetime) -> bytes:
    """The first sentence of the page and every service in page order, in one language."""
    page, base_url = house.settings.page, house.settings.server.base_url
    head = headline(
        snapshot.services,
        house.catalogues,
        language,
        lambda service: format_instant(service.status_since, language, house.settings.zone, now),
    )
    return msgspec.json.encode(
        {
            "page": {
                "name": page.name_pl if language == "pl" else page.name_en,
                "url": f"{base_url}/{language}/",
            },
            "headline": {"css": head.css, "shape": head.shape, "text": head.sentence},
            "services": [
                {
                    "code": service.code,
                    "name": service.name[language],
                    "css": CLASSES.get(status := shown_status(service), UNMEASURED),
                    "shape": SHAPES[status],
                    "word": service_word(house.catalogues, language, status),
                    "url": f"{base_url}/{language}/services/{service.code}",
                }
                for service in snapshot.services
            ],
        }
    )
