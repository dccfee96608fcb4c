"""``hubspot``, ``pipedrive``, ``brevo``: whether a CRM is set up, keeping it in step, what drifted.

What a CRM is connected with stands before the command, and the three commands are the same for all.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import attrs
import typer

from ..board.board import Board
from ..errors import DefinitionError
from .loading import called, existing_store, imported, loaded_pipeline
from .log import LOG, logging_to_stderr
from .options import Allow, Candid, Definition, Json, OwnPipeline, Url
from .printing import console, counted, printable, write_json

if TYPE_CHECKING:
    from ..connect import Brevo, CrmDrift, CrmMap, CrmRound, CrmSync, HubSpot, Pipedrive

__all__ = ["brevo", "hubspot", "pipedrive"]

_Crm: TypeAlias = "HubSpot | Pipedrive | Brevo"

_Map = Annotated[
    Path, typer.Argument(metavar="MAP", help="TOML: which stage of the ladder is which in the CRM")
]
_Ledger = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        metavar="FILE",
        help="what the CRM was told, on a disk that stays; hubspot.db and the like if not",
    ),
]
_Recreate = Annotated[
    bool, typer.Option("--recreate", help="make anew what somebody has deleted in the CRM")
]
_Language = Annotated[
    Literal["it", "en"], typer.Option("--language", "-l", help="of the tasks that owners get")
]
_Handlers = Annotated[
    str | None,
    typer.Option(
        "--handlers", metavar="MODULE:NAME", help="called with the board, to register handlers"
    ),
]


@attrs.frozen
class _Account:
    """What the options before a command say.

    Attributes:
        title: of the CRM, for people.
        connect: connects it by a map.
    """

    title: str
    connect: Callable[[CrmMap], _Crm]

    @property
    def ledger(self) -> Path:
        """Where the ledger is if nobody says so."""
        return Path(f"{self.title.lower()}.db")


def _group(title: str) -> typer.Typer:
    group = typer.Typer(
        name=title.lower(),
        help=f"Deals in {title}: check what is set up there, keep it in step, see what drifted.",
        no_args_is_help=True,
    )
    for command in (check, run, reconcile):
        group.command()(command)
    return group


def check(
    context: typer.Context,
    map: _Map,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Say what the CRM, and the map, lack; writes nothing. Exits with 1 if something is missing."""
    account: _Account = context.obj
    with _connected(account, map) as (crm, mapping):
        found = crm.check()
    if pipeline is not None:
        found += mapping.mistakes(loaded_pipeline(pipeline, allow).stages)
    if json:
        write_json(found)
    else:
        out = console()
        is_fine = f"{account.title} is set up"
        out.print(f"{counted(len(found), 'thing')} to set up" if found else is_fine)
        for each in found:
            out.print(printable(f"  {each}"), soft_wrap=not out.is_terminal)
    if found:
        raise typer.Exit(1)


def run(
    context: typer.Context,
    pipeline: Definition,
    url: Url,
    map: _Map,
    ledger: _Ledger = None,
    recreate: _Recreate = False,
    language: _Language = "en",
    handlers: _Handlers = None,
    candid: Candid = False,
    allow: Allow = None,
) -> None:
    """Keep the CRM in step with a board until stopped, and compare the two once a day.

    It may be stopped, or killed, at any time: the next one goes on. The log goes to standard error.
    """
    account: _Account = context.obj
    with (
        logging_to_stderr(),
        _connected(account, map) as connected,
        _board(pipeline, url, allow) as board,
    ):
        if handlers is not None:
            called(handlers, imported(handlers), board)
        sync = _sync(board, connected, ledger or account.ledger, recreate, language, candid)
        _say_what_is_missing(connected[0])
        LOG.info("keeping %s in step with %s", account.title, board.pipeline.name)
        sync.run(on_round=functools.partial(_log_round, candid=candid))
        LOG.info("stopped")


def _say_what_is_missing(crm: _Crm) -> None:
    """Log what has to be set up; it may be mended while the rounds go on."""
    from ..connect import CrmError

    try:
        for each in crm.check():
            LOG.warning("%s", each)
    except CrmError as error:
        LOG.error("%s", error)


def _log_round(done: CrmRound, *, candid: bool) -> None:
    counts = {
        "told": done.told,
        "not taken as it is": done.rejected,
        "moved there": done.moved,
        "moved back": done.refused,
        "gone from there": done.gone,
    }
    told = [f"{counted(len(deals), 'deal')} {what}" for what, deals in counts.items() if deals]
    if done.drift:
        told.append(counted(len(done.drift), "difference"))
    LOG.info("%s", "; ".join(told))
    if candid:
        for deal, why in (done.rejected | done.refused).items():
            LOG.warning("%s: %s", deal, why)


def reconcile(
    context: typer.Context,
    pipeline: Definition,
    url: Url,
    map: _Map,
    ledger: _Ledger = None,
    recreate: _Recreate = False,
    mend: Annotated[
        bool, typer.Option("--mend", help="tell the CRM anew what is not as on the board")
    ] = False,
    language: _Language = "en",
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Look at every deal in the CRM and say what is not as on the board, and what is not taken.

    Exits with 1 if something is said.
    """
    account: _Account = context.obj
    with _connected(account, map) as connected, _board(pipeline, url, allow) as board:
        sync = _sync(board, connected, ledger or account.ledger, recreate, language)
        done = sync.reconcile(mend=mend)
        if mend:
            sync.round()
        troubles = sync.troubles()
    if json:
        drift = [attrs.asdict(each) for each in done.drift]
        write_json({"drift": drift, "troubles": troubles})
    else:
        _print_drift(account.title, done.drift, troubles)
    if done.drift or troubles:
        raise typer.Exit(1)


def _print_drift(title: str, drift: Sequence[CrmDrift], troubles: Mapping[str, str]) -> None:
    out = console()
    if drift:
        out.print(counted(len(drift), "difference"))
    for each in drift:
        how = f"{each.field} is {each.crm!r} and not {each.board!r}"
        what = how if each.field is not None else f"is gone from {title}"
        out.print(printable(f"  {each.deal}: {what}"), soft_wrap=not out.is_terminal)
    if troubles:
        out.print(f"{counted(len(troubles), 'deal')} not taken as it is")
    for deal, why in troubles.items():
        out.print(printable(f"  {deal}: {why}"), soft_wrap=not out.is_terminal)
    if not (drift or troubles):
        out.print("in step")


def _option_of(variable: str) -> str:
    return "--" + variable.partition("_")[2].lower().replace("_", "-")


def _from(variable: str, metavar: str, help: str) -> Any:
    """Return an option that may stand in the environment instead."""
    return typer.Option(_option_of(variable), metavar=metavar, envvar=variable, help=help)


def _said(told: str, variable: str) -> str:
    """Return what an option says that is needed as soon as the CRM is connected.

    It is not required by the parser, which would ask for it before it shows a command's help.
    """
    if not told.strip():
        raise DefinitionError(f"say {_option_of(variable)} before the command, or set {variable}")
    return told


hubspot, pipedrive, brevo = map(_group, ("HubSpot", "Pipedrive", "Brevo"))


@hubspot.callback()
def _hubspot(
    context: typer.Context,
    token: Annotated[str, _from("HUBSPOT_TOKEN", "TOKEN", "of your private app")] = "",
    app: Annotated[str, _from("HUBSPOT_APP", "ID", "of that app, as in its address")] = "",
    companies: Annotated[
        bool, typer.Option("--companies/--no-companies", help="whether companies are told, too")
    ] = True,
    api: Annotated[
        str, _from("HUBSPOT_API", "URL", "where HubSpot's API is")
    ] = "https://api.hubapi.com",
) -> None:
    def connect(mapping: CrmMap) -> HubSpot:
        from ..connect import HubSpot

        return HubSpot(
            _said(token, "HUBSPOT_TOKEN"),
            mapping,
            app=_said(app, "HUBSPOT_APP"),
            company_property="ladderpipe_company" if companies else None,
            url=api,
        )

    context.obj = _Account("HubSpot", connect)


@pipedrive.callback()
def _pipedrive(
    context: typer.Context,
    token: Annotated[
        str, _from("PIPEDRIVE_TOKEN", "TOKEN", "of a user of the connection's own")
    ] = "",
    company: Annotated[str, _from("PIPEDRIVE_COMPANY", "NAME", "acme of acme.pipedrive.com")] = "",
    deal_field: Annotated[
        str, _from("PIPEDRIVE_DEAL_FIELD", "KEY", "of the deal field that holds our id")
    ] = "",
    domain_field: Annotated[
        str | None,
        _from(
            "PIPEDRIVE_DOMAIN_FIELD",
            "KEY",
            "of the organization field for the domain; companies are left out without it",
        ),
    ] = None,
    api: Annotated[
        str | None,
        _from("PIPEDRIVE_API", "URL", "where Pipedrive's API is, if not at the company's address"),
    ] = None,
) -> None:
    def connect(mapping: CrmMap) -> Pipedrive:
        from ..connect import Pipedrive

        return Pipedrive(
            _said(token, "PIPEDRIVE_TOKEN"),
            mapping,
            company=_said(company, "PIPEDRIVE_COMPANY"),
            deal_field=_said(deal_field, "PIPEDRIVE_DEAL_FIELD"),
            domain_field=domain_field,
            url=api,
        )

    context.obj = _Account("Pipedrive", connect)


@brevo.callback()
def _brevo(
    context: typer.Context,
    token: Annotated[str, _from("BREVO_TOKEN", "KEY", "an API key of its own")] = "",
    currency: Annotated[str, _from("BREVO_CURRENCY", "CODE", "of the account, EUR say")] = "",
    deal_attribute: Annotated[
        str, _from("BREVO_DEAL_ATTRIBUTE", "NAME", "of deals, that holds our id")
    ] = "ladderpipe_deal",
    told_attribute: Annotated[
        str, _from("BREVO_TOLD_ATTRIBUTE", "NAME", "of deals, that holds what was told last")
    ] = "ladderpipe_told",
    names: Annotated[
        tuple[str, str],
        typer.Option(
            "--names", metavar="FIRST LAST", help="the contact attributes for first and last name"
        ),
    ] = ("FIRSTNAME", "LASTNAME"),
    companies: Annotated[
        bool, typer.Option("--companies", help="tell companies, too; each takes requests")
    ] = False,
    per_hour: Annotated[
        int,
        typer.Option(
            "--per-hour", metavar="NUMBER", min=1, help="requests that your plan allows for deals"
        ),
    ] = 100,
    share: Annotated[
        float, typer.Option("--share", metavar="PART", help="which part of them is ours, up to 1")
    ] = 0.5,
    api: Annotated[
        str, _from("BREVO_API", "URL", "where Brevo's API is")
    ] = "https://api.brevo.com",
) -> None:
    def connect(mapping: CrmMap) -> Brevo:
        from ..connect import Brevo

        return Brevo(
            _said(token, "BREVO_TOKEN"),
            mapping,
            currency=_said(currency, "BREVO_CURRENCY"),
            deal_attribute=deal_attribute,
            told_attribute=told_attribute,
            names=names,
            companies=companies,
            per_hour=per_hour,
            share=share,
            url=api,
        )

    context.obj = _Account("Brevo", connect)


@contextlib.contextmanager
def _connected(account: _Account, map: Path) -> Iterator[tuple[_Crm, CrmMap]]:
    from ..connect import CrmMap

    mapping = CrmMap.from_file(map)
    with contextlib.closing(account.connect(mapping)) as crm:
        yield crm, mapping


@contextlib.contextmanager
def _board(pipeline: str, url: str, allow: Any) -> Iterator[Board]:
    with existing_store(url) as store:
        yield Board(loaded_pipeline(pipeline, allow), store=store)


def _sync(
    board: Board,
    connected: tuple[_Crm, CrmMap],
    ledger: Path,
    recreate: bool,
    language: Literal["it", "en"],
    candid: bool = False,
) -> CrmSync:
    from ..connect import CrmSync

    return CrmSync(board, *connected, ledger, recreate=recreate, language=language, candid=candid)
