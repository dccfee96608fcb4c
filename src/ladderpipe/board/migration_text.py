"""What command lines say of adopting a ladder, and take for it; how it looks is their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

from ..errors import DefinitionError
from ..model.stage import Stage
from ..pipeline import Pipeline
from .migrate import MigrationPlan

__all__ = [
    "STAY",
    "as_typed",
    "deals_counted",
    "differences_told",
    "rows_told",
    "stages_named",
    "trouble_told",
]

Tone: TypeAlias = Literal["plain", "good", "look", "bad"]

FAILURES: Final = 20
"""How many deals that cannot be carried over are named."""

STAY: Final = "stay there"
"""What is said in place of a stage where deals stay in theirs."""

_ADVICE: Final = {
    r" on a board that was opened with adopting=True": "",
    r"board\.migrate\(\{'old_stage': new_stage\}\)": "{} --rename OLD=NEW",
    r"board\.migrate\(the same mapping\)": "{}, renaming the same",
    r"say migrate\(\{'(\w+)': (\w+)\}\)": r"say --rename \1=\2",
    r"board\.migrate\b(\([^()]*\))?(?! *=)": "{}",
}
"""Advice for who calls the library, and what is typed instead; ``{}`` is the command."""


def as_typed(message: str, command: str) -> str:
    """Return a message whose advice on adopting a ladder is a command."""
    for said, told in _ADVICE.items():
        message = re.sub(said, told.format(command.replace("\\", r"\\")), message)
    return message


def stages_named(pipeline: Pipeline, written: Iterable[str]) -> dict[str, Stage]:
    """Return the mapping that ``OLD=NEW`` says, one for each stage that is gone.

    Raises:
        DefinitionError: it is written otherwise, or the new stage is not the pipeline's.
    """
    stages = {stage.key: stage for stage in pipeline.stages}
    mapping = {}
    for each in written:
        old, equals, new = each.partition("=")
        if not equals or new not in stages:
            raise DefinitionError(
                f"{each!r}: write OLD=NEW, where NEW is one of {', '.join(stages)}"
            )
        mapping[old] = stages[new]
    return mapping


def differences_told(plan: MigrationPlan) -> Iterator[tuple[Tone, str]]:
    """Yield how the ladders differ, each line with its tone, and what stands in the way."""
    if plan.is_under_way:
        yield "plain", "a migration to this definition has begun and is to be finished"
        return
    if not plan.differences:
        yield "good", "the store holds this definition already"
    for difference in plan.differences:
        yield "plain", f"- {difference}"
    for stage, count in plan.gone.items():
        yield (
            "bad",
            f"stage {stage} is gone, and {deals_counted(count)} in it: --rename {stage}=NEW",
        )


def rows_told(plan: MigrationPlan) -> list[tuple[str, str, str]]:
    """Return how many deals go from which stage into which; none where no deal was tried."""
    return [
        (
            f"{count:,}",
            old or "not open",
            STAY if old == new else new or "not open",
        )
        for (old, new), count in plan.stages.items()
    ]


def trouble_told(plan: MigrationPlan) -> Iterator[tuple[Tone, str]]:
    """Yield what a person should look at before it is done."""
    if plan.due:
        yield (
            "look",
            f"{deals_counted(plan.due)} with a timer due at once: the next sweep moves them",
        )
    for failure in plan.failures[:FAILURES]:
        yield "bad", f"deal {failure.deal} cannot be carried over: {failure.error}"
    if len(plan.failures) > FAILURES:
        yield "bad", f"… and {len(plan.failures) - FAILURES:,} more"


def deals_counted(count: int) -> str:
    """Return a number of deals: ``1 deal``, ``2,000 deals``."""
    return f"{count:,} deal{'' if count == 1 else 's'}"
