"""Sums of amounts by member: who pays, who is paid, who holds. Each adds in a fixed order, so a replication's bits do not depend on the others.

A product of a sparse 0/1 matrix with a dense array adds in index order for every column alone, and so does `bincount`
(``sum(axis=0)`` and dense ``@`` do not).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

# Private to scipy: without it the product is scipy's own, of the same bits.
csc_matvecs: Any = getattr(getattr(sparse, "_sparsetools", None), "csc_matvecs", None)

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


class SumMatrix(NamedTuple):
    """A matrix in CSC form, ``shape``: contract c has the ``numbers[starts[c]:starts[c + 1]]``, in the ``rows`` of the same places.

    Its product with amounts goes to scipy's compiled loop at once, which adds contract after contract to its members' sums. The form needs no
    sorting: of the products of a tick many are of contracts chosen for it, and scipy's own matrix takes longer to be made than the loop.
    """

    starts: Rows
    rows: Rows
    numbers: Array
    shape: tuple[int, int]

    def __matmul__(self, amounts: Array) -> Array:
        """The product with amounts ``(contracts, R)``; bits as those of scipy's matrices. ValueError where sizes do not fit."""
        if amounts.shape[0] != self.shape[1]:
            raise ValueError(f"{amounts.shape[0]} rows of amounts for {self.shape[1]} columns")
        if csc_matvecs is None:
            product: Array = self.as_sparse() @ amounts
            return product
        amounts = np.ascontiguousarray(amounts, dtype=np.float64)
        summed = np.zeros((self.shape[0], amounts.shape[1]))
        csc_matvecs(*self.shape, amounts.shape[1], self.starts, self.rows, self.numbers, amounts.reshape(-1), summed.reshape(-1))
        return summed

    def add_block(self, summed: Array, amounts: Array, block: slice) -> None:
        """Add the product with ``amounts (n, R)`` of the contracts of ``block`` to ``summed``, in place."""
        starts = self.starts[block.start : block.stop + 1]
        if csc_matvecs is None:
            at = slice(starts[0], starts[-1])
            np.add.at(summed, self.rows[at], np.repeat(amounts, np.diff(starts), axis=0) * self.numbers[at, None])
        else:
            csc_matvecs(self.shape[0], len(amounts), amounts.shape[1], starts, self.rows, self.numbers, amounts.reshape(-1), summed.reshape(-1))

    def as_sparse(self) -> sparse.csc_matrix:
        """The same as a matrix of scipy's."""
        return sparse.csc_matrix((self.numbers, self.rows, self.starts), shape=self.shape)


class Incidence:
    """The 0/1 matrix ``(agents, contracts)`` whose product ``@`` with amounts ``(contracts, R)`` sums them by member, ``(agents, R)``.

    The amounts of one replication are added up by `bincount`, which wants no matrix; those of several by the sparse product, whose matrix is
    made when first asked for. Both add from zero in the order of the contracts: the same bits.
    """

    def __init__(self, members: Rows, agents: int, chosen: Rows | None = None, contracts: int = 0) -> None:
        """members: the row that each contract is added to. chosen: of a table of so many ``contracts``, those that count, ascending; all if not
        given."""
        self.members, self.agents, self.chosen = members, agents, chosen
        self.contracts = len(members) if chosen is None else contracts

    @cached_property
    def matrix(self) -> SumMatrix:
        """The matrix, in the order of the contracts."""
        starts = np.arange(self.contracts + 1)
        if self.chosen is not None:
            starts[1:] = np.cumsum(np.bincount(self.chosen, minlength=self.contracts))
        return SumMatrix(starts, self.members, np.ones(len(self.members)), (self.agents, self.contracts))

    def __matmul__(self, amounts: Array) -> Array:
        """Sums of ``amounts (contracts, R)`` by member, ``(agents, R)``."""
        return self.sums(amounts)

    def sums(self, amounts: Array, out: Array | None = None) -> Array:
        """Sums of ``amounts (contracts, R)`` by member, ``(agents, R)``: anew, or written over ``out``, a whole column."""
        if amounts.shape[1] != 1:
            if out is None:
                summed: Array = self.matrix @ amounts
                return summed
            out[...] = 0.0
            self.matrix.add_block(out, np.ascontiguousarray(amounts), slice(0, self.contracts))
            return out
        if out is not None:
            out[...] = self.sums(amounts)
            return out
        return _sums_of_one(self.members, amounts[:, 0] if self.chosen is None else amounts[self.chosen, 0], self.agents)

    def add_block(self, summed: Array, amounts: Array, block: slice) -> None:
        """Add ``amounts (n, R)`` of the contracts of ``block`` to sums by member ``summed (agents, R)``, in place.

        Block after block, in ascending order and from zero, it makes the bits of the sum of all: each adds contract by contract.
        """
        self.matrix.add_block(summed, amounts, block)


class NetIncidence:
    """The matrix ``(agents, contracts)`` with 1 for the member that gains a contract's amount and -1 for the one that gives it."""

    def __init__(self, gains: Incidence, gives: Incidence) -> None:
        self.gains, self.gives = gains, gives

    @cached_property
    def matrix(self) -> SumMatrix:
        """The matrix, in the order of the contracts."""
        signs, starts = np.ones(len(self._members)), np.arange(0, len(self._members) + 1, 2)
        signs[1::2] = -1.0
        if self._is_between_two is not None:
            signs *= np.repeat(self._is_between_two, 2)
        return SumMatrix(starts, self._members, signs, (self.gains.agents, self.gains.contracts))

    def add_block(self, summed: Array, amounts: Array, block: slice) -> None:
        """As :meth:`Incidence.add_block`."""
        self.matrix.add_block(summed, amounts, block)

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
            summed: Array = self.matrix @ amounts
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
