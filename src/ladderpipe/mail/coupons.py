"""Coupons in mails: asked for once for each step, revoked when the deal leaves the stage.

The code is kept with the effect that asked for it, before the mail goes out: whoever takes the mail
over after a crash finds it there.
"""

from __future__ import annotations

import datetime as dt
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..board.board import Board
from ..board.outbox import annotate
from ..board.plain import plain_board
from ..errors import DefinitionError
from ..model.deal import Deal
from ..model.delivery import EffectState
from ..model.effect import Delivery, Drop, Effect, Handler, Later, drop, later
from ..model.hook import HookContext
from ..model.stage import Stage
from ..pipeline import Pipeline

if TYPE_CHECKING:
    from ..board.plain import Awaited

__all__ = ["Coupon", "Coupons"]

REVOKE: Final = "revoke-coupons"
LONGEST_CODE: Final = 200
SOON: Final = dt.timedelta(minutes=1)

ASKED, CODE, REVOKED = "coupon", "coupon_code", "coupons_revoked"
"""What a payload says of it: the terms, the code, and how many codes were revoked."""


@attrs.frozen(kw_only=True)
class Coupon:
    """A coupon that a mail asks for, or holds.

    Attributes:
        key: names it, the same at every try; give it to your shop, so that asking again for the
            same one makes no second.
        deal: as it stood when the mail was claimed, or the coupon revoked.
        terms: what the step says: ``do("email", …, coupon="10%")``.
        code: ``None`` until your shop has given one.
    """

    key: str
    deal: Deal
    terms: Any
    code: str | None = None


class Coupons:
    """Gives mails the coupons that their steps ask for, and takes those back that lapse.

        coupons = Coupons(issue=make_in_shop, revoke=delete_in_shop)
        coupons.lapse_on_leaving(shop, [abandoned])
        board = Board.open(shop, "sqlite:///shop.db")
        coupons.handle(board, "email", mailer)

    A step asks for one by ``coupon=``, whatever that says to *issue*. Its code is in
    ``payload.coupon_code`` when the mail is written; the mails of the library show it.

    Args:
        issue: returns a code. Asked once for each mail; again with the same key only if the
            process died before the answer was kept, so it has to answer the same then.
        revoke: makes ``coupon.code`` worthless; may be called twice. A used one is its to spare.
    """

    def __init__(
        self, *, issue: Callable[[Coupon], str], revoke: Callable[[Coupon], object]
    ) -> None:
        for function in (issue, revoke):
            if not callable(function) or inspect.iscoroutinefunction(function):
                raise DefinitionError(f"Coupons got {function!r}: give two plain functions")
        self._issue, self._revoke = issue, revoke

    def lapse_on_leaving(
        self, pipeline: Pipeline, stages: Iterable[Stage], *, good_in: Sequence[Stage] = ()
    ) -> None:
        """Have coupons of a deal revoked when it leaves these stages; before a board is bound.

        Args:
            good_in: stages in which they stay good, such as those of a checkout on the way to the
                order; they are revoked when the deal leaves these for another one.

        Raises:
            DefinitionError: a stage is not the pipeline's, or a board is bound already.
        """
        stages = tuple(stages)
        kept = {stage.key for stage in (*stages, *good_in)}

        def ask(ctx: HookContext) -> None:
            if ctx.move.into.key not in kept or (ctx.move.into in stages):
                ctx.do(REVOKE)

        for stage in dict.fromkeys((*stages, *good_in)):
            pipeline.move_out_of(stage)(ask)

    def handle(self, board: Board | Awaited, name: str, handler: Handler) -> None:
        """Let *handler* deliver effects of this name, with the coupons that they ask for.

        Args:
            board: of an ``AsyncBoard`` the worker calls *handler*, and the shop, in a thread.

        Raises:
            DefinitionError: the name has a handler already, or *handler* has to be awaited.
        """
        if inspect.iscoroutinefunction(handler):
            raise DefinitionError(
                f"Coupons got {handler!r}: it runs in a thread, so give a plain function"
            )
        plain = plain_board(board)
        board.handle_effect(name, functools.partial(self._send, plain, handler))
        board.handle_effect(REVOKE, functools.partial(self._take_back, plain))

    def _send(self, board: Board, handler: Handler, delivery: Delivery) -> object:
        if not delivery.payload.get(ASKED):
            return handler(delivery)
        coupon = _coupon(delivery.key, delivery.deal, delivery.payload)
        if coupon.code is None:
            coupon = self._asked_for(coupon)
            if not annotate(board._session, delivery.key, {CODE: coupon.code}):
                return self._too_late(board, coupon, delivery)
        payload = {**delivery.payload, CODE: coupon.code}
        return handler(attrs.evolve(delivery, payload=payload))

    def _asked_for(self, coupon: Coupon) -> Coupon:
        code: Any = self._issue(coupon)
        if not isinstance(code, str) or not 0 < len(code.strip()) <= LONGEST_CODE:
            raise ValueError(f"issue returned {code!r} for coupon {coupon.key}: a code is text")
        return attrs.evolve(coupon, code=code.strip())

    def _too_late(self, board: Board, coupon: Coupon, delivery: Delivery) -> Drop:
        """Take back a coupon whose deal has left while it was asked for."""
        self._revoke(coupon)
        _note_revoked(board, delivery.key, delivery.payload)
        return drop("the deal left the stage while a coupon was asked for")

    def _take_back(self, board: Board, delivery: Delivery) -> Later | None:
        """Revoke the coupons of the visit that has ended, and of those before it."""
        effects = board.effects(delivery.deal.id)
        for effect in _of_ended_visits(board, delivery, effects):
            if not effect.payload.get(ASKED):
                continue
            coupon = _coupon(effect.key, delivery.deal, effect.payload)
            if coupon.code is None and effect.state is EffectState.CLAIMED:
                because = "a mail of the stage is on its way, and may ask for a coupon"
                return later(board.clock.now() + SOON, because)
            if coupon.code is None and effect.attempts:
                # Whoever had it may have died between the answer and keeping it.
                coupon = self._asked_for(coupon)
            if coupon.code is not None:
                self._revoke(coupon)
                _note_revoked(board, effect.key, effect.payload)
        return None


def _coupon(key: str, deal: Deal, payload: Any) -> Coupon:
    before = payload.get(REVOKED, 0)
    named = f"{key}-{before}" if before else key
    return Coupon(key=named, deal=deal, terms=payload[ASKED], code=payload.get(CODE))


def _note_revoked(board: Board, key: str, payload: Any) -> None:
    # A mail that comes to life again, because leaving was undone, asks for another one.
    annotate(board._session, key, {CODE: None, REVOKED: payload.get(REVOKED, 0) + 1})


def _of_ended_visits(board: Board, delivery: Delivery, effects: list[Effect]) -> list[Effect]:
    """Return the effects of visits up to the one that was left; of later ones they are good."""
    try:
        numbers = {visit.key: visit.n for visit in board.history(delivery.deal.id).visits}
    except LookupError:
        numbers = {}
    (left,) = (effect.visit_key for effect in effects if effect.key == delivery.key)
    last = numbers.get(left, len(numbers))
    return [effect for effect in effects if numbers.get(effect.visit_key, 0) <= last]
