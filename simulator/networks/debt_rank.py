"""DebtRank: distress that travels from borrowers to lenders before anybody defaults.

Sources: Bardoscia, Battiston, Caccioli & Caldarelli (2015), PLoS ONE 10(6), eq. 5 (increments pass every round); Battiston, Puliga,
Kaushik, Tasca & Caldarelli (2012), Scientific Reports 2 (distress passes once, impact capped at 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from simulator.networks._checks import (
    TIE,
    BoolArray,
    FloatArray,
    IntArray,
    Matrix,
    NetworkInputError,
    NotConverged,
    columns,
    numbers,
    share,
    square,
    switch,
    whole,
)

BLOCK = 1 << 15  # numbers in one working array: small enough for the processor's cache


@dataclass(frozen=True)
class DebtRank:
    """Arrays (n,) or (n, scenarios), scalars or (scenarios,), by the shape of `loss`.

    `stress`: share of equity lost, in [0, 1]. `defaulted`: stress is 1. `value`: weighted stress beyond the initial one.
    `losses`: money lost, where losses beyond equity count too (creditors outside bear them); not capped at equity. `rounds`.
    """

    stress: FloatArray
    defaulted: BoolArray
    value: FloatArray
    losses: FloatArray
    rounds: IntArray


def debt_rank(
    exposures: Matrix,
    equity: ArrayLike,
    loss: ArrayLike,
    weights: ArrayLike | None = None,
    once: bool = False,
    cap_impact: bool | None = None,
    tolerance: float = 1e-12,
    rounds: int = 100_000,
) -> DebtRank:
    """Stress of each agent after an initial `loss`, and the weighted stress the network adds (Bardoscia et al. 2015, eq. 5).

    `exposures` (n, n), dense or sparse: [i, j] = what i lent j; the diagonal is left as given (own holdings pass stress to oneself).
    `equity` (n,), `loss` (n,) or (n, scenarios): initial share of equity lost, in [0, 1]. `weights` (n,), default exposures of each
    as a share of all, normalised to sum to 1.
    The impact of j on i is exposures[i, j] / equity[i]; an agent without equity passes nothing more on and is in full stress at once
    when it lent anything to a stressed borrower. By default each round passes on the increment of stress, stress being capped at 1.
    `once`: an agent passes its stress on only in the round after it is first hit (Battiston et al. 2012), the impact being capped
    at 1 unless `cap_impact=False`; `cap_impact` may also be set for the default rule.
    Stops a scenario when the stress still to come, judged by the last two rounds, is below `tolerance`.
    Raises NetworkInputError on negative or non-finite input and on loss above 1; NotConverged after `rounds`.
    """
    switch("once", once)
    switch("cap_impact", once if cap_impact is None else cap_impact)
    tolerance, rounds = share("tolerance", tolerance), whole("rounds", rounds, 1)
    lent = square("exposures", exposures)
    agents = int(lent.shape[0])
    own = _vector("equity", equity, agents)
    initial, single = columns("loss", loss, agents)
    if (initial > 1).any():
        at = np.argwhere(initial > 1)[0]
        raise NetworkInputError(f"loss[{int(at[0])}, {int(at[1])}] = {initial.max():g} is above 1")
    heavy = np.asarray(lent @ np.ones(agents)) if weights is None else _vector("weights", weights, agents)
    in_all = float(np.cumsum(heavy)[-1])
    heavy = heavy / in_all if in_all > 0 else heavy
    # Without equity any loss is a loss of everything.
    with np.errstate(over="ignore"):  # an equity next to nothing: as good as none
        impact = sparse.csr_matrix(sparse.diags(np.minimum(1.0 / np.where(own > 0, own, 1.0), 1e300)) @ lent)
    if (own <= 0).any():
        wiped = np.repeat(own <= 0, np.diff(impact.indptr))
        impact.data = np.where(wiped & (impact.data > 0), np.inf, impact.data)
    if once if cap_impact is None else cap_impact:
        impact.data = np.minimum(impact.data, 1.0)
    finite = sparse.csr_matrix((np.minimum(impact.data, 1e300), impact.indices, impact.indptr), impact.shape)
    stress, total, used = np.empty(initial.shape), np.empty(initial.shape), np.empty(initial.shape[1], dtype=np.int64)
    block = max(1, BLOCK // agents)
    for begin in range(0, initial.shape[1], block):
        part = np.ascontiguousarray(initial[:, begin : begin + block])
        at = slice(begin, begin + part.shape[1])
        stress[:, at], total[:, at], used[at] = _spread(finite, part, once, tolerance, rounds)
    defaulted = stress >= 1 - TIE
    added = sparse.csr_matrix(heavy[None, :]) @ (stress - np.minimum(initial, 1.0))
    losses = np.minimum(total, 1e300) * own[:, None]
    if single:
        return DebtRank(stress[:, 0], defaulted[:, 0], np.asarray(added[0, 0]), losses[:, 0], used[0])
    return DebtRank(stress, defaulted, np.asarray(added)[0], losses, used)


def _spread(
    impact: sparse.csr_matrix, initial: FloatArray, once: bool, tolerance: float, rounds: int
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Stress, uncapped stress (both (n, R)) and rounds (R,)."""
    scenarios = initial.shape[1]
    stress_out, total_out = np.empty(initial.shape), np.empty(initial.shape)
    used = np.zeros(scenarios, dtype=np.int64)
    where: IntArray = np.arange(scenarios)
    total, stress, passing = np.array(initial), np.minimum(initial, 1.0), np.minimum(initial, 1.0)
    passed = passing > 0 if once else None
    before, last_check = np.full(scenarios, np.inf), -1
    # What is passed on is multiplied by the impact, so the stress and losses to come are that much larger.
    multiplier = min(max(1.0, float(np.max(impact @ np.ones((impact.shape[1], 1)), initial=0.0))), 1e6)
    for count in range(rounds + 1):
        # Looking costs as much as a round, so later rounds are looked at in fours.
        checked = once or count <= 8 or count % 4 == 0 or count == rounds
        if checked:
            change = multiplier * np.maximum.reduce(passing, axis=0)
            ratio = np.where(before > 0, change / np.where(before > 0, before, 1.0), 0.0)
            ratio = np.minimum(ratio if count - last_check == 1 else np.sqrt(np.sqrt(ratio)), 1 - 1e-9)
            done = (change <= 1e-300) | (change * np.maximum(1.0, ratio / (1 - ratio)) <= tolerance)
            before, last_check = change, count
        if checked and done.any():
            at = where[done]
            stress_out[:, at], total_out[:, at], used[at] = np.compress(done, stress, axis=1), np.compress(done, total, axis=1), count
            if done.all():
                return stress_out, total_out, used
            keep = ~done
            where, before = where[keep], before[keep]
            total, stress, passing = (np.compress(keep, array, axis=1) for array in (total, stress, passing))
            passed = None if passed is None else np.compress(keep, passed, axis=1)
        increment = impact @ passing
        total += increment
        new = np.minimum(total, 1.0)
        if passed is not None:
            passing = np.where(passed, 0.0, new)
            passed = passed | (new > 0)
        else:
            # Not `new - stress`: the increment itself keeps shrinking where a difference would stall at the last bit.
            passing = np.where(total < 1.0, increment, np.subtract(1.0, stress, out=stress))
        stress = new
    raise NotConverged(f"stress of scenario {int(where[0])} did not settle within {rounds} rounds")


def _vector(name: str, values: ArrayLike, agents: int) -> FloatArray:
    array = numbers(name, values)
    if array.shape not in ((), (agents,)):
        raise NetworkInputError(f"{name} has shape {array.shape}; expected ({agents},)")
    return np.array(np.broadcast_to(array, (agents,)))
