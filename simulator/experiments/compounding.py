"""The experiment ``compounding``: several shocks alone and together, against none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from simulator.experiments.bench import Bench, outcome
from simulator.results import measures
from simulator.results.study import Study

if TYPE_CHECKING:
    from simulator.experiment_settings import Compounding


def compound(bench: Bench, asked: Compounding) -> Study:
    """The study ``compounding``: table ``parts``, a row an outcome and part.

    With y(S) the outcome under the shocks S, on the same draws: a part's effect is y({i}) - y({}), ``sum of the parts`` adds them,
    ``together`` is y(all) - y({}), and ``excess`` = together less the sum, each replication by replication. The chosen policy is in force
    throughout; the chosen shock plays no part.
    """
    files = {name: bench.parsed("shock", {name: asked.shock_files[name]}) for name in asked.shocks}
    policy = bench.policy_parts()
    together = {key: changes for parts in files.values() for key, changes in parts.items()}
    scenarios = [bench.scenario("none", policy), *(bench.scenario(name, {**policy, **parts}) for name, parts in files.items())]
    frames = bench.run([*scenarios, bench.scenario("together", {**policy, **together})])
    rows = []
    for name in asked.outcomes:
        nothing, *alone, whole = (outcome(frame, name).astype(float) for frame in frames)
        effects = {part: values - nothing for part, values in zip(files, alone, strict=True)}
        total = sum(effects.values(), start=0.0 * nothing)
        effects |= {"sum of the parts": total, "together": whole - nothing, "excess": whole - nothing - total}
        for part, values in effects.items():
            estimate = measures.mean_interval(values)
            rows.append({"outcome": name, "part": part, "value": estimate.value, "low": estimate.low, "high": estimate.high})
    facts = {"shocks": list(asked.shocks), "outcomes": list(asked.outcomes), "replications": bench.plan.replications}
    return Study("compounding", {"parts": pd.DataFrame(rows)}, facts)
