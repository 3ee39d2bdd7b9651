"""What every agent shares: a window on the books, in two sizes.

A Mesa agent is a window on one row; a cohort is the same class on a slice of rows, in all replications. Rules are
methods marked with :func:`simulator.ledger.columns.rule`; they read the window and answer arrays ``(n, R)``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from agents.plain_mesa import mesa
from simulator.ledger.books import Books
from simulator.ledger.columns import Flow, Parameter, Stock

Array = NDArray[np.float64]


class EconomicAgent(mesa.Agent):
    """An agent of the model: one row of the books, or (as a cohort) several.

    ``kind`` is the word used in tables. Columns read on a Mesa agent are floats, on a cohort arrays ``(n, R)``.
    """

    kind: ClassVar[str] = ""
    is_cohort = False

    cash = Stock("USD bn", "deposits held; of banks and the government: reserves")
    capacity = Stock("USD bn", "productive fixed assets switched on, at book value")
    construction = Stock("USD bn", "fixed assets paid for and not yet switched on")
    other_assets = Stock("USD bn", "everything else owned")
    other_liabilities = Stock("USD bn", "owed to the rest of the world, without interest")
    alive = Stock("0 or 1", "1 until the estate is settled")
    debt = Flow("USD bn", "loans owed, arrears included, at the start of the tick")
    book_net_worth = Flow("USD bn", "book net worth at the start of the tick, and again before defaults")

    def __init__(self, model: Any, row: int) -> None:
        super().__init__(model)
        self._bind(model.books, slice(row, row + 1))
        self.row, self.name = row, model.books.ids[row]
        self.cohort = type(self).cohort_of(model.books, self.rows)

    @classmethod
    def cohort_of(cls, books: Books, rows: slice) -> Self:
        """The class bound to ``rows`` of the books: no Mesa agent, but the same rules."""
        cohort = object.__new__(cls)
        cohort.is_cohort = True
        cohort._bind(books, rows)
        return cohort

    def _bind(self, books: Books, rows: slice) -> None:
        self.books, self.columns, self.rows = books, books.columns, rows

    @property
    def years_per_tick(self) -> float:
        """Length of a tick in years."""
        return self.books.years_per_tick

    def series(self, name: str) -> Array:
        """A system series, ``(1, R)``."""
        return self.books.series[name]

    def lever(self, name: str) -> Array:
        """A lever of this tick for these agents, ``(n, 1)`` or ``(1, 1)``."""
        values = self.books.levers[name]
        return values if len(values) == 1 else values[self.rows]

    def draw(self, purpose: str) -> Array:
        """This tick's draw for a purpose, ``(n, R)`` or ``(1, R)`` where it is common to all."""
        values = self.books.draws[purpose]
        return values if len(values) == 1 else values[self.rows]

    def seen(self, channel: str, name: str) -> Array:
        """A column of these agents as an amplifier channel lets others see it, ``(n, R)``."""
        return self.books.through(channel, name)[self.rows]

    def macro(self, name: str) -> Any:
        """A number of ``macro.csv``; ``(1, R)`` where it is uncertain."""
        return self.books.macro[name]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.books.ids[self.rows.start]}>" if not self.is_cohort else f"<cohort {type(self).__name__}>"


__all__ = ["Array", "EconomicAgent", "Flow", "Parameter", "Stock"]
