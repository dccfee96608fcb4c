"""What type checkers say of a board behind FastAPI. Checked, never run."""

from typing import Annotated, assert_type

from fastapi import APIRouter, Body, Depends, FastAPI, Request
from pydantic import BaseModel

from ladderpipe import AsyncBoard, Board, Event, Receipt, Stage
from ladderpipe.fastapi import install_error_handlers, router
from ladderpipe.problems import Problem, problem_of


def signed_in(request: Request) -> str:
    return request.headers["x-user"]


async def opened(request: Request) -> AsyncBoard:
    found: AsyncBoard = request.app.state.board
    return found


def routes(app: FastAPI, board: Board, asynchronous: AsyncBoard) -> None:
    assert_type(router(board), APIRouter)
    router(asynchronous, actor=signed_in, dependencies=[Depends(signed_in)], prefix="/api")
    router(opened, tags=["sales"])
    router()  # type: ignore[call-arg]
    router(board, signed_in)  # type: ignore[call-arg]
    router("sqlite:///shop.db")  # type: ignore[arg-type]
    install_error_handlers(app)
    assert_type(problem_of(ValueError()), Problem | None)


class Delivery(BaseModel):
    event: Event
    into: Stage | None = None
    answer: Receipt | None = None


def take(event: Annotated[Event, Body()], delivery: Delivery) -> None:
    assert_type(delivery.event, Event)
    assert_type(delivery.into, Stage | None)
