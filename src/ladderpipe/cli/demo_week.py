"""Plays the demo's script on a board with a manual clock, and tells what comes of it."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterator
from typing import Final

import attrs
from rich.console import Console
from rich.text import Text

from ..board.board import Board
from ..mail import FileMailbox
from ..model.clock import ManualClock
from ..model.deal import Deal
from ..model.delivery import EffectState
from ..model.effect import Delivery
from ..model.event import Event
from ..model.move import Move
from ..model.receipt import Outcome, Receipt
from .demo_script import CUSTOMERS, END, MAIL_DOWN, SCRIPT, Said, Scene
from .printing import STATUS_STYLES

__all__ = ["Week"]

WIDTH: Final = 80
INDENT: Final = " " * 17


@attrs.define
class Week:
    """One week of the shop.

    Attributes:
        visits: number of each deal's visit that was told last.
    """

    board: Board
    clock: ManualClock
    mailbox: FileMailbox
    out: Console
    mails: int = 0
    _visits: dict[str, int] = attrs.field(factory=dict)
    _day: dt.date | None = None

    def play(self) -> None:
        """Let the week pass."""
        self.board.handle_effect("email", self._send)
        for part in SCRIPT:
            self._work_until(part.at)
            if isinstance(part, Said):
                self._heading()
                self._lines(f"  {part.at:%H:%M}  ", part.says)
            else:
                self._happen(part)
            self._work()
        self._work_until(END)

    def _work_until(self, end: dt.datetime) -> None:
        """Sleep until something is due and do it, as a worker does, up to *end*."""
        while (wake := self._next_wake(end)) is not None:
            self.clock.set(wake)
            self._work()
        self.clock.set(end)

    def _next_wake(self, end: dt.datetime) -> dt.datetime | None:
        due = [deal.due_at for deal in self.board.deals() if deal.due_at is not None]
        due += [effect.due_at for effect in self.board.effects(states=[EffectState.PENDING])]
        return min((at for at in due if self.clock.now() < at < end), default=None)

    def _work(self) -> None:
        """Do what a worker does in every round: fire timers, deliver effects."""
        if self.board.tick().moves:
            for deal in self.board.deals():
                for move in self._news(deal):
                    self._tell_timer(deal, move)
        if not MAIL_DOWN[0] <= self.clock.now() < MAIL_DOWN[1]:
            self.board.deliver()

    def _news(self, deal: Deal) -> Iterator[Move]:
        told = self._visits.get(deal.id, 0)
        if deal.visit > told:
            self._visits[deal.id] = deal.visit
            yield from (m for m in self.board.history(deal.id).moves if m.n > told)

    # -- what happens -------------------------------------------------------------------------

    def _happen(self, scene: Scene) -> None:
        self._heading()
        self._lines(f"  {scene.at:%H:%M}  {scene.deal}  ", scene.says)
        waiting = self._waiting_reminders(scene.deal)
        if scene.by is not None and scene.into is not None:
            receipt = self.board.move(
                scene.deal, scene.into, by=scene.by, reason=scene.says, properties=scene.data
            )
        else:
            receipt = self.board.handle(_event(scene))
        self._tell_receipt(scene, receipt)
        if waiting and not self._waiting_reminders(scene.deal):
            self._lines(INDENT, "Reminders that were not sent yet are cancelled.", "dim")

    def _waiting_reminders(self, deal: str) -> bool:
        pending = self.board.effects(deal, states=[EffectState.PENDING])
        return any("reminder" in effect.payload["template"] for effect in pending)

    def _send(self, delivery: Delivery) -> None:
        message = self.mailbox.compose(delivery)
        self.mailbox.send(message)
        self.mails += 1
        self._heading()
        self._lines(
            f"  {self.clock.now():%H:%M}  {delivery.deal.id}  ",
            f"✉ mail to {message['To'].addresses[0].addr_spec}: {message['Subject']}",
            "magenta",
        )

    # -- how it is told -----------------------------------------------------------------------

    def _tell_receipt(self, scene: Scene, receipt: Receipt) -> None:
        deal = receipt.deal
        self._visits[deal.id] = deal.visit
        if receipt.outcome in (Outcome.STAYED, Outcome.DUPLICATE):
            self._arrow("=", deal, scene.because)
        else:
            self._arrow("→", deal, scene.because)

    def _tell_timer(self, deal: Deal, move: Move) -> None:
        self._heading()
        name = deal.contact["name"].split()[0]
        self._lines(f"  {move.at:%H:%M}  {deal.id}  ", f"{name}'s cart has not moved for 48 hours")
        mailed = "email" in deal.contact
        self._arrow("→", deal, "a timer" if mailed else "a timer; no mail, but a task for Marta")

    def _arrow(self, sign: str, deal: Deal, because: str) -> None:
        style = f"bold {STATUS_STYLES[deal.status]}"
        stage = Text(f"{INDENT}{sign} {deal.stage.title}", style=style)
        first, *rest = textwrap.wrap(f": {because}", WIDTH - len(stage)) or [""]
        self.out.print(Text.assemble(stage, first), soft_wrap=True)
        for line in rest:
            self.out.print(f"{INDENT}  {line}", soft_wrap=True)

    def _heading(self) -> None:
        today = self.clock.now().date()
        if today != self._day:
            self._day = today
            self.out.print(f"\n{today:%A} {today.day} {today:%B}", style="bold")

    def _lines(self, start: str, text: str, style: str = "") -> None:
        wrapped = textwrap.wrap(text, WIDTH - len(start))
        self.out.print(f"{start}{wrapped[0]}", style=style, soft_wrap=True)
        for line in wrapped[1:]:
            self.out.print(f"{' ' * len(start)}{line}", style=style, soft_wrap=True)


def _event(scene: Scene) -> Event:
    """Return what the shop's webhook says; a repeated delivery has the same identity."""
    happened_at = scene.happened_at or scene.at
    return Event(
        scene.type,
        deal=scene.deal,
        id=f"{scene.deal}@{happened_at:%d-%H%M}",
        at=happened_at,
        source="shop",
        data={**CUSTOMERS[scene.deal], **scene.data},
    )
