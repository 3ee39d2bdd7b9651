"""The figure of losses by channel: accounting, and beside it the counterfactual where it was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results import measures
from simulator.results.contributions import contribution_by_channel
from simulator.results.findings import CHANNEL_WORDS, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simulator.results.dataset import Run

LABELLED_MAX = 3
BOOKED = "Accounting: loss booked under the channel;\nadds up to the total"
WITHOUT = "Counterfactual: loss less that without the channel,\non the same draws; does not add up"


def loss_by_channel(run: Run) -> Figure:
    """Mean loss of a replication by channel, USD bn, with 95 % intervals; and what each channel adds, where the run holds contributions."""
    labels = style.shown(run)
    booked = {label: measures.loss_by_channel(run.outcomes(label)).set_index("channel") for label in labels}
    added = _added(run, labels)
    channels = [name for name in booked[run.focus]["value"].sort_values().index if any(table.loc[name, "value"] > 0 for table in booked.values())]
    if not channels:
        return style.empty_figure("No losses in any replication", "No channel carries a loss.")
    only_added = [name for name in dict.fromkeys(name for table in added.values() for name in table.index) if name not in channels]
    rows = [*only_added, *channels]
    height = 1.7 + len(rows) * max(0.42, 0.2 * len(labels)) + (0.3 if added else 0.0)
    note = "Mean over all replications, those without a loss included; black lines are 95 % intervals."
    note += " Contributions: paired, draw by draw." if added else " Channels add to the total loss."
    figure, top = style.new_figure(_title(run, booked[run.focus]), note, height=height, **({"width": 9.8} if added else {}))
    colours = style.scenario_colours(run)
    top = style.colour_key(figure, [(run.title(label), colours[label]) for label in labels], top, 9.8 if added else 8.2)
    bottom = 0.52 / height
    if not added:
        axes = figure.add_axes((0.21, bottom, 0.73, top - bottom))
        _bars(axes, booked, rows, colours)
    else:
        top -= 0.42 / height
        axes = figure.add_axes((0.17, bottom, 0.36, top - bottom))
        _bars(axes, booked, rows, colours)
        beside = figure.add_axes((0.58, bottom, 0.39, top - bottom))
        _bars(beside, added, rows, colours)
        beside.set_yticks(np.arange(len(rows)), [""] * len(rows))
        beside.axvline(0.0, color=style.INK, linewidth=0.8)
        beside.set_xlabel("mean contribution, USD bn")
        for panel, text in ((axes, BOOKED), (beside, WITHOUT)):
            panel.set_title(text, loc="left", fontsize=8.4, color=style.INK)
    names = [CHANNEL_WORDS.get(name, name) for name in rows]
    axes.set_yticks(np.arange(len(rows)), [name[0].upper() + name[1:] for name in names])
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.06)
    axes.set_xlabel("mean loss of a replication, USD bn")
    return figure


def _added(run: Run, labels: list[str]) -> dict[str, pd.DataFrame]:
    if run.contributions is None:
        return {}
    tables = {label: contribution_by_channel(run.contributions[run.contributions["scenario"] == label]).set_index("channel") for label in labels}
    return tables if any(len(table) for table in tables.values()) else {}


def _title(run: Run, main: pd.DataFrame) -> str:
    name = str(main.index[int(main["value"].to_numpy().argmax())])
    if not main["value"].sum() > 0:
        return f"No losses under '{run.title(run.focus)}'"
    share = number(float(main["share"][name]), "share")
    words = CHANNEL_WORDS[name]
    if name == "direct":
        return f"The shock itself is the largest part of the booked loss under '{run.title(run.focus)}': {share}"
    return f"{words[0].upper() + words[1:]} carry the largest part of the booked loss under '{run.title(run.focus)}': {share}"


def _bars(axes: Axes, tables: dict[str, pd.DataFrame], rows: list[str], colours: dict[str, str]) -> None:
    """Bars a scenario and channel, with intervals and, for few scenarios, numbers."""
    width = 0.78 / len(tables)
    for position, (label, table) in enumerate(tables.items()):
        known = table.reindex(rows)
        at = np.arange(len(rows)) - (position - (len(tables) - 1) / 2) * width
        axes.barh(at, known["value"], width * 0.9, color=colours[label], alpha=0.85)
        axes.hlines(at, known["low"], known["high"], color=style.INK, linewidth=1.0)
        for place, value, high in zip(at, known["value"], known["high"], strict=True):
            if len(tables) > LABELLED_MAX or not np.isfinite(value):
                continue
            edge = max(high if np.isfinite(high) else value, value, 0.0)
            axes.annotate(number(float(value), "money"), (edge, place), (5, 0), textcoords="offset points", va="center", fontsize=7.8,
                          color=colours[label])  # fmt: skip
    axes.set_ylim(-0.6, len(rows) - 0.4)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.14 * (high - low))
    axes.grid(axis="y", visible=False)
