"""The assumptions behind random economies, and economies made of arrays: contract tables from blocks of columns, books that close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.economy import NO_DATE, ContractTable, Economy
from scenarios.loading import check_cash
from scenarios.schema import CONTRACTS, TABLES

KIND_SHARES = {
    "chipmaker": 0.08,
    "hyperscaler": 0.08,
    "cloud": 0.24,
    "project_company": 0.14,
    "ai_lab": 0.12,
    "investor": 0.10,
    "lender": 0.20,
    "utility": 0.04,
}
"""Part of the agents of each kind, single sectors aside."""

SMALLEST = {
    "chipmaker": 5.0,
    "hyperscaler": 60.0,
    "cloud": 4.0,
    "project_company": 3.0,
    "ai_lab": 1.0,
    "investor": 2.0,
    "lender": 5.0,
    "utility": 10.0,
}
"""Size of the smallest agent of each kind, USD bn: revenue, capacity, compute bought a year or other assets, as the rules below say."""

DEBT_SHARE = {"chipmaker": 0.2, "hyperscaler": 0.25, "cloud": 0.5, "project_company": 0.55, "ai_lab": 0.2, "utility": 0.5}
"""Debt / assets around which borrowers are drawn (between 0.8 and 1.1 of it)."""

LENDER_EQUITY = {"bank": 0.1, "private_credit": 0.5, "fund": 0.65, "insurer": 0.12}
"""Equity / assets of lenders at the start."""

KIND_ITEMS: dict[str, dict[str, float]] = {
    "chipmaker": {"outside_growth": 0.15, "cost_share": 0.45, "chips_share": 0.1, "payout_share": 0.4, "cds": 0.006, "value_margin": 0.3},
    "hyperscaler": {"outside_growth": 0.12, "cost_share": 0.6, "payout_share": 0.2, "cds": 0.005, "equity_volatility": 0.3},
    "cloud": {"outside_growth": 0.2, "cost_share": 0.3, "cds": 0.03, "equity_volatility": 0.6, "ai_beta": 1.6},
    "project_company": {"cost_share": 0.1, "depreciation_rate": 0.05, "cds": 0.02, "chips_share": 0.0},
    "ai_lab": {"outside_growth": 0.5, "cost_share": 0.3, "cds": 0.05, "equity_volatility": 0.7, "ai_beta": 1.5},
    "investor": {"cost_share": 0.05, "cds": 0.02},
    "lender": {"cost_share": 0.5, "cds": 0.008, "ai_beta": 0.4, "equity_volatility": 0.25},
    "utility": {"outside_growth": 0.03, "cost_share": 0.55, "depreciation_rate": 0.04, "chips_share": 0.0, "cds": 0.007, "ai_beta": 0.4},
}
"""Numbers that all agents of a kind share."""

LENDER_ITEMS: dict[str, dict[str, float]] = {
    "bank": {"capital_ratio_min": 0.06, "capital_ratio_target": 0.09},
    "private_credit": {"capital_ratio_min": 0.2, "capital_ratio_target": 0.35, "redemption_sensitivity": 0.5},
    "fund": {"capital_ratio_min": 0.3, "capital_ratio_target": 0.5, "redemption_sensitivity": 2.0},
    "insurer": {"capital_ratio_min": 0.06, "capital_ratio_target": 0.1},
}
"""Numbers that all lenders of a type share."""

_NEUTRAL: dict[str, Any] = {
    "repayment": "bullet", "seniority": "senior", "collateral": "none", "pledged_stake": -1, "ltv_call": np.inf, "ltv_close_out": np.inf,
    "recourse": True, "audited": True, "pledged_share": 1.0, "grace_months": -1,
    "tranche_trigger": "none", "vests_with": -1, "start": 0, "reference_row": -1, "reference_table": "",
}  # fmt: skip
_STATUS = {"loans": "drawn", "stakes": "closed", "orders": "signed", "leases": "signed", "guarantees": "signed"}
_WHOLE = ("pledged_stake", "vests_with", "reference_row")


def contract_table(name: str, blocks: list[dict[str, Any]]) -> ContractTable:
    """Blocks of contracts as one table; single values are repeated, columns that a block does not name take the value of a blank cell."""
    columns: dict[str, NDArray[Any]] = {}
    lengths = [max(len(value) for value in block.values() if isinstance(value, np.ndarray)) for block in blocks]
    for column in TABLES[name].columns[1:]:
        if column.name in ("source", "as_of", "confidence", "low", "high", "note", "assumed"):
            continue
        for part in ("reference_table", "reference_row") if column.name == "reference" else (column.name,):
            blank = {"date": NO_DATE, "whole": 0, "number": 0.0, "yes_no": False}.get(column.type, "shares" if name == "stakes" else "")
            neutral = _NEUTRAL.get(part, _STATUS[name] if part == "status" else blank)
            pieces = [np.broadcast_to(np.asarray(block.get(part, neutral)), (n,)) for block, n in zip(blocks, lengths, strict=True)]
            array = np.concatenate(pieces)
            if column.type in ("agent", "date", "whole") or part in _WHOLE:
                array = array.astype(np.int64)
            array.flags.writeable = False
            columns[part] = array
    return ContractTable(tuple(f"{name[:-1]}_{number}" for number in range(1, sum(lengths) + 1)), columns)


def drafted_economy(
    contracts: Mapping[str, list[dict[str, Any]]], values: dict[str, NDArray[np.float64]], ids: tuple[str, ...], **about: Any
) -> Economy:
    """The economy of blocks of contracts by table and of values by item, ``(N,)`` each, which become read-only.

    Names are made from ids, the published net worth is the computed one, and there are no facts. ``about``: the other fields of ``Economy``.
    Raises InputError when cash and deposits differ.
    """
    tables: dict[str, Any] = {table: contract_table(table, contracts[table] or [{"": np.zeros(0)}]) for table in CONTRACTS}
    economy = Economy(
        ids=ids,
        names=tuple(agent.replace("_", " ").capitalize() for agent in ids),
        ratings=("",) * len(ids),
        values=values,
        facts=(),
        sources={},
        **tables,
        **about,
    )
    values["equity_book"] = economy.net_worth()
    check_cash(economy)
    for array in values.values():
        array.flags.writeable = False
    return economy
