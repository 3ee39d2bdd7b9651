"""Kernels of prices and collateral against numbers from papers and other solvers: one parametrised test a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from published_cases import about, cases, named, waves
from simulator.networks.credit import cds_legs, cds_spread, hazard_from_spread, implied_assets, merton
from simulator.networks.cross_holdings import cross_holding_values
from simulator.networks.fire_sales import fire_sale_cascade
from simulator.networks.margin import margin_call


@pytest.mark.parametrize("case", cases("fire_sales"))
def test_fire_sales_agree_with_cont_and_schaanning(case: dict[str, Any]) -> None:
    given, expected, tolerance = case["inputs"], case["expected"], case["tolerance"]
    example = named("fire_sales", "cs_two_bank_rounds")["inputs"]
    depth = example["c"] * example["ADV"] / example["sigma"] * np.sqrt(example["tau"])
    delta = (1 - example["price_floor_B"] / example["S0"]) * depth
    if case["id"] == "cs_two_bank_rounds":
        assert [depth, delta] == about([expected["market_depth_D"], expected["delta"]], 0.005)
        lost = np.array(given["illiquid"]) @ given["illiquid_loss_rates"]
        illiquid, equity = np.array(given["illiquid"]).sum(axis=1) - lost, np.array(given["equity"]) - lost
        assert illiquid == about(expected["illiquid_after_shock"], tolerance)
        assert equity == about(expected["equity_after_shock"], tolerance)
        for count in (1, 2):
            found = _cont_schaanning(given, illiquid, equity, delta, count + 1)
            printed = expected[f"round{count}"]
            assert found.equity == about(printed["equity"], tolerance)
            assert found.holdings[:, 0] * found.prices[0] == about(printed["tradable"], tolerance)
            assert found.prices[0] == about(printed["price"], tolerance)
            before = _cont_schaanning(given, illiquid, equity, delta, count)
            assert (illiquid + before.holdings[:, 0] * before.prices[0]) / before.equity == about(printed["leverage"], 0.006)
    elif case["id"] == "cs_market_impact":
        sold = given["volume_sold"]
        found = fire_sale_cascade(
            [[sold]], [-1.0], [0.0], 1 / delta, "floored", "threshold", market=1.0, floor=given["B"], steps=2
        )  # insolvent, so it sells all
        assert [1 - found.prices[0], found.prices[0]] == about([expected["psi"], expected["new_price"]], tolerance)
    else:
        held, part, fall = np.array(given["tradable"], float), np.array(given["delever_fraction"]), given["psi"]
        # Sold at the mid of both prices, kept at the new one: the loss of the printed formula.
        loss = held * part * fall * (1 - given["alpha"]) + held * (1 - part) * fall
        assert loss == about(expected["loss"], tolerance["loss"])
        assert held * (1 - part) * (1 - fall) == about(expected["tradable_after"], tolerance["tradable_after"])


def _cont_schaanning(given: dict[str, Any], illiquid: np.ndarray, equity: np.ndarray, delta: float, steps: int) -> Any:
    return fire_sale_cascade(
        np.array(given["tradable"], float)[:, None],
        equity,
        [0.0],
        1 / delta,
        "floored",
        "target",
        minimum=0.0,
        buffer=1 / given["lambda_max"],
        target=1 / given["lambda_target"],
        other_assets=illiquid,
        market=1.0,
        floor=given["price_floor_B"],
        repay_at_once=True,
        steps=steps,
    )


@pytest.mark.parametrize("case", cases("elliott_golub_jackson"))
def test_cross_holdings_agree_with_elliott_golub_jackson(case: dict[str, Any]) -> None:
    given, expected, tolerance = case["inputs"], case["expected"], case["tolerance"]
    if "C" in given:
        assert cross_holding_values(given["C"], [1, 1]).dependency == about(expected["A"], tolerance)
    elif "cross_held_fraction" in given:
        owes = np.array(given["cross_debt_i_owes_j_usd_mn"], float)
        held = given["cross_held_fraction"] * (owes / owes.sum(axis=1, keepdims=True)).T
        assert held == about(expected["C_offdiagonal"], tolerance["C_offdiagonal"])
        found = cross_holding_values(held, np.ones(6)).dependency
        assert found == about(expected["A_unrounded"], tolerance["A_unrounded"])
        assert found == about(expected["A_rounded_2dp"], tolerance["A_rounded_2dp"])
    else:
        matrix = np.array(given["A"])
        for theta in given["thetas"]:
            floor = theta * matrix @ np.array(given["p_2008"])
            found_wave = cross_holding_values(None, given["p_2011"], floor, floor / 2, dependency=matrix).wave
            named_waves = [sorted(given["countries"][at] for at in wave) for wave in waves(found_wave)]
            assert named_waves == [sorted(wave) for wave in expected["hierarchy_by_theta"][str(theta)]]


@pytest.mark.parametrize("case", cases("credit_pricing"))
def test_credit_prices_agree_with_textbooks_and_quantlib(case: dict[str, Any]) -> None:
    given, expected, tolerance = case["inputs"], case["expected"], case["tolerance"]
    if case["id"] == "merton_hull_example":
        found = implied_assets(given["E0"], given["D"], given["sigma_E"], given["r"], given["T"])
        priced = merton(found.assets, given["D"], found.volatility, given["r"], given["T"])
        assert found.assets == about(expected["V0"], tolerance["V0"])
        assert found.volatility == about(expected["sigma_V"], tolerance["sigma_V"])
        assert priced.default_probability == about(expected["risk_neutral_PD"], tolerance["risk_neutral_PD"])
        own = case["expected_own"]
        assert priced.distance_to_default == about(own["distance_to_default_d2"], 1e-9)
        assert [found.assets, found.volatility] == about([own["V0_precise"], own["sigma_V_precise"]], 1e-9)
        assert priced.debt == about(own["debt_value"], 1e-9)
    elif case["id"] == "merton_kwok_hkust":
        priced = merton(given["V"], given["F"], given["sigma"], given["r"], given["T"])
        discounted = given["F"] * np.exp(-given["r"] * given["T"])
        assert priced.debt == about(expected["risky_bond"], tolerance)
        assert discounted - priced.debt == about(expected["put"], tolerance)
    elif "fair_rate" in expected:
        dates = np.array(given["schedule"], dtype="datetime64[D]")
        days = (dates - np.datetime64(given["evaluation_date"])).astype(int)
        legs = cds_legs(
            given["hazard_flat"],
            given["recovery"],
            1.0,
            given["zero_rate_flat"],
            default_timing="midpoint",
            schedule=days[days >= 0] / 360,
        )
        assert legs.protection / legs.annuity == about(expected["fair_rate"], tolerance["fair_rate"])
        value = given["notional"] * (given["running_spread"] * legs.annuity - legs.protection)
        assert value == about(expected["npv"], 0.03)  # QuantLib rounds the middle of a period down to a whole day: 0.022 of 10,000 notional
    elif "credit_triangle" in expected:
        dates = np.array(given["schedule"], dtype="datetime64[D]")
        times = (dates - dates[0]).astype(int) / 365
        terms = (given["hazard_flat"], given["recovery"], 5.0, given["rate_continuous"])
        exact = cds_legs(*terms, default_timing="midpoint", schedule=times)
        # QuantLib rounds the middle of a period down to a whole day: 3.4e-7 of the par spread, 2e-5 of a leg.
        assert exact.protection / exact.annuity == about(expected["midpoint"]["par_spread"], 4e-7)
        assert exact.protection * given["notional"] / expected["midpoint"]["protection_leg"] == about(1, 3e-5)
        assert exact.annuity * given["notional"] * given["running_spread"] / -expected["midpoint"]["premium_leg"] == about(1, 3e-5)
        for engine in ("midpoint", "integral", "isda"):
            assert cds_spread(*terms) == about(expected[engine]["par_spread"], tolerance["par_spread"])
        assert 1.002 < cds_spread(*terms) / expected["credit_triangle"] < 1.0065
    else:
        terms = (given["recovery"], given["maturity"], given["r_continuous"], 1, "midpoint")
        assert hazard_from_spread(given["par_spread"], *terms) == about(expected["implied_hazard"], tolerance)
        assert cds_spread(0.02, *terms) == about(0.0123, 5e-7)


@pytest.mark.parametrize("case", cases("margin_collateral"))
def test_margin_calls_agree_with_worked_examples(case: dict[str, Any]) -> None:
    given, expected, tolerance = case["inputs"], case["expected"], case["tolerance"]
    if "shares" in given:
        level = 1 - given["maintenance_margin"]
        found = margin_call(given["shares"] * given["new_price"], given["loan"], level)
        assert found.cash_to_cure == about(expected["margin_call_cash"], 1e-9)
        assert found.collateral_to_add == about(expected["cure_by_depositing_marginable_securities"], 0.005)
        assert found.collateral_to_sell == about(expected["cure_by_liquidation_value"], 0.005)
        assert found.collateral_to_sell / given["new_price"] == about(expected["shares_to_sell_exact"], tolerance["shares_to_sell_exact"])
        trigger = expected["trigger_account_value"]
        assert margin_call([trigger - 0.01, trigger + 0.01], given["loan"], level).called.tolist() == [True, False]
    elif case["id"] == "margin_long_cfa_60_20":
        loan, level = given["price0"] * (1 - given["initial_margin"]), 1 - given["maintenance_margin"]
        prices = expected["trigger_price"] + np.array([-1e-6, 0, 1e-6])
        assert margin_call(prices, loan, level).called.tolist() == [True, False, False]
    elif "margin_call_ltv" in given:
        own = case["expected_own"]
        found = margin_call(given["collateral_at_call"], given["loan"] * (1 + 1e-9), given["margin_call_ltv"], given["cure_target_ltv"])
        assert bool(found.called) is own["call_triggered"]
        assert found.collateral_to_add == about(own["extra_collateral_to_cure"], 1e-6)
        assert found.cash_to_cure == about(own["repayment_to_cure"], 1e-6)
        assert given["loan"] / given["liquidation_ltv"] == about(own["liquidation_collateral_value"], 1e-9)
    elif "target_debt_to_equity" in given:
        left, owed = given["assets"] * (1 - given["asset_fall"]), given["debt"]
        ratio = given["target_debt_to_equity"] / (1 + given["target_debt_to_equity"])  # debt / equity as debt / assets
        found = margin_call(left, owed, ratio)
        assert found.collateral_to_sell == about(expected["assets_to_sell"], 1e-9)
        assert owed / (left - owed) == about(expected["leverage_after_fall"], 1e-9)
        assert left * (1 - ratio) == about(expected["equity_needed_without_selling_after_fall"], 1e-9)
    else:
        own_capital = given["assets"] * given["margin"]
        assert [own_capital, given["assets"] - own_capital] == about([expected["own_capital"], expected["debt"]], 1e-9)
        after = case["expected_own"]["after_5pct_fall"]
        found = margin_call(0.95 * given["assets"], expected["debt"], 1 - given["margin"])
        assert found.collateral_to_sell == about(after["sales"], 1e-9)
