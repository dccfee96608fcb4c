"""Process mining: a board's histories as event logs that other tools read, and logs as events.

Rooms: what a case and its activities are (``cases``), how files are written (``files``), the
formats (``xes``, ``ocel``, ``table``), choosing among them (``exporting``), and ``reading``.
"""

from .export import ExportReport, export_log
from .read import read_xes

__all__ = ["ExportReport", "export_log", "read_xes"]
