"""How a rare event is told: its probability, against brute force, and the levels or pushes that led to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import horizon_words
from simulator.results.studies.words import plain, sentence_case
from simulator.results.study import ShownTable, Study, Teller

PURPOSE_WORDS = {
    "market": "the share market", "ai": "AI shares", "common_demand": "demand of all", "own_return": "share price of", "own_demand": "demand for",
}  # fmt: skip
METHOD_WORDS = {"importance_sampling": "importance sampling", "splitting": "multilevel splitting"}
SCIENTIFIC_BELOW = 1e-5
"""Probabilities from here on are told in per cent, with two digits that count."""


def small(value: float, like: float | None = None) -> str:
    """A probability for reading: ``2.34 %``, ``0.018 %``, below one in 100,000 ``1.8e-06``, zero as ``0``; ``like``: written as that one is."""
    if value == 0.0:
        return "0"
    written = value if like is None or like == 0.0 else like
    if written < SCIENTIFIC_BELOW:
        return f"{value:.1e}"
    return f"{value * 100:.{max(2, 1 - math.floor(math.log10(written * 100)))}f} %"


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
        ending = ", no better known than by brute force for the same work"
    return f"The probability of a systemic cascade over the {span} horizon is {_estimate(facts)}{ending}"


def findings(study: Study) -> list[str]:
    """The event, the estimate, the gain, brute force, and where the danger lies."""
    facts = study.facts
    under = plain(facts["shock"]) if facts["shock"] not in ("", "none") else "no shock"
    kinds = f"agents of {facts['kinds']} kinds or more" if facts["kinds"] > 1 else "agents"
    estimate = (
        f"Estimate by {METHOD_WORDS[facts['method']]}: {_estimate(facts)}, from {facts['repetitions']} independent repetitions "
        f"(standard error {small(facts['standard_error'], facts['value'])}, {facts['hits']:,} paths reached the event); without bias."
    )
    if facts["value"] == 0.0:
        estimate = f"By {METHOD_WORDS[facts['method']]} no path of {facts['repetitions']} independent repetitions reached the event: "
        estimate += "there is no interval. Raise effort or pilot."
    sentences = [
        f"Event: within {facts['months']} months {kinds} default on {facts['debt_share'] * 100:g} % of all "
        f"modelled debt or more; {under}, {plain(facts['policy']) or 'current rules'}, {facts['horizon_months']} months.",
        estimate,
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
        way = "The likeliest way there moves" if facts["value"] > 0.0 else "The pilot came nearest with paths that move"
        sentences.append(f"{way} {', '.join(parts)} standard deviations of the whole horizon.")
    if facts["hits"] < 10 * facts["repetitions"] and facts["value"] > 0.0:
        sentences.append("Few paths of a repetition reach the event: the interval may be too narrow. Raise effort or pilot.")
    return sentences


def _slot(row: Any) -> str:
    words = PURPOSE_WORDS.get(row["purpose"], plain(row["purpose"]))
    return f"{words} {plain(row['agent'])}".strip()


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
        rows = [
            [sentence_case(_slot(row)), *(f"{row[at]:+.3f}".replace("-", "−") for at in ("push", "over_horizon"))]
            for _, row in study.tables["pushes"].iterrows()
        ]
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
    note = "Small dots: independent repetitions. Large dots with bars: estimates with 95 % intervals."
    is_known = facts["value"] > 0.0  # without a hit neither the mean nor an interval says anything
    figure, top = style.new_figure(headline(study), note, height=height)
    axes = figure.add_axes((0.23, 0.52 / height, 0.72, top - 0.52 / height))
    spread = 0.25 * np.cos(np.arange(len(values)) * 2.4)
    axes.plot(100.0 * values, 2.0 + spread, "o", color=style.BLUE, alpha=0.6, markersize=4.5, markeredgewidth=0)
    names = [METHOD_WORDS[facts["method"]] if is_known else "no estimate", f"its {len(values)} repetitions"]
    if is_known:
        _dot(axes, 1.0, facts["value"], facts["low"], facts["high"], style.BLUE)
    if facts.get("brute_replications"):
        _dot(axes, 0.0, facts["brute_value"], facts["brute_low"], facts["brute_high"], style.VERMILLION)
        names = [f"brute force,\n{facts['brute_replications']:,} replications", *names]
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_yticks(np.arange(len(names)) + (0.0 if len(names) == 3 else 1.0), names)
    axes.set_ylim(-0.5 if len(names) == 3 else 0.5, 2.6)
    axes.set_xlim(left=0.0)
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 3))
    axes.set_xlabel("probability of a systemic cascade, %")
    axes.grid(axis="y", visible=False)
    return figure


def _dot(axes: Axes, at: float, value: float, low: float, high: float, colour: str) -> None:
    """An estimate in per cent with its interval and its number."""
    axes.plot([100.0 * low, 100.0 * high], [at, at], color=colour, linewidth=2.2)
    axes.plot(100.0 * value, at, "o", color=colour, markersize=7, clip_on=False)
    axes.annotate(small(value), (100.0 * value, at), (0, 8), textcoords="offset points", ha="center", fontsize=8.5, color=colour)


def figures(study: Study) -> Mapping[str, tuple[Callable[[Study], Figure], str]]:
    """One figure."""
    return {"rare_event": (repetitions, "The narrower the blue bar beside the orange one, the more is gained over brute force.")}


TELLER = Teller(headline, findings, shown, figures)
