"""The ready ladders: definition files beside this module, and a function for each."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Final, Literal, get_args

from ..errors import DefinitionError
from ..ladder.plain import nearest
from ..pipeline import Pipeline

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = [
    "crm_default",
    "kanban",
    "names",
    "new_to_won",
    "prospecting",
    "sales_management",
    "text",
]

Language = Literal["it", "en"]

_HEAD: Final = """\
# Begun from ladderpipe's "{name}". Change what you like, then look for mistakes with
#     ladderpipe check FILE.toml
# In Python, ladderpipe.load("FILE.toml") returns this ladder.
#
# A deal stands on one stage at a time. A rule moves it: "on" an event that your program tells,
# "after" some time, or "by_hand". Rules are tried from the top; the first that matches wins. A rule
# leaves the stages in its "out_of"; without one, every stage that is not won, lost or merged.
# "opens" means that it may begin a deal. A stage's "probability" is that of winning from there;
# "requires" names properties without which no deal enters; a "sequence" begins on entering and ends
# on leaving. Of a title's languages the first is shown, and written in tasks.
#
# Hooks ask for mails. A Notice goes out at once, even if the deal moves on. A Reminder waits, is
# dropped when the deal moves on before it is due, and spares whoever has unsubscribed. "send" is
# the policy that is asked before a reminder goes out: how many a person gets, and when. The mails
# themselves, in Italian and English, come with ladderpipe.mail under the names in "template".
# NAME.jinja in it/ or en/ of a folder of your own replaces or adds one:
#     ladderpipe worker URL --templates FOLDER

"""

_TEXT: Final = r'"(?:[^"\\]|\\.)*"'
_BOTH: Final = re.compile(rf"\{{ it = ({_TEXT}), en = ({_TEXT}) \}}")


def names() -> list[str]:
    """Return the names of the ready ladders, which their functions here have too."""
    files = (file.name for file in _folder().iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def text(name: str, language: Language = "it") -> str:
    """Return a ready ladder as a definition file in TOML, with comments, to begin one's own from.

    Args:
        name: one of :func:`names`.
        language: which titles come first, and what the tasks for salespeople are written in.

    Raises:
        DefinitionError: there is no such ladder, or it is not in that language.
    """
    if name not in names():
        raise DefinitionError(f"no ready ladder is called {name!r}{nearest(name, names())}")
    if language not in get_args(Language):
        raise DefinitionError(
            f"language={language!r}: the ladders speak {' and '.join(get_args(Language))};"
            " copy one to write it in another"
        )
    written = (_folder() / f"{name}.toml").read_text("utf-8")
    if language == "en":
        written = _BOTH.sub(r"{ en = \2, it = \1 }", written)
    return _HEAD.format(name=name) + written


def _folder() -> Traversable:
    from importlib import resources  # takes longer than all the rest of this module

    return resources.files(__package__)


def _ladder(name: str, language: Language) -> Pipeline:
    return Pipeline.from_dict(tomllib.loads(text(name, language)))


def sales_management(language: Language = "it") -> Pipeline:
    """Return the ladder of a shop whose customers fill carts and whose salespeople help.

    It is driven by the standard events. A cart with items that stands for 48 hours as a quote or at
    the checkout is abandoned; a filled cart that is touched again comes back. A payment that fails
    leads back to the review, also from a confirmed order, and an order that is cancelled makes the
    cart an open one again. An order whose money went back is ``refunded``; after a part of it the
    deal stays won, and is worth what is left. A cart that is joined into another one
    (``cart.merged``) is ``cart_merged``: neither won nor lost, and nobody is reminded of it.
    ``lost`` is entered by hand and needs the property ``loss_reason``; a confirmed order brings a
    deal back even from there.

    Customers with an e-mail address are written to when a cart is saved (and three days later),
    when it is abandoned (and three days later) and when the order is confirmed. An
    ``order_number`` among the properties is told in the thanks. Its send policy spares them: no
    reminder to those who have bought or want none, one a person in 16 hours and three in 30 days,
    none from 21 to 8 o'clock (Europe/Rome, where the contact has no ``zone``). The thanks go out at
    once.
    """
    return _ladder("sales_management", language)


def new_to_won(language: Language = "it") -> Pipeline:
    """Return the ladder on which a lead is called, worked on, and won or lost.

    Two weeks in ``working`` without any event lead back to ``contacting``: a rung down, with the
    calls and the follow-up mail of that stage, and none of this one's. People may move deals
    among the open stages, close them, and take them up again from ``lost``.
    """
    return _ladder("new_to_won", language)


def kanban(language: Language = "it") -> Pipeline:
    """Return a board on which people drag cards to any column, from any column.

    A proposal without any event for 30 days goes back to ``worked_by_phone``, and to the task of
    that column. There is no column for what comes to nothing; add one with
    :meth:`~ladderpipe.Pipeline.extended` where it is needed.
    """
    return _ladder("kanban", language)


def crm_default(language: Language = "it") -> Pipeline:
    """Return the ladder that most teams begin with before they make their own.

    A commitment or a negotiation without any event for 30 days falls back to ``verification``: it
    is not worth a proposal's probability in a forecast any more. People may move deals among the
    open stages, close them, and take them up again from ``lost`` into ``verification``. Who loses
    a deal says why, in the property ``loss_reason``.
    """
    return _ladder("crm_default", language)


def prospecting(language: Language = "it") -> Pipeline:
    """Return the ladder of salespeople who look for their customers themselves.

    A lead is qualified when the properties ``budget``, ``authority``, ``need`` and ``timing`` are
    filled. A negotiation leads down from ``closing`` as well: closing begins again once it is
    settled. Three weeks of ``nurturing`` without any event lead back to ``prospecting``. People
    may move deals among the phases, close them, and take them up again from ``lost`` into
    ``prospecting``.
    """
    return _ladder("prospecting", language)
