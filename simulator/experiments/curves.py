"""Experiments on grids: ``dose_response``, ``interaction`` and ``accelerator``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import NDArray

from scenarios.changes import parse_changes
from scenarios.lever_table import find_lever
from simulator.errors import InputError
from simulator.experiments.bench import Bench, Parts, outcome
from simulator.experiments.doses import dimension
from simulator.results import measures, statistics
from simulator.results.comparison import paired_mean_difference, paired_share_difference
from simulator.results.measures import Estimate
from simulator.results.study import Study

if TYPE_CHECKING:
    from simulator.experiment_settings import Accelerator, DoseResponse, Interaction


def paired(first: NDArray[Any], second: NDArray[Any]) -> Estimate:
    """The paired difference of two outcomes, yes/no or numbers."""
    return paired_share_difference(first, second) if first.dtype == bool else paired_mean_difference(first, second)


def _told(estimate: Estimate, name: str) -> dict[str, float]:
    keys = ("value", "low", "high") if name == "value" else (name, f"{name}_low", f"{name}_high")
    return dict(zip(keys, (estimate.value, estimate.low, estimate.high), strict=True))


def respond(bench: Bench, asked: DoseResponse) -> Study:
    """The study ``dose_response``: table ``doses``, a row a dose and outcome, with the difference from the dose that changes nothing."""
    axis = dimension(bench, asked, {"shock": asked.shock_files, "policy": asked.policies})
    grid = tuple(sorted({*axis.grid, axis.neutral}))
    base = bench.shock_parts() | bench.policy_parts()
    frames = bench.run([bench.scenario(f"dose {dose:g}", {**base, **axis.parts(dose)}) for dose in grid])
    rows = []
    for name in asked.outcomes:
        nothing = outcome(frames[grid.index(axis.neutral)], name)
        for dose, frame in zip(grid, frames, strict=True):
            row = {"outcome": name, "dose": dose, "asked": dose in axis.grid, **_told(measures.mean(frame, name), "value")}
            rows.append(row | _told(paired(outcome(frame, name), nothing), "difference"))
    facts = {
        "vary": asked.vary, "name": axis.name, "unit": axis.unit, "neutral": axis.neutral, "saturated": dict(axis.saturated),
        "outcomes": list(asked.outcomes),
        "replications": bench.plan.replications,
    }  # fmt: skip
    return Study("dose_response", {"doses": pd.DataFrame(rows)}, facts)


def interact(bench: Bench, asked: Interaction) -> Study:
    """The study ``interaction``: table ``cells``, a row a pair of doses and outcome; ``excess`` = together less the sum of each alone.

    excess(a, b) = y(a, b) - y(a, 0) - y(0, b) + y(0, 0), replication by replication, with 0 the dose that changes nothing.
    """
    files = {"shock": asked.shock_files, "policy": asked.policies}
    one, two = dimension(bench, asked.first, files, "experiment.first"), dimension(bench, asked.second, files, "experiment.second")
    base = bench.shock_parts() | bench.policy_parts()
    shared = set(one.parts(one.neutral)) & set(two.parts(two.neutral))
    if shared:
        raise InputError(f"experiment.second.vary: varies {sorted(shared)[0].replace('/', '.')}, which experiment.first varies already")
    grids = [tuple(sorted({*axis.grid, axis.neutral})) for axis in (one, two)]
    cells = [(a, b) for a in grids[0] for b in grids[1]]
    scenarios = [bench.scenario(f"{a:g} and {b:g}", {**base, **one.parts(a), **two.parts(b)}) for a, b in cells]
    frames = dict(zip(cells, bench.run(scenarios, asked.replications), strict=True))
    rows = []
    for name in asked.outcomes:
        values = {cell: outcome(frame, name) for cell, frame in frames.items()}
        nothing = values[one.neutral, two.neutral]
        for a, b in cells:
            both, first, second = (values[cell].astype(float) for cell in ((a, b), (a, two.neutral), (one.neutral, b)))
            row = {"outcome": name, "first": a, "second": b, **_told(measures.mean(frames[a, b], name), "value")}
            row |= _told(paired(values[a, b], nothing), "difference")
            row |= _told(measures.mean_interval(both - first - second + nothing.astype(float)), "excess")
            rows.append(row)
    facts = {
        "first": one.name, "first_unit": one.unit, "first_neutral": one.neutral, "second": two.name, "second_unit": two.unit,
        "second_neutral": two.neutral, "outcomes": list(asked.outcomes), "replications": asked.replications,
    }  # fmt: skip
    return Study("interaction", {"cells": pd.DataFrame(rows)}, facts)


def accelerate(bench: Bench, asked: Accelerator) -> Study:
    """The study ``accelerator``: tables ``responses`` (a row a direction, channel on or off, outcome) and ``ratios``.

    response = outcome with the shock less outcome without it, channel as stated in both; accelerator = response with the channel over the
    response without it, with an interval from the bootstrap over replications. The chosen shock plays no part here: the up and down shocks are
    made of ``levers`` alone, under the chosen policy.
    """
    directions: dict[str, Parts] = {"down": _push(bench, asked, 1.0 - asked.size), "up": _push(bench, asked, 1.0 / (1.0 - asked.size))}
    policy = bench.policy_parts()
    labels, scenarios = [], []
    for switch in (True, False):
        for direction in ("none", "down", "up"):
            labels.append((direction, switch))
            parts = {**policy, **directions.get(direction, {})}
            scenarios.append(bench.scenario(f"{direction} {switch}", parts, **{asked.channel: switch}))
    frames = dict(zip(labels, bench.run(scenarios), strict=True))
    responses, ratios = [], []
    for name in asked.outcomes:
        for direction in ("down", "up"):
            gaps = {}
            for switch in (True, False):
                first, second = outcome(frames[direction, switch], name), outcome(frames["none", switch], name)
                gaps[switch] = first.astype(float) - second.astype(float)
                responses.append({"outcome": name, "direction": direction, "channel_on": switch, **_told(paired(first, second), "response")})
            ratio = statistics.ratio_of_means(gaps[True], gaps[False])
            more = measures.mean_interval(gaps[True] - gaps[False])
            ratios.append({"outcome": name, "direction": direction, **_told(ratio, "accelerator"), **_told(more, "added")})
    facts = {
        "channel": asked.channel, "levers": list(asked.levers), "size": asked.size, "outcomes": list(asked.outcomes),
        "replications": bench.plan.replications,
    }  # fmt: skip
    return Study("accelerator", {"responses": pd.DataFrame(responses), "ratios": pd.DataFrame(ratios)}, facts)


def _push(bench: Bench, asked: Accelerator, factor: float) -> Parts:
    """The shock of a direction: every lever times a factor."""
    dated = {name: getattr(asked, name) for name in ("starts", "builds_over_months", "lasts_months", "fades_over_months")}
    if asked.starts is None:
        dated["starts_after_months"] = asked.starts_after_months
    dated = {name: value for name, value in dated.items() if value is not None}
    content = {}
    for lever in asked.levers:
        try:
            find_lever(lever)
        except InputError as error:
            raise InputError(f"experiment.levers: {error}") from None
        content[lever.replace(".", "_")] = {"lever": lever, "multiply_by": factor, "source": "assumption", **dated}
    changes = parse_changes(
        content, "experiment.levers", start=bench.economy.start, horizon_months=bench.plan.horizon_months, sources=(), economy=bench.economy
    )
    return {"lever/shock": changes}
