from __future__ import annotations

import pandas as pd
import pytest

from simulator.results.studies.words import against_the_sum, clear, signed, tables_by_outcome
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
