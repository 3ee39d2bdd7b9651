"""Sobol' indices and elementary effects against functions whose indices are known, and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from simulator.engine.designs import morris_design, saltelli_design
from simulator.results.sensitivity import morris_effects, sobol_indices


def ishigami(points: np.ndarray, a: float = 7.0, b: float = 0.1) -> np.ndarray:
    """Ishigami and Homma (1990) on [0, 1)^3."""
    x = np.pi * (2.0 * points - 1.0)
    return np.sin(x[..., 0]) + a * np.sin(x[..., 1]) ** 2 + b * x[..., 2] ** 4 * np.sin(x[..., 0])


WEIGHTS = np.array([0.0, 1.0, 4.5, 9.0, 99.0])


def g_function(points: np.ndarray) -> np.ndarray:
    """Sobol' G function (Saltelli and Sobol' 1995)."""
    return np.prod((np.abs(4.0 * points - 2.0) + WEIGHTS) / (1.0 + WEIGHTS), axis=-1)


def g_indices() -> tuple[np.ndarray, np.ndarray]:
    parts = 1.0 / 3.0 / (1.0 + WEIGHTS) ** 2
    total = np.prod(1.0 + parts) - 1.0
    others = np.array([np.prod(np.delete(1.0 + parts, place)) for place in range(len(parts))])
    return parts / total, parts * others / total


def ishigami_indices(a: float = 7.0, b: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    first = 0.5 * (1.0 + b * np.pi**4 / 5.0) ** 2
    second = a * a / 8.0
    both = b * b * np.pi**8 * 8.0 / 225.0
    total = first + second + both
    return np.array([first, second, 0.0]) / total, np.array([first + both, second, both]) / total


@pytest.mark.parametrize(("function", "known", "parameters"), [(ishigami, ishigami_indices(), 3), (g_function, g_indices(), 5)])
def test_sobol_indices_are_those_of_the_papers(function, known, parameters) -> None:
    design = saltelli_design(1, 4096, parameters)
    first, total = sobol_indices(function(design), parameters, draws=200)
    np.testing.assert_allclose(first.value, known[0], atol=0.02)
    np.testing.assert_allclose(total.value, known[1], atol=0.02)
    assert (first.low <= first.value).all()
    assert (total.high >= total.value).all()


def test_bootstrap_intervals_cover_the_known_indices() -> None:
    covered = []
    for seed in range(25):
        design = saltelli_design(seed, 256, 3)
        first, total = sobol_indices(ishigami(design), 3, draws=100)
        for index, known in zip((first, total), ishigami_indices(), strict=True):
            covered += ((index.low <= known) & (known <= index.high)).tolist()
    assert np.mean(covered) > 0.88


def test_the_estimators_are_those_of_scipy() -> None:
    design = saltelli_design(3, 256, 3).reshape(5, 256, 3)
    values = ishigami(design)
    theirs = stats.sobol_indices(func={"f_A": values[None, 0], "f_B": values[None, 1], "f_AB": values[2:, None]}, n=256)
    first, total = sobol_indices(values.ravel(), 3, draws=10)
    np.testing.assert_allclose(first.value, np.ravel(theirs.first_order), atol=1e-12)
    np.testing.assert_allclose(total.value, np.ravel(theirs.total_order), atol=1e-12)


def test_luck_that_is_common_to_all_points_moves_no_index_and_own_luck_is_told() -> None:
    design = saltelli_design(3, 128, 3)
    generator = np.random.Generator(np.random.Philox(5))
    common = ishigami(design)[:, None] + generator.normal(size=8)
    first, _ = sobol_indices(common, 3, draws=10)
    plain, _ = sobol_indices(ishigami(design), 3, draws=10)
    np.testing.assert_allclose(first.value, plain.value, atol=1e-9)
    assert (first.luck_error < 1e-9).all()
    noisy, _ = sobol_indices(ishigami(design)[:, None] + 5.0 * generator.normal(size=(len(design), 8)), 3, draws=10)
    assert (noisy.luck_error > 0.01).all()


def test_an_outcome_that_does_not_vary_has_no_index() -> None:
    first, total = sobol_indices(np.ones(5 * 8), 3, draws=10)
    assert not first.value.any()
    assert not total.value.any()


def test_elementary_effects_of_a_linear_function_are_its_slopes() -> None:
    slopes = np.array([3.0, -2.0, 0.5, 0.0])
    design = morris_design(1, 10, 4)
    effects = morris_effects(design, design @ slopes)
    np.testing.assert_allclose(effects.mu, slopes, atol=1e-9)
    np.testing.assert_allclose(effects.mu_star, np.abs(slopes), atol=1e-9)
    np.testing.assert_allclose(effects.sigma, 0.0, atol=1e-9)


def test_each_trajectory_moves_every_parameter_once_by_two_thirds() -> None:
    steps = np.abs(np.diff(morris_design(4, 20, 6), axis=1))
    assert ((steps > 0.0).sum(axis=1) == 1).all()
    assert ((steps > 0.0).sum(axis=2) == 1).all()
    np.testing.assert_allclose(steps[steps > 0.0], 2.0 / 3.0, atol=1e-12)


def test_elementary_effects_rank_the_g_function_as_its_weights_and_ishigamis_third_by_interaction_alone() -> None:
    design = morris_design(2, 200, 5)
    effects = morris_effects(design, g_function(design))
    assert (np.argsort(-effects.mu_star) == np.arange(5)).all()
    assert (effects.low <= effects.mu_star).all()
    assert (effects.mu_star <= effects.high).all()
    third = morris_design(2, 400, 3)
    found = morris_effects(third, ishigami(third))
    assert found.mu_star[2] > 1.0  # no effect alone, a large one with the first
    assert abs(found.mu[2]) < 3.0 * found.sigma[2] / 20.0
    assert found.sigma[2] > found.mu_star[2]
