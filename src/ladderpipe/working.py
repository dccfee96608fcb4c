"""The worker loop: sweep, deliver, sleep until the next due time, stop cleanly."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

from .delivering import DeliveryReport, deliver
from .session import Session
from .sweeping import TickReport, tick

__all__ = ["Round", "run"]

_log = logging.getLogger("ladderpipe")
_ERROR_PAUSE: Final = 5.0

Round = Callable[[TickReport, DeliveryReport], None]
"""Told of every round that did something."""


def run(
    session: Session,
    stop: threading.Event | None,
    poll: dt.timedelta,
    on_round: Round | None,
) -> None:
    """Sweep and deliver until told to stop, by *stop*, SIGTERM or SIGINT."""
    if poll <= dt.timedelta():
        raise ValueError(f"poll={poll} must be longer than nothing")
    stop = stop or threading.Event()
    with _stopping_on_signals(stop):
        while not stop.is_set():
            try:
                _round(session, stop, on_round)
                pause = _pause(session, poll)
            except Exception:
                _log.exception("the worker's round failed; it goes on after a pause")
                pause = _ERROR_PAUSE
            stop.wait(pause)


def _round(session: Session, stop: threading.Event, on_round: Round | None) -> None:
    swept = tick(session, None)
    delivered = deliver(session, None, stop)
    for failure in swept.failures:
        _log.warning("deal %s cannot be swept: %s", failure.deal, failure.error)
    if on_round is not None and (swept.deals or swept.failures or delivered.counts):
        on_round(swept, delivered)


def _pause(session: Session, poll: dt.timedelta) -> float:
    with session.reading() as transaction:
        wake = transaction.next_wake(session.number, list(session.handlers))
    if wake is None:
        return poll.total_seconds()
    return max(0.0, min(poll, wake - session.now()).total_seconds())


@contextlib.contextmanager
def _stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGTERM and SIGINT finish the round under way; only the main thread may ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        _log.info("%s: stopping after this round", signal.Signals(number).name)
        stop.set()

    before = {number: signal.signal(number, ask_to_stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
