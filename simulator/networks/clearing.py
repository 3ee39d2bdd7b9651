"""Clearing of mutual obligations: who pays how much when not everyone can pay in full.

Two doors to one solver (`_waterfall.py`): `EdgeNetwork` (`edges.py`) for a fixed set of obligations with amounts that differ by scenario (the
engine's settlement and estates), and `clearing_payments` for one matrix of obligations and many vectors of assets.
Both return the *greatest* clearing vector: where several exist, the one in which everybody pays most.

Sources: Eisenberg & Noe (2001), Management Science 47(2); Rogers & Veraart (2013), Management Science 59(4); Elsinger (2009) for
classes of seniority.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from simulator.networks._flows import MatrixFlow, over_classes
from simulator.networks._waterfall import Resources, greatest
from simulator.networks.edges import EdgeClearing, EdgeNetwork

__all__ = ["Clearing", "EdgeClearing", "EdgeNetwork", "clearing_payments"]

MATRIX_ROUNDS = 10_000
MATRIX_BLOCK = 1 << 15  # numbers in one working array of `clearing_payments`: small enough for the processor's cache


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
    total = over_classes(owed, agents)
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
