"""Paths for rare events: replications that branch off one another at a tick, or whose luck is pushed in one direction, and how near they come.

A path is rerun from the start with the draws of those it descends from up to the tick of branching, and its own draws from there on. So a
clone is exact without a copy of the engine's state, for any economy, policy or switch; the price is a whole run a clone, and it is counted.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from scenarios.changes import Scenario
from scenarios.economy import Economy
from simulator.engine import default_tables
from simulator.engine.executors import work_through
from simulator.engine.foresight import foreseen_sales
from simulator.engine.montecarlo import WIDE, Plan
from simulator.engine.randomness import Branch, PathDraws
from simulator.engine.recorder import SYSTEMIC

if TYPE_CHECKING:
    from simulator.engine.model import ContagionModel

Array = NDArray[np.float64]

EVENTS = {"systemic": 1.0, "systemic_at_half": 0.5, "systemic_at_double": 2.0}
"""Events, with the factor on the debt share of the definition."""
LOSS_GIVEN_DEFAULT = 0.6
"""Turns a CDS premium into a yearly probability of default: the market's convention of 40 % recovery."""
FIRST_ROOT, ROOTS = 1 << 40, 1 << 24
"""Numbers of the replications that paths begin as: far from those of a run; so many a repetition."""


class Path(NamedTuple):
    """Number whose luck it begins with, its branches in the order of ticks, and how strongly its luck is pushed."""

    root: int
    branches: tuple[Branch, ...] = ()
    strength: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of W paths: ``scores (T, W)``, ``hit (W,)``, the tick of the event ``hit_tick (W,)`` (the last tick where there was none),
    sums of draws up to that tick by purpose ``(slots, W)``, and ``along (T, W)`` as `PathDraws.along`."""

    scores: Array
    hit: NDArray[np.bool_]
    hit_tick: NDArray[np.int64]
    sums: Mapping[str, Array] = field(default_factory=dict)
    along: Array = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def peaks(self) -> Array:
        """Highest score so far, ``(T, W)``; infinite at the last tick where the event happened, so that no hit is below any level."""
        peaks = np.maximum.accumulate(self.scores, axis=0)
        peaks[-1, self.hit] = np.inf
        return peaks

    @staticmethod
    def joined(parts: Sequence[Outcome]) -> Outcome:
        """Outcomes side by side."""
        return Outcome(
            np.concatenate([part.scores for part in parts], axis=1), np.concatenate([part.hit for part in parts]),
            np.concatenate([part.hit_tick for part in parts]),
            {name: np.concatenate([part.sums[name] for part in parts], axis=1) for name in parts[0].sums},
            np.concatenate([part.along for part in parts], axis=1),
        )  # fmt: skip

    def take(self, columns: NDArray[np.int64]) -> Outcome:
        """Some of the paths."""
        sums = {name: values[:, columns] for name, values in self.sums.items()}
        return Outcome(self.scores[:, columns], self.hit[columns], self.hit_tick[columns], sums, self.along[:, columns])


class World(Protocol):
    """Anything with paths: the engine, or in tests a random walk."""

    @property
    def seed(self) -> int:
        """The seed of its streams."""

    @property
    def ticks(self) -> int:
        """Ticks of a path."""

    def run(self, paths: Sequence[Path], pushes: Mapping[str, Array]) -> Outcome:
        """What becomes of the paths, in their order."""


def roots(repetition: int, number: int) -> list[Path]:
    """The first paths of a repetition, each with luck of its own. Repetitions below 65,536 are counted, those above are for pilots."""
    return [Path(FIRST_ROOT + repetition * ROOTS + place) for place in range(number)]


@dataclass(frozen=True)
class EngineWorld:
    """The engine under one scenario, and the event looked for; ``plan`` gives seed, chunk, horizon, systemic rule and where it is computed."""

    economy: Economy
    scenario: Scenario
    plan: Plan
    event: str = "systemic"

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.plan.seed

    @property
    def ticks(self) -> int:
        """Months of the horizon."""
        return self.plan.horizon_months

    @property
    def rule(self) -> dict[str, float]:
        """The definition of the event."""
        known = {**SYSTEMIC, **(self.plan.systemic or {})}
        return known | {"debt_share": known["debt_share"] * EVENTS[self.event]}

    def run(self, paths: Sequence[Path], pushes: Mapping[str, Array]) -> Outcome:
        """What becomes of the paths, in their order; computed in chunks, by all workers."""
        workers = self.plan.where.workers
        chunk = min(self.plan.chunk, -(-len(paths) // workers))
        tasks = [tuple(paths[first : first + chunk]) for first in range(0, len(paths), chunk)]
        found: dict[int, Outcome] = {}
        where = replace(self.plan.where, workers=max(1, min(workers, len(tasks))))
        with closing(work_through(list(enumerate(tasks)), _run_chunk, (self, pushes), where, _name)) as results:
            for (place, _), outcome in results:
                found[place] = outcome
        return Outcome.joined([found[place] for place in sorted(found)])


def _name(task: tuple[int, Sequence[Path]]) -> str:
    return f"chunk {task[0]} of {len(task[1])} paths"


def _run_chunk(shared: tuple[EngineWorld, Mapping[str, Array]], task: tuple[int, Sequence[Path]]) -> Outcome:
    from agents.registry import FIRM_KINDS  # Mesa is slow to load, and who only hands out the work does without
    from simulator.engine.model import ContagionModel

    (world, pushes), paths, plan = shared, task[1], shared[0].plan
    with threadpool_limits(limits=1):
        draws = PathDraws(
            plan.seed, [path.root for path in paths], plan.horizon_months, len(world.economy.ids), [path.branches for path in paths],
            pushes, np.array([path.strength for path in paths]),
        )  # fmt: skip
        model = ContagionModel(
            world.economy, rng=plan.seed, replications=range(len(paths)), horizon_months=plan.horizon_months, changes=world.scenario.changes,
            channels=dict(world.scenario.channels), mesa_agents=False, draws=draws, foreseen=foreseen_sales(world.economy, plan.horizon_months),
        )  # fmt: skip
        scores = np.zeros((plan.horizon_months, len(paths)))
        for tick in range(plan.horizon_months):
            model.step()
            scores[tick] = debt_at_risk(model)[0]
        hit = model.recorder.outcomes(plan.systemic)[world.event].to_numpy()
        ticks = np.full(len(paths), plan.horizon_months - 1)
        defaults = default_tables.defaults(model.recorder)
        for column, tick in first_ticks(defaults[defaults["replication"].isin(np.flatnonzero(hit))], world.rule, model.debt_at_start):
            ticks[column] = tick
        is_firm = np.isin(world.economy.kinds, FIRM_KINDS)[:, None]  # the others have draws of their own that no rule reads
        sums = {purpose: values if len(values) == 1 else values * is_firm for purpose, values in draws.sums(ticks).items()}
        found = Outcome(scores, hit, ticks, sums, draws.along(pushes))
    if len(paths) >= WIDE:
        gc.collect()
    return found


def debt_at_risk(model: ContagionModel) -> Array:
    """The score: share of the modelled debt that is expected to default within a year, ``(1, R)``.

    Debt of those alive times market leverage times the yearly probability of default that their CDS imply. It rises by diffusion before
    anybody fails, which is what levels need; any other function would give the same probability, only less or more exactly.
    """
    books = model.books
    likely = np.minimum(books["cds"] / LOSS_GIVEN_DEFAULT, 1.0) * books["leverage"] * books["alive"] * books.can_default[:, None]
    return model.ledger.sum(books["debt"] * likely) / np.maximum(model.debt_at_start, 1e-9)


def first_ticks(defaults: pd.DataFrame, rule: Mapping[str, float], modelled_debt: Array) -> Iterator[tuple[int, int]]:
    """Replication and first tick by which the definition is met, for those of the table ``defaults`` where it is; ``modelled_debt (R,)``.

    Rounding is left a little room: an event that the recorder finds is not missed here.
    """
    for number, rows in defaults.groupby("replication"):
        least = rule["debt_share"] * modelled_debt[int(str(number))] * (1.0 - 1e-12)
        ticks, debt, kinds = rows["tick"].to_numpy(), rows["debt"].to_numpy(), rows["kind"].to_numpy()
        for tick in np.unique(ticks):
            window = (ticks <= tick) & (ticks > tick - rule["months"])
            amount = float(np.cumsum(debt[window])[-1])
            if len(set(kinds[window])) >= rule["kinds"] and amount >= least:
                yield int(str(number)), int(tick)
                break
