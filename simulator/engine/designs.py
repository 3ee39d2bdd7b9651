"""Designs: the points at which uncertain parameters are tried, as numbers in [0, 1) that quantile functions turn into parameters.

All numbers come from named streams (`simulator.engine.randomness`), so that a design is the same on every machine and however it is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.engine.randomness import BELOW_ONE
from simulator.errors import InputError
from simulator.streams import stream, stream_of_seed

Array = NDArray[np.float64]

LEVELS: int = 4
"""Levels of the grid of Morris' method; a step is two thirds of a parameter's range."""


@dataclass(frozen=True)
class Design:
    """``shares (P, d)``: the points; ``groups (P,)``: independent parts of the design, of equal size. Their means give its interval."""

    shares: Array
    groups: NDArray[np.int64]

    @property
    def points(self) -> int:
        """Number of points P."""
        return len(self.shares)


def make_design(kind: str, seed: int, points: int, parameters: int, randomisations: int = 16) -> Design:
    """A design of ``points`` points in ``parameters`` dimensions.

    ``plain`` and ``nested``: independent points. ``antithetic``: pairs u and 1 - u. ``latin_hypercube``: each parameter takes each of its strata once
    (McKay, Beckman and Conover 1979). ``sobol``: a scrambled Sobol' net (Owen 1995). The last two are ``randomisations`` independent designs of equal
    size, because only whole designs are independent of each other. InputError where the number of points does not fit.
    """
    if kind in ("plain", "nested"):
        return Design(stream(seed, 0, "design/plain").random((points, parameters)), np.arange(points, dtype=np.int64))
    if kind == "antithetic":
        if points % 2:
            raise InputError(f"experiment.points: {points} is odd; an antithetic design has pairs (try {points + 1})")
        half = stream(seed, 0, "design/plain").random((points // 2, parameters))
        both = np.stack([half, np.minimum(1.0 - half, BELOW_ONE)], axis=1).reshape(points, parameters)
        return Design(both, np.repeat(np.arange(points // 2, dtype=np.int64), 2))
    size, rest = divmod(points, randomisations)
    if rest or not size:
        raise InputError(f"experiment.points: {points} is no multiple of experiment.randomisations, {randomisations}")
    if kind == "sobol" and size & (size - 1):
        raise InputError(
            f"experiment.points: {points} points in {randomisations} randomisations are {size} each, no power of two, which a Sobol' net needs "
            f"(try {randomisations * 2 ** (size - 1).bit_length()})"
        )
    parts = [_net(kind, seed, number, f"design/{kind}", size, parameters) for number in range(randomisations)]
    return Design(np.concatenate(parts), np.repeat(np.arange(randomisations, dtype=np.int64), size))


def _net(kind: str, seed: int, number: int, purpose: str, size: int, parameters: int) -> Array:
    from scipy.stats import qmc  # all of scipy.stats takes a third of a second to load

    source = stream_of_seed(int(stream(seed, number, purpose).integers(2**63)))  # SciPy makes further generators of it, which needs a seed
    if kind == "sobol":
        drawn = qmc.Sobol(parameters, scramble=True, rng=source).random(size)
    else:
        drawn = qmc.LatinHypercube(parameters, rng=source).random(size)
    return np.minimum(np.asarray(drawn, dtype=np.float64), BELOW_ONE)


def saltelli_design(seed: int, samples: int, parameters: int) -> Array:
    """Points for Sobol' indices, ``((parameters + 2) samples, parameters)``: matrices A and B, then A with each column of B in turn.

    A and B are halves of one scrambled Sobol' net in twice as many dimensions. ``samples``: a power of two. Source: Saltelli et al. (2010).
    """
    if samples & (samples - 1):
        raise InputError(f"experiment.samples: {samples} is no power of two, which a Sobol' net needs (try {2 ** (samples - 1).bit_length()})")
    net = _net("sobol", seed, 0, "design/sensitivity", samples, 2 * parameters)
    first, second = net[:, :parameters], net[:, parameters:]
    blocks = [first, second]
    for column in range(parameters):
        mixed = first.copy()
        mixed[:, column] = second[:, column]
        blocks.append(mixed)
    return np.concatenate(blocks)


def morris_design(seed: int, trajectories: int, parameters: int) -> Array:
    """Points of Morris' method, ``(trajectories, parameters + 1, parameters)``: on each trajectory every parameter takes one step of two thirds.

    Source: Morris (1991), Technometrics 33, 161-174, with four levels.
    """
    step = LEVELS / (2.0 * (LEVELS - 1))
    found = np.empty((trajectories, parameters + 1, parameters))
    for number in range(trajectories):
        draw = stream(seed, number, "design/morris")
        low = draw.integers(LEVELS // 2, size=parameters) / (LEVELS - 1.0)
        rises = draw.random(parameters) < 0.5
        point = np.where(rises, low, low + step)
        found[number, 0] = point
        for place, column in enumerate(draw.permutation(parameters).tolist()):
            point = point.copy()
            point[column] += step if rises[column] else -step
            found[number, place + 1] = point
    return np.clip(found, 0.0, BELOW_ONE)
