"""Deals as workflows on Temporal, for those who outgrow a database; needs the extra ``temporal``.

A deal is one workflow, which holds a whole board in its memory: the same fold, the same receipts.
``LadderPlugin`` goes to a client, and so to the workers made from it; ``TemporalBoard`` is what a
program asks. What happens inside is in :mod:`.workflow` and :mod:`.course`, effects are in
:mod:`.deliveries`.

What knows of more than one deal goes along with it as a :class:`.companion.Companion`. Customers
are workflows of their own (:mod:`.customer`, what they know is in :mod:`.ledger`), which a deal
asks before it sends (:mod:`.asking`, :mod:`.known`). A :class:`.projection.Projection` keeps deals
in a store (:mod:`.follow` tells it).
"""

from ..extras import how_to_install

try:
    import temporalio as _temporalio  # noqa: F401
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a process of its own
    raise ModuleNotFoundError(
        f"ladderpipe.temporal needs Temporal's client: {how_to_install('temporal')}",
        name=_error.name,
    ) from _error

from ..public import publish
from .board import TemporalBoard
from .plugin import LadderPlugin
from .projection import FollowingBoard, Projection

__all__ = ["FollowingBoard", "LadderPlugin", "Projection", "TemporalBoard"]

publish(__name__, FollowingBoard, LadderPlugin, Projection, TemporalBoard)
