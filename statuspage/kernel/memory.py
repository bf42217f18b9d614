"""The process's memory after starting: what was loaded stays and is not looked at again, the rest is given back."""

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8  # malloc.h


def limit_arenas() -> None:
    """One heap for all threads, before there are any: a thread's own heap keeps what it once needed. glibc only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def set_imports_aside() -> None:
    """Call once, before the first page is made: it would wait for a collection of all that was imported."""
    gc.freeze()


def settle() -> None:
    """Call once, after starting.

    A full collection looks at everything that was ever imported, 150 ms in which no page is published and no
    monitor started; frozen objects are left out of it. Starting frees tens of megabytes that glibc would keep.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    trim()


def trim() -> None:
    """Give free memory back to the system; a few milliseconds. glibc only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
