"""Importance sampling and splitting on walks whose crossing probability is known: unbiased, with jumps, ties and extinction; streams of their own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from simulator.engine.paths import Outcome, Path, roots
from simulator.engine.randomness import PathDraws, clone_stream
from simulator.experiments import importance_sampling, splitting
from simulator.experiments.rare import Estimate, gain, mean_and_interval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Walk:
    """The sum of monthly draws of one purpose; the event: it has reached ``barrier`` by the last tick. ``step``: the score is rounded down to it."""

    barrier: float
    ticks: int = 12
    seed: int = 1
    step: float = 0.0
    is_endpoint: bool = False

    def run(self, paths: Sequence[Path], pushes: Mapping[str, Array]) -> Outcome:
        draws = PathDraws(
            self.seed, [path.root for path in paths], self.ticks, 2, [path.branches for path in paths], pushes,
            np.array([path.strength for path in paths]),
        )  # fmt: skip
        walk = np.cumsum(np.stack([draws.at(tick)["ai"][0] for tick in range(self.ticks)]), axis=0)
        over = walk >= self.barrier
        if self.is_endpoint:
            over[:-1] = False
        hit = over.any(axis=0)
        tick = np.where(hit, np.argmax(over, axis=0), self.ticks - 1)
        score = np.floor(walk / self.step) * self.step if self.step else walk
        return Outcome(score, hit, tick, draws.sums(tick), draws.along(pushes))


def probability(walk: Walk) -> float:
    """That the walk ends above the barrier (exact), or ever reaches it (by a recursion on a fine grid)."""
    if walk.is_endpoint:
        return float(stats.norm.sf(walk.barrier / np.sqrt(walk.ticks)))
    grid = np.arange(-30.0, walk.barrier, 0.01) + 0.005
    density, reached = stats.norm.pdf(grid) * 0.01, float(stats.norm.sf(walk.barrier))
    kernel = stats.norm.pdf(np.arange(-8.0, 8.005, 0.01)) * 0.01
    for _ in range(walk.ticks - 1):
        reached += float((density * stats.norm.sf(walk.barrier - grid)).sum())
        density = np.convolve(density, kernel, mode="same")
    return reached


def split(walk: Walk, levels: Sequence[float], repetitions: int, effort: int = 60) -> list[Estimate]:
    return [splitting.estimate(walk, levels, effort, repetition) for repetition in range(repetitions)]


def is_unbiased(estimates: Sequence[Estimate], truth: float) -> bool:
    """Within four standard errors, and those small enough to see an error of a half."""
    mean, error, _, _ = mean_and_interval([each.value for each in estimates])
    return error < truth / 8 and abs(mean - truth) < 4.0 * error


@pytest.mark.parametrize(
    ("walk", "levels"),
    [
        pytest.param(Walk(8.0), (2.0, 4.0, 6.0), id="levels reached step by step"),
        pytest.param(Walk(5.0, ticks=4), (0.5, 0.6, 2.5, 4.0), id="several levels in one jump"),
        pytest.param(Walk(8.0, step=2.0), (2.0, 4.0, 6.0), id="scores tied with levels"),
        pytest.param(Walk(8.0, is_endpoint=True), (3.0, 6.0, 9.0), id="levels above the event, which a hit reaches all the same"),
    ],
)
def test_splitting_has_no_bias(walk: Walk, levels: tuple[float, ...]) -> None:
    assert is_unbiased(split(walk, levels, 90), probability(walk))


def test_extinction_counts_as_zero_and_leaves_no_bias() -> None:
    walk = Walk(7.0, ticks=6)
    estimates = split(walk, (3.0, 6.0), 400, effort=15)
    died = [each for each in estimates if each.value == 0.0]
    assert 0.05 < len(died) / len(estimates) < 0.95
    mean, error, _, _ = mean_and_interval([each.value for each in estimates])
    assert abs(mean - probability(walk)) < 4.0 * error


@pytest.mark.parametrize("walk", [Walk(11.0), Walk(10.0, is_endpoint=True)])
def test_importance_sampling_has_no_bias_and_gains_much(walk: Walk) -> None:
    truth = probability(walk)
    pushes, stages, _ = importance_sampling.pilot(walk, 200, 0.15)
    assert set(pushes) == {"ai"}
    assert stages[-1].hits >= 30
    estimates = [importance_sampling.estimate(walk, pushes, 100, repetition) for repetition in range(60)]
    assert is_unbiased(estimates, truth)
    assert gain([each.value for each in estimates], estimates[0].work, walk.ticks).low > 20.0


def test_a_push_in_the_wrong_direction_costs_precision_but_leaves_no_bias() -> None:
    walk = Walk(5.0)
    estimates = [importance_sampling.estimate(walk, {"ai": np.array([-0.2]), "market": np.array([0.3])}, 400, each) for each in range(100)]
    assert is_unbiased(estimates, probability(walk))
    _, shares = importance_sampling.strengths(400)
    batch = roots(0, 400)
    heaviest = importance_sampling.weights(walk.run(batch, {"ai": np.array([-0.2])}), {"ai": np.array([-0.2])}, shares).max()
    assert heaviest <= 1.0 / shares[0]


def test_the_pilot_finds_levels_for_a_walk_that_ties_and_jumps() -> None:
    walk = Walk(7.0, step=3.0)
    levels, stages, work = splitting.pilot(walk, 100, 0.2)
    assert list(levels) == sorted(set(levels))
    assert work <= 100 * walk.ticks * len(stages)
    assert is_unbiased(split(walk, levels, 90), probability(walk))


def test_no_two_clones_share_a_stream() -> None:
    names = itertools.product((0, 1), (1, 2), (0, 1, 12), (0, 1, 2), ("ai", "market"))
    first = [float(clone_stream(1, *name).standard_normal()) for name in names]
    assert len(set(first)) == len(first)


def test_a_clone_has_its_parents_luck_up_to_the_branch_and_its_own_after() -> None:
    parent, clone, again = PathDraws(
        3, [7], 10, 4, [()]), PathDraws(3, [7], 10, 4, [((6, 0, 1, 5, 0),)]), PathDraws(3, [7], 10, 4, [((6, 0, 1, 5, 0), (8, 0, 2, 1, 0))]
    )  # fmt: skip
    own = clone_stream(3, 0, 1, 5, 0, "own_demand").standard_normal((10, 4))
    assert np.array_equal(clone.at(9)["own_demand"][:, 0], own[9])
    for purpose in ("ai", "own_demand"):
        for tick in range(10):
            assert np.array_equal(parent.at(tick)[purpose], clone.at(tick)[purpose]) == (tick < 6)
            assert np.array_equal(clone.at(tick)[purpose], again.at(tick)[purpose]) == (tick < 8)


def test_clones_never_repeat_the_luck_of_a_sibling_or_the_parent() -> None:
    walk = Walk(9.0)
    outcome = walk.run(roots(0, 50), {})
    clones, _, work = splitting.advance(walk, roots(0, 50), outcome, 3.0, (0, 1))
    names = [clone.branches[-1] for clone in clones if clone.branches]
    assert len(set(names)) == len(names) == work // walk.ticks
    counts = np.unique([name[3] for name in names], return_counts=True)[1]
    assert counts.max() - counts.min() <= 1


def test_the_interval_of_the_gain_covers_the_gain() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        found = gain((0.01 + 0.001 * generator.standard_normal(20)).tolist(), work=100.0, ticks=10)
        covered += found.low <= 0.01 * 0.99 * 10 / (0.001**2 * 100.0) <= found.high
    assert covered >= 180


def test_a_clone_has_its_own_luck_for_agents_that_come_later() -> None:
    wide = PathDraws(3, [7, 7], 10, 4, [(), ((6, 0, 1, 5, 0),)]).with_more(3, ["entrant"], 10)
    for tick in range(10):
        parent, clone = wide.at(tick)["own_demand"][4]
        assert (parent == clone) == (tick < 6)
