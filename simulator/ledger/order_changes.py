"""What becomes of orders whose buyer can't or won't go on: another buyer takes the contract over, or the buyer cancels against a fee."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.sums import incidence

Array = NDArray[np.float64]

TAKE_OVER = 0.25  # part of its own remaining contract by which another buyer of the same seller takes over a failed buyer's (assumption, 0-0.5)
CANCEL_BELOW = 0.6  # share of its contracts that a lab still calls under which it cancels those that it may (assumption, 0.4-0.8)


class OrderChanges:
    """Static groups of orders with a commitment: those of one seller and one good."""

    def __init__(self, books: Books) -> None:
        orders = books.orders
        committed = np.flatnonzero(orders.static["amount"] > 0.0)
        names, good = np.unique(orders.static["good"][committed], return_inverse=True)
        of_seller = orders.holder[committed] * len(names) + good
        _, group, sizes = np.unique(of_seller, return_inverse=True, return_counts=True)
        shared = sizes[group] > 1  # an order whose seller has no other buyer can't be taken over
        self.rows, self.group = committed[shared], group[shared]
        self._matrix = incidence(self.group, len(sizes))
        after = orders.static.get("cancellable_after")
        after = np.full(orders.count, 10**6) if after is None else np.asarray(after, dtype=np.int64)
        self.cancellable = np.flatnonzero((after < 10**6) & (orders.static["amount"] > 0.0))
        self.after = after[self.cancellable]

    def take_over(self, books: Books, failed: Array) -> None:
        """Move what remains of the orders of ``failed (N, R)`` buyers to other buyers of the same seller and good.

        Rule: buyers who live, owe nothing overdue and call all they ordered take over up to ``TAKE_OVER`` of their own remaining contract.
        """
        orders, rows = books.orders, self.rows
        if not len(rows):
            return
        buyer, seller = orders.debtor[rows], orders.holder[rows]
        buyer_fails = failed[buyer]
        if not buyer_fails.any():
            return
        before, lives = orders.remaining[rows], (books["alive"] * (1.0 - failed))[seller]
        free = before * buyer_fails * lives
        if not free.any():
            return
        able = books["alive"][buyer] * (1.0 - buyer_fails) * (books["months_in_arrears"][buyer] < 1.0) * (books["order_share_taken"][buyer] >= 1.0)
        room = TAKE_OVER * before * able * lives
        offered, wanted = self._matrix @ free, self._matrix @ room
        taken = np.minimum(offered, wanted)
        moved = free * (taken / np.maximum(offered, 1e-12))[self.group]
        remaining = before + room * (taken / np.maximum(wanted, 1e-12))[self.group]
        orders.remaining[rows] = np.maximum(remaining - moved, 0.0)

    def cancel(self, books: Books, settled_share: float) -> Array | None:
        """Fees of orders that their buyers cancel now, USD bn, ``(O, R)``; what remains of them is gone. None where nobody cancels.

        Rule: from the month after ``cancellable_after`` on, a buyer that is overdue, or a lab that calls less than ``CANCEL_BELOW``, cancels;
        it owes the take-or-pay share of what remains, less ``settled_share`` that the seller can place elsewhere.
        """
        rows = self.cancellable
        if not len(rows):
            return None
        orders = books.orders
        short = (books["months_in_arrears"] > 0.0) | (books["order_share_taken"] < CANCEL_BELOW)
        may = (self.after < books.tick + 1)[:, None] * (books["alive"] > 0.0)[orders.debtor[rows]] * (books["alive"] > 0.0)[orders.holder[rows]]
        stops = short[orders.debtor[rows]] & may.astype(bool) & (orders.remaining[rows] > 0.0)
        if not stops.any():
            return None
        fees: Array = np.zeros_like(orders.remaining)
        fees[rows] = np.where(stops, orders.take_or_pay[rows] * orders.remaining[rows] * (1.0 - settled_share), 0.0)
        orders.remaining[rows] = np.where(stops, 0.0, orders.remaining[rows])
        return fees
