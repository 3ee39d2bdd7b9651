"""Is a clearing vector the greatest? A check that shares no code with the solver that found it.

Several vectors may clear one network (a ring of debts clears with everything paid and with nothing paid). The engine must use the
greatest. Here a returned vector is put through the clearing map once, by plain sums, and then it is asked whether a larger one exists:

- without bankruptcy costs by an exact argument. If a larger clearing vector existed, some set of short agents would receive every further
  dollar that the set pays (Eisenberg and Noe 2001, theorem 1: equity is the same in all clearing vectors, so nothing leaks). So the
  vector is the greatest if and only if, from every short agent, the edges of the class it pays in part lead to somebody who pays in full;
- with bankruptcy costs (Rogers and Veraart 2013, theorem 3.1) by iterating the map from above: every iterate is an upper bound of all
  clearing vectors, so the vector is the greatest once the bound has come down to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.networks._checks import TIE, BoolArray, FloatArray, IntArray
from simulator.networks.clearing import EdgeNetwork

PATIENCE = 20_000


@dataclass(frozen=True)
class GreatestCheck:
    """Verdict on a clearing vector, by scenario ``(R,)``.

    ``residual``: largest difference of an edge's payment from what the clearing map makes of the vector, relative to what the payer owes.
    ``is_fixed_point``: it is within the tolerance. ``gap``: how much more, relative to what an agent owes, a larger vector could pay (an
    upper bound; infinite where a closed set of short agents shows that one exists). ``is_greatest``: a fixed point, and no gap.
    ``closed (n, R)``: short agents whose further payments would all come back to themselves.
    """

    residual: FloatArray
    gap: FloatArray
    is_fixed_point: BoolArray
    is_greatest: BoolArray
    closed: BoolArray


def check_greatest(
    network: EdgeNetwork,
    dues: FloatArray,
    cash: FloatArray,
    paid: FloatArray,
    asset_recovery: float = 1.0,
    claim_recovery: float = 1.0,
    is_failed: BoolArray | None = None,
    tolerance: float = 1e-9,
) -> GreatestCheck:
    """Check payments ``paid (E, R)`` on obligations ``dues (E, R)`` out of ``cash (n, R)``; money units of the input.

    Drawn credit lines are dues here: add what was drawn to ``dues``. The other arguments are those of :meth:`EdgeNetwork.clear`. Slow and
    plain: for tests and for whoever doubts a result.
    """
    dues, cash = np.maximum(dues, 0.0), np.maximum(cash, 0.0)
    owed = _by_class(network, dues)
    total = np.add.reduceat(owed, [0], axis=0)[0]
    scale = np.maximum(total, 1e-300)
    costs = (asset_recovery, claim_recovery, is_failed)
    again = _once(network, dues, owed, total, cash, paid, *costs)
    residual = np.max(np.abs(again - paid) / np.take(scale, network.payer, axis=0), axis=0, initial=0.0)
    is_fixed_point = residual <= tolerance
    if asset_recovery == claim_recovery == 1.0:
        closed = _closed_sets(network, dues, owed, paid, tolerance)
        gap = np.where(closed.any(axis=0), np.inf, 0.0)
    else:
        closed = np.zeros(cash.shape, dtype=bool)
        gap = _gap_from_above(network, dues, owed, total, cash, paid, tolerance, *costs)
    return GreatestCheck(residual, gap, is_fixed_point, is_fixed_point & (gap <= 10.0 * tolerance), closed)


def _by_class(network: EdgeNetwork, amounts: FloatArray) -> FloatArray:
    """Amounts ``(E, R)`` added by class and payer, ``(classes, n, R)``."""
    out = np.zeros((network.classes, network.agents, amounts.shape[1]))
    np.add.at(out, (network.priority, network.payer), amounts)
    return out


def _once(
    network: EdgeNetwork, dues: FloatArray, owed: FloatArray, total: FloatArray, cash: FloatArray, paid: FloatArray,
    asset_recovery: float, claim_recovery: float, is_failed: BoolArray | None,
) -> FloatArray:  # fmt: skip
    """What each edge pays ``(E, R)`` when everybody pays what they can out of cash and of the payments ``paid (E, R)``."""
    received = np.zeros_like(cash)
    np.add.at(received, network.payee, paid)
    money = cash + received
    bankrupt = money < total * (1.0 - TIE) if is_failed is None else np.asarray(is_failed, dtype=bool)
    money = np.where(bankrupt, asset_recovery * cash + claim_recovery * received, money)
    share = np.zeros_like(owed)
    for rank in range(network.classes):
        given = np.minimum(owed[rank], money)
        short = given < owed[rank] * (1.0 - TIE)
        share[rank] = np.where(short, given / np.maximum(owed[rank], 1e-300), 1.0)
        money = np.maximum(money - given, 0.0)
    return np.asarray(dues * share[network.priority, network.payer])


def _closed_sets(network: EdgeNetwork, dues: FloatArray, owed: FloatArray, paid: FloatArray, tolerance: float) -> BoolArray:
    """Short agents from whom no path of marginal payments leads to an agent that pays in full, ``(n, R)``."""
    given = _by_class(network, paid)
    is_open = given < owed * (1.0 - tolerance)
    marginal = np.where(is_open.any(axis=0), np.argmax(is_open, axis=0), -1)  # the first class that is not paid in full
    closed = np.zeros(marginal.shape, dtype=bool)
    for column in range(dues.shape[1]):
        edges = np.flatnonzero((network.priority == marginal[network.payer, column]) & (dues[:, column] > 0.0))
        leaks = marginal[:, column] < 0
        closed[:, column] = ~_reaches(network.payer[edges], network.payee[edges], leaks)
    return closed


def _reaches(source: IntArray, target: IntArray, leaks: BoolArray) -> BoolArray:
    """Agents from whom a path leads to one in ``leaks (n,)``."""
    found = leaks.copy()
    while True:
        more = source[found[target] & ~found[source]]
        if not more.size:
            return found
        found[more] = True


def _gap_from_above(
    network: EdgeNetwork, dues: FloatArray, owed: FloatArray, total: FloatArray, cash: FloatArray, paid: FloatArray, tolerance: float,
    asset_recovery: float, claim_recovery: float, is_failed: BoolArray | None,
) -> FloatArray:  # fmt: skip
    """Largest distance of the payments from the upper bound that iterating from full payment gives, relative to what is owed, ``(R,)``."""
    bound = dues.copy()
    scale = np.take(np.maximum(total, 1e-300), network.payer, axis=0)
    for _ in range(PATIENCE):
        new = _once(network, dues, owed, total, cash, bound, asset_recovery, claim_recovery, is_failed)
        still = np.max((bound - new) / scale, axis=0, initial=0.0)
        bound = new
        gap = np.max((bound - paid) / scale, axis=0, initial=0.0)
        if np.all((gap <= tolerance) | (still <= 0.0)):
            break
    return np.asarray(gap)
