"""What pm4py reads of our event logs is what our own tables say."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ladderpipe import Board, Event, ManualClock, insight
from tests.ladders import sales_ladder

from .boards import Story, stories

LINE = {"sku": "NB-15", "title": "Notebook 15", "quantity": 1, "unit_price": "899.00"}
Pairs = Counter[tuple[str, str]]


@pytest.fixture(scope="module")
def pm4py() -> Any:
    """Return pm4py, whose greeting nobody needs to read and whose libraries warn."""
    with quiet():
        return pytest.importorskip("pm4py")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    silence = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(silence):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(silence):
            yield


@pytest.fixture(scope="module")
def board() -> Board:
    """Return a shop in which carts are left, taken up again, ordered and lost by hand."""
    clock = ManualClock("2026-01-05T09:00Z")
    board = Board(sales_ladder(), clock=clock)
    for number in range(12):
        cart = f"cart <{number}> & 'co'"
        tell(board, clock, cart, "cart.item_added", line=LINE, owner="Marta")
        clock.advance(hours=50 if number % 3 == 0 else 5)
        tell(board, clock, cart, "cart.item_added", line=LINE, currency="EUR")
        clock.advance(minutes=20)
        if number % 4 == 0:
            board.move(cart, "lost", by="Ada", properties={"loss_reason": "price"})
        elif number % 2 == 0:
            tell(board, clock, cart, "checkout.started")
            tell(board, clock, cart, "order.confirmed")
    return board


def tell(board: Board, clock: ManualClock, deal: str, kind: str, **data: Any) -> None:
    number = len(board.events(deal)) + 1
    board.handle(Event(kind, deal=deal, id=f"{deal}-{number}", at=clock.now(), data=data))


def our_variants(board: Board) -> dict[str, tuple[str, ...]]:
    moves = insight.tables(board).moves
    return {
        deal: tuple(rows["into"].to_list())
        for (deal,), rows in moves.group_by("deal", maintain_order=True)
    }


def our_pairs(board: Board) -> Pairs:
    moves = insight.tables(board).moves.drop_nulls("out_of")
    return Counter(moves.select("out_of", "into").rows())


def variants_in(log: Any) -> dict[str, tuple[str, ...]]:
    return {
        deal: tuple(rows["concept:name"])
        for deal, rows in log.groupby("case:concept:name", sort=False)
    }


def read(pm4py: Any, path: Path) -> Any:
    with quiet():
        if path.name.endswith((".csv", ".csv.gz")):
            import pandas as pd

            return pm4py.format_dataframe(pd.read_csv(path))
        return pm4py.read_xes(str(path))


@pytest.mark.parametrize("name", ["shop.xes", "shop.xes.gz", "shop.csv", "shop.csv.gz"])
def test_pm4py_counts_the_passages_that_we_count(
    pm4py: Any, board: Board, tmp_path: Path, name: str
):
    report = insight.export_log(board, tmp_path / name)
    log = read(pm4py, tmp_path / name)
    with quiet():
        pairs, starts, ends = pm4py.discover_dfg(log)
    variants = our_variants(board)
    assert Counter(pairs) == our_pairs(board)
    assert starts == Counter(stages[0] for stages in variants.values())
    assert ends == Counter(stages[-1] for stages in variants.values())
    assert variants_in(log) == variants
    assert (report.cases, report.activities) == (12, sum(map(len, variants.values())))


def test_pm4py_counts_the_passages_of_an_object_centric_log(
    pm4py: Any, board: Board, tmp_path: Path
):
    path = tmp_path / "shop.jsonocel"
    insight.export_log(board, path)
    with quiet():
        ocel = pm4py.read_ocel2_json(str(path))
        pairs, _, _ = pm4py.discover_dfg(pm4py.ocel_flattening(ocel, "deal"))
    assert Counter(pairs) == our_pairs(board)
    assert set(ocel.objects["ocel:type"]) == {"deal", "person"}
    hands = ocel.relations[ocel.relations["ocel:qualifier"] == "by"]
    assert set(hands["ocel:oid"]) == {"person:Ada"}
    assert len(hands) == 3
    changes = ocel.object_changes
    later = changes[(changes["ocel:field"] == "value") & (changes["value"] == 1798.0)]
    deals = ocel.objects[ocel.objects["ocel:type"] == "deal"]
    assert set(deals["value"]) == {899.0}
    assert len(later) == len(deals) == 12


def test_attributes_of_cases_and_hands_arrive(pm4py: Any, board: Board, tmp_path: Path):
    insight.export_log(board, tmp_path / "shop.xes")
    log = read(pm4py, tmp_path / "shop.xes")
    assert set(log["case:value"]) == {1798.0}
    assert set(log["case:owner"]) == {"Marta"}
    by_hand = log[log["org:resource"].notna()]
    assert set(by_hand["concept:name"]) == {"lost"}
    assert set(by_hand["org:resource"]) == {"Ada"}
    instants = {at.to_pydatetime() for at in log["time:timestamp"]}
    assert instants == set(insight.tables(board).moves["at"].to_list())


def test_events_may_be_the_activities(pm4py: Any, board: Board, tmp_path: Path):
    insight.export_log(board, tmp_path / "shop.xes", what="events")
    log = read(pm4py, tmp_path / "shop.xes")
    deals = [deal.id for deal in board.deals()]
    told = {deal: tuple(event.type for event in board.events(deal)) for deal in deals}
    assert variants_in(log) == told


def test_a_log_that_pm4py_wrote_is_read_as_events(pm4py: Any, board: Board, tmp_path: Path):
    insight.export_log(board, tmp_path / "shop.csv")
    with quiet():
        pm4py.write_xes(read(pm4py, tmp_path / "shop.csv"), str(tmp_path / "theirs.xes"))
    events = insight.read_xes(tmp_path / "theirs.xes", types={"*": "keep"})
    moves = insight.tables(board).moves
    assert [(event.deal, event.type, event.at) for event in events] == (
        moves.select("deal", "into", "at").rows()
    )


def test_every_history_fits_the_net_that_pm4py_discovers(pm4py: Any, board: Board, tmp_path: Path):
    insight.export_log(board, tmp_path / "shop.xes")
    log = read(pm4py, tmp_path / "shop.xes")
    with quiet():
        heuristics = pm4py.discover_heuristics_net(log)
        net = pm4py.discover_petri_net_inductive(log)
        fitness = pm4py.fitness_token_based_replay(log, *net)
    assert fitness["log_fitness"] == 1.0
    assert set(heuristics.activities) == {s for v in our_variants(board).values() for s in v}


@given(story=stories())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pm4py_sees_the_histories_of_any_ladder(pm4py: Any, story: Story) -> None:
    board = story.told()
    variants = our_variants(board)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("any.xes", "any.csv") if variants else ():
            insight.export_log(board, Path(folder, name))
            assert variants_in(read(pm4py, Path(folder, name))) == variants
