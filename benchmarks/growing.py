"""(j) What an operation costs in a large store, or on a long deal, against a small one."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ladderpipe import (
    ANY,
    Board,
    Event,
    ManualClock,
    Pipeline,
    Stage,
    after,
    by_hand,
    do,
    on,
)
from ladderpipe.guards import value_at_least

from .harness import Report, Row, in_turns, timed
from .ladders import END, SECOND, START, cycle_events, sales, three_stages
from .stores import open_board

METHOD = """\
The same operation on two sizes in one run, in turns: on two files, or on two deals. What reads or
folds a deal's whole history is measured per event that is folded again, and is at its best where
that costs the same at any length. Costs are of the best round; above 1 is what the larger size
costs more.\
"""

ROUNDS: Final = 5
SUMMARY: Final = 0.05
"""Seconds that the summary of a board may take, however many deals there are."""
LENGTHS: Final = (100, 1_000, 10_000)
NAMES: Final = ("cart.item_added", "cart.saved", "checkout.started")


def run(quick: bool, folder: Path) -> Report:
    small, large = (500, 10_000) if quick else (2_000, 100_000)
    rows = [*late_events(folder), *late_storms(folder), late_with_hooks(folder)]
    rows += [reading(folder), checking()]
    rows += [*in_large_stores(folder, small, large), migrating(folder, small, large // 2)]
    rows += forgetting(folder)
    rows += summing(folder, (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000))
    return Report("Growth", METHOD, rows)


# -- one long deal ----------------------------------------------------------------------------


def late_events(folder: Path) -> Iterator[Row]:
    """Measure an event that comes late into a short deal and into long ones."""
    boards = {}
    for count in LENGTHS:
        boards[count] = open_board(sales(), folder / f"late-{count}.db", ManualClock(END))
        boards[count].handle_many(_cart_events(count))
    short, numbers = LENGTHS[0], itertools.count()
    for what, back in (("20 seconds late", 20), ("from half the deal's life ago", None)):
        for count in LENGTHS[1:]:
            places = [(n, n - (back or n // 2)) for n in (short, count)]
            sides = [_told_often(boards[n], second, numbers) for n, second in places]
            yield _grown(f"{what}, into {count:,} events, against {short}", sides, target=3.0)

    def before_it_opens(count: int) -> float:
        board = open_board(sales(), folder / f"waiting-{count}.db", ManualClock(END))
        events = [
            Event(
                "page.viewed", deal="d", id=f"e{n}", at=START - n * SECOND, data={"source": "ads"}
            )
            for n in range(count)
        ]
        seconds = timed(lambda: [board.handle(event) for event in events])()
        board.close()
        return seconds / count

    small, large = 500, 4_000
    seconds = [before_it_opens(small), before_it_opens(large)]
    what = f"each before all others, of {large:,} one by one, against of {small}"
    yield Row(what, _costs(seconds), seconds[1] / seconds[0], target=2.0, at_most=True)


def late_storms(folder: Path) -> Iterator[Row]:
    """Measure events that arrive in reverse one by one, and shuffled in batches."""
    numbers = itertools.count()

    def reverse(count: int) -> float:
        board = open_board(sales(), folder / f"reversed-{next(numbers)}.db", ManualClock(END))
        events = _cart_events(count)[::-1]
        seconds = timed(lambda: [board.handle(event) for event in events])()
        board.close()
        return seconds / (count * (count + 1) / 2)

    def shuffle(count: int) -> float:
        board = open_board(sales(), folder / f"shuffled-{next(numbers)}.db", ManualClock(END))
        events = _cart_events(count)
        random.Random(1).shuffle(events)
        seconds = timed(lambda: board.handle_many(events, batch=count))()
        board.close()
        return seconds / count

    yield _grown(
        "an event folded again, 800 in reverse one by one, against 100",
        [lambda: reverse(100), lambda: reverse(800)],
        target=1.2,
        rounds=3,
    )
    yield _grown(
        "an event of 8,000 shuffled in one batch, against of 500",
        [lambda: shuffle(500), lambda: shuffle(8_000)],
        target=2.0,
        rounds=3,
    )


def late_with_hooks(folder: Path) -> Row:
    """Measure a late event into a long deal with a large cart, with hooks and without."""
    sides = []
    for hooked in (False, True):
        pipeline = three_stages()
        if hooked:
            for stage in pipeline.stages:
                pipeline.move_into(stage)(lambda context: None)
                pipeline.move_out_of(stage)(lambda context: None)
        board = open_board(pipeline, folder / f"hooked-{hooked}.db", ManualClock(END))
        lines = [{"sku": f"s{n}", "quantity": 1, "unit_price": "5.00"} for n in range(200)]
        cart = {"cart": {"lines": lines}}
        board.handle(Event("filled", deal="d", id="cart", at=START - SECOND, data=cart))
        board.handle_many(cycle_events(1_000))
        sides.append(_told(board, _late_events()))
    return _grown("a late event past 1,000 moves, with hooks, against without", sides, target=1.5)


def reading(folder: Path) -> Row:
    """Measure reading a deal's events, against making the same ones anew."""
    board = open_board(sales(), folder / "reading.db", ManualClock(END))
    board.handle_many(_cart_events(2_000))
    texts = [(event, event.data_text()) for event in board.events("d")]

    def made() -> list[Event]:
        return [
            Event(
                event.type,
                deal=event.deal,
                id=event.id,
                at=event.at,
                source=event.source,
                seq=event.seq,
                data=json.loads(text),
            )
            for event, text in texts
        ]

    return _grown(
        "2,000 events read from the store, against made of what was read",
        [timed(made), timed(lambda: board.events("d"))],
        target=1.0,
    )


def _cart_events(count: int) -> list[Event]:
    return [
        Event(
            NAMES[n % 3],
            deal="d",
            id=f"e{n}",
            at=START + n * SECOND,
            data={"line": {"sku": f"s{n % 5}", "quantity": 1, "unit_price": "5"}}
            if n % 3 == 0
            else {},
        )
        for n in range(count)
    ]


def _late_events() -> Iterator[Event]:
    for n in itertools.count():
        yield Event("seen", deal="d", id=f"late{n}", at=START + SECOND / 2)


def _told_often(board: Board, second: int, numbers: Iterator[int]) -> Callable[[], float]:
    """Return what tells twenty events around this second of a deal, each of which moves nothing."""

    def tell() -> float:
        events = [
            Event("seen", deal="d", id=f"late {n}", at=START + (second + n / 999) * SECOND)
            for n in itertools.islice(numbers, 20)
        ]
        return timed(lambda: [board.handle(event) for event in events])() / len(events)

    return tell


def _told(board: Board, events: Iterator[Event]) -> Callable[[], float]:
    return lambda: timed(lambda: board.handle(next(events)))()


# -- ladders ----------------------------------------------------------------------------------


def checking() -> Row:
    """Measure checking a ladder, by what grows with the square of its size: pairs of rules."""
    sides = []
    for stages in (35, 140):
        pipeline = _long_ladder(stages)
        pairs = len(pipeline.rules) ** 2
        sides.append(lambda pipeline=pipeline, pairs=pairs: timed(pipeline.check)() / pairs)
    return _grown("check, for two rules of 420, against of 105", sides, target=2.0)


def _long_ladder(length: int) -> Pipeline:
    stages = [Stage(f"s{n}") for n in range(length)]
    won, lost = Stage("won", status="won"), Stage("lost", status="lost")
    rules = [on("opened", into=stages[0], opens=True), by_hand(into=won), by_hand(into=lost)]
    for below, above in itertools.pairwise(stages):
        number = stages.index(below)
        rules.append(on(f"e{number}", into=above, out_of=below))
        rules.append(by_hand(into=above))
        rules.append(after(hours=5, out_of=below, into=lost, when=value_at_least(number + 1)))
    return Pipeline("long", stages=[*stages, won, lost], rules=rules)


# -- large stores -----------------------------------------------------------------------------


def in_large_stores(folder: Path, small: int, large: int) -> Iterator[Row]:
    """Measure what a worker, a person and a monitor ask for, with few that answer to it."""
    boards = [_full_board(folder / f"store-{deals}.db", deals) for deals in (small, large)]
    asked: dict[str, Callable[[Board], object]] = {
        "a worker's round, none of whose names wait": lambda board: (board.tick(), board.deliver()),
        "tasks of an owner": lambda board: board.tasks(owner="Ada"),
        "tasks of a deal": lambda board: board.tasks(deal="rare-1"),
        "deals in a rare stage": lambda board: list(board.deals(stage="rare")),
        "deals of an owner": lambda board: list(board.deals(owner="Ada")),
        "health": lambda board: board.health(),
    }
    for what, ask in asked.items():
        sides = [_asked_often(ask, board) for board in boards]
        yield _grown(f"{what}, {large:,} deals against {small:,}", sides, target=2.0)


def _asked_often(ask: Callable[[Board], object], board: Board) -> Callable[[], float]:
    return lambda: timed(lambda: [ask(board) for _ in range(20)])() / 20


def _full_board(path: Path, deals: int) -> Board:
    steps = [do("mail", template="hello"), do("task", title="Call")]
    common, rare = Stage("common", sequence=steps), Stage("rare")
    pipeline = Pipeline(
        "full",
        stages=[common, rare],
        rules=[
            on("came", into=common, out_of=rare, opens=True),
            on("chosen", into=rare, out_of=ANY, opens=True),
        ],
    )
    board = open_board(pipeline, path, ManualClock(START))
    board.handles("other")(lambda delivery: None)
    board.handle_many(_arrivals(deals))
    return board


def _arrivals(deals: int) -> Iterator[Event]:
    for n in range(20):
        yield Event("chosen", deal=f"rare-{n}", id=f"r{n}", at=START)
        data = {"owner": "Ada"}
        yield Event("came", deal=f"hers-{n}", id=f"h{n}", at=START, data=data)
    for n in range(deals):
        data = {"owner": f"owner-{n % 50}"}
        yield Event("came", deal=f"d{n}", id=f"e{n}", at=START, data=data)


def summing(folder: Path, sizes: Sequence[int]) -> Iterator[Row]:
    """Measure a board's summary, of deals of 50 owners from 20 sources, against its bound."""
    for deals in sizes:
        path = folder / f"summing-{deals}.db"
        board = open_board(three_stages(), path, ManualClock(END))
        board.handle(Event("reopen", deal="d0", id="e0", at=START, data={"value": "10.50"}))
        with board.store.transaction() as transaction:
            _copy_a_deal(transaction.connection, deals)
            transaction.recount(1)
        best = min(timed(board.summary)() for _ in range(ROUNDS))
        board.close()
        path.unlink()
        what = f"a summary of {deals:,} deals, of the {SUMMARY * 1e3:.0f} ms that it may take"
        yield Row(what, f"{best * 1e3:,.2f} ms", best / SUMMARY, target=1.0, at_most=True)


def _copy_a_deal(connection: Any, deals: int) -> None:
    """Fill the table of deals by SQL, and make its indexes afterwards: else it takes minutes."""
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'ladder_deals' AND type = 'index' "
        "AND sql > ''"
    ).fetchall()
    named = {
        "id": "n",
        "deal": "'d' || n",
        "stage": "CASE n % 3 WHEN 0 THEN 'lead' WHEN 1 THEN 'working' ELSE 'won' END",
        "owner": "'owner-' || (n % 50)",
        "source": "'source-' || (n / 7 % 20)",
        "units": "n % 5000",
    }
    columns = [row[1] for row in connection.execute("PRAGMA table_info(ladder_deals)")]
    values = ", ".join(named.get(column, f"d.{column}") for column in columns)
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute(
        "WITH RECURSIVE numbers (n) AS (VALUES (2) UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
        f" INSERT INTO ladder_deals ({', '.join(columns)})"
        f" SELECT {values} FROM numbers, ladder_deals d WHERE d.id = 1",
        (deals,),
    )
    for _, statement in indexes:
        connection.execute(statement)


def migrating(folder: Path, small: int, large: int) -> Row:
    """Measure adopting a changed ladder, per deal."""
    seconds = []
    for deals in (small, large):
        path = folder / f"migrating-{deals}.db"
        board = open_board(three_stages(), path, ManualClock(END))
        board.handle_many(Event("reopen", deal=f"d{n}", id=f"e{n}", at=START) for n in range(deals))
        former = board.pipeline
        lead, _, won = former.stages
        changed = Pipeline(
            former.name,
            stages=former.stages,
            rules=[*former.rules, after(hours=24, out_of=lead, into=won)],
        )
        adopting = Board(changed, store=board.store, clock=ManualClock(END), adopting=True)
        seconds.append(timed(lambda board=adopting: board.migrate(batch=50))() / deals)
        board.close()
    what = f"migrate, a deal of {large:,}, against of {small:,}"
    return Row(what, _costs(seconds), seconds[1] / seconds[0], target=1.5, at_most=True)


def forgetting(folder: Path) -> Iterator[Row]:
    """Measure forgetting a person, by how many texts their deal has."""

    def forget(count: int) -> float:
        board = open_board(sales(), folder / f"forget-{count}.db", ManualClock(END))
        words = " ".join(f"word{n}" for n in range(100))
        contact = {"contact": {"email": "ada@example.com", "name": "Ada Rossi"}}
        board.handle(Event("cart.saved", deal="d", id="first", at=START, data=contact))
        board.handle_many(
            Event(
                "page.viewed",
                deal="d",
                id=f"e{n}",
                at=START + n * SECOND,
                data={"properties": {f"note{n % 50}": words}},
            )
            for n in range(count)
        )
        seconds = timed(lambda: board.forget(email="ada@example.com"))()
        board.close()
        return seconds / count

    seconds = [forget(200), forget(2_000)]
    yield Row("forget, an event of 2,000, against of 200", _costs(seconds), seconds[1] / seconds[0])


def _grown(what: str, sides: list[Callable[[], float]], target: float, rounds: int = ROUNDS) -> Row:
    """Return a row about how many times more the second side costs than the first."""
    # Of the best rounds: a wave of noise in one is no growth.
    small, large = map(min, in_turns(sides, rounds))
    return Row(what, _costs([small, large]), large / small, target=target, at_most=True)


def _costs(seconds: list[float]) -> str:
    return " : ".join(f"{each * 1e6:,.1f} µs" for each in reversed(seconds))
