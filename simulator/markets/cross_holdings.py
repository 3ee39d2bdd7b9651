"""Values through stakes: what a share is worth moves what its holder's shares are worth, for all holders at once.

Source: Elliott, Golub and Jackson (2014), eq. 1: values V of organisations that hold shares C of each other and own Dp besides solve V = C V + Dp.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.sums import total

Array = NDArray[np.float64]

LOSS_MAX = 0.9  # largest part of its value that a holder loses through its stakes in a month
ROUNDS_MAX = 60


def through_stakes(books: Books, own: Array, first: Array | None = None) -> Array:
    """Change of each holder's value through its stakes, USD bn, ``(N, R)``: the solution D of ``D = first + C (own + D)``.

    ``own (N, R)``: change of the value of each issuer by itself. ``first (N, R)``: changes that reach holders directly, as a stake that is lost.
    C[i, j]: part of j's shares that i holds, as the books have it now. Rounds go on until no number changes: a chain of holders takes one round a
    link, a circle converges, because no one is wholly owned within it.
    """
    stakes = books.stakes
    base = np.zeros_like(own) if first is None else first
    if not stakes.count:
        return base
    part = stakes.shares / np.maximum(stakes.of_debtor(books["shares"]), 1e-12)
    change = stakes.by_holder(part * stakes.of_debtor(own))
    change += base
    linked = stakes.some(stakes.owed_by_holders)  # who holds nothing passes nothing on
    if not len(linked.rows):
        return change
    part = part[linked.rows]
    receivers, matrix = linked.holders_among(linked.holders)
    so_far = base = change[receivers]
    for _ in range(ROUNDS_MAX):
        after = base + matrix @ (part * linked.of_debtor(change))
        if np.array_equal(after, so_far):
            break
        change[receivers] = so_far = after
    return change


def return_through_stakes(books: Books) -> Array:
    """Return of the shares of each holder of stakes (``books.stakes.holders``) through the stakes that it holds, log points, ``(n, R)``.

    What reaches it are the returns of fair values by shocks and by others' decisions this tick. With them come what shocks did to fair values at the
    start of the tick and stakes in firms that failed since (``stake_news``). Luck and the policy rate are left out: a holder's own volatility and
    beta have those of its stakes in them.
    """
    holders, issuers = books.stakes.holders, books.stakes.debtors
    news = books["return_by_shock"][issuers] - books["return_by_rate"][issuers] + books["return_by_others"][issuers]
    own = np.zeros_like(books["shares"])
    own[issuers] = _fair_value(books, issuers) * np.expm1(news)
    change = through_stakes(books, own, books["stake_news"])[holders]
    if not change.any():
        return change
    value = _fair_value(books, holders)
    return np.log1p(np.clip(change / np.maximum(value, 1e-9), -LOSS_MAX, 1.0)) * (value > 1e-9)


def _fair_value(books: Books, rows: NDArray[np.int64]) -> Array:
    """Fair value of all shares of ``rows``, USD bn, ``(n, R)``; none of the dead's."""
    return books["shares"][rows] * books["fair_price"][rows] * books["alive"][rows]


def held_within(books: Books, rows: NDArray[np.int64]) -> Array:
    """Market value of the shares of agents ``rows`` that agents of the same group hold, USD bn, ``(1, R)``: counted twice in the sum of their values.

    Their market values less this are what outside owners hold of the group: each asset counted once.
    """
    stakes = books.stakes
    held = stakes.some(stakes.held_by(rows))
    within = stakes.some(held.rows[held.owed_by(rows)])
    return total(stakes.shares[within.rows] * within.of_debtor(books["share_price"]))
