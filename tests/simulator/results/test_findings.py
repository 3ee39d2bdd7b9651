"""The findings in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.results import findings
from simulator.results.comparison import compare
from simulator.results.dataset import Run
from simulator.results.measures import Estimate


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [(0.1214, "share", "12.1 %"), (0.0004, "share", "0.04 %"), (-0.0584, "share", "−5.8 %"), (1240.4, "money", "1,240"),
     (3.14, "count", "3.1"),
     (0.26, "count", "0.26"), (float("nan"), "share", "n/a"), (-0.00001, "money", "0.0")],
)  # fmt: skip
def test_numbers_are_written_for_reading(value: float, style: str, text: str) -> None:
    assert findings.number(value, style) == text


def test_the_horizon_is_an_adjective() -> None:
    assert [findings.horizon_words(months) for months in (60, 12, 18, 144)] == ["five-year", "one-year", "18-month", "12-year"]


def test_a_clear_change_is_told_with_both_values_and_the_paired_interval(run: Run) -> None:
    comparison = compare(run, run, run.focus, run.reference)
    row = comparison.row("cloud_default_probability")
    sentence = findings.change_sentence(run, comparison, "cloud_default_probability")
    assert "the five-year default probability of a neocloud rises from" in sentence
    for value in (row["value"], row["other"]):
        assert findings.number(value, "share") in sentence
    assert f"95 % interval {findings.interval(row['difference_low'], row['difference_high'], 'share')}" in sentence


def test_an_interval_that_contains_zero_is_told_neutrally(make_run: Callable[..., Run]) -> None:
    twin = make_run(30, ("no_shock", "twin"), (1.0, 1.0))
    text = " ".join(findings.findings(twin))
    assert "no clear difference" in text
    assert "rises" not in text
    assert "falls" not in text
    assert "no clear change" in findings.headline(twin)


def test_the_printed_findings_fit_eighty_columns(run: Run, make_run: Callable[..., Run]) -> None:
    many = make_run(
        20, ("current_rules", "cut", "facility", "a_policy_with_a_very_long_name+another_long_name+third", "bail_out"), (2, 1, 1.5, 2, 0)
    )
    for one in (run, run.scenario("no_shock"), many):
        assert max(map(len, findings.findings_text(one).splitlines())) <= 80


def test_every_finding_of_a_replicated_run_has_an_interval(run: Run) -> None:
    for sentence in findings.findings(run):
        assert "95 % interval" in sentence


def test_no_default_is_said_plainly(make_run: Callable[..., Run]) -> None:
    calm = make_run(20, ("no_shock",), (0.0,))
    assert "No agent defaults in any of the 20 replications of 'no shock'." in findings.findings(calm)


def test_one_replication_has_findings_without_intervals(make_run: Callable[..., Run]) -> None:
    text = findings.findings_text(make_run(1))
    assert "no interval" in text
    assert "nan" not in text


def test_replications_that_did_not_converge_are_counted(run: Run) -> None:
    rows = run.replications.copy()
    rows.loc[(rows["scenario"] == run.worst) & (rows["replication"] < 3), "converged"] = False
    told = findings.findings(Run(rows, run.defaults, network=run.network))
    assert any(sentence.startswith("3 of 200 replications") for sentence in told)


def test_the_summary_table_has_the_reference_first_and_differences_for_the_rest(run: Run) -> None:
    table = findings.summary_table(run)
    reference = table[table["scenario"] == run.reference]
    assert reference["difference"].isna().all()
    assert table[table["scenario"] == run.focus]["difference"].notna().all()


def test_an_estimate_prints_its_interval() -> None:
    assert str(Estimate(0.5, 0.4, 0.6, 100, "wilson")) == "0.5 (95 % interval 0.4 to 0.6, n = 100, wilson)"
