"""Settlement: all contractual dues of a tick are cleared together.

What falls due is first accrued (cost of one, income of the other) and then paid as far as the greatest clearing vector
allows; what stays unpaid is arrears. Source: Eisenberg and Noe (2001), with priority classes and credit lines
(:mod:`simulator.networks.clearing`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Contracts, Selection
from simulator.ledger.postings import Ledger
from simulator.networks.clearing import EdgeNetwork

Array = NDArray[np.float64]

OPERATING, SECURED, UNSECURED, SUBORDINATED = 0, 1, 2, 3
SENIORITY = {"secured": SECURED, "senior": UNSECURED, "subordinated": SUBORDINATED}
CLEARED = ("loans", "orders", "leases", "guarantees")
"""Tables of contracts whose arrears a settlement clears, in the order of the network's edges."""
LINES = ("credit_line", "facility")
"""Kinds of loans whose undrawn part may be called in a shortage."""
GRACE_LOAN = 2.0  # months overdue after which a loan is in default (bond indentures: 30 days' grace, a month to cure)
GRACE_MARGIN_LOAN = 1.0  # margin loans are due at call (assumption, 0-1)
GRACE_PROJECT = 3.0  # project loans: reserve accounts and sponsors' rights to cure (assumption, 2-6)
GRACE_ORDER = 3.0  # suppliers wait for a quarter before they sue (payment terms of 30 to 90 days; assumption, 2-4)
GRACE_LEASE = 2.0  # rents (assumption, 1-3)
GRACE_GUARANTEE = 1.0  # called protection falls due within days (assumption, 0-2)
GRACE_OPERATING = 2.0  # wages, taxes and bills (assumption, 1-3)
GRACE_BY_LOAN_KIND = {"margin_loan": GRACE_MARGIN_LOAN, "project_bond": GRACE_PROJECT, "delayed_draw": GRACE_PROJECT}
UNLIMITED = 1e9
"""USD bn: what an agent that issues money can pay."""


def loan_classes(seniority: NDArray[np.str_]) -> NDArray[np.int64]:
    """Priority class of each loan, ``(C,)``: after wages and taxes, secured before senior before subordinated."""
    return np.select([seniority == word for word in SENIORITY], list(SENIORITY.values()), -1)  # which no network takes: a word that is none


def grace_months(books: Books, table: str) -> Array:
    """Months in a row that each contract of a table may be overdue until its debtor is in default, ``(C, 1)``: its row's, else by kind.

    In the month in which it has been overdue so often the grace is over; 0 and 1 both mean the first.
    """
    contracts: Contracts = getattr(books, table)
    if table == "loans":
        kinds = contracts.static["kind"]
        by_kind = np.select([kinds == kind for kind in GRACE_BY_LOAN_KIND], list(GRACE_BY_LOAN_KIND.values()), GRACE_LOAN)
    else:
        by_kind = np.full(contracts.count, {"orders": GRACE_ORDER, "leases": GRACE_LEASE, "guarantees": GRACE_GUARANTEE}[table])
    given = contracts.static.get("grace_months")
    if given is not None:
        by_kind = np.where(np.asarray(given) >= 0, given, by_kind)
    return by_kind.astype(np.float64).reshape(-1, 1)


class Settlement:
    """The clearing of one tick. The edges are fixed: loans, orders, leases, operating bills, and credit lines the other way."""

    def __init__(self, books: Books) -> None:
        self.books = books
        loans, orders, leases, guarantees = books.loans, books.orders, books.leases, books.guarantees
        self.payers = np.flatnonzero(np.arange(books.agents) != books.outside)
        self.lines = np.flatnonzero(np.isin(loans.static["kind"], LINES))
        classes = (
            loan_classes(loans.static["seniority"]),
            np.full(orders.count, UNSECURED),
            np.full(leases.count, UNSECURED),
            np.full(guarantees.count, UNSECURED),
            np.full(len(self.payers), OPERATING),
            np.full(len(self.lines), OPERATING),
        )
        debtors = (loans.debtor, orders.debtor, leases.debtor, guarantees.debtor)
        holders = (loans.holder, orders.holder, leases.holder, guarantees.holder)
        payer = (*debtors, self.payers, loans.holder[self.lines])
        payee = (*holders, np.full(len(self.payers), books.outside), loans.debtor[self.lines])
        self.network = EdgeNetwork(np.concatenate(payer), np.concatenate(payee), np.concatenate(classes), books.agents)
        self._ends = np.cumsum([len(block) for block in payer])
        self.line_edges = np.arange(self._ends[-2], self._ends[-1])
        self._grace = [grace_months(books, table) for table in CLEARED]
        never_short = np.zeros((books.agents, 1), dtype=bool)
        never_short[books.money_issuers] = True
        never_short[[books.government, books.outside]] = True
        self._unlimited = np.where(never_short, UNLIMITED, 0.0)

    def accrue(
        self, ledger: Ledger, interest: Array, dearer: Array, due: Selection, principal_due: Array, invoices: Array, rents: Array, operating: Array
    ) -> None:  # fmt: skip
        """Enter what falls due: ``interest`` (C, R), of which ``dearer`` (C, R) is the part above the slot's opening rate;
        ``principal_due`` of the loans ``due`` (n, R); ``invoices`` (O, R), ``rents`` (L, R), ``operating`` bills (N, R). Everything becomes
        arrears until it is paid."""
        books = self.books
        loans = books.loans
        ledger.cost_debtors("loans", "funding", dearer)
        income = books.net(loans, interest)
        income -= books.net(loans, dearer)
        income += books.net(books.orders, invoices)
        income += books.net(books.leases, rents)
        income -= operating
        income[books.outside] += ledger.sum(operating)[0]
        ledger.post("ordinary", income)
        loans.arrears[...] += interest
        loans.arrears[due.rows] += principal_due
        loans.principal[due.rows] = np.maximum(loans.principal[due.rows] - principal_due, 0.0)
        books.orders.arrears[...] += invoices
        books.leases.arrears[...] += rents
        books["operating_arrears"][...] += operating

    def clear(self, ledger: Ledger) -> None:
        """Pay the arrears as far as cash, receipts and credit lines go; what stays is overdue.

        Where everybody can pay in full, everybody does; the clearing proper runs in the other replications only.
        """
        books = self.books
        tables = _tables(books)
        bills = books["operating_arrears"]
        owed, received = bills.copy(), np.zeros_like(bills)
        received[books.outside] += ledger.sum(bills)[0]
        for table, arrears in tables:
            owed += table.by_debtor(arrears)
            received += books.by_owner(table, arrears)
        short = np.flatnonzero(np.any(books["cash"] + self._unlimited + received < owed * (1.0 + 1e-12), axis=0))
        flow = received - owed
        overdue = np.zeros_like(owed)
        unpaid: list[Array] = []
        if len(short):
            unpaid, bills_unpaid = self._clear_short(ledger, short)
            missing, moved = bills_unpaid.copy(), np.take(flow, short, axis=1)
            moved += bills_unpaid
            moved[books.outside] -= ledger.sum(bills_unpaid)[0]
            for (table, _), amounts in zip(tables, unpaid, strict=True):
                missing += table.by_debtor(amounts)
                moved -= books.net(table, amounts, short)
            flow[:, short], overdue[:, short] = moved, missing
            unpaid.append(bills_unpaid)
        ledger.move_cash(flow)
        for place, arrears in enumerate((*(arrears for _, arrears in tables), bills)):
            arrears[...] = 0.0
            if unpaid:
                rows = np.flatnonzero(unpaid[place].any(axis=1))  # few
                arrears[np.ix_(rows, short)] = unpaid[place][rows]
        was_overdue = books["months_in_arrears"] > 0.0
        is_overdue = overdue > 1e-9 * (owed + 1.0)
        ledger.set_column("months_in_arrears", np.where(is_overdue, books["months_in_arrears"] + 1.0, 0.0))
        late = was_overdue | is_overdue
        if late.any():
            self._count_months(ledger, np.flatnonzero(late.any(axis=1)), np.flatnonzero(late.any(axis=0)), owed)

    def _count_months(self, ledger: Ledger, agents: NDArray[np.int64], columns: NDArray[np.int64], owed: Array) -> None:
        """How long each contract and the operating bills have been overdue, and whose grace is over (column ``past_grace``).

        ``agents`` and ``columns``: where somebody is overdue now or was a month ago; all else has been overdue for no month.
        """
        books = self.books
        owed, months, bills, bills_late = (
            np.take(values, columns, axis=1)
            for values in (owed, books["months_in_arrears"], books["operating_arrears"], books["months_operating_overdue"])
        )
        dust = np.where(months > 0.0, 1e-12 * (owed + 1.0), np.inf)
        past = np.zeros_like(owed)
        is_agent = np.zeros(books.agents, dtype=bool)
        is_agent[agents] = True
        for (table, arrears), grace in zip(_tables(books), self._grace, strict=True):
            rows = np.flatnonzero(is_agent[table.debtor])
            if len(rows):
                at, debtor = np.ix_(rows, columns), table.debtor[rows]
                late = np.where(arrears[at] > dust[debtor], table.months_overdue[at] + 1.0, 0.0)
                table.months_overdue[at] = late
                over = (late > grace[rows] - 0.5) & (late > 0.0)
                for row in np.flatnonzero(over.any(axis=1)):  # few
                    past[debtor[row]] += over[row]
        late = np.where(bills > dust, bills_late + 1.0, 0.0)
        past += (late > GRACE_OPERATING - 0.5) & (late > 0.0)
        for name, values in (("months_operating_overdue", late), ("past_grace", np.minimum(past, 1.0))):
            books[name][:, columns] = values

    def is_carried_past(self, books: Books, share: Array) -> NDArray[np.bool_]:
        """Whether all grace periods would run on if ``share (N, R)`` of the months overdue were forgiven, ``(N, R)``."""
        kept = 1.0 - share
        late = books["months_operating_overdue"] * kept
        past = ((late > GRACE_OPERATING - 0.5) & (late > 0.0)).astype(np.float64)
        for (table, _), grace in zip(_tables(books), self._grace, strict=True):
            late = table.months_overdue * table.of_debtor(kept)
            past += table.by_debtor(((late > grace - 0.5) & (late > 0.0)).astype(np.float64))
        is_within: NDArray[np.bool_] = past == 0.0
        return is_within

    def forgive_lateness(self, books: Books, ledger: Ledger, share: Array) -> None:
        """Forgive ``share (N, R)`` of the months that agents are overdue; with 1 their grace periods start anew."""
        for table, _ in _tables(books):
            table.state["months_overdue"][...] *= 1.0 - table.of_debtor(share)
        for name in ("months_in_arrears", "months_operating_overdue"):
            ledger.set_column(name, books[name] * (1.0 - share))
        ledger.set_column("past_grace", np.where(share > 0.0, 0.0, books["past_grace"]))

    def _clear_short(self, ledger: Ledger, columns: NDArray[np.int64]) -> tuple[list[Array], Array]:
        """The clearing of the replications ``columns`` in which somebody is short, and the draws on lines that it makes.

        Returns what stays unpaid there: of each table of contracts ``(C, n)``, and of the operating bills ``(N, n)``.
        """
        books = self.books
        loans, tables, end = books.loans, _tables(books), self._ends
        starts = np.append(0, end)
        dues = np.empty((int(end[-1]), len(columns)))
        for place, (_, arrears) in enumerate(tables):
            np.take(arrears, columns, axis=1, out=dues[starts[place] : end[place]], mode="clip")  # the other mode goes through a buffer
        bills_from, lines_from = end[len(tables) - 1], end[len(tables)]
        dues[bills_from:lines_from] = books["operating_arrears"][np.ix_(self.payers, columns)]
        dues[lines_from:] = 0.0
        undrawn = loans.undrawn[np.ix_(self.lines, columns)]
        cash = np.take(books["cash"], columns, axis=1) + self._unlimited
        cleared = self.network.clear(dues, cash, lines=undrawn if len(self.lines) else None, line_edges=self.line_edges)
        books.converged[columns] &= cleared.converged
        funded = np.minimum(cleared.paid[lines_from:], undrawn)
        if funded.any():
            drawn = np.zeros((len(self.lines), books.replications))
            drawn[:, columns] = funded
            loans.undrawn[self.lines] -= drawn
            ledger.lend(loans.some(self.lines), drawn)
            books.repayments.draw(drawn, books.tick, self.lines)
        left = np.subtract(dues, cleared.paid, out=dues)
        bills = np.zeros((books.agents, len(columns)))
        bills[self.payers] = left[bills_from:lines_from]
        return [left[starts[place] : end[place]] for place in range(len(tables))], bills


def _tables(books: Books) -> list[tuple[Contracts, Array]]:
    """The tables of contracts whose arrears are cleared, and the arrears ``(C, R)``."""
    return [(table, table.arrears) for table in (getattr(books, name) for name in CLEARED)]
