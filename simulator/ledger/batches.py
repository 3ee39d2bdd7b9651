"""A part of a batch: the books and the ledger of some replications, worked on alone and written back.

Most months nothing fails and nobody is called in most replications. Stages that act on few of them run on the part
that is active, which changes no bit: every operation works column by column.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import merged_rows

Array = NDArray[np.float64]

SINGLES = ("opening", "flows", "public_support", "rounding")
READ_ONLY = ("opening",)
WRITTEN_FLOWS = frozenset({"book_net_worth", "insolvent", "assets_now", "equity_now"})
TABLES = ("loans", "stakes", "orders", "leases", "guarantees")


class _Cut(dict[Any, Array]):
    """Arrays of a batch by name, cut to some replications when first asked for, and written back at the end.

    An array that has one column while the batch has several (a parameter) is the same for all replications and stays whole.
    """

    def __init__(self, whole: dict[Any, Array], index: NDArray[np.int64], width: int, places: dict[int, NDArray[np.int64]]) -> None:
        super().__init__()
        self.whole, self.index, self.width, self.places = whole, index, width, places

    def __missing__(self, key: Any) -> Array:
        values = self.whole[key]
        if values.shape[1] == self.width:
            if values.flags.c_contiguous:  # from the flat array is faster, as for what is written back
                values = values.reshape(-1).take(self._places(len(values))).reshape(len(values), len(self.index))
            else:
                values = values.take(self.index, axis=1)
        self[key] = values
        return values

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or key in self.whole

    def __iter__(self) -> Iterator[Any]:
        return iter({**self.whole, **dict(super().items())})

    def items(self) -> Any:
        """Every array, cut."""
        for key in self.whole:
            self[key]
        return super().items()

    def write_back(self, names: frozenset[str] | None = None) -> None:
        """Write what was asked for into the batch; only ``names`` where they are given."""
        for key, values in super().items():
            if names is not None and key not in names:
                continue
            target = self.whole.get(key)
            if target is None:
                target = self.whole[key] = np.zeros((values.shape[0], self.width))
            elif target.shape[1] != self.width:
                if values is target:
                    continue
                target = self.whole[key] = np.array(np.broadcast_to(target, (target.shape[0], self.width)))
            elif not target.flags.writeable:
                target = self.whole[key] = target.copy()
            flat = target.reshape(-1)  # columns are C-contiguous: a view, in which scattering is twice as fast
            flat[self._places(len(target))] = values.reshape(-1)

    def _places(self, rows: int) -> NDArray[np.int64]:
        """Where the part's numbers stand in a whole array of so many rows, read row by row."""
        if rows not in self.places:
            self.places[rows] = (np.arange(rows)[:, None] * self.width + self.index).reshape(-1)
        return self.places[rows]


class Part:
    """``with Part(books, ledger, active) as part:`` gives ``part.books`` and ``part.ledger`` of the replications ``active (R,)``.

    Whatever is written to them stands in the whole batch afterwards.
    """

    def __init__(self, books: Books, ledger: Ledger, active: NDArray[np.bool_]) -> None:
        self.whole_books, self.whole_ledger = books, ledger
        self.index = np.flatnonzero(active)
        self.is_whole = len(self.index) == books.replications
        self._cuts: list[_Cut] = []
        self._places: dict[int, NDArray[np.int64]] = {}
        self.books, self.ledger = (books, ledger) if self.is_whole else self._extract()

    def __enter__(self) -> Part:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and not self.is_whole:
            self._restore()

    def _cut(self, arrays: dict[Any, Array]) -> _Cut:
        cut = _Cut(arrays, self.index, self.whole_books.replications, self._places)
        self._cuts.append(cut)
        return cut

    def _extract(self) -> tuple[Books, Ledger]:
        whole = self.whole_books
        books = copy.copy(whole)
        books.replications = len(self.index)
        books.columns = whole.columns.view(self._cut(whole.columns.arrays), books.replications)
        for table in TABLES:
            contracts = copy.copy(getattr(whole, table))
            contracts.replications = books.replications
            contracts.state = self._cut(contracts.state)
            setattr(books, table, contracts)
        books.repayments = whole.repayments.part(books.loans, self.index)
        books.series = self._cut(whole.series)
        books.macro = {name: np.take(value, self.index, axis=1) if isinstance(value, np.ndarray) else value for name, value in whole.macro.items()}
        books.switches = self._cut(whole.switches)
        width = whole.replications
        books.levers = {  # one column where no random change moves a lever
            name: values if values.shape[1] != width else np.take(values, self.index, axis=1) for name, values in whole.levers.items()
        }
        books.converged = whole.converged[self.index]
        ledger = copy.copy(self.whole_ledger)
        ledger.books = books
        for name in ("posted", "loss_by_tag", "loss_by_nature", "losses", "mute"):
            setattr(ledger, name, self._cut(getattr(ledger, name)))
        for name in SINGLES:
            setattr(ledger, name, np.take(getattr(ledger, name), self.index, axis=1))
        return books, ledger

    def _restore(self) -> None:
        whole = self.whole_books
        stocks = frozenset(name for name, role in whole.columns.roles.items() if role == "stock") | WRITTEN_FLOWS
        for cut in self._cuts:
            cut.write_back(stocks if cut.whole is whole.columns.arrays else None)
        whole.converged[self.index] = self.books.converged
        whole.dead_rows = merged_rows(whole.dead_rows, self.books.dead_rows)
        for name in SINGLES:
            if name not in READ_ONLY:
                getattr(self.whole_ledger, name)[:, self.index] = getattr(self.ledger, name)
