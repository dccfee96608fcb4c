"""Celery and APScheduler do what the worker does: real ones, with processes of their own."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ladderpipe import Board, Event, templates
from tests.commands import mails_in

from .programs import started, until

SHOP = """
from ladderpipe import templates
from ladderpipe.mail import FileMailbox

ladder = templates.sales_management(language="en")


def register(board):
    board.handle_effect("email", FileMailbox("mails", sender="Shop <shop@example.com>"))
"""


class Place:
    """A folder with a shop whose mails go into a file, and a customer who left a cart there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/shop.db"
        (folder / "shop.py").write_text(SHOP)
        for name in ("in", "processed"):
            (folder / name).mkdir()
        self.variables = {
            "LADDERPIPE_URL": self.url,
            "LADDERPIPE_EVERY": "0.5",
            "CELERY_BROKER_URL": "filesystem://",
        }
        line = {"sku": "NB-15", "quantity": 1, "unit_price": "899.00"}
        with Board.open(templates.sales_management(language="en"), self.url) as board:
            board.handle(
                Event(
                    "cart.item_added",
                    deal="cart-1",
                    id="e1",
                    at=board.clock.now() - dt.timedelta(hours=49),
                    data={"line": line, "contact": {"email": "ada@example.com"}},
                )
            )

    def stage(self) -> str:
        with Board.open(
            templates.sales_management(language="en"), self.url, read_only=True
        ) as board:
            return str(board.deal("cart-1").stage)

    def is_reminded(self) -> bool:
        mails = self.folder / "mails"
        return mails.exists() and len(mails_in(mails)) > 0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


CELERY = """
from by_celery import app

app.conf.broker_transport_options = {
    "data_folder_in": "in", "data_folder_out": "in", "processed_folder": "processed",
}
"""
"""The broker is a folder: what it says of the folders cannot be said in its address."""


@pytest.fixture
def worker(place: Place) -> Iterator[subprocess.Popen[str]]:
    (place.folder / "with_a_folder.py").write_text(CELERY)
    celery = ["python", "-m", "celery", "--app", "with_a_folder"]
    folder, variables = place.folder, place.variables
    with (
        started([*celery, "worker", "--concurrency", "2"], folder, **variables) as process,
        started([*celery, "beat", "--schedule", "beat"], folder, **variables),
    ):
        yield process


def test_celery_fires_timers_and_delivers_each_effect_once(
    place: Place, worker: subprocess.Popen[str]
) -> None:
    until(place.is_reminded, worker, place.folder)
    assert place.stage() == "checkout_abandoned"
    with Board.open(templates.sales_management(language="en"), place.url) as board:
        board.handle(Event("order.confirmed", deal="cart-1", id="e2", at=board.clock.now()))
    until(lambda: len(mails_in(place.folder / "mails")) == 2, worker, place.folder)
    assert place.stage() == "order_confirmed"


def test_apscheduler_fires_timers_and_delivers(place: Place) -> None:
    with started(["python", "-m", "by_apscheduler"], place.folder, **place.variables) as process:
        until(place.is_reminded, process, place.folder)
    assert process.returncode == 0  # it has finished its round, and closed the board
    assert place.stage() == "checkout_abandoned"
