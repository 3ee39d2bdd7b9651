"""Importance sampling: luck is pushed in the direction in which the event lies, and every hit counts as much less as the push made it likelier.

Under a push of ``a`` standard deviations a tick, the likelihood ratio of the pushed to the true draws ``x`` up to tick t is
``exp(a x_1 + ... + a x_t - a² t / 2)``, multiplied over slots. Paths are a fixed mixture of strengths of the push, one of them zero, and a hit
weighs one over the mixture of their ratios: never more than one over the share of the unpushed [owen_zhou2000]. It is taken at the tick of the
event, where later draws no longer matter [glynn_iglehart1989]. The mean weight of the hits is unbiased for any push that does not depend on the
paths counted; a pilot finds a good one by multilevel cross-entropy [deboer2005].
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simulator.engine.paths import Outcome, World, roots
from simulator.experiments.rare import PILOT, Estimate, Stage

Array = NDArray[np.float64]
Pushes = dict[str, Array]

STRENGTHS, SHARES = (0.0, 0.5, 0.75, 1.0), (0.1, 0.25, 0.3, 0.35)
"""Mixture of strengths of the push, and their shares: some paths unpushed, against pushes that miss a part of the event."""
NOT_PUSHED = np.array([1.0, *[0.0] * (len(SHARES) - 1)])
CLEAR = 3.0
"""A slot is pushed when the mean of its draws among the best paths is so many standard errors from zero."""
HITS_ENOUGH = 10
"""Hits of the pilot from which on they alone set the push."""
STAGES_MAX = 12


def strengths(number: int) -> tuple[Array, Array]:
    """The strength of each of ``number`` paths ``(number,)``, and the exact share of each strength in them."""
    edges = np.floor(np.cumsum((0.0, *SHARES)) * number + 0.5).astype(np.int64)
    counts = np.diff(edges)
    return np.repeat(np.array(STRENGTHS), counts), counts / number


def weights(outcome: Outcome, pushes: Mapping[str, Array], shares: Array) -> Array:
    """What each path weighs: true density over that of the mixture, of its draws up to the tick of the event, ``(W,)``."""
    columns = np.arange(len(outcome.hit))
    along = outcome.along[outcome.hit_tick, columns]
    size = sum((float(np.cumsum(push * push)[-1]) for push in pushes.values()), start=0.0)
    powers = np.stack([strength * along - 0.5 * strength**2 * size * (outcome.hit_tick + 1) for strength in STRENGTHS])
    highest = np.maximum.reduce(powers, axis=0)
    mixture = np.zeros(len(columns))
    for share, power in zip(shares, powers, strict=True):
        mixture += share * np.exp(power - highest)
    weight: Array = np.exp(-highest) / mixture
    return weight


def pilot(world: World, paths: int, share: float) -> tuple[Pushes, list[Stage], int]:
    """A push by cross-entropy, what each stage found, and the work done in ticks.

    Of each stage the best ``share`` of the paths by score set the push of the next; once there are `HITS_ENOUGH` hits, those of all stages
    set it. It ends when ``share`` of the paths are hits, and with a last push set by all hits.
    """
    pushes: Pushes = {}
    stages: list[Stage] = []
    hits: list[Outcome] = []
    weights_of_hits: list[Array] = []
    for number in range(STAGES_MAX):
        strong, shares = strengths(paths) if pushes else (np.zeros(paths), NOT_PUSHED)
        batch = [path._replace(strength=float(strength)) for path, strength in zip(roots(PILOT + number, paths), strong, strict=True)]
        outcome = world.run(batch, pushes)
        peaks = outcome.peaks[-1]
        level = float(np.sort(peaks)[int(np.floor((1.0 - share) * paths))])
        best = peaks >= level
        stages.append(Stage(level, float(best.mean()), int(outcome.hit.sum()), paths))
        weight = weights(outcome, pushes, shares)
        found = np.flatnonzero(outcome.hit)
        hits.append(outcome.take(found))
        weights_of_hits.append(weight[found])
        if sum(len(each) for each in weights_of_hits) >= HITS_ENOUGH:
            pushes = _push(Outcome.joined(hits), np.concatenate(weights_of_hits), pushes)
        else:
            pushes = _push(outcome.take(np.flatnonzero(best)), weight[best], pushes)
        if np.isinf(level):
            break
    return pushes, stages, len(stages) * paths * world.ticks


def _push(outcome: Outcome, weight: Array, before: Pushes) -> Pushes:
    """Mean of the draws among the best: the push under which they are likeliest, in slots pushed before or where it is clear of chance.

    The heaviest fifth count as the next one below: a few paths would else set the push alone [ionides2008]. It is only a pilot.
    """
    weight = np.minimum(weight, np.quantile(weight, 0.8))
    total = float(np.cumsum(weight)[-1])
    months = float(np.cumsum(weight * (outcome.hit_tick + 1))[-1]) / total
    effective = total**2 / float(np.cumsum(weight**2)[-1])
    pushes = {}
    for purpose, sums in outcome.sums.items():
        mean = np.cumsum(sums * weight, axis=1)[:, -1] / total / months
        is_known = before[purpose] != 0.0 if purpose in before else np.zeros(len(mean), dtype=bool)
        pushes[purpose] = np.where(is_known | (np.abs(mean) * np.sqrt(months * effective) > CLEAR), mean, 0.0)
    return {purpose: push for purpose, push in pushes.items() if push.any()}


def estimate(world: World, pushes: Mapping[str, Array], paths: int, repetition: int) -> Estimate:
    """One unbiased estimate of the probability from ``paths`` new paths."""
    strong, shares = strengths(paths)
    batch = [path._replace(strength=float(strength)) for path, strength in zip(roots(repetition, paths), strong, strict=True)]
    outcome = world.run(batch, pushes)
    value = float(np.cumsum(weights(outcome, pushes, shares) * outcome.hit)[-1]) / paths
    return Estimate(value, (float(outcome.hit.mean()),), int(outcome.hit.sum()), paths * world.ticks)
