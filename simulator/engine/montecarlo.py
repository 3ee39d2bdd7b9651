"""Monte Carlo: replications in chunks sized for the cache, the same draws for every scenario, in one process or several."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from scenarios.changes import Scenario
from scenarios.economy import Economy
from simulator.engine.model import ContagionModel, foreseen_sales
from simulator.engine.randomness import Draws
from simulator.engine.recorder import SERIES
from simulator.errors import InputError

Array = NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
UNCONVERGED_MAX = 1e-4
"""Share of replications that may fail to converge; above it the run fails."""


@dataclass(frozen=True)
class Plan:
    """What is run: replications 0 … ``replications - 1`` of each scenario, in chunks of ``chunk``."""

    replications: int = 1000
    seed: int = 1
    chunk: int = 500
    horizon_months: int = 60
    record: str = "summary"
    systemic: dict[str, float] | None = None
    workers: int = 1
    contributions: bool = False  # counterfactuals beside the accounting: many times the work
    amplification: bool = False


def chunks(replications: int, chunk: int) -> Iterator[range]:
    """The replication numbers of each chunk."""
    for first in range(0, replications, chunk):
        yield range(first, min(first + chunk, replications))


def run_scenarios(
    economy: Economy, scenarios: Sequence[Scenario], plan: Plan, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, pd.DataFrame]:
    """Run every scenario on the same draws and return the tables of all of them.

    ``on_progress(replications, defaults)`` is told of every finished chunk. BLAS runs on one thread, so that bits do not depend on the machine's
    cores. Raises InputError for doubled labels, ArithmeticError when more than one replication in 10,000 does not converge.
    """
    labels = [scenario.label for scenario in scenarios]
    if len(set(labels)) != len(labels):
        raise InputError(f"experiment: two scenarios have the label {max(labels, key=labels.count)!r}; each scenario needs its own")
    parts: dict[str, list[pd.DataFrame]] = {}
    foreseen = foreseen_sales(economy, plan.horizon_months)
    numbers = list(chunks(plan.replications, plan.chunk))
    for done in _computed(economy, scenarios, plan, numbers, foreseen):
        for tables in done:
            for name, table in tables.items():
                parts.setdefault(name, []).append(table)
            if on_progress is not None:
                on_progress(len(tables["replications"]), int(tables["replications"]["defaults"].sum()))
    tables = {name: _joined(frames) for name, frames in parts.items()}
    order = {label: position for position, label in enumerate(labels)}
    for name, table in tables.items():
        keys = table["scenario"].map(order)
        tables[name] = table.iloc[np.lexsort((table.index, table["replication"], keys))].reset_index(drop=True)
    if plan.record == "summary":
        tables["ticks"] = quantiles_over_replications(tables["ticks"], labels)
    unconverged = float((~tables["replications"]["converged"]).mean())
    if unconverged > UNCONVERGED_MAX:
        raise ArithmeticError(f"{unconverged:.2%} of the replications did not converge (at most {UNCONVERGED_MAX:.2%} may)")
    return tables


Tables = dict[str, pd.DataFrame]


def _computed(
    economy: Economy, scenarios: Sequence[Scenario], plan: Plan, numbers: Sequence[range], foreseen: Array | None
) -> Iterator[list[Tables]]:
    """The tables of every chunk, a list with one element a scenario; in this process, or in ``plan.workers`` processes."""
    workers = min(plan.workers, len(numbers) * len(scenarios))
    if workers <= 1:
        for chunk in numbers:
            yield run_chunk(economy, scenarios, plan, chunk, foreseen)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["simulator.engine.montecarlo"])
    with undisturbed():  # the server of workers and what it starts inherit that Ctrl-C is not for them
        forkserver.ensure_running()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_remember, initargs=(economy, plan, foreseen)) as pool:
        waiting = [pool.submit(_work, [scenario], chunk) for chunk in numbers for scenario in scenarios]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            with undisturbed():
                for process in list((pool._processes or {}).values()):  # a worker in the middle of a chunk would keep the user waiting
                    process.terminate()
                pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore further interrupts while workers are put away; only the main thread may, others go on as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_shared: dict[str, Any] = {}


def _remember(economy: Economy, plan: Plan, foreseen: Array | None) -> None:
    """Keep in a worker what all of its chunks need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that the user started
    _shared.update(economy=economy, plan=plan, foreseen=foreseen)


def _work(scenarios: Sequence[Scenario], chunk: range) -> list[Tables]:
    return run_chunk(_shared["economy"], scenarios, _shared["plan"], chunk, _shared["foreseen"])


def run_chunk(economy: Economy, scenarios: Sequence[Scenario], plan: Plan, chunk: range, foreseen: Array | None) -> list[Tables]:
    """The tables of one chunk of replications for each scenario, on the same draws."""
    done = []
    with threadpool_limits(limits=1):
        draws = Draws(plan.seed, chunk, plan.horizon_months, len(economy.ids))
        for scenario in scenarios:
            model = ContagionModel(
                economy, rng=plan.seed, replications=chunk, horizon_months=plan.horizon_months, changes=scenario.changes,
                channels=dict(scenario.channels), record=plan.record, mesa_agents=False, draws=draws, foreseen=foreseen,
            ).run()  # fmt: skip
            tables = model.recorder.tables(scenario.label, plan.systemic)
            if plan.contributions or plan.amplification:
                add_counterfactuals(economy, scenario, plan, tables)
            done.append(tables)
    return done


def add_counterfactuals(economy: Economy, scenario: Scenario, plan: Plan, tables: Tables) -> None:
    """Add the table ``contributions`` to the tables of a chunk, and fill in its column ``amplification``."""
    from simulator.engine.contributions import counterfactuals  # which runs chunks itself

    table = counterfactuals(economy, scenario, plan, tables["replications"])
    if plan.amplification:
        tables["replications"]["amplification"] = table["amplification"].to_numpy()
    table.insert(0, "scenario", scenario.label)
    tables["contributions"] = table


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled or frames[:1], ignore_index=True)


def quantiles_over_replications(ticks: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Quantiles of each series over replications, by scenario and tick; the row with quantile NaN is the mean."""
    frames = []
    for label in labels:
        part = ticks[ticks["scenario"] == label]
        months = int(part["tick"].max()) + 1
        dates = part["date"].to_numpy()[:months]
        values = {name: part[name].to_numpy().reshape(-1, months) for name in SERIES}
        cuts = {name: np.quantile(series, QUANTILES, axis=0) for name, series in values.items()}
        for row, quantile in enumerate((*QUANTILES, np.nan)):
            frame = pd.DataFrame({"scenario": label, "quantile": quantile, "tick": np.arange(months, dtype=np.int64), "date": dates})
            for name in SERIES:
                series = values[name]
                frame[name] = cuts[name][row] if row < len(QUANTILES) else np.add.reduce(series, axis=0) / len(series)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)
