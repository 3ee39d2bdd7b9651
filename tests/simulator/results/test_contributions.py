"""Contributions of channels and amplification: measures, figure and report."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simulator.results import channel_figure
from simulator.results.contributions import amplification, amplification_words, contribution_by_channel
from simulator.results.dataset import Run


def contributions(labels: tuple[str, ...], replications: int = 200) -> pd.DataFrame:
    draw = np.random.default_rng(5)
    frames = []
    for label in labels:
        frame = pd.DataFrame({"scenario": label, "replication": np.arange(replications), "total_loss": 10.0})
        frame["contribution_equity"] = draw.normal(5.0, 2.0, replications)
        frame["contribution_spread"] = draw.normal(-1.0, 0.5, replications)
        frame["contribution_power"] = np.nan
        frame["contribution_to_defaults_equity"] = 1.0
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def with_contributions(run: Run) -> Run:
    return Run(
        run.replications, run.defaults, run.losses, run.ticks, contributions=contributions(run.scenarios), network=run.network,
        scenarios=run.scenarios, config=run.config, provenance=run.provenance,
    )  # fmt: skip


def test_a_contribution_is_a_mean_with_a_paired_interval_and_may_be_negative() -> None:
    table = contribution_by_channel(contributions(("one",))).set_index("channel")
    assert list(table.index) == ["equity", "spread"]  # one that was not computed is left out
    assert table.loc["equity", "low"] < 5.0 < table.loc["equity", "high"]
    assert table.loc["spread", "high"] < 0.0
    assert contribution_by_channel(contributions(("one",)), "defaults")["value"].tolist() == [1.0]


def test_amplification_counts_the_replications_in_which_it_is_not_defined() -> None:
    table = pd.DataFrame({"amplification": [1.0, 2.0, np.nan, 3.0]})
    estimate, undefined = amplification(table)
    assert (estimate.value, estimate.n, undefined) == (2.0, 3, 1)
    assert "2.00 times" in amplification_words(table)
    assert "in 1 more it takes nothing by itself" in amplification_words(table)
    assert amplification_words(pd.DataFrame({"amplification": [np.nan, np.nan]})) == ""


def test_the_figure_shows_accounting_alone_or_with_the_counterfactual_beside_it(run: Run) -> None:
    assert [axes.get_title(loc="left") for axes in run.figure("loss_by_channel").axes] == [""]
    both = with_contributions(run).figure("loss_by_channel")
    assert [axes.get_title(loc="left") for axes in both.axes] == [channel_figure.BOOKED, channel_figure.WITHOUT]
    names = [label.get_text() for label in both.axes[0].get_yticklabels()]
    assert "Dearer credit" in names
    assert "The shock itself" in names


def test_the_report_tells_amplification_only_where_it_was_computed(run: Run) -> None:
    from simulator.results.report import report_html

    assert "times what it takes without any" not in report_html(run, {})
    told = with_contributions(run)
    told.replications["amplification"] = 1.5
    assert "takes 1.50 times what it takes without any" in report_html(told, {})


def test_contributions_of_one_scenario_go_with_it(run: Run) -> None:
    part = with_contributions(run).scenario(run.scenarios[0])
    assert part.contributions is not None
    assert set(part.contributions["scenario"]) == {run.scenarios[0]}
    with pytest.raises(AssertionError):
        pd.testing.assert_frame_equal(part.contributions, contributions(run.scenarios))
