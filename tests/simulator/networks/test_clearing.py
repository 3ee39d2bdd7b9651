"""Properties of clearing that hold for every network, and the switches one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from simulator.networks._checks import NetworkInputError
from simulator.networks.clearing import EdgeClearing, EdgeNetwork, clearing_payments
from simulator.networks.edges import FEW_ROUNDS, WORTH_CUTTING

COSTS = st.sampled_from([(1.0, 1.0), (0.7, 1.0), (1.0, 0.6), (0.5, 0.5), (0.0, 0.0)])
SEEDS = st.integers(0, 10**6)


def network(seed: int, n: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.Generator(np.random.Philox(seed))
    owed = np.where(rng.random((n, n)) < 0.4, rng.integers(0, 10, (n, n)), 0).astype(float)
    np.fill_diagonal(owed, 0)
    return owed, rng.random(n) * 10 * (rng.random(n) < 0.7), rng.random(n) * 5 * (rng.random(n) < 0.5)


@settings(max_examples=60, deadline=None)
@given(SEEDS, COSTS)
def test_nobody_pays_more_than_it_owes_or_has_and_who_cannot_pay_has_nothing_left(seed: int, costs: tuple[float, float]) -> None:
    owed, assets, outside = network(seed)
    found = clearing_payments(owed, assets, outside, asset_recovery=costs[0], claim_recovery=costs[1])
    total = owed.sum(axis=1) + outside
    assert (found.payments <= total * (1 + 1e-12)).all()
    assert (found.payments <= assets + found.received + 1e-9).all()
    short = found.defaulted
    np.testing.assert_allclose(found.payments[~short], total[~short])
    estate = costs[0] * assets + costs[1] * found.received
    np.testing.assert_allclose(found.payments[short], estate[short], atol=1e-9)
    np.testing.assert_allclose(found.equity, assets + found.received - total, atol=1e-9)
    share = np.where(total > 0, found.payments / np.where(total > 0, total, 1), 0)
    np.testing.assert_allclose(found.received, owed.T @ share, atol=1e-9)  # pro rata, and what is paid is received
    np.testing.assert_allclose(found.to_members, owed.sum(axis=1) * share, atol=1e-9)
    assert ((found.wave >= 0) == short).all()


@settings(max_examples=40, deadline=None)
@given(SEEDS, COSTS, st.integers(0, 7), st.floats(0.01, 5))
def test_more_assets_never_lower_any_payment(seed: int, costs: tuple[float, float], who: int, more: float) -> None:
    owed, assets, outside = network(seed)
    options = {"asset_recovery": costs[0], "claim_recovery": costs[1]}
    before = clearing_payments(owed, assets, outside, **options)
    richer = assets + more * np.eye(8)[who]
    after = clearing_payments(owed, richer, outside, **options)
    assert (after.payments >= before.payments - 1e-9).all()
    assert (after.equity >= before.equity - 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(SEEDS, COSTS)
def test_nobody_profits_from_bankruptcy_costs_of_others(seed: int, costs: tuple[float, float]) -> None:
    owed, assets, outside = network(seed)
    with_costs = clearing_payments(owed, assets, outside, asset_recovery=costs[0], claim_recovery=costs[1])
    without = clearing_payments(owed, assets, outside)
    assert (with_costs.received <= without.received + 1e-9).all()
    assert with_costs.defaulted.sum() >= without.defaulted.sum()


@settings(max_examples=30, deadline=None)
@given(SEEDS, COSTS)
def test_names_do_not_matter(seed: int, costs: tuple[float, float]) -> None:
    owed, assets, outside = network(seed)
    order = np.random.Generator(np.random.Philox(seed + 1)).permutation(8)
    options = {"asset_recovery": costs[0], "claim_recovery": costs[1]}
    found = clearing_payments(owed, assets, outside, **options)
    renamed = clearing_payments(owed[np.ix_(order, order)], assets[order], outside[order], **options)
    np.testing.assert_allclose(renamed.payments, found.payments[order], atol=1e-9)
    assert (renamed.wave == found.wave[order]).all()


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_juniors_get_nothing_before_seniors_are_paid_in_full(seed: int) -> None:
    senior, assets, _ = network(seed)
    junior = network(seed + 1)[0]
    edges = EdgeNetwork(*_edges(senior, junior), 8)
    dues = np.concatenate([senior[senior > 0], junior[junior > 0]])[:, None]
    found = edges.clear(dues, assets[:, None])
    matrix = clearing_payments(None, assets, priority=[senior, junior])
    np.testing.assert_allclose((edges.outgoing @ found.paid).reshape(-1, 8).sum(axis=0), matrix.payments, atol=1e-9)
    unpaid_senior = (edges.priority == 0) & (found.paid[:, 0] < dues[:, 0] * (1 - 1e-9))
    for payer in np.unique(edges.payer[unpaid_senior]):
        assert found.paid[(edges.payer == payer) & (edges.priority == 1)].max(initial=0.0) <= 1e-9
    # Within a class the same share is paid to all.
    for row in np.unique(edges.row):
        shares = (found.paid / dues)[edges.row == row, 0]
        assert np.ptp(shares) <= 1e-12


def _edges(*layers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    at = [np.nonzero(layer) for layer in layers]
    number = np.concatenate([np.full(pair[0].size, k) for k, pair in enumerate(at)])
    return np.concatenate([pair[0] for pair in at]), np.concatenate([pair[1] for pair in at]), number


@settings(max_examples=25, deadline=None)
@given(SEEDS, COSTS)
def test_the_fictitious_default_algorithm_gives_the_same_vector(seed: int, costs: tuple[float, float]) -> None:
    owed, assets, outside = network(seed)
    found = clearing_payments(owed, assets, outside, asset_recovery=costs[0], claim_recovery=costs[1])
    total = owed.sum(axis=1) + outside
    links = owed / np.where(total > 0, total, 1)[:, None]
    down, pay = np.zeros(8, dtype=bool), total.copy()
    for _ in range(9):
        new = assets + links.T @ pay < total - 1e-11 * (1 + total)
        if (new == down).all():
            break
        down = down | new
        system = np.eye(8) - np.where(down[:, None], costs[1] * links.T, 0)
        pay = np.linalg.solve(system, np.where(down, costs[0] * assets, total))
    np.testing.assert_allclose(found.payments, pay, atol=1e-9)


def test_a_closed_circle_without_money_pays_in_full() -> None:
    circle = np.roll(np.eye(5), 1, axis=1)
    found = clearing_payments(circle, np.zeros(5))
    assert found.payments.tolist() == [1] * 5
    assert not found.defaulted.any()


def test_a_circle_that_leaks_very_slowly_is_still_solved_to_the_last_digits() -> None:
    circle = np.roll(np.eye(30), 1, axis=1)
    leak = 1e-6
    found = clearing_payments(circle, np.zeros(30), outside=leak)
    assert found.payments.max() <= 1e-9  # nobody has any money, so all of it leaks out in the end
    rich = clearing_payments(circle, np.eye(30)[0] * 1e-5, outside=leak)
    np.testing.assert_allclose(rich.payments.sum() * leak / (1 + leak), 1e-5, rtol=1e-6)


@pytest.mark.parametrize(("owed_on", "at_hand", "rounds"), [(0.0, 0.0, 1), (1.0, 1.0, 1), (1.0, 0.9, 2), (1.0, 0.0, 2)])
def test_a_scenario_takes_another_round_only_where_who_receives_less_needs_it(owed_on: float, at_hand: float, rounds: int) -> None:
    net = EdgeNetwork([0, 1], [1, 2], [0, 0], 3)  # the first can pay a half; what the second owes on, it has at hand or not
    found = net.clear(np.array([[2.0], [owed_on]]), np.array([[1.0], [at_hand], [0.0]]))
    assert found.converged.all()
    assert found.rounds.tolist() == [rounds]
    assert found.paid[:, 0].tolist() == [1.0, owed_on]


@pytest.mark.parametrize(("asset_recovery", "rounds"), [(1.0, 1), (0.5, 2)])
def test_costs_count_among_what_one_needs(asset_recovery: float, rounds: int) -> None:
    net = EdgeNetwork([0, 1], [1, 2], [0, 0], 3)
    failed = np.array([[True], [True], [False]])
    costs = {"asset_recovery": asset_recovery, "claim_recovery": 0.9, "is_failed": failed}
    found = net.clear(np.array([[2.0], [1.0]]), np.array([[1.0], [1.0], [0.0]]), **costs)
    assert found.rounds.tolist() == [rounds]
    assert found.paid[:, 0].tolist() == pytest.approx([asset_recovery, min(1.0, asset_recovery + 0.9 * asset_recovery)])


def test_slow_scenarios_with_classes_agree_with_plain_rounds() -> None:
    rng = np.random.Generator(np.random.Philox(4))
    n, edges = 12, 60
    payer = rng.integers(0, n, edges)
    edge_network = EdgeNetwork(payer, (payer + rng.integers(1, n, edges)) % n, rng.integers(0, 3, edges), n)
    dues, cash = rng.random((edges, 40)), rng.random((n, 40)) * 0.02
    found = edge_network.clear(dues, cash)
    assert found.converged.all()
    assert found.rounds.max() < 400
    owed = edge_network.outgoing @ dues
    paid = dues
    for _ in range(40_000):
        left = cash + edge_network.incoming @ paid
        share = np.zeros_like(owed)
        for k in range(3):
            due = owed[k * n : k * n + n]
            share[k * n : k * n + n] = np.minimum(1, left / np.where(due > 0, due, 1))
            left = np.maximum(left - due, 0)
        paid = dues * share[edge_network.row]
    np.testing.assert_allclose(found.paid, paid, atol=1e-8)


@pytest.mark.parametrize("costs", [(1.0, 1.0), (0.6, 0.8)])
@pytest.mark.parametrize("classes", [1, 3])
def test_a_scenario_clears_to_the_same_bits_alone_and_in_any_company(classes: int, costs: tuple[float, float]) -> None:
    rng = np.random.Generator(np.random.Philox(classes))
    n, edges, scenarios = 20, 90, 33
    payer = rng.integers(0, n, edges)
    net = EdgeNetwork(payer, (payer + rng.integers(1, n, edges)) % n, rng.integers(0, classes, edges), n)
    dues = rng.random((edges, scenarios))
    cash = rng.random((n, scenarios)) * np.linspace(0.01, 3, scenarios)
    lines = np.where(rng.random((edges, 1)) < 0.2, rng.random((edges, scenarios)), 0)
    options = {"asset_recovery": costs[0], "claim_recovery": costs[1]}
    for drawn in (None, lines):
        whole = net.clear(dues, cash, drawn, **options)
        assert (whole.received == net.incoming @ whole.paid).all()  # what edges pay is what payees receive
        for some in ([3], [0, 32], list(range(7)), list(range(32, -1, -1))):
            part = net.clear(dues[:, some], cash[:, some], None if drawn is None else drawn[:, some], **options)
            assert (part.paid == whole.paid[:, some]).all()
            assert (part.shortfall == whole.shortfall[:, some]).all()
            assert (part.rounds == whole.rounds[some]).all()
    matrix = np.zeros((n, n))
    np.add.at(matrix, (net.payer, net.payee), dues[:, 0])
    many = clearing_payments(matrix, cash, **options)
    for scenario in (0, 5, 32):
        one = clearing_payments(matrix, cash[:, scenario], **options)
        assert (one.payments == many.payments[:, scenario]).all()
        assert (one.wave == many.wave[:, scenario]).all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["lines", "costs", "costs of the failed"])
def test_the_few_who_may_be_short_clear_to_the_same_bits_as_the_whole_network(kind: str, seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    n, edges, scenarios, poor = 40, 160, 80, 6 + 2 * seed
    payer = rng.integers(0, n, edges)
    net = EdgeNetwork(payer, (payer + rng.integers(1, n, edges)) % n, rng.integers(0, 3, edges), n)
    dues = rng.random((edges, scenarios))
    cash = rng.random((n, scenarios)) + np.where(np.arange(n) < poor, 0.0, 100.0)[rng.permutation(n), None]
    options: dict[str, Any] = {"asset_recovery": 0.7, "claim_recovery": 0.9}
    if kind == "lines":
        line_edges = np.flatnonzero(rng.random(edges) < 0.2)
        options = {"lines": rng.random((line_edges.size, scenarios)), "line_edges": line_edges}
    elif kind == "costs of the failed":
        options["is_failed"] = (rng.random((n, 1)) < 0.2) & (rng.random((n, scenarios)) < 0.5)
    found = net.clear(dues, cash, **options)
    assert net.classes * n * scenarios >= WORTH_CUTTING
    assert net._few, "nobody was left out"
    assert (found.shortfall > 0.0).any(axis=0).sum() > scenarios / 2
    for at in range(scenarios):  # one scenario is too little to cut
        alone = {name: value[:, [at]] if name in ("lines", "is_failed") else value for name, value in options.items()}
        one = net.clear(dues[:, [at]], cash[:, [at]], **alone)
        for name in ("paid", "shortfall", "owed", "received", "drawn", "deadweight"):
            part, whole = getattr(one, name), getattr(found, name)
            assert (part is None and whole is None) or (part == whole[:, [at]]).all(), name
        assert one.rounds[0] == found.rounds[at]
        assert one.converged[0] == found.converged[at]


def test_sparse_and_dense_obligations_give_the_same() -> None:
    owed, assets, outside = network(3)
    dense, thin = clearing_payments(owed, assets, outside), clearing_payments(sparse.csr_array(owed), assets, outside)
    assert (dense.payments == thin.payments).all()


def test_costs_fall_on_failed_agents_only_when_they_are_named() -> None:
    net = EdgeNetwork([0, 1], [2, 2], [0, 0], 3)
    dues, cash = np.array([[10.0], [10.0]]), np.array([[8.0], [8.0], [0.0]])
    found = net.clear(dues, cash, asset_recovery=0.5, is_failed=np.array([[True], [False], [False]]))
    assert found.paid[:, 0].tolist() == [4.0, 8.0]
    assert found.deadweight is not None
    assert found.deadweight[:, 0].tolist() == [4.0, 0.0, 0.0]
    assert found.shortfall[:, 0].tolist() == [6.0, 2.0, 0.0]


def test_a_line_is_drawn_only_as_far_as_needed_and_is_owed_by_the_lender() -> None:
    # 0 owes 1 ten, 1 owes 3 ten; 2 has lines to 0 and to 1.
    net = EdgeNetwork([0, 1, 2, 2], [1, 3, 0, 1], [0, 0, 0, 0], 4)
    dues, lines = np.array([[10.0], [10.0], [0.0], [0.0]]), np.array([[0.0], [0.0], [8.0], [8.0]])
    found = net.clear(dues, np.array([[4.0], [0.0], [100.0], [0.0]]), lines)
    assert found.drawn is not None
    np.testing.assert_allclose(found.drawn[:, 0], [0, 0, 6, 0])  # with its own line 0 pays in full, so 1 needs none
    np.testing.assert_allclose(found.paid[:, 0], [10, 10, 6, 0])
    poor = net.clear(dues, np.array([[4.0], [0.0], [3.0], [0.0]]), lines)
    assert poor.drawn is not None
    assert poor.converged.all()
    balance = np.array([4.0, 0, 3, 0]) + (net.incoming @ poor.paid - net.outgoing @ poor.paid)[:, 0]
    assert (balance >= -1e-9).all()
    assert balance[3] == pytest.approx(7.0)  # all the money there is reaches the last creditor


@pytest.mark.parametrize("seed", range(20))
def test_few_lines_given_by_their_edges_are_drawn_as_among_all_edges_and_bits_do_not_depend_on_the_neighbours(seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    n, edges, scenarios = 7, 25, 9
    payer = rng.integers(0, n, edges)
    net = EdgeNetwork(payer, (payer + rng.integers(1, n, edges)) % n, rng.integers(0, 3, edges), n)
    dues, cash = rng.random((edges, scenarios)) * 5, rng.random((n, scenarios)) * 4
    line_edges = np.array([2, 5, 11, 17])
    lines = rng.random((4, scenarios)) * 6 * (rng.random((4, scenarios)) < 0.7)
    every = np.zeros(dues.shape)
    every[line_edges] = lines
    few, many = net.clear(dues, cash, lines=lines, line_edges=line_edges), net.clear(dues, cash, lines=every)
    assert few.drawn is not None
    assert many.drawn is not None
    assert few.drawn.any()
    assert (few.drawn == many.drawn[line_edges]).all()
    assert (few.paid == many.paid).all()
    for column in range(scenarios):
        at = slice(column, column + 1)
        alone = net.clear(dues[:, at], cash[:, at], lines=lines[:, at], line_edges=line_edges)
        assert alone.drawn is not None
        for whole, single in ((few.paid, alone.paid), (few.drawn, alone.drawn), (few.shortfall, alone.shortfall), (few.received, alone.received)):
            assert (whole[:, at] == single).all()


@pytest.mark.parametrize("seed", range(10))
def test_a_network_as_the_few_see_it_clears_to_the_bits_of_the_whole(seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    n, edges, scenarios, poor = 20, 120, 15, 6
    payer = rng.integers(0, n, edges)
    net = EdgeNetwork(payer, (payer + rng.integers(1, n, edges)) % n, rng.integers(0, 3, edges), n)
    line_edges = np.flatnonzero(rng.random(edges) < 0.2)
    few = np.sort(rng.permutation(n)[:poor])
    dues, lines = rng.random((edges, scenarios)), rng.random((line_edges.size, scenarios))
    cash = rng.random((n, scenarios)) * 0.2
    cash[np.setdiff1d(np.arange(n), few)] += 100.0  # more than they may owe, lines included
    whole, seen = net.clear(dues, cash, lines=lines, line_edges=line_edges), net.seen_by(few, line_edges)
    found = seen.network.clear(dues[seen.edges], seen.cash(cash), lines=lines[seen.lines], line_edges=seen.edges_of_lines, rounds=FEW_ROUNDS)
    at = np.flatnonzero(found.converged)
    assert len(at) > scenarios / 3
    assert (found.shortfall > 0.0).any()
    assert whole.drawn is not None
    assert found.drawn is not None
    assert found.drawn.any()
    assert np.isin(np.flatnonzero((whole.paid != dues).any(axis=1)), seen.edges).all()
    assert (found.paid == whole.paid[seen.edges])[:, at].all()
    assert (found.drawn == whole.drawn[seen.lines])[:, at].all()
    assert (found.shortfall[:-1] == whole.shortfall[few])[:, at].all()
    assert (found.received[:-1] == whole.received[few])[:, at].all()
    assert (found.rounds == whole.rounds)[at].all()
    assert not found.shortfall[-1].any()
    assert net.seen_by(few, line_edges) is seen


def test_inactive_scenarios_pay_nothing() -> None:
    net = EdgeNetwork([0], [1], [0], 2)
    found = net.clear(np.ones((1, 2)), np.ones((2, 2)), active=np.array([True, False]))
    assert found.paid.tolist() == [[1.0, 0.0]]


def test_a_scenario_that_does_not_settle_is_flagged_and_the_others_are_not() -> None:
    net = EdgeNetwork([0, 1, 1], [1, 0, 2], [0, 0, 0], 3)
    found = net.clear(np.array([[1.0, 1.0], [1.0, 1.0], [0.1, 0.0]]), np.zeros((3, 2)), rounds=3)
    assert found.converged.tolist() == [False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obligations": [[0, -1], [1, 0]]}, r"obligations\[0, 1\] = -1"),
        ({"obligations": [[0, np.nan], [1, 0]]}, r"obligations\[0, 1\]"),
        ({"obligations": [[1, 0], [1, 0]]}, r"obligations\[0, 0\]"),
        ({"obligations": [[0, 1, 2]]}, "square"),
        ({"assets": [1, -2]}, r"assets\[1\] = -2 is negative"),
        ({"assets": [1, np.inf]}, r"assets\[1\] is not finite"),
        ({"assets": [1, 2, 3]}, "shape"),
        ({"outside": [1, -1]}, r"outside\[1\]"),
        ({"asset_recovery": 1.5}, "asset_recovery = 1.5"),
    ],
)
def test_bad_networks_are_named_by_their_index(change: dict, message: str) -> None:
    arguments = {"obligations": [[0, 1], [1, 0]], "assets": [1, 1], **change}
    with pytest.raises(NetworkInputError, match=message):
        clearing_payments(**arguments)


def test_cash_negative_by_rounding_only_counts_as_nothing() -> None:
    net = EdgeNetwork([0], [1], [0], 2)
    assert net.clear(np.ones((1, 1)), np.array([[-1e-12], [0.0]])).paid[0, 0] == 0.0
    with pytest.raises(NetworkInputError, match=r"cash\[0, 0\]"):
        net.clear(np.ones((1, 1)), np.array([[-1e-6], [0.0]]))


def test_bad_edges_are_named_by_their_index() -> None:
    with pytest.raises(NetworkInputError, match=r"payee\[1\] = 5"):
        EdgeNetwork([0, 1], [1, 5], [0, 0], 2)
    net = EdgeNetwork([0], [1], [0], 2)
    with pytest.raises(NetworkInputError, match=r"dues\[0, 1\]"):
        net.clear(np.array([[1.0, -1.0]]), np.ones((2, 2)))


def test_a_network_asked_with_other_lines_does_not_remember_the_first() -> None:
    agents, scenarios = 60, 200
    payer, payee = np.array([0, 1, 2, 10, 11]), np.array([20, 21, 22, 0, 1])
    dues = np.zeros((5, scenarios))
    dues[:3] = 1.0
    cash = np.full((agents, scenarios), 100.0)
    cash[:3] = 0.25
    rows = [np.array([3]), np.array([4])]  # the undrawn line of agent 0, and that of agent 1

    def cleared(net: EdgeNetwork, line_edges: np.ndarray) -> EdgeClearing:
        return net.clear(dues, cash, lines=np.full((1, scenarios), 0.5), line_edges=line_edges)

    net = EdgeNetwork(payer, payee, np.zeros(5, dtype=int), agents, classes=1)
    assert agents * scenarios >= WORTH_CUTTING
    first, second = (cleared(net, line_edges) for line_edges in rows)
    for found, line, paid in ((first, rows[0], [0.75, 0.25, 0.25]), (second, rows[1], [0.25, 0.75, 0.25])):
        fresh = cleared(EdgeNetwork(payer, payee, np.zeros(5, dtype=int), agents, classes=1), line)
        np.testing.assert_array_equal(found.paid, fresh.paid)
        np.testing.assert_allclose(found.paid[:3, 0], paid, rtol=1e-12)
        assert (found.drawn == 0.5).all()
