"""Settings from a file and the environment; bad ones are named by file and key (abuse case 36)."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from statuspage.kernel import config
from statuspage.kernel.accounts import Role
from statuspage.kernel.config import Settings, load
from statuspage.kernel.errors import Invalid


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "statuspage.toml"


def test_an_empty_file_gives_the_defaults(file: Path) -> None:
    file.write_text("")

    settings = load(file, {})

    assert settings.server == Settings().server
    assert settings.mail == Settings().mail
    assert settings.database_url == f"sqlite:///{file.parent / 'data' / 'statuspage.db'}"
    assert str(settings.zone) == "Europe/Warsaw"


def test_a_directory_is_taken_from_the_files_own_place(file: Path) -> None:
    file.write_text('[data]\ndir = "../state"')

    assert load(file, {}).data.dir == str(file.parent.parent / "state")


def test_a_database_url_wins_over_the_directory(file: Path) -> None:
    file.write_text('[data]\ndatabase_url = "postgresql+psycopg://db.example/statuspage"')

    assert load(file, {}).database_url == "postgresql+psycopg://db.example/statuspage"


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("[server]\nprot = 80", "server.prot", "unknown key"),
        ("[sever]\nport = 80", "sever", "unknown key; known are accessibility"),
        ("[server]\nport = 70000", "server.port", "65535"),
        ('[server]\nport = "80"', "server.port", "int"),
        ('server = "here"', "server", "a table of keys is expected"),
        ('[server]\nbase_url = "status.example"', "server.base_url", "https://host"),
        ('[server]\nbase_url = "https://status.example/"', "server.base_url", "without a slash"),
        ('[mail]\nrelay = "relay.example:25"', "mail.relay", "smtp://host:port"),
        ('[mail]\nrelay = "http://relay.example"', "mail.relay", "smtp://host:port"),
        ('[mail]\nsender = "status"', "mail.sender", "e-mail address"),
        ('[mail]\ngive_up_after = "never"', "mail.give_up_after", "is not a duration"),
        ("[mail]\nconnections = 0", "mail.connections", ">= 1"),
        ('[page]\nid = "short"', "page.id", "regex"),
        ('[tickets]\nclamd = "localhost:3310"', "tickets.clamd", "tcp://host:port"),
        ('[tickets]\nclamd = "tcp://scanner:port"', "tickets.clamd", "tcp://host:port"),
        ('[tickets]\nworks_from = "7 a.m."', "tickets.works_from", "regex"),
        ('[tickets]\nworks_from = "25:00"', "tickets.works_from", "07:15"),
        ('[tickets]\nworks_until = "06:00"', "tickets.works_until", "after works_from"),
        ('[tickets]\ndays_off = ["tomorrow"]', "tickets.days_off[0]", "date"),
        ('[page]\nlanguage = "de"', "page.language", "regex"),
        ('[page]\ntime_zone = "Europe/Atlantis"', "page.time_zone", "IANA"),
        ('[page]\ntime_zone = "../../etc/passwd"', "page.time_zone", "IANA"),
        ('[security]\nsecret = "too short"', "security.secret", "32 characters"),
        ('[security]\nallow_networks = ["10.0.0.0/8", "10.1"]', "security.allow_networks", "10.1"),
        ('[security]\nrequire_totp_for = "king"', "security.require_totp_for", "is no role"),
        ('[oidc]\nissuer = "idp.example"', "oidc.issuer", "https://host/path"),
        ('[oidc]\nissuer = "http://idp.example"', "oidc.issuer", "https://host/path"),
        ('[oidc]\nissuer = "https://idp.example"', "oidc.client_id", "is needed"),
        ('[oidc]\nissuer = "https://idp.example"\nclient_id = "x"', "oidc.roles", "nobody could sign in"),
        (
            '[oidc]\nissuer = "https://idp.example"\nclient_id = "x"\nroles = { a = "king" }',
            "oidc.roles.a",
            "is no role; there are viewer",
        ),
        ("[oidc]\nroles = { a = 7 }", "oidc.roles[...]", "str"),
        ('[monitors]\ncontrol_targets = ["example.org"]', "monitors.control_targets", "host:port"),
        ('[tickets]\nnumber_prefix = "zgl"', "tickets.number_prefix", "regex"),
    ],
)
def test_a_bad_setting_names_file_key_and_reason(file: Path, text: str, key: str, reason: str) -> None:
    file.write_text(text)

    with pytest.raises(Invalid) as caught:
        load(file, {})

    assert caught.value.field == f"{file}.{key}"
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[server\nport = 80", "is not valid TOML: Expected ']'"),
        (b"[page]\nname_pl = '\xb3'", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(file: Path, content: bytes, reason: str) -> None:
    file.write_bytes(content)

    with pytest.raises(Invalid) as caught:
        load(file, {})

    assert caught.value.field == str(file)
    assert reason in caught.value.reason


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(Invalid, match=r"statuspage\.toml: there is no such settings file"):
        load(file, {})


@pytest.mark.parametrize(
    ("name", "value", "section", "key", "expected"),
    [
        ("STATUSPAGE_SERVER__PORT", "9000", "server", "port", 9000),
        ("STATUSPAGE_MAIL__RELAY", "smtp://relay.example:2525", "mail", "relay", "smtp://relay.example:2525"),
        ("STATUSPAGE_MAIL__GIVE_UP_AFTER", "6h", "mail", "give_up_after", timedelta(hours=6)),
        ("STATUSPAGE_MAIL__GIVE_UP_AFTER", '"6h"', "mail", "give_up_after", timedelta(hours=6)),
        ("STATUSPAGE_PAGE__UPTIME_COUNTS_MAINTENANCE", "true", "page", "uptime_counts_maintenance", True),
        (
            "STATUSPAGE_MONITORS__CONTROL_TARGETS",
            '["a.example:53"]',
            "monitors",
            "control_targets",
            ("a.example:53",),
        ),
        ("STATUSPAGE_PAGE__NAME_PL", "Cło i podatki", "page", "name_pl", "Cło i podatki"),
    ],
)
def test_the_environment_is_laid_over_the_file(
    file: Path, name: str, value: str, section: str, key: str, expected: object
) -> None:
    file.write_text('[server]\nport = 80\n[mail]\nrelay = "smtp://127.0.0.1:25"')

    settings = load(file, {name: value, "PATH": "/bin"})

    assert getattr(getattr(settings, section), key) == expected


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"STATUSPAGE_SERVER__PROT": "80"}, "server.prot"),
        ({"STATUSPAGE_SERVER__PORT": "eighty"}, "server.port"),
        ({"STATUSPAGE_MAIL__SENDER": "nobody"}, "mail.sender"),
    ],
)
def test_a_bad_variable_of_the_environment_stops_the_start_too(
    file: Path, environ: dict[str, str], key: str
) -> None:
    file.write_text("")

    with pytest.raises(Invalid) as caught:
        load(file, environ)

    assert caught.value.field.endswith(key)


def test_variables_of_other_programs_are_left_alone(file: Path) -> None:
    file.write_text("")

    settings = load(file, {"STATUSPAGE_HOME": "/srv", "STATUSPAGE_CI__PORT": "x", "SERVER__PORT": "1"})

    assert settings.server == Settings().server


def test_the_settings_know_every_role() -> None:
    assert tuple(Role) == config.ROLES


def test_a_provider_is_set_by_the_environment_too(file: Path) -> None:
    file.write_text('[oidc]\nissuer = "https://idp.example"\nclient_id = "status"')

    oidc = load(
        file,
        {
            "STATUSPAGE_OIDC__CLIENT_SECRET": "kept elsewhere",
            "STATUSPAGE_OIDC__ROLES": '{ ops = "operator" }',
        },
    ).oidc

    assert (oidc.client_secret, oidc.roles) == ("kept elsewhere", {"ops": "operator"})


def test_the_help_desk_is_set(file: Path) -> None:
    file.write_text('[tickets]\nclamd = "unix:///run/clamd.sock"\ndays_off = [2026-12-31, "2027-01-02"]')

    found = load(file, {}).tickets

    assert found.clamd == "unix:///run/clamd.sock"
    assert found.days_off == (date(2026, 12, 31), date(2027, 1, 2))
