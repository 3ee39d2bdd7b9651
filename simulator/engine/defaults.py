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

ILLIQUID, INSOLVENT, MARGIN, CAPITAL = range(len(CAUSES))
READ_BY_ROW = frozenset({
    "loans", "orders", "leases", "guarantees", "cds", "paid_in", "stake_news", "operating_arrears", "other_liabilities", "insured_deposits",
    "months_operating_overdue", "past_grace",
})  # fmt: skip
"""Tables and columns of which only few rows are looked at: those of the failing."""


def resolve(model: ContagionModel) -> None:
    """Find the defaults of the tick in waves, settle their estates together, and keep what is told of them."""
    books, ledger = model.books, model.ledger
    programmes.bail_out(books, ledger, model.settlement)
    fails = _first_wave(model)
    active: Bools = np.any(fails, axis=0)
    if not active.any():
        return
    with Part(books, ledger, active, READ_BY_ROW) as part:
        events, story = _settle_failures(model, part, np.compress(active, fails, axis=1))
    model.recorder.note_defaults(books.tick, events, story)


def _settle_failures(model: ContagionModel, part: Part, fails: Bools) -> tuple[DefaultEvents, causes.Story]:
    """Waves of defaults and the settlement of the estates, in the replications where somebody ``fails (N, R)`` by itself; and what is told of
    their causes."""
    books, ledger = part.books, part.ledger
    cause, wave = np.where(fails, _first_cause(books), -1), np.where(fails, 0, -1)
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
        cause = np.where(new, _insolvency_code(books), cause)
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
    sold, securities = listed_shares_of(books, failed), liquidation.securities(books) * failed
    events.recovery = model.resolution.settle(ledger, estates, resale_fraction(books))[agent, column]
    note_contagion(books, index)
    press_by_estates(books, ledger, sold)
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


def _insolvency_code(books: Books) -> NDArray[np.int64]:
    code = np.full((books.agents, 1), INSOLVENT)
    code[books.rows["lender"]] = CAPITAL
    return code


def _first_wave(model: ContagionModel) -> Bools:
    """Who fails by itself in this tick, ``(N, R)``."""
    books = model.books
    from simulator.engine.tick import decide

    model.ledger.worth_so_far(into=books["book_net_worth"])
    decide(model, "is_insolvent", "insolvent")
    fails: Bools = books["past_grace"] > 0.0
    fails |= books["insolvent"] > 0.0
    fails |= _is_in_breach(books)
    shocked = books.levers["agent.failure"] > 0.0
    if shocked.any():
        fails |= shocked
    row, column = fails.nonzero()  # few of those who live, and those who failed before
    fails[row, column] = (books["alive"][row, column] > 0.0) & books.can_default[row]
    return fails


def _first_cause(books: Books) -> NDArray[np.int64]:
    """The cause of those who fail by themselves, ``(N, R)``: a breached margin call before insolvency before overdue dues."""
    is_insolvent = (books["insolvent"] > 0.0) | (books.levers["agent.failure"] > 0.0)
    return np.where(_is_in_breach(books), MARGIN, np.where(is_insolvent, _insolvency_code(books), ILLIQUID))


def _is_in_breach(books: Books) -> Bools:
    """Whose margin call stays unmet while it is overdue, ``(N, R)``."""
    is_breached: Bools = books["margin_breached"] >= 1.0
    if is_breached.any():
        is_breached &= books["months_in_arrears"] >= 1.0
    return is_breached
