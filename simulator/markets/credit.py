"""The credit market of a tick: who lends how much to whom, at what rate, and what of the maturing debt is renewed.

How a borrower stands with lenders is its rule ``credit_standing`` (agents/issuer.py), what a lender can lend its rule ``lending_room``; here
they meet. Source of the price: Bernanke, Gertler and Gilchrist (1999), external finance premium rising in leverage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Selection, Summed
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import add_to_rows, merged_rows, row_blocks
from simulator.markets import pledges, regulation
from simulator.markets.funding import Funding, raise_liquidity

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

DUST = 1e-9  # USD bn: a loan under a dollar is not made
PORTFOLIO_BALANCE = 0.03  # fall of spreads per part of the stock that the central bank holds ([gagnon2011]: 0.3-1 points for 22 %; 0.013-0.045)
PRICE_OF_CAPITAL = 0.13  # spread that lenders add per unit of required capital ([bcbs_lei2010]: 13 basis points a point; 0.02-0.2)
BONDS = ("bond", "convertible", "project_bond")  # kinds of loans that are issued in the bond market
READ_BY_SELLERS = (
    "interest_due", "principal_due", "operating_bill", "tax_bill", "rent_bills", "cash", "receipts_due", "outside_sales", "other_assets", "alive",
)  # fmt: skip
ASKED_ELSEWHERE = 0.5  # part of refused renewals that a borrower asks of its other lenders (assumption, 0-1)


class LoanDues(NamedTuple):
    """What loans owe, arrears included, and bear in a tick, USD bn: by loan ``(C, R)``, by borrower and by lender ``(N, R)``."""

    interest: Summed  # of each loan, by each lender and of each borrower
    dearer: Array  # the part of it above the slot's opening rate
    given: Array  # owed to each lender
    on_capacity: Array  # owed by each borrower on loans that its capacity secures


class CreditMarket:
    """Static shares of the slots of each borrower, and the stage *lend*."""

    def __init__(self, books: Books) -> None:
        loans = books.loans
        open_slot = loans.static["new_lending"].astype(bool)
        weight = np.where(open_slot[:, None], books.narrow(loans.principal) + 0.05 * np.maximum(books.narrow(loans.undrawn), 0.0) + 1e-3, 0.0)
        by_borrower = loans.of_debtor(loans.by_debtor(weight))
        self.slot_share = np.where(by_borrower > 0.0, weight / np.maximum(by_borrower, 1e-12), 0.0)
        self.open_rows = np.flatnonzero(open_slot)
        kind = loans.static["kind"]
        self.is_line = np.isin(kind, ("credit_line", "facility"))[:, None].astype(np.float64)
        self.committed = loans.some(np.flatnonzero((loans.undrawn > 0.0).any(axis=1) & (self.is_line[:, 0] == 0.0)))
        self.is_facility, self.is_fixed = kind == "facility", loans.is_floating[:, 0] == 0.0
        self.is_bond = np.isin(kind, BONDS)[:, None]
        collateral = loans.static["collateral"]
        self.is_asset_backed = np.isin(collateral, ("accelerators", "data_centre"))[:, None].astype(np.float64)
        backed = loans.some(self.open_rows[self.is_asset_backed[self.open_rows, 0] > 0.0]).debtors
        self.backed_borrowers = slice(backed[0], backed[-1] + 1) if len(backed) else slice(0, 0)  # from the first to the last
        seniority = loans.static["seniority"]
        loss = np.where((seniority == "secured")[:, None], 1.0 - books.macro["recovery_secured"], 1.0 - books.macro["recovery_unsecured"])
        self.loss_weight = loss / np.maximum(1.0 - books.macro["recovery_unsecured"], 1e-6)
        self.offset: Array | None = None
        self.funding = Funding(books)
        self.opening_rate = np.where(loans.rate_at_start != 0.0, loans.rate_at_start, np.inf)  # infinite where a slot opens without one
        self.dear_above = np.full_like(self.opening_rate, np.inf)  # the same once the slot has been repriced in some replication
        self._by_loan = np.empty_like(loans.principal), np.empty_like(loans.principal)  # where the answers of `interest` stand, tick after tick

    def interest(self, books: Books) -> LoanDues:
        """What loans owe and bear in this tick; its arrays by loan are written anew when it is asked again.

        What each borrower owes, and its interest, are written over the columns ``debt`` and ``interest_due``.
        """
        loans, policy_rate, years = books.loans, books.series["policy_rate"], books.years_per_tick
        interest, dearer = self._by_loan
        debt, borne = books["debt"], books["interest_due"]
        debt[...], borne[...] = 0.0, 0.0
        given, on_capacity, earned = (np.zeros_like(debt) for _ in range(3))
        for rows in row_blocks(*interest.shape):  # the widest arrays of the tick: what is owed on each loan is never kept
            rate, owed = loans.rate[rows], loans.principal[rows] + loans.arrears[rows]
            paid = np.multiply(loans.is_floating[rows], policy_rate, out=interest[rows])
            paid += rate
            np.maximum(paid, 0.0, out=paid)
            paid *= owed
            paid *= years
            more = np.subtract(rate, self.dear_above[rows], out=dearer[rows])
            np.maximum(more, 0.0, out=more)
            more *= owed
            more *= years
            np.minimum(more, paid, out=more)
            loans.debtor_matrix.add_block(debt, owed, rows)
            loans.holder_matrix.add_block(given, owed, rows)
            books.capacity_debtor_matrix.add_block(on_capacity, owed, rows)
            loans.debtor_matrix.add_block(borne, paid, rows)
            loans.holder_matrix.add_block(earned, paid, rows)
        return LoanDues(Summed(interest, earned, borne), dearer, given, on_capacity)

    def spreads(self, books: Books) -> Callable[[Rows], Array]:
        """The spreads over the policy rate that slots offer this tick: asked for ``rows (n,)``, it gives ``(n, R)``.

        Rule: lender's funding spread + the price of its capital buffer + expected loss (the CDS, by seniority, less public backing) + external
        finance premium ``χ ln(assets / equity)`` - what the central bank's purchases take off.
        """
        loans, levers = books.loans, books.levers
        risk = regulation.unbacked_risk(books)
        premium, funding = books["finance_premium"], books["funding_spread"] + levers["lender.funding_spread"]
        bought = PORTFOLIO_BALANCE * books.series["bought_share"] if books.series["bought_share"].any() else None
        buffer = PRICE_OF_CAPITAL * books["capital_buffer"] if levers["lender.capital_buffer"].any() else None

        def offered(rows: Rows) -> Array:
            borrower, lender = loans.debtor[rows], loans.holder[rows]
            spread: Array = risk[borrower]
            spread *= self.loss_weight[rows]
            spread += premium[borrower]
            spread += funding[lender]
            if bought is not None:
                spread -= bought
            if buffer is not None:
                spread += buffer[lender]
            return spread

        return offered

    def offered_spread(self, books: Books) -> Array:
        """Spread over the policy rate that each slot offers, ``(C, R)``."""
        return self.spreads(books)(np.arange(books.loans.count))

    def calibrate(self, books: Books) -> None:
        """Keep the difference between the sourced opening rates and the rule, so that the first offers equal the sourced rates."""
        start = np.where(books.loans.is_floating > 0.0, books.loans.rate_at_start, books.loans.rate_at_start - books.macro["policy_rate"])
        given = books.loans.rate_at_start != 0.0
        self.offset = np.where(given, start - books.narrow(self.offered_spread(books)), 0.0)

    def lend(self, books: Books, ledger: Ledger, due: Selection, principal_due: Array) -> Array:
        """Grant draws, renewals and new loans; returns the part of ``principal_due (n, R)`` of the loans ``due`` that is renewed, ``(n, R)``.

        Every loan but the emergency facility may be renewed with its lender, under the same test as a new one.
        Committed loans are drawn first, as the borrower builds. Then requests go to the listed slots; each lender's room is rationed pro rata.
        """
        loans = books.loans
        accepted = books["credit_standing"]
        appetite = books.levers["lender.risk_appetite"]
        drawing, drawn = self._draw_commitments(books)
        renewed = due.of_holder(np.minimum(appetite, 1.0) * books["renewal_room"])
        renewed *= principal_due
        renewed *= due.of_debtor(accepted)
        renewed[self.is_facility[due.rows]] = 0.0
        if (books.levers["bond_market.access"] != 1.0).any():
            renewed *= np.where(self.is_bond[due.rows], books.levers["bond_market.access"], 1.0)
        renewed *= self.funding.renewable(books, due)
        refused = books["principal_due"] - due.by_debtor(renewed)
        rest = ASKED_ELSEWHERE * refused
        rest += books["planned_borrowing"]
        rest -= drawing.by_debtor(drawn)
        room_of_borrower = books.levers["borrower.leverage_cap"] * books["total_assets"]
        room_of_borrower -= books["debt"]
        np.maximum(rest, 0.0, out=rest)
        np.minimum(rest, np.maximum(room_of_borrower, 0.0, out=room_of_borrower), out=rest)
        rest *= accepted
        if books.levers["supervision.stress_test"].any():
            rest *= 1.0 - books["stress_test_failed"]
        # Most borrowers ask for nothing in most months: only the slots of those who ask somewhere in the batch are worked on.
        asking = loans.some(self.open_rows[(rest != 0.0).any(axis=1)[loans.debtor[self.open_rows]]])
        granted = self._granted(books, asking, rest, drawing, drawn)
        slots, fresh = asking, granted
        if len(drawing.rows):
            slots = loans.some(merged_rows(asking.rows, drawing.rows))
            fresh = np.zeros((len(slots.rows), books.replications))
            fresh[slots.places(asking.rows)] = granted
            fresh[slots.places(drawing.rows)] += drawn
            loans.undrawn[drawing.rows] -= drawn
            books.repayments.draw(drawn, books.tick, drawing.rows)
        by_borrower = slots.by_debtor(fresh, out=books["new_credit"])
        raise_liquidity(books, ledger, slots.holders, slots.by_holders(fresh))
        self._reprice(books, slots, fresh, due, renewed)
        ledger.lend(slots, fresh)
        books.repayments.add(granted, books.tick, asking.rows)
        books.repayments.add(renewed, books.tick, due.rows)
        books.series["new_credit"] = ledger.sum(by_borrower)
        return renewed

    def _granted(self, books: Books, asking: Selection, wanted: Array, drawing: Selection, drawn: Array) -> Array:
        """New loans of the slots ``asking`` whose borrowers want ``wanted (N, R)``, as collateral and the lenders' room allow, ``(n, R)``.

        ``drawn (m, R)`` on the committed loans ``drawing`` uses up pledges first.
        """
        asked = asking.of_debtor(wanted)
        asked *= self.slot_share[asking.rows]
        asked *= asking.of_holder(books.levers["lender.risk_appetite"])
        has_failed = books["alive"][asking.holders].min(axis=1) < 1.0  # in some replication
        orphaned = has_failed[asking.holder_places]
        asked[orphaned] *= books["alive"][asking.holder[orphaned]]
        if (books.levers["bond_market.access"] != 1.0).any():
            asked *= np.where(self.is_bond[asking.rows], books.levers["bond_market.access"], 1.0)
        asked = regulation.bind_lenders(books, asking, asked, self.slot_share[asking.rows], self.is_asset_backed[asking.rows])
        regulation.refuse_unaudited(books, asking, asked)
        backed = np.flatnonzero(self.is_asset_backed[asking.rows, 0])
        if len(backed):
            on_assets, requests = books.loans.some(asking.rows[backed]), asked[backed]
            borrowers = on_assets.debtors
            purchase = books["planned_investment"][borrowers] * (1.0 - 0.3 - books.series["added_haircut"])
            part = np.maximum(books["secured_room"][borrowers], 0.0) + np.maximum(purchase, 0.0)
            part /= np.maximum(on_assets.by_debtors(requests), 1e-9)
            np.minimum(part, 1.0, out=part)
            requests *= part.take(on_assets.debtor_places, axis=0)
            asked[backed] = requests
        pledges.limit_to_pledges(books, asking, asked, drawing, drawn)
        rationed = books["lending_room"][asking.holders]
        rationed /= np.maximum(asking.by_holders(asked), 1e-9)
        np.minimum(rationed, 1.0, out=rationed)
        asked *= rationed.take(asking.holder_places, axis=0)
        asked *= asked > DUST
        return asked

    def _draw_commitments(self, books: Books) -> tuple[Selection, Array]:
        """Committed loans that are drawn as the borrower builds, and the draws, ``(n, R)``."""
        committed = self.committed
        undrawn = books.loans.undrawn[committed.rows] * committed.of_holder(books["alive"])
        wanted = np.maximum(committed.of_debtor(books["planned_borrowing"]), committed.of_debtor(books["planned_investment"]))
        share = np.minimum(wanted / np.maximum(committed.of_debtor(committed.by_debtor(undrawn)), 1e-9), 1.0)
        share *= committed.of_debtor(books["months_in_arrears"]) < 1.0
        drawn = undrawn * share * committed.of_debtor(books["alive"])
        drawn *= drawn > DUST
        is_drawn = np.any(drawn, axis=1)
        return books.loans.some(committed.rows[is_drawn]), drawn[is_drawn]

    def _reprice(self, books: Books, slots: Selection, fresh: Array, due: Selection, renewed: Array) -> None:
        """A slot's rate is the average of old and new, weighted by principal; ``fresh`` and ``renewed (n, R)`` are new."""
        loans, spreads = books.loans, self.spreads(books)
        every = merged_rows(slots.rows, due.rows)
        place_of = np.empty(loans.count, dtype=np.int64)
        place_of[every] = np.arange(len(every))
        for block in row_blocks(len(every), books.replications):  # one of the longest chains of steps of the tick
            rows = every[block]
            granted, prolonged = (slice(*some.rows.searchsorted((rows[0], rows[-1] + 1))) for some in (slots, due))
            new, weight = np.zeros((len(rows), books.replications)), loans.principal[rows]
            new[place_of[slots.rows[granted]] - block.start] = fresh[granted]
            place = place_of[due.rows[prolonged]] - block.start
            add_to_rows(new, place, renewed[prolonged])
            weight[place] = np.maximum(weight[place] - renewed[prolonged], 0.0)
            weight += new
            np.maximum(weight, 1e-12, out=weight)
            new /= weight
            offered = spreads(rows)
            if self.offset is not None:
                offered += self.offset[rows]
            offered[self.is_fixed[rows]] += books.series["policy_rate"]
            np.maximum(offered, 0.0, out=offered)
            rate = loans.rate[rows]
            offered -= rate
            offered *= new
            rate += offered
            loans.rate[rows] = rate
        self.dear_above[every] = self.opening_rate[every]


def raise_cash_for_dues(books: Books, ledger: Ledger) -> None:
    """Lenders and investors sell liquid other assets to Outside, at book value, when cash and receipts would not cover this month's dues."""
    sellers = np.flatnonzero(books.sells_securities)
    if not len(sellers):
        return
    rows = slice(sellers[0], sellers[-1] + 1)
    c = {name: books[name][rows] for name in READ_BY_SELLERS}
    due = c["interest_due"] + c["principal_due"] + c["operating_bill"] + c["tax_bill"] + c["rent_bills"]
    short = np.maximum(due - c["cash"] - 0.9 * (c["receipts_due"] + c["outside_sales"]), 0.0)
    sold = np.minimum(short, c["other_assets"]) * books.sells_securities[rows] * c["alive"]
    ledger.exchange_other_assets(sold, rows)


def look_through_projects(books: Books) -> None:
    """Lenders to a ring-fenced vehicle look through it at the tenants of its leases: its CDS follows theirs, its leverage does not count."""
    projects = books.rows["project_company"]
    if projects.stop > projects.start:
        leases = books.leases.some(books.leases.held_by(np.arange(projects.start, projects.stop)))
        change = leases.of_debtor(books["cds"]) - leases.of_debtor(books["cds_at_start"])
        through = leases.by_holder(change * books.lease_weight[leases.rows])[projects]
        books["cds"][projects] = np.maximum(books["cds_at_start"][projects] + through, 0.0005)
        books["leverage"][projects] = np.minimum(books["leverage"][projects], 0.7)


def index_of_spreads(books: Books, ledger: Ledger) -> None:
    """The CDS index: the average over firms with debt, weighted by the square root of their opening debt, ``(1, R)``."""
    weight = books["cds_weight"] * books["alive"]
    books.series["cds_index"] = ledger.sum(books["cds"] * weight) / np.maximum(ledger.sum(weight), 1e-9)
