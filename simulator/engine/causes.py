"""Why an agent failed: the losses that led to it by channel and by whom, its largest cause, and the chain of causes up to the shock or luck.

The losses are those booked in the accounts of :mod:`simulator.ledger.attribution` over the agent's life, up to the wave in which it failed. The
cause of a default is whoever made it lose most:

- another agent, by its default or its decisions, through all channels but ``funding`` (a dearer loan is priced on the borrower's own risk);
- the shock: losses under ``direct``, or an agent that the shock makes fail;
- its own business: what it lost in ordinary postings, shareholders' money in and out left aside. Luck, and any result that no other agent made.

The cause may be an agent that lives. Then the chain goes on with whoever made that agent lose most, and so on, until it meets an agent that failed
(whose chain is known), the shock, or an agent's own business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.attribution import Loss, parties, rows_borne_by
from simulator.ledger.postings import Ledger

if TYPE_CHECKING:
    from simulator.ledger.batches import Part
    from simulator.ledger.books import Books
    from simulator.ledger.resolution import DefaultEvents

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

OWN_BUSINESS, SHOCK = -1, -2
ROOTS = {-1: "own_business", -2: "shock"}
NO_CAUSES = ("outside", "household", "government", "central_bank")  # the rest of the world: what they do is nobody's contagion


@dataclass
class Cells:
    """Losses of some agents, one element each: position in the list of agents, account, cause, amount in USD bn."""

    position: Rows
    account: list[Loss]
    number: Rows  # of the account
    cause: Rows
    amount: Array


def losses_of(books: Books, ledger: Ledger, agent: Rows, column: Rows) -> Cells:
    """Every loss to date of ``agent (E,)`` in the replications ``column (E,)`` of ``ledger``; only the contracts of these agents are looked at."""
    accounts = sorted(ledger.losses)  # the order in which a batch first met them must not show
    kept = column if ledger.columns is None else ledger.columns[column]
    sides = tuple(dict.fromkeys((account.table, account.bearer) for account in accounts))  # accounts of the same side have the same rows
    borne = rows_borne_by(books, sides, agent) if sides else []
    places = [rows * ledger.width + kept[events] for rows, events in borne]
    side_of = {side: number for number, side in enumerate(sides)}
    positions, numbers, causes, amounts = [], [], [], []
    for number, account in enumerate(accounts):
        side = side_of[account.table, account.bearer]
        amount = ledger.losses[account].reshape(-1)[places[side]]
        some = (amount > 0.0).nonzero()[0]
        if len(some):
            rows, events = borne[side]
            positions.append(events[some])
            numbers.append(number)
            causes.append(parties(books, account)[1][rows[some]])
            amounts.append(amount[some])
    if not positions:
        empty = np.zeros(0, dtype=np.int64)
        return Cells(empty, accounts, empty, empty, np.zeros(0))
    of_account = np.repeat(numbers, [len(some) for some in positions])
    return Cells(np.concatenate(positions), accounts, of_account, np.concatenate(causes), np.concatenate(amounts))


@dataclass
class Story:
    """The losses that led to the defaults of one tick (``event``: position in the tick's events), what each lost in its own business, its chain."""

    event: Rows
    cause: Rows
    channel: NDArray[np.object_]
    reason: NDArray[np.object_]
    amount: Array
    own: Array
    chains: list[tuple[int, ...]]


class Genealogy:
    """Chains of causes of all defaults of a batch, by replication: ``chain[column][agent]`` runs from the failed agent to the root.

    An agent that acted and lived stands in a chain as its row plus the number of agents (:meth:`row`). A chain goes back in time: each default
    in it was told before those that it led to, so it ends.
    """

    def __init__(self, agents: int) -> None:
        self.agents = agents
        self.chain: dict[int, dict[int, tuple[int, ...]]] = {}

    def row(self, link: int) -> int:
        """The agent of a link of a chain; a root stands for itself."""
        return link - self.agents if link >= self.agents else link

    def tell(
        self, books: Books, part: Part, events: DefaultEvents, local: Rows, before: Cells, own: Array, shocked: NDArray[np.bool_]
    ) -> Story:
        """Find the chains of a tick's defaults and keep them; returns what is told of them. Sets ``events.trigger`` and ``events.depth``.

        ``local (E,)``: columns of the events in the part. ``before``: their losses before their estates were settled. ``own (E,)``: what each
        lost in its own business. ``shocked (E,)``: whom the shock itself made fail.
        """
        cells = self._with_earlier_waves(part, events, local, before)
        largest = _largest(books, cells, events.agent, own)
        living: dict[tuple[int, int], int] = {}  # nothing is posted while the tale is told, so one answer holds for all who ask
        agents, columns, here, is_by_shock = events.agent.tolist(), events.column.tolist(), local.tolist(), shocked.tolist()
        event_of = {event: index for index, event in enumerate(zip(agents, columns, strict=True))}

        def tell_one(index: int, seen: tuple[int, ...]) -> None:
            agent, column = agents[index], columns[index]
            path = [agent]
            cause = SHOCK if is_by_shock[index] else largest[index]
            told = self.chain.setdefault(column, {})
            while cause >= 0:
                if cause not in told and (cause, column) in event_of and cause not in (*seen, agent):
                    tell_one(event_of[cause, column], (*seen, agent))
                if cause in told:
                    path += told[cause]
                    break
                if cause in seen or cause in [self.row(link) for link in path]:
                    cause = OWN_BUSINESS
                    break
                path.append(self.agents + cause)
                if (cause, column) not in living:
                    living[cause, column] = self._cause_of_the_living(part, cause, here[index], column)
                cause = living[cause, column]
            if cause < 0:
                path.append(cause)
            told[agent] = tuple(path)

        for index in np.lexsort((events.agent, events.column, events.wave)).tolist():
            if agents[index] not in self.chain.get(columns[index], {}):
                tell_one(index, ())
        chains = [self.chain[column][agent] for agent, column in zip(agents, columns, strict=True)]
        events.trigger = np.array([self.row(chain[1]) for chain in chains], dtype=np.int64)
        events.depth = np.array([len(chain) - 2 for chain in chains], dtype=np.int64)
        channel = np.array([account.channel for account in cells.account] or [""], dtype=object)
        reason = np.array([account.reason for account in cells.account] or [""], dtype=object)
        return Story(cells.position, cells.cause, channel[cells.number], reason[cells.number], cells.amount, own, chains)

    def _cause_of_the_living(self, part: Part, agent: int, local: int, column: int) -> int:
        """Who made an agent that lives lose most so far."""
        one, here = np.array([agent]), np.array([local])
        cells = losses_of(part.books, part.ledger, one, here)
        own = own_losses(part.books, part.ledger, part, one, here, np.array([column]))
        return _largest(part.books, cells, one, own)[0]

    def _with_earlier_waves(self, part: Part, events: DefaultEvents, local: Rows, before: Cells) -> Cells:
        """Add what each lost in this tick's settlement by agents that failed in an earlier wave; its own estate is no cause of its failure."""
        later = np.flatnonzero(events.wave > 0)
        if not len(later):
            return before
        after = losses_of(part.books, part.ledger, events.agent[later], local[later])
        after.position = later[after.position]
        wave = np.full((part.books.agents, part.books.replications), np.iinfo(np.int64).max)
        wave[events.agent, local] = events.wave
        earlier = wave[after.cause, local[after.position]] < events.wave[after.position]
        if not earlier.any():
            return before
        known: dict[tuple[int, Loss, int], float] = {}
        for position, number, cause, amount in zip(before.position, before.number, before.cause, before.amount, strict=True):
            key = (int(position), before.account[number], int(cause))
            known[key] = known.get(key, 0.0) + float(amount)
        merged = _summed(after, earlier)
        place = {account: number for number, account in enumerate(after.account)}
        more = [(key, total - known.get(key, 0.0)) for key, total in merged.items() if total > known.get(key, 0.0)]
        renumber = np.array([place[account] for account in before.account], dtype=np.int64)
        return Cells(
            np.concatenate([before.position, np.array([key[0] for key, _ in more], dtype=np.int64)]), after.account,
            np.concatenate([renumber[before.number], np.array([place[key[1]] for key, _ in more], dtype=np.int64)]),
            np.concatenate([before.cause, np.array([key[2] for key, _ in more], dtype=np.int64)]),
            np.concatenate([before.amount, np.array([amount for _, amount in more], dtype=np.float64)]),
        )  # fmt: skip


def own_losses(books: Books, ledger: Ledger, part: Part, agent: Rows, local: Rows, column: Rows) -> Array:
    """What agents lost in ordinary postings over the run, shareholders' money in and out left aside, USD bn, ``(E,)``; not negative."""
    ordinary = ledger.posted["ordinary"][agent, local] - books["paid_in"][agent, local] + part.whole_ledger.to_date["ordinary"][agent, column]
    return np.maximum(-ordinary, 0.0)


def _summed(cells: Cells, chosen: Iterable[bool]) -> dict[tuple[int, Loss, int], float]:
    total: dict[tuple[int, Loss, int], float] = {}
    for position, number, cause, amount, wanted in zip(cells.position, cells.number, cells.cause, cells.amount, chosen, strict=True):
        if wanted:
            key = (int(position), cells.account[number], int(cause))
            total[key] = total.get(key, 0.0) + float(amount)
    return total


def _largest(books: Books, cells: Cells, agent: Rows, own: Array) -> list[int]:
    """The largest cause of the losses of each of ``agent (E,)``: another agent's row, SHOCK or OWN_BUSINESS (``own (E,)``, which wins ties).

    Funding and the rest of the world count for nobody. Of causes alike the first is taken; the shock wins over another agent alike.
    """
    agents, count = books.agents, len(agent)
    is_shock = np.array([account.reason == "shock" for account in cells.account] or [False])[cells.number]
    counts = np.array([account.channel != "funding" for account in cells.account] or [False])[cells.number]
    nobody = np.zeros(agents + 1, dtype=bool)
    for kind in NO_CAUSES:
        nobody[books.rows[kind]] = True
    cause = np.where(is_shock, agents, cells.cause)
    counts &= ~nobody[cause]
    # Kept are the causes that are there, in ascending order: few of the many agents.
    cell, where = np.unique(cells.position[counts] * (agents + 1) + cause[counts], return_inverse=True)
    amount = np.bincount(where, weights=cells.amount[counts], minlength=len(cell))
    position, cause = np.divmod(cell, agents + 1)
    by_shock, by_other, other = np.zeros(count), np.zeros(count), np.full(count, OWN_BUSINESS)
    of_shock = cause == agents
    by_shock[position[of_shock]] = amount[of_shock]
    others = np.where(of_shock | (cause == agent[position]), 0.0, amount)
    np.maximum.at(by_other, position, others)
    most = np.flatnonzero(others == by_other[position])[::-1]
    other[position[most]] = cause[most]  # of several the last one written stands: the first
    largest: list[int] = np.where(np.maximum(by_other, by_shock) <= own, OWN_BUSINESS, np.where(by_other > by_shock, other, SHOCK)).tolist()
    return largest
