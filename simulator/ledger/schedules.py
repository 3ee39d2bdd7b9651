"""When contracts fall due: repayments of loans and deliveries of orders, month by month.

New loans are added to the slot they were listed for, so a slot stands for many single loans; its repayments in each
month equal those of the list of single loans (a test holds this).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.contracts import Contracts, Selection
from simulator.ledger.sums import add_to_rows

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
NEVER = 10**6
ROWS_KEPT = 10_000  # choices of no more rows than this are kept with their places: in economies of a million contracts they would fill the memory
EARLIEST_REPAYMENT = 6
SLIP_MONTHS = 24.0  # deliveries that slipped are caught up with over about two years (assumption, 12-36)
MONTHS_AHEAD = 12  # dues are kept so far beyond the horizon, for who looks a year ahead
DEFAULT_TERM = 60  # months of a renewed loan whose row gives no term


class Bullets(NamedTuple):
    """What falls due in one month of the bullet loans of a group, USD bn, ``(n, R)``, and of which of them something has been entered, ``(n,)``."""

    amounts: Array
    is_entered: NDArray[np.bool_]


class RepaymentSchedule:
    """Principal due by month for a table of loans.

    Bullet loans fall due at maturity; amortising ones in equal monthly instalments until maturity. Kept is what falls due within the horizon:
    of bullet loans by month and group (the loans of one maturity, or of one term), of amortising ones the instalment and where parts of it end.
    """

    def __init__(self, loans: Contracts, ticks: int) -> None:
        self.loans, self.ticks, self.width = loans, ticks, loans.replications
        self.columns: NDArray[np.int64] | None = None  # in a part of a batch: its columns in what is kept
        self.is_amortising = loans.static["repayment"] == "amortising"
        terms = np.asarray(loans.static["new_term_months"], dtype=np.int64)
        months_of = {
            # A date in month m after the start falls due in tick m - 1 (tick 0 is the first month); overdue rows fall due at once.
            "maturity": np.clip(np.asarray(loans.static["maturity"], dtype=np.int64) - 1, 0, NEVER),
            "term": np.where((terms > 0) & (terms < NEVER), terms, DEFAULT_TERM),
        }
        self._sorts: dict[str, tuple[list[int], Rows]] = {}  # the months there are; twice the place of each loan's, and 1 if it is amortising
        self._groups: dict[tuple[str, int], Rows] = {}
        for sort, months in months_of.items():
            numbers, which = np.unique(months, return_inverse=True)
            of_class = (2 * which + self.is_amortising).astype(np.uint16 if len(numbers) < 1 << 15 else np.int64)
            self._sorts[sort] = numbers.tolist(), of_class
            self._groups |= {(sort, number): rows for number, rows, _ in _by_class(*self._sorts[sort])}
        self._slow_rows = np.flatnonzero(self.is_amortising)
        # Where each loan stands in its group of each sort, or among the amortising ones.
        self._places: dict[str, Rows] = {sort: np.zeros(loans.count, dtype=np.int64) for sort in self._sorts}
        for (sort, _), members in (*self._groups.items(), (("maturity", 0), self._slow_rows)):
            self._places[sort][members] = np.arange(len(members))
        self._common: dict[tuple[str, bytes], list[tuple[int, Rows, Rows, Rows, Rows]]] = {}
        self._bullets: dict[int, dict[tuple[str, int], Bullets]] = {}
        self.instalment = np.zeros((len(self._slow_rows), self.width))
        self._instalment_ends: dict[int, Array] = {}
        self._enter(loans.principal, np.arange(loans.count), "maturity", lambda maturity: (maturity, maturity + 1))

    def add(self, lent: Array, tick: int, rows: NDArray[np.int64]) -> None:
        """Enter new loans ``lent (n, R)`` of ``rows (n,)`` granted in ``tick``: they run for the slot's term."""
        self._enter(lent, rows, "term", lambda term: (tick + term, term))

    def draw(self, drawn: Array, tick: int, rows: NDArray[np.int64]) -> None:
        """Enter draws ``drawn (n, R)`` on commitments and lines: they mature with the commitment, half a year on at the earliest."""
        self._enter(drawn, rows, "maturity", lambda maturity: (max(maturity, tick + EARLIEST_REPAYMENT), max(maturity - tick, EARLIEST_REPAYMENT)))

    def _enter(self, amounts: Array, rows: NDArray[np.int64], sort: str, ends: Callable[[int], tuple[int, int]]) -> None:
        """Enter loans whose last repayment and number of instalments follow from their maturity or term (``sort``)."""
        for number, bullet, of_group, slow, of_slow in self._by_month(rows, sort):
            due_tick, instalments = ends(number)
            if len(bullet) and due_tick < self.ticks + MONTHS_AHEAD:
                month, group = self._bullets.setdefault(due_tick, {}), (sort, number)
                if group not in month:
                    size = len(self._groups[group])
                    month[group] = Bullets(np.zeros((size, self.width)), np.zeros(size, dtype=bool))
                month[group].is_entered[of_group] = True
                self._add(month[group].amounts, of_group, amounts[bullet])
            if len(slow):
                instalment = amounts[slow]
                instalment /= instalments
                self._add(self.instalment, of_slow, instalment)
                if due_tick + 1 < self.ticks:
                    if due_tick + 1 not in self._instalment_ends:
                        self._instalment_ends[due_tick + 1] = np.zeros_like(self.instalment)
                    self._add(self._instalment_ends[due_tick + 1], of_slow, instalment)

    def _by_month(self, rows: NDArray[np.int64], sort: str) -> list[tuple[int, Rows, Rows, Rows, Rows]]:
        """Loans of ``rows`` by their maturity or term (``sort``): the number, which of them are bullet loans, their places in the group, which are
        amortising, their places among those. Kept, as the same slots are asked for each time."""
        key = (sort, rows.tobytes())
        if key not in self._common:
            numbers, of_class = self._sorts[sort]
            found = [
                (number, bullet, self._places[sort][rows[bullet]], slow, self._places["maturity"][rows[slow]])
                for number, bullet, slow in _by_class(numbers, of_class[rows])
            ]
            if len(rows) > ROWS_KEPT:
                return found
            self._common[key] = found
        return self._common[key]

    def _at(self, place: NDArray[np.int64]) -> Any:
        """An index of the rows ``place`` in what is kept: all columns, or those of the part."""
        return place if self.columns is None else np.ix_(place, self.columns)

    def _add(self, kept: Array, place: Rows, amounts: Array) -> None:
        """Add ``amounts (n, R)`` to the rows ``place`` of what is kept: in all columns, or those of the part."""
        if self.columns is None:
            add_to_rows(kept, place, amounts)
        else:
            kept[self._at(place)] += amounts

    def due(self, tick: int) -> tuple[Selection, Array]:
        """The loans of which principal may fall due in ``tick`` and how much, at most what is owed, ``(n, R)``. To be asked once a tick, in order."""
        ended = self._instalment_ends.pop(tick, None)
        if ended is not None:
            self.instalment -= ended
            np.maximum(self.instalment, 0.0, out=self.instalment)
        bullets = []
        is_due = self.is_amortising.copy()
        for group, (amounts, is_entered) in self._bullets.pop(tick, {}).items():
            some = np.flatnonzero(is_entered)
            some = some[(amounts[some] > 0.0).any(axis=1)]
            bullets.append((self._groups[group][some], amounts[some]))
            is_due[self._groups[group][some]] = True
        loans = self.loans.some(np.flatnonzero(is_due))
        due = np.zeros((len(loans.rows), self.width))
        due[loans.places(self._slow_rows)] = self.instalment
        for rows, amounts in bullets:
            add_to_rows(due, loans.places(rows), amounts)
        return loans, np.minimum(due, self.loans.principal[loans.rows], out=due)

    def due_within(self, tick: int, months: int) -> tuple[Selection, Array]:
        """The loans of which principal may fall due in the ``months`` (12 at most) from ``tick`` on, and how much of what is owed, ``(n, R)``."""
        is_due, coming = self.is_amortising.copy(), []
        for month in range(tick, tick + months):
            for group, (amounts, is_entered) in self._bullets.get(month, {}).items():
                some = np.flatnonzero(is_entered)
                coming.append((self._groups[group][some], amounts[some]))
                is_due[self._groups[group][some]] = True
        loans = self.loans.some(np.flatnonzero(is_due))
        due = np.zeros((len(loans.rows), self.width))
        due[loans.places(self._slow_rows)] = self.instalment * months
        for rows, amounts in coming:
            add_to_rows(due, loans.places(rows), amounts)
        return loans, np.minimum(due, self.loans.principal[loans.rows], out=due)

    def part(self, loans: Contracts, columns: NDArray[np.int64]) -> RepaymentSchedule:
        """The schedule of some replications, a window on what is kept for all."""
        part = copy.copy(self)
        part.loans, part.columns = loans, columns
        return part

    def scale(self, rows: NDArray[np.int64], factor: Array) -> None:
        """Shrink what is still to fall due of ``rows`` by ``factor (len(rows), R)`` after an early repayment."""
        chosen = np.flatnonzero(self.is_amortising[rows])
        if len(chosen):
            at, left = self._at(self._places["maturity"][rows[chosen]]), factor[chosen]
            for amounts in (self.instalment, *self._instalment_ends.values()):
                amounts[at] *= left
        for group, chosen, to_come in self._groups_of(rows):
            left = factor[chosen].reshape(-1)
            changed = (left != 1.0).nonzero()[0]  # few loans in few replications
            if len(changed):
                left, (row, column) = left[changed], np.divmod(changed, factor.shape[1])
                place = self._places[group[0]][rows[chosen]]
                at = place[row] * self.width + (column if self.columns is None else self.columns[column])
                for amounts, is_entered in to_come:
                    some = is_entered[place][row]  # the others are zero
                    amounts.reshape(-1)[at[some]] *= left[some]

    def assign(self, source: NDArray[np.int64], target: NDArray[np.int64], part: Array) -> None:
        """What is to fall due of ``part (n, R)`` of the rows ``source`` falls due of the rows ``target`` instead: each a twin of its source, with the
        same maturity, term and repayment, in the same order."""
        chosen = np.flatnonzero(self.is_amortising[source])
        kept = [("maturity", chosen, amounts) for amounts in (self.instalment, *self._instalment_ends.values())] if len(chosen) else []
        for (sort, _), chosen, to_come in self._groups_of(source):
            here, there = (self._places[sort][rows[chosen]] for rows in (source, target))
            for amounts, is_entered in to_come:
                is_entered[there] |= is_entered[here]
                kept.append((sort, chosen, amounts))
        for sort, chosen, amounts in kept:
            here, there = (self._at(self._places[sort][rows[chosen]]) for rows in (source, target))
            moved = amounts[here] * part[chosen]
            amounts[here] -= moved
            amounts[there] += moved

    def _groups_of(self, rows: Rows) -> Iterator[tuple[tuple[str, int], Rows, list[Bullets]]]:
        """The groups of bullet loans in which something is to fall due of some of ``rows``, which of ``rows`` these are, and the group's months."""
        for sort in self._sorts:
            for number, bullet, place, _, _ in self._by_month(rows, sort):
                to_come = [month[sort, number] for month in self._bullets.values() if (sort, number) in month]
                if len(bullet) and to_come:
                    chosen = bullet[np.logical_or.reduce([is_entered[place] for _, is_entered in to_come])]
                    if len(chosen):
                        yield (sort, number), chosen, to_come


def _by_class(numbers: list[int], of_class: Rows) -> list[tuple[int, Rows, Rows]]:
    """Those of ``numbers`` that have members, and where in ``of_class (n,)`` twice its place stands, and where one more, ascending."""
    order, ends = np.argsort(of_class, kind="stable"), np.cumsum(np.bincount(of_class, minlength=2 * len(numbers)))
    starts, middles, stops = np.append(0, ends[1:-1:2]), ends[::2], ends[1::2]
    return [
        (numbers[place], order[starts[place] : middles[place]], order[middles[place] : stops[place]]) for place in np.flatnonzero(stops > starts)
    ]


class DeliverySchedule:
    """Deliveries planned by month for orders with a commitment: a linear ramp, then a level rate, adding to the amount.

    ``planned[t]`` is ``(C, 1)``, USD bn in tick ``t`` (``(C, R)`` where amounts or ramps are uncertain).
    Orders with amount zero (supply ties) have no plan.
    """

    def __init__(self, orders: Contracts, ticks: int, amount: Any = None, ramp_months: Any = None) -> None:
        """amount, ramp_months: in place of those of the table, ``(C,)`` or, where they are uncertain, ``(C, R)``."""
        start = np.asarray(orders.static["start"], dtype=np.float64)[:, None]
        start = np.where(start >= NEVER, 1.0, start)
        first = np.maximum(start, 1.0)  # the first month still to come
        end = np.asarray(orders.static["end"], dtype=np.float64)[:, None]
        end = np.where(end >= NEVER, first + 59.0, np.maximum(end, first))
        ramp = np.maximum(_by_row(orders.static["ramp_months"] if ramp_months is None else ramp_months), 1.0)
        amount = _by_row(orders.static["amount"] if amount is None else amount)
        weight_sum = _ramp_sum(end - start + 1.0, ramp) - _ramp_sum(first - start, ramp)
        month = np.arange(1, ticks + 14, dtype=np.float64)[:, None, None]
        weight = (month - start + 1.0) / ramp
        np.minimum(weight, 1.0, out=weight)
        weight *= month >= first
        weight *= month <= end
        planned = weight * (amount / weight_sum)
        self.planned: Array = np.ascontiguousarray(planned)
        level = amount / weight_sum * np.minimum((end - start + 1.0) / ramp, 1.0)
        self.last_month: Array = np.ascontiguousarray(level)
        after = amount - np.cumsum(planned, axis=0) + planned  # what the plan leaves for a month and all later ones
        self.left_by_plan: Array = np.ascontiguousarray(np.maximum(after, 0.0, out=after))

    is_stretched = False
    """Whether some order has been renegotiated (:mod:`simulator.ledger.renegotiation`): its pace is then under 1."""

    def due(self, tick: int, orders: Contracts, rows: slice | NDArray[np.int64] = slice(None)) -> Array:
        """Deliveries of ``rows`` due in ``tick``, USD bn, ``(n, R)``: the plan, and a part of what has slipped, at most what remains."""
        planned, left, remaining = self.planned[tick][rows], self.left_by_plan[tick][rows], orders.remaining[rows]
        due = _caught_up(planned, left, remaining)
        if self.is_stretched:  # few are
            at = np.flatnonzero((orders.pace[rows] < 1.0).any(axis=1))
            new = np.arange(orders.count)[rows][at]
            is_new = orders.pace[new] < 1.0
            left = np.where(is_new, orders.expected[new], left[at])
            due[at] = _caught_up(np.where(is_new, self.renegotiated_pace(tick, orders, new), planned[at]), left, remaining[at])
        return due

    def renegotiated_pace(self, tick: int, orders: Contracts, rows: slice | NDArray[np.int64]) -> Array:
        """Deliveries of a month under the new terms of ``rows``, USD bn: the plan at its new pace, after its old end as in its last month."""
        planned = self.planned[tick][rows]
        ended = (planned <= 0.0) & (self.left_by_plan[tick][rows] <= 1e-9)
        pace: Array = np.where(ended, self.last_month[rows], planned) * orders.pace[rows]
        return pace

    def next_year(self, tick: int) -> Array:
        """Deliveries planned for the twelve months after ``tick``, USD bn, ``(C, 1)``."""
        ahead = self.planned[tick + 1 : tick + 13]
        return np.add.reduceat(ahead, [0], axis=0)[0] if len(ahead) else np.zeros_like(self.planned[0])


def _caught_up(planned: Array, left: Array, remaining: Array) -> Array:
    """What is ``planned`` and a part of what has slipped behind what the plan leaves, ``left``, at most what is ``remaining (n, R)``."""
    due: Array = remaining - left
    np.maximum(due, 0.0, out=due)
    due /= SLIP_MONTHS
    due += planned
    return np.minimum(due, remaining, out=due)


def _by_row(values: Any) -> Array:
    array: Array = np.asarray(values, dtype=np.float64)
    return array[:, None] if array.ndim == 1 else array


def _ramp_sum(months: Array, ramp: Array) -> Array:
    """Sum of ``min(m / ramp, 1)`` over ``m = 1 … months``."""
    slow = np.minimum(months, ramp)
    return slow * (slow + 1.0) / (2.0 * ramp) + np.maximum(months - ramp, 0.0)
