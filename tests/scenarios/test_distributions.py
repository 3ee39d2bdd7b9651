"""Shocks of random size and date: quantile functions, and what is read from a file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from scenarios.changes import Change, parse_changes
from scenarios.distributions import Distribution
from scenarios.levers import LeverSchedule
from simulator.errors import InputError

ECONOMY = SimpleNamespace(
    ids=("nvidia", "openai", "xai"), kinds=("chipmaker", "ai_lab", "ai_lab"), lender_types=("", "", ""), jurisdictions=("us", "us", "us")
)
SHARES = (np.arange(4000) + 0.5) / 4000
GOOD: dict[str, Any] = {"lever": "lab_shares.value", "multiply_by": {"uniform": [0.3, 0.8]}, "starts": "2026-10", "source": "assumption"}

DISTRIBUTIONS = [
    Distribution("uniform", (0.3, 0.8)),
    Distribution("triangular", (0.3, 0.3, 0.8)),
    Distribution("triangular", (0.3, 0.6, 0.8)),
    Distribution("normal", (0.5, 0.2, 0.0, 0.6)),
    Distribution("choice", (0.5, 0.1, 0.4)),
]
MEANS = [0.55, (0.3 + 0.3 + 0.8) / 3, (0.3 + 0.6 + 0.8) / 3, float(truncnorm.mean(-2.5, 0.5, 0.5, 0.2)), 1 / 3]


def parse(content: object) -> tuple[Change, ...]:
    return parse_changes(content, "shock/mine", start="2025-12", horizon_months=60, sources=["taylor1993"], economy=ECONOMY)


@pytest.mark.parametrize(("drawn", "mean"), list(zip(DISTRIBUTIONS, MEANS, strict=True)), ids=[each.family for each in DISTRIBUTIONS])
def test_draws_rise_with_luck_stay_between_the_ends_and_have_the_mean_of_the_law(drawn: Distribution, mean: float) -> None:
    values = drawn.quantile(SHARES)
    low, high = drawn.ends
    assert (np.diff(values) >= 0.0).all()
    assert values.min() >= low
    assert values.max() <= high
    assert float(np.cumsum(values)[-1]) / len(values) == pytest.approx(mean, abs=2e-4)


def test_every_month_of_a_uniform_date_is_as_likely() -> None:
    months = Distribution("uniform", (6.0, 9.0)).whole(SHARES)
    assert np.bincount(months).tolist() == [0] * 6 + [1000] * 4


@given(st.floats(0.0, 1.0, exclude_max=True))
def test_a_triangle_is_the_inverse_of_its_law(share: float) -> None:
    value = float(Distribution("triangular", (1.0, 2.0, 4.0)).quantile(np.array([share]))[0])
    below = (value - 1.0) ** 2 / 3.0 if value < 2.0 else 1.0 - (4.0 - value) ** 2 / 6.0
    assert below == pytest.approx(share, abs=1e-9)


def test_size_date_and_occurrence_are_drawn_by_name_for_each_replication() -> None:
    content = {"fall": GOOD | {"starts": {"uniform": ["2026-02", "2026-04"]}, "probability": 0.5}}
    luck = {
        "size/fall/lab_shares.value": np.array([0.0, 0.5, 0.9]),
        "date/fall/lab_shares.value": np.array([0.0, 0.5, 0.99]),
        "happens/fall/lab_shares.value": np.array([0.4, 0.6, 0.1]),
    }
    plan = LeverSchedule(parse(content), ECONOMY, 6, luck.__getitem__)
    table = np.array([np.broadcast_to(plan.at(tick)["lab_shares.value"], (3, 3))[1] for tick in range(6)])
    assert table[:, 0] == pytest.approx([1.0, 0.3, 0.3, 0.3, 0.3, 0.3])
    assert table[:, 1].tolist() == [1.0] * 6
    assert table[:, 2] == pytest.approx([1.0, 1.0, 1.0, 0.75, 0.75, 0.75])
    assert plan.at(5)["lab_shares.value"][0].tolist() == [1.0] * 3  # the lever does not reach the chipmaker


def test_without_luck_a_random_change_stands_at_its_median() -> None:
    plan = LeverSchedule(parse({"fall": GOOD}), ECONOMY, 12)
    assert plan.at(9)["lab_shares.value"][1, 0] == pytest.approx(0.55)


def test_a_path_holds_each_value_until_the_next_month() -> None:
    content = {"rate": {"lever": "central_bank.rate_shift", "add": {"path": [["2026-02", 0.01], ["2026-04", 0.0]]}, "source": "assumption"}}
    plan = LeverSchedule(parse(content), ECONOMY, 5)
    assert [float(plan.at(tick)["central_bank.rate_shift"][0, 0]) for tick in range(5)] == [0.0, 0.01, 0.01, 0.0, 0.0]


def test_a_value_set_to_zero_acts_although_it_is_zero() -> None:
    plan = LeverSchedule((Change("cap", "borrower.leverage_cap", "set_to", 0.0, 2),), ECONOMY, 3)
    assert [float(plan.at(tick)["borrower.leverage_cap"][0, 0]) for tick in range(3)] == [10.0, 0.0, 0.0]


MISTAKES: list[tuple[dict[str, object], str]] = [
    ({"multiply_by": {"unifrm": [0.3, 0.8]}}, "multiply_by: unknown distribution 'unifrm' – did you mean 'uniform'?"),
    ({"multiply_by": {"uniform": [0.8, 0.3]}}, "multiply_by: uniform: the numbers of [low, high] must rise"),
    ({"multiply_by": {"uniform": [0.3]}}, "multiply_by: uniform takes [low, high], not [0.3]"),
    ({"multiply_by": {"uniform": [0.3, 9.0]}}, "multiply_by: 9 is above 3"),
    ({"multiply_by": {"normal": [0.5, 0.0, 0.3, 0.8]}}, "the standard deviation 0 is not above 0"),
    ({"multiply_by": {"triangular": [0.3, 0.9, 0.8]}}, "must rise"),
    ({"multiply_by": {"choice": []}}, "choice takes [value, value, ...]"),
    ({"multiply_by": {"uniform": [0.3, "much"]}}, "multiply_by: uniform: 'much' is not a number"),
    ({"multiply_by": {"uniform": [0.3, 0.8], "choice": [1.0]}}, "a distribution has exactly one family"),
    ({"starts": {"uniform": ["2026-02", "2031-04"]}}, "starts: 2031-04 is outside the run"),
    ({"starts": {"normal": ["2026-02", 1, 2, 3]}}, "a month has no normal distribution"),
    ({"probability": 0.0}, "probability: 0 is not above 0 and at most 1"),
    ({"probability": 1.5}, "probability: 1.5 is not above 0 and at most 1"),
    ({"low": 0.6, "high": 0.8}, "do not bracket multiply_by 0.55"),
    ({"multiply_by": {"path": [["2026-02", 0.5]]}}, "a path has its own months"),
    ({"multiply_by": {"path": [["2026-02", 0.5], ["2026-01", 0.6]]}, "starts": None}, "2026-01 does not come after the month before it"),
    ({"multiply_by": {"path": [["2035-02", 0.5]]}, "starts": None}, "2035-02 is outside the run"),
    ({"multiply_by": {"path": "2026"}, "starts": None}, "path: takes months and values"),
    ({"multiply_by": {"path": [["2026-02", 50.0]]}, "starts": None}, "path: 50 is above 3"),
]


@pytest.mark.parametrize(("other", "told"), MISTAKES, ids=[told[:60] for _, told in MISTAKES])
def test_every_mistake_is_told_in_one_line(other: dict[str, object], told: str) -> None:
    entry = {key: value for key, value in (GOOD | other).items() if value is not None}
    with pytest.raises(InputError) as caught:
        parse({"fall": entry})
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
