"""Runs a scenario at many choices of uncertain parameters, side by side, on the same draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.changes import Scenario
from scenarios.parameters import Uncertain, resolve, with_uncertain
from scenarios.variation import varied
from simulator.engine.coalitions import ColumnSet, Variant
from simulator.errors import InputError
from simulator.experiments.bench import Bench

Array = NDArray[np.float64]


def uncertain_of(bench: Bench, asked: Sequence[str | Mapping[str, Any]], most: int) -> tuple[Uncertain, ...]:
    """The parameters asked for. InputError, one line that begins with ``experiment.parameters``."""
    try:
        return resolve(bench.economy, asked, bench.shock_parts() | bench.policy_parts(), most)
    except InputError as error:
        raise InputError(f"experiment.{error}") from None


def chosen_at(bench: Bench, uncertain: Sequence[Uncertain]) -> Scenario:
    """The chosen shock and policy, their uncertain sizes drawn by the design."""
    return bench.scenario("chosen", with_uncertain(bench.shock_parts() | bench.policy_parts(), uncertain))


def baseline_at(bench: Bench, uncertain: Sequence[Uncertain]) -> Scenario:
    """No shock under current rules, with uncertain levers where they are."""
    kept = [each for each in uncertain if not each.part or each.part == "lever/parameters"]
    return bench.scenario("baseline", with_uncertain({}, kept))


def variant_at(
    bench: Bench, scenario: Scenario, uncertain: Sequence[Uncertain], shares: Array, luck: NDArray[np.int64], mirrored: bool = False
) -> Variant:
    """A scenario at the points ``shares (P, d)`` with the replication numbers ``luck (P, L)`` at each."""
    try:
        numbers = varied(bench.economy, uncertain, shares)
    except InputError as error:
        raise InputError(f"experiment.{error}") from None
    places = np.repeat(np.arange(len(shares), dtype=np.int64), luck.shape[1])
    return Variant(dataclasses.replace(bench.economy, varied=numbers.at(places)), scenario, ColumnSet(luck.ravel(), mirrored=mirrored))


def outcomes_at(frame: pd.DataFrame, name: str, points: int) -> Array:
    """An outcome by point and draw of luck, ``(P, L)``; yes/no as 0 and 1."""
    return frame[name].to_numpy().astype(float).reshape(points, -1)


def described(uncertain: Sequence[Uncertain]) -> pd.DataFrame:
    """The table ``parameters``: one row a parameter, with its distribution and where it comes from."""
    return pd.DataFrame([
        {
            "parameter": each.name, "base": each.base, "low": each.ends[0], "high": each.ends[1], "distribution": each.distribution.family,
            "unit": each.unit, "source": each.source, "numbers": max(len(each.rows), 1),
        }
        for each in uncertain
    ])  # fmt: skip


def standard_errors(values: Array) -> Array:
    """Sampling error of the mean at each point from its draws of luck ``(P, L)``, ``(P,)``; NaN for one draw."""
    if values.shape[1] < 2:
        return np.full(len(values), np.nan)
    return np.asarray(values.std(axis=1, ddof=1) / np.sqrt(values.shape[1]))
