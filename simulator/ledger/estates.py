"""Who fails in a tick, what they owe and hold, and the clearing of their debts: a settlement of estates looks at nothing else.

Few agents fail, and most contracts are between others. What is left out would only add zeros to sums, so no bit depends on it.
"""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Contracts, Selection
from simulator.ledger.settlement import OPERATING, SECURED, UNSECURED
from simulator.networks.edges import FEW_ROUNDS, EdgeClearing, EdgeNetwork

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]

TABLES = ("loans", "stakes", "orders", "leases", "guarantees")
TRADE = ("orders", "leases", "guarantees")
"""Tables whose claims on an estate are arrears alone, all of them unsecured."""


class Side(Selection):
    """The contracts of a ``table`` that the failing owe, or those that they hold; ``fails (n, R)`` is 1 where that party of a contract fails."""

    def __init__(self, table: Contracts, rows: Rows, party: Rows, failed: Array) -> None:
        super().__init__(table, rows)
        self.table, self.fails = table, failed.take(party[rows], axis=0)
        self.is_empty = not len(rows)

    def claims(self) -> Array:
        """What is owed now on them, USD bn, ``(n, R)``: overdue sums, and the principal of loans."""
        state = self.table.state
        owed = state["arrears"][self.rows]
        if "principal" in state:
            owed += state["principal"][self.rows]
        return owed


class Estates:
    """The estates of ``failed (N, R)`` (0 or 1): the rows ``agents`` that fail in some replication (``fails (N,)``) and the ``banks`` among them; and
    the contracts that they owe (``owed``) and hold (``held``), by table."""

    def __init__(self, books: Books, failed: Array) -> None:
        self.books, self.failed = books, failed
        self.fails: Bools = np.any(failed > 0.0, axis=1)
        self.agents = self.fails.nonzero()[0]
        self.banks = self.agents[books["is_bank"][self.agents, 0] > 0.0]

    @cached_property
    def owed(self) -> dict[str, Side]:
        """What they owe, by table."""
        tables: dict[str, Contracts] = {name: getattr(self.books, name) for name in TABLES}
        return {name: Side(table, of_the_failing(self.fails, table.debtor), table.debtor, self.failed) for name, table in tables.items()}

    @cached_property
    def held(self) -> dict[str, Side]:
        """What they hold, by table."""
        tables: dict[str, Contracts] = {name: getattr(self.books, name) for name in TABLES}
        return {name: Side(table, of_the_failing(self.fails, table.holder), table.holder, self.failed) for name, table in tables.items()}

    @cached_property
    def trade(self) -> list[Side]:
        """Of the tables of trade those in which they owe anything."""
        return [self.owed[name] for name in TRADE if not self.owed[name].is_empty]

    @cached_property
    def debts(self) -> list[tuple[Rows, Rows, Rows]]:
        """What the estates owe, as blocks of edges, each with payers, payees and classes: the secured part of each loan, its rest, orders, leases and
        guarantees where there are any, bills and other liabilities of each estate, and what the government paid to the depositors of each bank."""
        loans = self.owed["loans"]
        to_outside = np.full(len(self.agents), self.books.outside)

        def all_of(payer: Rows, number: int) -> Rows:
            return np.full(len(payer), number)

        return [
            (loans.debtor, loans.holder, all_of(loans.debtor, SECURED)),
            (loans.debtor, loans.holder, loans.table.static["class_of_rest"][loans.rows]),
            *((some.debtor, some.holder, all_of(some.debtor, UNSECURED)) for some in self.trade),
            (self.agents, to_outside, all_of(self.agents, OPERATING)),
            (self.agents, to_outside, all_of(self.agents, UNSECURED)),
            (self.banks, all_of(self.banks, self.books.government), all_of(self.banks, SECURED)),
        ]

    def by_block(self, paid: Array) -> list[Array]:
        """What is paid on the debts ``(E, R)``, as a list of their blocks, each ``(n, R)``."""
        ends = list(accumulate(len(payer) for payer, *_ in self.debts))
        return [paid[start:end] for start, end in zip([0, *ends], ends, strict=False)]

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
        few = EdgeNetwork(place[payer], place[payee], priority, count + 1, sink=count)
        purse, is_failed = np.concatenate([cash[self.agents] * failed, nothing]), np.concatenate([failed, nothing]) > 0.0
        cleared = few.clear(dues, purse, is_failed=is_failed, rounds=FEW_ROUNDS, **recovery)
        if not cleared.converged.all():
            slow = np.flatnonzero(~cleared.converged)
            every, failed = EdgeNetwork(payer, payee, priority, self.books.agents), self.failed[:, slow]
            again = every.clear(dues[:, slow], cash[:, slow] * failed, is_failed=failed > 0.0, **recovery)
            cleared.paid[:, slow], cleared.rounds[slow], cleared.converged[slow] = again.paid, again.rounds, again.converged
            for name in ("shortfall", "owed", "received", "deadweight"):
                of_few, of_all = getattr(cleared, name), getattr(again, name)
                if of_all is not None:
                    of_few[:-1, slow] = of_all[self.agents]
        return cleared


def of_the_failing(fails: Bools, party: Rows) -> Rows:
    """The contracts whose ``party (C,)`` ``fails (N,)``, ascending."""
    return fails[party].nonzero()[0]
