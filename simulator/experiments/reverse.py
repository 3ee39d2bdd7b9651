"""The experiment ``reverse_stress_test``: the smallest shock that makes a systemic cascade likely, and the smallest policies that undo it.

All doses are tried on the same draws, so that P(systemic) is a fixed step function of the dose and the search has no noise of its own; how far
the answer is luck's is told by the doses at which the ends of Wilson's interval cross the threshold.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scenarios.changes import Change
from scenarios.lever_table import LEVERS
from simulator.errors import InputError
from simulator.experiments.bench import Bench, Parts
from simulator.experiments.doses import dose_at_bound, largest_dose, saturated, scaled, scaled_parts
from simulator.experiments.search import Search
from simulator.results.measures import wilson
from simulator.results.study import Study

if TYPE_CHECKING:
    from simulator.experiment_settings import ReverseStressTest

RANGE_IN_DEVIATIONS = 2 * 1.645
"""A stated range low..high is read as nine tenths of what is possible: so many standard deviations wide (assumption)."""
Point = tuple[float, ...]


class Trials:
    """P(systemic) of variants, each computed once; ``of(keys)`` fills in what is missing in one batch."""

    def __init__(self, bench: Bench, replications: int, event: str = "systemic") -> None:
        self.bench, self.replications, self.event = bench, replications, event
        self.known: dict[Any, int] = {}

    def of(self, wanted: Mapping[Any, Parts]) -> None:
        """Compute the variants that are not known yet."""
        new = {key: parts for key, parts in wanted.items() if key not in self.known}
        scenarios = [self.bench.scenario(f"trial {place}", parts) for place, parts in enumerate(new.values())]
        for key, frame in zip(new, self.bench.run(scenarios, self.replications) if scenarios else [], strict=True):
            self.known[key] = int(frame[self.event].sum())

    def share(self, key: Any) -> float:
        """P(systemic)."""
        return self.known[key] / self.replications

    def ends(self, key: Any) -> tuple[float, float]:
        """Wilson's interval."""
        estimate = wilson(self.known[key], self.replications)
        return estimate.low, estimate.high


def reverse_test(bench: Bench, asked: ReverseStressTest) -> Study:
    """The study: tables ``doses`` (the search for the shock), ``answers`` (the policies), ``directions`` (vary=levers only)."""
    shock, policy = bench.shock_parts(), bench.policy_parts()
    changes = tuple(change for found in shock.values() for change in found)
    if not changes:
        raise InputError("experiment.vary: the chosen shock changes nothing; choose one whose size can grow, such as shock=lab_funding_stop")
    highest = min(asked.dose_max, largest_dose(changes))  # above it every lever of the shock stands at its bound
    trials = Trials(bench, asked.replications, asked.event)
    facts: dict[str, Any] = {
        "vary": asked.vary, "threshold": asked.threshold, "dose_max": highest, "tolerance": asked.tolerance,
        "replications": asked.replications, "event": asked.event, "shock": "+".join(bench.settings.shock), "policy_at": asked.policy_at,
        "policy_dose_max": asked.policy_dose_max,
    }  # fmt: skip
    facts["saturated"] = saturated(changes, highest) if asked.vary == "shock" else {}
    tables: dict[str, pd.DataFrame] = {}
    top = highest
    if asked.vary == "levers":
        at, top, tables["directions"], found = _most_plausible(trials, asked, shock, policy)
        facts |= found
    else:

        def at(dose: float) -> Parts:
            return scaled_parts(shock, dose) | policy

    tables["doses"], answer = _smallest_shock(trials, asked, at, top)
    facts |= answer
    worse = None if answer["dose"] is None else min(answer["dose"] * asked.policy_at, top)
    tables["answers"] = _smallest_policies(bench, trials, asked, at, worse)
    facts["policy_shock"] = worse
    return Study("reverse_stress_test", tables, facts)


def _smallest_shock(trials: Trials, asked: ReverseStressTest, at: Callable[[float], Parts], top: float) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The search along one direction, for the estimate and for both ends of its interval."""
    searches = [Search(top, lambda value: value >= asked.threshold, asked.tolerance) for _ in range(3)]
    while True:
        wanted = sorted({dose for search in searches for dose in search.wanted()})
        if not wanted:
            break
        trials.of({("shock", dose): at(dose) for dose in wanted})
        for dose in wanted:
            low, high = trials.ends(("shock", dose))
            for search, value in zip(searches, (trials.share(("shock", dose)), high, low), strict=True):
                search.known[dose] = value
    doses = sorted(searches[0].known)
    table = pd.DataFrame([
        {"dose": dose, "value": trials.share(("shock", dose)), "low": trials.ends(("shock", dose))[0], "high": trials.ends(("shock", dose))[1]}
        for dose in doses
    ])  # fmt: skip
    middle, early, late = (search.answer for search in searches)
    bracket = searches[0].bracket()
    facts: dict[str, Any] = {"dose": middle, "dose_low": early, "dose_high": late, "below": None if bracket is None else bracket[0]}
    if middle is not None:
        facts |= {"probability": trials.share(("shock", middle)), "probability_low": trials.ends(("shock", middle))[0],
                  "probability_high": trials.ends(("shock", middle))[1]}  # fmt: skip
    facts["turns_back"] = bool((np.diff(table["value"]) < 0.0).any())
    return table, facts


def _smallest_policies(bench: Bench, trials: Trials, asked: ReverseStressTest, at: Callable[[float], Parts], dose: float | None) -> pd.DataFrame:
    """For every policy the smallest dose that brings P(systemic) back under the threshold, at ``policy_at`` times the shock found."""
    columns = ["policy", "dose", "below", "value", "low", "high", "without", "largest_dose"]
    if dose is None or not asked.answers:
        return pd.DataFrame(columns=columns)
    shock = at(dose)
    policies = {name: bench.parsed("policy", {part: asked.policies[part] for part in name.split("+")}) for name in asked.answers}
    searches = {}
    for name, parts in policies.items():
        top = min(asked.policy_dose_max, largest_dose(tuple(change for found in parts.values() for change in found)))
        if not any(parts.values()):
            continue  # current_rules: no dose of nothing
        searches[name] = Search(top, lambda value: value < asked.threshold, asked.tolerance)
    while wanted := [(name, step) for name, search in searches.items() for step in search.wanted()]:
        trials.of({_answer_key(name, step): shock | scaled_parts(policies[name], step) for name, step in wanted})
        for name, step in wanted:
            searches[name].known[step] = trials.share(_answer_key(name, step))
    rows = []
    for name, search in searches.items():
        found = search.answer
        best = min(search.known, key=lambda step: (search.known[step], step)) if found is None else found
        low, high = trials.ends(_answer_key(name, best))
        bracket = search.bracket()
        rows.append({
            "policy": name, "dose": np.nan if found is None else found, "below": np.nan if bracket is None else bracket[0],
            "value": search.known[best], "low": low, "high": high, "without": search.known[0.0], "largest_dose": search.top,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=columns).sort_values("dose", na_position="last", kind="stable", ignore_index=True)


def _answer_key(name: str, step: float) -> tuple[str, str, float]:
    """No dose of any policy is the same trial for all."""
    return ("policy", name if step else "", step)


# ---------------------------------------------------------------------- several levers at once


def deviation(change: Change) -> float:
    """Standard deviation of a change's amount by its stated range. InputError when it states none."""
    if change.low is None or change.high is None or change.high <= change.low:
        raise InputError(f"experiment.vary: {change.name} ({change.lever}) states no range low..high, which vary=levers measures plausibility by")
    return (change.high - change.low) / RANGE_IN_DEVIATIONS


def _neutral(change: Change) -> float:
    return {"multiply_by": 1.0, "add": 0.0, "set_to": LEVERS[change.lever].neutral}[change.operation]


def directions(count: int, steps: int) -> list[Point]:
    """Unit vectors into the positive corner on a lattice of ``steps`` parts, in a fixed order."""
    found = []
    for parts in itertools.product(range(steps + 1), repeat=count):
        if sum(parts) == steps:
            length = float(np.sqrt(sum(part * part for part in parts)))
            found.append(tuple(part / length for part in parts))
    return found


def _most_plausible(
    trials: Trials, asked: ReverseStressTest, shock: Parts, policy: Parts
) -> tuple[Callable[[float], Parts], float, pd.DataFrame, dict[str, Any]]:
    """The direction with the least Mahalanobis distance from no shock at which the threshold is passed (levers taken as independent).

    Shells are cut by half: what fails on a shell is dropped within it, so that few directions are tried on small shells. The dose of the
    direction found is in distances of the file's own point, so that ``dose`` means the same as along the shock.
    """
    changes = [change for found in shock.values() for change in found]
    sizes = [abs(change.amount - _neutral(change)) / deviation(change) for change in changes]  # deviations that the file moves each lever
    own = float(np.sqrt(sum(size * size for size in sizes)))
    if own == 0.0:
        raise InputError("experiment.vary: the shock's changes stand at their neutral values")
    steps = {1: 1, 2: 6, 3: 4, 4: 3}.get(len(changes), 2)
    candidates = directions(len(changes), steps)

    def at(direction: Point, dose: float) -> Parts | None:
        made: dict[str, list[Change]] = {key: [] for key in shock}
        for (key, change), part, size in zip(((key, change) for key, found in shock.items() for change in found), direction, sizes, strict=True):
            if part and dose:
                times = dose * own * part / size if size else 0.0
                if times > dose_at_bound(change) + 1e-9:
                    return None
                made[key].append(scaled(change, times))
        return {key: tuple(found) for key, found in made.items()} | policy

    low, high, alive = 0.0, asked.dose_max, list(candidates)
    best: Point | None = None
    tried: dict[Point, dict[str, float]] = {}
    while high - low > max(asked.tolerance, 1e-3):
        dose = asked.dose_max if best is None else (low + high) / 2.0
        wanted = {("direction", direction, dose): parts for direction in alive if (parts := at(direction, dose)) is not None}
        trials.of(wanted)
        passing = [key[1] for key in wanted if trials.share(key) >= asked.threshold]
        for key in wanted:
            tried[key[1]] = {"dose": dose, "value": trials.share(key)}
        if passing:
            high, alive = dose, passing
            best = max(passing, key=lambda direction: trials.share(("direction", direction, dose)))
        elif best is None:
            break
        else:
            low = dose
    rows = [
        {**{change.name: part for change, part in zip(changes, direction, strict=True)}, **found, "distance": found["dose"] * own,
         "is_answer": direction == best}
        for direction, found in tried.items()
    ]  # fmt: skip
    chosen = best or tuple(size / own for size in sizes)
    facts = {
        "own_distance": own, "direction": {change.name: part for change, part in zip(changes, chosen, strict=True)},
        "levers": {change.name: change.lever for change in changes}, "directions_tried": len(candidates),
        "deviations": {change.name: size for change, size in zip(changes, sizes, strict=True)},
    }  # fmt: skip

    limits = [dose_at_bound(change) * size / (own * part) for change, part, size in zip(changes, chosen, sizes, strict=True) if part]
    top = min(asked.dose_max, *limits)

    def along(dose: float) -> Parts:
        parts = at(chosen, min(dose, top))
        assert parts is not None
        return parts

    return along, top, pd.DataFrame(rows), facts


__all__: Sequence[str] = ["Trials", "deviation", "directions", "reverse_test"]
