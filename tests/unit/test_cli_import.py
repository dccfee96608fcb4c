"""``import``: what a dry run shows, what is brought over, and when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from ladderpipe import Board, Pipeline, Stage, after, by_hand
from tests.commands import run

EXPORT = """\
Deal - ID,Deal - Title,Deal - Stage,Deal - Status,Deal - Value,Deal - Currency,Deal - Owner,\
Deal - Deal created,Deal - Lost time,Deal - Last stage change
1,Roof,Proposal Made,Open,1200,EUR,Ann,2026-01-05 09:00:00,,2026-01-20 10:00:00
2,Heat,Proposal Made,Lost,900,EUR,Bob,2026-01-07 09:00:00,2026-02-01 09:00:00,2026-01-15 10:00:00
3,Door,Nowhere,Open,900,EUR,Bob,2026-01-07 09:00:00,,
"""


def ladder() -> Pipeline:
    qualified, proposal = Stage("qualified"), Stage("proposal", title="Proposal Made")
    lost = Stage("lost", status="lost", requires=["loss_reason"])
    return Pipeline(
        "sales",
        stages=[qualified, proposal, lost],
        rules=[
            by_hand(into=qualified, opens=True),
            after(days=14, out_of=proposal, into=qualified, key="cold"),
        ],
    )


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    file = tmp_path / "export.csv"
    file.write_text(EXPORT, "utf-8")
    url = f"sqlite:///{tmp_path}/sales.db"
    return [str(file), "--map", "pipedrive", "-p", f"{__name__}:ladder", "--into", url]


def test_a_dry_run_shows_what_would_come_of_it_and_makes_no_store(
    tmp_path: Path, arguments: list[str]
):
    told = run("import", *arguments, "--dry-run")
    assert told.code == 0, told.err
    for part in ("2 deals would be", "Ann 1", "EUR 2", "1 deal overdue", "stage 'Nowhere'"):
        assert part in told.out
    assert not (tmp_path / "sales.db").exists()


def test_deals_are_brought_over_once(tmp_path: Path, arguments: list[str]):
    overdue, errors = tmp_path / "overdue.csv", tmp_path / "errors.txt"
    files = ["--overdue", str(overdue), "--errors", str(errors)]
    first = run("import", *arguments, *files, "--grace", "7", "--json").json()
    assert (first["new"], first["events"], first["stages"]) == (2, 5, {"proposal": 1, "lost": 1})
    assert first["overdue"] == [{"stage": "proposal", "into": "qualified", "count": 1}]
    assert overdue.read_text("utf-8").splitlines()[1].startswith("1,proposal,qualified,2026-02-03")
    assert errors.read_text("utf-8").startswith("export.csv:4: stage 'Nowhere'")
    again = run("import", *arguments, "--json").json()
    assert (again["events"], again["unchanged"]) == (0, 2)
    with Board.open(ladder(), arguments[-1]) as board:
        assert [v.stage.key for v in board.history("2").visits] == ["qualified", "proposal", "lost"]


def test_it_fails_when_asked_to_or_when_most_is_refused(tmp_path: Path, arguments: list[str]):
    assert run("import", *arguments, "--strict").code == 1
    lines = EXPORT.splitlines()
    Path(arguments[0]).write_text("\n".join([lines[0], lines[3]]), "utf-8")
    assert run("import", *arguments).code == 1
    assert run("import", *arguments, "--zone", "Mars/Olympus").code == 2
