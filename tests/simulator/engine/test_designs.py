"""Designs: seeded, balanced as their kind promises, refused where they can't be made; mirrored luck; statistics of their parts."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.engine.designs import make_design, saltelli_design
from simulator.engine.randomness import Draws, uniforms
from simulator.errors import InputError
from simulator.results.sensitivity import design_interval, efficiency, variance_split

KINDS = ("plain", "antithetic", "sobol", "latin_hypercube", "nested")


@pytest.mark.parametrize("kind", KINDS)
def test_a_design_is_the_same_for_the_same_seed_and_another_for_another(kind: str) -> None:
    one, two, other = (make_design(kind, seed, 64, 5, 4) for seed in (1, 1, 2))
    assert (one.shares == two.shares).all()
    assert (one.shares != other.shares).any()
    assert one.shares.shape == (64, 5)
    assert (one.shares >= 0.0).all()
    assert (one.shares < 1.0).all()


def test_parts_of_a_latin_hypercube_take_every_stratum_once() -> None:
    design = make_design("latin_hypercube", 1, 64, 3, 4)
    for group in range(4):
        strata = np.sort((design.shares[design.groups == group] * 16).astype(int), axis=0)
        assert (strata == np.arange(16)[:, None]).all()


def test_parts_of_a_sobol_net_are_balanced_in_every_dimension_and_differ() -> None:
    design = make_design("sobol", 1, 64, 3, 4)
    parts = [design.shares[design.groups == group] for group in range(4)]
    for part in parts:
        assert (np.sort((part * 16).astype(int), axis=0) == np.arange(16)[:, None]).all()
    assert (parts[0] != parts[1]).any()


def test_antithetic_points_come_in_pairs_that_mirror_each_other() -> None:
    design = make_design("antithetic", 1, 10, 3)
    np.testing.assert_allclose(design.shares[::2] + design.shares[1::2], 1.0, atol=1e-12)
    assert (np.bincount(design.groups) == 2).all()


@pytest.mark.parametrize(
    ("kind", "points", "told"),
    [("antithetic", 7, "odd"), ("sobol", 48, "power of two"), ("sobol", 50, "no multiple"), ("latin_hypercube", 2, "multiple")],
)
def test_a_design_that_does_not_fit_is_refused(kind: str, points: int, told: str) -> None:
    with pytest.raises(InputError, match=f"experiment.points: {points} .*{told}"):
        make_design(kind, 1, points, 3, 4)


def test_a_saltelli_design_takes_one_column_of_b_at_a_time() -> None:
    blocks = saltelli_design(1, 8, 3).reshape(5, 8, 3)
    for column in range(3):
        for other in range(3):
            assert (blocks[2 + column][:, other] == blocks[1 if other == column else 0][:, other]).all()
    with pytest.raises(InputError, match="experiment.samples: 12 is no power of two"):
        saltelli_design(1, 12, 3)


@pytest.mark.parametrize("numbers", [(0, 1, 2, 3, 4, 5), (3,), (5, 4, 4, 1)])
def test_mirrored_luck_is_the_opposite_of_its_pair_and_the_same_in_any_chunk(numbers: tuple[int, ...]) -> None:
    whole, part = Draws(1, range(6), 4, 3, mirrored=True), Draws(1, numbers, 4, 3, mirrored=True)
    plain = Draws(1, range(6), 4, 3)
    for tick in range(4):
        for purpose, values in part.at(tick).items():
            assert (values == np.take(whole.at(tick)[purpose], list(numbers), axis=1)).all()
            assert (whole.at(tick)[purpose][:, 1::2] == -plain.at(tick)[purpose][:, ::2]).all()
            assert (whole.at(tick)[purpose][:, ::2] == plain.at(tick)[purpose][:, ::2]).all()
    shares = uniforms(1, range(6), "x", mirrored=True)
    np.testing.assert_allclose(shares[::2] + shares[1::2], 1.0, atol=1e-12)
    assert (shares[::2] == uniforms(1, range(6), "x")[::2]).all()


def test_a_design_of_a_smooth_outcome_is_worth_many_plain_points_and_its_interval_covers() -> None:
    covered, worth = [], {}
    for kind in ("plain", "antithetic", "sobol", "latin_hypercube"):
        for seed in range(60):
            design = make_design(kind, seed, 64, 4, 8)
            values = np.exp(design.shares).sum(axis=1)
            found = design_interval(values, design.groups)
            covered.append(found.low <= 4.0 * (np.e - 1.0) <= found.high)
            worth.setdefault(kind, []).append(efficiency(values, design.groups))
    assert np.mean(covered) > 0.9
    assert np.median(worth["antithetic"]) > 10.0
    assert np.median(worth["sobol"]) > 10.0
    assert np.median(worth["latin_hypercube"]) > 10.0
    assert 0.99 < np.median(worth["plain"]) < 1.01


def test_the_variance_split_is_unbiased_and_its_interval_covers() -> None:
    generator = np.random.Generator(np.random.Philox(3))
    between, within, covered = [], [], []
    for _ in range(200):
        values = 2.0 * generator.normal(size=(40, 1)) + 3.0 * generator.normal(size=(40, 4))
        split = variance_split(values, draws=200)
        between.append(split.between)
        within.append(split.within)
        covered.append(split.share.low <= 4.0 / 13.0 <= split.share.high)
        assert split.total == pytest.approx(split.between + split.within)
    assert np.mean(between) == pytest.approx(4.0, abs=0.4)  # without taking the luck out it would be 6.25
    assert np.mean(within) == pytest.approx(9.0, abs=0.3)
    assert 0.88 < np.mean(covered) <= 1.0


def test_without_uncertain_parameters_luck_has_all_of_the_variance() -> None:
    generator = np.random.Generator(np.random.Philox(4))
    assert variance_split(generator.normal(size=(200, 8))).share.low == pytest.approx(0.0)
    assert variance_split(np.repeat(generator.normal(size=(50, 1)), 4, axis=1)).share.value == pytest.approx(1.0)
