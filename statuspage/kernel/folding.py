"""Text as it is compared when people search: lower case, without diacritics, letter for letter.

Every character stays one character, so that a place in the folded text is the same place in the original.
"""

import unicodedata


class _Folding(dict[int, int]):
    """What `str.translate` asks for; each character is looked up once."""

    def __missing__(self, code: int) -> int:
        lower = chr(code).lower()[0]
        base = unicodedata.normalize("NFD", lower)[0]
        self[code] = ord(_STROKES.get(base, base))
        return self[code]


_STROKES = {"ł": "l", "đ": "d", "ø": "o", "ħ": "h", "ı": "i"}  # no combining mark, so nothing to take off
_FOLDING = _Folding()


def composed(text: str) -> str:
    """`text` with letters and their marks as one character each; what `fold` keeps places of."""
    return unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """`Częściowo` → `czesciowo`; as long as the text itself."""
    return text.translate(_FOLDING)
