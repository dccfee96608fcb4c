"""A cursor is taken as it was given, and anything else is refused in words."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, Pipeline, Scope, Stage, on
from ladderpipe.board.cursor import Since, place_of, place_text, since_of, since_text
from ladderpipe.errors import CursorError
from ladderpipe.stores.listing import ORDERS, Order, Place

INSTANTS = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC))
NUMBERS = st.integers(0, 2**63 - 1)


@st.composite
def places(draw: st.DrawFn) -> tuple[Order, Place]:
    order = draw(st.sampled_from(list(ORDERS.values())))
    part: st.SearchStrategy[Any] = INSTANTS
    if order.name == "title":
        part = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=64)
    elif order.name == "value":
        part = st.integers(-(2**63), 2**63 - 1)
    key = st.none() | st.tuples(*[part] * len(order.columns))
    return order, Place(draw(key), draw(NUMBERS))


@given(places())
def test_a_place_comes_back_as_it_was(given_place: tuple[Order, Place]) -> None:
    order, place = given_place
    text = place_text(order, place)
    assert place_of(text, order) == place
    assert len(text) < 600
    assert text.isascii()


@given(st.builds(Since, INSTANTS, NUMBERS, st.none() | INSTANTS, st.text("0123456789abcdef")))
def test_how_far_changes_were_read_comes_back_as_it_was(since: Since) -> None:
    assert since_of(since_text(since)) == since


ENCODED = st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode())


@given(st.text() | ENCODED | places().map(lambda found: place_text(*found)[:-1]))
def test_any_other_text_is_refused(text: str) -> None:
    for read in (since_of, lambda text: place_of(text, ORDERS["age"])):
        with pytest.raises(CursorError, match="no cursor for this"):
            read(text)


@given(places(), st.integers(0, 500), st.sampled_from("Ab0-_=."))
def test_a_mistyped_cursor_is_refused(given_place: tuple[Order, Place], at: int, sign: str) -> None:
    order, place = given_place
    text = place_text(order, place)
    at %= len(text) - 1  # of the last sign, some bits say nothing
    mistyped = text[:at] + sign + text[at + 1 :]
    if mistyped != text:
        with pytest.raises(CursorError):
            place_of(mistyped, order)


@pytest.fixture
def board() -> Board:
    lead = Stage("lead")
    ladder = Pipeline("p", stages=[lead], rules=[on("lead", into=lead, opens=True)])
    board = Board(ladder, clock=ManualClock("2026-01-05T09:00:00Z"))
    for number in range(3):
        board.handle(Event("lead", deal=f"d{number}", id=f"e{number}", at=board.clock.now()))
    return board


def test_a_cursor_of_another_order_is_refused(board: Board) -> None:
    cursor = board.page(limit=1).next
    with pytest.raises(CursorError, match="was given for sort='age'"):
        board.page(sort="due", after=cursor)
    with pytest.raises(CursorError):
        board.changes(cursor)


@pytest.mark.parametrize("limit", [0, -1, 1_001, True, "5", None])
def test_a_page_has_one_to_a_thousand_deals(board: Board, limit: Any) -> None:
    with pytest.raises(ValueError, match="ask for 1 to 1,000 deals"):
        board.page(limit=limit)


@pytest.mark.parametrize("sort", ["", "Age", "owner", None, ["age"]])
def test_another_order_is_refused_and_the_known_ones_are_named(board: Board, sort: Any) -> None:
    with pytest.raises(ValueError, match="age, value, recent, due, title"):
        board.page(sort=sort)


def test_one_name_is_no_list_of_names() -> None:
    with pytest.raises(TypeError, match="give a list of names"):
        Scope(owners="Ada")
