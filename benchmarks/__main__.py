"""Run the benchmarks: ``python -m benchmarks [--quick] [--write] [name ...]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from . import (
    batches,
    batches_postgres,
    bulk,
    durable,
    folding,
    growing,
    handling,
    handling_postgres,
    importing,
    listing,
    policies,
    receiving,
    reporting,
    size,
    sweeping,
    sweeping_postgres,
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
    "import": importing.run,
    "bulk": bulk.run,
    "handle-postgres": handling_postgres.run,
    "batches-postgres": batches_postgres.run,
    "sweep-postgres": sweeping_postgres.run,
    "workers": workers.run,
    "durable": durable.run,
    "reports": reporting.run,
    "receive": receiving.run,
    "growth": growing.run,
    "lists": listing.run,
    "policy": policies.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds")
    parser.add_argument(
        "--write", action="store_true", help=f"put what was run into {RESULTS.name}"
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(
            f"no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}"
        )
    met = True
    for name in options.names or BENCHMARKS:
        start = time.monotonic()
        try:
            report = _run(name, options.quick)
        except Skipped as why:
            print(f"{name} is left out: {why}")
            continue
        if options.write:
            known = RESULTS.read_text() if RESULTS.exists() else ""
            RESULTS.write_text(as_markdown(report, time.monotonic() - start, known))
        met = met and all(row.is_met for row in report.rows)
    return 0 if met else 1


def _run(name: str, quick: bool) -> Report:
    with tempfile.TemporaryDirectory(prefix="ladderpipe-bench-") as folder:
        report = BENCHMARKS[name](quick, Path(folder))
    print(report.title)
    for row in report.rows:
        print(as_line(row), flush=True)
    return report


if __name__ == "__main__":
    sys.exit(main())
