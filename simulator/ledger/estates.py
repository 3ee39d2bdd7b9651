"""Who fails in a tick, what they owe and hold, and the clearing of their debts: a settlement of estates looks at nothing else.

Few agents fail, and most contracts are between others. What is left out would only add zeros to sums, so no bit depends on it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Contracts, Selection
from simulator.ledger.settlement import OPERATING, SECURED, SUBORDINATED, UNSECURED, loan_classes
from simulator.networks.edges import FEW_ROUNDS, EdgeClearing, EdgeNetwork

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

    def claims(self, name: str, some: Selection) -> Array:
        """What is owed now on ``some`` contracts of the table ``name``, USD bn, ``(n, R)``."""
        table: Contracts = getattr(self.books, name)
        arrears: Array = table.arrears[some.rows]
        return table.principal[some.rows] + arrears if name == "loans" else arrears

    @cached_property
    def debts(self) -> list[tuple[Rows, Rows, Rows]]:
        """What the estates owe, as blocks of edges, each with payers, payees and classes: the secured part of each loan, its rest, orders, leases,
        guarantees, bills and other liabilities of each estate, and what the government paid to the depositors of each bank."""
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
        """What is paid on the debts ``(E, R)``, as a list of their blocks, each ``(n, R)``."""
        return np.split(paid, np.cumsum([len(payer) for payer, *_ in self.debts])[:-1])

    def clear(self, dues: Array, cash: Array, asset_recovery: float, claim_recovery: float) -> EdgeClearing:
        """What the estates pay on their debts ``dues (E, R)`` out of ``cash (N, R)``, and the given shares of it and of what they receive.

        Amounts by agent are ``(n + 1, R)``: of each of ``agents``, and of all others together, who owe nothing here. Where the clearing among these
        takes many rounds, it is done among all agents: the solver then goes on with linear systems, whose bits depend on how many agents there are,
        and those that fail in some replication are others in another batch.
        """
        payer, payee, priority = (np.concatenate(blocks) for blocks in zip(*self.debts, strict=True))
        recovery: dict[str, Any] = {"asset_recovery": asset_recovery, "claim_recovery": claim_recovery}
        failed, count, nothing = self.failed[self.agents], len(self.agents), np.zeros((1, dues.shape[1]))
        place = np.full(self.books.agents, count)
        place[self.agents] = np.arange(count)
        few = EdgeNetwork(place[payer], place[payee], priority, count + 1)
        purse, is_failed = np.append(cash[self.agents] * failed, nothing, axis=0), np.append(failed, nothing, axis=0) > 0.0
        cleared = few.clear(dues, purse, is_failed=is_failed, rounds=FEW_ROUNDS, **recovery)
        slow = np.flatnonzero(~cleared.converged)
        if len(slow):
            every, failed = EdgeNetwork(payer, payee, priority, self.books.agents), self.failed[:, slow]
            again = every.clear(dues[:, slow], cash[:, slow] * failed, is_failed=failed > 0.0, **recovery)
            cleared.paid[:, slow], cleared.rounds[slow], cleared.converged[slow] = again.paid, again.rounds, again.converged
            for name in ("shortfall", "owed", "received", "deadweight"):
                of_few, of_all = getattr(cleared, name), getattr(again, name)
                if of_all is not None:
                    of_few[:-1, slow] = of_all[self.agents]
        return cleared


def owed_by(debtors: Bools, table: Contracts) -> Selection:
    """The contracts that ``debtors (N,)`` owe."""
    return Selection(table, np.flatnonzero(debtors[table.debtor]))


def held_by(holders: Bools, table: Contracts) -> Selection:
    """The contracts that ``holders (N,)`` hold."""
    return Selection(table, np.flatnonzero(holders[table.holder]))
