"""(e) What ``import ladderpipe`` costs beside the import of what it stands on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .harness import Report, Row, compare

METHOD = """\
Each in a fresh interpreter, taking turns; the time inside the process around the import. All
modules of both sides were compiled before. The other side is `import attrs, transitions, sqlite3`
together.\
"""

OURS, THEIRS = "ladderpipe", "attrs, transitions, sqlite3"
PROGRAM = """
import time
start = time.perf_counter()
import {}
print(time.perf_counter() - start)
"""


def run(quick: bool, folder: Path) -> Report:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def importing(names: str) -> float:
        command = [sys.executable, "-c", PROGRAM.format(names)]
        return float(subprocess.check_output(command, env=environment))

    importing(OURS)
    importing(THEIRS)
    pair = compare(lambda: importing(OURS), lambda: importing(THEIRS), rounds=10 if quick else 40)
    row = Row(
        f"`import ladderpipe`, against `import {THEIRS}`",
        f"{pair.ours * 1e3:.0f} ms : {pair.theirs * 1e3:.0f} ms",
        1 / pair.speed,
        target=1.5,
        at_most=True,
    )
    return Report("Import", METHOD, [row])
