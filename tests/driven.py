"""An asynchronous board that synchronous tests can drive."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any

from ladderpipe import Pipeline
from ladderpipe.asynchronous import AsyncBoard

__all__ = ["DrivenBoard"]


class DrivenBoard:
    """An AsyncBoard with an event loop of its own, whose methods answer at once as Board's do."""

    def __init__(self, pipeline: Pipeline, **settings: Any) -> None:
        self._runner = asyncio.Runner()
        self._asynchronous = AsyncBoard(pipeline, **settings)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._asynchronous, name, None)
        if found is None:
            return getattr(self._asynchronous._board, name)
        return functools.partial(self._run, found) if callable(found) else found

    def _run(self, method: Any, *arguments: Any, **named: Any) -> Any:
        async def call() -> Any:
            answer = method(*arguments, **named)
            if inspect.isasyncgen(answer):
                return [one async for one in answer]
            return await answer if inspect.isawaitable(answer) else answer

        loop = self._runner.get_loop()
        if loop.is_running():  # a handler, in a worker thread
            return asyncio.run_coroutine_threadsafe(call(), loop).result()
        return self._runner.run(call())

    def close(self) -> None:
        self._run(self._asynchronous.close)
        self._runner.close()
