"""What a browser calls itself, in a few words: enough for somebody to recognise their own sign-in."""

import re

_MAX = 60
# The first that fits: nearly every browser also names those that come after it here.
_NAMES = (
    ("Edge", re.compile(r"Edg(?:e|A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"OPR/(\d+)")),
    ("Firefox", re.compile(r"(?:Firefox|FxiOS)/(\d+)")),
    ("Chromium", re.compile(r"(?:Chrome|Chromium|CriOS)/(\d+)")),
    ("Safari", re.compile(r"Version/(\d+)[^ ]* (?:Mobile/\w+ )?Safari/")),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def describe(user_agent: str) -> str:
    """`Firefox 130, Windows`; what is not known is cut short and stripped of signs that do not print."""
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    for name, pattern in _NAMES:
        if found := pattern.search(user_agent):
            return f"{name} {found[1]}, {system}" if system else f"{name} {found[1]}"
    return "".join(c for c in user_agent if c.isprintable())[:_MAX]
