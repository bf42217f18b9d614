"""What somebody may do who has a role for some groups of services: a verb runs within these groups, or not at all."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from statuspage.kernel.accounts import Role, SignedIn
from statuspage.kernel.errors import Forbidden

T = TypeVar("T")


class OutOfArea(Forbidden):
    """They have this role for other groups of services; `groups` are the codes of those that are lacking."""

    def __init__(self, role: Role, groups: Sequence[str]) -> None:
        super().__init__(f"the role {role} is needed for {', '.join(groups) or 'the whole house'}")
        self.groups = tuple(groups)


def may(user: SignedIn, role: Role, groups: Collection[str]) -> bool:
    """Whether they may do what `role` may to something that is about all of these groups, or about none."""
    return user.may(role) or (bool(groups) and all(user.may(role, code) for code in groups))


def within(
    user: SignedIn, role: Role, groups: Callable[[Session], Collection[str]], verb: Callable[..., T]
) -> Callable[..., T]:
    """The verb, but for who has `role` for all of `groups`, which is asked in the verb's own unit of work.

    It raises OutOfArea otherwise; what is about no group is for the house-wide role alone.
    """

    def guarded(session: Session, *args: Any, **named: Any) -> T:
        concerned = groups(session)
        if not may(user, role, concerned):
            raise OutOfArea(role, sorted(code for code in concerned if not user.may(role, code)))
        return verb(session, *args, **named)

    return guarded
