"""Processes hammer the same deals on one server, with overlapping duplicates."""

from __future__ import annotations

import random
from pathlib import Path

from ladderpipe import ManualClock
from tests.children import HOUR, START, Files, Lines, events_of_many_deals, open_board, run
from tests.integration.test_races import (
    assert_each_was_taken_once,
    assert_nothing_was_sent_twice,
    assert_the_fold_came_out,
)

PROCESSES, DEALS = 4, 50


def test_processes_on_one_server(mariadb_url: str, tmp_path: Path):
    (tmp_path / "url").write_text(mariadb_url)
    files = Files(tmp_path)
    run("race", files, PROCESSES, DEALS)
    assert Lines.read(files.troubles) == [], "nobody was told of a deadlock"
    events = events_of_many_deals(DEALS, random.Random(11))
    assert_each_was_taken_once(Lines.read(files.accepted), len(events))
    with open_board(files, ManualClock(START + 300 * HOUR)) as board:
        assert_the_fold_came_out(board, events)
        while board.deliver(limit=50).delivered:
            pass
    assert_nothing_was_sent_twice(Lines.read(files.delivered))
