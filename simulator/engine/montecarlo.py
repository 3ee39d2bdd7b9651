"""Monte Carlo: replications in blocks, blocks in chunks sized for the cache, the same draws for every scenario, wherever it is computed.

A *block* of replications of one scenario is one file a table where files are kept. A *chunk* is what is stepped together, a part of a block
or several blocks: it changes memory and speed, never a number, and never a file.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from scenarios.changes import Scenario
from scenarios.economy import Economy
from simulator.engine.crew import Crew
from simulator.engine.executors import Execution, work_through
from simulator.engine.foresight import foreseen_sales
from simulator.engine.heartbeat import beat
from simulator.engine.randomness import Draws
from simulator.engine.recorded import PANEL, SERIES, month_name
from simulator.errors import InputError

Array = NDArray[np.float64]
Tables = dict[str, pd.DataFrame]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
UNCONVERGED_MAX = 1e-4
"""Share of replications that may fail to converge; above it the run fails."""
BLOCK_MIN, BLOCKS_MAX = 500, 100
"""A block has this many replications or more, and a run at most so many blocks a scenario: a million replications are a hundred files a table."""
PANEL_BYTES = 64e6
"""Most bytes of the panel of agents that are held at a time: it sets the chunk when all agents are recorded."""
QUANTILE_BYTES = 64e6
WIDE = 100
"""Replications from which on the arrays of a chunk are worth collecting at once."""


@dataclass(frozen=True)
class Plan:
    """What is run: replications 0 … ``replications - 1`` of each scenario, in chunks of ``chunk``, and where (``execution``, else ``workers``).

    ``block``: replications in one file; 0: a hundredth of all, 500 at least.
    """

    replications: int = 1000
    seed: int = 1
    chunk: int = 2000
    horizon_months: int = 60
    record: str = "summary"
    systemic: dict[str, float] | None = None
    workers: int = 1
    block: int = 0
    execution: Execution | None = None
    contributions: bool = False  # counterfactuals beside the accounting: many times the work
    amplification: bool = False

    @property
    def block_size(self) -> int:
        """Replications in a block."""
        return self.block or BLOCK_MIN * max(1, -(-self.replications // (BLOCK_MIN * BLOCKS_MAX)))

    @property
    def where(self) -> Execution:
        """Where it is computed."""
        return self.execution or Execution("local" if self.workers > 1 else "serial", self.workers)


class Unit(NamedTuple):
    """One block of one scenario: the replications ``first`` … ``stop - 1`` (block number ``block``) of the scenario at position ``scenario``."""

    scenario: int
    block: int
    first: int
    stop: int


class Writer(Protocol):
    """Takes the tables of one unit, chunk by chunk."""

    def add(self, tables: Tables) -> None:
        """Keep the tables of the next chunk."""

    def close(self, series: Array) -> dict[str, dict[str, Any]]:
        """Keep the series ``(series, replication, tick)`` (empty unless record=summary); names of the files written with what is known of them."""

    def discard(self) -> None:
        """Leave nothing."""


class Keep(Protocol):
    """Where the tables of units go; workers write their own."""

    def open(self, unit: Unit) -> Writer:
        """A writer for one unit. Raises InputError when this worker may not take part."""


@dataclass(frozen=True)
class Job:
    """What every worker needs to know. ``keep``: None hands the tables back instead of writing them."""

    economy: Economy
    scenarios: tuple[Scenario, ...]
    plan: Plan
    foreseen: Array | None
    keep: Keep | None = None

    @property
    def preload(self) -> tuple[str, ...]:
        """Modules that a worker will need."""
        return ("simulator.engine.model", *(() if self.keep is None else (type(self.keep).__module__,)))


@dataclass
class Done:
    """What became of a unit: counts, and its files (when kept) or its tables and series."""

    counts: dict[str, int]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: Tables = field(default_factory=dict)
    series: Array | None = None


COUNTS = ("replications", "defaults", "systemic", "unconverged")


def chunks(replications: int, chunk: int) -> Iterator[range]:
    """The replication numbers of each chunk."""
    for first in range(0, replications, chunk):
        yield range(first, min(first + chunk, replications))


def units(scenarios: int, plan: Plan) -> Iterator[Unit]:
    """All pieces of work, block by block, within a block scenario by scenario, back and forth.

    A scenario with more defaults takes longer: back and forth, each of two workers gets it as often as the other, and neither waits at the end.
    """
    for block, numbers in enumerate(chunks(plan.replications, plan.block_size)):
        for scenario in range(scenarios) if block % 2 == 0 else reversed(range(scenarios)):
            yield Unit(scenario, block, numbers.start, numbers.stop)


def job_of(economy: Economy, scenarios: Sequence[Scenario], plan: Plan, keep: Keep | None = None) -> Job:
    """The job of a run. Raises InputError when two scenarios have one label."""
    labels = [scenario.label for scenario in scenarios]
    if len(set(labels)) != len(labels):
        raise InputError(f"experiment: two scenarios have the label {max(labels, key=labels.count)!r}; each scenario needs its own")
    return Job(economy, tuple(scenarios), plan, foreseen_sales(economy, plan.horizon_months), keep)


def most_together(plan: Plan, chunk: int) -> int:
    """Units of a plan that fit into one ``chunk``, one at least."""
    return max(1, chunk // plan.block_size)


def together(wanted: Iterable[Unit], most: int, workers: int) -> Iterator[tuple[Unit, ...]]:
    """Pieces of work: up to ``most`` units of one scenario, to be stepped together, and fewer where some worker would be left without any."""
    in_order = list(wanted)
    waiting = {scenario: deque(unit for unit in in_order if unit.scenario == scenario) for scenario in {unit.scenario for unit in in_order}}
    left, handed, size = len(in_order), 0, 1
    for unit in in_order:
        own = waiting[unit.scenario]
        if not own or own[0] != unit:  # gone with an earlier one
            continue
        if handed % workers == 0:
            size = min(most, max(1, left // workers))
        piece = tuple(own.popleft() for _ in range(min(size, len(own))))
        left, handed = left - len(piece), handed + 1
        yield piece


def compute(
    job: Job, wanted: Iterable[Unit], crew: Crew | None = None, on_part: Callable[[float], None] | None = None
) -> Generator[tuple[Unit, Done]]:
    """Every unit with what became of it, in the order of completion. Close the iterator to stop; raises as `work_through`.

    ``on_part`` hears how many replications' worth of work is done of units that are not finished.
    """

    def name(piece: tuple[Unit, ...]) -> str:
        return f"replications {piece[0].first} to {piece[-1].stop - 1} of '{job.scenarios[piece[0].scenario].label}'"

    def heard_for(told: Callable[[float], None]) -> Callable[[Sequence[tuple[tuple[Unit, ...], float]]], None]:
        return lambda shares: told(sum(share * sum(unit.stop - unit.first for unit in piece) for piece, share in shares))

    plan = job.plan
    most = 1 if plan.where.scheduler is not None else most_together(plan, _chunk_of(job))  # nobody knows how many a scheduler's workers are
    on_shares = None if on_part is None else heard_for(on_part)
    with closing(work_through(together(wanted, most, plan.where.workers), run_units, job, plan.where, name, crew, on_shares)) as results:
        for piece, done in results:
            yield from zip(piece, done, strict=True)


def run_scenarios(
    economy: Economy, scenarios: Sequence[Scenario], plan: Plan, on_progress: Callable[[int, int], None] | None = None
) -> Tables:
    """Run every scenario on the same draws and return the tables of all of them, by scenario and replication.

    ``on_progress(replications, defaults)`` is told of every finished unit. BLAS runs on one thread, so that bits do not depend on the machine's
    cores. Raises InputError for doubled labels, ArithmeticError when more than one replication in 10,000 does not converge.
    """
    job = job_of(economy, scenarios, plan)
    finished: dict[Unit, Done] = {}
    with closing(compute(job, _enough_for(units(len(job.scenarios), plan), job))) as results:
        for unit, done in results:
            finished[unit] = done
            if on_progress is not None:
                on_progress(done.counts["replications"], done.counts["defaults"])
    check_convergence(done.counts for done in finished.values())
    parts = [finished[unit] for unit in sorted(finished)]
    tables = {name: _joined([done.tables[name] for done in parts]) for name in parts[0].tables}
    if plan.record == "summary":
        frames = []
        for position, scenario in enumerate(job.scenarios):
            pieces = [done.series for unit, done in sorted(finished.items()) if unit.scenario == position and done.series is not None]
            series = np.concatenate(pieces, axis=1) if len(pieces) > 1 else pieces[0]
            frames.append(quantiles_over_replications(scenario.label, economy.start, series.__getitem__))
        tables["ticks"] = pd.concat(frames, ignore_index=True)
    return tables


def _enough_for(wanted: Iterator[Unit], job: Job) -> Iterator[Unit]:
    """Smaller units where there are fewer blocks than workers: nothing is kept in files, so nobody sees where they are cut."""
    blocks, workers = list(wanted), job.plan.where.workers
    for unit in blocks:
        width = unit.stop - unit.first if len(blocks) >= workers else job.plan.chunk
        for first in range(unit.first, unit.stop, width):
            yield unit._replace(first=first, stop=min(first + width, unit.stop))


def check_convergence(counts: Iterable[Mapping[str, int]]) -> None:
    """Raises ArithmeticError when more than one replication in 10,000 has not converged."""
    known = list(counts)
    share = sum(one["unconverged"] for one in known) / max(sum(one["replications"] for one in known), 1)
    if share > UNCONVERGED_MAX:
        raise ArithmeticError(f"{share:.2%} of the replications did not converge (at most {UNCONVERGED_MAX:.2%} may)")


# ---------------------------------------------------------------------- one unit


def run_units(job: Job, piece: Sequence[Unit]) -> list[Done]:
    """Step the replications of some units of one scenario, chunk by chunk, and keep or hand back the tables of each in the order of replications."""
    finished = [Done(dict.fromkeys(COUNTS, 0)) for _ in piece]
    parts: list[tuple[list[Tables], list[Array]]] = [([], []) for _ in piece]
    numbers = [number for unit in piece for number in range(unit.first, unit.stop)]
    width = _chunk_of(job)
    width = -(-len(numbers) // -(-len(numbers) // width))  # chunks of a size: a narrow one costs more a replication
    writers: list[Writer] = []
    try:
        if job.keep is not None:
            writers.extend(map(job.keep.open, piece))
        for first in range(0, len(numbers), width):
            chunk = tuple(numbers[first : first + width])
            if width >= WIDE:
                gc.collect()  # model, books and agents know each other: arrays of the chunk before would wait for the collector
            tables, recorded = run_chunk(job, job.scenarios[piece[0].scenario], chunk, first / len(numbers), len(chunk) / len(numbers))
            for place, unit in enumerate(piece):
                if unit.stop <= chunk[0] or unit.first > chunk[-1]:
                    continue
                own, series = _of_unit(unit, chunk, tables, recorded)
                _count(finished[place].counts, own["replications"])
                parts[place][1].append(series)
                if writers:
                    writers[place].add(own)
                else:
                    parts[place][0].append(own)
        for place, (done, (kept, pieces)) in enumerate(zip(finished, parts, strict=True)):
            series = np.concatenate(pieces, axis=1) if len(pieces) > 1 else pieces[0]
            if writers:
                done.files = writers[place].close(series)
            else:
                done.tables, done.series = {name: _joined([tables[name] for tables in kept]) for name in kept[0]}, series
    except BaseException:
        for writer in writers:
            writer.discard()
        raise
    return finished


def _of_unit(unit: Unit, chunk: Sequence[int], tables: Tables, series: Array) -> tuple[Tables, Array]:
    """What a chunk has of one unit."""
    if unit.first <= chunk[0] and chunk[-1] < unit.stop:
        return tables, series
    mine = {name: _between(table, unit.first, unit.stop) for name, table in tables.items()}
    low, high = np.searchsorted(chunk, (unit.first, unit.stop))
    return mine, series[:, low:high] if series.size else series


def _between(table: pd.DataFrame, first: int, stop: int) -> pd.DataFrame:
    """The rows of replications ``first`` … ``stop - 1`` of a table sorted by replication."""
    low, high = np.searchsorted(table["replication"].to_numpy(), (first, stop))
    return table.iloc[low:high]


def _count(counts: dict[str, int], outcomes: pd.DataFrame) -> None:
    found = (len(outcomes), outcomes["defaults"].sum(), outcomes["systemic"].sum(), (~outcomes["converged"]).sum())
    for name, value in zip(COUNTS, found, strict=True):
        counts[name] += int(value)


def run_chunk(job: Job, scenario: Scenario, numbers: Sequence[int], before: float = 0.0, part: float = 1.0) -> tuple[Tables, Array]:
    """The tables of one chunk of replications, sorted by replication, and its series ``(series, replication, tick)``.

    The series are empty unless record=summary; the table ``ticks`` is missing then. ``before``, ``part``: what of the task in hand is done, and what
    of it the chunk is; each month is told (`heartbeat`).
    """
    from simulator.engine.model import ContagionModel  # Mesa is slow to load, and who only hands out the work does without

    economy, plan = job.economy, job.plan
    with threadpool_limits(limits=1):
        model = ContagionModel(
            economy, rng=plan.seed, replications=numbers, horizon_months=plan.horizon_months, changes=scenario.changes,
            channels=dict(scenario.channels), record=plan.record, mesa_agents=False, foreseen=job.foreseen,
            draws=_draws(plan.seed, tuple(numbers), plan.horizon_months, len(economy.ids)),
        ).run(lambda months: beat(before + part * months / plan.horizon_months))  # fmt: skip
        tables = model.recorder.tables(scenario.label, plan.systemic)
        if plan.contributions or plan.amplification:
            add_counterfactuals(economy, scenario, plan, tables)
    if plan.record != "summary":
        return {name: _by_replication(table) for name, table in tables.items()}, np.empty((0, 0, 0))
    return tables, np.stack([np.ascontiguousarray(model.recorder.series[name].T) for name in SERIES])


def add_counterfactuals(economy: Economy, scenario: Scenario, plan: Plan, tables: Tables) -> None:
    """Add the table ``contributions`` to the tables of a chunk, and fill in its column ``amplification``."""
    from simulator.engine.contributions import counterfactuals  # which runs chunks itself

    table = counterfactuals(economy, scenario, plan, tables["replications"])
    if plan.amplification:
        tables["replications"]["amplification"] = table["amplification"].to_numpy()
    table.insert(0, "scenario", scenario.label)
    tables["contributions"] = table


@lru_cache(maxsize=1)
def _draws(seed: int, numbers: tuple[int, ...], months: int, agents: int) -> Draws:
    """The scenarios of a block follow each other, so one block of draws serves them all."""
    return Draws(seed, numbers, months, agents)


def _chunk_of(job: Job) -> int:
    """Replications stepped together: as asked for, and no more than the panel of agents leaves room for."""
    plan = job.plan
    if plan.record != "agents":
        return plan.chunk
    row = 8.0 * (len(PANEL) + 5)
    return max(1, min(plan.chunk, int(PANEL_BYTES / (row * len(job.economy.ids) * plan.horizon_months))))


def _by_replication(table: pd.DataFrame) -> pd.DataFrame:
    """The rows replication by replication, otherwise in their order: the same for any chunk."""
    numbers = table["replication"].to_numpy()
    if len(numbers) < 2 or bool((numbers[1:] >= numbers[:-1]).all()):
        return table
    return table.take(np.argsort(numbers, kind="stable")).reset_index(drop=True)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled or frames[:1], ignore_index=True)


# ---------------------------------------------------------------------- quantiles


def quantiles_over_replications(label: str, start: str, series: Callable[[int], Array]) -> pd.DataFrame:
    """Quantiles of each series over replications, by tick; the row with quantile NaN is the mean.

    ``series(position)`` gives one series of `SERIES` as ``(replication, tick)``: they are asked for one after the other, so that they need not
    be held together.
    """
    columns: dict[str, Array] = {}
    months = 0
    for position, name in enumerate(SERIES):
        values = series(position)
        replications, months = values.shape
        columns[name] = np.empty((len(QUANTILES) + 1, months))
        width = max(1, int(QUANTILE_BYTES / (8.0 * replications)))  # depends on the number of replications only
        for first in range(0, months, width):
            part = np.ascontiguousarray(values[:, first : first + width])
            columns[name][-1, first : first + width] = np.add.reduce(part, axis=0) / replications
            columns[name][:-1, first : first + width] = np.quantile(np.sort(part, axis=0), QUANTILES, axis=0)  # sorted, half the time: same bits
    dates = np.array([month_name(start, tick) for tick in range(months)], dtype=object)
    rows = len(QUANTILES) + 1
    frame = pd.DataFrame({
        "scenario": label, "quantile": np.repeat([*QUANTILES, np.nan], months), "tick": np.tile(np.arange(months, dtype=np.int64), rows),
        "date": np.tile(dates, rows),
    })  # fmt: skip
    for name, values in columns.items():
        frame[name] = values.ravel()
    return frame
