"""Logs with a map in buckets: the same events as a board is told, whatever has no id of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, ManualClock
from ladderpipe import replay as replay_into_board
from ladderpipe.errors import DefinitionError, StoreError
from ladderpipe.insight import EventLog, ReplayedFolder, replay, tables
from ladderpipe.insight.buckets import bucketed
from ladderpipe.logs import load_map
from ladderpipe.stores import MemoryStore
from ladderpipe.templates import sales_management

fewer = settings(max_examples=max(10, settings.default.max_examples // 8))  # type: ignore[union-attr]

UNTIL = "2026-03-01T00:00Z"
MAP = """
[time]
zone = "Europe/Rome"
[event]
deal = "{basket}"
type = "{what}"
at = "{when}"
[types]
pay = "order.confirmed"
save = "cart.saved"
view = "ignore"
[types.add]
event = "cart.item_added"
data.line = { sku = "{sku}", quantity = 1, unit_price = "{price}" }
data.currency = "EUR"
"""
HEAD = "when,what,basket,sku,price"

rows = st.builds(
    lambda minute, what, basket, price: f"2026-01-05 09:{minute:02}:00,{what},b-{basket},S,{price}",
    st.integers(0, 3),
    st.sampled_from(["add", "add", "add", "pay", "save", "view", "fly"]),
    st.integers(1, 4),
    st.sampled_from(["9.90", "9.90", "eight"]),
)


def written(folder: Path, *logs: list[str]) -> tuple[list[Path], Path]:
    paths = [folder / f"log-{number}.csv" for number in range(len(logs))]
    for path, told in zip(paths, logs, strict=True):
        path.write_text("\n".join([HEAD, *told, ""]), "utf-8")
    (folder / "shop.toml").write_text(MAP)
    return paths, folder / "shop.toml"


@fewer
@given(st.lists(rows, max_size=30), st.lists(rows, max_size=10), st.integers(1, 5))
def test_logs_in_buckets_are_what_a_board_makes_of_them(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str], buckets: int
):
    folder = tmp_path_factory.mktemp("logs")
    paths, named = written(folder, [*first, *first[:3]], second)
    shop, log_map = sales_management(), load_map(named)
    board = Board(shop, store=MemoryStore(), clock=ManualClock(UNTIL))
    reports = [replay_into_board(board, path, log_map) for path in paths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bucketed, "OF_LOGS", 7)
        log = EventLog(paths, log_map)
        found = replay(shop, log, UNTIL, buckets=buckets, into=folder / "out")
    ours, theirs = tables(found), tables(board)
    assert ours.moves.drop("recorded_at").equals(theirs.moves.drop("recorded_at"))
    assert ours.visits.equals(theirs.visits)
    assert ours.deals["value"].equals(theirs.deals["value"])
    for told, report in zip(found.logs, reports, strict=True):
        for name in ("source", "lines", "events", "ignored", "failed", "bad_lines", "refusals"):
            assert getattr(told, name) == getattr(report, name)
        for name in ("undeclared", "unruled", "first_at", "last_at"):
            assert getattr(told, name) == getattr(report, name)
    bad = [(path, bad) for path, one in zip(paths, reports, strict=True) for bad in one.bad_lines]
    assert list(found.bad_lines) == bad


def test_a_log_goes_on_with_the_same_map_only_in_whatever_process(tmp_path: Path):
    paths, named = written(tmp_path, ["2026-01-05 09:00:00,add,b-1,S,9.90", "once,add,b-1,S,9"])
    shop, folder = sales_management(), tmp_path / "out"
    found = replay(shop, EventLog(paths, load_map(named)), UNTIL, buckets=2, into=folder)
    assert [bad.number for _, bad in found.bad_lines] == [3]
    program = (
        "import sys\n"
        "from ladderpipe.insight import EventLog\n"
        "from ladderpipe.logs import load_map\n"
        "print(EventLog(sys.argv[1], load_map(sys.argv[2])).known_by())"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", program, str(paths[0]), str(named)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(names) == 1
    again = replay(shop, EventLog(paths, load_map(named)), UNTIL, into=folder)
    assert [bad.number for _, bad in again.bad_lines] == [3]
    named.write_text(MAP.replace("EUR", "CHF"))
    with pytest.raises(StoreError, match="in which the log was"):
        replay(shop, EventLog(paths, load_map(named)), UNTIL, into=folder)
    with pytest.raises(DefinitionError, match="name one with into="):
        replay(shop, EventLog(paths, load_map(named)), UNTIL)  # type: ignore[call-overload]
    with pytest.raises(DefinitionError, match="an iterator or a log"):
        replay(shop, EventLog(paths, load_map(named)), UNTIL, into=tmp_path / "other")
    with pytest.raises(FileNotFoundError):
        replay(shop, EventLog("no.csv", load_map(named)), UNTIL, buckets=1, into=tmp_path / "no")
    assert ReplayedFolder.open(folder).events == 1


MOST_MEMORY = r"""
import re, sys
from pathlib import Path
from ladderpipe.insight import EventLog, replay
from ladderpipe.insight.buckets import bucketed
from ladderpipe.logs import load_map
from ladderpipe.templates import sales_management
bucketed.OF_LOGS = 5_000
rows, log, named = int(sys.argv[1]), *sys.argv[2:]
found = replay(
    sales_management(), EventLog(log, load_map(named)), into=f"{log}-out", buckets=rows // 5_000
)
assert found.events == rows
print(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no /proc to read")
def test_ten_times_the_rows_need_no_more_memory(tmp_path: Path):
    needed = []
    for rows in (20_000, 200_000):
        told = (
            f"2026-01-05T09:{n // 60 % 60:02}:{n % 60:02}Z,add,b-{n // 5},S{n % 97},9.90"
            for n in range(rows)
        )
        log = tmp_path / f"{rows}.csv"
        log.write_text("\n".join([HEAD, *told, ""]), "utf-8")
        (tmp_path / "shop.toml").write_text(MAP)
        command = [sys.executable, "-c", MOST_MEMORY, str(rows), str(log)]
        done = subprocess.run(
            [*command, str(tmp_path / "shop.toml")], capture_output=True, check=True, text=True
        )
        needed.append(int(done.stdout))
    # What a board's replay keeps to count equal rows would be 2 to 5 MB more.
    assert needed[1] < 1.1 * needed[0], needed
