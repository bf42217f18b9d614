"""Structured logs: one JSON object a line on stderr, so that nothing a stranger sends can forge one."""

import logging
import sys

import structlog


def configure(*, level: int = logging.INFO, for_people: bool = False) -> None:
    """Set up logging for the process. `for_people` writes readable lines instead of JSON."""
    renderer = structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # Libraries that log with the standard library; APScheduler reports each missed beat at WARNING.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
