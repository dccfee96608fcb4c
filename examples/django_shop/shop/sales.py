"""The shop's ladder, and the board on the database that the shop's own tables are in."""

import functools
from decimal import Decimal
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import connection

from ladderpipe import Board, templates
from ladderpipe.mail import FileMailbox

CREDIT_LIMIT = Decimal(50_000)

ladder = templates.sales_management(language="en")


class CreditExceeded(Exception):
    pass


@ladder.move_into(ladder.stage("order_confirmed"))
def check_credit(ctx):
    if (ctx.deal.value or 0) > CREDIT_LIMIT:
        raise CreditExceeded(f"orders above {CREDIT_LIMIT} need a salesperson: give us a call")


def board_url() -> str:
    """Return the address of the database that Django uses now: in its tests, that is another."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    parts = {name.lower(): found[name] for name in ("HOST", "PORT", "PASSWORD") if found[name]}
    return f"postgresql://{quote(found['USER'])}@/{quote(found['NAME'])}?{urlencode(parts)}"


@functools.cache
def the_board() -> Board:
    """Return this process's board; the first call opens it, since not every command needs one."""
    board = Board.open(ladder, board_url())
    mailbox = FileMailbox(settings.MAILBOX, sender="Shop <shop@example.com>", language="en")
    board.handle_effect("email", mailbox)
    return board
