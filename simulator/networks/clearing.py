"""Clearing of mutual obligations: who pays how much when not everyone can pay in full.

Two doors to one solver (`_waterfall.py`): `EdgeNetwork` for a fixed set of obligations with amounts that differ by scenario (the
engine's settlement and estates), and `clearing_payments` for one matrix of obligations and many vectors of assets.
Both return the *greatest* clearing vector: where several exist, the one in which everybody pays most.

Sources: Eisenberg & Noe (2001), Management Science 47(2); Rogers & Veraart (2013), Management Science 59(4); Elsinger (2009) for
classes of seniority.
"""

from __future__ import annotations

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
    Matrix,
    NetworkInputError,
    NotConverged,
    columns,
    no_self_links,
    numbers,
    share,
    square,
    switch,
    times,
)
from simulator.networks._flows import EdgeFlow, MatrixFlow
from simulator.networks._waterfall import Resources, Solution, greatest

DRAW_ROUNDS = 16  # chains of credit lines (a lender drawing on its own line to fund another) longer than this do not settle
ROUNDING_MONEY = 1e-9  # amounts negative by no more than this are rounding left by earlier postings, and count as 0
MATRIX_ROUNDS = 10_000
MATRIX_BLOCK = 1 << 15  # numbers in one working array of `clearing_payments`: small enough for the processor's cache
BLOCK_NUMBERS = 2_000_000  # numbers in one working array; more scenarios are cleared block by block


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


class EdgeNetwork:
    """A fixed structure of obligations: edge e runs from `payer[e]` to `payee[e]` with `priority[e]` (0 is paid first).

    All three are int arrays (E,); `agents` is the number n of agents. Builds its incidence matrices once.
    """

    def __init__(self, payer: ArrayLike, payee: ArrayLike, priority: ArrayLike, agents: int) -> None:
        self.agents = int(agents)
        self.payer, self.payee, self.priority = (
            _indices(name, values, limit)
            for name, values, limit in (("payer", payer, self.agents), ("payee", payee, self.agents), ("priority", priority, None))
        )
        if not self.payer.shape == self.payee.shape == self.priority.shape:
            raise NetworkInputError(
                f"payer, payee and priority have {self.payer.size}, {self.payee.size} and {self.priority.size} elements; expected the same"
            )
        edges = self.payer.size
        self.edges = edges
        self.classes = int(self.priority.max()) + 1 if edges else 1
        self.row = self.priority * self.agents + self.payer
        one, edge = np.ones(edges), np.arange(edges)
        self.outgoing: Csr = sparse.csr_matrix((one, (self.row, edge)), shape=(self.classes * self.agents, edges))
        self.incoming: Csr = sparse.csr_matrix((one, (self.payee, edge)), shape=(self.agents, edges))
        self._both: Csr = sparse.csr_matrix(sparse.vstack([self.outgoing, self.incoming]))

    @cached_property
    def pairs(self) -> Csr:
        """Adds edges up by (payee, payer): (n * n, E), for the dense linear systems."""
        edge = np.arange(self.edges)
        shape = (self.agents * self.agents, self.edges)
        return sparse.csr_matrix((np.ones(self.edges), (self.payee * self.agents + self.payer, edge)), shape=shape)

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
    ) -> EdgeClearing:
        """Greatest clearing vector of each scenario (column).

        `dues` (E, R) owed along each edge, `cash` (n, R) at hand before the clearing, both >= 0 (down to -1e-9 counts as 0).
        `lines` (E, R): undrawn commitments of an edge's payer to fund its payee on demand. A payee short of money draws on them, pro
        rata to the room left; a draw is owed by the lender in the same clearing, in the class of its edge. Draws never shrink: they
        are first counted against the greatest vector in which all lines are honoured, then again where a lender fails to fund.
        `active` (R,): scenarios to clear; the others pay nothing.
        `asset_recovery`, `claim_recovery` (scalar, or (n, 1) or (n, R)): shares of cash and of what is received that a bankrupt agent
        can pay out; bankrupt are those in `is_failed` (n, R) when given, else the insolvent (Rogers & Veraart).
        `tolerance`: change of a payment, relative to what is owed, at which a scenario stops. A scenario that has not stopped after
        `rounds` is returned as it is with `converged` False.
        Raises NetworkInputError on a wrong shape, a negative or a non-finite amount.
        """
        dues, cash = _matrix("dues", dues, self.edges), _matrix("cash", cash, self.agents)
        scenarios = dues.shape[1]
        if cash.shape[1] != scenarios:
            raise NetworkInputError(f"dues have {scenarios} scenarios, cash has {cash.shape[1]}")
        if lines is not None:
            lines = _matrix("lines", lines, self.edges)
        if active is not None:
            dues = np.where(active, dues, 0.0)
            lines = None if lines is None else np.where(active, lines, 0.0)
        size, agents = self.classes * self.agents, self.agents
        sums = times(self._both, dues)
        owed, received = sums[:size], sums[size:]
        total = _over_classes(owed, agents)
        money = cash + received
        slow = (money < total * (1 - TIE)).any(axis=0)
        costly = not (np.ndim(asset_recovery) == np.ndim(claim_recovery) == 0 and asset_recovery == claim_recovery == 1.0)
        recoveries: tuple[FloatArray | None, FloatArray | None] = (None, None)
        if costly:
            recoveries = (_recovery("asset_recovery", asset_recovery, agents), _recovery("claim_recovery", claim_recovery, agents))
            if is_failed is not None:
                is_failed = np.broadcast_to(np.asarray(is_failed, dtype=bool), (agents, scenarios))
                slow = slow | is_failed.any(axis=0)
        else:
            is_failed = None
        paid = np.array(dues)
        shortfall = np.zeros((agents, scenarios))
        drawn = None if lines is None else np.zeros(dues.shape)
        converged, used = np.ones(scenarios, dtype=bool), np.zeros(scenarios, dtype=np.int64)
        bankrupt = np.zeros((agents, scenarios), dtype=bool)
        at_slow = np.flatnonzero(slow)
        step = max(1, BLOCK_NUMBERS // max(self.edges, 1))
        for begin in range(0, at_slow.size, step):
            at = at_slow[begin : begin + step]

            def take(array: FloatArray, at: IntArray = at) -> FloatArray:
                return array if at.size == scenarios or array.shape[1] == 1 else np.take(array, at, axis=1)

            resources = Resources(
                take(cash),
                None,
                None if recoveries[0] is None else np.broadcast_to(take(recoveries[0]), (agents, at.size)),
                None if recoveries[1] is None else np.broadcast_to(take(recoveries[1]), (agents, at.size)),
                None if is_failed is None else np.take(is_failed, at, axis=1),
            )
            flow, solution, draws = self._solve(take(dues), resources, None if lines is None else take(lines), tolerance, rounds)
            part_total = _over_classes(flow.owed, agents)
            missing = np.maximum(part_total - _over_classes(solution.pay, agents), 0.0)
            everyone = slice(None) if at.size == scenarios else at
            for into, values in ((paid, flow.paid(solution.pay)), (received, solution.received), (total, part_total), (shortfall, missing)):
                into[:, everyone] = values
            bankrupt[:, at] = solution.insolvent
            converged[at], used[at] = solution.converged, solution.rounds
            if drawn is not None and draws is not None:
                drawn[:, at] = draws
        deadweight = None
        if recoveries[0] is not None and recoveries[1] is not None:
            lost = (1.0 - recoveries[0]) * cash + (1.0 - recoveries[1]) * received
            deadweight = np.where(bankrupt if is_failed is None else is_failed, lost, 0.0)
        return EdgeClearing(paid, shortfall, total, received, drawn, deadweight, converged, used)

    def _solve(
        self, dues: FloatArray, resources: Resources, lines: FloatArray | None, tolerance: float, rounds: int
    ) -> tuple[EdgeFlow, Solution, FloatArray | None]:
        """The scenarios that cannot all pay, with credit lines drawn round by round."""
        if lines is None:
            owed = times(self.outgoing, dues)
            flow = EdgeFlow(self, dues, owed)
            return flow, greatest(flow, owed, _over_classes(owed, self.agents), resources, tolerance, rounds), None
        # Few edges are lines: room and draws are kept for those alone, `some`.
        some = np.flatnonzero(lines.any(axis=1))
        lines, payee = lines[some], self.payee[some]
        to_payee = sparse.csr_matrix((np.ones(some.size), (payee, np.arange(some.size))), shape=(self.agents, some.size))
        drawn = np.zeros(lines.shape)
        for _ in range(DRAW_ROUNDS):
            with_draws = dues.copy()
            with_draws[some] += drawn
            owed = times(self.outgoing, with_draws)
            total = _over_classes(owed, self.agents)
            room = np.maximum(lines - drawn, 0.0)
            backup = times(to_payee, room)
            backed = Resources(resources.cash, backup, resources.asset_recovery, resources.claim_recovery, resources.failed)
            flow = EdgeFlow(self, with_draws, owed)
            solution = greatest(flow, owed, total, backed, tolerance, rounds)
            needed = np.clip(total - resources.cash - solution.received, 0.0, backup)
            needed = np.where(needed > 10 * TIE * total, needed, 0.0)
            if not needed.any():
                break
            drawn = drawn + room * np.take(np.where(needed > 0, needed / np.where(backup > 0, backup, 1.0), 0.0), payee, axis=0)
        else:
            solution = greatest(flow, owed, total, resources, tolerance, rounds)
            solution = replace(solution, converged=solution.converged & ~(needed > 0).any(axis=0))
        draws = np.zeros(dues.shape)
        draws[some] = drawn
        return flow, solution, draws


@dataclass(frozen=True)
class Clearing:
    """What clearing one matrix of obligations gives; arrays (n,), or (n, scenarios) when `assets` had scenarios.

    `payments` each pays in all, outside creditors included; `to_members` the part paid within the network; `defaulted`: cannot pay in
    full (before costs); `equity` = assets + received - owed, undiscounted, negative where money is missing; `received`; `owed` (n,);
    `wave` of default by the fictitious default algorithm: 0 = cannot pay even if all others do, k = brought down by waves before
    k, -1 = solvent (worked out when first asked for).
    """

    payments: FloatArray
    to_members: FloatArray
    defaulted: BoolArray
    equity: FloatArray
    received: FloatArray
    owed: FloatArray
    _problem: tuple[MatrixFlow, FloatArray, FloatArray, Resources]

    @cached_property
    def wave(self) -> IntArray:
        """(n,) or (n, scenarios), see above; Eisenberg & Noe (2001), section 3.1, and the GA of Rogers & Veraart (2013)."""
        flow, owed, total, resources = self._problem
        wave = np.full(resources.cash.shape, -1, dtype=np.int64)
        at = np.flatnonzero(np.reshape(self.defaulted, wave.shape).any(axis=0))
        if at.size:
            fallen = resources.take(at)
            pay = np.array(np.broadcast_to(owed, (owed.shape[0], at.size)))
            received, found = flow.received(pay), np.full((flow.agents, at.size), -1, dtype=np.int64)
            for step in range(flow.agents + 1):
                new = (fallen.cash + received < total * (1 - TIE)) & (found < 0)
                found[new] = step
                if not new.any():
                    break
                solution = greatest(flow, owed, total, fallen, 1e-12, MATRIX_ROUNDS, start=pay, only=found >= 0)
                pay, received = solution.pay, solution.received
            wave[:, at] = found
        return wave.reshape(self.defaulted.shape)


def clearing_payments(
    obligations: Matrix | None,
    assets: ArrayLike,
    outside: ArrayLike = 0,
    outside_senior: bool = False,
    priority: Matrix | None = None,
    asset_recovery: float = 1.0,
    claim_recovery: float = 1.0,
) -> Clearing:
    """Greatest clearing vector of a network of obligations (Eisenberg & Noe 2001; Rogers & Veraart 2013 with recoveries below 1).

    `obligations` (n, n), dense or sparse: [i, j] = what i owes j. `assets` (n,) or (n, scenarios): what each has besides its claims.
    `outside` (scalar, (n,)): owed to creditors outside the network, who rank equally with the members (with the most junior class
    when there are several), or ahead of all with `outside_senior`. `priority` (classes, n, n), or a list of matrices: obligations
    by seniority, most senior first; `obligations` is then their sum or None.
    `asset_recovery` (alpha) and `claim_recovery` (beta): shares of assets and of incoming payments that an insolvent agent can pay out.
    Insolvent is who could not pay in full *before* these costs; one short by less than 1e-12 of what it owes counts as solvent.

    Money in, money out, one unit. Raises NetworkInputError on negative or non-finite input, wrong shapes, debts to oneself;
    NotConverged when payments do not settle to 1e-12.
    """
    switch("outside_senior", outside_senior)
    layers = _layers(obligations, priority)
    agents = int(layers[0].shape[0])
    cash, single = columns("assets", assets, agents)
    owed_outside = numbers("outside", outside)
    if owed_outside.ndim > 1 or owed_outside.size not in (1, agents):
        raise NetworkInputError(f"outside has shape {owed_outside.shape}; expected a number or ({agents},)")
    owed_outside = np.array(np.broadcast_to(owed_outside, (agents,)))
    resources = _resources(cash, share("asset_recovery", asset_recovery), share("claim_recovery", claim_recovery))
    by_class = [np.asarray(layer @ np.ones(agents)) for layer in layers]
    if outside_senior and owed_outside.any():
        layers.insert(0, sparse.csr_matrix((agents, agents)))
        by_class.insert(0, owed_outside)
    else:
        by_class[-1] = by_class[-1] + owed_outside
    classes = len(layers)
    owed = np.concatenate(by_class)[:, None]
    total = _over_classes(owed, agents)
    proportions = [sparse.diags(1.0 / np.where(dues > 0, dues, 1.0)) @ layer for layer, dues in zip(layers, by_class, strict=True)]
    links = sparse.csr_matrix(sparse.vstack(proportions).T)
    links.sort_indices()
    to_members = times(sparse.csr_matrix(links.T), np.ones(agents))
    flow = MatrixFlow(links, classes)
    scenarios = cash.shape[1]
    payments, inside = np.empty(cash.shape), np.empty(cash.shape)
    received, defaulted = np.empty(cash.shape), np.empty(cash.shape, dtype=bool)
    fold = sparse.csr_matrix(sparse.hstack([sparse.identity(agents)] * classes))
    inside_of = sparse.csr_matrix(fold @ sparse.diags(to_members))
    block = max(1, MATRIX_BLOCK // (classes * agents))
    for begin in range(0, scenarios, block):
        at = slice(begin, min(begin + block, scenarios))
        part = resources.take(np.arange(at.start, at.stop))
        solution = greatest(flow, owed, total, part, 1e-12, MATRIX_ROUNDS)
        if not solution.converged.all():
            late = begin + int(np.flatnonzero(~solution.converged)[0])
            raise NotConverged(f"payments of scenario {late} did not settle within {MATRIX_ROUNDS} rounds")
        if classes == 1:
            payments[:, at], inside[:, at] = solution.pay, solution.pay * to_members[:, None]
        else:
            payments[:, at], inside[:, at] = times(fold, solution.pay), times(inside_of, solution.pay)
        received[:, at], defaulted[:, at] = solution.received, cash[:, at] + solution.received < total * (1 - TIE)
    equity = cash + received - total
    shape = (agents,) if single else cash.shape
    return Clearing(
        payments.reshape(shape),
        inside.reshape(shape),
        defaulted.reshape(shape),
        equity.reshape(shape),
        received.reshape(shape),
        total[:, 0],
        (flow, owed, total, resources),
    )


def _layers(obligations: Matrix | None, priority: Matrix | None) -> list[Csr]:
    """Obligations by seniority, most senior first, checked."""
    if priority is None:
        layers = [square("obligations", obligations)]
    else:
        given = priority if isinstance(priority, list | tuple) or getattr(priority, "ndim", 0) > 2 else ()
        layers = [square(f"priority[{number}]", layer) for number, layer in enumerate(given)]
        if not layers:
            raise NetworkInputError("priority must be a list of matrices with at least one class")
        if len({layer.shape for layer in layers}) > 1:
            raise NetworkInputError("the classes of priority differ in size")
        if obligations is not None:
            apart = abs(square("obligations", obligations) - sum(layers[1:], layers[0]))
            if apart.nnz and apart.max() > 1e-9 * max(layer.max() for layer in layers):
                raise NetworkInputError("obligations are not the sum of the classes of priority")
    for layer in layers:
        no_self_links("obligations", layer)
    return layers


def _resources(cash: FloatArray, asset_recovery: float, claim_recovery: float) -> Resources:
    if asset_recovery == claim_recovery == 1.0:
        return Resources(cash)
    wide = (cash.shape[0], 1)
    return Resources(cash, None, np.full(wide, asset_recovery), np.full(wide, claim_recovery))


def _over_classes(by_class: FloatArray, agents: int) -> FloatArray:
    """Adds the classes of an array (classes * n, R) up to (n, R)."""
    result = np.array(by_class[:agents])
    for start in range(agents, by_class.shape[0], agents):
        result += by_class[start : start + agents]
    return result


def _indices(name: str, values: ArrayLike, limit: int | None) -> IntArray:
    array = np.atleast_1d(np.asarray(values))
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise NetworkInputError(f"{name} must be a vector of whole numbers, not {array.dtype} of shape {array.shape}")
    wrong = (array < 0) if limit is None else (array < 0) | (array >= limit)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        allowed = "0 or more" if limit is None else f"0..{limit - 1}"
        raise NetworkInputError(f"{name}[{at}] = {array[at]}; allowed are {allowed}")
    return array.astype(np.int64)


def _matrix(name: str, values: FloatArray, rows: int) -> FloatArray:
    """Quick check of a big array; the slow one, which names the index, only when something is wrong."""
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != rows:
        raise NetworkInputError(f"{name} has shape {array.shape}; expected ({rows}, scenarios)")
    if array.size and not (array.min() >= 0.0 and array.max() < np.inf):
        array = np.where((array < 0) & (array >= -ROUNDING_MONEY), 0.0, array)
        numbers(name, array)
    return array


def _recovery(name: str, value: float | FloatArray, agents: int) -> FloatArray:
    if np.ndim(value) == 0:
        return np.full((agents, 1), share(name, float(value)))
    array = columns(name, value, agents)[0]
    if (array > 1).any():
        raise NetworkInputError(f"{name}[{int(np.argwhere(array > 1)[0][0])}] = {array.max():g} is above 1")
    return array
