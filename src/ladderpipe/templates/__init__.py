"""Ready ladders to start from: each function returns a new pipeline, to use as it is or to extend.

| function | ladder |
|---|---|
| `sales_management` | a B2B shop's carts, from the quote request to the order |
| `new_to_won` | New Opportunity, Contacting, Working, Won, Lost |
| `kanban` | a board that people drag cards on, from new contact to customer acquired |
| `crm_default` | New, Under review, Demo scheduled, … Won, Lost: what a CRM comes with |
| `prospecting` | the six phases of selling, from lead generation to closing the deal |

Each is a definition file in TOML: `text` returns it, `ladderpipe template` writes it out, to begin
a ladder of your own from. Every title is in Italian and English; `language="en"` puts English
first, and writes the tasks for salespeople in it. What a ladder asks for are the effects `email`
(by the hooks `Notice` and `Reminder`; see `ladderpipe.mail`) and `task` (see `Board.tasks`). A
pipeline that no board is bound to yet takes more hooks:

    ladder = sales_management()


    @ladder.move_into(ladder.stage("order_confirmed"))
    def tell_the_warehouse(ctx):
        ctx.do("warehouse", order=ctx.deal.id)
"""

from ..public import publish
from .hooks import Notice, Reminder
from .ladders import (
    crm_default,
    kanban,
    names,
    new_to_won,
    prospecting,
    sales_management,
    text,
)

__all__ = [
    "Notice",
    "Reminder",
    "crm_default",
    "kanban",
    "names",
    "new_to_won",
    "prospecting",
    "sales_management",
    "text",
]

publish(__name__, *(globals()[name] for name in __all__))
