"""Structured logs on stderr: lines of JSON, words for a terminal. Never the values of variables."""

import logging
import sys
from typing import Any, TextIO

import structlog

Processor = Any

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure(stream: TextIO = sys.stderr, *, level: int = logging.INFO) -> None:
    """Send our events and those of the libraries to `stream`, one a line (abuse case 32: no forged lines)."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=_last(stream), foreign_pre_chain=_SHARED)
    )
    root = logging.getLogger()
    for old in [
        known for known in root.handlers if isinstance(known.formatter, structlog.stdlib.ProcessorFormatter)
    ]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # Each probe and each mail would be a line of these.
    for name in ("httpx", "httpcore", "apscheduler", "mail.log"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _last(stream: TextIO) -> list[Processor]:
    """The default formatters of tracebacks show local variables, and take seconds; plain ones do neither."""
    tidy = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if stream.isatty():
        plain = structlog.dev.plain_traceback
        return [tidy, structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    return [
        tidy,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False),
    ]
