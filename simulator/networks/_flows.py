"""How payments turn into receipts, for the solver in `_waterfall.py`: along edges, or in fixed proportions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import sparse

from simulator.networks._checks import LARGEST, Csr, FloatArray, IntArray, times
from simulator.networks.incidence import Incidence


class EdgeStructure(Protocol):
    """What the flow along edges needs of a network of E edges; `row` (E,) = class * n + payer."""

    agents: int
    classes: int
    row: IntArray
    payee: IntArray

    @property
    def pairs(self) -> Csr:
        """Adds amounts of edges (E, R) up by payee and payer: (n * n, E), row payee * n + payer."""

    def edges_of(self, rows: IntArray, to_sink: bool = True) -> tuple[IntArray, IntArray, Incidence]:
        """Edges of some rows (m,) of payers and classes: their numbers (k,), the place in `rows` of each, and what adds them up by payee: (n, k).

        Those to an agent who can pay whatever it is paid only if asked for.
        """


class Left(NamedTuple):
    """What a clearing leaves unpaid: along `edges` (k,), ascending, in `scenarios` (m,), `amounts` (k, m); nothing elsewhere."""

    edges: IntArray
    scenarios: IntArray
    amounts: FloatArray


def joined(parts: list[Left]) -> Left:
    """What clearings of different scenarios leave unpaid, together."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Left(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((0, 0)))
    edges = np.unique(np.concatenate([part.edges for part in parts]))
    ends = np.cumsum([part.scenarios.size for part in parts])
    amounts = np.zeros((edges.size, ends[-1]))
    for part, end in zip(parts, ends, strict=True):
        amounts[np.searchsorted(edges, part.edges), end - part.scenarios.size : end] = part.amounts
    return Left(edges, np.concatenate([part.scenarios for part in parts]), amounts)


class EdgeFlow:
    """Payments along edges whose amounts `dues` (E, R) differ by scenario.

    `owed` (classes * n, R) sums the dues by payer and class, `full` (n, R) by payee. What is missing where a class is not paid in full is taken
    from `full`: few payers are short, so few edges are looked at. An edge that is paid in full takes nothing off, so which others are looked at
    changes no bit. Rounding never raises what falling payments bring, so payments fall from round to round.
    """

    def __init__(
        self, network: EdgeStructure, dues: FloatArray, owed: FloatArray, full: FloatArray, columns: IntArray | None = None,
        draws: tuple[IntArray, FloatArray] | None = None,
    ) -> None:  # fmt: skip
        """`columns` (R,): the scenarios of `dues` (E, W) that this flow is of; all if not given. `draws`: edges (L,), each once, and what is drawn
        (L, W) along them, which is due besides `dues`."""
        self.network, self.dues, self.owed, self.full, self.columns, self.draws = network, dues, owed, full, columns, draws
        self.classes, self.agents = network.classes, network.agents

    @cached_property
    def per_due(self) -> FloatArray:
        """One over what is owed by payer and class (classes * n, R), 1 where that is nothing."""
        return _one_over(self.owed)

    def _dues_of(self, edges: IntArray | None = None, at: IntArray | None = None) -> FloatArray:
        """Dues along some `edges`, ascending, or along all; in all scenarios of this flow or in those `at`."""
        columns = at if self.columns is None else self.columns if at is None else self.columns[at]
        dues = self.dues if edges is None else self.dues[edges]
        if columns is not None:
            dues = dues.take(columns, axis=1)
        if self.draws is None:
            return dues
        lines, drawn = self.draws
        if edges is None:
            place, dues = lines, np.array(dues)
        else:
            place = edges.searchsorted(lines)
            among = np.flatnonzero(np.append(edges, -1)[place] == lines)
            place, drawn = place[among], drawn[among]
        if place.size:
            dues[place] += drawn if columns is None else drawn.take(columns, axis=1)
        return dues

    def paid(self, pay: FloatArray) -> FloatArray:
        """What each edge pays (E, R): pro rata within a class, and to the last bit in full where the class is paid in full."""
        paid = np.array(self._dues_of())
        short = pay < self.owed
        rows = np.flatnonzero(short.any(axis=1))
        if rows.size:
            edges, place, _ = self.network.edges_of(rows)
            paid[edges] *= np.take(np.where(short[rows], pay[rows] * _one_over(self.owed[rows]), 1.0), place, axis=0)
        return paid

    def paid_along(self, edges: IntArray, pay: FloatArray, at: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """What is due and what is paid along some `edges`, ascending, both (k, R); in all scenarios or in those `at`."""
        rows, dues = self.network.row[edges], self._dues_of(edges, at)
        pay, owed = (array[rows] if at is None else array[rows].take(at, axis=1) for array in (pay, self.owed))
        return dues, dues * np.where(pay < owed, pay * _one_over(owed), 1.0)

    def left(self, pay: FloatArray) -> Left:
        """What `pay` (classes * n, R) leaves unpaid."""
        short = pay < self.owed
        edges, _, _ = self.network.edges_of(np.flatnonzero(short.any(axis=1)))
        at = np.flatnonzero(short.any(axis=0))
        dues, paid = self.paid_along(edges, pay, at)
        return Left(edges, at, np.subtract(dues, paid, out=paid))

    def received(self, pay: FloatArray) -> FloatArray:
        """What each agent gets (n, R) when `pay` (classes * n, R) is paid; the sink of the network what it would in full."""
        short = pay < self.owed
        rows = np.flatnonzero(short.any(axis=1))
        edges, place, incoming = self.network.edges_of(rows, to_sink=False)
        if not edges.size:
            return np.array(self.full)
        missing = 1.0 - pay[rows] * self.per_due[rows]
        np.maximum(missing, 0.0, out=missing)
        missing *= short[rows]
        lost = np.take(missing, place, axis=0)
        lost *= self._dues_of(edges)
        received = self.full - incoming @ lost
        return np.maximum(received, 0.0, out=received)

    def take(self, at: IntArray) -> EdgeFlow:
        """The same for the scenarios `at`."""
        columns = at if self.columns is None else self.columns[at]
        return EdgeFlow(self.network, self.dues, self.owed.take(at, axis=1), self.full.take(at, axis=1), columns, self.draws)

    def dense_links(self, marginal: FloatArray) -> FloatArray:
        """(R, n, n), [r, j, i] = part of what agent i pays on the class marked in `marginal` (classes * n, R) that goes to j."""
        n = self.agents
        weights = self._dues_of() * np.take(self.per_due * marginal, self.network.row, axis=0)
        pairs = times(self.network.pairs, weights)
        return np.ascontiguousarray(pairs.T).reshape(-1, n, n)

    def sparse_links(self, rows: IntArray, column: int) -> Csr:
        """The same in one scenario for the payer-classes `rows` (m,) only: (n, m)."""
        place = np.full(self.classes * self.agents, -1, dtype=np.int64)
        place[rows] = np.arange(rows.size)
        at = place[self.network.row]
        used = np.flatnonzero(at >= 0)
        weights = self._dues_of(used, np.array([column]))[:, 0] * self.per_due[self.network.row[used], column]
        return sparse.csr_matrix((weights, (self.network.payee[used], at[used])), shape=(self.agents, rows.size))


def _one_over(owed: FloatArray) -> FloatArray:
    return 1.0 / np.where(owed > 0, owed, 1.0)


class MatrixFlow:
    """Payments spread in the same proportions in every scenario: `links` (n, classes * n) is the share of each class that each gets."""

    def __init__(self, links: Csr, classes: int) -> None:
        self.links, self.classes, self.agents = links, classes, int(links.shape[0])

    def received(self, pay: FloatArray) -> FloatArray:
        """What each agent gets (n, R) when `pay` (classes * n, R) is paid."""
        return times(self.links, pay)

    def take(self, at: IntArray) -> MatrixFlow:
        """Itself: the proportions hold in every scenario."""
        return self

    def dense_links(self, marginal: FloatArray) -> FloatArray:
        """(R, n, n), [r, j, i] = part of what agent i pays on the class marked in `marginal` (classes * n, R) that goes to j."""
        n, dense = self.agents, np.asarray(self.links.toarray())
        result = np.zeros((marginal.shape[1], n, n))
        for start in range(0, self.classes * n, n):
            result += dense[None, :, start : start + n] * marginal[start : start + n].T[:, None, :]
        return result

    def sparse_links(self, rows: IntArray, column: int) -> Csr:
        """The columns `rows` (m,) of the proportions, in any scenario: (n, m)."""
        return sparse.csr_matrix(self.links.tocsc()[:, rows])


@dataclass(frozen=True)
class Few:
    """A network as a few agents `few` (m,) see it, with agent m, who stands for all others.

    `edges`: its edges; `lines`: which of the lines are in it; `edges_of_lines`: their edges in `network`.
    """

    few: IntArray
    network: Any
    edges: IntArray
    lines: IntArray
    edges_of_lines: IntArray

    def cash(self, values: FloatArray) -> FloatArray:
        """Cash of the few (m + 1, R) of that of all (n, R): the others have enough for whatever they owe."""
        return np.asarray(self.by_agent(values, LARGEST))

    def by_agent(self, values: Any, of_others: Any) -> Any:
        """Those of the few (m + 1, R) of `values` (n, R)."""
        return np.append(values[self.few], np.full((1, values.shape[1]), of_others, dtype=values.dtype), axis=0)

    def by_class(self, values: FloatArray) -> FloatArray:
        """Those of the few (classes * (m + 1), R) of `values` (classes * n, R)."""
        classes: int = self.network.classes
        part = np.zeros((classes, self.few.size + 1, values.shape[1]))
        part[:, :-1] = values.reshape(classes, -1, values.shape[1])[:, self.few]
        return part.reshape(-1, values.shape[1])


def over_classes(by_class: FloatArray, agents: int) -> FloatArray:
    """Adds the classes of an array (classes * n, R) up to (n, R)."""
    result = np.array(by_class[:agents])
    for start in range(agents, by_class.shape[0], agents):
        result += by_class[start : start + agents]
    return result
