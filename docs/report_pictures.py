"""Draw the pictures of the reports' pages: `make pictures`, with the extra `pictures` and Chromium.

Most are of two thousand made-up deals, always the same; those of forecasts are of the CRM export
that the tests of real data read, and are left as they are where LADDERPIPE_DATA does not name it.
"""

import datetime as dt
import os
import random
import shutil
import tempfile
from pathlib import Path

import vl_convert
from playwright.sync_api import sync_playwright

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, after, do, insight, on, wait
from ladderpipe.insight.report import Report
from ladderpipe.insight.report_page.vega import locales, on_paper

FOLDER = Path(__file__).parent / "insight" / "reports" / "pictures"
ASSETS = Path(__file__).parent / "assets"
PAGES = {"report-page": ("en", "light"), "report-page-dark": ("it", "dark")}
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
DEALS = 2_000
SOURCES = ("web", "web", "web", "fair", "referral", "newsletter", "cold call", None)
OWNERS = ("Ada", "Bruno", "Carla", "Dino")
PRICED = """\
extends = "crm-sales"
deal.value = "{products.sales_price}"
join.products = { file = "products.csv", by = "product" }
"""

new = Stage("new", title="New", probability=0.1)
working = Stage("working", title="Working", probability=0.4)
offer = Stage("offer", title="Offer made", probability=0.7)
abandoned = Stage(
    "abandoned",
    title="Abandoned",
    status="abandoned",
    probability=0.05,
    sequence=[
        wait(days=1),
        do("email", template="first mail"),
        wait(days=3),
        do("email", template="second mail"),
    ],
)
won = Stage("won", title="Won", status="won")
lost = Stage("lost", title="Lost", status="lost")


def ladder() -> Pipeline:
    return Pipeline(
        "sales",
        stages=[new, working, offer, won, abandoned, lost],
        rules=[
            on("lead.came", into=new, opens=True),
            on("deal.called", into=working, out_of=[new, abandoned]),
            on("offer.sent", into=offer, out_of=[working]),
            on("deal.won", into=won),
            on("deal.lost", into=lost),
            after(days=14, out_of=new, into=abandoned),
            after(days=21, out_of=working, into=abandoned),
        ],
    )


def made_up() -> Board:
    """Return a board with made-up deals of eleven months, in two currencies."""
    chance = random.Random(11)
    board = Board(ladder(), clock=ManualClock(NOW))
    told = [event for number in range(DEALS) for event in life(f"d{number:04}", chance)]
    board.handle_many((event for event in told if event.at <= NOW), quiet=True)
    board.tick()
    return board


def life(deal: str, chance: random.Random) -> list[Event]:
    at = NOW - dt.timedelta(days=chance.uniform(0, 320))
    data = {
        "value": str(round(chance.lognormvariate(7, 0.8), 2)),
        "currency": "EUR" if chance.random() < 0.85 else "CHF",
        "owner": chance.choice(OWNERS),
        "source": chance.choice(SOURCES),
    }
    found = [("lead.came", at, {name: value for name, value in data.items() if value})]
    steps = (("deal.called", 0.85, 5), ("offer.sent", 0.75, 12))
    for kind, likely, days in steps:
        if chance.random() > likely:
            break
        at += dt.timedelta(days=chance.expovariate(1 / days))
        found.append((kind, at, {}))
    else:
        at += dt.timedelta(days=chance.expovariate(1 / 15))
        is_won = chance.random() < 0.45
        reason = {"properties": {"loss_reason": chance.choice(("price", "rival", "silence"))}}
        found.append(("deal.won", at, {}) if is_won else ("deal.lost", at, reason))
    if len(found) < 3 and chance.random() < 0.4:
        at += dt.timedelta(days=14 + chance.expovariate(1 / 6))
        found.append(("deal.called", at, {}))
    return [
        Event(kind, deal=deal, id=f"{deal}-{n}", at=at, data=data)
        for n, (kind, at, data) in enumerate(found)
    ]


def draw(name: str, report: Report) -> None:
    drawn = report.chart("en")
    assert drawn is not None, name
    numbers, dates = locales("en")
    picture = vl_convert.vegalite_to_svg(
        on_paper(drawn.to_dict()), format_locale=numbers, time_format_locale=dates
    )
    (FOLDER / f"{name}.svg").write_text(picture + "\n", "utf-8")


def photograph(tables: insight.Tables) -> None:
    """Take the first screen of the page as a browser shows it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as work:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (language, scheme) in PAGES.items():
            page = Path(work) / f"{name}.html"
            page.write_text(insight.page(tables, language=language, forecasts=False), "utf-8")
            shown = browser.new_page(
                viewport={"width": 1240, "height": 900}, color_scheme=scheme, locale=language
            )
            shown.goto(page.as_uri())
            shown.wait_for_selector("svg, canvas")
            shown.screenshot(path=ASSETS / f"{name}.png")
        browser.close()


def main() -> None:
    tables = insight.tables(made_up())
    photograph(tables)
    reports = {
        "arrivals": insight.arrivals(tables),
        "bottlenecks": insight.bottlenecks(tables),
        "funnel": insight.funnel(tables),
        "recovery": insight.recovery(tables),
        "stale": insight.stale(tables),
        "summary": insight.summary(tables),
        "time-in-stage": insight.time_in_stage(tables),
        "velocity": insight.velocity(tables),
        "win-rate": insight.win_rate(tables, by="owner"),
    }
    data = os.environ.get("LADDERPIPE_DATA")
    if data is not None:
        with tempfile.TemporaryDirectory() as work:
            priced = Path(work) / "priced.toml"
            priced.write_text(PRICED)
            crm = insight.read_crm(Path(data) / "crm" / "sales_pipeline.csv", priced)
        tested = insight.backtest(crm)
        reports |= {
            "forecast": insight.forecast(crm.at("2017-10-01T00:00Z")),
            "backtest": tested,
            "calibration": tested.calibration,
            "backtest-money": tested.money,
        }
    for name, report in reports.items():
        draw(name, report)


if __name__ == "__main__":
    main()
