"""The tables and views of a store as SQLAlchemy sees them: to be read, and never to be made.

What is stored is written by the store, and its tables are made by its own numbered migrations. A
test compares each column here with a store that was just made, on every database.
"""

from __future__ import annotations

import re
from typing import Any, Final

import attrs
import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, MetaData, Table

from ..errors import StoreError
from .column_types import Document, Flag, Instant, InstantSeen, InstantText, Word

__all__ = ["Tables", "metadata", "tables"]

_TYPES: Final[dict[str, Any]] = {
    "text": Word,
    "small": sa.SmallInteger,
    "number": sa.Integer,
    "big": sa.BigInteger,
    "bytes": sa.LargeBinary,
    "flag": Flag,
    "json": Document,
    "instant": Instant,
    "seen": InstantSeen,
    "rfc3339": InstantText,
}
_KEY: Final = "*"
_MAY_BE_EMPTY: Final = "?"

_TABLES: Final[dict[str, str]] = {
    "schema": "version number",
    "pipelines": "id number*, name text, fingerprint text, definition text, migrating text?",
    "deals": """
        id big*, pipeline number > pipelines.id, deal text, stage text?, visit number,
        visit_key text?, entered_at instant?, activity_at instant?, opened_at instant?,
        closed_at instant?, lost_from text?, due_at instant?, horizon instant?, swept_to instant?,
        quiet_to instant?, last_event_at instant?, cursor_at instant?, cursor_phase small,
        cursor_seq big, cursor_rung number, cursor_source text, cursor_id text, timers text?,
        owner text?, currency text?, value text?, has_effects flag, baseline_at instant?,
        definition text?, failures number, retry_at instant?, removed_at instant?, customer text?,
        merged_into text?, units big?, fraction big?, title text?, source text?,
        touched_at instant?""",
    "documents": "deal big* > deals.id, data json",
    "events": """
        pipeline number*, source text*, id text*, deal big > deals.id, at instant, seq big,
        type_word number > words.id, data json, digest bytes?, recorded_at instant,
        undeclared flag, remark text?""",
    "moves": """
        deal big* > deals.id, n number*, visit_key bytes, out_of_word number? > words.id,
        into_word number > words.id, at instant, recorded_at instant, rule_word number > words.id,
        event_source text?, event_id text?""",
    "words": "id number*, word text",
    "effects": """
        key text*, pipeline number > pipelines.id, deal big > deals.id, visit_key text, phase text,
        name text, position number, payload json, state text, due_at instant, ready_at instant,
        expires_at instant?, run_to_completion flag, attempts number, lease text?, error text?,
        owner text?, recorded_at instant, purpose text?, channel text?, address text?,
        sent_at instant?, delayed_until instant?, decisions text?""",
    "held": """
        pipeline number* > pipelines.id, key text*, kind text, deal text, source text, id text,
        type text, at instant, seq big, data json?, digest text, reason text, since instant,
        told number, failures number, retry_at instant?, discarded_at instant?,
        discarded_by text?, note text?""",
    "held_customers": "pipeline number*, key text*, held text*",
    "customers": "key text*, deal big* > deals.id",
    "crowds": "pipeline number*, key text*",
    "subscriptions": """
        address text*, at instant*, seq big*, source text*, id text*, pipeline number*,
        wanted flag*""",
    "arms": "key text*, arm text, at instant",
    "search": "deal big* > deals.id, pipeline number, company text?, text text",
    "checkpoints": "deal big* > deals.id, at instant*, state text, data text",
    "totals": """
        pipeline number, stage text, currency text?, owner text?, source text?, deals big,
        valued big, billions big, units big, fraction big""",
    "secrets": "name text*, value text",
    "chains": "pipeline number* > pipelines.id, position text",
    "links": "pipeline number* > pipelines.id, n big*, hash bytes, header text",
    "leaves": """
        deal big* > deals.id, source text*, id text*, pipeline number > pipelines.id, link big,
        leaf bytes""",
    "salts": "deal big* > deals.id, salt bytes",
    "retired": """
        pipeline number* > pipelines.id, link big*, leaf bytes*, kind text, retired big""",
}
"""Every table's columns: ``*`` is part of the key, ``?`` may be empty, ``>`` is where it points."""

_VIEWS: Final[dict[str, str]] = {
    "visits": """
        deal big* > deals.id, n number*, visit_key text, stage text, entered_at seen,
        left_at seen?""",
    "moves_read": """
        pipeline text*, deal text*, n number*, out_of text?, into_stage text, at rfc3339,
        recorded_at rfc3339, rule text, event_source text?, event_id text?, visit_key text""",
    "events_read": """
        pipeline text*, source text*, id text*, deal text, type text, at rfc3339, seq big,
        data json, digest text?, recorded_at rfc3339, undeclared flag, remark text?""",
}


@attrs.frozen
class Tables:
    """The tables of a store, for ``select()``; instants are aware and in UTC, JSON is parsed.

    Amounts are texts, as they were told: ``Decimal(row.value)``. For sums in SQL a deal has
    ``units``, the whole part, and ``fraction``, the rest.

    Nothing here creates or drops a table: the store does, when a board is opened.

    Args:
        prefix: what the tables' names begin with; another one only where the store was given it.
        schema: where they are on PostgreSQL, if it is not where the connection looks first.

    Attributes:
        metadata: all of them, by their names in the database.
        pipelines: ladders, by number and name.
        deals: a row a deal: where it is, since when, whose it is, what it is worth.
        documents: what is known of a deal: contact, cart, properties.
        effects: the outbox, tasks and dead letters.
        held: events that wait, and why.
        visits: a view of stays in stages, by the number of the deal.
        moves: the view of moves, with names of pipeline, deal, stages and rule.
        events: the view of events, with names of pipeline, deal and type.
    """

    prefix: str = "ladder_"
    schema: str | None = None
    metadata: MetaData = attrs.field(init=False, repr=False)
    pipelines: Table = attrs.field(init=False, repr=False)
    deals: Table = attrs.field(init=False, repr=False)
    documents: Table = attrs.field(init=False, repr=False)
    effects: Table = attrs.field(init=False, repr=False)
    held: Table = attrs.field(init=False, repr=False)
    visits: Table = attrs.field(init=False, repr=False)
    moves: Table = attrs.field(init=False, repr=False)
    events: Table = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        metadata = MetaData(schema=self.schema)
        made = {
            name: self._table(name, columns, metadata)
            for name, columns in (*_TABLES.items(), *_VIEWS.items())
        }
        made |= {"moves": made["moves_read"], "events": made["events_read"]}
        object.__setattr__(self, "metadata", metadata)
        for field in attrs.fields(type(self)):
            if field.name in made and not field.init and field.name != "metadata":
                object.__setattr__(self, field.name, made[field.name])

    def _table(self, name: str, columns: str, metadata: MetaData) -> Table:
        table = Table(
            f"{self.prefix}{name}",
            metadata,
            *(self._column(*each.split()) for each in columns.split(",")),
            info={"is_view": name in _VIEWS},
        )
        sa.event.listen(table, "before_create", _refuse)
        sa.event.listen(table, "before_drop", _refuse)
        return table

    def _column(self, name: str, told: str, _: str = ">", target: str = "") -> Column[Any]:
        where = f"{self.schema}." if self.schema else ""
        points = [ForeignKey(f"{where}{self.prefix}{target}")] if target else []
        return Column(
            name,
            _TYPES[told.rstrip(_KEY + _MAY_BE_EMPTY)],
            *points,
            primary_key=_KEY in told,
            nullable=_MAY_BE_EMPTY in told,
            autoincrement=False,
        )

    def include_name(self, name: str | None, type_: str, parent_names: Any = None) -> bool:
        """Return whether Alembic may look at what has this name: not at tables of the store."""
        return type_ != "table" or not self._is_ours(name)

    def include_object(
        self, object: Any, name: str | None, type_: str, reflected: bool, compare_to: Any
    ) -> bool:
        """Return whether Alembic may compare this: no tables of the store, also of a model's."""
        return self.include_name(name, type_)

    def _is_ours(self, name: str | None) -> bool:
        if name is None or not name.startswith(self.prefix):
            return False
        return re.fullmatch(_OURS, name.removeprefix(self.prefix)) is not None


_OURS: Final = "|".join(
    (
        *_TABLES,
        *_VIEWS,
        "identities",
        "locks",
        r"(documents|events|moves)_p\d+",
        r"narrow(ed|_events|_moves)",
    )
)
"""Every name, also those of partitions and locks, and of what stands beside during an upgrade."""


def _refuse(target: Table, connection: Any, **given: Any) -> None:
    raise StoreError(
        f"{target.name} is a table of ladderpipe's, which makes and changes it by its own "
        "migrations: open the board on this database first, and leave ladderpipe.sqlalchemy's "
        "metadata out of create_all() and drop_all()"
    )


tables: Final = Tables()
"""The tables of a store that was given no other prefix and schema."""
metadata: Final = tables.metadata
"""All of those tables, by their names in the database."""
