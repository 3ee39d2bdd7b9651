"""Rules that bind lenders: what they refuse, what moves to lenders outside the rule, and how haircuts follow volatility and floors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.markets import regulation

Build = Callable[..., ContagionModel]


def two_lenders(small_model: Build, **levers: list[float]) -> ContagionModel:
    """A cloud with assets of 100 and debt of 30 that asks 20 of each of two funds; levers by fund."""
    fund = {"kind": "lender", "lender_type": "fund", "cash": 200.0}
    slot = {"borrower": "cloud", "principal": 15.0, "maturity": 60, "new_lending": True}
    loans: list[dict[str, Any]] = [{"lender": name, **slot} for name in ("one", "two")]
    model = small_model({"cloud": {"kind": "cloud", "capacity": 100.0}, "one": fund, "two": fund}, loans=loans)
    books = model.books
    books["total_assets"][books.ids.index("cloud")] = 100.0
    for name, values in levers.items():
        lever = f"lender.{name}"
        column = books.levers[lever].copy()
        for fund_id, value in zip(("one", "two"), values, strict=True):
            column[books.ids.index(fund_id)] = value
        books.levers = {**books.levers, lever: column}
    return model


def asked(model: ContagionModel, backed: float = 0.0) -> list[float]:
    books = model.books
    slots = books.loans.some(np.arange(2))
    answer = regulation.bind_lenders(books, slots, np.full((2, 1), 20.0), np.full((2, 1), 0.5), np.full((2, 1), backed))
    return [float(amount) for amount in answer[:, 0]]


def test_without_a_rule_everything_is_asked_as_before(small_model: Build) -> None:
    assert asked(two_lenders(small_model)) == [20.0, 20.0]


def test_what_a_bound_lender_refuses_is_asked_in_part_of_the_lender_outside_the_rule(small_model: Build) -> None:
    model = two_lenders(small_model, leverage_cap=[0.4, 10.0])  # room of 10 against 40 asked: the bound lender grants a quarter
    refused = 15.0
    assert asked(model) == [pytest.approx(5.0), pytest.approx(20.0 + regulation.MOVED_ELSEWHERE * refused)]
    assert model.books.series["lending_moved"][0, 0] == pytest.approx(regulation.MOVED_ELSEWHERE * refused)


def test_under_a_coordinated_rule_nothing_moves(small_model: Build) -> None:
    model = two_lenders(small_model, leverage_cap=[0.4, 0.4])
    assert asked(model) == [pytest.approx(5.0), pytest.approx(5.0)]
    assert model.books.series["lending_moved"][0, 0] == 0.0


def test_a_haircut_of_some_lenders_binds_loans_on_capacity_only(small_model: Build) -> None:
    model = two_lenders(small_model, haircut=[0.13, 0.0])
    kept = 1.0 - 0.13 / (1.0 - model.books.macro["haircut_accelerators"])
    assert asked(model, backed=1.0)[0] == pytest.approx(20.0 * kept)
    assert asked(model, backed=0.0) == [20.0, 20.0]


@pytest.mark.parametrize(("lever", "sensitivity", "floor", "volatility", "added"), [
    (0.1, 0.0, 0.0, 0.6, 0.1), (0.1, 1.0, 0.0, 0.5, 0.3), (0.1, 1.0, 0.0, 0.2, 0.1), (0.05, 0.0, 0.15, 0.3, 0.15), (0.25, 0.0, 0.15, 0.3, 0.25),
])  # fmt: skip
def test_haircuts_follow_volatility_above_normal_and_stand_on_their_floor(
    small_model: Build, lever: float, sensitivity: float, floor: float, volatility: float, added: float
) -> None:
    books = two_lenders(small_model).books
    values = {"haircut": lever, "haircut_sensitivity": sensitivity, "margin_floor": floor}
    books.levers = {**books.levers, **{f"collateral.{name}": np.full((1, 1), value) for name, value in values.items()}}
    books.series["ai_variance"] = np.full((1, 1), volatility**2)
    regulation.set_haircuts(books)
    assert books.series["added_haircut"][0, 0] == pytest.approx(added)


def test_measured_volatility_settles_at_that_of_equal_returns(small_model: Build) -> None:
    books = two_lenders(small_model).books
    for _ in range(200):
        regulation.measure_volatility(books, np.full((1, 1), 0.1))
    assert np.sqrt(books.series["ai_variance"][0, 0]) == pytest.approx(0.1 * np.sqrt(12.0))


def test_repayment_ahead_of_time_shrinks_loans_and_what_is_to_fall_due(small_model: Build) -> None:
    model = two_lenders(small_model)
    books = model.books
    wanted = np.zeros((books.agents, 1))
    row = books.ids.index("cloud")
    wanted[row] = 6.0
    books["cash"][row] += 6.0
    before = books["cash"][row, 0]
    regulation.repay_early(books, model.ledger, wanted)
    np.testing.assert_allclose(books.loans.principal[:2, 0], [12.0, 12.0])
    assert books["cash"][row, 0] == pytest.approx(before - 6.0)
