"""Default and resolution: defaults in waves, then all estates of the tick cleared together, once.

Bankruptcy costs are charged here only, on assets (α) and on what the estate receives from other estates (β), as in Rogers and
Veraart (2013). Claims rank: operating bills, deposits and the secured part of loans, unsecured claims, subordinated loans.
Everything an estate owns is sold to Outside; claims of a settled estate belong to Outside from then on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Contracts, Selection, Ties
from simulator.ledger.order_changes import OrderChanges
from simulator.ledger.postings import Ledger
from simulator.ledger.protection import Protection
from simulator.ledger.settlement import OPERATING, SECURED, SUBORDINATED, UNSECURED, loan_classes
from simulator.ledger.sums import merged_rows
from simulator.networks.clearing import EdgeNetwork

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

ASSET_RECOVERY, CLAIM_RECOVERY = 0.9, 0.95  # α and β: legal and selling costs of an estate (direct costs 3-10 %; assumption, 0.8-0.97)
RESALE_DISCOUNT = 0.3  # capacity of an estate against its resale value in use (assumption, 0.1-0.5)
OTHER_DISCOUNT_FIRM, OTHER_DISCOUNT_LENDER = 0.4, 0.05
CLAIM_DISCOUNT, STAKE_DISCOUNT_LISTED, STAKE_DISCOUNT_UNLISTED = 0.05, 0.05, 0.25
MITIGATION = 0.7  # part of a broken take-or-pay contract that the seller can place elsewhere (assumption, 0.5-0.9)
LEASE_CLAIM_YEARS = 1.0  # rent that a lessor may claim ([11usc502b6]: the greater of a year and 15 %, up to three years)
CAUSES = ("illiquid", "insolvent", "margin", "capital")


@dataclass
class DefaultEvents:
    """Defaults of one tick, one element each: agent row, column (replication), wave of the tick, cause, debt, recovery, CDS before,
    who made it lose most (an agent's row, or a code below zero for a root), and how many agents stand between it and the root of its causes."""

    agent: NDArray[np.int64]
    column: NDArray[np.int64]
    wave: NDArray[np.int64]
    cause: NDArray[np.int64]
    debt: Array
    recovery: Array
    cds_before: Array
    trigger: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    depth: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


class Resolution:
    """Settles the estates of all agents that fail in a tick; fixed structure of claims, built once."""

    def __init__(self, books: Books) -> None:
        self.books = books
        given = books.macro["asset_recovery"], books.macro["claim_recovery"]
        self.asset_recovery, self.claim_recovery = np.where(np.isnan(given), (ASSET_RECOVERY, CLAIM_RECOVERY), given).tolist()
        loans, orders, leases, guarantees = books.loans, books.orders, books.leases, books.guarantees
        self.protection = Protection(books)
        self.order_changes = OrderChanges(books)
        agents = np.arange(books.agents)
        self.debtors = agents[agents != books.outside]
        self.banks = np.flatnonzero(books["is_bank"][:, 0] > 0)
        to_outside = np.full(len(self.debtors), books.outside)
        unsecured = np.where(loan_classes(loans.static["seniority"]) == SUBORDINATED, SUBORDINATED, UNSECURED)
        trade, traders = (orders.debtor, leases.debtor, guarantees.debtor), (orders.holder, leases.holder, guarantees.holder)
        payer = (loans.debtor, loans.debtor, *trade, self.debtors, self.debtors, self.banks)
        payee = (loans.holder, loans.holder, *traders, to_outside, to_outside, np.full(len(self.banks), books.government))
        classes = (
            np.full(loans.count, SECURED), unsecured, np.full(orders.count, UNSECURED), np.full(leases.count, UNSECURED),
            np.full(guarantees.count, UNSECURED), np.full(len(self.debtors), OPERATING), np.full(len(self.debtors), UNSECURED),
            np.full(len(self.banks), SECURED),
        )  # fmt: skip
        self.network = EdgeNetwork(np.concatenate(payer), np.concatenate(payee), np.concatenate(classes), books.agents)
        self.ends = np.cumsum([len(block) for block in payer])
        self.is_secured = (loans.static["seniority"] == "secured")[:, None]
        collateral = loans.static["collateral"]
        is_facility = loans.static["kind"] == "facility"
        self.on_capacity = np.flatnonzero(np.isin(collateral, ("accelerators", "data_centre")))
        self.on_receivables = np.flatnonzero((collateral == "receivables") & ~is_facility)
        self.facility = np.flatnonzero(is_facility)
        # Without recourse a lender has only its pledge. A ring-fenced vehicle has nothing else: there the pledge is all it owns.
        ring_fenced = np.isin(loans.debtor, np.arange(books.agents)[books.rows["project_company"]])
        self.has_recourse = (loans.static["recourse"] | ring_fenced).astype(np.float64)[:, None]

    # ------------------------------------------------------------------ values of an estate

    def realisable(self, resale: Array) -> tuple[Array, Array]:
        """What an agent's capacity and other assets would fetch in an estate, USD bn, two arrays ``(N, R)``."""
        books = self.books
        is_lender = np.zeros((books.agents, 1))
        is_lender[books.rows["lender"]] = 1.0
        capacity = (books["capacity"] + books["construction"]) * resale * (1.0 - RESALE_DISCOUNT)
        other = books["other_assets"] * (1.0 - np.where(is_lender > 0, OTHER_DISCOUNT_LENDER, OTHER_DISCOUNT_FIRM))
        return capacity, other

    def provisional_losses(self, books: Books, failing: Array) -> Array:
        """Loss that creditors and shareholders of ``failing (N, R)`` must expect, at the reference recoveries, USD bn, ``(N, R)``."""
        loans = books.loans
        fails: Bools = np.any(failing, axis=1)
        some, rows = _owed_by(fails, loans)
        recovery: Array = np.where(self.is_secured[rows], books.macro["recovery_secured"], books.macro["recovery_unsecured"])
        loss = books.by_owner(some, (loans.principal[rows] + loans.arrears[rows]) * (1.0 - recovery) * some.of_debtor(failing))
        some, rows = _owed_by(fails, books.stakes)
        loss += some.by_holder(books.stakes.shares[rows] * some.of_debtor(books["share_price"]) * some.of_debtor(failing))
        weight = 1.0 - books.macro["recovery_unsecured"]
        for table in (books.orders, books.leases):
            some, rows = _owed_by(fails, table)
            loss += weight * books.by_owner(some, table.arrears[rows] * some.of_debtor(failing))
        guarantees = books.guarantees
        if guarantees.count:
            called = self.protection.expected(books, failing)
            of_failing = guarantees.of_debtor(failing)
            loss += guarantees.by_debtor(called) - books.by_owner(guarantees, called * (1.0 - weight * of_failing))
            loss += weight * books.by_owner(guarantees, guarantees.arrears * of_failing)
        return loss

    # ------------------------------------------------------------------ settlement of estates

    def settle(self, ledger: Ledger, failed: Array, resale: Array) -> Array:
        """Settle the estates of ``failed (N, R)`` (0 or 1); returns each estate's recovery share of all claims, ``(N, R)``.

        Works on the ledger's books, which may be a part of the batch. Posts, in this order: the end of the shares (so that no
        estate sells shares of another at a price), damages for broken contracts, deposit insurance, sale of assets to Outside, the clearing with
        its costs, write-offs, guarantees, and the end of the agent.
        ``resale (N, R)``: resale value of a unit of capacity.
        """
        self.books = books = ledger.books
        self._wipe_out_shares(ledger, failed)
        fixed, other = self.realisable(resale)
        discount = np.where(books.stakes.of_debtor(books["is_listed"]) > 0, STAKE_DISCOUNT_LISTED, STAKE_DISCOUNT_UNLISTED)
        stakes = books.stake_values() * (1.0 - discount)
        pledged = (books.stakes.of_debtor(books["share_price"]) * (1.0 - discount))[books.pledge_stakes] * books.loans.pledged[books.pledge_rows]
        self._recognise_damages(ledger, failed)
        self.protection.recognise_estimates(books, ledger, failed)
        insured = self.protection.owed(books)
        self._insure_deposits(ledger, failed)
        living_claims = self._claims_on_living(failed)
        self._sell_assets(ledger, failed, fixed * failed, other * failed, stakes, living_claims)
        claimable = living_claims * (1.0 - CLAIM_DISCOUNT)
        lenders = books.rows["lender"]
        claimable[lenders] += (other * failed)[lenders]
        claims, barred = self._claims(failed, fixed, pledged, claimable)
        cleared = self.network.clear(
            claims, books["cash"] * failed, asset_recovery=self.asset_recovery, claim_recovery=self.claim_recovery, is_failed=failed > 0.0
        )
        books.converged &= cleared.converged
        costs = np.zeros_like(failed) if cleared.deadweight is None else cleared.deadweight
        self._pay(ledger, cleared.paid, np.minimum(costs, books["cash"] * failed + cleared.received))
        self._write_off(ledger, failed, insured)
        ledger.release_pledges()
        self._close(ledger, failed)
        owed = np.maximum(cleared.owed + barred, 1e-12)
        return np.where(failed > 0.0, np.clip(1.0 - (cleared.shortfall + barred) / owed, 0.0, 1.0), 0.0)

    def _recognise_damages(self, ledger: Ledger, failed: Array) -> None:
        """Other buyers take over a part of broken contracts; the rest become claims: the take-or-pay share that can't be placed elsewhere, and a
        year of rent."""
        books = self.books
        orders, leases = books.orders, books.leases
        buyer_fails = orders.of_debtor(failed)
        self.order_changes.take_over(books, failed)
        damages = buyer_fails * orders.take_or_pay * orders.remaining * (1.0 - MITIGATION) * orders.of_holder(books["alive"])
        rent = leases.of_debtor(failed) * leases.rent * LEASE_CLAIM_YEARS * leases.in_force
        orders.arrears[...] += damages
        leases.arrears[...] += rent
        ledger.post("ordinary", books.net(orders, damages) + books.net(leases, rent))
        orders.remaining[...] *= 1.0 - np.maximum(buyer_fails, orders.of_holder(failed))
        leases.in_force[...] *= 1.0 - leases.of_debtor(failed)

    def _insure_deposits(self, ledger: Ledger, failed: Array) -> None:
        """The government makes good the deposits of failed banks: the central bank issues them against its debt, and it claims on the estate."""
        books = self.books
        owed = np.zeros_like(failed)
        owed[self.banks] = books["deposits"][self.banks] * failed[self.banks]
        books["issues_money"][...] *= 1.0 - failed
        if not owed.any():
            return
        amount = ledger.sum(owed)[0]
        books["deposits"][...] -= owed
        books["insured_deposits"][...] += owed
        books["deposits"][books.central_bank] += amount
        books["other_assets"][books.central_bank] += amount
        books["other_liabilities"][books.government] += amount

    def _sell_assets(self, ledger: Ledger, failed: Array, fixed: Array, other: Array, stakes: Array, living_claims: Array) -> None:
        """Outside buys everything the estates own; the fall from book value is a fire-sale loss of the estate.

        Claims on debtors that live on are paid for now and pass to Outside with the agent's end; claims on other estates take part in the clearing.
        """
        books = self.books
        held = books.stakes.of_holder(failed)
        things = fixed + other + books.stakes.by_holder(stakes * held)
        proceeds = things + living_claims * (1.0 - CLAIM_DISCOUNT)
        book = (books["capacity"] + books["construction"] + books["other_assets"]) * failed + living_claims
        book += books.stakes.by_holder(books.stake_values() * held)
        flow = proceeds.copy()
        flow[books.outside] -= ledger.sum(proceeds)[0]
        ledger.move_cash(flow)
        ledger.lend_to_outside()
        for name in ("capacity", "construction", "other_assets"):
            books[name][...] *= 1.0 - failed
        books["other_assets"][books.outside] += ledger.sum(things)[0]
        books.stakes.shares[...] *= 1.0 - held
        books.stakes.tranche_remaining[...] *= 1.0 - np.maximum(held, books.stakes.of_debtor(failed))
        gain = np.maximum(proceeds - book, 0.0)
        gain[books.outside] += ledger.sum(living_claims)[0] * CLAIM_DISCOUNT
        ledger.lose_own("fire_sale", np.maximum(book - proceeds, 0.0), "deadweight")
        ledger.post("ordinary", gain)

    def _claims_on_living(self, failed: Array) -> Array:
        """Claims of the failing on debtors that do not fail with them, USD bn, ``(N, R)``."""
        claims = np.zeros_like(failed)
        for table, owed in self._owed():
            claims += table.by_holder(owed * (1.0 - table.of_debtor(failed)) * table.of_holder(failed))
        return claims

    def _owed(self) -> tuple[tuple[Contracts, Array], ...]:
        books = self.books
        loans = books.loans
        trade = tuple((table, table.arrears) for table in (books.orders, books.leases, books.guarantees))
        return (loans, loans.principal + loans.arrears), *trade

    def _claims(self, failed: Array, fixed: Array, pledged: Array, claimable: Array) -> tuple[Array, Array]:
        """Claims on the estates by edge, USD bn, ``(E, R)``: loans split into the part that collateral covers and the rest; and what lenders without
        recourse can't claim, by borrower, ``(N, R)``.

        ``fixed (N, R)``: proceeds of capacity, shared by the loans on it. ``claimable (N, R)``: of claims on the living and of a lender's other
        assets, shared by the loans on receivables. ``pledged (P, R)``: of the shares behind each loan. The facility has what these leave of
        capacity and claims.
        """
        books = self.books
        loans, ends = books.loans, self.ends
        owed = (loans.principal + loans.arrears) * loans.of_debtor(failed)
        secured = np.zeros_like(owed)
        left = np.zeros_like(failed)
        for rows, value in ((self.on_capacity, fixed * failed), (self.on_receivables, claimable), (self.facility, left)):
            backed, on_it = loans.some(rows), owed[rows]
            by_debtor = backed.by_debtor(on_it)
            secured[rows] += on_it * backed.of_debtor(np.minimum(1.0, value / np.maximum(by_debtor, 1e-12)))
            left += np.maximum(value - by_debtor, 0.0)  # what the facility gets
        if len(books.pledge_rows):
            secured[books.pledge_rows] = pledged
        secured = np.minimum(secured * self.is_secured, owed)
        rest = (owed - secured) * self.has_recourse
        dues = np.zeros((int(ends[-1]), failed.shape[1]))
        dues[: ends[0]] = secured
        dues[ends[0] : ends[1]] = rest
        dues[ends[1] : ends[2]] = books.orders.arrears * books.orders.of_debtor(failed)
        dues[ends[2] : ends[3]] = books.leases.arrears * books.leases.of_debtor(failed)
        dues[ends[3] : ends[4]] = books.guarantees.arrears * books.guarantees.of_debtor(failed)
        dues[ends[4] : ends[5]] = (books["operating_arrears"] * failed)[self.debtors]
        dues[ends[5] : ends[6]] = (books["other_liabilities"] * failed)[self.debtors]
        dues[ends[6] :] = (books["insured_deposits"] * failed)[self.banks]
        return dues, loans.by_debtor(owed - secured - rest)

    def _pay(self, ledger: Ledger, paid: Array, costs: Array) -> None:
        """Move what the clearing pays, lower the claims by it, and charge the costs of bankruptcy, which use up resources of Outside."""
        books = self.books
        loans, ends = books.loans, self.ends
        on_loans = paid[: ends[0]] + paid[ends[0] : ends[1]]
        bills, liabilities, insured = paid[ends[4] : ends[5]], paid[ends[5] : ends[6]], paid[ends[6] :]
        flow = books.net(loans, on_loans)
        for place, table in enumerate((books.orders, books.leases, books.guarantees), start=1):
            block = paid[ends[place] : ends[place + 1]]
            flow += books.net(table, block)
            table.arrears[...] -= block
        flow[self.debtors] -= bills + liabilities
        flow[self.banks] -= insured
        flow[books.government] += ledger.sum(insured)[0]
        flow -= costs
        flow[books.outside] += (ledger.sum(bills) + ledger.sum(liabilities) + ledger.sum(costs))[0]
        ledger.move_cash(flow)
        books["other_assets"][books.outside] -= (ledger.sum(liabilities) + ledger.sum(costs))[0]
        ledger.lose_own("fire_sale", costs, "deadweight")
        from_arrears = np.minimum(on_loans, loans.arrears)
        loans.arrears[...] -= from_arrears
        loans.principal[...] -= on_loans - from_arrears
        books["operating_arrears"][self.debtors] -= bills
        books["other_liabilities"][self.debtors] -= liabilities
        books["insured_deposits"][self.banks] -= insured

    def _write_off(self, ledger: Ledger, failed: Array, insured: Array) -> None:
        """What the estates leave unpaid is lost by its owners; guarantors owe what they promised (``insured (G, R)``: what was owed on the
        references), the government makes good its share."""
        books = self.books
        lost: dict[str, Array] = {}
        channels = {"loans": "counterparty", "orders": "orders", "leases": "counterparty", "guarantees": "guarantee"}
        for name, channel in channels.items():
            table: Contracts = getattr(books, name)
            owed = table.principal + table.arrears if name == "loans" else table.arrears
            lost[name] = np.maximum(owed * table.of_debtor(failed), 0.0)
            left = 1.0 - table.of_debtor(failed)
            for state in ("principal", "arrears") if name == "loans" else ("arrears",):
                table.state[state][...] *= left
            ledger.lose(name, channel, lost[name], "credit", relief=True)
        for column in ("operating_arrears", "other_liabilities", "insured_deposits"):
            unpaid = books[column] * failed
            books[column][...] *= 1.0 - failed
            creditor = "government" if column == "insured_deposits" else "outside"
            if column == "other_liabilities":
                books["other_assets"][books.outside] -= ledger.sum(unpaid)[0]
            if column == "insured_deposits":
                books.series["fiscal_cost"] += ledger.sum(unpaid)
            ledger.lose_on_estate(unpaid, creditor)
        self.protection.call(books, ledger, failed, lost, insured)
        public = books.levers["government.guarantee_share"]
        if public.any():
            amount = books.by_owner(books.loans, lost["loans"] * public)
            amount[books.outside] = 0.0
            ledger.government_pays(amount)

    def _wipe_out_shares(self, ledger: Ledger, failed: Array) -> None:
        """Shares of the failed go to zero; every holder loses what they stood at."""
        books = self.books
        stakes = books.stakes
        lost = books.stake_values() * stakes.of_debtor(failed)
        ledger.lose("stakes", "equity", lost, "mark_to_market")
        ledger.set_column("stake_news", books["stake_news"] - stakes.by_holder(lost))
        ledger.set_column("share_price", books["share_price"] * (1.0 - failed))
        stakes.shares[...] *= 1.0 - stakes.of_debtor(failed)

    def _close(self, ledger: Ledger, failed: Array) -> None:
        """What an estate has left goes to its shareholders (Outside); from here on the agent neither pays nor receives."""
        books = self.books
        left = books["cash"] * failed
        flow = -left
        flow[books.outside] += ledger.sum(left)[0]
        ledger.pay(flow)
        ledger.set_column("alive", books["alive"] * (1.0 - failed))
        gone = np.maximum(books.loans.of_debtor(failed), books.loans.of_holder(failed))
        books.loans.undrawn[...] *= 1.0 - gone
        for name in ("months_in_arrears", "months_operating_overdue", "past_grace"):
            ledger.set_column(name, books[name] * (1.0 - failed))
        for table in (books.loans, books.orders, books.leases, books.guarantees):
            table.months_overdue[...] *= 1.0 - table.of_debtor(failed)
        books.dead_rows = merged_rows(books.dead_rows, np.flatnonzero((books["alive"] < 1.0).any(axis=1)))


def _owed_by(debtors: Bools, table: Contracts) -> tuple[Ties, slice | NDArray[np.int64]]:
    """The contracts that ``debtors (N,)`` owe, and their rows; where these are many, all contracts, as choosing them takes longer."""
    rows = np.flatnonzero(debtors[table.debtor])
    return (table, slice(None)) if 4 * len(rows) > table.count else (Selection(table, rows), rows)
