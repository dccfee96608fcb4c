"""What a frame of events must look like, and what stands in the frames that come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ..errors import InvalidEventError
from ..insight.bulk import EVENTS, FINAL
from ..insight.bulk.event_frame import AMOUNT, PROPERTY_VALUE, TEXT, read_events, wanted
from ..insight.bulk.outcome import MOVES
from ..insight.frames.schema import INSTANT, MONEY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

__all__ = ["COLUMNS", "schema_of", "selected"]

COLUMNS: Final[dict[str, dict[str, Any]]] = {
    "moves": MOVES,
    "deals": FINAL,
    "aside": {**EVENTS, "reason": pl.String},
}

_KINDS: Final = {
    pl.String: "string",
    pl.Categorical(): "string",
    pl.Int64: "bigint",
    INSTANT: "timestamp",
    MONEY: f"decimal({MONEY.precision}, {MONEY.scale})",
}
_TIMESTAMP: Final = "a timestamp, which is an instant in every time zone"
_WHOLE: Final = "whole numbers"


def schema_of(table: str) -> str:
    """Return the columns of a table as Spark writes them."""
    return ", ".join(f"{name} {_KINDS[kind]}" for name, kind in COLUMNS[table].items())


def selected(frame: DataFrame) -> tuple[DataFrame, list[str]]:
    """Return the columns of events that *frame* has, and their names.

    Their names there have no dots, with which Spark reaches into structures.

    Raises:
        InvalidEventError: one is missing, or of a type that says something else.
    """
    from pyspark.sql import functions

    names = []
    for field in frame.schema:
        needed = _needed(field.name)
        if needed is not None:
            _check_type(field.name, field.dataType, needed)
            names.append(field.name)
    # What is missing, and what is told twice, is said where frames of Polars are read.
    read_events(
        pl.DataFrame(schema={name: INSTANT if name == "at" else pl.String for name in names}), None
    )
    columns = (
        functions.col(f"`{name.replace('`', '``')}`").alias(
            name if name in EVENTS else f"told_{place}"
        )
        for place, name in enumerate(names)
    )
    return frame.select(*columns), names


def _needed(name: str) -> str | None:
    if name == "properties":
        return "a column properties.NAME for each property, or all data to JSON text, with to_json"
    if name in EVENTS:
        return {"at": _TIMESTAMP, "seq": _WHOLE}.get(name, TEXT)
    return wanted(name)


def _check_type(name: str, kind: DataType, needed: str) -> None:
    from pyspark.sql import types

    texts = (types.StringType, types.CharType, types.VarcharType)
    told = (*texts, types.NullType)
    fits = {
        _TIMESTAMP: (types.TimestampType,),
        _WHOLE: (types.IntegralType,),
        TEXT: texts if name in EVENTS else told,
        AMOUNT: (*told, types.NumericType),
        PROPERTY_VALUE: (*told, types.NumericType, types.BooleanType),
    }
    if not isinstance(kind, fits.get(needed, ())):
        raise InvalidEventError(f"the column {name} is {kind.simpleString()}: cast it to {needed}")
