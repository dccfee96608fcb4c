"""The shop's ladder, and the board on the database that the shop's own tables are in."""

import functools
from decimal import Decimal

from django.conf import settings

from ladderpipe import Board, templates
from ladderpipe.mail import FileMailbox

CREDIT_LIMIT = Decimal(50_000)

ladder = templates.sales_management(language="en")


class CreditExceeded(Exception):
    pass


@ladder.move_into(ladder.stage("order_confirmed"))
def check_credit(ctx):
    if ctx.deal.value > CREDIT_LIMIT:
        raise CreditExceeded(f"orders above {CREDIT_LIMIT} need a salesperson: give us a call")


@functools.cache
def the_board() -> Board:
    """Return this process's board; the first call opens it, since not every command needs one."""
    board = Board.open(ladder, settings.DATABASE_URL)
    mailbox = FileMailbox(settings.MAILBOX, sender="Shop <shop@example.com>", language="en")
    board.handle_effect("email", mailbox)
    return board
