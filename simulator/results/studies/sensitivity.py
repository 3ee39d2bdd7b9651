"""How a sensitivity analysis is told: which parameters matter alone, together and at most, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import interval, number
from simulator.results.studies.uncertainty import parameter_table
from simulator.results.studies.words import (
    change,
    clear,
    factor,
    in_sentences,
    label_room,
    parameter_words,
    plain_number,
    sentence_case,
    unit,
)
from simulator.results.study import ShownTable, Study, Teller

RANK = {"sobol": "total", "morris": "mu_star", "tornado": "swing"}
MOST = 20
"""Parameters that a figure shows."""


def _rows(study: Study, method: str, outcome: str) -> Any:
    """Rows of an outcome, what matters most first, with each parameter's ``words``."""
    frame, known = study.tables[method], study.tables["parameters"]
    words = {name: parameter_words(name, measure) for name, measure in zip(known["parameter"], known["unit"], strict=True)}
    rows = frame[frame["outcome"] == outcome].assign(words=lambda rows: rows["parameter"].map(words))
    return rows.iloc[np.argsort(-rows[RANK[method]].abs().to_numpy(), kind="stable")].reset_index(drop=True)


def headline(study: Study, outcome: str | None = None) -> str:
    """The parameter that matters most, by the strongest method that was run."""
    name = outcome or study.facts["outcomes"][0]
    words, kind = in_sentences(name)
    methods = study.facts["methods"]
    method = next(each for each in ("sobol", "morris", "tornado") if each in methods)
    top = _rows(study, method, name).iloc[0]
    what = sentence_case(top["words"])
    if method == "sobol":
        if top["total"] <= 0.0:
            return f"No parameter moves the {words} at all"
        if not top["total_luck_error"] * 1.96 < top["total"]:
            return f"Which parameter moves the {words} most can't be told from luck with {study.facts['luck']} draws a point"
        share = "nearly all" if top["total"] > 0.95 else number(top["total"], "share")
        return f"{what} moves the {words} most: {share} of its variance over the parameters' ranges"
    value = top["mu_star"] if method == "morris" else abs(top["swing"])
    size = f"{number(value, kind, bare=True)} {unit(kind, True)}".strip()
    return f"{what} moves the {words} most: {size} over its range"


def findings(study: Study) -> list[str]:
    """Per outcome and method: the strongest, how far they act together, and how sure that is."""
    sentences: list[str] = []
    for name in study.facts["outcomes"]:
        words, kind = in_sentences(name)
        for method in study.facts["methods"]:
            rows = _rows(study, method, name)
            sentences += {"sobol": _sobol_words, "morris": _morris_words, "tornado": _tornado_words}[method](study, name, words, kind, rows)
    facts = study.facts
    draws = []
    if "tornado" in facts["methods"]:
        draws.append(f"{facts['points']['tornado']} x {facts['tornado_luck']} (tornado)")
    draws += [f"{facts['points'][method]} x {facts['luck']} ({method})" for method in ("sobol", "morris") if method in facts["methods"]]
    sentences.append(f"Points x draws of luck: {', '.join(draws)}; all points share their draws, so differences between them are the parameters'.")
    return sentences


def _sobol_words(study: Study, name: str, words: str, kind: str, rows: Any) -> list[str]:
    if not (rows["total"] > 0.0).any():
        return [f"The {words} does not vary at any of the points."]
    parts = [
        f"{row['words']} {number(row['total'], 'share')} ({interval(row['total_low'], row['total_high'], 'share')}), "
        f"alone {number(row['first'], 'share')}"
        for _, row in rows.head(3).iterrows()
    ]
    alone = float(rows["first"].sum())
    sentences = [f"Of the variance of the {words} over the parameters' ranges (total Sobol' index): {'; '.join(parts)}."]
    if alone < 0.9:
        sentences.append(
            f"All parameters alone make {number(max(alone, 0.0), 'share')} of it; the rest comes from parameters acting together, or is the error "
            "of the indices."
        )
    noise = study.facts["noise"][name]
    if np.isfinite(noise["sampling_error"]) and noise["deviation"] > 0.0:
        after = unit(kind, True)
        luck = rows["total_luck_error"].iloc[0]
        error, deviation = (f"{number(noise[key], kind, bare=True)} {after}".strip() for key in ("sampling_error", "deviation"))
        sentences.append(
            f"Sampling error, apart from the parameters': the mean {words} at one point has a standard error of {error} from its "
            f"{study.facts['luck']} draws, while the points differ by {deviation} (standard deviation). The draws are the same at every "
            f"point, so most of that error cancels between points; other draws would move the largest total index by {luck:.2f} (standard error)."
        )
    return sentences


def _morris_words(study: Study, name: str, words: str, kind: str, rows: Any) -> list[str]:
    after = unit(kind, True)
    if not (rows["mu_star"] > 0.0).any():
        return []
    parts = [
        f"{row['words']} {number(row['mu_star'], kind, bare=True)} {after}".strip()
        + f" ({interval(row['mu_star_low'], row['mu_star_high'], kind)})"
        for _, row in rows.head(3).iterrows()
    ]
    bent = rows[(rows["sigma"] > rows["mu_star"]) & (rows["mu_star"] > 0.0)]
    text = f"Mean elementary effect on the {words}, per full range (Morris): {'; '.join(parts)}"
    if len(bent):
        text += f"; for {len(bent)} of {len(rows)} parameters the effect varies more with the others than its own size"
    return [text + "."]


def _tornado_words(study: Study, name: str, words: str, kind: str, rows: Any) -> list[str]:
    told = rows[[clear(low, high) for low, high in zip(rows["swing_low"], rows["swing_high"], strict=True)]]
    if not len(told):
        return [f"One at a time, no parameter's range changes the {words} by more than luck hides."]
    parts = [
        f"{row['words']} from {plain_number(row['low_value'])} to {plain_number(row['high_value'])}: "
        f"{change(row['swing'], row['swing_low'], row['swing_high'], kind)}"
        for _, row in told.head(3).iterrows()
    ]
    return [f"One at a time, the others at their medians, the {words} changes most with {'; '.join(parts)}. "
            f"{len(told)} of {len(rows)} ranges make a difference that is distinguishable from zero."]  # fmt: skip


def shown(study: Study) -> list[ShownTable]:
    """A table a method and outcome, then the parameters."""
    tables = []
    for name in study.facts["outcomes"]:
        words, kind = in_sentences(name)
        if "sobol" in study.facts["methods"]:
            cells = [
                [row["words"], *(
                    text for key in ("first", "total")
                    for text in (f"{row[key]:.2f}", f"{row[f'{key}_low']:.2f} to {row[f'{key}_high']:.2f}", f"{row[f'{key}_luck_error']:.2f}")
                )]
                for _, row in _rows(study, "sobol", name).iterrows()
            ]  # fmt: skip
            head = [("parameter", False), ("first order", True), ("95 % interval", True), ("error by luck", True), ("total", True),
                    ("95 % interval", True), ("error by luck", True)]  # fmt: skip
            tables.append(ShownTable(f"Sobol' indices of the {words}: shares of its variance over the parameters' ranges", head, cells))
        if "morris" in study.facts["methods"]:
            cells = [
                [row["words"], number(row["mu_star"], kind, bare=True), interval(row["mu_star_low"], row["mu_star_high"], kind),
                 number(row["mu"], kind, signed=True, bare=True), number(row["sigma"], kind, bare=True)]
                for _, row in _rows(study, "morris", name).iterrows()
            ]  # fmt: skip
            head = [("parameter", False), ("mean size mu*", True), ("95 % interval", True), ("mean mu", True), ("spread sigma", True)]
            tables.append(ShownTable(f"Elementary effects on the {words} per full range, {unit(kind, True)}".rstrip(", "), head, cells))
        if "tornado" in study.facts["methods"]:
            cells, flags = [], []
            for _, row in _rows(study, "tornado", name).iterrows():
                cells.append([row["words"], plain_number(row["low_value"]), plain_number(row["high_value"]), *(
                    text for end in ("at_low", "at_high")
                    for text in (number(row[f"{end}_change"], kind, signed=True, bare=True),
                                 interval(row[f"{end}_change_low"], row[f"{end}_change_high"], kind, signed=True))
                )])  # fmt: skip
                flags.append(clear(row["swing_low"], row["swing_high"]))
            head = [("parameter", False), ("low", True), ("high", True), ("change at low", True), ("95 % interval", True), ("change at high", True),
                    ("95 % interval", True)]  # fmt: skip
            caption = f"One parameter at a time, the others at their medians: change of the {words}, {unit(kind, True)}".rstrip(", ")
            tables.append(ShownTable(caption, head, cells, flags))
    return [*tables, parameter_table(study)]


def _canvas(title: str, note: str, labels: list[str], rows: int) -> tuple[Figure, Any, Any]:
    height = 1.75 + 0.34 * rows
    figure, top = style.new_figure(title, note, 8.6, height)
    room = label_room(labels, 8.6)
    axes = figure.add_axes((room, 0.56 / height, 0.965 - room, top - 0.56 / height - 0.22 / height))
    at = np.arange(rows)[::-1]
    axes.set_yticks(at, labels)
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(-0.7, rows - 0.3)
    axes.grid(axis="y", visible=False)
    return figure, axes, at


def tornado(study: Study, outcome: str) -> Figure:
    """Bars of change at the low and the high end, the widest on top, with paired intervals."""
    words, kind = in_sentences(outcome)
    rows, scale = _rows(study, "tornado", outcome).head(MOST), factor(kind)
    top = rows.iloc[0]
    told = clear(top["swing_low"], top["swing_high"])
    title = f"One at a time, {top['words']} changes the {words} most" if told else \
        f"One at a time, no parameter's range changes the {words} by more than luck hides"  # fmt: skip
    note = "Change when one parameter goes to an end of its range, the others at their medians; lines: 95 % paired intervals."
    figure, axes, at = _canvas(title, note, rows["words"].to_list(), len(rows))
    for end, colour, shift, value in (("at_low", style.BLUE, 0.19, "low_value"), ("at_high", style.VERMILLION, -0.19, "high_value")):
        size = rows[f"{end}_change"].to_numpy() * scale
        axes.barh(at + shift, size, height=0.34, color=colour, label="at the low end" if end == "at_low" else "at the high end")
        axes.hlines(at + shift, rows[f"{end}_change_low"] * scale, rows[f"{end}_change_high"] * scale, color=style.INK, linewidth=1.1)
        for place, row in enumerate(rows.to_dict("records")):
            edge = max(row[f"{end}_change_high"], 0.0) * scale
            axes.annotate(plain_number(row[value]), (edge, at[place] + shift), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5,
                          color=style.MUTED)  # fmt: skip
    axes.axvline(0.0, color=style.INK, linewidth=0.9)
    axes.margins(x=0.1)
    axes.set_xlabel(f"change of the {words}, {unit(kind, True)}".rstrip(", "))
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, borderaxespad=0.1)
    return figure


def indices(study: Study, outcome: str) -> Figure:
    """First-order and total indices with intervals."""
    rows = _rows(study, "sobol", outcome).head(MOST)
    note = f"Shares of the variance over the parameters' ranges; lines: 95 % bootstrap intervals over {study.facts['samples']} base points."
    figure, axes, at = _canvas(headline(study, outcome), note, rows["words"].to_list(), len(rows))
    shown = (("total", style.BLUE, 0.14, "total: alone and with others"), ("first", style.VERMILLION, -0.14, "first order: alone"))
    for key, colour, shift, label in shown:
        axes.hlines(at + shift, rows[f"{key}_low"], rows[f"{key}_high"], color=colour, linewidth=2.0, alpha=0.55)
        axes.scatter(rows[key], at + shift, s=30, marker="o" if key == "total" else "D", facecolor=colour if key == "total" else "white",
                     edgecolor=colour, linewidth=1.3, zorder=3, label=label)  # fmt: skip
    axes.axvline(0.0, color=style.MUTED, linewidth=0.9)
    axes.set_xlabel("Sobol' index (share of variance; 1 is all of it)")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, borderaxespad=0.1)
    return figure


def effects(study: Study, outcome: str) -> Figure:
    """Mean size of elementary effects against their spread, named where they are large."""
    words, kind = in_sentences(outcome)
    rows, scale = _rows(study, "morris", outcome).head(MOST), factor(kind)
    top = rows.iloc[0]
    title = f"By elementary effects, {top['words']} moves the {words} most"
    note = "Dot: mean size of the effect of a full range (mu*), with its 95 % interval; diamond: its spread with other parameters."
    figure, axes, at = _canvas(title, note, rows["words"].to_list(), len(rows))
    axes.hlines(at, rows["mu_star_low"] * scale, rows["mu_star_high"] * scale, color=style.BLUE, linewidth=2.0, alpha=0.55)
    axes.scatter(rows["mu_star"] * scale, at, s=32, color=style.BLUE, zorder=3, label="mean size mu*")
    look = {"marker": "D", "facecolor": "white", "edgecolor": style.VERMILLION, "linewidth": 1.3}
    axes.scatter(rows["sigma"] * scale, at, s=26, zorder=3, label="spread sigma", **look)
    axes.axvline(0.0, color=style.MUTED, linewidth=0.9)
    axes.set_xlabel(f"effect on the {words} per full range, {unit(kind, True)}".rstrip(", "))
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, borderaxespad=0.1)
    return figure


def figures(study: Study) -> Mapping[str, tuple[Callable[[Study], Figure], str]]:
    """A figure a method and outcome."""
    kinds: dict[str, tuple[str, Callable[..., Figure], str]] = {
        "sobol": ("sobol_indices", indices, "Where total is far above first order, the parameter matters together with others."),
        "tornado": ("tornado", tornado, "The wider the bars, the more the range of this parameter alone matters; the values are the range's ends."),
        "morris": ("elementary_effects", effects, "A spread above the mean size: the effect depends on the other parameters or turns its sign."),
    }
    found = {}
    for name in study.facts["outcomes"]:
        for method, (label, draw, reading) in kinds.items():
            if method in study.facts["methods"] and (_rows(study, method, name)[RANK[method]].abs() > 0.0).any():
                found[f"{label}_{name}"] = (partial(draw, outcome=name), reading)
    return found


TELLER = Teller(headline, findings, shown, figures)
