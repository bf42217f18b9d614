"""Service levels: what a requester was promised, and where the clocks of a request stand. Pure.

The first answer is promised around the clock, the solution in the specialists' working time. While a request waits for
its requester, the solution's clock stands still.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from statuspage.kernel.config import Settings
from tickets.clocks import Hours, Pause, due_at
from tickets.rules import UNSOLVED, Kind, State


@dataclass(frozen=True, slots=True)
class Levels:
    """What is promised."""

    hours: Hours
    answer_within: timedelta  # around the clock
    solve_within_days: int  # working days
    request_within_days: int

    def days_of(self, kind: Kind) -> int:
        """Working days until a request of this kind is solved."""
        return self.request_within_days if kind is Kind.SERVICE_REQUEST else self.solve_within_days


@dataclass(frozen=True, slots=True)
class Entered:
    """A state that a request went into."""

    state: State
    at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """What is owed to the requester now. None: it was given, or its clock stands still."""

    answer_at: datetime | None = None
    solution_at: datetime | None = None


def levels_of(settings: Settings) -> Levels:
    """As the settings have them."""
    tickets = settings.tickets
    return Levels(
        Hours(
            settings.zone,
            time.fromisoformat(tickets.works_from),
            time.fromisoformat(tickets.works_until),
            frozenset(tickets.days_off),
        ),
        tickets.answer_within,
        tickets.solve_within_days,
        tickets.request_within_days,
    )


def due(
    levels: Levels, kind: Kind, created_at: datetime, states: Sequence[Entered], *, is_answered: bool
) -> Due:
    """Where the clocks of a request stand. `states` are all that it went through, oldest first."""
    if not states or states[-1].state not in UNSOLVED:
        return Due()
    target = levels.hours.day_length * levels.days_of(kind)
    return Due(
        answer_at=None if is_answered else created_at + levels.answer_within,
        solution_at=due_at(levels.hours, created_at, target, pauses(states)),
    )


def pauses(states: Sequence[Entered]) -> list[Pause]:
    """The times in which the solution's clock stood still: waiting for the requester, or taken for solved."""
    still = (State.PENDING_CUSTOMER, State.RESOLVED)
    ends = [entered.at for entered in states[1:]]
    return [
        Pause(entered.at, end)
        for entered, end in zip(states, [*ends, None], strict=True)
        if entered.state in still
    ]
