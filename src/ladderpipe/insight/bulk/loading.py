"""Whether the compiled kernel is there, and worth waiting for.

Numba is imported for very many events, or never. What it compiles is kept on disk, for all
processes that come after the first.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from typing import TYPE_CHECKING, Final

from .program import Program

if TYPE_CHECKING:
    from .compiled import Compiled

__all__ = ["WORTH_LOADING", "compiled"]

WORTH_LOADING: Final = 4_000_000
"""NumPy's steps have done with fewer events before the kernel would be loaded."""

_MOST: Final = 2**31 - 1
"""Rows are told in numbers of 32 bits."""

_log = logging.getLogger("ladderpipe")
_lock = threading.Lock()
_found: list[type[Compiled] | None] = []


def compiled(program: Program, events: int) -> type[Compiled] | None:
    """Return the compiled fold if it is there and so many events are worth it.

    Whether it is loaded already does not count: the same events take the same way, whatever this
    process did before.
    """
    if not WORTH_LOADING <= events <= _MOST:
        return None
    with _lock:
        if not _found:
            _found.append(_loaded(program))
    return _found[0]


def _loaded(program: Program) -> type[Compiled] | None:
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        from .compiled import Compiled

        Compiled.warm(program)
    except Exception as error:
        # Mostly nothing can be kept on disk: then each process would compile it again, and wait for
        # it longer than NumPy takes. Numba has many more reasons, such as a NumPy too new for it.
        _log.warning("bulk replay goes without its compiled kernel: %s", error)
        return None
    return Compiled
