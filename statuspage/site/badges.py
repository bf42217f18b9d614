"""Badges: a status in word and shape as one small SVG that any page may embed. Pure.

Everything is an attribute: nothing in it is stopped by anybody's content security policy, and its colours are
its own, readable on light and dark ground.
"""

import unicodedata
from xml.sax.saxutils import escape, quoteattr

from statuspage.kernel.markdown import one_line
from statuspage.site.charts import HUES

HEIGHT, SIZE, PADDING, ICON = 24, 12, 8, 12
GROUND, INK = "#24303c", "#ffffff"  # white on each of the hues has the contrast that WCAG asks for
# The shapes of the page, drawn on a square of 12 so that no font has to have them.
SHAPES = {
    "ok": '<path d="M2 6.5 5 9.5 10.5 3"/>',
    "slow": '<path d="M1.5 7.5C3 4 5 5 6 6.2S9 8 10.5 4.8"/>',
    "part": f'<circle cx="6" cy="6" r="4.5"/><path d="M6 1.5a4.5 4.5 0 0 0 0 9z" fill="{INK}"/>',
    "down": '<path d="M2.5 2.5 9.5 9.5M9.5 2.5 2.5 9.5"/>',
    "work": '<path d="M2 10 8 4M5.5 2 10 6.5"/>',
    "none": '<path d="M4 4.2a2.1 2.1 0 1 1 3.2 1.9C6.3 6.6 6 7 6 8M6 10v.6"/>',
}

# Advance widths of DejaVu Sans, hundredths of the size, of the characters from space to tilde: the widest of
# the fonts named below, so that what fits it fits them all.
_WIDTHS = (
    *(32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34),
    *(64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84, 84, 84, 53),
    *(100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79),
    *(60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50),
    *(50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61),
    *(63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84),
)
_WIDEST = 100
_STROKED = str.maketrans("łŁøØđĐ", "lLoOdD")  # letters that Unicode does not take apart


def width(text: str) -> int:
    """How many pixels `text` takes at most."""
    plain = unicodedata.normalize("NFD", text.translate(_STROKED))
    letters = (letter for letter in plain if not unicodedata.combining(letter))
    hundredths = sum(_WIDTHS[ord(letter) - 32] if " " <= letter <= "~" else _WIDEST for letter in letters)
    return -(-hundredths * SIZE // 100)


def svg(name: str, css: str, word: str) -> bytes:
    """`name` at the left, the status at the right: shape, then word. `css` is the status's class."""
    name, word = one_line(name), one_line(word)
    name_width, word_width = width(name), width(word)
    left = PADDING + name_width + PADDING
    right = PADDING + ICON + PADDING // 2 + word_width + PADDING
    said = f"{name}: {word}"
    word_x = left + PADDING + ICON + PADDING // 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" '
        f'viewBox="0 0 {left + right} {HEIGHT}" role="img" aria-label={quoteattr(said)}>'
        f"<title>{escape(said)}</title>"
        f'<rect width="{left + right}" height="{HEIGHT}" rx="3" fill="{GROUND}"/>'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v{HEIGHT - 6}a3 3 0 0 1-3 3H{left}z" '
        f'fill="#{HUES[css]}"/>'
        f'<g transform="translate({left + PADDING} {(HEIGHT - ICON) // 2})" fill="none" stroke="{INK}" '
        f'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">{SHAPES[css]}</g>'
        f'<g fill="{INK}" font-family="Verdana,\'DejaVu Sans\',Geneva,sans-serif" font-size="{SIZE}">'
        f"{_text(name, PADDING, name_width)}{_text(word, word_x, word_width)}</g></svg>\n"
    ).encode()


def _text(text: str, x: int, length: int) -> str:
    """Set to exactly the measured length, whatever font is there."""
    if not text:
        return ""
    return f'<text x="{x}" y="16" textLength="{length}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
