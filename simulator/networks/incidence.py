"""Sums of amounts by member: who pays, who is paid, who holds. Each adds in a fixed order, so a replication's bits do not depend on the others.

A product of a sparse 0/1 matrix in CSR form with a dense array adds in index order for every column alone, and so does `bincount`
(``sum(axis=0)`` and dense ``@`` do not).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

# Private to scipy: without it the product is scipy's own, of the same bits.
csr_matvecs: Any = getattr(getattr(sparse, "_sparsetools", None), "csr_matvecs", None)

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


class SumMatrix(NamedTuple):
    """A matrix in CSR form, ``shape``; the numbers of row i are ``numbers[starts[i]:starts[i + 1]]`` and stand in the ``columns`` of the same places.

    Its product with amounts goes to scipy's compiled loop at once. Of the products of a tick, most are of few contracts, and many of contracts
    chosen for it: scipy's own matrix takes longer to be made, and to come to the same loop, than the loop.
    """

    starts: Rows
    columns: Rows
    numbers: Array
    shape: tuple[int, int]

    def __matmul__(self, amounts: Array) -> Array:
        """The product with amounts ``(contracts, R)``; bits as those of `scipy.sparse.csr_matrix`. ValueError where sizes do not fit."""
        if amounts.shape[0] != self.shape[1]:
            raise ValueError(f"{amounts.shape[0]} rows of amounts for {self.shape[1]} columns")
        if csr_matvecs is None:
            product: Array = self.as_sparse() @ amounts
            return product
        amounts = np.ascontiguousarray(amounts, dtype=np.float64)
        summed = np.zeros((self.shape[0], amounts.shape[1]))
        csr_matvecs(*self.shape, amounts.shape[1], self.starts, self.columns, self.numbers, amounts.reshape(-1), summed.reshape(-1))
        return summed

    def as_sparse(self) -> sparse.csr_matrix:
        """The same as a matrix of scipy's."""
        return sparse.csr_matrix((self.numbers, self.columns, self.starts), shape=self.shape)


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
        return SumMatrix(starts, columns, np.ones(len(order)), (self.agents, self.contracts))

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
        is_kept = None if self._is_between_two is None else np.repeat(self._is_between_two > 0.0, 2)
        order, _ = by_member(self._members, self.gains.agents)
        order = order if is_kept is None else order[is_kept[order]]
        counts = np.bincount(self._members[order], minlength=self.gains.agents)
        signs = np.where(order % 2 == 0, 1.0, -1.0)
        return SumMatrix(np.concatenate([[0], np.cumsum(counts)]), order // 2, signs, (self.gains.agents, self.gains.contracts))

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
