"""Paired comparisons against hand computations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from simulator.errors import InputError
from simulator.results.comparison import (
    compare,
    paired_mean_difference,
    paired_share_difference,
    unpaired_width,
    variance_reduction,
)
from simulator.results.dataset import Run


def test_the_paired_t_interval_is_the_hand_computation() -> None:
    first, second = np.array([5.0, 7.0, 3.0, 9.0]), np.array([4.0, 5.0, 3.0, 6.0])
    estimate = paired_mean_difference(first, second)
    # differences 1, 2, 0, 3: mean 1.5, variance 5/3, t(0.975, 3) = 3.1824463
    half = 3.1824463 * np.sqrt(5 / 3 / 4)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((1.5, 1.5 - half, 1.5 + half))


def pairs(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two paired yes/no outcomes with the given table."""
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return first, second


def test_the_paired_share_interval_has_the_published_values() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 2635–2650, table III, method 10: both, only first, only second, neither.
    published = {
        (36, 12, 2, 0): (0.0569, 0.3404),
        (20, 12, 2, 16): (0.0562, 0.3292),
        (18, 12, 2, 18): (0.0562, 0.3290),
        (36, 14, 0, 0): (0.1528, 0.4167),
        (35, 14, 0, 1): (0.1461, 0.4175),
        (18, 14, 0, 18): (0.1441, 0.3963),
        (2, 97, 1, 0): (0.8721, 0.9854),
        (54, 0, 0, 0): (-0.0664, 0.0664),
        (30, 0, 0, 24): (-0.0358, 0.0358),
    }
    for table, limits in published.items():
        estimate = paired_share_difference(*pairs(*table))
        assert estimate.value == pytest.approx((table[1] - table[2]) / sum(table))
        assert (round(estimate.low, 4), round(estimate.high, 4)) == limits


def test_swapping_the_sides_mirrors_the_paired_share_interval() -> None:
    first, second = pairs(20, 9, 3, 68)
    one, other = paired_share_difference(first, second), paired_share_difference(second, first)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_agreeing_pairs_still_leave_some_doubt() -> None:
    estimate = paired_share_difference(np.zeros(100, dtype=bool), np.zeros(100, dtype=bool))
    assert estimate.value == 0.0
    assert estimate.low < 0.0 < estimate.high


def test_pairing_narrows_the_interval_by_the_variance_ratio() -> None:
    luck = np.random.Generator(np.random.Philox(2)).normal(size=(2, 500))
    first, second = luck[0] + 0.2 * luck[1] + 1.0, luck[0]
    ratio = variance_reduction(first, second)
    assert ratio == pytest.approx((np.var(first) + np.var(second)) / np.var(first - second))
    paired = paired_mean_difference(first, second)
    assert unpaired_width(first, second) / (paired.high - paired.low) == pytest.approx(np.sqrt(ratio), rel=0.01)


def test_a_comparison_of_scenarios_pairs_the_same_replications(run: Run) -> None:
    shocked, calm = run.scenario(run.focus), run.scenario(run.reference)
    comparison = compare(shocked, calm)
    both = shocked.replications.merge(calm.replications, on="replication")
    row = comparison.row("total_loss")
    assert row["difference"] == pytest.approx((both["total_loss_x"] - both["total_loss_y"]).mean())
    assert row["variance_reduction"] > 1.0
    assert row["difference_high"] - row["difference_low"] < row["unpaired_width"]
    assert comparison.row("systemic")["method"] == "paired Newcombe"
    assert comparison.difference("cloud_default_probability").value == pytest.approx(
        (both["cloud_defaults_x"] - both["cloud_defaults_y"]).mean() / 8
    )
    assert max(map(len, str(comparison).splitlines())) <= 80


def test_the_order_of_rows_does_not_matter(run: Run) -> None:
    calm = run.scenario(run.reference)
    shuffled = Run(calm.replications.sample(frac=1.0, random_state=3), config=calm.config, network=calm.network)
    table = compare(run.scenario(run.focus), shuffled).table
    assert table.equals(compare(run.scenario(run.focus), calm).table)


def test_only_common_replications_are_compared(run: Run) -> None:
    calm = run.scenario(run.reference)
    part = Run(calm.replications[calm.replications["replication"] < 50], config=calm.config, network=calm.network)
    assert compare(run.scenario(run.focus), part).row("systemic")["n"] == 50
    none = Run(calm.replications.assign(replication=calm.replications["replication"] + 10_000), config=calm.config)
    with pytest.raises(InputError, match="no replication in common"):
        compare(run.scenario(run.focus), none)


@pytest.mark.parametrize(("key", "value"), [("economy", "synthetic"), ("horizon_months", 24), ("montecarlo", {"seed": 2})])
def test_runs_that_are_not_the_same_draws_are_refused_unless_forced(run: Run, key: str, value: object) -> None:
    calm = run.scenario(run.reference)
    other = Run(calm.replications, config={**calm.config, key: value}, network=calm.network)
    with pytest.raises(InputError, match="seed" if key == "montecarlo" else key):
        compare(run.scenario(run.focus), other)
    assert len(compare(run.scenario(run.focus), other, force=True).table)


def test_a_comparison_of_several_scenarios_asks_which_one(run: Run) -> None:
    with pytest.raises(InputError, match="name one"):
        compare(run, run)
    assert compare(run, run, run.focus, run.reference).label == run.focus


def test_a_scenario_compared_with_itself_shows_no_difference(make_run: Callable[..., Run]) -> None:
    twin = make_run(30, ("no_shock", "twin"), (1.0, 1.0))
    table = compare(twin, twin, "twin", "no_shock").table
    assert (table["difference"] == 0.0).all()
    shares = table[table["kind"] != ""]
    assert ((shares["difference_low"] < 0) & (shares["difference_high"] > 0)).all()
