"""Who keeps a level in a closed ring, on networks small enough to see."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator.networks._rings import keep_their_level

RING = np.array([0, 1, 2]), np.array([1, 2, 0])
ALL, NONE = np.ones(3, dtype=bool), np.zeros(3, dtype=bool)


def test_a_closed_ring_at_rest_keeps_its_level() -> None:
    assert keep_their_level(*RING, ALL, NONE, NONE).all()


def test_a_ring_in_which_somebody_loses_a_part_does_not() -> None:
    assert not keep_their_level(*RING, ALL, np.array([False, True, False]), NONE).any()


def test_a_ring_that_pays_somebody_outside_does_not() -> None:
    payer, payee = np.append(RING[0], 1), np.append(RING[1], 3)
    assert not keep_their_level(payer, payee, np.array([True, True, True, False]), np.zeros(4, dtype=bool), np.zeros(4, dtype=bool)).any()


def test_a_ring_through_which_a_change_still_goes_does_not() -> None:
    assert not keep_their_level(*RING, ALL, NONE, np.array([False, False, True])).any()


@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(1, 20))
def test_those_who_keep_it_pay_one_another_alone_and_no_change_reaches_them(seed: int, agents: int, edges: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    payer, payee = rng.integers(0, agents, edges), rng.integers(0, agents, edges)
    is_marginal, is_lossy, is_moving = (rng.random(agents) < part for part in (0.8, 0.2, 0.2))
    keeps = keep_their_level(payer, payee, is_marginal, is_lossy, is_moving)
    assert not (keeps & (~is_marginal | is_lossy | is_moving)).any()
    paid = payee[keeps[payer]]
    assert is_marginal[paid].all()
    assert not is_lossy[paid].any()
    gives = is_marginal & is_moving
    assert not (keeps[payee] & gives[payer]).any()
