"""The help desk's rules, as tables of scenarios and as a state machine."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tickets import rules
from tickets.rules import FINAL, PENDING, UNSOLVED, Draft, State, may_follow

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD = Draft("failure", "NCTS2", "A. Forwarder", "a@example.net", "It does not work since noon.")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (State.NEW, State.OPEN),
        (State.NEW, State.PENDING_INCIDENT),
        (State.OPEN, State.PENDING_CUSTOMER),
        (State.PENDING_CUSTOMER, State.OPEN),
        (State.PENDING_CUSTOMER, State.PENDING_INCIDENT),
        (State.PENDING_INCIDENT, State.OPEN),
        (State.PENDING_INCIDENT, State.RESOLVED),
        (State.PENDING_APPROVAL, State.REJECTED),
        (State.OPEN, State.MERGED),
        (State.NEW, State.WITHDRAWN),
        (State.RESOLVED, State.OPEN),
        (State.RESOLVED, State.CLOSED),
    ],
)
def test_a_ticket_may_go_there(old: State, new: State) -> None:
    assert may_follow(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (State.OPEN, State.NEW),
        (State.OPEN, State.CLOSED),
        (State.NEW, State.CLOSED),
        (State.PENDING_INCIDENT, State.CLOSED),
        (State.RESOLVED, State.PENDING_INCIDENT),
        (State.RESOLVED, State.REJECTED),
        (State.RESOLVED, State.NEW),
        (State.CLOSED, State.OPEN),
        (State.REJECTED, State.OPEN),
        (State.MERGED, State.RESOLVED),
        (State.WITHDRAWN, State.OPEN),
    ],
)
def test_a_ticket_may_not_go_there(old: State, new: State) -> None:
    assert not may_follow(old, new)


def test_every_state_has_its_followers_and_none_follows_itself() -> None:
    assert set(rules.FOLLOWERS) == set(State)
    assert all(state not in followers for state, followers in rules.FOLLOWERS.items())
    assert {state for state, followers in rules.FOLLOWERS.items() if not followers} == FINAL


class Life(RuleBasedStateMachine):
    """A ticket's life: whatever is tried, only what may follow happens."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.NEW
        self.seen = [State.NEW]

    @rule(wanted=st.sampled_from(State))
    def try_to_enter(self, wanted: State) -> None:
        if may_follow(self.state, wanted):
            self.state = wanted
            self.seen.append(wanted)

    @precondition(lambda self: self.state in UNSOLVED)
    @rule()
    def answer(self) -> None:
        after = rules.state_after_answer(self.state)
        assert after is self.state or may_follow(self.state, after)
        self.state = after
        self.seen.append(after)

    @rule(others=st.integers(0, 2))
    def unlink(self, others: int) -> None:
        after = rules.state_after_unlink(self.state, other_links=others)
        assert after is self.state or may_follow(self.state, after)
        if others:
            assert after is self.state
        self.state = after
        self.seen.append(after)

    @invariant()
    def new_is_only_the_beginning(self) -> None:
        changed = [s for i, s in enumerate(self.seen) if i == 0 or s is not self.seen[i - 1]]
        assert State.NEW not in changed[1:]

    @invariant()
    def what_is_final_stays(self) -> None:
        first = next((i for i, s in enumerate(self.seen) if s in FINAL), None)
        assert first is None or set(self.seen[first:]) == {self.seen[first]}

    @invariant()
    def only_what_is_resolved_closes(self) -> None:
        if State.CLOSED in self.seen:
            before = self.seen[: self.seen.index(State.CLOSED)]
            assert before[-1] is State.RESOLVED

    @invariant()
    def what_is_unsolved_can_be_solved(self) -> None:
        assert may_follow(self.state, State.RESOLVED) == (self.state in UNSOLVED)


TestLife = Life.TestCase


@pytest.mark.parametrize("state", sorted(PENDING | {State.OPEN, State.NEW}))
def test_only_the_last_link_of_a_waiting_ticket_opens_it(state: State) -> None:
    expected = State.OPEN if state is State.PENDING_INCIDENT else state

    assert rules.state_after_unlink(state, other_links=0) is expected
    assert rules.state_after_unlink(state, other_links=1) is state


@pytest.mark.parametrize(
    ("minutes", "suggested"),
    [(-31, False), (-30, True), (0, True), (60, True), (180, True), (181, False)],
)
def test_suggestions_reach_from_30_minutes_before_to_2_hours_after(minutes: int, *, suggested: bool) -> None:
    window = rules.suggestion_window(NOON, NOON + timedelta(hours=1), now=NOON + timedelta(days=1))

    assert (NOON + timedelta(minutes=minutes) in window) == suggested


def test_an_incident_that_goes_on_suggests_up_to_now() -> None:
    window = rules.suggestion_window(NOON, None, now=NOON + timedelta(hours=5))

    assert NOON + timedelta(hours=5) in window
    assert NOON + timedelta(hours=5, seconds=1) not in window


@given(st.timedeltas(timedelta(0), timedelta(days=3)), st.timedeltas(timedelta(0), timedelta(days=30)))
def test_an_answer_waits_the_reopen_window_and_is_never_due_in_the_past(
    window: timedelta, later: timedelta
) -> None:
    due_at = rules.answer_due_at(NOON, reopen_window=window, now=NOON + later)

    assert due_at >= NOON + later
    assert due_at >= NOON + window
    assert due_at in (NOON + later, NOON + window)


def test_a_resolved_ticket_closes_after_14_days() -> None:
    assert rules.closes_at(NOON) == datetime(2026, 12, 7, 12, tzinfo=UTC)


def test_a_good_request_has_no_problem() -> None:
    assert rules.problems(GOOD) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", ""),
        ("kind", "complaint"),  # has forms of its own; not filed by this one
        ("kind", "service_request"),
        ("service", ""),
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 121),
        ("name", "A.\nForwarder"),
        ("name", "A.\u202eForwarder"),
        ("name", "A.\x00Forwarder"),
        ("email", ""),
        ("email", "nobody"),
        ("email", "a@b"),
        ("email", "a@example.net\nBcc: b@example.net"),
        ("email", "a@example.net, b@example.net"),
        ("email", '"a b"@example.net'),
        ("email", "x" * 65 + "@example.net"),
        ("text", ""),
        ("text", "too short"),
        ("text", "x" * 5001),
        ("text", "It does not work\x07 since noon."),
    ],
)
def test_a_problem_names_its_field(field: str, value: str) -> None:
    values = {name: getattr(GOOD, name) for name in ("kind", "service", "name", "email", "text")}
    found = rules.problems(Draft(**{**values, field: value}))

    assert [problem.field for problem in found] == [field]


def test_a_question_needs_no_service() -> None:
    assert rules.problems(Draft("question", "", GOOD.name, GOOD.email, GOOD.text)) == ()


def test_all_problems_are_told_at_once_in_the_order_of_the_form() -> None:
    found = rules.problems(Draft("", "", "", "", ""))

    assert [problem.field for problem in found] == ["kind", "name", "email", "text"]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("\ufeffpasted\u200b text\u200e", "pasted text"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_what_a_paste_drags_along_is_left_out(typed: str, kept: str) -> None:
    assert rules.tidied(typed) == kept


@given(st.text(max_size=400))
def test_a_subject_is_one_short_line(text: str) -> None:
    subject = rules.subject_of(text)

    assert len(subject) <= rules.MAX_SUBJECT
    assert "\n" not in subject


def test_a_long_first_line_is_cut_at_a_word() -> None:
    subject = rules.subject_of("word " * 50)

    assert subject.endswith("word…")
    assert rules.subject_of("x" * 300) == "x" * 119 + "…"
