"""Uncertain parameters: what a user names, where it stands in the economy, and the distribution that it is drawn from.

A name is one of::

    macro.recovery_unsecured                        # an item of macro.csv
    openai.cash   cloud.depreciation_rate   all.tax_rate   # an item of an agent, a kind, a lender type, or all (figures.csv, parameters.csv)
    oai_orcl_300.take_or_pay                        # a column of a contract row
    shock.rate_hold.cuts_priced_out                 # the size of a change of the chosen shock (or policy.FILE.CHANGE)
    lever.lender.risk_appetite                      # a lever, moved from the first month on

A group's number reaches those of the group who have none of their own, a factor on it all of them. Without more words a number is uniform over the
``low`` and ``high`` of its row; a mapping says otherwise::

    {name: all.tax_rate, low: 0.1, high: 0.2}
    {name: openai.cash, triangular: [20, 30, 50]}           # a family of scenarios.distributions
    {name: hyperscaler.capex, multiply_by: {uniform: [0.8, 1.2]}}
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.changes import Change
from scenarios.distributions import FORMS, Distribution, parse_distribution
from scenarios.economy import Economy, Fact
from scenarios.items import AGENT_ITEMS, MACRO_ITEMS, Item
from scenarios.lever_table import LEVERS
from scenarios.schema import CONTRACTS, TABLES
from simulator.errors import InputError, nearest
from simulator.ledger.names import KINDS, LENDER_TYPES

Array = NDArray[np.float64]
Parts = Mapping[str, tuple[Change, ...]]

COLUMNS = {
    "loans": ("principal", "undrawn", "rate"), "stakes": ("value", "tranche_remaining", "unvested", "round_share"),
    "orders": ("amount", "take_or_pay", "supply_share", "ramp_months"), "leases": ("rent",), "guarantees": ("notional",),
}  # fmt: skip
"""Columns of contracts that may be uncertain."""

FOLLOWS = {
    "deposits": "deposits follow from the cash that others hold; vary cash",
    "equity_book": "book equity follows from the other stocks; vary them",
    "ai_chain_value": "it is the sum over the agents; vary market_value",
    "asset_recovery": "it is no range in the tables; vary macro.recovery_unsecured",
    "claim_recovery": "it is no range in the tables; vary macro.recovery_unsecured",
}
"""Items that are computed from others, and what to vary instead."""

CHOSEN_FIRST = (
    "cloud.depreciation_rate", "macro.recovery_unsecured", "all.growth_decay", "cloud.revenue_volatility", "ai_lab.revenue_volatility",
    "ai_lab.runway_target_months", "macro.long_run_policy_rate", "all.cash_floor_months", "all.power_needed_per_capacity", "bank.growth_room",
    "macro.policy_rate_cut_2026", "cloud.market_beta", "ai_lab.market_beta", "macro.price_impact_unlisted", "macro.securities_depth",
)  # fmt: skip
"""Parameters in the order in which they are taken where the user names none: those that moved losses and defaults most when all ranges of groups and
of ``macro.csv`` of ``us_ai_2025`` were screened by Morris' method (docs/designs.md)."""


@dataclass(frozen=True)
class Uncertain:
    """One uncertain parameter. ``table``, ``column``, ``rows``: where it stands (`scenarios.variation`); of a lever or a change, the ``purpose`` of
    the named draw that it takes the place of, and the ``change`` itself (``part``: the file that it comes from).

    ``base``: the number in the tables (NaN for a group whose members differ, 1 for a factor); ``is_factor``: it multiplies what the tables have.
    """

    name: str
    distribution: Distribution
    base: float
    unit: str
    source: str
    table: str = ""
    column: str = ""
    rows: tuple[int, ...] = ()
    is_factor: bool = False
    purpose: str = ""
    part: str = ""
    change: Change | None = None

    def value(self, share: Array) -> Array:
        """The parameter under which a part ``share`` of its draws lies, same shape."""
        share = np.asarray(share, dtype=np.float64)
        is_whole = self.table in CONTRACTS and self.unit == "months"
        return self.distribution.whole(share).astype(np.float64) if is_whole else self.distribution.quantile(share)

    @property
    def ends(self) -> tuple[float, float]:
        """Least and greatest value."""
        return self.distribution.ends


def resolve(economy: Economy, asked: Sequence[str | Mapping[str, Any]], parts: Parts, most: int = 8) -> tuple[Uncertain, ...]:
    """The uncertain parameters that a user asks for; none named: the sizes of the chosen shocks, then `CHOSEN_FIRST`, ``most`` in all.

    ``parts``: the changes of the chosen shocks and policies by ``shock/FILE``. InputError: one line with the name, what is wrong and what is
    allowed.
    """
    found: list[Uncertain] = []
    for entry in asked:
        found.append(_resolved(economy, entry, parts))
        names = [each.name for each in found]
        if names.count(names[-1]) > 1:
            raise InputError(f"parameters: {names[-1]} is named twice")
    if not asked:
        candidates = [f"{key.replace('/', '.')}.{change.name}" for key in parts for change in parts[key] if _has_range(change)]
        for name in (*candidates, *CHOSEN_FIRST):
            if len(found) < most:
                try:
                    found.append(_resolved(economy, name, parts))
                except InputError:  # this economy has no such row, or no range for it
                    continue
        if not found:
            raise InputError("parameters: this economy states no range that could be drawn from; name parameters with low and high")
    _check_disjoint(found)
    return tuple(found)


def _has_range(change: Change) -> bool:
    return change.low is not None and change.high is not None and change.low < change.high and change.sizes is None and not change.path


def with_uncertain(parts: Parts, uncertain: Sequence[Uncertain]) -> dict[str, tuple[Change, ...]]:
    """The changes of a scenario with their sizes drawn where they are uncertain, and those of uncertain levers added."""
    drawn = {(each.part, each.change.name): each.change for each in uncertain if each.change is not None}
    changed = {key: tuple(drawn.get((key, change.name), change) for change in changes) for key, changes in parts.items()}
    levers = tuple(change for (part, _), change in drawn.items() if part == "lever/parameters")
    return {**changed, "lever/parameters": levers} if levers else changed


def _resolved(economy: Economy, entry: str | Mapping[str, Any], parts: Parts) -> Uncertain:
    given: Any = {"name": entry} if isinstance(entry, str) else entry
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise InputError(f"parameters: {entry!r} is neither a name nor a mapping with a name, such as {{name: all.tax_rate, low: 0.1, high: 0.2}}")
    name, words = given["name"], {key: value for key, value in given.items() if key != "name"}
    allowed = ("low", "high", "multiply_by", "set_to", *FORMS)
    for key in words:
        if key not in allowed:
            raise InputError(f"parameters: {name}: unknown key {key!r}{nearest(str(key), allowed)} (allowed: {', '.join(allowed)})")
    head, _, rest = name.partition(".")
    if not rest:
        raise InputError(f"parameters: {name!r} is no parameter; write macro.ITEM, AGENT.ITEM, CONTRACT.COLUMN, shock.FILE.CHANGE or lever.NAME")
    if head == "lever":
        return _lever(name, rest, words)
    if head in ("shock", "policy"):
        return _change(name, rest, head, parts, words)
    if head == "macro":
        item = _item(name, rest, MACRO_ITEMS, economy.macro)
        fact = next((fact for fact in economy.facts if fact.table == "macro" and fact.column == rest), None)
        return _placed(name, words, "macro", rest, (0,), economy.macro[rest], item.unit, fact, (item.low, item.high), (item.minimum, item.maximum))
    head, _, rest = name.rpartition(".")
    if any(head in getattr(economy, table).ids for table in CONTRACTS):
        return _contract(economy, name, head, rest, words)
    return _of_agents(economy, name, head, rest, words)


def _item(name: str, item: str, items: Mapping[str, Item], held: Collection[str]) -> Item:
    if item in FOLLOWS:
        raise InputError(f"parameters: {name} can't be varied: {FOLLOWS[item]}")
    if item not in items or item not in held:
        raise InputError(f"parameters: {name}: {item!r} is not an item{nearest(item, items)}")
    return items[item]


def _of_agents(economy: Economy, name: str, scope: str, column: str, words: Mapping[str, Any]) -> Uncertain:
    groups = ("all", *KINDS, *LENDER_TYPES)
    if scope not in economy.ids and scope not in groups:
        known = (*economy.ids, *(row for table in CONTRACTS for row in getattr(economy, table).ids), *groups, "macro", "lever", "shock", "policy")
        raise InputError(f"parameters: {name}: there is no agent, group or contract {scope!r}{nearest(scope, known)}")
    item = _item(name, column, AGENT_ITEMS, economy.values)
    facts = {fact.row_id: fact for fact in economy.facts if fact.column == column and fact.table in ("parameters", "defaults")}
    own = {fact.row_id: fact for fact in economy.facts if fact.column == column and fact.table == "figures"}
    if "multiply_by" in words:
        rows = tuple(row for row in range(economy.size) if scope in _layers(economy, row))
    else:
        rows = tuple(row for row in range(economy.size) if _is_reached(economy, row, scope, facts, own))
    if not rows:
        raise InputError(f"parameters: {name} reaches nobody: all have a number of their own (multiply_by reaches them all)")
    fact = own.get(scope, facts.get(scope))
    held = economy.values[column][list(rows)]
    base = float(held[0]) if (held == held[0]).all() else math.nan
    ranged = (item.low, item.high) if fact is None and scope == "all" and base == item.default else (math.nan, math.nan)
    return _placed(name, words, "values", column, rows, base, item.unit, fact, ranged, (item.minimum, item.maximum))


def _is_reached(economy: Economy, row: int, scope: str, facts: Mapping[str, Fact], own: Mapping[str, Fact]) -> bool:
    """Whether the group's number is this agent's: it is of the group, and nothing more special gives it another."""
    layers = _layers(economy, row)
    if scope == economy.ids[row]:
        return True
    if scope not in layers:
        return False
    finer = layers[layers.index(scope) + 1 :]
    return economy.ids[row] not in own and not any(layer in facts and layer != scope for layer in finer)


def _layers(economy: Economy, row: int) -> list[str]:
    """The groups of an agent from the widest to itself."""
    return ["all", economy.kinds[row], *([economy.lender_types[row]] if economy.lender_types[row] else []), economy.ids[row]]


def _contract(economy: Economy, name: str, contract: str, column: str, words: Mapping[str, Any]) -> Uncertain:
    table = next(table for table in CONTRACTS if contract in getattr(economy, table).ids)
    if column not in COLUMNS[table]:
        raise InputError(f"parameters: {name}: {column!r} can't be varied{nearest(column, COLUMNS[table])} (of {table}: {', '.join(COLUMNS[table])})")
    held = getattr(economy, table)
    row = held.ids.index(contract)
    schema = TABLES[table].column(column)
    fact = next((fact for fact in economy.facts if (fact.table, fact.row_id, fact.column) == (table, contract, column)), None)
    limits = (schema.minimum, schema.maximum)
    if schema.type == "whole" and "multiply_by" in words:
        raise InputError(f"parameters: {name}: is a whole number of months; give low and high or a distribution of months")
    return _placed(name, words, table, column, (row,), float(held.columns[column][row]), schema.unit, fact, (math.nan, math.nan), limits)


def _placed(
    name: str, words: Mapping[str, Any], table: str, column: str, rows: tuple[int, ...], base: float, unit: str, fact: Fact | None,
    ranged: tuple[float, float], limits: tuple[float, float],
) -> Uncertain:  # fmt: skip
    """A parameter that stands in the tables; its range is that of its ``fact``, else ``ranged``."""
    low, high = (fact.low, fact.high) if fact is not None else ranged
    stated = (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None
    distribution, is_factor = _distribution(name, words, stated)
    ends = distribution.ends
    if is_factor:
        reach = (min(ends), max(ends))
        if reach[0] < 0.0:
            raise InputError(f"parameters: {name}: the factor {reach[0]:g} is below 0")
    elif ends[0] < limits[0] or ends[1] > limits[1]:
        raise InputError(f"parameters: {name}: {ends[0]:g} to {ends[1]:g} leaves what is allowed ({limits[0]:g} to {limits[1]:g})")
    source = fact.source if fact is not None and not words else "assumption"
    return Uncertain(name, distribution, 1.0 if is_factor else base, "factor" if is_factor else unit, source, table, column, rows, is_factor)


def _distribution(name: str, words: Mapping[str, Any], stated: tuple[float, float] | None) -> tuple[Distribution, bool]:
    """The distribution that is asked for, else uniform over the range stated; and whether it is of a factor."""
    where = f"parameters: {name}"
    operations = [key for key in ("multiply_by", "set_to") if key in words]
    if operations:
        if len(words) > 1:
            raise InputError(f"{where}: {operations[0]} takes the whole distribution, and {', '.join(key for key in words if key != operations[0])} "
                             "can't stand beside it")  # fmt: skip
        inner = words[operations[0]]
        if not isinstance(inner, Mapping):
            raise InputError(f"{where}: {operations[0]}: {inner!r} is not a distribution, such as {{uniform: [0.8, 1.2]}}")
        return parse_distribution(f"{where}: {operations[0]}", inner, _number), operations[0] == "multiply_by"
    families = {key: value for key, value in words.items() if key in FORMS}
    if families:
        return parse_distribution(where, {str(key): value for key, value in words.items()}, _number), False
    if words:
        if len(words) < 2:
            raise InputError(f"{where}: low and high come together")
        low, high = (_number(f"{where}: {key}", words[key]) for key in ("low", "high"))
        if not low < high:
            raise InputError(f"{where}: low {low:g} is not below high {high:g}")
        return Distribution("uniform", (low, high)), False
    if stated is None:
        raise InputError(f"{where}: nothing states a range; write {{name: {name}, low: ..., high: ...}}")
    return Distribution("uniform", stated), False


def _number(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{key}: {value!r} is not a finite number")
    return float(value)


def _lever(name: str, lever_name: str, words: Mapping[str, Any]) -> Uncertain:
    if lever_name not in LEVERS:
        raise InputError(f"parameters: {name}: unknown lever{nearest(lever_name, LEVERS)} (capital-loop --info levers lists all)")
    lever = LEVERS[lever_name]
    distribution, is_factor = _distribution(name, words, None)
    ends = [each * lever.neutral if is_factor else each for each in distribution.ends]
    if min(ends) < lever.low or max(ends) > lever.high:
        raise InputError(f"parameters: {name}: {min(ends):g} to {max(ends):g} leaves the lever's range ({lever.low:g} to {lever.high:g})")
    operation = "multiply_by" if is_factor else "set_to"
    change = Change(f"uncertain_{lever_name}", lever_name, operation, distribution.middle, 1, sizes=distribution)
    base = 1.0 if is_factor else lever.neutral
    return Uncertain(name, distribution, base, lever.unit, "assumption", purpose=_purpose(change), part="lever/parameters", change=change)


def _change(name: str, rest: str, folder: str, parts: Parts, words: Mapping[str, Any]) -> Uncertain:
    file, _, change_name = rest.partition(".")
    key = f"{folder}/{file}"
    if key not in parts:
        chosen = [each.split("/", 1)[1] for each in parts if each.startswith(f"{folder}/")]
        raise InputError(f"parameters: {name}: {file!r} is not the chosen {folder}{nearest(file, chosen)} (chosen: {', '.join(chosen)})")
    changes = {change.name: change for change in parts[key]}
    if not change_name and len(changes) == 1:
        change_name = next(iter(changes))
    if change_name not in changes:
        raise InputError(f"parameters: {name}: {key} has no change {change_name!r}{nearest(change_name, changes)} (it has: {', '.join(changes)})")
    change = changes[change_name]
    if change.path:
        raise InputError(f"parameters: {name}: a path of values has no size that could be drawn")
    if "multiply_by" in words or "set_to" in words:
        raise InputError(f"parameters: {name}: its operation is {change.operation} in the file; give low and high or a distribution")
    stated = (change.low, change.high) if change.low is not None and change.high is not None and change.low < change.high else None
    distribution, _ = change.sizes, False
    if words or distribution is None:
        distribution, _ = _distribution(name, words, stated)
    lever = LEVERS[change.lever]
    ends = {"multiply_by": [end * lever.neutral for end in distribution.ends], "add": [lever.neutral + end for end in distribution.ends]}
    reached = ends.get(change.operation, list(distribution.ends))
    if min(reached) < lever.low or max(reached) > lever.high:
        raise InputError(f"parameters: {name}: its ends leave the range of {change.lever} ({lever.low:g} to {lever.high:g})")
    drawn = dataclasses.replace(change, amount=distribution.middle, sizes=distribution)
    unit = f"{change.operation} {lever.unit}".strip()
    return Uncertain(name, distribution, change.amount, unit, change.source, purpose=_purpose(drawn), part=key, change=drawn)


def _purpose(change: Change) -> str:
    return f"size/{change.name}/{change.lever}"


def _check_disjoint(found: Sequence[Uncertain]) -> None:
    """No number is drawn by two parameters."""
    taken: dict[tuple[Any, ...], str] = {}
    for each in found:
        places = [(each.purpose,)] if each.purpose else [(each.table, each.column, row) for row in each.rows]
        for place in places:
            if place in taken:
                raise InputError(f"parameters: {each.name} and {taken[place]} reach the same number; keep one of them")
            taken[place] = each.name


