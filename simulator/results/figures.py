"""The figures of a run: each states its finding in the title, carries intervals, and works with one scenario or several."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simulator.errors import InputError, nearest
from simulator.results import figure_style as style
from simulator.results import measures
from simulator.results.channel_figure import loss_by_channel
from simulator.results.findings import KIND_WORDS, comparisons, horizon_words, leading_kind, number
from simulator.results.network_figure import network_at_worst_moment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simulator.results.dataset import Run

# Series of the ticks table -> (panel title, unit on the axis, factor).
SERIES = {
    "policy_rate": ("Policy rate", "% per year", 100.0),
    "cds_index": ("CDS index", "basis points", 1e4),
    "total_market_value": ("Total market value", "USD trn", 1e-3),
    "investment": ("Investment", "USD bn per year", 1.0),
    "credit": ("Credit outstanding", "USD bn", 1.0),
    "capital_raised": ("Capital raised", "USD bn per month", 1.0),
    "gpu_resale_value": ("Accelerator resale value", "opening = 1", 1.0),
    "lab_cash_runway": ("Cash runway of AI labs", "months", 1.0),
    "circular_revenue_share": ("Circular revenue", "% of revenue", 100.0),
    "unemployment": ("Unemployment", "%", 100.0),
    "gdp": ("GDP", "USD trn per year", 1e-3),
    "power_queue": ("Power queue", "GW", 1.0),
}
# With more scenarios than this the numbers beside the bars would run into each other.
LABELLED_MAX = 3
# A twentieth larger than at Pillow's own level, in a third of the time: a tenth of what a picture takes.
PACKED = {"compress_level": 3}
SIZE_CLASSES = (0, 1, 2, 3, 5, 8, 13, 21)


def default_probability_by_kind(run: Run) -> Figure:
    """Share of each kind's agents that default within the horizon: a dot and its 95 % interval per scenario."""
    labels = style.shown(run, 6)
    tables = {label: measures.default_probability_by_kind(run.outcomes(label), run.counts) for label in labels}
    focus = tables[run.focus].set_index("kind")
    if focus.empty:
        return style.empty_figure("Default probability by kind of agent", "This run counts no defaults by kind.")
    kinds = list(focus.sort_values("value")["value"].index)
    term = horizon_words(run.horizon_months)
    top_kind = kinds[-1]
    leading = leading_kind(run, comparisons(run)[run.focus]) if len(labels) > 1 else top_kind
    if all(float(table["value"].max()) == 0.0 for table in tables.values()):
        title = f"No agent of any kind defaults in {len(run.replications) // len(run.scenarios):,} replications"
    elif len(labels) > 1 and leading:
        before = float(tables[run.reference].set_index("kind")["value"][leading])
        words = KIND_WORDS[leading][1]
        after = number(float(focus["value"][leading]), "share")
        title = f"{words[0].upper() + words[1:]}: {term} default probability {after} under '{run.title(run.focus)}', "
        title += f"{number(before, 'share')} under '{run.title(run.reference)}'"
    else:
        words = KIND_WORDS[top_kind][1]
        title = (
            f"{words[0].upper() + words[1:]} are most at risk: {number(float(focus['value'].max()), 'share')} default within the horizon"
        )
    note = f"Probability that one agent of the kind defaults within {run.horizon_months} months; bars are 95 % intervals over replications."
    height = 1.7 + len(kinds) * max(0.36, 0.17 * len(labels))
    figure, top = style.new_figure(title, note, height=height)
    colours = style.scenario_colours(run)
    top = style.colour_key(figure, [(run.title(label), colours[label]) for label in labels], top, 8.2)
    axes = figure.add_axes((0.24, 0.52 / height, 0.7, top - 0.52 / height))
    step = 0.62 / max(len(labels), 2)
    for position, label in enumerate(labels):
        rows = tables[label].set_index("kind").loc[kinds]
        at = np.arange(len(kinds)) + (position - (len(labels) - 1) / 2) * -step
        axes.hlines(at, rows["low"] * 100, rows["high"] * 100, color=colours[label], linewidth=2.4, alpha=0.55)
        axes.plot(rows["value"] * 100, at, "o", color=colours[label], markersize=5.5)
        if len(labels) > LABELLED_MAX:
            continue
        for place, value, high in zip(at, rows["value"], rows["high"], strict=True):
            edge = high if np.isfinite(high) else value
            axes.annotate(number(float(value), "share"), (edge * 100, place), (5, 0), textcoords="offset points", va="center",
                          fontsize=7.8, color=colours[label])  # fmt: skip
    names = [f"{KIND_WORDS[kind][1]} ({run.counts[kind]})" for kind in kinds]
    axes.set_yticks(np.arange(len(kinds)), [name[0].upper() + name[1:] for name in names])
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(-0.6, len(kinds) - 0.4)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.08)
    axes.set_xlabel("default probability, % (number of agents of the kind in brackets)")
    axes.grid(axis="y", visible=False)
    return figure


def default_probability_over_time(run: Run) -> Figure:
    """Cumulative default probability of one agent of each kind by month, with 95 % intervals; a panel a kind."""
    labels = style.shown(run)
    horizon, counts = run.horizon_months, run.counts
    tables = {}
    for label in labels:
        defaults = run.defaults[run.defaults["scenario"] == label]
        tables[label] = measures.default_probability_over_time(defaults, run.outcomes(label), counts, horizon)
    final = tables[run.worst if run.worst in tables else labels[-1]].groupby("kind")["value"].max().sort_values(ascending=False)
    kinds = [kind for kind in final.index if any(tables[label].loc[tables[label]["kind"] == kind, "value"].max() > 0 for label in labels)]
    if not kinds:
        return style.empty_figure("No agent defaults at any time", "There is no default to place in time.")
    shown_kinds = kinds[:6]
    main = tables[run.focus]
    lead = main[main["kind"] == shown_kinds[0]]
    half = int(lead.loc[lead["value"] >= lead["value"].max() / 2, "month"].min())
    words = KIND_WORDS[shown_kinds[0]][1]
    title = f"{words[0].upper() + words[1:]} default most often"
    if lead["value"].max() > 0:
        title += f"; half of their defaults under '{run.title(run.focus)}' have happened by {style.month_words(run, half)}"
    columns = min(3, len(shown_kinds))
    lines = -(-len(shown_kinds) // columns)
    height = 1.5 + 1.9 * lines
    note = "Share of the kind's agents that have defaulted by each month; bands are 95 % intervals over replications."
    figure, top = style.new_figure(title, note, height=height)
    colours = style.scenario_colours(run)
    top = style.colour_key(figure, [(run.title(label), colours[label]) for label in labels], top, 8.2)
    grid = figure.add_gridspec(
        lines, columns, left=0.075, right=0.98, bottom=0.34 / height, top=top - 0.2 / height, hspace=0.42, wspace=0.13
    )
    highest = max(float(table.loc[table["kind"].isin(shown_kinds), "high"].fillna(0).max()) for table in tables.values())
    highest = max(highest, max(float(table["value"].max()) for table in tables.values())) * 105
    for position, kind in enumerate(shown_kinds):
        axes = figure.add_subplot(grid[position // columns, position % columns])
        for label in labels:
            rows = tables[label][tables[label]["kind"] == kind]
            at = style.years(run, rows["month"].to_numpy())
            # Before the first default the interval is the bound of a zero share: true, but a bump that misleads the eye.
            some = (rows["value"] > 0).to_numpy()
            if len(labels) <= LABELLED_MAX or label in (run.reference, run.focus):
                axes.fill_between(at, rows["low"] * 100, rows["high"] * 100, where=some, color=colours[label], alpha=0.2, linewidth=0)
            axes.plot(at, rows["value"] * 100, color=colours[label], linewidth=1.7)
        axes.set_ylim(0, highest)
        style.year_axis(axes, run, 4)
        if position % columns == 0:
            axes.set_ylabel("defaulted, %")
        else:
            axes.tick_params(labelleft=False)
        style.panel_title(axes, KIND_WORDS[kind][1].capitalize().replace("Ai ", "AI "))
    return figure


def cascade_sizes(run: Run) -> Figure:
    """Share of replications by size of the cascade (defaults caused by another agent), with 95 % intervals."""
    labels = style.shown(run)
    largest = int(run.replications["cascade_size"].max())
    edges = tuple(edge for edge in SIZE_CLASSES if edge <= max(largest, 1))
    tables = {label: measures.cascade_size_distribution(run.outcomes(label), edges) for label in labels}
    main = run.outcomes(run.focus)["cascade_size"]
    some = measures.wilson(int((main > 0).sum()), len(main))
    if largest == 0:
        title = "No default is caused by another agent's default in any replication"
    else:
        limits = f"(95 % interval {number(some.low, 'share', bare=True)} to {number(some.high, 'share', bare=True)})"
        title = f"Contagion in {number(some.value, 'share')} of replications {limits} under '{run.title(run.focus)}'"
        if run.reference != run.focus:
            before = run.outcomes(run.reference)["cascade_size"]
            share = number(float((before > 0).mean()), "share")
            title += f", in {share} under '{run.title(run.reference)}'"
    height = 4.3
    figure, top = style.new_figure(
        title, "Cascade size: defaults whose largest loss came from another agent. Bars: 95 % intervals.", height=height
    )
    colours = style.scenario_colours(run)
    top = style.colour_key(figure, [(run.title(label), colours[label]) for label in labels], top, 8.2)
    axes = figure.add_axes((0.075, 0.62 / height, 0.9, top - 0.66 / height))
    width = 0.8 / len(labels)
    for position, label in enumerate(labels):
        rows = tables[label]
        at = np.arange(len(rows)) + (position - (len(labels) - 1) / 2) * width
        axes.bar(at, rows["value"] * 100, width * 0.9, color=colours[label], alpha=0.85)
        axes.vlines(at, rows["low"] * 100, rows["high"] * 100, color=style.INK, linewidth=1.0)
        if len(labels) > LABELLED_MAX:
            continue
        for place, value, high in zip(at, rows["value"], rows["high"], strict=True):
            text = number(float(value), "share", bare=True)
            axes.annotate(text, (place, high * 100), (0, 2), textcoords="offset points", ha="center", fontsize=7.4, color=colours[label])
    rows = tables[labels[0]]
    several = zip(rows["first"], rows["last"], strict=True)
    names = [f"{first}" if first == last else f"{first}–{last}" for first, last in several]
    if edges[-1] == SIZE_CLASSES[-1] and largest > edges[-1]:
        names[-1] = f"{edges[-1]} or more"
    axes.set_xticks(np.arange(len(names)), names)
    axes.set_xlabel("cascade size: number of defaults caused by another agent")
    axes.set_ylabel("share of replications, %")
    axes.set_ylim(0, min(108, axes.get_ylim()[1] * 1.06))
    axes.grid(axis="x", visible=False)
    return figure


def system_series(run: Run) -> Figure:
    """Fan charts of the system series, reference and focus scenario, a panel a series."""
    labels = style.shown(run, 2)
    quantiles = {label: style.series_quantiles(run, label, list(SERIES)) for label in labels}
    names = [name for name in SERIES if all(name in tables for tables in quantiles.values())]
    if not names:
        return style.empty_figure("System series", "This run recorded no system series.")
    title = _series_title(run, quantiles, names)
    lines = -(-len(names) // 3)
    height = 1.35 + 1.5 * lines
    figure, top = style.new_figure(
        title, "Line: median; bands: middle half and middle nine tenths of replications.", width=9.2, height=height
    )
    colours = style.scenario_colours(run)
    top = style.colour_key(figure, [(run.title(label), colours[label]) for label in labels], top, 9.2)
    grid = figure.add_gridspec(lines, 3, left=0.07, right=0.985, bottom=0.3 / height, top=top - 0.22 / height, hspace=0.62, wspace=0.2)
    for position, name in enumerate(names):
        axes = figure.add_subplot(grid[position // 3, position % 3])
        words, unit, factor = SERIES[name]
        for label in labels:
            style.fan(axes, run, quantiles[label][name], colours[label], factor)
        style.panel_title(axes, f"{words}, {unit}", 8.8)
        axes.locator_params(axis="y", nbins=4)
        if not any(quantiles[label][name].to_numpy().any() for label in labels):  # no made-up scale around a line of zeros
            axes.set_ylim(0.0, 1.0)
            axes.set_yticks([0.0], ["0"])
        style.year_axis(axes, run, 4)
    return figure


def _series_title(run: Run, quantiles: dict[str, dict[str, pd.DataFrame]], names: list[str]) -> str:
    """Investment, credit and the CDS index at the end, against the reference, or against their start when there is no other; else the subject."""
    alone, parts = run.focus == run.reference, []
    for name, words in (("investment", "investment"), ("credit", "credit"), ("cds_index", "the CDS index")):
        if name in names:
            base = quantiles[run.reference][name][0.5].iloc[0 if alone else -1]
            change = _change(float(quantiles[run.focus][name][0.5].iloc[-1]), float(base))
            size = abs(round(change * 100))
            parts.append(f"{words} {size} % {'higher' if change > 0 else 'lower'}" if size else f"{words} unchanged")
    if not parts and alone:
        return f"The economy under '{run.title(run.focus)}'"
    if not parts:
        return f"'{run.title(run.focus)}' against '{run.title(run.reference)}'"
    told = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    if alone:
        return f"Under '{run.title(run.focus)}', at the end against the start: {told} (medians)"
    return f"'{run.title(run.focus)}' against '{run.title(run.reference)}' at the end: {told} (medians)"


def _change(value: float, base: float) -> float:
    """Relative change, 0 when there is nothing to compare with."""
    return value / base - 1.0 if base and np.isfinite(base) and np.isfinite(value) else 0.0


def ai_market_value(run: Run) -> Figure:
    """Fan chart of the market value of the AI chain, reference against focus."""
    labels = style.shown(run, 2)
    tables = {label: style.series_quantiles(run, label, ["ai_market_value"]) for label in labels}
    kept = {label: found["ai_market_value"] for label, found in tables.items() if found}
    if not kept:
        return style.empty_figure("Market value of AI firms", "This run recorded no market values.")
    highest = max(float(table[0.95].max()) for table in kept.values())
    factor, unit = (1e-3, "USD trn") if highest > 5000 else (1.0, "USD bn")
    main = kept.get(run.focus, next(iter(kept.values())))
    if run.focus in kept and run.reference in kept and run.focus != run.reference:
        change = _change(float(main[0.5].iloc[-1]), float(kept[run.reference][0.5].iloc[-1]))
        size = abs(round(change * 100))
        side = f"{size} % {'above' if change > 0 else 'below'}" if size else "at"
        title = f"Under '{run.title(run.focus)}' AI firms end {side} their market value under "
        title += f"'{run.title(run.reference)}' (medians)"
    else:
        change = _change(float(main[0.5].iloc[-1]), float(main[0.5].iloc[0]))
        title = f"Median market value of AI firms {'rises' if change >= 0 else 'falls'} by {abs(change) * 100:.0f} % over the horizon"
    height = 4.1
    figure, top = style.new_figure(title, "Line: median; bands: middle half and middle nine tenths of replications.", height=height)
    axes = figure.add_axes((0.075, 0.36 / height, 0.68, top - 0.42 / height))
    colours = style.scenario_colours(run)
    ends = []
    for label, table in kept.items():
        style.fan(axes, run, table, colours[label], factor)
        ends.append((float(table[0.5].iloc[-1]) * factor, label))
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"market value, {unit}")
    style.year_axis(axes, run)
    _end_labels(axes, ends, run, colours, unit)
    return figure


def _end_labels(axes: Axes, ends: list[tuple[float, str]], run: Run, colours: dict[str, str], unit: str) -> None:
    """Scenario names at the ends of their lines, kept apart."""
    low, high = axes.get_ylim()
    position, room = -1.0, 0.17
    for value, label in sorted(ends):
        at = max((value - low) / (high - low), position + room)
        position = at
        text = "\n".join(textwrap.wrap(run.title(label), 24)[:3]) + f"\n{value:,.1f} {unit}"
        axes.text(1.02, at, text, transform=axes.transAxes, color=colours[label], fontsize=8.6, va="center")


FIGURES: dict[str, Callable[..., Figure]] = {
    "default_probability_by_kind": default_probability_by_kind,
    "default_probability_over_time": default_probability_over_time,
    "cascade_sizes": cascade_sizes,
    "loss_by_channel": loss_by_channel,
    "network_at_worst_moment": network_at_worst_moment,
    "ai_market_value": ai_market_value,
    "system_series": system_series,
}


def figure(run: Run, name: str) -> Figure:
    """One figure by name; InputError with the nearest name when there is none."""
    name = str(name)
    of_study = run.study.teller.figures(run.study) if run.study is not None else {}
    if name in of_study and run.study is not None:
        with style.look():
            return of_study[name][0](run.study)
    if name not in FIGURES:
        raise InputError(f"no figure '{name}'{nearest(name, FIGURES)} (has: {', '.join(FIGURES)})")
    with style.look():
        return FIGURES[name](run)


def render(figure: Figure, kind: str, dots_per_inch: int = 120) -> bytes:
    """A figure as 'png' or 'svg' bytes; the same figure gives the same bytes."""
    buffer, options = io.BytesIO(), {"metadata": {"Date": None}} if kind == "svg" else {"metadata": {"Software": None}, "pil_kwargs": PACKED}
    with style.look():
        figure.savefig(buffer, format=kind, dpi=dots_per_inch, **options)
    return buffer.getvalue()


def draw(run: Run, name: str) -> tuple[bytes, bytes]:
    """One figure as PNG and SVG."""
    drawn = figure(run, name)
    return render(drawn, "png"), render(drawn, "svg")
