"""Kernels of contagion against numbers from papers and other solvers: one parametrised test a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import expm

from published_cases import about, cases, named, waves
from simulator.networks.clearing import clearing_payments
from simulator.networks.debt_rank import debt_rank
from simulator.networks.random_networks import random_interbank
from simulator.networks.thresholds import adoption_window, contagion_window, threshold_cascade
from simulator.networks.valuation import network_valuation


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
        assert found.payments == about(expected["payments"], max(tolerance, 1e-11))
    if "greatest" in expected:
        assert found.payments == about(expected["greatest"], tolerance)
        assert not found.defaulted.any()
    if "interbank_payments" in expected:
        assert found.to_members == about(expected["interbank_payments"], tolerance)
    for key in ("equity_signed", "equity_undiscounted"):
        if key in expected:
            assert found.equity == about(expected[key], tolerance)
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
        assert found.equity == about(expected["equity"], case["tolerance"]["equity"])
        assert np.flatnonzero(found.defaulted).tolist() == expected["defaulted"]
        senior = np.minimum(found.payments, layers[0].sum(axis=1))
        assert senior == about(expected["payments_senior"], 1e-9)
        assert found.payments - senior == about(expected["payments_junior"], 1e-9)
        return
    debt, own = np.array(given["debt"]), np.array(given["external_assets"], float)
    once = clearing_payments(np.zeros((4, 4)), own, debt)
    assert np.maximum(once.equity, 0) == about(expected["equity_after_one_map_from_zero"], case["tolerance"])
    assert once.payments == about(expected["debt_after_one_map_from_zero"], case["tolerance"])
    owed = np.array(given["M_debt_holdings"]).T * debt[:, None]
    shares, assets = np.array(given["M_equity_holdings"]), own
    for _ in range(300):
        found = clearing_payments(owed, assets, debt - owed.sum(axis=1))
        assets = own + shares @ np.maximum(found.equity, 0)
    assert not found.defaulted.any()
    assert found.equity == about([1.33014, 0.071021, 0.109434, 0.03106], 1e-5)


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
        assert found.equity == about(expected["equity_signed"], tolerance)
    elif "equity_final" in expected:
        lent, shock = given["exposures_A_lender_i_borrower_j"], np.array(given["equity_shock"])
        left = np.array(given["external_assets"]) - shock
        valued = network_valuation(lent, left, given["external_liabilities"], "linear_debt_rank", reference_equity=[1, 1, 1])
        assert valued.equity == about(expected["equity_final"], tolerance)
        assert debt_rank(lent, [1, 1, 1], shock).stress == about([1, 1, 1], tolerance)
    elif "impact_matrix_capped_at_1" in expected:
        # One round of capped impact, each node defaulting in turn, adds its row of the matrix.
        lent, buffer = np.array(given["liabilities_i_owes_j"]).T, np.array(given["capital_buffer"])
        np.fill_diagonal(lent, 0.0)
        impact = np.minimum(lent / buffer[:, None], 1.0).T
        expected_impact = np.array(expected["impact_matrix_capped_at_1"])
        np.fill_diagonal(expected_impact, 0.0)
        assert impact == about(expected_impact, tolerance)
        for node in range(6):
            hit = np.eye(6)[node]
            found_once = debt_rank(lent, buffer, hit, once=True)
            assert (found_once.stress >= np.maximum(hit, impact[node]) - 1e-12).all()
    elif "communicability_expm" in expected:
        assert expm(np.array(given["binary_impact"], float)) == about(expected["communicability_expm"], tolerance)
    else:
        lent, buffer = np.array(given["liabilities_i_owes_j"]).T, np.array(given["capital_buffer"])
        weights = np.array(given["weights"], float)
        if given["method"] == "threshold":
            cascade = threshold_cascade(lent, buffer, failed=np.eye(6, dtype=bool))
            stress = np.where(np.eye(6) > 0, 1.0, 0.0) + cascade.losses / buffer[:, None]
            assert about(expected["final_stress_by_scenario_uncapped"], tolerance) == stress.T
            value = (np.minimum(stress, 1) - np.eye(6)).T @ weights / weights.sum()
        else:
            options = {"once": True, "cap_impact": False} if given["method"] == "single_hit" else {}
            found_rank = debt_rank(lent, buffer, np.eye(6), weights, **options)
            assert about(expected["final_stress_by_scenario_uncapped"], tolerance) == (found_rank.losses / buffer[:, None]).T
            value = found_rank.value
        assert value == about(expected["additional_stress"], tolerance)


@pytest.mark.parametrize("case", cases("neva"))
def test_network_valuation_agrees_with_neva(case: dict[str, Any]) -> None:
    given, expected = case["inputs"], case["expected"]
    if "naive_equity" in expected:
        lent = np.zeros((3, 3))
        lent[0, 1:] = given["interbank_assets"]
        lent[1, 0] = given["interbank_liabilities"]
        found = network_valuation(lent, [given["external_assets"], 10, 10], [given["external_liabilities"], 0, 0], "furfine")
        assert found.equity[0] == about(expected["naive_equity"], case["tolerance"])
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
    assert found.equity == about(expected["equity_fixed_point"], 1e-9)


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
        assert found.equity == about(expected["equity_signed"], case["tolerance"])
        assert np.flatnonzero(found.defaulted).tolist() == expected["defaulted"]
    else:
        assert worth == about(expected["net_worth"], case["tolerance"])
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
    assert found[0] < found[1]
    assert found == about([expected["window_lower_z"], expected["window_upper_z"]], case["tolerance"])


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


@pytest.mark.parametrize("row", named("gai_kapadia_watts", "watts_threshold_ndlib_N2000")["expected"]["rows"], ids=lambda row: f"z={row['z']}")
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
    keep = one != two
    both = np.concatenate([one[keep], two[keep]]), np.concatenate([two[keep], one[keep]])
    graph = sparse.csr_matrix((np.ones(both[0].size), both), shape=(nodes, nodes))
    graph.data[:] = 1.0
    return graph
