"""Words that all studies share: outcomes with their units, names in prose, intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from simulator.results.findings import KIND_WORDS, interval, number
from simulator.results.study import ShownTable, Study

OUTCOME_WORDS = {
    "systemic": ("probability of a systemic cascade", "share"),
    "defaults": ("defaults", "count"),
    "cascade_size": ("defaults caused by another agent", "count"),
    "total_loss": ("total loss", "money"),
    "credit_loss": ("credit loss", "money"),
    "fiscal_cost": ("fiscal cost", "money"),
    "defaulted_debt_share": ("share of debt that defaults", "share"),
    "market_value_min_share": ("lowest AI market value", "share"),
    "gdp_gap_min": ("lowest GDP gap", "share"),
    "unemployment_max": ("highest unemployment", "share"),
    "loss_lenders": ("loss of lenders", "money"),
    "loss_shareholders": ("loss of shareholders", "money"),
    "loss_suppliers": ("loss of suppliers", "money"),
    "loss_taxpayers": ("cost to taxpayers", "money"),
    "loss_workers": ("earnings lost by workers", "money"),
    "investment_total": ("investment", "money"),
    "investment_above_start": ("investment above its opening pace", "money"),
    "investment_below_start": ("investment below its opening pace", "money"),
    "employment_mean": ("mean employment", "share"),
    "employment_min": ("lowest employment", "share"),
    "backlog_lost": ("revenue under contract that sellers lost", "money"),
    "concentration_end": ("concentration of AI market value", "count"),
    "lab_concentration_end": ("AI-lab concentration", "count"),
    "compliance_cost": ("cost of compliance", "money"),
    "lending_moved": ("lending moved to lenders outside the rule", "money"),
    "entrants_end": ("entrants alive at the end", "count"),
    "entrant_defaults": ("defaults of entrants", "count"),
}


def outcome_words(name: str) -> tuple[str, str]:
    """What an outcome is called, and how its numbers are written."""
    if name.endswith("_defaults"):
        return f"defaults of {KIND_WORDS[name.removesuffix('_defaults')][1]}", "count"
    return OUTCOME_WORDS.get(name, (name.replace("_", " "), "count"))


def unit(style: str, difference: bool = False) -> str:
    """The unit after a number: ``USD bn``, ``points`` or nothing (levels of shares carry their own per cent sign)."""
    return {"money": "USD bn", "share": "points" if difference else "%"}.get(style, "")


def factor(style: str) -> float:
    """What a value is multiplied by on an axis."""
    return 100.0 if style == "share" else 1.0


def axis_label(name: str, difference: bool = False) -> str:
    """``change of the total loss, USD bn``."""
    words, style = outcome_words(name)
    text = f"change of {words}" if difference else f"mean {words}" if style != "share" or name != "systemic" else words
    return f"{text}, {unit(style, difference)}" if unit(style, difference) else text


def level(value: float, low: float, high: float, style: str) -> str:
    """``12.1 % (10.2 to 14.3)``."""
    after = f" {unit(style)}" if style == "money" else ""
    return f"{number(value, style)}{after} ({interval(low, high, style)})"


def change(value: float, low: float, high: float, style: str) -> str:
    """``+1.2 points (0.3 to 2.1)``."""
    after = unit(style, True)
    limits = interval(low, high, style, signed=True)
    return f"{number(value, style, signed=True, bare=True)}{' ' + after if after else ''} ({limits})"


def plain(name: str) -> str:
    """A name of a file or id in prose."""
    return " + ".join(part.strip().replace("_", " ") for part in name.split("+"))


def label_room(labels: Sequence[str], width: float) -> float:
    """Share of a figure's width that the longest of these labels takes at the left."""
    return (0.35 + 0.067 * max((len(label) for label in labels), default=0)) / width


def sentence_case(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def bounded(saturated: Mapping[str, float]) -> list[str]:
    """A sentence on changes that can't grow further because their lever stands at its bound."""
    if not saturated:
        return []
    parts = [f"{plain(name)} at {dose:.2g} times its size" for name, dose in saturated.items()]
    return [f"A larger dose does no more once the lever has reached its bound: {', '.join(parts)}."]


ROUNDING = 1e-9
"""A bound nearer to zero than this is rounding of a sum of floats, in any unit used here."""


def clear(low: Any, high: Any) -> bool:
    """Whether an interval leaves out zero, by more than rounding."""
    return bool(np.isfinite(low) and np.isfinite(high) and (low > ROUNDING or high < -ROUNDING))


def against_the_sum(excess: float, low: float, high: float) -> str:
    """How the effect of several together stands to the sum of their single ones, by the difference of the two and its interval."""
    if not clear(low, high):
        return "about as much as the sum of their parts"
    return "more than the sum of their parts" if excess > 0.0 else "less than the sum of their parts"


def together(who: str, words: str, style: str, whole: tuple[float, float, float], excess: tuple[float, float, float]) -> str:
    """What several do to an outcome together, beside the sum of each alone; ``whole`` and ``excess``: value and ends of the interval.

    An effect whose interval holds zero is never called a rise or a fall.
    """
    after = f" {unit(style, True)}".rstrip()
    is_more = clear(*excess[1:])
    beyond = f"{number(abs(excess[0]), style, bare=True)}{after} {'more' if excess[0] * whole[0] > 0.0 else 'less'} than the sum of each alone"
    if clear(*whole[1:]):
        size = f"{'raise' if whole[0] > 0.0 else 'lower'} the {words} by {number(abs(whole[0]), style, bare=True)}{after}"
        return f"{who} {size}, {beyond if is_more else 'about as much as the sum of each alone'}"
    if is_more:
        alone = number(whole[0] - excess[0], style, signed=True, bare=True)
        return f"{who} have no clear effect on the {words}, although each alone adds up to {alone}{after}"
    return f"{who} have no clear effect on the {words}, and none beyond the sum of each alone"


def signed(value: float, low: float, high: float, style: str) -> list[str]:
    """Two cells: a difference, and its interval."""
    return [number(value, style, signed=True, bare=True), interval(low, high, style, signed=True)]


Told = tuple[str, Sequence[str], Callable[[Any], Sequence[str]]]


def tables_by_outcome(study: Study, rows_of: Callable[[str], Any], tell: Callable[[str, str], Told], apart: str = "") -> list[ShownTable]:
    """A table an outcome of the study.

    ``rows_of`` gives the rows of an outcome; ``tell``, of its words and style, the caption, the heads and the cells of a row. A row is set
    apart when the interval in its columns ``low`` and ``high``, the word ``apart`` before them, leaves out zero.
    """
    tables = []
    for name in study.facts["outcomes"]:
        rows = [row for _, row in rows_of(name).iterrows()]
        caption, heads, cells = tell(*outcome_words(name))
        flags = [clear(row[f"{apart}low"], row[f"{apart}high"]) for row in rows]
        tables.append(ShownTable(caption, [(head, head != "") for head in heads], [cells(row) for row in rows], flags))
    return tables


OPERATION_WORDS = {"multiply_by": "factor of", "add": "size of", "set_to": "level of"}


def parameter_words(name: str, unit: str) -> str:
    """An uncertain parameter in prose: ``recovery unsecured``, ``depreciation rate (cloud)``, ``factor of accelerators age``. ``unit``: of a change
    of a shock or policy it begins with what the number does to its lever."""
    head, _, rest = name.partition(".")
    if head == "macro":
        return rest.replace("_", " ")
    if head in ("shock", "policy"):
        return f"{OPERATION_WORDS[unit.partition(' ')[0]]} {rest.partition('.')[2].replace('_', ' ')}"
    if head == "lever":
        return f"lever {rest}"
    owner, _, column = name.rpartition(".")
    return f"{column.replace('_', ' ')} ({owner.replace('_', ' ')})"


def plain_number(value: float) -> str:
    """A parameter's value: three digits, thousands with a comma."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def in_sentences(name: str) -> tuple[str, str]:
    """An outcome as the subject of a sentence, and how its numbers are written: ``number of defaults``."""
    words, kind = outcome_words(name)
    return (f"number of {words}", kind) if name.endswith("defaults") else (words, kind)
