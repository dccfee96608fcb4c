"""The board's log as lines of JSON, by structlog, beside the application's own.

``ladderpipe`` logs by the standard library, and what it tells stands in the attributes of a record:
``pipeline``, ``rule``, ``stage``, ``effect``, ``error`` and so on. ``ExtraAdder`` takes them over.
"""

import logging
import logging.config
import sys

import structlog

SHARED = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
"""What every line has, whoever logs it."""


def configure(level="INFO", stream=sys.stdout):
    as_json = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [*SHARED, structlog.stdlib.ExtraAdder()],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": as_json},
            "handlers": {
                "out": {"class": "logging.StreamHandler", "stream": stream, "formatter": "json"}
            },
            "root": {"handlers": ["out"], "level": "WARNING"},
            "loggers": {"ladderpipe": {"level": level}, "shop": {"level": "INFO"}},
        }
    )
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def tell(board, event):
    """Handle an event; whatever is logged meanwhile says which one it was.

    The board itself names no deal unless it is ``candid``. Here the shop does, which may know that
    an id is no e-mail address.
    """
    with structlog.contextvars.bound_contextvars(deal=event.deal, event_id=event.id):
        receipt = board.handle(event)
        structlog.get_logger("shop").info("told", outcome=str(receipt.outcome))
        return receipt
