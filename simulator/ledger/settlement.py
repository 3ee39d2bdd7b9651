"""Settlement: all contractual dues of a tick are cleared together.

What falls due is first accrued (cost of one, income of the other) and then paid as far as the greatest clearing vector
allows; what stays unpaid is arrears. Source: Eisenberg and Noe (2001), with priority classes and credit lines
(:mod:`simulator.networks.clearing`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Contracts, Selection, Summed
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import incidence
from simulator.networks.edges import FEW_ROUNDS, EdgeNetwork, Left, joined

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

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
        self._row = np.concatenate([*(np.arange(len(block)) for block in debtors), self.payers])  # of each edge, in its table or among the agents
        self.line_edges = np.arange(self._ends[-2], self._ends[-1])
        self._grace = [*(grace_months(books, table) for table in CLEARED), np.full((books.agents, 1), GRACE_OPERATING)]
        self._line_lender_matrix = incidence(loans.holder[self.lines], books.agents)
        never_short = np.zeros((books.agents, 1), dtype=bool)
        never_short[books.money_issuers] = True
        never_short[[books.government, books.outside]] = True
        self._unlimited = np.where(never_short, UNLIMITED, 0.0)

    def accrue(
        self, ledger: Ledger, interest: Summed, dearer: Array, due: Selection, principal_due: Array, invoices: Array, rents: Array, operating: Array
    ) -> None:  # fmt: skip
        """Enter what falls due: ``interest``, with its sums, of which ``dearer`` (C, R) is the part above the slot's opening rate;
        ``principal_due`` of the loans ``due`` (n, R); ``invoices`` (O, R), ``rents`` (L, R), ``operating`` bills (N, R). Everything becomes
        arrears until it is paid."""
        books = self.books
        loans = books.loans
        income = books.net_of(loans, interest)
        income -= books.net_of(loans, ledger.cost_debtors("loans", "funding", dearer))
        income += books.net(books.orders, invoices)
        parties, gained = books.net_of_parties(books.leases, rents)
        income[parties] += gained
        income -= operating
        income[books.outside] += ledger.sum(operating)[0]
        ledger.post("ordinary", income)
        loans.arrears[...] += interest.amounts
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
        unpaid = self._clear_short(ledger, short, owed)
        at = unpaid.scenarios
        flow, missing = np.subtract(received, owed, out=received), np.zeros((books.agents, len(at)))
        if len(at):
            moved, (*contracts, operating) = flow.take(at, axis=1), self._by_table(unpaid.edges)
            agents, bills_unpaid = self._row[unpaid.edges[operating]], unpaid.amounts[operating]
            missing[agents] = bills_unpaid
            moved[agents] += bills_unpaid
            moved[books.outside] -= ledger.sum(bills_unpaid)[0]
            for (table, _), edges in zip(tables, contracts, strict=True):
                if edges.stop > edges.start:
                    some, amounts = table.some(self._row[unpaid.edges[edges]]), unpaid.amounts[edges]
                    missing += some.by_debtor(amounts)
                    parties, gained = books.net_of_parties(some, amounts, at)
                    moved[parties] -= gained
            flow[:, at] = moved
        ledger.move_cash(flow)
        months = books["months_in_arrears"]
        was_overdue = (months > 0.0).any(axis=1)
        is_overdue = missing > 1e-9 * (owed.take(at, axis=1) + 1.0)
        since = np.zeros_like(months)
        since[:, at] = np.where(is_overdue, months.take(at, axis=1) + 1.0, 0.0)
        ledger.set_column("months_in_arrears", since)
        self._enter_arrears(unpaid, owed, np.logical_or(was_overdue, is_overdue.any(axis=1)))

    def _enter_arrears(self, unpaid: Left, owed: Array, agents: NDArray[np.bool_]) -> None:
        """What is unpaid becomes the arrears; how long each contract and the operating bills have been overdue, and whose grace is over (column
        ``past_grace``).

        ``owed (N, R)`` before the clearing; ``agents (N,)``: who is overdue somewhere now or was a month ago; the contracts of all others have been
        overdue for no month.
        """
        books = self.books
        months, past = books["months_in_arrears"], books["past_grace"]
        if agents.any():
            past[...] = 0.0
        cell = np.flatnonzero(unpaid.amounts)  # few
        place, at = np.divmod(cell, max(len(unpaid.scenarios), 1))
        edge, column, left = unpaid.edges[place], unpaid.scenarios[at], unpaid.amounts.reshape(-1)[cell]
        row, payer = self._row[edge], self.network.payer[edge]
        is_late = (months[payer, column] > 0.0) & (left > 1e-12 * (owed[payer, column] + 1.0))
        places = [(table.debtor, arrears, table.months_overdue) for table, arrears in _tables(books)]
        places.append((np.arange(books.agents), books["operating_arrears"], books["months_operating_overdue"]))
        for (debtor, arrears, overdue), grace, cells in zip(places, self._grace, self._by_table(edge), strict=True):
            arrears[...] = 0.0
            arrears[row[cells], column[cells]] = left[cells]
            late = cells.start + np.flatnonzero(is_late[cells])
            contract, at = row[late], column[late]
            count = overdue[contract, at] + 1.0
            overdue[agents[debtor]] = 0.0
            overdue[contract, at] = count
            over = count > grace[contract, 0] - 0.5
            past[payer[late[over]], at[over]] = 1.0

    def _by_table(self, edges: Rows) -> list[slice]:
        """Where among ``edges``, ascending, those of each table stand, and those of the operating bills."""
        ends = np.searchsorted(edges, self._ends[:-1]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def is_carried_past(self, books: Books, share: Array) -> NDArray[np.bool_]:
        """Whether all grace periods would run on if ``share (N, R)`` of the months overdue were forgiven, ``(N, R)``."""
        kept = 1.0 - share
        late = books["months_operating_overdue"] * kept
        past = ((late > GRACE_OPERATING - 0.5) & (late > 0.0)).astype(np.float64)
        for (table, _), grace in zip(_tables(books), self._grace, strict=False):
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

    def _clear_short(self, ledger: Ledger, columns: Rows, owed: Array) -> Left:
        """The clearing of the replications ``columns`` in which somebody is short, and the draws on lines that it makes; ``owed (N, R)`` by whom."""
        books = self.books
        if not len(columns):
            return joined([])
        loans = books.loans
        cash = books["cash"].take(columns, axis=1) + self._unlimited
        undrawn = loans.undrawn[self.lines].take(columns, axis=1)
        may_owe = owed.take(columns, axis=1) + self._line_lender_matrix @ undrawn
        few = np.flatnonzero((cash < may_owe * (1.0 + 1e-12)).any(axis=1))  # all others have the cash for all they may owe
        is_cut = self.network.is_worth_cutting(few, len(columns))
        (edges, at, left), drawn, converged = self._clear_among(few if is_cut else None, columns, cash, undrawn)
        books.converged[columns] &= converged
        used = np.flatnonzero(drawn.any(axis=1))
        if len(used):
            rows, funded = self.lines[used], np.zeros((len(used), books.replications))
            funded[:, columns] = drawn[used]
            loans.undrawn[rows] -= funded
            ledger.lend(loans.some(rows), funded)
            books.repayments.draw(funded, books.tick, rows)
        of_dues = np.searchsorted(edges, self._ends[-2])  # what is drawn on the lines is paid
        return Left(edges[:of_dues], columns[at], left[:of_dues])

    def _clear_among(self, few: Rows | None, columns: Rows, cash: Array, undrawn: Array) -> tuple[Left, Array, NDArray[np.bool_]]:
        """The clearing of the replications ``columns`` among the agents ``few`` (all of them if None), with ``cash (N, n)`` and lines of which
        ``undrawn (L, n)`` is open.

        Returns what is left unpaid along the edges, what is drawn on the lines ``(L, n)``, and where payments settled ``(n,)``.
        """
        if few is None:
            dues = self._dues(np.arange(self.network.edges), columns)
            left, paid, converged = self.network.left(dues, cash, undrawn, self.line_edges)
            return left, np.minimum(paid, undrawn), converged
        small, drawn = self.network.seen_by(few, self.line_edges), np.zeros_like(undrawn)
        room = undrawn[small.lines]
        found, paid, converged = small.network.left(self._dues(small.edges, columns), small.cash(cash), room, small.edges_of_lines, FEW_ROUNDS)
        drawn[small.lines] = np.minimum(paid, room)
        left = found._replace(edges=small.edges[found.edges])
        slow = np.flatnonzero(~converged)
        if len(slow):
            of_slow, drawn[:, slow], converged[slow] = self._clear_among(None, columns[slow], cash[:, slow], undrawn[:, slow])
            settled = np.flatnonzero(~np.isin(left.scenarios, slow))
            others = Left(left.edges, left.scenarios[settled], left.amounts[:, settled])
            left = joined([others, of_slow._replace(scenarios=slow[of_slow.scenarios])])
        return left, drawn, converged

    def _dues(self, edges: Rows, columns: Rows) -> Array:
        """What is due along ``edges (k,)``, ascending, in the replications ``columns (n,)``: ``(k, n)``; nothing on the lines."""
        books = self.books
        amounts = [arrears for _, arrears in _tables(books)] + [books["operating_arrears"]]
        dues = np.zeros((len(edges), len(columns)))
        first = 0
        for start, end, owed in zip([0, *self._ends], self._ends[:-1], amounts, strict=False):
            until = np.searchsorted(edges, end)
            rows = edges[first:until] - start
            rows = self.payers[rows] if owed is amounts[-1] else rows
            if len(owed) * len(columns) < len(rows) * books.replications:  # few columns of many rows
                dues[first:until] = np.take(owed, columns, axis=1)[rows]
            else:
                np.take(owed[rows], columns, axis=1, out=dues[first:until], mode="clip")  # the other mode goes through a buffer
            first = until
        return dues

def _tables(books: Books) -> list[tuple[Contracts, Array]]:
    """The tables of contracts whose arrears are cleared, and the arrears ``(C, R)``."""
    return [(table, table.arrears) for table in (getattr(books, name) for name in CLEARED)]
