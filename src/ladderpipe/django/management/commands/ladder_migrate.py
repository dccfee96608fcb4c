"""``manage.py ladder_migrate``: shows what adopting a changed ladder would do, and does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ....board.migrate import MigrationPlan
from ....board.migration_text import (
    STAY,
    deals_counted,
    differences_told,
    rows_told,
    stages_named,
    trouble_told,
)
from ....errors import LadderError
from ...boards import DjangoBoard, adopting_board, advised, forget_boards
from ..boards import add_pipelines, wanted

__all__ = ["Command"]


class Command(BaseCommand):
    """Adopts a changed ladder for every deal."""

    help = (
        "Adopt a changed ladder for every deal: first what would change, then, if you agree, do "
        "it. Fails when something stands in the way, with --plan too."
    )
    requires_migrations_checks = True

    def add_arguments(self, parser: Any) -> None:
        """Say what it takes."""
        add_pipelines(parser)
        parser.add_argument(
            "--rename",
            action="append",
            default=[],
            metavar="OLD=NEW",
            help="where a stage that is gone goes; repeatable",
        )
        parser.add_argument("--plan", action="store_true", help="only show it; change nothing")
        parser.add_argument(
            *("--noinput", "--no-input", "--yes"),
            action="store_false",
            dest="interactive",
            help="do not ask",
        )

    def handle(
        self,
        *,
        pipeline: list[str],
        rename: list[str],
        plan: bool,
        interactive: bool,
        **options: Any,
    ) -> None:
        """Show it and do it, one pipeline after the other.

        Raises:
            CommandError: something stands in the way, or nobody agreed.
        """
        boards = wanted(pipeline)
        if rename and len(boards) > 1:
            raise CommandError("say which pipeline's stages are renamed: ladder_migrate NAME …")
        for board in boards:
            try:
                self._adopt(board, rename, plan, interactive)
            except LadderError as error:
                raise CommandError(advised(str(error), board.pipeline.name)) from error

    def _adopt(
        self, board: DjangoBoard, rename: Sequence[str], only_plan: bool, interactive: bool
    ) -> None:
        name = board.pipeline.name
        mapping = stages_named(board.pipeline, rename)
        adopting = adopting_board(board)
        plan = adopting.migration_plan(mapping)
        self._show(name, plan)
        if not plan.is_possible:
            raise CommandError(f"{name}: something stands in the way, see above")
        if only_plan:
            return
        if plan.differences or plan.is_under_way:
            if interactive:
                _ask()
            report = adopting.migrate(mapping)
            forget_boards()
            self.stdout.write(f"{name}: done, {deals_counted(report.deals)} carried over")

    def _show(self, name: str, plan: MigrationPlan) -> None:
        self._tell(name, differences_told(plan))
        if rows := rows_told(plan):
            self.stdout.write(f"{name}: {deals_counted(plan.deals)}, each keeps its past:")
        for count, old, new in rows:
            where = new if new == STAY else f"into {new}"
            self.stdout.write(f"{name}:   {count} in {old}: {where}")
        self._tell(name, trouble_told(plan))

    def _tell(self, name: str, lines: Iterable[tuple[str, str]]) -> None:
        styles = {"good": self.style.SUCCESS, "look": self.style.WARNING, "bad": self.style.ERROR}
        for tone, line in lines:
            self.stdout.write(f"{name}: {line}", styles.get(tone))


def _ask() -> None:
    try:
        answer = input("Go on? [y/N] ")
    except EOFError:
        raise CommandError("there is nobody to ask here: pass --noinput") from None
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was changed")
