"""The errors a caller may meet. They know no HTTP codes; `kernel.web` alone maps them.

Error
├── Invalid        what was given is wrong: names the field, file or key, and what to do
├── NotFound       it does not exist, or not for this caller (the two look alike on purpose)
├── Forbidden      known, but not allowed
├── Conflict       the state has moved on: somebody else changed it, or it is already done
├── TooMany        a limit was reached; `retry_after_s` says when to come back
└── Unavailable    our own fault, passing: database locked, disk full. Never a customer's outage
"""

from collections.abc import Mapping


def filled(message: str, values: Mapping[str, object]) -> str:
    """The message with its values. Without any it is taken as it is: a percent sign is one."""
    return message % values if values else message


class Error(Exception):
    """Something a caller can be told in words: `message`, a msgid, and the `values` of its %(placeholders)s."""

    def __init__(self, message: str = "", **values: object) -> None:
        super().__init__(filled(message, values))
        self.message = message
        self.values = values


class Invalid(Error):
    """What was given is wrong. `field` is the field, file or settings key that has to change."""

    def __init__(self, field: str, message: str, **values: object) -> None:
        super().__init__(message, **values)
        self.field = field
        self.reason = filled(message, values)
        self.args = (f"{field}: {self.reason}",)


class NotFound(Error):
    """There is no such thing, or not for this caller."""


class Forbidden(Error):
    """The caller is known and may not do this."""


class Conflict(Error):
    """The state has moved on since the caller looked."""


class TooMany(Error):
    """A limit was reached."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(Error):
    """A fault of our own that passes: worth a retry."""
