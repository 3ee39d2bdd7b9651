"""Asset purchases: the central bank buys bonds and term loans of AI borrowers from their lenders, at book value, with money it creates.

Who may owe whom is fixed within a batch, so each eligible loan gets a twin row owed to the central bank when a scenario moves the lever; a purchase
moves principal, and what is to fall due of it, from the loan to its twin. Lenders hold cash in its place, and as the central bank takes a part of
the stock off the market, spreads on new loans fall (portfolio balance). Source: [gagnon2011].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from scenarios.changes import Change
from scenarios.economy import ContractTable, Economy
from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger

LEVER = "central_bank.asset_purchases"
ELIGIBLE = ("bond", "project_bond", "term_loan")
NAME = "bought_"


def with_purchases(economy: Economy, changes: Iterable[Change]) -> Economy:
    """The economy with a row of the central bank for every eligible loan, where a change moves purchases; else as it is."""
    if not any(change.lever == LEVER for change in changes):
        return economy
    loans = economy.loans.columns
    rows = np.flatnonzero(np.isin(loans["kind"], ELIGIBLE) & (loans["pledged_stake"] < 0))
    given = {"lender": economy.rows("central_bank").start, "principal": 0, "undrawn": 0, "new_lending": False}
    columns = {}
    for name, values in loans.items():
        more = values[rows] if name not in given else np.full(len(rows), given[name]).astype(values.dtype)
        columns[name] = np.concatenate([values, more])
    ids = (*economy.loans.ids, *(f"{NAME}{economy.loans.ids[row]}" for row in rows))
    return dataclasses.replace(economy, loans=ContractTable(ids, columns))


def buy(books: Books, ledger: Ledger) -> None:
    """Buy the tick's part of every eligible loan whose lender and borrower live and whose borrower pays on time; note the part now held."""
    pace = books.levers[LEVER]
    known = books.series["bought_share"]
    if not (pace.any() or known.any()):
        return
    loans = books.loans
    bought = np.array([row for row, name in enumerate(loans.ids) if name.startswith(NAME)], dtype=np.int64)
    place = {name: row for row, name in enumerate(loans.ids)}
    source = np.array([place[loans.ids[row].removeprefix(NAME)] for row in bought], dtype=np.int64)
    if not len(source):
        return
    sellers, buyer = loans.some(source), loans.some(bought)
    pays = books["alive"] * (books["months_in_arrears"] < 1.0)
    part = np.minimum(pace * books.years_per_tick, 1.0) * sellers.of_holder(books["alive"]) * sellers.of_debtor(pays)
    ledger.assign(sellers, buyer, loans.principal[source] * part)
    books.repayments.assign(source, bought, part)
    held = ledger.sum(loans.principal[bought])
    books.series["bought_share"] = held / np.maximum(ledger.sum(loans.principal[source]) + held, 1e-9)
