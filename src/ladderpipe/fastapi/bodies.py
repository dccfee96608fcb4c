"""What people send who do something with a deal by hand."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ..model.event import Identity

__all__ = ["Edit", "MoveByHand", "Undo"]

_SEEN = "The stage, or the key of the visit, in which you see the deal."
Seen = Annotated[str | None, Field(description=_SEEN)]


class _Hand(BaseModel):
    model_config = ConfigDict(extra="forbid")

    expecting: Seen = None


class MoveByHand(_Hand):
    """Where a deal is to be moved, and why."""

    into: Annotated[str, Field(description="The key of the stage.")]
    reason: str | None = None
    properties: Annotated[
        dict[str, Any], Field(description="Set with the move, for example what it requires.")
    ] = {}
    at: Annotated[
        str | None,
        Field(
            description="When it happened, for what is entered later.",
            json_schema_extra={"format": "date-time"},
        ),
    ] = None


class Edit(_Hand):
    """What is to be corrected of a deal; what is left out stays as it is."""

    owner: Annotated[str | None, Field(description="Who has it; null for nobody.")] = None
    value: Annotated[
        str | int | float | None,
        Field(description='What it is worth, best as text, "899.00"; null takes it back.'),
    ] = None
    currency: Annotated[str, Field(description="A code of ISO 4217.")] = ""
    title: str | None = None
    contact: Annotated[
        dict[str, Any] | None, Field(description="Fields to correct; null erases one.")
    ] = None
    company: str | dict[str, Any] | None = None
    properties: Annotated[dict[str, Any], Field(description="Set one by one.")] = {}
    note: Annotated[str | None, Field(description="Kept in the history.")] = None


class Undo(_Hand):
    """Which hand is to be taken back: the one that is named, or the last one."""

    event: Annotated[
        Identity | str | None, Field(description="What the hand's receipt named, or its key.")
    ] = None
    reason: str | None = None
