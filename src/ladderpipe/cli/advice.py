"""What messages advise, in commands: they are worded for who calls the library.

What no command does (``board.migrate``, ``board.forget``) stays as it is called in Python.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["as_commands"]

_COMMANDS: Final = {
    "explain": "ladderpipe explain URL DEAL",
    "held": "ladderpipe held list URL",
    "release": "ladderpipe held release URL KEY",
    "discard": "ladderpipe held discard URL KEY",
    "move": "ladderpipe move URL DEAL STAGE --by NAME",
    "override": "ladderpipe move URL DEAL STAGE --by NAME --override",
    "edit": "ladderpipe edit URL DEAL --by NAME",
    "undo": "ladderpipe undo URL DEAL --by NAME",
    "withdraw": "ladderpipe withdraw URL EVENT --by NAME",
    "tasks": "ladderpipe tasks URL",
    "assign": "ladderpipe assign URL TASK --by NAME",
    "tick": "ladderpipe worker URL --once",
    "verify": "ladderpipe verify URL",
    "health": "ladderpipe doctor URL",
}
_CALL: Final = re.compile(rf"\bboard\.({'|'.join(_COMMANDS)})\b(\([^()]*\))?(?! *=)")
_STALE: Final = re.compile(
    r" \(in Python Board\(stale_effects='expire'\)\)|Board\(stale_effects=\.\.\.\)"
)


def as_commands(message: str) -> str:
    """Return a message whose advice can be typed on the command line."""
    told = _STALE.sub(lambda found: "--stale-effects" if found[0][0] == "B" else "", message)
    return _CALL.sub(lambda found: _COMMANDS[found[1]], told)
