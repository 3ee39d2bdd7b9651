"""What collateral is worth: haircuts by kind, the borrowing base, and machines that age and are overtaken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scenarios.changes import Change
from simulator.engine.model import ContagionModel
from simulator.engine.randomness import Quiet
from simulator.ledger.contracts import Selection
from simulator.markets import pledges
from simulator.markets.compute import OBSOLESCENCE
from simulator.markets.regulation import set_haircuts

Build = Callable[..., ContagionModel]


def borrower(small_model: Build, collateral: str, kind: str = "cloud", **given: Any) -> ContagionModel:
    """A firm with capacity of 100, three quarters chips, that owes 10 on ``collateral`` and holds listed shares worth 40, half of them pledged."""
    firms = {
        "firm": {"kind": kind, "cash": 5.0, "capacity": 100.0, "chips_share": 0.75, "market_value": 50.0, **given.pop("items", {})},
        "issuer": {"kind": "chipmaker", "market_value": 400.0, "listed": given.pop("listed", True)},
    }
    pledge = {"pledged_stake": 0, "pledged_share": 0.5} if collateral == "shares" else {}
    loan = {
        "lender": "main_bank", "borrower": "firm", "kind": "term_loan", "principal": 10.0, "maturity": 36, "collateral": collateral,
        "seniority": "secured", "new_lending": True, "ltv_call": 0.8 if collateral == "shares" else np.inf, **pledge,
    }  # fmt: skip
    return small_model(firms, loans=[loan], stakes=[{"holder": "firm", "issuer": "issuer", "value": 40.0}], **given)


def row(model: ContagionModel, agent: str) -> int:
    return model.books.ids.index(agent)


def test_machines_and_buildings_have_their_own_haircuts(small_model: Build) -> None:
    model = borrower(small_model, "accelerators")
    macro = model.books.macro
    room = 75.0 * (1.0 - macro["haircut_accelerators"]) + 25.0 * (1.0 - macro["haircut_data_centre"]) - 10.0
    assert pledges.secured_room(model.books, model.credit.interest(model.books).on_capacity)[row(model, "firm"), 0] == pytest.approx(room)
    model.books.levers = {**model.books.levers, "collateral.haircut": np.array([[0.1]])}
    set_haircuts(model.books)
    assert pledges.secured_room(model.books, model.credit.interest(model.books).on_capacity)[row(model, "firm"), 0] == pytest.approx(room - 10.0)


def every(model: ContagionModel) -> Selection:
    """All loans, as slots."""
    return model.books.loans.some(np.arange(model.books.loans.count))


@pytest.mark.parametrize(("listed", "haircut"), [(True, "haircut_listed"), (False, "haircut_unlisted")])
def test_new_loans_on_shares_stop_at_the_haircut_value_of_the_pledge(small_model: Build, listed: bool, haircut: str) -> None:
    model = borrower(small_model, "shares", listed=listed)
    model.books.loans.principal[...] = 2.0
    asked = np.full_like(model.books.loans.principal, 99.0)
    pledges.limit_to_pledges(model.books, every(model), asked)
    assert asked[0, 0] == pytest.approx(20.0 * (1.0 - model.books.macro[haircut]) - 2.0)


def test_no_new_loan_is_called_at_once(small_model: Build) -> None:
    model = borrower(small_model, "shares")
    model.books.macro["haircut_listed"] = 0.0
    asked = np.full_like(model.books.loans.principal, 99.0)
    pledges.limit_to_pledges(model.books, every(model), asked)
    assert 10.0 + asked[0, 0] == pytest.approx(pledges.CURE * 0.8 * 20.0)


def test_a_borrowing_base_is_haircut_receivables_less_what_is_drawn(small_model: Build) -> None:
    model = borrower(small_model, "receivables")
    books = model.books
    books["contracted_now"][row(model, "firm")] = 80.0
    base = 80.0 * pledges.RECEIVABLE_MONTHS / 12.0 * (1.0 - books.macro["haircut_receivables"])
    asked = np.full_like(books.loans.principal, 99.0)
    pledges.limit_to_pledges(books, every(model), asked)
    assert asked[0, 0] == pytest.approx(base - 10.0)
    asked = np.full_like(books.loans.principal, 99.0)
    pledges.limit_to_pledges(books, every(model), asked, every(model), np.full_like(asked, 1.5))
    assert asked[0, 0] == pytest.approx(base - 11.5)


def test_loans_that_a_fund_has_given_are_its_receivables_and_a_bank_has_none(small_model: Build) -> None:
    firms = {
        "fund": {"kind": "lender", "lender_type": "private_credit", "other_assets": 30.0},
        "firm": {"kind": "cloud", "market_value": 50.0},
    }
    loans = [{"lender": "fund", "borrower": "firm", "principal": 12.0}, {"lender": "main_bank", "borrower": "fund", "principal": 9.0}]
    model = small_model(firms, loans=loans)
    fund, bank = pledges.receivables(model.books, np.array([row(model, "fund"), row(model, "main_bank")]))[:, 0]
    assert fund == pytest.approx(42.0)
    assert bank == 0.0


def resale_after(small_economy: Callable[..., Any], months: int, *changes: Change) -> float:
    firms = {"firm": {"kind": "cloud", "cash": 5.0, "capacity": 100.0, "depreciation_rate": 0.0, "market_value": 50.0}}
    economy = small_economy(firms)
    model = ContagionModel(economy, horizon_months=months, draws=Quiet(len(economy.ids)), changes=changes).run()
    return float(model.books["resale_value"][row(model, "firm"), 0])


def test_machines_age_and_a_new_generation_takes_its_part_once(small_economy: Callable[..., Any]) -> None:
    monthly = 1.0 - OBSOLESCENCE / 12.0
    assert resale_after(small_economy, 3) == pytest.approx(monthly**3)
    new = Change("blackwell", "accelerators.new_generation", "set_to", 0.3, 2)
    assert resale_after(small_economy, 3, new) == pytest.approx(0.7 * monthly**3)
    passing = Change("blackwell", "accelerators.new_generation", "set_to", 0.3, 2, lasts=1)
    assert resale_after(small_economy, 3, passing) == pytest.approx(0.7 * monthly**3)  # what has lost value does not win it back
    slow = Change("blackwell", "accelerators.new_generation", "set_to", 0.3, 1, builds=2)
    assert resale_after(small_economy, 3, slow) == pytest.approx(0.7 * monthly**3)  # in steps that add to the same


def test_the_lever_of_ageing_speeds_it_up(small_economy: Callable[..., Any]) -> None:
    faster = Change("faster", "accelerators.ageing", "multiply_by", 2.0, 1)
    assert resale_after(small_economy, 2, faster) == pytest.approx((1.0 - OBSOLESCENCE / 6.0) ** 2)
