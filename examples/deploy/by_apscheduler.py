"""APScheduler in the place of the worker, in a program that has a scheduler already.

``max_instances=1`` and ``coalesce``: one round at a time, and those that were missed are one.
"""

import os
import signal
import threading

from apscheduler.schedulers.background import BackgroundScheduler
from shop import ladder, register

from ladderpipe import Board


def schedule(scheduler, board, seconds=10):
    """Let a scheduler of yours sweep and deliver; return the job."""

    def work():
        board.tick()
        board.deliver(limit=1000)

    return scheduler.add_job(
        work,
        "interval",
        seconds=seconds,
        id=f"ladderpipe {board.pipeline.name}",
        max_instances=1,
        coalesce=True,
        replace_existing=True,
    )


def main():
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    with Board.open(ladder, os.environ["LADDERPIPE_URL"], stale_effects="hold") as board:
        register(board)
        scheduler = BackgroundScheduler(timezone="UTC")
        schedule(scheduler, board, float(os.environ.get("LADDERPIPE_EVERY", "10")))
        scheduler.start()
        stop.wait()
        scheduler.shutdown()  # waits for the round under way


if __name__ == "__main__":
    main()
