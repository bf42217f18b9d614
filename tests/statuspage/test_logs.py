"""Logs a machine can read, which nobody can forge and which give nothing away."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from statuspage.kernel import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    logs.configure()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json(stream: io.StringIO) -> None:
    structlog.get_logger("tests").warning("mail.deferred", recipient="anna@example.org", attempt=2)

    (line,) = lines(stream)
    assert (line["event"], line["level"], line["attempt"]) == ("mail.deferred", "warning", 2)
    assert line["timestamp"].endswith("Z")


def test_libraries_speak_the_same_way(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").error("no %s", "luck")

    (line,) = lines(stream)
    assert (line["event"], line["level"]) == ("no luck", "error")


def test_a_line_cannot_be_forged(stream: io.StringIO) -> None:
    forged = 'x"}\n{"event": "user.signed_in", "login": "admin"}\r\n\x1b[2J'
    structlog.get_logger("tests").info("web.refused", path=forged)
    logging.getLogger("tests").error("%s", forged)

    assert len(lines(stream)) == 2
    assert lines(stream)[0]["path"] == forged
    assert "\x1b" not in stream.getvalue()


def test_a_fault_is_told_with_its_place_and_without_values(stream: io.StringIO) -> None:
    def sign_in(password: str) -> None:
        raise RuntimeError("broken")

    try:
        sign_in(" ".join(["correct", "horse", "battery"]))
    except RuntimeError:
        structlog.get_logger("tests").exception("task.failed", task="runner")

    (line,) = lines(stream)
    assert "RuntimeError: broken" in line["exception"]
    assert "in sign_in" in line["exception"]
    assert "correct horse battery" not in stream.getvalue()


def test_what_is_below_the_level_is_left_out(stream: io.StringIO) -> None:
    structlog.get_logger("tests").debug("probe.done")
    logging.getLogger("httpx").info("HTTP Request")

    assert stream.getvalue() == ""
