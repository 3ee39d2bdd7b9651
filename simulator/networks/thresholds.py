"""Threshold cascades: an agent transmits losses only once its equity is gone.

Sources: Furfine (2003), Journal of Money, Credit and Banking 35(1), sequential rounds of default with a fixed recovery; the tie rule
as in Gai & Kapadia (2010), Proceedings of the Royal Society A 466, whose calibration (0.2 / 5 against 0.04) is an exact tie; the
analytic windows of contagion from the same paper and from Watts (2002), PNAS 99(9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import pdtr

from simulator.networks._checks import TIE, BoolArray, FloatArray, IntArray, Matrix, NetworkInputError, columns, flags, share, square, switch


@dataclass(frozen=True)
class ThresholdCascade:
    """Arrays (n,) or (n, scenarios). `wave`: round of default, 0 = initial, -1 = survivor. `losses`: money lost, initial loss included.

    `equity` = equity given - losses, negative where creditors outside lose too.
    """

    defaulted: BoolArray
    wave: IntArray
    losses: FloatArray
    equity: FloatArray


def threshold_cascade(
    exposures: Matrix,
    equity: ArrayLike,
    failed: ArrayLike | None = None,
    loss: ArrayLike | None = None,
    recovery: float = 0.0,
    tie_defaults: bool = True,
) -> ThresholdCascade:
    """Rounds of default: lenders lose (1 - recovery) of what they lent to each defaulter, and default when their equity is gone.

    `exposures` (n, n), dense or sparse: [i, j] = what i lent j (on the diagonal: lost by its holder's own default, which it can't cause).
    `equity` (n,) or (n, scenarios); who has less than none defaults at once, who has none too if `tie_defaults`.
    `failed` (n,) or (n, scenarios) bool: defaults given at the start. `loss` (same shapes): money lost at the start.
    `tie_defaults`: whether a loss equal to equity (within 1e-12 relative) is a default; public codes disagree, so choose.
    An initial default is in wave 0, whether given by `failed` or by the initial loss.
    Raises NetworkInputError on negative or non-finite exposures or losses, wrong shapes, recovery outside [0, 1].
    """
    switch("tie_defaults", tie_defaults)
    lent = square("exposures", exposures)
    agents = int(lent.shape[0])
    own, own_single = columns("equity", equity, agents, negative=True)
    start, start_single = columns("loss", 0.0 if loss is None else loss, agents)
    down = np.zeros(agents, dtype=bool) if failed is None else flags("failed", failed, agents)
    single = own_single and start_single and down.ndim == 1
    down = down[:, None] if down.ndim == 1 else down
    try:
        shape = np.broadcast_shapes(own.shape, start.shape, down.shape)
    except ValueError:
        raise NetworkInputError(f"equity, loss and failed have {own.shape[1]}, {start.shape[1]} and {down.shape[1]} scenarios") from None
    own, start, down = (np.array(np.broadcast_to(array, shape)) for array in (own, start, down))
    given_default = 1.0 - share("recovery", recovery)
    # A tie is a tie within rounding of the numbers compared, on either side.
    limit = own + TIE * np.maximum(np.abs(own), 1e-300) * (-1 if tie_defaults else 1)
    losses, wave = start, np.full(shape, -1, dtype=np.int64)
    gone = down | (losses >= limit)
    wave[gone] = 0
    new, moving = gone, np.flatnonzero(gone.any(axis=0))
    for count in range(1, agents + 1):
        if moving.size == 0:
            break
        passed = given_default * (lent @ np.take(new, moving, axis=1).astype(np.float64))
        part = np.take(losses, moving, axis=1) + passed
        losses[:, moving] = part
        fresh = (part >= np.take(limit, moving, axis=1)) & ~np.take(gone, moving, axis=1)
        hit = np.take(wave, moving, axis=1)
        wave[:, moving] = np.where(fresh, count, hit)
        gone[:, moving] |= fresh
        new = np.zeros(shape, dtype=bool)
        new[:, moving] = fresh
        moving = moving[fresh.any(axis=0)]
    equity_left = own - losses
    if single:
        return ThresholdCascade(gone[:, 0], wave[:, 0], losses[:, 0], equity_left[:, 0])
    return ThresholdCascade(gone, wave, losses, equity_left)


def contagion_window(capital_ratio: float, interbank_share: float, tie_defaults: bool = True) -> tuple[float, float]:
    """Mean degrees between which a single default can spread through a large random network (Gai & Kapadia 2010, phase transition).

    Exposures are spread evenly over a Poisson number of borrowers, zero recovery: an agent with j borrowers is vulnerable when
    capital_ratio <= interbank_share / j (`<` unless `tie_defaults`), so with K the largest such j the ends solve
    z P(Poisson(z) <= K - 1) = 1. Both arguments are shares of total assets; returns (nan, nan) without a window.
    """
    return _window(_largest_degree(interbank_share / capital_ratio, tie_defaults) - 1)


def adoption_window(threshold: float) -> tuple[float, float]:
    """Mean degrees between which one adopter can start a global cascade on a Poisson random graph (Watts 2002, eq. 5).

    A vertex adopts when a share of at least `threshold` of its neighbours has: z P(Poisson(z) <= K - 2) = 1, K = floor(1 / threshold).
    """
    return _window(_largest_degree(1.0 / threshold, True) - 2)


def _largest_degree(limit: float, tie_counts: bool) -> int:
    nearest = round(limit)
    if abs(limit - nearest) <= 1e-9 * limit:
        return nearest if tie_counts else nearest - 1
    return int(np.floor(limit))


def _window(most: int) -> tuple[float, float]:
    from scipy.optimize import brentq  # slow to load

    def excess(degree: float) -> float:
        return float(degree * pdtr(most, degree) - 1.0)

    grid = np.linspace(0.5, 4.0 * most + 10.0, 4000)
    top = float(grid[np.argmax([excess(degree) for degree in grid])])
    if most < 0 or excess(top) <= 0:
        return float("nan"), float("nan")
    return float(brentq(excess, 0.1, top, xtol=1e-14)), float(brentq(excess, top, 10.0 * most + 50.0, xtol=1e-14))
