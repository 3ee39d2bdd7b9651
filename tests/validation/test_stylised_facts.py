"""Stylised facts that a credible run shows: default rates without a shock, and who suffers from which one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scenarios.loading import load_economy
from simulator import api

pytestmark = pytest.mark.slow

ECONOMY, REPLICATIONS, SEED = "us_ai_2025", 1000, 1
DEFAULT_SHOCK = ("rate_hold", "collateral_devaluation")
INVESTMENT_GRADE = ("AAA", "AA+", "AA", "AA-", "A+", "A", "A-", "BBB+", "BBB", "BBB-")
NORMAL_95 = 1.96


@pytest.fixture(scope="module")
def runs() -> dict[str, api.Run]:
    shocks: dict[str, str | tuple[str, ...]] = {"none": "none", "default": DEFAULT_SHOCK, "rate_hike": "rate_hike", "rate_hold": "rate_hold"}
    return {name: api.simulate(ECONOMY, shock, replications=REPLICATIONS, seed=SEED) for name, shock in shocks.items()}


def agents(kind: str, ratings: tuple[str, ...] = ()) -> list[str]:
    economy = load_economy(ECONOMY)
    rows = zip(economy.ids, economy.kinds, economy.ratings, strict=True)
    return [agent for agent, of_kind, rating in rows if of_kind == kind and (not ratings or rating in ratings)]


def default_rate(run: api.Run, names: list[str]) -> float:
    """Defaults of these agents in five years, per agent and replication."""
    return float(run.defaults["agent"].isin(names).sum()) / (len(names) * REPLICATIONS)


def any_default(run: api.Run, kind: str) -> np.ndarray:
    """Defaulted share of a kind's agents by replication, ``(R,)``."""
    count = run.replications.set_index("replication")[f"{kind}_defaults"].sort_index()
    return count.to_numpy() / len(agents(kind))


def paired_interval(shocked: np.ndarray, plain: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean difference on the same draws."""
    difference = shocked - plain
    half = NORMAL_95 * float(difference.std(ddof=1)) / np.sqrt(len(difference))
    return float(difference.mean()) - half, float(difference.mean()) + half


def table(runs: dict[str, api.Run]) -> pd.DataFrame:
    kinds = ("chipmaker", "hyperscaler", "cloud", "ai_lab", "investor", "lender")
    return pd.DataFrame({name: {kind: default_rate(run, agents(kind)) for kind in kinds} for name, run in runs.items()})


def test_investment_grade_hyperscalers_almost_never_default_without_a_shock(runs: dict[str, api.Run]) -> None:
    names = agents("hyperscaler", INVESTMENT_GRADE)
    assert len(names) >= 5
    assert default_rate(runs["none"], names) < 0.01, f"\n{table(runs)}"


def test_clouds_default_without_a_shock_at_about_the_rate_of_their_rating(runs: dict[str, api.Run]) -> None:
    """Speculative grades BB to B- lost 5 to 40 % in five years in the rating agencies' history."""
    assert 0.05 <= default_rate(runs["none"], agents("cloud")) <= 0.40, f"\n{table(runs)}"


@pytest.mark.parametrize("kind", ["cloud", "ai_lab"])
def test_the_default_shock_makes_clouds_and_labs_default_more_often(kind: str, runs: dict[str, api.Run]) -> None:
    low, high = paired_interval(any_default(runs["default"], kind), any_default(runs["none"], kind))
    assert low > 0.0, f"95 % interval {low:.4f} to {high:.4f}\n{table(runs)}"


@pytest.mark.parametrize("scenario", ["none", "default"])
@pytest.mark.parametrize("kind", ["cloud", "ai_lab"])
def test_pressure_lands_downstream_of_the_chipmakers(kind: str, scenario: str, runs: dict[str, api.Run]) -> None:
    assert default_rate(runs[scenario], agents(kind)) > default_rate(runs[scenario], agents("chipmaker")), f"\n{table(runs)}"


def test_a_rate_hike_brings_more_defaults_than_none(runs: dict[str, api.Run]) -> None:
    def defaults(name: str) -> np.ndarray:
        return runs[name].replications.sort_values("replication")["defaults"].to_numpy().astype(float)

    low, high = paired_interval(defaults("rate_hike"), defaults("none"))
    assert low > 0.0, f"95 % interval {low:.3f} to {high:.3f}\n{table(runs)}"


def test_defaults_are_ordered_by_the_size_of_the_rate_gap(runs: dict[str, api.Run]) -> None:
    mean = {name: float(run.replications["defaults"].mean()) for name, run in runs.items()}
    assert mean["none"] <= mean["rate_hold"] <= mean["rate_hike"], mean


def test_a_higher_rate_means_dearer_default_protection_and_less_investment(runs: dict[str, api.Run]) -> None:
    def median(name: str, series: str) -> float:
        ticks = runs[name].ticks
        rows = ticks[(ticks["quantile"] == 0.5) & ticks["tick"].between(12, 47)]
        return float(rows[series].mean())

    assert median("rate_hike", "cds_index") > median("none", "cds_index")
    assert median("rate_hike", "investment") < median("none", "investment")


def test_most_runs_lose_little_and_a_few_lose_very_much(runs: dict[str, api.Run]) -> None:
    loss = runs["none"].replications["total_loss"].to_numpy()
    assert loss.mean() > np.median(loss)
    assert np.quantile(loss, 0.99) > 2.0 * np.median(loss)
