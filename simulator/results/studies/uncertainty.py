"""How outcomes over uncertain parameters are told: estimates with the design's interval, their spread, and whose variance it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import interval, number
from simulator.results.studies.words import (
    axis_label,
    change,
    clear,
    factor,
    in_sentences,
    level,
    plain,
    plain_number,
    sentence_case,
    unit,
)
from simulator.results.study import ShownTable, Study, Teller

DESIGNS = {
    "plain": "independent points", "antithetic": "antithetic pairs of points", "sobol": "scrambled Sobol' nets",
    "latin_hypercube": "Latin hypercubes", "nested": "independent points with several draws of luck each",
}  # fmt: skip


def _row(study: Study, table: str, outcome: str, scenario: str = "chosen") -> Any:
    frame = study.tables[table]
    return frame[(frame["outcome"] == outcome) & (frame["scenario"] == scenario)].iloc[0]


def _names(study: Study) -> dict[str, str]:
    policy = study.facts["policy"]
    chosen = plain(study.facts["shock"]) + ("" if policy == "current_rules" else f", with {plain(policy)}")
    return {"baseline": "no shock", "chosen": chosen if chosen != "none" else "no shock"}


def headline(study: Study) -> str:
    """Whose variance it is where that is known, else the mean and its spread."""
    name = study.facts["outcomes"][0]
    words, kind = in_sentences(name)
    if "variance" in study.tables:
        row = _row(study, "variance", name)
        limits = interval(row["share_low"], row["share_high"], "share")
        return f"Uncertain parameters make {number(row['share'], 'share')} ({limits}) of the variance of the {words}; luck makes the rest"
    row = _row(study, "estimates", name)
    count = len(study.tables["parameters"])
    return f"With {count} parameters uncertain, the {words} is {level(row['value'], row['value_low'], row['value_high'], kind)} on average"


def findings(study: Study) -> list[str]:
    """Per outcome: level, difference, spread, efficiency; then what the numbers are made of."""
    facts, names, sentences = study.facts, _names(study), []
    for name in facts["outcomes"]:
        words, kind = in_sentences(name)
        row = _row(study, "estimates", name)
        text = f"Over the parameters' ranges, under '{names['chosen']}', the {words} is "
        text += level(row["value"], row["value_low"], row["value_high"], kind)
        if "difference" in row and np.isfinite(row["difference"]):
            gap = change(row["difference"], row["difference_low"], row["difference_high"], kind)
            text += f", {gap} against '{names['baseline']}' at the same points with the same luck"
        sentences.append(text + ".")
        if "variance" in study.tables:
            split = _row(study, "variance", name)
            if not split["total"] > 0.0:
                continue
            limits = interval(split["share_low"], split["share_high"], "share")
            sentences.append(
                f"Of the variance of the {words}, {number(split['share'], 'share')} (95 % interval {limits}) is between parameters and the rest is "
                "luck at given parameters (law of total variance; the luck left in the means of the points is taken out)."
            )
        elif kind != "share":
            values = _values(study, name, "chosen")
            low, high = np.quantile(values, [0.05, 0.95])
            after = f" {unit(kind)}" if kind == "money" else ""
            sentences.append(
                f"Parameters and luck together spread the {words} from {number(low, kind)} to {number(high, kind)}{after} "
                "(nine tenths of the points)."
            )
        if facts["design"] not in ("plain", "nested") and np.isfinite(row["efficiency"]):
            gain = f"For the mean of the {words} the design is worth {row['efficiency']:.1f} times as many independent points"
            if "difference_efficiency" in row and np.isfinite(row["difference_efficiency"]):
                gain += f", for the difference {row['difference_efficiency']:.1f} times"
            sentences.append(gain + ".")
    sentences.append(_made_of(study))
    return sentences


def _made_of(study: Study) -> str:
    facts = study.facts
    parts = f"{facts['points']:,} points in {len(study.tables['parameters'])} parameters ({DESIGNS[facts['design']]}"
    parts += f", {facts['randomisations']} of them" if facts["design"] in ("sobol", "latin_hypercube") else ""
    parts += f", {facts['luck']} each" if facts["luck"] > 1 else ""
    parts += ", luck mirrored with them" if facts["mirrored"] else ""
    if facts["luck"] > 1:
        error = study.tables["values"]
        name = facts["outcomes"][0]
        words, kind = in_sentences(name)
        typical = float(error[(error["outcome"] == name) & (error["scenario"] == "chosen")]["standard_error"].median())
        size = f"{number(typical, kind, bare=True)} {unit(kind, True)}".strip()
        error_words = f"Sampling error of the mean at one point, apart from the parameters': {size} for the {words} (standard error, median point)."
        return f"{parts}). {error_words}"
    return f"{parts}), one draw of luck at each: the intervals hold the error of parameters and of luck together."


def _values(study: Study, outcome: str, scenario: str) -> Any:
    frame = study.tables["values"]
    return frame[(frame["outcome"] == outcome) & (frame["scenario"] == scenario)]["value"].to_numpy()


def shown(study: Study) -> list[ShownTable]:
    """Estimates, variance, parameters."""
    names, rows, flags = _names(study), [], []
    for _, row in study.tables["estimates"].iterrows():
        words, kind = in_sentences(row["outcome"])
        has_gap = "difference" in row and np.isfinite(row["difference"])
        rows.append([
            sentence_case(words) + (f", {unit(kind)}" if kind == "money" else ""), names[row["scenario"]], number(row["value"], kind),
            interval(row["value_low"], row["value_high"], kind),
            number(row["difference"], kind, signed=True, bare=True) if has_gap else "",
            interval(row["difference_low"], row["difference_high"], kind, signed=True) if has_gap else "",
            f"{row['efficiency']:.1f}" if np.isfinite(row["efficiency"]) else "n/a",
        ])  # fmt: skip
        flags.append(has_gap and clear(row["difference_low"], row["difference_high"]))
    head = [("outcome", False), ("scenario", False), ("mean", True), ("95 % interval", True), ("difference", True), ("95 % interval, paired", True),
            ("worth, times", True)]  # fmt: skip
    caption = "Outcomes over uncertain parameters. Worth: how many times as many independent points give the same error"
    tables = [ShownTable(caption, head, rows, flags)]
    if "variance" in study.tables:
        rows = []
        for _, row in study.tables["variance"].iterrows():
            words, kind = in_sentences(row["outcome"])
            scale = f" ({unit(kind)} squared)" if kind == "money" else ""
            rows.append([
                sentence_case(words) + scale, names[row["scenario"]], *(f"{row[part]:,.4g}" for part in ("total", "between", "within")),
                number(row["share"], "share"), interval(row["share_low"], row["share_high"], "share"),
            ])  # fmt: skip
        head = [("outcome", False), ("scenario", False), ("variance", True), ("between parameters", True), ("luck within", True),
                ("share of parameters", True), ("95 % interval", True)]  # fmt: skip
        tables.append(ShownTable("Variance by parameters and by luck", head, rows))
    return [*tables, parameter_table(study)]


def parameter_table(study: Study) -> ShownTable:
    """The uncertain parameters with their ranges and sources."""
    rows = [
        [row["parameter"], plain_number(row["base"]) if np.isfinite(row["base"]) else "by agent", plain_number(row["low"]), plain_number(row["high"]),
         row["distribution"], row["unit"], row["source"]]
        for _, row in study.tables["parameters"].iterrows()
    ]  # fmt: skip
    head = [("parameter", False), ("in the tables", True), ("low", True), ("high", True), ("distribution", False), ("unit", False), ("source", False)]
    return ShownTable("Uncertain parameters", head, rows)


def spread(study: Study, outcome: str) -> Figure:
    """Share of points at or below a value, by scenario."""
    names, scale, height = _names(study), factor(in_sentences(outcome)[1]), 4.2
    draws = study.facts["luck"]
    what = f"mean of {draws} draws of luck at each point" if draws > 1 else "one draw of luck at each point"
    figure, top = style.new_figure(
        _spread_title(study, outcome),
        f"Share of the {study.facts['points']:,} points at or below a value; {what}. Dotted: mean; band: its 95 % interval.", 8.2, height,
    )  # fmt: skip
    axes = figure.add_axes((0.09, 0.56 / height, 0.87, top - 0.56 / height - 0.1 / height))
    for scenario, colour in (("baseline", style.BLUE), ("chosen", style.VERMILLION)):
        if scenario not in study.facts["scenarios"]:
            continue
        values = np.sort(_values(study, outcome, scenario)) * scale
        axes.step(values, (np.arange(len(values)) + 1.0) / len(values) * 100.0, where="post", color=colour, linewidth=1.8, label=names[scenario])
        row = _row(study, "estimates", outcome, scenario)
        axes.axvspan(row["value_low"] * scale, row["value_high"] * scale, color=colour, alpha=0.15, linewidth=0)
        axes.axvline(row["value"] * scale, color=colour, linewidth=1.1, linestyle=":")
    _leave_out_outliers(axes, np.concatenate([_values(study, outcome, scenario) for scenario in study.facts["scenarios"]]) * scale)
    axes.set_ylim(0.0, 101.0)
    axes.set_xlabel(axis_label(outcome).replace("mean ", ""))
    axes.set_ylabel("share of points, %")
    axes.legend(loc="lower right", frameon=False)
    return figure


def _leave_out_outliers(axes: Axes, values: Any) -> None:
    """Ends the axis at the top hundredth of the points where those lie far off, and says how many are beyond."""
    low, typical, most = float(values.min()), float(np.quantile(values, 0.99)), float(values.max())
    end = typical + 0.05 * (typical - low)
    beyond = int((values > end).sum())
    if not beyond or most - low < 2.0 * (typical - low):
        return
    axes.set_xlim(low - 0.05 * (typical - low), end)
    axes.annotate(f"{beyond} further right,\nup to {most:,.0f}", (1.0, 0.78), xycoords="axes fraction", ha="right", fontsize=8.2, color=style.MUTED)


def _shortened(name: str, most: int = 36) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _spread_title(study: Study, outcome: str) -> str:
    """Where nine tenths of the points lie."""
    words, kind = in_sentences(outcome)
    low, high = (number(float(value), kind) for value in np.quantile(_values(study, outcome, "chosen"), [0.05, 0.95]))
    after = f" {unit(kind)}" if kind == "money" else ""
    return f"With uncertain parameters, nine results in ten for the {words} lie between {low} and {high}{after}"


def split(study: Study) -> Figure:
    """A bar an outcome and scenario: the parameters' share of variance and luck's."""
    rows, names = study.tables["variance"], _names(study)
    height = 1.75 + 0.42 * len(rows)
    figure, top = style.new_figure(headline(study), "Share of the variance between and within points; line: 95 % interval of the parameters' share.",
                                   8.2, height)  # fmt: skip
    axes = figure.add_axes((0.36, 0.56 / height, 0.60, top - 0.62 / height - 0.2 / height))
    at = np.arange(len(rows))[::-1]
    share = rows["share"].to_numpy() * 100.0
    axes.barh(at, share, height=0.55, color=style.BLUE, label="parameters")
    axes.barh(at, 100.0 - share, left=share, height=0.55, color="#d9d9d9", label="luck")
    axes.hlines(at, rows["share_low"] * 100.0, rows["share_high"] * 100.0, color=style.INK, linewidth=1.8)
    labels = [f"{sentence_case(in_sentences(row['outcome'])[0])},\n{_shortened(names[row['scenario']])}" for _, row in rows.iterrows()]
    axes.set_yticks(at, labels, fontsize=8)
    axes.set_xlim(0.0, 100.0)
    axes.set_xlabel("share of the variance, %")
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, borderaxespad=0.1)
    return figure


def figures(study: Study) -> Mapping[str, tuple[Callable[[Study], Figure], str]]:
    """The split of variance, and the spread of every outcome that is not yes or no at a single draw."""
    found: dict[str, tuple[Callable[[Study], Figure], str]] = {}
    if "variance" in study.tables:
        found["variance_split"] = (split, "Blue: what better knowledge of the parameters could take away. Grey: what no knowledge of them can.")
    for name in study.facts["outcomes"]:
        if study.facts["luck"] > 1 or in_sentences(name)[1] != "share":
            reading = "A curve further to the right means larger values; a flat one means that parameters (and luck) matter much."
            found[f"uncertainty_{name}"] = (partial(spread, outcome=name), reading)
    return found


TELLER = Teller(headline, findings, shown, figures)
