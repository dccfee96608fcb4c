"""What messages advise, in commands: they are worded for who calls the library."""

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
    "options": "ladderpipe options URL DEAL",
    "tasks": "ladderpipe tasks URL",
    "complete": "ladderpipe done URL TASK",
    "assign": "ladderpipe assign URL TASK --by NAME",
    "effects": "ladderpipe effects URL",
    "dead_letters": "ladderpipe dead-letters list URL",
    "send_again": "ladderpipe dead-letters send-again URL KEY",
    "drop": "ladderpipe dead-letters drop URL KEY --by NAME --reason TEXT",
    "tick": "ladderpipe worker URL --once",
    "verify": "ladderpipe verify URL",
    "extend_chain": "ladderpipe chain URL --extend",
    "health": "ladderpipe doctor URL",
    "forget": "ladderpipe forget URL FIELD=VALUE",
}
_CALL: Final = re.compile(rf"\bboard\.({'|'.join(_COMMANDS)})\b(\([^()]*\))?(?! *=)")
_ELSEWHERE: Final = {
    r" \(in Python Board\(stale_effects='expire'\)\)": "",
    r"Board\(stale_effects=\.\.\.\)": "--stale-effects",
}
"""What is said otherwise on the command line, besides what calls become."""


def as_commands(message: str) -> str:
    """Return a message whose advice can be typed on the command line."""
    from ..board.migration_text import as_typed

    message = as_typed(message, "ladderpipe migrate URL --pipeline PIPELINE")
    for said, told in _ELSEWHERE.items():
        message = re.sub(said, told, message)
    return _CALL.sub(lambda found: _COMMANDS[found[1]], message)
