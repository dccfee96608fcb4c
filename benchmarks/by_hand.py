"""The sales ladder written out by hand on the store's own tables: batches of events, in plain SQL.

It knows this one ladder and this one stream: no late events, no duplicates, no timer that falls
due. What it writes is the same to the last byte. On PostgreSQL it sends what it writes in one
pipeline.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from decimal import Decimal
from typing import Any, ClassVar

import psycopg

from ladderpipe import Event
from ladderpipe.model.visit import visit_key

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
TWO_DAYS = 48 * 3600 * 1_000_000
RUNGS = {
    "cart.updated": 0,
    "cart.item_added": 0,
    "cart.item_removed": 0,
    "cart.emptied": 0,
    "cart.saved": 2,
    "checkout.started": 3,
    "order.confirmed": 4,
}

COLUMNS = (
    "id", "deal", "stage", "visit", "visit_key", "entered_at", "activity_at", "opened_at",
    "closed_at", "due_at", "last_event_at", "cursor_at", "cursor_rung", "cursor_source",
    "cursor_id", "currency", "value", "definition", "customer", "units", "fraction", "title",
    "touched_at",
)  # fmt: skip
LOAD = f"""
SELECT {", ".join(f"d.{name}" for name in COLUMNS)}, c.data FROM json_each(?) wanted
CROSS JOIN ladder_deals d ON d.pipeline = 1 AND d.deal = wanted.value
LEFT JOIN ladder_documents c ON c.deal = d.id
"""
SAVE_DEAL = f"""
UPDATE ladder_deals SET {", ".join(f"{name} = ?" for name in COLUMNS[2:])} WHERE id = ?
"""
ADD_DEAL = "INSERT INTO ladder_deals (pipeline, deal) VALUES (1, ?)"
ADD_EVENT = """
INSERT INTO ladder_events (pipeline, deal, source, id, type_word, at, seq, data, digest,
    recorded_at, undeclared)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
ADD_CUSTOMER = "INSERT INTO ladder_customers (key, deal) VALUES (?, ?) ON CONFLICT DO NOTHING"
ADD_MOVE = """
INSERT INTO ladder_moves (deal, n, visit_key, out_of_word, into_word, at, recorded_at,
    rule_word, event_source, event_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SAVE_DOCUMENT = """
INSERT INTO ladder_documents (deal, data) VALUES (?, ?)
ON CONFLICT (deal) DO UPDATE SET data = excluded.data
"""
SAVE_SEARCH = """
INSERT INTO ladder_search (deal, pipeline, company, text) VALUES (?, 1, NULL, ?)
ON CONFLICT (deal) DO UPDATE SET text = excluded.text WHERE ladder_search.text <> excluded.text
"""
ADD_TO_TOTAL = """
INSERT INTO ladder_totals (pipeline, stage, currency, deals, valued, billions, units, fraction)
VALUES (1, ?, ?, ?, ?, 0, ?, ?)
"""
ADD_UP = f"""{ADD_TO_TOTAL}
ON CONFLICT (pipeline, stage, ifnull(currency, 0), ifnull(owner, 0), ifnull(source, 0))
DO UPDATE SET deals = deals + excluded.deals, valued = valued + excluded.valued,
    units = units + excluded.units, fraction = fraction + excluded.fraction
"""
REMOVE_EMPTY_TOTALS = "DELETE FROM ladder_totals WHERE deals = 0"

ADD_WORD = "INSERT INTO ladder_words (word) VALUES (?) ON CONFLICT DO NOTHING"
STAGES = ("quote_requested", "cart_saved", "order_review", "order_confirmed", "cart_parked")

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
encode_sorted = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode


def numbered(connection: Any, words: list[str]) -> dict[str, int]:
    """Return the numbers of words, which are given if need be."""
    statement = ADD_WORD.replace("?", "%s") if hasattr(connection, "info") else ADD_WORD
    for word in words:
        connection.execute(statement, (word,))
    return dict(connection.execute("SELECT word, id FROM ladder_words").fetchall())


def micros(at: dt.datetime) -> int:
    return (at - EPOCH) // MICROSECOND


class SalesByHand:
    """A writer of batches on one connection."""

    _two_days: ClassVar[Any] = TWO_DAYS
    _add_up: ClassVar[str] = ADD_UP

    def __init__(
        self, connection: Any, definition: str, now: dt.datetime, rules: list[str]
    ) -> None:
        self._connection = connection
        self._definition = definition
        self._recorded_at = self._instant(now)
        self._into_confirmed, self._into_review, self._into_saved = rules[:3]
        self._into_parked, self._into_quote = rules[3:5]
        self._words = numbered(connection, [*RUNGS, "page.viewed", *STAGES, *rules[:5]])
        self._moves: dict[tuple[int, int], list[Any]] = {}
        self._keys: list[tuple[str, int]] = []
        self._totals: list[tuple[Any, ...]] = []

    def _instant(self, at: dt.datetime) -> Any:
        return micros(at)

    def take(self, events: list[Event]) -> None:
        """Write a batch in one transaction."""
        self._moves, self._keys = {}, []
        documents: dict[int, dict[str, Any]] = {}
        deals = self._load(list({event.deal: None for event in events}))
        before = [_worth(row) for row, _ in deals.values()]
        rows = []
        for event in events:
            row, document = deals[event.deal]
            at = self._instant(event.at)
            data = encode_sorted(event.data) if event.data else "{}"
            word = self._words[event.type]
            named = (row["id"], event.source, event.id, word, at, event.seq)
            digest = self._digest(event, data)
            rows.append((*named, data, digest, self._recorded_at, event.type == "page.viewed"))
            if event.data or event.type == "cart.emptied":
                self._reduce(document, event)
                documents[row["id"]] = document
            into = self._ask(event.type, row["stage"], bool(document.get("cart")))
            if into is not None:
                self._move(row, document, event, at, *into)
            row["activity_at"] = row["last_event_at"] = row["cursor_at"] = at
            row["cursor_rung"] = RUNGS.get(event.type, -1)
            row["cursor_source"], row["cursor_id"] = event.source, event.id
        for row, document in deals.values():
            row["currency"], row["value"] = document.get("currency"), _value(document)
            row["units"], row["fraction"] = _parts(row["value"])
            row["title"] = document.get("title", "").casefold() or None
            row["definition"], row["touched_at"] = self._definition, self._recorded_at
            self._know_customer(row, document)
        self._totals = _difference(before, [_worth(row) for row, _ in deals.values()])
        self._write(rows, deals, documents)

    def _know_customer(self, row: dict[str, Any], document: dict[str, Any]) -> None:
        email = document.get("contact", {}).get("email")
        keys = [f"email:{email.lower()}"] if email else []
        told = encode(["", keys, ["email"] if email else []])
        if row["customer"] != told:
            row["customer"] = told
            self._keys += [(key, row["id"]) for key in keys]

    def _load(self, names: list[str]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        found = self._begin(names)
        if len(found) < len(names):
            known = {row[1] for row in found}
            found = self._add([(name,) for name in names if name not in known], names)
        return {
            row[1]: (dict(zip(COLUMNS, row, strict=False)), json.loads(row[-1] or "{}"))
            for row in found
        }

    def _begin(self, names: list[str]) -> list[tuple[Any, ...]]:
        self._connection.execute("BEGIN IMMEDIATE")
        found: list[tuple[Any, ...]] = self._connection.execute(
            LOAD, (json.dumps(names),)
        ).fetchall()
        return found

    def _add(self, new: list[tuple[str]], names: list[str]) -> list[tuple[Any, ...]]:
        self._connection.executemany(ADD_DEAL, new)
        found: list[tuple[Any, ...]] = self._connection.execute(
            LOAD, (json.dumps(names),)
        ).fetchall()
        return found

    def _digest(self, event: Event, data: str) -> bytes:
        text = "\x00".join((event.type, event.deal, event.at.isoformat(), data))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()[:4]

    def _reduce(self, document: dict[str, Any], event: Event) -> None:
        lines = document.setdefault("cart", [])
        data = event.data
        if event.type == "cart.emptied":
            lines.clear()
        line = data.get("line")
        if line is not None:
            quantity = None if "quantity" not in line else Decimal(line["quantity"])
            known = next((other for other in lines if other["sku"] == line["sku"]), None)
            if event.type == "cart.item_added":
                _add(lines, known, line, Decimal(1) if quantity is None else quantity)
            elif known is not None:
                _take(lines, known, quantity)
        for name in ("contact", "currency", "properties"):
            if name in data:
                document[name] = data[name]

    def _ask(self, kind: str, stage: str | None, has_items: bool) -> tuple[str, str] | None:
        """Return stage and rule of the move an event makes, if it makes one."""
        if kind == "order.confirmed":
            return None if stage == "order_confirmed" else ("order_confirmed", self._into_confirmed)
        if kind in ("checkout.started", "cart.saved") and stage in (None, "order_confirmed"):
            return None
        if kind == "checkout.started":
            return None if stage == "order_review" else ("order_review", self._into_review)
        if kind == "cart.saved":
            return ("cart_saved", self._into_saved) if has_items and stage != "cart_saved" else None
        if kind not in RUNGS:
            return None
        if not has_items and stage not in (None, "cart_parked", "order_confirmed"):
            return "cart_parked", self._into_parked
        if has_items and stage in (None, "cart_parked", "checkout_abandoned"):
            return "quote_requested", self._into_quote
        return None

    def _move(
        self,
        row: dict[str, Any],
        document: dict[str, Any],
        event: Event,
        at: int,
        into: str,
        rule: str,
    ) -> None:
        key = visit_key(row["visit_key"], into, rule, event)
        if row["visit"] == 0:
            row["opened_at"] = at
            lines = document["cart"]
            more = f" + {len(lines) - 1}" if len(lines) > 1 else ""
            document["title"] = lines[0]["title"] + more
        visit, words = row["visit"] + 1, self._words
        left = None if row["stage"] is None else words[row["stage"]]
        self._moves[row["id"], visit] = [
            *(row["id"], visit, bytes.fromhex(key), left, words[into], at, self._recorded_at),
            *(words[rule], event.source, event.id),
        ]
        row["stage"], row["visit"], row["visit_key"], row["entered_at"] = into, visit, key, at
        row["due_at"] = at + self._two_days if into == "quote_requested" else None
        row["closed_at"] = at if into == "order_confirmed" else None

    def _write(
        self,
        events: list[tuple[Any, ...]],
        deals: dict[str, tuple[dict[str, Any], dict[str, Any]]],
        documents: dict[int, dict[str, Any]],
    ) -> None:
        texts = [(deal, _text(document)) for deal, document in documents.items()]
        names = {row["id"]: name for name, (row, _) in deals.items()}
        found = [(deal, _found_by(names[deal], document)) for deal, document in documents.items()]
        rows = [(*list(row.values())[2:], row["id"]) for row, _ in deals.values()]
        self._commit(
            (ADD_EVENT, events),
            (SAVE_DEAL, rows),
            (ADD_MOVE, list(self._moves.values())),
            (SAVE_DOCUMENT, texts),
            (SAVE_SEARCH, found),
            (ADD_CUSTOMER, self._keys),
            (self._add_up, self._totals),
        )

    def _commit(self, *writes: tuple[str, list[Any]]) -> None:
        for statement, rows in writes:
            self._connection.executemany(statement, rows)
        self._connection.execute(REMOVE_EMPTY_TOTALS)
        self._connection.execute("COMMIT")


LOCK_AND_LOAD = f"""
SELECT {", ".join(f"d.{name}" for name in COLUMNS)}, c.data::text FROM ladder_deals d
LEFT JOIN ladder_documents c ON c.deal = d.id
WHERE d.pipeline = 1 AND d.deal = ANY(%s) FOR UPDATE OF d
"""


class SalesByHandOnPostgres(SalesByHand):
    """The same on a connection of psycopg's: three round trips to a batch, four with new deals."""

    _two_days = dt.timedelta(days=2)
    _add_up = ADD_TO_TOTAL

    def __init__(
        self, connection: psycopg.Connection, definition: str, now: dt.datetime, rules: list[str]
    ) -> None:
        super().__init__(connection, definition, now, rules)
        self._cursor = connection.cursor()

    def _instant(self, at: dt.datetime) -> dt.datetime:
        return at

    def _begin(self, names: list[str]) -> list[tuple[Any, ...]]:
        with self._connection.pipeline():
            self._cursor.execute("BEGIN")
            self._cursor.execute(LOCK_AND_LOAD, (names,))
        return self._cursor.fetchall()

    def _add(self, new: list[tuple[str]], names: list[str]) -> list[tuple[Any, ...]]:
        with self._connection.pipeline():
            self._cursor.executemany(ADD_DEAL.replace("?", "%s"), new)
            self._cursor.execute(LOCK_AND_LOAD, (names,))
        return self._cursor.fetchall()

    def _commit(self, *writes: tuple[str, list[Any]]) -> None:
        with self._connection.pipeline():
            for statement, rows in writes:
                self._cursor.executemany(statement.replace("?", "%s"), rows)
            self._cursor.execute("COMMIT")


def _add(
    lines: list[dict[str, Any]], known: dict[str, Any] | None, line: Any, quantity: Decimal
) -> None:
    if known is None:
        known = {"quantity": str(quantity), "sku": line["sku"]}
        lines.append(known)
    else:
        known["quantity"] = str(Decimal(known["quantity"]) + quantity)
    for name in ("title", "unit_price"):
        if name in line:
            known[name] = line[name]


def _take(lines: list[dict[str, Any]], known: dict[str, Any], quantity: Decimal | None) -> None:
    rest = Decimal(0) if quantity is None else Decimal(known["quantity"]) - quantity
    if rest > 0:
        known["quantity"] = str(rest)
    else:
        lines.remove(known)


def _value(document: dict[str, Any]) -> str:
    total = Decimal()
    for line in document.get("cart", ()):
        total += Decimal(line["quantity"]) * Decimal(line["unit_price"])
    return str(total)


def _parts(value: str) -> tuple[int, int]:
    units = int(Decimal(value))
    return units, int((Decimal(value) - units).scaleb(10))


def _worth(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["stage"], row["currency"], row["units"], row["fraction"]


def _difference(before: list[Any], after: list[Any]) -> list[tuple[Any, ...]]:
    """Return what is to be added to the totals, of which a batch touches a few only."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for sign, rows in ((-1, before), (1, after)):
        for stage, currency, units, fraction in rows:
            if stage is not None:
                sums = found.setdefault((stage, currency), [0, 0, 0, 0])
                for place, amount in enumerate((1, 1, units, fraction)):
                    sums[place] += sign * amount
    return [(*total, *sums) for total, sums in found.items() if any(sums)]


def _found_by(deal: str, document: dict[str, Any]) -> str:
    texts = [deal, document.get("title"), *document.get("contact", {}).values()]
    return "\n".join(text.casefold() for text in texts if text is not None)


def _text(document: dict[str, Any]) -> str:
    names = ("title", "cart", "currency", "contact", "properties")
    return encode({name: document[name] for name in names if document.get(name)})
