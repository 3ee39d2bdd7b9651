"""Headline facts and bands of the literature (file 15): those that a kernel or a classic economy of ours can show, and why not the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from published_cases import read, third_party
from simulator.networks.debt_rank import debt_rank
from simulator.networks.fire_sales import fire_sale_cascade
from simulator.networks.thresholds import threshold_cascade

PAGES = Path(__file__).parents[2] / "docs" / "classics"


def page(name: str) -> dict[str, Any]:
    return json.loads((PAGES / f"{name}.json").read_text())


def robust_yet_fragile(expected: dict[str, Any]) -> None:
    rows = [row for row in page("interbank_gai_kapadia")["rows"] if row["extent"] is not None]
    last = rows[-1]
    assert last["frequency"] < 0.2
    assert last["extent"] > 0.99
    assert expected["conditional_extent_tends_to_1_at_high_degree"]


def two_regimes(expected: dict[str, Any]) -> None:
    """Sizes near the lower boundary are of all orders, near the upper one small or total (Watts 2002)."""
    rng, nodes, middle = np.random.Generator(np.random.Philox(2)), 1000, {}
    for degree in (1.2, 5.6):
        sizes = []
        for _ in range(40):
            count = rng.binomial(nodes * (nodes - 1) // 2, degree / (nodes - 1))
            ends = rng.integers(nodes, size=(2, count))
            ends = ends[:, ends[0] != ends[1]]
            graph = sparse.csr_matrix((np.ones(2 * ends.shape[1]), (np.r_[ends[0], ends[1]], np.r_[ends[1], ends[0]])), shape=(nodes, nodes))
            graph.data[:] = 1.0
            neighbours = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1.0)
            seed = np.arange(nodes) == rng.integers(nodes)
            sizes.append(threshold_cascade(graph.multiply(1 / neighbours[:, None]), np.full(nodes, 0.18), seed).defaulted.mean())
        middle[degree] = np.mean([(0.05 < size < 0.9) for size in sizes])
        largest = max(sizes)
    assert middle[1.2] > 0.1
    assert middle[5.6] == 0.0
    assert largest > 0.9
    assert expected["near_upper_boundary"].startswith("bimodal")


def critical_leverage(expected: dict[str, Any]) -> None:
    """Overlapping portfolios are stable below a critical leverage, and unstable for more shocks above it (Caccioli et al. 2014)."""
    rng = np.random.Generator(np.random.Philox(3))
    held = np.where(rng.random((60, 30)) < 0.15, 1.0, 0.0)
    held[np.arange(60), rng.integers(30, size=60)] = 1.0
    held /= held.sum(axis=1, keepdims=True)
    failing = []
    for leverage in (2.0, 8.0, 15.0, 25.0):
        shocks = np.diag(np.full(30, 0.6))  # each asset alone
        found = fire_sale_cascade(held, np.full(60, 1 / leverage), shocks, 1.05, "exponential", "threshold", minimum=0.0)
        failing.append((found.defaulted.mean(axis=0) > 0.05).mean())
    assert failing[0] == 0.0
    assert failing == sorted(failing)
    assert failing[-1] > 0.5
    assert expected["critical_leverage_exists"]


def uniform_shock_of_five_percent(expected: dict[str, Any]) -> None:
    data = third_party("03_debtrank.json", "nrm_simdata_all_linear")["inputs"]
    lent = np.zeros((data["n"], data["n"]))
    for lender, borrower, amount in data["exposure_edges_ij_value"]:
        lent[int(lender), int(borrower)] = amount
    found = debt_rank(lent, data["buffer"], np.full(data["n"], 0.05), data["weights"])
    assert found.value / 0.05 == pytest.approx(expected["additional_stress_over_initial"], abs=0.5)


def growth_of_a_credit_network(expected: dict[str, Any]) -> None:
    tense = next(row for row in page("credit_network_accelerator")["rows"] if row["leverage"] == 0.65)
    signs = {"negative": -1, "positive": 1}
    assert np.sign(tense["skewness"]) == signs[expected["aggregate_growth_rate_skewness"]]
    assert np.sign(tense["excess_kurtosis"]) == signs[expected["aggregate_growth_rate_excess_kurtosis"]]


def leverage_is_risk(expected: dict[str, Any]) -> None:
    shares = [row["firms"] for row in page("credit_network_accelerator")["rows"]]
    assert shares == sorted(shares)
    assert expected["higher_leverage"] == "riskier economy"


CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "sf_gk_robust_yet_fragile": robust_yet_fragile,
    "sf_watts_two_regimes": two_regimes,
    "sf_caccioli_overlapping_portfolios": critical_leverage,
    "sf_nrm_5pct_shock": uniform_shock_of_five_percent,
    "sf_dgggrs2010": growth_of_a_credit_network,
    "sf_rrg2013": leverage_is_risk,
}
# What these facts would need, and this project has not.
WITHOUT_CHECK = {
    "sf_duarte_eisenbach_externalities_may2014": "balance sheets of US banks and dealers by quarter",
    "sf_duarte_eisenbach_aggregate_vulnerability": "the same data, 2001 to 2014",
    "sf_debtrank_fed": "emergency loans of the Fed by institution",
    "sf_cva_two_thirds": "an estimate of the Basel Committee about 2007 to 2009",
    "sf_dgggrs2008_distributions": "sizes and growth of firms that enter and leave; nobody enters here",
    "sf_bam_baseline": "a macroeconomic model with labour and goods markets of its own",
    "sf_bam_growth_plus_financial": "the same model",
    "sf_bam_comovements_fig3_9": "the same model",
    "sf_bgg_amplification": "impulse responses of a linear DSGE model, which no kernel solves",
}


@pytest.mark.parametrize("name", CHECKS)
def test_headline_facts_hold(name: str) -> None:
    (case,) = [case for case in read("stylised_facts") if case["id"] == name]
    CHECKS[name](case["expected"])


def test_no_headline_fact_is_forgotten() -> None:
    assert {*CHECKS, *WITHOUT_CHECK} == {case["id"] for case in read("stylised_facts")}
    assert not {*CHECKS} & {*WITHOUT_CHECK}
