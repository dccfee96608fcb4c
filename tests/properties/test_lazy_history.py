"""A history's moves and visits are built when they are read, and are what a tuple of them is."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ladderpipe import Deal, Event, History, Move, Pipeline, Visit
from tests.ladders import ladders_and_events

Case = tuple[Pipeline, list[Event], History]


@st.composite
def histories(draw: st.DrawFn) -> Case:
    pipeline, events = draw(ladders_and_events(min_size=1))
    hours = draw(st.sampled_from([None, 1, 10]))
    until = None if hours is None else max(e.at for e in events) + dt.timedelta(hours=hours)
    history = pipeline.fold(events, until)
    assume(history is not None)
    assert history is not None
    return pipeline, events, history


@pytest.fixture(scope="module")
def at_every_turn() -> Iterator[None]:
    """Let Python go from thread to thread as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def sequences(history: History) -> list[Sequence[Any]]:
    return [history.moves, history.visits]


PLACES = st.none() | st.integers(-12, 12)


@given(histories(), PLACES, PLACES, st.sampled_from([None, 1, 2, -1, -3]))
def test_a_part_is_that_of_the_tuple(
    case: Case, start: int | None, stop: int | None, step: int | None
) -> None:
    part = slice(start, stop, step)
    for read in sequences(case[2]):
        whole = tuple(read)
        assert isinstance(read, Sequence)
        assert (len(read), bool(read)) == (len(whole), bool(whole))
        assert read[part] == whole[part]
        assert type(read[part]) is tuple
        for place in range(-len(whole), len(whole)):
            assert read[place] == whole[place]
        assert list(reversed(read)) == list(reversed(whole))
        for outside in (len(whole), -len(whole) - 1):
            with pytest.raises(IndexError):
                read[outside]
        named: Any = "n"
        with pytest.raises(TypeError):
            read[named]


@given(histories())
def test_they_are_equal_to_the_tuple_and_found_where_it_is(case: Case) -> None:
    pipeline, events, history = case
    again = pipeline.fold(events[::-1], history.deal.last_event_at)
    for read, other in zip(sequences(history), sequences(again or history), strict=True):
        whole, theirs = tuple(read), tuple(other)
        assert read == whole
        assert whole == read
        assert (read == other) == (whole == theirs)
        assert (read == theirs, theirs == read) == (whole == theirs, theirs == whole)
        assert read != list(whole)
        assert read != whole[:-1]
        assert {read: 1}[whole] == 1
        assert repr(read) == repr(whole)
        for record in theirs:
            assert (record in read) == (record in whole)
            assert read.count(record) == whole.count(record)
        for place, record in enumerate(whole):
            assert read.index(record) == place
        joined: Any = read
        assert joined + other == whole + theirs
        assert joined + theirs == whole + theirs
        assert theirs + joined == theirs + whole
        with pytest.raises(TypeError):
            joined + list(theirs)


@given(histories())
def test_they_outlive_their_process(case: Case) -> None:
    for read in sequences(case[2]):
        for other in (pickle.loads(pickle.dumps(read)), copy.copy(read), copy.deepcopy(read)):
            assert other == read
            assert isinstance(other, Sequence)


@given(case=histories())
def test_threads_that_read_one_history_at_once_read_the_same(case: Case, at_every_turn: None):
    pipeline, events, history = case
    fresh = pipeline.fold(events, history.deal.last_event_at)
    assert fresh is not None
    begin = threading.Barrier(3)

    def read() -> tuple[Deal, tuple[Move, ...], tuple[Visit, ...]]:
        begin.wait()
        return fresh.deal, tuple(fresh.moves), tuple(fresh.visits)

    with ThreadPoolExecutor(3) as threads:
        found = [reading.result() for reading in [threads.submit(read) for _ in range(3)]]
    assert found[0] == found[1] == found[2]


@given(histories())
def test_nobody_writes_on_them(case: Case) -> None:
    for read in sequences(case[2]):
        written: Any = read
        with pytest.raises(TypeError):
            written[0] = written[-1]
        with pytest.raises(TypeError):
            del written[0]


@given(histories())
def test_visits_do_not_end_early_for_want_of_a_key(case: Case) -> None:
    record = case[2].to_dict()
    assume(len(record["visits"]) == len(record["moves"]))
    record["visits"].pop()
    with pytest.raises(ValueError, match="argument"):
        list(History.from_dict(record).visits)


@given(ladders_and_events(min_size=1), st.data())
def test_a_history_does_not_grow_with_the_fold_that_it_was_taken_from(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    steps = pipeline.open(events[0].deal)
    taken: list[tuple[History, tuple[Any, ...], tuple[Any, ...]]] = []
    for event in data.draw(st.permutations(events)):
        steps.add(event, hold=True)
        history = steps.history()
        if history is not None:
            taken.append((history, tuple(history.moves), tuple(history.visits)))
    for history, moves, visits in taken:
        assert history.moves == moves
        assert history.visits == visits


@given(histories(), st.integers(-3, 40))
def test_the_stage_at_an_instant_is_that_of_the_last_visit_begun_by_then(
    case: Case, hours: int
) -> None:
    history = case[2]
    at = history.deal.opened_at + dt.timedelta(hours=hours)
    begun = [visit for visit in history.visits if visit.entered_at <= at]
    assert history.stage_at(at) == (begun[-1].stage if begun else None)
    assert all(left.left_at == entered.entered_at for left, entered in pairwise(history.visits))
