"""An economy with one agent, contract or tie taken out, its books still balanced, and everybody's luck where it was.

The rest of the world steps in, as a central counterparty would: who dealt with what is taken out keeps the same contract, with a party that
can't fail. What is measured is therefore the fragility that an agent or a tie adds, not the business that it brings.

- *An agent* keeps its slot with nothing in it. In its contracts the rest of the world takes its place (collateral of what it owed is
  released). Its cash and assets pass to the rest of the world, a bank's deposits to the central bank. Shares in it are settled at their opening
  value, and tranches still to be paid into it are not. What it bought without a contract (chips, parts, power) the rest of the world goes on
  buying at the opening pace, as outside revenue of the sellers.
- *A contract* is split in two, from one side to the rest of the world and from there to the other; shares are settled at their opening value
  and pass to the rest of the world, and a loan that they secured is secured no more.
- *A tie* is all contracts between two agents, both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.contract_rows import PARTIES
from scenarios.economy import ContractTable, Economy
from simulator.engine.model import ContagionModel
from simulator.engine.randomness import Quiet
from simulator.errors import InputError, nearest
from simulator.ledger.names import SINGLE_KINDS

Array = NDArray[np.float64]
MOVED = ("capacity", "construction", "other_assets")
EMPTIED = (
    "cash", "deposits", *MOVED, "other_liabilities", "equity_book", "market_value", "outside_revenue", "fixed_cost", "capex", "power_online",
    "power_growth", "power_queue",
)  # fmt: skip
AMOUNTS = {
    "loans": ("principal", "undrawn"), "stakes": ("value", "tranche_remaining"), "orders": ("amount",), "leases": ("rent",),
    "guarantees": ("notional",),
}  # fmt: skip
NEVER = (*SINGLE_KINDS, "utility")
"""Kinds that can't be taken out: there is one of them, or nobody else connects power."""


def opening_spending(economy: Economy) -> Array:
    """What is invoiced under every order at the opening pace, USD bn per year, ``(O,)``: the first month of the quiet world."""
    model = ContagionModel(economy, horizon_months=1, mesa_agents=False, draws=Quiet(len(economy.ids)))
    model.run()
    invoices: Array = model.invoices[:, 0] * 12.0
    return invoices


def amount_of(economy: Economy, table: str) -> Array:
    """The size of every contract of a table, USD bn (leases: rent per year), ``(C,)``."""
    columns = getattr(economy, table).columns
    summed = np.zeros(len(getattr(economy, table)))
    for name in AMOUNTS[table]:
        summed = summed + columns[name]
    return summed


def without_agent(economy: Economy, agent: str, spending: Array | None = None) -> Economy:
    """The economy without an agent. ``spending``: `opening_spending`. InputError: unknown, or a kind that can't be taken out."""
    row, outside = economy.index(agent), economy.rows("outside").start
    if economy.kinds[row] in NEVER:
        raise InputError(f"experiment.only: {agent} is a {economy.kinds[row]} and can't be taken out (not possible for {', '.join(NEVER)})")
    values = {name: array.copy() for name, array in economy.values.items()}
    tables = {name: _columns(getattr(economy, name)) for name in PARTIES}
    _settle_shares_in(row, outside, values, tables["stakes"])
    _keep_suppliers(row, outside, values, tables["orders"], opening_spending(economy) if spending is None else spending)
    loans = tables["loans"]
    _release(loans, loans["borrower"] == row)
    for name, (owner, debtor) in PARTIES.items():
        columns = tables[name]
        for side in (owner, debtor):
            if not (name == "stakes" and side == "issuer"):
                columns[side] = np.where(columns[side] == row, outside, columns[side])
        with_itself = (columns[owner] == outside) & (columns[debtor] == outside)
        for amount in AMOUNTS[name]:
            columns[amount] = np.where(with_itself, 0.0, columns[amount])
    central_bank = economy.rows("central_bank").start
    deposits = values["deposits"][row]
    values["cash"][outside] += values["cash"][row]
    values["other_assets"][outside] += sum(values[name][row] for name in MOVED)
    values["other_liabilities"][outside] += values["other_liabilities"][row] + deposits
    values["deposits"][central_bank] += deposits
    values["other_assets"][central_bank] += deposits
    for name in EMPTIED:
        values[name][row] = 0.0
    return _rebuilt(economy, values, tables)


def without_contracts(economy: Economy, ids: Iterable[str], spending: Array | None = None) -> Economy:
    """The economy without some contracts. InputError: an unknown id."""
    values = {name: array.copy() for name, array in economy.values.items()}
    tables = {name: _columns(getattr(economy, name)) for name in PARTIES}
    outside = economy.rows("outside").start
    for contract in ids:
        table, place = find_contract(economy, contract)
        columns = tables[table]
        owner, debtor = PARTIES[table]
        if outside in (columns[owner][place], columns[debtor][place]):
            continue
        if table == "stakes":
            _sell_to_outside(int(place), outside, values, tables)
        elif table == "orders" and columns["amount"][place] == 0.0:
            pace = opening_spending(economy) if spending is None else spending
            values["outside_revenue"][columns["seller"][place]] += pace[place]
            columns["seller"] = _with(columns["seller"], place, outside)
        else:
            _split(columns, int(place), owner, debtor, outside)
            if table == "loans":  # protection on the loan goes with it
                covered = (tables["guarantees"]["reference_table"] == "loans") & (tables["guarantees"]["reference_row"] == place)
                tables["guarantees"]["beneficiary"] = np.where(covered, outside, tables["guarantees"]["beneficiary"])
    return _rebuilt(economy, values, tables)


def find_contract(economy: Economy, contract: str) -> tuple[str, int]:
    """Table and row of a contract. InputError with the nearest id when there is none."""
    for table in PARTIES:
        ids = getattr(economy, table).ids
        if contract in ids:
            return table, ids.index(contract)
    every = [name for table in PARTIES for name in getattr(economy, table).ids]
    raise InputError(f"experiment.only: economy '{economy.name}' has no contract {contract!r}{nearest(contract, every)}")


def contracts_between(economy: Economy, one: str, other: str) -> tuple[str, ...]:
    """Ids of all contracts between two agents, both ways. InputError: an unknown agent, or no contract between them."""
    rows = {economy.index(one), economy.index(other)}
    found = []
    for table, (owner, debtor) in PARTIES.items():
        contracts = getattr(economy, table)
        pairs = zip(contracts.ids, contracts.columns[owner].tolist(), contracts.columns[debtor].tolist(), strict=True)
        found += [name for name, a, b in pairs if {a, b} == rows]
    if not found:
        raise InputError(f"experiment.only: {one}>{other}: there is no contract between them")
    return tuple(found)


def _columns(table: ContractTable) -> dict[str, NDArray[Any]]:
    return {"": np.array(table.ids, dtype=object), **{name: array.copy() for name, array in table.columns.items()}}


def _with(array: NDArray[Any], place: int, value: Any) -> NDArray[Any]:
    changed = array.copy()
    changed[place] = value
    return changed


def _release(loans: dict[str, NDArray[Any]], rows: NDArray[np.bool_]) -> None:
    """Loans lose their collateral and its triggers."""
    loans["collateral"] = np.where(rows, "none", loans["collateral"])
    loans["pledged_stake"] = np.where(rows, -1, loans["pledged_stake"])
    for name in ("ltv_call", "ltv_close_out"):
        loans[name] = np.where(rows, np.inf, loans[name])


def _settle_shares_in(row: int, outside: int, values: Mapping[str, Array], stakes: dict[str, NDArray[Any]]) -> None:
    """Holders of an agent's shares hold a claim on the rest of the world of the same value instead."""
    mine = stakes["issuer"] == row
    for holder, value in zip(stakes["holder"][mine].tolist(), stakes["value"][mine].tolist(), strict=True):
        values["other_assets"][holder] += value
        values["other_liabilities"][outside] += value
    for name in ("value", "tranche_remaining", "unvested", "round_share"):
        stakes[name] = np.where(mine, 0.0, stakes[name])


def _sell_to_outside(place: int, outside: int, values: Mapping[str, Array], tables: Mapping[str, dict[str, NDArray[Any]]]) -> None:
    stakes = tables["stakes"]
    holder, value = int(stakes["holder"][place]), float(stakes["value"][place])
    values["other_assets"][holder] += value
    values["other_liabilities"][outside] += value
    stakes["holder"] = _with(stakes["holder"], place, outside)
    _release(tables["loans"], tables["loans"]["pledged_stake"] == place)


def _keep_suppliers(row: int, outside: int, values: Mapping[str, Array], orders: dict[str, NDArray[Any]], spending: Array) -> None:
    """Sellers keep what the agent bought from them without a contract, as outside revenue at the opening pace."""
    ties = (orders["buyer"] == row) & (orders["amount"] == 0.0)
    for place in np.flatnonzero(ties).tolist():
        values["outside_revenue"][orders["seller"][place]] += spending[place]
    orders["supply_share"] = np.where(ties, 0.0, orders["supply_share"])


def _split(columns: dict[str, NDArray[Any]], place: int, owner: str, debtor: str, outside: int) -> None:
    """The row becomes the rest of the world's claim on the debtor; a new row is the owner's claim on the rest of the world."""
    for name, array in columns.items():
        columns[name] = np.concatenate([array, array[place : place + 1]])
    columns[""][-1] = f"{columns[''][place]}:novated"
    columns[owner] = _with(columns[owner], place, outside)
    columns[debtor] = _with(columns[debtor], -1, outside)
    if "collateral" in columns:
        last = np.zeros(len(columns[""]), dtype=bool)
        last[-1] = True
        _release(columns, last)


def _rebuilt(economy: Economy, values: Mapping[str, Array], tables: Mapping[str, dict[str, NDArray[Any]]]) -> Economy:
    made: dict[str, Any] = {"values": values}
    for name, columns in tables.items():
        ids = tuple(str(contract) for contract in columns[""])
        made[name] = ContractTable(ids, {column: array for column, array in columns.items() if column})
    return replace(economy, **made)
