"""How knock-outs are told: who is systemically important, ranked by how much less is lost without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import interval, number
from simulator.results.studies.words import change, factor, outcome_words, unit
from simulator.results.study import ShownTable, Study, Teller

SHOWN_MAX = 30


def rows_of(study: Study, outcome: str) -> Any:
    """Rows of one outcome, by rank."""
    table = study.tables["knock_outs"]
    return table[table["outcome"] == outcome].sort_values("rank")


def name_of(study: Study, removed: str) -> str:
    """An id in words: the agents' names; a contract's id as it is."""
    names = study.facts["names"]
    return " and ".join(_short(names.get(part, part)) for part in removed.split(">"))


def _short(name: str) -> str:
    head = name.split(" (")[0]
    return head if len(head) <= 34 else head[:33] + "…"


def headline(study: Study) -> str:
    """The most important one."""
    rows = rows_of(study, study.facts["ranked_by"])
    top, (words, kind) = rows.iloc[0], outcome_words(study.facts["ranked_by"])
    if not top["told"] or top["drop"] <= 0:
        return f"Nothing of the {study.facts['tried']} tried makes a difference to the {words} that is told from luck"
    size = f"{number(top['drop'], kind, bare=True)} {unit(kind, True)}".strip()
    return f"{name_of(study, top['removed'])} is the most important systemically: without it the {words} is {size} lower"


def findings(study: Study) -> list[str]:
    """The important ones, those whose absence makes things worse, the rank of size against importance."""
    name = study.facts["ranked_by"]
    words, kind = outcome_words(name)
    rows = rows_of(study, name)
    told = rows[rows["told"]]
    sentences = []
    base = rows.iloc[0]["with_all"]
    after = f" {unit(kind)}" if kind == "money" else ""
    sentences.append(f"With everybody in place the {words} is {number(base, kind)}{after}.")
    harmful = told[told["drop"] > 0]
    if len(harmful):
        parts = [
            f"{name_of(study, row['removed'])} {change(row['drop'], row['drop_low'], row['drop_high'], kind)}"
            for _, row in harmful.head(5).iterrows()
        ]
        sentences.append(f"Most of it is due to the presence of: {'; '.join(parts)}.")
    helpful = told[told["drop"] < 0].sort_values("drop")
    if len(helpful):
        parts = [
            f"{name_of(study, row['removed'])} {change(row['drop'], row['drop_low'], row['drop_high'], kind)}"
            for _, row in helpful.head(3).iterrows()
        ]
        sentences.append(f"Their presence lowers it: {'; '.join(parts)}.")
    sentences.append(f"{len(told)} of {study.facts['tried']} can be told from no effect (Holm's correction, level {study.facts['level']:g}).")
    if len(rows) > 3 and rows["size"].nunique() > 1:
        correlation = float(np.corrcoef(rows["size"].rank(), rows["drop"].rank())[0, 1])
        sentences.append(f"Size is not importance: the rank correlation of the two is {number(correlation, 'count')}.")
    sentences.append(
        "What is taken out is replaced by the rest of the world, which keeps every contract and can't fail; "
        f"everybody else has the same luck ({study.facts['replications']:,} replications)."
    )
    return sentences


def shown(study: Study) -> list[ShownTable]:
    """A row a removal, with the drop of every outcome."""
    name = study.facts["ranked_by"]
    order = rows_of(study, name)
    outcomes = list(dict.fromkeys([name, *study.tables["knock_outs"]["outcome"]]))
    by_outcome = {outcome: rows_of(study, outcome).set_index("removed") for outcome in outcomes}
    rows = []
    for _, first in order.iterrows():
        cells = [str(first["rank"]), name_of(study, first["removed"]), str(first["sort"]), number(first["size"], "money")]
        for outcome in outcomes:
            row, kind = by_outcome[outcome].loc[first["removed"]], outcome_words(outcome)[1]
            cells.append(number(row["drop"], kind, signed=True, bare=True) + (" *" if row["told"] else ""))
            if outcome == name:
                cells.append(interval(row["drop_low"], row["drop_high"], kind, signed=True))
        rows.append(cells)
    head = [("rank", True), ("taken out", False), ("sort", False), ("size, USD bn", True)]
    for outcome in outcomes:
        words, kind = outcome_words(outcome)
        head.append((f"{words}{', ' + unit(kind, True) if unit(kind, True) else ''}", True))
        if outcome == name:
            head.append(("95 % interval", True))
    caption = "How much of each outcome goes with what is taken out (with everybody less without it, paired); * = distinguishable from zero "
    return [
        ShownTable(
            caption + "after Holm's correction. Size: total assets of an agent, amount of a contract.",
            head,
            rows,
            [bool(flag) for flag in order["told"]],
        )
    ]


def ranking(study: Study) -> Figure:
    """Dots with intervals, the most important on top."""
    name = study.facts["ranked_by"]
    words, kind = outcome_words(name)
    rows = rows_of(study, name).head(SHOWN_MAX)
    height, scale = 1.6 + 0.25 * len(rows), factor(kind)
    note = f"How much lower the {words} is without it, same draws; 95 % paired intervals. Filled: distinguishable from zero after Holm's correction."
    figure, top = style.new_figure(headline(study), note, height=height)
    axes = figure.add_axes((0.34, 0.5 / height, 0.62, top - 0.5 / height))
    at = np.arange(len(rows))[::-1]
    colours = np.where(rows["drop"] > 0, style.VERMILLION, style.BLUE)
    axes.axvline(0.0, color=style.MUTED, linewidth=0.9)
    axes.hlines(at, rows["drop_low"] * scale, rows["drop_high"] * scale, color=colours.tolist(), linewidth=2.0, alpha=0.55)
    fill = np.where(rows["told"], colours, "white")
    axes.scatter(rows["drop"] * scale, at, s=30, facecolor=fill.tolist(), edgecolor=colours.tolist(), linewidth=1.2, zorder=3)
    axes.set_yticks(at, [name_of(study, removed) for removed in rows["removed"]])
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(f"{words} with everybody less without it, {unit(kind, True)}".rstrip(", "))
    axes.grid(axis="y", visible=False)
    return figure


def figures(study: Study) -> Mapping[str, tuple[Callable[[Study], Figure], str]]:
    """One figure."""
    return {"knock_outs": (ranking, "To the right: its presence adds to the loss. To the left: it absorbs losses that others would bear.")}


TELLER = Teller(headline, findings, shown, figures)
