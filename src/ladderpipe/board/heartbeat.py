"""Signs of life of a worker: for systemd, and as the time of a file, for whoever else looks.

A worker's thread gives them as it begins transactions, so one that hangs gives none, whatever it
hangs in: a handler, a hook, the database. No thread of its own gives them, as it would not notice.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Final

from ..observability.pace import Pace
from ..stores import bridge

__all__ = ["Heartbeat"]

SECONDS_BETWEEN: Final = 1.0
"""How long at least from one sign to the next: a busy worker begins hundreds of transactions."""


class Heartbeat:
    """Tells that the thread that made it goes on working.

    What systemd is told, and by which variables it says that it wants to be, is in
    https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html.

    Args:
        file: is touched; made if it is not there.
        address: the socket of systemd, if it is to be told.
        within: the seconds after which systemd would end what gives no sign.
    """

    def __init__(
        self, file: Path | None = None, address: str | None = None, within: float | None = None
    ) -> None:
        self._file = file
        self._address = address
        self._thread = threading.get_ident()
        self._pace = Pace(SECONDS_BETWEEN if within is None else min(SECONDS_BETWEEN, within / 4))
        self.longest_pause: float | None = None if within is None else within / 2

    @classmethod
    def of_this_process(cls, file: Path | None) -> Heartbeat:
        """Return one that systemd hears as well, if this is the main thread of its service.

        A worker in another thread, or beside others on an event loop, is not the service: whether
        that is well is not the worker's to say.
        """
        is_the_service = threading.current_thread() is threading.main_thread()
        if not is_the_service or bridge.current() is not None:
            return cls(file)
        meant_for = os.environ.get("WATCHDOG_PID", str(os.getpid()))
        within = os.environ.get("WATCHDOG_USEC", "") if meant_for == str(os.getpid()) else ""
        return cls(
            file,
            os.environ.get("NOTIFY_SOCKET") or None,
            int(within) / 1e6 if within.isdecimal() and int(within) else None,
        )

    def beat(self) -> None:
        """Give a sign, if it is this worker that is at work, and the last one is a while ago."""
        if threading.get_ident() != self._thread or not self._pace.is_due():
            return
        self._pace.done()
        if self._file is not None:
            # A worker is well without it; that it is missing is for the probe to say.
            with contextlib.suppress(OSError):
                self._file.touch()
        self.tell("WATCHDOG=1")

    def tell(self, state: str) -> None:
        """Tell systemd, which may be gone: a worker does not end because nobody listens."""
        if self._address is None:
            return
        name = self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_systemd,
        ):
            to_systemd.setblocking(False)
            # An address that begins with @ is no file's.
            to_systemd.connect("\0" + name[1:] if name.startswith("@") else name)
            to_systemd.send(state.encode())
