"""What `make bench-check` says of a ratio that has changed since it was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import regression
from benchmarks.harness import Report, Row, Skipped


def report(*rows: Row) -> Report:
    return Report("Fold", "as it is", list(rows))


def row(ratio: float | None, **bound: Any) -> Row:
    return Row("against transitions", "2 : 1", ratio, **bound)


KNOWN = {"Fold": {"against transitions": 4.0}}


@pytest.fixture
def ratios(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Record in a folder of this test's own."""
    monkeypatch.setattr(regression, "RATIOS", tmp_path / "ratios.json")
    return regression.RATIOS


@pytest.mark.parametrize("now", [3.21, 4.0, 40.0])
def test_a_ratio_that_lost_less_than_a_fifth_has_not_fallen(now: float) -> None:
    assert regression.fallen(report(row(now)), KNOWN) == []


def test_one_that_lost_more_has_fallen_and_says_from_where() -> None:
    (fallen,) = regression.fallen(report(row(3.0)), KNOWN)
    assert str(fallen) == "Fold: against transitions: 4.00 → 3.00 (-25%)"


@pytest.mark.parametrize(("now", "has_fallen"), [(2.0, False), (4.9, False), (5.1, True)])
def test_where_less_is_better_it_falls_by_rising(now: float, has_fallen: bool) -> None:
    found = regression.fallen(report(row(now, target=1.3, at_most=True)), KNOWN)
    assert bool(found) == has_fallen


def test_what_was_never_recorded_or_has_no_ratio_cannot_fall() -> None:
    other = Row("against automat", "2 : 1", 0.1)
    assert regression.fallen(report(other, row(None)), KNOWN) == []
    assert regression.fallen(report(row(0.1)), {}) == []


def test_the_worst_stands_first() -> None:
    known = {"Fold": {"a": 1.0, "b": 1.0, "c": 1.0}}
    found = report(Row("a", "", 0.7), Row("b", "", 0.2), Row("c", "", 0.5))
    assert [fallen.what for fallen in regression.fallen(found, known)] == ["b", "c", "a"]


def test_of_two_runs_the_better_ratio_counts() -> None:
    first = report(Row("a", "", 1.0), Row("b", "", 3.0, at_most=True), Row("c", ""))
    second = report(Row("a", "", 2.0), Row("b", "", 4.0, at_most=True), Row("c", ""))
    assert [one.ratio for one in regression.best_of(first, second).rows] == [2.0, 3.0, None]


def test_what_is_recorded_is_the_middle_of_several_runs() -> None:
    runs = [report(row(ratio), Row("bytes", "3,578")) for ratio in (9.0, 2.0, 4.0)]
    assert [one.ratio for one in regression.middle_of(runs).rows] == [4.0, None]


def test_what_is_recorded_is_read_again_and_leaves_the_rest(ratios: Path) -> None:
    regression.write({"Sweep": {"due": 0.8}, "Fold": {"gone": 1.0}})
    regression.write(regression.recorded(report(row(4.4444)), regression.read()))
    assert regression.read() == {"Sweep": {"due": 0.8}, "Fold": {"against transitions": 4.444}}


def test_what_only_this_machine_reaches_is_not_recorded() -> None:
    figure = Row("against 60 ms", "90 ms", 1.5, at_most=True, absolute=True)
    assert regression.recorded(report(row(4.0), figure), {}) == KNOWN


class Machine:
    """Runs one benchmark whose ratios are these, one after the other."""

    def __init__(self, *ratios: float) -> None:
        self.ratios = list(ratios)

    def __call__(self, quick: bool, folder: Path) -> Report:
        assert quick
        if not self.ratios:
            raise Skipped("it is tired")
        return report(row(self.ratios.pop(0)))


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, ratios: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    ratios.write_text(json.dumps(KNOWN))

    def run(*found: float, write: bool = False) -> tuple[int, str, dict[str, dict[str, float]]]:
        monkeypatch.setitem(benchmarks.BENCHMARKS, "fold", Machine(*found))
        arguments = ["benchmarks", "--check", *(["--write"] if write else []), "fold"]
        monkeypatch.setattr("sys.argv", arguments)
        code = benchmarks.main()
        return code, capsys.readouterr().out, json.loads(ratios.read_text())

    return run


def test_the_check_fails_where_a_ratio_has_fallen_twice(check: Any) -> None:
    code, said, _ = check(2.0, 2.2)
    assert code == 1
    assert "FALLEN  Fold: against transitions: 4.00 → 2.20 (-45%)" in said


def test_it_does_not_fail_for_one_noisy_run(check: Any) -> None:
    assert check(2.0, 3.9)[0] == 0


def test_it_measures_once_where_nothing_has_fallen_and_records_nothing(check: Any) -> None:
    code, _, known = check(8.0, 1.0)
    assert (code, known) == (0, KNOWN)


def test_what_was_accepted_is_recorded(check: Any) -> None:
    code, _, known = check(2.0, 9.0, 2.2, write=True)
    assert (code, known) == (0, {"Fold": {"against transitions": 2.2}})


def test_a_benchmark_that_cannot_run_here_has_not_fallen(check: Any) -> None:
    code, said, _ = check()
    assert (code, "left out: it is tired" in said) == (0, True)


def test_all_that_is_checked_by_default_is_recorded_and_runs() -> None:
    assert set(benchmarks.BRIEF) <= set(benchmarks.BENCHMARKS)
    assert len(regression.read()) >= len(benchmarks.BRIEF)
