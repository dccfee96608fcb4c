"""What commands print of a receipt: which moves were made, or why none."""

from __future__ import annotations

from ..model.move import Move
from ..model.receipt import Outcome, Receipt
from .printing import console, moment, printable, title_of, write_json

__all__ = ["show_receipt"]


def show_receipt(
    receipt: Receipt, named: str, done: str | None, language: str | None, json: bool
) -> None:
    """Tell what came of it.

    Args:
        done: what was done, where no move says it.
    """
    if json:
        write_json(receipt.to_dict())
        return
    lines = [_made(made, language) for made in receipt.moves]
    if receipt.outcome is Outcome.DUPLICATE:
        lines.append("told already; nothing changed")
    elif done is not None:
        deal = receipt.deal_or_none
        where = "not open" if deal is None else f"in {title_of(deal.stage, language)}"
        lines.append(f"{done}; {where}")
    lines += [told for told in (receipt.reason, receipt.undeclared) if told]
    for line in lines:
        console().print(printable(f"{named}: {line}"), soft_wrap=True)


def _made(made: Move, language: str | None) -> str:
    out_of = title_of(made.out_of, language) if made.out_of else "not open"
    timer = "" if made.event else f" (a timer, due {moment(made.at)} UTC)"
    return f"{out_of} → {title_of(made.into, language)}{timer}"
