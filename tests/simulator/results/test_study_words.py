from __future__ import annotations

import pandas as pd
import pytest

from simulator.results.studies import accelerator, grids
from simulator.results.studies.words import against_the_sum, clear, signed, tables_by_outcome, together
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
