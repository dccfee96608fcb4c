"""When the compiled kernel of a bulk replay is loaded, and where it does other than the steps."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ladderpipe import Event, Pipeline, Stage, after, on
from ladderpipe.insight.bulk import replay
from ladderpipe.insight.bulk.loading import WORTH_LOADING
from tests.insight.bulk_frames import folded_in, in_each_way, told_by_the_fold, told_in_bulk

pytest.importorskip("numba", exc_type=ImportError)

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)

REPLAYED = """
import datetime as dt, sys
from ladderpipe import Event
from ladderpipe.insight.bulk import loading, replay
from ladderpipe.templates import sales_management

at = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
lines = [{"sku": sku, "quantity": 1, "unit_price": "449.50"} for sku in ("NB-15", "MS-01")]
told = [
    Event("cart.item_added", deal="a", id=line["sku"], at=at, data={"line": line})
    for line in lines
]
"""
TOLD = """
found = replay(sales_management(), told)
print(found.compiled, found.one_by_one, found.moves["into"].to_list(), found.deals["value"][0])
"""
WORTH_IT = "loading.WORTH_LOADING = 0\n"
STEPPED = "False 0 ['quote_requested'] 899.0000000000\n"
COMPILED = "True 0 ['quote_requested'] 899.0000000000\n"


def interpreter(code: str, **surroundings: str) -> tuple[str, str]:
    """Return what another process says, and what it complains of."""
    command = [sys.executable, "-c", REPLAYED + code]
    where = os.environ | surroundings
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=where)
    return found.stdout, found.stderr


def kept_in(folder: Path) -> dict[str, str]:
    """Return what makes the package one that may not be written to, and this the user's folder."""
    return {
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserWideCacheLocator",
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder),
    }


def test_numba_is_not_even_imported_for_few_events() -> None:
    code = "import ladderpipe.insight" + TOLD + 'print("numba" in sys.modules)'
    assert interpreter(code) == (STEPPED + "False\n", "")
    assert WORTH_LOADING >= 1_000_000


def test_without_numba_the_steps_do_the_same_and_nobody_complains() -> None:
    missing = 'sys.modules["numba"] = None\n'
    assert interpreter(missing + WORTH_IT + TOLD) == (STEPPED, "")


def test_where_nothing_can_be_kept_on_disk_nobody_waits_for_the_kernel(tmp_path: Path) -> None:
    nowhere = tmp_path / "a file"
    nowhere.write_text("")
    said, complaint = interpreter(WORTH_IT + TOLD, **kept_in(nowhere))
    assert said == STEPPED
    assert complaint.startswith("bulk replay goes without its compiled kernel: cannot cache")


def test_on_a_full_disk_the_steps_do_the_same(tmp_path: Path) -> None:
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    said, complaint = interpreter(full + WORTH_IT + TOLD, **kept_in(tmp_path))
    assert said == STEPPED
    assert complaint.startswith("bulk replay goes without its compiled kernel: ")


@pytest.mark.slow
def test_what_was_compiled_is_taken_by_the_next_process_unless_its_numbers_are_others(
    tmp_path: Path,
) -> None:
    hits = "from ladderpipe.insight.bulk.kernel import fold_deals as fold\n"
    hits += "print(sum(fold.stats.cache_hits.values()), sum(fold.stats.cache_misses.values()))\n"
    code, where = WORTH_IT + TOLD + hits, kept_in(tmp_path)
    assert interpreter(code, **where) == (COMPILED + "0 1\n", "")
    assert interpreter(code, **where) == (COMPILED + "1 0\n", "")
    smaller = "from ladderpipe.insight.bulk import carts\ncarts.MOST_SEATS = 1\n"
    said, _ = interpreter(smaller + code, **where)
    assert said == COMPILED.replace("True 0", "True 1") + "0 1\n"


def ping_pong() -> Pipeline:
    """Return a ladder on which timers alone move a deal up and down for ever."""
    up, down = Stage("up"), Stage("down")
    rules = [
        on("came", into=up, opens=True),
        after(minutes=1, out_of=up, into=down),
        after(minutes=1, out_of=down, into=up),
    ]
    return Pipeline("ping-pong", stages=[up, down], rules=rules)


def test_timers_may_make_many_more_moves_than_there_are_events() -> None:
    events = [Event("came", deal=f"deal {n}", id="1", at=START + n * MINUTE) for n in range(7)]
    until = START + 300 * MINUTE
    expected = told_by_the_fold(ping_pong(), events, until)
    assert len(expected["moves"]) > 2_000
    for replayed in in_each_way(ping_pong(), events, until):
        assert replayed.one_by_one == 0
        assert told_in_bulk(replayed) == expected


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("way", ["steps", "kernel"])
def test_blocks_threads_and_the_order_of_events_change_nothing(
    way: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ladderpipe.insight.bulk.columnar.BLOCK_EVENTS", 10)
    monkeypatch.setattr("ladderpipe.insight.bulk.columnar.LEAST_DEALS", 2)
    frame = pl.DataFrame(
        {
            "deal": [f"deal {n % 23:02}" for n in range(400)],
            "type": ["came" if n % 3 else "noted" for n in range(400)],
            # Some are told at one instant, where their identities decide.
            "at": [START + (n // 40) * MINUTE for n in range(400)],
            "id": [f"{(n * 7) % 400:03}" for n in range(400)],
        }
    )
    until = START + 60 * MINUTE
    with folded_in("steps"):
        expected = replay(ping_pong(), frame, until, workers=1)
    with folded_in(way):
        shuffled = frame.sample(fraction=1.0, shuffle=True, seed=5)
        replayed = replay(ping_pong(), shuffled, until, workers=workers)
    assert replayed.moves.equals(expected.moves)
    assert replayed.deals.equals(expected.deals)
    assert replayed.moves.schema == expected.moves.schema
    assert replayed.deals.schema == expected.deals.schema


def test_a_deal_with_an_event_told_twice_leaves_the_others_to_the_kernel() -> None:
    twice = [Event("came", deal="twice", id="1", at=START, data={"owner": "Ada"})] * 2
    others = [Event("came", deal=f"deal {n}", id="1", at=START) for n in range(20)]
    expected = told_by_the_fold(ping_pong(), [*twice, *others])
    for replayed in in_each_way(ping_pong(), [*others, *twice]):
        assert replayed.one_by_one == 1
        assert told_in_bulk(replayed) == expected
