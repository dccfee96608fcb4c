"""What structlog writes and what ``opentelemetry-instrument`` exports, of programs that run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, Event, templates
from tests.docs.pages import blocks

from .programs import DEPLOY, ROOT, started, until

LOGGING = """
import sys
import structured_log
from ladderpipe import Board, Event, ManualClock, templates
from ladderpipe.errors import UndeliverableError

structured_log.configure("DEBUG")
clock = ManualClock("2026-01-05T09:00:00Z")
board = Board(templates.sales_management(language="en"), clock=clock)

@board.handles("email")
def send(delivery):
    raise UndeliverableError("ada@example.com: no such mailbox")

contact = {"email": "ada@example.com"}
data = {"contact": contact}
event = Event("order.confirmed", deal="cart-1", id="e1", at=clock.now(), data=data)
structured_log.tell(board, event)
board.deliver()
"""


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    path = os.pathsep.join([str(DEPLOY), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", LOGGING],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_line_says_of_which_pipeline_and_of_which_event_it_is(
    lines: list[dict[str, Any]],
) -> None:
    moved, taken, told, failed = (
        next(line for line in lines if line["logger"] == name)
        for name in ("ladderpipe.moves", "ladderpipe.events", "shop", "ladderpipe.effects")
    )
    of_the_event = {"deal": "cart-1", "event_id": "e1"}
    assert (
        moved.items()
        >= (
            of_the_event
            | {"pipeline": "sales-management", "stage": "order_confirmed", "level": "debug"}
        ).items()
    )
    assert taken.items() >= (of_the_event | {"outcome": "opened"}).items()
    assert told.items() >= (of_the_event | {"outcome": "opened", "event": "told"}).items()
    assert all(re.fullmatch(r"2\d{3}-.+Z", line["timestamp"]) for line in lines)
    # The worker was told of no event, and the board names no deal.
    assert failed.items() >= {"effect": "email", "state": "dead", "level": "error"}.items()
    assert "deal" not in failed


def test_the_page_shows_such_a_line(lines: list[dict[str, Any]]) -> None:
    (shown,) = [
        json.loads(block.text)
        for block in blocks(ROOT / "docs" / "how-to" / "observe.md")
        if block.language == "json"
    ]
    (moved,) = [line for line in lines if line["logger"] == "ladderpipe.moves"]
    assert shown == moved | {"timestamp": shown["timestamp"]}


def test_no_line_tells_more_than_the_board_does(lines: list[dict[str, Any]]) -> None:
    assert "ada@" not in json.dumps(lines)


OTEL = {
    "OTEL_SERVICE_NAME": "shop",
    "OTEL_TRACES_EXPORTER": "console",
    "OTEL_METRICS_EXPORTER": "console",
    "OTEL_LOGS_EXPORTER": "none",
}


def test_opentelemetry_instrument_exports_what_a_worker_does(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    with Board.open(templates.sales_management(language="en"), url) as board:
        paid = {"contact": {"email": "ada@example.com"}}
        now = board.clock.now()
        board.handle(Event("order.confirmed", deal="cart-1", id="e1", at=now, data=paid))
    command = ["opentelemetry-instrument", "ladderpipe", "worker", url]
    command += ["--pipeline", "ladderpipe.templates:sales_management"]
    command += ["--mailbox", "mails", "--sender", "Shop <shop@example.com>"]
    with started(command, tmp_path, **OTEL) as process:
        until(
            lambda: (tmp_path / "mails").exists() and (tmp_path / "mails").stat().st_size > 0,
            process,
            tmp_path,
        )
    said = (tmp_path / "0.log").read_text()
    spans = re.findall(r'(?m)^    "name": "(ladderpipe\.\w+)"', said)
    assert "ladderpipe.deliver" in spans
    assert '"ladderpipe.state": "delivered"' in said
    assert '"name": "ladderpipe.effect.lag"' in said  # when it ends, too
    assert '"service.name": "shop"' in said
    assert "@example.com" not in said
