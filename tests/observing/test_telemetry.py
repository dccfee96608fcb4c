"""What OpenTelemetry is told: a span for what a board does, and what it counts and measures."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from ladderpipe import Backoff, Event, MemoryStore, Pipeline, Stage, on
from ladderpipe.errors import EventConflictError, GuardError, HookError, MoveNotAllowedError
from ladderpipe.observability.observer import Observer
from tests.observing.conftest import Told
from tests.shops import START, Shop, lead_ladder, register


def mail(ctx: Any) -> None:
    ctx.do("email", template="hello")


def fail(*given: Any) -> None:
    raise OSError("the mail server is away")


@pytest.fixture
def shop(told: Told) -> Shop:
    return Shop(register(lead_ladder(), into_new=mail), MemoryStore())


def test_an_event_is_a_span_that_says_what_became_of_it(told: Told, shop: Shop) -> None:
    shop.tell("lead")
    span = told.span("handle")
    assert dict(span.attributes) == {
        "ladderpipe.pipeline": "leads",
        "ladderpipe.outcome": "opened",
        "ladderpipe.moves": 1,
        "ladderpipe.refolded": False,
    }
    assert span.status.status_code is StatusCode.UNSET


def test_a_refused_event_is_a_span_that_names_the_error(told: Told, shop: Shop) -> None:
    shop.tell("lead", id="e")
    with pytest.raises(EventConflictError):
        shop.tell("order", id="e")
    failed = told.spans[-1]
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes["error.type"] == "ladderpipe.errors.EventConflictError"
    assert failed.status.description is None
    assert failed.events == ()


def test_events_are_counted_by_outcome_or_error(told: Told, shop: Shop) -> None:
    event = shop.event("lead")
    shop.board.handle_many([event, event, shop.event("call", "unheard-of")])
    shop.board.handle(event)
    with pytest.raises(MoveNotAllowedError):
        shop.board.move("d", "won", by="Ada")
    shop.board.override("d", "won", by="Ada")
    assert told.counted("events") == {
        ("opened",): 1,
        ("duplicate",): 2,
        ("waiting",): 1,
        ("ladderpipe.errors.MoveNotAllowedError",): 1,
        ("moved",): 1,
    }
    batch = told.span("handle_many")
    assert batch.attributes["ladderpipe.events"] == 3
    assert [span.name for span in told.spans].count("ladderpipe.move") == 2


def test_moves_are_counted_by_rule_once_they_are_committed(told: Told) -> None:
    shop = Shop(register(lead_ladder(), into_won=fail), MemoryStore())
    shop.tell("lead")
    shop.tell("call")
    with pytest.raises(HookError):
        shop.tell("order")
    stages = {stage: count for (_, stage), count in told.counted("moves").items()}
    assert stages == {"new": 1, "talking": 1}
    rules = {rule for rule, _ in told.counted("moves")}
    assert rules <= {rule.key for rule in shop.pipeline.rules}


def test_a_late_event_is_counted_as_a_refold(told: Told, shop: Shop) -> None:
    shop.tell("lead")
    shop.wait(73)
    shop.board.tick()
    shop.tell("call", hours=-70)
    assert told.counted("refolds") == {(): 1}
    assert told.spans[-1].attributes["ladderpipe.refolded"]


def test_only_a_sweep_with_something_due_is_a_span(told: Told, shop: Shop) -> None:
    shop.tell("lead")
    shop.board.tick()
    assert [span.name for span in told.spans] == ["ladderpipe.handle"]
    shop.wait(73)
    shop.board.tick()
    span = told.span("tick")
    assert (span.attributes["ladderpipe.deals"], span.attributes["ladderpipe.moves"]) == (1, 1)
    assert told.measured("sweep.duration")[()].count == 1


def test_a_deal_that_cannot_be_swept_is_counted_by_error(told: Told) -> None:
    shop = Shop(register(lead_ladder(), into_cold=fail), MemoryStore())
    shop.tell("lead")
    shop.wait(73)
    shop.board.tick()
    assert told.counted("sweep.failures") == {("ladderpipe.errors.HookError",): 1}
    assert told.span("tick").attributes["ladderpipe.failures"] == 1


def test_a_delivery_is_a_span_around_what_the_handler_does(told: Told, shop: Shop) -> None:
    seen = []
    shop.board._session.handlers["email"] = lambda delivery: seen.append(trace.get_current_span())
    shop.tell("lead")
    shop.board.deliver()
    span = told.span("deliver")
    assert seen[0].get_span_context() == span.get_span_context()
    assert span.attributes["ladderpipe.effect"] == "email"
    assert span.attributes["ladderpipe.state"] == "delivered"
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_deliveries_are_counted_by_effect_and_state(told: Told) -> None:
    pipeline = register(lead_ladder(), into_new=mail)
    shop = Shop(pipeline, MemoryStore(), backoff=Backoff(tries=2))
    shop.board._session.handlers["email"] = fail
    shop.tell("lead")
    for _ in range(2):
        shop.board.deliver()
        shop.wait(1)
    assert told.counted("deliveries") == {
        ("email", "pending"): 1,
        ("email", "dead"): 1,
    }
    assert told.measured("delivery.duration").keys() == told.counted("deliveries").keys()
    tries = [span.attributes["ladderpipe.attempt"] for span in told.spans if "deliver" in span.name]
    assert tries == [1, 2]
    assert all(s.status.status_code is StatusCode.ERROR for s in told.spans if "deliver" in s.name)


def test_a_worker_s_round_measures_what_is_overdue(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(register(lead_ladder(), into_new=mail), MemoryStore())
    shop.board._session.handlers.clear()
    shop.tell("lead")
    shop.wait(1)
    stop = threading.Event()
    shop.board.handles("other")(print)
    early = Event("call", deal="d", id="early", at=shop.clock.now() + dt.timedelta(days=9))
    shop.board.handle(early, hold=True)
    told_of_a_round = Observer.note_backlog

    def note(observer: Observer, session: Any) -> None:
        told_of_a_round(observer, session)
        stop.set()

    monkeypatch.setattr(Observer, "note_backlog", note)
    began = time.time()
    shop.board.run(stop=stop)
    assert began <= told.counted("worker.seen")[()] <= time.time()
    assert told.counted("held") == {(): 1}
    assert told.counted("effect.lag") == {(): 3600}
    assert told.counted("timer.lag") == {(): 0}
    assert told.counted("dead_letters") == {(): 0}


def test_a_transaction_that_is_begun_again_is_counted(told: Told, shop: Shop) -> None:
    class Conflict(Exception):
        pass

    class Busy(MemoryStore):
        conflicts = 2

        def may_retry(self, error: BaseException) -> bool:
            return isinstance(error, Conflict)

        def transaction(self, write: bool = True) -> Any:
            if write and self.conflicts:
                self.conflicts -= 1
                raise Conflict
            return super().transaction(write)

    store = Busy()
    store.conflicts = 0
    busy = Shop(lead_ladder(), store)
    store.conflicts = 2
    busy.tell("lead")
    ((kind, count),) = told.counted("retries").items()
    assert kind[0].endswith("Conflict")
    assert count == 2
    assert len(told.spans) == 1


def test_units_follow_the_conventions(told: Told, shop: Shop) -> None:
    shop.tell("lead")
    shop.board.deliver()
    shop.wait(73)
    shop.board.tick()
    assert told.units() == {
        "ladderpipe.events": "{event}",
        "ladderpipe.moves": "{move}",
        "ladderpipe.deliveries": "{effect}",
        "ladderpipe.delivery.duration": "s",
        "ladderpipe.sweep.duration": "s",
    }
    pipelines = {
        p.attributes["ladderpipe.pipeline"] for m in told.metrics() for p in m.data.data_points
    }
    assert pipelines == {"leads"}


def test_a_span_lies_below_the_caller_s_own(told: Told, shop: Shop) -> None:
    with told.tracer().start_as_current_span("checkout") as outer:
        shop.tell("lead")
    assert told.span("handle").parent == outer.get_span_context()


def test_a_guard_that_raises_is_an_error_of_the_span(told: Told) -> None:
    new = Stage("new")
    ladder = Pipeline("p", stages=[new], rules=[on("lead", into=new, when=fail, opens=True)])
    with pytest.raises(GuardError):
        Shop(ladder, MemoryStore()).tell("lead")
    assert told.span("handle").attributes["error.type"] == "ladderpipe.errors.GuardError"


def run(code: str, **variables: str) -> str:
    environment = os.environ | variables
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LEAD = f"""
from ladderpipe import Board, Event, ManualClock
from tests.shops import lead_ladder
board = Board(lead_ladder(), clock=ManualClock({START!r}))
lead = Event("lead", deal="d", id="e", at=board.clock.now())
"""


def test_what_nobody_uses_is_not_loaded() -> None:
    run(f"import sys{LEAD}board.handle(lead); assert 'opentelemetry' not in sys.modules")


def test_a_provider_that_the_environment_names_is_told() -> None:
    said = run(
        f"""{LEAD}
board.handle(lead)
from opentelemetry import trace
print(type(trace.get_tracer_provider()).__module__)
import sys
print("ladderpipe.observability.telemetry" in sys.modules)
""",
        OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider",
    )
    assert said == "opentelemetry.sdk.trace\nTrue\n"


def test_a_board_works_without_the_package() -> None:
    said = run(
        f"import sys; sys.modules['opentelemetry'] = None{LEAD}print(board.handle(lead).outcome)"
    )
    assert said == "opened\n"


def test_a_provider_that_is_set_later_is_told() -> None:
    said = run(f"""{LEAD}
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
board.handle(lead)
print(*(span.name for span in spans.get_finished_spans()))
""")
    assert said == "ladderpipe.handle\n"


def test_what_is_not_installed_is_looked_for_once() -> None:
    run(
        "import sys\n"
        "class Absent:\n"
        "    asked = 0\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'opentelemetry':\n"
        "            Absent.asked += 1\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from ladderpipe import Board, Event, Pipeline, Stage, on\n"
        "new = Stage('new')\n"
        "for _ in range(3):\n"
        "    board = Board(Pipeline('p', stages=[new], rules=[on('lead', into=new, opens=True)]))\n"
        "    board.handle(Event('lead', deal='d', id='e', at=board.clock.now()))\n"
        "    board.close()\n"
        "assert Absent.asked == 1, Absent.asked\n",
        OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider",
    )
