"""A fixed set of obligations with amounts that differ by scenario: the engine's settlement and estates.

See `clearing.py` for what a clearing vector is and for the sources; the solver is `_waterfall.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from simulator.networks._checks import (
    TIE,
    BoolArray,
    Csr,
    FloatArray,
    IntArray,
    NetworkInputError,
    amounts,
    indices,
    recovery,
)
from simulator.networks._flows import EdgeFlow, Few, Left, joined, over_classes
from simulator.networks._waterfall import Resources, Solution, greatest
from simulator.networks.incidence import Incidence

__all__ = ["FEW_ROUNDS", "EdgeClearing", "EdgeNetwork", "Left", "joined"]

NONE: IntArray = np.zeros(0, dtype=np.int64)
ROWS_KEPT = 32  # choices of payers whose edges are kept
DRAW_ROUNDS = 16  # chains of credit lines (a lender drawing on its own line to fund another) longer than this do not settle
BLOCK_NUMBERS = 2_000_000  # numbers in one working array; more scenarios are cleared block by block
FEW_ROUNDS = 8  # rounds within which a clearing among few must settle: before the solver's first linear system, whose bits depend on its size
WORTH_CUTTING = 1 << 11  # numbers in the array of what is owed from which on it pays to look for the few who may be short


@dataclass(frozen=True)
class EdgeClearing:
    """What one clearing pays; money units of the input.

    `paid` (E, R) by each edge (drawn lines included), `shortfall` (n, R) owed and unpaid by payer, `owed` and `received` (n, R),
    `drawn` (E, R) called on the lines or None, `deadweight` (n, R) lost to bankruptcy costs or None, `converged` (R,), `rounds` (R,)
    (0 where everyone can pay in full).
    """

    paid: FloatArray
    shortfall: FloatArray
    owed: FloatArray
    received: FloatArray
    drawn: FloatArray | None
    deadweight: FloatArray | None
    converged: BoolArray
    rounds: IntArray


@dataclass(frozen=True)
class _Found:
    """What solving gives: `pay` (classes * n, R), `insolvent` (n, R), `rounds` and `converged` (R,), `drawn` on the lines (L, R) or None."""

    pay: FloatArray
    insolvent: BoolArray
    rounds: IntArray
    converged: BoolArray
    drawn: FloatArray | None


class EdgeNetwork:
    """A fixed structure of obligations: edge e runs from `payer[e]` to `payee[e]` with `priority[e]` (0 is paid first).

    All three are int arrays (E,); `agents` is the number n of agents. Its incidence matrices are built once.
    """

    def __init__(self, payer: ArrayLike, payee: ArrayLike, priority: ArrayLike, agents: int, classes: int = 1, sink: int | None = None) -> None:
        """`classes`: at least so many, also where no edge is in the last ones. `sink`: an agent who can pay whatever it is paid, if there is one."""
        self.agents, self.sink = int(agents), sink
        self.payer, self.payee, self.priority = (
            indices(name, values, limit)
            for name, values, limit in (("payer", payer, self.agents), ("payee", payee, self.agents), ("priority", priority, None))
        )
        if not self.payer.shape == self.payee.shape == self.priority.shape:
            raise NetworkInputError(
                f"payer, payee and priority have {self.payer.size}, {self.payee.size} and {self.priority.size} elements; expected the same"
            )
        edges = self.payer.size
        self.edges = edges
        self.classes = max(int(self.priority.max()) + 1 if edges else 1, classes)
        self.row = self.priority * self.agents + self.payer
        self.outgoing = Incidence(self.row, self.classes * self.agents)
        self.incoming = Incidence(self.payee, self.agents)
        self._edges_of: dict[tuple[bytes, bool], tuple[IntArray, IntArray, Incidence]] = {}
        self._lines: tuple[IntArray, Incidence, Incidence] | None = None
        self._few: dict[tuple[bytes, bytes | None], Few] = {}

    @cached_property
    def pairs(self) -> Csr:
        """Adds edges up by (payee, payer): (n * n, E), for the dense linear systems."""
        edge = np.arange(self.edges)
        shape = (self.agents * self.agents, self.edges)
        return sparse.csr_matrix((np.ones(self.edges), (self.payee * self.agents + self.payer, edge)), shape=shape)

    def edges_of(self, rows: IntArray, to_sink: bool = True) -> tuple[IntArray, IntArray, Incidence]:
        """The edges that `rows` (class * n + payer, ascending) pay, the place of each one's row in `rows`, and what sums them by payee (n, edges).

        Those to the sink only if asked for. The last answers are kept: the same few payers are short again and again.
        """
        key = rows.tobytes(), to_sink
        if key not in self._edges_of:
            if len(self._edges_of) >= ROWS_KEPT:
                self._edges_of.pop(next(iter(self._edges_of)))
            place = np.full(self.classes * self.agents, -1, dtype=np.int64)
            place[rows] = np.arange(rows.size)
            of_edge = place[self.row]
            edges = np.flatnonzero((of_edge >= 0) & (to_sink | (self.payee != (-1 if self.sink is None else self.sink))))
            self._edges_of[key] = edges, of_edge[edges], Incidence(self.payee[edges], self.agents)
        return self._edges_of[key]

    def _sums_of_lines(self, line_edges: IntArray) -> tuple[Incidence, Incidence]:
        """What sums amounts on the edges `line_edges` by payee (n, L), and by row of `owed` (classes * n, L); the last are kept."""
        if self._lines is None or not np.array_equal(self._lines[0], line_edges):
            by_payee, by_row = Incidence(self.payee[line_edges], self.agents), Incidence(self.row[line_edges], self.classes * self.agents)
            self._lines = (np.array(line_edges), by_payee, by_row)
        return self._lines[1:]

    def clear(
        self,
        dues: FloatArray,
        cash: FloatArray,
        lines: FloatArray | None = None,
        active: BoolArray | None = None,
        asset_recovery: float | FloatArray = 1.0,
        claim_recovery: float | FloatArray = 1.0,
        is_failed: BoolArray | None = None,
        tolerance: float = 1e-12,
        rounds: int = 2000,
        line_edges: IntArray | None = None,
    ) -> EdgeClearing:
        """Greatest clearing vector of each scenario (column).

        `dues` (E, R) owed along each edge, `cash` (n, R) at hand before the clearing, both >= 0 (down to -1e-9 counts as 0).
        `lines` (E, R): undrawn commitments of an edge's payer to fund its payee on demand. A payee short of money draws on them, pro
        rata to the room left; a draw is owed by the lender in the same clearing, in the class of its edge. Draws never shrink: they
        are first counted against the greatest vector in which all lines are honoured, then again where a lender fails to fund.
        `line_edges` (L,): the edges that are lines, each once, where few are; `lines` and what is `drawn` are then (L, R).
        `active` (R,): scenarios to clear; the others pay nothing.
        `asset_recovery`, `claim_recovery` (scalar, or (n, 1) or (n, R)): shares of cash and of what is received that a bankrupt agent
        can pay out; bankrupt are those in `is_failed` (n, R) when given, else the insolvent (Rogers & Veraart).
        `tolerance`: change of a payment, relative to what is owed, at which a scenario stops. A scenario that has not stopped after
        `rounds` is returned as it is with `converged` False.
        Raises NetworkInputError on a wrong shape, a negative or a non-finite amount.
        """
        dues, cash = amounts("dues", dues, self.edges), amounts("cash", cash, self.agents)
        scenarios = dues.shape[1]
        if cash.shape[1] != scenarios:
            raise NetworkInputError(f"dues have {scenarios} scenarios, cash has {cash.shape[1]}")
        if lines is not None:
            lines = amounts("lines", lines, self.edges if line_edges is None else line_edges.size)
        if active is not None:
            dues = np.where(active, dues, 0.0)
            lines = None if lines is None else np.where(active, lines, 0.0)
        every_edge = lines is not None and line_edges is None
        if lines is not None and line_edges is None:
            line_edges = np.flatnonzero(lines.any(axis=1))
            lines = lines[line_edges]
        agents = self.agents
        owed, received = self.outgoing @ dues, self.incoming @ dues
        total = over_classes(owed, agents)
        money = cash + received
        slow = (money < total * (1 - TIE)).any(axis=0)
        costly = not (np.ndim(asset_recovery) == np.ndim(claim_recovery) == 0 and asset_recovery == claim_recovery == 1.0)
        recoveries: tuple[FloatArray | None, FloatArray | None] = (None, None)
        if costly:
            recoveries = (recovery("asset_recovery", asset_recovery, agents), recovery("claim_recovery", claim_recovery, agents))
            if is_failed is not None:
                is_failed = np.broadcast_to(np.asarray(is_failed, dtype=bool), (agents, scenarios))
                slow = slow | is_failed.any(axis=0)
        else:
            is_failed = None
        paid: FloatArray | None = None
        shortfall = np.zeros((agents, scenarios))
        drawn = None if lines is None else np.zeros(lines.shape)
        converged, used = np.ones(scenarios, dtype=bool), np.zeros(scenarios, dtype=np.int64)
        bankrupt = np.zeros((agents, scenarios), dtype=bool)
        flow, resources = EdgeFlow(self, dues, owed, received), Resources(cash, None, *recoveries, is_failed)
        for at, part, found in self._blocks(np.flatnonzero(slow), flow, resources, line_edges, lines, tolerance, rounds):
            if drawn is not None:
                drawn[:, at] = found.drawn
            part_total, part_paid = over_classes(part.owed, agents), part.paid(found.pay)
            missing = np.maximum(part_total - over_classes(found.pay, agents), 0.0)
            part_received = self.incoming @ part_paid  # what edges pay is what payees receive, to the bit
            if at.size == scenarios:
                paid, received, total, shortfall = part_paid, part_received, part_total, missing
            else:
                paid = np.array(dues) if paid is None else paid
                for into, values in ((paid, part_paid), (received, part_received), (total, part_total), (shortfall, missing)):
                    into[:, at] = values
            bankrupt[:, at] = found.insolvent
            converged[at], used[at] = found.converged, found.rounds
        if paid is None:
            paid = np.array(dues)
        if drawn is not None and every_edge:
            on_lines, drawn = drawn, np.zeros(dues.shape)
            drawn[line_edges] = on_lines
        deadweight = None
        if recoveries[0] is not None and recoveries[1] is not None:
            lost = (1.0 - recoveries[0]) * cash + (1.0 - recoveries[1]) * received
            deadweight = np.where(bankrupt if is_failed is None else is_failed, lost, 0.0)
        return EdgeClearing(paid, shortfall, total, received, drawn, deadweight, converged, used)

    def left(
        self, dues: FloatArray, cash: FloatArray, lines: FloatArray, line_edges: IntArray, rounds: int = 2000
    ) -> tuple[Left, FloatArray, BoolArray]:
        """What :meth:`clear`, without costs, leaves unpaid of the dues; what is paid of the draws on the lines, (L, R); where payments settled, (R,).

        Nothing is due on `line_edges` before the draws. It looks only at what those owe who are short: quicker than :meth:`clear` where few are.
        """
        dues, cash, lines = amounts("dues", dues, self.edges), amounts("cash", cash, self.agents), amounts("lines", lines, line_edges.size)
        flow = EdgeFlow(self, dues, self.outgoing @ dues, self.incoming @ dues)
        slow = np.flatnonzero(np.any(cash + flow.full < over_classes(flow.owed, self.agents) * (1 - TIE), axis=0))
        parts, funded, converged = [], np.zeros(lines.shape), np.ones(dues.shape[1], dtype=bool)
        for at, part, found in self._blocks(slow, flow, Resources(cash), line_edges, lines if lines.size else None, 1e-12, rounds):
            left = part.left(found.pay)
            parts.append(left._replace(scenarios=at[left.scenarios]))
            if found.drawn is not None:
                funded[:, at] = part.paid_along(line_edges, found.pay)[1]
            converged[at] = found.converged
        return joined(parts), funded, converged

    def _blocks(
        self, scenarios: IntArray, flow: EdgeFlow, resources: Resources, line_edges: IntArray | None, lines: FloatArray | None,
        tolerance: float, rounds: int,
    ) -> Iterator[tuple[IntArray, EdgeFlow, _Found]]:  # fmt: skip
        """Some `scenarios` solved, block by block: their numbers, the flow with the draws among the dues, and what is found."""
        step = max(1, BLOCK_NUMBERS // max(self.edges, 1))
        for begin in range(0, scenarios.size, step):
            at, part, left, room = scenarios[begin : begin + step], flow, resources, lines
            if at.size < flow.full.shape[1]:
                part = EdgeFlow(self, flow.dues.take(at, axis=1), flow.owed.take(at, axis=1), flow.full.take(at, axis=1))
                left, room = resources.take(at), None if lines is None else lines.take(at, axis=1)
            yield at, *self._solve(part, left, line_edges, room, tolerance, rounds)

    def _solve(
        self, flow: EdgeFlow, resources: Resources, line_edges: IntArray | None, lines: FloatArray | None, tolerance: float, rounds: int
    ) -> tuple[EdgeFlow, _Found]:
        """The greatest vector of each scenario and the draws on the lines; and the flow with the draws among the dues.

        Most agents have the cash for all that they may owe, whatever they receive, and pay in full. Only the clearing among the others is solved,
        which moves no bit; a scenario that does not settle there in a few rounds is solved with all agents.
        """
        few = self._may_be_short(flow, resources, line_edges, lines)
        if few is None:
            found = self._solve_whole(flow, resources, line_edges, lines, tolerance, rounds)
            return self._after(flow, line_edges, found.drawn), found
        small = self.seen_by(few, line_edges)
        found = small.network._solve_whole(
            EdgeFlow(small.network, flow.dues[small.edges], small.by_class(flow.owed), small.by_agent(flow.full, 0.0)),
            Resources(
                small.cash(resources.cash),
                None,
                None if resources.asset_recovery is None else small.by_agent(resources.asset_recovery, 1.0),
                None if resources.claim_recovery is None else small.by_agent(resources.claim_recovery, 1.0),
                None if resources.failed is None else small.by_agent(resources.failed, False),
            ),
            None if lines is None else small.edges_of_lines,
            None if lines is None else lines[small.lines],
            tolerance,
            min(rounds, FEW_ROUNDS),
        )
        drawn = None
        if lines is not None:
            drawn = np.zeros(lines.shape)
            drawn[small.lines] = found.drawn
        slow, again = np.flatnonzero(~found.converged), None
        if slow.size:
            dues, owed, full = (np.take(array, slow, axis=1) for array in (flow.dues, flow.owed, flow.full))
            lines_left = None if lines is None else np.take(lines, slow, axis=1)
            again = self._solve_whole(EdgeFlow(self, dues, owed, full), resources.take(slow), line_edges, lines_left, tolerance, rounds)
            if drawn is not None:
                drawn[:, slow] = again.drawn
        flow = self._after(flow, line_edges, drawn)
        pay, insolvent = np.array(flow.owed), np.zeros(flow.full.shape, dtype=bool)
        pay.reshape(self.classes, self.agents, -1)[:, few] = found.pay.reshape(self.classes, few.size + 1, -1)[:, :-1]
        insolvent[few] = found.insolvent[:-1]
        if again is not None:
            pay[:, slow], insolvent[:, slow] = again.pay, again.insolvent
            found.rounds[slow], found.converged[slow] = again.rounds, again.converged
        return flow, _Found(pay, insolvent, found.rounds, found.converged, drawn)

    def _solve_whole(
        self, flow: EdgeFlow, resources: Resources, line_edges: IntArray | None, lines: FloatArray | None, tolerance: float, rounds: int
    ) -> _Found:
        """As :meth:`_solve`, with all agents."""
        drawn = None
        if lines is None or line_edges is None:
            solution = greatest(flow, flow.owed, over_classes(flow.owed, self.agents), resources, tolerance, rounds)
        else:
            solution, drawn = self._draw(flow, resources, line_edges, lines, tolerance, rounds)
        return _Found(solution.pay, solution.insolvent, solution.rounds, solution.converged, drawn)

    def _may_be_short(self, flow: EdgeFlow, resources: Resources, line_edges: IntArray | None, lines: FloatArray | None) -> IntArray | None:
        """Agents who lack the cash for all they may owe in some scenario, lines of which they are the lender included; None where too many do."""
        if flow.owed.size < WORTH_CUTTING:
            return None
        may_owe = over_classes(flow.owed, self.agents)
        if lines is not None and line_edges is not None:
            may_owe += over_classes(self._sums_of_lines(line_edges)[1] @ lines, self.agents)
        may = resources.cash < may_owe
        if resources.failed is not None:
            may |= resources.failed
        few = np.flatnonzero(may.any(axis=1))
        return few if self.is_worth_cutting(few, flow.owed.shape[1]) else None

    def is_worth_cutting(self, few: IntArray, scenarios: int) -> bool:
        """Whether a clearing of so many `scenarios` is quicker among the agents `few` alone, who may be short."""
        return 2 * few.size < self.agents and self.classes * self.agents * scenarios >= WORTH_CUTTING

    def seen_by(self, few: IntArray, line_edges: IntArray | None) -> Few:
        """The network as the agents `few` (m,), ascending, see it: all others are one agent, m, and only what the few pay or are paid counts.

        Where all others can pay whatever happens, the few clear in it to the same bits, if they do within `FEW_ROUNDS`. `line_edges`: the edges
        that are lines; those on which one of the few may draw are lines in it. The last networks asked for are kept.
        """
        key = few.tobytes(), None if line_edges is None else line_edges.tobytes()
        if key not in self._few:
            if len(self._few) >= ROWS_KEPT:
                self._few.pop(next(iter(self._few)))
            place = np.full(self.agents, few.size, dtype=np.int64)
            place[few] = np.arange(few.size)
            to_few = place[self.payee] < few.size
            edges = np.flatnonzero(to_few | (place[self.payer] < few.size))
            ends = place[self.payer[edges]], place[self.payee[edges]]
            network = EdgeNetwork(*ends, self.priority[edges], few.size + 1, self.classes, sink=few.size)
            lines = NONE if line_edges is None else np.flatnonzero(to_few[line_edges])
            self._few[key] = Few(few, network, edges, lines, NONE if line_edges is None else np.searchsorted(edges, line_edges[lines]))
        return self._few[key]

    def _with_draws(self, flow: EdgeFlow, line_edges: IntArray, drawn: FloatArray, at: IntArray | None = None) -> EdgeFlow:
        """The flow, in all of its scenarios or in those `at`, with the draws (L, R) on the edges `line_edges` among the dues."""
        to_payee, to_row = self._sums_of_lines(line_edges)
        owed, full, of_some = flow.owed, flow.full, drawn
        if at is not None:
            owed, full, of_some = (array.take(at, axis=1) for array in (owed, full, drawn))
        return EdgeFlow(self, flow.dues, owed + to_row @ of_some, full + to_payee @ of_some, at, (line_edges, drawn))

    def _after(self, flow: EdgeFlow, line_edges: IntArray | None, drawn: FloatArray | None) -> EdgeFlow:
        """The flow after all draws (L, R), where there are any."""
        return flow if line_edges is None or drawn is None or not drawn.any() else self._with_draws(flow, line_edges, drawn)

    def _draw(
        self, flow: EdgeFlow, resources: Resources, line_edges: IntArray, lines: FloatArray, tolerance: float, rounds: int
    ) -> tuple[Solution, FloatArray]:
        """The scenarios that cannot all pay, with credit lines drawn round by round; a scenario without further draws is done.

        Returns the solution, which has converged where every round has, and the draws (L, R) on the edges `line_edges`.
        """
        payee = self.payee[line_edges]
        to_payee, _ = self._sums_of_lines(line_edges)
        at, part, left = np.arange(lines.shape[1]), flow, resources
        room, drawn, part_drawn = lines, np.zeros(lines.shape), np.zeros(lines.shape)
        solution: Solution | None = None
        for draws in range(DRAW_ROUNDS + 1):
            is_last = draws == DRAW_ROUNDS
            total = over_classes(part.owed, self.agents)
            backup = to_payee @ room
            found = greatest(part, part.owed, total, left if is_last else replace(left, backup=backup), tolerance, rounds)
            if is_last:
                found = replace(found, converged=np.zeros_like(found.converged))
            if solution is None:
                solution = found
            else:
                for into, values in ((solution.pay, found.pay), (solution.received, found.received), (solution.insolvent, found.insolvent)):
                    into[:, at] = values
                solution.rounds[at] = found.rounds
                solution.converged[at] &= found.converged
            if is_last:
                break
            needed = total - left.cash - found.received
            np.maximum(needed, 0.0, out=needed)
            np.minimum(needed, backup, out=needed)
            needed *= needed > 10 * TIE * total
            open_ = np.flatnonzero(needed.any(axis=0))
            if not open_.size:
                break
            called = room * np.take(np.where(needed > 0, needed / np.where(backup > 0, backup, 1.0), 0.0), payee, axis=0)
            at, left = at[open_], left.take(open_)
            part_drawn = np.take(part_drawn + called, open_, axis=1)
            room = np.maximum(np.take(lines, at, axis=1) - part_drawn, 0.0)
            drawn[:, at] = part_drawn
            part = self._with_draws(flow, line_edges, drawn, at)
        assert solution is not None
        return solution, drawn
