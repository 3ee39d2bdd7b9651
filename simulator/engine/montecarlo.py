"""Monte Carlo in one process: replications in chunks sized for the cache, the same draws for every scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from scenarios.changes import Scenario
from scenarios.economy import Economy
from simulator.engine.model import ContagionModel
from simulator.engine.randomness import Draws
from simulator.engine.recorder import SERIES
from simulator.errors import InputError

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
UNCONVERGED_MAX = 1e-4
"""Share of replications that may fail to converge; above it the run fails."""


@dataclass(frozen=True)
class Plan:
    """What is run: replications 0 … ``replications - 1`` of each scenario, in chunks of ``chunk``."""

    replications: int = 1000
    seed: int = 1
    chunk: int = 256
    horizon_months: int = 60
    record: str = "summary"
    systemic: dict[str, float] | None = None


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
    with threadpool_limits(limits=1):
        for numbers in chunks(plan.replications, plan.chunk):
            draws = Draws(plan.seed, numbers, plan.horizon_months, len(economy.ids))
            for scenario in scenarios:
                model = ContagionModel(
                    economy, rng=plan.seed, replications=numbers, horizon_months=plan.horizon_months, changes=scenario.changes,
                    channels=dict(scenario.channels), record=plan.record, mesa_agents=False, draws=draws,
                ).run()  # fmt: skip
                tables = model.recorder.tables(scenario.label, plan.systemic)
                for name, table in tables.items():
                    parts.setdefault(name, []).append(table)
                if on_progress is not None:
                    on_progress(len(numbers), int(tables["replications"]["defaults"].sum()))
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
