"""(k) What asking a send policy costs, and that it costs the same beside a million other deals."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, do, on
from ladderpipe.policy import Policy, at_most, bought, in_conversation, unsubscribed

from .harness import Report, Row, in_turns, paired, rate, timed
from .ladders import START
from .stores import open_board

METHOD = """\
On SQLite, deals that ask for a mail to their customer as they open, and a handler that does
nothing: `deliver` with the policy of a shop (bought, unsubscribed, in conversation, two caps)
against none, and against effects that are nobody's. Then a customer's five deals beside others: in
a small store and in one of a million deals (of 50,000 with `--quick`), each of a customer's own
key. Costs are of the best round.\
"""

SHOP: Final = Policy(
    stop_when=[bought, unsubscribed, in_conversation],
    caps=[at_most(1, hours=16), at_most(3, days=30)],
)
DEALS_EACH: Final = 5
ROUNDS: Final = 5


def run(quick: bool, folder: Path) -> Report:
    count = 300 if quick else 1_500
    others = 50_000 if quick else 1_000_000
    return Report("Send policies", METHOD, [*costs(folder, count), grown(folder, count, others)])


def ladder(to: str | None, send: Policy | None) -> Pipeline:
    """Return a ladder whose deals ask for a mail when they are opened."""
    steps = [do("letter", **({} if to is None else {"to": to}))]
    quote, won = Stage("quote", sequence=steps), Stage("won", status="won")
    rules = [on("opened", into=quote, opens=True), on("paid", into=won)]
    return Pipeline("policies", stages=[quote, won], rules=rules, send=send)


def costs(folder: Path, count: int) -> Iterator[Row]:
    """Measure deliveries with a policy, to customers without one, and to nobody's address."""
    numbers = itertools.count()

    def side(to: str | None, send: Policy | None) -> Callable[[], float]:
        def work() -> float:
            path = folder / f"policies-{next(numbers)}.db"
            board = open_board(ladder(to, send), path, ManualClock(START))
            board.handle_many(_opened("deal", count))
            seconds = _delivered(board)
            board.close()
            return seconds

        return work

    sides = [side("customer", SHOP), side("customer", None), side(None, None)]
    ruled, customers, plain = in_turns(sides, ROUNDS)
    asked, addressed = paired(ruled, customers), paired(customers, plain)
    yield Row(
        f"`deliver`, {count:,} effects, a policy : none",
        f"{rate(count, asked.ours, 'effects')} : {rate(count, asked.theirs, 'effects')}",
        asked.speed,
    )
    yield Row(
        f"`deliver`, {count:,} effects, to customers : to nobody's address",
        f"{rate(count, addressed.ours, 'effects')} : {rate(count, addressed.theirs, 'effects')}",
        addressed.speed,
    )


def grown(folder: Path, count: int, others: int) -> Row:
    """Measure deliveries with a policy beside few deals and beside many."""
    boards = []
    for name, beside in (("small", 1_000), ("large", others)):
        clock = ManualClock(START)
        pipeline = ladder("customer", SHOP)
        board = open_board(pipeline, folder / f"policies-{name}.db", clock)
        board.handle_many(_opened("other", beside), quiet=True)
        boards.append(board)
    numbers = itertools.count()

    def side(board: Board) -> Callable[[], float]:
        def work() -> float:
            board.handle_many(_opened(f"round-{next(numbers)}", count))
            return _delivered(board)

        return work

    small, large = in_turns([side(board) for board in boards], ROUNDS)
    for board in boards:
        board.close()
    return Row(
        f"`deliver` with a policy, beside {others:,} deals, against 1,000",
        f"{min(large) / count * 1e6:,.0f} : {min(small) / count * 1e6:,.0f} µs an effect",
        min(large) / min(small),
        target=2.0,
        at_most=True,
    )


def _opened(name: str, deals: int) -> Iterator[Event]:
    for number in range(deals):
        contact = {"email": f"{name}-{number // DEALS_EACH}@example.com"}
        deal = f"{name}-{number}"
        yield Event("opened", deal=deal, id=deal, at=START, data={"contact": contact})


def _delivered(board: Board) -> float:
    if not board._session.handlers:
        board.handles("letter")(lambda delivery: None)
    return timed(board.deliver)()
