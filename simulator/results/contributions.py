"""Measures of the table `contributions`: what each channel adds, by the same draws without it. Never mixed with the accounting of losses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simulator.ledger.names import CHANNELS
from simulator.results.measures import Estimate, mean_interval


def contribution_by_channel(contributions: pd.DataFrame, of: str = "total_loss") -> pd.DataFrame:
    """Mean contribution of each channel with its paired interval: columns `channel`, `value`, `low`, `high`; USD bn (`of="defaults"`: defaults).

    Contribution: the outcome with all channels less that with this one off, replication by replication; `of`: `total_loss`, `credit_loss`
    or `defaults`. Contributions overlap and may be negative: they do not add up to the outcome.
    """
    prefix = "contribution" if of == "total_loss" else f"contribution_to_{of}"
    known = [name for name in CHANNELS if f"{prefix}_{name}" in contributions.columns]
    estimates = {name: mean_interval(contributions[f"{prefix}_{name}"].to_numpy(dtype=float)) for name in known}
    rows = [(name, estimate.value, estimate.low, estimate.high) for name, estimate in estimates.items() if estimate.n]
    return pd.DataFrame(rows, columns=["channel", "value", "low", "high"])


def amplification(replications: pd.DataFrame) -> tuple[Estimate, int]:
    """Mean amplification where it is defined, with its interval; and the number of replications in which it is not (nothing to amplify)."""
    values = replications["amplification"].to_numpy(dtype=float)
    return mean_interval(values), int(np.isnan(values).sum())


def amplification_words(replications: pd.DataFrame) -> str:
    """One sentence on what contagion makes of the shock; "" when amplification was not computed (`record.amplification=true`)."""
    estimate, undefined = amplification(replications)
    if not estimate.n:
        return ""
    interval = f" (95 % interval {estimate.low:.2f} to {estimate.high:.2f})" if np.isfinite(estimate.low) else ""
    text = f"With all channels the shock takes {estimate.value:.2f} times what it takes without any{interval}, mean of {estimate.n:,} replications"
    return text + (f"; in {undefined:,} more it takes nothing by itself." if undefined else ".")
