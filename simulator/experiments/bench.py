"""The bench of an experiment: the chosen scenario in parts, and one way to run many variants of it on the same draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.changes import Change, Scenario, parse_changes
from scenarios.levers import LeverSchedule
from simulator.engine.coalitions import ColumnSet, Variant, replications, run_variants
from simulator.settings import bibliography_keys

if TYPE_CHECKING:
    from scenarios.economy import Economy
    from simulator.engine.montecarlo import Plan
    from simulator.settings import Settings

Array = NDArray[np.float64]
Parts = dict[str, tuple[Change, ...]]
"""Changes by the file that they come from: ``shock/rate_hold``, ``policy/rate_cut``."""


@dataclass(frozen=True)
class Bench:
    """Settings, the opened economy, the plan of the run and who is told of progress (columns done, defaults)."""

    settings: Settings
    economy: Economy
    plan: Plan
    on_progress: Callable[[int, int], None] | None = None

    def parsed(self, folder: str, files: Mapping[str, Mapping[str, Any]]) -> Parts:
        """The changes of files as written, checked; by ``folder/name``."""
        known = {*bibliography_keys(), *self.economy.sources, *self.settings.sources}
        months = self.plan.horizon_months
        return {
            f"{folder}/{name}": parse_changes(
                content, f"{folder}/{name}", start=self.economy.start, horizon_months=months, sources=known, economy=self.economy
            )
            for name, content in files.items()
        }

    def shock_parts(self) -> Parts:
        """The chosen shocks."""
        return self.parsed("shock", self.settings.shock)

    def policy_parts(self) -> Parts:
        """The chosen policies."""
        return self.parsed("policy", self.settings.policy)

    def scenario(self, label: str, parts: Parts, **switches: bool) -> Scenario:
        """A scenario of these parts, its changes checked together. InputError as `LeverSchedule`."""
        changes = tuple(change for found in parts.values() for change in found)
        LeverSchedule(changes, self.economy, self.plan.horizon_months)
        names = {folder: tuple(key.split("/", 1)[1] for key in parts if key.startswith(folder)) for folder in ("shock", "policy")}
        return Scenario(label, names["shock"], names["policy"], changes, self.settings.channel_switches() | switches)

    def chosen(self) -> Scenario:
        """The chosen shock and policy."""
        return self.scenario("chosen", self.shock_parts() | self.policy_parts())

    def run(self, scenarios: Sequence[Scenario], number: int | None = None) -> list[pd.DataFrame]:
        """The table ``replications`` of every scenario, for ``number`` replications (those of the plan when not given)."""
        columns = replications(number or self.plan.replications)
        return self.run_variants([Variant(self.economy, scenario, columns) for scenario in scenarios])

    def run_variants(self, variants: Sequence[Variant]) -> list[pd.DataFrame]:
        """The table ``replications`` of every variant; small work is cut so that every process has some."""
        plan, wide = self.plan, sum(len(variant.columns.numbers) for variant in variants)
        if plan.workers > 1:
            plan = replace(plan, chunk=max(1, min(plan.chunk, -(-wide // plan.workers))))
        return run_variants(variants, plan, self.on_progress)

    def run_columns(self, scenario: Scenario, columns: ColumnSet) -> pd.DataFrame:
        """The table ``replications`` of columns with switches of their own."""
        return self.run_variants([Variant(self.economy, scenario, columns)])[0]


def outcome(frame: pd.DataFrame, name: str) -> NDArray[Any]:
    """A column of outcomes ``(R,)``: bool for yes/no, else float."""
    values = frame[name].to_numpy()
    return values if values.dtype == bool else values.astype(float)
