"""News for a fresh demo, one of them with a chart that is drawn here."""

import io
import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from sqlalchemy.orm import Session

from statuspage.incidents import news
from statuspage.incidents.snapshot import Text
from statuspage.site import media

CONTENT = Path(__file__).with_name("news.toml")
OPERATOR = "operator"
_WIDTH, _HEIGHT, _MARGIN = 1200, 600, 60


def fill(session: Session, *, data_dir: str, now: datetime) -> int:
    """Write and publish what news.toml says; returns how many."""
    entries = tomllib.loads(CONTENT.read_text(encoding="utf-8"))["news"]
    for entry in entries:
        at = now - timedelta(days=entry["days_ago"])
        title, text = entry["title"], entry["text"]
        words = news.Words(Text(title["pl"], title["en"]), Text(text["pl"], text["en"]))
        item = news.write(session, words, by=OPERATOR, now=at - timedelta(hours=2))
        if "chart" in entry:
            stored = media.store(_chart(entry["chart"]), data_dir)
            alt = Text(entry["chart"]["alt"]["pl"], entry["chart"]["alt"]["en"])
            picture = news.Picture(stored.name, stored.width, stored.height, alt)
            news.add_picture(session, item.id, picture, by=OPERATOR, now=at - timedelta(hours=1))
        news.publish(session, item.id, at=None, by=OPERATOR, now=at)
    return len(entries)


def _chart(chart: dict[str, Any]) -> bytes:
    """Bars with their values above and their days below, as PNG."""
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "#ffffff")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(32)
    step = (_WIDTH - 2 * _MARGIN) / len(chart["values"])
    floor, scale = _HEIGHT - _MARGIN, (_HEIGHT - 3 * _MARGIN) / max(chart["values"])
    for number, (value, label) in enumerate(zip(chart["values"], chart["labels"], strict=True)):
        left = _MARGIN + number * step
        top = floor - value * scale
        draw.rectangle((left + 16, top, left + step - 16, floor), fill="#1d4f91")
        draw.text((left + step / 2, top - 8), str(value), fill="#16202b", font=font, anchor="mb")
        draw.text((left + step / 2, floor + 8), label, fill="#16202b", font=font, anchor="mt")
    draw.line((_MARGIN, floor, _WIDTH - _MARGIN, floor), fill="#6b7885", width=3)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
