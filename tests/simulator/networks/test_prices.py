"""Properties of Merton's model, credit default swaps, margin calls and fire sales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.networks._checks import NetworkInputError
from simulator.networks.credit import cds_legs, cds_spread, distance_to_default, hazard_from_spread, implied_assets, merton
from simulator.networks.fire_sales import fire_sale_cascade, fire_sale_equilibrium, fire_sale_losses
from simulator.networks.margin import margin_call


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.02, 2), st.floats(-0.02, 0.2), st.floats(0.1, 10))
def test_equity_and_debt_add_up_to_the_firm(assets: float, debt: float, volatility: float, rate: float, maturity: float) -> None:
    found = merton(assets, debt, volatility, rate, maturity)
    assert found.equity + found.debt == pytest.approx(assets, rel=1e-9)
    assert 0 <= found.default_probability <= 1
    assert found.spread >= 0
    assert found.equity >= max(assets - debt * np.exp(-rate * maturity), 0) - 1e-9 * (assets + debt)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.05, 50), st.floats(0.05, 50), st.floats(0.05, 1.0), st.floats(0, 0.1), st.floats(0.25, 5))
def test_implied_assets_undo_merton(assets: float, debt: float, volatility: float, rate: float, maturity: float) -> None:
    priced = merton(assets, debt, volatility, rate, maturity)
    if priced.equity < 1e-4 * assets:
        return
    d1 = priced.distance_to_default + volatility * np.sqrt(maturity)
    from scipy.special import ndtr

    equity_volatility = ndtr(d1) * volatility * assets / priced.equity
    found = implied_assets(priced.equity, debt, equity_volatility, rate, maturity)
    again = merton(found.assets, debt, found.volatility, rate, maturity)
    assert again.equity == pytest.approx(priced.equity, rel=1e-9)
    assert found.assets == pytest.approx(assets, rel=1e-5)


def test_the_edges_of_distance_to_default() -> None:
    found = distance_to_default([1, 0, 2, 1], [0, 1, 1, 2], [0.3, 0.3, 0, 0], 0.0, 1.0)
    assert found.tolist() == [np.inf, -np.inf, np.inf, -np.inf]
    assert merton([1, 0], [0, 1], 0.3).spread.tolist() == [0, np.inf]


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-5, 3), st.floats(0, 0.9), st.floats(0.3, 12), st.floats(-0.02, 0.2), st.sampled_from([1, 2, 4]), st.booleans())
def test_hazard_and_spread_are_inverse(hazard: float, recovery: float, maturity: float, rate: float, frequency: int, accrued: bool) -> None:
    spread = cds_spread(hazard, recovery, maturity, rate, frequency, accrued=accrued)
    assert hazard_from_spread(spread, recovery, maturity, rate, frequency, accrued=accrued) == pytest.approx(hazard, rel=1e-8)


@pytest.mark.parametrize("timing", ["continuous", "midpoint"])
def test_the_closed_form_is_the_sum_over_periods(timing: str) -> None:
    schedule = np.concatenate([[0, 0.1], 0.1 + np.arange(1, 13) / 4])
    short = cds_legs(0.07, 0.3, 3.1, 0.03, 4, timing)
    long = cds_legs(0.07, 0.3, 3.1, 0.03, 4, timing, schedule=schedule)
    np.testing.assert_allclose([short.protection, short.annuity], [long.protection, long.annuity], rtol=1e-12)


def test_accrued_premium_is_added_and_not_subtracted() -> None:
    assert cds_legs(0.05, 0.4, 5, 0.02).annuity > cds_legs(0.05, 0.4, 5, 0.02, accrued=False).annuity


def test_no_spread_is_no_hazard_and_rates_of_zero_are_fine() -> None:
    assert hazard_from_spread(0.0, 0.4, 5, 0.0) == 0.0
    assert cds_spread(0.0, 0.4, 5, 0.0) == 0.0
    assert cds_spread(1e-9, 0.4, 5, 0.0) == pytest.approx(0.6e-9, rel=1e-6)


def test_credit_elements_have_the_same_bits_alone_and_in_any_company() -> None:
    rng = np.random.Generator(np.random.Philox(2))
    equity, debt, spread = rng.random((7, 30)) + 0.01, rng.random((7, 30)) * 3, rng.random((7, 30))
    many, hazards = implied_assets(equity, debt, 0.5, 0.03, 1.0), hazard_from_spread(spread, 0.4, 5.0, 0.03)
    for column in (0, 29):
        pick = slice(column, column + 1)
        one = implied_assets(equity[:, pick], debt[:, pick], 0.5, 0.03, 1.0)
        assert (one.assets == many.assets[:, pick]).all()
        assert (hazard_from_spread(spread[:, pick], 0.4, 5.0, 0.03) == hazards[:, pick]).all()


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 100), st.floats(0, 100), st.floats(0.3, 1.5), st.floats(0.1, 0.95))
def test_each_cure_brings_the_loan_to_the_cure_level(collateral: float, loan: float, call: float, cure: float) -> None:
    cure = min(cure, call)
    found = margin_call(collateral, loan, call, cure)
    assert bool(found.called) == (loan > call * collateral * (1 + 1e-12))
    if found.called:
        assert loan - found.cash_to_cure == pytest.approx(cure * collateral)
        assert loan / (collateral + found.collateral_to_add) == pytest.approx(cure)
        if found.curable_by_sale and collateral - found.collateral_to_sell > 1e-6:
            assert (loan - found.collateral_to_sell) / (collateral - found.collateral_to_sell) == pytest.approx(cure, rel=1e-4)


def test_a_loan_without_a_call_level_is_never_called() -> None:
    assert not margin_call(1.0, 1e9, np.inf).called
    with pytest.raises(NetworkInputError, match="cure_ltv is above"):
        margin_call(1.0, 1.0, 0.5, 0.6)


BANKS = {"cash": [1.0, 1.0, 1.0], "other_assets": [2.0, 2.0, 2.0]}
HELD = np.array([[10.0, 0.0], [6.0, 4.0], [0.0, 8.0]])


@pytest.mark.parametrize("form", ["linear", "exponential", "square_root", "floored"])
@pytest.mark.parametrize("rule", ["threshold", "target"])
def test_deeper_markets_lose_less_and_infinitely_deep_ones_nothing_more(form: str, rule: str) -> None:
    equity, shock = [0.8, 1.2, 1.5], [0.1, 0.0]
    falls = []
    for impact in (0.0, 0.05, 0.2):
        found = fire_sale_cascade(HELD, equity, shock, impact, form, rule, 0.03, 0.08, 0.1, **BANKS)
        falls.append(1 - found.prices)
        assert (found.holdings >= 0).all()
        assert (found.prices >= 0).all()
        assert found.defaults_by_step.sum() == found.defaulted.sum()
    np.testing.assert_allclose(falls[0], shock)
    assert (falls[1] <= falls[2] + 1e-12).all()


def test_the_price_of_execution_matters_for_who_sells() -> None:
    worth = [fire_sale_cascade(HELD, [0.8, 1.2, 1.5], [0.1, 0], 0.3, price=price, **BANKS).equity.sum() for price in ("old", "mid", "new")]
    assert worth[0] > worth[1] > worth[2]


def test_shocks_run_together_as_they_run_alone() -> None:
    shocks = np.array([[0.0, 0.05, 0.3], [0.1, 0.0, 0.2]])
    many = fire_sale_cascade(HELD, [0.8, 1.2, 1.5], shocks, 0.2, "exponential", "target", 0.03, 0.08, 0.1, steps=8, **BANKS)
    for at in range(3):
        one = fire_sale_cascade(HELD, [0.8, 1.2, 1.5], shocks[:, at], 0.2, "exponential", "target", 0.03, 0.08, 0.1, steps=8, **BANKS)
        assert (one.prices == many.prices[:, at]).all()
        assert (one.equity == many.equity[:, at]).all()


def test_one_round_of_greenwood_landier_thesmar_by_hand() -> None:
    found = fire_sale_losses([[50.0, 50.0], [0.0, 40.0]], [9.0, 3.0], [0.02, 0.0], 0.001)
    assert found.direct_losses.tolist() == [1.0, 0.0]
    assert found.sales.tolist() == [9.0, 0.0]
    np.testing.assert_allclose(found.price_changes, [-0.0045, -0.0045])
    np.testing.assert_allclose(found.losses, [0.45, 0.18])
    assert found.vulnerability == pytest.approx(0.63 / 20)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_the_least_equilibrium_of_fire_sales_is_not_above_the_greatest(seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    held, others = rng.random((6, 3)), rng.random(6) * 4
    equity = (held.sum(axis=1) + others) * rng.random(6) * 0.1
    least, greatest = (fire_sale_equilibrium(held, others, equity, 25, 0.01, which=which) for which in ("least", "greatest"))
    assert (least.price_falls <= greatest.price_falls + 1e-9).all()
    sold = held.T @ least.share_sold
    np.testing.assert_allclose(least.price_falls, 0.01 * np.sqrt(sold), atol=1e-9)


def test_bad_options_are_named() -> None:
    with pytest.raises(NetworkInputError, match="form = 'cubic'"):
        fire_sale_cascade(HELD, [1, 1, 1], [0, 0], 0.1, "cubic")  # type: ignore[arg-type]
    with pytest.raises(NetworkInputError, match=r"holdings\[0, 1\]"):
        fire_sale_cascade([[1, -1]], [1], [0, 0], 0.1)
    with pytest.raises(NetworkInputError, match="recovery"):
        cds_spread(0.1, 1.2, 5)
