"""A replay into a folder, bucket by bucket, is the replay of the whole."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.buckets import write_log
from ladderpipe import Event, Pipeline, Stage, on
from ladderpipe.errors import (
    DefinitionError,
    EventConflictError,
    InvalidEventError,
    StoreError,
)
from ladderpipe.insight import ReplayedFolder, replay
from ladderpipe.insight.buckets import bucketed, source
from ladderpipe.insight.buckets.manifest import Folder
from ladderpipe.insight.bulk.event_frame import read_events
from ladderpipe.templates import sales_management
from ladderpipe.testing.copies import copies
from tests.insight.bucket_child import CHUNK
from tests.insight.bulk_frames import told_by_the_fold
from tests.insight.test_bulk import ladders_and_deals, some_instant

fewer = settings(max_examples=max(10, settings.default.max_examples // 4))  # type: ignore[union-attr]

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
ODD = ["gid://shopify/Cart/1", "caffè ☕", "a\tb\n", "../../etc", "", '"', "%00", "é" * 60]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHUNK", CHUNK)


def told_by(found: ReplayedFolder) -> dict[str, list[tuple[Any, ...]]]:
    moves = found.moves.sort("deal", "n").drop("recorded_at", "trigger")
    return {
        "moves": moves.collect().rows(),
        "visits": found.visits.sort("deal", "n").collect().rows(),
        "deals": found.deals.sort("deal").collect().rows(),
    }


def lines(deals: int = 40, steps: int = 6) -> list[Event]:
    """Return a shop's events, deals mixed."""
    kinds = ("cart.item_added", "cart.item_added", "cart.saved", "checkout.started")
    told = itertools.cycle([*kinds, "cart.item_added", "order.confirmed"])
    return [
        Event(
            next(told) if step else "cart.item_added",
            deal=f"cart-{deal}",
            id=f"{deal}-{step}",
            at=START + dt.timedelta(hours=7 * step, minutes=deal),
            data={"line": {"sku": f"S{step}", "quantity": 1, "unit_price": "9.90"}},
        )
        for step in range(steps)
        for deal in range(deals)
    ]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.parquet"
    read_events(lines(), None).write_parquet(path)
    return path


def in_other_words(events: list[Event]) -> dict[str, Callable[[Path], Any]]:
    """Return the ways to hand over the same events."""
    frame = read_events(events, None)

    def as_file(folder: Path) -> Path:
        frame.write_parquet(folder / "log.parquet", row_group_size=7)
        return folder / "log.parquet"

    def as_files(folder: Path) -> str:
        for number, part in enumerate(frame.iter_slices(11)):
            part.write_parquet(folder / f"log-{number:03}.parquet")
        return str(folder / "log-*.parquet") if frame.height else str(as_file(folder))

    return {
        "events": lambda folder: events,
        "an iterator of events": lambda folder: iter(events),
        "frame": lambda folder: frame,
        "frames": lambda folder: [frame.head(5), frame.slice(5, 0), frame.slice(5)],
        "query": lambda folder: frame.lazy(),
        "file": as_file,
        "files": as_files,
    }


@fewer
@given(ladders_and_deals(deals=4), st.integers(1, 9), st.integers(1, 30), st.data())
def test_buckets_are_the_whole_however_the_log_is_cut_and_handed_over(
    case: tuple[Pipeline, list[Event]], buckets: int, chunk: int, data: st.DataObject
):
    pipeline, events = case
    names = data.draw(st.permutations(ODD).map(lambda odd: [f"d{n}{x}" for n, x in enumerate(odd)]))
    events = [attrs.evolve(one, deal=names[int(one.deal[-1])]) for one in events]
    if events:
        again = st.sampled_from(events).flatmap(copies)
        events = data.draw(st.permutations([*events, *data.draw(st.lists(again, max_size=3))]))
    until = some_instant(data.draw, events)
    way = data.draw(st.sampled_from(sorted(in_other_words(events))))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "CHUNK", chunk)
        (given_in := Path(folder) / "log").mkdir()
        told = in_other_words(events)[way](given_in)
        found = replay(pipeline, told, until, buckets=buckets, into=Path(folder) / "out")
        assert told_by(found) == told_by_the_fold(pipeline, events, until)
        whole = replay(pipeline, events, until)
        assert (found.one_by_one, found.columnar) == (whole.one_by_one, whole.columnar)
        assert sorted(found.aside, key=repr) == sorted(whole.aside, key=repr)


@pytest.mark.usefixtures("small_chunks")
def test_processes_fold_what_one_would(log: Path, tmp_path: Path):
    shop = sales_management()
    told: list[tuple[int, int]] = []
    found = replay(
        shop,
        log,
        buckets=5,
        into=tmp_path / "two",
        processes=2,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told_by(found) == told_by_the_fold(shop, lines())
    assert told == [(number, 5) for number in range(1, 6)]
    assert found.events == len(lines())


def test_fewer_deals_than_buckets_and_no_events_at_all(tmp_path: Path):
    shop = sales_management()
    for number, events in enumerate(([], lines(deals=2))):
        found = replay(shop, events, buckets=40, into=tmp_path / str(number))
        assert told_by(found) == told_by_the_fold(shop, events)


# --- killed, and going on


def child(folder: Path, log: Path, place: int, sign: str = "SIGKILL") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.insight.bucket_child", str(folder), str(log), "3"]
    return subprocess.Popen([*command, sign, str(place)], stdout=subprocess.PIPE, text=True)


def standing(folder: Path) -> dict[str, int]:
    """Return the files of buckets that are whole, each with what it is to the file system."""
    return {
        str(file.relative_to(folder)): file.stat().st_ino
        for file in folder.glob("buckets/*/*")
        if (file.parent / "found.json").exists()
    }


@pytest.mark.usefixtures("small_chunks")
def test_killed_at_any_write_a_run_goes_on_and_ends_with_the_whole(log: Path, tmp_path: Path):
    shop = sales_management()
    expected = told_by_the_fold(shop, lines())
    said, _ = child(tmp_path / "whole", log, 0).communicate()
    places = int(said)
    assert places > 20
    # Every place takes a minute or two; each kind of write comes more than once.
    for place in range(2, places + 1, 7):
        folder = tmp_path / f"killed-{place}"
        killed = child(folder, log, place)
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
        before = standing(folder)
        assert told_by(replay(shop, log, buckets=3, into=folder)) == expected
        after = standing(folder)
        assert {name: after[name] for name in before} == before
        assert not list(folder.glob(".ladderpipe-part-*"))


IN_PROCESSES = """
import multiprocessing, os, signal, sys
from ladderpipe.insight import replay
from ladderpipe.templates import sales_management

def die(done, total):
    sys.stdout.write(" ".join(str(one.pid) for one in multiprocessing.active_children()))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    replay(sales_management(), sys.argv[1], buckets=6, into=sys.argv[2], processes=2, progress=die)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc to read")
def test_processes_end_with_the_run_that_was_killed(log: Path, tmp_path: Path):
    (program := tmp_path / "killed.py").write_text(IN_PROCESSES)
    folder = tmp_path / "out"
    command = [sys.executable, str(program), str(log), str(folder)]
    # A pipe would be held open by whoever is left.
    with (tmp_path / "said").open("w+") as said:
        killed = subprocess.run(command, stdout=said)
        said.seek(0)
        started = [Path("/proc") / number for number in said.read().split()]
    assert killed.returncode == -signal.SIGKILL
    assert len(started) == 2
    deadline = time.monotonic() + 60
    while any(map(is_running, started)):
        assert time.monotonic() < deadline, "a process waits for a run that is gone"
        time.sleep(0.05)
    assert told_by(replay(sales_management(), log, into=folder)) == (
        told_by_the_fold(sales_management(), lines())
    )


def is_running(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.usefixtures("small_chunks")
def test_two_runs_into_one_folder_refuse_each_other(log: Path, tmp_path: Path):
    folder = tmp_path / "out"
    halted = child(folder, log, 15, "SIGSTOP")
    try:
        os.waitpid(halted.pid, os.WUNTRACED)
        with pytest.raises(StoreError, match="another run is writing into"):
            replay(sales_management(), log, buckets=3, into=folder)
    finally:
        halted.kill()
        halted.communicate()
    found = replay(sales_management(), log, buckets=3, into=folder)
    assert told_by(found) == told_by_the_fold(sales_management(), lines())


def test_a_bucket_that_was_folded_is_not_folded_again(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shop = sales_management()
    folder = tmp_path / "out"
    folded: list[int] = []
    fold = bucketed.fold_into

    def counted(path: Path, number: int, *rest: Any) -> None:
        folded.append(number)
        fold(path, number, *rest)
        if len(folded) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(bucketed, "fold_into", counted)
    with pytest.raises(KeyboardInterrupt):
        replay(shop, log, buckets=4, into=folder)
    with pytest.raises(StoreError, match=r"2 of the 4 buckets .* are not folded"):
        ReplayedFolder.open(folder)
    assert told_by(replay(shop, log, into=folder)) == told_by_the_fold(shop, lines())
    assert told_by(replay(shop, log, into=folder)) == told_by_the_fold(shop, lines())
    assert folded == [0, 1, 2, 3]


# --- what a folder is not taken for


def other_ladder() -> Pipeline:
    new = Stage("new")
    return Pipeline("other", stages=[new], rules=[on("lead", into=new, opens=True)])


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and "lock" not in file.name
    }


def test_a_folder_goes_on_with_nothing_but_what_it_was_begun_with(log: Path, tmp_path: Path):
    shop, folder = sales_management(), tmp_path / "out"
    replay(shop, log, buckets=2, into=folder)
    kept = contents(folder)
    more = shop.extended(stages=[Stage("another")])
    grown = tmp_path / "grown" / "log.parquet"
    grown.parent.mkdir()
    read_events(lines(deals=41), None).write_parquet(grown)
    for call, what in (
        (lambda: replay(other_ladder(), log, into=folder), "the pipeline was"),
        (lambda: replay(more, log, into=folder), "the pipeline's definition was"),
        (lambda: replay(shop, log, buckets=3, into=folder), "how many buckets there are was 2"),
        (lambda: replay(shop, log, START, into=folder), "up to which it replays was null"),
        (lambda: replay(shop, grown, into=folder), "the log was"),
        (lambda: replay(shop, lines(), into=folder), "the log was"),
    ):
        with pytest.raises(StoreError, match=what):
            call()
    assert contents(folder) == kept


def test_events_that_are_in_no_file_are_known_by_their_content(tmp_path: Path):
    shop, events = sales_management(), lines(deals=5)
    for number, again in enumerate(
        (events, list(reversed(events)), read_events(events, None).lazy(), iter(events))
    ):
        folder = tmp_path / str(number)
        replay(shop, iter(events), buckets=2, into=folder)
        replay(shop, again, into=folder)
        for others in (events[:-1], [*events, events[0]], [*events[:-1], lines(6)[-1]]):
            with pytest.raises(StoreError, match="begun with other events"):
                replay(shop, others, into=folder)


def test_other_versions_do_not_go_on(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "out"
    replay(sales_management(), log, buckets=2, into=folder)
    monkeypatch.setattr(bucketed, "version", lambda name: "0.0.0")
    with pytest.raises(StoreError, match="the versions of libraries was"):
        replay(sales_management(), log, into=folder)
    assert ReplayedFolder.open(folder).buckets == 2


def test_a_folder_that_is_not_ours_is_not_touched(log: Path, tmp_path: Path):
    theirs = tmp_path / "theirs"
    (theirs / "events").mkdir(parents=True)
    (theirs / "events" / "mine.txt").write_text("mine")
    (theirs / "part-1").write_text("mine, too")
    with pytest.raises(StoreError, match=r"holds something else \(events, part-1\)"):
        replay(sales_management(), log, into=theirs)
    (theirs / "replay.json").write_text('{"schema": "another program"}')
    kept = contents(theirs)
    with pytest.raises(StoreError, match="none that this version of ladderpipe has written"):
        replay(sales_management(), log, into=theirs)
    with pytest.raises(StoreError, match=r"cannot be written .*Not a directory"):
        replay(sales_management(), log, into=log / "below a file")
    with pytest.raises(StoreError, match="holds no replay"):
        ReplayedFolder.open(tmp_path)
    assert contents(theirs) == kept


def test_a_full_disk_is_a_clear_refusal_and_the_run_goes_on_later(log: Path, tmp_path: Path):
    folder = tmp_path / "out"
    program = (
        "import resource, sys\n"
        "from ladderpipe.insight import replay\n"
        "from ladderpipe.templates import sales_management\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))\n"
        f"replay(sales_management(), {str(log)!r}, buckets=2, into={str(folder)!r})\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "StoreError" in run.stderr.splitlines()[-1]
    assert "cannot be written (File too large" in run.stderr.splitlines()[-1]
    assert not list(folder.glob(".ladderpipe-part-*"))
    found = replay(sales_management(), log, into=folder)
    assert told_by(found) == told_by_the_fold(sales_management(), lines())


MOST_MEMORY = """
import re, sys
from pathlib import Path
from benchmarks.ladders import sales
from ladderpipe.insight import replay
from ladderpipe.insight.buckets import source
source.CHUNK = 100_000
events, log, folder = int(sys.argv[1]), *sys.argv[2:]
found = replay(sales(), log, into=folder, buckets=events // 50_000)
assert found.events == events
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says the most a process held")
def test_a_log_ten_times_as_long_needs_no_more_memory(tmp_path: Path):
    needed = []
    for events in (240_000, 2_400_000):
        log = tmp_path / f"log-{events}"
        write_log(log, events)
        command = [sys.executable, "-c", MOST_MEMORY, str(events), str(log), f"{log}-replayed"]
        needed.append(int(subprocess.run(command, capture_output=True, check=True).stdout))
    # In memory the larger would need 600 MB more, several times what the smaller needs at all.
    assert needed[1] < 1.2 * needed[0]


# --- refusals as in memory


def test_what_is_refused_in_memory_is_refused_in_buckets(tmp_path: Path):
    shop = sales_management()
    events = lines(deals=3)
    twice = [*events, attrs.evolve(events[0], type="cart.saved")]
    for processes in (1, 2):
        with pytest.raises(EventConflictError):
            replay(
                shop, twice, buckets=4, into=tmp_path / f"twice-{processes}", processes=processes
            )
    nameless = read_events(events, None).with_columns(deal=pl.lit(None, pl.String))
    with pytest.raises(InvalidEventError, match="no deal"):
        replay(shop, nameless, buckets=2, into=tmp_path / "nameless")
    frame = read_events(events, None)
    with pytest.raises(InvalidEventError, match="do not have the same columns"):
        replay(shop, [frame, frame.drop("data")], buckets=2, into=tmp_path / "columns")
    with pytest.raises(InvalidEventError, match="neither events nor frames"):
        replay(shop, [1, 2], buckets=2, into=tmp_path / "numbers")  # type: ignore[list-item]
    with pytest.raises(FileNotFoundError, match="no Parquet file"):
        replay(shop, "nothing.parquet", into=tmp_path / "nothing")


def test_files_that_are_no_log_are_refused(tmp_path: Path):
    shop = sales_management()
    (text := tmp_path / "log.csv").write_text("deal,type\n")
    with pytest.raises(InvalidEventError, match=r"cannot be read .* give Parquet files"):
        replay(shop, text, into=tmp_path / "text")
    (parts := tmp_path / "parts").mkdir()
    frame = read_events(lines(), None)
    frame.write_parquet(parts / "a.parquet")
    frame.drop("data").write_parquet(parts / "b.parquet")
    with pytest.raises(InvalidEventError, match=r"the 2 files from .* cannot be read"):
        replay(shop, parts, into=tmp_path / "parts-out")


def test_how_many_buckets_there_are(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shop = sales_management()
    with pytest.raises(DefinitionError, match="say buckets=, one for every 5,000,000 events"):
        replay(shop, iter(lines()), into=tmp_path / "iterator")
    monkeypatch.setattr(bucketed, "IN_A_BUCKET", 100)
    assert replay(shop, log, into=tmp_path / "file").buckets == 2
    assert replay(shop, lines(deals=5), into=tmp_path / "list").buckets == 1
    for wrong in (0, True, 1_000_000):
        with pytest.raises(DefinitionError, match="a log is cut into 1 to"):
            replay(shop, log, buckets=wrong, into=tmp_path / "wrong")
    with pytest.raises(DefinitionError, match="name one with into="):
        replay(shop, log, buckets=3)  # type: ignore[call-overload]
    with pytest.raises(DefinitionError, match="fold nothing"):
        replay(shop, log, into=tmp_path / "none", processes=0)


def test_a_ladder_with_a_lambda_is_folded_in_this_process_only(log: Path, tmp_path: Path):
    new = Stage("new")
    opens = on("cart.item_added", into=new, opens=True, when=lambda deal, event: True)
    vip = Pipeline("vip", stages=[new], rules=[opens])
    with pytest.raises(DefinitionError, match="cannot be given to other processes"):
        replay(vip, log, buckets=2, into=tmp_path / "two", processes=2)
    found = replay(vip, log, buckets=2, into=tmp_path / "one")
    assert told_by(found) == told_by_the_fold(vip, lines())
    assert found.why_not


def test_damaged_files_are_never_taken_for_whole(log: Path, tmp_path: Path):
    folder = Folder(tmp_path / "out")
    replay(sales_management(), log, buckets=2, into=folder.path)
    for file in folder.bucket(1).iterdir():
        file.unlink()
    folder.bucket(1).rmdir()
    folder.parts_of(1)[0].unlink()
    with pytest.raises(StoreError, match=r"bucket 1 of .* were cut into it"):
        replay(sales_management(), log, into=folder.path)
