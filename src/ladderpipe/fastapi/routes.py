"""The routes: events told, deals read, and what people do with them by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

import attrs
from fastapi import APIRouter, Body, Depends, Header, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.models import Example
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor

from ..asynchronous import AsyncBoard
from ..board.board import Board
from ..board.listing import Changes, Page, Sort
from ..board.read import StageTotal
from ..board.task_list import TaskPage
from ..errors import DefinitionError
from ..fold.explain import Explanation
from ..fold.options import Option
from ..model.deal import Deal
from ..model.effect import Task
from ..model.event import Event
from ..model.history import History
from ..model.receipt import Outcome, Receipt
from ..model.stage import Status
from .bodies import Edit, MoveByHand, Undo
from .refusals import ProblemRoute, problems

__all__ = ["router"]

After = Annotated[str | None, Query(description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1_000)]
Instant = Annotated[str | None, Query(json_schema_extra={"format": "date-time"})]

Result = TypeVar("Result")

TOLD: Final = {Outcome.DUPLICATE: 200, Outcome.ARCHIVED: 200, Outcome.LATE: 200, Outcome.HELD: 202}
"""The status of an event that is no news, or cannot be used yet; of any other it is 201."""

_EVENT: Final[dict[str, Example]] = {
    "cart": {
        "summary": "Something was put into a cart.",
        "value": {
            "type": "cart.item_added",
            "deal": "cart-42",
            "id": "e1",
            "at": "2026-03-02T09:00:00Z",
            "data": {
                "line": {"sku": "NB-15", "quantity": 1, "unit_price": "899.00"},
                "currency": "EUR",
                "contact": {"name": "Ada Rossi", "email": "ada@example.com"},
            },
        },
    }
}

_KEY: Final = "Makes a request that is sent again harmless."
Key = Annotated[str | None, Header(alias="Idempotency-Key", description=_KEY)]


class AnyText(Convertor[str]):
    """A part of an address: any text, as a deal's id may be, slashes and line breaks too."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """Return what stands in the address."""
        return value

    def to_string(self, value: str) -> str:
        """Return what stands in the address."""
        return value


register_url_convertor("any_text", AnyText())


@attrs.frozen
class Asking:
    """Asks a board, in a thread or on the event loop, as the board is made for."""

    board: Board | AsyncBoard

    async def __call__(self, work: Callable[[Board], Result]) -> Result:
        """Return what *work* does with the board; what an ``AsyncBoard`` does is awaited."""
        board: Any = self.board
        if isinstance(board, Board):
            return await run_in_threadpool(work, board)
        awaited: Any = work(board)
        found: Result = await awaited
        return found


def router(
    board: Board | AsyncBoard | Callable[..., Any],
    *,
    actor: Callable[..., Any] | None = None,
    dependencies: Sequence[Dependency] = (),
    prefix: str = "",
    tags: Sequence[str] = ("deals",),
) -> APIRouter:
    """Return the routes of a board, to be included into an application.

    Each is typed in OpenAPI, and answers what is refused as a problem, as ``ladderpipe.problems``
    says. A ``Board`` is asked in FastAPI's threads, an ``AsyncBoard`` awaited.

    Args:
        board: the board, or a dependency that returns it, such as one that reads it from the
            application's state.
        actor: a dependency that returns the name of whoever is signed in. Left out, nothing is
            done by hand: those routes are missing.
        dependencies: asked before any of the routes, for example who may call at all. Without
            them whoever reaches the application may.
        prefix: of the addresses, for example ``"/api"``.
        tags: under which OpenAPI shows them.
    """
    given = board if callable(board) else _always(board)

    async def ask(found: Any = Depends(given)) -> Asking:  # noqa: B008 - as FastAPI has it
        return Asking(found)

    asking = Depends(ask)
    api = APIRouter(
        prefix=prefix,
        tags=list(tags),
        dependencies=list(dependencies),
        route_class=ProblemRoute,
        generate_unique_id_function=_name,
    )
    _add_events(api, asking)
    _add_lists(api, asking)
    _add_work(api, asking)
    if actor is not None:
        _add_hands(api, asking, Depends(actor))
    _add_reading(api, asking, Depends(actor or _nobody))
    return api


def _always(board: Board | AsyncBoard) -> Callable[[], Awaitable[Any]]:
    async def given() -> Any:
        return board

    return given


async def _nobody() -> None:
    return None


def _name(route: APIRoute) -> str:
    return "-".join([*map(str, route.tags[:1]), route.name])


def _add_events(api: APIRouter, asking: Any) -> None:
    answers: dict[int | str, dict[str, Any]] = {
        200: {"model": Receipt, "description": "Known already, or no news."},
        202: {"model": Receipt, "description": "Kept, and cannot be used yet."},
    }

    @api.post("/events", status_code=201, responses={**answers, **problems()})
    async def tell(
        event: Annotated[Event, Body(openapi_examples=_EVENT)],
        response: Response,
        ask: Asking = asking,
    ) -> Receipt:
        """Tell an event. Telling it again changes nothing; one that cannot be used is held."""
        receipt = await ask(lambda board: board.handle(event, hold=True))
        response.status_code = TOLD.get(receipt.outcome, 201)
        return receipt


def _add_hands(api: APIRouter, asking: Any, actor: Any) -> None:
    refused = problems(404, 409)

    @api.post("/deals/{deal:any_text}/move", responses=refused)
    async def move(
        deal: str, hand: MoveByHand, key: Key = None, ask: Asking = asking, by: str = actor
    ) -> Receipt:
        """Move a deal by hand, as the rules allow; the history tells who and why."""
        asked = {name: getattr(hand, name) for name in ("reason", "properties", "at", "expecting")}
        return await ask(lambda board: board.move(deal, hand.into, by=by, id=key, **asked))

    @api.patch("/deals/{deal:any_text}", responses=refused)
    async def edit(
        deal: str, hand: Edit, key: Key = None, ask: Asking = asking, by: str = actor
    ) -> Receipt:
        """Correct what is known of a deal; the history tells who."""
        asked = hand.model_dump(exclude_unset=True)
        return await ask(lambda board: board.edit(deal, by=by, id=key, **asked))

    @api.post("/deals/{deal:any_text}/undo", responses=refused)
    async def undo(
        deal: str, hand: Undo, key: Key = None, ask: Asking = asking, by: str = actor
    ) -> Receipt:
        """Take back a move or an edit by hand; the history still tells that it was."""
        asked = {name: getattr(hand, name) for name in ("event", "expecting", "reason")}
        return await ask(lambda board: board.undo(deal, by=by, id=key, **asked))

    # Signed in, though the board notes nobody's name with it.
    @api.post("/tasks/{task:any_text}/complete", responses=problems(404), dependencies=[actor])
    async def complete(task: str, ask: Asking = asking) -> Task:
        """Note that a person has done a task."""
        return await ask(lambda board: board.complete(task))


def _add_lists(api: APIRouter, asking: Any) -> None:
    @api.get("/deals", responses=problems())
    async def deals(
        stage: str | None = None,
        status: Status | None = None,
        owner: str | None = None,
        source: str | None = None,
        search: Annotated[str | None, Query(description="Words that must all stand in it.")] = None,
        customer: Annotated[str | None, Query(description="An e-mail address or a key.")] = None,
        sort: Sort = "age",
        after: After = None,
        limit: Limit = 50,
        ask: Asking = asking,
    ) -> Page:
        """List deals, page by page."""
        try:
            return await ask(
                lambda board: board.page(
                    stage,
                    sort=sort,
                    after=after,
                    limit=limit,
                    status=status,
                    owner=owner,
                    source=source,
                    search=search,
                    customer=customer,
                )
            )
        except DefinitionError as error:
            found = {"loc": ("query", "stage"), "msg": str(error), "type": "value_error"}
            raise RequestValidationError([found]) from None

    @api.get("/summary", responses=problems())
    async def summary(ask: Asking = asking) -> list[StageTotal]:
        """Count the open deals of each stage, and add up what they are worth, by currency."""
        return await ask(lambda board: board.summary())


def _add_work(api: APIRouter, asking: Any) -> None:
    @api.get("/changes", responses=problems())
    async def changes(
        after: Annotated[
            str | None, Query(description="`cursor` of the last answer; all deals without it.")
        ] = None,
        limit: Annotated[
            int, Query(ge=0, le=1_000, description="With 0, only the cursor of this moment.")
        ] = 500,
        ask: Asking = asking,
    ) -> Changes:
        """List deals that were written since, as they are now; some may be told twice."""
        return await ask(lambda board: board.changes(after, limit=limit))

    @api.get("/tasks", responses=problems())
    async def tasks(
        owner: str | None = None,
        deal: str | None = None,
        due_by: Instant = None,
        after: After = None,
        limit: Limit = 50,
        ask: Asking = asking,
    ) -> TaskPage:
        """List what people are to do, page by page, the most urgent first."""
        return await ask(
            lambda board: board.task_page(
                owner=owner, deal=deal, due_by=due_by, after=after, limit=limit
            )
        )


def _add_reading(api: APIRouter, asking: Any, actor: Any) -> None:
    missing = problems(404)

    @api.get("/deals/{deal:any_text}/history", responses=missing)
    async def history(deal: str, ask: Asking = asking) -> History:
        """Show everything that a deal has been through."""
        return await ask(lambda board: board.history(deal))

    @api.get("/deals/{deal:any_text}/explanation", responses=missing)
    async def explanation(deal: str, ask: Asking = asking) -> Explanation:
        """Say what every event, hand and timer of a deal did, and why others did not."""
        return await ask(lambda board: board.explain(deal))

    @api.get("/deals/{deal:any_text}/options", responses=missing)
    async def options(
        deal: str, ask: Asking = asking, by: str | None = actor
    ) -> tuple[Option, ...]:
        """Say of every stage whether a hand may move the deal there now, and what follows."""
        return await ask(lambda board: board.options(deal, by=by))

    # Last: a deal's id may have slashes, and this address takes them all.
    @api.get("/deals/{deal:any_text}", responses=missing)
    async def deal(deal: str, ask: Asking = asking) -> Deal:
        """Show a deal as it stands."""
        return await ask(lambda board: board.deal(deal))
