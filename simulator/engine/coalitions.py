"""Columns with switches of their own: many coalitions of channels in one batch, each on the luck of a replication.

A *column* is one replication number with some channels on and the others off. Columns stand side by side in a batch, so that a whole
game of coalitions costs as much as that many replications; the unshocked twin of an amplifier is stepped once a number, not once a column.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
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
    switches: Mapping[str, NDArray[np.bool_]]

    def __post_init__(self) -> None:
        for name, values in self.switches.items():
            if name not in CHANNELS:
                raise InputError(f"channels.{name}: unknown channel (allowed: {', '.join(CHANNELS)})")
            if values.shape != self.numbers.shape:
                raise InputError(f"channels.{name}: {len(values)} switches for {len(self.numbers)} columns")

    def part(self, rows: NDArray[np.int64]) -> ColumnSet:
        """Some of the columns."""
        return ColumnSet(self.numbers[rows], {name: values[rows] for name, values in self.switches.items()})


def run_columns(
    economy: Economy, scenario: Scenario, columns: ColumnSet, plan: Plan, on_progress: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """The table ``replications`` with one row a column, in the order given: ``replication`` is the column's number, ``column`` its place.

    ``plan``: seed, chunk (columns stepped together), horizon, systemic rule and workers count; its number of replications does not.
    Columns are computed in the order of their numbers, so that a chunk has few different ones. Raises InputError for unknown channels.
    """
    order = np.argsort(columns.numbers, kind="stable")
    pieces = [order[first : first + plan.chunk] for first in range(0, len(order), plan.chunk)]
    foreseen = foreseen_sales(economy, plan.horizon_months)
    frames: list[pd.DataFrame] = []
    for frame in _computed(economy, scenario, columns, plan, pieces, foreseen):
        frames.append(frame)
        if on_progress is not None:
            on_progress(len(frame), int(frame["defaults"].sum()))
    return pd.concat(frames, ignore_index=True).sort_values("column", ignore_index=True)


def _computed(
    economy: Economy, scenario: Scenario, columns: ColumnSet, plan: Plan, pieces: list[NDArray[np.int64]], foreseen: Array | None
) -> Any:
    workers = min(plan.workers, len(pieces))
    if workers <= 1:
        for rows in pieces:
            yield _run_piece(economy, scenario, columns.part(rows), rows, plan, foreseen)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["simulator.engine.coalitions"])
    with undisturbed():
        multiprocessing.forkserver.ensure_running()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_remember, initargs=(economy, plan, foreseen)) as pool:
        waiting = [pool.submit(_work, scenario, columns.part(rows), rows) for rows in pieces]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            with undisturbed():
                for process in list((pool._processes or {}).values()):
                    process.terminate()
                pool.shutdown(wait=True, cancel_futures=True)
            raise


_shared: dict[str, Any] = {}


def _remember(economy: Economy, plan: Plan, foreseen: Array | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _shared.update(economy=economy, plan=plan, foreseen=foreseen)


def _work(scenario: Scenario, columns: ColumnSet, rows: NDArray[np.int64]) -> pd.DataFrame:
    return _run_piece(_shared["economy"], scenario, columns, rows, _shared["plan"], _shared["foreseen"])


def _run_piece(
    economy: Economy, scenario: Scenario, columns: ColumnSet, rows: NDArray[np.int64], plan: Plan, foreseen: Array | None
) -> pd.DataFrame:
    width = len(rows)
    channels: dict[str, Any] = dict(scenario.channels) | {name: values.astype(np.float64) for name, values in columns.switches.items()}
    with threadpool_limits(limits=1):
        draws = Draws(plan.seed, columns.numbers.tolist(), plan.horizon_months, len(economy.ids))
        model = ContagionModel(
            economy, rng=plan.seed, replications=range(width), horizon_months=plan.horizon_months, changes=scenario.changes, channels=channels,
            mesa_agents=False, draws=draws, foreseen=foreseen,
        ).run()  # fmt: skip
        frame = model.recorder.outcomes(plan.systemic)
    frame["replication"] = columns.numbers
    frame.insert(1, "column", rows)
    return frame
