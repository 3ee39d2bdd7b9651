"""Measures of contagion with their sampling error: probabilities, means, tails, and who defaults when.

Every measure works on the tables of a run (one row a replication, one row a default, ...) and returns an `Estimate` or a
DataFrame with columns `value`, `low`, `high`. Replications are the independent draws, so every interval is taken over
replications: agents within one replication share their luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from simulator.errors import InputError, nearest, shown
from simulator.streams import stream_of_seed

FIRM_KINDS = ("chipmaker", "hyperscaler", "cloud", "project_company", "ai_lab", "investor", "lender")
LOSS_CHANNELS = ("direct", "counterparty", "orders", "equity", "margin", "fire_sale", "funding", "guarantee")
# The bootstrap is a statistic of a fixed sample, so its own seed is fixed: the same run always reports the same interval.
BOOTSTRAP_SEED = 20251201
BOOTSTRAP_DRAWS = 1000


@dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval: `value`, `low`, `high`, `n` (replications used), `method`, `level`."""

    value: float
    low: float
    high: float
    n: int
    method: str
    level: float = 0.95

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies wholly above or wholly below zero."""
        return bool(self.low > 0.0 or self.high < 0.0)

    def __str__(self) -> str:
        interval = f"{self.level * 100:g} % interval {self.low:.4g} to {self.high:.4g}, " if np.isfinite(self.low) else ""
        return f"{self.value:.4g} ({interval}n = {self.n}, {self.method})"


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Share of successes with Wilson's score interval. Source: Wilson (1927), JASA 22, 209–212."""
    if n <= 0:
        return Estimate(np.nan, np.nan, np.nan, 0, "wilson", level)
    z = float(ndtri(0.5 + level / 2.0))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and n the bound is exactly 0 and 1; rounding would leave 1e-17.
    low = 0.0 if successes == 0 else max(0.0, float(centre - half))
    high = 1.0 if successes == n else min(1.0, float(centre + half))
    return Estimate(share, low, high, n, "wilson", level)


def mean_interval(values: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean of (n,) values with Student's t interval; missing values are left out; no interval for fewer than two."""
    kept = np.asarray(values, dtype=float)
    kept = kept[np.isfinite(kept)]
    n = len(kept)
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0, "t", level)
    value = float(kept.mean())
    if n == 1:
        return Estimate(value, np.nan, np.nan, 1, "t", level)
    half = float(stdtrit(n - 1, 0.5 + level / 2.0) * kept.std(ddof=1) / np.sqrt(n))
    return Estimate(value, value - half, value + half, n, "t", level)


def is_indicator(values: pd.Series) -> bool:
    """Whether a column holds only yes/no values (bool, or 0 and 1)."""
    return bool(values.dtype == bool or values.dropna().isin([0, 1]).all())


def column_of(replications: pd.DataFrame, column: Any) -> pd.Series:
    """A column of the replications table; InputError with the nearest name when there is none."""
    if not isinstance(column, str) or column not in replications.columns:
        raise InputError(f"replications has no column {shown(column)}{nearest(str(column), replications.columns)}")
    return replications[column]


def probability(replications: pd.DataFrame, column: str = "systemic", level: float = 0.95) -> Estimate:
    """Share of replications in which `column` is true, or above zero for a count or an amount, with Wilson's interval."""
    values = column_of(replications, column).dropna()
    return wilson(int((values > 0).sum()), len(values), level)


def mean(replications: pd.DataFrame, column: str, level: float = 0.95) -> Estimate:
    """Mean of `column` over replications with Student's t interval (Wilson's for a yes/no column)."""
    values = column_of(replications, column)
    if values.dtype == bool:
        return probability(replications, column, level)
    return mean_interval(values.to_numpy(dtype=float), level)


def bootstrap(values: np.ndarray, tail: float, average: bool, level: float = 0.95, draws: int = BOOTSTRAP_DRAWS) -> Estimate:
    """Quantile at `tail` (or the mean of the values from it upwards) of (n,) values with a percentile bootstrap interval.

    Source: Efron and Tibshirani (1993), ch. 13. The tail starts at order statistic ceil(tail n), so that the worst
    1 - tail of the replications are in it.
    """
    ordered = np.sort(np.asarray(values, dtype=float)[np.isfinite(values)])
    n = len(ordered)
    name = "bootstrap"
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0, name, level)
    first = min(n - 1, max(0, int(np.ceil(tail * n)) - (0 if average else 1)))
    value = float(ordered[first:].mean() if average else ordered[first])
    if n == 1:
        return Estimate(value, np.nan, np.nan, 1, name, level)
    generator = stream_of_seed(BOOTSTRAP_SEED)
    resampled = np.empty(draws)
    block = max(1, 2_000_000 // n)  # bounds memory: 16 MB of positions at a time
    for start in range(0, draws, block):
        positions = np.sort(generator.integers(n, size=(min(block, draws - start), n), dtype=np.int32), axis=1)
        drawn = ordered[positions[:, first:] if average else positions[:, first : first + 1]]
        resampled[start : start + len(drawn)] = drawn.mean(axis=1)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), n, name, level)


def value_at_risk(replications: pd.DataFrame, column: str = "total_loss", tail: float = 0.95) -> Estimate:
    """Loss that is not exceeded in a share `tail` of the replications; unit of the column."""
    return bootstrap(column_of(replications, column).to_numpy(dtype=float), tail, average=False)


def expected_shortfall(replications: pd.DataFrame, column: str = "total_loss", tail: float = 0.95) -> Estimate:
    """Mean of the worst 1 - `tail` of the replications; unit of the column. Source: Acerbi and Tasche (2002)."""
    return bootstrap(column_of(replications, column).to_numpy(dtype=float), tail, average=True)


def severity(replications: pd.DataFrame, column: str = "total_loss", given: str = "systemic") -> Estimate:
    """Mean of `column` over the replications in which `given` is true; NaN with n = 0 when there is none.

    Reported apart from the probability because outcomes are bimodal: most replications lose little, a few very much.
    """
    return mean_interval(replications.loc[column_of(replications, given) > 0, column].to_numpy(dtype=float))


def agent_counts(replications: pd.DataFrame, nodes: pd.DataFrame | None = None, defaults: pd.DataFrame | None = None) -> dict[str, int]:
    """Number of agents of every kind whose defaults are counted in the replications table.

    Taken from the network's nodes; without them from the alive shares, and at worst from the names that ever default.
    """
    counts: dict[str, int] = {}
    for kind in FIRM_KINDS:
        if f"{kind}_defaults" not in replications.columns:
            continue
        listed = 0 if nodes is None or nodes.empty else int((nodes["kind"] == kind).sum())
        if not listed and f"{kind}_alive_share" in replications.columns:
            failed = 1.0 - replications[f"{kind}_alive_share"].to_numpy(dtype=float)
            some = failed > 1e-9
            listed = round(float((replications.loc[some, f"{kind}_defaults"] / failed[some]).max())) if some.any() else 0
        if not listed and defaults is not None and len(defaults):
            listed = int(defaults.loc[defaults["kind"] == kind, "agent"].nunique())
        if listed:
            counts[kind] = listed
    return counts


def default_share(replications: pd.DataFrame, kind: str, count: int) -> Estimate:
    """Default probability of one agent of a kind: share of the kind's agents that default within the horizon.

    Interval over replications; with no default at all, Wilson's upper bound for that many replications (cautious, because
    the agents of one replication are not independent).
    """
    return share_interval(replications[f"{kind}_defaults"].to_numpy(dtype=float) / count)


def share_interval(shares: np.ndarray) -> Estimate:
    """Mean of (n,) shares in [0, 1] with a t interval kept in [0, 1]; Wilson's bound when all are 0 or all are 1."""
    estimate = mean_interval(shares)
    if estimate.n and (np.all(shares == 0.0) or np.all(shares == 1.0)):
        bound = wilson(int(shares[0]) * estimate.n, estimate.n)
        return Estimate(estimate.value, bound.low, bound.high, estimate.n, "wilson")
    return Estimate(estimate.value, float(np.clip(estimate.low, 0, 1)), float(np.clip(estimate.high, 0, 1)), estimate.n, "t")


def default_probability_by_kind(replications: pd.DataFrame, counts: Mapping[str, int]) -> pd.DataFrame:
    """Per kind: `agents`; `value`, `low`, `high` = share of its agents that default within the horizon; `any`, `any_low`,
    `any_high` = probability that at least one does."""
    rows = []
    for kind, count in counts.items():
        share = default_share(replications, kind, count)
        at_least_one = probability(replications, f"{kind}_defaults")
        rows.append((kind, count, share.value, share.low, share.high, at_least_one.value, at_least_one.low, at_least_one.high))
    return pd.DataFrame(rows, columns=["kind", "agents", "value", "low", "high", "any", "any_low", "any_high"])


REPLICATIONS_AT_A_TIME = 20_000


def default_probability_over_time(
    defaults: pd.DataFrame, replications: pd.DataFrame, counts: Mapping[str, int], months: int, level: float = 0.95
) -> pd.DataFrame:
    """Cumulative share of each kind's agents that have defaulted by the end of each month.

    Columns `kind`, `month` (0 = start, 1 = end of the first tick, ...), `value`, `low`, `high`; t interval over replications.
    """
    numbers = np.sort(replications["replication"].to_numpy())
    n = len(numbers)
    first = defaults[["replication", "agent", "kind", "tick"]].sort_values("tick").drop_duplicates(["replication", "agent"])
    first = first[first["replication"].isin(numbers) & (first["tick"] < months)]
    bound = wilson(0, n, level).high
    critical = float(stdtrit(n - 1, 0.5 + level / 2.0)) if n > 1 else np.nan
    frames = []
    for kind, count in counts.items():
        of_kind = first[first["kind"] == kind]
        place, tick = np.searchsorted(numbers, of_kind["replication"].to_numpy()), of_kind["tick"].to_numpy()
        total, squares = np.zeros(months + 1), np.zeros(months + 1)
        for start in range(0, n, REPLICATIONS_AT_A_TIME):  # whole numbers, added exactly however the replications are cut
            width = min(REPLICATIONS_AT_A_TIME, n - start)
            here = (place >= start) & (place < start + width)
            monthly = np.bincount((place[here] - start) * months + tick[here], minlength=width * months).reshape(width, months)
            failed = np.cumsum(monthly, axis=1)
            total[1:] += failed.sum(axis=0)
            squares[1:] += np.square(failed).sum(axis=0)
        value = total / (n * count)
        variance = np.maximum(squares - total**2 / n, 0.0) / (count**2 * max(n - 1, 1))
        half = critical * np.sqrt(variance / n) if n > 1 else np.full(months + 1, np.nan)
        high = np.where(value > 0, np.clip(value + half, 0, 1), np.where(np.arange(months + 1) > 0, bound, 0.0))
        low = np.clip(value - half, 0, 1)
        frames.append(pd.DataFrame({"kind": kind, "month": np.arange(months + 1), "value": value, "low": low, "high": high}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["kind", "month", "value", "low", "high"])


def cascade_size_distribution(replications: pd.DataFrame, edges: tuple[int, ...] | None = None) -> pd.DataFrame:
    """Share of replications by cascade size (defaults caused by another agent's loss), with Wilson intervals.

    `edges` = first size of each class (default: every size up to the largest). Columns `first`, `last`, `count`, `value`,
    `low`, `high`, and `at_least` = share of replications with a cascade of size `first` or more.
    """
    sizes = column_of(replications, "cascade_size").to_numpy(dtype=int)
    largest = int(sizes.max()) if len(sizes) else 0
    starts = list(edges) if edges is not None else list(range(largest + 1))
    rows = []
    for position, first in enumerate(starts):
        last = starts[position + 1] - 1 if position + 1 < len(starts) else max(largest, first)
        count = int(((sizes >= first) & (sizes <= last)).sum())
        share = wilson(count, len(sizes))
        rows.append((first, last, count, share.value, share.low, share.high, float((sizes >= first).mean()) if len(sizes) else np.nan))
    return pd.DataFrame(rows, columns=["first", "last", "count", "value", "low", "high", "at_least"])


def loss_by_channel(replications: pd.DataFrame, given: str | None = None) -> pd.DataFrame:
    """Mean loss of a replication by channel, USD bn: `channel`, `value`, `low`, `high`, `share` of the total.

    An account of postings, not a counterfactual: with a channel switched off the other channels change too.
    `given` restricts to replications in which that column is true.
    """
    rows = replications if given is None else replications[column_of(replications, given) > 0]
    named = [channel for channel in LOSS_CHANNELS if f"loss_{channel}" in replications.columns]
    estimates = [mean_interval(rows[f"loss_{channel}"].to_numpy(dtype=float)) for channel in named]
    total = sum(estimate.value for estimate in estimates)
    columns = {
        "channel": named,
        "value": [estimate.value for estimate in estimates],
        "low": [max(estimate.low, 0.0) for estimate in estimates],
        "high": [estimate.high for estimate in estimates],
        "share": [estimate.value / total if total > 0 else np.nan for estimate in estimates],
    }
    return pd.DataFrame(columns)


def loss_by_bearer(losses: pd.DataFrame, nodes: pd.DataFrame | None, n: int, by: str = "kind") -> pd.DataFrame:
    """Who bears the losses: mean loss of a replication (USD bn) and its share by kind of agent or by agent.

    Columns `by`, `value`, `share`, largest first. `n` = number of replications (those without a loss count as zero).
    """
    amounts = losses.groupby("to_agent", observed=True)["amount"].sum() / max(n, 1)
    if by == "kind":
        kind = {} if nodes is None else dict(zip(nodes["agent"], nodes["kind"], strict=True))
        amounts = amounts.groupby(lambda agent: kind.get(agent, "outside")).sum()
    amounts = amounts[amounts > 0].sort_values(ascending=False)
    total = float(amounts.sum())
    return pd.DataFrame(
        {by: amounts.index.astype(str), "value": amounts.to_numpy(), "share": amounts.to_numpy() / total if total else np.nan}
    )


def concentration(shares: np.ndarray) -> float:
    """Herfindahl–Hirschman index of (n,) amounts: 1/n when spread evenly, 1 when one bears all; NaN when the total is 0."""
    amounts = np.asarray(shares, dtype=float)
    total = float(amounts.sum())
    return float(np.square(amounts / total).sum()) if total > 0 else float("nan")


def median_systemic_replication(replications: pd.DataFrame) -> int | None:
    """Replication of middle severity among the systemic ones (by defaults, then loss); None when there is none."""
    systemic = replications[replications["systemic"] > 0].sort_values(["defaults", "total_loss", "replication"])
    return None if systemic.empty else int(systemic["replication"].iloc[(len(systemic) - 1) // 2])
