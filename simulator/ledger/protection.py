"""Guarantees and credit default swaps: premia, calls, and sellers who may fail to pay.

A called guarantee is a debt of its seller. It falls due in the next month's settlement with the seller's other unsecured dues; a seller
that can't pay is overdue like any debtor and may default, and the buyer then ranks in its estate and bears what is left. A seller that
fails together with what it insured owes the estimated claim, as in a bankruptcy court ([11usc502b6] §502(c)).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Selection
from simulator.ledger.estates import Estates, Side
from simulator.ledger.postings import Ledger

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

HONOURED = "guarantor.honoured_share"


class Protection:
    """Static references of the table of guarantees ``(G,)``, and what happens to them in a tick."""

    def __init__(self, books: Books) -> None:
        guarantees = books.guarantees
        self.count = guarantees.count
        table, row = guarantees.static["reference_table"], np.asarray(guarantees.static["reference_row"], dtype=np.int64)
        self.refers_to = {name: np.asarray(table == name) for name in ("loans", "orders", "leases", "agents")}
        self.reference = row
        self.reference_agent = row.copy()
        for name in ("loans", "orders", "leases"):
            self.reference_agent[self.refers_to[name]] = getattr(books, name).debtor[row[self.refers_to[name]]]
        self.is_swap = (guarantees.static["kind"] == "cds")[:, None]
        self.until = np.asarray(guarantees.static["until"], dtype=np.int64)
        self.premium = np.asarray(guarantees.static["premium"], dtype=np.float64)[:, None]
        self.paying = np.flatnonzero(self.premium[:, 0] > 0.0)
        secured = np.zeros((self.count, 1), dtype=bool)
        loans = self.refers_to["loans"]
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
        some, alive, cash = guarantees.some(rows), books["alive"], books["cash"]
        due = self.premium[rows] * guarantees.notional[rows] * books.years_per_tick * some.of_holder(alive) * some.of_debtor(alive)
        covered = (cash[some.holders] >= some.by_holders(due)) | (books["issues_money"][some.holders] > 0.0)
        covered[some.holders == books.outside] = True
        kept = covered[some.holder_places] * some.of_holder(alive)
        parties, received = books.net_of_parties(some, due * kept)
        ledger.pay(-received, rows=parties)
        guarantees.notional[rows] *= kept

    # ------------------------------------------------------------------ calls

    def about(self, estates: Estates) -> Selection:
        """The guarantees that refer to a debt of the ``estates``, or to all of their debts."""
        return Selection(estates.books.guarantees, estates.fails[self.reference_agent].nonzero()[0])

    def _references(self, some: Selection) -> Iterator[tuple[str, Rows, Rows]]:
        """By table: which of the guarantees ``some`` refer to it, and to which of its rows."""
        for name, is_about in self.refers_to.items():
            at = np.flatnonzero(is_about[some.rows])
            if len(at):
                yield name, at, self.reference[some.rows][at]

    def owed_on_references(self, books: Books, some: Selection, loans: Side) -> Array:
        """What debtors owe now on the references of the guarantees ``some`` (:meth:`about`), USD bn, ``(n, R)``; a swap on an agent refers to all of
        its loans, which are among ``loans``."""
        owed = np.zeros((len(some.debtor), books.replications))
        for name, at, references in self._references(some):
            if name == "agents":
                owed[at] = loans.by_debtor(loans.claims())[references]
            else:
                table = getattr(books, name)
                owed[at] = table.arrears[references] + (table.principal[references] if name == "loans" else 0.0)
        return owed

    def expected(self, estates: Estates, some: Selection) -> Array:
        """What buyers must expect to call on the guarantees ``some`` when those of the ``estates`` fail, at the reference recoveries, USD bn,
        ``(n, R)``."""
        books, guarantees = estates.books, estates.books.guarantees
        notional, expected_loss, is_swap = (values[some.rows] for values in (guarantees.notional, guarantees.expected_loss, self.is_swap))
        owed = self.owed_on_references(books, some, estates.owed["loans"])
        loss = np.where(is_swap, notional, np.minimum(owed * expected_loss, notional))
        loss = np.where(is_swap, loss * expected_loss, loss)
        expected: Array = loss * estates.failed[self.reference_agent[some.rows]] * self._honoured(books, some)
        return expected

    def recognise_estimates(self, books: Books, ledger: Ledger, estates: Estates, some: Selection) -> None:
        """Where the seller or the buyer of one of the guarantees ``some`` fails together with the reference, the claim is estimated: it ranks in the
        seller's estate, and is sold with the other claims of the buyer's."""
        if len(some.rows):
            self._oblige(books, ledger, some, self.expected(estates, some) * _party_fails(some, estates.failed) * _both(some, books["alive"]))

    def call(self, books: Books, ledger: Ledger, estates: Estates, some: Selection, lost: Mapping[str, Array], owed: Array) -> None:
        """Living sellers of the guarantees ``some`` owe what was lost on the references that fail; ``lost`` by table, on what the ``estates`` owed,
        and ``owed (n, R)`` on the references (:meth:`owed_on_references`) before the estates paid.

        A guarantee pays the loss up to the notional, a swap the notional times the share that was lost. The cover ends either way.
        """
        guarantees, failed = books.guarantees, estates.failed
        if len(some.rows):
            loss = np.zeros(owed.shape)
            for name, at, references in self._references(some):
                if name == "agents":
                    loss[at] = estates.owed["loans"].by_debtor(lost["loans"])[references]
                else:
                    loss[at] = lost[name][estates.owed[name].places(references)]
            notional, reference_fails = guarantees.notional[some.rows], failed[self.reference_agent[some.rows]]
            share = np.where(owed > 1e-9, np.minimum(loss / np.maximum(owed, 1e-9), 1.0), guarantees.expected_loss[some.rows])
            claim = np.where(self.is_swap[some.rows], notional * share, np.minimum(loss, notional))
            claim *= reference_fails * (1.0 - _party_fails(some, failed)) * _both(some, books["alive"]) * self._honoured(books, some)
            self._oblige(books, ledger, some, claim)
            guarantees.notional[some.rows] *= 1.0 - reference_fails
        for side in (estates.owed["guarantees"], estates.held["guarantees"]):
            if not side.is_empty:
                guarantees.notional[side.rows] *= 1.0 - side.fails

    def _oblige(self, books: Books, ledger: Ledger, some: Selection, claim: Array) -> None:
        if claim.any():
            books.guarantees.arrears[some.rows] += claim
            ledger.cost_debtors("guarantees", "guarantee", claim, some, reason="default", cause="reference")

    def _honoured(self, books: Books, some: Selection) -> Array:
        share: Array = books.levers[HONOURED]
        return share if len(share) == 1 else some.of_debtor(share)

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


def _party_fails(some: Selection, failed: Array) -> Array:
    """1 where the seller or the buyer of a guarantee fails, ``(n, R)``."""
    return np.maximum(some.of_debtor(failed), some.of_holder(failed))


def _both(some: Selection, alive: Array) -> Array:
    """1 where both parties of a guarantee live, ``(n, R)``."""
    return some.of_debtor(alive) * some.of_holder(alive)
