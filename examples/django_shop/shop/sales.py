"""The shop's ladder, and who delivers its mails; `settings.LADDERPIPE` names both."""

from decimal import Decimal

from django.conf import settings

from ladderpipe import templates
from ladderpipe.mail import FileMailbox

CREDIT_LIMIT = Decimal(50_000)

ladder = templates.sales_management(language="en")
mailbox = FileMailbox(settings.MAILBOX, sender="Shop <shop@example.com>", language="en")


class CreditExceeded(Exception):
    pass


@ladder.move_into(ladder.stage("order_confirmed"))
def check_credit(ctx):
    if (ctx.deal.value or 0) > CREDIT_LIMIT:
        raise CreditExceeded(f"orders above {CREDIT_LIMIT} need a salesperson: give us a call")
