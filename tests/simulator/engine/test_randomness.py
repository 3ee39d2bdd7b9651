"""Draws: named streams, prefixes, and luck that depends on nothing but seed, replication and purpose."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.engine.randomness import COMMON, OWN, Draws, Quiet, stream

PURPOSES = (*COMMON, *OWN)


def blocks(draws: Draws, ticks: int) -> dict[str, np.ndarray]:
    return {purpose: np.stack([draws.at(tick)[purpose] for tick in range(ticks)]) for purpose in PURPOSES}


def test_draws_have_one_slot_for_all_or_one_for_each_agent() -> None:
    draws = Draws(1, range(4), 6, 9).at(0)
    assert set(draws) == set(PURPOSES)
    assert {purpose: draws[purpose].shape for purpose in COMMON} == dict.fromkeys(COMMON, (1, 4))
    assert {purpose: draws[purpose].shape for purpose in OWN} == dict.fromkeys(OWN, (9, 4))


def test_every_purpose_replication_and_seed_has_its_own_stream() -> None:
    first = {
        (seed, replication, purpose): stream(seed, replication, purpose).standard_normal()
        for seed in (0, 1, 2)
        for replication in (0, 1, 7, 1000)
        for purpose in PURPOSES
    }
    assert len(set(first.values())) == len(first)


def test_the_same_name_gives_the_same_stream() -> None:
    assert stream(3, 5, "market").standard_normal(8).tobytes() == stream(3, 5, "market").standard_normal(8).tobytes()


def test_streams_are_philox_and_leave_the_global_state_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 – to see that nobody uses it
    assert isinstance(stream(1, 0, "market").bit_generator, np.random.Philox)
    Draws(1, range(3), 5, 4)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_a_shorter_horizon_is_a_prefix_of_a_longer_one() -> None:
    short, long = blocks(Draws(1, range(3), 5, 7), 5), blocks(Draws(1, range(3), 60, 7), 5)
    assert all(short[purpose].tobytes() == long[purpose].tobytes() for purpose in PURPOSES)


@pytest.mark.parametrize("others", [(7,), (0, 7), (7, 3, 9), tuple(range(257))])
def test_replication_7_has_the_same_luck_beside_any_others(others: tuple[int, ...]) -> None:
    alone, together = blocks(Draws(1, (7,), 12, 5), 12), blocks(Draws(1, others, 12, 5), 12)
    position = others.index(7)
    for purpose in PURPOSES:
        assert np.ascontiguousarray(together[purpose][:, :, position]).tobytes() == alone[purpose][:, :, 0].tobytes()


def test_draws_are_standard_normal_and_not_correlated_between_purposes() -> None:
    found = blocks(Draws(11, range(200), 24, 5), 24)
    for purpose in PURPOSES:
        assert abs(float(found[purpose].mean())) < 0.06
        assert float(found[purpose].std()) == pytest.approx(1.0, abs=0.05)
    market, demand = found["market"].ravel(), found["common_demand"].ravel()
    assert abs(float(np.corrcoef(market, demand)[0, 1])) < 0.06


def test_another_seed_is_another_world() -> None:
    one, other = blocks(Draws(1, range(2), 3, 2), 3), blocks(Draws(2, range(2), 3, 2), 3)
    assert all((one[purpose] != other[purpose]).all() for purpose in PURPOSES)


def test_the_quiet_world_has_no_luck() -> None:
    draws = Quiet(6)
    for tick in (0, 59):
        assert set(draws.at(tick)) == set(PURPOSES)
        assert not any(values.any() for values in draws.at(tick).values())
