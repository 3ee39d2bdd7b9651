"""Runs of a second for the tests of run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from simulator.api import _work
from simulator.menu import assemble
from simulator.results.manifest import Manifest
from simulator.runs import compute_into
from simulator.settings import Settings

ROOT = Path(__file__).parents[2]
REPLICATIONS, BLOCK = 45, 10
UNITS = 10
FAILURE = {"lever": "agent.failure", "set_to": 1.0, "starts_after_months": 1, "agents": ["lab"], "source": "assumption"}


def settings(**values: Any) -> Settings:
    """A run of a second: two scenarios, five blocks, the last of them half full; a laboratory that fails."""
    given = {
        "montecarlo.replications": REPLICATIONS, "montecarlo.block": BLOCK, "montecarlo.chunk": 10, "horizon_months": 4,
        "execution": {"kind": "serial"}, **values,
    }  # fmt: skip
    return assemble({"economy": "three_firms"}, given).model_copy(update={"shock": {"failure": {"failure": FAILURE}}})


def local(workers: int) -> dict[str, Any]:
    return {"execution": {"kind": "local", "workers": workers}}


def computed(folder: Path, shard: tuple[int, int] | None = None, **values: Any) -> Manifest:
    return compute_into(_work(settings(**values), shard), folder)


def rows(folder: Path, table: str) -> pd.DataFrame:
    return pd.concat([pq.read_table(path).to_pandas() for path in sorted((folder / "tables" / table).glob("*.parquet"))], ignore_index=True)
