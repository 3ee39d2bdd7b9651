"""Tests, corrections, tails and what pairing gains, against numbers worked out apart from the code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulator.results import statistics

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)
RNG = np.random.Generator(np.random.Philox(5))


def test_holm_and_benjamini_hochberg_on_a_textbook_family() -> None:
    # Holm: 0.01*4, 0.02*3 = 0.06, 0.03*2 -> kept at 0.06, 0.5. Benjamini and Hochberg: 0.04, 0.04, 0.04, 0.5.
    p = [0.03, 0.01, 0.5, 0.02]
    assert statistics.holm(p) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert statistics.benjamini_hochberg(p) == pytest.approx([0.04, 0.04, 0.5, 0.04])


@given(P_VALUES)
def test_corrections_never_lower_a_p_value_and_keep_their_order(p: list[float]) -> None:
    for correct in statistics.CORRECTIONS.values():
        adjusted = correct(p)
        assert (adjusted >= np.array(p) - 1e-15).all()
        assert (adjusted <= 1.0).all()
        assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-15).all()


def test_benjamini_hochberg_is_that_of_scipy() -> None:
    p = RNG.random(20)
    assert statistics.benjamini_hochberg(p.tolist()) == pytest.approx(stats.false_discovery_control(p))


def test_the_paired_test_is_students_or_mcnemars() -> None:
    first, second = RNG.normal(0.3, 1.0, 40), RNG.normal(0.0, 1.0, 40)
    assert statistics.paired_p_value(first, second) == pytest.approx(stats.ttest_rel(first, second).pvalue)
    yes, other = np.array([True] * 9 + [False] * 11), np.array([True] * 2 + [False] * 18)
    assert statistics.paired_p_value(yes, other) == pytest.approx(2 * 0.5**7)  # seven pairs differ, all one way
    assert statistics.paired_p_value(yes, yes) == 1.0


def test_no_pairing_of_two_events_goes_below_the_least_ratio_and_nested_ones_reach_it() -> None:
    nested = np.arange(1000) < 300, np.arange(1000) < 200
    least = statistics.least_pairing_ratio(0.3, 0.2)
    assert statistics.pairing_ratio(*nested) == pytest.approx(least, abs=1e-9)
    shuffled = nested[0], RNG.permutation(nested[1])
    assert statistics.pairing_ratio(*shuffled) > least
    assert np.isnan(statistics.least_pairing_ratio(0.0, 0.0))


def test_as_many_replications_as_the_rule_says_give_the_power_it_promises() -> None:
    gaps = RNG.normal(0.2, 1.0, 5000)
    gaps += 0.2 - gaps.mean()
    needed = int(statistics.replications_to_tell(gaps, np.zeros_like(gaps)))
    assert needed == pytest.approx((1.96 + 0.8416) ** 2 * gaps.var(ddof=1) / 0.04, rel=0.02)
    told = np.mean([stats.ttest_1samp(RNG.normal(0.2, 1.0, needed), 0.0).pvalue < 0.05 for _ in range(600)])
    assert told == pytest.approx(0.8, abs=0.06)


def test_the_tail_difference_of_a_shift_is_the_shift() -> None:
    losses = RNG.lognormal(3.0, 1.0, 400)
    estimate = statistics.tail_difference(losses + 7.0, losses)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((7.0, 7.0, 7.0))
    worse = statistics.tail_difference(np.where(losses > np.quantile(losses, 0.9), 2 * losses, losses), losses)
    assert worse.low > 0.0


def test_a_ratio_of_means_has_its_interval_around_it() -> None:
    under = RNG.normal(10.0, 2.0, 500)
    estimate = statistics.ratio_of_means(1.5 * under + RNG.normal(0.0, 1.0, 500), under)
    assert estimate.low < 1.5 < estimate.high
    assert estimate.high - estimate.low < 0.05
