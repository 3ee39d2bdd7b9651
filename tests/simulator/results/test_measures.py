"""Measures against numbers from the literature and worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simulator.errors import InputError
from simulator.results import measures
from simulator.results.dataset import Run


def test_the_wilson_interval_has_the_published_values() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 857–872, table I, method 3.
    published = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for (successes, n), (low, high) in published.items():
        estimate = measures.wilson(successes, n)
        assert (round(estimate.low, 4), round(estimate.high, 4)) == (low, high)
        assert estimate.value == successes / n


def test_the_wilson_interval_is_symmetric_and_stays_in_the_unit_interval() -> None:
    for successes in range(11):
        one, other = measures.wilson(successes, 10), measures.wilson(10 - successes, 10)
        assert 0.0 <= one.low <= one.value <= one.high <= 1.0
        assert one.low == pytest.approx(1.0 - other.high, abs=1e-12)


def test_the_t_interval_is_the_textbook_one() -> None:
    values = np.array([2.0, 4.0, 4.0, 5.0, 7.0])
    estimate = measures.mean_interval(values)
    half = 2.7764451 * np.sqrt(3.3 / 5)  # t(0.975, 4) times the standard error; variance (5.76+0.16+0.16+0.36+6.76)/4 = 3.3
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((4.4, 4.4 - half, 4.4 + half))


def test_one_replication_gives_a_value_and_no_interval() -> None:
    estimate = measures.mean_interval(np.array([3.0]))
    assert estimate.value == 3.0
    assert np.isnan(estimate.low)
    assert not estimate.excludes_zero


def test_a_count_column_gives_the_probability_of_at_least_one(run: Run) -> None:
    rows = run.scenario("no_shock").replications
    estimate = run.probability("cloud_defaults", scenario="no_shock")
    assert estimate.value == (rows["cloud_defaults"] >= 1).mean()
    assert estimate.method == "wilson"
    assert estimate.n == 200


def test_an_unknown_column_is_answered_with_the_nearest(run: Run) -> None:
    with pytest.raises(InputError, match="did you mean 'systemic'"):
        run.probability("sistemic", scenario="no_shock")


def test_a_run_of_several_scenarios_asks_which_one_is_meant(run: Run) -> None:
    with pytest.raises(InputError, match="name one"):
        run.probability("systemic")


def test_value_at_risk_and_expected_shortfall_of_a_hundred_losses() -> None:
    losses = pd.DataFrame({"total_loss": np.arange(1.0, 101.0)})
    assert measures.value_at_risk(losses).value == 95.0
    assert measures.expected_shortfall(losses).value == 98.0  # mean of 96 ... 100


def test_the_bootstrap_interval_repeats_and_contains_the_estimate(run: Run) -> None:
    rows = run.scenario("no_shock").replications
    first, second = measures.expected_shortfall(rows), measures.expected_shortfall(rows.sample(frac=1.0, random_state=1))
    assert first == second
    assert first.low < first.value < first.high


def test_the_bootstrap_interval_of_a_mean_agrees_with_theory() -> None:
    values = np.random.Generator(np.random.Philox(5)).normal(10.0, 2.0, 400)
    estimate = measures.bootstrap(values, tail=0.0, average=True)
    exact = measures.mean_interval(values)
    assert estimate.low == pytest.approx(exact.low, abs=0.03)
    assert estimate.high == pytest.approx(exact.high, abs=0.03)


def test_severity_is_the_mean_over_the_systemic_replications_only() -> None:
    rows = pd.DataFrame({"systemic": [True, False, True, False], "total_loss": [10.0, 1.0, 30.0, 2.0]})
    assert measures.severity(rows).value == 20.0
    assert measures.severity(rows[~rows["systemic"]]).n == 0


def test_default_shares_divide_by_the_number_of_agents(run: Run) -> None:
    rows = run.scenario("no_shock").replications
    table = measures.default_probability_by_kind(rows, run.counts).set_index("kind")
    assert table["agents"].to_dict() == run.counts == {
        "chipmaker": 3, "hyperscaler": 5, "cloud": 8, "project_company": 5, "ai_lab": 4, "investor": 3, "lender": 10,
    }  # fmt: skip
    assert table.loc["cloud", "value"] == pytest.approx(rows["cloud_defaults"].mean() / 8)
    assert (table["any"] >= table["value"]).all()
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()


def test_agent_counts_come_from_alive_shares_when_there_is_no_network(run: Run) -> None:
    assert measures.agent_counts(run.replications) == run.counts


def test_no_default_at_all_still_leaves_an_upper_bound() -> None:
    rows = pd.DataFrame({"cloud_defaults": np.zeros(100)})
    estimate = measures.default_share(rows, "cloud", 8)
    assert estimate.value == estimate.low == 0.0
    assert estimate.high == pytest.approx(stats.norm.ppf(0.975) ** 2 / (100 + stats.norm.ppf(0.975) ** 2))


def test_default_probability_over_time_ends_at_the_share_by_kind_and_never_falls(run: Run) -> None:
    part = run.scenario(run.focus)
    table = measures.default_probability_over_time(part.defaults, part.replications, part.counts, 60)
    final = measures.default_probability_by_kind(part.replications, part.counts).set_index("kind")["value"]
    for kind, rows in table.groupby("kind"):
        values = rows.sort_values("month")["value"].to_numpy()
        assert values[0] == 0.0
        assert (np.diff(values) >= 0).all()
        assert values[-1] == pytest.approx(final[str(kind)])


def test_default_probability_over_time_by_hand() -> None:
    defaults = pd.DataFrame({"replication": [0, 0, 2], "tick": [0, 1, 1], "agent": ["a", "b", "a"], "kind": ["cloud"] * 3})
    rows = pd.DataFrame({"replication": [0, 1, 2, 3]})
    table = measures.default_probability_over_time(defaults, rows, {"cloud": 2}, 3)
    assert table["value"].tolist() == [0.0, 0.125, 0.375, 0.375]


def test_cascade_size_classes_cover_every_replication_once(run: Run) -> None:
    rows = run.scenario(run.focus).replications
    table = measures.cascade_size_distribution(rows, (0, 1, 2, 5))
    assert table["count"].sum() == len(rows)
    assert table["value"].sum() == pytest.approx(1.0)
    assert table.loc[1, "at_least"] == (rows["cascade_size"] >= 1).mean()


def test_losses_by_channel_add_to_the_total_loss(run: Run) -> None:
    rows = run.scenario(run.focus).replications
    table = measures.loss_by_channel(rows)
    assert table["value"].sum() == pytest.approx(rows["total_loss"].mean())
    assert table["share"].sum() == pytest.approx(1.0)


def test_losses_by_bearer_keep_the_total(run: Run) -> None:
    part = run.scenario(run.focus)
    by_kind = measures.loss_by_bearer(part.losses, run.network["nodes"], 200)
    by_agent = measures.loss_by_bearer(part.losses, run.network["nodes"], 200, by="agent")
    assert by_kind["value"].sum() == pytest.approx(part.losses["amount"].sum() / 200)
    assert by_agent["value"].sum() == pytest.approx(by_kind["value"].sum())


def test_concentration_is_one_over_n_when_even_and_one_when_alone() -> None:
    assert measures.concentration(np.full(5, 3.0)) == pytest.approx(0.2)
    assert measures.concentration(np.array([0.0, 7.0])) == 1.0
    assert np.isnan(measures.concentration(np.zeros(3)))


def test_the_median_systemic_replication_lies_in_the_middle() -> None:
    rows = pd.DataFrame(
        {"replication": [0, 1, 2, 3], "systemic": [True, True, False, True], "defaults": [9, 4, 1, 6], "total_loss": [1.0, 2.0, 3.0, 4.0]}
    )
    assert measures.median_systemic_replication(rows) == 3
    assert measures.median_systemic_replication(rows[~rows["systemic"]]) is None
