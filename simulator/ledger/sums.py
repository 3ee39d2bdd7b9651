"""The only place where amounts are summed over agents or contracts.

A product of a sparse 0/1 matrix in CSR form with a dense array adds in index order for every column alone, so a
replication's bits do not depend on which others stand beside it (``sum(axis=0)`` and dense ``@`` do).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import _sparsetools

Array = NDArray[np.float64]

BLOCK_NUMBERS = 1 << 15  # 256 KB


class SumMatrix(sparse.csr_matrix):
    """A matrix in CSR form whose product with amounts ``(contracts, R)`` goes to scipy's compiled loop at once.

    Of the products of a tick, most are of few contracts: scipy's way to the same loop takes longer than the loop.
    """

    def __matmul__(self, other: Any) -> Any:
        """The product; bits as those of `scipy.sparse.csr_matrix`."""
        is_plain = type(other) is np.ndarray and other.dtype == np.float64 and other.ndim == 2 and other.flags.c_contiguous
        if not is_plain or other.shape[1] == 1 or len(other) != self.shape[1]:
            return super().__matmul__(other)
        summed = np.zeros((self.shape[0], other.shape[1]))
        _sparsetools.csr_matvecs(*self.shape, other.shape[1], self.indptr, self.indices, self.data, other.reshape(-1), summed.reshape(-1))
        return summed


def incidence(members: NDArray[np.int64], agents: int) -> SumMatrix:
    """The 0/1 matrix ``(agents, contracts)`` whose product with amounts ``(contracts, R)`` sums them by member."""
    count = len(members)
    starts = np.concatenate([[0], np.cumsum(np.bincount(members, minlength=agents))])
    return SumMatrix((np.ones(count), np.argsort(members, kind="stable"), starts), shape=(agents, count))


def merged_rows(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers that are in either of two ascending arrays without repetition, ascending: `np.union1d`, which hashes, is many times slower."""
    both = np.concatenate([one, other])
    both.sort(kind="stable")
    return both[np.append(True, both[1:] != both[:-1])] if len(both) else both


@lru_cache(maxsize=64)
def _ones(count: int) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.ones((1, count)))


def row_blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices that cut an array ``(rows, width)`` into blocks that the processor's cache holds beside a few others like them.

    Several elementwise steps in a row go faster block by block than each through the whole array.
    """
    step = max(1, BLOCK_NUMBERS // width)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def total(amounts: Array) -> Array:
    """Sum of ``amounts (n, R)`` over the first axis: ``(1, R)``."""
    if amounts.shape[0] == 0:
        return np.zeros((1, amounts.shape[1]))
    if amounts.shape[1] > 1 and amounts.flags.c_contiguous:  # row by row, as the sparse product; a single column would be added in pairs
        return np.add.reduce(amounts, axis=0, keepdims=True)
    return _ones(amounts.shape[0]) @ amounts
