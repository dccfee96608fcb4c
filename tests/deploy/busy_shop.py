"""A shop in which everything happens that is measured, and a worker that goes on with it."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

from ladderpipe import Backoff, Board, Event, MemoryStore, Pipeline, Stage, after, do, on
from ladderpipe.errors import EventConflictError, UndeliverableError

HOUR = dt.timedelta(hours=1)


class Conflict(Exception):
    """What a database says of a transaction that is to be begun again."""


class BusyStore(MemoryStore):
    """A store in which now and then another transaction was there first."""

    conflicts = 0

    def may_retry(self, error: BaseException) -> bool:
        return isinstance(error, Conflict)

    def transaction(self, write: bool = True) -> Any:
        if write and self.conflicts:
            self.conflicts -= 1
            raise Conflict
        return super().transaction(write)


def ladder() -> Pipeline:
    new = Stage("new", sequence=[do("mail"), do("call")])
    cold = Stage("cold", status="abandoned")
    broken = Stage("broken")
    won = Stage("won", status="won")
    pipeline = Pipeline(
        "busy",
        stages=[new, cold, broken, won],
        rules=[
            on("lead", into=new, opens=True),
            on("odd", into=broken, opens=True),
            on("order", into=won),
            after(hours=1, out_of=new, into=cold),
            after(hours=1, out_of=broken, into=cold),
        ],
    )

    @pipeline.move_out_of(broken)
    def refuse(ctx: Any) -> None:
        raise OSError("no timer fires here")

    return pipeline


def main() -> None:
    store = BusyStore()
    board = Board(ladder(), store=store, backoff=Backoff(tries=1))
    now = board.clock.now()

    def tell(kind: str, deal: str, ago: float = 0, **data: Any) -> None:
        board.handle(
            Event(kind, deal=deal, id=f"{kind} {deal}", at=now - ago * HOUR, data=data), hold=True
        )

    tell("lead", "a", ago=0.5)
    tell("lead", "b", ago=3)
    tell("odd", "c", ago=2)
    tell("order", "a")
    tell("lead", "late", ago=0.2)
    tell("order", "late")
    tell("call", "late", ago=0.1)  # it comes before what is there
    tell("lead", "early", ago=-9)  # it is held: that is not yet
    with contextlib.suppress(EventConflictError):
        board.handle(Event("lead", deal="a", id="lead a", at=now, data={"title": "another"}))
    store.conflicts = 2
    tell("lead", "d")

    @board.handles("mail")
    def send(delivery: Any) -> None:
        pass

    @board.handles("call")
    def refuse(delivery: Any) -> None:
        raise UndeliverableError("nobody answers")

    board.run(poll=dt.timedelta(seconds=0.5))


if __name__ == "__main__":
    main()
