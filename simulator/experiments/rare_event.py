"""The experiment ``rare_event``: an unbiased estimate of a small probability, set beside brute force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simulator.engine.paths import EngineWorld, World
from simulator.experiments import importance_sampling, splitting
from simulator.experiments.bench import Bench
from simulator.experiments.rare import Estimate, Stage, gain, mean_and_interval
from simulator.results.measures import wilson
from simulator.results.study import Study

if TYPE_CHECKING:
    from simulator.experiment_settings import RareEvent


def estimate_rare_event(bench: Bench, asked: RareEvent) -> Study:
    """The study: tables ``stages`` (pilot), ``repetitions``, ``levels`` (conditional probabilities, mean over repetitions) and ``pushes``.

    The chosen shock and policy are in force. Facts: the estimate with Student's interval over repetitions, the gain over brute force in
    variance × work (with and without the pilot), and brute force itself with Wilson's interval.
    """
    scenario = bench.chosen()
    world = EngineWorld(bench.economy, scenario, bench.plan, asked.event)

    def told(found: Estimate | None = None) -> None:
        if bench.on_progress is not None:
            bench.on_progress(asked.effort if found else asked.pilot, found.hits if found else 0)

    pushes: Mapping[str, Any] = {}
    levels: tuple[float, ...] = ()
    if asked.method == "splitting":
        levels, stages, pilot_work = splitting.pilot(world, asked.pilot, asked.level_share)
    else:
        pushes, stages, pilot_work = importance_sampling.pilot(world, asked.pilot, asked.level_share)
    told()
    estimates = []
    for repetition in range(asked.repetitions):
        if asked.method == "splitting":
            estimates.append(splitting.estimate(world, levels, asked.effort, repetition))
        else:
            estimates.append(importance_sampling.estimate(world, pushes, asked.effort, repetition))
        told(estimates[-1])
    facts = summary(estimates, pilot_work, world) | {
        "method": asked.method, "event": asked.event, "effort": asked.effort, "pilot": asked.pilot, "level_share": asked.level_share,
        "debt_share": world.rule["debt_share"], "months": int(world.rule["months"]), "kinds": int(world.rule["kinds"]),
        "horizon_months": world.ticks, "shock": "+".join(bench.settings.shock), "policy": "+".join(bench.settings.policy),
    }  # fmt: skip
    if asked.brute_force:
        [frame] = bench.run([scenario], asked.brute_force)
        facts |= beside(int(frame[asked.event].sum()), asked.brute_force)
    return Study("rare_event", tables_of(bench, stages, levels, estimates, pushes), facts)


def summary(estimates: list[Estimate], pilot_work: int, world: World) -> dict[str, Any]:
    """Estimate, interval, work in ticks and gains of independent repetitions."""
    values = [each.value for each in estimates]
    mean, error, low, high = mean_and_interval(values)
    work = float(np.mean([each.work for each in estimates]))
    alone, whole = gain(values, work, world.ticks), gain(values, work + pilot_work / len(values), world.ticks)
    facts: dict[str, Any] = {
        "value": mean, "standard_error": error, "low": low, "high": high, "repetitions": len(values), "pilot_work": pilot_work,
        "work": work * len(values), "hits": sum(each.hits for each in estimates),
        "gain": whole.value, "gain_low": whole.low, "gain_high": whole.high,
        "gain_alone": alone.value, "gain_alone_low": alone.low, "gain_alone_high": alone.high,
    }  # fmt: skip
    return {name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in facts.items()}


def beside(hits: int, replications: int) -> dict[str, Any]:
    """Brute force in facts."""
    estimate = wilson(hits, replications)
    return {
        "brute_hits": hits, "brute_replications": replications, "brute_value": estimate.value, "brute_low": estimate.low, "brute_high": estimate.high,
    }  # fmt: skip


def tables_of(
    bench: Bench, stages: list[Stage], levels: tuple[float, ...], estimates: list[Estimate], pushes: Mapping[str, Any]
) -> dict[str, pd.DataFrame]:
    """The study's tables."""
    tables = {
        "stages": pd.DataFrame([{"stage": number, **stage._asdict()} for number, stage in enumerate(stages)]).replace({"level": {np.inf: np.nan}}),
        "repetitions": pd.DataFrame([
            {"repetition": number, "value": each.value, "hits": each.hits, "work": each.work} for number, each in enumerate(estimates)
        ]),
    }  # fmt: skip
    if levels:
        rows = []
        for place, level in enumerate((*levels, np.nan)):
            found = [each.shares[place] for each in estimates if place < len(each.shares)]
            share, least, most = (float(np.mean(found)), min(found), max(found)) if found else (np.nan, np.nan, np.nan)
            rows.append({"level": level, "is_event": place == len(levels), "share": share, "lowest": least, "highest": most, "tried": len(found)})
        tables["levels"] = pd.DataFrame(rows)
    if pushes:
        ids = bench.economy.ids
        tables["pushes"] = pd.DataFrame([
            {"purpose": purpose, "agent": ids[slot] if len(push) > 1 else "", "push": push[slot],
             "over_horizon": push[slot] * np.sqrt(bench.plan.horizon_months)}
            for purpose, push in pushes.items() for slot in np.flatnonzero(push)
        ])  # fmt: skip
    return tables
