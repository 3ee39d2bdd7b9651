"""How compounding is told: each shock alone, their sum, and all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import number
from simulator.results.studies.words import (
    Told,
    against_the_sum,
    change,
    factor,
    in_sentences,
    outcome_words,
    plain,
    sentence_case,
    signed,
    tables_by_outcome,
    together,
    unit,
)
from simulator.results.study import ShownTable, Study, Teller


def _rows(study: Study, outcome: str) -> Any:
    table = study.tables["parts"]
    return table[table["outcome"] == outcome].set_index("part")


def _verdict(excess: Any) -> str:
    return against_the_sum(excess["value"], excess["low"], excess["high"])


def headline(study: Study) -> str:
    """Together against the sum, of the first outcome."""
    return _told(study, study.facts["outcomes"][0])


def _told(study: Study, outcome: str) -> str:
    words, kind = in_sentences(outcome)
    whole, excess = (_rows(study, outcome).loc[part] for part in ("together", "excess"))
    who = f"Together the {len(study.facts['shocks'])} shocks"
    return together(who, words, kind, (whole["value"], whole["low"], whole["high"]), (excess["value"], excess["low"], excess["high"]))


def findings(study: Study) -> list[str]:
    """Per outcome: each alone, together, and the excess."""
    sentences = []
    for name in study.facts["outcomes"]:
        words, kind = outcome_words(name)
        rows = _rows(study, name)

        def told(part: str, rows: Any = rows, kind: str = kind) -> str:
            return change(rows.loc[part, "value"], rows.loc[part, "low"], rows.loc[part, "high"], kind)

        alone = ", ".join(f"{told(part)} with {plain(part)}" for part in study.facts["shocks"])
        verdict = f"{_verdict(rows.loc['excess'])}, a difference of {told('excess')}"
        sentences.append(f"Change of the {words}: {alone}; {told('together')} with all of them: {verdict}.")
    sentences.append(f"All run on the same {study.facts['replications']:,} draws; every difference is taken draw by draw.")
    return sentences


def shown(study: Study) -> list[ShownTable]:
    """A table an outcome."""

    def tell(words: str, kind: str) -> Told:
        def cells(row: Any) -> list[str]:
            return [sentence_case(plain(str(row.name))), *signed(row["value"], row["low"], row["high"], kind)]

        caption = f"{sentence_case(words)}: each shock alone, their sum, all together, and the excess of the last two"
        return caption, ["", f"change, {unit(kind, True)}".rstrip(", "), "95 % interval"], cells

    return tables_by_outcome(study, lambda name: _rows(study, name), tell)


def bars(study: Study, outcome: str) -> Figure:
    """A bar for each alone, their sum and all together, each with its number and interval."""
    words, kind = outcome_words(outcome)
    rows, scale = _rows(study, outcome), factor(kind)
    figure, top = style.new_figure(_told(study, outcome), "Change against no shock on the same draws; lines are 95 % intervals.", 8.2, 3.9)
    names = [*study.facts["shocks"], "sum of the parts", "together"]
    axes = figure.add_axes((0.30, 0.16, 0.64, top - 0.16))
    places = np.arange(len(names))[::-1]
    colours = [style.BLUE] * len(study.facts["shocks"]) + [style.MUTED, style.VERMILLION]
    for place, name, colour in zip(places, names, colours, strict=True):
        row = rows.loc[name]
        axes.barh(place, row["value"] * scale, color=colour, height=0.62)
        axes.plot([row["low"] * scale, row["high"] * scale], [place, place], color=style.INK, linewidth=1.4)
        side = -1 if row["value"] < 0.0 else 1
        end = max(row["high"], 0.0) if side > 0 else min(row["low"], 0.0)
        axes.annotate(number(row["value"], kind, signed=True, bare=True), (end * scale, place), (6 * side, 0), textcoords="offset points",
                      ha="left" if side > 0 else "right", va="center", fontsize=8.5, color=style.INK)  # fmt: skip
    axes.margins(x=0.14)
    axes.axvline(0.0, color=style.INK, linewidth=0.8)
    axes.set_yticks(places, [sentence_case(plain(name)) for name in names])
    axes.set_xlabel(f"change of {words}, {unit(kind, True)}".rstrip(", "))
    axes.grid(visible=False, axis="y")
    return figure


def figures(study: Study) -> Mapping[str, tuple[Callable[[Study], Figure], str]]:
    """One figure an outcome."""
    reading = "If the shocks did not reinforce one another, the last two bars would be equally long."
    return {f"compounding_{name}": (partial(bars, outcome=name), reading) for name in study.facts["outcomes"]}


TELLER = Teller(headline, findings, shown, figures)
