"""Guarantees and credit default swaps: premia, calls, and sellers who may fail to pay.

A called guarantee is a debt of its seller. It falls due in the next month's settlement with the seller's other unsecured dues; a seller
that can't pay is overdue like any debtor and may default, and the buyer then ranks in its estate and bears what is left. A seller that
fails together with what it insured owes the estimated claim, as in a bankruptcy court ([11usc502b6] §502(c)).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import incidence

Array = NDArray[np.float64]

HONOURED = "guarantor.honoured_share"


class Protection:
    """Static references of the table of guarantees ``(G,)``, and what happens to them in a tick."""

    def __init__(self, books: Books) -> None:
        guarantees = books.guarantees
        self.count = guarantees.count
        table, row = guarantees.static["reference_table"], np.asarray(guarantees.static["reference_row"], dtype=np.int64)
        self.rows = {name: np.flatnonzero(table == name) for name in ("loans", "orders", "leases", "agents")}
        self.reference = row
        self.reference_agent = row.copy()
        for name in ("loans", "orders", "leases"):
            self.reference_agent[self.rows[name]] = getattr(books, name).debtor[row[self.rows[name]]]
        self.is_swap = (guarantees.static["kind"] == "cds")[:, None]
        self.until = np.asarray(guarantees.static["until"], dtype=np.int64)
        self.premium = np.asarray(guarantees.static["premium"], dtype=np.float64)[:, None]
        self.paying = np.flatnonzero(self.premium[:, 0] > 0.0)
        self._buyer_matrix = incidence(guarantees.holder[self.paying], books.agents)
        secured = np.zeros((self.count, 1), dtype=bool)
        loans = self.rows["loans"]
        secured[loans, 0] = books.loans.static["seniority"][row[loans]] == "secured"
        recovery = np.where(secured, books.macro["recovery_secured"], books.macro["recovery_unsecured"])
        guarantees.add_terms("expected_loss", 1.0 - recovery)

    # ------------------------------------------------------------------ premia

    def pay_premia(self, books: Books, ledger: Ledger) -> None:
        """Buyers pay the month's premium on the notional, in advance; who lacks the cash for its premia loses the cover. Ended cover lapses."""
        if not self.count:
            return
        guarantees = books.guarantees
        ended = np.flatnonzero(self.until <= books.tick)
        if len(ended):
            guarantees.notional[ended] = 0.0
        rows = self.paying
        if not len(rows):
            return
        buyer, seller = guarantees.holder[rows], guarantees.debtor[rows]
        alive = books["alive"]
        due = self.premium[rows] * guarantees.notional[rows] * books.years_per_tick * alive[buyer] * alive[seller]
        of_buyer = self._buyer_matrix @ due
        covered = (books["cash"] >= of_buyer) | (books["issues_money"] > 0.0)
        covered[books.outside] = True
        kept = covered[buyer] * alive[buyer]
        paid = np.zeros_like(guarantees.notional)
        paid[rows] = due * kept
        ledger.pay(-books.net(guarantees, paid))
        guarantees.notional[rows] *= kept

    # ------------------------------------------------------------------ calls

    def owed(self, books: Books) -> Array:
        """What the debtors of the references owe on them now, USD bn, ``(G, R)``; a swap on an agent refers to all of its loans."""
        owed = np.zeros_like(books.guarantees.notional)
        loans = books.loans
        for name in ("loans", "orders", "leases"):
            rows = self.rows[name]
            if len(rows):
                table, at = getattr(books, name), self.reference[rows]
                owed[rows] = table.arrears[at] + (table.principal[at] if name == "loans" else 0.0)
        rows = self.rows["agents"]
        if len(rows):
            owed[rows] = loans.by_debtor(loans.principal + loans.arrears)[self.reference[rows]]
        return np.asarray(owed)

    def expected(self, books: Books, failing: Array) -> Array:
        """What buyers must expect to call when ``failing (N, R)`` fail, at the reference recoveries, USD bn, ``(G, R)``."""
        notional, expected_loss = books.guarantees.notional, books.guarantees.expected_loss
        loss = np.where(self.is_swap, notional, np.minimum(self.owed(books) * expected_loss, notional))
        loss = np.where(self.is_swap, loss * expected_loss, loss)
        return np.asarray(loss * failing[self.reference_agent] * self._honoured(books))

    def recognise_estimates(self, books: Books, ledger: Ledger, failed: Array) -> None:
        """Where the seller or the buyer fails together with the reference, the claim is estimated: it ranks in the seller's estate, and is
        sold with the other claims of the buyer's."""
        if self.count:
            party_fails = np.maximum(books.guarantees.of_debtor(failed), books.guarantees.of_holder(failed))
            alive = books.guarantees.of_debtor(books["alive"]) * books.guarantees.of_holder(books["alive"])
            self._oblige(books, ledger, self.expected(books, failed) * party_fails * alive)

    def call(self, books: Books, ledger: Ledger, failed: Array, lost: Mapping[str, Array], owed: Array) -> None:
        """Living sellers owe what was lost on the references that ``failed (N, R)``; ``lost`` by table, ``owed (G, R)`` before the estates paid.

        A guarantee pays the loss up to the notional, a swap the notional times the share that was lost. The cover ends either way.
        """
        if not self.count:
            return
        guarantees = books.guarantees
        loss = np.zeros_like(guarantees.notional)
        for name in ("loans", "orders", "leases"):
            rows = self.rows[name]
            if len(rows):
                loss[rows] = lost[name][self.reference[rows]]
        rows = self.rows["agents"]
        if len(rows):
            loss[rows] = books.loans.by_debtor(lost["loans"])[self.reference[rows]]
        share = np.where(owed > 1e-9, np.minimum(loss / np.maximum(owed, 1e-9), 1.0), guarantees.expected_loss)
        claim = np.where(self.is_swap, guarantees.notional * share, np.minimum(loss, guarantees.notional))
        party_fails = np.maximum(guarantees.of_debtor(failed), guarantees.of_holder(failed))
        alive = guarantees.of_debtor(books["alive"]) * guarantees.of_holder(books["alive"])
        self._oblige(books, ledger, claim * failed[self.reference_agent] * (1.0 - party_fails) * alive * self._honoured(books))
        guarantees.notional[...] *= 1.0 - np.maximum(failed[self.reference_agent], party_fails)

    def _oblige(self, books: Books, ledger: Ledger, claim: Array) -> None:
        if claim.any():
            books.guarantees.arrears[...] += claim
            ledger.cost_debtors("guarantees", "guarantee", claim, reason="default", cause="reference")

    def _honoured(self, books: Books) -> Array:
        share: Array = books.levers[HONOURED]
        return share if len(share) == 1 else np.take(share, books.guarantees.debtor, axis=0)

    def fund_government(self, books: Books, ledger: Ledger) -> None:
        """The government borrows from Outside what it owes on called guarantees, and keeps the bill."""
        owed = books.guarantees.arrears[books.guarantees.debtor == books.government]
        if not owed.any():
            return
        amount = ledger.sum(owed)
        books["other_liabilities"][books.government] += amount[0]
        books["other_assets"][books.outside] += amount[0]
        flow = np.zeros_like(books["cash"])
        flow[books.government] += amount[0]
        flow[books.outside] -= amount[0]
        ledger.move_cash(flow)
        ledger.lend_to_outside()
        books.series["fiscal_cost"] = books.series["fiscal_cost"] + amount
