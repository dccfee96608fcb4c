"""Event logs: what they hold, and that events which went out come back as they were."""

from __future__ import annotations

import csv
import gzip
import json
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, insight, on
from ladderpipe.errors import ClockError, DefinitionError, InvalidEventError
from ladderpipe.logs.replay import replay
from ladderpipe.model.event import BASELINE
from tests.ladders import sales_ladder

from .boards import DEALS, Story, stories

START = "2026-01-05T09:00:00Z"
EXAMPLES = settings().max_examples // 3
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def leads() -> Pipeline:
    new, won = Stage("new"), Stage("won", status="won")
    rules = [on("lead.came", into=new, opens=True), on("order", into=won)]
    return Pipeline("leads", stages=[new, won], rules=rules)


@pytest.fixture
def board() -> Board:
    """Return a board with one lead that has ordered."""
    clock = ManualClock(START)
    board = Board(leads(), clock=clock)
    said = {"value": "100.50", "currency": "EUR", "owner": "Marta"}
    board.handle(Event("lead.came", deal="one", id="1", at=clock.now(), data=said))
    clock.advance(hours=1)
    board.handle(Event("order", deal="one", id="2", at=clock.now(), source="shop"))
    return board


def read_back(path: Path) -> list[Event]:
    return list(insight.read_xes(path))


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_events_that_went_out_come_back_and_fold_to_the_same_histories(
    data: st.DataObject,
) -> None:
    story: Story = data.draw(stories())
    board = story.told()
    as_of = data.draw(story.instants(board))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.xes.gz")
        insight.export_log(board, path, what="events", as_of=as_of)
        found = read_back(path)
    for deal in DEALS:
        events = [event for event in found if event.deal == deal]
        told = [event for event in board.events(deal) if event.at <= as_of]
        assert {event.digest(): event for event in events} == {e.digest(): e for e in told}
        assert [event.seq for event in events] == [event.seq for event in in_order(board, told)]
        assert board.pipeline.fold(events, as_of) == board.pipeline.fold(told, as_of)


def in_order(board: Board, events: list[Event]) -> list[Event]:
    from ladderpipe.fold.order import in_order

    return in_order(board.pipeline.ladder, events)


@given(deal=NAMES, id=NAMES, source=NAMES, text=NAMES)
@settings(max_examples=EXAMPLES)
def test_whatever_stands_in_an_event_comes_back(deal: str, id: str, source: str, text: str) -> None:
    clock = ManualClock(START)
    board = Board(leads(), clock=clock)
    event = Event(
        "lead.came",
        deal=deal.replace("\x00", "0"),
        id=id.replace("\x00", "0"),
        at=clock.now(),
        source=source.replace("\x00", "0"),
        seq=7,
        data={"properties": {"note": text.replace("\x00", "0"), "list": [1, None, {"a": 0.5}]}},
    )
    board.handle(event)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.xes")
        insight.export_log(board, path, what="events")
        (found,) = read_back(path)
    assert (found, found.data, found.seq) == (event, event.data, 7)


def test_a_log_that_was_exported_can_be_replayed_into_another_board(board: Board, tmp_path: Path):
    path = tmp_path / "log.xes.gz"
    insight.export_log(board, path, what="events")
    other = Board(leads(), clock=ManualClock("2026-02-01T00:00Z"))
    assert replay(other, path).accepted == 2
    assert other.history("one").visits == board.history("one").visits
    assert replay(other, path).accepted == 0


def test_a_baseline_is_no_activity(tmp_path: Path):
    clock = ManualClock(START)
    board = Board(leads(), clock=clock)
    data = {"contact": {"email": "ada@example.com"}}
    board.handle(Event("lead.came", deal="one", id="1", at=clock.now(), data=data))
    board.forget(email="ada@example.com")
    assert BASELINE in {event.type for event in board.events("one")}
    insight.export_log(board, tmp_path / "log.xes", what="events")
    assert [event.type for event in read_back(tmp_path / "log.xes")] == ["lead.came"]
    assert "ada@example.com" not in (tmp_path / "log.xes").read_text()


def test_moves_are_exported_without_contacts(board: Board, tmp_path: Path):
    data = {"contact": {"email": "ada@example.com"}, "title": "Ada Rossi"}
    clock: Any = board.clock
    board.handle(Event("lead.came", deal="two", id="3", at=clock.now(), data=data))
    for name in ("log.xes", "log.csv", "log.json"):
        insight.export_log(board, tmp_path / name)
        text = (tmp_path / name).read_text()
        assert "two" in text
        assert "ada@example.com" not in text
        assert "Ada Rossi" not in text


def test_as_of_leaves_out_what_came_later(board: Board, tmp_path: Path):
    report = insight.export_log(board, tmp_path / "log.csv", as_of=START)
    assert (report.cases, report.activities) == (1, 1)
    with (tmp_path / "log.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["concept:name"], row["case:stage"], row["case:status"]) == ("new", "new", "open")


def test_an_instant_to_come_is_refused(board: Board, tmp_path: Path):
    with pytest.raises(ClockError):
        insight.export_log(board, tmp_path / "log.csv", as_of="2027-01-01T00:00Z")
    assert os.listdir(tmp_path) == []


def test_a_timer_is_an_activity_of_nobody(tmp_path: Path):
    clock = ManualClock(START)
    board = Board(sales_ladder(), clock=clock)
    line = {"sku": "NB-15", "quantity": 1, "unit_price": "899.00"}
    board.handle(Event("cart.item_added", deal="c", id="1", at=clock.now(), data={"line": line}))
    clock.advance(hours=49)
    insight.export_log(board, tmp_path / "log.csv")
    timer = pl.read_csv(tmp_path / "log.csv").row(1, named=True)
    assert (timer["concept:name"], timer["trigger"]) == ("checkout_abandoned", "timer")
    assert timer["org:resource"] is None


def test_the_xes_is_of_the_standard(board: Board, tmp_path: Path):
    insight.export_log(board, tmp_path / "log.xes")
    log = ElementTree.parse(tmp_path / "log.xes").getroot()
    space = "{http://www.xes-standard.org/}"
    assert log.tag == f"{space}log"
    assert log.get("xes.version") == "1849.2016"
    order = list(dict.fromkeys(child.tag.removeprefix(space) for child in log))
    assert order == ["extension", "global", "classifier", "string", "trace"]
    declared = {child.get("prefix") for child in log.iter(f"{space}extension")}
    keys = {child.get("key", "") for child in log.iter()}
    assert {key.split(":")[0] for key in keys if ":" in key} <= declared
    for activity in log.iter(f"{space}event"):
        given = {child.get("key") for child in activity}
        assert given >= {"concept:name", "time:timestamp", "lifecycle:transition"}


def test_what_a_deal_was_worth_changes_over_time_in_ocel(board: Board, tmp_path: Path):
    clock: Any = board.clock
    board.handle(Event("lead.came", deal="two", id="3", at=clock.now(), data={"value": "5"}))
    clock.advance(hours=1)
    board.handle(Event("note", deal="two", id="4", at=clock.now(), data={"value": "7"}))
    insight.export_log(board, tmp_path / "log.json")
    log = json.loads((tmp_path / "log.json").read_text())
    (two,) = [found for found in log["objects"] if found["id"] == "deal:two"]
    values = [(a["value"], a["time"]) for a in two["attributes"] if a["name"] == "value"]
    assert values == [(5.0, "2026-01-05T10:00:00.000000Z"), (7.0, "2026-01-05T11:00:00.000000Z")]
    assert {kind["name"] for kind in log["eventTypes"]} == {"new", "won"}
    ids = [found["id"] for found in (*log["events"], *log["objects"])]
    assert len(ids) == len(set(ids))


def test_a_file_that_was_there_is_kept_when_writing_fails(board: Board, tmp_path: Path):
    path = tmp_path / "log.xes"
    path.write_text("precious")

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        insight.export_log(board, path, progress=fail)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["log.xes"]


def test_a_compressed_log_is_the_same_log(board: Board, tmp_path: Path):
    insight.export_log(board, tmp_path / "log.xes")
    insight.export_log(board, tmp_path / "log.xes.gz")
    with gzip.open(tmp_path / "log.xes.gz") as file:
        assert file.read() == (tmp_path / "log.xes").read_bytes()


@pytest.mark.parametrize("name", ["log", "log.gz", "log.xlsx"])
def test_a_name_that_says_no_format_is_refused(board: Board, tmp_path: Path, name: str):
    with pytest.raises(DefinitionError, match="says no format of an event log"):
        insight.export_log(board, tmp_path / name)


def test_activities_are_moves_or_events(board: Board, tmp_path: Path):
    nonsense: Any = "visits"
    with pytest.raises(DefinitionError, match="choose among 'moves', 'events'"):
        insight.export_log(board, tmp_path / "log.xes", what=nonsense)


def test_a_log_of_moves_does_not_say_what_its_events_were(board: Board, tmp_path: Path):
    insight.export_log(board, tmp_path / "log.xes")
    with pytest.raises(InvalidEventError, match="event 1: no ladderpipe_event"):
        read_back(tmp_path / "log.xes")


def test_a_board_without_deals_gives_an_empty_log(tmp_path: Path):
    board = Board(leads(), clock=ManualClock(START))
    for name in ("log.xes", "log.csv", "log.json"):
        report = insight.export_log(board, tmp_path / name)
        assert (report.cases, report.activities) == (0, 0)
    assert read_back(tmp_path / "log.xes") == []
    assert json.loads((tmp_path / "log.json").read_text())["events"] == []


FORMULAS = (
    *('=HYPERLINK("https://evil.example")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"),
    *("\x1b[31m", "\x9b31m", "\uff1d1", "'=1", "''=1"),
)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_in_a_table_begins_as_a_formula(tmp_path: Path, text: str) -> None:
    clock = ManualClock(START)
    board = Board(leads(), clock=clock)
    told = {
        "owner": text,
        "source": text,
        "value": "-0.0000000005",
        "properties": {"loss_reason": text},
    }
    board.handle(Event("lead.came", deal=text, id=text, at=START, source=text, data=told))
    board.override(text, "won", by=text)
    insight.export_log(board, tmp_path / "log.csv")
    with (tmp_path / "log.csv").open(newline="") as file:
        _, *rows = csv.reader(file)
    cells = [cell for row in rows for cell in row]
    assert {cell for cell in cells if cell.endswith(text)} == {f"'{text}"}
    assert sum(cell.endswith(text) for cell in cells) == 9
    assert {cell for cell in cells if cell.startswith("-")} == {"-0.0000000005"}


@given(st.lists(st.text("'=+-@\t\r\n\x1b\x9b\uff0bab1", min_size=1), min_size=1, unique=True))
def test_whoever_takes_one_apostrophe_off_has_every_text_back(texts: list[str]) -> None:
    board = Board(leads(), clock=ManualClock(START))
    for text in texts:
        board.handle(Event("lead.came", deal=text, id=text, at=START))
    with tempfile.TemporaryDirectory() as folder:
        insight.export_log(board, Path(folder) / "log.csv")
        with (Path(folder) / "log.csv").open(newline="") as file:
            cells = {row["case:concept:name"] for row in csv.DictReader(file)}
    dangerous = "=+-@\t\r\n\x1b\x9b\uff0b"
    assert not {cell for cell in cells if cell[0] in dangerous}
    taken_off = {
        cell[1:] if cell[0] == "'" and cell.lstrip("'")[:1] in tuple(dangerous) else cell
        for cell in cells
    }
    assert taken_off == set(texts)
