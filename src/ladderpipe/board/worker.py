"""The worker loop: sweep, deliver, sleep until the next due time, stop cleanly."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Final

from ..errors import ClockError, PipelineChangedError
from ..model.report import DeliveryReport, TickReport
from ..observability.log_records import WORKER
from ..observability.pace import Pace
from ..stores import bridge
from ..stores.sealed.renewal import is_sealed
from .chain import extend
from .deliver import deliver
from .heartbeat import Heartbeat
from .session import Session
from .stale import held_back_text
from .sweep import tick

__all__ = ["Round", "run", "stopping_on_signals"]

_ERROR_PAUSE: Final = 5.0
MOST_DELIVERIES: Final = 1000
"""How many effects a round delivers, before it is time to sweep again."""
MOST_LINKS: Final = 20
"""How many links a round appends to the hash chain, before it is time to sweep again."""
OTHERS_PAUSE: Final = dt.timedelta(seconds=0.1)
"""How long to leave alone what is due, when there was nothing to do: others are at it."""

Round = Callable[[TickReport, DeliveryReport], None]
"""Told of every round that did something."""


def run(
    session: Session,
    stop: threading.Event | None,
    poll: dt.timedelta,
    on_round: Round | None,
    alive: str | os.PathLike[str] | None = None,
    chain_every: dt.timedelta | None = None,
) -> None:
    """Sweep and deliver until told to stop, by *stop*, SIGTERM or SIGINT.

    Args:
        chain_every: how often to extend the hash chain, if there is one; never when left out.

    Raises:
        OSError: the file *alive* cannot be written.
        PipelineChangedError: another process has adopted another definition.
        ClockError: this machine's clock is too far from the database's.
    """
    if poll <= dt.timedelta():
        raise ValueError(f"poll={poll} must be longer than nothing")
    if chain_every is not None and chain_every <= dt.timedelta():
        raise ValueError(f"chain_every={chain_every} must be longer than nothing")
    stop = stop or threading.Event()
    chain = None if chain_every is None else Pace(chain_every.total_seconds())
    told: Mapping[str, int] = {}
    with stopping_on_signals(stop), _beating(session, alive) as heart:
        while not stop.is_set():
            try:
                was_busy, held_back = _round(session, stop, on_round)
                if held_back and held_back != told:
                    WORKER.warning("%s", held_back_text(held_back))
                told = held_back
                if chain is not None and chain.is_due() and not extend_begun(session, MOST_LINKS):
                    chain.done()
                pause = _pause(session, poll, was_busy, bool(held_back))
                session.store.wait_for_work(min(pause, heart.longest_pause or pause), stop)
            except (PipelineChangedError, ClockError):
                raise
            except Exception as error:
                session.observer.round_failed(error)
                stop.wait(_ERROR_PAUSE)


def extend_begun(session: Session, limit: int) -> bool:
    """Extend the hash chain, if somebody has begun one; return whether there is more to do."""
    with session.reading() as transaction:
        if transaction.chain(session.number) is None:
            return False
    return extend(session, limit).more


@contextlib.contextmanager
def _beating(session: Session, alive: str | os.PathLike[str] | None) -> Iterator[Heartbeat]:
    """Give signs of life with every transaction of a worker, and say when it begins and ends.

    Raises:
        OSError: the file cannot be written.
    """
    file = None if alive is None else Path(alive)
    if file is not None:
        file.touch()
    heart = Heartbeat.of_this_process(file)
    heart.tell("READY=1")
    session.heartbeat = heart
    try:
        yield heart
    finally:
        session.heartbeat = None
        heart.tell("STOPPING=1")


def _round(
    session: Session, stop: threading.Event, on_round: Round | None
) -> tuple[bool, Mapping[str, int]]:
    """Sweep and deliver what is due; return whether there was anything, and what is held back."""
    if is_sealed(session.store):
        # What a crash left between forgetting somebody and the end of their keys.
        session.store.destroy_keys()
    swept = tick(session, None)
    # Nobody looks at what a worker sends.
    delivered = deliver(session, MOST_DELIVERIES, stop, stale="hold")
    session.observer.note_backlog(session)
    was_busy = bool(swept.deals or swept.failures or delivered.counts)
    if on_round is not None and was_busy:
        on_round(swept, delivered)
    return was_busy, delivered.held_back


def _pause(session: Session, poll: dt.timedelta, was_busy: bool, holds_back: bool) -> float:
    """Return how long to sleep, in seconds: until something is due, at most *poll*."""
    with session.reading() as transaction:
        wake = transaction.next_wake(session.number, list(session.handlers))
    until = poll if wake is None else max(dt.timedelta(), wake - session.now())
    if not until and not was_busy:
        # What is held back is due all the time, and nobody is at it.
        until = poll if holds_back else OTHERS_PAUSE
    return min(poll, until).total_seconds()


@contextlib.contextmanager
def stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGTERM and SIGINT finish the round under way; only the main thread may ask for that.

    On behalf of an event loop it is the asynchronous board that minds them.
    """
    if threading.current_thread() is not threading.main_thread() or bridge.current() is not None:
        yield
        return

    # The code that a signal interrupts may hold the locks of the log's stream and of the event: who
    # takes them here waits for ever. Another thread waits until they are free; a simple queue may
    # be put into wherever that happens.
    asked: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def stop_and_say() -> None:
        while (number := asked.get()) is not None:
            # A log may be slow, and no further delivery is to begin meanwhile.
            stop.set()
            WORKER.info("%s: stopping after this round", signal.Signals(number).name)

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        asked.put(number)

    listener = threading.Thread(target=stop_and_say, name="ladderpipe-signals", daemon=True)
    listener.start()
    before = {number: signal.signal(number, ask_to_stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.put(None)
        listener.join()


_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
