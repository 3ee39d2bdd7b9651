"""How experiments on grids are told: dose-response curves, the heat map of two levers, and the accelerator."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import interval, number
from simulator.results.studies.words import (
    Told,
    against_the_sum,
    axis_label,
    bounded,
    change,
    clear,
    factor,
    in_sentences,
    level,
    outcome_words,
    plain,
    sentence_case,
    signed,
    tables_by_outcome,
    together,
    unit,
)
from simulator.results.study import ShownTable, Study, Teller

Figures = Mapping[str, tuple[Callable[[Study], Figure], str]]


def _rows(study: Study, table: str, outcome: str) -> Any:
    frame = study.tables[table]
    return frame[frame["outcome"] == outcome].reset_index(drop=True)


# ---------------------------------------------------------------------- dose and response


def dose_headline(study: Study) -> str:
    """The first outcome with a clear effect, at the ends of the grid, and those before it without one."""
    unclear: list[str] = []
    for name in study.facts["outcomes"]:
        words, kind = outcome_words(name)
        rows = _rows(study, "doses", name).sort_values("dose")
        first, last = rows.iloc[0], rows.iloc[-1]
        start = f"{sentence_case(plain(study.facts['name']))} from {first['dose']:g} to {last['dose']:g}:"
        if _ends_differ(first, last, study.facts["neutral"]):
            after = f" {unit(kind)}" if kind == "money" else ""
            way = "rises" if last["value"] > first["value"] else "falls"
            text = f"{start} the {words} {way} from {number(first['value'], kind)} to {number(last['value'], kind)}{after}"
            return f"{text}; no clear effect on the {' and the '.join(unclear)}" if unclear else text
        unclear.append(words)
    return f"{start} no clear effect on the {' and the '.join(unclear)}"


def _ends_differ(first: Any, last: Any, neutral: float) -> bool:
    """Whether luck can't explain the step between the ends of a grid: by the paired difference where an end is no change, else by levels."""
    for end, other in ((first, last), (last, first)):
        if end["dose"] == neutral:
            return clear(other["difference_low"], other["difference_high"])
    return not (first["low"] <= last["value"] <= first["high"] or last["low"] <= first["value"] <= last["high"])


def dose_findings(study: Study) -> list[str]:
    """Per outcome: the ends, where it is steepest, whether it grows faster than the dose."""
    sentences = []
    for name in study.facts["outcomes"]:
        words, kind = outcome_words(name)
        rows = _rows(study, "doses", name).sort_values("dose", ignore_index=True)
        neutral = study.facts["neutral"]
        far = rows.loc[(rows["dose"] - neutral).abs().idxmax()]
        text = f"At {far['dose']:g} ({study.facts['unit']}) the {words} is {level(far['value'], far['low'], far['high'], kind)}, "
        text += f"a change of {change(far['difference'], far['difference_low'], far['difference_high'], kind)} from a dose of {neutral:g}"
        steps = rows["value"].diff() / rows["dose"].diff()
        if len(rows) > 2 and steps.abs().max() > 0 and clear(far["difference_low"], far["difference_high"]):
            place = int(steps.abs().idxmax())
            text += f"; it is steepest between {rows['dose'][place - 1]:g} and {rows['dose'][place]:g}"
        sentences.append(text + ".")
        told = rows[[clear(low, high) for low, high in zip(rows["difference_low"], rows["difference_high"], strict=True)]]
        if len(told):
            nearest = told.loc[(told["dose"] - neutral).abs().idxmin()]
            sentences.append(f"The smallest dose of the grid whose effect on the {words} is distinguishable from zero is {nearest['dose']:g}.")
        else:
            sentences.append(f"No dose of the grid has an effect on the {words} that is distinguishable from zero.")
        middle = rows[(rows["dose"] - neutral).abs() > 0]
        if len(middle) >= 2 and clear(far["difference_low"], far["difference_high"]):
            near = middle.loc[(middle["dose"] - neutral).abs().idxmin()]
            slope = near["difference"] / (near["dose"] - neutral)
            straight = slope * (far["dose"] - neutral)
            if slope and abs(far["difference"]) > 0:
                share = far["difference"] / straight
                how = "faster than" if share > 1.1 else "slower than" if share < 0.9 else "about in step with"
                sentences.append(
                    f"From {near['dose']:g} to {far['dose']:g} the effect on the {words} grows {how} the dose "
                    f"({number(share, 'count')} times a straight line)."
                )
    sentences += bounded(study.facts["saturated"])
    sentences.append(f"All doses run on the same {study.facts['replications']:,} draws; differences are paired.")
    return sentences


def dose_tables(study: Study) -> list[ShownTable]:
    """A table an outcome."""

    def tell(words: str, kind: str) -> Told:
        def cells(row: Any) -> list[str]:
            of_level = [number(row["value"], kind), interval(row["low"], row["high"], kind)]
            return [f"{row['dose']:g}", *of_level, *signed(row["difference"], row["difference_low"], row["difference_high"], kind)]

        caption = f"{sentence_case(words)} by {plain(study.facts['name'])} ({study.facts['unit']}); difference from {study.facts['neutral']:g}"
        return caption, ["dose", words, "95 % interval", "difference", "95 % interval, paired"], cells

    return tables_by_outcome(study, lambda name: _rows(study, "doses", name).sort_values("dose"), tell, "difference_")


def curves(study: Study) -> Figure:
    """A curve an outcome, with its band."""
    names = study.facts["outcomes"]
    height, width = 4.1, max(8.2, 3.7 * len(names))
    figure, top = style.new_figure(
        dose_headline(study), "Line: mean over replications (dots: the doses run); band: 95 % interval. All doses share their draws.", width, height
    )
    room = 0.97 / len(names)
    for place, name in enumerate(names):
        words, kind = outcome_words(name)
        rows, scale = _rows(study, "doses", name).sort_values("dose"), factor(kind)
        axes = figure.add_axes((0.085 + place * room, 0.7 / height, room - 0.115, top - 0.74 / height - 0.2 / height))
        axes.fill_between(rows["dose"], rows["low"] * scale, rows["high"] * scale, color=style.BLUE, alpha=0.18, linewidth=0)
        axes.plot(rows["dose"], rows["value"] * scale, "-o", color=style.BLUE, markersize=4.5, linewidth=1.8)
        axes.axvline(study.facts["neutral"], color=style.MUTED, linewidth=0.9, linestyle=":")
        axes.set_title(sentence_case(words), loc="left", color=style.INK)
        axes.set_xlabel(textwrap.shorten(f"{plain(study.facts['name'])}", 46, placeholder=" …") + f",\n{study.facts['unit']}")
        axes.set_ylabel(axis_label(name))
        if kind in ("share", "money") and float(rows["low"].min()) >= 0.0:
            axes.set_ylim(bottom=0.0)
    return figure


def dose_figures(study: Study) -> Figures:
    """One figure."""
    return {"dose_response": (curves, "A curve that bends upwards means that losses grow faster than the shock; the dotted line is no change.")}


# ---------------------------------------------------------------------- two at once


def _corner(study: Study, outcome: str) -> Any:
    """The cell farthest from no change in both."""
    rows, facts = _rows(study, "cells", outcome), study.facts
    far = (rows["first"] - facts["first_neutral"]).abs() / max((rows["first"] - facts["first_neutral"]).abs().max(), 1e-12)
    far = far + (rows["second"] - facts["second_neutral"]).abs() / max((rows["second"] - facts["second_neutral"]).abs().max(), 1e-12)
    return rows.loc[far.idxmax()]


def _verdict(row: Any) -> str:
    return against_the_sum(row["excess"], row["excess_low"], row["excess_high"])


def cells_headline(study: Study) -> str:
    """Together against the sum, of the first outcome."""
    return _cells_told(study, study.facts["outcomes"][0])


def _cells_told(study: Study, outcome: str) -> str:
    row = _corner(study, outcome)
    who = f"Together, {plain(study.facts['first'])} and {plain(study.facts['second'])}"
    whole = (row["difference"], row["difference_low"], row["difference_high"])
    return together(who, *in_sentences(outcome), whole, (row["excess"], row["excess_low"], row["excess_high"]))


def cells_findings(study: Study) -> list[str]:
    """Per outcome: each alone, together, and the excess."""
    facts, sentences = study.facts, []
    for name in facts["outcomes"]:
        words, kind = outcome_words(name)
        rows, row = _rows(study, "cells", name), _corner(study, name)
        one = rows[(rows["first"] == row["first"]) & (rows["second"] == facts["second_neutral"])].iloc[0]
        two = rows[(rows["second"] == row["second"]) & (rows["first"] == facts["first_neutral"])].iloc[0]
        alone = [change(part["difference"], part["difference_low"], part["difference_high"], kind) for part in (one, two, row)]
        sentences.append(
            f"The {words} changes by {alone[0]} with {plain(facts['first'])} at {row['first']:g} alone, by {alone[1]} with "
            f"{plain(facts['second'])} at {row['second']:g} alone, and by {alone[2]} with both: {_verdict(row)} "
            f"({change(row['excess'], row['excess_low'], row['excess_high'], kind)})."
        )
    sentences.append(f"All {len(_rows(study, 'cells', facts['outcomes'][0]))} combinations run on the same {facts['replications']:,} draws.")
    return sentences


def cells_tables(study: Study) -> list[ShownTable]:
    """A row a combination."""

    def tell(words: str, kind: str) -> Told:
        def cells(row: Any) -> list[str]:
            of_level = [number(row["value"], kind), interval(row["low"], row["high"], kind)]
            change_by_both = number(row["difference"], kind, signed=True, bare=True)
            excess = signed(row["excess"], row["excess_low"], row["excess_high"], kind)
            return [f"{row['first']:g}", f"{row['second']:g}", *of_level, change_by_both, *excess]

        doses = [plain(study.facts["first"]), plain(study.facts["second"])]
        heads = [*doses, words, "95 % interval", "difference", "more than the sum", "95 % interval"]
        return f"{sentence_case(words)} by both doses; the excess is both together less the sum of each alone, draw by draw", heads, cells

    return tables_by_outcome(study, lambda name: _rows(study, "cells", name), tell, "excess_")


def heat_map(study: Study, outcome: str) -> Figure:
    """Left: the outcome by both doses; right: how much more than the sum, coloured only where its interval leaves out zero."""
    words, kind = outcome_words(outcome)
    rows, scale, facts = _rows(study, "cells", outcome), factor(kind), study.facts
    first, second = sorted(rows["first"].unique()), sorted(rows["second"].unique())
    height = 2.6 + 0.5 * len(first)
    note = "Right: what both do together beyond the sum of each alone; coloured only where its 95 % interval leaves out zero."
    figure, top = style.new_figure(_cells_told(study, outcome), note, 9.6, height)
    for place, (column, label) in enumerate((("value", sentence_case(words)), ("excess", "More than the sum of the parts"))):
        grid = rows.pivot_table(index="first", columns="second", values=column).loc[first, second].to_numpy() * scale
        axes = figure.add_axes((0.115 + 0.47 * place, 0.62 / height, 0.355, top - 0.66 / height - 0.24 / height))
        if column == "value":
            drawn, least = grid, 0.0 if grid.min() >= 0.0 else None
            image = axes.imshow(grid, cmap="cividis", vmin=least, aspect="auto", origin="lower")
        else:
            rows["told"] = [clear(low, high) for low, high in zip(rows["excess_low"], rows["excess_high"], strict=True)]
            told = rows.pivot_table(index="first", columns="second", values="told").loc[first, second].to_numpy() > 0.5
            most = max(float(np.abs(grid).max()), 1e-9)
            norm = TwoSlopeNorm(0.0, -most, most)
            drawn = np.where(told, grid, 0.0)
            image = axes.imshow(drawn, cmap="PuOr_r", norm=norm, aspect="auto", origin="lower")
        colours = image.to_rgba(drawn)
        for (y, x), value in np.ndenumerate(grid):
            text = number(float(value) / scale, kind, signed=column == "excess", bare=True)
            axes.text(x, y, text, ha="center", va="center", fontsize=8.5, color=_ink_on(colours[y, x]))
        axes.set_xticks(range(len(second)), [f"{dose:g}" for dose in second])
        axes.set_yticks(range(len(first)), [f"{dose:g}" for dose in first])
        axes.set_title(f"{label}, {unit(kind, column == 'excess')}".rstrip(", "), loc="left", color=style.INK)
        axes.set_xlabel(f"{plain(facts['second'])}, {facts['second_unit']}"[:60])
        if place == 0:
            axes.set_ylabel(f"{plain(facts['first'])},\n{facts['first_unit']}")
        axes.grid(visible=False)
        bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.03)
        bar.outline.set_visible(False)
    return figure


def _ink_on(colour: Any) -> str:
    """White or ink, whichever is read more easily on this colour (by its luminance)."""
    return "white" if float(np.dot(np.asarray(colour)[:3], (0.299, 0.587, 0.114))) < 0.55 else style.INK


def cells_figures(study: Study) -> Figures:
    """One figure an outcome."""
    reading = "On the right: orange where the two together come out above what each alone adds up to, purple where below, white where not clear."
    return {f"interaction_{name}": (partial(heat_map, outcome=name), reading) for name in study.facts["outcomes"]}


DOSE_RESPONSE = Teller(dose_headline, dose_findings, dose_tables, dose_figures)
INTERACTION = Teller(cells_headline, cells_findings, cells_tables, cells_figures)
