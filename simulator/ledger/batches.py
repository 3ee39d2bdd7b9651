"""A part of a batch: the books and the ledger of some replications, worked on alone and written back.

Most months nothing fails and nobody is called in most replications. Stages that act on few of them run on the part
that is active, which changes no bit: every operation works column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import merged_rows

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
T = TypeVar("T")

SINGLES = ("opening", "flows", "public_support", "rounding")
WRITTEN_FLOWS = frozenset({"book_net_worth", "insolvent", "assets_now", "equity_now"})
TABLES = ("loans", "stakes", "orders", "leases", "guarantees")
PLACES_KEPT = 64  # arrays of rows of which a part keeps the places


class _Places:
    """Where the numbers of some rows, in the ``columns`` of a part, stand in the arrays of a batch, ``width`` columns wide, counted row by row.

    They are found once for each array of rows: the same contracts are read and written again and again.
    """

    def __init__(self, columns: Rows, width: int) -> None:
        self.columns, self.width = columns, width
        self._of_all: dict[int, Rows] = {}
        self._known: dict[int, tuple[Rows, Rows]] = {}  # by the array itself, which is kept, so that no other has its number

    def of(self, rows: Rows) -> Rows:
        """The places of ``rows (n,)``, ``(n, columns)``."""
        known = self._known.get(id(rows))
        if known is None:
            if len(self._known) >= PLACES_KEPT:
                self._known.clear()
            known = self._known[id(rows)] = rows, rows[:, None] * self.width + self.columns
        return known[1]

    def of_all(self, rows: int) -> Rows:
        """The places of all rows of an array that has so many, ``(rows * columns,)``."""
        if rows not in self._of_all:
            self._of_all[rows] = (np.arange(rows)[:, None] * self.width + self.columns).reshape(-1)
        return self._of_all[rows]


class Window:
    """An array of a batch ``(n, R)`` seen in some of its ``columns``, by rows (a number, a slice, an array of numbers): they are cut when asked for,
    and what is written stands in the batch at once. Single numbers are read by two arrays, of rows and columns. To take it whole is a TypeError.

    What is given is a copy, by a number or a slice too: a change stands when it is assigned to the rows (``window[rows] += ...``).
    """

    __array_ufunc__ = None

    def __init__(self, whole: Array, columns: Rows, places: _Places) -> None:
        self.whole, self.columns, self.places = whole, columns, places
        self.flat = whole.reshape(-1, copy=False)

    def __getitem__(self, rows: int | slice | Rows | tuple[Rows, Rows]) -> Array:
        if isinstance(rows, tuple):
            return self.whole[rows[0], self.columns[rows[1]]]
        if isinstance(rows, np.ndarray):
            return self.flat[self.places.of(rows)]
        return self.whole[rows].take(self.columns, axis=-1, mode="clip")

    def __setitem__(self, rows: int | slice | Rows, values: Array) -> None:
        if isinstance(rows, np.ndarray):
            self.flat[self.places.of(rows)] = values
        else:
            self.whole[rows, self.columns] = values

    def __array__(self, *_: Any, **__: Any) -> Array:
        raise TypeError("in this part of the batch the array is read and written by rows")


class _Cut(dict[Any, Any]):
    """Arrays of a batch by name, cut to some replications when first asked for; what has changed is written back at the end.

    An array that has one column while the batch has several (a parameter) is the same for all replications and stays whole. An array that is not kept
    is cut to be read only. Of those ``by_row`` a `Window` is given in place of a cut.
    """

    def __init__(
        self, whole: Mapping[Any, Array], places: _Places, is_kept: Callable[[Any], bool], by_row: Callable[[Any], bool] | None = None
    ) -> None:
        super().__init__()
        self.whole, self.places, self.is_kept, self.by_row = whole, places, is_kept, by_row
        self.index, self.width = places.columns, places.width
        self.before: dict[Any, Array] = {}  # as they were cut

    def __missing__(self, key: Any) -> Array:
        values: Any = self.whole[key]
        if values.shape[1] != self.width:
            pass
        elif self.by_row is not None and self.by_row(key) and values.flags.c_contiguous:
            values = Window(values, self.index, self.places)
        else:
            values = values.take(self.index, axis=1, mode="clip")
            if self.is_kept(key):
                self.before[key] = values.copy()
            else:
                values.flags.writeable = False
        self[key] = values
        return values  # type: ignore[no-any-return]

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or key in self.whole

    def __iter__(self) -> Iterator[Any]:
        return iter({**self.whole, **dict(super().items())})

    def items(self) -> Any:
        """Every array, cut."""
        for key in self.whole:
            self[key]
        return super().items()

    def write_back(self, whole: dict[Any, Array]) -> None:
        """Write what has changed into ``whole``, the arrays of the batch, of those that are kept.

        Few numbers change where few agents fail or sell: to find them in the small arrays costs less than to write all into the large ones.
        """
        for key, values in super().items():
            if isinstance(values, Window) or not self.is_kept(key):
                continue
            target, before = whole.get(key), self.before.get(key)
            if target is None:
                target = whole[key] = np.zeros((len(values), self.width))
            elif target.shape[1] != self.width:
                if values is target:
                    continue
                target = whole[key] = np.array(np.broadcast_to(target, (len(target), self.width)))
            changed = None if before is None else _changed(before, values)
            if changed is not None and not len(changed):
                continue
            if not target.flags.writeable:
                target = whole[key] = target.copy()
            if changed is None:
                target[:, self.index] = values
            else:
                target.reshape(-1, copy=False)[self.places.of_all(len(target))[changed]] = values.reshape(-1)[changed]


def _always(_: Any) -> bool:
    return True


def _never(_: Any) -> bool:
    return False


def _changed(before: Array, values: Array) -> Rows | None:
    """Where numbers differ from those ``before``, to the bit, counted row by row; None where the arrays can't be compared."""
    if values.shape != before.shape or values.dtype != before.dtype or not values.flags.c_contiguous:
        return None
    places: Rows = (values.view(np.int64) != before.view(np.int64)).reshape(-1).nonzero()[0]
    return places


class Part:
    """``with Part(books, ledger, active) as part:`` gives ``part.books`` and ``part.ledger`` of the replications ``active (R,)``.

    Whatever is written to them stands in the whole batch afterwards; the accounts of losses and what falls due are those of the batch at once.
    ``by_row``: names of columns, of tables of contracts, and of what the ledger keeps, that are read and written by rows only (`Window`): to cut all
    of their rows takes longer than most of what is done with few.
    """

    def __init__(self, books: Books, ledger: Ledger, active: NDArray[np.bool_], by_row: frozenset[str] = frozenset()) -> None:
        self.whole_books, self.whole_ledger, self.by_row = books, ledger, by_row
        self.index = np.flatnonzero(active)
        self.is_whole = len(self.index) == books.replications
        self.places = _Places(self.index, books.replications)
        self._cuts: list[tuple[_Cut, dict[Any, Array]]] = []
        self.books, self.ledger = (books, ledger) if self.is_whole else self._extract()

    def __enter__(self) -> Part:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and not self.is_whole:
            self._restore()

    def _cut(
        self, arrays: dict[Any, Array], is_kept: Callable[[Any], bool] = _always, by_row: Callable[[Any], bool] | None = None
    ) -> _Cut:
        cut = _Cut(arrays, self.places, is_kept, by_row)
        self._cuts.append((cut, arrays))
        return cut

    def _extract(self) -> tuple[Books, Ledger]:
        whole = self.whole_books
        books = _twin_of(whole)
        books.replications = len(self.index)
        roles = whole.columns.roles
        columns = self._cut(whole.columns.arrays, lambda name: roles.get(name) == "stock" or name in WRITTEN_FLOWS, self.by_row.__contains__)
        books.columns = whole.columns.view(columns, books.replications)
        for table in TABLES:
            contracts = _twin_of(getattr(whole, table))
            contracts.replications = books.replications
            contracts.state = self._cut(contracts.state, by_row=_always if table in self.by_row else None)
            setattr(books, table, contracts)
        books.repayments = whole.repayments.part(books.loans, self.index)
        books.series = self._cut(whole.series)
        books.macro = {name: np.take(value, self.index, axis=1) if isinstance(value, np.ndarray) else value for name, value in whole.macro.items()}
        books.switches = self._cut(whole.switches)
        books.levers = _Cut(whole.levers, self.places, _never)  # one column where no random change moves a lever
        books.converged = whole.converged[self.index]
        ledger = _twin_of(self.whole_ledger)
        ledger.__class__ = _LedgerOfPart
        ledger.books, ledger.columns = books, self.index
        for name in ("posted", "loss_by_tag", "loss_by_nature", "mute"):
            setattr(ledger, name, self._cut(getattr(ledger, name), by_row=_always if name in self.by_row else None))
        ledger.__dict__["singles"] = self._cut({name: ledger.__dict__.pop(name) for name in SINGLES}, by_row=self.by_row.__contains__)
        return books, ledger

    def _restore(self) -> None:
        whole = self.whole_books
        for cut, arrays in self._cuts:
            cut.write_back(arrays)
        whole.converged[self.index] = self.books.converged
        whole.dead_rows = merged_rows(whole.dead_rows, self.books.dead_rows)


class _LedgerOfPart(Ledger):
    """A ledger whose arrays of all agents are cut when first asked for, as those that it keeps by name."""

    def __getattr__(self, name: str) -> Array:
        if name not in SINGLES:
            raise AttributeError(name)
        single: Array = self.__dict__["singles"][name]
        return single


def _twin_of(thing: T) -> T:
    """Another object of the same kind with the same attributes, as `copy.copy`, which takes ten times as long."""
    twin = object.__new__(type(thing))
    twin.__dict__.update(thing.__dict__)
    return twin
