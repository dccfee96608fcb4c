"""Logs of other systems: readers, and maps from their rows to events.

``LogFile`` reads CSV, JSON lines and XES row by row; ``load_map`` brings the map that says what a
row means, whose ``events`` makes events of it. ``ladderpipe.replay`` does both, into a board.
"""

from ..public import publish
from .crm_map import CrmMap, crm_map, shipped_crm_maps
from .deal_export import DealExport, told_deals
from .log_map import CloudEvents, LogMap
from .map_files import load_map, shipped_maps
from .readers import Layout, LogFile
from .row_identity import Repeats
from .rows import BadLine, Row

__all__ = [
    "BadLine",
    "CloudEvents",
    "CrmMap",
    "DealExport",
    "Layout",
    "LogFile",
    "LogMap",
    "Repeats",
    "Row",
    "crm_map",
    "load_map",
    "shipped_crm_maps",
    "shipped_maps",
    "told_deals",
]

publish(__name__, *(globals()[name] for name in __all__))
