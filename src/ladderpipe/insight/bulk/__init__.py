"""Bulk replay: folding very many deals at once, in columns.

Rooms: what a frame of events looks like (``event_frame``), what its events tell (``payloads``,
``payload_columns``) and in which order (``arrange``, ``duplicates``); the ladder as tables
(``program``, ``guard_bits``); the deals' state in arrays (``visits``, ``carts``) and its steps
(``steps``), or the same in a compiled loop (``kernel``, ``compiled``) when that is worth
``loading``; all of them together (``columnar``) and what comes of it (``folded``, ``outcome``),
beside the ordinary fold of what does not fit (``fallback``).
"""

from ...extras import how_to_install

try:
    import numpy as _numpy  # noqa: F401
except ModuleNotFoundError as _error:
    if _error.name != "numpy":
        raise
    raise ImportError(
        f"bulk replay computes with NumPy, which is not installed: {how_to_install('insight')}"
    ) from _error

from .columnar import replay
from .event_frame import EVENTS, EventSource
from .outcome import FINAL, Replayed
from .program import can_replay_in_columns

__all__ = ["EVENTS", "FINAL", "EventSource", "Replayed", "can_replay_in_columns", "replay"]
