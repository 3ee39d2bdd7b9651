"""How the accelerator is told: the response with the channel over the response without it, down and up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import interval, number
from simulator.results.studies.words import change, clear, factor, in_sentences, outcome_words, plain, sentence_case, unit
from simulator.results.study import ShownTable, Study, Teller


def _ratio(study: Study, outcome: str, direction: str) -> Any:
    table = study.tables["ratios"]
    return table[(table["outcome"] == outcome) & (table["direction"] == direction)].iloc[0]


def _response(study: Study, outcome: str, direction: str, is_on: bool) -> Any:
    table = study.tables["responses"]
    return table[(table["outcome"] == outcome) & (table["direction"] == direction) & (table["channel_on"] == is_on)].iloc[0]


def headline(study: Study) -> str:
    """What the channel does to the response of the first outcome, in both directions."""
    name = study.facts["outcomes"][0]
    down, up = (_amplified(_ratio(study, name, direction)) for direction in ("down", "up"))
    words = in_sentences(name)[0]
    return f"With the {plain(study.facts['channel'])} channel {words} responds {down} to a shock down and {up} to the same shock up"


def _amplified(row: Any) -> str:
    """``2.6 % more strongly``, or that the interval of the ratio holds one."""
    if not clear(row["accelerator_low"] - 1.0, row["accelerator_high"] - 1.0):
        return "not clearly differently"
    return f"{number(abs(row['accelerator'] - 1.0), 'share')} {'more' if row['accelerator'] > 1.0 else 'less'} strongly"


def _added(study: Study, outcome: str) -> str:
    """The response of an outcome in both directions, and the part that the channel adds."""
    words, kind = in_sentences(outcome)
    after, parts = f" {unit(kind, True)}".rstrip(), []
    for direction in ("down", "up"):
        row, response = _ratio(study, outcome, direction), _response(study, outcome, direction, True)
        size = f"by {number(response['response'], kind, signed=True, bare=True)}{after} in a shock {direction}"
        if not clear(response["response_low"], response["response_high"]):
            size += " (not clear of zero)"
        added = f"the channel adds {number(row['added'], kind, signed=True, bare=True)}"
        parts.append(f"{size} ({added if clear(row['added_low'], row['added_high']) else 'the channel adds nothing clear'})")
    return f"{sentence_case(words)} changes {' and '.join(parts)}"


def findings(study: Study) -> list[str]:
    """Per outcome: ratios with intervals, and what the comparison with one and of both sides allows to say."""
    sentences = []
    size = f"{study.facts['size'] * 100:g} %"
    channel = plain(study.facts["channel"])
    for name in study.facts["outcomes"]:
        words, kind = outcome_words(name)
        told = {}
        for direction in ("down", "up"):
            row = _ratio(study, name, direction)
            on, off = (_response(study, name, direction, is_on) for is_on in (True, False))
            above = row["accelerator_low"] > 1.0
            below = row["accelerator_high"] < 1.0
            told[direction] = row
            verdict = "it amplifies" if above else "it dampens" if below else "no clear amplification"
            sentences.append(
                f"A shock {direction} ({size}) changes {words} by {change(on['response'], on['response_low'], on['response_high'], kind)} with the "
                f"{channel} channel and by {change(off['response'], off['response_low'], off['response_high'], kind)} with it frozen: ratio "
                f"{row['accelerator']:.3f} ({row['accelerator_low']:.3f} to {row['accelerator_high']:.3f}), {verdict}."
            )
        down, up = told["down"], told["up"]
        if down["accelerator_low"] > up["accelerator_high"]:
            sentences.append(f"For {words} the channel matters more on the way down than on the way up.")
        elif up["accelerator_low"] > down["accelerator_high"]:
            sentences.append(f"For {words} the channel matters more on the way up than on the way down.")
        else:
            sentences.append(f"For {words} the two ratios can't be told apart with {study.facts['replications']:,} replications.")
    sentences.append("The responses are paired draw by draw; intervals of the ratios are bootstrapped over replications.")
    return sentences


def shown(study: Study) -> list[ShownTable]:
    """A row an outcome and direction."""
    rows, flags = [], []
    for name in study.facts["outcomes"]:
        words, kind = outcome_words(name)
        for direction in ("down", "up"):
            row = _ratio(study, name, direction)
            cells = [f"{sentence_case(words)}, {unit(kind, True)}", direction]
            for is_on in (True, False):
                response = _response(study, name, direction, is_on)
                limits = interval(response["response_low"], response["response_high"], kind, signed=True)
                cells.append(f"{number(response['response'], kind, signed=True, bare=True)} ({limits})")
            cells.append(f"{number(row['added'], kind, signed=True, bare=True)} ({interval(row['added_low'], row['added_high'], kind, signed=True)})")
            cells.append(f"{row['accelerator']:.3f} ({row['accelerator_low']:.3f} to {row['accelerator_high']:.3f})")
            rows.append(cells)
            flags.append(clear(row["added_low"], row["added_high"]))
    channel = plain(study.facts["channel"])
    head = [
        ("outcome", False),
        ("shock", False),
        (f"response with {channel}", True),
        ("frozen", True),
        ("added by the channel", True),
        ("ratio", True),
    ]
    levers = ", ".join(study.facts["levers"])
    caption = (
        f"Responses to {levers} down by {study.facts['size'] * 100:g} % and up by as much (1 / {1 - study.facts['size']:g}), with 95 % intervals"
    )
    return [ShownTable(caption, head, rows, flags)]


def ratios(study: Study) -> Figure:
    """Dots with intervals around one."""
    names = study.facts["outcomes"]
    height = 1.75 + 0.62 * len(names)
    note = "Response with the channel over the response with it frozen; 95 % bootstrap intervals. Right of the line at 1 the channel amplifies."
    figure, top = style.new_figure(headline(study), note, height=height)
    top = style.colour_key(figure, [("shock down", style.VERMILLION), ("shock up", style.BLUE)], top, 8.2)
    axes = figure.add_axes((0.26, 0.5 / height, 0.69, top - 0.5 / height))
    axes.axvline(1.0, color=style.INK, linewidth=1.0)
    for place, name in enumerate(names):
        for direction, colour, step in (("down", style.VERMILLION, 0.14), ("up", style.BLUE, -0.14)):
            row, at = _ratio(study, name, direction), len(names) - 1 - place + step
            axes.hlines(at, row["accelerator_low"], row["accelerator_high"], color=colour, linewidth=2.4, alpha=0.55)
            axes.plot(row["accelerator"], at, "o", color=colour, markersize=6)
            side = -1 if row["accelerator_high"] < 1.0 else 1  # away from the line at one
            ends = (row["accelerator"], row["accelerator_high"] if side > 0 else row["accelerator_low"])
            axes.annotate(f"{row['accelerator']:.3f}", (float(side * np.nanmax(side * np.array(ends))), at), (6 * side, 0),
                          textcoords="offset points", ha="left" if side > 0 else "right", va="center", fontsize=8.2, color=colour)  # fmt: skip
    axes.set_yticks(range(len(names))[::-1], [sentence_case(outcome_words(name)[0]) for name in names])
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(-0.5, len(names) - 0.5)
    axes.margins(x=0.12)
    axes.set_xlabel("ratio of the two responses")
    axes.grid(axis="y", visible=False)
    return figure


def responses(study: Study) -> Figure:
    """The responses themselves, a panel an outcome."""
    names = study.facts["outcomes"]
    height, width = 3.9, max(6.4, 3.6 * len(names))
    note = "Bars: mean change against no shock on the same draws; lines: 95 % intervals."
    figure, top = style.new_figure(_added(study, names[0]), note, width, height)
    channel = plain(study.facts["channel"])
    top = style.colour_key(figure, [(f"with the {channel} channel", style.BLUE), (f"{channel} frozen", style.ORANGE)], top, width)
    room = 0.97 / len(names)
    for place, name in enumerate(names):
        words, kind = outcome_words(name)
        axes = figure.add_axes((0.1 + place * room, 0.36 / height, room - 0.13, top - 0.4 / height - 0.2 / height))
        for at, direction in enumerate(("down", "up")):
            for is_on, colour, step in ((True, style.BLUE, -0.19), (False, style.ORANGE, 0.19)):
                row = _response(study, name, direction, is_on)
                axes.bar(at + step, row["response"] * factor(kind), 0.36, color=colour)
                side = -1 if row["response"] < 0.0 else 1
                end = min(row["response_low"], 0.0) if side < 0 else max(row["response_high"], 0.0)
                axes.annotate(number(row["response"], kind, signed=True, bare=True), (at + step, end * factor(kind)), (0, 4 * side),
                              textcoords="offset points", ha="center", va="bottom" if side > 0 else "top", fontsize=8.2)  # fmt: skip
                axes.vlines(at + step, row["response_low"] * factor(kind), row["response_high"] * factor(kind), color=style.INK, linewidth=1.1)
        axes.axhline(0.0, color=style.INK, linewidth=0.8)
        axes.set_xticks([0, 1], ["shock down", "shock up"])
        axes.set_title(f"Change of {words}, {unit(kind, True)}".rstrip(", "), loc="left", color=style.INK)
        axes.margins(y=0.12)
        axes.grid(axis="x", visible=False)
    return figure


def figures(study: Study) -> Mapping[str, tuple[Callable[[Study], Figure], str]]:
    """Two figures."""
    return {
        "accelerator": (ratios, "A ratio of 1 means that the response is the same with the channel frozen."),
        "accelerator_responses": (responses, "The two bars of a pair differ by what the channel adds."),
    }


TELLER = Teller(headline, findings, shown, figures)
