"""Shapley values on games whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simulator.engine.randomness import permutations
from simulator.experiments.shapley import all_coalitions, coalitions_on, code_of, contributions, exact_shares, from_exact, pooled


def game(worth: object, players: int) -> np.ndarray:
    """Values of all coalitions of a game given as a function of flags, one replication."""
    return np.array([[float(worth(flags)) for flags in all_coalitions(players)]])  # type: ignore[operator]


def test_an_inert_player_gets_zero_and_two_symmetric_ones_the_same() -> None:
    # The glove game: player 0 has a left glove, 1 and 2 have right ones, 3 has nothing. Known shares: 2/3, 1/6, 1/6, 0.
    values = game(lambda on: on[0] and (on[1] or on[2]), 4)
    assert exact_shares(values)[0] == pytest.approx([2 / 3, 1 / 6, 1 / 6, 0.0], abs=1e-12)


def test_a_game_of_votes_has_its_known_shares() -> None:
    # The UN-like game [3; 2, 1, 1]: the player with two votes is decisive in 2/3 of all orders.
    values = game(lambda on: np.dot(on, [2, 1, 1]) >= 3, 3)
    assert exact_shares(values)[0] == pytest.approx([2 / 3, 1 / 6, 1 / 6], abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(arrays(float, (3, 16), elements=st.floats(-100, 100)))
def test_shares_add_to_the_whole_in_every_replication(values: np.ndarray) -> None:
    shares = exact_shares(values)
    np.testing.assert_allclose(shares.sum(axis=1), values[:, -1] - values[:, 0], atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(arrays(float, (1, 16), elements=st.floats(-100, 100)), st.integers(0, 1000))
def test_orders_add_to_the_whole_and_all_of_them_give_the_exact_shares(values: np.ndarray, number: int) -> None:
    orders = permutations(1, number, 4, 3)
    met = values[0][code_of(coalitions_on(orders))]
    np.testing.assert_allclose(contributions(orders, met).sum(axis=1), values[0, -1] - values[0, 0], atol=1e-9)
    import itertools

    every = np.array(list(itertools.permutations(range(4))))
    average = contributions(every, values[0][code_of(coalitions_on(every))]).mean(axis=0)
    np.testing.assert_allclose(average, exact_shares(values)[0], atol=1e-9)


def test_errors_from_luck_and_from_orders_are_told_apart() -> None:
    rng = np.random.Generator(np.random.Philox(3))
    luck, orders = rng.normal(0.0, 3.0, size=(4000, 1, 2)), rng.normal(0.0, 1.0, size=(4000, 4, 2))
    shares = pooled(list(luck + orders))
    assert shares.error_luck == pytest.approx(3.0 / np.sqrt(4000), rel=0.1)
    assert shares.error_orders == pytest.approx(1.0 / np.sqrt(4 * 4000), rel=0.1)
    only_orders = pooled(list(np.broadcast_to(orders[:1], (1, 4, 2)).repeat(50, axis=0)))
    assert (only_orders.error_luck == 0.0).all()
    assert np.isnan(pooled([orders[0]]).error_luck).all()
    assert (from_exact(luck[:, 0]).error_orders == 0.0).all()
