"""``demo``: a week of a shop in a file of its own, told on the terminal."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shlex
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import attrs
import typer
from rich.console import Console

from ..board.board import Board
from ..errors import StoreError
from ..model.clock import ManualClock
from ..pipeline import Pipeline
from .board import show_board
from .printing import console

__all__ = ["demo", "ladder"]

MARK: Final = 0x4C_44_44_4D
"""SQLite's ``application_id`` of a demo file: only such a file is overwritten."""

SENDER: Final = "shop@ladderpipe.example"
PIPED_WIDTH: Final = 100


def demo(
    path: Annotated[
        Path, typer.Option("--path", metavar="FILE", help="the SQLite file to play it in")
    ] = Path("ladderpipe-demo.db"),
    serve: Annotated[
        bool, typer.Option("--serve", help="show the board in a browser afterwards")
    ] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="for --serve")] = 8000,
) -> None:
    """Play a week of a B2B shop and tell what happens, in a minute of reading."""
    mails = path.with_suffix(".mbox")
    _make_room(path, mails)
    url = f"sqlite:///{quote(str(path))}"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {MARK}")
    from ..mail import FileMailbox
    from .demo_script import START
    from .demo_week import Week

    out = console(PIPED_WIDTH)
    _introduce(out)
    clock = ManualClock(START)
    with Board.open(ladder(), url, clock) as board:
        mailbox = FileMailbox(mails, sender=f"Demo shop <{SENDER}>", language="en", clock=clock)
        week = Week(board, clock, mailbox, out)
        week.play()
        out.print("\nSunday, 18:00: the board\n", style="bold")
        show_board(board, 3, None)
        tasks = board.task_page(due_by=clock.now(), limit=1).count
    out.print(
        f"\n{week.mails} mails went out, and no reminder to anybody who had ordered.\n"
        f"{tasks} tasks wait for Marta."
    )
    if serve:
        _serve(url, port)
    else:
        _suggest(out, url, mails)


@attrs.frozen
class _Onward:
    """Time that goes on from an instant as fast as the machine's."""

    since: dt.datetime
    started: float = attrs.field(factory=time.monotonic)

    def now(self) -> dt.datetime:
        return self.since + dt.timedelta(seconds=time.monotonic() - self.started)


def _serve(url: str, port: int) -> None:
    """Show the demo's board where its week ended: by today's clock its timers are long past."""
    from .demo_script import END
    from .serve import serve_boards

    with Board.open(ladder(), url, _Onward(END)) as board:
        serve_boards([board], port=port)


def ladder() -> Pipeline:
    """Return the demo's ladder, for ``--pipeline ladderpipe.cli.demo:ladder``."""
    from ..templates import sales_management

    return sales_management("en")


def _introduce(out: Console) -> None:
    out.print("A week in a B2B shop, in ten carts", style="bold")
    out.print(
        "Each cart is a deal on a ladder, and it is always on exactly one rung.\n"
        "What customers do, a 48-hour timer and a salesperson's hand move it."
    )


def _suggest(out: Console, url: str, mails: Path) -> None:
    program = _program()
    store = shlex.quote(url)
    out.print("\nTry next", style="bold")
    for what, command in (
        ("the board in your browser", f"{program} demo --serve"),
        ("why Ada's deal is where it is", f"{program} history {store} cart-1"),
        ("every decision about Elena's", f"{program} explain {store} cart-5"),
        ("its stages in Italian", f"{program} board {store} -l it --now 2026-01-11T18:00Z"),
        ("do the files tell the truth", f"{program} verify {store}"),
        ("look for mistakes in a ladder", f"{program} check ladderpipe.templates:sales_management"),
        ("the mails", f"less {shlex.quote(str(mails))}"),
        (
            "give Hugo's deal up by hand",
            f"{program} move {store} cart-8 lost --by You \\\n"
            f"      --set loss_reason=budget --pipeline ladderpipe.cli.demo:ladder",
        ),
    ):
        out.print(f"  {what}:", style="dim")
        out.print(f"    {command}", soft_wrap=True)


def _program() -> str:
    """Return what to type to run this program again."""
    if shutil.which("ladderpipe"):
        return "ladderpipe"
    script = Path(sys.argv[0])
    if script.name == "ladderpipe" and os.access(script, os.X_OK):
        return shlex.quote(_shown(script))
    return f"{shlex.quote(_shown(Path(sys.executable)))} -m ladderpipe.cli"


def _shown(path: Path) -> str:
    """Return a path as one would type it: relative if it lies below this folder."""
    with contextlib.suppress(ValueError):
        return str(path.absolute().relative_to(Path.cwd()))
    return str(path.absolute())


def _make_room(path: Path, mails: Path) -> None:
    """Remove what an earlier demo left, and nothing else.

    Raises:
        StoreError: there is another file in the way, or no folder to write in.
    """
    if not path.parent.is_dir():
        raise StoreError(f"there is no folder {path.parent}: make it, or choose another --path")
    if path.exists() and not _is_demo(path):
        raise _in_the_way(path)
    if mails.exists() and not mails.read_bytes()[:1000].startswith(f"From {SENDER} ".encode()):
        raise _in_the_way(mails)
    for left in (path, mails, *(Path(f"{path}{end}") for end in ("-wal", "-shm"))):
        left.unlink(missing_ok=True)


def _is_demo(path: Path) -> bool:
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as c:
            found: int = c.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.Error:
        return False
    return found == MARK


def _in_the_way(path: Path) -> StoreError:
    return StoreError(
        f"{path} is there already and no demo made it, so it is not overwritten: "
        "choose another file with --path"
    )
