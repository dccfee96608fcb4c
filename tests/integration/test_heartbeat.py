"""A worker gives signs of life as long as it works, and one that hangs gives none."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, Event, MemoryStore, Pipeline, Stage, SystemClock, do, on
from ladderpipe.asynchronous import AsyncBoard
from ladderpipe.board import heartbeat

LONG_AGO = 1_000_000_000

SERVICE = """
import datetime as dt, sys, threading
from ladderpipe import Board
from tests.integration.test_heartbeat import ladder

board = Board.open(ladder(), sys.argv[1])

@board.handles("hang")
def hang(delivery):
    print("hanging", flush=True)
    threading.Event().wait(float(delivery.payload["seconds"]))

stop = threading.Event()
if "thread" in sys.argv:
    worker = threading.Thread(target=board.run, kwargs={"stop": stop})
    worker.start()
    sys.stdin.read()
    stop.set()
    worker.join()
else:
    board.run(poll=dt.timedelta(minutes=10))
board.close()
"""


def ladder() -> Pipeline:
    new = Stage("new")
    stuck = Stage("stuck", sequence=[do("hang", seconds=600)])
    slow = Stage("slow", sequence=[do("hang", seconds=0.2) for _ in range(8)])
    return Pipeline(
        "beats",
        stages=[new, stuck, slow],
        rules=[on(str(stage), into=stage, opens=True) for stage in (new, stuck, slow)],
    )


class Systemd:
    """What listens in the place of systemd, and the service that it starts."""

    def __init__(self, folder: Path, address: str) -> None:
        self.url = f"sqlite:///{folder}/shop.db"
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.process: Any = None

    def start(self, *options: str, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", SERVICE, self.url, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env=os.environ | {"NOTIFY_SOCKET": self.address} | variables,
            text=True,
        )

    def heard(self, seconds: float) -> str | None:
        """Return what is said next, ``None`` if it is nothing for so long."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(4096).decode()
        except TimeoutError:
            return None

    def tell(self, kind: str) -> None:
        with Board.open(ladder(), self.url) as board:
            board.handle(Event(kind, deal="d", id="e", at=SystemClock().now()))

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.socket.close()


@pytest.fixture
def systemd(request: Any, tmp_path: Path) -> Iterator[Systemd]:
    path = getattr(request, "param", None) or str(tmp_path / "notify")
    found = Systemd(tmp_path, path)
    yield found
    found.end()


@pytest.mark.parametrize(
    "systemd", ["", f"@ladderpipe-{os.getpid()}"], ids=["a file", "an abstract name"], indirect=True
)
def test_a_service_tells_that_it_is_ready_that_it_goes_on_and_that_it_ends(
    systemd: Systemd,
) -> None:
    # Its own poll is ten minutes: what wakes it is that it has to give a sign twice as often as
    # systemd asks for one.
    systemd.start(WATCHDOG_USEC="1000000")
    assert systemd.heard(60) == "READY=1"
    assert [systemd.heard(60) for _ in range(4)] == ["WATCHDOG=1"] * 4
    systemd.process.terminate()
    rest = iter(lambda: systemd.heard(60), "STOPPING=1")
    assert set(rest) <= {"WATCHDOG=1"}
    assert systemd.process.wait(60) == 0


def test_a_worker_that_hangs_gives_no_sign(systemd: Systemd) -> None:
    systemd.tell("stuck")
    systemd.start(WATCHDOG_USEC="400000")
    assert systemd.process.stdout.readline() == "hanging\n"
    while systemd.heard(0.05):
        pass  # what was said before
    assert systemd.heard(2) is None  # five times as long as systemd would wait


def test_slow_deliveries_are_signs_of_life_one_by_one(systemd: Systemd) -> None:
    systemd.tell("slow")
    systemd.start(WATCHDOG_USEC="400000")
    heard = []
    for _ in range(8):
        assert systemd.process.stdout.readline() == "hanging\n"
        while said := systemd.heard(0.01):
            heard.append(said)
    assert heard.count("WATCHDOG=1") >= 7  # and one round lasts four times as long as it may


def test_a_service_that_is_not_watched_needs_no_sign_and_gives_it_with_its_rounds(
    systemd: Systemd,
) -> None:
    systemd.start(WATCHDOG_USEC="1000000", WATCHDOG_PID="1")  # another process is
    assert systemd.heard(60) == "READY=1"
    assert systemd.heard(60) == "WATCHDOG=1"
    assert systemd.heard(3) is None


def test_a_worker_beside_a_program_does_not_speak_for_it(systemd: Systemd) -> None:
    systemd.start("thread", WATCHDOG_USEC="1000000")
    assert systemd.heard(3) is None
    systemd.process.communicate()
    assert systemd.process.returncode == 0


def test_a_worker_goes_on_when_nobody_listens(systemd: Systemd) -> None:
    systemd.socket.close()
    systemd.start(WATCHDOG_USEC="400000")
    systemd.tell("slow")
    assert systemd.process.stdout.readline() == "hanging\n"


# -- a file -------------------------------------------------------------------------------------


class Hanging:
    """A board whose handler hangs until it is let go, and the file that its worker touches."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(heartbeat, "SECONDS_BETWEEN", 0)
        self.file = folder / "alive"
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def wait(self, delivery: Any) -> None:
        os.utime(self.file, (LONG_AGO, LONG_AGO))
        self.begun.set()
        assert self.go_on.wait(60)

    def is_old(self) -> bool:
        return self.file.stat().st_mtime == LONG_AGO


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hanging:
    return Hanging(tmp_path, monkeypatch)


def test_a_file_is_touched_by_the_worker_and_by_nobody_else(hanging: Hanging) -> None:
    board = Board(ladder())
    board.handles("hang")(hanging.wait)
    stop = threading.Event()
    told = {"stop": stop, "alive": hanging.file}
    worker = threading.Thread(target=board.run, kwargs=told, daemon=True)
    board.handle(Event("stuck", deal="d", id="1", at=board.clock.now()))
    worker.start()
    assert hanging.begun.wait(60)
    board.handle(Event("new", deal="other", id="2", at=board.clock.now()))
    board.tick()
    assert hanging.is_old()  # others are at work with the same board, and the worker hangs
    hanging.go_on.set()
    while hanging.is_old():
        stop.wait(0.01)
    stop.set()
    worker.join()


@pytest.mark.parametrize("where", ["memory", "sqlite"])
def test_an_asynchronous_worker_touches_it_too(hanging: Hanging, where: str) -> None:
    async def work() -> None:
        url = f"sqlite:///{hanging.file}.db"
        if where == "memory":
            board = AsyncBoard(ladder(), store=MemoryStore())
        else:
            board = await AsyncBoard.open(ladder(), url)
        stop = asyncio.Event()
        board.handles("hang")(hanging.wait)
        await board.handle(Event("stuck", deal="d", id="1", at=board.clock.now()))
        poll = dt.timedelta(seconds=0.05)
        task = asyncio.create_task(board.run(stop=stop, poll=poll, alive=hanging.file))
        await asyncio.to_thread(hanging.begun.wait, 60)
        assert hanging.is_old()
        hanging.go_on.set()
        while hanging.is_old():
            await asyncio.sleep(0.01)
        stop.set()
        await task
        await board.close()

    asyncio.run(work())


def test_a_file_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Board(ladder()).run(alive=tmp_path / "nowhere" / "alive")


def test_a_file_that_goes_away_ends_no_worker(hanging: Hanging) -> None:
    folder = hanging.file.parent / "passing"
    folder.mkdir()
    board = Board(ladder())
    stop = threading.Event()

    def rounds(*reports: object) -> None:
        stop.set()

    @board.handles("hang")
    def remove(delivery: Any) -> None:
        with contextlib.suppress(FileNotFoundError):
            (folder / "alive").unlink()
            folder.rmdir()

    board.handle(Event("slow", deal="d", id="1", at=board.clock.now()))
    board.run(stop=stop, alive=folder / "alive", on_round=rounds)
    assert {str(effect.state) for effect in board.effects("d")} == {"delivered"}
