"""What notebooks show of the records, and how short they are in print."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from ladderpipe import Board, Event, ManualClock, insight
from ladderpipe.templates import sales_management

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def board() -> Board:
    board = Board(sales_management("en"), clock=ManualClock("2026-01-05T09:00Z"))
    line = {"sku": "NB-15", "title": HOSTILE, "quantity": 2, "unit_price": "899.00"}
    for deal in ("cart-1", HOSTILE):
        data = {"line": line, "currency": "EUR", "owner": HOSTILE, "title": HOSTILE}
        at = board.clock.now()
        board.handle(Event("cart.item_added", deal=deal, id=deal, at=at, data=data))
    return board


class Tags(HTMLParser):
    """The elements of a piece of HTML, each of which has to end."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def shown(board: Board) -> dict[str, Any]:
    return {
        "board": board,
        "deal": board.deal(HOSTILE),
        "history": board.history(HOSTILE),
        "explanation": board.explain(HOSTILE),
        "pipeline": board.pipeline,
        "tables": insight.tables(board),
        "report": insight.summary(board, by="owner"),
    }


WHAT = ("board", "deal", "history", "explanation", "pipeline", "tables", "report")


@pytest.mark.parametrize("what", WHAT)
def test_a_notebook_shows_it_and_runs_nothing_that_a_deal_is_called(
    board: Board, what: str
) -> None:
    html = shown(board)[what]._repr_html_()
    found = Tags(html)
    assert not found.open
    assert "img" not in found.seen
    assert {"table", "pre"} & set(found.seen)


@pytest.mark.parametrize("what", WHAT)
def test_its_repr_is_short_and_names_it(board: Board, what: str) -> None:
    told = repr(shown(board)[what])
    assert len(told) < 200
    assert told.startswith("<")
    assert "\n" not in told


def test_a_pipeline_is_shown_as_its_diagram(board: Board) -> None:
    html = board.pipeline._repr_html_()
    for stage in board.pipeline.stages:
        assert stage.title in html
    bundle = board.pipeline._repr_mimebundle_()
    assert bundle["text/vnd.mermaid"] == board.pipeline.diagram()
    assert bundle["text/html"] == html


def test_a_long_table_says_of_how_many_rows_it_is(board: Board) -> None:
    clock = ManualClock("2026-01-05T09:00Z")
    many = Board(sales_management("en"), clock=clock)
    line = {"sku": "NB-15", "quantity": 1, "unit_price": "9"}
    for n in range(30):
        data = {"line": line, "owner": f"Owner {n}", "currency": "EUR"}
        many.handle(Event("cart.item_added", deal=f"d{n}", id=f"e{n}", at=clock.now(), data=data))
    assert "20 of 30 rows" in insight.summary(many, by="owner")._repr_html_()
