"""The experiment ``uncertainty``: outcomes when parameters are uncertain, by a design, and how much of their variance is the parameters'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simulator.engine.designs import make_design
from simulator.experiments import points as at
from simulator.experiments.bench import Bench
from simulator.results.measures import Estimate, wilson
from simulator.results.sensitivity import design_interval, efficiency, variance_split
from simulator.results.study import Study

if TYPE_CHECKING:
    from simulator.experiment_settings import Uncertainty


def spread(bench: Bench, asked: Uncertainty) -> Study:
    """The study. Tables: ``parameters``; ``points`` (the design); ``values`` (a row a scenario, outcome and point, with its sampling error);
    ``estimates`` (means with the design's interval, and the paired difference from the baseline); ``variance`` (nested designs).

    Point p has the luck of replication p (nested: of replications p L to p L + L - 1), the same in both scenarios.
    """
    uncertain = at.uncertain_of(bench, asked.parameters, asked.most)
    design = make_design(asked.design, bench.plan.seed, asked.points, len(uncertain), asked.randomisations)
    draws = asked.luck if asked.design == "nested" else 1
    mirrored = asked.design == "antithetic" and asked.mirrored_luck
    luck = np.arange(asked.points * draws, dtype=np.int64).reshape(asked.points, draws)
    scenarios = {"baseline": at.baseline_at(bench, uncertain), "chosen": at.chosen_at(bench, uncertain)}
    if set(bench.settings.shock) <= {"none"} and set(bench.settings.policy) <= {"current_rules"}:
        del scenarios["baseline"]
    variants = [at.variant_at(bench, scenario, uncertain, design.shares, luck, mirrored) for scenario in scenarios.values()]
    frames = dict(zip(scenarios, bench.run_variants(variants), strict=True))
    values, estimates, variance = [], [], []
    for name in asked.outcomes:
        found = {scenario: at.outcomes_at(frame, name, design.points) for scenario, frame in frames.items()}
        for scenario, each in found.items():
            means = each.mean(axis=1)
            values.append(pd.DataFrame({
                "scenario": scenario, "outcome": name, "point": np.arange(design.points), "value": means, "standard_error": at.standard_errors(each),
            }))  # fmt: skip
            estimate = _estimate(frames[scenario], name, means, design.groups, asked)
            row: dict[str, Any] = {"scenario": scenario, "outcome": name, **_told("value", estimate)}
            row["efficiency"] = efficiency(means, design.groups)
            row["points"], row["replications"] = design.points, each.size
            if scenario != "baseline" and "baseline" in found:
                gap = means - found["baseline"].mean(axis=1)
                row |= _told("difference", design_interval(gap, design.groups)) | {"difference_efficiency": efficiency(gap, design.groups)}
            estimates.append(row)
            if draws > 1:
                split = variance_split(each)
                parts = {"total": split.total, "between": split.between, "within": split.within}
                variance.append({"scenario": scenario, "outcome": name, **parts, **_told("share", split.share)})
    table = pd.DataFrame(design.shares, columns=[parameter.name for parameter in uncertain])
    for parameter, share in zip(uncertain, design.shares.T, strict=True):
        table[parameter.name] = parameter.value(share)
    table.insert(0, "group", design.groups)
    table.insert(0, "point", np.arange(design.points))
    tables = {"parameters": at.described(uncertain), "points": table, "values": pd.concat(values, ignore_index=True)}
    tables["estimates"] = pd.DataFrame(estimates)
    if variance:
        tables["variance"] = pd.DataFrame(variance)
    facts = {
        "design": asked.design, "points": design.points, "luck": draws, "randomisations": int(design.groups.max()) + 1, "mirrored": mirrored,
        "outcomes": list(asked.outcomes), "scenarios": list(scenarios), "shock": "+".join(bench.settings.shock),
        "policy": "+".join(bench.settings.policy),
    }  # fmt: skip
    return Study("uncertainty", tables, facts)


def _estimate(frame: pd.DataFrame, name: str, means: Any, groups: Any, asked: Uncertainty) -> Estimate:
    if frame[name].to_numpy().dtype == bool and (asked.design == "plain" or means.min() == means.max()):
        return wilson(round(float(means.sum())), len(means))  # also where all points agree: parts of the design without spread tell no interval
    return design_interval(means, groups)


def _told(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
