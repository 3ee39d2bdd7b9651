"""The experiment ``policy_comparison``: every policy against the chosen one on the same draws, ranked, with who pays and what is forgone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simulator.experiments.bench import outcome
from simulator.results import measures, statistics
from simulator.results.comparison import paired_mean_difference, paired_share_difference, unpaired_width
from simulator.results.study import Study
from simulator.settings import compared_shocks, label

if TYPE_CHECKING:
    from simulator.experiment_settings import PolicyComparison
    from simulator.results.dataset import Run
    from simulator.settings import Settings

COMPARED = (
    "systemic", "defaults", "total_loss", "loss_lenders", "loss_shareholders", "loss_suppliers", "loss_taxpayers", "loss_workers",
    "fiscal_cost", "investment_total", "investment_above_start", "investment_below_start", "employment_mean", "market_value_min_share",
    "gdp_gap_min", "concentration_end", "lab_concentration_end", "compliance_cost", "lending_moved",
    "cloud_defaults", "ai_lab_defaults", "lender_defaults",
)  # fmt: skip
LEVEL = 0.05
HIGHER_IS_BETTER = frozenset({
    "investment_total", "investment_above_start", "employment_mean", "employment_min", "market_value_min_share", "gdp_gap_min",
})  # fmt: skip


def compare_policies(settings: Settings, asked: PolicyComparison, run: Run) -> Study:
    """The study from the tables of the run. Tables: ``policies`` (a row a world, policy and outcome), ``tails``, ``ranking``.

    A family of claims, which the correction covers, is all policies of one world on one outcome.
    """
    policies, tails, rankings = [], [], []
    for shocks in compared_shocks(settings):
        world = "+".join(shocks)
        reference = label(list(shocks), list(settings.policy))
        frames = {reference: _of(run, reference)}
        for name in asked.compare:
            other = label(list(shocks), name.split("+"))
            if other != reference:
                frames[other] = _of(run, other)
        policies.append(_differences(world, reference, frames, asked))
        tails.append(_tails(world, reference, frames))
        rankings.append(_ranking(policies[-1], asked.ranked_by))
    facts = {
        "ranked_by": asked.ranked_by, "correction": asked.correction, "level": LEVEL, "current": "+".join(settings.policy),
        "worlds": ["+".join(shocks) for shocks in compared_shocks(settings)], "replications": settings.montecarlo.replications,
        "months": settings.horizon_months,
    }  # fmt: skip
    tables = {"policies": pd.concat(policies, ignore_index=True), "tails": pd.concat(tails, ignore_index=True)}
    return Study("policy_comparison", {**tables, "ranking": pd.concat(rankings, ignore_index=True)}, facts)


def _of(run: Run, scenario: str) -> pd.DataFrame:
    return run.replications[run.replications["scenario"] == scenario].sort_values("replication").reset_index(drop=True)


def _differences(world: str, reference: str, frames: dict[str, pd.DataFrame], asked: PolicyComparison) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    base = frames[reference]
    for name in dict.fromkeys((*COMPARED, asked.ranked_by)):
        family = []
        second = outcome(base, name)
        for scenario, frame in frames.items():
            first = outcome(frame, name)
            level = measures.mean(frame, name)
            row: dict[str, Any] = {
                "world": world, "policy": scenario.split(" | ")[1], "is_reference": scenario == reference, "outcome": name,
                "value": level.value, "low": level.low, "high": level.high,
            }  # fmt: skip
            if scenario != reference:
                yes_no = first.dtype == bool
                gap = paired_share_difference(first, second) if yes_no else paired_mean_difference(first, second)
                width = gap.high - gap.low
                row |= {
                    "difference": gap.value, "difference_low": gap.low, "difference_high": gap.high,
                    "p_value": statistics.paired_p_value(first, second), "paired_width": width,
                    "unpaired_width": unpaired_width(first.astype(float), second.astype(float)),
                    "pairing_ratio": statistics.pairing_ratio(first, second),
                    "least_pairing_ratio": statistics.least_pairing_ratio(float(first.mean()), float(second.mean())) if yes_no else np.nan,
                    "replications_to_tell": statistics.replications_to_tell(first, second),
                }  # fmt: skip
                family.append(row)
            rows.append(row)
        adjusted = statistics.CORRECTIONS[asked.correction]([row["p_value"] for row in family])
        for row, value in zip(family, adjusted, strict=True):
            row |= {"p_adjusted": float(value), "told": bool(value < LEVEL)}
    table = pd.DataFrame(rows)
    if "told" not in table:  # the reference stands alone
        table = table.reindex(columns=[*table.columns, "difference", "difference_low", "difference_high", "p_adjusted"])
        table["told"] = False
    table["told"] = table["told"].fillna(False).astype(bool)
    return table


def _tails(world: str, reference: str, frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Value at risk, expected shortfall and severity given a cascade of the total loss, by policy, USD bn."""
    rows = []
    base = outcome(frames[reference], "total_loss")
    for scenario, frame in frames.items():
        row: dict[str, Any] = {"world": world, "policy": scenario.split(" | ")[1], "is_reference": scenario == reference}
        for name, estimate in (
            ("value_at_risk", measures.value_at_risk(frame)), ("expected_shortfall", measures.expected_shortfall(frame)),
            ("severity", measures.severity(frame)),
        ):  # fmt: skip
            row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        row["cascades"] = int(frame["systemic"].sum())
        if scenario != reference:
            gap = statistics.tail_difference(outcome(frame, "total_loss"), base)
            row |= {"difference": gap.value, "difference_low": gap.low, "difference_high": gap.high}
        rows.append(row)
    return pd.DataFrame(rows)


def _ranking(policies: pd.DataFrame, ranked_by: str) -> pd.DataFrame:
    """Policies of a world from best to worst by the change of one outcome."""
    rows = policies[(policies["outcome"] == ranked_by) & ~policies["is_reference"]]
    rows = rows.sort_values("difference", ascending=ranked_by not in HIGHER_IS_BETTER, kind="stable")
    kept = rows[["world", "policy", "outcome", "difference", "difference_low", "difference_high", "p_adjusted", "told"]].copy()
    kept.insert(2, "rank", np.arange(1, len(kept) + 1))
    return kept
