"""Histories of more deals than memory holds: cut by deal into buckets, each folded alone.

Rooms: which bucket a deal is in (``assign``) and what folds one (``fold``), which are all that
another engine needs. The log as frames that memory holds (``source``), cut into files
(``partition``); the folder, who may write into it and for which replay (``manifest``); all of them
together (``bucketed``), and what is read of a folder (``folder``).
"""

from .assign import bucket_numbers
from .bucketed import replay
from .event_log import EventLog
from .fold import fold_bucket
from .folder import ReplayedFolder

__all__ = ["EventLog", "ReplayedFolder", "bucket_numbers", "fold_bucket", "replay"]
