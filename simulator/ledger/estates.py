"""Who fails in a tick, what they owe and what they hold, and the network of what they owe: a settlement of estates looks at nothing else.

Few agents fail, and most contracts are between others. What is left out would only add zeros to sums, so no bit depends on it.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Contracts, Selection, Ties
from simulator.ledger.settlement import OPERATING, SECURED, SUBORDINATED, UNSECURED, loan_classes
from simulator.networks.clearing import EdgeNetwork

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]

TABLES = ("loans", "stakes", "orders", "leases", "guarantees")
TRADE = ("orders", "leases", "guarantees")
"""Tables whose claims on an estate are arrears alone, all of them unsecured."""


class Estates:
    """The estates of ``failed (N, R)`` (0 or 1): the rows ``agents`` that fail in some replication and the ``banks`` among them; and the contracts
    that they owe (``owed``) and hold (``held``), by table."""

    def __init__(self, books: Books, failed: Array) -> None:
        self.books, self.failed = books, failed
        self.fails: Bools = np.any(failed, axis=1)
        self.agents = np.flatnonzero(self.fails)
        self.banks = self.agents[books["is_bank"][self.agents, 0] > 0.0]
        tables: dict[str, Contracts] = {name: getattr(books, name) for name in TABLES}
        self.owed = {name: owed_by(self.fails, table) for name, table in tables.items()}
        self.held = {name: held_by(self.fails, table) for name, table in tables.items()}

    def claims(self, name: str, some: Ties) -> Array:
        """What is owed now on ``some`` contracts of the table ``name``, USD bn, ``(n, R)``."""
        table: Contracts = getattr(self.books, name)
        arrears: Array = table.arrears[some.rows]
        return table.principal[some.rows] + arrears if name == "loans" else arrears

    @cached_property
    def network(self) -> EdgeNetwork:
        """Who owes whom, in this order: the secured part of each loan, its rest, orders, leases, guarantees, bills and other liabilities of each
        estate, and what the government paid to the depositors of each bank."""
        payer, payee, priority = (np.concatenate(blocks) for blocks in zip(*self._edges, strict=True))
        return EdgeNetwork(payer, payee, priority, self.books.agents, SUBORDINATED + 1)

    @cached_property
    def _edges(self) -> list[tuple[Rows, Rows, Rows]]:
        """Payers, payees and classes of each block of edges."""
        loans, trade = self.owed["loans"], [self.owed[name] for name in TRADE]
        unsecured = np.where(loan_classes(self.books.loans.static["seniority"][loans.rows]) == SUBORDINATED, SUBORDINATED, UNSECURED)
        to_outside = np.full(len(self.agents), self.books.outside)

        def all_of(payer: Rows, number: int) -> Rows:
            return np.full(len(payer), number)

        return [
            (loans.debtor, loans.holder, all_of(loans.debtor, SECURED)),
            (loans.debtor, loans.holder, unsecured),
            *((table.debtor, table.holder, all_of(table.debtor, UNSECURED)) for table in trade),
            (self.agents, to_outside, all_of(self.agents, OPERATING)),
            (self.agents, to_outside, all_of(self.agents, UNSECURED)),
            (self.banks, all_of(self.banks, self.books.government), all_of(self.banks, SECURED)),
        ]

    def by_block(self, paid: Array) -> list[Array]:
        """What the edges of the network pay ``(E, R)``, as a list of its blocks, each ``(n, R)``."""
        return np.split(paid, np.cumsum([len(payer) for payer, *_ in self._edges])[:-1])


def owed_by(debtors: Bools, table: Contracts) -> Ties:
    """The contracts that ``debtors (N,)`` owe."""
    return _chosen(table, debtors[table.debtor])


def held_by(holders: Bools, table: Contracts) -> Ties:
    """The contracts that ``holders (N,)`` hold."""
    return _chosen(table, holders[table.holder])


def _chosen(table: Contracts, is_chosen: Bools) -> Ties:
    """The contracts chosen; where these are many all of the table, as choosing them takes longer."""
    rows = np.flatnonzero(is_chosen)
    return table if 4 * len(rows) > table.count else Selection(table, rows)
