"""What the type checker catches in hooks and handlers. Checked by mypy, never run."""

from __future__ import annotations

from ladderpipe import Board, Delivery, HookContext, Pipeline, Stage, on

quote = Stage("quote_requested")
pipeline = Pipeline("sales", stages=[quote], rules=[on("a", into=quote, opens=True)])
board = Board(pipeline)


@pipeline.move_into(quote)
def greet(ctx: HookContext) -> None:
    if ctx.event is not None and ctx.deal.contact:
        ctx.do("email", template="welcome", to=ctx.deal.contact["email"])


@board.handles("email")
def send(delivery: Delivery) -> None:
    assert delivery.payload["to"]


# A hook with another signature.
@pipeline.move_into(quote)  # type: ignore[type-var]
def takes_nothing() -> None: ...


@pipeline.move_out_of(quote)  # type: ignore[type-var]
def takes_two(ctx: HookContext, deal: str) -> None: ...


@pipeline.move_into(quote)  # type: ignore[type-var]
def takes_a_number(ctx: int) -> None: ...


# An asynchronous one is right: an AsyncBoard awaits it, and a Board says so when it is opened.
@pipeline.move_into(quote)
async def is_asynchronous(ctx: HookContext) -> None: ...


# A decorated hook is still itself.
greet("not a context")  # type: ignore[arg-type]


@board.handles("task")  # type: ignore[arg-type]
def takes_text(delivery: str) -> None: ...


board.handle_effect("email", send)
board.handle_effect("email", "no function")  # type: ignore[arg-type]
