"""Multilevel splitting with fixed levels and fixed effort: paths that come nearer to the event are branched, and shares of levels multiplied.

At each level the paths that reached it are the parents of ``effort`` clones, all of them equally often up to one lot drawn at random; a clone
has its parent's draws up to the tick of reaching the level, and its own after. The product of the shares is unbiased for any levels and any
score that do not depend on the paths counted [glasserman1999] [lecuyer2007]. A path that jumps
across several levels reaches all of them at once, and its clones do; a tie reaches the level; nobody above a level makes the estimate zero.
A hit counts as above every level. Levels that adapt to the paths counted would need the care of [brehier2016]: here a pilot sets them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulator.engine.paths import Outcome, Path, World, roots
from simulator.engine.randomness import drawn_lots
from simulator.experiments.rare import PILOT, Estimate, Stage

LEVELS_MAX = 30


def pilot(world: World, paths: int, share: float) -> tuple[tuple[float, ...], list[Stage], int]:
    """Levels that about ``share`` of the paths reach from the one before, what each stage found, and the work done in ticks."""
    levels: list[float] = []
    stages: list[Stage] = []
    batch = roots(PILOT, paths)
    outcome, work = world.run(batch, {}), paths * world.ticks
    while True:
        peaks = outcome.peaks[-1]
        level = float(np.sort(peaks)[int(np.floor((1.0 - share) * paths))])
        if levels and level <= levels[-1]:  # ties: the next higher value, if there is one
            higher = peaks[peaks > levels[-1]]
            level = float(higher.min()) if len(higher) else np.inf
        stages.append(Stage(level, float((peaks >= level).mean()), int(outcome.hit.sum()), paths))
        if np.isinf(level) or len(levels) == LEVELS_MAX:
            return tuple(levels), stages, work
        levels.append(level)
        batch, outcome, done = advance(world, batch, outcome, level, (PILOT, len(levels)))
        work += done


def estimate(world: World, levels: Sequence[float], effort: int, repetition: int) -> Estimate:
    """One unbiased estimate of the probability, with ``effort`` paths at each of the levels."""
    batch = roots(repetition, effort)
    outcome, work = world.run(batch, {}), effort * world.ticks
    value, shares = 1.0, []
    for number, level in enumerate(levels, 1):
        shares.append(float((outcome.peaks[-1] >= level).mean()))
        value *= shares[-1]
        if value == 0.0:
            return Estimate(0.0, tuple(shares), 0, work)
        batch, outcome, done = advance(world, batch, outcome, level, (repetition, number))
        work += done
    shares.append(float(outcome.hit.mean()))
    return Estimate(value * shares[-1], tuple(shares), int(outcome.hit.sum()), work)


def advance(world: World, batch: Sequence[Path], outcome: Outcome, level: float, name: tuple[int, int]) -> tuple[list[Path], Outcome, int]:
    """As many clones of the paths that reached the level, what becomes of them, and the work in ticks. ``name``: repetition and level.

    A clone of a path that reached the level at the last tick has nothing left to draw: it is its parent, and costs nothing.
    """
    effort, (repetition, number) = len(batch), name
    peaks = outcome.peaks
    reached = np.flatnonzero(peaks[-1] >= level)
    children = np.full(len(reached), effort // len(reached), dtype=np.int64)
    children[drawn_lots(world.seed, repetition, number, len(reached), effort % len(reached))] += 1
    parents = np.repeat(reached, children)
    first = np.argmax(peaks[:, parents] >= level, axis=0) + 1  # the tick from which on a clone has draws of its own
    clones = []
    for place, (parent, tick) in enumerate(zip(parents.tolist(), first.tolist(), strict=True)):
        child = place - int(np.searchsorted(parents, parent))
        old = batch[parent]
        kept = tuple(branch for branch in old.branches if branch[0] < tick)  # a later branch would not be lived to see
        clones.append(old._replace(branches=(*kept, (tick, repetition, number, parent, child))) if tick < world.ticks else old)
    moved = first < world.ticks
    if not moved.any():
        return clones, outcome.take(parents), 0
    fresh = world.run([clone for clone, is_new in zip(clones, moved, strict=True) if is_new], {})
    both = Outcome.joined([outcome.take(parents[~moved]), fresh]) if not moved.all() else fresh
    order = np.argsort(np.concatenate([np.flatnonzero(~moved), np.flatnonzero(moved)]), kind="stable")
    return clones, both.take(order.astype(np.int64)), int(moved.sum()) * world.ticks


