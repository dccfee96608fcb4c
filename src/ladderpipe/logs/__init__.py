"""Logs of other systems: readers, and maps from their rows to events.

``LogFile`` reads CSV, JSON lines and XES row by row; ``load_map`` brings the map that says what a
row means, whose ``events`` makes events of it. ``ladderpipe.replay`` does both, into a board.
"""

from ..public import publish
from .log_map import CloudEvents, LogMap
from .map_files import load_map, shipped_maps
from .readers import Layout, LogFile
from .row_identity import Repeats
from .rows import BadLine, Row

__all__ = [
    "BadLine",
    "CloudEvents",
    "Layout",
    "LogFile",
    "LogMap",
    "Repeats",
    "Row",
    "load_map",
    "shipped_maps",
]

publish(__name__, *(globals()[name] for name in __all__))
