"""Commands and checks of ``manage.py``."""

import io
from unittest import mock

from django.core import checks, mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import TestCase, TransactionTestCase, override_settings

from ladderpipe import Calendar, ManualClock, Pipeline, Stage, after, do, on
from ladderpipe.django import get_board
from ladderpipe.django.conf import configured
from ladderpipe.errors import PipelineChangedError
from sales import ladder

from .tests_board import event, tell

LEADS = {"PIPELINES": ["sales.ladder.leads"], "HANDLERS": {"ring": "sales.ladder.ring"}}

asking = Stage("asking", title="Asking", sequence=[do("whistle"), do("task", title="Call back")])
calls = Pipeline("calls", stages=[asking], rules=[on("lead", into=asking, opens=True)])
BOTH = {"PIPELINES": ["sales.ladder.leads", "sales.tests.tests_commands.calls"]}


def run(*words, **options):
    said = io.StringIO()
    call_command(*words, stdout=said, stderr=said, **options)
    return said.getvalue()


def ids(**options):
    return [message.id for message in checks.run_checks(**options)]


class Checks(TestCase):
    def test_all_is_well(self):
        self.assertEqual(ids(databases=["default"]), [])

    def test_settings_that_cannot_be_used_are_errors(self):
        for wrong in (None, {"PIPELINES": ["sales.nothing"]}, {"PIPELINES": ["sales.ladder.ring"]}):
            with override_settings(LADDERPIPE=wrong):
                self.assertEqual(ids(), ["ladderpipe.E001"])
        with override_settings(LADDERPIPE=LEADS | {"DATABASE": "sales"}):
            self.assertEqual(ids(), ["ladderpipe.E002"])

    def test_a_database_of_another_kind_is_an_error(self):
        with mock.patch.object(connection, "vendor", "mysql"):
            self.assertEqual(ids(), ["ladderpipe.E003"])

    def test_an_effect_that_nobody_delivers_is_a_warning(self):
        with override_settings(LADDERPIPE=BOTH):
            found = {message.id: message.msg for message in checks.run_checks()}
            self.assertIn("'whistle'", found["ladderpipe.W001"])
            self.assertIn("pipeline 'calls'", found["ladderpipe.W002"], "what check() finds")

    def test_a_calendar_whose_holidays_end_is_a_warning(self):
        office = Calendar(
            "office", zone="UTC", hours={"mon-fri": "09:00-18:00"}, holidays=["2026-12-25"]
        )
        rules = [*calls.rules, after(hours=8, calendar=office, out_of=asking, into=asking)]
        counted = Pipeline("counted", stages=[asking], rules=rules)
        for day, expected in (("2026-11-01", []), ("2026-11-02", ["ladderpipe.W004"])):
            clock = ManualClock(f"{day}T12:00Z")
            with override_settings(LADDERPIPE={"PIPELINES": [counted], "BOARD": {"clock": clock}}):
                self.assertEqual([each for each in ids() if each[-4:] == "W004"], expected)

    def test_old_tables_are_a_warning(self):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE ladder_schema SET version = version - 1")
        found = checks.run_checks(databases=["default"])
        self.assertEqual([message.id for message in found], ["ladderpipe.W003"])
        self.assertEqual(ids(), [], "without being asked, no check asks a database")


class Commands(TestCase):
    def setUp(self):
        ladder.rung.clear()

    def test_one_round_of_work_sends_mails_through_django(self):
        tell("lead", "order")
        self.assertIn("leads: 2 effects delivered", run("ladder_worker", "--once"))
        self.assertEqual(ladder.rung, ["d"])
        (sent,) = mail.outbox
        self.assertEqual(
            (sent.to, sent.from_email), (["ada@example.com"], "Shop <shop@example.com>")
        )

    def test_timers_fire(self):
        clock = ManualClock("2026-01-05T09:00:00Z")
        with override_settings(LADDERPIPE=LEADS | {"BOARD": {"clock": clock}}):
            tell("lead")
            clock.advance(days=4)
            self.assertIn("timers of 1 deals: 1 moves", run("ladder_worker", "leads", "--once"))

    def test_the_doctor_says_what_is_wrong(self):
        self.assertIn("leads: all is well", run("ladder_doctor", "--thorough"))
        with connection.cursor() as cursor:
            cursor.execute("UPDATE ladder_schema SET version = version - 1")
        with self.assertRaisesMessage(CommandError, "migrate"):
            run("ladder_doctor")

    def test_tasks_are_listed_and_done(self):
        with override_settings(LADDERPIPE=BOTH):
            board = get_board("calls")
            board.handle(event("lead"))
            (task,) = board.tasks()
            self.assertIn(f"{task.key}\n  Call back (deal d), due 20", run("ladder_tasks"))
            with self.assertRaisesMessage(CommandError, "say which"):
                run("ladder_tasks", "--done", task.key)
            self.assertIn("done", run("ladder_tasks", "calls", "--done", task.key))
            self.assertEqual(run("ladder_tasks"), "no such tasks\n")
            with self.assertRaises(CommandError):
                run("ladder_tasks", "calls", "--done", task.key)

    def test_what_is_asked_wrongly_is_refused(self):
        with self.assertRaisesMessage(CommandError, "above 0"):
            run("ladder_worker", "--poll", "0")
        with self.assertRaisesMessage(CommandError, "soon"):
            run("ladder_tasks", "--due-by", "soon")


class Migrations(TransactionTestCase):
    def test_migrate_says_that_a_ladder_has_changed_and_goes_on(self):
        changed = Pipeline("leads", stages=[asking], rules=[on("lead", into=asking, opens=True)])
        with override_settings(LADDERPIPE={"PIPELINES": [changed]}):
            said = run("migrate")
            self.assertIn("another definition", said)
            with self.assertRaises(PipelineChangedError) as refused:
                get_board().deals()
            for told in (said, str(refused.exception)):
                self.assertIn("with manage.py ladder_migrate leads --rename OLD=NEW", told)
                self.assertNotIn("board.", told)

    def test_migrate_again_changes_nothing(self):
        tell("lead")
        run("migrate")
        self.assertEqual(get_board().deal("d").stage, "new")

    def test_flush_empties_the_board_and_leaves_it_usable(self):
        tell("lead")
        run("flush", interactive=False)
        self.assertEqual(list(get_board().deals()), [])
        self.assertEqual(tell("lead").deal.stage, "new")

    def test_sql_is_shown_without_a_crash(self):
        self.assertIn("CANNOT BE WRITTEN AS SQL", run("sqlmigrate", "ladderpipe", "0001"))


class Adopting(TransactionTestCase):
    def setUp(self):
        tell("lead")
        others = ladder.leads.stages[1:]
        rules = [on("lead", into=asking, opens=True), on("order", into=ladder.won)]
        changed = Pipeline("leads", stages=[asking, *others], rules=rules)
        settings = override_settings(LADDERPIPE={"PIPELINES": [changed]})
        settings.enable()
        self.addCleanup(settings.disable)

    def refused(self, why, *words):
        said = io.StringIO()
        with self.assertRaisesMessage(CommandError, why):
            call_command("ladder_migrate", *words, stdout=said)
        self.check_unchanged()
        return said.getvalue()

    def check_unchanged(self):
        with self.assertRaises(PipelineChangedError):
            get_board().deals()

    def test_a_stage_that_is_gone_has_to_go_somewhere(self):
        for words in (["--noinput"], ["--plan"]):
            said = self.refused("in the way", *words)
            self.assertIn("leads: stage new is gone, and 1 deal in it: --rename new=NEW", said)

    def test_the_plan_changes_nothing(self):
        said = run("ladder_migrate", "--plan", *self.renames)
        self.assertIn("leads: - stage 'asking' is new\n", said)
        self.assertIn("leads:   1 in new: into asking\n", said)
        self.check_unchanged()

    def test_who_does_not_agree_changes_nothing(self):
        for answer in ("", "n", "maybe"):
            with mock.patch("builtins.input", return_value=answer):
                self.refused("nothing was changed", *self.renames)
        with mock.patch("builtins.input", side_effect=EOFError):
            self.refused("pass --noinput", *self.renames)

    def test_who_agrees_adopts_it(self):
        with mock.patch("builtins.input", return_value="y"):
            self.assertIn("1 deal carried over", run("ladder_migrate", *self.renames))
        self.assertEqual(get_board().deal("d").stage, "asking")
        self.assertEqual([move.into for move in get_board().history("d").moves], ["asking"])
        self.assertEqual(run("ladder_migrate"), "leads: the store holds this definition already\n")

    def test_without_being_asked(self):
        for word in ("--yes", "--noinput", "--no-input"):
            with mock.patch("builtins.input", side_effect=AssertionError):
                run("ladder_migrate", "leads", word, *self.renames)
                self.assertEqual(get_board().deal("d").stage, "asking")
                with override_settings(LADDERPIPE=LEADS):
                    run("ladder_migrate", word, "--rename", "asking=new")
                    self.assertEqual(get_board().deal("d").stage, "new", "and back")

    def test_a_rename_that_makes_no_sense_changes_nothing(self):
        self.refused("write OLD=NEW", "--yes", "--rename", "new")
        self.refused("one of asking", "--yes", "--rename", "new=moon")
        self.refused("moon", "--yes", "--rename", "moon=asking")

    def test_renaming_takes_one_pipeline(self):
        leads = configured().pipelines["leads"]
        with override_settings(LADDERPIPE={"PIPELINES": [leads, calls]}):
            with self.assertRaisesMessage(CommandError, "say which"):
                run("ladder_migrate", "--yes", *self.renames)
            run("ladder_migrate", "leads", "--yes", *self.renames)
            self.assertEqual(get_board("leads").deal("d").stage, "asking")

    def test_what_development_does_at_once_the_plan_does_not(self):
        same = Pipeline("leads", stages=ladder.leads.stages, rules=ladder.leads.rules[:-1])
        once = {"PIPELINES": [same], "BOARD": {"on_change": "migrate"}}
        with override_settings(LADDERPIPE=once):
            self.assertIn("leads:   1 in new: stay there", run("ladder_migrate", "--plan"))
        with override_settings(LADDERPIPE=LEADS):
            self.assertEqual(get_board().deal("d").stage, "new", "nothing was adopted")

    renames = ("--rename", "new=asking")
