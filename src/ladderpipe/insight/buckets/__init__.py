"""Histories of more deals than memory holds: cut by deal into buckets, each folded alone.

Rooms: which bucket a deal is in (``assign``), and what folds one (``fold``), which are all that
another engine needs; no file is read or written there.
"""

from .assign import bucket_numbers
from .fold import fold_bucket

__all__ = ["bucket_numbers", "fold_bucket"]
