"""A board in step with the CRM that a module serves: what each test of a CRM begins with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, ManualClock
from ladderpipe.connect import CrmSync
from ladderpipe.templates import sales_management

from .crms import World
from .senders import NOW


@pytest.fixture
def world(served: World) -> World:
    """Return the CRM of a module, empty."""
    served.service.reset()
    return served


@pytest.fixture
def board() -> Board:
    return Board(sales_management(language="en"), clock=ManualClock(NOW))


@pytest.fixture
def connected(world: World) -> Iterator[Callable[..., Any]]:
    """Return what connects the CRM, with other options than usual."""
    with contextlib.ExitStack() as stack:

        def connecting(*arguments: Any, **options: Any) -> Any:
            return stack.enter_context(contextlib.closing(world.connected(*arguments, **options)))

        yield connecting


@pytest.fixture
def opened(
    world: World, connected: Callable[..., Any], board: Board, tmp_path: Path
) -> Callable[..., CrmSync]:
    """Return what keeps the board in step, with a CRM, a ledger, or options of its own."""

    def opening(crm: Any = None, ledger: str = "ledger.db", **options: Any) -> CrmSync:
        return CrmSync(board, crm or connected(), world.mapping, tmp_path / ledger, **options)

    return opening


@pytest.fixture
def sync(opened: Callable[..., CrmSync]) -> CrmSync:
    return opened()
