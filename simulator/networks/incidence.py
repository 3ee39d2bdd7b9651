"""Sums of amounts by member: who pays, who is paid, who holds. Each adds in a fixed order, so a replication's bits do not depend on the others.

A product of a sparse 0/1 matrix in CSR form with a dense array adds in index order for every column alone, and so does `bincount`
(``sum(axis=0)`` and dense ``@`` do not).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

# Private to scipy: without it the product is scipy's own, of the same bits.
csr_matvecs: Any = getattr(getattr(sparse, "_sparsetools", None), "csr_matvecs", None)

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


class SumMatrix(sparse.csr_matrix):
    """A matrix in CSR form whose product with amounts ``(contracts, R)`` goes to scipy's compiled loop at once.

    Of the products of a tick, most are of few contracts: scipy's way to the same loop takes longer than the loop.
    """

    def __matmul__(self, other: Any) -> Any:
        """The product; bits as those of `scipy.sparse.csr_matrix`."""
        is_plain = type(other) is np.ndarray and other.dtype == np.float64 and other.ndim == 2 and other.flags.c_contiguous
        if csr_matvecs is None or not is_plain or other.shape[1] == 1 or len(other) != self.shape[1]:
            return super().__matmul__(other)
        summed = np.zeros((self.shape[0], other.shape[1]))
        csr_matvecs(*self.shape, other.shape[1], self.indptr, self.indices, self.data, other.reshape(-1), summed.reshape(-1))
        return summed


class Incidence:
    """The 0/1 matrix ``(agents, contracts)`` whose product ``@`` with amounts ``(contracts, R)`` sums them by member, ``(agents, R)``.

    The amounts of one replication are added up by `bincount`, which wants no matrix; those of several by the sparse product, whose matrix is
    made when first asked for. Both add from zero in the order of the contracts: the same bits.
    """

    def __init__(self, members: Rows, agents: int, chosen: Rows | None = None, contracts: int = 0) -> None:
        """members: the row that each contract is added to. chosen: of a table of so many ``contracts``, those that count; all if not given."""
        self.members, self.agents, self.chosen = members, agents, chosen
        self.contracts = len(members) if chosen is None else contracts

    @cached_property
    def csr(self) -> SumMatrix:
        """The matrix in CSR form, each row's contracts in ascending order."""
        order, starts = by_member(self.members, self.agents)
        columns = order if self.chosen is None else self.chosen[order]
        return SumMatrix((np.ones(len(order)), columns, starts), shape=(self.agents, self.contracts))

    def __matmul__(self, amounts: Array) -> Array:
        """Sums of ``amounts (contracts, R)`` by member, ``(agents, R)``."""
        if amounts.shape[1] != 1:
            summed: Array = self.csr @ amounts
            return summed
        return _sums_of_one(self.members, amounts[:, 0] if self.chosen is None else amounts[self.chosen, 0], self.agents)


class NetIncidence:
    """The matrix ``(agents, contracts)`` with 1 for the member that gains a contract's amount and -1 for the one that gives it."""

    def __init__(self, gains: Incidence, gives: Incidence) -> None:
        self.gains, self.gives = gains, gives

    @cached_property
    def csr(self) -> SumMatrix:
        """The matrix in CSR form, each row's contracts in ascending order."""
        matrix: Any = (self.gains.csr - self.gives.csr).tocsr()
        matrix.sort_indices()
        signed: SumMatrix = matrix
        return signed

    @cached_property
    def _members(self) -> Rows:
        """Both members of each contract, one after the other."""
        return np.stack([self.gains.members, self.gives.members], axis=1).reshape(-1)

    @cached_property
    def _is_between_two(self) -> Array | None:
        """0 where a member would gain from itself, by contract; None if none does."""
        between = self.gains.members != self.gives.members
        return None if between.all() else between.astype(np.float64)

    def __matmul__(self, amounts: Array) -> Array:
        """What each member gains of ``amounts (contracts, R)`` less what it gives, ``(agents, R)``."""
        if amounts.shape[1] != 1:
            summed: Array = self.csr @ amounts
            return summed
        moved = np.empty((len(amounts), 2))
        moved[:, :1] = amounts
        if self._is_between_two is not None:
            moved[:, 0] *= self._is_between_two
        np.negative(moved[:, 0], out=moved[:, 1])
        return _sums_of_one(self._members, moved.reshape(-1), self.gains.agents)


def by_member(members: Rows, agents: int) -> tuple[Rows, Rows]:
    """The contracts in the order of their members, each member's in ascending order, and where each member's begin, ``(agents + 1,)``."""
    keys = members.astype(np.uint16) if agents <= 1 << 16 else members  # short keys are sorted in linear time
    return np.argsort(keys, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(members, minlength=agents))])


def _sums_of_one(members: Rows, amounts: Array, agents: int) -> Array:
    """Sums of ``amounts (n,)`` of one replication by member, ``(agents, 1)``."""
    return np.asarray(np.bincount(members, weights=amounts, minlength=agents), dtype=np.float64)[:, None]  # of nothing it makes whole numbers
