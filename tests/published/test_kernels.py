"""Every kernel against numbers from papers and other solvers: one parametrised test a kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

from simulator.networks.clearing import clearing_payments
from simulator.networks.credit import cds_legs, cds_spread, hazard_from_spread, implied_assets, merton
from simulator.networks.cross_holdings import cross_holding_values
from simulator.networks.debt_rank import debt_rank
from simulator.networks.fire_sales import fire_sale_cascade
from simulator.networks.margin import margin_call
from simulator.networks.random_networks import random_interbank
from simulator.networks.thresholds import adoption_window, contagion_window, threshold_cascade
from simulator.networks.valuation import network_valuation

DATA = Path(__file__).parent / "data"


def cases(*files: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for file in files for case in json.loads((DATA / f"{file}.json").read_text())]


def named(file: str, name: str) -> dict[str, Any]:
    return next(case for case in json.loads((DATA / f"{file}.json").read_text()) if case["id"] == name)


def near(found: Any, expected: Any, tolerance: float) -> None:
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(expected, float), rtol=0, atol=tolerance)


def waves(wave: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(wave == step).tolist() for step in range(int(wave.max(initial=-1)) + 1)]


@pytest.mark.parametrize("case", cases("eisenberg_noe", "rogers_veraart"))
def test_clearing_payments_agree_with_published_vectors(case: dict[str, Any]) -> None:
    given, expected, tolerance = case["inputs"], case["expected"], case["tolerance"]
    senior = "external_liabilities_senior" in given
    outside = given.get("external_liabilities", given.get("external_liabilities_senior", 0))
    assets = given.get("e")
    if assets is None:
        assets = np.array(given["external_assets_before_shock"]) * (1 - given["uniform_relative_shock_to_external_assets"])
    found = clearing_payments(given["L"], assets, outside, senior, None, given.get("alpha", 1.0), given.get("beta", 1.0))
    if "payments" in expected:
        near(found.payments, expected["payments"], max(tolerance, 1e-11))
    if "greatest" in expected:
        near(found.payments, expected["greatest"], tolerance)
        assert not found.defaulted.any()
    if "interbank_payments" in expected:
        near(found.to_members, expected["interbank_payments"], tolerance)
    for key in ("equity_signed", "equity_undiscounted"):
        if key in expected:
            near(found.equity, expected[key], tolerance)
    if "defaulted" in expected:
        assert np.flatnonzero(found.defaulted).tolist() == expected["defaulted"]
    if "default_waves" in expected:
        assert waves(found.wave) == expected["default_waves"]


@pytest.mark.parametrize("case", cases("seniority_crossholdings_bailin"))
def test_clearing_by_seniority_with_shares_held_in_each_other(case: dict[str, Any]) -> None:
    given, expected = case["inputs"], case["expected"]
    if case["id"] == "elsinger_example":
        layers = np.array([given["L_senior"], given["L_junior"]])
        own, shares = np.array(given["e"]), np.array(given["equity_holdings_theta"])
        assets = own + shares.T @ np.full(3, 1e3)
        for _ in range(300):  # shares are worth what is left of equity, from above
            found = clearing_payments(None, assets, priority=layers)
            assets = own + shares.T @ np.maximum(found.equity, 0)
        near(found.equity, expected["equity"], case["tolerance"]["equity"])
        assert np.flatnonzero(found.defaulted).tolist() == expected["defaulted"]
        senior = np.minimum(found.payments, layers[0].sum(axis=1))
        near(senior, expected["payments_senior"], 1e-9)
        near(found.payments - senior, expected["payments_junior"], 1e-9)
        return
    debt, own = np.array(given["debt"]), np.array(given["external_assets"], float)
    once = clearing_payments(np.zeros((4, 4)), own, debt)
    near(np.maximum(once.equity, 0), expected["equity_after_one_map_from_zero"], case["tolerance"])
    near(once.payments, expected["debt_after_one_map_from_zero"], case["tolerance"])
    owed = np.array(given["M_debt_holdings"]).T * debt[:, None]
    shares, assets = np.array(given["M_equity_holdings"]), own
    for _ in range(300):
        found = clearing_payments(owed, assets, debt - owed.sum(axis=1))
        assets = own + shares @ np.maximum(found.equity, 0)
    assert not found.defaulted.any()
    near(found.equity, [1.33014, 0.071021, 0.109434, 0.03106], 1e-5)


@pytest.mark.parametrize("case", cases("debtrank"))
def test_debt_rank_agrees_with_published_stress(case: dict[str, Any]) -> None:
    given, expected, tolerance = case["inputs"], case["expected"], case["tolerance"]
    if "equity_signed" in expected:  # the NEVA form of linear DebtRank
        shocked = np.array(given["external_assets_before_shock"]) * (1 - given["uniform_relative_shock_to_external_assets"])
        found = network_valuation(
            np.array(given["L"]).T,
            shocked,
            given["external_liabilities"],
            "linear_debt_rank",
            reference_equity=given["reference_equity"],
        )
        near(found.equity, expected["equity_signed"], tolerance)
    elif "equity_final" in expected:
        lent, shock = given["exposures_A_lender_i_borrower_j"], np.array(given["equity_shock"])
        left = np.array(given["external_assets"]) - shock
        valued = network_valuation(lent, left, given["external_liabilities"], "linear_debt_rank", reference_equity=[1, 1, 1])
        near(valued.equity, expected["equity_final"], tolerance)
        near(debt_rank(lent, [1, 1, 1], shock).stress, [1, 1, 1], tolerance)
    elif "impact_matrix_capped_at_1" in expected:
        # One round of capped impact, each node defaulting in turn, adds its row of the matrix.
        lent, buffer = np.array(given["liabilities_i_owes_j"]).T, np.array(given["capital_buffer"])
        np.fill_diagonal(lent, 0.0)
        impact = np.minimum(lent / buffer[:, None], 1.0).T
        expected_impact = np.array(expected["impact_matrix_capped_at_1"])
        np.fill_diagonal(expected_impact, 0.0)
        near(impact, expected_impact, tolerance)
        for node in range(6):
            hit = np.eye(6)[node]
            found_once = debt_rank(lent, buffer, hit, once=True)
            assert (found_once.stress >= np.maximum(hit, impact[node]) - 1e-12).all()
    elif "communicability_expm" in expected:
        near(expm(np.array(given["binary_impact"], float)), expected["communicability_expm"], tolerance)
    else:
        lent, buffer = np.array(given["liabilities_i_owes_j"]).T, np.array(given["capital_buffer"])
        weights = np.array(given["weights"], float)
        if given["method"] == "threshold":
            cascade = threshold_cascade(lent, buffer, failed=np.eye(6, dtype=bool))
            stress = np.where(np.eye(6) > 0, 1.0, 0.0) + cascade.losses / buffer[:, None]
            near(stress.T, expected["final_stress_by_scenario_uncapped"], tolerance)
            value = (np.minimum(stress, 1) - np.eye(6)).T @ weights / weights.sum()
        else:
            options = {"once": True, "cap_impact": False} if given["method"] == "single_hit" else {}
            found_rank = debt_rank(lent, buffer, np.eye(6), weights, **options)
            near((found_rank.losses / buffer[:, None]).T, expected["final_stress_by_scenario_uncapped"], tolerance)
            value = found_rank.value
        near(value, expected["additional_stress"], tolerance)


@pytest.mark.parametrize("case", cases("neva"))
def test_network_valuation_agrees_with_neva(case: dict[str, Any]) -> None:
    given, expected = case["inputs"], case["expected"]
    if "naive_equity" in expected:
        lent = np.zeros((3, 3))
        lent[0, 1:] = given["interbank_assets"]
        lent[1, 0] = given["interbank_liabilities"]
        found = network_valuation(lent, [given["external_assets"], 10, 10], [given["external_liabilities"], 0, 0], "furfine")
        near(found.equity[0], expected["naive_equity"], case["tolerance"])
        return
    names = {
        "eisenberg_noe": "eisenberg_noe",
        "exante_en_blackcox_gbm": "black_cox",
        "exante_en_merton_gbm": "merton",
        "exante_furfine_merton_gbm": "furfine_merton",
    }
    found = network_valuation(
        given["exposures_A_lender_i_borrower_j"],
        np.array(given["external_assets_before"]) - given["equity_shock_absolute"],
        given["external_liabilities"],
        names[given["method"]],
        recovery=given["recovery_rho"] or 0.0,
        volatility=given["sigma_external_assets"],
    )
    near(found.equity, expected["equity_fixed_point"], 1e-9)


@pytest.mark.parametrize("case", cases("furfine_threshold"))
def test_threshold_cascades_agree_with_furfine(case: dict[str, Any]) -> None:
    given, expected = case["inputs"], case["expected"]
    if case["id"] == "tie_rule_demonstration":
        for tie_defaults in (True, False):
            codes = [code for code, defaults in expected["bank_1_defaults_on_exact_tie"].items() if defaults == tie_defaults]
            assert len(codes) == 2
            for nudge, defaults in ((0.0, tie_defaults), (-1e-9, True), (1e-9, False)):
                found = threshold_cascade(
                    given["exposures_asset_of_i_on_j"], [1, 1 + nudge, 1], failed=[True, False, False], tie_defaults=tie_defaults
                )
                assert bool(found.defaulted[1]) is defaults
        return
    owed = np.array(given["L"], float)
    assets = given.get("external_assets")
    if assets is None:
        assets = np.array(given["external_assets_before_shock"]) * (1 - given["uniform_relative_shock_to_external_assets"])
    worth = np.array(assets) + owed.sum(axis=0) - owed.sum(axis=1) - given["external_liabilities"]
    found = threshold_cascade(owed.T, worth, recovery=given.get("recovery_R", given.get("recovery_rate", 0)), tie_defaults=False)
    if "equity_signed" in expected:
        near(found.equity, expected["equity_signed"], case["tolerance"])
        assert np.flatnonzero(found.defaulted).tolist() == expected["defaulted"]
    else:
        near(worth, expected["net_worth"], case["tolerance"])
        assert found.defaulted.astype(int).tolist() == expected["default_indicator"]
    own = case["expected_own"]
    assert waves(found.wave) == own.get("default_rounds", own.get("default_waves"))


@pytest.mark.parametrize("case", cases("formula_evaluated_not_third_party"))
def test_windows_of_contagion_solve_the_printed_conditions(case: dict[str, Any]) -> None:
    given, expected = case["inputs"], case["expected"]
    if "phi" in given:
        found = adoption_window(given["phi"])
    else:
        found = contagion_window(given["capital_ratio"], given["interbank_asset_share"], "defaults" in case["id"])
    near(found, [expected["window_lower_z"], expected["window_upper_z"]], case["tolerance"])


CURVE = [
    pytest.param(row, tie, id=f"z={row['z']}-tie_{'defaults' if tie else 'survives'}")
    for row in named("gai_kapadia_watts", "gk_monte_carlo_curve_N1000")["expected"]["rows"]
    for tie in (True, False)
    if row["z"] in (0.5, 1.5, 3.0, 5.0, 8.5)
]


@pytest.mark.parametrize(("row", "tie_defaults"), CURVE)
def test_contagion_in_random_networks_is_as_frequent_and_wide_as_published(row: dict[str, Any], tie_defaults: bool) -> None:
    runs, sizes = 60, []
    rng = np.random.Generator(np.random.Philox(int(100 * row["z"])))
    for _ in range(runs):
        network = random_interbank(1000, row["z"], 0.04, 0.2, rng)
        failed = np.zeros(1000, dtype=bool)
        failed[rng.integers(1000)] = True
        sizes.append(threshold_cascade(network.exposures, network.equity, failed, tie_defaults=tie_defaults).defaulted.mean())
    spread = np.array([size for size in sizes if size > 0.05])
    suffix = "defaults" if tie_defaults else "survives"
    published, extent = row[f"frequency_tie_{suffix}"], row[f"extent_tie_{suffix}"]
    chance = min(max(published, 0.01), 0.99)
    assert abs(spread.size / runs - published) <= 4 * np.sqrt(chance * (1 - chance) * (1 / 500 + 1 / runs))
    if extent is not None and spread.size > 5:
        assert abs(spread.mean() - extent) <= (0.08 if row["z"] < 2 else 0.02)


def test_contagion_is_robust_yet_fragile() -> None:
    rows = {row["z"]: row for row in named("gai_kapadia_watts", "gk_monte_carlo_curve_N1000")["expected"]["rows"]}
    found = {}
    for degree in (1.0, 3.0, 8.0):
        rng, sizes = np.random.Generator(np.random.Philox(7)), []
        for _ in range(60):
            network = random_interbank(1000, degree, rng=rng)
            failed = np.arange(1000) == 0
            sizes.append(threshold_cascade(network.exposures, network.equity, failed).defaulted.mean())
        spread = np.array(sizes)[np.array(sizes) > 0.05]
        found[degree] = spread.size, spread.mean() if spread.size else np.nan
    assert found[1.0][0] < found[3.0][0] > found[8.0][0]
    assert rows[3.0]["frequency_tie_defaults"] > rows[8.0]["frequency_tie_defaults"]
    assert found[8.0][1] > 0.99


@pytest.mark.parametrize(
    "row", named("gai_kapadia_watts", "watts_threshold_ndlib_N2000")["expected"]["rows"], ids=lambda row: f"z={row['z']}"
)
def test_adoption_cascades_on_random_graphs_are_as_frequent_as_published(row: dict[str, Any]) -> None:
    runs, nodes, sizes = 30, 2000, []
    rng = np.random.Generator(np.random.Philox(int(10 * row["z"])))
    for _ in range(runs):
        count = rng.binomial(nodes * (nodes - 1) // 2, row["z"] / (nodes - 1))
        one, two = rng.integers(nodes, size=count), rng.integers(nodes, size=count)
        graph = _graph(one, two, nodes)
        degree = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1.0)
        failed = np.arange(nodes) == rng.integers(nodes)
        cascade = threshold_cascade(graph.multiply(1 / degree[:, None]), np.full(nodes, 0.18), failed)
        sizes.append(cascade.defaulted.mean())
    wide = np.array([size for size in sizes if size > 0.05])
    chance = min(max(row["frequency"], 0.02), 0.98)
    assert abs(wide.size / runs - row["frequency"]) <= 4 * np.sqrt(chance * (1 - chance) * (1 / 60 + 1 / runs))
    if row["mean_size_given_global"] is not None and wide.size > 5:
        assert abs(wide.mean() - row["mean_size_given_global"]) <= 0.05


def _graph(one: np.ndarray, two: np.ndarray, nodes: int) -> Any:
    from scipy import sparse

    keep = one != two
    both = np.concatenate([one[keep], two[keep]]), np.concatenate([two[keep], one[keep]])
    graph = sparse.csr_matrix((np.ones(both[0].size), both), shape=(nodes, nodes))
    graph.data[:] = 1.0
    return graph


@pytest.mark.parametrize("case", cases("fire_sales"))
def test_fire_sales_agree_with_cont_and_schaanning(case: dict[str, Any]) -> None:
    given, expected, tolerance = case["inputs"], case["expected"], case["tolerance"]
    example = named("fire_sales", "cs_two_bank_rounds")["inputs"]
    depth = example["c"] * example["ADV"] / example["sigma"] * np.sqrt(example["tau"])
    delta = (1 - example["price_floor_B"] / example["S0"]) * depth
    if case["id"] == "cs_two_bank_rounds":
        near([depth, delta], [expected["market_depth_D"], expected["delta"]], 0.005)
        lost = np.array(given["illiquid"]) @ given["illiquid_loss_rates"]
        illiquid, equity = np.array(given["illiquid"]).sum(axis=1) - lost, np.array(given["equity"]) - lost
        near(illiquid, expected["illiquid_after_shock"], tolerance)
        near(equity, expected["equity_after_shock"], tolerance)
        for count in (1, 2):
            found = _cont_schaanning(given, illiquid, equity, delta, count + 1)
            printed = expected[f"round{count}"]
            near(found.equity, printed["equity"], tolerance)
            near(found.holdings[:, 0] * found.prices[0], printed["tradable"], tolerance)
            near(found.prices[0], printed["price"], tolerance)
            before = _cont_schaanning(given, illiquid, equity, delta, count)
            near((illiquid + before.holdings[:, 0] * before.prices[0]) / before.equity, printed["leverage"], 0.006)
    elif case["id"] == "cs_market_impact":
        sold = given["volume_sold"]
        found = fire_sale_cascade(
            [[sold]], [-1.0], [0.0], 1 / delta, "floored", "threshold", market=1.0, floor=given["B"], steps=2
        )  # insolvent, so it sells all
        near([1 - found.prices[0], found.prices[0]], [expected["psi"], expected["new_price"]], tolerance)
    else:
        held, part, fall = np.array(given["tradable"], float), np.array(given["delever_fraction"]), given["psi"]
        # Sold at the mid of both prices, kept at the new one: the loss of the printed formula.
        loss = held * part * fall * (1 - given["alpha"]) + held * (1 - part) * fall
        near(loss, expected["loss"], tolerance["loss"])
        near(held * (1 - part) * (1 - fall), expected["tradable_after"], tolerance["tradable_after"])


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
        near(cross_holding_values(given["C"], [1, 1]).dependency, expected["A"], tolerance)
    elif "cross_held_fraction" in given:
        owes = np.array(given["cross_debt_i_owes_j_usd_mn"], float)
        held = given["cross_held_fraction"] * (owes / owes.sum(axis=1, keepdims=True)).T
        near(held, expected["C_offdiagonal"], tolerance["C_offdiagonal"])
        found = cross_holding_values(held, np.ones(6)).dependency
        near(found, expected["A_unrounded"], tolerance["A_unrounded"])
        near(found, expected["A_rounded_2dp"], tolerance["A_rounded_2dp"])
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
        near(found.assets, expected["V0"], tolerance["V0"])
        near(found.volatility, expected["sigma_V"], tolerance["sigma_V"])
        near(priced.default_probability, expected["risk_neutral_PD"], tolerance["risk_neutral_PD"])
        own = case["expected_own"]
        near(priced.distance_to_default, own["distance_to_default_d2"], 1e-9)
        near([found.assets, found.volatility], [own["V0_precise"], own["sigma_V_precise"]], 1e-9)
        near(priced.debt, own["debt_value"], 1e-9)
    elif case["id"] == "merton_kwok_hkust":
        priced = merton(given["V"], given["F"], given["sigma"], given["r"], given["T"])
        discounted = given["F"] * np.exp(-given["r"] * given["T"])
        near(priced.debt, expected["risky_bond"], tolerance)
        near(discounted - priced.debt, expected["put"], tolerance)
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
        near(legs.protection / legs.annuity, expected["fair_rate"], tolerance["fair_rate"])
        value = given["notional"] * (given["running_spread"] * legs.annuity - legs.protection)
        near(value, expected["npv"], 0.03)  # QuantLib rounds the middle of a period down to a whole day: 0.022 of 10,000 notional
    elif "credit_triangle" in expected:
        dates = np.array(given["schedule"], dtype="datetime64[D]")
        times = (dates - dates[0]).astype(int) / 365
        terms = (given["hazard_flat"], given["recovery"], 5.0, given["rate_continuous"])
        exact = cds_legs(*terms, default_timing="midpoint", schedule=times)
        # QuantLib rounds the middle of a period down to a whole day: 3.4e-7 of the par spread, 2e-5 of a leg.
        near(exact.protection / exact.annuity, expected["midpoint"]["par_spread"], 4e-7)
        near(exact.protection * given["notional"] / expected["midpoint"]["protection_leg"], 1, 3e-5)
        near(exact.annuity * given["notional"] * given["running_spread"] / -expected["midpoint"]["premium_leg"], 1, 3e-5)
        for engine in ("midpoint", "integral", "isda"):
            near(cds_spread(*terms), expected[engine]["par_spread"], tolerance["par_spread"])
        assert 1.002 < cds_spread(*terms) / expected["credit_triangle"] < 1.0065
    else:
        terms = (given["recovery"], given["maturity"], given["r_continuous"], 1, "midpoint")
        near(hazard_from_spread(given["par_spread"], *terms), expected["implied_hazard"], tolerance)
        near(cds_spread(0.02, *terms), 0.0123, 5e-7)


@pytest.mark.parametrize("case", cases("margin_collateral"))
def test_margin_calls_agree_with_worked_examples(case: dict[str, Any]) -> None:
    given, expected, tolerance = case["inputs"], case["expected"], case["tolerance"]
    if "shares" in given:
        level = 1 - given["maintenance_margin"]
        found = margin_call(given["shares"] * given["new_price"], given["loan"], level)
        near(found.cash_to_cure, expected["margin_call_cash"], 1e-9)
        near(found.collateral_to_add, expected["cure_by_depositing_marginable_securities"], 0.005)
        near(found.collateral_to_sell, expected["cure_by_liquidation_value"], 0.005)
        near(found.collateral_to_sell / given["new_price"], expected["shares_to_sell_exact"], tolerance["shares_to_sell_exact"])
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
        near(found.collateral_to_add, own["extra_collateral_to_cure"], 1e-6)
        near(found.cash_to_cure, own["repayment_to_cure"], 1e-6)
        near(given["loan"] / given["liquidation_ltv"], own["liquidation_collateral_value"], 1e-9)
    elif "target_debt_to_equity" in given:
        left, owed = given["assets"] * (1 - given["asset_fall"]), given["debt"]
        ratio = given["target_debt_to_equity"] / (1 + given["target_debt_to_equity"])  # debt / equity as debt / assets
        found = margin_call(left, owed, ratio)
        near(found.collateral_to_sell, expected["assets_to_sell"], 1e-9)
        near(owed / (left - owed), expected["leverage_after_fall"], 1e-9)
        near(left * (1 - ratio), expected["equity_needed_without_selling_after_fall"], 1e-9)
    else:
        own_capital = given["assets"] * given["margin"]
        near([own_capital, given["assets"] - own_capital], [expected["own_capital"], expected["debt"]], 1e-9)
        after = case["expected_own"]["after_5pct_fall"]
        found = margin_call(0.95 * given["assets"], expected["debt"], 1 - given["margin"])
        near(found.collateral_to_sell, after["sales"], 1e-9)
