"""However transactions are nested and wherever they end, board, orders and signals agree."""

import contextlib
import itertools
from unittest import mock

from django.db import connection, transaction
from django.test import TransactionTestCase
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe.django import deal_moved, get_board, sqlite
from ladderpipe.errors import HookError
from sales import ladder
from sales.models import Order

from .tests_board import Broken, event

numbers = itertools.count()

CALLS = st.sampled_from([("tell", "lead"), ("tell", "order"), ("fail", "order"), ("batch", None)])
BLOCKS = st.recursive(
    CALLS,
    lambda inside: st.tuples(st.sampled_from(["keep", "undo"]), st.lists(inside, max_size=4)),
    max_leaves=12,
)


class Model:
    """What is committed, and what would be: the stage of one deal after another."""

    def __init__(self):
        self.stages = {}

    def call(self, what, kind, deal):
        stage = self.stages.get(deal)
        if what == "batch":
            self.stages[deal] = "won"
        elif kind == "lead" and stage is None:
            self.stages[deal] = "new"
        elif kind == "order" and what == "tell" and stage == "new":
            self.stages[deal] = "won"


class AnyNesting(TransactionTestCase):
    def setUp(self):
        self.moves = []
        deal_moved.connect(self.hear)
        self.addCleanup(deal_moved.disconnect, self.hear)

    def hear(self, move, **told):
        self.moves.append((move.deal, str(move.into)))

    def test_only_what_is_committed_is_there(self):
        # Hypothesis has no test of one's own around each example here: each has other deals.
        @settings(max_examples=60, deadline=None)
        @given(st.lists(BLOCKS, min_size=1, max_size=5), st.integers(1, 2))
        def holds(blocks, deals):
            self.run_example(blocks, deals)

        holds()

    def run_example(self, blocks, deals):
        self.prefix, self.count, self.model = f"x{next(numbers)}-", deals, Model()
        self.moves.clear()
        ladder.told_at_commit.clear()
        for block in blocks:
            self.run_block(block)
        stages = {
            deal.id: deal.stage.key
            for deal in get_board().deals()
            if deal.id.startswith(self.prefix)
        }
        assert stages == self.model.stages
        won = {deal for deal, stage in stages.items() if stage == "won"}
        orders = Order.objects.filter(deal__startswith=self.prefix)
        assert {order.deal for order in orders} == won == set(ladder.told_at_commit)
        assert {deal for deal, into in self.moves if into == "won"} == won
        assert len(self.moves) == len(stages) + len(won)
        asked = {e.deal for e in get_board().effects() if e.deal.startswith(self.prefix)}
        assert asked == won

    def run_block(self, block):
        kind, inside = block
        if kind not in ("keep", "undo"):
            self.call(kind, inside)
            return
        before = dict(self.model.stages)
        try:
            with transaction.atomic():
                for one in inside:
                    self.run_block(one)
                if kind == "undo":
                    raise Broken
        except Broken:
            self.model.stages = before

    def call(self, what, kind):
        deal = f"{self.prefix}{next(numbers) % self.count}"
        ladder.trouble.raises = Broken() if what == "fail" else None
        try:
            if what == "batch":
                told = [event(each, deal, f"e{next(numbers)}") for each in ("lead", "order")]
                assert not get_board().handle_many(told).failures
            else:
                get_board().handle(event(kind, deal, f"e{next(numbers)}"))
        except HookError:
            assert what == "fail"
        finally:
            ladder.trouble.raises = None
        self.model.call(what, kind, deal)


class AnyStatement(TransactionTestCase):
    """A board that fails at its first statement, at its second, at each of them."""

    def test_a_failure_at_any_statement_of_its_own_transaction_leaves_nothing(self):
        self.fail_at_each(contextlib.nullcontext)

    def test_a_failure_at_any_statement_of_the_callers_leaves_nothing(self):
        self.fail_at_each(transaction.atomic)

    def fail_at_each(self, block):
        for place in range(1, 100):
            deal = f"d{place}"
            get_board().handle(event("lead", deal))
            try:
                with failing_at(place), block():
                    get_board().handle(event("order", deal))
            except Broken:
                assert get_board().deal(deal).stage == ladder.new
                assert len(get_board().events(deal)) == 1
                assert get_board().effects(deal) == []
                assert not Order.objects.filter(deal=deal).exists()
                assert not connection.in_atomic_block
            else:
                break
        assert 5 < place < 99
        assert get_board().deal(deal).stage == ladder.won


def failing_at(place):
    """Have the statement at that place of what is written from now on fail."""
    left = iter(range(place - 1, -1, -1))

    def counted(run):
        def run_or_fail(*arguments, **options):
            if next(left, None) == 0:
                raise Broken
            return run(*arguments, **options)

        return run_or_fail

    if connection.vendor == "sqlite":

        class Failing(sqlite._SqliteUnit):
            def __init__(self, *arguments):
                super().__init__(*arguments)
                self._execute = counted(self._execute)
                self._executemany = counted(self._executemany)

        return mock.patch.object(sqlite, "_SqliteUnit", Failing)
    from ladderpipe.django import postgres

    class Failing(postgres._PostgresUnit):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self._wire.ask = counted(self._wire.ask)
            self._wire._send_queue = counted(self._wire._send_queue)

    return mock.patch.object(postgres, "_PostgresUnit", Failing)
