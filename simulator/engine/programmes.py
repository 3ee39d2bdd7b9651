"""Programmes of the government, the central bank and supervisors in a tick: who is asked to decide, and what is posted.

Each is moved by a lever; a lever at its neutral value leaves the stage without a trace. Outlays go through the ledger to ``fiscal_cost`` (or
stand on the central bank's balance sheet), what rules cost private firms is part of their operating bill and added up in ``compliance_cost``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.sectors import BAIL_OUT_DEBT
from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger
from simulator.ledger.settlement import Settlement
from simulator.markets import regulation
from simulator.networks.debt_rank import debt_rank

if TYPE_CHECKING:
    from simulator.engine.model import ContagionModel

Array = NDArray[np.float64]

WITHDRAWN = 0.5  # part of a tranche tied to purchases that its investor withdraws when the tie is forbidden (assumption, 0.2-0.8)
SYSTEMIC_RANK = 0.01  # DebtRank, share of all equity that its failure would hurt, from which a failing firm is rescued (assumption, 0.002-0.05)


def unbundle(model: ContagionModel, before: Array, now: Array) -> None:
    """The share of tied tranches that may no longer be tied to purchases rises from ``before`` to ``now (1, 1)``: a part of them is withdrawn."""
    remaining = model.books.stakes.tranche_remaining
    kept = (1.0 - WITHDRAWN * np.maximum(now, before)) / (1.0 - WITHDRAWN * before)
    remaining[...] *= np.where(model.tranche_on_purchases, kept, 1.0)


def supervise(model: ContagionModel, before: Mapping[str, Array]) -> None:
    """Decide what the programmes of this tick know of each agent: public backing, capital buffers, stress tests.

    ``before``: the levers of the last tick. A month after its levers have gone to zero, what a programme knew has too, and stays there.
    """
    books = model.books
    from simulator.engine.tick import decide

    levers, columns = books.levers, books.columns

    def acts(*names: str) -> bool:
        return any(values[name].any() for name in names for values in (levers, before))

    if acts("government.guarantee_share", "government.bail_out_share"):
        columns["public_backing"][...] = model.actor("government").backing()
    if acts("lender.capital_buffer"):
        decide(model, "new_capital_buffer", "capital_buffer", ("lender",))
    if acts("supervision.stress_test"):
        decide(model, "fails_stress_test", "stress_test_failed")
        columns["stress_test_failed"][...] *= levers["supervision.stress_test"] > 0.0


def charge_for_rules(model: ContagionModel) -> None:
    """What rules cost the firms they bind becomes part of their operating bill of the tick."""
    books = model.books
    from simulator.engine.tick import decide

    is_audited = books.levers["collateral.audit"].any()
    if is_audited or books.levers["supervision.stress_test"].any() or books.levers["market.disclosure"].any():
        decide(model, "regulatory_cost", "regulatory_cost")
        cost = books["regulatory_cost"]
        if is_audited:
            cost += regulation.audit_cost(books)
        model.ledger.set_column("operating_bill", books["operating_bill"] + cost)
        books.series["compliance_cost"] = books.series["compliance_cost"] + model.ledger.sum(cost)


def spend(model: ContagionModel) -> None:
    """The government's outlays of the tick: grants for building, benefits and transfers, retraining."""
    books, ledger = model.books, model.ledger
    government = model.actor("government")
    investment = model.investment
    share = government.absorbed_share()
    if share.any():
        ledger.government_pays(share * np.minimum(model.building, (1.0 - books["chips_share"]) * investment))
    for outlay, receiver in ((government.transfers(), books.household), (government.retraining_cost(), books.outside)):
        if outlay.any():
            ledger.government_pays(np.broadcast_to(outlay, (1, books.replications)), receiver)


def show_circular_revenue(model: ContagionModel) -> None:
    """Disclosure: circular sales of the tick become known to the share market, as far as the lever says."""
    books = model.books
    shown = books.levers["market.disclosure"]
    before = books.series["disclosed"]
    if shown.any() or before.any():
        if model.circles is None:
            model.circles = regulation.circles(books)
        sales = model.sales()
        regulation.disclose(books, regulation.circular_sales(books, model.invoices, sales, model.circles), sales, before)
        books.series["disclosed"] = shown * np.ones((1, books.replications))
        model.is_disclosing = True
    elif model.is_disclosing:
        regulation.show_nothing(books)
        model.is_disclosing = False


def deleverage(model: ContagionModel) -> None:
    """Firms that failed the stress test repay debt ahead of time."""
    if not (model.books.levers["supervision.stress_test"].any() and model.books["stress_test_failed"].any()):
        return
    from simulator.engine.tick import decide

    decide(model, "deleveraging", "deleveraging")
    regulation.repay_early(model.books, model.ledger, model.books["deleveraging"])


def bail_out(books: Books, ledger: Ledger, settlement: Settlement) -> None:
    """The government pays its share of what overdue firms owe now, if they are large or systemic; creditors forgive that share of the months overdue.

    Who would be past its grace even so gets nothing: a small share buys a month or two, all of it a grace period anew.
    """
    by_size, by_rank = books.levers["government.bail_out_share"], books.levers["government.systemic_bail_out_share"]
    if not (by_size.any() or by_rank.any()):
        return
    failing = (books["past_grace"] > 0.0) & (books["alive"] > 0.0) & books.can_default[:, None]
    share = by_size * (books["debt"] >= BAIL_OUT_DEBT)
    if by_rank.any():
        share = np.maximum(share, by_rank * (systemic_rank(books, failing) >= SYSTEMIC_RANK))
    saved = failing & (share > 0.0)
    if not saved.any():
        return
    saved &= settlement.is_carried_past(books, share * saved)
    amount = (books.payables() + books.loans.by_debtor(books.loans.arrears)) * share * saved
    if amount.any():
        ledger.government_pays(amount)
        settlement.forgive_lateness(books, ledger, share * saved)


def systemic_rank(books: Books, failing: NDArray[np.bool_]) -> Array:
    """DebtRank of each of ``failing (N, R)`` on the exposures of the tick: share of all exposed equity that its failure alone would hurt, ``(N, R)``.

    Exposures are loans, stakes and overdue bills between agents that can fail. One replication after the other, so that the batch moves no bit.
    Source: [bardoscia2015].
    """
    rank = np.zeros(failing.shape)
    rows = np.flatnonzero(books.can_default)
    place = np.full(books.agents, -1)
    place[rows] = np.arange(len(rows))
    tables = (
        (books.loans, books.loans.principal + books.loans.arrears), (books.stakes, books.stake_values()),
        (books.orders, books.orders.arrears), (books.leases, books.leases.arrears),
    )  # fmt: skip
    for column in np.flatnonzero(failing.any(axis=0)):
        exposures = np.zeros((len(rows), len(rows)))
        for table, amounts in tables:
            inside = (place[table.holder] >= 0) & (place[table.debtor] >= 0)
            cells = place[table.holder[inside]] * len(rows) + place[table.debtor[inside]]
            exposures += np.bincount(cells, weights=np.maximum(amounts[inside, column], 0.0), minlength=len(rows) ** 2).reshape(exposures.shape)
        alive = books["alive"][rows, column]
        exposures *= alive[:, None] * alive[None, :]
        equity = np.maximum(books["book_net_worth"][rows, column], 1e-9) * alive
        for row in np.flatnonzero(failing[rows, column]):
            loss = np.zeros(len(rows))
            loss[row] = 1.0
            rank[rows[row], column] = debt_rank(exposures, equity, loss, weights=equity).value
    return rank
