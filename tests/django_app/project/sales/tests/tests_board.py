"""The board on Django's connection: whose transaction, which database, told to whom."""

import contextlib
import threading
from unittest import mock

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connection, connections, transaction
from django.test import TestCase, TransactionTestCase, override_settings

from ladderpipe import Event, ManualClock, Outcome
from ladderpipe.django import deal_moved, get_board, get_boards
from ladderpipe.django.boards import forget_boards
from ladderpipe.errors import DealNotFoundError, HookError, StoreError
from sales import ladder
from sales.models import Order

BOARD = get_board()
"""Kept by a module, as many will: it must not matter that it was before the test database."""


class Broken(Exception):
    pass


def event(kind, deal="d", id=None, **data):
    return Event(kind, deal=deal, id=id or f"{deal}-{kind}", at=BOARD.clock.now(), data=data)


def tell(*kinds, deal="d"):
    for kind in kinds:
        receipt = BOARD.handle(event(kind, deal))
    return receipt


def deals():
    return {deal.id: deal.stage.key for deal in BOARD.deals()}


def is_in_memory():
    return connection.vendor == "sqlite" and connection.is_in_memory_db()


def in_a_thread(work):
    found = []

    def run():
        try:
            found.append(work())
        except BaseException as error:
            found.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return found[0]


class Told:
    """Hears of moves."""

    def __init__(self, test):
        self.moves = []
        deal_moved.connect(self.hear)
        test.addCleanup(deal_moved.disconnect, self.hear)

    def hear(self, sender, move, deal, using, **more):
        assert sender is ladder.leads
        assert using == "default"
        self.moves.append((deal, None if move.out_of is None else move.out_of.key, move.into.key))


class ShopTestCase:
    def setUp(self):
        ladder.trouble.raises = None
        ladder.rung.clear()
        ladder.told_at_commit.clear()
        self.assertEqual(deals(), {}, "a test finds what another has left")
        self.told = Told(self)


class InATransaction(ShopTestCase, TestCase):
    """Django's TestCase has a transaction around every test, which it rolls back."""

    def test_a_deal_is_there_and_gone_with_the_test(self):
        self.assertEqual(tell("lead", "order").deal.stage, "won")
        self.assertEqual(Order.objects.get().deal, "d")

    def test_the_next_test_finds_nothing(self):
        self.assertEqual(tell("lead").outcome, Outcome.OPENED)

    def test_a_rollback_leaves_nothing(self):
        with self.assertRaises(Broken), transaction.atomic():
            tell("lead", "order")
            raise Broken
        self.assertEqual((deals(), Order.objects.count()), ({}, 0))
        self.assertEqual(tell("lead").outcome, Outcome.OPENED, "its identity is gone, too")

    def test_an_error_of_a_hooks_model_is_undone_with_it(self):
        Order.objects.create(deal="d")
        tell("lead")
        with self.assertRaises(HookError) as raised:
            tell("order")
        self.assertIsInstance(raised.exception.__cause__, IntegrityError)
        self.assertEqual(deals(), {"d": "new"})
        self.assertEqual(Order.objects.count(), 1, "the transaction goes on")

    def test_an_error_that_a_hook_has_swallowed_stores_nothing(self):
        tell("lead")
        create = _swallowing(Order.objects.create)
        with (
            mock.patch.object(Order.objects, "create", create),
            self.assertRaises((StoreError, HookError)),
        ):
            tell("order")
        self.assertEqual(deals(), {"d": "new"})

    def test_one_bad_deal_of_a_batch_is_undone_alone(self):
        Order.objects.create(deal="b")
        with self.captureOnCommitCallbacks(execute=True):
            report = BOARD.handle_many(
                [event(kind, deal) for deal in "abc" for kind in ("lead", "order")]
            )
        self.assertEqual(len(report.failures), 1)
        self.assertEqual(deals(), {"a": "won", "b": "new", "c": "won"})
        self.assertEqual(sorted(ladder.told_at_commit), ["a", "c"])

    def test_moves_are_told_at_the_commit(self):
        with self.captureOnCommitCallbacks(execute=True):
            tell("lead", "order")
            self.assertEqual(self.told.moves, [])
        self.assertEqual(self.told.moves, [("d", None, "new"), ("d", "new", "won")])

    def test_what_is_rolled_back_is_told_to_nobody(self):
        with self.captureOnCommitCallbacks(execute=True):
            tell("lead")
            with self.assertRaises(Broken), transaction.atomic():
                tell("order")
                raise Broken
        self.assertEqual(self.told.moves, [("d", None, "new")])
        self.assertEqual(ladder.told_at_commit, [])

    def test_effects_are_delivered(self):
        tell("lead", "order")
        BOARD.deliver()
        self.assertEqual(ladder.rung, ["d"])

    def test_timers_fire(self):
        clock = ManualClock("2026-01-05T09:00:00Z")
        with override_settings(
            LADDERPIPE={"PIPELINES": ["sales.ladder.leads"], "BOARD": {"clock": clock}}
        ):
            tell("lead")
            clock.advance(days=4)
            self.assertEqual(BOARD.tick().moves, 1)
            self.assertEqual(deals(), {"d": "cold"})

    def test_it_needs_no_using(self):
        self.assertIs(BOARD.using(connection), BOARD)
        with self.assertRaisesRegex(StoreError, "leave using"):
            BOARD.using(connections["other"])

    def test_everything_a_board_does_is_done(self):
        tell("lead")
        self.assertEqual(
            {o.into.key for o in BOARD.options("d") if o.is_possible}, {"offer", "lost"}
        )
        BOARD.move("d", "offer", by="carla", properties={"amount": 3})
        BOARD.undo("d", by="carla", expecting="offer")
        self.assertEqual(len(BOARD.history("d").moves), 1)
        self.assertEqual(BOARD.summary()[0].count, 1)
        self.assertTrue(BOARD.health().ok)
        BOARD.move("d", "lost", by="carla", properties={"loss_reason": "price"})
        BOARD.forget(email="ada@example.com")
        BOARD.remove("d")
        with self.assertRaises(DealNotFoundError):
            BOARD.deal("d")


def _swallowing(create):
    def twice(**values):
        create(**values)
        with contextlib.suppress(IntegrityError):
            create(**values)

    return twice

    def test_a_store_that_was_sealed_elsewhere_is_refused(self):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM ladder_secrets WHERE name = 'hashes'")
            cursor.execute("INSERT INTO ladder_secrets (name, value) VALUES ('hashes', 'sealed:0')")
        forget_boards()
        self.addCleanup(forget_boards)
        with self.assertRaisesRegex(StoreError, "sealed"):
            BOARD.deals()


class ByItself(ShopTestCase, TransactionTestCase):
    """Without a transaction around it each call commits, as in views."""

    def test_a_call_is_a_transaction_of_its_own(self):
        tell("lead", "order")
        self.assertFalse(connection.in_atomic_block)
        self.assertEqual(self.told.moves, [("d", None, "new"), ("d", "new", "won")])
        self.assertEqual(ladder.told_at_commit, ["d"])

    def test_the_next_test_finds_an_empty_database(self):
        self.assertEqual(BOARD.effects(), [])
        tell("lead", "order")

    def test_a_hook_that_raises_leaves_nothing(self):
        tell("lead")
        ladder.trouble.raises = Broken()
        with self.assertRaises(HookError):
            tell("order")
        self.assertEqual((deals(), Order.objects.count()), ({"d": "new"}, 0))
        self.assertEqual((ladder.told_at_commit, BOARD.effects()), ([], []))

    def test_an_error_that_a_hook_has_swallowed_stores_nothing(self):
        tell("lead")
        create = _swallowing(Order.objects.create)
        with (
            mock.patch.object(Order.objects, "create", create),
            self.assertRaises((StoreError, HookError)),
        ):
            tell("order")
        self.assertEqual((deals(), Order.objects.count()), ({"d": "new"}, 0))

    def test_a_transaction_is_there_at_its_commit(self):
        with transaction.atomic():
            tell("lead", "order")
            if not is_in_memory():
                self.assertEqual(in_a_thread(deals), {})
            self.assertEqual(self.told.moves, [])
        self.assertEqual(deals(), {"d": "won"})
        self.assertEqual(len(self.told.moves), 2)

    def test_a_receiver_that_raises_keeps_nobody_from_hearing(self):
        def grumble(**told):
            raise Broken

        deal_moved.connect(grumble)
        self.addCleanup(deal_moved.disconnect, grumble)
        with self.assertLogs("django.dispatch", "ERROR"):
            self.assertEqual(tell("lead").outcome, Outcome.OPENED)
        self.assertEqual(self.told.moves, [("d", None, "new")])

    def test_a_connection_that_was_closed_is_opened_again(self):
        tell("lead")
        if not is_in_memory():
            connection.close()
        self.assertEqual(tell("order").deal.stage, "won")

    def test_a_connection_that_was_lost_is_opened_again(self):
        tell("lead")
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                (number,) = cursor.fetchone()
            in_a_thread(lambda: _end(number))
        self.assertEqual(tell("order").deal.stage, "won")

    def test_threads_have_connections_of_their_own(self):
        if is_in_memory():
            self.skipTest("no two connections write to one database in memory at a time")
        threads = [
            threading.Thread(target=lambda n=n: (tell("lead", deal=f"t{n}"), connection.close()))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(set(deals()), {"t0", "t1", "t2", "t3"})

    def test_forgetting_erases(self):
        BOARD.handle(event("lead", contact={"email": "ada@example.com"}))
        self.assertEqual(BOARD.forget(email="ada@example.com").deals, ("d",))

    def test_what_the_settings_say_is_heeded(self):
        self.assertEqual([board.pipeline for board in get_boards()], [ladder.leads])
        with self.assertRaisesRegex(ImproperlyConfigured, "no pipeline 'sales'"):
            get_board("sales")
        for wrong, says in (
            (None, "PIPELINES"),
            ({"PIPELINE": []}, "means nothing"),
            ({"PIPELINES": []}, "list where"),
            ({"PIPELINES": ["sales.ladder.nothing"]}, "cannot be imported"),
            ({"PIPELINES": ["sales.ladder.ring"]}, "no ladderpipe.Pipeline"),
            ({"PIPELINES": ["sales.ladder.leads"], "HANDLERS": ["a"]}, "map names"),
            ({"PIPELINES": ["sales.ladder.leads"], "HANDLERS": {"a": "sales.ladder.new"}}, "plain"),
            ({"PIPELINES": ["sales.ladder.leads"], "BOARD": {"store": None}}, "besides"),
            ({"PIPELINES": ["sales.ladder.leads"], "MAIL": {"sender": "nobody"}}, "DjangoMailer"),
        ):
            with (
                override_settings(LADDERPIPE=wrong),
                self.assertRaisesRegex(ImproperlyConfigured, says),
            ):
                BOARD.deals()

    def test_handlers_are_registered_without_a_database(self):
        handled = []
        with mock.patch.object(BOARD, "_registered", {}):
            with mock.patch("ladderpipe.django.boards._session_of", side_effect=AssertionError):
                BOARD.handle_effect("sing", handled.append)
            self.assertIn("sing", BOARD._session.handlers)
        with mock.patch("ladderpipe.django.boards._sessions", {}):
            self.assertNotIn("sing", BOARD._session.handlers)


def _end(number):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [number])


class Awaited(ShopTestCase, TransactionTestCase):
    async def test_an_async_view_uses_it(self):
        receipt = await sync_to_async(tell)("lead")
        self.assertEqual(receipt.outcome, Outcome.OPENED)
        self.assertEqual(self.told.moves, [("d", None, "new")])

        def undone():
            with transaction.atomic():
                tell("order")
                raise Broken

        with self.assertRaises(Broken):
            await sync_to_async(undone)()
        self.assertEqual(await sync_to_async(deals)(), {"d": "new"})
