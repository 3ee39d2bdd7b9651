"""How a reverse stress test is told: the smallest shock past the threshold, and the smallest policies back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import interval, number
from simulator.results.studies.words import bounded, label_room, plain, sentence_case
from simulator.results.study import ShownTable, Study, Teller


def _percent(value: float) -> str:
    return number(value, "share")


def headline(study: Study) -> str:
    """The smallest dose."""
    facts = study.facts
    at = {"systemic_at_half": " (at half the debt share)", "systemic_at_double": " (at double the debt share)"}.get(facts["event"], "")
    goal = f"a systemic cascade{at} is at least {facts['threshold'] * 100:g} % likely"
    if facts["dose"] is None:
        most = float(study.tables["doses"]["value"].max())
        return f"No dose of {plain(facts['shock'])} up to {facts['dose_max']:.3g} gets to the point where {goal} (at most {_percent(most)})"
    if facts["dose"] == 0.0:
        return f"Without any shock {goal.replace('at least', 'already')} ({_percent(facts['probability'])})"
    return f"{sentence_case(goal)} from {facts['dose']:.2f} times the size of {plain(facts['shock'])} on"


def findings(study: Study) -> list[str]:
    """The dose with what luck leaves open, the direction, and the policies."""
    facts, sentences = study.facts, []
    doses = study.tables["doses"]
    count = f"{facts['replications']:,} replications"
    if facts["dose"] is None:
        last = doses.iloc[-1]
        sentences.append(
            f"At {last['dose']:.2f} times its size P(systemic) is {_percent(last['value'])} ({interval(last['low'], last['high'], 'share')})."
        )
    else:
        low = "0" if facts["dose_low"] is None else f"{facts['dose_low']:.2f}"
        high = f"more than {float(doses['dose'].max()):.2f}" if facts["dose_high"] is None else f"{facts['dose_high']:.2f}"
        limits = interval(facts["probability_low"], facts["probability_high"], "share")
        sentences.append(
            f"The smallest dose found is {facts['dose']:.3f}; {facts['below']:.3f} is not enough. "
            f"There P(systemic) is {_percent(facts['probability'])} (95 % interval {limits}, {count})."
        )
        sentences.append(f"Where the ends of that interval cross the threshold, the dose is {low} to {high}: so much is left open by luck.")
    sentences += bounded(facts["saturated"])
    if facts["turns_back"]:
        met = "" if facts["dose"] is None else "; the answer is the lowest crossing that was met"
        sentences.append(f"P(systemic) does not rise with every step of the dose{met}.")
    if facts["vary"] == "levers":
        parts = []
        for name, part in facts["direction"].items():
            if part > 0 and facts["dose"] is not None:
                parts.append(f"{plain(name)} by {part * facts['dose'] * facts['own_distance']:.2f} standard deviations")
        if parts:
            distance = facts["dose"] * facts["own_distance"]
            sentences.append(
                f"Of {facts['directions_tried']} directions the most plausible past the threshold moves {', '.join(parts)}: "
                f"a Mahalanobis distance of {distance:.2f} (levers independent, a stated range read as nine tenths of what is possible)."
            )
    answers = study.tables["answers"]
    if len(answers) and facts["policy_shock"] is not None:
        without = _percent(float(answers["without"].iloc[0]))
        found = answers.dropna(subset=["dose"])
        sentences.append(f"Against {facts['policy_shock']:.2f} times the shock (P(systemic) {without} without any policy):")
        for _, row in found.iterrows():
            limits = interval(row["low"], row["high"], "share")
            if row["dose"] == 0.0:
                sentences.append(f"{sentence_case(plain(row['policy']))} is not needed: P(systemic) is under the threshold without it.")
                continue
            text = f"{sentence_case(plain(row['policy']))} brings it back under the threshold at {row['dose']:.2f} times its size "
            sentences.append(f"{text}({_percent(row['value'])}, {limits}).")
        for _, row in answers[answers["dose"].isna()].iterrows():
            best = f"{_percent(row['value'])}, {interval(row['low'], row['high'], 'share')}"
            sentences.append(
                f"{sentence_case(plain(row['policy']))} does not bring it back at any dose up to {row['largest_dose']:.2f} (at best {best})."
            )
    return sentences


def shown(study: Study) -> list[ShownTable]:
    """The policies, the doses tried, and the directions."""
    facts, tables = study.facts, []
    answers = study.tables["answers"]
    if len(answers):
        rows = []
        for _, row in answers.iterrows():
            dose = f"{row['dose']:.3f}" if np.isfinite(row["dose"]) else f"none up to {row['largest_dose']:.2f}"
            below = f"{row['below']:.3f}" if np.isfinite(row["below"]) else ""
            rows.append([plain(row["policy"]), dose, below, _percent(row["value"]), interval(row["low"], row["high"], "share")])
        head = [
            ("policy", False),
            ("smallest dose that suffices", True),
            ("not enough", True),
            ("P(systemic) there (or at best)", True),
            ("95 % interval", True),
        ]
        caption = f"Policies against {facts['policy_shock']:.2f} times the shock, in times the size of the policy's file "
        caption += f"(threshold {_percent(facts['threshold'])})"
        tables.append(ShownTable(caption, head, rows))
    rows = [[f"{row['dose']:.3f}", _percent(row["value"]), interval(row["low"], row["high"], "share")] for _, row in study.tables["doses"].iterrows()]
    flags = [dose == facts["dose"] for dose in study.tables["doses"]["dose"]]
    tables.append(
        ShownTable(
            "Every dose of the search, on the same draws", [("dose", True), ("P(systemic)", True), ("95 % interval (Wilson)", True)], rows, flags
        )
    )
    if "directions" in study.tables:
        table = study.tables["directions"]
        names = list(facts["direction"])
        rows = [[*(f"{row[name]:.2f}" for name in names), f"{row['distance']:.2f}", _percent(row["value"])] for _, row in table.iterrows()]
        head = [*((plain(name), True) for name in names), ("distance tried last", True), ("P(systemic) there", True)]
        tables.append(
            ShownTable("Directions tried (weights of the levers, in standard deviations)", head, rows, [bool(flag) for flag in table["is_answer"]])
        )
    return tables


def search(study: Study) -> Figure:
    """P(systemic) by dose, with the threshold and the answer."""
    facts, rows = study.facts, study.tables["doses"]
    height = 4.1
    note = f"P(systemic) at every dose tried, on the same draws ({facts['replications']:,} replications); band: Wilson's 95 % interval."
    figure, top = style.new_figure(headline(study), note, height=height)
    axes = figure.add_axes((0.085, 0.55 / height, 0.885, top - 0.6 / height))
    axes.fill_between(rows["dose"], rows["low"] * 100, rows["high"] * 100, color=style.BLUE, alpha=0.18, linewidth=0)
    axes.plot(rows["dose"], rows["value"] * 100, "-o", color=style.BLUE, markersize=4.5, linewidth=1.6)
    axes.axhline(facts["threshold"] * 100, color=style.VERMILLION, linewidth=1.2)
    axes.text(axes.get_xlim()[0], facts["threshold"] * 100, " threshold", color=style.VERMILLION, va="bottom", ha="left", fontsize=8.6)
    if facts["dose"] is not None:
        axes.axvline(facts["dose"], color=style.INK, linewidth=1.0, linestyle="--")
        end = axes.get_xlim()[1]
        low = 0.0 if facts["dose_low"] is None else facts["dose_low"]
        high = end if facts["dose_high"] is None else facts["dose_high"]
        axes.axvspan(low, high, color=style.MUTED, alpha=0.12, linewidth=0)
        ends = "right" if facts["dose"] > 0.7 * float(rows["dose"].max()) else "left"
        axes.annotate(f"smallest dose {facts['dose']:.2f}\n(grey: {low:.2f} to {high:.2f})", (facts["dose"], 0.96), (-6 if ends == "right" else 6, 0),
                      xycoords=("data", "axes fraction"), textcoords="offset points", ha=ends, va="top", fontsize=8.6, color=style.INK)  # fmt: skip
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel(f"dose: times the size of {plain(facts['shock'])}"[:90])
    axes.set_ylabel("P(systemic), %")
    return figure


def policies(study: Study) -> Figure:
    """The smallest dose of each policy."""
    facts, table = study.facts, study.tables["answers"]
    if not len(table):
        return style.empty_figure("Policies against the shock", "No policy was tried.")
    found = table.dropna(subset=["dose"])
    if len(found):
        title = f"{len(found)} of {len(table)} policies bring the probability back under {facts['threshold'] * 100:g} %; "
        title += f"{plain(found.iloc[0]['policy'])} at {found.iloc[0]['dose']:.2f} times its size"
    else:
        title = f"No policy tried brings the probability back under {facts['threshold'] * 100:g} %"
    height = 1.7 + 0.36 * len(table)
    figure, top = style.new_figure(
        title, f"Against {facts['policy_shock']:.2f} times the shock; hollow: not enough at any dose tried.", height=height
    )
    left = label_room([plain(policy) for policy in table["policy"]], 8.2)
    axes = figure.add_axes((left, 0.5 / height, 0.96 - left, top - 0.5 / height))
    at = np.arange(len(table))[::-1]
    for place, (_, row) in zip(at, table.iterrows(), strict=True):
        is_enough = bool(np.isfinite(row["dose"]))
        reach = row["dose"] if is_enough else row["largest_dose"]
        axes.barh(place, reach, 0.6, color=style.BLUE if is_enough else "white", edgecolor=style.BLUE)
        text = f"{_percent(row['value'])} ({interval(row['low'], row['high'], 'share')})"
        axes.annotate(text, (reach, place), (6, 0), textcoords="offset points", va="center", fontsize=8.2, color=style.INK)
    axes.set_yticks(at, [sentence_case(plain(policy)) for policy in table["policy"]])
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_xlim(0, float(table["largest_dose"].max()) * 1.45)
    axes.set_xlabel("dose of the policy, times the size of its file; beside the bar: P(systemic) there, 95 % interval")
    axes.grid(axis="y", visible=False)
    return figure


def figures(study: Study) -> Mapping[str, tuple[Callable[[Study], Figure], str]]:
    """Two figures."""
    found: dict[str, tuple[Callable[[Study], Figure], str]] = {
        "reverse_stress_test": (search, "The dashed line is the smallest dose that passes; the grey band is what luck leaves open about it."),
    }
    if len(study.tables["answers"]):
        found["smallest_policies"] = (policies, "The shorter the bar, the less of the policy is needed.")
    return found


TELLER = Teller(headline, findings, shown, figures)
