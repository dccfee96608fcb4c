"""(e) What beginning costs: the import, a first board and its first event, the program's help."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .harness import Report, Row, compare

METHOD = """\
Each in a fresh interpreter, taking turns; processor time inside the process, around what is named.
All modules of both sides were compiled before. The other side is `import attrs, transitions,
sqlite3` together. Names are loaded when they are first asked for: `import ladderpipe` alone loads
none, and the first event all that it needs, on a new SQLite file.\
"""

THEIRS = "import attrs, transitions, sqlite3"
OURS = "import ladderpipe"
FOLDING = """
from ladderpipe import ANY, Event, Pipeline, Stage, on
from ladderpipe.guards import cart_has_items
"""
FIRST_EVENT = """
from ladderpipe import ANY, Event, Pipeline, Stage, on
from ladderpipe.guards import cart_has_items
from ladderpipe import Board, ManualClock
quote, won = Stage("quote"), Stage("won", status="won")
shop = Pipeline("shop", stages=[quote, won], rules=[
    on("order.confirmed", into=won, out_of=ANY, opens=True),
    on("cart.item_added", into=quote, when=cart_has_items, opens=True),
])
board = Board.open(shop, "sqlite:///FILE", clock=ManualClock("2026-01-05T09:00:00Z"))
line = {"sku": "NB-15", "title": "Notebook", "quantity": 2, "unit_price": "899.00"}
board.handle(
    Event("cart.item_added", deal="d", id="e", at=board.clock.now(), data={"line": line})
)
assert board.deal("d").stage == quote
"""
HELP = """
import contextlib, io
from ladderpipe.cli import main
sys.argv = ["ladderpipe", "--help"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""
PROGRAM = """
import sys, time
start = time.process_time()
{}
print(time.process_time() - start)
"""
AT_MOST = 0.06
"""Seconds until a first event is handled."""


def run(quick: bool, folder: Path) -> Report:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    files = (folder / f"{number}.db" for number in range(1_000_000))

    def spent_on(code: str) -> float:
        code = code.replace("FILE", str(next(files)))
        program = PROGRAM.format(code)
        return float(subprocess.check_output([sys.executable, "-c", program], env=environment))

    rows = []
    for code, what, target in (
        (OURS, f"`{OURS}`", 1.3),
        (FOLDING, "what folds: pipelines, events, guards", None),
        (FIRST_EVENT, "a first board and its first `handle`, imports included", None),
        (HELP, "`ladderpipe --help`", None),
    ):
        spent_on(code)
        pair = compare(
            lambda code=code: spent_on(code),
            lambda: spent_on(THEIRS),
            rounds=10 if quick else 40,
        )
        ours, theirs = f"{pair.ours * 1e3:.0f} ms", f"{pair.theirs * 1e3:.0f} ms"
        rows.append(
            Row(
                f"{what}, against `{THEIRS}`",
                f"{ours} : {theirs}",
                1 / pair.speed,
                target,
                at_most=True,
            )
        )
        if code is FIRST_EVENT:
            rows.append(
                Row(
                    f"the same, against {AT_MOST * 1e3:.0f} ms",
                    ours,
                    pair.ours / AT_MOST,
                    target=1,
                    at_most=True,
                    absolute=True,
                )
            )
    return Report("Import", METHOD, rows)
