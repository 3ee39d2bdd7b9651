"""Funding liquidity: maturity walls, rollover tests by covenant, lines drawn in a stress, and what a refused renewal costs.

Sources: Ivashina and Scharfstein (2010), lines drawn out of precaution, more so where the lender is in trouble, and lending cut by it; He and
Xiong (2012), rollover risk; Almeida, Campello, Laranjeira and Weisbenner (2012), maturing debt in a crisis; Chava and Roberts (2008), covenants.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Selection
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import common_rows

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

WALL_MONTHS = 12  # how far ahead lenders look at maturities
REPORT_MONTHS = 3  # firms report each quarter
MAINTAINED = ("term_loan", "delayed_draw", "credit_line", "vendor_finance")
"""Kinds of loans with maintenance covenants; bonds and convertibles have none that are tested."""
TESTED_KINDS = ("chipmaker", "hyperscaler", "cloud", "utility")
"""Kinds of borrowers whose earnings are tested; labs and investors have none to speak of, lenders have capital rules, projects their lease."""
SALEABLE_SHARE = 0.1  # part of a firm's other assets that it can turn into money in a month (receivables, securities; assumption, 0.05-0.25)
HASTE_DISCOUNT = 0.05  # price of haste: factoring and block trades (assumption, 0.02-0.1)


class Funding:
    """Static rows of lines and covenants, and what the stage *lend* does with them."""

    def __init__(self, books: Books) -> None:
        loans = books.loans
        kind = loans.static["kind"]
        self.lines = loans.some(np.flatnonzero(kind == "credit_line"))
        kinds = np.array(books.economy.kinds)
        is_tested = np.isin(kinds, TESTED_KINDS)
        self.is_maintained = np.isin(kind, MAINTAINED) & is_tested[loans.debtor]
        self.is_tested = is_tested[:, None].astype(np.float64)
        for name, strictest in (("covenant_coverage", np.maximum), ("covenant_leverage", np.minimum)):
            given = np.asarray(loans.static.get(name, np.zeros(loans.count)), dtype=np.float64) * is_tested[loans.debtor]
            column = np.full(books.agents, 0.0 if strictest is np.maximum else np.inf)
            rows = np.flatnonzero(given > 0.0)
            strictest.at(column, loans.debtor[rows], given[rows])
            books.columns.add(name, np.where(np.isfinite(column), column, 0.0), "parameter")
        self.is_firm = np.isin(kinds, ("chipmaker", "hyperscaler", "cloud", "ai_lab", "utility", "project_company"))  # who sells in haste
        loans.add("hoarded")

    def look_ahead(self, books: Books) -> None:
        """Maturity walls of the coming year by borrower (each quarter, as firms report), and open lines."""
        if books.tick % REPORT_MONTHS == 0:
            due, amounts = books.repayments.due_within(books.tick + 1, WALL_MONTHS)
            wall = due.by_debtor(amounts, out=books["due_next_year"])
            wall[books.rows["project_company"]] = 0.0  # construction loans are taken out against the lease, to which these lenders look
        books["open_lines"][self.lines.debtors] = self.lines.by_debtors(books.loans.undrawn[self.lines.rows])

    def note_first_month(self, books: Books) -> None:
        """The coverage from which the covenants of loans that give none are set, in the first month."""
        if books.tick == 0:
            interest = books["interest_due"] * books.ticks_per_year
            cover = np.where(interest > 1e-6, books["earnings"] / np.maximum(interest, 1e-6), 0.0)
            books["cover_at_start"][...] = np.maximum(cover, 0.0) * self.is_tested

    def renewable(self, books: Books, due: Selection) -> Array:
        """Part of the maturing loans ``due`` that covenants let their lenders renew, ``(n, R)``."""
        part = due.of_debtor(books["covenant_pass"])
        part[~self.is_maintained[due.rows]] = 1.0
        return part

    def draw_lines(self, books: Books, ledger: Ledger, speed: float) -> None:
        """Worried borrowers draw on their lines out of precaution; the draws use up their lenders' room for new loans.

        Rule: ``speed`` of the open line a month, times the distress of borrower and lender together; nothing in breach of a covenant or overdue.
        """
        loans, distress, alive = books.loans, books["distress"], books["alive"]
        worried = (distress != 0.0).any(axis=1)  # in some replication: only lines between them are worked on
        lines = loans.some(self.lines.rows[worried[self.lines.debtor] | worried[self.lines.holder]])
        if not len(lines.rows):
            return
        stress = np.minimum(lines.of_debtor(distress) + lines.of_holder(distress), 1.0)
        share = np.minimum(speed * books.levers["borrower.precautionary_draws"] * stress, 1.0)
        drawn = loans.undrawn[lines.rows] * share * lines.of_debtor(alive) * lines.of_holder(alive) * self.renewable(books, lines)
        drawn *= lines.of_debtor(books["months_in_arrears"]) < 1.0
        drawn *= drawn > 1e-9
        if not drawn.any():
            return
        loans.hoarded[lines.rows] += drawn
        loans.undrawn[lines.rows] -= drawn
        books["open_lines"][lines.debtors] -= lines.by_debtors(drawn)
        lenders, given = lines.holders, lines.by_holders(drawn)
        raise_liquidity(books, ledger, lenders, given)
        ledger.lend(lines, drawn)
        books.repayments.draw(drawn, books.tick, lines.rows)
        books["lending_room"][lenders] = np.maximum(books["lending_room"][lenders] - given, 0.0)

    def pay_back(self, books: Books, ledger: Ledger, share: float, due: Selection, principal_due: Array) -> None:
        """Borrowers without distress pay back what they drew out of precaution, as far as cash above the buffer goes; the line is open again.

        What falls due anyway this month, ``principal_due (n, R)`` of the loans ``due``, is left to the settlement.
        """
        loans = books.loans
        lines = loans.some(self.lines.rows[(loans.hoarded[self.lines.rows] != 0.0).any(axis=1)])
        if not len(lines.rows):
            return
        before = loans.principal[lines.rows]
        left = before.copy()
        at_lines, at_due = common_rows(lines.rows, due.rows)
        if len(at_lines):
            left[at_lines] = np.maximum(left[at_lines] - principal_due[at_due], 0.0)
        hoarded = np.minimum(loans.hoarded[lines.rows], left)
        back = share * hoarded
        for parties, places in ((lines.debtors, lines.debtor_places), (lines.holders, lines.holder_places)):
            is_calm = (books["distress"][parties] <= 0.0) * books["alive"][parties]
            back *= is_calm.take(places, axis=0)
        borrowers = lines.debtors
        bills = books["operating_bill"][borrowers] + books["interest_due"][borrowers] + books["rent_bills"][borrowers]
        purse = np.maximum(books["cash"][borrowers] - books["cash_floor_months"][borrowers] * bills, 0.0)
        purse /= np.maximum(lines.by_debtors(back), 1e-12)
        np.minimum(purse, 1.0, out=purse)
        back *= purse.take(lines.debtor_places, axis=0)
        loans.hoarded[lines.rows] = hoarded - back
        paid = (back != 0.0).any(axis=1)
        if paid.any():
            lines, back, before = loans.some(lines.rows[paid]), back[paid], before[paid]
            kept = ledger.repay(lines, back) / np.maximum(before, 1e-12)
            kept[before <= 0.0] = 1.0
            books.repayments.scale(lines.rows, kept)
            loans.undrawn[lines.rows] += back

    def lacking(self, books: Books, asked: Array, rows: Rows | slice = slice(None)) -> Array:
        """Dues of the month of ``rows`` with the principal ``asked (n, R)``, less cash, open lines and nine tenths of what others owe, USD bn,
        ``(n, R)``."""
        dues = books["interest_due"][rows] + asked
        for bills in ("operating_bill", "tax_bill", "rent_bills", "order_bills"):
            dues += books[bills][rows]
        for means in ("cash", "open_lines"):
            dues -= books[means][rows]
        dues -= 0.9 * books["receipts_due"][rows]
        return dues

    def sell_in_haste(self, books: Books, ledger: Ledger, due: Selection, refused: Array) -> None:
        """A firm that must repay in cash what lenders would not renew, ``refused (n, R)`` of the loans ``due``, and lacks cash and open lines,
        sells other assets in haste. What they fetch below book is its loss under ``funding``, split over the loans that were refused.
        """
        firms = due.debtors[self.is_firm[due.debtors]]
        asked = due.by_debtor(refused)[firms]
        short = self.lacking(books, asked, firms)
        np.maximum(short, 0.0, out=short)
        np.minimum(short, asked, out=short)
        short *= books["alive"][firms]
        sold = np.minimum(short / (1.0 - HASTE_DISCOUNT), SALEABLE_SHARE * books["other_assets"][firms])
        if not (sold > 1e-9).any():
            return
        few = np.flatnonzero(sold.any(axis=1))
        sellers, sold, asked = firms[few], sold[few], asked[few]
        is_seller = np.zeros(books.agents, dtype=bool)
        is_seller[sellers] = True
        lost = HASTE_DISCOUNT * sold
        ledger.exchange_other_assets(sold, sellers)
        ledger.move_cash(-lost, sellers)
        ledger.move_cash(ledger.sum(lost), np.array([books.outside]))
        loans = books.loans.some(due.rows[is_seller[due.debtor]])
        share = lost / np.maximum(asked, 1e-12)
        by_loan = refused[is_seller[due.debtor]] * share[np.searchsorted(sellers, loans.debtor)]
        ledger.charge_debtors("loans", "funding", by_loan, "deadweight", loans)
        ledger.post("ordinary", ledger.sum(lost)[0], books.outside)


def raise_liquidity(books: Books, ledger: Ledger, lenders: Rows, outgoing: Array) -> None:
    """Those of ``lenders (n,)`` that are no banks sell liquid assets to Outside, at book value, for the cash that ``outgoing (n, R)`` needs beyond
    half of theirs."""
    is_seller = (books["is_bank"][lenders, 0] == 0.0) & (lenders != books.outside)
    if not is_seller.any():
        return
    sellers = lenders[is_seller]
    sold = outgoing[is_seller] - 0.5 * books["cash"][sellers]
    np.maximum(sold, 0.0, out=sold)
    np.minimum(sold, books["other_assets"][sellers], out=sold)
    ledger.exchange_other_assets(sold, sellers)
