"""Hooks that several ladders share, and asking for a mail only where one may be sent."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model.hook import HookContext

__all__ = [
    "answer_the_lead",
    "ask_for_mail",
    "ask_for_reminder",
    "confirm_the_demo",
    "welcome_the_customer",
]

FRESH = dt.timedelta(days=3)
"""How late a mail may be and still make sense."""


def ask_for_mail(ctx: HookContext, template: str) -> None:
    """Ask for a mail about what has just happened; it is sent even if the deal moves on at once.

    A contact without an e-mail address gets none.
    """
    if ctx.deal.contact.get("email"):
        ctx.do("email", template=template, expires=FRESH, run_to_completion=True)


def ask_for_reminder(ctx: HookContext, template: str, wait: dt.timedelta | None = None) -> None:
    """Ask for a reminder, which is dropped when the deal moves on before it is due.

    A contact without an e-mail address gets none, nor one with ``"unsubscribed": true``.
    """
    contact = ctx.deal.contact
    if contact.get("email") and not contact.get("unsubscribed"):
        ctx.do("email", template=template, wait=wait, expires=FRESH)


def answer_the_lead(ctx: HookContext) -> None:
    """Say that the request has arrived, to those who sent one: not for a deal made by hand."""
    if ctx.event is not None and ctx.event.type == "lead.created":
        ask_for_mail(ctx, "lead-welcome")


def confirm_the_demo(ctx: HookContext) -> None:
    """Confirm the demo, if it has a date: the property ``demo_at``."""
    if ctx.deal.properties.get("demo_at"):
        ask_for_mail(ctx, "demo-confirmation")


def welcome_the_customer(ctx: HookContext) -> None:
    """Thank a new customer."""
    ask_for_mail(ctx, "customer-welcome")
