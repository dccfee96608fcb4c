"""``manage.py ladder_doctor``: what a person should look at."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ....errors import LadderError
from ...boards import advised
from ..boards import add_pipelines, wanted

__all__ = ["Command"]


class Command(BaseCommand):
    """Says how the boards are doing."""

    help = "Say what a person should look at; fails if there is an error among it."

    def add_arguments(self, parser: Any) -> None:
        """Say what it takes."""
        add_pipelines(parser)
        parser.add_argument(
            "--thorough", action="store_true", help="look for damage in the database, too"
        )

    def handle(self, *, pipeline: list[str], thorough: bool, **options: Any) -> None:
        """Look.

        Raises:
            CommandError: something is wrong.
        """
        sick = []
        for board in wanted(pipeline):
            try:
                health = board.health(thorough=thorough)
            except LadderError as error:
                raise CommandError(str(error)) from error
            for finding in health.findings:
                told = advised(str(finding), board.pipeline.name)
                self.stdout.write(f"{board.pipeline.name}: {told}")
            if health.ok:
                self.stdout.write(f"{board.pipeline.name}: all is well")
            else:
                sick.append(board.pipeline.name)
        if sick:
            raise CommandError(f"look after {', '.join(sick)}")
