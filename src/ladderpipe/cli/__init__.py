"""The command line, ``ladderpipe``. Needs the extra ``cli`` (typer, rich and Babel)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..extras import how_to_install
from .commands import is_of_the_extra

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    The code is 0 when all is well, 1 when something failed or was found, 2 for arguments that
    make no sense, 130 after Ctrl-C and 141 when nobody reads the output any more.

    Args:
        arguments: what follows the program's name; the process's own when left out.
    """
    try:
        from .app import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except ModuleNotFoundError as error:
        if not is_of_the_extra(error):
            raise
        sys.stderr.write(
            f"ladderpipe: the command line needs {error.name}, which is not installed: "
            f"{how_to_install('cli')}\n"
        )
        return 1
