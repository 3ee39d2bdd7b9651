"""What experiments run: variants of a scenario or an economy, and coalitions of channels, without the tables of a full run.

A *column* is one replication number with some channels on and the others off. Columns stand side by side in a batch, so that a whole
game of coalitions costs as much as that many replications; the unshocked twin of an amplifier is stepped once a number, not once a column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from scenarios.changes import Scenario
from scenarios.economy import Economy
from simulator.engine.executors import work_through
from simulator.engine.foresight import foreseen_sales
from simulator.engine.model import ContagionModel
from simulator.engine.montecarlo import Plan
from simulator.engine.randomness import Draws
from simulator.errors import InputError
from simulator.ledger.names import CHANNELS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ColumnSet:
    """What each column is: ``numbers (W,)`` the replication whose luck it has, ``switches`` a channel's 0 or 1 by column, ``(W,)`` each.

    Channels that are not named stand as in the scenario. ``mirrored``: odd numbers have the luck of the even number before them, mirrored.
    """

    numbers: NDArray[np.int64]
    switches: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    mirrored: bool = False

    def __post_init__(self) -> None:
        for name, values in self.switches.items():
            if name not in CHANNELS:
                raise InputError(f"channels.{name}: unknown channel (allowed: {', '.join(CHANNELS)})")
            if values.shape != self.numbers.shape:
                raise InputError(f"channels.{name}: {len(values)} switches for {len(self.numbers)} columns")

    def part(self, rows: NDArray[np.int64]) -> ColumnSet:
        """Some of the columns."""
        return ColumnSet(self.numbers[rows], {name: values[rows] for name, values in self.switches.items()}, self.mirrored)


@dataclass(frozen=True)
class Variant:
    """One economy under one scenario, in the columns given; an economy with uncertain numbers has a replication for each of them."""

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
    pieces: list[Piece] = []
    for place, variant in enumerate(variants):
        order = np.argsort(variant.columns.numbers, kind="stable")
        if variant.economy.varied is not None:  # as given, point by point: what is foreseen at a point is found once in a chunk
            order = np.arange(len(order))
        pieces += [(place, order[first : first + plan.chunk]) for first in range(0, len(order), plan.chunk)]
    frames: list[list[pd.DataFrame]] = [[] for _ in variants]
    where = replace(plan.where, workers=max(1, min(plan.where.workers, len(pieces))))
    with closing(work_through(pieces, _run_piece, (tuple(variants), plan), where, _name)) as results:
        for (place, _), frame in results:
            frames[place].append(frame)
            if on_progress is not None:
                on_progress(len(frame), int(frame["defaults"].sum()))
    return [pd.concat(parts, ignore_index=True).sort_values("column", ignore_index=True) for parts in frames]


Piece = tuple[int, NDArray[np.int64]]
"""Place of the variant, and the columns to be computed."""


def _name(piece: Piece) -> str:
    return f"columns {piece[1][0]} to {piece[1][-1]} of variant {piece[0]}"


def _run_piece(shared: tuple[Sequence[Variant], Plan], piece: Piece) -> pd.DataFrame:
    variants, plan = shared
    variant, rows = variants[piece[0]], piece[1]
    economy, scenario, columns = variant.economy, variant.scenario, variant.columns.part(rows)
    if economy.varied is not None:
        economy = replace(economy, varied=economy.varied.part(rows))
    channels: dict[str, Any] = dict(scenario.channels) | {name: values.astype(np.float64) for name, values in columns.switches.items()}
    with threadpool_limits(limits=1):
        draws = Draws(plan.seed, columns.numbers.tolist(), plan.horizon_months, len(economy.ids), columns.mirrored)
        model = ContagionModel(
            economy, rng=plan.seed, replications=range(len(rows)), horizon_months=plan.horizon_months, changes=scenario.changes,
            channels=channels, mesa_agents=False, draws=draws, foreseen=foreseen_sales(economy, plan.horizon_months),
        ).run()  # fmt: skip
        frame = model.recorder.outcomes(plan.systemic)
    frame["replication"] = columns.numbers
    frame.insert(1, "column", rows)
    return frame
