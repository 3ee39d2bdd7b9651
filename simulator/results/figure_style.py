"""The look of the figures: colours, titles that state the finding, axes in calendar years. Okabe–Ito colours throughout."""

from __future__ import annotations

import calendar
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, cast

import matplotlib

matplotlib.use("Agg")  # no window, wherever it runs

import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from simulator.results.findings import unbroken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simulator.results.dataset import Run

INK, MUTED, RULE, PALE = "#22282d", "#5f6b75", "#c9d0d6", "#eef1f3"
# Okabe and Ito (2008): told apart with any common colour blindness. Blue is the reference, vermillion the shock.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles that a fan chart shows."""
OTHERS = (GREEN, PURPLE, ORANGE, SKY, "#7a6a00", "#000000")

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6eaed",
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "xtick.major.pad": 5.0,  # the first year stays clear of the zero beside it
    "ytick.major.size": 0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "capital-loop",  # the same figure is the same file
}


def look() -> AbstractContextManager[None]:
    """Context in which figures are built and drawn: the settings above, nothing global."""
    return cast(AbstractContextManager[None], matplotlib.rc_context(cast(Any, STYLE)))


def new_figure(title: str, note: str = "", width: float = 8.2, height: float = 4.6) -> tuple[Figure, float]:
    """An empty figure with its finding as title and a note under it; returns it with the room left at the top (share)."""
    figure = Figure(figsize=(width, height))
    lines = textwrap.wrap(unbroken(title), int(width * 9.7))
    top = height - 0.12
    for line in lines:
        top -= 0.22
        figure.text(0.22 / width, top / height, line, fontsize=12, fontweight="bold", va="baseline", color=INK)
    for line in textwrap.wrap(unbroken(note), int(width * 14.6)):
        top -= 0.19
        figure.text(0.22 / width, top / height, line, fontsize=8.5, va="baseline", color=MUTED)
    return figure, (top - 0.18) / height


def scenario_colours(run: Run) -> dict[str, str]:
    """Colour of every scenario: blue for the reference, vermillion for the one told first, then the rest."""
    colours = {run.reference: BLUE}
    if run.focus != run.reference:
        colours[run.focus] = VERMILLION
    rest = [label for label in run.scenarios if label not in colours]
    colours.update({label: OTHERS[position % len(OTHERS)] for position, label in enumerate(rest)})
    return {label: colours[label] for label in ordered(run)}


def ordered(run: Run) -> list[str]:
    """Scenarios with the reference first and the one told first second."""
    head = list(dict.fromkeys([run.reference, run.focus]))
    return head + [label for label in run.scenarios if label not in head]


def shown(run: Run, most: int = 4) -> list[str]:
    """The scenarios a crowded figure shows: reference, focus, and the first others."""
    return ordered(run)[:most]


def colour_key(figure: Figure, entries: Iterable[tuple[str, str]], top: float, width: float, start: float = 0.22) -> float:
    """A line of coloured names under the title (broken when full); returns the room left below it (share of height)."""
    height = float(figure.get_figheight())
    left, below = start, top * height - 0.02
    for text, colour in entries:
        text = text if len(text) <= 60 else text[:59] + "…"
        length = 0.068 * len(text) + 0.4
        if left > start and left + length > width - 0.1:
            left, below = start, below - 0.2
        figure.text(left / width, below / height, "●", fontsize=10, color=colour, va="center")
        figure.text((left + 0.17) / width, below / height, text, fontsize=8.8, color=INK, va="center")
        left += length
    return (below - 0.2) / height


def years(run: Run, months: np.ndarray) -> np.ndarray:
    """Months after the start as decimal calendar years, or years after the start when no row is dated."""
    return (run.opening_year or 0.0) + np.asarray(months, dtype=float) / 12.0


def month_words(run: Run, months: int) -> str:
    """The month that ends `months` after the start: 'October 2028', or 'month 34' when no row is dated."""
    start = run.opening_year
    if start is None:
        return f"month {months}"
    since = round(start * 12) + months - 1
    return f"{calendar.month_name[since % 12 + 1]} {since // 12}"


def year_axis(axes: Axes, run: Run, most: int = 6) -> None:
    """Whole years on the horizontal axis, at most `most` of them named."""
    low, high = years(run, np.array([0, max(run.horizon_months, 1)]))
    axes.set_xlim(low, high)
    whole = np.arange(np.ceil(low - 1e-6), np.floor(high + 1e-6) + 1)
    if len(whole) > 1:
        step = max(1, int(np.ceil(len(whole) / most)))
        axes.set_xticks(whole[::step], [f"{int(year)}" for year in whole[::step]])
    if run.opening_year is None:
        axes.set_xlabel("years after the start")


def series_quantiles(run: Run, label: str, columns: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Quantiles 0.05 ... 0.95 of system series by tick (columns = quantiles, index = tick), by name; those not recorded are left out.

    Read from the quantile rows of `ticks`, or taken over replications, one series after the other, when every replication's series is kept.
    """
    known = run.columns("ticks")
    wanted = [name for name in columns if name in known]
    tables: dict[str, pd.DataFrame] = {}
    if "quantile" in known:
        rows = run.rows("ticks", label, ["tick", "quantile", *wanted])
        parts = {share: rows[(rows["quantile"] - share).abs() < 5e-5].set_index("tick") for share in SHARES}
        tables = {name: pd.DataFrame({share: part[name] for share, part in parts.items()}) for name in wanted}
    elif "replication" in known:
        for name in wanted:
            grouped = run.rows("ticks", label, ["tick", name]).groupby("tick")[name]
            tables[name] = grouped.quantile(np.array(SHARES)).unstack().reindex(columns=list(SHARES))
    return {name: table for name, table in tables.items() if table[0.5].notna().any()}


def fan(axes: Axes, run: Run, table: pd.DataFrame, colour: str, scale: float = 1.0) -> None:
    """Median line with the middle half and the middle nine tenths of replications as bands."""
    at = years(run, table.index.to_numpy() + 1)
    bands, colours = [], []
    for low, high, alpha in ((0.05, 0.95, 0.13), (0.25, 0.75, 0.22)):
        edges = table[[low, high]].to_numpy() * scale
        at_band, edges = at[np.isfinite(edges).all(axis=1)], edges[np.isfinite(edges).all(axis=1)]
        bands.append(np.column_stack([np.concatenate([at_band, at_band[::-1]]), np.concatenate([edges[:, 0], edges[::-1, 1]])]))
        colours.append(to_rgba(colour, alpha))
    axes.add_collection(PolyCollection(bands, facecolors=colours, linewidths=0))
    axes.plot(at, table[0.5].to_numpy() * scale, color=colour, linewidth=1.8)


def panel_title(axes: Axes, text: str, size: float | None = None) -> None:
    """The title of a panel that has no axis labels, in its place: to find it anew in every drawing takes as long as drawing the lines."""
    title = axes.set_title(text, loc="left", y=1.0, color=INK)
    if size is not None:
        title.set_fontsize(size)
    axes.xaxis.set_label_coords(0.5, -0.2)
    if not axes.get_ylabel():
        axes.yaxis.set_label_coords(-0.2, 0.5)


def empty_figure(title: str, reason: str) -> Figure:
    """A figure that says why there is nothing to show."""
    figure, _ = new_figure(title, height=2.2)
    figure.text(0.5, 0.35, reason, ha="center", va="center", color=MUTED, fontsize=10)
    return figure
