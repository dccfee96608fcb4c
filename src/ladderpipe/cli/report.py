"""``report``: every report on one page to show, as pictures, or as JSON for machines."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import DefinitionError, StoreError
from .loading import reading_board
from .options import Allow, Json, Name, StoredPipeline
from .printing import console, counted, printable, progress, write_json

if TYPE_CHECKING:
    from ..insight import Rates, Report, Tables
    from ..insight.report_page import Contents

__all__ = ["report"]


def report(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="URL",
            help="where the deals are, for example sqlite:///shop.db; with --crm, its files",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="write the page here")
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="DIR", help="write each chart here, as PNG")
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option("--pdf", metavar="DIR", help="write each chart here, as PDF")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="as of this instant, in ISO 8601; now if not"),
    ] = None,
    language: Annotated[
        Literal["en", "it"], typer.Option("--language", "-l", help="of page and charts")
    ] = "en",
    zone: Annotated[
        str, typer.Option("--zone", metavar="ZONE", help="whose calendar, e.g. Europe/Rome")
    ] = "UTC",
    currency: Annotated[
        str | None,
        typer.Option("--currency", metavar="CODE", help="put all amounts into it, by --rates"),
    ] = None,
    rates: Annotated[
        Path | None,
        typer.Option(
            "--rates",
            metavar="CSV",
            exists=True,
            dir_okay=False,
            help="currency,date,rate: how much of --currency one unit was worth",
        ),
    ] = None,
    rate_age: Annotated[
        int, typer.Option("--rate-age", metavar="DAYS", min=0, help="how old a rate may be")
    ] = 7,
    crm: Annotated[
        str | None,
        typer.Option("--crm", metavar="MAP", help="read a CRM's export by this map, not a store"),
    ] = None,
    forecast: Annotated[
        bool | None,
        typer.Option(
            "--forecast/--no-forecast", help="up to 10,000 deals if not said; minutes above"
        ),
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option(
            "--targets",
            metavar="CSV",
            help="start,owner,target,currency: what each seller was to win in each month",
        ),
    ] = None,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Write every report on one page that can be shown, mailed and printed.

    A file that is no such page is never overwritten. With --json, standard output gets every table
    whole, with its definition.
    """
    from ..insight.report_page import contents, record_of, rendered, write_charts

    if not (out or png or pdf or json):
        raise typer.BadParameter("say what to write: --out report.html, --png, --pdf or --json")
    if out is not None:
        _refuse_to_overwrite(out)
    known = _rates(rates, currency, rate_age)
    wanted = None if targets is None else _targets(targets)
    with progress() as bar:
        tables, present = _read(
            sources, crm, as_of, pipeline, allow, name, _shown_on(bar, "reading")
        )
        found = contents(
            tables,
            rates=known,
            zone=zone,
            forecasts=forecast,
            targets=wanted,
            present=present,
            progress=_shown_on(bar, "working out the reports"),
        )
        written = [] if out is None else [_write_page(out, rendered(found, language))]
        written += [] if png is None else write_charts(found, png, "png", language)
        written += [] if pdf is None else write_charts(found, pdf, "pdf", language)
    if json:
        write_json(record_of(found))
    else:
        _show(found, written)


def _shown_on(bar: Any, what: str) -> Callable[[int, int], None]:
    task = bar.add_task(what, total=None)

    def show(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    return show


def _read(
    sources: list[str],
    crm: str | None,
    as_of: str | None,
    pipeline: str | None,
    allow: list[str] | None,
    name: str | None,
    show: Callable[[int, int], None],
) -> tuple[Tables, Sequence[Report]]:
    """Return the tables, and what only a board tells, if it is looked at as it is now."""
    from .. import insight
    from ..insight.report_page import at_present

    if crm is not None:
        if pipeline is not None or name is not None:
            raise typer.BadParameter("--crm says what the stages are: leave out --pipeline, --name")
        return insight.read_crm(sources, crm, as_of=as_of), ()
    if len(sources) > 1:
        raise typer.BadParameter("one store at a time; several files need --crm MAP")
    with reading_board(sources[0], pipeline, allow, name) as board:
        tables = insight.tables(board, as_of=as_of, progress=show)
        return tables, at_present(board) if as_of is None else ()


def _rates(path: Path | None, currency: str | None, age: int) -> Rates | None:
    if path is None and currency is None:
        return None
    if path is None or currency is None:
        raise typer.BadParameter("--currency and --rates need each other")
    import polars as pl

    from ..insight import RateError, Rates

    try:
        table = pl.read_csv(path, schema_overrides={"rate": pl.String}, try_parse_dates=True)
        return Rates.of(table, into=currency, max_age=dt.timedelta(days=age))
    except pl.exceptions.PolarsError as error:
        why = str(error).splitlines()[0]
        raise RateError(
            f"{path} is no table of rates ({why}): write CSV with currency,date,rate, for example "
            "USD,2026-01-05,0.92"
        ) from error


def _targets(path: Path) -> Any:
    import polars as pl

    try:
        columns = {"target": pl.String, "owner": pl.String, "currency": pl.String}
        return pl.read_csv(path, schema_overrides=columns, try_parse_dates=True)
    except pl.exceptions.PolarsError as error:
        why = str(error).splitlines()[0]
        raise DefinitionError(
            f"{path} is no table of targets ({why}): write CSV with start,owner,target,currency, "
            "for example 2026-01-01,Ada,20000,EUR"
        ) from error


def _refuse_to_overwrite(path: Path) -> None:
    """Refuse a file that is something else: a typo must not cost anybody a database."""
    from ..insight.report_page import MARK

    if not path.exists():
        return
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(MARK)) == MARK.encode():
                return
    raise StoreError(
        f"{path} is there and is no report, so it is not overwritten: name another file, or "
        "remove it"
    )


def _write_page(path: Path, page: str) -> Path:
    """Write the whole page or nothing: who opens the old one meanwhile sees it whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    return path


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _show(found: Contents, written: list[Path]) -> None:
    out = console()
    for path in written:
        out.print(printable(str(path)), soft_wrap=True)
    tables = found.tables
    deals = counted(tables.deals.height, "deal")
    out.print(f"{counted(sum(1 for _ in found.entries), 'report')} on {deals}")
    for note in tables.notes:
        out.print(f"* {note['en']}", soft_wrap=True)
