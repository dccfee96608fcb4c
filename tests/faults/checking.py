"""What must hold when a fault is over, between the database and what processes wrote down.

A trigger in the database is the witness of every claim: it notes in the claim's own transaction
whether the visit that asked for the effect was still the deal's current one. A lease that is only
given another end is no claim: whoever has it may be at it, whatever became of the visit.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from typing import Any, Final

import attrs

from ladderpipe import Board, EffectState, Event, ManualClock, Outcome
from ladderpipe.board.verify import verify
from ladderpipe.stores import MariadbStore, PostgresStore
from tests.children import HOUR, PROMO_HOURS, Lines
from tests.mariadb import alter_tables

from .crew import Logs

__all__ = [
    "Aftermath",
    "assert_sound",
    "claims_seen",
    "clear_up",
    "install_witness",
    "row_counts",
]

SETTLED: Final = {
    EffectState.DELIVERED,
    EffectState.CANCELLED,
    EffectState.EXPIRED,
    EffectState.DROPPED,
}
ROUNDS: Final = 200

_CLAIMED: Final = """
INSERT INTO witness_claims SELECT NEW.key,
  NEW.run_to_completion OR EXISTS (SELECT 1 FROM ladder_deals d
    WHERE d.id = NEW.deal AND d.visit_key = NEW.visit_key)"""
_TABLE: Final = "CREATE TABLE witness_claims (effect text, in_visit boolean)"
_SQLITE: Final = (
    _TABLE,
    "CREATE TRIGGER witness AFTER UPDATE OF state ON ladder_effects "
    f"WHEN NEW.state = 'claimed' AND NEW.lease IS NOT OLD.lease BEGIN {_CLAIMED}; END",
)
_POSTGRES: Final = (
    _TABLE,
    "CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN {_CLAIMED}; RETURN NULL; END $$",
    "CREATE TRIGGER witness AFTER UPDATE OF state ON ladder_effects FOR EACH ROW "
    "WHEN (NEW.state = 'claimed' AND NEW.lease IS DISTINCT FROM OLD.lease) "
    "EXECUTE FUNCTION witness()",
)

_MARIADB: Final = (
    "CREATE TABLE witness_claims (effect VARBINARY(200), in_visit BOOLEAN)",
    "CREATE TRIGGER witness AFTER UPDATE ON ladder_effects FOR EACH ROW "
    "IF NEW.state = 'claimed' AND NOT (NEW.lease <=> OLD.lease) "
    f"THEN {_CLAIMED}; END IF",
)


def install_witness(board: Board) -> None:
    """Let the database note every claim from now on."""
    if isinstance(board.store, MariadbStore):
        alter_tables(board.store, *_MARIADB)
        return
    statements = _POSTGRES if isinstance(board.store, PostgresStore) else _SQLITE
    with board.store.transaction() as transaction:
        for statement in statements:
            transaction.connection.execute(statement)


@attrs.frozen
class Aftermath:
    """What is left when faults are over and everything has come to rest, in numbers."""

    events: int
    moves: int
    deals: int
    effects: int
    deliveries: int
    twice: int
    claims: int

    def __str__(self) -> str:
        fields = attrs.asdict(self).items()
        return ", ".join(f"{count:,} {name}" for name, count in fields)


def clear_up(board: Board, clock: ManualClock, logs: Logs) -> Aftermath:
    """Check everything that must hold, let all effects come to an end, and check that too.

    Raises:
        AssertionError: something does not hold.
    """
    assert_sound(board)
    _assert_accepted_once(board, logs)
    _tell_everything_again(board, logs)
    _come_to_rest(board, clock)
    assert_sound(board)
    _assert_each_told_once(board, logs)
    return _assert_delivered(board, logs)


def assert_sound(board: Board) -> None:
    """Check that what is stored is the fold of the events, with one open visit per deal.

    Raises:
        AssertionError: it is not.
    """
    report = verify(board)
    assert report.differences == ()
    open_visits = rows(
        board,
        "SELECT d.deal, count(v.deal) FROM ladder_deals d LEFT JOIN ladder_visits v "
        "ON v.deal = d.id AND v.left_at IS NULL AND v.visit_key = d.visit_key "
        "WHERE d.stage IS NOT NULL GROUP BY d.deal",
    )
    assert [row for row in open_visits if row[1] != 1] == []


def rows(board: Board, statement: str) -> list[tuple[Any, ...]]:
    """Return what a statement finds in the board's database."""
    with board.store.transaction(write=False) as transaction:
        found = transaction.connection.execute(statement).fetchall()
    # MariaDB keeps names in bytes.
    return [tuple(v.decode() if isinstance(v, bytes) else v for v in row) for row in found]


def claims_seen(board: Board) -> list[tuple[str, bool]]:
    """Return the effects that were claimed, and whether in the visit that asked for them."""
    found = rows(board, "SELECT effect, in_visit FROM witness_claims")
    return [(key, bool(in_visit)) for key, in_visit in found]


def row_counts(board: Board) -> dict[str, int]:
    """Return how many rows there are of each kind."""
    names = ("deals", "events", "moves", "effects", "documents")
    return {name: rows(board, f"SELECT count(*) FROM ladder_{name}")[0][0] for name in names}


def _stored(board: Board) -> Counter[tuple[str, str]]:
    found = rows(
        board,
        "SELECT d.deal, e.id FROM ladder_events e JOIN ladder_deals d ON d.id = e.deal",
    )
    return Counter(found)


def _assert_accepted_once(board: Board, logs: Logs) -> None:
    stored = _stored(board)
    assert set(stored.values()) == {1}
    deal_of = {event.id: event.deal for event in logs.all_told()}
    for id in Lines.read(logs.accepted):
        assert stored[deal_of[id], id] == 1, f"event {id} was accepted and is not stored"
    for deal, id in Lines.read(logs.hands):
        assert stored[deal, id] == 1, f"the hand {id} on {deal} was answered for and is not stored"


def _tell_everything_again(board: Board, logs: Logs) -> None:
    """Tell every event again: what was accepted is known."""
    accepted = set(Lines.read(logs.accepted))
    told = logs.all_told()
    known = [event for event in told if event.id in accepted]
    report = board.handle_many(known)
    assert report.outcomes == {Outcome.DUPLICATE: len(known)}
    assert not board.handle_many([event for event in told if event.id not in accepted]).failures


def _come_to_rest(board: Board, clock: ManualClock) -> None:
    """Win every deal, so that no timer goes on for ever, and deliver what is left."""
    deals = sorted({deal for deal, _ in _stored(board)})
    for deal in deals:
        board.handle(Event("order", deal=deal, id=f"the end of {deal}", at=clock.now()))
    for _ in range(ROUNDS):
        board.deliver()
        if not board.effects(states=[EffectState.PENDING, EffectState.CLAIMED]):
            return
        clock.advance(hours=10)
    raise AssertionError("some effects never come to an end")


def _assert_each_told_once(board: Board, logs: Logs) -> None:
    stored = _stored(board)
    assert set(stored.values()) == {1}
    told = {(event.deal, event.id) for event in logs.all_told()}
    assert told <= set(stored)
    others = {id for deal, id in set(stored) - told if not id.startswith("the end of ")}
    assert others >= {id for _, id in Lines.read(logs.hands)}


def _assert_delivered(board: Board, logs: Logs) -> Aftermath:
    effects = board.effects()
    assert {effect.state for effect in effects} <= SETTLED
    log = [key for key, _ in Lines.read(logs.delivered)]
    delivered = Counter(log)
    for effect in effects:
        if effect.state is EffectState.DELIVERED:
            assert delivered[effect.key], f"{effect} counts as delivered and nobody did it"
    assert set(delivered) <= {effect.key for effect in effects}
    _assert_none_under_two_keys(logs)
    _assert_nobody_gets_too_many(board)
    claims = claims_seen(board)
    assert [key for key, in_visit in claims if not in_visit] == [], "claimed after its visit ended"
    assert len(claims) >= len(delivered)
    counts = row_counts(board)
    return Aftermath(
        events=counts["events"],
        moves=counts["moves"],
        deals=counts["deals"],
        effects=len(effects),
        deliveries=len(log),
        twice=sum(count > 1 for count in delivered.values()),
        claims=len(claims),
    )


def _assert_nobody_gets_too_many(board: Board) -> None:
    """Whoever was killed when: no customer gets two promotions within the time of the cap."""
    with board.store.transaction(write=False) as transaction:
        found = transaction.effects(board._session.number, None, ("delivered",))
    sent: dict[str, list[dt.datetime]] = {}
    for row in found:
        if row.name == "promo" and row.address is not None and row.sent_at is not None:
            sent.setdefault(row.address, []).append(row.sent_at)
    for when in sent.values():
        for earlier, later in itertools.pairwise(sorted(when)):
            assert later - earlier >= PROMO_HOURS * HOUR, "two promotions to one customer"


def _assert_none_under_two_keys(logs: Logs) -> None:
    """What a mail is about names it; the same under two keys no receiver could recognise."""
    keys: dict[tuple[str, ...], set[str]] = {}
    for key, about in Lines.read(logs.delivered):
        if about is not None:
            keys.setdefault(tuple(about), set()).add(key)
    assert {about: found for about, found in keys.items() if len(found) > 1} == {}
