"""What the ways to estimate a rare event share: results of a pilot and of a repetition, and the gain over brute force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

PILOT = 1 << 16
"""Repetitions from this number on belong to pilots: their luck is never counted."""


class Stage(NamedTuple):
    """A stage of the pilot: the level it set (infinite: the event), the share of paths that reached it, hits, paths."""

    level: float
    share: float
    hits: int
    paths: int


class Estimate(NamedTuple):
    """One repetition: the estimate, the share that went on at each level (the last: hits), hits among the last paths, and ticks of work."""

    value: float
    shares: tuple[float, ...]
    hits: int
    work: int


@dataclass(frozen=True)
class Gain:
    """How much better than brute force: (variance × work) of brute force over that of the method, with a 95 % interval."""

    value: float
    low: float
    high: float


def mean_and_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float, float]:
    """Mean of independent repetitions, its standard error, and Student's interval, not below zero."""
    given = np.array(values)
    mean, error = float(given.mean()), float(given.std(ddof=1) / np.sqrt(len(given)))
    reach = float(stats.t.ppf(0.5 + level / 2, len(given) - 1)) * error
    return mean, error, max(mean - reach, 0.0), mean + reach


def gain(values: Sequence[float], work: float, ticks: int, level: float = 0.95) -> Gain:
    """Gain over brute force, whose variance is p (1 - p) for ``ticks`` of work; NaN where no repetition found anything.

    ``work``: mean ticks of a repetition, the pilot's share included. The interval is that of the variance of the repetitions (chi-squared, for
    repetitions that are nearly normal, and with p as estimated).
    """
    given = np.array(values)
    mean, variance = float(given.mean()), float(given.var(ddof=1))
    if variance <= 0.0:
        return Gain(np.nan, np.nan, np.nan)
    value = mean * (1.0 - mean) * ticks / (variance * work)
    free = len(given) - 1
    low, high = (float(stats.chi2.ppf(tail, free)) / free for tail in (0.5 - level / 2, 0.5 + level / 2))
    return Gain(value, value * low, value * high)
