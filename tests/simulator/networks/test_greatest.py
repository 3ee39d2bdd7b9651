"""The clearing vector is the greatest: on random networks, on hand-made ones where it is easy to get wrong, and in the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scenarios.changes import Change
from simulator.engine.model import ContagionModel
from simulator.networks.clearing import EdgeClearing, EdgeNetwork
from simulator.networks.edges import Left
from simulator.networks.greatest import check_greatest

COSTS = st.sampled_from([(1.0, 1.0), (0.7, 1.0), (1.0, 0.6), (0.9, 0.95), (0.0, 0.0)])
SCENARIOS = 5


def random_network(seed: int, agents: int, edges: int) -> tuple[EdgeNetwork, np.ndarray, np.ndarray]:
    """Edges in three classes, amounts and cash of five scenarios; whole numbers, so that ties and rings without leaks come up."""
    rng = np.random.Generator(np.random.Philox(seed))
    payer = rng.integers(0, agents, edges)
    payee = (payer + rng.integers(1, agents, edges)) % agents
    dues = rng.integers(0, 6, (edges, SCENARIOS)).astype(float)
    cash = rng.integers(0, 4, (agents, SCENARIOS)) * (rng.random((agents, SCENARIOS)) < 0.5).astype(float)
    return EdgeNetwork(payer, payee, rng.integers(0, 3, edges), agents), dues, cash


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(1, 30), COSTS)
def test_the_vector_of_a_random_network_is_the_greatest(seed: int, agents: int, edges: int, costs: tuple[float, float]) -> None:
    network, dues, cash = random_network(seed, agents, edges)
    found = network.clear(dues, cash, asset_recovery=costs[0], claim_recovery=costs[1])
    verdict = check_greatest(network, dues, cash, found.paid, *costs)
    assert verdict.is_greatest.all(), (verdict.residual, verdict.gap)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 7), st.integers(1, 20))
def test_estates_of_named_agents_are_cleared_to_the_greatest_vector(seed: int, agents: int, edges: int) -> None:
    network, dues, cash = random_network(seed, agents, edges)
    failed = np.random.Generator(np.random.Philox(seed + 1)).random(cash.shape) < 0.5
    dues = dues * np.take(failed, network.payer, axis=0)  # only estates owe in a resolution
    found = network.clear(dues, cash, asset_recovery=0.9, claim_recovery=0.95, is_failed=failed)
    assert check_greatest(network, dues, cash, found.paid, 0.9, 0.95, failed).is_greatest.all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 7), st.integers(1, 20))
@example(2801, 6, 11)  # a closed ring of three edges, one debt in two parts: its system is singular but for rounding
def test_with_credit_lines_the_vector_of_dues_and_draws_is_the_greatest(seed: int, agents: int, edges: int) -> None:
    network, dues, cash = random_network(seed, agents, edges)
    rng = np.random.Generator(np.random.Philox(seed + 2))
    lines = rng.integers(0, 5, dues.shape) * (rng.random(dues.shape) < 0.3).astype(float)
    found = network.clear(dues, cash, lines=lines)
    assert found.drawn is not None
    assert (found.drawn <= lines + 1e-12).all()
    settled = found.converged
    verdict = check_greatest(network, dues + found.drawn, cash, found.paid, tolerance=1e-8)
    assert verdict.is_greatest[settled].all(), (verdict.residual, verdict.gap)


@pytest.mark.parametrize("others", [0, 300])  # few agents are solved for in dense systems, many in sparse ones
def test_money_goes_on_round_a_closed_ring_beside_a_chain_that_settles_slowly(others: int) -> None:
    """Found by a random search: firm 0 owes firm 3 four, firm 3 owes it six in two debts; what else they owe is never reached. While the other
    firms' payments shrink, the linear steps must leave the ring where it is."""
    payer, payee = [0, 3, 0, 2, 4, 2, 0, 3, 2, 1], [3, 0, 1, 3, 5, 1, 1, 0, 4, 2]
    network = EdgeNetwork(payer, payee, [0, 2, 2, 1, 1, 0, 2, 2, 0, 1], 6 + others)
    dues, cash = np.array([4.0, 5, 4, 2, 4, 6, 2, 1, 2, 5])[:, None], np.zeros((6 + others, 1))
    cash[4] = 2.0
    found = network.clear(dues, cash)
    np.testing.assert_allclose(found.paid[:, 0], [4, 10 / 3, 0, 0, 2, 0, 0, 2 / 3, 0, 0], atol=1e-9)
    assert check_greatest(network, dues, cash, found.paid).is_greatest.all()


@pytest.mark.parametrize("others", [0, 300])
def test_a_ring_that_loses_money_to_a_senior_debt_runs_dry_though_its_system_is_singular(others: int) -> None:
    """Found by a random search: in a large network the singular sparse system ended the clearing with an error of the solver."""
    payer, payee = [1, 0, 3, 2, 1, 0, 2, 4], [0, 2, 0, 4, 3, 3, 0, 3]
    network = EdgeNetwork(payer, payee, [2, 0, 2, 2, 0, 2, 2, 2], 5 + others)
    dues, cash = np.array([2.0, 2, 6, 6, 6, 6, 5, 1])[:, None], np.zeros((5 + others, 1))
    found = network.clear(dues, cash)
    assert found.converged.all()
    assert check_greatest(network, dues, cash, found.paid).is_greatest.all()


def ring(cash: float = 0.0) -> tuple[EdgeNetwork, np.ndarray, np.ndarray]:
    return EdgeNetwork([0, 1, 2], [1, 2, 0], [0, 0, 0], 3), np.full((3, 1), 5.0), np.full((3, 1), cash)


@pytest.mark.parametrize("paid", [0.0, 2.0, 4.999])
def test_a_ring_that_pays_less_than_all_clears_but_not_with_the_greatest_vector(paid: float) -> None:
    network, dues, cash = ring()
    verdict = check_greatest(network, dues, cash, np.full((3, 1), paid))
    assert verdict.is_fixed_point.all()
    assert not verdict.is_greatest.any()
    assert verdict.closed.all()


def test_the_whole_ring_paid_is_the_greatest() -> None:
    network, dues, cash = ring()
    assert check_greatest(network, dues, cash, dues).is_greatest.all()


def test_a_vector_that_leaves_money_unspent_is_no_clearing_vector() -> None:
    network, dues, cash = ring(cash=1.0)
    verdict = check_greatest(network, dues, cash, np.full((3, 1), 2.0))
    assert not verdict.is_fixed_point.any()
    assert not verdict.is_greatest.any()


def test_a_default_that_only_its_own_costs_bring_about_is_not_the_greatest() -> None:
    """Two firms owe each other 10 and one of them a third party 1: with full payment both are solvent, with costs on claims a second,
    smaller vector holds itself up (Rogers and Veraart 2013, example of multiple solutions)."""
    network = EdgeNetwork([0, 1, 0], [1, 0, 2], [0, 0, 0], 3)
    dues, cash = np.array([[10.0], [10.0], [1.0]]), np.array([[1.0], [0.0], [0.0]])
    greatest = network.clear(dues, cash, asset_recovery=0.5, claim_recovery=0.5)
    np.testing.assert_allclose(greatest.paid, dues)
    low = np.zeros((3, 1))
    for _ in range(200):  # the least vector: from below
        received = np.array([low[1], low[0], low[2]])
        first = 0.5 * cash[0] + 0.5 * received[0]
        second = 0.5 * cash[1] + 0.5 * received[1]
        low = np.array([first * 10 / 11, np.minimum(second, 10.0), first / 11])
    verdict = check_greatest(network, dues, cash, low, 0.5, 0.5)
    assert verdict.is_fixed_point.all()
    assert not verdict.is_greatest.any()


def assert_left_is_what_is_not_paid(
    answer: tuple[Left, np.ndarray, np.ndarray], found: EdgeClearing, dues: np.ndarray, line_edges: np.ndarray
) -> None:
    """To the bit: what is left unpaid, what is paid of the draws, and where payments settled."""
    left, funded, converged = answer
    unpaid, missing = dues - found.paid, np.zeros_like(dues)
    missing[np.ix_(left.edges, left.scenarios)] = left.amounts
    unpaid[line_edges] = missing[line_edges] = 0.0
    assert (missing == unpaid).all()
    assert (funded == found.paid[line_edges]).all()
    assert (converged == found.converged).all()


@pytest.mark.parametrize("block", [10, 2_000_000])
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 90))
def test_what_is_left_unpaid_is_what_is_due_less_what_is_paid_to_the_bit(block: int, seed: int, agents: int, edges: int) -> None:
    network, dues, cash = random_network(seed, agents, edges)
    rng = np.random.Generator(np.random.Philox(seed + 3))
    line_edges = np.flatnonzero(rng.random(edges) < 0.3)
    dues[line_edges], lines = 0.0, rng.random((line_edges.size, SCENARIOS)) * 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulator.networks.edges.BLOCK_NUMBERS", block)  # the smaller one: a scenario or few at a time
        answer = network.left(dues, cash, lines, line_edges)
        found = network.clear(dues, cash, lines=lines, line_edges=line_edges)
    assert_left_is_what_is_not_paid(answer, found, dues, line_edges)


@pytest.fixture
def every_clearing_is_checked(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The engine's own clearings, each one put to the check; those of the settlement, which asks for what is left, by what is paid."""
    count = {"settlements": 0, "estates": 0, "drawn": 0}
    clear, left = EdgeNetwork.clear, EdgeNetwork.left

    def checked(self: EdgeNetwork, dues: np.ndarray, cash: np.ndarray, **given: Any) -> EdgeClearing:
        found = clear(self, dues, cash, **given)
        drawn = np.zeros_like(dues)
        if found.drawn is not None:
            drawn[given.get("line_edges", slice(None))] = found.drawn
        options = {name: given[name] for name in ("asset_recovery", "claim_recovery", "is_failed") if name in given}
        verdict = check_greatest(self, dues + drawn, cash, found.paid, tolerance=1e-8, **options)
        assert verdict.is_greatest[found.converged].all(), (verdict.residual, verdict.gap)
        count["estates" if options else "settlements"] += dues.shape[1]
        count["drawn"] += int((drawn > 0.0).any(axis=0).sum())
        return found

    def checked_left(
        self: EdgeNetwork, dues: np.ndarray, cash: np.ndarray, lines: np.ndarray, line_edges: np.ndarray, rounds: int = 2000
    ) -> tuple[Left, np.ndarray, np.ndarray]:
        given = dues.copy(), cash.copy(), lines.copy()
        answer = left(self, dues, cash, lines, line_edges, rounds)
        assert not dues[line_edges].any()
        assert all((before == after).all() for before, after in zip(given, (dues, cash, lines), strict=True))
        found = checked(self, dues, cash, lines=lines, line_edges=line_edges, rounds=rounds)
        assert_left_is_what_is_not_paid(answer, found, dues, line_edges)
        return answer

    monkeypatch.setattr(EdgeNetwork, "clear", checked)
    monkeypatch.setattr(EdgeNetwork, "left", checked_left)
    return count


def test_every_clearing_of_the_engine_is_the_greatest(every_clearing_is_checked: dict[str, int]) -> None:
    ContagionModel("three_firms", ("rate_hold", "collateral_devaluation"), replications=range(40), horizon_months=36, mesa_agents=False).run()
    assert every_clearing_is_checked["settlements"] >= 5
    assert every_clearing_is_checked["estates"] > 3


@pytest.mark.slow
def test_every_clearing_of_the_large_economy_is_the_greatest_with_the_facility_too(every_clearing_is_checked: dict[str, int]) -> None:
    lever = Change("facility", "central_bank.facility_share", "set_to", 0.5, starts=1)
    ContagionModel("us_ai_2025", ("funding_freeze",), replications=range(25), horizon_months=48, changes=[lever], mesa_agents=False).run()
    assert every_clearing_is_checked["drawn"] > 50
    assert every_clearing_is_checked["estates"] > 10
