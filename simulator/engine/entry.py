"""Entry of new AI labs: slots that stand empty until a policy makes entry pay.

Who may trade with whom is fixed within a batch, so the slots are added to the economy, behind all other agents, when a scenario moves one of the
levers of entry. They have draws of their own, named after the slot: nobody else's luck moves. Entrants are told apart from the economy's own
agents wherever agents are counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.entrant import NEW_CUSTOMERS, RUNWAY_YEARS, SLOTS, UPKEEP
from scenarios.changes import Change
from scenarios.economy import Economy
from scenarios.items import AGENT_ITEMS
from simulator.ledger.books import Books
from simulator.ledger.names import ENTRANT

if TYPE_CHECKING:
    from simulator.engine.model import ContagionModel

Array = NDArray[np.float64]

LEVERS = ("entry.barrier", "government.entry_funding")
LIKE_LABS = ("cost_share", "wage_share", "tax_rate", "outside_growth", "long_run_growth", "growth_decay", "revenue_volatility", "equity_volatility",
             "ai_beta", "market_beta")  # fmt: skip
"""Items of an entrant that are the mean of the economy's labs."""


def with_entrants(economy: Economy, changes: Iterable[Change]) -> Economy:
    """The economy with empty slots for entrants behind all agents, where a change moves entry and there are labs to compete with; else as it is."""
    labs = economy.rows("ai_lab")
    if labs.start == labs.stop or ENTRANT in economy.kinds or not any(change.lever in LEVERS for change in changes):
        return economy
    count = len(SLOTS)
    values = {}
    for name, column in economy.values.items():
        default = AGENT_ITEMS[name].default if name in LIKE_LABS else 0.0
        like = float(np.cumsum(column[labs])[-1]) / (labs.stop - labs.start) if name in LIKE_LABS else default
        values[name] = np.concatenate([column, np.full(count, like)])
    jurisdiction = economy.jurisdictions[labs.start]
    return dataclasses.replace(
        economy, values=values, ids=(*economy.ids, *(f"{ENTRANT}_{number}" for number in range(1, count + 1))),
        names=(*economy.names, *(f"Entrant {number}" for number in range(1, count + 1))), kinds=(*economy.kinds, *[ENTRANT] * count),
        lender_types=(*economy.lender_types, *[""] * count), jurisdictions=(*economy.jurisdictions, *[jurisdiction] * count),
        ratings=(*economy.ratings, *[""] * count), listed=np.concatenate([economy.listed, np.zeros(count, dtype=bool)]),
    )  # fmt: skip


def open_slots(books: Books) -> None:
    """The columns and series of entry, all at zero."""
    slots = books.rows[ENTRANT]
    if slots.start == slots.stop:
        return
    for name in ("entry_month", "entry_cost", "share_won"):
        books.columns.add(name, 0.0)
    books.columns.add("success", 1.0)
    cost = np.zeros(books.agents)
    cost[slots] = SLOTS
    books.columns.add("slot_cost", cost, "parameter")


def compete(model: ContagionModel) -> None:
    """Entrants win customers: a part of the labs' outside sales of the tick, and some that nobody served before."""
    books = model.books
    entrants, labs = books.rows[ENTRANT], books.rows["ai_lab"]
    if entrants.start == entrants.stop:
        return
    sales = books["outside_sales"]
    books.series["lab_sales"] = model.ledger.sum(sales[labs])
    for actor in model.actors("new_success", (ENTRANT,)):
        books["success"][actor.rows] = actor.new_success()
        books["share_won"][actor.rows] = actor.share_won()
    won = books["share_won"][entrants] * books.series["lab_sales"]
    lost = (1.0 - NEW_CUSTOMERS) * model.ledger.sum(books["share_won"][entrants])
    sales[entrants] = won
    sales[labs] *= 1.0 - lost


def enter(model: ContagionModel) -> None:
    """Slots whose founders decide to enter get the public part of the entry cost from the government, the rest and a runway from their backers."""
    books, ledger = model.books, model.ledger
    entrants = books.rows[ENTRANT]
    if entrants.start == entrants.stop:
        return
    labs = books.rows["ai_lab"]
    alive = books["alive"][labs]
    books.series["lab_funding"] = ledger.sum(books["equity_supply"][labs] * alive) / np.maximum(ledger.sum(alive), 1.0)
    entering, cost = np.zeros_like(ledger.flows), np.zeros_like(ledger.flows)
    for actor in model.actors("enters", (ENTRANT,)):
        entering[actor.rows], cost[actor.rows] = actor.enters(), actor.cost_of_entry()
    if not entering.any():
        return
    cost *= entering
    books["entry_month"][...] += entering * (books.tick + 1.0)
    books["entry_cost"][...] += cost
    grant = cost * books.levers["government.entry_funding"]
    if grant.any():
        ledger.government_pays(grant)
    paid_in = cost - grant + RUNWAY_YEARS * UPKEEP * cost
    ledger.pay(model.from_outside(paid_in))
    books["paid_in"][...] += paid_in


def lab_concentration(model: ContagionModel) -> Array:
    """Herfindahl index of sales to outside customers over AI labs and entrants, in [0, 1], ``(1, R)``; 0 where nobody sells."""
    books = model.books
    sales = [books["outside_sales"][books.rows[kind]] for kind in ("ai_lab", ENTRANT)]
    both = sales[0] if not len(sales[1]) else np.concatenate(sales)
    share = both / np.maximum(model.ledger.sum(both), 1e-9)
    return model.ledger.sum(share * share)


def entered(books: Books) -> Array:
    """Entrants that serve or train, ``(1, R)``."""
    slots = books.rows[ENTRANT]
    if slots.start == slots.stop:
        return np.zeros((1, books.replications))
    return np.cumsum((books["entry_month"][slots] > 0.0) * books["alive"][slots], axis=0)[-1:]
