"""What experiments run: variants of a scenario or an economy, and coalitions of channels, without the tables of a full run.

A *column* is one replication number with some channels on and the others off. Columns stand side by side in a batch, so that a whole
game of coalitions costs as much as that many replications; the unshocked twin of an amplifier is stepped once a number, not once a column.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import forkserver
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from scenarios.changes import Scenario
from scenarios.economy import Economy
from simulator.engine.model import ContagionModel, foreseen_sales
from simulator.engine.montecarlo import Plan, undisturbed
from simulator.engine.randomness import Draws
from simulator.errors import InputError
from simulator.ledger.names import CHANNELS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ColumnSet:
    """What each column is: ``numbers (W,)`` the replication whose luck it has, ``switches`` a channel's 0 or 1 by column, ``(W,)`` each.

    Channels that are not named stand as in the scenario.
    """

    numbers: NDArray[np.int64]
    switches: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self.switches.items():
            if name not in CHANNELS:
                raise InputError(f"channels.{name}: unknown channel (allowed: {', '.join(CHANNELS)})")
            if values.shape != self.numbers.shape:
                raise InputError(f"channels.{name}: {len(values)} switches for {len(self.numbers)} columns")

    def part(self, rows: NDArray[np.int64]) -> ColumnSet:
        """Some of the columns."""
        return ColumnSet(self.numbers[rows], {name: values[rows] for name, values in self.switches.items()})


@dataclass(frozen=True)
class Variant:
    """One economy under one scenario, in the columns given."""

    economy: Economy
    scenario: Scenario
    columns: ColumnSet


def replications(number: int) -> ColumnSet:
    """The columns of replications 0 ... number - 1 with the scenario's own switches."""
    return ColumnSet(np.arange(number, dtype=np.int64))


def run_columns(
    economy: Economy, scenario: Scenario, columns: ColumnSet, plan: Plan, on_progress: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """The table ``replications`` of one variant; as `run_variants`."""
    return run_variants([Variant(economy, scenario, columns)], plan, on_progress)[0]


def run_variants(variants: Sequence[Variant], plan: Plan, on_progress: Callable[[int, int], None] | None = None) -> list[pd.DataFrame]:
    """The table ``replications`` of every variant, one row a column in the order given.

    ``replication`` is the column's number, ``column`` its place. ``plan``: seed, chunk (columns stepped together), horizon, systemic rule and
    workers count; its number of replications does not. Columns are computed in the order of their numbers, so that a chunk has few
    different ones. ``on_progress(columns, defaults)`` is told of every finished chunk.
    """
    pieces: list[tuple[int, NDArray[np.int64]]] = []
    for place, variant in enumerate(variants):
        order = np.argsort(variant.columns.numbers, kind="stable")
        pieces += [(place, order[first : first + plan.chunk]) for first in range(0, len(order), plan.chunk)]
    frames: list[list[pd.DataFrame]] = [[] for _ in variants]
    for place, frame in _computed(variants, plan, pieces):
        frames[place].append(frame)
        if on_progress is not None:
            on_progress(len(frame), int(frame["defaults"].sum()))
    return [pd.concat(parts, ignore_index=True).sort_values("column", ignore_index=True) for parts in frames]


def _computed(variants: Sequence[Variant], plan: Plan, pieces: list[tuple[int, NDArray[np.int64]]]) -> Iterator[tuple[int, pd.DataFrame]]:
    workers = min(plan.workers, len(pieces))
    if workers <= 1:
        for place, rows in pieces:
            yield place, _run_piece(variants[place], rows, plan)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["simulator.engine.coalitions"])
    with undisturbed():
        forkserver.ensure_running()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_remember, initargs=(tuple(variants), plan)) as pool:
        waiting = {pool.submit(_work, place, rows): place for place, rows in pieces}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            with undisturbed():
                for process in list((pool._processes or {}).values()):
                    process.terminate()
                pool.shutdown(wait=True, cancel_futures=True)
            raise


_shared: dict[str, Any] = {}


def _remember(variants: tuple[Variant, ...], plan: Plan) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _shared.update(variants=variants, plan=plan)


def _work(place: int, rows: NDArray[np.int64]) -> pd.DataFrame:
    return _run_piece(_shared["variants"][place], rows, _shared["plan"])


def _run_piece(variant: Variant, rows: NDArray[np.int64], plan: Plan) -> pd.DataFrame:
    economy, scenario, columns = variant.economy, variant.scenario, variant.columns.part(rows)
    channels: dict[str, Any] = dict(scenario.channels) | {name: values.astype(np.float64) for name, values in columns.switches.items()}
    with threadpool_limits(limits=1):
        draws = Draws(plan.seed, columns.numbers.tolist(), plan.horizon_months, len(economy.ids))
        model = ContagionModel(
            economy, rng=plan.seed, replications=range(len(rows)), horizon_months=plan.horizon_months, changes=scenario.changes,
            channels=channels, mesa_agents=False, draws=draws, foreseen=foreseen_sales(economy, plan.horizon_months),
        ).run()  # fmt: skip
        frame = model.recorder.outcomes(plan.systemic)
    frame["replication"] = columns.numbers
    frame.insert(1, "column", rows)
    return frame
