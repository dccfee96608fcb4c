"""Awaiting what must not be left half done; apart, since it imports the event loop."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

__all__ = ["to_its_end"]

Given = ParamSpec("Given")
Result = TypeVar("Result")


async def to_its_end(
    call: Callable[Given, Awaitable[Result]], *arguments: Given.args, **named: Given.kwargs
) -> Result:
    """Await a call that must not be left half done; who was cancelled learns of it after."""
    task = asyncio.ensure_future(call(*arguments, **named))
    cancelled: CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except CancelledError as error:
            cancelled = error
    if cancelled is None or task.cancelled():
        return task.result()
    failure = task.exception()
    raise cancelled from failure
