"""One deal of which nonsense is stored stops nothing that reads the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import insight
from ladderpipe.board.verify import verify
from ladderpipe.model.event import BASELINE, OWN_SOURCE
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.base import DealChange, NewEvent
from tests.shops import Shop, lead_ladder, make_store

EMAIL = "ada@example.com"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    if request.param == "postgres":
        store: Any = PostgresStore(request.getfixturevalue("postgres_url"))
    else:
        store = make_store(request.param, tmp_path)
    found = Shop(lead_ladder(), store)
    for deal in ("a", "broken", "c"):
        found.tell("lead", deal, value="5", currency="EUR", contact={"email": EMAIL})
        found.tell("call", deal, id=f"call-{deal}")
    found.wait(1)
    yield found
    store.close()


def rewritten(shop: Shop, **changed: Any) -> None:
    """Put other values into the broken deal's row."""
    number = shop.board._session.number
    document = changed.pop("document", None)
    with shop.store.transaction() as transaction:
        stored, _, _ = transaction.load(number, "broken", create=False)
        change = DealChange(stored._replace(**changed), document=document)
        transaction.save(number, [change], shop.clock.now())


def told(shop: Shop, text: str) -> None:
    """Put another text where the data of one of its events stood."""
    number = shop.board._session.number
    (event,) = (event for event in shop.board.events("broken") if event.id == "call-broken")
    with shop.store.transaction() as transaction:
        transaction.replace_event_data(number, [(event, text)])


def with_baseline(shop: Shop, state: Any) -> None:
    number = shop.board._session.number
    now = shop.clock.now()
    with shop.store.transaction() as transaction:
        stored, _, _ = transaction.load(number, "broken", create=False)
        text = json.dumps({"state": state})
        row = NewEvent(stored.id, OWN_SOURCE, "nonsense", BASELINE, now, 0, text, None, now)
        transaction.add_events(number, [row])


DAMAGES: dict[str, Callable[[Shop], None]] = {
    "a value that is no amount": lambda shop: rewritten(
        shop, value="[forgotten].00", document='{"value":"[forgotten].00"}'
    ),
    "a value that is not finite": lambda shop: rewritten(
        shop, value="NaN", document='{"value":"NaN"}'
    ),
    "a document that is none": lambda shop: rewritten(shop, document='["no document"]'),
    "a price that is no amount": lambda shop: told(shop, '{"value":"[forgotten].00"}'),
    "data that is no mapping": lambda shop: told(shop, '[["value"]]'),
    "a value beyond all tables": lambda shop: with_baseline(
        shop, {"stage": "talking", "visit": 2, "data": {"value": "1e40"}}
    ),
    "a baseline of nothing": lambda shop: with_baseline(shop, {}),
    "a baseline that is text": lambda shop: with_baseline(shop, "talking"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_whatever_reads_the_store_leaves_it_out(
    shop: Shop, damage: Callable[[Shop], None], tmp_path: Path
) -> None:
    damage(shop)
    board = shop.board

    tables = insight.tables(board)
    sound = {row["deal"]: row["value"] for row in tables.deals.to_dicts()}
    assert sound["a"] == sound["c"] == 5
    for read in (insight.deals, insight.moves, insight.visits):
        assert {"a", "c"} <= set(read(board)["deal"])
    assert insight.summary(tables).table.height

    assert {"a", "c"} <= {deal.id for deal in board.deals()}
    assert all(row.count >= 2 for row in board.summary() if row.stage.key == "talking")
    assert board.health().ok
    assert [difference.deal for difference in verify(board).differences] == ["broken"]

    for log in ("log.csv", "log.xes", "log.json"):
        assert insight.export_log(board, tmp_path / log).cases >= 2
    assert insight.what_if(board, lead_ladder())

    report = board.forget(email=EMAIL)
    assert {"a", "c"} <= set(report.deals)


def test_a_deal_that_cannot_be_read_is_named(shop: Shop) -> None:
    with_baseline(shop, {})
    assert [problem.place for problem in insight.tables(shop.board).problems] == ["deal 'broken'"]
