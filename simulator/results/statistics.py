"""Statistics of many comparisons: tests of paired differences, corrections, tails, what pairing gains, and how many replications suffice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from simulator.results.measures import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, Estimate
from simulator.streams import stream_of_seed

Array = NDArray[np.float64]
Sample = NDArray[Any]
POWER = 0.8
"""Probability with which a difference as large as the one seen would be told from zero, in `replications_to_tell`."""


def paired_p_value(first: Sample, second: Sample) -> float:
    """Two-sided p-value of no difference between paired samples ``(n,)``.

    Yes/no outcomes: the exact test of McNemar (1947) on the pairs that differ; otherwise Student's t on the differences. 1 when all pairs
    are equal, NaN for fewer than two.
    """
    first, second = np.asarray(first), np.asarray(second)
    if len(first) < 2:
        return float("nan")
    if first.dtype == bool and second.dtype == bool:
        more, less = int((first & ~second).sum()), int((~first & second).sum())
        from scipy.stats import binomtest  # all of scipy.stats takes a third of a second to load

        return float(binomtest(more, more + less, 0.5).pvalue) if more + less else 1.0
    gaps = first.astype(float) - second.astype(float)
    spread = float(gaps.std(ddof=1))
    if spread == 0.0:
        return 1.0 if gaps[0] == 0.0 else 0.0
    return float(2.0 * stdtr(len(gaps) - 1, -abs(gaps.mean()) / (spread / np.sqrt(len(gaps)))))


def holm(p_values: Sequence[float]) -> Array:
    """P-values adjusted so that the chance of any false claim stays below the level. Source: Holm (1979), Scand. J. Statistics 6, 65-70."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> Array:
    """P-values adjusted so that the expected share of false claims stays below the level. Source: Benjamini and Hochberg (1995), JRSS B 57."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")[::-1]
    ranks = np.arange(len(p), 0, -1)
    stepped = np.minimum.accumulate(p[order] * len(p) / ranks)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


CORRECTIONS = {"holm": holm, "benjamini_hochberg": benjamini_hochberg}


def pairing_ratio(first: Sample, second: Sample) -> float:
    """Standard error of the difference as paired over that of two independent samples, both ``(n,)``: below 1, pairing pays."""
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    apart = float(first.var(ddof=1) + second.var(ddof=1)) if len(first) > 1 else float("nan")
    if not apart > 0.0:
        return float("nan")
    return float(np.sqrt(max(float((first - second).var(ddof=1)), 0.0) / apart))


def least_pairing_ratio(one: float, other: float) -> float:
    """The least `pairing_ratio` that two yes/no outcomes of probabilities ``one`` and ``other`` can have.

    The covariance is at most min(p, q) - p q (one event inside the other), which leaves the variance |p - q| - (p - q)^2. Where the
    probabilities differ, pairing can't remove it. Source: the bounds of Frechet (1951) and Hoeffding (1940).
    """
    apart = one * (1.0 - one) + other * (1.0 - other)
    if not apart > 0.0:
        return float("nan")
    gap = abs(one - other)
    return float(np.sqrt(max(gap - gap * gap, 0.0) / apart))


def replications_to_tell(first: Sample, second: Sample, level: float = 0.95, power: float = POWER) -> float:
    """Paired replications with which a difference as large as the one seen is told from zero with probability ``power``.

    n = ((z_level + z_power) s / d)^2 with s and d the standard deviation and mean of the differences; inf when d is 0. It is the stated rule
    for how many replications suffice: as many as this, or as the reader wants to be able to tell.
    """
    gaps = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if len(gaps) < 2:
        return float("nan")
    mean, spread = float(gaps.mean()), float(gaps.std(ddof=1))
    if mean == 0.0:
        return float("inf")
    needed = ((ndtri(0.5 + level / 2.0) + ndtri(power)) * spread / mean) ** 2
    return float(max(np.ceil(needed), 2.0))


def tail_difference(first: Sample, second: Sample, tail: float = 0.95, level: float = 0.95, draws: int = BOOTSTRAP_DRAWS) -> Estimate:
    """Expected shortfall of ``first`` less that of ``second``, paired samples ``(n,)``, with a percentile bootstrap over pairs.

    Source: Acerbi and Tasche (2002); Efron and Tibshirani (1993), ch. 13.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    n = len(first)
    start = min(n - 1, int(np.ceil(tail * n)))

    def shortfall(values: Array) -> Array:
        return np.sort(values, axis=-1)[..., start:].mean(axis=-1)  # type: ignore[no-any-return]

    value = float(shortfall(first) - shortfall(second))
    if n < 2:
        return Estimate(value, np.nan, np.nan, n, "paired bootstrap", level)
    generator = stream_of_seed(BOOTSTRAP_SEED)
    resampled = []
    for _ in range(0, draws, 100):
        places = generator.integers(n, size=(100, n))
        resampled.append(shortfall(first[places]) - shortfall(second[places]))
    low, high = np.quantile(np.concatenate(resampled), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), n, "paired bootstrap", level)


def ratio_of_means(over: Sample, under: Sample, level: float = 0.95, draws: int = BOOTSTRAP_DRAWS) -> Estimate:
    """Mean of ``over`` by mean of ``under``, paired samples ``(n,)``, with a percentile bootstrap over pairs; NaN where the second is 0."""
    over, under = np.asarray(over, dtype=float), np.asarray(under, dtype=float)
    n, base = len(over), float(np.mean(under))
    value = float(np.mean(over)) / base if base else float("nan")
    if n < 2 or not base:
        return Estimate(value, np.nan, np.nan, n, "paired bootstrap", level)
    generator = stream_of_seed(BOOTSTRAP_SEED)
    found = []
    for _ in range(0, draws, 100):
        places = generator.integers(n, size=(100, n))
        below = under[places].mean(axis=1)
        found.append((over[places].mean(axis=1) / np.where(below == 0.0, np.nan, below))[below != 0.0])
    low, high = np.quantile(np.concatenate(found), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), n, "paired bootstrap", level)
