"""The simulation finds what it is there to find, and the seed it names shows it again."""

from __future__ import annotations

import pytest

from .conftest import MakeSimulation
from .mutants import MUTANTS, Mutant
from .running import Failed, run_all


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mistake_is_found_and_its_seed_shows_it_again(
    make_simulation: MakeSimulation, mutant: Mutant, monkeypatch: pytest.MonkeyPatch
):
    simulation = make_simulation(mutant.store)
    mutant.make(monkeypatch)
    with pytest.raises(Failed, match=mutant.said) as found:
        run_all(simulation, mutant.store, range(mutant.within))
    again = make_simulation(mutant.store)
    with pytest.raises(Failed) as shown:
        run_all(again, mutant.store, [found.value.seed])
    assert str(shown.value) == str(found.value)
    assert f"LADDERPIPE_SEED={found.value.seed}" in str(found.value)
