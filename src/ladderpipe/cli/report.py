"""``report``: every report on one page to show, as pictures, or as JSON for machines."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import DefinitionError, StoreError
from .loading import loaded_pipeline, pipelines_in, reading_board
from .options import Allow, AsOf, Json, Name, StoredPipeline
from .printing import console, counted, printable, progress, write_json

if TYPE_CHECKING:
    from ..insight import Rates, Report, Tables
    from ..insight.report_page import Contents
    from ..insight.words import Language

__all__ = ["report"]


Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="URL",
        help="where the deals are, for example sqlite:///shop.db, or a folder that replay "
        "--buckets wrote, or several; with --crm, its files",
    ),
]
PageFile = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="write the page here")
]
Pngs = Annotated[
    Path | None, typer.Option("--png", metavar="DIR", help="write each chart here, as PNG")
]
Pdfs = Annotated[
    Path | None, typer.Option("--pdf", metavar="DIR", help="write each chart here, as PDF")
]
PageLanguage = Annotated[
    Literal["en", "it"], typer.Option("--language", "-l", help="of page and charts")
]
Zone = Annotated[
    str, typer.Option("--zone", metavar="ZONE", help="whose calendar, e.g. Europe/Rome")
]
Currency = Annotated[
    str | None,
    typer.Option("--currency", metavar="CODE", help="put all amounts into it, by --rates"),
]
RatesFile = Annotated[
    Path | None,
    typer.Option(
        "--rates",
        metavar="CSV",
        exists=True,
        dir_okay=False,
        help="currency,date,rate: how much of --currency one unit was worth",
    ),
]
RateAge = Annotated[
    int, typer.Option("--rate-age", metavar="DAYS", min=0, help="how old a rate may be")
]
Crm = Annotated[
    str | None,
    typer.Option("--crm", metavar="MAP", help="read a CRM's export by this map, not a store"),
]
Forecast = Annotated[
    bool | None,
    typer.Option("--forecast/--no-forecast", help="up to 10,000 deals if not said; minutes above"),
]
TargetsFile = Annotated[
    Path | None,
    typer.Option(
        "--targets",
        metavar="CSV",
        help="start,owner,target,currency: what each seller was to win in each month",
    ),
]


def report(
    sources: Sources,
    out: PageFile = None,
    png: Pngs = None,
    pdf: Pdfs = None,
    as_of: AsOf = None,
    language: PageLanguage = "en",
    zone: Zone = "UTC",
    currency: Currency = None,
    rates: RatesFile = None,
    rate_age: RateAge = 7,
    crm: Crm = None,
    forecast: Forecast = None,
    targets: TargetsFile = None,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Write every report on one page that can be shown, mailed and printed.

    Several stores, and all pipelines of a store if none is named, stand one below the other. A
    file that is no such page is never overwritten. With --json, standard output gets every table
    whole, with its definition.
    """
    from ..insight.report_page import contents, converter, record_of, rendered_together

    if not (out or png or pdf or json):
        raise typer.BadParameter("say what to write: --out report.html, --png, --pdf or --json")
    if out is not None:
        _refuse_to_overwrite(out)
    if png or pdf:
        converter()  # before minutes of forecasts, not after
    known = _rates(rates, currency, rate_age)
    wanted = None if targets is None else _targets(targets)
    with progress() as bar:
        found = [
            contents(
                tables,
                rates=known,
                zone=zone,
                forecasts=forecast,
                targets=wanted,
                present=present,
                progress=_shown_on(bar, "working out the reports"),
            )
            for tables, present in _read(
                sources, crm, as_of, pipeline, allow, name, _shown_on(bar, "reading")
            )
        ]
        written = [] if out is None else [_write_page(out, rendered_together(found, language))]
        written += [] if png is None else _draw(found, png, "png", language)
        written += [] if pdf is None else _draw(found, pdf, "pdf", language)
    if json:
        records = [record_of(one) for one in found]
        write_json(records[0] if len(records) == 1 else {"pipelines": records})
    else:
        _show(found, written)


def _draw(
    found: Sequence[Contents], folder: Path, kind: Literal["png", "pdf"], language: Language
) -> list[Path]:
    """Write every chart; those of several pipelines each into a folder of its own."""
    from ..insight.report_page import write_charts

    if len(found) == 1:
        return write_charts(found[0], folder, kind, language)
    names = Counter(one.tables.pipeline for one in found)
    return [
        path
        for place, one in enumerate(found, start=1)
        for path in write_charts(one, folder / _folder(one, place, names), kind, language)
    ]


def _folder(one: Contents, place: int, names: Counter[str]) -> str:
    """Return a folder's name; pipelines of one name, of two stores, are numbered."""
    name = re.sub(r"[^\w.-]+", "-", one.tables.pipeline).strip(".-") or "pipeline"
    return name if names[one.tables.pipeline] == 1 else f"{place}-{name}"


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
) -> Iterator[tuple[Tables, Sequence[Report]]]:
    """Yield tables, each with what only a board tells, if it is looked at as it is now."""
    from .. import insight
    from ..insight.report_page import at_present

    if crm is not None:
        if pipeline is not None or name is not None:
            raise typer.BadParameter("--crm says what the stages are: leave out --pipeline, --name")
        yield insight.read_crm(sources, crm, as_of=as_of), ()
        return
    for url in sources:
        if Path(url).is_dir():
            ladder = None if pipeline is None else loaded_pipeline(pipeline, allow)
            found = insight.ReplayedFolder.open(url, ladder, allow or ())
            yield insight.tables(found, as_of=as_of), ()
            continue
        names = [name] if name or pipeline else pipelines_in(url)
        for one in names:
            with reading_board(url, pipeline, allow, one) as board:
                tables = insight.tables(board, as_of=as_of, progress=show)
                yield tables, at_present(board) if as_of is None else ()


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


def _show(found: Sequence[Contents], written: list[Path]) -> None:
    out = console()
    for path in written:
        out.print(printable(str(path)), soft_wrap=True)
    for one in found:
        tables = one.tables
        deals = counted(tables.deals.height, "deal")
        of = "" if len(found) == 1 else f"{printable(tables.pipeline)}: "
        out.print(f"{of}{counted(sum(1 for _ in one.entries), 'report')} on {deals}")
        for note in tables.notes:
            out.print(printable(f"* {note['en']}"), soft_wrap=True)
