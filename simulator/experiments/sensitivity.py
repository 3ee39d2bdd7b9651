"""The experiment ``sensitivity``: which uncertain parameters the outcomes of the chosen scenario depend on.

All points have the same draws of luck, so that what differs between them is the parameters'. The error that few draws leave is told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.engine.designs import morris_design, saltelli_design
from simulator.engine.randomness import BELOW_ONE
from simulator.experiments import points as at
from simulator.experiments.bench import Bench
from simulator.experiments.curves import paired
from simulator.results.measures import mean_interval
from simulator.results.sensitivity import morris_effects, sobol_indices
from simulator.results.study import Study

if TYPE_CHECKING:
    from scenarios.changes import Scenario
    from scenarios.parameters import Uncertain
    from simulator.experiment_settings import Sensitivity

Array = NDArray[np.float64]


def analyse(bench: Bench, asked: Sensitivity) -> Study:
    """The study. Tables: ``parameters``; ``tornado``, ``sobol``, ``morris`` (a row an outcome and parameter); ``points`` (a row a method, outcome and
    point, with its sampling error)."""
    uncertain = at.uncertain_of(bench, asked.parameters, asked.most)
    scenario = at.chosen_at(bench, uncertain)
    count = len(uncertain)
    designs: dict[str, tuple[Array, int]] = {}
    if "tornado" in asked.methods:
        designs["tornado"] = (_ends(uncertain), asked.tornado_luck)
    if "sobol" in asked.methods:
        designs["sobol"] = (saltelli_design(bench.plan.seed, asked.samples, count), asked.luck)
    trajectories = morris_design(bench.plan.seed, asked.trajectories, count)
    if "morris" in asked.methods:
        designs["morris"] = (trajectories.reshape(-1, count), asked.luck)
    frames = _run(bench, scenario, uncertain, designs)
    tables: dict[str, Any] = {"parameters": at.described(uncertain)}
    points: list[pd.DataFrame] = []
    noise: dict[str, dict[str, float]] = {}
    for name in asked.outcomes:
        for method, frame in frames.items():
            values = at.outcomes_at(frame, name, len(designs[method][0]))
            points.append(pd.DataFrame({
                "method": method, "outcome": name, "point": np.arange(len(values)), "value": values.mean(axis=1),
                "standard_error": at.standard_errors(values),
            }))  # fmt: skip
            if method == "tornado":
                rows = _tornado(name, values, frame[name].to_numpy().dtype == bool, uncertain)
            elif method == "sobol":
                rows, noise[name] = _sobol(name, values, uncertain)
            else:
                rows = _morris(name, values.mean(axis=1), trajectories, uncertain)
            tables.setdefault(method, []).extend(rows)
    tables = {name: pd.DataFrame(table) if isinstance(table, list) else table for name, table in tables.items()}
    tables["points"] = pd.concat(points, ignore_index=True)
    facts = {
        "methods": [method for method in ("tornado", "sobol", "morris") if method in designs], "outcomes": list(asked.outcomes),
        "samples": asked.samples, "trajectories": asked.trajectories, "luck": asked.luck,
        "tornado_luck": asked.tornado_luck, "noise": noise, "shock": "+".join(bench.settings.shock),
        "policy": "+".join(bench.settings.policy), "points": {method: len(shares) for method, (shares, _) in designs.items()},
    }  # fmt: skip
    return Study("sensitivity", tables, facts)


def _run(bench: Bench, scenario: Scenario, uncertain: Any, designs: dict[str, tuple[Array, int]]) -> dict[str, pd.DataFrame]:
    """The outcomes of every design, each point with the draws 0 ... L - 1."""
    variants = [
        at.variant_at(bench, scenario, uncertain, shares, np.tile(np.arange(draws, dtype=np.int64), (len(shares), 1)))
        for shares, draws in designs.values()
    ]
    return dict(zip(designs, bench.run_variants(variants), strict=True))


def _ends(uncertain: tuple[Uncertain, ...]) -> Array:
    """All at their medians, then each at its least and its greatest value."""
    count = len(uncertain)
    shares = np.full((1 + 2 * count, count), 0.5)
    for place in range(count):
        shares[1 + 2 * place, place], shares[2 + 2 * place, place] = 0.0, BELOW_ONE
    return shares


def _tornado(name: str, values: Array, is_share: bool, uncertain: tuple[Uncertain, ...]) -> list[dict[str, Any]]:
    base = mean_interval(values[0])
    rows = []
    for place, each in enumerate(uncertain):
        row: dict[str, Any] = {"outcome": name, "parameter": each.name, "low_value": each.ends[0], "high_value": each.ends[1], "middle": base.value}
        for end, at_end in (("at_low", values[1 + 2 * place]), ("at_high", values[2 + 2 * place])):
            pair = (at_end > 0.5, values[0] > 0.5) if is_share else (at_end, values[0])
            gap = paired(*pair)
            row |= {end: float(at_end.mean()), f"{end}_change": gap.value, f"{end}_change_low": gap.low, f"{end}_change_high": gap.high}
        across = (values[2 + 2 * place] > 0.5, values[1 + 2 * place] > 0.5) if is_share else (values[2 + 2 * place], values[1 + 2 * place])
        swing = paired(*across)
        rows.append(row | {"swing": swing.value, "swing_low": swing.low, "swing_high": swing.high})
    return rows


def _sobol(name: str, values: Array, uncertain: tuple[Uncertain, ...]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    first, total = sobol_indices(values, len(uncertain))
    rows: list[dict[str, Any]] = []
    for place, each in enumerate(uncertain):
        row: dict[str, Any] = {"outcome": name, "parameter": each.name}
        for key, index in (("first", first), ("total", total)):
            row |= {
                key: index.value[place], f"{key}_low": index.low[place], f"{key}_high": index.high[place],
                f"{key}_luck_error": index.luck_error[place],
            }  # fmt: skip
        rows.append(row)
    base = values[: 2 * (len(values) // (len(uncertain) + 2))]
    means = base.mean(axis=1)
    between = float(means.var(ddof=1))
    error = float((at.standard_errors(base) ** 2).mean()) if base.shape[1] > 1 else float("nan")
    return rows, {"deviation": float(np.sqrt(between)), "mean": float(means.mean()), "sampling_error": float(np.sqrt(error))}


def _morris(name: str, values: Array, trajectories: Array, uncertain: tuple[Uncertain, ...]) -> list[dict[str, Any]]:
    effects = morris_effects(trajectories, values.reshape(trajectories.shape[:2]))
    return [
        {
            "outcome": name, "parameter": each.name, "mu_star": effects.mu_star[place], "mu_star_low": effects.low[place],
            "mu_star_high": effects.high[place], "mu": effects.mu[place], "sigma": effects.sigma[place],
        }
        for place, each in enumerate(uncertain)
    ]  # fmt: skip
