"""Margin: calls, cure, and a spiral of sales that ends at the least."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.ledger.identities import IdentityError, check
from simulator.markets import margin_desk, pledges
from simulator.markets.regulation import set_haircuts
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
        "pledged_stake": 0, "ltv_call": CALL, "ltv_close_out": CLOSE_OUT, "seniority": "secured", **given.pop("terms", {}),
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
    assert loan_to_value(model) == pytest.approx(pledges.CURE * CALL)


@pytest.mark.parametrize(("debt", "fall"), [(45.0, 0.12), (45.0, 0.2), (48.0, 0.2), (48.0, 0.3)])
def test_the_spiral_ends_at_the_least_sale_that_cures_the_call(debt: float, fall: float, small_model: Build) -> None:
    model = run(investor(small_model, debt=debt, fall=fall))
    least = least_sale(model, debt, 1.0 - fall, CALL)
    most = least_sale(model, debt, 1.0 - fall, pledges.CURE * CALL)
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
    assert sold(model) <= margin_desk.MONTHLY_SALE_UNLISTED * STAKE * (1.0 + 1e-9)


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
    set_haircuts(model.books)
    assert sold(run(model)) > 0.0


def test_early_repayment_shrinks_what_falls_due_later(small_model: Build) -> None:
    model = run(investor(small_model, debt=48.0, fall=0.3, horizon_months=40))
    left = float(model.books.loans.principal[0, 0])
    assert left < 48.0
    assert sum(float(np.add.reduce(model.books.repayments.due(tick)[1][:, 0])) for tick in range(40)) == pytest.approx(left)


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


def of(model: ContagionModel, column: str, agent: str) -> float:
    return float(model.books[column][model.books.ids.index(agent), 0])


def test_within_the_cure_period_a_called_borrower_pays_cash_and_nothing_is_sold(small_model: Build) -> None:
    model = run(investor(small_model, debt=48.0, fall=0.15, cash=4.0, terms={"cure_months": 2}))
    assert sold(model) == 0.0
    assert of(model, "cash", "holder") == pytest.approx(2.0)  # half of its cash
    for month in (1, 2):
        assert float(model.books.loans.months_called[0, 0]) == month
        run(model)
    assert sold(model) > 0.0
    assert loan_to_value(model) <= CALL * (1.0 + 1e-9)
    assert float(model.books.loans.months_called[0, 0]) == 0.0


def test_a_call_that_the_market_cures_is_forgotten(small_model: Build) -> None:
    model = run(investor(small_model, debt=45.0, fall=0.15, terms={"cure_months": 2}))
    up = np.ones((model.books.agents, 1))
    up[model.books.ids.index("firm")] = 1.5
    shock_values(model.books, model.ledger, up)
    assert float(run(model).books.loans.months_called[0, 0]) == 0.0
    assert sold(model) == 0.0


def test_above_the_close_out_level_the_lender_does_not_wait_and_sells_until_the_loan_is_repaid(small_model: Build) -> None:
    model = run(investor(small_model, debt=48.0, fall=0.35, terms={"cure_months": 12}))
    assert float(model.books.loans.principal[0, 0]) == pytest.approx(0.0, abs=1e-7)
    assert 0.0 < sold(model) < STAKE


def test_a_borrower_with_recourse_owes_what_its_pledge_leaves_at_once(small_model: Build) -> None:
    model = run(investor(small_model, debt=60.0, fall=0.5))
    assert float(model.books.stakes.shares[0, 0]) == pytest.approx(0.0, abs=1e-9)
    assert float(model.books.loans.principal[0, 0]) == pytest.approx(0.0, abs=1e-12)
    assert float(model.books.loans.arrears[0, 0]) > 5.0
    assert of(model, "margin_breached", "holder") == 1.0
    assert model.ledger.loss_by_tag["counterparty"][0, 0] == 0.0


def test_a_lender_without_recourse_has_only_the_pledge_and_bears_the_rest(small_model: Build) -> None:
    model = investor(small_model, debt=60.0, fall=0.5, cash=30.0, terms={"recourse": False})
    bank = of(model, "other_assets", "main_bank")
    run(model)
    lost = float(model.ledger.loss_by_tag["counterparty"][0, 0])
    assert lost > 5.0
    assert float(model.books.loans.principal[0, 0]) == 0.0
    assert float(model.books.loans.arrears[0, 0]) == 0.0
    assert of(model, "cash", "holder") == 30.0  # it puts nothing into a pledge that is worth less than the loan
    assert of(model, "margin_breached", "holder") == 0.0
    assert of(model, "other_assets", "main_bank") == bank
    assert model.ledger.posted["counterparty"][model.books.ids.index("main_bank"), 0] == pytest.approx(-lost)
    assert model.ledger.posted["counterparty"][model.books.ids.index("holder"), 0] == pytest.approx(lost)


def test_half_of_the_cash_is_all_that_calls_take_in_a_month(small_model: Build) -> None:
    model = run(investor(small_model, debt=48.0, fall=0.3, cash=2.0))
    assert of(model, "cash", "holder") >= 1.0 - 1e-12


def test_part_of_a_stake_in_pledge_leaves_the_rest_free(small_model: Build) -> None:
    model = investor(small_model, debt=20.0, terms={"pledged_share": 0.4})
    assert float(model.books.loans.pledged[0, 0]) == pytest.approx(40.0)
    assert float(model.books.free_shares()[0, 0]) == pytest.approx(60.0)
    assert float(model.margin_desk.collateral(model.books)[0, 0]) == pytest.approx(40.0)


def test_the_books_refuse_more_shares_in_pledge_than_are_held(small_model: Build) -> None:
    model = investor(small_model, debt=20.0)
    model.books.loans.pledged[...] = STAKE * 1.01
    with pytest.raises(IdentityError, match=r"stake stake_1, column 0: 101 shares are pledged, 100 are held"):
        check(model.books, model.ledger)


def test_unaudited_collateral_counts_for_less_under_the_lever(small_model: Build) -> None:
    values = []
    for audited in (True, False):
        model = investor(small_model, debt=20.0, terms={"audited": audited})
        model.books.levers = {**model.books.levers, "collateral.unaudited_haircut": np.array([[0.25]])}
        values.append(float(model.margin_desk.collateral(model.books)[0, 0]))
    assert values == pytest.approx([100.0, 75.0])


def cloud_with_a_covenant(small_model: Build, collateral: str, **terms: Any) -> ContagionModel:
    """A cloud with capacity of 100 and contracted sales of 40 a year, which owes 50 on its machines, or 9 on its receivables."""
    firms = {
        "cloud": {"kind": "cloud", "cash": 8.0, "capacity": 100.0, "chips_share": 1.0, "market_value": 50.0},
        "lab": {"kind": "ai_lab", "cash": 100.0, "market_value": 100.0},
    }
    loan = {
        "lender": "main_bank", "borrower": "cloud", "kind": "term_loan", "principal": 50.0 if collateral != "receivables" else 9.0, "maturity": 36,
        "collateral": collateral, "seniority": "secured", "ltv_call": 0.6, "ltv_close_out": 0.95, **terms,
    }  # fmt: skip
    order = {"seller": "cloud", "buyer": "lab", "good": "cloud", "amount": 200.0, "start": 1, "end": 60}
    model = small_model(firms, loans=[loan], orders=[order])
    model.books["contracted_now"][model.books.ids.index("cloud")] = 40.0
    return model


def test_a_covenant_on_machines_is_cured_in_cash_then_the_excess_falls_due(small_model: Build) -> None:
    model = cloud_with_a_covenant(small_model, "accelerators", cure_months=1)
    model.books["resale_value"][...] = 0.7  # worth 70, of which 42 may be owed: 8 too much, 4 of it paid in cash
    run(model)
    assert float(model.books.loans.principal[0, 0]) == pytest.approx(46.0)
    assert float(model.books.loans.arrears[0, 0]) == 0.0
    assert of(model, "margin_breached", "cloud") == 1.0
    run(model)  # the cure period is over: 2 more in cash, the last 2 are due
    assert float(model.books.loans.arrears[0, 0]) == pytest.approx(2.0)
    assert float(model.books.loans.principal[0, 0]) == pytest.approx(42.0)


def test_past_the_close_out_level_the_whole_loan_on_machines_is_due(small_model: Build) -> None:
    model = cloud_with_a_covenant(small_model, "accelerators", cure_months=12)
    model.books["resale_value"][...] = 0.5
    run(model)
    assert float(model.books.loans.principal[0, 0]) == 0.0
    assert float(model.books.loans.arrears[0, 0]) == pytest.approx(46.0)


def test_receivables_stand_behind_a_loan_as_contracted_sales_of_three_months(small_model: Build) -> None:
    model = cloud_with_a_covenant(small_model, "receivables")
    cloud = np.array([model.books.ids.index("cloud")])
    assert float(pledges.receivables(model.books, cloud)[0, 0]) == pytest.approx(10.0)
    run(model)  # 6 may be owed: 3 too much, all of it paid in cash
    assert float(model.books.loans.principal[0, 0]) == pytest.approx(6.0)
    model.books["contracted_now"][...] = 0.0
    run(model)
    assert float(model.books.loans.arrears[0, 0]) > 0.0


@pytest.mark.parametrize("is_called", [False, True])
def test_what_falls_due_of_a_loan_shrinks_only_where_it_is_called(small_model: Build, is_called: bool) -> None:
    """Of a loan that is all but repaid the share that is left is not to be told exactly: it must not be asked for where nobody calls."""
    model = investor(small_model, debt=40.0, terms={"maturity": 3})
    loans = model.books.loans
    loans.principal[...] = 1e-14
    model.margin_desk.run(model.books, model.ledger, np.array([is_called]))
    loans.principal[...] = 40.0  # what falls due is never more than this
    _, due = model.books.repayments.due_within(0, 12)
    assert (float(due.sum()) == 40.0) is not is_called
