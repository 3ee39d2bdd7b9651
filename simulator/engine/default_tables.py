"""The tables of defaults, and of the losses that led to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray

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


def texts(words: Sequence[str], places: NDArray[np.int64]) -> ExtensionArray:
    """``words[places]`` as a column of text. To take it so costs a fifth of what a column made of one object a row does."""
    return pd.Series(np.array(words, dtype=object)).array.take(places)


def defaults(recorder: Recorder) -> pd.DataFrame:
    """One row a default. ``chain``: the agents from it to the root, ``coreweave < [amd] < shock``; one in brackets acted and lived."""
    if not recorder.events:
        return _empty(DEFAULTS)
    model, events = recorder.model, [event for _, event, _ in recorder.events]
    ids, ticks = model.books.ids, _ticks(recorder, [len(event.agent) for event in events])
    agent = np.concatenate([event.agent for event in events])
    debt, recovery = np.concatenate([event.debt for event in events]), np.concatenate([event.recovery for event in events])
    chains = [chain for _, _, story in recorder.events for chain in story.chains]
    frame = pd.DataFrame({
        "replication": np.array(model.replications, dtype=np.int64)[np.concatenate([event.column for event in events])],
        "tick": ticks,
        "date": texts([month_name(model.economy.start, tick) for tick in range(model.books.ticks)], ticks),
        "wave": np.concatenate([event.depth for event in events]),
        "agent": texts(ids, agent),
        "kind": texts(model.books.economy.kinds, agent),
        "cause": texts(CAUSES, np.concatenate([event.cause for event in events])),
        "triggered_by": np.array([ROOTS.get(int(row)) or ids[row] for event in events for row in event.trigger], dtype=object),
        "debt": debt,
        "recovery_share": recovery,
        "loss_given_default": debt * (1.0 - recovery),
        "cds_before": np.concatenate([event.cds_before for event in events]),
        "root": np.array([ROOTS[chain[-1]] for chain in chains], dtype=object),
        "chain": np.array([_written(chain, ids) for chain in chains], dtype=object),
    })  # fmt: skip
    return frame.sort_values(["replication", "tick", "wave", "agent"], ignore_index=True)


def _ticks(recorder: Recorder, lengths: Sequence[int]) -> NDArray[np.int64]:
    """The tick of every row, where so many rows are of each event."""
    return np.repeat(np.array([tick for tick, _, _ in recorder.events], dtype=np.int64), lengths)


def _written(chain: tuple[int, ...], ids: tuple[str, ...]) -> str:
    return " < ".join(ROOTS[link] if link < 0 else f"[{ids[link - len(ids)]}]" if link >= len(ids) else ids[link] for link in chain)


def causes(recorder: Recorder) -> pd.DataFrame:
    """What each failed agent had lost until it failed, one row an agent that made it lose, channel and reason; USD bn.

    The row with channel ``ordinary`` and reason ``own_business`` is what it lost in its own business, shareholders' money left aside.
    """
    if not recorder.events:
        return _empty(CAUSES_COLUMNS)
    found: list[dict[str, NDArray[Any]]] = []
    for _, event, story in recorder.events:
        own = np.flatnonzero(story.own > 0.0)
        which = np.concatenate([story.event, own])
        found.append({
            "column": event.column[which], "agent": event.agent[which], "from_agent": np.concatenate([story.cause, event.agent[own]]),
            "channel": np.concatenate([story.channel, np.full(len(own), "ordinary", dtype=object)]),
            "reason": np.concatenate([story.reason, np.full(len(own), "own_business", dtype=object)]),
            "amount": np.concatenate([story.amount, story.own[own]]),
        })  # fmt: skip
    joined = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    ids = recorder.model.books.ids
    frame = pd.DataFrame({
        "replication": np.array(recorder.model.replications, dtype=np.int64)[joined["column"]],
        "tick": _ticks(recorder, [len(part["column"]) for part in found]),
        **{name: texts(ids, joined[name]) for name in ("agent", "from_agent")},
        **{name: joined[name] for name in ("channel", "reason", "amount")},
    })  # fmt: skip
    keys = [name for name in CAUSES_COLUMNS if name != "amount"]
    return frame.groupby(keys, sort=True)[["amount"]].sum().reset_index()
