"""Who is told, what a reply means, when to try again, what may stand in a mail."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifiers import rules
from notifiers.rules import BACK_OFF, DeliveryState, Lane, MailKind, Next, Verdict
from statuspage.kernel.errors import Invalid

NOW = datetime(2026, 11, 23, 5, 10, tzinfo=UTC)
PAYLOAD = {"notice_id": "n", "update_id": "u", "services": ["a", "b"], "deliver": True}


@pytest.mark.parametrize(
    ("kind", "mail"),
    [
        ("incident.created", MailKind.INCIDENT),
        ("incident.updated", MailKind.INCIDENT),
        ("incident.resolved", MailKind.INCIDENT),
        ("incident.reopened", MailKind.INCIDENT),
        ("maintenance.scheduled", MailKind.MAINTENANCE),
        ("maintenance.cancelled", MailKind.MAINTENANCE),
        ("component.updated", None),
        ("something.else", None),
    ],
)
def test_incidents_and_planned_work_make_mail_and_nothing_else(kind: str, mail: MailKind | None) -> None:
    broadcast = rules.broadcast_of(kind, PAYLOAD)
    assert (broadcast and broadcast.kind) == mail
    if broadcast:
        assert broadcast.service_ids == ("a", "b")


def test_an_update_published_without_delivery_makes_no_mail() -> None:
    assert rules.broadcast_of("incident.updated", {**PAYLOAD, "deliver": False}) is None


@pytest.mark.parametrize(
    ("state", "all_services", "chosen", "told"),
    [
        ("active", True, (), True),
        ("active", False, ("b",), True),
        ("active", False, ("c",), False),
        ("active", False, (), False),
        ("pending", True, (), False),
        ("unsubscribed", True, ("a",), False),
        ("suppressed", True, ("a",), False),
    ],
)
def test_only_active_subscribers_of_an_affected_service_are_told(
    *, state: str, all_services: bool, chosen: tuple[str, ...], told: bool
) -> None:
    assert (
        rules.is_told(state=state, all_services=all_services, chosen=chosen, service_ids=["a", "b"]) is told
    )


@pytest.mark.parametrize(
    ("author", "wait_s"),
    [
        ("monitor", 0),
        ("schedule", 0),
        ("cli:ewa", 0),
        ("api:gate", 0),
        ("ewa", 30),
        ("clive", 30),
        ("apia", 30),
    ],
)
def test_only_what_a_person_wrote_in_the_console_waits_to_be_recalled(author: str, wait_s: int) -> None:
    due_at = rules.due_at(NOW, author, recall_window=timedelta(seconds=30))
    assert due_at == NOW + timedelta(seconds=wait_s)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (250, Verdict.SENT),
        (421, Verdict.DEFERRED),
        (450, Verdict.DEFERRED),
        (550, Verdict.FAILED),
        (354, Verdict.DEFERRED),
        (700, Verdict.DEFERRED),
    ],
)
def test_a_reply_code_decides(code: int, verdict: Verdict) -> None:
    assert rules.verdict_of(code) is verdict


def test_a_loss_is_uncertain_only_after_the_final_dot() -> None:
    assert rules.verdict_of_loss(after_final_dot=False) is Verdict.DEFERRED
    assert rules.verdict_of_loss(after_final_dot=True) is Verdict.UNCERTAIN


def follow(
    verdict: Verdict, *, attempts: int = 1, was_uncertain: bool = False, age: timedelta = timedelta()
) -> Next:
    return rules.after_attempt(
        verdict,
        attempts=attempts,
        was_uncertain=was_uncertain,
        created_at=NOW - age,
        now=NOW,
        give_up_after=timedelta(days=2),
        jitter=0,
    )


def test_what_follows_from_a_verdict() -> None:
    assert follow(Verdict.SENT) == Next(DeliveryState.SENT, None)
    assert follow(Verdict.FAILED) == Next(DeliveryState.FAILED, None)
    assert follow(Verdict.DEFERRED) == Next(DeliveryState.DEFERRED, NOW + BACK_OFF[0])
    assert follow(Verdict.DEFERRED, age=timedelta(days=2)) == Next(DeliveryState.FAILED, None)
    assert follow(Verdict.UNCERTAIN) == Next(DeliveryState.UNCERTAIN, NOW + BACK_OFF[0])
    assert follow(Verdict.UNCERTAIN, was_uncertain=True) == Next(DeliveryState.UNCERTAIN, None)


@given(st.integers(0, 100), st.floats(-1, 1))
def test_pauses_grow_and_jitter_stays_within_a_fifth(attempts: int, jitter: float) -> None:
    plain = rules.back_off(attempts, jitter=0)
    assert plain <= rules.back_off(attempts + 1, jitter=0) <= BACK_OFF[-1]
    assert abs(rules.back_off(attempts, jitter=jitter) - plain) <= plain * 0.2 + timedelta(microseconds=1)


@given(st.lists(st.sampled_from([Verdict.DEFERRED, Verdict.UNCERTAIN]), min_size=60, max_size=60))
def test_every_delivery_settles_within_its_time(verdicts: list[Verdict]) -> None:
    now, was_uncertain = NOW, False
    for attempts, verdict in enumerate(verdicts, 1):
        following = rules.after_attempt(
            verdict,
            attempts=attempts,
            was_uncertain=was_uncertain,
            created_at=NOW,
            now=now,
            give_up_after=timedelta(days=2),
            jitter=0.5,
        )
        was_uncertain = was_uncertain or following.state is DeliveryState.UNCERTAIN
        if following.due_at is None:
            return
        assert following.due_at > now
        now = following.due_at
    pytest.fail("it is tried for ever")


@pytest.mark.parametrize(
    ("given_address", "kept"),
    [
        ("anna@firma.example", "anna@firma.example"),
        (" Anna.Kowalska+celne@Firma.EXAMPLE ", "Anna.Kowalska+celne@firma.example"),
        ("o'brien@x-y.example", "o'brien@x-y.example"),
        ("a@żółw.example", "a@xn--w-uga1v8h.example"),
    ],
)
def test_an_address_has_one_form(given_address: str, kept: str) -> None:
    assert rules.check_address(given_address) == kept


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anna",
        "@firma.example",
        "anna@",
        "anna@firma",
        "anna@-firma.example",
        "a..b@firma.example",
        "anna kowalska@firma.example",
        "anna@firma.example\r\nBcc: x@y.example",
        "anna@firma.example>\r\nDATA",
        "anna@firma.example\x00",
        "<anna@firma.example>",
        "anna@@firma.example",
        "zażółć@firma.example",
        '"a b"@firma.example',
        "a" * 65 + "@firma.example",
        "a@" + ".".join(["b" * 60] * 5) + ".example",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid) as caught:
        rules.check_address(address)
    assert caught.value.field == "email"


@given(st.text(max_size=300))
def test_a_checked_address_can_stand_in_a_command_and_is_stable(text: str) -> None:
    try:
        checked = rules.check_address(text)
    except Invalid:
        return
    assert len(checked) <= rules.MAX_ADDRESS
    assert checked.isascii()
    assert not set(checked) & set("\r\n\0<> ")
    assert rules.check_address(checked) == checked


@pytest.mark.parametrize(
    "headers", [{"Subject": "x"}, {"Bcc": "x@y.example"}, {"Reply-To": "a\r\nBcc: b"}, {"A: b\r\nC": "d"}]
)
def test_headers_that_smuggle_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        rules.check_headers(headers)


def test_useful_headers_may_be_added() -> None:
    rules.check_headers({"In-Reply-To": "<a@b>", "Auto-Submitted": "auto-replied"})


@given(st.text())
def test_one_line_is_one_line_without_directions(text: str) -> None:
    line = rules.one_line(text)
    assert line.splitlines() in ([], [line])
    rules.refuse_controls("subject", line)
    assert not set(line) & set("\u202e\u2066\u200f")
    assert rules.one_line(line) == line


def test_a_title_with_a_direction_override_stays_readable() -> None:
    assert rules.one_line("NCTS2\u202e nie\r\ndziała\t") == "NCTS2 nie działa"
    assert rules.clean_text("a\r\nb\x07\u202ec") == "a\nbc"


@given(st.integers(1, 5000))
def test_every_lane_is_sure_of_a_place(room: int) -> None:
    shares = rules.shares(room)
    assert all(1 <= shares[lane] <= room for lane in Lane)
