"""Doses: a shock, a policy or a lever as one number that can be turned up and down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scenarios.changes import Change, parse_changes
from scenarios.distributions import Distribution
from scenarios.lever_table import LEVERS, find_lever
from simulator.errors import InputError, nearest
from simulator.experiment_settings import Axis
from simulator.experiments.bench import Bench, Parts

OPERATION_OF = {"multiply": "multiply_by", "add": "add", "set": "set_to"}


@dataclass(frozen=True)
class Dimension:
    """An axis that is ready to run. ``parts(dose)`` gives the changes at a dose, to be laid over those of the chosen scenario.

    ``saturated``: changes that stand at their lever's bound before the end of the grid, with the dose from which on they do.
    """

    name: str
    unit: str
    neutral: float
    grid: tuple[float, ...]
    parts: Callable[[float], Parts]
    saturated: Mapping[str, float] = field(default_factory=dict)


def bounds(change: Change) -> tuple[float, float, float]:
    """Neutral amount of a change, and the lowest and highest amounts that keep its lever in range."""
    lever = LEVERS[change.lever]
    if change.operation == "multiply_by":
        return 1.0, lever.low / lever.neutral, lever.high / lever.neutral
    if change.operation == "add":
        return 0.0, lever.low - lever.neutral, lever.high - lever.neutral
    return lever.neutral, lever.low, lever.high


def scaled(change: Change, dose: float) -> Change:
    """A change at ``dose`` times its size: the addend, or the distance of the factor or the value set from neutral; held at its lever's range.

    A random size is scaled number by number of its distribution, a path month by month; dates and probability stay.
    """
    neutral, low, high = bounds(change)

    def at(amount: float) -> float:
        return min(max(neutral + (amount - neutral) * dose, low), high)

    sizes = change.sizes
    if sizes is not None:
        numbers = [at(number) for number in sizes.numbers]
        if sizes.family == "normal":
            numbers[1] = max(sizes.numbers[1] * dose, 1e-12)
        sizes = Distribution(sizes.family, tuple(numbers))
        if sizes.family != "choice" and not sizes.ends[0] < sizes.ends[1]:
            sizes = None  # all of it stands at the bound
    path = tuple((month, at(amount)) for month, amount in change.path)
    return replace(change, amount=at(change.amount), sizes=sizes, path=path)


def dose_at_bound(change: Change) -> float:
    """The dose from which on a change stands at the bound of its lever (infinite for a change of nothing)."""
    neutral, low, high = bounds(change)
    if change.amount == neutral:
        return float("inf")
    return ((high if change.amount > neutral else low) - neutral) / (change.amount - neutral)


def largest_dose(changes: Iterable[Change]) -> float:
    """The dose above which nothing changes any more, because every change stands at its bound (0 when there is none)."""
    return max((dose_at_bound(change) for change in changes if change.amount != bounds(change)[0]), default=0.0)


def saturated(changes: Iterable[Change], dose: float) -> dict[str, float]:
    """Changes that stand at the bound of their lever before ``dose`` is reached, with the dose from which on they do."""
    return {change.name: dose_at_bound(change) for change in changes if dose_at_bound(change) < dose - 1e-9}


def scaled_parts(parts: Parts, dose: float) -> Parts:
    """Every change at a dose; none at dose 0."""
    return {key: tuple(scaled(change, dose) for change in changes) if dose else () for key, changes in parts.items()}


def dimension(bench: Bench, axis: Axis, files: Mapping[str, Mapping[str, Mapping[str, Any]]], key: str = "experiment") -> Dimension:
    """An axis made ready, every dose of its grid checked.

    ``files``: contents of named files by group. InputError, one line that begins with ``key``: an unknown lever, a file that changes nothing,
    a dose out of a lever's range, dates on a file's axis.
    """
    group, dot, name = axis.vary.partition(".")
    if axis.vary in ("shock", "policy") or (dot and group in files and name in files[group]):
        made = _of_files(bench, axis, files, key)
    else:
        made = _of_lever(bench, axis, key)
    for dose in made.grid:
        try:
            made.parts(dose)
        except InputError as error:
            raise InputError(f"{key}.grid: {error}") from None
    return made


def _of_files(bench: Bench, axis: Axis, files: Mapping[str, Mapping[str, Mapping[str, Any]]], key: str) -> Dimension:
    group, _, name = axis.vary.partition(".")
    if given := [*axis.keys(), *(["operation"] if axis.operation else [])]:
        raise InputError(f"{key}.{given[0]}: belongs to an axis that is a lever; the files of {axis.vary} have dates of their own")
    chosen = bench.settings.shock if group == "shock" else bench.settings.policy
    parts = bench.parsed(group, {name: files[group][name]} if name else chosen)
    changes = tuple(change for found in parts.values() for change in found)
    if not changes:
        what = name or "+".join(chosen)
        raise InputError(f"{key}.vary: {group}={what} changes nothing, so its size can't be varied (choose another {group})")
    most = largest_dose(changes)
    for dose in axis.grid:
        if not 0.0 <= dose <= most + 1e-9:
            side = "below 0" if dose < 0 else f"above {most:.3g}, where every lever of the {group} stands at the bound of its range"
            raise InputError(f"{key}.grid: {dose:g} is {side} (a dose is times the size of the {group}: allowed 0 to {most:.3g})")
    grid, found = tuple(sorted(set(axis.grid))), saturated(changes, max(axis.grid))
    words = (name or " + ".join(chosen)).replace("_", " ")
    return Dimension(words, f"times the size of the {group}", 0.0, grid, lambda dose: scaled_parts(parts, dose), found)


def _of_lever(bench: Bench, axis: Axis, key: str) -> Dimension:
    known = ("shock", "policy", *LEVERS)
    if axis.vary not in LEVERS:
        hint = nearest(axis.vary, known)
        raise InputError(
            f"{key}.vary: {axis.vary!r} is no lever{hint} (allowed: shock, policy, shock.NAME, policy.NAME, or a lever; "
            "capital-loop --info levers lists all)"
        )
    lever = find_lever(axis.vary)
    operation = axis.operation or OPERATION_OF[lever.operation]
    neutral = {"multiply_by": 1.0, "add": 0.0, "set_to": lever.neutral}[operation]
    dated = axis.keys()
    if "starts" not in dated and "starts_after_months" not in dated:
        dated["starts_after_months"] = 0
    name = axis.vary.replace(".", "_")

    def parts(value: float) -> Parts:
        if value == neutral:
            return {f"lever/{name}": ()}
        entry = {"lever": axis.vary, operation: value, "source": "assumption", **dated}
        found = parse_changes(
            {name: entry}, "lever", start=bench.economy.start, horizon_months=bench.plan.horizon_months, sources=(), economy=bench.economy
        )
        return {f"lever/{name}": found}

    words = {"multiply_by": "factor on ", "add": "added to ", "set_to": ""}[operation]
    return Dimension(axis.vary, f"{words}{lever.unit}".strip(), neutral, tuple(sorted(set(axis.grid))), parts)
