"""Run the benchmarks: ``python -m benchmarks [--quick | --check] [--write] [name ...]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import (
    batches,
    batches_postgres,
    buckets,
    bulk,
    chaining,
    durable,
    folding,
    growing,
    handling,
    handling_postgres,
    importing,
    listing,
    on_spark,
    policies,
    receiving,
    regression,
    reporting,
    size,
    sweeping,
    sweeping_postgres,
    temporal,
    workers,
)
from .harness import Report, Skipped
from .results import RESULTS, as_line, as_markdown

BENCHMARKS: dict[str, Callable[[bool, Path], Report]] = {
    "fold": lambda quick, folder: folding.run(quick),
    "handle": handling.run,
    "batches": batches.run,
    "sweep": sweeping.run,
    "bytes": size.run,
    "chain": chaining.run,
    "import": importing.run,
    "bulk": bulk.run,
    "buckets": buckets.run,
    "spark": on_spark.run,
    "handle-postgres": handling_postgres.run,
    "batches-postgres": batches_postgres.run,
    "sweep-postgres": sweeping_postgres.run,
    "workers": workers.run,
    "durable": durable.run,
    "temporal": temporal.run,
    "reports": reporting.run,
    "receive": receiving.run,
    "growth": growing.run,
    "lists": listing.run,
    "policy": policies.run,
}


BRIEF = ("import", "fold", "handle", "batches")
"""What ``--check`` runs where nothing is named: what takes little time and no server, and is
steady enough when it is run briefly."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"run briefly ({', '.join(BRIEF)} by default), and fail where a ratio has fallen by "
        f"more than a fifth since it was written into {regression.RATIOS.name}",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"put what was run into {RESULTS.name}, and the ratios of brief runs into "
        f"{regression.RATIOS.name}; those alone with --check, which accepts them",
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(
            f"no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}"
        )
    if options.check and options.write:
        for name in options.names or BRIEF:
            _record(name)
        return 0
    if options.check:
        return _check(options.names or BRIEF)
    met = True
    for name in options.names or BENCHMARKS:
        start = time.monotonic()
        report = _run(name, options.quick)
        if report is None:
            continue
        if options.write:
            known = RESULTS.read_text() if RESULTS.exists() else ""
            RESULTS.write_text(as_markdown(report, time.monotonic() - start, known))
            if name in BRIEF:
                _record(name)
        met = met and all(row.is_met for row in report.rows)
    return 0 if met else 1


def _check(names: Sequence[str]) -> int:
    """Run briefly and say what has fallen; measure that again first, since machines are noisy."""
    found: list[regression.Fallen] = []
    for name in names:
        report = _run(name, quick=True)
        if report is None:
            continue
        known = regression.read()
        fallen = regression.fallen(report, known)
        if fallen:
            print("again, since something has fallen:")
            again = _run(name, quick=True)
            report = report if again is None else regression.best_of(report, again)
            fallen = regression.fallen(report, known)
        found += fallen
    for each in found:
        print(f"FALLEN  {each}")
    print(f"{len(found)} ratios have fallen by more than {regression.ALLOWED:.0%}")
    return 1 if found else 0


def _record(name: str) -> None:
    """Run briefly a few times, and put the ratios where ``--check`` looks for them."""
    reports = [report for _ in range(3) if (report := _run(name, quick=True)) is not None]
    if reports:
        middle = regression.middle_of(reports)
        regression.write(regression.recorded(middle, regression.read()))


def _run(name: str, quick: bool) -> Report | None:
    """Run one benchmark and print what it finds; ``None`` if this machine lacks what it needs."""
    try:
        with tempfile.TemporaryDirectory(prefix="ladderpipe-bench-") as folder:
            report = BENCHMARKS[name](quick, Path(folder))
    except Skipped as why:
        print(f"{name} is left out: {why}")
        return None
    print(report.title)
    for row in report.rows:
        print(as_line(row), flush=True)
    return report


if __name__ == "__main__":
    sys.exit(main())
