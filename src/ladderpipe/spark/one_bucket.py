"""What a worker of Spark's does with one bucket: events in Arrow's columns in, a table out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import polars as pl

from ..errors import InvalidEventError
from ..insight.buckets import fold_bucket
from ..insight.bulk import Replayed
from ..insight.bulk.carried import received
from .columns import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["table_of_bucket"]

SLICE: Final = 1_000_000
"""Rows whose texts Arrow can always address with 32 bits, as Spark wants them."""


def table_of_bucket(
    events: pa.Table,
    ladder: str,
    names: Sequence[str],
    until: dt.datetime | None,
    table: str,
    refuse_aside: bool,
) -> pa.Table:
    """Fold all events of some deals, and return what they have in *table*.

    Args:
        events: with ``deal`` in the kind of text that Spark wants back.
        ladder: as it was carried here.
        names: of the columns, which have others on the way.

    Raises:
        InvalidEventError: an event is not what it should be; or cannot be used, and
            *refuse_aside*.
    """
    import pyarrow as pa

    text = events.schema.field("deal").type
    # Spark tells instants in the zone of its session, of which Polars need not know the name.
    place = events.schema.get_field_index("at")
    at = events["at"].cast(pa.timestamp("us", "UTC"))
    told = events.set_column(place, "at", at).rename_columns(names)
    # Spark has as many workers as cores already.
    replayed = fold_bucket(received(ladder), told, until, workers=1)
    if refuse_aside and replayed.aside:
        raise InvalidEventError(_refusal(replayed, len(events)))
    found = _rows(replayed, table)
    parts = [part.to_arrow() for part in found.iter_slices(SLICE)] or [found.to_arrow()]
    schema = pa.schema(
        [
            pa.field(each.name, text if pa.types.is_large_string(each.type) else each.type)
            for each in parts[0].schema
        ]
    )
    return pa.concat_tables([part.cast(schema) for part in parts])


def _rows(replayed: Replayed, table: str) -> pl.DataFrame:
    if table == "aside":
        columns = COLUMNS[table]
        rows = [
            [*(getattr(event, name) for name in columns if name != "reason"), reason]
            for event, reason in replayed.aside
        ]
        return pl.DataFrame(rows, columns, orient="row")
    found = replayed.moves if table == "moves" else replayed.deals
    return found.with_columns(pl.col(pl.Categorical).cast(pl.String))


def _refusal(replayed: Replayed, count: int) -> str:
    (event, reason), *others = replayed.aside
    more = f", and {len(others)} more" if others else ""
    return (
        f"{len(replayed.aside)} of the {count} events of a bucket cannot be used: event "
        f"{event.id!r} of deal {event.deal!r} ({reason}){more}. table='aside' has all of them, "
        "and strict=False leaves them aside, as insight.replay does"
    )
