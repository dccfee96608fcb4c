"""Celery in the place of the worker: beat says when, and whichever process is free works.

    celery --app by_celery worker --concurrency 2
    celery --app by_celery beat

Rounds may overlap, come late or not at all: which process sweeps when changes no history, and each
effect is claimed by one of them.
"""

import os

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown
from shop import ladder, register

from ladderpipe import Board

app = Celery("shop", broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost"))
app.conf.update(
    # A round that nobody took before the next is due need not be worked off.
    beat_schedule={
        "round": {
            "task": "by_celery.work",
            "schedule": float(os.environ.get("LADDERPIPE_EVERY", "10")),
            "options": {"expires": 60},
        }
    },
    timezone="UTC",
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)
board = None


@worker_process_init.connect
def open_board(**kwargs):
    global board
    board = Board.open(ladder, os.environ["LADDERPIPE_URL"], stale_effects="hold")
    register(board)


@worker_process_shutdown.connect
def close_board(**kwargs):
    if board is not None:
        board.close()


# As long as a round may take at most: one that hangs is ended, and its effect tried again once the
# lease is over.
@app.task(time_limit=600, soft_time_limit=540)
def work():
    swept = board.tick()
    delivered = board.deliver(limit=1000)
    return swept.moves, sum(delivered.counts.values())
