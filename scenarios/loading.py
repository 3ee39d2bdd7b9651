"""Loading an economy from a folder of tables, with every check on the way."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from scenarios.contract_rows import as_commitment, check_chosen, check_rows, choose_rows, contract_tables, held_outside
from scenarios.economy import Economy, Fact
from scenarios.items import AGENT_ITEMS, MACRO_ITEMS, Item
from scenarios.schema import CONTRACTS, TABLES
from scenarios.tables import Row, check_source, facts_of, limits, months_of, read_table
from simulator.errors import InputError, nearest
from simulator.ledger.names import KINDS, LENDER_TYPES, SINGLE_KINDS

BOOK_TOLERANCE = 0.005
"""Largest gap between published and computed net worth, as a share of total assets."""

CASH_TOLERANCE = 1e-6
"""Largest gap between all cash and all deposits, as a share of all deposits."""

_DESCRIPTION_KEYS = ("name", "title", "start", "description")


def economies() -> list[str]:
    """Names of the economies that come with the house, in alphabetical order."""
    return sorted(folder.name for folder in _data().iterdir() if (folder / "economy.yaml").is_file()) if _data().is_dir() else []


def load_economy(name_or_folder: str | Path, include: Sequence[str] = (), contracts: Mapping[str, bool] | None = None) -> Economy:
    """The economy of a name (`economies`) or of any folder of tables.

    ``include`` adds contracts by status (``announced``, ``conditional``, ``dropped``); ``contracts`` switches single contracts by id.
    How switched contracts enter the opening books is told in `scenarios.contract_rows`. Raises InputError: one line with file, line,
    column, value and what is allowed.
    """
    folder = _folder(name_or_folder)
    about = _read_about(folder)
    start = months_of(about["start"])
    assert start is not None
    tables = {name: read_table(folder, table, start) for name, table in TABLES.items()}
    sources = _sources(tables["sources"])
    for rows in tables.values():
        for row in rows:
            if "source" in row.cells:
                check_source(row, sources)
    agents = _agents(tables["agents"])
    row_by_id = {row["id"]: position for position, row in enumerate(agents)}
    places = check_rows(tables, row_by_id)
    chosen = choose_rows(tables, include, contracts or {}, places)
    check_chosen(chosen)
    values, defaults = _values(tables["figures"], tables["parameters"], agents)
    more_assets, more_liabilities = held_outside(tables, chosen, row_by_id)
    values["other_assets"] = values["other_assets"] + more_assets
    values["other_liabilities"] = values["other_liabilities"] + more_liabilities
    _check_market_values(chosen["stakes"], values["market_value"], row_by_id)
    macro, macro_defaults = _macro(tables["macro"])
    facts = _facts(tables, chosen) + [_default_fact(item, about["start"]) for item in defaults + macro_defaults]
    published = values["equity_book"]
    columns = contract_tables(chosen, row_by_id)
    economy = Economy(
        name=about["name"],
        title=about["title"],
        start=about["start"],
        description=about["description"],
        ids=tuple(row["id"] for row in agents),
        names=tuple(row["name"] for row in agents),
        kinds=tuple(row["kind"] for row in agents),
        lender_types=tuple(row["lender_type"] for row in agents),
        jurisdictions=tuple(row["jurisdiction"] for row in agents),
        ratings=tuple(row["rating"] for row in agents),
        listed=np.array([row["listed"] for row in agents], dtype=np.bool_),
        values=values,
        macro=macro,
        loans=columns["loans"],
        stakes=columns["stakes"],
        orders=columns["orders"],
        leases=columns["leases"],
        guarantees=columns["guarantees"],
        facts=tuple(facts),
        sources=sources,
    )
    _check_books(economy, published, tables["figures"])
    values["equity_book"] = np.where(np.isnan(published), economy.net_worth(), published)
    check_cash(economy)
    for array in values.values():
        array.flags.writeable = False
    return economy


def _data() -> Path:
    return Path(str(importlib.resources.files("scenarios") / "data"))


def _folder(name_or_folder: str | Path) -> Path:
    if isinstance(name_or_folder, str) and name_or_folder in economies():
        return _data() / name_or_folder
    if str(name_or_folder) and Path(name_or_folder).is_dir():
        return Path(name_or_folder)
    known = economies()
    raise InputError(
        f"no economy '{name_or_folder}' and no folder of that name; economies are {', '.join(known)}{nearest(str(name_or_folder), known)}"
    )


def _read_about(folder: Path) -> dict[str, str]:
    """Name, title, start month and description of ``economy.yaml``."""
    path = folder / "economy.yaml"
    if not path.is_file():
        raise InputError(f"economy.yaml: file is missing in {folder.name}")
    try:
        about: Any = yaml.safe_load(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError("economy.yaml: not UTF-8 text; save the file as UTF-8") from None
    except (yaml.YAMLError, ValueError) as fault:
        raise InputError(f"economy.yaml: not YAML: {' '.join(str(fault).split())}") from None
    if not isinstance(about, dict):
        raise InputError(f"economy.yaml: needs the keys {', '.join(_DESCRIPTION_KEYS)}")
    for key in about:
        if key not in _DESCRIPTION_KEYS:
            raise InputError(
                f"economy.yaml: unknown key '{key}'; keys are {', '.join(_DESCRIPTION_KEYS)}{nearest(str(key), _DESCRIPTION_KEYS)}"
            )
    for key in ("name", "title", "start"):
        if not about.get(key):
            raise InputError(f"economy.yaml: key '{key}' is missing; keys are {', '.join(_DESCRIPTION_KEYS)}")
    if months_of(str(about["start"])) is None:
        raise InputError(f"economy.yaml: start: {str(about['start'])!r} is not a month; write YYYY-MM")
    words = {key: " ".join(str(about.get(key) or "").split()) for key in _DESCRIPTION_KEYS}
    return words | {"start": words["start"][:7]}


def _sources(rows: list[Row]) -> dict[str, dict[str, str]]:
    sources: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["key"] in sources:
            row.fault("key", "is used twice")
        sources[row["key"]] = {name: row[name] for name in ("title", "address", "date")}
    return sources


def _agents(rows: list[Row]) -> list[Row]:
    """The agents sorted by kind, then in the order of the file; checked one by one and together."""
    lines: dict[str, int] = {}
    for row in rows:
        agent, kind, lender_type = row["id"], row["kind"], row["lender_type"]
        if agent in lines:
            row.fault("id", f"is used twice: also in line {lines[agent]}")
        lines[agent] = row.line
        if kind == "lender" and not lender_type:
            row.fault("lender_type", f"is blank, but a lender needs one of {', '.join(LENDER_TYPES)}")
        if kind != "lender" and lender_type:
            row.fault("lender_type", f"is for lenders only, and '{agent}' is a {kind}")
        if agent == "all" or (agent in KINDS + LENDER_TYPES and agent not in (kind, lender_type)):
            row.fault("id", "is the name of a kind or type of agents that this agent does not belong to; choose another id")
    for kind in SINGLE_KINDS:
        found = [row for row in rows if row["kind"] == kind]
        if not found:
            raise InputError(f"agents.csv: there is no agent of kind {kind}; exactly one is required")
        if len(found) > 1:
            found[1].fault("kind", f"appears twice (also '{found[0]['id']}', line {found[0].line}); exactly one is required")
    if not any(row["lender_type"] == "bank" for row in rows):
        raise InputError("agents.csv: there is no lender of type bank; at least one is required")
    return sorted(rows, key=lambda row: KINDS.index(row["kind"]))


def _check_item(row: Row, column: str, items: Mapping[str, Item]) -> Item:
    """The item of a row, its value within the hard limits and its unit of the right sort."""
    if row[column] not in items:
        row.fault(column, f"is not an item{nearest(row[column], items) or '; items are ' + ', '.join(items)}")
    item = items[row[column]]
    if not item.minimum <= row["value"] <= item.maximum:
        row.fault("value", f"is outside {limits(item.minimum, item.maximum)} ({item.name}, {item.unit})")
    unit = row["unit"].lower()
    is_money = item.unit.startswith("USD bn")
    if unit and (is_money != unit.startswith("usd bn") or "%" in unit or "percent" in unit):
        row.fault("unit", f"is not the unit of {item.name}, which is '{item.unit}'")
    return item


def _values(figures: list[Row], parameters: list[Row], agents: list[Row]) -> tuple[dict[str, NDArray[np.float64]], list[Item]]:
    """Every item of every agent, ``(N,)`` each, and the items of which somebody has the default.

    Figure before parameter of the agent, of its lender type, of its kind, of all, before the default.
    """
    ids = {row["id"]: position for position, row in enumerate(agents)}
    groups: list[dict[str, list[int]]] = [
        {"all": list(range(len(agents)))},
        {kind: [n for n, row in enumerate(agents) if row["kind"] == kind] for kind in KINDS},
        {lender_type: [n for n, row in enumerate(agents) if row["lender_type"] == lender_type] for lender_type in LENDER_TYPES},
        {agent: [position] for agent, position in ids.items()},
    ]
    values = {name: np.full(len(agents), item.default) for name, item in AGENT_ITEMS.items()}
    is_given = {name: np.zeros(len(agents), dtype=np.bool_) for name in AGENT_ITEMS}
    _check_unique(parameters, ("name", "scope"))
    _check_unique(figures, ("agent", "item"))
    scopes = [scope for group in groups for scope in group]
    for row in parameters:
        _check_item(row, "name", AGENT_ITEMS)
        if row["scope"] not in scopes:
            row.fault("scope", f"is not all, a kind, a lender type or the id of an agent{nearest(row['scope'], scopes)}")
        if row["name"] == "equity_book":
            row.fault("name", "belongs in figures.csv")
    for group in groups:
        for row in parameters:
            # An agent may bear the name of its own kind ("utility"): the row then counts once more for that agent, which changes nothing.
            members = group.get(row["scope"], [])
            values[row["name"]][members] = row["value"]
            is_given[row["name"]][members] = True
    for row in figures:
        if row["agent"] not in ids:
            row.fault("agent", f"is not an agent in agents.csv{nearest(row['agent'], ids)}")
        _check_item(row, "item", AGENT_ITEMS)
        values[row["item"]][ids[row["agent"]]] = row["value"]
        is_given[row["item"]][ids[row["agent"]]] = True
        owes_deposits = agents[ids[row["agent"]]]["lender_type"] == "bank" or agents[ids[row["agent"]]]["kind"] == "central_bank"
        if row["item"] == "deposits" and row["value"] > 0.0 and not owes_deposits:
            row.fault("agent", "owes deposits, but only banks and the central bank do; cash is what an agent holds")
    return values, [item for name, item in AGENT_ITEMS.items() if not is_given[name].all()]


def _check_unique(rows: list[Row], columns: tuple[str, str]) -> None:
    lines: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row[columns[0]], row[columns[1]])
        if key in lines:
            row.fault(columns[1], f"is given twice for '{key[0]}': also in line {lines[key]}")
        lines[key] = row.line


def _macro(rows: list[Row]) -> tuple[dict[str, float], list[Item]]:
    macro = {name: item.default for name, item in MACRO_ITEMS.items()}
    lines: dict[str, int] = {}
    for row in rows:
        _check_item(row, "item", MACRO_ITEMS)
        if row["item"] in lines:
            row.fault("item", f"is given twice: also in line {lines[row['item']]}")
        lines[row["item"]] = row.line
        macro[row["item"]] = row["value"]
    return macro, [item for name, item in MACRO_ITEMS.items() if name not in lines]


def _facts(tables: Mapping[str, list[Row]], chosen: Mapping[str, list[Row]]) -> list[Fact]:
    facts: list[Fact] = []
    for row in tables["figures"]:
        facts += facts_of(row, row["agent"], row["item"], AGENT_ITEMS[row["item"]].unit)
    for row in tables["parameters"]:
        facts += facts_of(row, row["scope"], row["name"], AGENT_ITEMS[row["name"]].unit)
    for row in tables["macro"]:
        facts += facts_of(row, "macro", row["item"], MACRO_ITEMS[row["item"]].unit)
    for table in CONTRACTS:
        for row in chosen[table]:
            facts += facts_of(row, row["id"])
    return facts


def _default_fact(item: Item, start: str) -> Fact:
    source = "assumption" if item.low == item.low else "computed"
    return Fact("defaults", "all", item.name, item.default, item.unit, source, start, "low", item.low, item.high, item.meaning)


def _check_books(economy: Economy, published: NDArray[np.float64], figures: list[Row]) -> None:
    """Computed net worth against the published one, where there is one."""
    sheet = economy.balance_sheet()
    gap = np.abs(sheet["net_worth"] - published)
    for n in np.flatnonzero(gap > BOOK_TOLERANCE * sheet["total_assets"]):
        row = next(row for row in figures if row["item"] == "equity_book" and row["agent"] == economy.ids[n])
        row.fault(
            "value",
            f"is the published net worth of '{economy.ids[n]}', but the tables give {sheet['net_worth'][n]:.3f}"
            f" (total assets {sheet['total_assets'][n]:.3f}; the gap may be {BOOK_TOLERANCE:.1%} of them)",
        )


def _check_market_values(stakes: list[Row], market_value: NDArray[np.float64], agents: Mapping[str, int]) -> None:
    """The stakes in an issuer are worth no more than all its shares."""
    held: dict[str, float] = {}
    for row in stakes:
        issuer = row["issuer"]
        held[issuer] = held.get(issuer, 0.0) + as_commitment(row)["value"]
        limit = float(market_value[agents[issuer]])
        if held[issuer] > limit * (1.0 + 1e-9):
            row.fault("value", f"takes the stakes in '{issuer}' to {held[issuer]:g}, above its market value {limit:g} in figures.csv")


def check_cash(economy: Economy) -> None:
    """All cash of the economy is a deposit at a bank or the central bank; raises InputError with both sums when it is not."""
    cash, deposits = (float(np.cumsum(economy.values[item])[-1]) for item in ("cash", "deposits"))
    if abs(cash - deposits) > CASH_TOLERANCE * max(cash, deposits):
        raise InputError(
            f"figures.csv: the cash of all agents is {cash:.6f} and the deposits owed by banks and the central bank"
            f" are {deposits:.6f}; they must be equal"
        )
