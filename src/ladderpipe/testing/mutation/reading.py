"""Whether a project looks at a ladder while its modules are imported.

What it makes of it then (``parametrize("stage", ladder.stages)``, a state machine) has to be made
of the changed ladder. If it makes nothing, the ladder can be changed when all tests are collected.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from ladderpipe import Pipeline, Stage

__all__ = ["Reads"]

_OF_NO_MATTER: Final = frozenset(
    # Hooks are registered on any ladder alike; the others are what pytest and its plugins ask of
    # whatever a module holds.
    ("move_into", "move_out_of", "__class__", "__test__", "__wrapped__", "__call__")
)
_CHANGED: Final = frozenset(("is_closed", "requires", "sequence", "status"))


class Reads:
    """Notes whether anybody reads a pipeline or one of its stages, until ``end``."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.any = False
        stages = {id(stage) for stage in pipeline.stages}

        def read_pipeline(self_: Pipeline, name: str) -> Any:
            if self_ is pipeline and name not in _OF_NO_MATTER:
                # Registering a hook, a pipeline reads itself.
                reader = sys._getframe(1).f_globals.get("__name__")
                self.any = self.any or reader != "ladderpipe.pipeline"
            return object.__getattribute__(self_, name)

        def read_stage(self_: Stage, name: str) -> Any:
            if name in _CHANGED and id(self_) in stages:
                self.any = True
            return object.__getattribute__(self_, name)

        for of, read in ((Pipeline, read_pipeline), (Stage, read_stage)):
            setattr(of, "__getattribute__", read)  # noqa: B010

    def end(self) -> bool:
        """Note no more; return whether it was read."""
        for each in (Pipeline, Stage):
            if "__getattribute__" in vars(each):
                delattr(each, "__getattribute__")
        return self.any
