"""How a rare event is told: its probability, against brute force, and the levels or pushes that led to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import horizon_words
from simulator.results.studies.words import plain, sentence_case
from simulator.results.study import ShownTable, Study, Teller

PURPOSE_WORDS = {
    "market": "the share market", "ai": "AI shares", "common_demand": "demand of all", "own_return": "share price of", "own_demand": "demand for",
}  # fmt: skip
METHOD_WORDS = {"importance_sampling": "importance sampling", "splitting": "multilevel splitting"}
TAIL_FROM = 0.01


def small(value: float, like: float | None = None) -> str:
    """A probability for reading: ``2.3 %`` from one in a hundred on, below it ``1.8e-04``, zero as ``0``; ``like``: written as that one is."""
    if value == 0.0:
        return "0"
    return f"{value * 100:.2f} %" if (value if like is None else like) >= TAIL_FROM else f"{value:.1e}"


def _told(facts: Mapping[str, Any], value: str, low: str, high: str) -> str:
    known = facts[value]
    return f"{small(known)} (95 % interval {small(facts[low], known)} to {small(facts[high], known)})"


def _estimate(facts: Mapping[str, Any]) -> str:
    return _told(facts, "value", "low", "high")


def _gain(facts: Mapping[str, Any], name: str = "gain") -> str:
    if facts[name] is None:
        return "not known"
    return f"{facts[name]:,.1f} times (95 % interval {facts[f'{name}_low']:,.1f} to {facts[f'{name}_high']:,.1f})"


def headline(study: Study) -> str:
    """The probability and the gain."""
    facts = study.facts
    span = horizon_words(facts["horizon_months"])
    if facts["value"] == 0.0:
        return f"No path of any repetition became systemic within the {span} horizon: the estimate is zero, and says nothing of how small"
    ending = "" if facts["gain"] is None else f", known {facts['gain']:,.0f} times better than by brute force for the same work"
    if facts["gain"] is not None and facts["gain"] < 1.5:
        ending = ", not known better than by brute force for the same work"
    return f"P(systemic) over the {span} horizon is {_estimate(facts)}{ending}"


def findings(study: Study) -> list[str]:
    """The event, the estimate, the gain, brute force, and where the danger lies."""
    facts = study.facts
    under = plain(facts["shock"]) if facts["shock"] not in ("", "none") else "no shock"
    kinds = f"agents of {facts['kinds']} kinds or more" if facts["kinds"] > 1 else "agents"
    sentences = [
        f"Event: within {facts['months']} months {kinds} default on {facts['debt_share'] * 100:g} % of all "
        f"modelled debt or more; {under}, {plain(facts['policy']) or 'current rules'}, {facts['horizon_months']} months.",
        f"Estimate by {METHOD_WORDS[facts['method']]}: {_estimate(facts)}, from {facts['repetitions']} independent repetitions "
        f"(standard error {small(facts['standard_error'], facts['value'])}, {facts['hits']:,} paths reached the event); without bias.",
    ]
    if facts["gain"] is not None:
        sentences.append(
            f"Gain over brute force in variance × work: {_gain(facts)} with the pilot's work, {_gain(facts, 'gain_alone')} without; the intervals "
            f"are those of the variance of {facts['repetitions']} repetitions."
        )
    if facts.get("brute_replications"):
        sentences.append(
            f"Brute force: {facts['brute_hits']:,} of {facts['brute_replications']:,} replications, "
            f"{_told(facts, 'brute_value', 'brute_low', 'brute_high')}."
        )
    if "pushes" in study.tables:
        table = study.tables["pushes"]
        order = table["over_horizon"].abs().sort_values(ascending=False).index[:5]
        parts = [f"{_slot(table.loc[place])} by {table.loc[place, 'over_horizon']:+.1f}".replace("-", "−") for place in order]
        sentences.append(f"The likeliest way there moves {', '.join(parts)} standard deviations of the whole horizon.")
    if facts["hits"] < 10 * facts["repetitions"] and facts["value"] > 0.0:
        sentences.append("Few paths of a repetition reach the event: the interval may be too narrow. Raise effort or pilot.")
    return sentences


def _slot(row: Any) -> str:
    words = PURPOSE_WORDS.get(row["purpose"], plain(row["purpose"]))
    return f"{words} {row['agent']}".strip()


def shown(study: Study) -> list[ShownTable]:
    """Levels or pushes, the pilot, the repetitions."""
    tables = []
    if "levels" in study.tables:
        rows, product = [], 1.0
        for number, row in enumerate(study.tables["levels"].to_dict("records"), 1):
            product *= row["share"]
            name = "the event" if row["is_event"] else f"{row['level'] * 100:.2f} %"
            rows.append([str(number), name, f"{row['share']:.3f}", f"{row['lowest']:.3f} to {row['highest']:.3f}", small(product)])
        head = [("level", True), ("debt at risk", True), ("mean share that reaches it", True), ("over repetitions", True), ("product so far", True)]
        tables.append(ShownTable("Levels: each is reached from the one before", head, rows))
    if "pushes" in study.tables:
        rows = [[sentence_case(_slot(row)), f"{row['push']:+.3f}", f"{row['over_horizon']:+.2f}"] for _, row in study.tables["pushes"].iterrows()]
        head = [("luck that is pushed", False), ("a month, standard deviations", True), ("over the horizon", True)]
        tables.append(ShownTable("Push of importance sampling at full strength", head, rows))
    rows = []
    for row in study.tables["stages"].to_dict("records"):
        level = f"{row['level'] * 100:.2f} %" if np.isfinite(row["level"]) else "the event"
        rows.append([str(row["stage"]), f"{row['paths']:,}", level, f"{row['hits']:,}"])
    tables.append(ShownTable("Pilot: never counted in the estimate", [("stage", True), ("paths", True), ("level set", True), ("hits", True)], rows))
    rows = [[str(row["repetition"]), small(row["value"]), f"{row['hits']:,}"] for row in study.tables["repetitions"].to_dict("records")]
    tables.append(ShownTable("Independent repetitions", [("repetition", True), ("estimate", True), ("paths that hit", True)], rows))
    return tables


def repetitions(study: Study) -> Figure:
    """Every repetition's estimate, their mean with its interval, and brute force."""
    facts, values = study.facts, study.tables["repetitions"]["value"].to_numpy()
    height = 3.4
    note = "Dots: independent repetitions. Bars: 95 % intervals."
    figure, top = style.new_figure(headline(study), note, height=height)
    axes = figure.add_axes((0.2, 0.52 / height, 0.76, top - 0.52 / height))
    spread = 0.25 * np.cos(np.arange(len(values)) * 2.4)
    axes.plot(values, 2.0 + spread, "o", color=style.BLUE, alpha=0.6, markersize=4.5, markeredgewidth=0)
    names = ["mean", "repetitions"]
    axes.plot([facts["low"], facts["high"]], [1.0, 1.0], color=style.BLUE, linewidth=2.2)
    axes.plot(facts["value"], 1.0, "o", color=style.BLUE, markersize=7)
    if facts.get("brute_replications"):
        axes.plot([facts["brute_low"], facts["brute_high"]], [0.0, 0.0], color=style.VERMILLION, linewidth=2.2)
        axes.plot(facts["brute_value"], 0.0, "o", color=style.VERMILLION, markersize=7)
        names = [f"brute force, {facts['brute_replications']:,}", *names]
    axes.set_yticks(np.arange(len(names)) + (0.0 if len(names) == 3 else 1.0), names)
    axes.set_ylim(-0.5 if len(names) == 3 else 0.5, 2.6)
    axes.set_xlim(left=0.0)
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
    axes.set_xlabel("probability of a systemic cascade")
    axes.grid(axis="y", visible=False)
    return figure


def figures(study: Study) -> Mapping[str, tuple[Callable[[Study], Figure], str]]:
    """One figure."""
    return {"rare_event": (repetitions, "The narrower the blue bar beside the red one, the more is gained over brute force.")}


TELLER = Teller(headline, findings, shown, figures)
