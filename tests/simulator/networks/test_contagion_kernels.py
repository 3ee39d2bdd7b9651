"""Properties of DebtRank, threshold cascades, network valuation, cross-holdings and random networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse

from simulator.networks._checks import NetworkInputError, NotConverged
from simulator.networks.clearing import clearing_payments
from simulator.networks.cross_holdings import cross_holding_values
from simulator.networks.debt_rank import debt_rank
from simulator.networks.random_networks import random_interbank, reconstruct_exposures
from simulator.networks.thresholds import threshold_cascade
from simulator.networks.valuation import claim_value, network_valuation

SEEDS = st.integers(0, 10**6)


def exposures(seed: int, n: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.Generator(np.random.Philox(seed))
    lent = np.where(rng.random((n, n)) < 0.4, rng.random((n, n)), 0.0)
    np.fill_diagonal(lent, 0.0)
    return lent, rng.random(n) * 2 + 0.05


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.booleans(), st.floats(0, 1))
def test_stress_stays_in_the_unit_interval_and_grows_with_the_shock(seed: int, once: bool, size: float) -> None:
    lent, equity = exposures(seed)
    shock = np.random.Generator(np.random.Philox(seed + 1)).random(9) * size
    found = debt_rank(lent, equity, shock, once=once)
    assert (found.stress >= shock - 1e-12).all()
    assert (found.stress <= 1.0).all()
    assert 0 <= found.value <= 1
    assert (debt_rank(lent, equity, np.minimum(shock + 0.1, 1), once=once).stress >= found.stress - 1e-9).all() or once
    assert (found.losses <= debt_rank(lent, equity * 0.5, shock, once=once).losses + shock * equity + 1e-9).all() or once


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_debt_rank_equals_its_network_valuation_form(seed: int) -> None:
    lent, equity = exposures(seed)
    shock = np.random.Generator(np.random.Philox(seed + 2)).random(9)
    outside = np.zeros(9)
    assets = equity + lent.sum(axis=0) - lent.sum(axis=1)
    outside = np.maximum(-assets, 0)
    valued = network_valuation(lent, assets + outside - shock * equity, outside, "linear_debt_rank", reference_equity=equity)
    np.testing.assert_allclose(debt_rank(lent, equity, shock).stress, 1 - np.clip(valued.equity / equity, 0, 1), atol=1e-9)


def test_one_chain_of_lenders_passes_stress_by_hand() -> None:
    lent = np.array([[0, 0.5, 0], [0, 0, 0.4], [0, 0, 0]])
    found = debt_rank(lent, [1, 2, 1], [0, 0, 0.5], weights=[1, 1, 2])
    np.testing.assert_allclose(found.stress, [0.05, 0.1, 0.5])
    assert found.value == pytest.approx((0.05 + 0.1) / 4)


def test_an_agent_without_equity_is_in_full_stress_at_the_first_loss() -> None:
    found = debt_rank([[0, 1.0], [0, 0]], [0.0, 1.0], [0.0, 0.01])
    assert found.stress.tolist() == [1.0, 0.01]


def test_an_own_exposure_feeds_back_on_its_holder() -> None:
    assert debt_rank([[0.5]], [1.0], [0.2]).stress[0] == pytest.approx(0.4)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(0, 1), st.booleans())
def test_cascades_grow_with_losses_and_shrink_with_recovery(seed: int, recovery: float, tie: bool) -> None:
    lent, equity = exposures(seed)
    failed = np.arange(9) == seed % 9
    none = threshold_cascade(lent, equity, failed, tie_defaults=tie)
    some = threshold_cascade(lent, equity, failed, recovery=recovery, tie_defaults=tie)
    assert (some.defaulted <= none.defaulted).all()
    np.testing.assert_allclose(some.losses, (1 - recovery) * lent @ some.defaulted, atol=1e-12)
    assert ((some.wave >= 0) == some.defaulted).all()


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_clearing_never_has_more_defaults_than_a_cascade_without_recovery(seed: int) -> None:
    lent, assets = exposures(seed)
    owed = lent.T
    equity = assets + owed.sum(axis=0) - owed.sum(axis=1)
    cleared = clearing_payments(owed, assets)
    assert (cleared.defaulted <= threshold_cascade(lent, equity, tie_defaults=True).defaulted).all()


def test_a_tie_is_decided_by_the_rule_and_not_by_the_last_bit() -> None:
    lent = np.zeros((2, 2))
    lent[0, 1] = 0.2 / 5
    for equity in (0.04, np.nextafter(0.04, 1), np.nextafter(0.04, 0)):
        assert bool(threshold_cascade(lent, [equity, 1], [False, True]).defaulted[0]) is True
        assert bool(threshold_cascade(lent, [equity, 1], [False, True], tie_defaults=False).defaulted[0]) is False


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([(1.0, 1.0), (0.7, 0.8), (0.5, 0.5)]), st.booleans())
def test_valuation_and_clearing_agree_on_equity(seed: int, costs: tuple[float, float], senior: bool) -> None:
    lent, assets = exposures(seed)
    outside = np.random.Generator(np.random.Philox(seed + 3)).random(9)
    cleared = clearing_payments(lent.T, assets, outside, senior, asset_recovery=costs[0], claim_recovery=costs[1])
    valued = network_valuation(
        lent, assets, outside, "rogers_veraart", outside_senior=senior, asset_recovery=costs[0], claim_recovery=costs[1]
    )
    np.testing.assert_allclose(valued.equity, cleared.equity, atol=1e-8)


@example("merton", 0.0, 0.0, 2.2250738585e-313)
@example("furfine_merton", -1.0, 0.5, 1e-320)
@example("black_cox", 0.5, 0.0, 5e-324)
@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["eisenberg_noe", "furfine", "linear_debt_rank", "merton", "furfine_merton", "black_cox"]),
    st.floats(-3, 3),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_claim_is_worth_between_nothing_and_face_value_and_more_when_the_debtor_has_more(
    valuation: str, equity: float, recovery: float, volatility: float
) -> None:
    values = claim_value(valuation, np.array([equity, equity + 0.1]), 2.0, 0.8, 0.4, recovery=recovery, volatility=volatility)
    assert (values >= 0).all()
    assert (values <= 1).all()
    assert values[1] >= values[0] - 1e-12


def test_valuation_uses_each_debtors_own_reference_equity() -> None:
    values = claim_value("linear_debt_rank", np.array([1.0, 1.0]), reference_equity=np.array([2.0, 4.0]))
    assert values.tolist() == [0.5, 0.25]


def test_without_volatility_the_ex_ante_values_are_those_of_clearing() -> None:
    equity = np.array([-0.5, -0.1, 0.2])
    merton = claim_value("merton", equity, 2.0, 0.8, 0.4, recovery=1.0)
    np.testing.assert_allclose(merton, claim_value("eisenberg_noe", equity, 2.0, 0.8, 0.4), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_market_values_of_cross_holdings_add_up_to_the_assets(seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    held = rng.random((6, 6))
    np.fill_diagonal(held, 0)
    held = held / held.sum(axis=0) * rng.random(6)
    assets = rng.random((6, 3))
    found = cross_holding_values(held, assets)
    np.testing.assert_allclose(found.values.sum(axis=0), assets.sum(axis=0))
    np.testing.assert_allclose(found.dependency.sum(axis=0), 1)
    failing = cross_holding_values(held, assets, found.values.mean(axis=1), 0.1)
    assert (failing.values <= found.values + 1e-12).all()
    np.testing.assert_allclose(failing.values.sum(axis=0), assets.sum(axis=0) - 0.1 * failing.failed.sum(axis=0))
    assert (cross_holding_values(sparse.csr_array(held), assets).values == found.values).all()


def test_cross_holdings_that_own_themselves_entirely_are_refused() -> None:
    with pytest.raises(NetworkInputError, match="wholly owns itself"):
        cross_holding_values([[0, 1], [1, 0]], [1, 1])
    with pytest.raises(NetworkInputError, match="more than the whole of 1"):
        cross_holding_values([[0, 1.2], [0, 0]], [1, 1])


def test_scenarios_have_the_same_bits_alone_and_in_any_company() -> None:
    lent, equity = exposures(5, 40)
    rng = np.random.Generator(np.random.Philox(1))
    shocks = rng.random((40, 21)) * 0.3
    rank, cascade = debt_rank(lent, equity, shocks), threshold_cascade(lent, equity, loss=shocks)
    valued = network_valuation(lent, 5 - shocks, np.full(40, 3.0), "merton", recovery=0.6, volatility=0.3)
    held = cross_holding_values(lent / lent.sum(axis=0) * 0.5, 5 - shocks, 2.5, 0.3)
    for scenario in (0, 8, 20):
        alone = shocks[:, scenario]
        one = debt_rank(lent, equity, alone)
        assert (one.stress == rank.stress[:, scenario]).all()
        assert one.value == rank.value[scenario]
        assert (threshold_cascade(lent, equity, loss=alone).losses == cascade.losses[:, scenario]).all()
        single = network_valuation(lent, 5 - alone, np.full(40, 3.0), "merton", recovery=0.6, volatility=0.3)
        assert (single.equity == valued.equity[:, scenario]).all()
        assert (cross_holding_values(lent / lent.sum(axis=0) * 0.5, 5 - alone, 2.5, 0.3).values == held.values[:, scenario]).all()


def test_random_networks_balance_and_depend_on_the_seed_only() -> None:
    one, two = random_interbank(300, 4, rng=3), random_interbank(300, 4, rng=3)
    assert (one.exposures != two.exposures).nnz == 0
    lent, owed = one.exposures.sum(axis=1).A1, one.exposures.sum(axis=0).A1
    np.testing.assert_allclose(one.external_assets + lent - owed - one.external_liabilities, one.equity)
    assert one.exposures.nnz / 300 == pytest.approx(4, abs=0.5)
    assert one.exposures.diagonal().max() == 0
    np.testing.assert_allclose(lent[lent > 0], 0.2)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from(["entropy", "density"]))
def test_reconstructed_exposures_have_the_totals_asked_for(seed: int, method: str) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    assets, liabilities = rng.random(12), rng.random(12)
    liabilities *= assets.sum() / liabilities.sum()
    found = reconstruct_exposures(assets, liabilities, method)
    np.testing.assert_allclose(found.sum(axis=1).A1, assets, atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=0).A1, liabilities, atol=1e-9)
    assert found.diagonal().max() == 0
    assert found.min() >= 0
    if method == "density":
        assert found.nnz <= 2 * 12 + 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: debt_rank([[0, 1], [0, 0]], [1, 1], [0, 1.5]), "loss.* is above 1"),
        (lambda: debt_rank([[0, -1], [0, 0]], [1, 1], [0, 1]), r"exposures\[0, 1\]"),
        (lambda: threshold_cascade([[0, 1], [0, 0]], [1, np.nan]), r"equity\[1\]"),
        (lambda: threshold_cascade([[0, 1], [0, 0]], [1, 1], recovery=2), "recovery = 2"),
        (lambda: network_valuation([[0, 1], [0, 0]], [1, 1], [0, 0], "guess"), "allowed are eisenberg_noe"),
        (lambda: random_interbank(1, 0), "n = 1 is outside"),
        (lambda: reconstruct_exposures([1, 1], [1, 2]), "differ in total"),
        (lambda: reconstruct_exposures([3, 0], [1, 2]), "agent 0"),
    ],
)
def test_bad_input_is_named(call: object, message: str) -> None:
    with pytest.raises(NetworkInputError, match=message):
        call()  # type: ignore[operator]


def test_what_does_not_settle_says_so() -> None:
    with pytest.raises(NotConverged, match="scenario 0"):
        debt_rank([[0, 1.0], [1.0, 0]], [1.001, 1.001], [0.1, 0], rounds=5)
