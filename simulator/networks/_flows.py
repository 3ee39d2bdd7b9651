"""How payments turn into receipts, for the solver in `_waterfall.py`: along edges, or in fixed proportions."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy import sparse

from simulator.networks._checks import BoolArray, Csr, FloatArray, IntArray, times


class EdgeStructure(Protocol):
    """What the flow along edges needs of a network of E edges; `row` (E,) = class * n + payer."""

    agents: int
    classes: int
    row: IntArray
    payee: IntArray
    incoming: Csr

    @property
    def pairs(self) -> Csr:
        """Adds amounts of edges (E, R) up by payee and payer: (n * n, E), row payee * n + payer."""


class EdgeFlow:
    """Payments along edges whose amounts `dues` (E, R) differ by scenario."""

    def __init__(self, network: EdgeStructure, dues: FloatArray, owed: FloatArray) -> None:
        self.network, self.dues, self.owed = network, dues, owed
        self.classes, self.agents = network.classes, network.agents
        self.per_due = 1.0 / np.where(owed > 0, owed, 1.0)

    def paid(self, pay: FloatArray) -> FloatArray:
        """What each edge pays (E, R): pro rata within a class, and to the last bit in full where the class is paid in full."""
        share_paid = np.where(pay >= self.owed, 1.0, pay * self.per_due)
        paid: FloatArray = self.dues * np.take(share_paid, self.network.row, axis=0)
        return paid

    def received(self, pay: FloatArray) -> FloatArray:
        """What each agent gets (n, R) when `pay` (classes * n, R) is paid."""
        return times(self.network.incoming, self.paid(pay))

    def compress(self, keep: BoolArray) -> EdgeFlow:
        """The same for the scenarios marked in `keep` (R,)."""
        return EdgeFlow(self.network, np.compress(keep, self.dues, axis=1), np.compress(keep, self.owed, axis=1))

    def dense_links(self, marginal: FloatArray) -> FloatArray:
        """(R, n, n), [r, j, i] = part of what agent i pays on the class marked in `marginal` (classes * n, R) that goes to j."""
        n = self.agents
        weights = self.dues * np.take(self.per_due * marginal, self.network.row, axis=0)
        pairs = times(self.network.pairs, weights)
        return np.ascontiguousarray(pairs.T).reshape(-1, n, n)

    def sparse_links(self, rows: IntArray, column: int) -> Csr:
        """The same in one scenario for the payer-classes `rows` (m,) only: (n, m)."""
        place = np.full(self.classes * self.agents, -1, dtype=np.int64)
        place[rows] = np.arange(rows.size)
        at = place[self.network.row]
        used = np.flatnonzero(at >= 0)
        weights = self.dues[used, column] * self.per_due[self.network.row[used], column]
        return sparse.csr_matrix((weights, (self.network.payee[used], at[used])), shape=(self.agents, rows.size))


class MatrixFlow:
    """Payments spread in the same proportions in every scenario: `links` (n, classes * n) is the share of each class that each gets."""

    def __init__(self, links: Csr, classes: int) -> None:
        self.links, self.classes, self.agents = links, classes, int(links.shape[0])

    def received(self, pay: FloatArray) -> FloatArray:
        """What each agent gets (n, R) when `pay` (classes * n, R) is paid."""
        return times(self.links, pay)

    def compress(self, keep: BoolArray) -> MatrixFlow:
        """Itself: the proportions hold in every scenario."""
        return self

    def dense_links(self, marginal: FloatArray) -> FloatArray:
        """(R, n, n), [r, j, i] = part of what agent i pays on the class marked in `marginal` (classes * n, R) that goes to j."""
        n, dense = self.agents, np.asarray(self.links.toarray())
        result = np.zeros((marginal.shape[1], n, n))
        for start in range(0, self.classes * n, n):
            result += dense[None, :, start : start + n] * marginal[start : start + n].T[:, None, :]
        return result

    def sparse_links(self, rows: IntArray, column: int) -> Csr:
        """The columns `rows` (m,) of the proportions, in any scenario: (n, m)."""
        return sparse.csr_matrix(self.links.tocsc()[:, rows])
