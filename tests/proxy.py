"""A TCP proxy in front of a database server that loses what it is told to lose.

It reads the protocol as far as it has to in order to know a ``COMMIT`` of a transaction that
writes, and the server's answer to it: PostgreSQL's
(https://www.postgresql.org/docs/current/protocol.html) and MariaDB's
(https://mariadb.com/kb/en/clientserver-protocol/).
"""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import attrs

__all__ = ["Fault", "Proxy"]

_CHUNK: Final = 65536
_CONNECTIONS: Final = 32


class Fault(enum.Enum):
    """What becomes of a commit; the connection is cut in both cases."""

    COMMIT_LOST = "the server never sees it"
    REPLY_LOST = "the server has committed and the client is not told"


@attrs.define
class _Plan:
    """What is to be lost next.

    Attributes:
        pass_first: how many commits are let through before.
        bytes_left: how many more bytes pass in that direction before the connection is cut.
    """

    fault: Fault | None = None
    pass_first: int = 0
    direction: str | None = None
    bytes_left: int = 0


class Proxy:
    """Takes connections on a port of this machine and passes them on to a server's socket.

    Args:
        url: of a database on that server, reached through a Unix socket.

    Attributes:
        cuts: how many connections were cut so far.
    """

    def __init__(self, url: str) -> None:
        base, _, query = url.partition("?")
        self.is_mariadb = url.startswith("mariadb:")
        named = parse_qs(query)
        self._server = (
            named["socket"][0] if self.is_mariadb else str(Path(named["host"][0]) / ".s.PGSQL.5432")
        )
        self._database = base.rpartition("/")[2]
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_CONNECTIONS)
        self._lock = threading.Lock()
        self._plan = _Plan()
        self._flowing = threading.Event()
        self._flowing.set()
        self._links: list[_Link] = []
        self.cuts = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where clients find the database; without encryption, which would hide the commits."""
        host, port = self._listener.getsockname()
        if self.is_mariadb:
            return f"mariadb://root@{host}:{port}/{self._database}?"
        return (
            f"postgresql://postgres@{host}:{port}/{self._database}"
            "?sslmode=disable&gssencmode=disable"
        )

    def lose(self, fault: Fault, pass_first: int = 0) -> None:
        """Lose one commit, after letting some through."""
        with self._lock:
            self._plan = _Plan(fault, pass_first)

    def cut_after(self, size: int, direction: str) -> None:
        """Cut the connection on which the so many-th byte travels ``up`` or ``down`` from now."""
        with self._lock:
            self._plan = _Plan(direction=direction, bytes_left=size)

    def be_good(self) -> None:
        """Lose nothing any more."""
        with self._lock:
            self._plan = _Plan()

    @contextlib.contextmanager
    def partition(self) -> Iterator[None]:
        """Let nothing through in either direction while the block runs, and cut nothing."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    def close(self) -> None:
        """Cut everything and listen no more."""
        self._flowing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for link in self._links:
            link.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._server)
            except OSError:
                client.close()
                server.close()
                continue
            self._forget_ended()
            self._links.append(_Link(self, client, server))

    def _forget_ended(self) -> None:
        ended = [link for link in self._links if not link.is_open]
        for link in ended:
            link.close()
            self._links.remove(link)

    # -- what the links ask -------------------------------------------------------------------

    def wait_until_flowing(self) -> None:
        """Return once the network is whole."""
        self._flowing.wait()

    def fault_of_commit(self) -> Fault | None:
        """Return what is to become of the commit that is just being sent."""
        with self._lock:
            plan = self._plan
            if plan.fault is None:
                return None
            if plan.pass_first:
                plan.pass_first -= 1
                return None
            self._plan = _Plan()
            return plan.fault

    def allowance(self, direction: str, size: int) -> int:
        """Return how many of so many bytes may pass; fewer mean that the connection is cut."""
        with self._lock:
            plan = self._plan
            if plan.direction != direction:
                return size
            allowed = min(size, plan.bytes_left)
            plan.bytes_left -= allowed
            if allowed < size:
                self._plan = _Plan()
            return allowed

    def count_cut(self) -> None:
        """Note that a connection was cut."""
        with self._lock:
            self.cuts += 1


class _Link:
    """One connection from a client to the server, a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._speaks: _Postgres | _Mariadb = _Mariadb() if proxy.is_mariadb else _Postgres()
        self._swallows = False
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._up, self._down)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_open(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """End both directions, and wait until they have."""
        self._hang_up()
        for thread in self._threads:
            thread.join()
        self._client.close()
        self._server.close()

    def _hang_up(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _cut(self) -> None:
        self._hang_up()
        self._proxy.count_cut()

    def _pass(self, direction: str, target: socket.socket, data: bytes) -> bool:
        """Send *data* on; return whether the connection still stands."""
        self._proxy.wait_until_flowing()
        allowed = self._proxy.allowance(direction, len(data))
        target.sendall(data[:allowed])
        if allowed < len(data):
            self._cut()
            return False
        return True

    def _up(self) -> None:
        with contextlib.suppress(OSError):
            for told in self._speaks.messages(self._client, begins_untyped=True):
                if self._speaks.is_commit(told):
                    fault = self._proxy.fault_of_commit()
                    if fault is Fault.COMMIT_LOST:
                        # The client hears of it last. Until the server has seen its end, it holds
                        # the locks, and whoever tries again would pass over those rows.
                        self._proxy.count_cut()
                        self._server.shutdown(socket.SHUT_WR)
                        self._threads[1].join()
                        return
                    self._swallows = fault is Fault.REPLY_LOST
                if not self._pass("up", self._server, told.raw):
                    return
        self._hang_up()

    def _down(self) -> None:
        with contextlib.suppress(OSError):
            for told in self._speaks.messages(self._server):
                if self._swallows:
                    if self._speaks.says_committed(told):
                        self._cut()
                        return
                elif not self._pass("down", self._client, told.raw):
                    return
        self._hang_up()


@attrs.frozen
class _Message:
    """One message: its type, what it says, and all of its bytes."""

    kind: bytes
    body: bytes
    raw: bytes


class _Postgres:
    """What PostgreSQL and its clients say; a client's first message has no type."""

    def __init__(self) -> None:
        self._statements: dict[bytes, bytes] = {}
        self._writes = False

    def messages(self, source: socket.socket, begins_untyped: bool = False) -> Iterator[_Message]:
        """Yield every message."""
        buffer = b""
        typed = not begins_untyped
        while chunk := source.recv(_CHUNK):
            buffer += chunk
            while len(buffer) >= 4 + typed:
                end = typed + int.from_bytes(buffer[typed : typed + 4], "big")
                if len(buffer) < end:
                    break
                raw, buffer = buffer[:end], buffer[end:]
                yield _Message(raw[:typed], raw[typed + 4 :], raw)
                typed = True

    def is_commit(self, told: _Message) -> bool:
        """Return whether a client's message commits a transaction that writes."""
        if told.kind == b"P":
            name, text, _ = told.body.split(b"\0", 2)
            self._statements[name] = text
            return False
        if told.kind == b"Q":
            text = told.body.rstrip(b"\0")
        elif told.kind == b"B":
            text = self._statements.get(told.body.split(b"\0", 2)[1], b"")
        else:
            return False
        if text.startswith(b"BEGIN"):
            self._writes = b"READ ONLY" not in text
        return self._writes and text == b"COMMIT"

    def says_committed(self, told: _Message) -> bool:
        """Return whether a server's message answers a commit."""
        return told.kind == b"C" and told.body == b"COMMIT\0"


class _Mariadb:
    """What MariaDB and its clients say: packets with their length and a number."""

    def __init__(self) -> None:
        self._writes = False

    def messages(self, source: socket.socket, begins_untyped: bool = False) -> Iterator[_Message]:
        """Yield every message."""
        buffer = b""
        while chunk := source.recv(_CHUNK):
            buffer += chunk
            while len(buffer) >= 4:
                end = 4 + int.from_bytes(buffer[:3], "little")
                if len(buffer) < end:
                    break
                raw, buffer = buffer[:end], buffer[end:]
                yield _Message(raw[4:5], raw[5:], raw)

    def is_commit(self, told: _Message) -> bool:
        """Return whether a client's message commits a transaction that writes."""
        if told.kind != b"\x03":
            return False
        if told.body.startswith(b"START TRANSACTION"):
            self._writes = b"READ ONLY" not in told.body
        return self._writes and told.body == b"COMMIT"

    def says_committed(self, told: _Message) -> bool:
        """Return whether a server's message answers a commit: nothing else is under way."""
        return True
