"""The figures of a run by name, and how to read them: what can be said without drawing one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.results.dataset import Run

READINGS = {
    "default_probability_by_kind": "The further right the dot, the more often such an agent defaults; the bar is what luck leaves open.",
    "default_probability_over_time": "A steep stretch of the line is when the defaults of that kind happen.",
    "cascade_sizes": "The bar at 0 is the share of replications without contagion; the bars to its right are the tail that matters.",
    "loss_by_channel": "Accounting: which postings carried the loss. Counterfactual, where it was run: what the channel adds to it.",
    "network_at_worst_moment": "Follow the arrows from the agents that failed, numbered by wave, to those that bore the loss.",
    "ai_market_value": "Where the bands of the two scenarios part, the shock is larger than ordinary luck.",
    "system_series": "Each panel shows one number of the whole system; compare the two medians, then the width of the bands.",
}
LABORIOUS = ("system_series", "network_at_worst_moment", "default_probability_over_time")
"""Those that take longest to draw."""


def names_of(run: Run) -> list[str]:
    """Names of the figures of a run: those of its study first."""
    return [*(run.study.teller.figures(run.study) if run.study is not None else ()), *READINGS]


def reading(run: Run, name: str) -> str:
    """How to read a figure, in a sentence."""
    of_study = run.study.teller.figures(run.study) if run.study is not None else {}
    return of_study[name][1] if name in of_study else READINGS.get(name, "")
