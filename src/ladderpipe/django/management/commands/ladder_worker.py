"""``manage.py ladder_worker``: fires timers and delivers effects until it is told to stop."""

from __future__ import annotations

import datetime as dt
import functools
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from ....board.stale import held_back_text
from ....board.worker import stopping_on_signals
from ....errors import LadderError
from ....model.report import DeliveryReport, TickReport
from ...boards import DjangoBoard
from ..boards import add_pipelines, round_text, wanted

__all__ = ["Command"]


class Command(BaseCommand):
    """Fires timers and delivers effects."""

    help = "Fire timers and deliver effects, until SIGTERM or Ctrl-C."
    requires_migrations_checks = True

    def add_arguments(self, parser: Any) -> None:
        """Say what it takes."""
        add_pipelines(parser)
        parser.add_argument(
            "--poll", type=float, default=2.0, metavar="SECONDS", help="the longest sleep"
        )
        parser.add_argument("--once", action="store_true", help="one round, then stop; for cron")

    def handle(self, *, pipeline: list[str], poll: float, once: bool, **options: Any) -> None:
        """Work.

        Raises:
            CommandError: a board cannot go on.
        """
        if poll <= 0:
            raise CommandError(f"--poll {poll}: give a number of seconds above 0")
        boards = wanted(pipeline)
        try:
            if once:
                for board in boards:
                    self._work_once(board)
            else:
                self._work(boards, dt.timedelta(seconds=poll))
        except LadderError as error:
            raise CommandError(str(error)) from error

    def _work_once(self, board: DjangoBoard) -> None:
        swept, delivered = board.tick(), board.deliver()
        self._tell(board, swept, delivered)
        if board.chain() is not None:
            board.extend_chain()
        if delivered.held_back:
            raise CommandError(held_back_text(delivered.held_back))

    def _work(self, boards: list[DjangoBoard], poll: dt.timedelta) -> None:
        """Work on each board in a thread of its own, beside one that minds the signals."""
        stop = threading.Event()
        failed: list[BaseException] = []
        work = functools.partial(self._work_in_thread, stop, poll, failed)
        threads = [
            threading.Thread(target=work, args=(board,), name=f"ladder-{board.pipeline.name}")
            for board in boards
        ]
        with stopping_on_signals(stop):
            for board in boards:
                self.stdout.write(f"working on {board.pipeline.name}")
            for thread in threads:
                thread.start()
            stop.wait()
            for thread in threads:
                thread.join()
        if failed:
            raise failed[0]
        self.stdout.write("stopped")

    def _work_in_thread(
        self,
        stop: threading.Event,
        poll: dt.timedelta,
        failed: list[BaseException],
        board: DjangoBoard,
    ) -> None:
        try:
            tell = functools.partial(self._tell, board)
            board.run(stop=stop, poll=poll, on_round=tell)
        except BaseException as error:
            failed.append(error)
        finally:
            # One that stops takes the others with it: whoever watches the process starts it again.
            stop.set()
            connections.close_all()

    def _tell(self, board: DjangoBoard, swept: TickReport, delivered: DeliveryReport) -> None:
        if told := round_text(swept, delivered):
            self.stdout.write(f"{board.pipeline.name}: {told}")
