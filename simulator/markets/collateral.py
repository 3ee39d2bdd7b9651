"""Margin: collateral is revalued, calls are met in cash or by sales, repeated inside the tick to the least sales.

Source: the margin spiral of Brunnermeier and Pedersen (2009); call, cure and close-out levels differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger
from simulator.markets.credit import HAIRCUT, resale_fraction
from simulator.markets.shares import forced_sale

Array = NDArray[np.float64]

CURE = 0.9  # a call is cured down to this part of the call level (assumption, 0.8-1)
MONTHLY_SALE_UNLISTED = 0.15  # part of a pledge of unlisted shares that can be sold in a month (assumption, 0.05-0.3)
ROUNDS_MAX = 50


def secured_room(books: Books) -> Array:
    """Haircut value of capacity less the debt it already secures, USD bn, ``(N, R)``."""
    loans = books.loans
    rows = loans.static["rows_on_capacity"]
    haircut = np.clip(HAIRCUT["accelerators"] + books.levers["collateral.haircut"], 0.0, 0.95)
    room = books["capacity"] + books["construction"]
    room *= resale_fraction(books)
    room *= 1.0 - haircut
    room -= books.capacity_debtor_matrix @ (loans.principal[rows] + loans.arrears[rows])
    return room


class MarginDesk:
    """The stage *margin* for loans with a loan-to-value call, on pledged shares or on capacity."""

    def __init__(self, books: Books) -> None:
        loans = books.loans
        pledged = loans.static["pledged_stake"]
        has_call = np.isfinite(loans.static["ltv_call"])
        self.rows = np.flatnonzero(has_call & (pledged >= 0))
        self.stake = pledged[self.rows]
        self.call = loans.static["ltv_call"][self.rows][:, None]
        close_out = loans.static["ltv_close_out"][self.rows][:, None]
        self.close_out = np.where(np.isfinite(close_out), close_out, self.call + 0.2)
        self.asset_rows = np.flatnonzero(has_call & (pledged < 0))
        self.asset_call = loans.static["ltv_call"][self.asset_rows][:, None]
        books.unpledged = np.ones((books.stakes.count, 1))
        books.unpledged[self.stake] = 0.0
        value = loans.principal[self.rows]  # the part of a stake that stands behind a loan: what the call level allows, with room
        self.same_stake = (self.stake[:, None] == self.stake[None, :]).astype(np.float64)
        self._share_of_pledge = (value / np.maximum(self._by_stake(value), 1e-9) if len(self.rows) else value)[:, :1]

    def _by_stake(self, amounts: Array) -> Array:
        """Sum over the loans that share a pledged stake, ``(M, R)``."""
        out = np.zeros_like(amounts)
        for column in range(amounts.shape[0]):
            out += self.same_stake[:, column : column + 1] * amounts[column : column + 1]
        return out

    def collateral(self, books: Books) -> Array:
        """Value of the pledged shares behind each margin loan after the haircut lever, USD bn, ``(M, R)``."""
        issuer = books.stakes.debtor[self.stake]
        value = books.stakes.shares[self.stake] * books["share_price"][issuer] * self._share_of_pledge
        value *= 1.0 - np.clip(books.levers["collateral.haircut"], 0.0, 0.9)
        return value  # type: ignore[no-any-return]

    def is_called(self, books: Books) -> NDArray[np.bool_]:
        """Replications in which some loan stands above its call level, ``(R,)``."""
        if len(self.asset_rows):
            return np.ones(books.replications, dtype=bool)
        owed = books.loans.principal[self.rows] + books.loans.arrears[self.rows]
        called: NDArray[np.bool_] = ((owed > self.call * self.collateral(books)) & (owed > 1e-9)).any(axis=0)
        return called

    def run(self, books: Books, ledger: Ledger) -> None:
        """Call, cure and sell until no loan is above its call level or the pledge and its monthly limit are used up."""
        if len(self.rows):
            self._run_shares(books, ledger)
        if len(self.asset_rows):
            self._run_assets(books, ledger)

    def _run_shares(self, books: Books, ledger: Ledger) -> None:
        loans, rows = books.loans, self.rows
        borrower = loans.debtor[rows]
        issuer = books.stakes.debtor[self.stake]
        limit = np.where(books["is_listed"][issuer] > 0.0, 1.0, MONTHLY_SALE_UNLISTED) * books.stakes.shares[self.stake] * self._share_of_pledge
        sold_so_far = np.zeros_like(limit)
        is_open = np.ones(books.replications, dtype=bool)  # each replication stops by its own mask
        for _ in range(ROUNDS_MAX):
            owed = loans.principal[rows] + loans.arrears[rows]
            value = self.collateral(books)
            called = (owed > self.call * value * (1.0 + 1e-12)) & (books["alive"][borrower] > 0.0) & (owed > 1e-9)
            called &= is_open
            if not called.any():
                break
            target = CURE * self.call
            cash_needed = np.where(called, np.maximum(owed - target * value, 0.0), 0.0)
            purse = np.maximum(0.5 * books["cash"][borrower], 0.0)
            wanted = np.zeros((books.agents, books.replications))
            np.add.at(wanted, borrower, cash_needed)
            cash_paid = cash_needed * np.minimum(1.0, purse / np.maximum(wanted[borrower], 1e-12))
            self._prepay(books, ledger, np.minimum(cash_paid, loans.principal[rows]))
            # Each share sold pays down by its price; the sale that restores the target ratio is (owed - t V) / (p (1 - t)).
            price = np.maximum(books["share_price"][issuer], 1e-9)
            short = np.maximum(cash_needed - cash_paid, 0.0)
            wanted_sale = short / (price * np.maximum(1.0 - target, 0.1))
            sale = np.minimum(wanted_sale, np.maximum(limit - sold_so_far, 0.0))
            is_open &= (sale > 1e-9 * (limit + 1e-12)).any(axis=0)
            if not is_open.any():
                break
            sale = sale * is_open
            self._sell(books, ledger, sale)
            sold_so_far += sale
        owed = loans.principal[rows] + loans.arrears[rows]
        broken = (owed > self.close_out * self.collateral(books) * (1.0 + 1e-9)) & (owed > 1e-6) & (books["alive"][borrower] > 0.0)
        flag = np.zeros((books.agents, books.replications))
        np.add.at(flag, borrower, broken.astype(np.float64))
        ledger.set_column("margin_breached", np.minimum(flag, 1.0))

    def _sell(self, books: Books, ledger: Ledger, sale: Array) -> None:
        cash_before = books["cash"].copy()
        sold = np.zeros_like(books.stakes.shares)
        np.add.at(sold, self.stake, sale)
        forced_sale(books, ledger, np.minimum(sold, books.stakes.shares), "margin")
        borrower = books.loans.debtor[self.rows]
        got = np.maximum(books["cash"] - cash_before, 0.0)[borrower]
        total_sale = np.zeros((books.agents, books.replications))
        np.add.at(total_sale, borrower, sale)
        share = sale / np.maximum(total_sale[borrower], 1e-12)
        self._prepay(books, ledger, np.minimum(got * share, books.loans.principal[self.rows]))

    def _prepay(self, books: Books, ledger: Ledger, amounts: Array, rows: NDArray[np.int64] | None = None) -> None:
        """Repay margin loans early; what is still to fall due shrinks in proportion."""
        rows = self.rows if rows is None else rows
        before = books.loans.principal[rows].copy()
        every = np.zeros_like(books.loans.principal)
        every[rows] = amounts
        ledger.repay(every)
        books.repayments.scale(rows, np.where(before > 0.0, books.loans.principal[rows] / np.maximum(before, 1e-12), 1.0))

    def _run_assets(self, books: Books, ledger: Ledger) -> None:
        """Loan-to-value covenants on capacity: cured in cash as far as it goes, else the borrower is shut out of new credit."""
        loans, rows = books.loans, self.asset_rows
        borrower = loans.debtor[rows]
        value = ((books["capacity"] + books["construction"]) * resale_fraction(books))[borrower]
        backed = np.isin(loans.static["collateral"], ("accelerators", "data_centre"))[:, None]
        owed_all = loans.by_debtor((loans.principal + loans.arrears) * backed)[borrower]
        owed = loans.principal[rows] + loans.arrears[rows]
        excess = np.maximum(owed_all - self.asset_call * value, 0.0) * owed / np.maximum(owed_all, 1e-9)
        payable = np.minimum(excess, 0.25 * books["cash"][borrower] * owed / np.maximum(owed_all, 1e-9)) * books["alive"][borrower]
        self._prepay(books, ledger, np.minimum(payable, loans.principal[rows]), rows)
        flag = books["margin_breached"].copy()
        np.maximum.at(flag, borrower, (excess > payable + 1e-9).astype(np.float64) * 0.5)
        ledger.set_column("margin_breached", flag)


def sell_stakes_to_pay(books: Books, ledger: Ledger) -> None:
    """Who is overdue sells unpledged stakes, to Outside, for next month's settlement; the loss is a funding loss.

    Rule: as much as the overdue sum, a tenth more, and two months' bills; the same part of every stake, a month's limit for unlisted ones.
    """
    stakes = books.stakes
    overdue = (books.payables() + books.loans.by_debtor(books.loans.arrears)) * (books["months_in_arrears"] > 0.0) * books["alive"]
    if not overdue.any():
        return
    free = stakes.shares * books.unpledged
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
    ledger.lose_own("funding", discount, "deadweight")
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
