"""The greatest clearing vector of many scenarios at once: the solver under `clearing.py`.

State: payments by priority class, an array (classes * n, scenarios); row ``k * n + i`` is what agent i pays on its class k.
From full payment downwards, rounds of the clearing map (Eisenberg & Noe 2001, eq. 7, with classes as in Elsinger 2009 and
costs as in Rogers & Veraart 2013, Definition 3.6) bring the greatest vector from above. Scenarios that settle slowly are
finished with linear systems: within one regime (who is short, and in which class) the map is linear, so its fixed point is
solved for directly and the step shortened where a class would run empty; such steps never pass below the greatest vector.

Every operation is elementwise, CSR @ dense or a stack of separate solves, so a scenario's bits do not depend on its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from simulator.networks._checks import TIE, BoolArray, Csr, FloatArray, IntArray
from simulator.networks._flows import over_classes
from simulator.networks._rings import keep_their_level

ROUNDING = 4e-15  # a change this small, relative to what is owed, is rounding
PATIENCE = 8  # rounds before a scenario that is slow to settle goes on with linear systems
DENSE_AGENTS = 300  # up to here a stack of dense systems, above sparse ones
SPARSE_SHORT = 3000  # more agents short than this and the fill-in of a factorisation costs more than further rounds
LEAP_EVERY = 8  # rounds between two leaps ahead along the series of changes
LEAP_MOST = 0.99  # changes that shrink more slowly than this by round are left to the linear systems
LEAP_NOISE = 1e-14  # changes smaller than this, relative to what is owed, say nothing of how they shrink

Scalar = TypeVar("Scalar", np.float64, np.bool_)


class Flow(Protocol):
    """How payments by class turn into what each agent receives."""

    classes: int
    agents: int

    def received(self, pay: FloatArray) -> FloatArray:
        """What each agent gets (n, R) when `pay` (classes * n, R) is paid."""

    def take(self, at: IntArray) -> Flow:
        """The same for the scenarios `at`."""

    def dense_links(self, marginal: FloatArray) -> FloatArray:
        """(R, n, n), [r, j, i] = part of what agent i pays on the class marked in `marginal` (classes * n, R) that goes to j."""

    def sparse_links(self, rows: IntArray, column: int) -> Csr:
        """The same in one scenario for the payer-classes `rows` (m,) only: (n, m)."""


def some(array: NDArray[Scalar], at: IntArray) -> NDArray[Scalar]:
    """The scenarios `at` of `array` (n, R); a single column stands for all scenarios alike."""
    return array if array.shape[1] == 1 else array.take(at, axis=1)


@dataclass(frozen=True)
class Resources:
    """What each agent can pay with: `cash` and `backup` (n, R), recoveries (n, R) or None without costs, `failed` (n, R) or None.

    With `failed`, costs fall on the agents marked; without, on every agent who is insolvent.
    """

    cash: FloatArray
    backup: FloatArray | None = None
    asset_recovery: FloatArray | None = None
    claim_recovery: FloatArray | None = None
    failed: BoolArray | None = None

    def take(self, at: IntArray) -> Resources:
        """The scenarios `at`."""
        optional = (self.backup, self.asset_recovery, self.claim_recovery)
        backup, asset_recovery, claim_recovery = (None if array is None else some(array, at) for array in optional)
        failed = None if self.failed is None else some(self.failed, at)
        return Resources(some(self.cash, at), backup, asset_recovery, claim_recovery, failed)

    def money(self, received: FloatArray) -> FloatArray:
        """Cash, receipts and backup before any costs: (n, R)."""
        return self.cash + received if self.backup is None else self.cash + received + self.backup

    def estate(self, received: FloatArray) -> FloatArray:
        """What is left of cash and receipts after costs: (n, R)."""
        assert self.asset_recovery is not None
        assert self.claim_recovery is not None
        left = self.asset_recovery * self.cash
        left += self.claim_recovery * received
        return left

    def available(self, received: FloatArray, total: FloatArray, insolvent: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Money to pay with after any costs, and who is insolvent (undiscounted, or marked as failed): both (n, R)."""
        money = self.money(received)
        if self.asset_recovery is None or self.claim_recovery is None:
            return money, money < total * (1 - TIE)
        # The test of Rogers & Veraart looks at undiscounted assets; who once fails it stays insolvent, as payments only fall.
        bankrupt = insolvent | (money < total * (1 - TIE)) if self.failed is None else self.failed
        return np.where(bankrupt, self.estate(received), money), bankrupt


@dataclass(frozen=True)
class Solution:
    """`pay` (classes * n, R), `received` (n, R), `insolvent` (n, R), `rounds` and `converged` (R,)."""

    pay: FloatArray
    received: FloatArray
    insolvent: BoolArray
    rounds: IntArray
    converged: BoolArray


def waterfall(owed: FloatArray, money: FloatArray, short: BoolArray, agents: int) -> FloatArray:
    """Payments by class when `money` (n, R) goes down the classes of `owed` (classes * n, R); who is not short pays in full."""
    if owed.shape[0] == agents:
        return np.where(short, np.minimum(owed, money), owed)
    pay: FloatArray = np.empty(np.broadcast_shapes(owed.shape, (owed.shape[0], money.shape[1])))
    left = money
    for start in range(0, owed.shape[0], agents):
        due = owed[start : start + agents]
        np.minimum(due, left, out=pay[start : start + agents])
        left = left - due
        np.maximum(left, 0.0, out=left)
    np.copyto(pay.reshape(-1, agents, pay.shape[-1]), owed.reshape(-1, agents, owed.shape[1]), where=~short)
    return pay


def greatest(
    flow: Flow,
    owed: FloatArray,
    total: FloatArray,
    resources: Resources,
    tolerance: float,
    rounds: int,
    start: FloatArray | None = None,
    only: BoolArray | None = None,
) -> Solution:
    """Greatest clearing vector from above, every scenario stopped by its own change.

    `owed` (classes * n, R or 1), `total` (n, R or 1) what each owes in all. `start` (classes * n, R): a vector known to lie above.
    `only` (n, R): agents outside it pay in full whatever they have (one step of the fictitious default algorithm).
    """
    agents, scenarios = flow.agents, resources.cash.shape[1]
    fixed_dues = owed.shape[1] == 1 != scenarios
    simple = owed.shape[0] == agents and resources.asset_recovery is None and only is None
    pay = np.array(np.broadcast_to(owed, (owed.shape[0], scenarios))) if start is None else np.array(start)
    insolvent = np.zeros((agents, scenarios), dtype=bool)
    received = flow.received(pay)
    where: IntArray = np.arange(scenarios)
    result: Solution | None = None
    if owed.shape[0] > agents and start is None and only is None and not fixed_dues:
        money, bankrupt = resources.available(received, total, insolvent)
        at = np.flatnonzero(np.any(money < total * (1 - TIE), axis=0))
        if at.size < scenarios:  # where nobody is short all pay in full, and the first round is the last
            result = Solution(pay, received, np.array(bankrupt), np.ones(scenarios, dtype=np.int64), np.ones(scenarios, dtype=bool))
            if not at.size:
                return result
            where, flow, resources = at, flow.take(at), resources.take(at)
            owed, total, pay, received, insolvent = (array.take(at, axis=1) for array in (owed, total, pay, received, insolvent))
    if result is None:
        result = Solution(
            np.empty((owed.shape[0], scenarios)),
            np.empty((agents, scenarios)),
            np.empty((agents, scenarios), dtype=bool),
            np.empty(scenarios, dtype=np.int64),
            np.empty(scenarios, dtype=bool),
        )
    before, last_check = np.full(where.size, np.inf), 0
    looked_slow = np.zeros(where.size, dtype=bool)
    per_due = 1.0 / np.where(owed > 0, owed, 1.0)
    # Who lacks at hand, costs taken off, some of what it owes: what anyone else receives moves no payment.
    depends = total > (resources.cash if resources.asset_recovery is None else resources.asset_recovery * resources.cash)
    leaps, ahead = owed.shape[0] == agents and only is None, np.zeros((0, 0))
    for count in range(1, rounds + 1):
        if simple:
            new = resources.money(received)
            np.minimum(owed, new, out=new)
        elif leaps and resources.failed is None:
            insolvent = insolvent | (resources.money(received) < total * (1 - TIE))
            new = resources.estate(received)
            np.minimum(owed, new, out=new)
            np.copyto(new, owed, where=~insolvent)
        else:
            money, insolvent = resources.available(received, total, insolvent)
            short = money < total * (1 - TIE)
            new = waterfall(owed, money, short if only is None else short & only, agents)
        checked = count <= 4 or count % 4 == 0 or count == rounds
        at_leap = leaps and count % LEAP_EVERY == 0
        if leaps and count % LEAP_EVERY == LEAP_EVERY - 1:
            last_fall, last_short = pay - new, new < owed
        if checked:
            fall = np.subtract(pay, new, out=pay)
            change = np.maximum.reduce(np.abs(fall) * per_due, axis=0)
        if at_leap:
            ahead = _still_to_come(last_fall, fall, last_short, new < owed, per_due)
        pay, last, received = new, received, flow.received(new)
        if not checked:
            continue
        done = ~((received != last) & depends).any(axis=0)  # there the next round would change nothing
        if not done.all():
            # Changes shrink like a geometric series: `ratio` a round, so that much is still to come, in so many rounds.
            ratio = change / np.where((before > 0) & np.isfinite(before), before, np.maximum(change, 1e-300))
            ratio = np.minimum(ratio if count - last_check == 1 else np.sqrt(np.sqrt(ratio)), 1 - 1e-9)
            done |= (change <= ROUNDING) | (change * np.maximum(1.0, ratio / (1 - ratio)) <= tolerance)
            shrinking = np.isfinite(before) & (change < before)
            before, last_check = change, count
        if done.any() or count == rounds:
            finished = done | (count == rounds)
            if finished.all():
                _store(result, flow, owed, total, resources, pay, received, insolvent, where, done, count)
                break
            at, kept = np.flatnonzero(finished), np.flatnonzero(~finished)
            owed_done, total_done, pay_done, received_done = (some(array, at) for array in (owed, total, pay, received))
            state = (owed_done, total_done, resources.take(at), pay_done, received_done, some(insolvent, at))
            _store(result, flow.take(at), *state, where[at], done[at], count)
            ahead = ahead.take(kept, axis=1) if at_leap else ahead
            where, flow, resources = where[kept], flow.take(kept), resources.take(kept)
            pay, received, insolvent = (array.take(kept, axis=1) for array in (pay, received, insolvent))
            depends = depends.take(kept, axis=1)
            before, change, ratio, shrinking, looked_slow = (array[kept] for array in (before, change, ratio, shrinking, looked_slow))
            only = None if only is None else only.take(kept, axis=1)
            if not fixed_dues:
                owed, total, per_due = (array.take(kept, axis=1) for array in (owed, total, per_due))
        if at_leap:
            leaping = ahead.any(axis=0)
            if leaping.any():
                pay -= ahead
                received = flow.received(pay)
                before = np.where(leaping, np.inf, before)
                shrinking &= ~leaping
        if count >= (3 * LEAP_EVERY if leaps else PATIENCE):
            to_come = np.log(tolerance / np.maximum(change, 1e-300)) / np.log(np.maximum(ratio, 1e-6))
            # Twice in a row: a new default in between makes one look mean little.
            looks_slow = shrinking & (to_come > max(20.0, agents * agents / 60))
            slow, looked_slow = looks_slow & looked_slow, looks_slow
            if slow.any():
                at = np.flatnonzero(slow)
                owed_slow, total_slow, pay_slow, received_slow = (some(array, at) for array in (owed, total, pay, received))
                state = (owed_slow, total_slow, resources.take(at), pay_slow, received_slow, some(insolvent, at))
                pay[:, at] = _linear_step(flow.take(at), *state, None if only is None else some(only, at))
                received = flow.received(pay)
                before = np.where(slow, np.inf, before)
    return result


def _still_to_come(last_fall: FloatArray, fall: FloatArray, last_short: BoolArray, short: BoolArray, per_due: FloatArray) -> FloatArray:
    """How far payments (n, R) of one class will at least fall further, from the falls of two rounds; 0 where that is not known.

    While the same agents are short the map is linear, fall' = M fall with M >= 0. If fall' >= m fall in every element, all later falls
    are at least m times the one before (Collatz and Wielandt), together m / (1 - m) fall'. New defaults only add to them, so a leap of
    this length stays above the greatest vector.
    """
    counts = last_fall * per_due > LEAP_NOISE
    ratio = np.divide(fall, last_fall, out=np.full(fall.shape, np.inf), where=counts)
    least = np.minimum.reduce(ratio, axis=0)
    settled = np.logical_and.reduce(short == last_short, axis=0) & (least > 0) & (least <= LEAP_MOST)
    length = np.where(settled, least / (1.0 - np.where(settled, least, 0.0)), 0.0)
    return np.where(counts, length * fall, 0.0)


def _store(
    result: Solution,
    flow: Flow,
    owed: FloatArray,
    total: FloatArray,
    resources: Resources,
    pay: FloatArray,
    received: FloatArray,
    insolvent: BoolArray,
    at: IntArray,
    done: BoolArray,
    count: int,
) -> None:
    """Writes the finished scenarios `at` into `result`; who is short by no more than rounding is taken to pay in full."""
    snapped = pay >= owed * (1 - TIE)
    if (snapped & (pay < owed)).any():
        pay = np.where(snapped, owed, pay)
        received = flow.received(pay)
    if resources.asset_recovery is None:
        insolvent = resources.money(received) < total * (1 - TIE)
    result.pay[:, at], result.received[:, at], result.insolvent[:, at] = pay, received, insolvent
    result.rounds[at], result.converged[at] = count, done


def _solve_each(systems: FloatArray, right: FloatArray) -> FloatArray:
    """Solves of a stack (R, n, n) with (R, n, 1); a singular system gives NaN and leaves the others alone."""
    try:
        return np.asarray(np.linalg.solve(systems, right), dtype=np.float64)
    except np.linalg.LinAlgError:
        result = np.full(right.shape, np.nan)
        for column in range(systems.shape[0]):
            try:
                result[column : column + 1] = np.linalg.solve(systems[column : column + 1], right[column : column + 1])
            except np.linalg.LinAlgError:
                continue
        return result


def _linear_step(
    flow: Flow,
    owed: FloatArray,
    total: FloatArray,
    resources: Resources,
    pay: FloatArray,
    received: FloatArray,
    insolvent: BoolArray,
    only: BoolArray | None,
) -> FloatArray:
    """Jump to the fixed point of the present regime, or to where the first class runs empty on the way; large systems and closed rings stay put."""
    agents, scenarios = flow.agents, pay.shape[1]
    money, bankrupt = resources.available(received, total, insolvent)
    short = money < total * (1 - TIE)
    if only is not None:
        short = short & only
    paid, pay = pay, np.minimum(waterfall(owed, money, short, agents), pay)
    is_moving = over_classes(paid - pay, agents) > ROUNDING * total
    # The marginal class of a short agent: the last one that gets anything.
    marginal = np.zeros(pay.shape, dtype=bool)
    senior_full = np.zeros((agents, scenarios))
    open_ = short.copy()
    for start in range(pay.shape[0] - agents, -1, -agents):
        part = pay[start : start + agents]
        takes = open_ & (part > 1e-14 * total)
        marginal[start : start + agents] = takes
        open_ &= ~takes
        if start:
            above = np.zeros((agents, scenarios))
            for other in range(0, start, agents):
                above = above + owed[other : other + agents]
            senior_full = np.where(takes, above, senior_full)
    fixed = np.where(marginal, 0.0, pay)
    base = flow.received(fixed)
    constant, _ = resources.available(base, total, bankrupt)
    slope = np.ones((agents, scenarios))
    if resources.claim_recovery is not None:
        slope = np.where(bankrupt, resources.claim_recovery, 1.0)
    is_marginal = np.zeros((agents, scenarios), dtype=bool)
    old = np.zeros((agents, scenarios))
    for start in range(0, pay.shape[0], agents):
        is_marginal |= marginal[start : start + agents]
        old = old + np.where(marginal[start : start + agents], pay[start : start + agents], 0.0)
    if resources.asset_recovery is not None and resources.failed is None:
        # `available` marks by the vector it is given; here the costs are those of the present regime.
        constant = np.where(bankrupt, resources.asset_recovery * resources.cash + slope * base, resources.money(base))
    right = np.where(is_marginal, constant - senior_full, 0.0)
    if agents <= DENSE_AGENTS:
        links = flow.dense_links(marginal.astype(np.float64))
        scenario, payee, payer = np.nonzero(links > 0.0)
        masks = (np.ascontiguousarray(mask.T).reshape(-1) for mask in (is_marginal, slope < 1.0, is_moving))
        stays = keep_their_level(scenario * agents + payer, scenario * agents + payee, *masks).reshape(scenarios, agents).T
        factor = np.where(is_marginal & ~stays, slope, 0.0).T[:, :, None]
        system = np.eye(agents)[None] - factor * links
        target = _solve_each(system, np.ascontiguousarray(np.where(stays, old, right).T)[:, :, None])[:, :, 0].T
    else:
        from scipy.sparse.linalg import splu  # slow to load, and wanted by large networks only

        target = old.copy()
        for column in range(scenarios):
            members = np.flatnonzero(is_marginal[:, column])
            if members.size == 0 or members.size > SPARSE_SHORT:
                continue
            row = np.argmax(marginal[:, column].reshape(-1, agents)[:, members], axis=0) * agents + members
            links = flow.sparse_links(row, column)
            paid_by = links.tocoo()
            stays = keep_their_level(members[paid_by.col], paid_by.row, is_marginal[:, column], slope[:, column] < 1.0, is_moving[:, column])
            at_rest = stays[members]
            factor = np.where(at_rest, 0.0, slope[members, column])
            system = sparse.identity(members.size, format="csc") - sparse.diags(factor) @ links[members]
            try:
                target[members, column] = splu(sparse.csc_matrix(system)).solve(np.where(at_rest, old[members, column], right[members, column]))
            except RuntimeError:  # singular: nobody moves
                continue
    target = np.where(np.isfinite(target), np.minimum(target, old), old)
    crossing = target < 0
    fraction = np.where(crossing, old / np.where(crossing, old - target, 1.0), 1.0)
    step = np.min(fraction, axis=0)
    moved = np.maximum(np.where(fraction <= step, np.where(crossing, 0.0, old + step * (target - old)), old + step * (target - old)), 0.0)
    for start in range(0, pay.shape[0], agents):
        part = marginal[start : start + agents]
        fixed[start : start + agents] = np.where(part, moved, fixed[start : start + agents])
    return fixed
