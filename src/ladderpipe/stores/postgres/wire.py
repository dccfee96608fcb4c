"""How statements travel to PostgreSQL: connections, types, and a queue that saves round trips.

What needs no answer (``BEGIN``, savepoints, writes) waits and goes out together with the next
statement that does, in one round trip (libpq's pipeline mode).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import psycopg
from psycopg import pq
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.rows import TupleRow, tuple_row
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import TextBinaryLoader

from ..base import chunks
from ..words import Words
from .guarded import Guarded, GuardedCursor
from .statements import Many

if TYPE_CHECKING:
    from .asyncpg_driver import AsyncpgConnection, AsyncpgCursor
    from .awaited import AwaitedConnection, AwaitedCursor
    from .older_driver import OlderConnection, OlderCursor

__all__ = ["OwnConnection", "Wire", "for_many", "undoing"]

_MOST_TEXT: Final = 32 * 1024 * 1024
_ENCODED_AT_ONCE: Final = 20
"""Rows for which the encoder is called once; few, since each of them may be large."""
_undone: Final = itertools.count(1)
_EPOCH: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


@functools.lru_cache(maxsize=4096)
def _instant(micros: bytes) -> dt.datetime:
    # Most instants of a deal are the same few, so that remembering them pays.
    return _EPOCH + dt.timedelta(0, 0, int.from_bytes(micros, "big", signed=True))


@functools.lru_cache(maxsize=4096)
def _instant_text(at: dt.datetime) -> str:
    return at.isoformat()


def _value_text(value: dt.datetime | bytes) -> str:
    return f"\\x{value.hex()}" if isinstance(value, bytes) else _instant_text(value)


_encode: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=_value_text
).encode


class InstantLoader(Loader):
    """Reads a ``timestamptz`` as UTC, whatever time zone the session shows."""

    format = pq.Format.BINARY

    def load(self, data: Buffer) -> dt.datetime:
        return _instant(bytes(data))


class InstantDumper(Dumper):
    """Writes an aware datetime, leaving its type to the column, as for ``None``.

    A statement is prepared once for every combination of types, so they had better not vary.
    """

    oid = 0

    def dump(self, obj: Any) -> bytes:
        return str(obj).encode()


class OwnConnection(Guarded, psycopg.Connection[TupleRow]):
    """A connection of the store's, on which nobody else ends a transaction."""

    ladder_cursor: psycopg.Cursor[TupleRow] | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.ladder_words = Words()
        self.cursor_factory = GuardedCursor


PlainConnection: TypeAlias = (
    "psycopg.Connection[Any] | AwaitedConnection | OlderConnection | AsyncpgConnection"
)
"""A connection of psycopg's that plain code can use."""
PlainCursor: TypeAlias = "psycopg.Cursor[TupleRow] | AwaitedCursor | OlderCursor | AsyncpgCursor"


class Wire:
    """Statements on their way over one connection, in order."""

    def __init__(self, connection: PlainConnection) -> None:
        self.connection = connection
        self._cursor = _cursor_of(connection)
        self._queue: list[tuple[bytes, Sequence[Any]]] = []
        self._sent = 0

    @property
    def words(self) -> Words | None:
        """The words that a connection of the store's own remembers."""
        connection: Any = self.connection
        return getattr(getattr(connection, "asynchronous", connection), "ladder_words", None)

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self.connection.closed

    def send(self, statement: bytes, values: Sequence[Any] = ()) -> None:
        """Send a statement along with the next one that is asked."""
        self._queue.append((statement, values))

    def ask(self, statement: bytes, values: Sequence[Any] = ()) -> PlainCursor:
        """Send what waits and this, and return a cursor on its answer."""
        cursor = self._cursor
        if self._queue:
            with self.connection.pipeline():
                self._send_queue()
                cursor.execute(statement, values)
        else:
            cursor.execute(statement, values)
        return cursor

    def flush(self) -> None:
        """Send what waits, and wait until all of it is done."""
        if len(self._queue) == 1:
            self._send_queue()
        elif self._queue:
            with self.connection.pipeline():
                self._send_queue()

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was sent, and nothing but the first statement waits to be."""
        return self._sent == 0 and len(self._queue) <= 1

    @property
    def is_usable(self) -> bool:
        """Whether the transaction goes on: it was not ended, and no statement of it has failed."""
        if self.is_lost:
            return False
        status = self.connection.info.transaction_status
        return self._sent == 0 or status == pq.TransactionStatus.INTRANS

    def begin_savepoint(self, name: bytes) -> int:
        """Begin a savepoint, and return its place among all statements."""
        self.send(b"SAVEPOINT " + name)
        return self._sent + len(self._queue) - 1

    def release_savepoint(self, name: bytes, place: int) -> None:
        """Keep what happened since a savepoint."""
        if place == self._sent + len(self._queue) - 1 and self._queue:
            self._queue.pop()
        else:
            is_alone = not self._queue
            self.send(b"RELEASE " + name)
            # What is wrong with a write that waits had better be told before the next one's turn.
            if not is_alone:
                self.flush()

    def undo_to_savepoint(self, name: bytes, place: int) -> None:
        """Undo what happened since a savepoint; of what was not sent yet there is nothing to undo.

        When a write that waited from before the savepoint has failed, there is no such savepoint,
        and all of the transaction will have to be undone.
        """
        was_sent = place < self._sent
        del self._queue[max(0, place - self._sent) :]
        idle = self.connection.info.transaction_status == pq.TransactionStatus.IDLE
        if was_sent and not self.is_lost and not idle:
            self.send(undoing(self.connection, b"ROLLBACK TO " + name))
            self.send(b"RELEASE " + name)
            with contextlib.suppress(psycopg.errors.InvalidSavepointSpecification):
                self.flush()

    def drop(self) -> None:
        """Forget what waits."""
        self._queue.clear()

    def _send_queue(self) -> None:
        queue, self._queue = self._queue, []
        self._sent += len(queue)
        for statement, values in queue:
            self._cursor.execute(statement, values)


def _cursor_of(connection: PlainConnection) -> PlainCursor:
    """Return a cursor with our own types, which leaves the connection's as they are."""
    if not isinstance(connection, psycopg.Connection):
        return connection.ladder_cursor(_prepare)
    if isinstance(connection, OwnConnection) and connection.ladder_cursor is not None:
        return connection.ladder_cursor
    cursor = psycopg.Cursor(connection, row_factory=tuple_row)
    _prepare(cursor)
    if isinstance(connection, OwnConnection):
        connection.ladder_cursor = cursor
    return cursor


def _prepare(cursor: psycopg.Cursor[TupleRow] | psycopg.AsyncCursor[TupleRow]) -> None:
    """Give a cursor our own types."""
    cursor.format = pq.Format.BINARY
    cursor.adapters.register_loader("timestamptz", InstantLoader)
    cursor.adapters.register_loader("json", TextBinaryLoader)
    cursor.adapters.register_dumper(dt.datetime, InstantDumper)
    cursor.adapters.register_dumper(int, Int8BinaryDumper)


def undoing(connection: PlainConnection, statement: bytes) -> bytes:
    """Return a statement that undoes, so that psycopg begins anew with what it has prepared.

    It takes a statement for prepared that the server never came to, because one before it in the
    pipeline had failed. A text it does not know yet, to which the answer is ROLLBACK, ends that.
    """
    if connection.info.transaction_status != pq.TransactionStatus.INERROR:
        return statement
    return statement + b" -- %d" % next(_undone)


def for_many(many: Many, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[bytes, Sequence[Any]]]:
    """Yield a statement for many rows with its values, in parts that are not too large."""
    texts: list[str] = []
    size = 0
    for some in chunks(rows, _ENCODED_AT_ONCE):
        texts.append(_encode([dict(zip(many.fields, row, strict=True)) for row in some])[1:-1])
        size += len(texts[-1])
        if size > _MOST_TEXT:
            yield many.statement, [f"[{','.join(texts)}]"]
            texts, size = [], 0
    if texts:
        yield many.statement, [f"[{','.join(texts)}]"]
