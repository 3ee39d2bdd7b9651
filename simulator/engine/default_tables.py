"""The tables of defaults, and of the losses that led to each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simulator.engine.causes import ROOTS
from simulator.engine.recorded import month_name
from simulator.ledger.resolution import CAUSES

if TYPE_CHECKING:
    from simulator.engine.recorder import Recorder

DEFAULTS = {
    "replication": "int64", "tick": "int64", "date": "object", "wave": "int64", "agent": "object", "kind": "object", "cause": "object",
    "triggered_by": "object", "debt": "float64", "recovery_share": "float64", "loss_given_default": "float64", "cds_before": "float64",
    "root": "object", "chain": "object",
}  # fmt: skip
CAUSES_COLUMNS = {
    "replication": "int64", "tick": "int64", "agent": "object", "from_agent": "object", "channel": "object", "reason": "object",
    "amount": "float64",
}  # fmt: skip


def _empty(columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


def defaults(recorder: Recorder) -> pd.DataFrame:
    """One row a default. ``chain``: the agents from it to the root, ``coreweave < [amd] < shock``; one in brackets acted and lived."""
    model = recorder.model
    ids, kinds = np.array(model.books.ids, dtype=object), np.array(model.books.economy.kinds, dtype=object)
    numbers = np.array(model.replications, dtype=np.int64)
    frames = []
    for tick, event, story in recorder.events:
        chains = [_written(chain, model.books.ids) for chain in story.chains]
        frames.append(pd.DataFrame({
            "replication": numbers[event.column],
            "tick": np.full(len(event.agent), tick, dtype=np.int64),
            "date": month_name(model.economy.start, tick),
            "wave": event.depth,
            "agent": ids[event.agent],
            "kind": kinds[event.agent],
            "cause": np.array(CAUSES, dtype=object)[event.cause],
            "triggered_by": np.array([ROOTS.get(int(row)) or ids[row] for row in event.trigger], dtype=object),
            "debt": event.debt,
            "recovery_share": event.recovery,
            "loss_given_default": event.debt * (1.0 - event.recovery),
            "cds_before": event.cds_before,
            "root": np.array([ROOTS[chain[-1]] for chain in story.chains], dtype=object),
            "chain": np.array(chains, dtype=object),
        }))  # fmt: skip
    if not frames:
        return _empty(DEFAULTS)
    return pd.concat(frames, ignore_index=True).sort_values(["replication", "tick", "wave", "agent"], ignore_index=True)


def _written(chain: tuple[int, ...], ids: tuple[str, ...]) -> str:
    return " < ".join(ROOTS[link] if link < 0 else f"[{ids[link - len(ids)]}]" if link >= len(ids) else ids[link] for link in chain)


def causes(recorder: Recorder) -> pd.DataFrame:
    """What each failed agent had lost until it failed, one row an agent that made it lose, channel and reason; USD bn.

    The row with channel ``ordinary`` and reason ``own_business`` is what it lost in its own business, shareholders' money left aside.
    """
    model = recorder.model
    ids, numbers = np.array(model.books.ids, dtype=object), np.array(model.replications, dtype=np.int64)
    frames = []
    for tick, event, story in recorder.events:
        own = np.flatnonzero(story.own > 0.0)
        which = np.concatenate([story.event, own])
        frames.append(pd.DataFrame({
            "replication": numbers[event.column[which]],
            "tick": np.full(len(which), tick, dtype=np.int64),
            "agent": ids[event.agent[which]],
            "from_agent": ids[np.concatenate([story.cause, event.agent[own]])],
            "channel": np.concatenate([story.channel, np.full(len(own), "ordinary", dtype=object)]),
            "reason": np.concatenate([story.reason, np.full(len(own), "own_business", dtype=object)]),
            "amount": np.concatenate([story.amount, story.own[own]]),
        }))  # fmt: skip
    if not frames:
        return _empty(CAUSES_COLUMNS)
    keys = [name for name in CAUSES_COLUMNS if name != "amount"]
    return pd.concat(frames, ignore_index=True).groupby(keys, sort=True)[["amount"]].sum().reset_index()
