"""The stage *default*: who fails, in which wave, why and by whom; bail-outs; then the estates are settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulator.engine import causes, programmes
from simulator.ledger.batches import Part
from simulator.ledger.books import Books
from simulator.ledger.estates import Estates
from simulator.ledger.resolution import CAUSES, DefaultEvents
from simulator.markets import liquidation
from simulator.markets.accounts import share_index
from simulator.markets.pledges import resale_fraction
from simulator.markets.shares import listed_shares_of, note_contagion, press_by_estates

if TYPE_CHECKING:
    from simulator.engine.model import ContagionModel

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]

ILLIQUID, INSOLVENT, MARGIN, CAPITAL = range(len(CAUSES))
READ_BY_ROW = frozenset({
    "loans", "stakes", "orders", "leases", "guarantees", "cds", "paid_in", "stake_news", "operating_arrears", "other_liabilities",
    "insured_deposits", "issues_money", "total_assets", "months_in_arrears", "months_operating_overdue", "past_grace", "order_share_taken",
})  # fmt: skip
"""Tables and columns of which only few rows are looked at: those of the failing."""


def resolve(model: ContagionModel) -> None:
    """Find the defaults of the tick in waves, settle their estates together, and keep what is told of them."""
    books, ledger = model.books, model.ledger
    programmes.bail_out(books, ledger, model.settlement)
    agent, column, cause = _first_wave(model)
    if not len(agent):
        return
    active = np.zeros(books.replications, dtype=bool)
    active[column] = True
    with Part(books, ledger, active, READ_BY_ROW) as part:
        events, story = _settle_failures(model, part, agent, np.searchsorted(part.index, column), cause)
    model.recorder.note_defaults(books.tick, events, story)


def _settle_failures(model: ContagionModel, part: Part, agent: Rows, column: Rows, why: Rows) -> tuple[DefaultEvents, causes.Story]:
    """Waves of defaults and the settlement of the estates where each ``agent (E,)`` fails by itself in the replication ``column (E,)`` of the part,
    by the cause ``why (E,)``; and what is told of their causes."""
    books, ledger = part.books, part.ledger
    wave = np.full((books.agents, books.replications), -1)
    cause = wave.copy()
    wave[agent, column], cause[agent, column] = 0, why
    number = 0
    worth = books["book_net_worth"].copy()
    judges = [type(cohort).cohort_of(books, cohort.rows) for cohort in model.asked_together("is_insolvent")]
    while True:
        estates = Estates(books, (wave >= 0).astype(np.float64))
        loss = model.resolution.provisional_losses(estates)
        books["book_net_worth"][...] = worth - loss
        for judge in judges:
            books["insolvent"][judge.rows] = judge.is_insolvent()
        new = (books["insolvent"] > 0.0) & (wave < 0) & (books["alive"] > 0.0) & books.can_default[:, None]
        if not new.any():
            break
        number += 1
        wave = np.where(new, number, wave)
        cause = np.where(new, _insolvency_code(books)[:, None], cause)
    failed, loans = estates.failed, estates.owed["loans"]
    _frighten_neighbours(books, worth, loss, failed)
    debt = loans.by_debtor(loans.claims())
    column, agent = np.nonzero(failed.T)
    events = DefaultEvents(
        agent, part.index[column], wave[agent, column], cause[agent, column], debt[agent, column], np.zeros(len(agent)),
        books["cds"][agent, column].copy(),
    )  # fmt: skip
    before = causes.losses_of(books, ledger, agent, column)
    own = causes.own_losses(books, ledger, part, agent, column, events.column)
    shocked = np.broadcast_to(books.levers["agent.failure"] > 0.0, debt.shape)[agent, column]
    index = share_index(books)
    stakes, securities = estates.held["stakes"], liquidation.securities(books) * failed
    sold = listed_shares_of(books, stakes, failed)
    events.recovery = model.resolution.settle(ledger, estates, resale_fraction(books))[agent, column]
    note_contagion(books, index)
    press_by_estates(books, ledger, stakes, sold)
    liquidation.press_by_estates(books, ledger, securities)
    return events, model.recorder.genealogy.tell(books, part, events, column, before, own, shocked)


def _frighten_neighbours(books: Books, worth: Array, loss: Array, failed: Array) -> None:
    """The ``loss (N, R)`` that others must expect of the failures, over their equity (at the market where it has a price), raises their CDS from now
    on.

    Source: Jorion and Zhang (2009), creditors of a failed firm pay more for protection on themselves.
    """
    equity = np.maximum(np.where(books["is_issuer"] > 0.0, books.market_value(), worth), 1e-3)
    cost = np.clip(loss / equity, 0.0, 1.0) * (1.0 - failed)
    books["neighbour_loss"][...] = np.minimum(books["neighbour_loss"] + cost, 1.0)


def _insolvency_code(books: Books) -> Rows:
    code = np.full(books.agents, INSOLVENT)
    code[books.rows["lender"]] = CAPITAL
    return code


def _first_wave(model: ContagionModel) -> tuple[Rows, Rows, Rows]:
    """Who fails by itself in this tick, where and why: agents, replications and causes, ``(E,)`` each.

    A breached margin call comes before insolvency before overdue dues.
    """
    books = model.books
    from simulator.engine.tick import decide

    model.ledger.worth_so_far(into=books["book_net_worth"])
    decide(model, "is_insolvent", "insolvent")
    is_shocked = books.levers["agent.failure"] > 0.0
    fails: Bools = books["past_grace"] > 0.0
    fails |= books["insolvent"] > 0.0
    borrowers = model.margin_desk.all_borrowers
    fails[borrowers] |= _is_in_breach(books, borrowers)
    if is_shocked.any():
        fails |= is_shocked
    agent, column = np.divmod(fails.reshape(-1).nonzero()[0], books.replications)  # few, and those who have failed before
    may_fail = (books["alive"][agent, column] > 0.0) & books.can_default[agent]
    agent, column = agent[may_fail], column[may_fail]
    is_insolvent = (books["insolvent"][agent, column] > 0.0) | np.broadcast_to(is_shocked, fails.shape)[agent, column]
    is_breached = _is_in_breach(books, (agent, column))
    return agent, column, np.where(is_breached, MARGIN, np.where(is_insolvent, _insolvency_code(books)[agent], ILLIQUID))


def _is_in_breach(books: Books, at: Rows | tuple[Rows, Rows]) -> Bools:
    """Whose margin call stays unmet while it is overdue, of the agents in rows or at places of the columns."""
    is_breached: Bools = (books["margin_breached"][at] >= 1.0) & (books["months_in_arrears"][at] >= 1.0)
    return is_breached
