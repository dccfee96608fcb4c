"""Histories folded on Spark: a frame of events in, a frame of moves out; needs the extra ``spark``.

PySpark itself is imported when a frame of its own is folded.
"""

from ..public import publish
from .histories import fold

__all__ = ["fold"]

publish(__name__, fold)
