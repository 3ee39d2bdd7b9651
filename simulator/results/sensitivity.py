"""Statistics of designs: intervals from independent parts of a design, the split of variance, Sobol' indices and elementary effects.

Pure functions on arrays; useful alone. Resampling is seeded, so that a saved run tells the same numbers again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from simulator.results.measures import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, Estimate
from simulator.streams import stream_of_seed

Array = NDArray[np.float64]


def group_means(values: Array, groups: NDArray[np.int64]) -> Array:
    """Mean of ``values (n,)`` in each independent part of a design, ``(G,)``."""
    size = np.bincount(groups)
    return np.bincount(groups, weights=np.asarray(values, dtype=float)) / size


def design_interval(values: Array, groups: NDArray[np.int64], level: float = 0.95) -> Estimate:
    """Mean over a design with the interval of Student's t on the means of its independent parts (Owen 1997 for randomised nets)."""
    means = group_means(values, groups)
    value, n = float(means.mean()), len(means)
    if n < 2:
        return Estimate(value, np.nan, np.nan, n, "t on parts of the design", level)
    half = float(stdtrit(n - 1, 0.5 + level / 2.0) * means.std(ddof=1) / np.sqrt(n))
    return Estimate(value, value - half, value + half, n, "t on parts of the design", level)


def efficiency(values: Array, groups: NDArray[np.int64]) -> float:
    """How many times the variance of the mean a plain design of as many replications would have; NaN where nothing varies."""
    means = group_means(values, groups)
    own = float(means.var(ddof=1)) / len(means) if len(means) > 1 else float("nan")
    plain = float(np.var(np.asarray(values, dtype=float), ddof=1)) / len(values)
    return plain / own if own > 0.0 else float("nan")


@dataclass(frozen=True)
class VarianceSplit:
    """Variance of an outcome: ``total`` = ``between`` parameters + ``within`` (luck at given parameters); ``share`` of the first, with interval."""

    total: float
    between: float
    within: float
    share: Estimate


def variance_split(values: Array, level: float = 0.95, draws: int = BOOTSTRAP_DRAWS) -> VarianceSplit:
    """Law of total variance on a nested design ``values (points, luck)``: Var Y = Var E[Y|x] + E Var[Y|x].

    The means at the points vary by luck too, so between = variance of the means - within / luck (the unbiased one-way estimate, Searle, Casella and
    McCulloch 1992, ch. 3); ``share`` is held in [0, 1]. The interval is a percentile bootstrap over points.
    """
    values = np.asarray(values, dtype=float)
    points, luck = values.shape
    means, spreads = values.mean(axis=1), values.var(axis=1, ddof=1)
    within = float(spreads.mean())
    between = float(means.var(ddof=1)) - within / luck
    generator = stream_of_seed(BOOTSTRAP_SEED)
    chosen = generator.integers(points, size=(draws, points))
    inner = spreads[chosen].mean(axis=1)
    outer = means[chosen].var(axis=1, ddof=1) * points / (points - 1.0) - inner / luck  # a resample of points shrinks their variance
    known = _share(outer, inner)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]) if within + between > 0.0 else (np.nan, np.nan)
    share = Estimate(float(_share(np.array([between]), np.array([within]))[0]), float(low), float(high), points, "bootstrap over points", level)
    return VarianceSplit(within + between, between, within, share)


def _share(between: Array, within: Array) -> Array:
    total = between + within
    return np.clip(np.divide(between, total, out=np.zeros_like(total), where=total > 0.0), 0.0, 1.0)


# ---------------------------------------------------------------------- Sobol' indices


@dataclass(frozen=True)
class Index:
    """A Sobol' index of every parameter ``(d,)`` with its interval; ``luck_error``: standard error of it by the draws of luck, ``(d,)``."""

    value: Array
    low: Array
    high: Array
    luck_error: Array


def sobol_indices(values: Array, parameters: int, level: float = 0.95, draws: int = BOOTSTRAP_DRAWS) -> tuple[Index, Index]:
    """First-order and total indices from outcomes on `saltelli_design`, ``values ((d + 2) n,)`` or with the draws of luck ``((d + 2) n, R)``.

    First order: Saltelli et al. (2010), (b) of Table 2; total: Jansen (1999), (f). Both on outcomes less their mean. With luck the indices are those
    of the mean over the draws, which are the same at every point. Intervals: percentile bootstrap over the n base points; ``luck_error``: jackknife
    over the draws (NaN for one draw).
    """
    values = np.asarray(values, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    blocks = values.reshape(parameters + 2, -1, values.shape[1])
    mean = blocks.mean(axis=2)
    first, total = _indices(mean)
    generator = stream_of_seed(BOOTSTRAP_SEED)
    n = mean.shape[1]
    drawn = [_indices(mean[:, generator.integers(n, size=n)]) for _ in range(draws)]
    luck = blocks.shape[2]
    left = [_indices((mean * luck - blocks[:, :, one]) / (luck - 1)) for one in range(luck)] if luck > 1 else []
    answers = []
    for place, value in enumerate((first, total)):
        low, high = np.nanquantile(np.array([each[place] for each in drawn]), [(1 - level) / 2, (1 + level) / 2], axis=0) if n > 1 else (value, value)
        if left:
            kept = np.array([each[place] for each in left])
            error = np.sqrt((luck - 1.0) / luck * ((kept - kept.mean(axis=0)) ** 2).sum(axis=0))
        else:
            error = np.full(parameters, np.nan)
        answers.append(Index(value, low, high, error))
    return answers[0], answers[1]


def _indices(blocks: Array) -> tuple[Array, Array]:
    """First-order and total indices of outcomes ``(d + 2, n)``; zero where the outcome does not vary."""
    both = blocks[:2].ravel()
    spread = float(both.var())
    if not spread > 0.0:
        return np.zeros(len(blocks) - 2), np.zeros(len(blocks) - 2)
    centred = blocks - both.mean()
    change = centred[2:] - centred[0]
    return (centred[1] * change).mean(axis=1) / spread, 0.5 * (change**2).mean(axis=1) / spread


# ---------------------------------------------------------------------- Morris


@dataclass(frozen=True)
class Effects:
    """Elementary effects of every parameter ``(d,)``: mean of their sizes ``mu_star`` with interval, mean ``mu``, and ``sigma``, their spread."""

    mu_star: Array
    low: Array
    high: Array
    mu: Array
    sigma: Array


def morris_effects(points: Array, values: Array, level: float = 0.95, draws: int = BOOTSTRAP_DRAWS) -> Effects:
    """Elementary effects on `morris_design`: ``points (trajectories, d + 1, d)``, ``values (trajectories, d + 1)``; per full range of the parameter.

    mu* is the mean of absolute effects (Campolongo, Cariboni and Saltelli 2007); a large sigma means that the effect depends on the other parameters
    or is not linear. Interval of mu*: percentile bootstrap over trajectories.
    """
    step = np.diff(points, axis=1)
    column = np.abs(step).argmax(axis=2)
    size = np.take_along_axis(step, column[:, :, None], axis=2)[:, :, 0]
    effects = np.empty_like(size)
    np.put_along_axis(effects, column, np.diff(np.asarray(values, dtype=float), axis=1) / size, axis=1)
    sizes, count = np.abs(effects), len(effects)
    generator = stream_of_seed(BOOTSTRAP_SEED)
    drawn = sizes[generator.integers(count, size=(draws, count))].mean(axis=1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    sigma = effects.std(axis=0, ddof=1) if count > 1 else np.full(effects.shape[1], np.nan)
    return Effects(sizes.mean(axis=0), low, high, effects.mean(axis=0), sigma)
