"""``board.run`` in a process: wakes for due times, finishes what it began, stops on SIGTERM."""

from __future__ import annotations

import datetime as dt
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, Event, Pipeline, Stage, SystemClock, after, do, on, wait
from tests.shops import Shop, lead_ladder, register

WORKER = """
import datetime as dt, logging, select, sys, threading
from ladderpipe import Board, SystemClock
from tests.integration.test_worker import hasty_ladder

begun = threading.Event()

class SlowLog(logging.StreamHandler):
    # Takes a second to write a line, or until another delivery begins meanwhile.

    def emit(self, record):
        super().emit(record)
        begun.wait(1)

log = SlowLog if "slowly" in sys.argv else logging.StreamHandler
logging.basicConfig(level=logging.INFO, handlers=[log(sys.stdout)], format="%(message)s")

class Clock(SystemClock):
    told = False

    def now(self):
        if not self.told:
            self.told = True
            print("ready", flush=True)
        return super().now()

board = Board.open(hasty_ladder(), sys.argv[1], clock=Clock())

@board.handles("email")
def send(delivery):
    print("sending", delivery.payload["template"], flush=True)
    if delivery.payload["template"] == "after":
        begun.set()
    # A signal is acted upon between two steps of Python: one that comes just before a read that
    # waits for ever is never seen.
    long = delivery.payload["template"] == "long"
    while long and not select.select([sys.stdin], [], [], 0.05)[0]:
        pass
    print("sent", delivery.payload["template"], flush=True)

board.run(poll=dt.timedelta(seconds=int(sys.argv[2])))
print("stopped", flush=True)
board.close()
"""


def hasty_ladder() -> Pipeline:
    """Return a ladder on which everything happens within a second."""
    steps = [
        do("email", template="first", run_to_completion=True),
        wait(seconds=0.2),
        do("email", template="second", run_to_completion=True),
    ]
    new = Stage("new", sequence=steps)
    cold = Stage("cold", status="abandoned", sequence=[do("email", template="cold")])
    slow = Stage("slow", sequence=[do("email", template="long"), do("email", template="after")])
    return Pipeline(
        "hasty",
        stages=[new, cold, slow],
        rules=[
            on("lead", into=new, opens=True),
            on("slow", into=slow, opens=True),
            after(seconds=0.5, out_of=new, into=cold),
        ],
    )


class Worker:
    """A worker in a process of its own, and a board on the same file."""

    def __init__(self, folder: Path, poll: int, *options: str) -> None:
        url = f"sqlite:///{folder}/shop.db"
        self.board = Board.open(hasty_ladder(), url)
        self.process = subprocess.Popen(
            # Unbuffered: what a signal's handler logs while a buffer is written is lost.
            [sys.executable, "-u", "-c", WORKER, url, str(poll), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        self.seen: list[str] = []
        self.until("ready")

    def tell(self, kind: str, deal: str) -> None:
        self.board.handle(Event(kind, deal=deal, id=f"{kind} {deal}", at=SystemClock().now()))

    def until(self, line: str) -> None:
        """Read the worker's output up to and with this line."""
        while True:
            found = self.process.stdout.readline()
            assert found, f"the worker ended; it said {self.seen}"
            self.seen.append(found.strip())
            if found.strip() == line:
                return

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.seen += self.process.communicate()[0].splitlines()
        return self.process.returncode


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Any]:
    workers: list[Worker] = []

    def start(poll: int, *options: str) -> Worker:
        workers.append(Worker(tmp_path, poll, *options))
        return workers[-1]

    yield start
    for found in workers:
        found.process.kill()
        found.process.communicate()
        found.board.close()


def test_a_worker_brings_a_deal_through_its_timers_and_mails(worker: Any):
    found = worker(1)
    found.tell("lead", "d")
    found.until("sent cold")
    assert [line for line in found.seen if line.startswith("sent")] == [
        "sent first",
        "sent second",
        "sent cold",
    ]
    assert found.end() == 0
    assert found.board.deal("d").stage == "cold"


def test_a_worker_wakes_for_what_is_due_and_not_only_when_it_polls(worker: Any, tmp_path: Path):
    with Board.open(hasty_ladder(), f"sqlite:///{tmp_path}/shop.db") as board:
        board.handle(Event("lead", deal="d", id="1", at=SystemClock().now()))
    found = worker(600)
    found.until("sent cold")
    moved = found.board.history("d").moves[-1]
    assert moved.recorded_at - moved.at < dt.timedelta(seconds=60)
    assert found.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_stops_at_once_when_asked(worker: Any, number: int):
    found = worker(600)
    assert found.end(number) == 0
    assert found.seen[-1] == "stopped"
    assert any("stopping after this round" in line for line in found.seen)


@pytest.mark.parametrize("log", [(), ("slowly",)], ids=["", "a slow log"])
def test_a_worker_that_is_asked_to_stop_finishes_the_delivery_under_way(worker: Any, log: Any):
    found = worker(1, *log)
    found.tell("slow", "d")
    found.until("sending long")
    found.process.send_signal(signal.SIGTERM)
    found.until("SIGTERM: stopping after this round")
    found.process.stdin.write("\n")
    found.process.stdin.flush()
    found.seen += found.process.communicate()[0].splitlines()
    assert found.process.returncode == 0
    assert found.seen[-2:] == ["sent long", "stopped"]
    states = {e.payload["template"]: e.state for e in found.board.effects("d")}
    assert states == {"long": "delivered", "after": "pending"}


# -- in this process ----------------------------------------------------------------------------


def run_until_stopped(shop: Shop, **options: Any) -> None:
    """Run a worker in a thread until a round has done something."""
    stop = threading.Event()
    options.setdefault("on_round", lambda *reports: stop.set())
    thread = threading.Thread(target=shop.board.run, kwargs={"stop": stop, **options})
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_a_worker_tells_what_each_round_did(store: Any):
    shop = Shop(register(lead_ladder(), into_cold=lambda ctx: ctx.do("email", template="x")), store)
    shop.tell("lead")
    shop.wait(73)
    rounds: list[Any] = []
    stop = threading.Event()

    def note(*reports: Any) -> None:
        rounds.append(reports)
        stop.set()

    shop.board.run(stop=stop, on_round=note)
    ((swept, delivered),) = rounds
    assert (swept.moves, delivered.delivered) == (1, 1)


def test_a_worker_sweeps_between_the_deliveries_of_a_long_queue(
    store: Any, monkeypatch: pytest.MonkeyPatch
):
    from ladderpipe.board import worker

    monkeypatch.setattr(worker, "MOST_DELIVERIES", 2)
    shop = Shop(register(lead_ladder(), into_new=lambda ctx: ctx.do("email", template="x")), store)
    for number in range(5):
        shop.tell("lead", f"deal-{number}", id=f"lead-{number}")
    rounds: list[int] = []
    stop = threading.Event()

    def note(swept: Any, delivered: Any) -> None:
        rounds.append(delivered.delivered)
        if sum(rounds) == 5:
            stop.set()

    shop.board.run(stop=stop, on_round=note)
    assert rounds == [2, 2, 1]


def test_a_worker_leaves_the_signals_as_it_found_them(store: Any):
    before = signal.getsignal(signal.SIGTERM)
    shop = Shop(lead_ladder(), store)
    stop = threading.Event()
    stop.set()
    shop.board.run(stop=stop)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_worker_in_a_thread_stops_when_its_event_is_set(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.wait(73)
    run_until_stopped(shop)
    assert shop.stage == "cold"


def test_a_round_that_fails_is_logged_and_the_worker_goes_on(
    store: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    from ladderpipe.board import worker

    monkeypatch.setattr(worker, "_ERROR_PAUSE", 0.001)
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.wait(73)
    begin = store.transaction
    failures = iter([OSError("the disk is away")] * 2)

    def transaction(write: bool = True) -> Any:
        for error in failures:
            raise error
        return begin(write)

    monkeypatch.setattr(store, "transaction", transaction)
    with caplog.at_level(logging.ERROR, "ladderpipe"):
        run_until_stopped(shop)
    assert caplog.text.count("round failed; it goes on after a pause: OSError") == 2
    assert shop.stage == "cold"


def test_a_deal_that_cannot_be_swept_is_logged(store: Any, caplog: pytest.LogCaptureFixture):
    def refuse(ctx: Any) -> None:
        raise OSError

    shop = Shop(register(lead_ladder(), into_cold=refuse), store)
    shop.tell("lead")
    shop.wait(73)
    with caplog.at_level(logging.WARNING, "ladderpipe"):
        run_until_stopped(shop)
    assert "a deal cannot be swept" in caplog.text


def test_a_poll_that_never_sleeps_is_refused(store: Any):
    with pytest.raises(ValueError, match="longer than nothing"):
        Shop(lead_ladder(), store).board.run(poll=dt.timedelta())
