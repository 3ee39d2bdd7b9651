"""When contracts fall due: repayments of loans and deliveries of orders, month by month.

New loans are added to the slot they were listed for, so a slot stands for many single loans; its repayments in each
month equal those of the list of single loans (a test holds this).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.contracts import Contracts

Array = NDArray[np.float64]
NEVER = 10**6
EARLIEST_REPAYMENT = 6
SLIP_MONTHS = 24.0  # deliveries that slipped are caught up with over about two years (assumption, 12-36)
DEFAULT_TERM = 60  # months of a renewed loan whose row gives no term


class RepaymentSchedule:
    """Principal due by month for a table of loans, amounts ``(C, R)``.

    Bullet loans fall due at maturity; amortising ones in equal monthly instalments until maturity.
    """

    def __init__(self, loans: Contracts, ticks: int) -> None:
        self.loans, self.ticks = loans, ticks
        self.whole: RepaymentSchedule | None = None  # set in a part of a batch, with its columns
        self.columns: NDArray[np.int64] | None = None
        self.is_amortising = loans.static["repayment"] == "amortising"
        # A date in month m after the start falls due in tick m - 1 (tick 0 is the first month); overdue rows fall due at once.
        self.maturity = np.clip(np.asarray(loans.static["maturity"], dtype=np.int64) - 1, 0, NEVER)
        terms = np.asarray(loans.static["new_term_months"], dtype=np.int64)
        self.terms = np.where((terms > 0) & (terms < NEVER), terms, DEFAULT_TERM)
        self._bullets: dict[int, Array] = {}
        self._instalment_ends: dict[int, Array] = {}
        self._slow_rows = np.flatnonzero(self.is_amortising)
        self.due_rows = self._slow_rows
        self.instalment = np.zeros((loans.count, loans.replications))
        for month in np.unique(self.maturity):
            self._place(loans.principal, np.flatnonzero(self.maturity == month), int(month), int(month) + 1)
        self._rows_by_maturity = [(int(month), np.flatnonzero(self.maturity == month)) for month in np.unique(self.maturity)]
        self._rows_by_term = [(int(term), np.flatnonzero(self.terms == term)) for term in np.unique(self.terms)]

    def add(self, lent: Array, tick: int) -> None:
        """Enter new loans ``lent (C, R)`` granted in ``tick``: they run for the slot's term."""
        for term, rows in self._rows_by_term:
            self._place(lent, rows, tick + term, term)

    def draw(self, drawn: Array, tick: int) -> None:
        """Enter draws on commitments and lines ``drawn (C, R)``: they mature with the commitment, half a year on at the earliest."""
        for maturity, rows in self._rows_by_maturity:
            due_tick = max(maturity, tick + EARLIEST_REPAYMENT)
            self._place(drawn, rows, due_tick, due_tick - tick)

    def _place(self, amounts: Array, rows: NDArray[np.int64], due_tick: int, months: int) -> None:
        slow, bullet = rows[self.is_amortising[rows]], rows[~self.is_amortising[rows]]
        schedule = self.whole or self
        if len(bullet) and due_tick < self.ticks:
            self._month(schedule._bullets, due_tick)[self._place_of(bullet)] += amounts[bullet]
        if len(slow):
            instalment = amounts[slow] / months
            schedule.instalment[self._place_of(slow)] += instalment
            if due_tick + 1 < self.ticks:
                self._month(schedule._instalment_ends, due_tick + 1)[self._place_of(slow)] += instalment

    def _place_of(self, rows: NDArray[np.int64]) -> Any:
        """Where rows stand in the arrays of the whole schedule: all columns, or those of the part."""
        return (rows,) if self.columns is None else np.ix_(rows, self.columns)

    def _month(self, months: dict[int, Array], tick: int) -> Array:
        if tick not in months:
            months[tick] = np.zeros_like((self.whole or self).instalment)
        return months[tick]

    def due(self, tick: int) -> Array:
        """Principal that falls due in ``tick``, at most what is owed, ``(C, R)``. To be asked once a tick, in order.

        ``due_rows`` then names the rows where something may be due.
        """
        ended = self._instalment_ends.pop(tick, None)
        if ended is not None:
            self.instalment -= ended
            np.maximum(self.instalment, 0.0, out=self.instalment)
        bullets = self._bullets.pop(tick, None)
        if bullets is None:
            self.due_rows = self._slow_rows
            due = np.zeros_like(self.instalment)
            due[self._slow_rows] = np.minimum(self.instalment[self._slow_rows], self.loans.principal[self._slow_rows])
            return due
        self.due_rows = np.flatnonzero(self.is_amortising | (bullets > 0.0).any(axis=1))
        due = self.instalment + bullets
        np.minimum(due, self.loans.principal, out=due)
        return due

    def part(self, loans: Contracts, columns: NDArray[np.int64]) -> RepaymentSchedule:
        """The schedule of some replications; months are cut only when :meth:`scale` asks for them."""
        part = copy.copy(self)
        part.loans, part.whole, part.columns = loans, self, columns
        return part

    def scale(self, rows: NDArray[np.int64], factor: Array) -> None:
        """Shrink what is still to fall due of ``rows`` by ``factor (len(rows), R)`` after an early repayment."""
        schedule = self.whole or self
        place = self._place_of(rows)
        for month in (schedule.instalment, *schedule._bullets.values(), *schedule._instalment_ends.values()):
            month[place] *= factor


class DeliverySchedule:
    """Deliveries planned by month for orders with a commitment: a linear ramp, then a level rate, adding to the amount.

    ``planned[t]`` is ``(C, 1)``, USD bn in tick ``t``. Orders with amount zero (supply ties) have no plan.
    """

    def __init__(self, orders: Contracts, ticks: int) -> None:
        start = np.asarray(orders.static["start"], dtype=np.float64)
        start = np.where(start >= NEVER, 1.0, start)
        first = np.maximum(start, 1.0)  # the first month still to come
        end = np.asarray(orders.static["end"], dtype=np.float64)
        end = np.where(end >= NEVER, first + 59.0, np.maximum(end, first))
        ramp = np.maximum(np.asarray(orders.static["ramp_months"], dtype=np.float64), 1.0)
        amount = np.asarray(orders.static["amount"], dtype=np.float64)
        weight_sum = _ramp_sum(end - start + 1.0, ramp) - _ramp_sum(first - start, ramp)
        month = np.arange(1, ticks + 14, dtype=np.float64)[:, None]
        weight = np.minimum((month - start + 1.0) / ramp, 1.0) * (month >= first) * (month <= end)
        planned = weight * (amount / weight_sum)
        self.planned: Array = np.ascontiguousarray(planned[:, :, None])
        after = amount - np.cumsum(planned, axis=0) + planned  # what the plan leaves for a month and all later ones
        self.left_by_plan: Array = np.ascontiguousarray(np.maximum(after, 0.0)[:, :, None])

    def due(self, tick: int, remaining: Array) -> Array:
        """Deliveries due in ``tick``, USD bn, ``(C, R)``: the plan, and a part of what has slipped, at most what remains."""
        slipped = np.maximum(remaining - self.left_by_plan[tick], 0.0)
        due: Array = np.minimum(self.planned[tick] + slipped / SLIP_MONTHS, remaining)
        return due

    def next_year(self, tick: int) -> Array:
        """Deliveries planned for the twelve months after ``tick``, USD bn, ``(C, 1)``."""
        ahead = self.planned[tick + 1 : tick + 13]
        return np.add.reduceat(ahead, [0], axis=0)[0] if len(ahead) else np.zeros_like(self.planned[0])


def _ramp_sum(months: Array, ramp: Array) -> Array:
    """Sum of ``min(m / ramp, 1)`` over ``m = 1 … months``."""
    slow = np.minimum(months, ramp)
    return slow * (slow + 1.0) / (2.0 * ramp) + np.maximum(months - ramp, 0.0)
