"""The errors a caller may meet. They know no HTTP codes; `kernel.web` alone maps them.

Error
├── Invalid        what was given is wrong: names the field, file or key, and what to do
├── NotFound       it does not exist, or not for this caller (the two look alike on purpose)
├── Forbidden      known, but not allowed
├── Conflict       the state has moved on: somebody else changed it, or it is already done
├── TooMany        a limit was reached; `retry_after_s` says when to come back
└── Unavailable    our own fault, passing: database locked, disk full. Never a customer's outage
"""


class Error(Exception):
    """Something a caller can be told in words."""


class Invalid(Error):
    """What was given is wrong. `field` is the field, file or settings key that has to change.

    A reason with places in braces is filled with `values`: as `message` and `values` it can be said in another
    language, too.
    """

    def __init__(self, field: str, reason: str, **values: object) -> None:
        self.field = field
        self.message = reason
        self.values = values
        self.reason = reason.format(**values) if values else reason
        super().__init__(f"{field}: {self.reason}")


class NotFound(Error):
    """There is no such thing, or not for this caller."""


class Forbidden(Error):
    """The caller is known and may not do this."""


class Conflict(Error):
    """The state has moved on since the caller looked."""


class TooMany(Error):
    """A limit was reached."""

    def __init__(self, reason: str, *, retry_after_s: int) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Unavailable(Error):
    """A fault of our own that passes: worth a retry."""
