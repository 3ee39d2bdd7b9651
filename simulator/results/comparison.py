"""Paired comparison of two scenarios on the same draws: what a shock or policy changes, with intervals.

Both sides share their luck replication by replication, so the interval is taken on the differences: it is narrower than
that of two independent runs, and the table says by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from simulator.errors import InputError, as_names, nearest, shown
from simulator.results.dataset import Run
from simulator.results.measures import Estimate, mean_interval, share_interval, wilson

# Columns of the replications table that a comparison shows unless others are named.
COMPARED = (
    "systemic", "defaults", "cascade_size", "total_loss", "credit_loss", "fiscal_cost", "defaulted_debt_share",
    "market_value_min_share", "gdp_gap_min", "unemployment_max",
)  # fmt: skip


def paired_mean_difference(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean of first - second, both (n,), with Student's t interval on the differences; pairs with a missing value left out."""
    estimate = mean_interval(np.asarray(first, dtype=float) - np.asarray(second, dtype=float), level)
    return Estimate(estimate.value, estimate.low, estimate.high, estimate.n, "paired t", level)


def paired_share_difference(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> Estimate:
    """Difference of two paired shares (yes/no outcomes on the same draws) with Newcombe's score interval.

    Source: Newcombe (1998), Statistics in Medicine 17, 2635–2650, method 10. It keeps its coverage with few or no
    discordant pairs, where the interval of McNemar's normal approximation collapses to a point.
    """
    yes, other = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    n = len(yes)
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0, "paired Newcombe", level)
    both, only_first = int((yes & other).sum()), int((yes & ~other).sum())
    only_second, neither = int((~yes & other).sum()), int((~yes & ~other).sum())
    one, two = wilson(both + only_first, n, level), wilson(both + only_second, n, level)
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    product = float(both * neither - only_first * only_second)
    if product > 0:
        product = max(product - n / 2, 0.0)  # Newcombe's continuity correction
    correlation = product / np.sqrt(float(margins)) if margins else 0.0
    down, up = (one.value - one.low, two.high - two.value), (one.high - one.value, two.value - two.low)
    lower = np.sqrt(max(down[0] ** 2 - 2 * correlation * down[0] * down[1] + down[1] ** 2, 0.0))
    upper = np.sqrt(max(up[0] ** 2 - 2 * correlation * up[0] * up[1] + up[1] ** 2, 0.0))
    difference = one.value - two.value
    return Estimate(difference, float(difference - lower), float(difference + upper), n, "paired Newcombe", level)


def unpaired_width(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> float:
    """Width of Welch's interval for the difference of means, had the two samples been independent."""
    n, m = len(first), len(second)
    if n < 2 or m < 2:
        return float("nan")
    one, two = float(np.var(first, ddof=1)) / n, float(np.var(second, ddof=1)) / m
    if one + two == 0.0:
        return 0.0
    freedom = (one + two) ** 2 / (one**2 / (n - 1) + two**2 / (m - 1))
    return float(2 * stdtrit(freedom, 0.5 + level / 2) * np.sqrt(one + two))


def variance_reduction(first: np.ndarray, second: np.ndarray) -> float:
    """Variance of the difference had the samples been independent, over its variance as paired; inf when the pairs agree."""
    if len(first) < 2:
        return float("nan")
    paired = float(np.var(np.asarray(first, dtype=float) - np.asarray(second, dtype=float), ddof=1))
    independent = float(np.var(first, ddof=1) + np.var(second, ddof=1))
    if paired <= 1e-20 * independent:  # rounding of a constant difference
        return float("inf") if independent > 0 else float("nan")
    return independent / paired


@dataclass(frozen=True)
class Comparison:
    """Paired differences of scenario `label` minus scenario `other_label`, one row of `table` a measure.

    Columns: `measure`, `kind` (for default probabilities), `value`, `low`, `high`, `other`, `other_low`, `other_high`,
    `difference`, `difference_low`, `difference_high`, `method`, `unpaired_width` (of the interval without pairing),
    `variance_reduction`, `n` (common replications). Money USD bn, shares and rates decimals.
    """

    label: str
    other_label: str
    table: pd.DataFrame

    def row(self, measure: str) -> dict[str, Any]:
        """The row of one measure; InputError when it was not compared."""
        rows = self.table[self.table["measure"] == measure]
        if rows.empty:
            raise InputError(f"no measure '{measure}' in this comparison (has: {', '.join(self.table['measure'])})")
        return {str(key): value for key, value in rows.iloc[0].to_dict().items()}

    def difference(self, measure: str) -> Estimate:
        """The paired difference of one measure with its interval."""
        row = self.row(measure)
        return Estimate(row["difference"], row["difference_low"], row["difference_high"], int(row["n"]), row["method"])

    def __str__(self) -> str:
        from simulator.results.findings import comparison_text

        return comparison_text(self)


def identity(run: Run) -> dict[str, Any]:
    """What two runs must share to be compared draw by draw: seed, economy, horizon (those that are known)."""
    montecarlo = run.config.get("montecarlo")
    seed = montecarlo.get("seed") if isinstance(montecarlo, dict) else None
    economy = run.config.get("economy", run.provenance.get("economy"))
    known = {
        "seed": run.provenance.get("seed") if seed is None else seed,
        "economy": economy.get("name") if isinstance(economy, dict) else economy,
        "horizon_months": run.horizon_months or None,
    }
    return {key: value for key, value in known.items() if value is not None}


def _single(run: Any, scenario: str | None, which: str) -> str:
    from simulator.results.dataset import Run as RunClass

    if not isinstance(run, RunClass):
        raise InputError(f"{which}: {shown(run)} is not a Run, such as simulate(...) or load(folder) gives")
    if scenario is not None:
        return run._label(scenario)
    if len(run.scenarios) > 1:
        raise InputError(f"{which} holds several scenarios, name one: {', '.join(run.scenarios)}")
    return run.scenarios[0]


def compare(
    run: Run,
    other: Run,
    scenario: str | None = None,
    other_scenario: str | None = None,
    measures: Sequence[str] | None = None,
    force: bool = False,
) -> Comparison:
    """Paired differences run - other on their common replications.

    Yes/no columns get Newcombe's paired interval, all others a t interval on the differences; `KIND_default_probability`
    (share of the kind's agents that default within the horizon) is added for every kind. InputError when the runs differ
    in seed, economy or horizon, unless `force`.
    """
    label, other_label = _single(run, scenario, "the first run"), _single(other, other_scenario, "the second run")
    if not force:
        mine, theirs = identity(run), identity(other)
        for key in mine.keys() & theirs.keys():
            if mine[key] != theirs[key]:
                raise InputError(
                    f"runs differ in {key} ({mine[key]} and {theirs[key]}): not the same draws; force=True compares them anyway"
                )
    one = run.replications[run.replications["scenario"] == label].set_index("replication")
    two = other.replications[other.replications["scenario"] == other_label].set_index("replication")
    common = one.index.intersection(two.index).sort_values()
    if common.empty:
        raise InputError("the two runs have no replication in common")
    one, two = one.loc[common], two.loc[common]
    chosen = as_names("measures", measures) if measures is not None else [name for name in COMPARED if name in one.columns and name in two.columns]
    rows = []
    for name in chosen:
        if name not in one.columns or name not in two.columns:
            common_names = [str(column) for column in one.columns if column in two.columns]
            raise InputError(f"measures: both runs need a column {shown(name)} in replications{nearest(name, common_names)}")
        first, second = one[name].to_numpy(), two[name].to_numpy()
        if measures is None and name != "systemic" and not np.isfinite(first.astype(float)).any():
            continue
        rows.append(_row(name, "", first, second, binary=first.dtype == bool and second.dtype == bool))
    if measures is None:
        counts, other_counts = run.counts, other.counts
        for kind in (kind for kind in counts if kind in other_counts):
            first = one[f"{kind}_defaults"].to_numpy(dtype=float) / counts[kind]
            second = two[f"{kind}_defaults"].to_numpy(dtype=float) / other_counts[kind]
            rows.append(_row(f"{kind}_default_probability", kind, first, second, binary=counts[kind] == 1 == other_counts[kind]))
    return Comparison(label, other_label, pd.DataFrame(rows))


def _row(name: str, kind: str, first: np.ndarray, second: np.ndarray, binary: bool) -> dict[str, Any]:
    if binary:
        one, two = (wilson(int((side > 0).sum()), len(side)) for side in (first, second))
        difference = paired_share_difference(first > 0, second > 0)
    else:
        kept = np.isfinite(first.astype(float)) & np.isfinite(second.astype(float))
        first, second = first[kept].astype(float), second[kept].astype(float)
        one, two = _mean(first, bool(kind)), _mean(second, bool(kind))
        difference = paired_mean_difference(first, second)
        if kind and difference.n and np.array_equal(first, second):
            # No difference in any replication is no proof that none can happen: bounds of a share of zero.
            bound = wilson(0, len(first)).high
            difference = Estimate(0.0, -bound, bound, len(first), "Wilson")
    return {
        "measure": name,
        "kind": kind,
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "other": two.value,
        "other_low": two.low,
        "other_high": two.high,
        "difference": difference.value,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "method": difference.method,
        "unpaired_width": unpaired_width(first.astype(float), second.astype(float)),
        "variance_reduction": variance_reduction(first.astype(float), second.astype(float)),
        "n": difference.n,
    }


def _mean(values: np.ndarray, share: bool) -> Estimate:
    return share_interval(values) if share else mean_interval(values)
