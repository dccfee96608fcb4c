"""The hooks of the ready ladders: asking for a mail, only where one may be sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..ladder.plain import Part

if TYPE_CHECKING:
    from ..model.hook import HookContext

__all__ = ["Notice", "Reminder"]

FRESH: Final = dt.timedelta(days=3)
"""How late news may be and still be news."""
WORTH_A_REMINDER: Final = dt.timedelta(days=30)
"""How late a reminder may be: a cart that nobody looked at for weeks can still be bought."""


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(Part("", given).texts())


def _delay(given: dt.timedelta | Mapping[str, Any]) -> dt.timedelta:
    return given if isinstance(given, dt.timedelta) else Part("wait", given).delay()


@attrs.frozen
class Notice:
    """A hook that asks for a mail about what has just happened.

    It is sent even if the deal moves on at once. A contact whose e-mail address is not known yet
    gets it when an event tells that.

    Args:
        template: name of the mail, see :class:`~ladderpipe.mail.MailTemplates`.
        on: only when an event of this type, or of one of these, moved the deal.
        requires: only when these properties are filled.
    """

    template: str = attrs.field(validator=attrs.validators.instance_of(str))
    on: tuple[str, ...] = attrs.field(default=(), converter=_names)
    requires: tuple[str, ...] = attrs.field(default=(), converter=_names)

    def __call__(self, ctx: HookContext) -> None:
        """Ask for the mail, if all of this holds."""
        if self.on and (ctx.event is None or ctx.event.type not in self.on):
            return
        if all(map(ctx.deal.properties.get, self.requires)):
            ctx.do(
                "email",
                template=self.template,
                to="customer",
                purpose="transactional",
                expires=FRESH,
                run_to_completion=True,
            )


@attrs.frozen
class Reminder:
    """A hook that asks for a reminder, which is dropped when the deal moves on before it is due.

    A contact whose e-mail address is not known yet gets it when an event tells that; one with
    ``"unsubscribed": true`` gets none.

    Args:
        template: name of the mail, see :class:`~ladderpipe.mail.MailTemplates`.
        wait: how long after the move; in a file ``{days = 3}``.
    """

    template: str = attrs.field(validator=attrs.validators.instance_of(str))
    wait: dt.timedelta = attrs.field(default=dt.timedelta(), converter=_delay, repr=str)

    def __call__(self, ctx: HookContext) -> None:
        """Ask for the reminder, if the contact may be reminded."""
        if not ctx.deal.contact.get("unsubscribed"):
            ctx.do(
                "email",
                template=self.template,
                to="customer",
                wait=self.wait,
                expires=WORTH_A_REMINDER,
            )
