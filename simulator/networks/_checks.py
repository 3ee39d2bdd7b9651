"""Checks of what comes in, shared by all kernels: one clear error that names the offending index."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
Matrix: TypeAlias = Any  # a dense square array or any scipy.sparse matrix or array

Csr: TypeAlias = Any  # a scipy.sparse.csr_matrix

# Two amounts nearer than this (relative) count as equal: 0.2 / 5 against 0.04 must not be decided by the last bit.
TIE = 1e-12


class NetworkInputError(ValueError):
    """A network, or a vector on it, that no kernel can work with; the message names the array and the index."""


class NotConverged(ArithmeticError):
    """An iteration that did not settle within the rounds allowed."""


def _first(where: BoolArray) -> str:
    if where.ndim == 0:
        return ""
    position = np.argwhere(where)[0]
    return "[" + ", ".join(str(int(i)) for i in position) + "]"


def numbers(name: str, values: ArrayLike, negative: bool = False, infinite: bool = False) -> FloatArray:
    """`values` as floats of any shape; raises on NaN, on infinity unless `infinite`, on negatives unless `negative`."""
    try:
        array = np.ascontiguousarray(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise NetworkInputError(f"{name} must be numbers: {error}") from None
    if np.asarray(values).ndim == 0:
        array = array.reshape(())
    bad = np.isnan(array) if infinite else ~np.isfinite(array)
    if bad.any():
        raise NetworkInputError(f"{name}{_first(bad)} is not finite" if not infinite else f"{name}{_first(bad)} is not a number")
    if not negative and (array < 0).any():
        below = array < 0
        raise NetworkInputError(f"{name}{_first(below)} = {array[below][0]:g} is negative")
    return array


def columns(name: str, values: ArrayLike, agents: int, negative: bool = False, infinite: bool = False) -> tuple[FloatArray, bool]:
    """`values` of shape (n,) or (n, scenarios) as a matrix (n, scenarios), and whether it was a vector."""
    array = numbers(name, values, negative=negative, infinite=infinite)
    if array.ndim == 0:
        array = np.full(agents, float(array))
    if array.ndim not in (1, 2) or array.shape[0] != agents:
        raise NetworkInputError(f"{name} has shape {array.shape}; expected ({agents},) or ({agents}, scenarios)")
    return (array[:, None], True) if array.ndim == 1 else (array, False)


def square(name: str, matrix: Matrix, negative: bool = False) -> Csr:
    """`matrix` (n, n), dense or sparse, as CSR with sorted indices and no duplicates."""
    if sparse.issparse(matrix):
        result: Csr = sparse.csr_matrix(matrix, dtype=np.float64, copy=True)  # type: ignore[call-overload]
        result.sum_duplicates()
    else:
        dense = numbers(name, matrix, negative=negative)
        if dense.ndim != 2:
            raise NetworkInputError(f"{name} has shape {dense.shape}; expected a square matrix")
        result = sparse.csr_matrix(dense)
    if result.shape[0] != result.shape[1] or result.shape[0] == 0:
        raise NetworkInputError(f"{name} has shape {result.shape}; expected a square matrix of at least one agent")
    bad = ~np.isfinite(result.data) if negative else ~np.isfinite(result.data) | (result.data < 0)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        row = int(np.searchsorted(result.indptr, at, side="right")) - 1
        raise NetworkInputError(f"{name}[{row}, {int(result.indices[at])}] = {result.data[at]:g} must be finite and not negative")
    result.sort_indices()
    return result


def times(matrix: Matrix, dense: FloatArray) -> FloatArray:
    """Sparse `matrix` @ `dense`: adds in a fixed order, so a column's bits do not depend on the other columns."""
    product: FloatArray = matrix @ dense
    return product


def no_self_links(name: str, matrix: Csr) -> None:
    """Raises when an agent is linked to itself, which no kernel gives a meaning to."""
    own = matrix.diagonal()
    if own.any():
        at = int(np.flatnonzero(own)[0])
        raise NetworkInputError(f"{name}[{at}, {at}] = {own[at]:g}: nobody owes or owns itself here; set the diagonal to 0")


def share(name: str, value: float, low: float = 0.0, high: float = 1.0) -> float:
    """`value` as a float within [low, high]."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise NetworkInputError(f"{name} = {value!r} is not a number") from None
    if not low <= number <= high:
        raise NetworkInputError(f"{name} = {number:g} is outside [{low:g}, {high:g}]")
    return number


def rectangle(name: str, matrix: Matrix, columns_are: str) -> FloatArray:
    """`matrix` (n, m), dense or sparse, as a dense array of numbers that are finite and not negative."""
    if sparse.issparse(matrix):
        matrix = sparse.csr_matrix(matrix, dtype=np.float64).toarray()  # type: ignore[call-overload]
    dense = numbers(name, matrix)
    if dense.ndim != 2 or dense.shape[0] == 0:
        raise NetworkInputError(f"{name} has shape {dense.shape}; expected (n, {columns_are}) with n of at least 1")
    return dense


def flags(name: str, values: ArrayLike, agents: int) -> BoolArray:
    """`values` as booleans, (n,) or (n, scenarios); 0 and 1 will do, indices will not."""
    array = np.asarray(values)
    if array.ndim not in (1, 2) or array.shape[0] != agents:
        raise NetworkInputError(f"{name} has shape {array.shape}; expected a mask ({agents},) or ({agents}, scenarios)")
    if array.dtype != np.bool_:
        wrong = ~np.isin(array, (0, 1))
        if wrong.any():
            raise NetworkInputError(f"{name}{_first(wrong)} = {array[wrong][0]} is neither true nor false")
    return array.astype(np.bool_)


def at_most(name: str, limit: float, values: ArrayLike) -> None:
    """Raises when an element of `values` is above `limit`."""
    array = np.asarray(values)
    over = array > limit
    if over.any():
        raise NetworkInputError(f"{name}{_first(over)} = {array[over][0]:g} is above {limit:g}")
