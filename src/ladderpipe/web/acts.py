"""What people do: each is one request, told with an id, so that sending it twice does it once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from ..errors import InstantError, LadderError, MoveNotAllowedError
from ..model.clock import instant, instant_text
from ..model.deal import KEEP, Deal
from ..model.event import OWN_SOURCE
from ..model.receipt import Receipt
from ..model.stage import Stage
from .call import Call, Done, link
from .deal_page import UNDO
from .refusal import Refusal, refusal_of

__all__ = [
    "assign",
    "discard",
    "done",
    "edit",
    "edits",
    "move",
    "moves",
    "override",
    "release",
    "undo",
    "unsubscribe",
]


def move(call: Call) -> Done:
    """Move a deal by hand; it brings what the stage requires."""
    return _moved(call, call.deal("move"), call.board.move)


def override(call: Call) -> Done:
    """Move a deal past the rules."""
    return _moved(call, call.deal("override"), call.board.override)


def _moved(call: Call, deal: Deal, act: Callable[..., Receipt]) -> Done:
    form, _ = call.form, call.words.gettext
    stage = _stage(call)
    try:
        receipt = act(
            deal.id,
            stage,
            by=call.user.id,
            reason=form.text("reason") or None,
            properties=form.properties() or None,
            expecting=_expected(call, deal),
            id=form.text("id") or None,
        )
    except MoveNotAllowedError as error:
        raise _with_the_deal(call, error, stage) from error
    title = receipt.deal.title or receipt.deal.id
    message = _("“%(deal)s” is in “%(stage)s” now.", deal=title, stage=call.words.stage(stage))
    return _told(call, receipt, message)


def _expected(call: Call, deal: Deal) -> str | None:
    """Return the visit in which the reader saw a deal, or the stage; ``None`` for wherever it is.

    In a stage to which a deal has come back it is another visit, and what was seen is of the first.
    """
    stage, entered = call.form.text("expecting"), call.form.text("entered")
    if not entered:
        return stage or None
    try:
        at = instant(entered)
    except InstantError as error:
        detail = call.words.gettext(
            "“%(name)s” cannot be “%(value)s”.", name="entered", value=entered
        )
        raise call.form.refused(detail) from error
    visits = call.board.history(deal.id).visits
    seen = [each for each in visits if each.entered_at == at and stage in ("", each.stage.key)]
    # By what was told since, the deal may never have been there: nothing is called as this is.
    return seen[-1].key if seen else f"{stage} {entered}"


def _with_the_deal(call: Call, error: MoveNotAllowedError, stage: Stage) -> Refusal:
    """Return the refusal of a move, with the deal as it stands, and how it came there."""
    refusal = refusal_of(error, call.words)
    assert refusal is not None
    # As the board has judged it: a timer that is due has fired, though nothing was stored.
    history = call.pipeline.fold(call.board.events(error.deal or ""), call.now)
    if history is None or not history.moves:
        return refusal
    deal = history.deal
    refusal.fields["deal"] = deal.to_dict()
    if not refusal.fields.get("stale"):
        return refusal
    words, last = call.words, history.moves[-1]
    told = {"stage": words.stage(deal.stage), "at": words.format.moment(last.at)}
    by = str(last.event.data.get("by") or "") if last.event is not None else ""
    if last.event is None:
        moved = words.gettext("Its timer moved it into “%(stage)s” (%(at)s).", **told)
    elif by:
        moved = words.gettext("%(by)s moved it into “%(stage)s” (%(at)s).", by=by, **told)
    else:
        told["what"] = words.event(last.event)
        moved = words.gettext("It has moved into “%(stage)s” (%(at)s: %(what)s).", **told)
    still = words.gettext("Still move it into “%(into)s”?", into=words.stage(stage))
    refusal.detail = moved if deal.stage == stage else f"{moved} {still}"
    refusal.fields |= {
        "expecting": deal.stage.key,
        "entered": instant_text(deal.entered_at),
        "settled": deal.stage == stage,
    }
    return refusal


def moves(call: Call) -> Done:
    """Move several deals; what is refused does not keep the others."""
    stage = _stage(call)
    form = call.form

    def one(deal: Deal) -> None:
        call.board.move(
            deal.id,
            stage,
            by=call.user.id,
            reason=form.text("reason") or None,
            properties=form.properties() or None,
            id=_id_for(form.text("id"), deal),
        )

    return _each(call, "move", one)


def _id_for(told: str, deal: Deal) -> str | None:
    """Return the id of one deal's hand, of a request that is about several."""
    if not told:
        return None
    return f"{told[:100]}-{hashlib.blake2b(deal.id.encode(), digest_size=12).hexdigest()}"


def edits(call: Call) -> Done:
    """Give several deals to somebody."""
    owner = call.form.text("owner") or None
    return _each(call, "edit", lambda deal: _give(call, deal, owner))


def _give(call: Call, deal: Deal, owner: str | None) -> None:
    if owner != deal.owner:
        call.board.edit(deal.id, by=call.user.id, owner=owner)


def _each(call: Call, action: Any, act: Callable[[Deal], None]) -> Done:
    named = call.form.several("deal")
    if not named:
        raise call.form.refused(call.words.gettext("No deal was chosen."))
    failures, count = [], 0
    for name in named:
        try:
            act(call.deal(action, name))
            count += 1
        except (LadderError, Refusal) as error:
            refusal = refusal_of(error, call.words)
            if refusal is None or refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            failures.append({**refusal.problem(), "deal": name})
    if failures and not count:
        detail = str(failures[0]["detail"])
        raise Refusal(HTTPStatus.CONFLICT, detail, failures=failures)
    back = link("./", view="list", done=count, refused=len(failures) or None)
    return Done(back, {"done": count, "failures": failures})


def undo(call: Call) -> Done:
    """Take back what was done by hand, for ten minutes."""
    deal = call.deal("undo")
    named = call.form.needed("event")
    _ = call.words.gettext
    told = next((e for e in call.board.events(deal.id) if e.identity == (OWN_SOURCE, named)), None)
    if told is not None and call.now - told.at > UNDO:
        raise Refusal(HTTPStatus.CONFLICT, _("It is too late to take this back."))
    receipt = call.board.undo(
        deal.id, by=call.user.id, event=named, id=call.form.text("id") or None
    )
    where = receipt.deal_or_none
    stage = call.words.stage(where.stage) if where is not None else "–"
    return _told(call, receipt, _("Taken back: it is in “%(stage)s” again.", stage=stage))


def edit(call: Call) -> Done:
    """Correct what is known of a deal, or add a note."""
    deal, form = call.deal("edit"), call.form
    fields: dict[str, Any] = {}
    for name in ("owner", "value", "title", "company"):
        if name in form and form.text(name) != _as_shown(deal, name):
            fields[name] = form.text(name) or None
    if "currency" in form and form.text("currency") != (deal.currency or ""):
        fields["currency"] = form.text("currency") or KEEP
    contact = {
        name: form.text(f"contact.{name}") or None
        for name in ("name", "email", "phone")
        if f"contact.{name}" in form
        and form.text(f"contact.{name}") != str(deal.contact.get(name) or "")
    }
    if contact:
        fields["contact"] = contact
    if properties := form.properties():
        fields["properties"] = properties
    if "next_step" in form and form.text("next_step") != str(deal.properties.get("next_step", "")):
        fields["properties"] = {**properties, "next_step": form.text("next_step") or None}
    note = form.text("note") or None
    if not fields and note is None:
        return Done(link("deal", deal=deal.id), {"outcome": "stayed", "deal": deal.to_dict()})
    receipt = call.board.edit(
        deal.id, by=call.user.id, note=note, id=form.text("id") or None, **fields
    )
    return _told(call, receipt, call.words.gettext("Saved."))


def _as_shown(deal: Deal, name: str) -> str:
    if name == "company" and not isinstance(deal.company, str):
        return str((deal.company or {}).get("name") or "")
    found = getattr(deal, name)
    return "" if found is None else str(found)


def release(call: Call) -> Done:
    """Try a held event again."""
    deal = call.deal("release")
    key = _held_of(call, deal)
    receipt = call.board.release(key)
    return _told(call, receipt, call.words.gettext("Taken."))


def discard(call: Call) -> Done:
    """Put a held event aside for good."""
    deal = call.deal("discard")
    key = _held_of(call, deal)
    call.board.discard(key, by=call.user.id, reason=call.form.needed("reason"))
    return Done(link("deal", deal=deal.id), {"discarded": key})


def _held_of(call: Call, deal: Deal) -> str:
    key = call.form.needed("key")
    if all(each.key != key for each in call.board.held(deal.id)):
        raise Refusal(HTTPStatus.NOT_FOUND, call.words.gettext("It is not there any more."))
    return key


def done(call: Call) -> Done:
    """Note that a task is done."""
    deal = call.deal("task")
    task = call.board.complete(_task_of(call, deal))
    return Done(_back(call, deal), {"task": task.to_dict()})


def assign(call: Call) -> Done:
    """Give a task to somebody."""
    deal = call.deal("task")
    to = call.form.text("to") or None
    task = call.board.assign(_task_of(call, deal), to, by=call.user.id)
    return Done(_back(call, deal), {"task": task.to_dict()})


def _task_of(call: Call, deal: Deal) -> str:
    key = call.form.needed("key")
    if all(each.key != key for each in call.board.tasks(deal=deal.id)):
        raise Refusal(HTTPStatus.NOT_FOUND, call.words.gettext("It is not there any more."))
    return key


def unsubscribe(call: Call) -> Done:
    """Note that somebody wants no more mails, or calls."""
    key = call.form.needed("key")
    channel = call.form.choice("channel", ("email", "phone", "sms", "whatsapp"), "email")
    call.board.unsubscribe(key, channel)
    return Done(link("customer", key=key), {"unsubscribed": key, "channel": channel})


def _stage(call: Call) -> Stage:
    key = call.form.needed("into")
    call.form.choice("into", [stage.key for stage in call.pipeline.stages])
    return call.pipeline.stage(key)


def _back(call: Call, deal: Deal) -> str:
    back = call.form.text("back")
    # From the page of all pipelines it leads back to that, one folder up.
    return back if back in ("tasks", "../tasks") else link("deal", deal=deal.id)


def _told(call: Call, receipt: Receipt, message: str) -> Done:
    deal = receipt.deal_or_none
    event = receipt.event.id if receipt.event is not None else None
    to = link("deal", deal=deal.id) if deal is not None else "./"
    return Done(to, {**receipt.to_dict(), "message": message, "undo": event})
