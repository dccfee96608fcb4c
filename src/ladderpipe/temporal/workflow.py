"""The workflow of a deal: what Temporal calls, and nothing else; its work is :mod:`.course`'s.

It is asked by updates, never by signals: a signal that makes no sense is in the history before
anybody can refuse it, and fails the deal's tasks for ever. An update is looked at first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import workflow

from .course import ASKED, DRIVEN, Course
from .settings import DealSettings

__all__ = ["deal_workflow", "workflow_type"]


def workflow_type(pipeline: str) -> str:
    """Return the type of the workflows of a pipeline's deals."""
    return f"ladderpipe:{pipeline}"


class DealWorkflow:
    """What :func:`deal_workflow` makes a class of, for one pipeline."""

    settings: DealSettings

    @workflow.init
    def __init__(self, carried: dict[str, Any]) -> None:
        self._course = Course(self.settings, carried)

    @workflow.run
    async def run(self, carried: dict[str, Any]) -> None:
        """Run until the workflow continues as new."""
        await self._course.run()

    @workflow.query
    def snapshot(self) -> dict[str, Any]:
        """Return the deal whole."""
        return self._course.snapshot()

    @workflow.query
    def deal(self) -> dict[str, Any]:
        """Return the deal as it stands, if it is open."""
        return self._course.deal_as_it_stands()

    @workflow.update
    def adopt(self, told: dict[str, Any]) -> None:
        """Go on with another definition."""
        self._course.adopt(told)

    @adopt.validator
    def _check_adopt(self, told: dict[str, Any]) -> None:
        self._course.check_adopt(told)


def _update(name: str) -> Callable[..., Any]:
    async def update(self: DealWorkflow, told: dict[str, Any]) -> dict[str, Any] | None:
        answer = self._course.take(name, told)
        await self._course.is_known()
        return answer

    def check(self: DealWorkflow, told: dict[str, Any]) -> None:
        self._course.check(name, told)

    asked: Any = workflow.update(name=name)(update)
    asked.validator(check)
    return update


def deal_workflow(settings: DealSettings) -> type[DealWorkflow]:
    """Return the class of the workflows of a pipeline's deals.

    A workflow's class is what a worker knows it by, so each pipeline has its own, and Temporal
    wants what it calls to stand in that class itself.

    It runs outside of the sandbox, which would pass all of it through: what a ladder calls are the
    functions of somebody's own modules, and a copy of those is another ladder.
    """
    own = {name: part for name, part in vars(DealWorkflow).items() if name not in _NOT_COPIED}
    asked = ASKED if settings.clock is None else (*ASKED, *DRIVEN)
    updates = {name: _update(name) for name in asked}
    made = type(DealWorkflow.__name__, (), {**own, **updates, "settings": settings})
    return workflow.defn(name=workflow_type(settings.pipeline.name), sandboxed=False)(made)


_NOT_COPIED = ("__dict__", "__weakref__")
