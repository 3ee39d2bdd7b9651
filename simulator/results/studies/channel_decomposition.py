"""How a channel decomposition is told: Shapley shares beside what goes when a channel is off and what is there when it is alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import CHANNEL_WORDS, interval, number
from simulator.results.studies.words import change, clear, factor, outcome_words, plain, sentence_case, unit
from simulator.results.study import ShownTable, Study, Teller


def headline(study: Study) -> str:
    """The channel with the largest share."""
    table, facts = study.tables["shares"], study.facts
    words, kind = outcome_words(facts["outcome"])
    if not clear(facts["whole_low"], facts["whole_high"]):
        return f"The channels together add nothing distinguishable to the {words}"
    top: Any = table.sort_values("share").iloc[-1]
    if not clear(top["share_low"], top["share_high"]):
        return f"All channels together add {_size(facts['whole'], kind)} to the {words}; no single one's share is clear of luck"
    part = f"{number(top['part'], 'share')} of what all channels add to the {words}"
    return f"The {_name(top['channel'])} channel carries the largest share: {part} ({_size(top['share'], kind)})"


def _name(channel: str) -> str:
    """A channel by its key, with the words of the other figures where the key does not say it: ``equity (falling stakes)``."""
    words = CHANNEL_WORDS.get(channel, "")
    return plain(channel) if plain(channel) in words or not words else f"{plain(channel)} ({words})"


def _size(value: float, kind: str) -> str:
    return f"{number(value, kind, bare=True)} {unit(kind, True)}".strip()


def findings(study: Study) -> list[str]:
    """The whole, the leading shares, channels that soften or do nothing, and both errors."""
    table, facts = study.tables["shares"].sort_values("share", ascending=False), study.facts
    words, kind = outcome_words(facts["outcome"])
    whole = change(facts["whole"], facts["whole_low"], facts["whole_high"], kind)
    sentences = [
        f"With all channels on, the {words} is {_level(facts['all_on'], kind)}, with all off {_level(facts['all_off'], kind)}: "
        f"the channels together add {whole}."
    ]
    told = table[[clear(low, high) for low, high in zip(table["share_low"], table["share_high"], strict=True)]]
    if len(told[told["share"] > 0]):
        parts = [
            f"{plain(row['channel'])} {change(row['share'], row['share_low'], row['share_high'], kind)}"
            for _, row in told[told["share"] > 0].head(4).iterrows()
        ]
        sentences.append(f"Shapley shares: {'; '.join(parts)}.")
    softening = told[told["share"] < 0]
    if len(softening):
        sentences.append(f"Softening, by more than luck: {', '.join(plain(name) for name in softening['channel'])}.")
    inert = table[(table["share"] == 0.0) & (table["off"] == 0.0) & (table["alone"] == 0.0)]
    if len(inert):
        sentences.append(f"Without any effect here: {', '.join(plain(name) for name in inert['channel'])}.")
    synergy = float(facts["whole"] - table["alone"].sum())
    sentences.append(
        f"Each alone, the channels would add {_size(float(table['alone'].sum()), kind)} in sum; what they do to each other "
        f"{'adds another' if synergy > 0 else 'takes away'} {_size(abs(synergy), kind)}."
    )
    luck, orders = float(table["error_luck"].max()), float(table["error_orders"].max())
    if facts["method"] == "exact":
        how = f"All coalitions were run ({facts['columns']:,} runs), so that the only error is luck's (at most {number(luck, kind)} for one share)"
    else:
        how = f"Shares come from {2 * facts['pairs']} orders in each of {facts['replications']:,} replications ({facts['columns']:,} runs); "
        how += f"the largest standard error of a share is {number(luck, kind)} from luck and {number(orders, kind)} from the orders"
    sentences.append(f"{how}. The shares add up to the whole (rounding: {facts['residual']:.1e}).")
    return sentences


def _level(value: float, kind: str) -> str:
    return f"{number(value, kind)} {unit(kind) if kind == 'money' else ''}".strip()


def shown(study: Study) -> list[ShownTable]:
    """A row a channel."""
    table, facts = study.tables["shares"].sort_values("share", ascending=False), study.facts
    kind = outcome_words(facts["outcome"])[1]
    rows = []
    for _, row in table.iterrows():
        rows.append([
            plain(row["channel"]), number(row["share"], kind, signed=True, bare=True),
            interval(row["share_low"], row["share_high"], kind, signed=True),
            number(row["part"], "share"), number(row["error_luck"], kind, bare=True), number(row["error_orders"], kind, bare=True),
            f"{number(row['off'], kind, signed=True, bare=True)} ({interval(row['off_low'], row['off_high'], kind, signed=True)})",
            f"{number(row['alone'], kind, signed=True, bare=True)} ({interval(row['alone_low'], row['alone_high'], kind, signed=True)})",
        ])  # fmt: skip
    whole = float(table["share"].sum())
    rows.append(["all together", number(whole, kind, signed=True, bare=True), interval(facts["whole_low"], facts["whole_high"], kind, signed=True),
                 number(1.0 if facts["whole"] else float("nan"), "share"), "", "", "", ""])  # fmt: skip
    head = [("channel", False), ("Shapley share", True), ("95 % interval", True), ("of the whole", True), ("error: luck", True),
            ("error: orders", True),
            ("goes when it is off", True), ("there when it is alone", True)]  # fmt: skip
    caption = f"What each channel adds to the {outcome_words(facts['outcome'])[0]}, {unit(kind, True)} (standard errors of the share by source)"
    flags = [clear(low, high) for low, high in zip(table["share_low"], table["share_high"], strict=True)]
    return [ShownTable(caption, head, rows, [*flags, False])]


def shares(study: Study) -> Figure:
    """Bars of shares with intervals; markers for off and alone."""
    table, facts = study.tables["shares"].sort_values("share"), study.facts
    words, kind = outcome_words(facts["outcome"])
    scale, height = factor(kind), 1.75 + 0.33 * len(table)
    whole = f"{number(facts['whole'], kind)} {unit(kind, True)}"
    note = f"Bars: Shapley shares with 95 % intervals; they add to {whole}, the {words} with all channels on "
    note += "less that with all off."
    figure, top = style.new_figure(headline(study), note, height=height)
    top = style.colour_key(
        figure, [("Shapley share", style.BLUE), ("goes when only it is off", style.VERMILLION), ("there when only it is on", style.GREEN)], top, 8.2
    )
    axes = figure.add_axes((0.29, 0.5 / height, 0.67, top - 0.5 / height))
    at = np.arange(len(table))
    axes.barh(at, table["share"] * scale, 0.62, color=style.BLUE, alpha=0.8)
    axes.hlines(at, table["share_low"] * scale, table["share_high"] * scale, color=style.INK, linewidth=1.1)
    axes.plot(table["off"] * scale, at + 0.12, "D", color=style.VERMILLION, markersize=5.5, markeredgecolor="white", markeredgewidth=0.6)
    axes.plot(table["alone"] * scale, at - 0.12, "o", color=style.GREEN, markersize=6, markeredgecolor="white", markeredgewidth=0.6)
    axes.axvline(0.0, color=style.MUTED, linewidth=0.9)
    axes.set_yticks(at, [sentence_case(_name(name)) for name in table["channel"]])
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_xlabel(f"added to the {words}, {unit(kind, True)}")
    axes.set_ylim(-0.6, len(table) - 0.4)
    axes.grid(axis="y", visible=False)
    return figure


def figures(study: Study) -> Mapping[str, tuple[Callable[[Study], Figure], str]]:
    """One figure."""
    return {
        "channel_shares": (
            shares,
            "Where the orange diamond lies beyond the bar, the channel matters most together with others; a share spreads that evenly.",
        )
    }


TELLER = Teller(headline, findings, shown, figures)
