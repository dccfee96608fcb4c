"""A pytest that stands still where the ladder is to be changed, and forks for each change.

Python, pytest, its plugins and the project's modules are loaded once. Each change has a process of
its own all the same: one that hangs is ended, and one that crashes takes nothing else along.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pytest

__all__ = ["UNKNOWN", "VARIABLE", "CannotFork", "Warm", "can_fork", "end", "forked", "leave"]

VARIABLE: Final = "LADDERPIPE_MUTATION"
"""The environment variable in which ``ladderpipe mutate`` says what a run is to do, as JSON."""

UNKNOWN: Final = 97
"""The exit code of a run whose tests never import the ladder, or not with that change."""

_CRASHED: Final = -1
"""The exit code of a run that ended before pytest did."""

_READY: Final = b"r"
_NUMBER: Final = struct.Struct("i")
"""All that goes over the sockets: the number of a run, its process, its exit code."""


class CannotFork(RuntimeError):
    """There is no warm pytest, or none any more."""


def can_fork() -> bool:
    """Whether this platform forks safely, and hands open files from one process to another."""
    return hasattr(os, "fork") and hasattr(socket, "send_fds") and sys.platform != "darwin"


class Warm:
    """The other end: from any thread, has a warm pytest fork for a change, and waits for that."""

    def __init__(
        self,
        command: Iterable[str],
        environment: Mapping[str, str],
        scratch: Path,
        timeout: float | None,
    ) -> None:
        """Start it, and wait until it stands where the ladder is to be changed.

        Args:
            command: what starts a run.
            environment: that of a run.
            scratch: a folder for what is asked and answered.
            timeout: how many seconds to wait.

        Raises:
            CannotFork: it never does.
        """
        self._ours, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._count = 0
        self._scratch = scratch
        with theirs:
            self._process = subprocess.Popen(
                list(command),
                env={**environment, _CHANNEL: str(theirs.fileno())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._ours.settimeout(timeout)
        try:
            if self._ours.recv(1) == _READY:
                return
        except OSError:
            pass
        self.close()
        raise CannotFork

    def run(self, asked: Mapping[str, Any], timeout: float | None) -> tuple[int | None, str]:
        """Fork for what is asked; return the exit code, ``None`` after *timeout*, and its words.

        Raises:
            CannotFork: it could not.
        """
        ours, theirs = socket.socketpair()
        with ours:
            with theirs, self._lock:
                self._count += 1
                number = self._count
                _file(self._scratch, number, "json").write_text(json.dumps(asked), "utf-8")
                try:
                    socket.send_fds(self._ours, [_NUMBER.pack(number)], [theirs.fileno()])
                except OSError as error:
                    raise CannotFork from error
            process = _received(ours, None)
            if process is None:
                raise CannotFork
            try:
                code = _received(ours, timeout)
            except TimeoutError:
                end(process)
                return None, ""
            except BaseException:
                end(process)
                raise
        told = _file(self._scratch, number, "txt").read_text("utf-8", "replace")
        return (_CRASHED if code is None else code), told

    def close(self) -> None:
        """Have it end."""
        self._ours.close()
        end(self._process.pid)
        self._process.wait()


def end(process: int) -> None:
    """End a process that leads a session, with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process, signal.SIGKILL)
        else:
            os.kill(process, signal.SIGTERM)


_CHANNEL: Final = "LADDERPIPE_MUTATION_CHANNEL"
_answer: socket.socket | None = None
"""In a fork: where its exit code is told."""


def forked(config: pytest.Config, scratch: str, modules: Iterable[str]) -> dict[str, Any]:
    """Stand still, and fork for whatever is asked for; only the forks come back from here.

    Args:
        config: of the run that stands still.
        scratch: the folder in which it is told what is asked.
        modules: those of ours that the tests are going to import.

    Returns:
        What is asked of this fork.
    """
    global _answer
    channel = socket.socket(fileno=int(os.environ.pop(_CHANNEL)))
    channel.set_inheritable(False)
    for name in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    if threading.active_count() > 1:  # Whatever lock another thread holds, a fork would wait for.
        os._exit(1)
    capture = _Capture(config)
    capture.stop()
    gc.collect()
    gc.freeze()  # Or the first collection in each fork would copy every page.
    channel.sendall(_READY)
    number, _answer = _fork_for_each(channel)
    os.setsid()
    atexit._clear()  # What the run that stands still set up, it needs for the next one.
    _answer.sendall(_NUMBER.pack(os.getpid()))
    output = os.open(_file(Path(scratch), number, "txt"), os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    capture.start()
    asked: dict[str, Any] = json.loads(_file(Path(scratch), number, "json").read_text("utf-8"))
    return asked


def _fork_for_each(channel: socket.socket) -> tuple[int, socket.socket]:
    """Return, in each fork, its number and where it answers."""
    children: list[int] = []
    while True:
        told, files, _, _ = socket.recv_fds(channel, _NUMBER.size, 1)
        if not told:
            os._exit(0)
        answer = socket.socket(fileno=files[0])
        answer.set_inheritable(False)
        try:
            child = os.fork()
        except OSError:  # Too many processes, too little memory: the other end sees it closed.
            answer.close()
            continue
        if child == 0:
            channel.close()
            return _NUMBER.unpack(told)[0], answer
        answer.close()
        children = [each for each in children if os.waitpid(each, os.WNOHANG)[0] == 0]
        children.append(child)


def leave(code: int) -> None:
    """End a fork with its exit code; do nothing in any other process."""
    if _answer is None:
        return
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
        _answer.sendall(_NUMBER.pack(code))
    os._exit(code)


class _Capture:
    """What pytest captures of a run's output: forks must not write into one file."""

    def __init__(self, config: pytest.Config) -> None:
        self._manager: Any = config.pluginmanager.get_plugin("capturemanager")
        capturing = getattr(self._manager, "_global_capturing", None)
        self._was_on = capturing is not None
        self._was_started = capturing is not None and capturing.is_started()

    def stop(self) -> None:
        if self._was_on:
            self._manager.stop_global_capturing()

    def start(self) -> None:
        if self._was_on:
            self._manager.start_global_capturing()
            if not self._was_started:
                self._manager.suspend_global_capture()


def _received(of: socket.socket, timeout: float | None) -> int | None:
    """Return the next number, ``None`` when nobody is left to say one."""
    of.settimeout(timeout)
    try:
        told = of.recv(_NUMBER.size)
    except ConnectionError:
        return None
    return int(_NUMBER.unpack(told)[0]) if told else None


def _file(scratch: Path, number: int, kind: str) -> Path:
    return scratch / f"{number}.{kind}"
