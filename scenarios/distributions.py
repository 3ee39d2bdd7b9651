"""Shocks of random size and date: what may stand in a YAML file in place of one number or one month.

A distribution is kept as its quantile function, so that one named uniform draw a replication gives the size or the date: the same luck in
every scenario that has the change, whatever else it has. Forms::

    multiply_by: {uniform: [0.3, 0.8]}            # low, high
    multiply_by: {triangular: [0.3, 0.6, 0.8]}    # low, most likely, high
    add: {normal: [0.02, 0.01, 0.0, 0.05]}        # mean, standard deviation, cut off at low and high
    set_to: {choice: [0.0, 0.5, 1.0]}             # equally likely
    starts: {uniform: [2026-06, 2027-06]}         # months, both ends possible
    set_to: {path: [[2026-01, 0.0363], [2026-07, 0.04]]}   # not random: from each month on, this value
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from simulator.errors import InputError, nearest

Array = NDArray[np.float64]

FORMS = {
    "uniform": "[low, high]",
    "triangular": "[low, most likely, high]",
    "normal": "[mean, standard deviation, low, high]",
    "choice": "[value, value, ...]",
}
"""Families and the numbers that each takes."""

_COUNTS = {"uniform": 2, "triangular": 3, "normal": 4}


@dataclass(frozen=True)
class Distribution:
    """One distribution: ``family`` as in `FORMS`, ``numbers`` as its form lists them."""

    family: str
    numbers: tuple[float, ...]

    @property
    def ends(self) -> tuple[float, float]:
        """Least and greatest value."""
        if self.family == "normal":
            return self.numbers[2], self.numbers[3]
        return min(self.numbers), max(self.numbers)

    @property
    def middle(self) -> float:
        """The median, which stands where one number is needed."""
        return float(self.quantile(np.array([0.5]))[0])

    def quantile(self, share: Array) -> Array:
        """Value under which a part ``share`` in [0, 1) of the draws lies, same shape."""
        numbers = self.numbers
        if self.family == "choice":
            ordered = np.array(sorted(numbers))
            return ordered[np.minimum((share * len(ordered)).astype(np.int64), len(ordered) - 1)]
        if self.family == "uniform":
            return numbers[0] + share * (numbers[1] - numbers[0])
        if self.family == "triangular":
            low, mode, high = numbers
            width = high - low
            turn = (mode - low) / width
            rising = low + np.sqrt(share * width * (mode - low))
            falling = high - np.sqrt((1.0 - share) * width * (high - mode))
            return np.where(share < turn, rising, falling)
        mean, deviation, low, high = numbers
        bottom, top = ndtr((low - mean) / deviation), ndtr((high - mean) / deviation)
        return np.clip(mean + deviation * ndtri(bottom + share * (top - bottom)), low, high)

    def whole(self, share: Array) -> NDArray[np.int64]:
        """The same for whole numbers, such as months: both ends of a uniform one are as likely as what is between."""
        if self.family == "uniform":
            low, high = self.numbers
            return np.minimum(np.floor(low + share * (high - low + 1.0)), high).astype(np.int64)
        return np.rint(self.quantile(share)).astype(np.int64)


def parse_distribution(key: str, value: Mapping[object, object], number: Callable[[str, object], float]) -> Distribution:
    """The distribution under ``key``; ``number(key, value)`` reads one of its numbers. InputError: one line with what is allowed."""
    allowed = ", ".join(f"{family}: {form}" for family, form in FORMS.items())
    if len(value) != 1:
        raise InputError(f"{key}: a distribution has exactly one family (allowed: {allowed})")
    ((family, numbers),) = value.items()
    if family not in FORMS:
        raise InputError(f"{key}: unknown distribution {str(family)!r}{nearest(str(family), FORMS)} (allowed: {allowed})")
    name = str(family)
    count = _COUNTS.get(name)
    if not isinstance(numbers, list | tuple) or (count is not None and len(numbers) != count) or not numbers:
        raise InputError(f"{key}: {name} takes {FORMS[name]}, not {numbers!r}")
    read = tuple(number(f"{key}: {name}", each) for each in numbers)
    if name != "choice":
        low, high = (read[2], read[3]) if name == "normal" else (read[0], read[-1])
        if not low < high or (name == "triangular" and not low <= read[1] <= high):
            raise InputError(f"{key}: {name}: the numbers of {FORMS[name]} must rise")
        if name == "normal" and not read[1] > 0.0:
            raise InputError(f"{key}: normal: the standard deviation {read[1]:g} is not above 0")
    return Distribution(name, read)


def value_at(path: tuple[tuple[int, float], ...], ticks: int) -> Array:
    """The value of a path in every tick, ``(ticks,)``; NaN before its first month. Steps: a value holds until the next month given."""
    values = np.full(ticks, math.nan)
    for start, value in path:
        values[max(start - 1, 0) :] = value
    return values
