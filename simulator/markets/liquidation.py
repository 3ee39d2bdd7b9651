"""Sales that nobody wants to make: stakes to pay what is overdue, assets to pay investors who leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger
from simulator.markets.margin_desk import MONTHLY_SALE_UNLISTED
from simulator.markets.shares import forced_sale

Array = NDArray[np.float64]


def sell_stakes_to_pay(books: Books, ledger: Ledger) -> None:
    """Who is overdue sells unpledged stakes, to Outside, for next month's settlement; the loss is a funding loss.

    Rule: as much as the overdue sum, a tenth more, and two months' bills; the same part of every stake, a month's limit for unlisted ones.
    """
    stakes = books.stakes
    overdue = (books.payables() + books.loans.by_debtor(books.loans.arrears)) * (books["months_in_arrears"] > 0.0) * books["alive"]
    if not overdue.any():
        return
    free = books.free_shares()
    limit = np.where(stakes.of_debtor(books["is_listed"]) > 0.0, 0.5, MONTHLY_SALE_UNLISTED) * free
    value = stakes.by_holder(limit * stakes.of_debtor(books["share_price"]))
    coming = 2.0 * (books["interest_due"] + books["operating_bill"] + books["rent_bills"])
    part = np.minimum(1.0, (1.1 * overdue + coming * (overdue > 0.0)) / np.maximum(value, 1e-9))
    sold = limit * stakes.of_holder(part)
    if (sold > 0.0).any():
        forced_sale(books, ledger, sold, "funding")


def redeem(books: Books, ledger: Ledger, wanted: Array) -> None:
    """Fund investors take back ``wanted (N, R)``: paid in cash, then by selling other assets at a discount (a funding loss)."""
    cash = np.minimum(wanted, 0.5 * np.maximum(books["cash"], 0.0))
    rest = wanted - cash
    sold = np.minimum(rest / (1.0 - 0.03), books["other_assets"])
    sold[books.outside] = 0.0
    ledger.exchange_other_assets(sold)
    discount = 0.03 * sold
    change = -discount
    change[books.outside] += ledger.sum(discount)[0]
    ledger.move_cash(change)
    ledger.lose_own("funding", discount, "deadweight", reason="decision", cause="outside")  # the fund's investors are Outside
    gain = np.zeros_like(discount)
    gain[books.outside] = ledger.sum(discount)[0]
    ledger.post("ordinary", gain)
    paid = np.minimum(cash + sold - discount, books["other_liabilities"])
    books["other_liabilities"][...] -= paid
    flow = -paid
    flow[books.outside] += ledger.sum(paid)[0]
    ledger.move_cash(flow)
    claim = np.zeros_like(paid)
    claim[books.outside] = ledger.sum(paid)[0]
    books["other_assets"][books.outside] -= claim[books.outside]
