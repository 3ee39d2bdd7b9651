"""Counterfactuals of a chunk: the same draws with a channel off, with all channels off, and without the shock.

These are differences between worlds, never sums of postings: contributions of channels overlap and do not add up to the loss
(:mod:`simulator.engine.loss_tables` has the accounting).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.changes import Scenario
from scenarios.economy import Economy
from simulator.engine.coalitions import ColumnSet, run_columns
from simulator.engine.montecarlo import Plan
from simulator.ledger.names import AMPLIFIER_CHANNELS, CHANNELS, LOSS_CHANNELS

Array = NDArray[np.float64]

PREFIXES = {"total_loss": "contribution", "credit_loss": "contribution_to_credit_loss", "defaults": "contribution_to_defaults"}
"""Outcomes that contributions are told for, and how their columns begin."""
SLIGHT = 1e-6
"""USD bn: a smaller loss without contagion is no loss, and amplification is not defined."""


def counterfactuals(economy: Economy, scenario: Scenario, plan: Plan, outcomes: pd.DataFrame) -> pd.DataFrame:
    """The table ``contributions`` of the replications of ``outcomes`` (a table ``replications``, all of the scenario's channels on).

    One row a replication. With ``plan.contributions``: ``contribution_<channel>``, the total loss less that with the channel off (USD bn), and the
    same of credit losses and of defaults; NaN for a channel that the scenario has off. With ``plan.amplification``: ``amplification``
    (:func:`amplification`) and the four losses that it is made of.
    """
    numbers = outcomes["replication"].to_numpy(dtype=np.int64)
    table = pd.DataFrame({"replication": numbers, "total_loss": outcomes["total_loss"].to_numpy()})
    alone = dataclasses.replace(plan, workers=1, execution=None)  # within the worker that has the chunk
    if plan.contributions:
        for name, worth in switch_offs(economy, scenario, alone, outcomes).items():
            table[name] = worth
    if plan.amplification:
        unshocked = Scenario(f"{scenario.label} without the shock", (), scenario.policies, scenario.policy_changes, scenario.channels)
        all_off = {name: np.zeros(len(numbers), dtype=bool) for name in CHANNELS}
        for name, world, switches in (
            ("loss_unshocked", unshocked, {}), ("loss_all_off", scenario, all_off), ("loss_unshocked_all_off", unshocked, all_off),
        ):  # fmt: skip
            table[name] = run_columns(economy, world, ColumnSet(numbers, switches), alone)["total_loss"].to_numpy()
        table["amplification"] = amplification(table)
    return table


def switch_offs(economy: Economy, scenario: Scenario, plan: Plan, outcomes: pd.DataFrame) -> dict[str, Array]:
    """Columns ``contribution_<channel>`` and those of the other outcomes, ``(R,)``: with all on less with that one channel off, by replication.

    Loss channels and amplifiers are run apart: only the latter need an unshocked twin, which all columns of a replication share.
    """
    numbers = outcomes["replication"].to_numpy(dtype=np.int64)
    found = {f"{prefix}_{name}": np.full(len(numbers), np.nan) for prefix in PREFIXES.values() for name in CHANNELS}
    for group in (LOSS_CHANNELS, AMPLIFIER_CHANNELS):
        names = [name for name in group if scenario.channels.get(name, True)]
        if not names:
            continue
        off = np.repeat(np.arange(len(names)), len(numbers))
        switches = {name: off != place for place, name in enumerate(names)}
        frame = run_columns(economy, scenario, ColumnSet(np.tile(numbers, len(names)), switches), plan)
        for measure, prefix in PREFIXES.items():
            without = frame[measure].to_numpy(dtype=np.float64).reshape(len(names), len(numbers))
            for place, name in enumerate(names):
                found[f"{prefix}_{name}"] = outcomes[measure].to_numpy(dtype=np.float64) - without[place]
    return found


def amplification(losses: pd.DataFrame) -> Array:
    """What contagion makes of the shock, ``(R,)``: (loss - unshocked loss) with all channels over the same with all off, same luck.

    NaN where the denominator is zero: a shock that by itself takes nothing from anybody has nothing to amplify.
    """
    with_all = losses["total_loss"].to_numpy() - losses["loss_unshocked"].to_numpy()
    with_none = losses["loss_all_off"].to_numpy() - losses["loss_unshocked_all_off"].to_numpy()
    some = np.abs(with_none) > SLIGHT
    return np.where(some, with_all / np.where(some, with_none, 1.0), np.nan)
