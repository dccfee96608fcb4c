"""Boards that only read, and stores that must be there already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, ManualClock, SqliteStore
from ladderpipe.errors import StoreError
from ladderpipe.templates import kanban, sales_management
from tests.commands import START, filled, shop

WRITES: list[Callable[[Board], Any]] = [
    lambda board: board.handle(filled("x", ManualClock(START), owner="o", value="1")),
    lambda board: board.handle_many([filled("x", ManualClock(START), owner="o", value="1")]),
    lambda board: board.move("cart-3", "lost", by="me", properties={"loss_reason": "x"}),
    lambda board: board.override("cart-3", "lost", by="me"),
    lambda board: board.tick(),
    lambda board: board.complete(board.tasks()[0]),
    lambda board: board.migrate(),
    lambda board: board.forget(email="cart-1@example.com"),
    lambda board: board.remove("cart-2"),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_board_that_only_reads_refuses_to_write(
    tmp_path: Path, write: Callable[[Board], Any]
) -> None:
    url = shop(tmp_path / "shop.db")
    with (
        Board.open(sales_management(), url, read_only=True) as board,
        pytest.raises(StoreError, match="read_only"),
    ):
        write(board)


def test_a_board_that_only_reads_adds_no_pipeline(tmp_path: Path) -> None:
    url = shop(tmp_path / "shop.db")
    with pytest.raises(StoreError, match="kanban"):
        Board.open(kanban(), url, read_only=True)


def test_a_store_that_must_be_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="typo"):
        SqliteStore(tmp_path / "typo.db", create=False)
    with pytest.raises(StoreError, match="typo"):
        SqliteStore.from_url(f"sqlite:///{tmp_path}/typo.db?create=false")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_there_is_opened(tmp_path: Path) -> None:
    url = shop(tmp_path / "shop.db")
    SqliteStore.from_url(f"{url}?create=false&synchronous=FULL").close()


@pytest.mark.parametrize("query", ["create=perhaps", "creat=false"])
def test_an_option_that_is_not_known_is_refused(tmp_path: Path, query: str) -> None:
    with pytest.raises(StoreError, match="create=false"):
        SqliteStore.from_url(f"sqlite:///{tmp_path}/shop.db?{query}")
