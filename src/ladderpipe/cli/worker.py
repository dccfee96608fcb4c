"""``worker``: sweeps and delivers until it is told to stop, and writes a log of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import json as json_text
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..board.board import Board
from ..board.stale import held_back_text
from ..errors import DefinitionError, StoreError
from ..model.delivery import EffectState, StaleEffects
from ..model.effect import Delivery, Handler
from ..model.report import DeliveryReport, TickReport
from .loading import called, existing_store, imported, stored_pipeline
from .log import LOG, logging_to_stderr
from .options import Allow, Candid, Json, OwnPipeline, Url
from .printing import counted, instant_text

if TYPE_CHECKING:
    from ..mail import EmailHandler

__all__ = ["worker"]

PASSWORD_VARIABLE = "LADDERPIPE_SMTP_PASSWORD"


Security = Literal["starttls", "tls", "none"]
Smtp = Annotated[
    str | None,
    typer.Option(
        "--smtp", metavar="HOST[:PORT]", envvar="LADDERPIPE_SMTP", help="send mails by it"
    ),
]
SmtpSecurity = Annotated[
    Security,
    typer.Option("--security", envvar="LADDERPIPE_SMTP_SECURITY", help="of the SMTP server"),
]
Username = Annotated[
    str | None,
    typer.Option(
        "--username",
        envvar="LADDERPIPE_SMTP_USERNAME",
        help=f"for the SMTP server; the password is read from {PASSWORD_VARIABLE}",
    ),
]
Mailbox = Annotated[
    Path | None,
    typer.Option("--mailbox", metavar="FILE", help="append mails to a file instead"),
]
Sender = Annotated[
    str | None,
    typer.Option(
        "--sender",
        envvar="LADDERPIPE_SENDER",
        metavar="ADDRESS",
        help="who mails come from: 'Shop <shop@example.com>'",
    ),
]
MailLanguage = Annotated[
    str, typer.Option("--language", "-l", help="of mails, unless the contact names one")
]
Templates = Annotated[
    Path | None,
    typer.Option("--templates", metavar="FOLDER", help="mail templates of your own"),
]
Link = Annotated[
    str | None,
    typer.Option("--link", metavar="ADDRESS", help="of a deal's page, with {deal} for its id"),
]
AllowLinksTo = Annotated[
    list[str] | None,
    typer.Option("--allow-links-to", metavar="HOST", help="where a deal's property link may lead"),
]
Handlers = Annotated[
    str | None,
    typer.Option(
        "--handlers", metavar="MODULE:NAME", help="called with the board, to register more"
    ),
]
Reconcile = Annotated[
    str | None,
    typer.Option(
        "--reconcile",
        metavar="MODULE:NAME",
        help="connectors by name: ask these shops what no webhook has told",
    ),
]
ReconcileEvery = Annotated[
    float,
    typer.Option("--reconcile-every", min=0.1, metavar="MINUTES", help="how often to ask"),
]
Poll = Annotated[
    float, typer.Option("--poll", min=0.05, metavar="SECONDS", help="the longest sleep")
]
ChainEvery = Annotated[
    float,
    typer.Option(
        "--chain-every",
        min=0.1,
        metavar="MINUTES",
        help="how often to extend the hash chain, once it is begun",
    ),
]
Stale = Annotated[
    StaleEffects,
    typer.Option("--stale-effects", help="what becomes of many effects that are older than a week"),
]
Alive = Annotated[
    Path | None,
    typer.Option(
        "--alive", metavar="FILE", help="touch it while the work goes on, for a probe to look at"
    ),
]
Once = Annotated[bool, typer.Option("--once", help="one round, then stop; for cron")]


def worker(
    url: Url,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    smtp: Smtp = None,
    security: SmtpSecurity = "starttls",
    username: Username = None,
    mailbox: Mailbox = None,
    sender: Sender = None,
    language: MailLanguage = "it",
    templates: Templates = None,
    link: Link = None,
    allow_links_to: AllowLinksTo = None,
    handlers: Handlers = None,
    reconcile: Reconcile = None,
    reconcile_every: ReconcileEvery = 10.0,
    poll: Poll = 2.0,
    stale_effects: Stale = "hold",
    alive: Alive = None,
    chain_every: ChainEvery = 5.0,
    once: Once = False,
    candid: Candid = False,
    json: Json = False,
) -> None:
    """Fire timers and deliver effects, until SIGTERM or Ctrl-C.

    The log goes to standard error; with --json, each round is a line on standard output.
    """
    if pipeline is None:
        raise StoreError(
            "a worker runs the pipeline's hooks, which a store does not keep: "
            "pass --pipeline module:name"
        )
    mails: dict[str, Any] = {"language": language, "templates": templates, "link": link}
    mails["allow_links_to"] = allow_links_to or ()
    email = _email(smtp, security, username, mailbox, sender, mails)
    with _stopping() as stop, logging_to_stderr(), existing_store(url) as store:
        board = Board(
            stored_pipeline(store, pipeline, allow),
            store=store,
            candid=candid,
            stale_effects=stale_effects,
        )
        _register(board, email, handlers, candid)
        with _reconciling(board, reconcile, dt.timedelta(minutes=reconcile_every), once):
            if once:
                _work_once(board, json)
            else:
                pause, rest = dt.timedelta(seconds=poll), dt.timedelta(minutes=chain_every)
                _work(board, stop, pause, alive, rest, json)


def _reconciling(
    board: Board, shops: str | None, every: dt.timedelta, once: bool
) -> contextlib.AbstractContextManager[object]:
    """Ask shops beside the work or, for one round, before it: who has bought gets no reminder."""
    if shops is None:
        return contextlib.nullcontext()
    from ..connect import Reconciler

    connectors = imported(shops)
    if not isinstance(connectors, Mapping):
        raise DefinitionError(
            f"{shops!r} is no mapping of names to connectors: write {{'shop': Shopify(…)}}"
        )
    reconciler = Reconciler(board, connectors, every=every)
    if not once:
        return reconciler
    reconciler.once()
    return contextlib.nullcontext()


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Yield what is set by a SIGTERM that comes before the worker loop listens for one."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _work_once(board: Board, json: bool) -> None:
    """Do one round, and tell what it did."""
    LOG.info("working on %s, %d stages", board.pipeline.name, len(board.pipeline.stages))
    swept, delivered = board.tick(), board.deliver()
    (_print_round if json else _log_round)(swept, delivered)
    if board.chain() is not None:
        board.extend_chain()
    if delivered.held_back:
        LOG.error("%s", held_back_text(delivered.held_back))
        raise typer.Exit(1)
    LOG.info("stopped")


def _work(
    board: Board,
    stop: threading.Event,
    poll: dt.timedelta,
    alive: Path | None,
    chain_every: dt.timedelta,
    json: bool,
) -> None:
    """Run the worker loop, and tell what each round did."""
    tell = _print_round if json else _log_round
    LOG.info("working on %s, %d stages", board.pipeline.name, len(board.pipeline.stages))
    board.run(stop=stop, poll=poll, on_round=tell, alive=alive, chain_every=chain_every)
    LOG.info("stopped")


def _email(
    smtp: str | None,
    security: Security,
    username: str | None,
    mailbox: Path | None,
    sender: str | None,
    mails: dict[str, Any],
) -> EmailHandler | None:
    if smtp is None and mailbox is None:
        return None
    if smtp is not None and mailbox is not None:
        raise typer.BadParameter("mails go one way: choose one", param_hint="--smtp and --mailbox")
    if sender is None:
        raise typer.BadParameter(
            "say who mails come from, 'Shop <shop@example.com>'", param_hint="--sender"
        )
    from ..mail import FileMailbox, Mailer

    try:
        if mailbox is not None:
            return FileMailbox(mailbox, sender=sender, **mails)
        host, port = _host_and_port(smtp or "")
        password = os.environ.get(PASSWORD_VARIABLE)
        return Mailer(
            host,
            port=port,
            security=security,
            username=username,
            password=password,
            sender=sender,
            **mails,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _host_and_port(smtp: str) -> tuple[str, int | None]:
    host, _, port = smtp.partition(":")
    if not host or (port and not port.isdecimal()):
        raise ValueError(f"--smtp {smtp}: write HOST or HOST:PORT")
    return host, int(port) if port else None


def _register(board: Board, email: EmailHandler | None, handlers: str | None, candid: bool) -> None:
    if handlers is not None:
        called(handlers, imported(handlers), board)
    if email is None:
        LOG.info("no --smtp and no --mailbox: mails wait until a worker has one of them")
    else:
        board.handle_effect("email", _logged(email, candid))


def _logged(handler: Handler, candid: bool) -> Handler:
    def deliver(delivery: Delivery) -> None:
        handler(delivery)
        whom = f" for deal {delivery.deal.id}" if candid else ""
        LOG.info("mail %s%s sent", delivery.payload.get("template"), whom)

    return deliver


def _log_round(swept: TickReport, delivered: DeliveryReport) -> None:
    told = []
    if swept.deals:
        told.append(f"timers of {counted(swept.deals, 'deal')}: {counted(swept.moves, 'move')}")
    if swept.failures:
        told.append(f"{counted(len(swept.failures), 'deal')} failed")
    told += [f"{counted(n, 'effect')} {state}" for state, n in delivered.counts.items()]
    if told:
        LOG.info("%s", "; ".join(told))


def _print_round(swept: TickReport, delivered: DeliveryReport) -> None:
    record = {
        "at": instant_text(dt.datetime.now(dt.UTC)),
        "deals": swept.deals,
        "moves": swept.moves,
        "failures": [{"deal": f.deal, "error": str(f.error)} for f in swept.failures],
        "effects": {state.value: delivered.counts.get(state, 0) for state in EffectState},
        "held_back": dict(delivered.held_back),
    }
    sys.stdout.write(json_text.dumps(record, ensure_ascii=False) + "\n")
    sys.stdout.flush()
