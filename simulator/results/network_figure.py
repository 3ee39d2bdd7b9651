"""The network of ties at the worst month of a typical bad replication: who failed, in which wave, and who bore the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from simulator.results import figure_style as style
from simulator.results import measures
from simulator.results.findings import KIND_WORDS, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simulator.results.dataset import Run

# Columns from the lenders on the left to the sellers of chips on the right: money flows to the right, goods to the left.
COLUMNS = (("lender",), ("investor", "ai_lab"), ("cloud", "project_company"), ("hyperscaler",), ("chipmaker",))
REST = ("utility", "short_seller", "household", "government", "central_bank", "outside")
WAVE_COLOURS = ("#000000", "#D55E00", "#E69F00", "#F0E442")
FLOW_COLOUR = style.BLUE
# White under the names keeps them readable where lines cross them.
UNDER = {"boxstyle": "square,pad=0.08", "facecolor": "white", "edgecolor": "none", "alpha": 0.72}
ROWS_MAX = 15
FLOWS_SHOWN = 25


def worst_typical(run: Run) -> tuple[str, int | None, bool]:
    """Scenario with the most defaults and its replication to show: the median systemic one, else the costliest with a
    default; None when nobody defaults. The last value says whether it is systemic."""
    label = run.worst
    rows = run.replications[run.replications["scenario"] == label]
    number_of = measures.median_systemic_replication(rows)
    if number_of is not None:
        return label, number_of, True
    some = rows[rows["defaults"] > 0].sort_values(["total_loss", "defaults", "replication"])
    return label, None if some.empty else int(some["replication"].iloc[-1]), False


def worst_month(defaults: pd.DataFrame) -> int:
    """Tick in which the most debt defaults (the first of them when equal)."""
    debt = defaults.groupby("tick")["debt"].sum()
    return int(debt.index.to_numpy()[debt.to_numpy().argmax()])


def layout(nodes: pd.DataFrame, needed: set[str]) -> tuple[dict[str, tuple[float, float]], list[tuple[float, float, str]]]:
    """Place of every node and of every heading: a column a group of kinds, largest first, evenly spaced from the top.

    The smallest agents of a long column are left out unless `needed`; utilities, the public sector and the rest of the
    world appear (under the chipmakers) only when `needed`.
    """
    columns: list[list[tuple[str, list[str]]]] = []
    for position, kinds in enumerate(COLUMNS):
        groups = [(KIND_WORDS[kind][1], nodes[nodes["kind"] == kind]) for kind in kinds]
        if position == len(COLUMNS) - 1:
            groups.append(("others", nodes[nodes["kind"].isin(REST) & nodes["agent"].isin(needed)]))
        spare = pd.concat([rows[~rows["agent"].isin(needed)] for _, rows in groups]).sort_values("size")["agent"]
        left_out = set(spare.head(max(0, sum(len(rows) for _, rows in groups) - ROWS_MAX)))
        kept = [
            (words, [str(a) for a in rows.sort_values("size", ascending=False)["agent"] if a not in left_out]) for words, rows in groups
        ]
        columns.append([(words, agents) for words, agents in kept if agents])
    # A heading takes a slot of its own, and a group begins half a slot below the last.
    step = 1.0 / max([8.0, *(sum(len(agents) + 1.4 for _, agents in filled) for filled in columns)])
    places: dict[str, tuple[float, float]] = {}
    headings = []
    for column, filled in enumerate(columns):
        used = sum(len(agents) + 1.4 for _, agents in filled)
        wide = min(1.0 / used, 2.2 * step) if used else step
        up = 1.0
        for words, agents in filled:
            headings.append((column - 0.05, up - 0.012, words[0].upper() + words[1:]))
            up -= 0.4 * wide
            for agent in agents:
                up -= wide
                places[agent] = (float(column), up + 0.3 * wide)
            up -= wide
    return places, headings


def network_at_worst_moment(run: Run) -> Figure:
    """Ties between agents in grey; agents that have defaulted by the worst month marked with their wave; loss flows as arrows."""
    nodes, ties = run.network["nodes"], run.network["ties"]
    if nodes.empty:
        return style.empty_figure("The network of ties", "This run keeps no network.")
    label, replication, systemic = worst_typical(run)
    dead, flows, title, note = _moment(run, label, replication, systemic)
    needed = set(dead["agent"]) | set(flows["from_agent"]) | set(flows["to_agent"])
    places, headings = layout(nodes, needed)
    width, height = 10.6, 7.4
    figure, top = style.new_figure(title, note, width=width, height=height)
    waves = sorted(set(dead["wave"].clip(upper=3)))
    names = {0: "failed first (0)", 1: "wave 1", 2: "wave 2", 3: "wave 3 or later"}
    key = [(names[wave], WAVE_COLOURS[wave]) for wave in waves] + [("still standing", "#b4bec6")]
    top = style.colour_key(figure, key + ([("loss passed on (width: amount)", FLOW_COLOUR)] if len(flows) else []), top, width)
    axes = figure.add_axes((0.03, 0.015, 0.94, top - 0.03))
    axes.set_axis_off()
    axes.set_xlim(-0.22, len(COLUMNS) - 0.2)
    axes.set_ylim(-0.02, 1.02)
    _draw_ties(axes, ties, places)
    _draw_flows(axes, flows, places)
    _draw_nodes(axes, nodes, dead, places)
    for across, up, words in headings:
        axes.text(across, up, words, fontsize=9.2, fontweight="bold", color=style.MUTED, va="center", zorder=6, bbox=UNDER)
    return figure


def _moment(run: Run, label: str, replication: int | None, systemic: bool) -> tuple[pd.DataFrame, pd.DataFrame, str, str]:
    """Defaults up to the worst month, the loss flows to show, title and note."""
    defaults = run.defaults
    if replication is None:
        title = f"No agent defaults under '{run.title(label)}': the opening network of ties"
        return defaults.iloc[:0], pd.DataFrame(columns=run.columns("losses")), title, "Circle area: total assets. Lines: ties between agents."
    rows = defaults[(defaults["scenario"] == label) & (defaults["replication"] == replication)]
    month = worst_month(rows)
    dead = rows[rows["tick"] <= month].sort_values(["tick", "wave"]).drop_duplicates("agent")
    flows = run.rows("losses", label, replication=replication)
    flows = flows[flows["tick"] <= month]
    flows = flows[flows["from_agent"].isin(dead["agent"]) & (flows["from_agent"] != flows["to_agent"]) & (flows["channel"] != "direct")]
    is_dated = bool((flows["tick"] >= 0).any())
    summed = flows.groupby(["from_agent", "to_agent"])["amount"].sum().reset_index()
    flows = pd.DataFrame(summed).sort_values("amount", ascending=False)
    date = style.month_words(run, month + 1)
    debt = number(float(dead["debt"].sum()), "money")
    start = dead.iloc[0]
    name = run.names.get(str(start["agent"]), str(start["agent"]))
    count = len(dead)
    others = f"{count} agents have failed" if count > 1 else "one agent has failed"
    title = f"By {date}, the worst month, {others} with {debt} USD bn of debt; the first was {name}"
    kind = "median systemic replication" if systemic else "costliest replication (none is systemic)"
    note = f"Replication {replication} of '{run.title(label)}', the {kind}. "
    note += "Circle area: total assets at the start; grey lines: ties at the start."
    if len(flows):
        total = number(float(flows["amount"].sum()), "money")
        many = f"the {FLOWS_SHOWN} largest of {len(flows)}" if len(flows) > FLOWS_SHOWN else "all"
        note += f" Arrows: losses that they passed on {'until then' if is_dated else 'in the whole run'}, {total} USD bn; {many} shown."
    return dead, flows.head(FLOWS_SHOWN), title, note


def _draw_ties(axes: Axes, ties: pd.DataFrame, places: dict[str, tuple[float, float]]) -> None:
    seen = ties[ties["from_agent"].isin(places.keys()) & ties["to_agent"].isin(places.keys()) & (ties["amount"] > 0)]
    if seen.empty:
        return
    total = seen.groupby(["from_agent", "to_agent"], observed=True)["amount"].sum()
    segments = [[places[one], places[two]] for one, two in total.index]
    widths = np.clip(0.35 + 1.6 * np.sqrt(total.to_numpy() / total.max()), 0.35, 2.0)
    axes.add_collection(LineCollection(segments, colors="#dfe4e8", linewidths=widths, zorder=1))


def _draw_flows(axes: Axes, flows: pd.DataFrame, places: dict[str, tuple[float, float]]) -> None:
    if flows.empty:
        return
    largest = float(flows["amount"].max())
    for one, two, amount in zip(flows["from_agent"], flows["to_agent"], flows["amount"], strict=True):
        if one not in places or two not in places:
            continue
        size = float(np.sqrt(amount / largest))
        # Arrows within a column bow out to the left, so that they don't run over the labels.
        bend = 0.35 * np.sign(places[one][1] - places[two][1]) if places[one][0] == places[two][0] else 0.12
        arrow = FancyArrowPatch(
            places[one], places[two], connectionstyle=f"arc3,rad={-bend}", arrowstyle="-|>", mutation_scale=6 + 6 * size,
            linewidth=0.6 + 3.2 * size, color=FLOW_COLOUR, alpha=0.3 + 0.4 * size, shrinkA=7, shrinkB=8, zorder=2,
        )  # fmt: skip
        axes.add_patch(arrow)


def _draw_nodes(axes: Axes, nodes: pd.DataFrame, dead: pd.DataFrame, places: dict[str, tuple[float, float]]) -> None:
    wave_of = dict(zip(dead["agent"], dead["wave"], strict=True))
    largest = float(nodes.loc[nodes["agent"].isin(places.keys()), "size"].max() or 1.0)
    dots = []
    for agent, name, size in zip(nodes["agent"], nodes["name"], nodes["size"], strict=True):
        if agent not in places:
            continue
        across, up = places[agent]
        radius = 6.0 + 11.0 * float(np.sqrt(max(size, 0.0) / largest))
        wave = wave_of.get(agent)
        radius = radius if wave is None else max(radius, 11.0)  # room for the number
        colour = "#b4bec6" if wave is None else WAVE_COLOURS[min(int(wave), 3)]
        dots.append((across, up, radius * radius, colour))
        if wave is not None:
            ink = "#000000" if min(int(wave), 3) in (2, 3) else "white"
            axes.text(
                across, up - 0.001, str(int(wave)), ha="center", va="center_baseline", fontsize=7.2, fontweight="bold", color=ink, zorder=5
            )
        text = str(name) if len(str(name)) <= 24 else str(name)[:23] + "…"
        shade, weight = (style.MUTED, "normal") if wave is None else (style.INK, "bold")
        axes.annotate(text, (across, up), (radius / 2 + 3, 0), textcoords="offset points", va="center", fontsize=8, color=shade,
                      fontweight=weight, bbox=UNDER, zorder=4)  # fmt: skip
    if dots:
        across_all, up_all, areas, colours = zip(*dots, strict=True)
        axes.scatter(across_all, up_all, areas, colours, edgecolors="white", linewidths=0.8, zorder=3)
