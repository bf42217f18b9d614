"""Regular expressions in specs. RE2 runs them in linear time, so that no pattern can hold up the prober."""

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]


@lru_cache(maxsize=4096)
def compile_pattern(text: str) -> Any:
    """A pattern with `.search`; a dot matches line ends too. Raises ValueError for what RE2 does not take."""
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
