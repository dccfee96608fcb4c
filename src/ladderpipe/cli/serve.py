"""``serve``: the board in a browser, for one machine or, with a token, for a few colleagues."""

from __future__ import annotations

import contextlib
import getpass
import ipaddress
import re
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import typer

from ..board.board import Board
from ..extras import how_to_install
from ..model.deal import Deal
from .loading import called, existing_store, imported, loaded_pipeline
from .options import Allow, Definitions, Url

__all__ = ["serve", "serve_boards"]

TOKEN_VARIABLE: Final = "LADDERPIPE_TOKEN"
HOST: Final = "127.0.0.1"
PORT: Final = 8000


def serve(
    pipelines: Definitions,
    url: Url,
    host: Annotated[
        str, typer.Option("--host", help="another address than this machine's own takes --token")
    ] = HOST,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 for one that is free")
    ] = PORT,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", envvar=TOKEN_VARIABLE, help="who opens the address with it is let in"
        ),
    ] = None,
    language: Annotated[
        Literal["it", "en"] | None,
        typer.Option("--language", "-l", help="of the pages; the pipeline's own when left out"),
    ] = None,
    handlers: Annotated[
        str | None,
        typer.Option(
            "--handlers", metavar="MODULE:NAME", help="called with the board, to register handlers"
        ),
    ] = None,
    allow: Allow = None,
) -> None:
    """Show the board in a browser, with a worker beside it, until Ctrl-C.

    Several pipelines of the store are shown side by side. The history tells what is done there by
    the name of whoever runs this.
    """
    if token is None and not _is_here(host):
        raise typer.BadParameter(
            f"{host} can be reached by others: pass --token, or set {TOKEN_VARIABLE}",
            param_hint="--host",
        )
    with existing_store(url) as store:
        loaded = [loaded_pipeline(each, allow) for each in pipelines]
        names = [each.name for each in loaded]
        if len(set(names)) < len(names):
            raise typer.BadParameter(
                f"a pipeline is named twice: {', '.join(map(repr, names))}", param_hint="PIPELINE"
            )
        boards = [Board(each, store=store) for each in loaded]
        if handlers is not None:
            function = imported(handlers)
            for board in boards:
                called(handlers, function, board)
        serve_boards(boards, host=host, port=port, token=token, language=language)


def serve_boards(
    boards: Sequence[Board],
    *,
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    language: str | None = None,
) -> None:
    """Serve boards, with a worker beside each, until SIGINT or SIGTERM.

    Raises:
        OSError: nothing can be served at that address.
        ModuleNotFoundError: the extra ``serve`` is not installed.
    """
    try:
        import uvicorn
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"a board is served by uvicorn: {how_to_install('serve')}", name=error.name
        ) from error
    application = _application(boards, host, token, language)
    with contextlib.closing(socket.create_server((host, port), family=_family(host))) as listening:
        bound = listening.getsockname()[1]
        query = "" if token is None else f"?token={token}"
        typer.echo(f"The board is at http://{_in_address(host)}:{bound}/{query} (Ctrl-C stops it)")
        settings = uvicorn.Config(application, log_level="warning", server_header=False)
        with contextlib.ExitStack() as working:
            for board in boards:
                working.enter_context(_working(board))
            uvicorn.Server(settings).run(sockets=[listening])


def _application(
    boards: Sequence[Board], host: str, token: str | None, language: str | None
) -> Any:
    from ..web import Access, Action, BoardApp, User
    from ..web.app import TAKEN
    from ..web.gate import Probes, TokenGate, only_under

    class Everything(Access):
        """Whoever runs this program may do with the board what it can do."""

        def may(self, user: User, action: Action, deal: Deal | None) -> bool:
            return True

    name = _name()
    application = BoardApp(
        boards[0] if len(boards) == 1 else _by_name(boards, TAKEN),
        user=lambda request: User(name),
        access=Everything(),
        language=language,
    )
    if token is not None:
        gate: Any = TokenGate(application, token)
    else:
        own = [_in_address(host), "localhost", "127.0.0.1", "[::1]"]
        gate = only_under(application, own)
    return Probes(gate, lambda: _answers(boards[0]))


def _answers(board: Board) -> bool:
    """Whether the store of a board answers."""
    try:
        board.page(limit=1)
    except Exception:  # a probe is told that it does not; the pages say and log why
        return False
    return True


def _by_name(boards: Iterable[Board], taken: Iterable[str]) -> Mapping[str, Board]:
    """Return boards by what their addresses call them: their pipelines, as far as it can be read.

    Args:
        taken: what no board can be called.
    """
    found: dict[str, Board] = {}
    for board in boards:
        plain = re.sub("[^A-Za-z0-9._-]+", "-", board.pipeline.name).strip("-._") or "pipeline"
        number, name = 1, plain
        while name in found or name in taken:
            number += 1
            name = f"{plain}-{number}"
        found[name] = board
    return found


@contextlib.contextmanager
def _working(board: Board) -> Iterator[None]:
    stop = threading.Event()
    worker = threading.Thread(target=board.run, kwargs={"stop": stop}, name="worker")
    worker.start()
    before = signal.getsignal(signal.SIGTERM)
    # uvicorn raises what it was stopped by again, once it has stopped.
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        stop.set()
        worker.join()


def _leave(number: int, frame: object) -> None:
    raise typer.Exit


def _is_here(host: str) -> bool:
    """Whether an address is this machine's own, which nobody else can reach."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "operator"
