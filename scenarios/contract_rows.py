"""From rows of the contract tables to columns: references, switches and the checks that need several rows.

What is loaded: contracts in force (drawn, signed, closed), contracts whose status is named in ``include``, and single contracts switched on
or off by id. Opening books balance whatever is switched:

- a contract that is not yet in force (announced, conditional, dropped) and is switched on is a new commitment: the principal of a loan is
  added to its ``undrawn`` line, the value of a stake to its ``tranche_remaining`` (a warrant's to ``unvested``), paid over
  `COMMITMENT_MONTHS` months on a schedule unless the row names another trigger;
- a contract in force that is switched off is held against the rest of the world instead: its amount moves to ``other_assets`` of the
  owner and ``other_liabilities`` of the debtor;
- a guarantee, pledge or vesting condition on a contract that is not loaded is not loaded either.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.economy import NO_DATE, ContractTable
from scenarios.schema import CONTRACTS, IN_FORCE, STATUSES, TABLES
from scenarios.tables import Row
from simulator.errors import InputError, nearest

COMMITMENT_MONTHS = 12
"""Months over which an announced stake that is switched on is paid in, when its row gives no date."""

PARTIES = {
    "loans": ("lender", "borrower"),
    "stakes": ("holder", "issuer"),
    "orders": ("seller", "buyer"),
    "leases": ("lessor", "lessee"),
    "guarantees": ("guarantor", "beneficiary"),
}
"""The two agents of each sort of contract."""

_PERIODS = {"orders": ("start", "end"), "leases": ("start", "end")}
_REFERENCES = {"pledged_stake": ("stakes",), "vests_with": ("orders",), "reference": ("loans", "orders", "leases")}
_TAIL = ("id", "source", "as_of", "confidence", "low", "high", "note", "assumed")
_DTYPES = {"agent": np.int64, "date": np.int64, "whole": np.int64, "number": np.float64, "yes_no": np.bool_}

Tables = Mapping[str, list[Row]]


def check_rows(tables: Tables, agents: Collection[str]) -> dict[str, tuple[str, int]]:
    """Check every contract row, loaded or not; returns where each contract id stands: (table, position)."""
    places: dict[str, tuple[str, int]] = {}
    for table in CONTRACTS:
        for position, row in enumerate(tables[table]):
            if row["id"] in places:
                other, there = places[row["id"]]
                row.fault("id", f"is used twice: also in {other}.csv, line {tables[other][there].line}")
            places[row["id"]] = (table, position)
            _check_parties(row, PARTIES[table], agents)
            _check_dates(row)
    for table in CONTRACTS:
        for row in tables[table]:
            _check_references(row, places, agents)
    for row in tables["loans"]:
        _check_loan(row, tables, places)
    return places


def _check_parties(row: Row, parties: tuple[str, str], agents: Collection[str]) -> None:
    for party in parties:
        if row[party] not in agents:
            row.fault(party, f"is not an agent in agents.csv{nearest(row[party], agents)}")
    if row[parties[0]] == row[parties[1]]:
        row.fault(parties[1], f"is also the {parties[0]}; a contract needs two different agents")


def _check_dates(row: Row) -> None:
    if row.table.name in _PERIODS:
        start, end = _PERIODS[row.table.name]
        if row[end] < row[start]:
            row.fault(end, f"is before the {start} {row.raw[start] or 'of the economy'}")
    last, amount = {"loans": ("maturity", "principal"), "stakes": ("tranche_end", "tranche_remaining"), "orders": ("end", "amount")}.get(
        row.table.name, ("", "")
    )
    if row.table.name == "loans" and row["principal"] > 0.0 and not row.raw["maturity"]:
        row.fault("maturity", f"is blank, but the principal is {row['principal']:g}; a drawn loan needs the month when it falls due")
    if last and row[last] <= 0.0 < row[amount]:
        row.fault(last, f"is not after the start of the economy, but the {amount} is {row[amount]:g}")


def _check_references(row: Row, places: Mapping[str, tuple[str, int]], agents: Collection[str]) -> None:
    for column, allowed in _REFERENCES.items():
        target = row.cells.get(column, "")
        if target and places.get(target, ("", 0))[0] not in allowed:
            is_swap = column == "reference" and row["kind"] == "cds"  # a swap may refer to an agent: all of its loans
            if is_swap and target in agents:
                continue
            names = [name for name, (table, _) in places.items() if table in allowed] + (list(agents) if is_swap else [])
            files = [f"{table}.csv" for table in (*allowed, *(("agents",) if is_swap else ()))]
            row.fault(column, f"is no id in {' or '.join(files)}{nearest(target, names)}")


def _check_loan(row: Row, tables: Tables, places: Mapping[str, tuple[str, int]]) -> None:
    if row["ltv_close_out"] < row["ltv_call"]:
        row.fault("ltv_close_out", f"is below ltv_call {row.raw['ltv_call'] or '(blank: no call)'}; a close-out comes at or above the call")
    if row["pledged_stake"]:
        stake = tables["stakes"][places[row["pledged_stake"]][1]]
        if stake["holder"] != row["borrower"]:
            row.fault("pledged_stake", f"is held by '{stake['holder']}', but the borrower is '{row['borrower']}'")
        if row["collateral"] != "shares":
            row.fault("collateral", "must be shares, because pledged_stake is given")
    elif row["collateral"] == "shares" and row["principal"] > 0.0:
        row.fault("pledged_stake", "is blank, but the collateral is shares; name the id of a stake of the borrower")


def choose_rows(
    tables: Tables, include: Collection[str], switches: Mapping[str, bool], places: Mapping[str, tuple[str, int]]
) -> dict[str, list[Row]]:
    """The rows that are loaded. Raises InputError for an unknown status in ``include`` or an unknown contract in ``switches``."""
    for status in include:
        if status not in STATUSES:
            raise InputError(f"economy.include: '{status}' is no status; statuses are {', '.join(STATUSES)}{nearest(status, STATUSES)}")
    for contract, switch in switches.items():
        if contract not in places:
            raise InputError(f"economy.contracts: there is no contract '{contract}'{nearest(contract, places)}")
        if not isinstance(switch, bool):
            raise InputError(f"economy.contracts: {contract}: {switch!r} is not one of true, false")

    def is_wanted(row: Row) -> bool:
        return switches.get(row["id"], row["status"] in IN_FORCE or row["status"] in include)

    chosen = {table: [row for row in tables[table] if is_wanted(row)] for table in CONTRACTS}
    loaded = {row["id"] for rows in chosen.values() for row in rows}
    loaded |= {row["reference"] for row in chosen["guarantees"] if row["reference"] not in places}  # swaps on agents
    for row in chosen["guarantees"]:
        if row["reference"] not in loaded and switches.get(row["id"]):
            raise InputError(f"economy.contracts: {row['id']} is switched on, but it guarantees {row['reference']}, which is not loaded")
    chosen["guarantees"] = [row for row in chosen["guarantees"] if row["reference"] in loaded]
    return chosen


def check_chosen(chosen: Tables) -> None:
    """Checks that need several loaded rows: no share pledged twice, supply and round shares that add to 1 at most."""
    _check_pledges(chosen)
    _check_shares(chosen["orders"], ("buyer", "good"), "supply_share")
    _check_shares(chosen["stakes"], ("issuer",), "round_share")


def _check_pledges(chosen: Tables) -> None:
    """A share stands behind one loan: the parts of a stake that loans pledge (``pledged_share``; blank: all of it) add to 1 at most."""
    stakes = {row["id"] for row in chosen["stakes"]}
    pledges: dict[str, list[Row]] = {}
    for row in chosen["loans"]:
        stake = row["pledged_stake"]
        if stake in stakes:
            pledges.setdefault(stake, []).append(row)
            total = float(np.cumsum([loan["pledged_share"] for loan in pledges[stake]])[-1])
            if total > 1.0 + 1e-9:
                rows = ", ".join(f"{loan['id']} (line {loan.line}, {loan['pledged_share']:g} of it)" for loan in pledges[stake])
                row.fault("pledged_stake", f"is pledged twice: {rows}; the parts given in pledged_share must add to 1 at most")


def _check_shares(rows: list[Row], keys: tuple[str, ...], share: str) -> None:
    sums: dict[tuple[str, ...], float] = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        sums[key] = sums.get(key, 0.0) + row[share]
        if sums[key] > 1.0 + 1e-9:
            row.fault(share, f"takes the shares of {' '.join(keys)} '{' '.join(key)}' to {sums[key]:g}, above 1")


def as_commitment(row: Row) -> dict[str, Any]:
    """The cells of a loaded row; of one that is not yet in force, as a commitment that leaves the opening books as they are."""
    cells = dict(row.cells)
    if row["status"] in IN_FORCE:
        return cells
    if row.table.name == "loans":
        cells["undrawn"] += cells["principal"]
        cells["principal"] = 0.0
    if row.table.name == "stakes":
        paid_in = "unvested" if row["kind"] == "warrant" else "tranche_remaining"
        cells[paid_in] += cells["value"]
        cells["value"] = 0.0
        if cells["tranche_remaining"] > 0.0 and cells["tranche_trigger"] == "none":
            cells["tranche_trigger"] = "schedule"
        if cells["tranche_remaining"] > 0.0 and cells["tranche_end"] == NO_DATE:
            cells["tranche_end"] = COMMITMENT_MONTHS
    return cells


def contract_tables(chosen: Tables, agents: Mapping[str, int]) -> dict[str, ContractTable]:
    """The loaded rows as columns; agents as rows of ``agents``, references as rows of the loaded tables (-1: none)."""
    places = {row["id"]: (table, position) for table in CONTRACTS for position, row in enumerate(chosen[table])}
    return {table: _contract_table(table, chosen[table], agents, places) for table in CONTRACTS}


def _contract_table(name: str, rows: list[Row], agents: Mapping[str, int], places: Mapping[str, tuple[str, int]]) -> ContractTable:
    cells = [as_commitment(row) for row in rows]
    columns: dict[str, NDArray[Any]] = {}
    for column in TABLES[name].columns:
        if column.name in _TAIL:
            continue
        values = [row[column.name] for row in cells]
        if column.name in _REFERENCES:
            found = [places.get(value, ("", -1)) for value in values]
            if column.name == "reference":
                found = [("agents", agents[value]) if value not in places else at for value, at in zip(values, found, strict=True)]
                columns["reference_table"] = np.array([table for table, _ in found], dtype=np.str_)
                columns["reference_row"] = np.array([position for _, position in found], dtype=np.int64)
            else:
                columns[column.name] = np.array([position for _, position in found], dtype=np.int64)
            continue
        if column.type == "agent":
            values = [agents[value] for value in values]
        columns[column.name] = np.array(values, dtype=_DTYPES.get(column.type, np.str_))
    for array in columns.values():
        array.flags.writeable = False
    return ContractTable(tuple(row["id"] for row in rows), columns)


def held_outside(tables: Tables, chosen: Tables, agents: Mapping[str, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What contracts in force that are switched off add to other assets and other liabilities, USD bn, each ``(N,)``."""
    assets, liabilities = np.zeros(len(agents)), np.zeros(len(agents))
    for table, amount in (("loans", "principal"), ("stakes", "value")):
        loaded = {row["id"] for row in chosen[table]}
        for row in tables[table]:
            if row["status"] in IN_FORCE and row["id"] not in loaded:
                owner, debtor = PARTIES[table]
                assets[agents[row[owner]]] += row[amount]
                if table == "loans":
                    liabilities[agents[row[debtor]]] += row[amount]
    return assets, liabilities
