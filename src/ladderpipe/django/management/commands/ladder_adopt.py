"""``manage.py ladder_adopt``: brings a column of states, with its history, onto the board."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.core.management.base import BaseCommand, CommandError

from ....errors import LadderError
from ....model.deal_import import ImportReport
from ...adopt import FACTS, Column, Log, check_path, deals_of
from ...boards import DjangoBoard, get_board

__all__ = ["Command"]

_HISTORY = ("of", "source", "state", "at")


class Command(BaseCommand):
    """Adopts a column of states."""

    help = (
        "Bring rows whose state is in a column (of django-fsm, or any) onto the board, with the "
        "history that a log tells. Says what would come of it; --write does it. Done again it "
        "adds what is new."
    )

    def add_arguments(self, parser: Any) -> None:
        """Say what it takes."""
        add = parser.add_argument
        add("model", metavar="APP.MODEL", help="whose rows become deals")
        add("field", help="the column of states")
        add("--pipeline", help="name of the pipeline, where the settings list several")
        add(
            "--history",
            metavar="APP.MODEL",
            help="a table with a row a transition, such as django_fsm_log.StateLog",
        )
        add(
            "--history-fields",
            metavar="OF,SOURCE,STATE,AT",
            help="what its columns are called; those of django-fsm-log when left out",
        )
        add(
            "--map",
            action="append",
            default=[],
            metavar="STATE=STAGE",
            help="a state that is called otherwise than its stage",
        )
        add(
            "--fact",
            action="append",
            default=[],
            metavar="NAME=FIELD",
            help=f"what belongs to the deal: {', '.join(FACTS)}, contact.…, properties.…; FIELD "
            "may go through others, customer__name",
        )
        add("--currency", help="of the value")
        add("--opened", metavar="FIELD", help="since when a row was in its first state")
        add(
            "--entered",
            metavar="FIELD",
            help="since when it has been in the present one, where no history says that",
        )
        add("--id", default="{pk}", help="a deal's id, with {pk} for the row's key")
        add("--grace", type=float, metavar="DAYS", help="let overdue timers fire that much later")
        add("--write", action="store_true", help="do it")

    def handle(self, *, model: str, field: str, write: bool, **told: Any) -> None:
        """Say what would come of it, or do it.

        Raises:
            CommandError: there is no such model or field, or most rows were refused.
        """
        try:
            board = get_board(told["pipeline"])
            column = _column(model, field, board, told)
            report = board.import_deals(
                deals_of(column, board.pipeline.ladder),
                source=f"django:{column.model._meta.label}.{field}",
                grace=None if told["grace"] is None else dt.timedelta(days=told["grace"]),
                dry_run=not write,
            )
        except (LadderError, LookupError, FieldDoesNotExist, ValueError) as error:
            raise CommandError(str(error)) from error
        self._tell(board, report)
        if report.is_mostly_refused:
            raise CommandError("most rows were refused: see why above")
        if not write:
            self.stdout.write("nothing was written: --write does it")

    def _tell(self, board: DjangoBoard, report: ImportReport) -> None:
        say = self.stdout.write
        say(
            f"{report.deals:,} deals: {report.new:,} new, {report.changed:,} changed, "
            f"{report.unchanged:,} known as they are; {report.events:,} events"
        )
        for key, count in report.stages.items():
            say(f"  {board.pipeline.stage(key).title}: {count:,}")
        if report.undated:
            say(f"{report.undated:,} do not say since when they are there: it counts from now")
        for (stage, into), count in report.overdue.items():
            say(f"{count:,} in {stage!r} have a timer that is overdue, and move into {into!r}")
        for what, groups in (("refused", report.refused), ("left out", report.doubts)):
            for group in groups:
                say(f"{what}: {group}")


def _column(model: str, field: str, board: DjangoBoard, told: dict[str, Any]) -> Column:
    found = apps.get_model(model)
    check_path(found, field)
    stages, facts = _pairs("--map", told["map"]), _pairs("--fact", told["fact"])
    for stage in stages.values():
        board.pipeline.stage(stage)
    for name, path in facts.items():
        if name not in FACTS and not name.startswith(("contact.", "properties.")):
            known = ", ".join(FACTS)
            raise CommandError(f"--fact {name}: a deal has {known}, contact.… and properties.…")
        check_path(found, path)
    for name in ("opened", "entered"):
        if told[name] is not None:
            check_path(found, told[name])
    if "{pk}" not in told["id"]:
        raise CommandError(f"--id {told['id']}: without {{pk}} all rows would be one deal")
    return Column(
        model=found,
        field=field,
        log=_log(told["history"], told["history_fields"]),
        stages=stages,
        deal_id=told["id"],
        facts=facts,
        currency=told["currency"],
        opened=told["opened"],
        entered=told["entered"],
    )


def _log(model: str | None, fields: str | None) -> Log | None:
    if model is None:
        return None
    found = apps.get_model(model)
    names = [] if fields is None else fields.split(",")
    if fields is not None and len(names) != len(_HISTORY):
        raise CommandError(
            f"--history-fields {fields}: name four columns, OF,SOURCE,STATE,AT; SOURCE may be empty"
        )
    log = Log(found, **dict(zip(_HISTORY, names, strict=True))) if names else Log(found)
    for name in filter(None, (log.of, log.source, log.state, log.at)):
        check_path(found, name)
    return log


def _pairs(option: str, given: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            raise CommandError(f"{option} {text}: write NAME=VALUE")
        pairs[left] = right
    return pairs
