"""Running many schedules, and telling of one that failed how to see it fail again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from .observer import Violation
from .simulation import Simulation

__all__ = ["Failed", "digest_of", "run_all", "trace_of"]

LONGEST_TRACE = 400


class Failed(AssertionError):
    """A schedule failed; says which, how to run it again, and what happened step by step."""

    def __init__(self, store: str, seed: int, error: BaseException, trace: list[str]) -> None:
        self.seed = seed
        self.error = error
        self.trace = trace
        left_out = [f"... {len(trace) - LONGEST_TRACE} steps before"] * (len(trace) > LONGEST_TRACE)
        super().__init__(
            f"schedule {seed} over {store}: {type(error).__name__}: {error}\n"
            f"again: LADDERPIPE_SEED={seed} pytest tests/simulation -k 'schedules and {store}'\n"
            + "\n".join([*left_out, *trace[-LONGEST_TRACE:]])
        )


def run_all(simulation: Simulation, store: str, seeds: Iterable[int]) -> int:
    """Run schedules; return how many steps they took.

    Raises:
        Failed: one failed; it was run once more for its trace.
    """
    steps = 0
    for seed in seeds:
        try:
            steps += simulation.run(seed)
        except (Violation, Exception) as error:
            lines, again = trace_of(simulation, seed)
            raise Failed(store, seed, again or error, lines) from error
    return steps


def trace_of(simulation: Simulation, seed: int) -> tuple[list[str], BaseException | None]:
    """Run one schedule; return what happened at each step, and how it failed, if it did."""
    lines: list[str] = []

    def note(who: str, what: str) -> None:
        lines.append(f"{who}: {' '.join(what.split())[:150]}")

    try:
        simulation.run(seed, note)
    except (Violation, Exception) as error:
        return lines, error
    return lines, None


def digest_of(lines: list[str]) -> str:
    """Return what two traces of the same schedule agree in."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
