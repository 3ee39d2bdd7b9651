"""Shocks and policies: dated differences to levers, read from YAML and checked to the last key.

A file ``configs/shock/NAME.yaml`` (or ``policy/``) is a mapping of named changes::

    collateral_devaluation:
      lever: lab_shares.value
      multiply_by: 0.6          # exactly one of multiply_by | add | set_to
      starts: 2026-10           # or starts_after_months: 9 (nine months have passed: the tenth tick)
      builds_over_months: 0     # linear phase-in
      lasts_months: 12          # at full size; without it and without fades_over_months: for good
      fades_over_months: 18     # linear return to neutral
      agents: [openai]          # only these; also [largest ai_lab], [largest nonbank]: by market value, lenders by assets
      jurisdictions: [us, eu]   # only agents of these, as in the economy's agents.csv
      source: assumption        # or a key in configs/sources.bib or in the economy's sources.csv
      low: 0.3                  # range of the number
      high: 0.8

In place of a number or a month may stand a distribution, and in place of a number a path (`scenarios.distributions`); with
``probability: 0.3`` the change happens in so many of the replications.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from scenarios.distributions import Distribution, parse_distribution
from scenarios.lever_table import Lever, find_lever
from scenarios.levers import Population, reached_rows
from simulator.errors import InputError, nearest
from simulator.ledger.names import KINDS, LENDER_TYPES

OPERATIONS = ("multiply_by", "add", "set_to")
KEYS = (
    "lever",
    *OPERATIONS,
    "starts",
    "starts_after_months",
    "builds_over_months",
    "lasts_months",
    "fades_over_months",
    "agents",
    "jurisdictions",
    "probability",
    "source",
    "low",
    "high",
)
MONTHS_MAX = 1200


@dataclass(frozen=True)
class Change:
    """One dated move of one lever.

    starts: months after the start of the economy (1 = the month of the first tick). builds, lasts, fades: months (lasts None: for
    good, or one month when it fades). agents: ids, empty for all that the lever reaches. jurisdictions: where, empty for everywhere.
    low, high: range of ``amount`` or None.
    sizes, dates: distributions of amount and starts, which then hold the medians. probability: that the change happens at all.
    path: (month, amount) from each of which on the amount holds; ``amount`` and ``starts`` are the first. origin: the file, for messages.
    """

    name: str
    lever: str
    operation: str
    amount: float
    starts: int
    builds: int = 0
    lasts: int | None = None
    fades: int = 0
    agents: tuple[str, ...] = ()
    source: str = "assumption"
    low: float | None = None
    high: float | None = None
    sizes: Distribution | None = None
    dates: Distribution | None = None
    probability: float = 1.0
    path: tuple[tuple[int, float], ...] = ()
    jurisdictions: tuple[str, ...] = ()
    origin: str = field(default="", compare=False)

    @property
    def is_random(self) -> bool:
        """Whether size, date or occurrence differ from replication to replication."""
        return self.sizes is not None or self.dates is not None or self.probability < 1.0


@dataclass(frozen=True)
class Scenario:
    """What one run of an experiment is about: named shocks and policies, their changes together, and the channels that are on."""

    label: str
    shocks: tuple[str, ...]
    policies: tuple[str, ...]
    changes: tuple[Change, ...]
    channels: Mapping[str, bool]
    policy_changes: tuple[Change, ...] = ()  # those of the policies alone: the same rules without the shock


def month_number(date: object) -> int:
    """Months since the year 0 of a date ``YYYY-MM``; InputError when it is not one."""
    if isinstance(date, str) and (match := re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", date)):
        return int(match.group(1)) * 12 + int(match.group(2)) - 1
    shown = date.isoformat() if isinstance(date, datetime.date) else str(date)
    raise InputError(f"{shown!r} is not a month; write YYYY-MM, such as 2026-10")


def month_name(number: int) -> str:
    """``YYYY-MM`` of a month number."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def parse_changes(
    content: object, origin: str, *, start: str, horizon_months: int, sources: Collection[str], economy: Population | None = None
) -> tuple[Change, ...]:
    """The changes of one shock or policy file.

    content: what YAML gave (a mapping of changes by name, or None for an empty file). origin: ``shock/rate_hold``, for messages.
    start: month ``YYYY-MM`` of the opening balance sheets. sources: citation keys known beside ``assumption``.
    economy: checks the agents too when given. InputError: one line that names file, change, key, value and what is allowed.
    """
    if content is None:
        return ()
    if not isinstance(content, Mapping):
        raise InputError(f"{origin}: must be a mapping of named changes, not {_described(content)}")
    changes = []
    for name, entry in content.items():
        try:
            changes.append(replace(_parse_change(str(name), entry, start, horizon_months, sources, economy), origin=origin))
        except InputError as error:
            raise InputError(f"{origin}: {name}: {error}") from None
    return tuple(changes)


def _parse_change(
    name: str, entry: object, start: str, horizon_months: int, sources: Collection[str], economy: Population | None
) -> Change:
    if not isinstance(entry, Mapping):
        raise InputError(f"must be a change with a lever, not {_described(entry)} (a description belongs in a comment on the first line)")
    for key in entry:
        if key not in KEYS:
            raise InputError(f"unknown key {str(key)!r}{nearest(str(key), KEYS)} (allowed: {', '.join(KEYS)})")
    if "lever" not in entry:
        raise InputError("lever is missing")
    lever = find_lever(entry["lever"])
    operation, amount, sizes, path = _operation(entry, lever, start, horizon_months)
    low, high = sizes.ends if sizes is not None and "low" not in entry else _uncertainty(entry, operation, amount, lever)
    starts, dates = (path[0][0], None) if path else _start(entry, start, horizon_months)
    builds = _months(entry, "builds_over_months", 0) or 0
    fades = _months(entry, "fades_over_months", 0) or 0
    lasts = _months(entry, "lasts_months", 1)
    if path and (builds or fades or lasts is not None or "starts" in entry or "starts_after_months" in entry):
        raise InputError("a path has its own months: starts, builds_over_months, lasts_months and fades_over_months do not apply")
    if lever.unit == "flag" and (builds or fades or lasts is not None):
        raise InputError(f"{lever.name} happens at once: builds_over_months, lasts_months and fades_over_months do not apply")
    agents, where = _listed(entry, "agents", "[openai]"), _listed(entry, "jurisdictions", "[us]")
    if economy is not None:
        agents = tuple(_largest(agent, economy) if agent.startswith("largest ") else agent for agent in agents)
        reached_rows(lever, agents, economy, where)
    elif lever.scope == "global" and (agents or where):
        key = "agents" if agents else "jurisdictions"
        raise InputError(f"{key}: {lever.name} is a global lever and takes no {key}")
    if lever.unit == "flag" and not agents:
        raise InputError(f"{lever.name} needs agents: [...] – without it every agent would fail")
    return Change(
        name=name,
        lever=lever.name,
        operation=operation,
        amount=amount,
        starts=starts,
        builds=builds,
        lasts=lasts,
        fades=fades,
        agents=agents,
        source=_source(entry, sources),
        low=low,
        high=high,
        sizes=sizes,
        dates=dates,
        probability=_probability(entry),
        path=path,
        jurisdictions=where,
    )


Path = tuple[tuple[int, float], ...]


def _operation(entry: Mapping[object, object], lever: Lever, start: str, horizon_months: int) -> tuple[str, float, Distribution | None, Path]:
    """Operation, amount (the median of a distribution, the first of a path), distribution and path."""
    given = [operation for operation in OPERATIONS if operation in entry]
    if not given:
        raise InputError(f"says what to move but not how: give one of {', '.join(OPERATIONS)}")
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} exclude each other: give one of {', '.join(OPERATIONS)}")
    operation = given[0]
    if operation == "multiply_by" and lever.neutral == 0.0:
        raise InputError(f"multiply_by has no effect on {lever.name}, which is 0 without it: use add or set_to")
    given_value = entry[operation]
    if isinstance(given_value, Mapping) and list(given_value) == ["path"]:
        path = _path(given_value["path"], operation, lever, start, horizon_months)
        return operation, path[0][1], None, path
    if isinstance(given_value, Mapping):
        sizes = parse_distribution(operation, given_value, lambda key, value: _number({key: value}, key))
        for end in sizes.ends:
            _check_range(operation, operation, end, lever)
        return operation, sizes.middle, sizes, ()
    amount = _number(entry, operation)
    _check_range(operation, operation, amount, lever)
    return operation, amount, None, ()


def _path(points: object, operation: str, lever: Lever, start: str, horizon_months: int) -> Path:
    """(month of the run, amount) of every point of a path; the months rise, and the first lies inside the run."""
    form = "[[2026-01, 0.04], [2026-07, 0.035]]"
    if not isinstance(points, list | tuple) or not points or not all(isinstance(point, list | tuple) and len(point) == 2 for point in points):
        raise InputError(f"{operation}: path: takes months and values, such as {form}")
    path: list[tuple[int, float]] = []
    for date, value in points:
        key = f"{operation}: path"
        amount = _number({key: value}, key)
        _check_range(key, operation, amount, lever)
        try:
            month = month_number(date) - month_number(start)
        except InputError as error:
            raise InputError(f"{key}: {error}") from None
        if path and month <= path[-1][0]:
            raise InputError(f"{key}: {date} does not come after the month before it")
        path.append((month, amount))
    if not 1 <= path[0][0] <= horizon_months:
        raise InputError(f"{operation}: path: {points[0][0]} is outside the run ({_run(start, horizon_months)})")
    return tuple(path)


def _probability(entry: Mapping[object, object]) -> float:
    if "probability" not in entry:
        return 1.0
    value = _number(entry, "probability")
    if not 0.0 < value <= 1.0:
        raise InputError(f"probability: {value:g} is not above 0 and at most 1")
    return value


def _run(start: str, horizon_months: int) -> str:
    first = month_number(start) + 1
    return f"{month_name(first)} to {month_name(first + horizon_months - 1)}; horizon_months={horizon_months}"


def _check_range(key: str, operation: str, amount: float, lever: Lever) -> None:
    """The lever, moved by this change alone, must stand inside its range."""
    if operation == "multiply_by":
        low, high = lever.low / lever.neutral, lever.high / lever.neutral
    elif operation == "add":
        low, high = lever.low - lever.neutral, lever.high - lever.neutral
    else:
        low, high = lever.low, lever.high
    if not low <= amount <= high:
        side = "below" if amount < low else "above"
        bound = low if amount < low else high
        raise InputError(f"{key}: {amount:g} is {side} {bound:g} (allowed for {lever.name}: {low:g} to {high:g}, {lever.unit})")


def _uncertainty(entry: Mapping[object, object], operation: str, amount: float, lever: Lever) -> tuple[float | None, float | None]:
    if ("low" in entry) != ("high" in entry):
        raise InputError("low and high belong together: give both or none")
    if "low" not in entry:
        return None, None
    low, high = _number(entry, "low"), _number(entry, "high")
    if not low <= amount <= high:
        raise InputError(f"low {low:g} and high {high:g} do not bracket {operation} {amount:g}")
    _check_range("low", operation, low, lever)
    _check_range("high", operation, high, lever)
    return low, high


def _number(entry: Mapping[object, object], key: str) -> float:
    value = entry[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{key}: {str(value)!r} is not a number")
    return float(value)


def _months(entry: Mapping[object, object], key: str, low: int) -> int | None:
    value = entry.get(key)
    if value is None:
        if key in entry:
            raise InputError(f"{key}: is empty; give a whole number of months or leave it out")
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= MONTHS_MAX:
        raise InputError(f"{key}: {str(value)!r} is not a whole number of months from {low} to {MONTHS_MAX}")
    return value


def _start(entry: Mapping[object, object], start: str, horizon_months: int) -> tuple[int, Distribution | None]:
    """First month of the change, 1 for the first tick; the median and the distribution where the date is random."""
    if ("starts" in entry) == ("starts_after_months" in entry):
        both = "exclude each other: give one" if "starts" in entry else "are both missing: give one, such as starts: 2026-10"
        raise InputError(f"starts and starts_after_months {both}")
    if "starts_after_months" in entry:
        after = _months(entry, "starts_after_months", 0)
        if after is None or after >= horizon_months:
            raise InputError(
                f"starts_after_months: {after} is outside the run of {horizon_months} months (allowed 0 to {horizon_months - 1})"
            )
        return after + 1, None
    if isinstance(given := entry["starts"], Mapping):
        if "normal" in given:
            raise InputError("starts: a month has no normal distribution (allowed: uniform, triangular, choice)")
        dates = parse_distribution("starts", given, lambda _, date: float(_month_of_run(date, start, horizon_months)))
        return int(dates.whole(np.array([0.5]))[0]), dates
    return _month_of_run(given, start, horizon_months), None


def _month_of_run(date: object, start: str, horizon_months: int) -> int:
    try:
        month = month_number(date) - month_number(start)
    except InputError as error:
        raise InputError(f"starts: {error}") from None
    if not 1 <= month <= horizon_months:
        raise InputError(f"starts: {date} is outside the run ({_run(start, horizon_months)})")
    return month


def _listed(entry: Mapping[object, object], key: str, example: str) -> tuple[str, ...]:
    """A list of names, empty where the key is not given."""
    if key not in entry:
        return ()
    names = entry[key]
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{key}: {str(names)!r} is not a list of {'agent ids' if key == 'agents' else key}, such as {example}")
    if len(set(names)) < len(names):
        repeated = next(name for name in names if list(names).count(name) > 1)
        raise InputError(f"{key}: {repeated} is named twice")
    return tuple(names)


def _largest(words: str, economy: Population) -> str:
    """The agent behind ``largest KIND``: of a kind, a lender type, or ``nonbank`` (a lender that is no bank, or any where all are banks)."""
    group = words.removeprefix("largest ").strip()
    groups = (*KINDS, *LENDER_TYPES, "nonbank")
    if group not in groups:
        raise InputError(f"agents: {words!r} names no kind of agents{nearest(group, groups)}")
    rows = [
        row
        for row, (kind, lender_type) in enumerate(zip(economy.kinds, economy.lender_types, strict=True))
        if group in (kind, lender_type) or (group == "nonbank" and kind == "lender" and lender_type != "bank")
    ]
    if not rows and group == "nonbank":
        return _largest("largest lender", economy)
    if not rows:
        raise InputError(f"agents: {words!r}: this economy has no {group}")
    is_lender = economy.kinds[rows[0]] == "lender"
    sizes = economy.balance_sheet()["total_assets"] if is_lender else economy.values["market_value"]
    return economy.ids[max(rows, key=lambda row: float(sizes[row]))]


def _source(entry: Mapping[object, object], sources: Collection[str]) -> str:
    if "source" not in entry:
        raise InputError("source is missing: write assumption, or a citation key of configs/sources.bib")
    source = entry["source"]
    if source != "assumption" and source not in sources:
        hint = nearest(str(source), ["assumption", *sources])
        raise InputError(f"source: {str(source)!r} is neither 'assumption' nor a key of configs/sources.bib{hint}")
    return str(source)


def _described(value: object) -> str:
    if isinstance(value, list | tuple):
        return "a list"
    return repr(value) if isinstance(value, str) else f"{str(value)!r}"
