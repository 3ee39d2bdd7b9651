"""Settlement: all contractual dues of a tick are cleared together.

What falls due is first accrued (cost of one, income of the other) and then paid as far as the greatest clearing vector
allows; what stays unpaid is arrears. Source: Eisenberg and Noe (2001), with priority classes and credit lines
(:mod:`simulator.networks.clearing`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.batches import Part
from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger
from simulator.networks.clearing import EdgeNetwork

Array = NDArray[np.float64]

OPERATING, SECURED, UNSECURED, SUBORDINATED = 0, 1, 2, 3
SENIORITY = {"secured": SECURED, "senior": UNSECURED, "subordinated": SUBORDINATED}
LINES = ("credit_line", "facility")
"""Kinds of loans whose undrawn part may be called in a shortage."""
UNLIMITED = 1e9
"""USD bn: what an agent that issues money can pay."""


def loan_classes(seniority: NDArray[np.str_]) -> NDArray[np.int64]:
    """Priority class of each loan, ``(C,)``: after wages and taxes, secured before senior before subordinated."""
    return np.array([SENIORITY[word] for word in seniority], dtype=np.int64)


class Settlement:
    """The clearing of one tick. The edges are fixed: loans, orders, leases, operating bills, and credit lines the other way."""

    def __init__(self, books: Books) -> None:
        self.books = books
        loans, orders, leases = books.loans, books.orders, books.leases
        self.payers = np.flatnonzero(np.arange(books.agents) != books.outside)
        self.lines = np.flatnonzero(np.isin(loans.static["kind"], LINES))
        classes = (
            loan_classes(loans.static["seniority"]),
            np.full(orders.count, UNSECURED),
            np.full(leases.count, UNSECURED),
            np.full(len(self.payers), OPERATING),
            np.full(len(self.lines), OPERATING),
        )
        payer = (loans.debtor, orders.debtor, leases.debtor, self.payers, loans.holder[self.lines])
        payee = (loans.holder, orders.holder, leases.holder, np.full(len(self.payers), books.outside), loans.debtor[self.lines])
        self.network = EdgeNetwork(np.concatenate(payer), np.concatenate(payee), np.concatenate(classes), books.agents)
        self._ends = np.cumsum([len(block) for block in payer])
        never_short = np.zeros((books.agents, 1), dtype=bool)
        never_short[books.money_issuers] = True
        never_short[[books.government, books.outside]] = True
        self._unlimited = np.where(never_short, UNLIMITED, 0.0)

    def accrue(self, ledger: Ledger, interest: Array, dearer: Array, principal_due: Array, invoices: Array, rents: Array, operating: Array) -> None:
        """Enter what falls due: ``interest`` of which ``dearer`` is the part above the slot's opening rate, ``principal_due`` (C, R);
        ``invoices`` (O, R), ``rents`` (L, R), ``operating`` bills (N, R). Everything becomes arrears until it is paid."""
        books = self.books
        loans = books.loans
        ledger.cost_debtors("loans", "funding", dearer)
        income = books.net(loans, interest - dearer)
        income += books.net(books.orders, invoices)
        income += books.net(books.leases, rents)
        income -= operating
        income[books.outside] += ledger.sum(operating)[0]
        ledger.post("ordinary", income)
        loans.arrears[...] += interest
        loans.arrears[...] += principal_due
        loans.principal[...] -= principal_due
        np.maximum(loans.principal, 0.0, out=loans.principal)
        books.orders.arrears[...] += invoices
        books.leases.arrears[...] += rents
        books["operating_arrears"][...] += operating

    def clear(self, ledger: Ledger) -> None:
        """Pay the arrears as far as cash, receipts and credit lines go; what stays is overdue.

        Where everybody can pay in full, everybody does; the clearing proper runs in the other replications only.
        """
        books = self.books
        tables = ((books.loans, books.loans.arrears), (books.orders, books.orders.arrears), (books.leases, books.leases.arrears))
        bills = books["operating_arrears"]
        owed, received = bills.copy(), np.zeros_like(bills)
        received[books.outside] += ledger.sum(bills)[0]
        for table, arrears in tables:
            owed += table.by_debtor(arrears)
            received += books.by_owner(table, arrears)
        short = np.any(books["cash"] + self._unlimited + received < owed * (1.0 + 1e-12), axis=0)
        flow = received - owed
        unpaid: dict[int, Array] = {}
        overdue = np.zeros_like(owed)
        if short.any():
            with Part(books, ledger, short) as part:
                flow[:, part.index], overdue[:, part.index], unpaid = self._clear_short(part.books, part.ledger)
        ledger.move_cash(flow)
        for place, (_, arrears) in enumerate((*tables, (None, bills))):
            arrears[...] = 0.0
            if unpaid:
                arrears[:, np.flatnonzero(short)] = unpaid[place]
        is_overdue = overdue > 1e-9 * (owed + 1.0)
        ledger.set_column("months_in_arrears", np.where(is_overdue, books["months_in_arrears"] + 1.0, 0.0))

    def _clear_short(self, books: Books, ledger: Ledger) -> tuple[Array, Array, dict[int, Array]]:
        """The clearing of replications in which somebody is short: cash flows ``(N, R)``, what stays overdue ``(N, R)``, and it by table."""
        loans, orders, leases = books.loans, books.orders, books.leases
        end = self._ends
        dues = np.zeros((int(end[-1]), books.replications))
        dues[: end[0]] = loans.arrears
        dues[end[0] : end[1]] = orders.arrears
        dues[end[1] : end[2]] = leases.arrears
        dues[end[2] : end[3]] = np.take(books["operating_arrears"], self.payers, axis=0)
        lines = None
        if len(self.lines):
            lines = np.zeros_like(dues)
            lines[end[3] :] = loans.undrawn[self.lines]
        cleared = self.network.clear(dues, books["cash"] + self._unlimited, lines=lines)
        books.converged &= cleared.converged
        paid = cleared.paid
        if len(self.lines):
            funded = np.minimum(paid[end[3] :], loans.undrawn[self.lines])
            new_loans = np.zeros_like(loans.principal)
            new_loans[self.lines] = funded
            loans.undrawn[self.lines] -= funded
            ledger.lend(new_loans)
            books.repayments.draw(new_loans, books.tick)
        flow = books.net(loans, paid[: end[0]])
        flow += books.net(orders, paid[end[0] : end[1]])
        flow += books.net(leases, paid[end[1] : end[2]])
        bills = paid[end[2] : end[3]]
        flow[self.payers] -= bills
        flow[books.outside] += ledger.sum(bills)[0]
        left = [dues[: end[0]] - paid[: end[0]], dues[end[0] : end[1]] - paid[end[0] : end[1]], dues[end[1] : end[2]] - paid[end[1] : end[2]]]
        operating = np.zeros_like(flow)
        operating[self.payers] = dues[end[2] : end[3]] - bills
        overdue = loans.by_debtor(left[0]) + orders.by_debtor(left[1]) + leases.by_debtor(left[2]) + operating
        return flow, overdue, dict(enumerate([*left, operating]))
