"""The shop's ladder, as the application and the worker use it."""

from decimal import Decimal

from ladderpipe import templates

CREDIT_LIMIT = Decimal(50_000)

ladder = templates.sales_management(language="en")


class CreditExceeded(Exception):
    pass


@ladder.move_into(ladder.stage("order_confirmed"))
def check_credit(ctx):
    if (ctx.deal.value or 0) > CREDIT_LIMIT:
        raise CreditExceeded(f"orders above {CREDIT_LIMIT} need a salesperson: give us a call")
