"""The cases of the semantics, held against each way in which they are kept here."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from ladderpipe import Board, Pipeline, SqliteStore
from ladderpipe.stores import seal
from ladderpipe.testing import ConformanceCase, conformance_cases
from tests.driven import DrivenBoard
from tests.insight.bulk_frames import told_by_the_fold, told_in_bulk
from tests.keyrings import MemoryRing

CASES = conformance_cases()
OF_EVENTS = [case for case in CASES if not case.steps]
SHUFFLES = 3


@pytest.mark.parametrize("case", OF_EVENTS, ids=str)
def test_the_fold(case: ConformanceCase) -> None:
    case.check_history(case.pipeline.fold(case.events, case.until))
    for seed in range(SHUFFLES):
        shuffled = random.Random(seed).sample(case.events, len(case.events))
        case.check_history(case.pipeline.fold(shuffled, case.until))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_board_on_each_store(case: ConformanceCase, store: Any) -> None:
    case.check_board(lambda pipeline, **settings: Board(pipeline, store=store, **settings))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_board_on_a_sealed_store(case: ConformanceCase) -> None:
    pytest.importorskip("cryptography")
    with contextlib.closing(seal(SqliteStore(":memory:"), MemoryRing())) as store:
        case.check_board(lambda pipeline, **settings: Board(pipeline, store=store, **settings))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_asynchronous_board(case: ConformanceCase) -> None:
    with contextlib.ExitStack() as opened:
        first: list[DrivenBoard] = []

        def open_board(pipeline: Pipeline, **settings: Any) -> DrivenBoard:
            store = first[0]._asynchronous._board._session.store if first else None
            board = DrivenBoard(pipeline, store=store, **settings)
            first.append(board)
            opened.callback(board.close)
            return board

        case.check_board(open_board)


@pytest.mark.parametrize("case", OF_EVENTS, ids=str)
def test_in_columns(case: ConformanceCase) -> None:
    pytest.importorskip("polars")
    from ladderpipe.insight import replay

    replayed = replay(case.pipeline, case.events, case.until, workers=1)
    assert told_in_bulk(replayed) == told_by_the_fold(case.pipeline, case.events, case.until)


def test_a_case_notices_what_differs() -> None:
    for case in OF_EVENTS:
        found = case.pipeline.fold(case.events, case.until)
        if found is None:
            with pytest.raises(AssertionError):
                case.check_history({"moves": [], "deal": {}, "aside": []})
            continue
        written = found.to_dict()
        for changed in (None, {**written, "moves": written["moves"][1:]}):
            with pytest.raises(AssertionError):
                case.check_history(changed)


def test_every_section_that_is_no_code_of_ones_own_has_cases() -> None:
    sections = [f"S{n}" for n in range(1, 19)]
    hooks = {"S5", "S6"}
    assert {case.section for case in CASES} == {*sections, "S13a"} - hooks
    assert len({str(case) for case in CASES}) == len(CASES)
