"""The ladders that the cases are about."""

from __future__ import annotations

import functools
import json
from importlib import resources

from ladderpipe import Pipeline

__all__ = ["ladder"]


@functools.cache
def ladder(name: str) -> Pipeline:
    """Return one of the ladders in ``ladders.json``."""
    told = resources.files(__package__).joinpath("ladders.json").read_text("utf-8")
    return Pipeline.from_dict(json.loads(told)[name])
