"""Browsers by name."""

import pytest

from statuspage.site.browsers import describe

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        (f"{WINDOWS[:-1]}; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox 130, Windows"),
        (f"{WINDOWS} {CHROME}", "Chromium 129, Windows"),
        (f"{WINDOWS} {CHROME} Edg/129.0.0.0", "Edge 129, Windows"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME} OPR/114.0.0.0", "Opera 114, Linux"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.6 Safari/605.1.15",
            "Safari 17, macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.6 Mobile/15E148 Safari/604.1",
            "Safari 17, iPhone",
        ),
        (f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {CHROME}", "Chromium 129, Android"),
        ("curl/8.10.1", "curl/8.10.1"),
        ("", ""),
        ("a\nb\x1b[31m" + "x" * 500, "ab[31m" + "x" * 54),
    ],
)
def test_a_browser_is_told_in_a_few_words(user_agent: str, said: str) -> None:
    assert describe(user_agent) == said
