"""Margin: calls, cure, and a spiral of sales that ends at the least."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.ledger.identities import check
from simulator.markets import collateral
from simulator.markets.shares import shock_values

Build = Callable[..., ContagionModel]
CALL, CLOSE_OUT, STAKE, SHARES = 0.5, 0.7, 100.0, 400.0


def investor(small_model: Build, debt: float, fall: float = 0.0, cash: float = 0.0, **given: Any) -> ContagionModel:
    """An investor that owes ``debt`` against listed shares once worth 100, a quarter of the company, which have lost ``fall``."""
    firms = {
        "holder": {"kind": "investor", "cash": cash},
        "firm": {"kind": "cloud", "cash": 20.0, "market_value": SHARES, "listed": given.pop("listed", True), "capacity": 10.0},
    }
    stakes = [{"holder": "holder", "issuer": "firm", "value": STAKE}]
    loan = {
        "lender": "main_bank", "borrower": "holder", "kind": "margin_loan", "principal": debt, "maturity": 36, "collateral": "shares",
        "pledged_stake": 0, "ltv_call": CALL, "ltv_close_out": CLOSE_OUT, "seniority": "secured",
    }  # fmt: skip
    model = small_model(firms, stakes=stakes, loans=[loan], **given)
    ratio = np.ones((model.books.agents, 1))
    ratio[model.books.ids.index("firm")] = 1.0 - fall
    shock_values(model.books, model.ledger, ratio)
    return model


def run(model: ContagionModel) -> ContagionModel:
    model.margin_desk.run(model.books, model.ledger)
    check(model.books, model.ledger)
    return model


def sold(model: ContagionModel) -> float:
    return STAKE - float(model.books.stakes.shares[0, 0])


def price(model: ContagionModel) -> float:
    return float(model.books["share_price"][model.books.ids.index("firm"), 0])


def loan_to_value(model: ContagionModel) -> float:
    return float(model.books.loans.principal[0, 0]) / (float(model.books.stakes.shares[0, 0]) * price(model))


def after_a_sale(model: ContagionModel, debt: float, start: float, amount: float) -> float:
    """Loan to value after ``amount`` of shares is sold, in small lots, and the proceeds pay the loan down."""
    lots = 400
    value = start
    for _ in range(lots):
        factor = float(np.exp(-model.books.macro["price_impact_listed"] * amount / lots / SHARES))
        debt -= amount / lots * value * (1.0 + factor) / 2.0
        value *= factor
    return debt / ((STAKE - amount) * value)


def least_sale(model: ContagionModel, debt: float, start: float, target: float) -> float:
    """The smallest sale after which the loan stands at ``target`` of its collateral."""
    low, high = 0.0, STAKE * 0.999
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if after_a_sale(model, debt, start, middle) > target else (low, middle)
    return high


def test_below_the_call_level_nothing_is_sold(small_model: Build) -> None:
    model = run(investor(small_model, debt=45.0, cash=9.0))
    assert sold(model) == 0.0
    assert model.books["cash"][model.books.ids.index("holder"), 0] == 9.0


def test_a_call_is_met_in_cash_first(small_model: Build) -> None:
    model = run(investor(small_model, debt=45.0, fall=0.15, cash=200.0))
    assert sold(model) == 0.0
    assert loan_to_value(model) == pytest.approx(collateral.CURE * CALL)


@pytest.mark.parametrize(("debt", "fall"), [(45.0, 0.12), (45.0, 0.2), (48.0, 0.2), (48.0, 0.3)])
def test_the_spiral_ends_at_the_least_sale_that_cures_the_call(debt: float, fall: float, small_model: Build) -> None:
    model = run(investor(small_model, debt=debt, fall=fall))
    least = least_sale(model, debt, 1.0 - fall, CALL)
    most = least_sale(model, debt, 1.0 - fall, collateral.CURE * CALL)
    assert loan_to_value(model) <= CALL * (1.0 + 1e-9)
    assert 0.99 * least <= sold(model) <= 1.01 * most
    assert model.books["margin_breached"][model.books.ids.index("holder"), 0] == 0.0


def test_sales_and_the_fall_of_the_price_are_larger_the_higher_the_loan_to_value(small_model: Build) -> None:
    runs = [run(investor(small_model, debt=debt, fall=0.25)) for debt in (40.0, 44.0, 48.0)]
    assert sold(runs[0]) < sold(runs[1]) < sold(runs[2])
    assert price(runs[0]) > price(runs[1]) > price(runs[2])


def test_losses_grow_faster_than_the_shock(small_model: Build) -> None:
    losses = []
    for fall in (0.08, 0.16, 0.32):
        model = run(investor(small_model, debt=45.0, fall=fall))
        losses.append(sum(float(model.ledger.loss_by_tag[tag][0, 0]) for tag in ("direct", "margin", "fire_sale")) / fall)
    assert losses[0] < losses[1]
    assert losses[0] < losses[2]


def test_unlisted_shares_are_sold_no_faster_than_the_market_takes_them(small_model: Build) -> None:
    model = run(investor(small_model, debt=48.0, fall=0.3, listed=False))
    assert sold(model) <= collateral.MONTHLY_SALE_UNLISTED * STAKE * (1.0 + 1e-9)


def test_a_loan_that_stays_above_its_close_out_is_in_breach(small_model: Build) -> None:
    model = run(investor(small_model, debt=48.0, fall=0.6, listed=False))
    assert loan_to_value(model) > CLOSE_OUT
    assert model.books["margin_breached"][model.books.ids.index("holder"), 0] == 1.0


def test_no_more_than_the_pledge_is_sold(small_model: Build) -> None:
    model = run(investor(small_model, debt=60.0, fall=0.9))
    assert 0.0 <= float(model.books.stakes.shares[0, 0]) <= STAKE
    assert float(model.books.loans.principal[0, 0]) >= 0.0


def test_a_higher_haircut_calls_loans_that_stood_well(small_model: Build) -> None:
    model = investor(small_model, debt=45.0)
    model.books.levers = {**model.books.levers, "collateral.haircut": np.array([[0.3]])}
    assert sold(run(model)) > 0.0


def test_early_repayment_shrinks_what_falls_due_later(small_model: Build) -> None:
    model = run(investor(small_model, debt=48.0, fall=0.3, horizon_months=40))
    left = float(model.books.loans.principal[0, 0])
    assert left < 48.0
    assert sum(float(model.books.repayments.due(tick)[0, 0]) for tick in range(40)) == pytest.approx(left)


def test_calls_are_met_alike_alone_and_beside_a_replication_that_sells_for_longer(small_model: Build) -> None:
    """Shares that sell slowly in the first replication: its second round sells nothing, while the second replication goes on selling."""

    def build(replications: tuple[int, ...], debts: list[float]) -> ContagionModel:
        model = investor(small_model, debt=60.0, fall=0.35, cash=8.0, listed=False, replications=replications)
        model.books.loans.principal[...] = debts
        model.ledger.post("ordinary", model.books.net_worth() - model.ledger.worth_so_far())
        return run(model)

    alone, beside = build((0,), [48.0]), build((0, 1), [48.0, 33.5])
    assert beside.books["cash"][:, 0].tobytes() == alone.books["cash"][:, 0].tobytes()
    assert beside.books.loans.principal[:, 0].tobytes() == alone.books.loans.principal[:, 0].tobytes()
