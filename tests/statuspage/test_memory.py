"""What is set aside while starting is not lost: once started, its garbage is given back."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from statuspage.kernel import memory


class Link:
    """Refers to itself, so that only a collection ends it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_was_imported_is_not_looked_at_while_starting_but_once_afterwards() -> None:
    garbage = weakref.ref(Link())
    memory.set_imports_aside()
    gc.collect()
    assert garbage() is not None
    memory.settle()
    assert garbage() is None


def test_what_stays_after_starting_is_not_looked_at_again() -> None:
    kept = Link()
    memory.settle()
    known = weakref.ref(kept)
    del kept
    gc.collect()
    assert known() is not None
