"""Contracts for compute that are renegotiated: a lower price for what remains, against a longer term.

A lab short of cash first delays (its rule ``order_share_taken``), then renegotiates, then breaks. What the seller gives up is revenue to come,
which stands in no balance sheet: it shows in the series ``backlog_lost``, in the seller's standing with lenders and in its share price.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books

Array = NDArray[np.float64]

SHORT_MONTHS = 6.0  # months of calling too little after which seller and buyer talk (assumption, 3-12)
CALLS_TOO_LITTLE = 0.75  # share of what is due under which a lab's calls count as too little (assumption, 0.5-0.9)
PRICE_CUT = 0.1  # cut of the price of what remains, once (cloud contracts were rewritten by 10 to 20 % in 2022-23; assumption, 0.05-0.25)
SLOWER = 0.75  # pace of delivery after it, against the pace before (assumption, 0.5-0.9)
LEVER = "orders.renegotiation"


class Renegotiation:
    """Terms of the orders that AI labs placed under contract. Before the first renegotiation in a batch it costs nothing."""

    def __init__(self, books: Books) -> None:
        orders = books.orders
        is_lab = np.array(books.economy.kinds)[orders.debtor] == "ai_lab"
        self.rows = np.flatnonzero(is_lab & (orders.static["amount"] > 0.0))
        self.labs = books.rows["ai_lab"]
        books.columns.add("months_called_short", 0.0)
        orders.add("pace", 1.0)
        orders.add("expected")

    def run(self, books: Books, lever_before: Array) -> None:
        """Cut price and pace of the orders whose buyers have called too little for ``SHORT_MONTHS``, or that the lever reaches now.

        Rule: ``remaining × (1 - cut)`` at ``SLOWER`` times the pace, at once and again after as long; a lab that calls enough starts anew.
        """
        labs, orders, plan = self.labs, books.orders, books.order_schedule
        if not len(self.rows):
            return
        short = (books["order_share_taken"][labs] < CALLS_TOO_LITTLE) & (books["alive"][labs] > 0.0)
        months = np.where(short, books["months_called_short"][labs] + 1.0, 0.0)
        talks = months >= SHORT_MONTHS
        books["months_called_short"][labs] = np.where(talks, 0.0, months)
        lever = books.levers[LEVER]
        by_lever = np.ones((1, 1)) if lever is lever_before else np.minimum((1.0 - lever) / np.maximum(1.0 - lever_before, 1e-9), 1.0)
        rows = self.rows
        if plan.is_stretched:
            orders.expected[rows] = np.maximum(orders.expected[rows] - plan.renegotiated_pace(books.tick, orders, rows), 0.0)
        of_lab = orders.debtor[rows]
        kept = np.where(talks, 1.0 - PRICE_CUT, 1.0)[of_lab - labs.start]
        kept *= by_lever if len(by_lever) == 1 else by_lever[of_lab]
        changed = kept < 1.0
        if not changed.any():
            return
        left = np.where(orders.pace[rows] < 1.0, orders.expected[rows], plan.left_by_plan[books.tick + 1][rows])
        orders.expected[rows] = np.where(changed, kept * left, orders.expected[rows])
        orders.remaining[rows] *= kept
        orders.pace[rows] *= np.where(changed, kept * SLOWER, 1.0)
        plan.is_stretched = True
