"""Paper, messages and corrections from the command line, on a real database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from statuspage.__main__ import cli
from statuspage.cli import database_of
from statuspage.incidents.notice_views import notice_views
from statuspage.incidents.rules import FallbackState, MessageHandling
from statuspage.incidents.snapshot import NoticeView
from statuspage.kernel.errors import Invalid, NotFound

CATALOGUE = """
[[groups]]
code = "transit"
name = { pl = "Tranzyt", en = "Transit" }
[[services]]
code = "NCTS2"
group = "transit"
name = { pl = "NCTS2", en = "NCTS2" }
[[services]]
code = "AES"
group = "transit"
name = { pl = "AES", en = "AES" }
"""


@pytest.fixture
def settings_file(fast_dir: Path) -> Path:
    file = fast_dir / "statuspage.toml"
    file.write_text('[data]\ndir = "data"\n')
    (fast_dir / "catalogue.toml").write_text(CATALOGUE)
    run(file, "migrate")
    run(file, "apply", str(fast_dir / "catalogue.toml"))
    return file


def run(file: Path, *words: str) -> str:
    done: Result = CliRunner().invoke(cli, [*words, "--config", str(file)], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout.strip()


def opened(file: Path, code: str = "NCTS2") -> str:
    said = ["--title-pl", f"{code} nie działa", "--text-pl", "Sprawdzamy."]
    return run(file, "incident", "open", "--service", f"{code}=major_outage", *said)


def shown(file: Path, id: str) -> NoticeView:
    db = database_of(file)
    try:
        return db.read_now(notice_views, [id])[0]
    finally:
        db.close()


def test_under_pressure_one_language_is_enough(settings_file: Path) -> None:
    notice = shown(settings_file, opened(settings_file))
    assert (notice.name["en"], notice.updates[0].text.is_complete) == ("NCTS2 nie działa", False)


def test_paper_is_permitted_with_a_number_and_withdrawn_by_it(settings_file: Path) -> None:
    id = opened(settings_file)
    until = (datetime.now(UTC) + timedelta(hours=8)).isoformat(timespec="minutes")
    reference = run(settings_file, "incident", "paper", id, "--service", "NCTS2", "--until", until)
    assert reference == "AW-1"
    assert shown(settings_file, id).fallbacks[0].state is FallbackState.PERMITTED
    assert run(settings_file, "incident", "withdraw-paper", reference) == "withdrawn: 1"
    assert shown(settings_file, id).fallbacks[0].state is FallbackState.WITHDRAWN
    with pytest.raises(NotFound, match="AW-1"):
        run(settings_file, "incident", "withdraw-paper", reference)


def test_messages_and_times_are_told_and_put_right(settings_file: Path) -> None:
    id = opened(settings_file)
    run(settings_file, "incident", "messages", id, "--handling", "resend", "--text-pl", "x", "--text-en", "x")
    begin = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)
    run(settings_file, "incident", "correct", id, "--began-at", begin.isoformat())
    notice = shown(settings_file, id)
    assert notice.handlings[0].handling is MessageHandling.RESEND
    assert notice.began_at == begin
    with pytest.raises(Invalid, match="--began-at"):
        run(settings_file, "incident", "correct", id)


def test_two_incidents_become_one(settings_file: Path) -> None:
    first, second = opened(settings_file, "AES"), opened(settings_file)
    run(settings_file, "incident", "merge", first, second)
    assert {affected.code for affected in shown(settings_file, second).affected} == {"NCTS2", "AES"}
