"""The only place where amounts are summed over agents or contracts: totals here, sums by member with :mod:`simulator.networks.incidence`.

Each adds in index order for every column alone, so a replication's bits do not depend on which others stand beside it (``sum(axis=0)`` and
dense ``@`` do).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.networks.incidence import Incidence, SumMatrix

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

BLOCK_NUMBERS = 1 << 15  # 256 KB
BUFFERED_FROM = 256  # replications from which NumPy's buffer is set to a row
WIDE = 64  # replications from which NumPy adds rows faster than a sparse product


def incidence(members: Rows, agents: int) -> Incidence:
    """The 0/1 matrix ``(agents, contracts)`` whose product with amounts ``(contracts, R)`` sums them by member."""
    return Incidence(members, agents)


def merged_rows(one: Rows, other: Rows) -> Rows:
    """The numbers that are in either of two ascending arrays without repetition, ascending: `np.union1d`, which hashes, is many times slower."""
    both = np.concatenate([one, other])
    both.sort(kind="stable")
    return both[np.append(True, both[1:] != both[:-1])] if len(both) else both


def common_rows(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the numbers, not negative, that two ascending arrays share stand in each: as `np.intersect1d`, which sorts, tells."""
    place = np.searchsorted(other, one)
    shared = np.flatnonzero(np.append(other, -1)[place] == one)
    return shared, place[shared]


@lru_cache(maxsize=64)
def _ones(count: int) -> SumMatrix:
    return SumMatrix(np.arange(count + 1), np.zeros(count, dtype=np.int64), np.ones(count), (1, count))


def row_blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices that cut an array ``(rows, width)`` into blocks that the processor's cache holds beside a few others like them.

    Several elementwise steps in a row go faster block by block than each through the whole array.
    """
    step = max(1, BLOCK_NUMBERS // width)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


@contextmanager
def buffered_by_row(width: int) -> Iterator[None]:
    """While it lasts, NumPy works on arrays ``(n, width)`` a row at a time where another operand is ``(n, 1)`` or ``(1, width)``.

    With its own buffer, of 8,192 numbers, it first writes such an operand out over as many rows as the buffer holds, which takes longer than the
    sum or product itself. Elementwise results don't depend on the buffer. Narrow arrays are left alone.
    """
    with np.errstate():  # at its end the buffer is again what it was
        if width >= BUFFERED_FROM:
            np.setbufsize(min(-(-width // 16) * 16, np.getbufsize()))  # a multiple of 16, as NumPy asks for
        yield


def add_to_rows(target: Any, rows: Rows, amounts: Array) -> None:
    """Add ``amounts (n, R)`` to the ``rows (n,)`` of ``target (N, R)``, in place: as ``target[rows] += amounts``, which copies those rows twice."""
    if isinstance(target, np.ndarray) and target.shape[1] == amounts.shape[1] >= WIDE:
        count = len(rows)
        SumMatrix(np.arange(count + 1), rows, np.ones(count), (len(target), count)).add_block(target, amounts, slice(0, count))
    else:
        target[rows] += amounts


def total(amounts: Array) -> Array:
    """Sum of ``amounts (n, R)`` over the first axis: ``(1, R)``."""
    if amounts.shape[0] == 0:
        return np.zeros((1, amounts.shape[1]))
    if amounts.shape[1] >= WIDE and amounts.flags.c_contiguous:  # row by row, as the sparse product; a single column would be added in pairs
        return np.add.reduce(amounts, axis=0, keepdims=True)
    return _ones(amounts.shape[0]) @ amounts
