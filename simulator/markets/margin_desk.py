"""Margin: collateral is revalued, calls are met in cash or by sales, repeated inside the tick to the least sales.

A loan above its **call** level must come down to ``CURE`` times that level. The borrower has the loan's cure period for it and pays in cash;
after that the lender sells the pledge. Above the **close-out** level the lender waits for nobody and sells until the loan is repaid. With
recourse, what a used-up pledge leaves is due at once; without, the lender has only the pledge and bears the rest.
Source: the margin spiral of Brunnermeier and Pedersen (2009); a loan without recourse as in Geanakoplos (2010).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import incidence
from simulator.markets import pledges
from simulator.markets.pledges import CURE
from simulator.markets.shares import ForcedSales, stakes_beside

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

MONTHLY_SALE_UNLISTED = 0.15  # part of a pledge of unlisted shares that can be sold in a month (assumption, 0.05-0.3)
CASH_FOR_CALLS = 0.5  # part of its cash that a borrower pays on the calls of a month (assumption, 0.25-1)
CLOSE_OUT_GAP = 0.2  # close-out level above the call level where a loan gives none (assumption, 0.1-0.3)
ROUNDS_MAX = 50
BY_ROW = frozenset({
    "loans", "orders", "leases", "guarantees", "shares", "mispricing", "other_assets", "margin_breached", "months_in_arrears", "operating_arrears",
    "interest_due", "operating_bill", "rent_bills", "alive", "issues_money",
    "cash", "deposits", "flows", "posted",
})  # fmt: skip
"""What calls on pledged shares, and sales to pay what is overdue, read and write of few agents and contracts."""
USED_UP = 1e-9  # part of a pledge under which nothing is left to sell
CENT = 1e-11  # USD bn


class MarginDesk:
    """The stage *margin* for loans with a loan-to-value call: on pledged shares, on capacity or on receivables."""

    def __init__(self, books: Books) -> None:
        loans = books.loans
        pledged = loans.static["pledged_stake"]
        has_call = np.isfinite(loans.static["ltv_call"])
        self.rows = np.flatnonzero(has_call & (pledged >= 0))
        self.stake = pledged[self.rows]
        self.asset_rows = np.flatnonzero(has_call & (pledged < 0) & (loans.static["collateral"] != "none"))
        self.by_row = frozenset() if len(self.asset_rows) else BY_ROW  # calls on capacity and receivables look at all debts on them
        self.call, self.close_out, self.cure, self.recourse, self.unaudited = self._terms(books, self.rows)
        self.asset_terms = self._terms(books, self.asset_rows)
        self.borrowers, self.place = np.unique(loans.debtor[self.rows], return_inverse=True)
        self.all_borrowers = np.unique(loans.debtor[np.concatenate([self.rows, self.asset_rows])])
        self.borrower_matrix = incidence(self.place, len(self.borrowers))
        self.sold_stakes = stakes_beside(books, self.stake)
        self.at_stake = np.searchsorted(self.sold_stakes.rows, self.stake)
        self.stake_matrix = incidence(self.at_stake, len(self.sold_stakes.rows))
        self.on_capacity = np.isin(loans.static["collateral"], ("accelerators", "data_centre"))[:, None].astype(np.float64)
        loans.add_terms("pledged_at_start", books.narrow(loans.pledged))

    @staticmethod
    def _terms(books: Books, rows: NDArray[np.int64]) -> tuple[Array, Array, Array, Array, Array]:
        """Call level, close-out level, cure period, and whether there is recourse and no audit, each ``(len(rows), 1)``."""
        static = books.loans.static
        call, close_out = static["ltv_call"][rows][:, None], static["ltv_close_out"][rows][:, None]
        close_out = np.where(np.isfinite(close_out), close_out, call + CLOSE_OUT_GAP)
        recourse, unaudited = static["recourse"][rows].astype(np.float64), 1.0 - static["audited"][rows].astype(np.float64)
        return call, close_out, static["cure_months"][rows].astype(np.float64)[:, None], recourse[:, None], unaudited[:, None]

    def collateral(self, books: Books) -> Array:
        """Value of the pledged shares behind each margin loan after the haircut levers, USD bn, ``(M, R)``."""
        return pledges.pledged_values(books, self.rows) * pledges.recognised(books, self.unaudited)

    def asset_collateral(self, books: Books) -> tuple[Array, Array]:
        """Value of the capacity or receivables behind each loan with a call on them, and all that is borrowed on it, USD bn, ``(A, R)`` each."""
        loans, rows = books.loans, self.asset_rows
        borrower = loans.debtor[rows]
        on_capacity = self.on_capacity[rows] > 0.0
        capacity = ((books["capacity"] + books["construction"]) * pledges.resale_fraction(books))[borrower]
        value = np.where(on_capacity, capacity, pledges.receivables(books, borrower)) * pledges.recognised(books, self.asset_terms[4])
        owed = loans.principal + loans.arrears
        on_receivables = books.receivable_debtor_matrix @ owed[books.receivable_rows]
        return value, np.where(on_capacity, loans.by_debtor(owed * self.on_capacity)[borrower], on_receivables[borrower])

    def is_called(self, books: Books) -> Bools:
        """Replications in which some loan stands above its call level or has a call open, ``(R,)``."""
        loans = books.loans
        owed = loans.principal[self.rows] + loans.arrears[self.rows]
        called: Bools = ((owed > self.call * self.collateral(books)) & (owed > CENT)).any(axis=0)
        called |= (loans.months_called[self.rows] > 0.0).any(axis=0)
        if len(self.asset_rows):
            value, owed = self.asset_collateral(books)
            called |= ((owed > self.asset_terms[0] * value) & (owed > CENT)).any(axis=0)
            called |= (loans.months_called[self.asset_rows] > 0.0).any(axis=0)
        return called

    def run(self, books: Books, ledger: Ledger, called: Bools | None = None) -> None:
        """Call, cure and sell until no loan is above its call level or the pledge and its monthly limit are used up.

        called: the replications that `is_called` has named, ``(R,)``; all if not given.
        What is still to fall due of a loan shrinks with what is repaid early, lost or made due at once.
        """
        if called is None:
            called = np.ones(books.replications, dtype=bool)
        for rows, step in ((self.rows, self._run_shares), (self.asset_rows, self._run_assets)):
            if len(rows):
                before = books.loans.principal[rows]
                step(books, ledger, called)
                left = np.where(called & (before > 0.0), books.loans.principal[rows] / np.maximum(before, 1e-12), 1.0)
                changed = np.flatnonzero((left != 1.0).any(axis=1))
                if len(changed):
                    books.repayments.scale(rows[changed], left[changed])

    # ------------------------------------------------------------------ pledged shares

    def _run_shares(self, books: Books, ledger: Ledger, of_called: Bools) -> None:
        loans, rows = books.loans, self.rows
        slots = loans.some(rows)
        issuer = books.stakes.debtor[self.stake]
        principal, arrears, pledged = loans.principal[rows], loans.arrears[rows], loans.pledged[rows]
        limit = np.where(books["is_listed"][issuer] > 0.0, 1.0, MONTHLY_SALE_UNLISTED) * pledged
        least = 1e-9 * (limit + 1e-12)
        purse = CASH_FOR_CALLS * np.maximum(books["cash"][self.borrowers], 0.0)
        recognised = pledges.recognised(books, self.unaudited)
        sold_so_far = np.zeros_like(limit)
        closing = np.zeros(limit.shape, dtype=bool)
        overran = loans.months_called[rows] >= self.cure
        lives = books["alive"][slots.debtor] > 0.0
        is_open = of_called.copy()  # each replication stops by its own mask
        sales: ForcedSales | None = None
        for _ in range(ROUNDS_MAX):
            owed = principal + arrears
            value = pledges.value_of(books, pledged, issuer) * recognised
            counts = lives & (owed > CENT) & is_open
            closing |= (owed > self.close_out * value * (1.0 + 1e-12)) & counts
            called = ((owed > self.call * value * (1.0 + 1e-12)) | closing) & counts
            if not called.any():
                break
            target = np.where(closing, 0.0, CURE * self.call)
            gap = owed - target * value
            # Without recourse a borrower puts in cash only while the pledge is worth more than the loan.
            cash_needed = np.where(called & ((self.recourse > 0.0) | (owed < value)), np.maximum(gap, 0.0), 0.0)
            share = np.minimum(1.0, purse / np.maximum(self.borrower_matrix @ cash_needed, 1e-12))[self.place]
            cash_paid = np.minimum(cash_needed * share, principal)
            if cash_paid.any():
                purse = np.maximum(purse - self.borrower_matrix @ cash_paid, 0.0)
                principal = ledger.repay(slots, cash_paid)
            # Each share sold pays down by its price; the sale that restores the target ratio is (owed - t V) / (p (1 - t)).
            price = np.maximum(books["share_price"][issuer], 1e-9)
            short = np.where(called & (overran | closing), np.maximum(gap - cash_paid, 0.0), 0.0)
            wanted_sale = short / (price * np.maximum(1.0 - target, 0.1))
            sale = np.minimum(wanted_sale, np.minimum(np.maximum(limit - sold_so_far, 0.0), pledged))
            is_open &= (sale > least).any(axis=0)
            if not is_open.any():
                break
            sale = sale * is_open
            sales = sales or ForcedSales(books, ledger, self.sold_stakes)
            sold = np.minimum(self.stake_matrix @ sale, sales.held)
            pledged = np.maximum(pledged - sale, 0.0)
            loans.pledged[rows] = pledged
            fetched = sales.sell(sold, "margin")
            principal = ledger.repay(slots, np.minimum(sale * fetched[self.at_stake], principal))  # each loan by the proceeds of its own pledge
            sold_so_far += sale
        self._close(books, ledger, of_called)

    def _close(self, books: Books, ledger: Ledger, of_called: Bools) -> None:
        """What a used-up pledge leaves is due at once, or lost where there is no recourse; months of open calls; who is in breach."""
        loans, rows = books.loans, self.rows
        lives = (books["alive"][loans.debtor[rows]] > 0.0) & of_called
        used_up = (loans.pledged[rows] <= USED_UP * np.maximum(loans.pledged_at_start[rows], 1e-12)) & lives
        if used_up.any():
            due = np.where(used_up & (self.recourse > 0.0), loans.principal[rows], 0.0)
            self._accelerate(books, due, rows)
            lost = np.where(used_up & (self.recourse <= 0.0), loans.principal[rows] + loans.arrears[rows], 0.0)
            if lost.any():  # the borrower walks away
                ledger.lose("loans", "counterparty", lost, "credit", relief=True, some=loans.some(rows), reason="decision")
                kept = (lost <= 0.0).astype(np.float64)
                loans.principal[rows] *= kept
                loans.arrears[rows] *= kept
        owed = loans.principal[rows] + loans.arrears[rows]
        value = self.collateral(books)
        lives &= owed > CENT
        loans.months_called[rows] = np.where((owed > self.call * value * (1.0 + 1e-12)) & lives, loans.months_called[rows] + 1.0, 0.0)
        broken = (owed > self.close_out * value * (1.0 + 1e-9)) & (owed > 1e-6) & lives & (self.recourse > 0.0)
        ledger.set_column("margin_breached", np.minimum(self.borrower_matrix @ broken.astype(np.float64), 1.0), self.borrowers)

    def _prepay(self, books: Books, ledger: Ledger, amounts: Array, rows: NDArray[np.int64]) -> None:
        """Repay loans early."""
        if amounts.any():
            ledger.repay(books.loans.some(rows), amounts)

    def _accelerate(self, books: Books, amounts: Array, rows: NDArray[np.int64]) -> None:
        """Make principal due at once: it is overdue from now on."""
        if amounts.any():
            loans = books.loans
            before = loans.principal[rows]
            loans.principal[rows] = np.maximum(before - amounts, 0.0)
            loans.arrears[rows] += amounts

    # ------------------------------------------------------------------ capacity and receivables

    def _run_assets(self, books: Books, ledger: Ledger, of_called: Bools) -> None:
        """Calls on capacity and receivables, which nobody sells for the lender: cured in cash as far as it goes within the cure period.

        After it the excess is due at once, past the close-out level the whole loan; until the call is met the borrower gets no new credit.
        """
        loans, rows = books.loans, self.asset_rows
        call, close_out, cure, recourse, _ = self.asset_terms
        borrower = loans.debtor[rows]
        value, owed_all = self.asset_collateral(books)
        owed = loans.principal[rows] + loans.arrears[rows]
        part = owed / np.maximum(owed_all, 1e-9)
        lives = books["alive"][borrower] * of_called
        excess = np.maximum(owed_all - call * value, 0.0) * part * lives
        willing = (recourse > 0.0) | (owed_all < value)
        payable = np.minimum(np.minimum(excess, CASH_FOR_CALLS * np.maximum(books["cash"][borrower], 0.0) * part * willing), loans.principal[rows])
        self._prepay(books, ledger, payable, rows)
        left = np.where(excess > payable + CENT, excess - payable, 0.0)
        overran = (left > 0.0) & (loans.months_called[rows] >= cure)
        due = np.where((owed_all > close_out * value) & (left > 0.0), loans.principal[rows], np.where(overran, left, 0.0))
        self._accelerate(books, np.minimum(due, loans.principal[rows]), rows)
        loans.months_called[rows] = np.where(left > 0.0, loans.months_called[rows] + 1.0, 0.0)
        flag = books["margin_breached"].copy()
        np.maximum.at(flag, borrower, (left > 0.0).astype(np.float64))
        ledger.set_column("margin_breached", flag)
