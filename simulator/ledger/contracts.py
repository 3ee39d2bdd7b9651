"""Contracts as columns ``(contract, replication)``: who owes whom is fixed within a batch, amounts differ.

A :class:`Contracts` table knows its two parties and sums amounts by party with one sparse product, which gives the
same bits for any number of replications.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.sums import incidence

Array = NDArray[np.float64]


SELECTIONS_KEPT = 64
SELECTED_ROWS_KEPT = 1_000_000
"""Of selections that are kept: so many, and so many rows together (some 50 MB); the last one whatever its size."""


class Ties:
    """Who owes whom: ``holder (C,)`` and ``debtor (C,)``, and sums of amounts ``(C, R)`` by party. The matrices are made when first asked for."""

    def __init__(self, holder: NDArray[np.int64], debtor: NDArray[np.int64], agents: int) -> None:
        self.holder, self.debtor, self.agents = holder, debtor, agents

    @cached_property
    def holder_matrix(self) -> Any:
        """Sums by holder, sparse ``(N, C)``."""
        return incidence(self.holder, self.agents)

    @cached_property
    def debtor_matrix(self) -> Any:
        """Sums by debtor, sparse ``(N, C)``."""
        return incidence(self.debtor, self.agents)

    @cached_property
    def net_matrix(self) -> Any:
        """Adds for the holder and takes from the debtor, sparse ``(N, C)``."""
        matrix = (self.holder_matrix - self.debtor_matrix).tocsr()
        matrix.sort_indices()
        return matrix

    def by_holder(self, amounts: Array) -> Array:
        """Sum amounts ``(C, R)`` by holder: ``(N, R)``."""
        summed: Array = self.holder_matrix @ amounts
        return summed

    def by_debtor(self, amounts: Array) -> Array:
        """Sum amounts ``(C, R)`` by debtor: ``(N, R)``."""
        summed: Array = self.debtor_matrix @ amounts
        return summed

    def net(self, amounts: Array) -> Array:
        """Amounts ``(C, R)`` added for the holder and taken from the debtor: ``(N, R)``; sums to zero over agents."""
        change: Array = self.net_matrix @ amounts
        return change

    def holders_among(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Any]:
        """Those of the agents ``rows`` that are holders, and their rows of the matrix that sums by holder; kept until other rows are asked for."""
        known = self.__dict__.get("_holders_among")
        key = rows.tobytes()
        if known is None or known[0] != key:
            holders = rows[np.isin(rows, self.holder)]
            known = self.__dict__["_holders_among"] = (key, holders, self.holder_matrix[holders])
        return known[1], known[2]

    def of_holder(self, values: Array) -> Array:
        """Each contract's holder's row of ``values (N, R)``: ``(C, R)``."""
        return np.take(values, self.holder, axis=0)

    def of_debtor(self, values: Array) -> Array:
        """Each contract's debtor's row of ``values (N, R)``: ``(C, R)``."""
        return np.take(values, self.debtor, axis=0)


class Selection(Ties):
    """Some contracts of a table, by their ``rows (n,)`` in ascending order; amounts are ``(n, R)``."""

    def __init__(self, table: Ties, rows: NDArray[np.int64]) -> None:
        super().__init__(table.holder[rows], table.debtor[rows], table.agents)
        self.rows = rows

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where ``rows`` of the table, all of them selected, stand in the selection."""
        return np.searchsorted(self.rows, rows)


class Contracts(Ties):
    """A table of contracts between a ``holder`` (lender, seller, lessor, …) and a ``debtor`` (borrower, buyer, …).

    Static columns ``(C,)`` come from the economy; state columns ``(C, R)`` are added with :meth:`add`. Both are attributes.
    """

    def __init__(self, table: Any, holder: str, debtor: str, agents: int, replications: int) -> None:
        self.ids: tuple[str, ...] = tuple(table.ids)
        self.static: dict[str, NDArray[Any]] = dict(table.columns)
        self.count, self.replications = len(self.ids), replications
        owner, owing = (np.ascontiguousarray(table.columns[party], dtype=np.int64) for party in (holder, debtor))
        super().__init__(owner, owing, agents)
        self.net_matrix  # noqa: B018 - made here, with the two that it is made of, so that parts of a batch share them
        self.state: dict[str, Array] = {}
        self._selections: dict[bytes, Selection] = {}  # shared by the parts of a batch

    def some(self, rows: NDArray[np.int64]) -> Selection:
        """The contracts of ``rows``, ascending: amounts of few contracts are summed without going through all. The last ones are kept."""
        key = rows.tobytes()
        kept = self._selections
        known = kept.pop(key, None)
        if known is None:
            while kept and (len(kept) >= SELECTIONS_KEPT or sum(len(one.rows) for one in kept.values()) + len(rows) > SELECTED_ROWS_KEPT):
                kept.pop(next(iter(kept)))
            known = Selection(self, rows)
        kept[key] = known  # the one asked for last stands last
        return known

    def add(self, name: str, values: Any = 0.0) -> Array:
        """Make a state column ``(C, R)`` from a number, ``(C,)`` or ``(C, R)`` values."""
        values = np.asarray(values, dtype=np.float64)
        if values.ndim == 1:
            values = values[:, None]
        array = np.empty((self.count, self.replications))
        array[...] = values
        self.state[name] = array
        return array

    def add_terms(self, name: str, values: Any) -> Array:
        """Make a column of terms that stay fixed, ``(C, 1)``, or ``(C, R)`` where they are uncertain, from ``(C,)`` or ``(C, R)`` values."""
        values = np.asarray(values, dtype=np.float64)
        self.state[name] = np.array(values[:, None] if values.ndim == 1 else values, order="C")  # a copy: state is written in place
        return self.state[name]

    def __getattr__(self, name: str) -> Any:
        for columns in (self.__dict__.get("state", {}), self.__dict__.get("static", {})):
            if name in columns:
                return columns[name]
        raise AttributeError(name)
