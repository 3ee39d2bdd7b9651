"""The search for the smallest dose that passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.experiments.search import Search


def find(value: Callable[[float], float], threshold: float = 0.5, top: float = 2.0, tolerance: float = 0.01) -> Search:
    search = Search(top, lambda found: found >= threshold, tolerance)
    while wanted := search.wanted():
        assert len(search.known) < 200
        search.known.update({dose: value(dose) for dose in wanted})
    return search


@given(st.floats(0.0, 2.0))
def test_a_step_is_found_to_the_tolerance(step: float) -> None:
    search = find(lambda dose: float(dose >= step))
    assert search.answer is not None
    assert step <= search.answer <= step + 0.01 + 1e-9
    below = search.bracket()[0]  # type: ignore[index]
    assert below < step or search.answer == 0.0


def test_nothing_passes_or_nothing_is_needed() -> None:
    assert find(lambda dose: 0.0).answer is None
    assert find(lambda dose: 1.0).answer == 0.0


def test_a_value_that_turns_back_gives_the_lowest_crossing_of_the_first_grid() -> None:
    search = find(lambda dose: float(0.4 < dose < 0.7 or dose > 1.8))
    assert search.answer == pytest.approx(0.4, abs=0.011)
