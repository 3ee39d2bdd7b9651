"""Checks of what comes in, shared by all kernels: one clear error that names the offending index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from simulator.errors import InputError, shown

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
Matrix: TypeAlias = Any  # a dense square array or any scipy.sparse matrix or array

Csr: TypeAlias = Any  # a scipy.sparse.csr_matrix

# Two amounts nearer than this (relative) count as equal: 0.2 / 5 against 0.04 must not be decided by the last bit.
TIE = 1e-12

ROUNDING_MONEY = 1e-9  # amounts negative by no more than this are rounding left by earlier postings, and count as 0

LARGEST = 1e100
"""Finite numbers above this are mistakes; their products would run out of the range of a float."""


class NetworkInputError(InputError):
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
    given: Any = values
    if sparse.issparse(given) or isinstance(given, complex) or getattr(given, "dtype", np.dtype(float)).kind == "c":
        raise NetworkInputError(f"{name} must be real numbers in a dense array, not {shown(values)}")
    try:
        array = np.ascontiguousarray(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError, OverflowError) as error:
        raise NetworkInputError(f"{name} must be numbers: {error}") from None
    if np.asarray(values).ndim == 0:
        array = array.reshape(())
    bad = np.isnan(array) if infinite else ~np.isfinite(array)
    if bad.any():
        raise NetworkInputError(f"{name}{_first(bad)} is not finite" if not infinite else f"{name}{_first(bad)} is not a number")
    large = (np.abs(array) > LARGEST) & np.isfinite(array)
    if large.any():
        raise NetworkInputError(f"{name}{_first(large)} = {array[large][0]:g} is beyond {LARGEST:g}")
    if not negative and (array < 0).any():
        below = array < 0
        raise NetworkInputError(f"{name}{_first(below)} = {array[below][0]:g} is negative")
    return array


def columns(
    name: str, values: ArrayLike, agents: int, negative: bool = False, infinite: bool = False, scenarios: int | None = None
) -> tuple[FloatArray, bool]:
    """`values` of shape (n,) or (n, scenarios) as a matrix (n, scenarios), and whether it was a vector.

    With `scenarios` given it has one column or as many.
    """
    array = numbers(name, values, negative=negative, infinite=infinite)
    if array.ndim == 0:
        array = np.full(agents, float(array))
    wanted = "scenarios" if scenarios is None else scenarios
    if array.ndim not in (1, 2) or array.shape[0] != agents:
        raise NetworkInputError(f"{name} has shape {array.shape}; expected ({agents},) or ({agents}, {wanted})")
    if scenarios is not None and array.ndim == 2 and array.shape[1] not in (1, scenarios):
        raise NetworkInputError(f"{name} has shape {array.shape}; expected ({agents},) or ({agents}, {wanted})")
    return (array[:, None], True) if array.ndim == 1 else (array, False)


def square(name: str, matrix: Matrix, negative: bool = False) -> Csr:
    """`matrix` (n, n), dense or sparse, as CSR with sorted indices and no duplicates."""
    if matrix is None:
        raise NetworkInputError(f"{name} is missing")
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
    except (TypeError, ValueError, OverflowError):
        raise NetworkInputError(f"{name} = {shown(value)} is not a number") from None
    if not low <= number <= high:
        raise NetworkInputError(f"{name} = {number:g} is outside [{low:g}, {high:g}]")
    return number


def whole(name: str, value: Any, low: int, high: int = 10**9) -> int:
    """`value` as a whole number within [low, high]."""
    number = share(name, value, low, high)
    if number != int(number):
        raise NetworkInputError(f"{name} = {number:g} must be a whole number")
    return int(number)


def word(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Raises when `value` is none of the words allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise NetworkInputError(f"{name} = {shown(value)}; allowed are {', '.join(allowed)}")


def switch(name: str, value: Any) -> None:
    """Raises when `value` is neither true nor false."""
    if not isinstance(value, bool | np.bool_):
        raise NetworkInputError(f"{name} = {shown(value)}; allowed are True, False")


def together(**arrays: Any) -> None:
    """Raises when arrays that are worked on element by element differ in shape (a number goes with any)."""
    try:
        np.broadcast_shapes(*(np.shape(array) for array in arrays.values()))
    except ValueError:
        told = ", ".join(f"{name} {np.shape(array)}" for name, array in arrays.items() if np.ndim(array))
        raise NetworkInputError(f"shapes that don't go together: {told}") from None


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
    try:
        array = np.asarray(values)
    except ValueError:
        raise NetworkInputError(f"{name} = {shown(values)} is no mask") from None
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


def indices(name: str, values: ArrayLike, limit: int | None) -> IntArray:
    """`values` (E,) as whole numbers from 0 to below `limit`."""
    array = np.atleast_1d(np.asarray(values))
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise NetworkInputError(f"{name} must be a vector of whole numbers, not {array.dtype} of shape {array.shape}")
    if array.min() < 0 or (limit is not None and array.max() >= limit):
        at = int(np.flatnonzero((array < 0) if limit is None else (array < 0) | (array >= limit))[0])
        allowed = "0 or more" if limit is None else f"0..{limit - 1}"
        raise NetworkInputError(f"{name}[{at}] = {array[at]}; allowed are {allowed}")
    return array.astype(np.int64)


def amounts(name: str, values: FloatArray, rows: int) -> FloatArray:
    """`values` (rows, R), finite and not negative: quick, and the slow check, which names the index, only when something is wrong."""
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != rows:
        raise NetworkInputError(f"{name} has shape {array.shape}; expected ({rows}, scenarios)")
    if array.size and not (array.min() >= 0.0 and array.max() < np.inf):
        array = np.where((array < 0) & (array >= -ROUNDING_MONEY), 0.0, array)
        numbers(name, array)
    return array


def recovery(name: str, value: float | FloatArray, agents: int) -> FloatArray:
    """A share in [0, 1] by agent, (n, 1) or (n, R)."""
    if np.ndim(value) == 0:
        return np.full((agents, 1), share(name, float(value)))
    array = columns(name, value, agents)[0]
    if (array > 1).any():
        raise NetworkInputError(f"{name}[{int(np.argwhere(array > 1)[0][0])}] = {array.max():g} is above 1")
    return array
