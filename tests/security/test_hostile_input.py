"""Whatever is sent is stored intact or refused clearly, never half, and on every store alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, Event, LadderError, ManualClock, MemoryStore, SqliteStore
from ladderpipe.stores import PostgresStore
from tests.ladders import sales_ladder
from tests.security.corpus import AMOUNTS, DATA, TEXTS, UNSTORABLE
from tests.shops import START, assert_is_the_fold, contents

LONGEST_MESSAGE = 4_096

Call = Callable[[Board, Any], Any]


@pytest.fixture
def boards(tmp_path: Path, postgres_url: str) -> Iterator[list[Board]]:
    stores = [MemoryStore(), SqliteStore(tmp_path / "shop.db"), PostgresStore(postgres_url)]
    found = [Board(sales_ladder(), store=store, clock=ManualClock(START)) for store in stores]
    for board in found:
        tell(board, deal="bystander")
        tell(board, deal="d", owner="Bea", contact={"email": "ada@example.com"})
    yield found
    for board in found:
        board.close()


def tell(board: Board, deal: str = "d", id: str = "first", **data: Any) -> Any:
    line = {"sku": "NB-15", "quantity": 1, "unit_price": "899.00"}
    return board.handle(
        Event(
            "cart.item_added", deal=deal, id=f"{deal}-{id}", at=START, data={"line": line, **data}
        )
    )


def verdict(call: Call, board: Board, hostile: Any) -> tuple[str, Any]:
    """Return what became of a call; every refusal is one of ours, and short enough to read."""
    before = contents(board.store)
    try:
        return "taken", call(board, hostile)
    except LadderError as error:
        refusal = error
    assert len(str(refusal)) <= LONGEST_MESSAGE
    assert contents(board.store) == before, "refused, and yet something was stored"
    return type(refusal).__name__, None


def assert_same_verdict(boards: list[Board], call: Call, hostile: Any) -> None:
    verdicts = [verdict(call, board, hostile) for board in boards]
    assert verdicts[0] == verdicts[1] == verdicts[2]
    for board in boards:
        assert board.deal("bystander").cart.lines
        assert_is_the_fold(board, ["d", "bystander"])


def event(board: Board, **named: Any) -> Any:
    """Tell an event of which one part is hostile, and return what can be read of it again."""
    stored = sum(1 for _ in board.events("d"))
    parts = {"type": "note", "deal": "d", "id": f"hostile-{stored}", "source": "shop", **named}
    told = Event(**parts, at=START)
    outcome = board.handle(told).outcome
    assert told in board.events(told.deal)
    return outcome


NAMES = ["type", "deal", "id", "source"]
FIELDS = ["title", "owner", "source", "company", "currency", "value"]


@pytest.mark.parametrize("part", NAMES)
def test_a_hostile_name_is_kept_as_it_is_or_refused(boards: list[Board], part: str) -> None:
    for text in TEXTS.values():
        assert_same_verdict(boards, lambda board, text: event(board, **{part: text}), text)


@pytest.mark.parametrize("field", FIELDS)
def test_a_hostile_text_of_a_deal_is_kept_as_it_is_or_refused(
    boards: list[Board], field: str
) -> None:
    def call(board: Board, text: str) -> Any:
        event(board, data={field: text})
        return getattr(board.deal("d"), field)

    for text in TEXTS.values():
        assert_same_verdict(boards, call, text)


@pytest.mark.parametrize("where", ["value", "quantity", "unit_price"])
def test_a_hostile_amount_is_refused_or_exact(boards: list[Board], where: str) -> None:
    def call(board: Board, amount: Any) -> Any:
        line = {"sku": "X", "quantity": 1, "unit_price": "1"}
        data = {"value": amount} if where == "value" else {"line": {**line, where: amount}}
        kind = "note" if where == "value" else "cart.item_added"
        event(board, type=kind, data=data)
        return board.deal("d").value

    for amount in AMOUNTS.values():
        assert_same_verdict(boards, call, amount)


def test_hostile_data_is_kept_as_it_is_or_refused(boards: list[Board]) -> None:
    def call(board: Board, data: Any) -> Any:
        event(board, data=data)
        return dict(board.deal("d").properties)

    for data in DATA.values():
        assert_same_verdict(boards, call, data)


def move(board: Board, text: str) -> Any:
    board.move("d", text, by="Bea")


def explained_move(board: Board, text: str) -> Any:
    with contextlib.suppress(LookupError):
        board.override("d", "quote_requested", by=text, reason=text, properties={"x": text})
    return board.deal("d").properties.get("x")


READING: dict[str, Call] = {
    "deal": lambda board, text: board.deal(text),
    "history": lambda board, text: board.history(text),
    "events": lambda board, text: board.events(text),
    "explain": lambda board, text: board.explain(text),
    "effects": lambda board, text: board.effects(text),
    "deals of an owner": lambda board, text: list(board.deals(owner=text)),
    "deals in a stage": lambda board, text: list(board.deals(stage=text)),
    "tasks": lambda board, text: (board.tasks(owner=text), board.tasks(deal=text)),
}
WRITING: dict[str, Call] = {
    "move": move,
    "override": explained_move,
    "override a deal": lambda board, text: board.override(text, "lost", by="x").outcome,
    "send again": lambda board, text: board.send_again(text),
    "complete": lambda board, text: board.complete(text),
    "forget": lambda board, text: board.forget(email=text).deals,
    "forget by a key": lambda board, text: board.forget(**{text: "x"}).deals,
    "forget a property": lambda board, text: board.forget(email="no@b", properties=[text]).deals,
    "remove": lambda board, text: board.remove(text),
}


@pytest.mark.parametrize("name", READING)
def test_a_hostile_question_is_answered_or_refused(boards: list[Board], name: str) -> None:
    for text in TEXTS.values():
        assert_same_verdict(boards, READING[name], text)


@pytest.mark.parametrize("name", WRITING)
def test_a_hostile_command_does_what_it_says_or_nothing(boards: list[Board], name: str) -> None:
    for text in TEXTS.values():
        assert_same_verdict(boards, WRITING[name], text)


def test_a_hostile_event_among_many_spoils_no_other(boards: list[Board]) -> None:
    def call(board: Board, hostile: Any) -> Any:
        good = [Event("note", deal="d", id=f"g{n}", at=START) for n in range(3)]
        bad = [
            Event("note", deal="d", id=f"b{n}", at=START, data={"value": amount})
            for n, amount in enumerate(["x", "1e999999", True])
        ]
        report = board.handle_many([*good[:1], *bad, *good[1:]])
        return sorted(f.event.id for f in report.failures), len(board.events("d"))

    assert_same_verdict(boards, call, None)


@pytest.mark.parametrize("text", UNSTORABLE.values(), ids=list(UNSTORABLE))
def test_what_no_store_can_keep_is_refused_when_the_event_is_made(text: str) -> None:
    with pytest.raises(LadderError):
        Event("note", deal="d", id="e", at=START, data={"properties": {"x": [text]}})


def test_a_refusal_of_a_long_text_still_says_what_to_do() -> None:
    with pytest.raises(LadderError, match=r"2026-01-05T09:00:00Z$") as refused:
        Event("note", deal="d", id="e", at="9" * 1_000_000)
    assert len(str(refused.value)) <= LONGEST_MESSAGE
