"""The one shape in which every benchmark prints what it measured: a JSON line per figure."""

import json


def figure(name: str, value: float | None, unit: str, **more: object) -> None:
    """A line; `name` begins with the benchmark's, `more` is what helps to read the value."""
    shown = round(value, 3) if isinstance(value, float) else value
    print(json.dumps({"name": name, "value": shown, "unit": unit, **more}), flush=True)
