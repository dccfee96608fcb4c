"""Models that read, and the admin: who sees what, what a move asks for, who may move."""

import datetime as dt
import re

from django.contrib.auth.models import Permission, User
from django.test import TestCase, override_settings
from django.urls import reverse

from ladderpipe import ManualClock
from ladderpipe.django import get_board
from ladderpipe.django.models import Deal, Effect, Event, Move, Pipeline, Visit
from ladderpipe.errors import StoreError

from .tests_board import BOARD, event, tell

CLOCK = ManualClock("2026-01-05T09:00:00Z")
SETTINGS = {"PIPELINES": ["sales.ladder.leads"], "BOARD": {"clock": CLOCK}}
LIST = "admin:ladderpipe_deal_changelist"


def page(deal="d"):
    return reverse("admin:ladderpipe_deal_change", args=[Deal.objects.get(deal=deal).pk])


class Models(TestCase):
    def test_they_say_what_the_board_says(self):
        BOARD.handle(event("lead", value="12.50", currency="EUR", owner="carla"))
        tell("order")
        deal, known = Deal.objects.get(), BOARD.deal("d")
        for name in (
            *("opened_at", "entered_at", "closed_at", "due_at", "last_event_at", "owner"),
            *("title", "currency", "source", "lost_from", "visit"),
        ):
            self.assertEqual(getattr(deal, name), getattr(known, name))
        self.assertEqual((deal.stage_now, deal.value, deal.units), (known.stage, "12.50", 12))
        self.assertEqual(deal.record, known)
        self.assertEqual(deal.pipeline, Pipeline.objects.get(name="leads"))
        history = BOARD.history("d")
        self.assertEqual(
            [(m.out_of, m.into_stage, m.at, m.rule) for m in deal.moves()],
            [(m.out_of, m.into, m.at, m.rule) for m in history.moves],
        )
        self.assertEqual(
            [(v.stage, v.entered_at, v.left_at) for v in Visit.objects.filter(deal=deal)],
            [(v.stage, v.entered_at, v.left_at) for v in history.visits],
        )
        self.assertEqual(
            [(e.type, e.id, e.at, e.data) for e in deal.events()],
            [(e.type, e.id, e.at, dict(e.data)) for e in BOARD.events("d")],
        )
        self.assertEqual(
            {
                (e.key, e.name, e.state, e.payload["to" if e.name == "email" else "who"])
                for e in deal.effects.all()
            },
            {
                (e.key, e.name, e.state, e.payload["to" if e.name == "email" else "who"])
                for e in BOARD.effects()
            },
        )

    def test_they_are_looked_up_by_instants(self):
        tell("lead")
        at = BOARD.deal("d").entered_at
        second = dt.timedelta(microseconds=1)
        for model, name in (
            (Deal, "entered_at"),
            (Move, "at"),
            (Event, "at"),
            (Visit, "entered_at"),
        ):
            found = model.objects
            self.assertEqual(found.filter(**{name: at}).count(), 1, model)
            self.assertEqual(found.filter(**{f"{name}__lt": at}).count(), 0, model)
            self.assertEqual(found.filter(**{f"{name}__lt": at + second}).count(), 1, model)
            self.assertEqual(found.filter(**{f"{name}__gt": at - second}).count(), 1, model)

    def test_what_was_not_opened_is_no_deal(self):
        tell("order")
        self.assertEqual(Deal.objects.count(), 0)

    def test_they_write_nothing(self):
        tell("lead", "order")
        deal, move = Deal.objects.get(), Move.objects.first()
        for write in (
            deal.save,
            deal.delete,
            move.save,
            lambda: Deal.objects.update(stage="lost"),
            lambda: Deal.objects.all().delete(),
            lambda: Effect.objects.create(key="x"),
            lambda: Event.objects.bulk_create([]),
        ):
            with self.assertRaisesMessage(StoreError, "get_board()"):
                write()


@override_settings(LADDERPIPE=SETTINGS, LANGUAGE_CODE="en")
class Admin(TestCase):
    def setUp(self):
        self.carla = self.sign_in("carla", "view_deal", "move_deal")
        BOARD.handle(
            event(
                "lead", value="899", currency="EUR", contact={"name": "Ada <Rossi>"}, title="Ada's"
            )
        )

    def sign_in(self, name, *permissions):
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        self.client.force_login(user)
        return user

    def move(self, into, deal="d", **told):
        return self.client.post(page(deal), {"into": into, **told}, follow=True)

    def test_deals_are_listed_by_stage(self):
        tell("lead", "order", deal="e")
        listed = self.client.get(reverse(LIST))
        self.assertContains(listed, "899 EUR")
        self.assertContains(listed, "Ada&#x27;s")
        self.assertContains(listed, "New (1)")
        self.assertContains(listed, "Offer sent (0)")
        for query, deals in (
            ("stage=leads:won", ["e"]),
            ("stage=leads:offer", []),
            ("status=open", ["d"]),
            ("status=won", ["e"]),
            ("q=ADA", ["d"]),
            ("q=rossi", ["d"]),
            ("o=2", ["d", "e"]),
        ):
            shown = self.client.get(f"{reverse(LIST)}?{query}").context["cl"].result_list
            self.assertEqual([deal.deal for deal in shown], deals, query)

    def test_a_deal_is_shown_with_its_timeline(self):
        CLOCK.advance(days=4)
        BOARD.tick()
        shown = self.client.get(page())
        self.assertContains(shown, "Ada &lt;Rossi&gt;")
        self.assertContains(shown, "New → Gone cold")
        self.assertContains(shown, "opened in New")

    def test_a_move_asks_for_what_the_stage_requires(self):
        shown = self.client.get(page())
        self.assertContains(shown, 'name="property-amount"')
        self.assertContains(shown, 'name="property-loss_reason"')
        self.assertContains(self.move("offer"), "amount")
        self.assertEqual(BOARD.deal("d").stage, "new")
        moved = self.move("offer", **{"property-amount": "3", "reason": "met her"})
        self.assertContains(moved, "Moved from New to Offer sent.")
        self.assertContains(moved, "met her")
        self.assertContains(moved, "moved by hand")
        self.assertEqual(BOARD.deal("d").properties["amount"], "3")
        self.assertEqual(BOARD.events("d")[-1].data["by"], "carla")
        self.assertNotContains(moved, "property-amount")

    def test_a_double_click_moves_once(self):
        told = {"property-amount": "3", "request_id": "r1"}
        self.move("offer", **told)
        self.move("offer", **told)
        self.assertEqual(len(BOARD.events("d")), 2)

    def test_what_somebody_else_has_moved_is_not_moved_again(self):
        (seen,) = re.findall(
            r'name="expecting" value="(\w+)"', str(self.client.get(page()).content)
        )[:1]
        BOARD.move("d", "offer", by="bea", properties={"amount": 1})
        refused = self.move("lost", expecting=seen, **{"property-loss_reason": "price"})
        self.assertContains(refused, "bea")
        self.assertEqual(BOARD.deal("d").stage, "offer")

    def test_who_may_only_see_moves_nothing(self):
        self.sign_in("bea", "view_deal")
        self.assertNotContains(self.client.get(page()), "Move to")
        self.assertEqual(self.move("lost", **{"property-loss_reason": "x"}).status_code, 403)
        self.assertNotContains(self.client.get(reverse(LIST)), "move_deals")
        self.client.post(
            reverse(LIST), self.selected("d", into="lost", **{"property-loss_reason": "x"})
        )
        self.assertEqual(BOARD.deal("d").stage, "new")

    def test_who_may_see_nothing_sees_nothing(self):
        self.sign_in("zoe")
        for path in (page(), reverse(LIST)):
            self.assertEqual(self.client.get(path).status_code, 403)
        self.assertEqual(self.move("lost").status_code, 403)

    def test_rows_are_nobodys_to_edit(self):
        User.objects.filter(pk=self.carla.pk).update(is_superuser=True)
        self.assertEqual(self.client.get(reverse("admin:ladderpipe_deal_add")).status_code, 403)
        delete = reverse("admin:ladderpipe_deal_delete", args=[Deal.objects.get().pk])
        self.assertEqual(self.client.get(delete).status_code, 403)
        self.assertContains(self.client.get(reverse("admin:index")), "Ladderpipe")
        history = reverse("admin:ladderpipe_deal_history", args=[Deal.objects.get().pk])
        self.assertEqual(self.client.get(history).status_code, 200)
        self.assertEqual(self.client.get(page().replace("/1", "/99"), follow=True).status_code, 200)

    def selected(self, *deals, **told):
        chosen = list(Deal.objects.filter(deal__in=deals).values_list("pk", flat=True))
        return {"action": "move_deals", "_selected_action": chosen, **told}

    def test_many_are_moved_and_some_are_refused(self):
        tell("lead", deal="e")
        tell("lead", "order", deal="f")
        asked = self.client.post(reverse(LIST), self.selected("d", "e", "f"))
        self.assertContains(asked, "Lost (2)")
        self.assertContains(asked, 'name="property-loss_reason"')
        told = self.selected("d", "e", "f", into="lost", **{"property-loss_reason": "price"})
        done = self.client.post(reverse(LIST), told, follow=True)
        self.assertContains(done, "2 deals were moved.")
        self.assertContains(done, "eal &#x27;f&#x27; is in won")
        self.assertEqual(
            {deal.id: deal.stage.key for deal in get_board().deals()},
            {"d": "lost", "e": "lost", "f": "won"},
        )

    def test_no_more_queries_for_more_deals(self):
        def count():
            with self.assertNumQueries(self.known) if self.known else _Counting(self):
                self.client.get(reverse(LIST))

        self.known = 0
        count()
        for number in range(20):
            tell("lead", deal=f"n{number}")
        count()


class _Counting:
    def __init__(self, test):
        self.test = test

    def __enter__(self):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        self.queries = CaptureQueriesContext(connection)
        self.queries.__enter__()

    def __exit__(self, *raised):
        self.queries.__exit__(*raised)
        self.test.known = len(self.queries)


class Italian(TestCase):
    def test_the_admin_speaks_it(self):
        user = User.objects.create_superuser("carla")
        self.client.force_login(user)
        tell("lead")
        BOARD.move("d", "offer", by="carla", properties={"amount": 1})
        shown = self.client.get(page(), headers={"accept-language": "it"})
        for words in (
            *("Sposta in Persa", "Cronologia", "spostata a mano", "in questa fase dal"),
            *("Motivo della perdita", "Nuova → Offerta inviata"),
        ):
            self.assertContains(shown, words)
        listed = self.client.get(reverse(LIST), headers={"accept-language": "it"})
        for words in (
            *("Sposta le trattative selezionate", "Offerta inviata (1)", "<h1>Trattative</h1>"),
        ):
            self.assertContains(listed, words)

    def test_what_is_refused_and_what_became_of_mails_is_said_in_it(self):
        self.client.force_login(User.objects.create_superuser("carla"))
        BOARD.handle(event("lead", value="18400.5", currency="EUR"))
        italian = {"headers": {"accept-language": "it"}, "follow": True}
        refused = self.client.post(page(), {"into": "lost"}, **italian)
        self.assertContains(refused, "Per “Persa” serve: Motivo della perdita.")
        self.assertContains(refused, "18.400,5 EUR")
        selected = [Deal.objects.get().pk]
        told = {"action": "move_deals", "_selected_action": selected, "into": "lost"}
        refused = self.client.post(reverse(LIST), told, **italian)
        self.assertContains(refused, "Per “Persa” serve: Motivo della perdita.")
        tell("order")
        self.assertContains(self.client.get(page(), **italian), "cart-reminder (da inviare)")
