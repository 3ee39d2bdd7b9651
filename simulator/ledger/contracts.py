"""Contracts as columns ``(contract, replication)``: who owes whom is fixed within a batch, amounts differ.

A :class:`Contracts` table knows its two parties and sums amounts by party with one sparse product, which gives the
same bits for any number of replications.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.sums import incidence

Array = NDArray[np.float64]


class Contracts:
    """A table of contracts between a ``holder`` (lender, seller, lessor, …) and a ``debtor`` (borrower, buyer, …).

    Static columns ``(C,)`` come from the economy; state columns ``(C, R)`` are added with :meth:`add`. Both are attributes.
    """

    def __init__(self, table: Any, holder: str, debtor: str, agents: int, replications: int) -> None:
        self.ids: tuple[str, ...] = tuple(table.ids)
        self.static: dict[str, NDArray[Any]] = dict(table.columns)
        self.count, self.replications, self.agents = len(self.ids), replications, agents
        self.holder = np.ascontiguousarray(table.columns[holder], dtype=np.int64)
        self.debtor = np.ascontiguousarray(table.columns[debtor], dtype=np.int64)
        self.holder_matrix = incidence(self.holder, agents)
        self.debtor_matrix = incidence(self.debtor, agents)
        self.net_matrix = (self.holder_matrix - self.debtor_matrix).tocsr()
        self.net_matrix.sort_indices()
        self.state: dict[str, Array] = {}

    def add(self, name: str, values: Any = 0.0) -> Array:
        """Make a state column ``(C, R)`` from a number, ``(C,)`` or ``(C, R)`` values."""
        values = np.asarray(values, dtype=np.float64)
        if values.ndim == 1:
            values = values[:, None]
        array = np.empty((self.count, self.replications))
        array[...] = values
        self.state[name] = array
        return array

    def __getattr__(self, name: str) -> Any:
        for columns in (self.__dict__.get("state", {}), self.__dict__.get("static", {})):
            if name in columns:
                return columns[name]
        raise AttributeError(name)

    def by_holder(self, amounts: Array) -> Array:
        """Sum amounts ``(C, R)`` by holder: ``(N, R)``."""
        return self.holder_matrix @ amounts

    def by_debtor(self, amounts: Array) -> Array:
        """Sum amounts ``(C, R)`` by debtor: ``(N, R)``."""
        return self.debtor_matrix @ amounts

    def net(self, amounts: Array) -> Array:
        """Amounts ``(C, R)`` added for the holder and taken from the debtor: ``(N, R)``; sums to zero over agents."""
        change: Array = self.net_matrix @ amounts
        return change

    def rows_of_holders(self, rows: NDArray[np.int64]) -> Any:
        """The rows of the matrix that sums by holder, kept until other rows are asked for."""
        known = self.__dict__.get("_holder_rows")
        if known is None or not np.array_equal(known[0], rows):
            known = (rows.copy(), self.holder_matrix[rows])
            self.__dict__["_holder_rows"] = known
        return known[1]

    def of_holder(self, values: Array) -> Array:
        """Each contract's holder's row of ``values (N, R)``: ``(C, R)``."""
        return np.take(values, self.holder, axis=0)

    def of_debtor(self, values: Array) -> Array:
        """Each contract's debtor's row of ``values (N, R)``: ``(C, R)``."""
        return np.take(values, self.debtor, axis=0)
