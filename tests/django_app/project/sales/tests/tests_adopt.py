"""A column of states, kept by django-fsm and logged by django-fsm-log, comes onto the board."""

import datetime as dt
import io
import re

from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import TestCase
from django.utils import timezone
from django_fsm_log.models import StateLog

from ladderpipe.django import deal_moved, get_board
from sales.models import Customer, Order, Passage, Ticket

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
MAP = ("--map", "draft=new", "--map", "sent=offer")
DAY = dt.timedelta(days=1)


def adopt(*words):
    said = io.StringIO()
    call_command("ladder_adopt", "sales.Ticket", "state", *words, stdout=said)
    return said.getvalue()


def ticket(*transitions, **fields):
    """Make a ticket on the first day, and let something happen on each of the following ones."""
    made = Ticket.objects.create(**({"created": START} | fields))
    for day, name in enumerate(transitions, 1):
        getattr(made, name)()
        made.save()
        StateLog.objects.filter(object_id=made.pk, transition=name).update(
            timestamp=START + day * DAY
        )
    return made


def visits(row):
    return [
        (v.stage.key, (v.entered_at - START) / DAY) for v in get_board().history(str(row.pk)).visits
    ]


HISTORY = (*MAP, "--history", "django_fsm_log.StateLog", "--opened", "created")


class Adopting(TestCase):
    def setUp(self):
        self.moved = []
        deal_moved.connect(self.hear)
        self.addCleanup(deal_moved.disconnect, self.hear)

    def hear(self, move, **told):
        self.moved.append(move)

    def test_a_history_becomes_the_deals(self):
        draft, sent, won = ticket(), ticket("send"), ticket("send", "win")
        said = adopt(*HISTORY, "--write")
        self.assertIn("3 deals: 3 new, 0 changed", said)
        self.assertEqual(visits(draft), [("new", 0)])
        self.assertEqual(visits(sent), [("new", 0), ("offer", 1)])
        self.assertEqual(visits(won), [("new", 0), ("offer", 1), ("won", 2)])

    def test_nothing_is_sent_and_only_the_hooks_of_the_present_stage_run(self):
        won = ticket("send", "win")
        adopt(*HISTORY, "--write")
        self.assertEqual([order.deal for order in Order.objects.all()], [str(won.pk)])
        self.assertEqual(get_board().deliver().delivered, 0)
        self.assertEqual({str(effect.state) for effect in get_board().effects()}, {"expired"})

    def test_it_is_said_first_and_not_done(self):
        ticket("send")
        said = adopt(*HISTORY)
        self.assertIn("1 deals: 1 new", said)
        self.assertIn("nothing was written", said)
        self.assertEqual(list(get_board().deals()), [])
        with transaction.atomic():
            self.assertEqual(said.splitlines()[:2], adopt(*HISTORY, "--write").splitlines()[:2])

    def test_again_it_adds_what_is_new(self):
        row = ticket("send")
        adopt(*HISTORY, "--write")
        self.assertIn("0 new, 0 changed, 1 known", adopt(*HISTORY, "--write"))
        row.win()
        row.save()
        self.assertIn("0 new, 1 changed", adopt(*HISTORY, "--write"))
        self.assertEqual([stage for stage, _ in visits(row)], ["new", "offer", "won"])

    def test_a_column_alone_says_where_deals_are(self):
        changed = START.date() + 3 * DAY
        row, other = ticket("send", changed=changed), ticket(changed=None)
        said = adopt(*MAP, "--entered", "changed", "--write")
        self.assertIn("1 do not say since when", said)
        with timezone.override("Europe/Rome"):
            midnight = timezone.make_aware(dt.datetime.combine(changed, dt.time()))
        self.assertEqual(get_board().deal(str(row.pk)).entered_at, midnight)
        self.assertEqual(get_board().deal(str(other.pk)).stage, "new")

    def test_what_belongs_to_the_deal_comes_along(self):
        row = ticket(customer=Customer.objects.create(name="Ada"), price="12.50")
        ticket()
        facts = ("title=customer__name", "contact.name=customer__name", "value=price")
        told = [word for fact in facts for word in ("--fact", fact)]
        adopt(*MAP, *told, "--currency", "EUR", "--id", "ticket-{pk}", "--write")
        deal = get_board().deal(f"ticket-{row.pk}")
        self.assertEqual((deal.title, str(deal.value), deal.currency), ("Ada", "12.50", "EUR"))
        self.assertEqual(deal.contact["name"], "Ada")

    def test_a_state_that_is_no_stage_is_refused_with_the_reason(self):
        row, _, _ = ticket("scrap"), ticket(), ticket()
        said = adopt(*HISTORY, "--write")
        self.assertIn("2 deals: 2 new", said)
        self.assertRegex(said, rf"refused: 1 × sales.Ticket {row.pk}: state 'scrapped' is no stage")
        self.assertIn("--map scrapped=STAGE", said)
        with self.assertRaisesMessage(CommandError, "most rows were refused"):
            adopt("--history", "django_fsm_log.StateLog", "--write")

    def test_what_contradicts_itself_is_told(self):
        row, gap = ticket("send"), ticket("send", "win")
        Ticket.objects.filter(pk=row.pk).update(state="won")
        StateLog.objects.filter(object_id=gap.pk, state="won").update(source_state="draft")
        said = adopt(*HISTORY, "--write")
        self.assertRegex(said, "left out: 1 × sales.Ticket .* its history ends in 'offer'")
        self.assertRegex(said, "left out: 1 × sales.Ticket .* a transition leaves 'new'")
        self.assertEqual(get_board().deal(str(row.pk)).stage, "won")
        self.assertEqual(visits(gap), [("new", 0), ("offer", 1), ("won", 2)])

    def test_a_log_of_ones_own(self):
        row = ticket()
        for day, became in enumerate(("draft", "sent")):
            Passage.objects.create(ticket=row, became=became, on=START + day * DAY)
        Ticket.objects.filter(pk=row.pk).update(state="sent")
        fields = ("--history-fields", "ticket,,became,on")
        adopt(*MAP, "--history", "sales.Passage", *fields, "--write")
        self.assertEqual(visits(row), [("new", 0), ("offer", 1)])

    def test_many_rows_are_read_in_parts(self):
        Ticket.objects.bulk_create(Ticket(created=START) for _ in range(450))
        with self.assertNumQueries(6):
            adopt(*HISTORY)
        self.assertIn("450 deals: 450 new", adopt(*HISTORY, "--write"))
        self.assertEqual(get_board().summary()[0].count, 450)

    def test_what_is_asked_wrongly_is_refused(self):
        for words, says in (
            (("--map", "draft"), "write NAME=VALUE"),
            (("--map", "draft=nowhere"), "nowhere"),
            (("--fact", "colour=state"), "a deal has"),
            (("--fact", "title=colour"), "colour"),
            (("--fact", "title=state__colour"), "goes on"),
            (("--opened", "colour"), "colour"),
            (("--id", "x"), "would be one deal"),
            (("--history", "sales.Nothing"), "Nothing"),
            (("--history", "sales.Passage"), "object_id"),
            (("--history", "sales.Passage", "--history-fields", "ticket"), "four columns"),
            (("--grace", "-1"), "negative"),
        ):
            with self.assertRaisesRegex(CommandError, re.escape(says)):
                adopt(*words)
        with self.assertRaisesMessage(CommandError, "colour"):
            call_command("ladder_adopt", "sales.Ticket", "colour")
