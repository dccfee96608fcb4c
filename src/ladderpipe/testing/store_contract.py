"""What every store must do, tried through the board; for those who write a store."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from ladderpipe import (
    Event,
    HookContext,
    Outcome,
    Pipeline,
    Stage,
    after,
    on,
)
from ladderpipe.board.verify import verify
from ladderpipe.errors import (
    DealNotFoundError,
    EventConflictError,
    HookError,
    MoveNotAllowedError,
    PipelineChangedError,
)
from ladderpipe.public import publish
from ladderpipe.stores import Store

from .assertions import expect
from .chain_contract import CHAINS
from .customer_contract import CUSTOMERS
from .effect_contract import EFFECTS
from .listing_contract import LISTING
from .machine import ladder_state_machine
from .shop import HOUR, Shop, contract_ladder, refused, same
from .strategies import START

__all__ = ["assert_store_contract"]

_LARGEST_SEQ = 2**63 - 1


def assert_store_contract(make_store: Callable[[], Store], *, examples: int = 25) -> None:
    """Assert that a store keeps every promise that a board makes.

    Args:
        make_store: called for a new, empty store each time, some dozens of times. The boards
            close what it returns.
        examples: how many random runs the last part makes, on top of the examples that stand
            in this file.

    Raises:
        AssertionError: the store breaks a promise; a note on the error says which.
    """
    for promise in _PROMISES:
        try:
            promise(Shop(make_store()))
        except Exception as error:
            error.add_note(f"the store contract asks: {promise.__doc__}")
            raise
    run_state_machine_as_test(
        ladder_state_machine(contract_ladder(), make_store=make_store),
        settings=settings(max_examples=examples, stateful_step_count=20, deadline=None),
    )


def _keeps_what_it_is_given(shop: Shop) -> None:
    """Events and deals come back exactly: instants to the microsecond, amounts, every script."""
    texts = ["", "Ада ☕ 👩‍💻", 'it\'s; -- "100%" \\ {}', "a\tb\nc", "x" * 10_000]
    line = {"sku": "é" * 50, "quantity": "0.0000000001", "unit_price": "99999999999999.9"}
    given = [
        shop.event("cart.item_added", data={"line": line, "currency": "EUR"}),
        shop.event("told", seq=-_LARGEST_SEQ, source="s" * 512, data={"properties": {"t": texts}}),
        shop.event("told", seq=_LARGEST_SEQ, id="i" * 512, data={"in": [{"a": [1, 2.5, None]}]}),
        shop.event("told", hours=-24 * 365 * 50, data={"contact": {"name": texts[1]}}),
        shop.event("told", hours=-1 / 3_600_000_000, data={"n": 2**60, "yes": True, "title": "Ω"}),
    ]
    for event in given:
        shop.board.handle(event)
    again = shop.open(contract_ladder())
    for board in (shop.board, again):
        found = {(event.source, event.id): event for event in board.events("d")}
        same(found, {(event.source, event.id): event for event in given}, "events")
        folded = board.pipeline.fold(given)
        expect(folded is not None and board.deal("d") == folded.deal, "the deal is not the fold")
        expect(board.history("d").visits == folded.visits if folded else False, "visits differ")
    recorded = [move.recorded_at for move in shop.board.history("d").moves]
    same(recorded, [shop.clock.now()], "the times at which moves were recorded")


def _knows_an_event_again(shop: Shop) -> None:
    """A second delivery changes nothing, and one with other content is refused."""
    event = shop.event("lead.came", id="e", data={"properties": {"a": 1}})
    shop.board.handle(event)
    before = shop.contents()
    same(shop.board.handle(event).outcome, Outcome.DUPLICATE, "the second delivery")
    numbered = shop.event("lead.came", id="e", seq=_LARGEST_SEQ, data={"properties": {"a": 1.0}})
    same(shop.board.handle(numbered).outcome, Outcome.DUPLICATE, "a delivery with another seq")
    report = shop.board.handle_many([numbered, event])
    same(report.outcomes, {Outcome.DUPLICATE: 2}, "both once more, in a batch")
    for other in (
        shop.event("called", id="e"),
        shop.event("lead.came", "another", id="e", data={"properties": {"a": 1}}),
    ):
        with refused(EventConflictError):
            shop.board.handle(other)
    same(shop.contents(), before, "the contents")
    elsewhere = shop.event("called", id="e", source="elsewhere")
    same(shop.board.handle(elsewhere).outcome, Outcome.MOVED, "another source's event")


def _keeps_what_waits(shop: Shop) -> None:
    """An event before the opening waits, and counts once the deal opens."""
    same(shop.handle("told", data={"owner": "Ada"}), Outcome.WAITING, "an early event")
    with refused(DealNotFoundError):
        shop.board.deal("d")
    same(list(shop.board.deals()), [], "the open deals")
    same(shop.handle("lead.came", hours=1), Outcome.OPENED, "the opening")
    same(shop.board.deal("d").owner, "Ada", "what the early event told")


def _puts_a_late_event_in_its_place(shop: Shop) -> None:
    """A late event changes the history to what it would have been."""
    shop.handle("lead.came")
    shop.clock.advance(hours=60)
    shop.board.tick()
    same(shop.stage(), "cold", "the stage after 48 hours")
    receipt = shop.board.handle(shop.event("called", hours=24))
    expect(receipt.refolded, "the receipt of a late event does not say so")
    same(shop.stage(), "talking", "the stage after the late event")
    visits = [(visit.n, visit.stage.key) for visit in shop.board.history("d").visits]
    same(visits, [(1, "new"), (2, "talking")], "the visits")
    shop.board.handle(shop.event("told", hours=30, data={"owner": "Bruno"}))
    same(shop.board.deal("d").owner, "Bruno", "the owner")
    shop.board.tick()
    same(shop.board.deal("d").due_at, START + 78 * HOUR, "the next due time")


def _fires_what_is_due(shop: Shop) -> None:
    """A sweep fires exactly the timers due by now, the longest overdue first."""
    for index in range(5):
        shop.handle("lead.came", f"d{index}", hours=index)
    shop.clock.set(START + 50 * HOUR)
    report = shop.board.tick(limit=2)
    same((report.deals, report.moves), (2, 2), "a sweep of two deals")
    same([shop.stage(f"d{i}") for i in range(3)], ["cold", "cold", "new"], "the stages")
    same(shop.board.tick().deals, 1, "the other deal that is due")
    same(shop.board.tick().deals, 0, "a sweep with nothing due")
    shop.clock.advance(hours=24)
    shop.board.tick()
    visits = [visit.stage.key for visit in shop.board.history("d0").visits]
    same(visits, ["new", "cold", "new"], "a chain of timers")


def _takes_hands(shop: Shop) -> None:
    """A hand is recorded when it moves the deal, and only then."""
    shop.handle("lead.came")
    before = shop.contents()
    for into, properties in (("won", {}), ("lost", {}), ("lost", {"reason": ""})):
        with refused(MoveNotAllowedError):
            shop.board.move("d", into, by="Ada", properties=properties)
    with refused(DealNotFoundError):
        shop.board.override("unheard-of", "won", by="Ada")
    same(shop.contents(), before, "the contents")
    shop.board.move("d", "lost", by="Ada", reason="too dear", properties={"reason": "price"})
    shop.board.override("d", "won", by="Bruno")
    cause = shop.board.history("d").moves[1].event
    told = {"into": "lost", "by": "Ada", "reason": "too dear", "properties": {"reason": "price"}}
    same(cause and dict(cause.data), told, "what the hand's event tells")
    same(shop.stage(), "won", "the stage after the override")
    shop.board.undo("d", by="Bruno", expecting="won")
    same(shop.stage(), "lost", "the stage once the override is taken back")
    assert cause is not None
    same(shop.board.withdraw(cause, by="Ada").outcome, Outcome.MOVED, "what was taken back")
    same(shop.board.withdraw(cause, by="Ada").outcome, Outcome.DUPLICATE, "what was already")
    same(shop.stage(), "new", "the stage once both are taken back")
    same(len(shop.board.history("d").withdrawn), 2, "events that were taken back")


def _undoes_what_fails(shop: Shop) -> None:
    """A hook that raises leaves the contents exactly as they were."""
    fails = [False]

    def hook(ctx: HookContext) -> None:
        ctx.do("before the failure")
        if fails[0]:
            raise RuntimeError("the hook of the store contract fails")

    shop.board = shop.open(contract_ladder("hooked", hook))
    shop.handle("lead.came")
    shop.handle("called", hours=1)
    shop.handle("lead.came", "other", hours=2)
    shop.clock.advance(hours=60)
    before = shop.contents()
    fails[0] = True
    attempts: list[Callable[[], object]] = [
        lambda: shop.board.handle(shop.event("paid", hours=50)),
        lambda: shop.board.handle(shop.event("lead.came", "newcomer", hours=50)),
        lambda: shop.board.handle(shop.event("paid", hours=0.5)),
        lambda: shop.board.override("d", "won", by="Ada"),
    ]
    for attempt in attempts:
        with refused(HookError):
            attempt()
        same(shop.contents(), before, "the contents after a hook failed")
    same(len(shop.board.tick().failures), 2, "the deals whose sweep failed")
    same(shop.contents(), before, "the contents after a sweep failed")
    report = shop.board.handle_many([shop.event("paid", hours=50), shop.event("told", hours=1.5)])
    same((len(report.failures), report.accepted), (1, 1), "one bad event and one good one")


def _commits_all_or_nothing(shop: Shop) -> None:
    """A transaction or savepoint that raises is undone, what is around a savepoint is not."""

    def fail(transaction: Any, name: str, undone: bool = True) -> None:
        transaction.save_pipeline(name, "fingerprint", "{}", None)
        if undone:
            raise RuntimeError(name)

    with refused(RuntimeError), shop.store.transaction() as transaction:
        fail(transaction, "undone")
    with shop.store.transaction() as transaction:
        fail(transaction, "kept", undone=False)
        with refused(RuntimeError), transaction.savepoint():
            fail(transaction, "undone inside")
        with transaction.savepoint():
            fail(transaction, "kept inside", undone=False)
    with shop.store.transaction(write=False) as transaction:
        names = [row.name for row in transaction.pipelines()]
    same(names, ["contract", "kept", "kept inside"], "the pipelines that are known")


def _separates_pipelines(shop: Shop) -> None:
    """Pipelines that share a store share neither deals nor events nor effects."""
    other = shop.open(contract_ladder("another"))
    event = shop.event("lead.came")
    shop.board.handle(event)
    same(list(other.deals()), [], "the other pipeline's deals")
    same(other.effects(), [], "the other pipeline's effects")
    same(other.handle(event).outcome, Outcome.OPENED, "the same event in the other pipeline")
    shop.clock.advance(hours=49)
    shop.board.tick()
    same(other.deal("d").stage.key, "new", "the other pipeline's deal after a sweep of this one")


def _lists_deals(shop: Shop) -> None:
    """Deals are listed once each, filtered, in the order in which they were first heard of."""
    numbers = range(1_200)
    events = [
        shop.event(
            "lead.came", f"d{n}", n / 3600, data={"owner": "Ada" if n % 2 else None, "value": n}
        )
        for n in numbers
    ]
    shop.clock.advance(hours=1)
    report = shop.board.handle_many(events)
    same(dict(report.outcomes), {Outcome.OPENED: 1_200}, "the outcomes")
    shop.handle("paid", "d7", hours=2, data={"currency": "EUR"})
    same([deal.id for deal in shop.board.deals()], [f"d{n}" for n in numbers], "the deals")
    same(len(list(shop.board.deals(owner="Ada"))), 600, "the deals of one owner")
    same([deal.id for deal in shop.board.deals(status="won")], ["d7"], "the deals that are won")
    same(len(list(shop.board.deals(stage="new"))), 1_199, "the deals in one stage")
    totals = [(t.stage.key, t.currency, t.count, int(t.value)) for t in shop.board.summary()]
    expected = [("new", None, 1_199, sum(numbers) - 7), ("won", "EUR", 1, 7)]
    same(totals, expected, "the summary")


def _reads_many_deals_at_once(shop: Shop) -> None:
    """Events and moves of many deals are those of each, without deals that have none."""
    shop.handle("told", "waiting")
    for number in range(3):
        shop.handle("lead.came", f"d{number}", hours=number)
        shop.handle("called", f"d{number}", hours=number + 1)
    with shop.store.transaction(write=False) as transaction:
        row = transaction.pipeline(shop.board.pipeline.name)
        rows = transaction.every_deal(row.id, 0, 10) if row is not None else []
        ids = [stored.id for stored, _ in rows]
        same(len(ids), 4, "the number of deals")
        events, moves = transaction.events_of(ids[::-1]), transaction.moves_of(ids[::-1])
        same(events, {id: transaction.events(id) for id in ids}, "the events of many deals")
        moved = {id: transaction.moves(id) for id in ids if transaction.moves(id)}
        same(moves, moved, "the moves of many deals")
        same(len(moves), 3, "the number of deals that moved")
        same(transaction.events_of([]), {}, "the events of no deals")
        same(transaction.moves_of([]), {}, "the moves of no deals")


def _folds_a_late_event_into_a_long_deal_from_a_checkpoint(shop: Shop) -> None:
    """What is read of a deal's past is what is asked for, and its checkpoints are the fold's."""
    shop.handle("lead.came")
    shop.clock.advance(hours=400)
    events = [shop.event("told", hours=hours, data={"value": hours}) for hours in range(2, 300)]
    shop.board.handle_many(events)
    shop.handle("called", hours=280.5)
    with shop.store.transaction(write=False) as transaction:
        row = transaction.pipeline(shop.board.pipeline.name)
        stored = transaction.every_deal(row.id, 0, 1)[0][0] if row is not None else None
        deal = stored.id if stored is not None else 0
        points, told, moves = (
            transaction.checkpoints(deal),
            transaction.events(deal),
            transaction.moves(deal),
        )
        expect(len(points) > 2, "a deal of 300 events has no checkpoints")
        same(points, sorted(points), "the checkpoints, in order")
        last, at = points[-1], told[99][0].at
        later = sum(event.at > last.at for event, _ in told)
        same(transaction.checkpoint(deal, last.at), points[-2], "the one before the last")
        same(transaction.checkpoint(deal, points[0].at), None, "the one before the first")
        same(transaction.checkpoints(deal, last.at, 1), [last], "the first since the last")
        same(transaction.checkpoints(deal, limit=2), points[:2], "the first two")
        same(transaction.events(deal, at), told[100:], "the events after an instant")
        same(transaction.events(deal, at, last.at), told[100:-later], "the events up to another")
        same(transaction.events(deal, until=at), told[:100], "the events up to an instant")
        same(transaction.moves(deal, 1), moves[1:], "the moves after the first")
        same(transaction.moves(deal, 0, 1), moves[:1], "the moves up to the first")
        for every, is_time in ((later, True), (later + 1, False)):
            asked = transaction.needs_checkpoint(deal, told[-1][0].at, every)
            same(asked, is_time, f"whether {later} events ask for one every {every}")
    same(verify(shop.board).differences, (), "what verify finds")
    shop.board.withdraw(events[0].identity, by="Ada")
    same(verify(shop.board).differences, (), "what verify finds after a withdrawal")


def _keeps_bad_events_from_good_ones(shop: Shop) -> None:
    """In a batch, what is bad is reported and what is good is stored, as one by one."""
    known = shop.event("lead.came", "d1")
    shop.board.handle(known)
    good = [shop.event("lead.came", "d2"), shop.event("called", "d2"), shop.event("told", "d3")]
    conflict = shop.event("called", "d1", id=known.id)
    nonsense = shop.event("told", "d2", data={"value": "nonsense"})
    report = shop.board.handle_many([good[0], conflict, known, nonsense, *good[1:], good[0]])
    same([failure.event for failure in report.failures], [conflict, nonsense], "the failures")
    expected = {Outcome.DUPLICATE: 2, Outcome.OPENED: 1, Outcome.MOVED: 1, Outcome.WAITING: 1}
    same(dict(report.outcomes), expected, "the outcomes")
    same(len(shop.board.events("d2")), 2, "the stored events of the deal with a bad one")
    same(shop.stage("d2"), "talking", "its stage")


def _adopts_a_changed_ladder(shop: Shop) -> None:
    """Another definition is refused until it is adopted, stages renamed, the moves kept."""
    shop.handle("lead.came")
    shop.handle("lead.came", "gone-cold")
    shop.clock.advance(hours=49)
    shop.board.tick()
    shop.handle("called", hours=49)
    fresh, won = Stage("fresh"), Stage("won", status="won")
    changed = Pipeline(
        "contract",
        stages=[fresh, won],
        rules=[on("lead.came", into=fresh, opens=True), after(hours=1, out_of=fresh, into=won)],
    )
    with refused(PipelineChangedError):
        shop.open(changed)
    board = shop.open(changed, adopting=True)
    board.migrate({"new": fresh, "talking": fresh, "lost": won, "cold": fresh})
    with refused(PipelineChangedError):
        shop.handle("called")
    shop.board = board
    same([deal.stage.key for deal in board.deals()], ["fresh", "fresh"], "the stages")
    same(len(board.history("d").visits), 3, "the visits")
    shop.clock.advance(hours=1)
    board.tick()
    same([shop.stage("d"), shop.stage("gone-cold")], ["won", "won"], "the stages later")


def _forgets_and_removes(shop: Shop) -> None:
    """Personal data goes and the moves stay; a removed deal leaves a tombstone."""
    secret = {"name": "Ada Rossi", "email": "ada@example.com"}
    event = shop.event("lead.came", data={"contact": secret, "title": "For Ada Rossi"})
    shop.board.handle(event)
    shop.handle("paid", hours=1)
    same(shop.board.forget(email="ada@example.com").deals, ("d",), "the deals forgotten")
    expect("Rossi" not in repr(shop.contents()), "the contents still name the person")
    same(len(shop.board.history("d").moves), 2, "the moves")
    same(shop.board.handle(event).outcome, Outcome.DUPLICATE, "a redelivery")
    shop.board.remove("d")
    same(shop.handle("called", hours=2), Outcome.ARCHIVED, "an event for a removed deal")
    same(shop.contents()[0], [], "the deals")


def _archives_and_restores(shop: Shop) -> None:
    """Deals closed long ago go into a file and come back as they were; the others stay."""
    for deal in ("d", "other"):
        shop.handle("lead.came", deal)
    shop.handle("paid", hours=1)
    shop.clock.advance(hours=3)
    before = [shop.board.history(deal).visits for deal in ("d", "other")]
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/closed.jsonl"
        early = shop.board.archive(before=START + HOUR, to=path)
        same(early.deals, 0, "deals closed before the very instant they were closed at")
        same(shop.board.archive(before=START + 2 * HOUR, to=path).removed, 1, "the deals removed")
        same(shop.handle("called", hours=2), Outcome.ARCHIVED, "an event for an archived deal")
        same([deal.id for deal in shop.board.deals()], ["other"], "the deals that stay")
        same(shop.board.restore(path).restored, 1, "the deals restored")
    after = [shop.board.history(deal).visits for deal in ("d", "other")]
    same(after, before, "the visits")


def _says_how_it_is_doing(shop: Shop) -> None:
    """What is overdue, given up, failing or waiting is counted, of one pipeline at a time."""
    other = shop.open(contract_ladder("another"))
    health = shop.board.health(thorough=True)
    same(health.findings, (), "what is found in an empty store")
    shop.handle("lead.came")
    shop.handle("called", "early")
    shop.clock.advance(hours=1)
    backlog = shop.board.health().backlog
    same((backlog.oldest_effect, backlog.effect_lag), ("note", HOUR), "the oldest effect")
    same(backlog.timer_lag, 0 * HOUR, "the oldest timer, while none is due")
    same(shop.board.health().waiting_deals, 1, "the deals that wait")
    shop.clock.set(START + 50 * HOUR)
    same(shop.board.health().backlog.timer_lag, 2 * HOUR, "the oldest timer")
    same(other.health().findings, (), "what is found in the other pipeline")


def _counts_what_came_to_nothing(shop: Shop) -> None:
    """Events that came to nothing are counted, until they count after all; archives keep that."""

    def counted() -> tuple[object, object]:
        health = shop.board.health()
        return health.after_closing, health.late

    shop.handle("lead.came", data={"contact": {"email": "ada@example.com"}})
    shop.handle("paid", hours=1)
    shop.handle("lead.came", hours=3)
    same(counted(), ((1, 1, "d"), None), "what was told after closing")
    shop.board.override("d", "talking", by="Bea", at=START + 2 * HOUR)
    same(counted(), (None, None), "the same, in a deal that was open again")
    shop.board.undo("d", by="Bea", expecting="talking")
    shop.board.forget(email="ada@example.com")
    shop.handle("called", hours=0.5)
    same(counted(), ((1, 1, "d"), (1, 1, "d")), "what came late and changed nothing")
    shop.clock.advance(days=7, seconds=1)
    same(counted(), ((1, 0, "d"), (1, 0, "d")), "the same, after a week")
    with tempfile.TemporaryDirectory() as folder:
        shop.board.archive(before=shop.clock.now(), to=f"{folder}/closed.jsonl")
        same(counted(), (None, None), "the same, of deals that were archived")
        shop.board.restore(f"{folder}/closed.jsonl")
    same(counted(), ((1, 0, "d"), (1, 0, "d")), "the same, of deals that were restored")


def _stands_threads(shop: Shop) -> None:
    """Threads that deliver the same events at once end in the fold."""
    events = [
        shop.event(kind, f"d{deal}", hours)
        for hours, kind in enumerate(["lead.came", "called", "told", "paid"])
        for deal in range(4)
    ]
    shop.clock.advance(hours=4)
    errors: list[BaseException] = []

    def deliver(mine: list[Event]) -> None:
        try:
            for event in mine:
                shop.board.handle(event)
                shop.board.tick()
        except BaseException as error:
            errors.append(error)

    orders = [events, events[::-1], events[5:] + events[:5], events[1::2] + events[::2]]
    threads = [threading.Thread(target=deliver, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(errors, [], "what the threads raised")
    for number in range(4):
        mine = [event for event in events if event.deal == f"d{number}"]
        folded = shop.board.pipeline.fold(mine, shop.clock.now())
        stored = shop.board.history(f"d{number}")
        expect(folded is not None and stored.visits == folded.visits, "a history is not the fold")


_PROMISES: tuple[Callable[[Shop], None], ...] = (
    _keeps_what_it_is_given,
    _knows_an_event_again,
    _keeps_what_waits,
    _puts_a_late_event_in_its_place,
    _fires_what_is_due,
    _takes_hands,
    _undoes_what_fails,
    _commits_all_or_nothing,
    _separates_pipelines,
    _lists_deals,
    *LISTING,
    _reads_many_deals_at_once,
    _folds_a_late_event_into_a_long_deal_from_a_checkpoint,
    _keeps_bad_events_from_good_ones,
    _adopts_a_changed_ladder,
    _forgets_and_removes,
    _archives_and_restores,
    _says_how_it_is_doing,
    _counts_what_came_to_nothing,
    *EFFECTS,
    *CUSTOMERS,
    *CHAINS,
    _stands_threads,
)


publish("ladderpipe.testing", assert_store_contract)
