"""The central bank's emergency facility: lines against haircut collateral, listed beforehand for every firm and lender.

Who may owe whom is fixed within a batch, so the lines are added to the economy when a scenario moves the facility's lever.
Source: [bagehot1873]: lend freely, against good collateral, at a high rate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.changes import Change
from scenarios.economy import NO_DATE, ContractTable, Economy
from simulator.ledger.books import Books
from simulator.markets.pledges import secured_room

Array = NDArray[np.float64]

LEVER = "central_bank.facility_share"
PENALTY_SPREAD = 0.01  # over the policy rate
LOAN_BOOK_SHARE = 0.5  # part of a lender's loans that counts as collateral (assumption, 0.3-0.7)


def with_facility(economy: Economy, changes: Iterable[Change]) -> Economy:
    """The economy with a line of the central bank for every firm and lender, where a change moves the facility; else as it is."""
    if not any(change.lever == LEVER for change in changes):
        return economy
    central_bank = economy.rows("central_bank").start
    kinds = ("chipmaker", "hyperscaler", "cloud", "project_company", "ai_lab", "investor", "lender", "utility")
    borrowers = np.array([row for row, kind in enumerate(economy.kinds) if kind in kinds], dtype=np.int64)
    words = {
        "kind": "facility", "rate_type": "floating", "repayment": "bullet", "seniority": "secured", "collateral": "receivables",
        "status": "signed",
    }  # fmt: skip
    numbers: dict[str, Any] = {
        "lender": central_bank, "borrower": borrowers, "rate": PENALTY_SPREAD, "maturity": 0, "pledged_stake": -1, "ltv_call": np.inf,
        "ltv_close_out": np.inf, "recourse": True, "audited": True, "new_lending": False, "new_term_months": NO_DATE, "grace_months": -1,
    }  # fmt: skip
    columns = {}
    for name, values in economy.loans.columns.items():
        more = np.full(len(borrowers), words[name]) if name in words else np.broadcast_to(np.asarray(numbers.get(name, 0)), len(borrowers))
        columns[name] = np.concatenate([values, more.astype(values.dtype) if name not in words else more])
    ids = (*economy.loans.ids, *(f"facility_{economy.ids[row]}" for row in borrowers))
    return dataclasses.replace(economy, loans=ContractTable(ids, columns))


def open_lines(books: Books, on_capacity: Array) -> None:
    """Set what each line offers in this tick: the facility's share of haircut capacity (less the debt ``on_capacity (N, R)`` that it secures) and
    of the loan book, less what is drawn."""
    rows = np.flatnonzero(books.loans.static["kind"] == "facility")
    if not len(rows):
        return
    share = books.levers[LEVER]
    if not share.any():
        books.loans.undrawn[rows] = 0.0
        return
    collateral = np.maximum(secured_room(books, on_capacity), 0.0) + LOAN_BOOK_SHARE * books.loans_given()
    solvent = (books["book_net_worth"] > 0.0) & (books["alive"] > 0.0)
    room = share * collateral * solvent
    books.loans.undrawn[rows] = np.maximum(room[books.loans.debtor[rows]] - books.loans.principal[rows] - books.loans.arrears[rows], 0.0)
