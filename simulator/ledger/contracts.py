"""Contracts as columns ``(contract, replication)``: who owes whom is fixed within a batch, amounts differ.

A :class:`Contracts` table knows its two parties and sums amounts by party, with the same bits for any number of replications
(:mod:`simulator.ledger.sums`).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.networks.incidence import Incidence, NetIncidence, SumMatrix

Array = NDArray[np.float64]


SELECTIONS_KEPT = 64
SELECTED_ROWS_KEPT = 1_000_000
"""Of selections that are kept: so many, and so many rows together (some 50 MB); the last one whatever its size."""


class Summed(NamedTuple):
    """Amounts of contracts ``(C, R)`` and their sums by party, ``(N, R)``."""

    amounts: Array
    by_holder: Array
    by_debtor: Array


class Ties:
    """Who owes whom: ``holder (C,)`` and ``debtor (C,)``, and sums of amounts ``(C, R)`` by party.

    ``holder_matrix`` and ``debtor_matrix`` sum by holder and by debtor; ``net_matrix`` adds for the holder and takes from the debtor.
    """

    def __init__(self, holder: NDArray[np.int64], debtor: NDArray[np.int64], agents: int) -> None:
        self.holder, self.debtor, self.agents = holder, debtor, agents
        self.holder_matrix, self.debtor_matrix = Incidence(holder, agents), Incidence(debtor, agents)
        self.net_matrix = NetIncidence(self.holder_matrix, self.debtor_matrix)
        self._parties: dict[int, tuple[NDArray[np.int64], NetIncidence]] = {}
        self._holders: dict[int, tuple[NDArray[np.int64], Incidence]] = {}
        self._among: list[tuple[bytes, NDArray[np.int64], Incidence]] = []  # the last answer of holders_among

    @cached_property
    def holders(self) -> NDArray[np.int64]:
        """The agents that hold a contract, ascending."""
        return _present(self.holder, self.agents)

    @cached_property
    def debtors(self) -> NDArray[np.int64]:
        """The agents that owe one, ascending."""
        return _present(self.debtor, self.agents)

    @cached_property
    def holder_places(self) -> NDArray[np.int64]:
        """Where each contract's holder stands among ``holders``."""
        return _places(self.holder, self.holders, self.agents)

    @cached_property
    def debtor_places(self) -> NDArray[np.int64]:
        """Where each contract's debtor stands among ``debtors``."""
        return _places(self.debtor, self.debtors, self.agents)

    @cached_property
    def _holders_matrix(self) -> Incidence:
        return Incidence(self.holder_places, len(self.holders))

    @cached_property
    def _debtors_matrix(self) -> Incidence:
        return Incidence(self.debtor_places, len(self.debtors))

    @cached_property
    def owed_by_holders(self) -> NDArray[np.int64]:
        """The contracts whose debtor holds one itself, ascending."""
        return self.owed_by(self.holders)

    def owed_by(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The contracts whose debtor is among the agents ``rows``, ascending."""
        return _among(self.debtor, rows, self.agents)

    def held_by(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The contracts whose holder is among the agents ``rows``, ascending."""
        return _among(self.holder, rows, self.agents)

    def by_holder(self, amounts: Array, out: Array | None = None) -> Array:
        """Sum amounts ``(C, R)`` by holder: ``(N, R)``, anew or written over the column ``out``."""
        return self.holder_matrix.sums(amounts, out)

    def by_debtor(self, amounts: Array, out: Array | None = None) -> Array:
        """Sum amounts ``(C, R)`` by debtor: ``(N, R)``, anew or written over the column ``out``."""
        return self.debtor_matrix.sums(amounts, out)

    def summed(self, amounts: Array) -> Summed:
        """Amounts ``(C, R)`` with their sums by party."""
        return Summed(amounts, self.by_holder(amounts), self.by_debtor(amounts))

    def net(self, amounts: Array) -> Array:
        """Amounts ``(C, R)`` added for the holder and taken from the debtor: ``(N, R)``; sums to zero over agents."""
        return self.net_matrix @ amounts

    def net_of(self, sums: Summed) -> Array:
        """As :meth:`net`, to the bit, of amounts whose sums by party are known: only who both holds and owes contracts is summed anew."""
        both, matrix = self._on_both_sides
        if len(matrix.rows) > len(self.holder):
            return self.net(sums.amounts)
        net: Array = sums.by_holder - sums.by_debtor
        if len(both):
            net[both] = matrix @ sums.amounts
        return net

    @cached_property
    def _on_both_sides(self) -> tuple[NDArray[np.int64], SumMatrix]:
        """The agents that both hold and owe contracts, and the rows of ``net_matrix`` that are theirs."""
        both = np.intersect1d(self.holders, self.debtors, assume_unique=True)
        place = np.full(self.agents, -1)
        place[both] = np.arange(len(both))
        members = np.stack([place[self.holder], place[self.debtor]], axis=1)
        is_kept = (members >= 0) & (self.holder != self.debtor)[:, None]
        starts = np.append(0, np.cumsum(np.sum(is_kept, axis=1)))
        signs = np.broadcast_to([1.0, -1.0], members.shape)
        return both, SumMatrix(starts, members[is_kept], signs[is_kept], (len(both), len(members)))

    def parties_and(self, other: int) -> tuple[NDArray[np.int64], NetIncidence]:
        """The agents that hold or owe a contract and one ``other``, ascending, and the rows of ``net_matrix`` that are theirs."""
        if other not in self._parties:
            rows = _present(np.concatenate([self.holder, self.debtor, [other]]), self.agents)
            gains, gives = (Incidence(_places(side, rows, self.agents), len(rows)) for side in (self.holder, self.debtor))
            self._parties[other] = rows, NetIncidence(gains, gives)
        return self._parties[other]

    def holders_among(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Incidence]:
        """Those of the agents ``rows`` that are holders, and what sums amounts ``(C, R)`` by them; kept until other rows are asked for."""
        key = rows.tobytes()
        if not self._among or self._among[0][0] != key:
            is_asked = np.zeros(self.agents, dtype=bool)
            is_asked[rows] = True
            contracts = is_asked[self.holder].nonzero()[0]
            holders = _present(self.holder[contracts], self.agents)
            members = _places(self.holder[contracts], holders, self.agents)
            self._among[:] = [(key, holders, Incidence(members, len(holders), contracts, len(self.holder)))]
        return self._among[0][1:]

    def by_holders_and(self, other: int, amounts: Array) -> tuple[NDArray[np.int64], Array]:
        """The agents that hold a contract and one ``other``, ascending, and the sums of amounts ``(C, R)`` by them, ``(n, R)``."""
        if other not in self._holders:
            rows = _present(np.append(self.holder, other), self.agents)
            self._holders[other] = rows, Incidence(_places(self.holder, rows, self.agents), len(rows))
        rows, holder_matrix = self._holders[other]
        return rows, holder_matrix @ amounts

    def by_holders(self, amounts: Array) -> Array:
        """Sum amounts ``(C, R)`` by those of ``holders``: ``(H, R)``."""
        return self._holders_matrix @ amounts

    def by_debtors(self, amounts: Array) -> Array:
        """Sum amounts ``(C, R)`` by those of ``debtors``: ``(D, R)``."""
        return self._debtors_matrix @ amounts

    def of_holder(self, values: Array) -> Array:
        """Each contract's holder's row of ``values (N, R)``: ``(C, R)``."""
        return values.take(self.holder, axis=0)

    def of_debtor(self, values: Array) -> Array:
        """Each contract's debtor's row of ``values (N, R)``: ``(C, R)``."""
        return values.take(self.debtor, axis=0)


def _present(members: NDArray[np.int64], agents: int) -> NDArray[np.int64]:
    """The agents that are among ``members``, ascending, as `np.unique`, which sorts or hashes, tells."""
    is_present = np.zeros(agents, dtype=bool)
    is_present[members] = True
    return is_present.nonzero()[0]


def _places(members: NDArray[np.int64], rows: NDArray[np.int64], agents: int) -> NDArray[np.int64]:
    """Where each of ``members`` stands in ``rows``, all of them there, as `np.searchsorted`, which searches, tells."""
    place = np.empty(agents, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    return place[members]


def _among(members: NDArray[np.int64], rows: NDArray[np.int64], agents: int) -> NDArray[np.int64]:
    """Where in ``members`` one of ``rows`` stands, as `np.isin`, which sorts, tells."""
    is_asked = np.zeros(agents, dtype=bool)
    is_asked[rows] = True
    return is_asked[members].nonzero()[0]


class Selection(Ties):
    """Some contracts of a table, by their ``rows (n,)`` in ascending order; amounts are ``(n, R)``."""

    def __init__(self, table: Ties, rows: NDArray[np.int64]) -> None:
        super().__init__(table.holder[rows], table.debtor[rows], table.agents)
        self.rows, self.contracts = rows, len(table.holder)
        self.pairs: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None = None  # see attribution.pairs_among

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where ``rows`` of the table, all of them selected, stand in the selection."""
        if len(rows) < self.contracts >> 4:
            return np.searchsorted(self.rows, rows)
        place = np.empty(self.contracts, dtype=np.int64)
        place[self.rows] = np.arange(len(self.rows))
        return place[rows]


class Contracts(Ties):
    """A table of contracts between a ``holder`` (lender, seller, lessor, …) and a ``debtor`` (borrower, buyer, …).

    Static columns ``(C,)`` come from the economy; state columns ``(C, R)`` are added with :meth:`add`. Both are attributes.
    """

    def __init__(self, table: Any, holder: str, debtor: str, agents: int, replications: int) -> None:
        self.ids: tuple[str, ...] = tuple(table.ids)
        self.static: dict[str, NDArray[Any]] = dict(table.columns)
        self.count, self.replications = len(self.ids), replications
        owner, owing = (np.ascontiguousarray(table.columns[party], dtype=np.int64) for party in (holder, debtor))
        super().__init__(owner, owing, agents)
        self.state: dict[str, Array] = {}
        self._selections: dict[bytes, Selection] = {}  # shared by the parts of a batch

    def some(self, rows: NDArray[np.int64]) -> Selection:
        """The contracts of ``rows``, ascending: amounts of few contracts are summed without going through all. The last ones are kept."""
        key = rows.tobytes()
        kept = self._selections
        known = kept.pop(key, None)
        if known is None:
            while kept and (len(kept) >= SELECTIONS_KEPT or sum(len(one.rows) for one in kept.values()) + len(rows) > SELECTED_ROWS_KEPT):
                kept.pop(next(iter(kept)))
            known = Selection(self, rows)
        kept[key] = known  # the one asked for last stands last
        return known

    def add(self, name: str, values: Any = 0.0) -> Array:
        """Make a state column ``(C, R)`` from a number, ``(C,)`` or ``(C, R)`` values."""
        values = np.asarray(values, dtype=np.float64)
        if values.ndim == 1:
            values = values[:, None]
        array = np.empty((self.count, self.replications))
        array[...] = values
        self.state[name] = array
        return array

    def add_terms(self, name: str, values: Any) -> Array:
        """Make a column of terms that stay fixed, ``(C, 1)``, or ``(C, R)`` where they are uncertain, from ``(C,)`` or ``(C, R)`` values."""
        values = np.asarray(values, dtype=np.float64)
        self.state[name] = np.array(values[:, None] if values.ndim == 1 else values, order="C")  # a copy: state is written in place
        return self.state[name]

    def __getattr__(self, name: str) -> Any:
        for columns in (self.__dict__.get("state", {}), self.__dict__.get("static", {})):
            if name in columns:
                return columns[name]
        raise AttributeError(name)
