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
from simulator.ledger.contracts import Selection
from simulator.ledger.estates import TRADE, Estates, Side
from simulator.ledger.order_changes import OrderChanges
from simulator.ledger.postings import Ledger
from simulator.ledger.protection import Protection
from simulator.ledger.settlement import SUBORDINATED, UNSECURED, loan_classes
from simulator.ledger.sums import merged_rows

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

ASSET_RECOVERY, CLAIM_RECOVERY = 0.9, 0.95  # α and β: legal and selling costs of an estate (direct costs 3-10 %; assumption, 0.8-0.97)
RESALE_DISCOUNT = 0.3  # capacity of an estate against its resale value in use (assumption, 0.1-0.5)
OTHER_DISCOUNT_FIRM, OTHER_DISCOUNT_LENDER = 0.4, 0.05
CLAIM_DISCOUNT, STAKE_DISCOUNT_LISTED, STAKE_DISCOUNT_UNLISTED = 0.05, 0.05, 0.25
MITIGATION = 0.7  # part of a broken take-or-pay contract that the seller can place elsewhere (assumption, 0.5-0.9)
LEASE_CLAIM_YEARS = 1.0  # rent that a lessor may claim ([11usc502b6]: the greater of a year and 15 %, up to three years)
CAUSES = ("illiquid", "insolvent", "margin", "capital")
CHANNEL_OF = {"loans": "counterparty", "orders": "orders", "leases": "counterparty", "guarantees": "guarantee"}
"""The channel through which what an estate leaves unpaid is lost, by table."""


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
    """Settles the estates of all agents that fail in a tick."""

    def __init__(self, books: Books) -> None:
        self.books = books
        given = books.macro["asset_recovery"], books.macro["claim_recovery"]
        self.asset_recovery, self.claim_recovery = np.where(np.isnan(given), (ASSET_RECOVERY, CLAIM_RECOVERY), given).tolist()
        loans = books.loans
        self.protection = Protection(books)
        self.order_changes = OrderChanges(books)
        self.is_secured = (loans.static["seniority"] == "secured")[:, None]
        is_subordinated = loan_classes(loans.static["seniority"]) == SUBORDINATED
        loans.static["class_of_rest"] = np.where(is_subordinated, SUBORDINATED, UNSECURED)  # of what the pledge does not cover
        collateral = loans.static["collateral"]
        is_facility = loans.static["kind"] == "facility"
        self.backed_by = (np.isin(collateral, ("accelerators", "data_centre")), (collateral == "receivables") & ~is_facility, is_facility)
        # Without recourse a lender has only its pledge. A ring-fenced vehicle has nothing else: there the pledge is all it owns.
        ring_fenced = np.isin(loans.debtor, np.arange(books.agents)[books.rows["project_company"]])
        self.has_recourse = (loans.static["recourse"] | ring_fenced).astype(np.float64)[:, None]

    # ------------------------------------------------------------------ values of an estate

    def realisable(self, resale: Array) -> tuple[Array, Array]:
        """What an agent's capacity and other assets would fetch in an estate, USD bn, two arrays ``(N, R)``."""
        books = self.books
        discount = np.full((books.agents, 1), OTHER_DISCOUNT_FIRM)
        discount[books.rows["lender"]] = OTHER_DISCOUNT_LENDER
        capacity = (books["capacity"] + books["construction"]) * resale * (1.0 - RESALE_DISCOUNT)
        other = books["other_assets"] * (1.0 - discount)
        return capacity, other

    def provisional_losses(self, estates: Estates) -> Array:
        """Loss that creditors and shareholders of the ``estates`` must expect, at the reference recoveries, USD bn, ``(N, R)``."""
        books, loans, stakes = estates.books, estates.owed["loans"], estates.owed["stakes"]
        recovery: Array = np.where(self.is_secured[loans.rows], books.macro["recovery_secured"], books.macro["recovery_unsecured"])
        loss = books.by_owner(loans, loans.claims() * (1.0 - recovery) * loans.fails)
        loss += stakes.by_holder(books.stakes.shares[stakes.rows] * stakes.of_debtor(books["share_price"]) * stakes.fails)
        weight = 1.0 - books.macro["recovery_unsecured"]

        def add_overdue(some: Side) -> None:
            if not some.is_empty:
                np.add(loss, weight * books.by_owner(some, some.claims() * some.fails), out=loss)

        add_overdue(estates.owed["orders"])
        add_overdue(estates.owed["leases"])
        called = self.protection.about(estates)
        if len(called.rows):
            calls = self.protection.expected(estates, called)
            loss += called.by_debtor(calls) - books.by_owner(called, calls * (1.0 - weight * called.of_debtor(estates.failed)))
        add_overdue(estates.owed["guarantees"])
        return loss

    # ------------------------------------------------------------------ settlement of estates

    def settle(self, ledger: Ledger, estates: Estates, resale: Array) -> Array:
        """Settle the ``estates``; returns each one's recovery share of all claims, ``(N, R)``.

        Works on the ledger's books, which may be a part of the batch. Posts, in this order: the end of the shares (so that no
        estate sells shares of another at a price), damages for broken contracts, deposit insurance, sale of assets to Outside, the clearing with
        its costs, write-offs, guarantees, and the end of the agent.
        ``resale (N, R)``: resale value of a unit of capacity.
        """
        self.books = books = ledger.books
        failed = estates.failed
        self._wipe_out_shares(ledger, estates)
        fixed, other = (values * failed for values in self.realisable(resale))
        self._recognise_damages(ledger, estates)
        insured = self.protection.about(estates)
        self.protection.recognise_estimates(books, ledger, estates, insured)
        owed_on_insured = self.protection.owed_on_references(books, insured, estates.owed["loans"])
        self._insure_deposits(ledger, estates)
        living_claims = self._claims_on_living(estates)
        self._sell_assets(ledger, estates, fixed, other, living_claims)
        claimable = living_claims * (1.0 - CLAIM_DISCOUNT)
        lenders = books.rows["lender"]
        claimable[lenders] += other[lenders]
        claims, barred = self._claims(estates, fixed, claimable)
        cleared = estates.clear(claims, books["cash"], self.asset_recovery, self.claim_recovery)
        books.converged &= cleared.converged
        costs, agents = np.zeros(failed.shape), estates.agents
        if cleared.deadweight is not None:
            costs[agents] = np.minimum(cleared.deadweight[:-1], (books["cash"] * failed)[agents] + cleared.received[:-1])
        self._pay(ledger, estates, cleared.paid, costs)
        lost = self._write_off(ledger, estates)
        self.protection.call(books, ledger, estates, insured, lost, owed_on_insured)
        self._pay_public_guarantee(ledger, estates, lost["loans"])
        ledger.release_pledges()
        self._close(ledger, estates)
        recovery, barred = np.zeros(failed.shape), barred[agents]
        owed = np.maximum(cleared.owed[:-1] + barred, 1e-12)
        recovery[agents] = failed[agents] * np.clip(1.0 - (cleared.shortfall[:-1] + barred) / owed, 0.0, 1.0)
        return recovery

    def _recognise_damages(self, ledger: Ledger, estates: Estates) -> None:
        """Other buyers take over a part of broken contracts; the rest become claims: the take-or-pay share that can't be placed elsewhere, and a
        year of rent."""
        books, failed = self.books, estates.failed
        orders, leases = books.orders, books.leases
        bought, sold, rented = estates.owed["orders"], estates.held["orders"], estates.owed["leases"]
        self.order_changes.take_over(books, failed)
        change = np.zeros(failed.shape)
        if not bought.is_empty:
            remaining = orders.remaining[bought.rows]
            damages = bought.fails * orders.take_or_pay[bought.rows] * remaining * (1.0 - MITIGATION) * bought.of_holder(books["alive"])
            orders.arrears[bought.rows] += damages
            orders.remaining[bought.rows] = remaining * (1.0 - bought.fails)
            change += books.net(bought, damages)
        if not rented.is_empty:
            in_force = leases.in_force[rented.rows]
            rent = rented.fails * leases.rent[rented.rows] * LEASE_CLAIM_YEARS * in_force
            leases.arrears[rented.rows] += rent
            leases.in_force[rented.rows] = in_force * (1.0 - rented.fails)
            change += books.net(rented, rent)
        ledger.post("ordinary", change)
        if not sold.is_empty:
            orders.remaining[sold.rows] *= 1.0 - sold.fails

    def _insure_deposits(self, ledger: Ledger, estates: Estates) -> None:
        """The government makes good the deposits of failed banks: the central bank issues them against its debt, and it claims on the estate."""
        books, banks, failed = self.books, estates.banks, estates.failed[estates.banks]
        if not len(banks):
            return
        owed = books["deposits"][banks] * failed
        books["issues_money"][banks] *= 1.0 - failed
        amount = ledger.sum(owed)[0]
        books["deposits"][banks] -= owed
        books["insured_deposits"][banks] += owed
        books["deposits"][books.central_bank] += amount
        books["other_assets"][books.central_bank] += amount
        books["other_liabilities"][books.government] += amount

    def _sell_assets(self, ledger: Ledger, estates: Estates, fixed: Array, other: Array, living_claims: Array) -> None:
        """Outside buys everything the estates own; the fall from book value is a fire-sale loss of the estate.

        Claims on debtors that live on are paid for now and pass to Outside with the agent's end; claims on other estates take part in the clearing.
        """
        books, failed = self.books, estates.failed
        lives = 1.0 - failed
        stakes, issued = estates.held["stakes"], estates.owed["stakes"]
        things = fixed + other
        book = (books["capacity"] + books["construction"] + books["other_assets"]) * failed + living_claims
        if not stakes.is_empty:
            shares = books.stakes.shares[stakes.rows]
            value = shares * stakes.of_debtor(books["share_price"])
            things += stakes.by_holder(value * (1.0 - stakes.of_debtor(self._discount_of_shares())) * stakes.fails)
            book += stakes.by_holder(value * stakes.fails)
            books.stakes.shares[stakes.rows] = shares * (1.0 - stakes.fails)
            books.stakes.tranche_remaining[stakes.rows] *= 1.0 - stakes.fails
        if not issued.is_empty:
            books.stakes.tranche_remaining[issued.rows] *= 1.0 - issued.fails
        proceeds = things + living_claims * (1.0 - CLAIM_DISCOUNT)
        flow = proceeds.copy()
        flow[books.outside] -= ledger.sum(proceeds)[0]
        ledger.move_cash(flow)
        ledger.lend_to_outside()
        for name in ("capacity", "construction", "other_assets"):
            books[name][...] *= lives
        books["other_assets"][books.outside] += ledger.sum(things)[0]
        gain = np.maximum(proceeds - book, 0.0)
        gain[books.outside] += ledger.sum(living_claims)[0] * CLAIM_DISCOUNT
        ledger.lose_own("fire_sale", np.maximum(book - proceeds, 0.0), "deadweight")
        ledger.post("ordinary", gain)

    def _discount_of_shares(self) -> Array:
        """Below the price at which an estate sells shares, by issuer, ``(N, 1)``."""
        return np.where(self.books["is_listed"] > 0.0, STAKE_DISCOUNT_LISTED, STAKE_DISCOUNT_UNLISTED)

    def _claims_on_living(self, estates: Estates) -> Array:
        """Claims of the failing on debtors that do not fail with them, USD bn, ``(N, R)``."""
        failed = estates.failed
        claims = np.zeros(failed.shape)
        for name in ("loans", *TRADE):
            some = estates.held[name]
            if not some.is_empty:
                claims += some.by_holder(some.claims() * (1.0 - some.of_debtor(failed)) * some.fails)
        return claims

    def _claims(self, estates: Estates, fixed: Array, claimable: Array) -> tuple[Array, Array]:
        """Claims on the estates by edge of their network, USD bn, ``(E, R)``: loans split into the part that collateral covers and the rest; and what
        lenders without recourse can't claim, by borrower, ``(N, R)``.

        ``fixed (N, R)``: proceeds of capacity, shared by the loans on it. ``claimable (N, R)``: of claims on the living and of a lender's other
        assets, shared by the loans on receivables. The facility has what these leave of both. A pledge of shares covers its own loan.
        """
        books, failed = self.books, estates.failed
        loans = estates.owed["loans"]
        owed = loans.claims() * loans.fails
        secured = np.zeros(owed.shape)
        left = np.zeros(failed.shape)
        for is_backed, value in zip(self.backed_by, (fixed, claimable, left), strict=True):
            rows = is_backed[loans.rows].nonzero()[0]
            spare = value
            if len(rows):
                backed, on_it = Selection(loans, rows), owed[rows]
                by_debtor = backed.by_debtor(on_it)
                secured[rows] += on_it * backed.of_debtor(np.minimum(1.0, value / np.maximum(by_debtor, 1e-12)))
                spare = value - by_debtor
            left += np.maximum(spare, 0.0)  # what the facility gets
        pledges = estates.fails[books.loans.debtor[books.pledge_rows]].nonzero()[0]
        if len(pledges):
            rows, issuer = books.pledge_rows[pledges], books.stakes.debtor[books.pledge_stakes[pledges]]
            price = books["share_price"][issuer] * (1.0 - self._discount_of_shares()[issuer])
            secured[loans.places(rows)] = price * books.loans.pledged[rows]
        secured = np.minimum(secured * self.is_secured[loans.rows], owed)
        rest = (owed - secured) * self.has_recourse[loans.rows]
        overdue = [some.claims() * some.fails for some in estates.trade]
        own = [
            books[name][agents] * failed[agents]
            for name, agents in (("operating_arrears", estates.agents), ("other_liabilities", estates.agents), ("insured_deposits", estates.banks))
        ]
        return np.concatenate([secured, rest, *overdue, *own]), loans.by_debtor(owed - secured - rest)

    def _pay(self, ledger: Ledger, estates: Estates, paid: Array, costs: Array) -> None:
        """Move what the clearing pays, lower the claims by it, and charge the costs of bankruptcy, which use up resources of Outside."""
        books, agents, banks = self.books, estates.agents, estates.banks
        loans, rows = books.loans, estates.owed["loans"].rows
        on_secured, on_rest, *on_trade, bills, liabilities, insured = estates.by_block(paid)
        on_loans = on_secured + on_rest
        flow = books.net(estates.owed["loans"], on_loans)
        for some, amounts in zip(estates.trade, on_trade, strict=True):
            flow += books.net(some, amounts)
            some.table.state["arrears"][some.rows] -= amounts
        flow[agents] -= bills + liabilities
        if len(banks):
            flow[banks] -= insured
            flow[books.government] += ledger.sum(insured)[0]
            books["insured_deposits"][banks] -= insured
        flow -= costs
        flow[books.outside] += (ledger.sum(bills) + ledger.sum(liabilities) + ledger.sum(costs))[0]
        ledger.move_cash(flow)
        books["other_assets"][books.outside] -= (ledger.sum(liabilities) + ledger.sum(costs))[0]
        ledger.lose_own("fire_sale", costs, "deadweight")
        arrears = loans.arrears[rows]
        from_arrears = np.minimum(on_loans, arrears)
        loans.arrears[rows] = arrears - from_arrears
        loans.principal[rows] -= on_loans - from_arrears
        books["operating_arrears"][agents] -= bills
        books["other_liabilities"][agents] -= liabilities

    def _write_off(self, ledger: Ledger, estates: Estates) -> dict[str, Array]:
        """What the estates leave unpaid is lost by its owners; returns what was lost by table, on what they owed, USD bn, ``(n, R)`` each."""
        books, failed, agents = self.books, estates.failed, estates.agents
        lost: dict[str, Array] = {}
        for name, channel in CHANNEL_OF.items():
            some = estates.owed[name]
            lost[name] = np.maximum(some.claims() * some.fails, 0.0)
            if not some.is_empty:
                for state in ("principal", "arrears") if name == "loans" else ("arrears",):
                    some.table.state[state][some.rows] *= 1.0 - some.fails
            ledger.lose(name, channel, lost[name], "credit", relief=True, some=some)
        for column, debtors, creditor in (
            ("operating_arrears", agents, "outside"), ("other_liabilities", agents, "outside"), ("insured_deposits", estates.banks, "government")
        ):  # fmt: skip
            owed, fails = books[column][debtors], failed[debtors]
            unpaid = owed * fails
            books[column][debtors] = owed * (1.0 - fails)
            if column == "other_liabilities":
                books["other_assets"][books.outside] -= ledger.sum(unpaid)[0]
            if column == "insured_deposits":
                books.series["fiscal_cost"] += ledger.sum(unpaid)
            ledger.lose_on_estate(unpaid, creditor, debtors)
        return lost

    def _pay_public_guarantee(self, ledger: Ledger, estates: Estates, lost: Array) -> None:
        """The government makes good its share of what was ``lost (n, R)`` on loans."""
        books, public = self.books, self.books.levers["government.guarantee_share"]
        if public.any():
            amount = books.by_owner(estates.owed["loans"], lost * public)
            amount[books.outside] = 0.0
            ledger.government_pays(amount)

    def _wipe_out_shares(self, ledger: Ledger, estates: Estates) -> None:
        """Shares of the failed go to zero; every holder loses what they stood at."""
        books, some = self.books, estates.owed["stakes"]
        stake = books.stakes.shares[some.rows]
        lost = stake * some.of_debtor(books["share_price"]) * some.fails
        ledger.lose("stakes", "equity", lost, "mark_to_market", some=some)
        if not some.is_empty:
            ledger.set_column("stake_news", books["stake_news"][some.holders] - some.by_holder(lost)[some.holders], some.holders)
            books.stakes.shares[some.rows] = stake * (1.0 - some.fails)
        ledger.set_column("share_price", books["share_price"] * (1.0 - estates.failed))

    def _close(self, ledger: Ledger, estates: Estates) -> None:
        """What an estate has left goes to its shareholders (Outside); from here on the agent neither pays nor receives."""
        books, failed = self.books, estates.failed
        left = books["cash"] * failed
        flow = -left
        flow[books.outside] += ledger.sum(left)[0]
        ledger.pay(flow)
        ledger.set_column("alive", books["alive"] * (1.0 - failed))
        for some in (estates.owed["loans"], estates.held["loans"]):
            if not some.is_empty:
                books.loans.undrawn[some.rows] *= 1.0 - some.fails
        lives = 1.0 - failed[estates.agents]
        for name in ("months_in_arrears", "months_operating_overdue", "past_grace"):
            ledger.set_column(name, books[name][estates.agents] * lives, estates.agents)
        for some in (estates.owed["loans"], *estates.trade):
            some.table.state["months_overdue"][some.rows] *= 1.0 - some.fails
        books.dead_rows = merged_rows(books.dead_rows, np.flatnonzero((books["alive"] < 1.0).any(axis=1)))
