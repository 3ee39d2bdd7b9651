from __future__ import annotations

import pandas as pd
import pytest

from simulator.results.findings import unbroken
from simulator.results.studies import accelerator, channel_decomposition, grids, policy_comparison, rare_event
from simulator.results.studies.words import against_the_sum, clear, parameter_words, signed, tables_by_outcome, together
from simulator.results.study import Study


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(0.1, 0.3, True), (-0.3, -0.1, True), (-0.1, 0.1, False), (1e-15, 2e-15, False), (float("nan"), 1.0, False), (0.1, float("inf"), False)],
)
def test_an_interval_is_told_from_zero_only_beyond_rounding(low: float, high: float, told: bool) -> None:
    assert clear(low, high) is told


def test_the_sum_of_the_parts_is_called_exceeded_only_when_the_interval_says_so() -> None:
    assert against_the_sum(2.0, 1.0, 3.0).startswith("more than")
    assert against_the_sum(-2.0, -3.0, -1.0).startswith("less than")
    assert against_the_sum(2.0, -1.0, 5.0).startswith("about as much as")


def test_a_study_gets_one_table_an_outcome_with_the_rows_told_from_zero_set_apart() -> None:
    frame = pd.DataFrame({"outcome": ["defaults", "defaults", "total_loss"], "value": [1.0, 2.0, 3.0], "gap_low": [0.5, -1.0, -2.0]})
    frame["gap_high"] = [1.5, 5.0, -1.0]
    study = Study("dose_response", {"t": frame}, {"outcomes": ["defaults", "total_loss"]})
    tables = tables_by_outcome(
        study,
        lambda name: frame[frame["outcome"] == name],
        lambda words, kind: (f"{words} ({kind})", ["", words], lambda row: ["x", *signed(row["value"], row["gap_low"], row["gap_high"], kind)]),
        "gap_",
    )
    assert [table.caption for table in tables] == ["defaults (count)", "total loss (money)"]
    assert [list(table.clear) for table in tables] == [[True, False], [True]]
    assert [len(table.rows) for table in tables] == [2, 1]
    assert tables[0].head == [("", False), ("defaults", True)]


@pytest.mark.parametrize(
    ("whole", "excess", "told"),
    [
        ((673.0, 656.0, 690.0), (-29.0, -32.0, -26.0), "Both raise the total loss by 673 USD bn, 29.0 USD bn less than the sum of each alone"),
        ((-50.0, -60.0, -40.0), (-9.0, -12.0, -6.0), "Both lower the total loss by 50.0 USD bn, 9.0 USD bn more than the sum of each alone"),
        ((-50.0, -60.0, -40.0), (9.0, -1.0, 19.0), "Both lower the total loss by 50.0 USD bn, about as much as the sum of each alone"),
        ((1.0, -2.0, 4.0), (-9.0, -12.0, -6.0), "Both have no clear effect on the total loss, although each alone adds up to +10.0 USD bn"),
        ((1.0, -2.0, 4.0), (0.0, 0.0, 0.0), "Both have no clear effect on the total loss, and none beyond the sum of each alone"),
    ],
)
def test_together_is_called_a_rise_or_more_than_the_sum_only_where_the_interval_says_so(
    whole: tuple[float, float, float], excess: tuple[float, float, float], told: str
) -> None:
    assert together("Both", "total loss", "money", whole, excess) == told


def doses(systemic_high: float) -> Study:
    """Two doses: the probability falls, clearly only when the interval's upper end is below zero; the loss rises clearly."""
    rows = [
        ("systemic", 0.0, 0.033, 0.009, 0.114, 0.0, 0.0, 0.0),
        ("systemic", 1.0, 0.0, 0.0, 0.06, -0.033, -0.114, systemic_high),
        ("total_loss", 0.0, 222.0, 190.0, 254.0, 0.0, 0.0, 0.0),
        ("total_loss", 1.0, 888.0, 833.0, 942.0, 666.0, 616.0, 716.0),
    ]
    names = ["outcome", "dose", "value", "low", "high", "difference", "difference_low", "difference_high"]
    facts = {"outcomes": ["systemic", "total_loss"], "name": "rate_hike", "neutral": 0.0, "unit": "times its size"}
    return Study("dose_response", {"doses": pd.DataFrame(rows, columns=names)}, facts)


def test_the_headline_of_doses_claims_no_effect_that_luck_could_explain() -> None:
    unclear = grids.dose_headline(doses(0.032))
    assert unclear == "Rate hike from 0 to 1: the total loss rises from 222 to 888 USD bn; no clear effect on the probability of a systemic cascade"
    assert grids.dose_headline(doses(-0.001)) == "Rate hike from 0 to 1: the probability of a systemic cascade falls from 3.3 % to 0.0 %"


def test_the_accelerator_is_told_in_per_cent_and_only_where_its_interval_leaves_out_one() -> None:
    ratios = pd.DataFrame(
        [("investment_total", "down", 1.026, 1.018, 1.035), ("investment_total", "up", 1.01, 0.99, 1.03)],
        columns=["outcome", "direction", "accelerator", "accelerator_low", "accelerator_high"],
    )
    study = Study("accelerator", {"ratios": ratios}, {"outcomes": ["investment_total"], "channel": "spread"})
    told = "With the spread channel investment responds 2.6 % more strongly to a shock down and not clearly differently to the same shock up"
    assert accelerator.headline(study) == told


@pytest.mark.parametrize(("value", "told"), [(0.0, "0"), (0.0345, "3.45 %"), (0.00018, "0.018 %"), (0.000012, "0.0012 %"), (1.8e-06, "1.8e-06")])
def test_a_small_probability_is_told_in_per_cent_down_to_one_in_a_hundred_thousand(value: float, told: str) -> None:
    assert rare_event.small(value) == told


@pytest.mark.parametrize(("cost", "is_told", "says"), [(371.0, True, True), (371.0, False, False), (0.2, True, False), (-30.0, True, False)])
def test_the_best_policy_is_named_with_what_taxpayers_pay_for_it(cost: float, is_told: bool, says: bool) -> None:
    ranking = pd.DataFrame([("shock", "fiscal_backstop", -68.7, True)], columns=["world", "policy", "difference", "told"])
    policies = pd.DataFrame(
        [("shock", "loss_taxpayers", "fiscal_backstop", cost, is_told)], columns=["world", "outcome", "policy", "difference", "told"]
    )
    facts = {"worlds": ["shock"], "ranked_by": "total_loss", "current": "current_rules"}
    told = policy_comparison.headline(Study("policy_comparison", {"ranking": ranking, "policies": policies}, facts))
    assert told.startswith("Under shock, fiscal backstop lowers the total loss most: by 68.7 USD bn")
    assert (", at a cost of 371 USD bn to taxpayers" in told) == says


@pytest.mark.parametrize(("low", "names_one"), [(90.0, True), (-5.0, False)])
def test_a_channel_is_called_the_largest_only_when_its_share_is_clear_of_luck(low: float, names_one: bool) -> None:
    shares = pd.DataFrame([("equity", 158.0, low, 225.0, 0.657)], columns=["channel", "share", "share_low", "share_high", "part"])
    facts = {"outcome": "total_loss", "whole": 240.0, "whole_low": 175.0, "whole_high": 305.0}
    told = channel_decomposition.headline(Study("channel_decomposition", {"shares": shares}, facts))
    assert ("equity (falling stakes) channel carries the largest share" in told) == names_one


def test_a_unit_stays_on_the_line_of_its_number() -> None:
    assert unbroken("by 12.1 % or 5 USD bn") == "by 12.1\u00a0% or 5\u00a0USD\u00a0bn"


@pytest.mark.parametrize(
    ("name", "unit", "told"),
    [
        ("shock.collateral_devaluation.accelerators_age", "multiply_by factor", "factor of accelerators age"),
        ("shock.rate_hold.cuts_priced_out", "add rate per year", "size of cuts priced out"),
        ("policy.leverage_cap.cap", "set_to share", "level of cap"),
        ("macro.recovery_unsecured", "share", "recovery unsecured"),
        ("cloud.depreciation_rate", "per year", "depreciation rate (cloud)"),
    ],
)
def test_a_parameter_is_called_by_what_its_number_does(name: str, unit: str, told: str) -> None:
    assert parameter_words(name, unit) == told
