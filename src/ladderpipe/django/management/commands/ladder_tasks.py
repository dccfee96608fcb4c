"""``manage.py ladder_tasks``: what salespeople have to do."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ....errors import LadderError
from ..boards import add_pipelines, wanted

__all__ = ["Command"]


class Command(BaseCommand):
    """Lists the open tasks, or notes that one is done."""

    help = "List the open tasks, the most urgent first, or note that one is done."

    def add_arguments(self, parser: Any) -> None:
        """Say what it takes."""
        add_pipelines(parser)
        parser.add_argument("--owner", help="only those of this person")
        parser.add_argument("--deal", help="only those of this deal")
        parser.add_argument("--due-by", metavar="TIME", help="only those due by then, in ISO 8601")
        parser.add_argument("--done", metavar="TASK", help="key of a task that a person has done")

    def handle(
        self,
        *,
        pipeline: list[str],
        owner: str | None,
        deal: str | None,
        due_by: str | None,
        done: str | None,
        **options: Any,
    ) -> None:
        """List them.

        Raises:
            CommandError: there is no such task, or *due_by* is no instant.
        """
        boards = wanted(pipeline)
        try:
            if done is not None:
                if len(boards) > 1:
                    raise CommandError(
                        "say which pipeline's task it is: ladder_tasks NAME --done …"
                    )
                task = boards[0].complete(done)
                self.stdout.write(f"{task.title} (deal {task.deal}): done")
                return
            found = [
                task
                for board in boards
                for task in board.tasks(owner=owner, deal=deal, due_by=due_by)
            ]
        except LadderError as error:
            raise CommandError(str(error)) from error
        for task in sorted(found, key=lambda task: task.due_at):
            whose = f", {task.owner}" if task.owner else ""
            due = timezone.localtime(task.due_at)
            self.stdout.write(f"{task.key}\n  {task.title} (deal {task.deal}{whose}), due {due}")
        if not found:
            self.stdout.write("no such tasks")
