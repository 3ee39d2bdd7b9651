"""Estates worked out by hand: who is paid first, what resolution costs, deposit insurance, damages and guarantees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.ledger import resolution as rules
from simulator.ledger.estates import Estates
from simulator.ledger.identities import check

Build = Callable[..., ContagionModel]
RESALE = 0.8


def lender(cash: float = 50.0) -> dict[str, Any]:
    return {"kind": "lender", "lender_type": "fund", "cash": cash, "other_assets": 100.0}


def settle(model: ContagionModel, *names: str) -> np.ndarray:
    """Settle the estates of the named agents; returns recovery shares ``(N, R)``. The books must balance afterwards."""
    books = model.books
    failed = np.zeros((books.agents, books.replications))
    for name in names:
        failed[books.ids.index(name)] = 1.0
    recovery = model.resolution.settle(model.ledger, Estates(model.books, failed), np.full_like(failed, RESALE))
    check(books, model.ledger)
    return recovery


def of(model: ContagionModel, column: str, agent: str) -> float:
    return float(model.books[column][model.books.ids.index(agent), 0])


def lost(model: ContagionModel, tag: str) -> float:
    return float(model.ledger.loss_by_tag[tag][0, 0])


def estate(small_model: Build, capacity: float = 100.0, **given: Any) -> ContagionModel:
    """A cloud with a secured loan of 50, a senior one of 40 and a subordinated one of 10."""
    loans = [
        {"lender": "one", "borrower": "cloud", "principal": 50.0, "seniority": "secured", "collateral": "accelerators"},
        {"lender": "two", "borrower": "cloud", "principal": 40.0, "seniority": "senior"},
        {"lender": "three", "borrower": "cloud", "principal": 10.0, "seniority": "subordinated"},
    ]
    firms = {"cloud": {"kind": "cloud", "cash": 4.0, "capacity": capacity, "market_value": 30.0}, "one": lender(), "two": lender()}
    return small_model({**firms, "three": lender(), **given.pop("more", {})}, loans=loans, **given)


def received(model: ContagionModel) -> list[float]:
    return [of(model, "cash", agent) - 50.0 for agent in ("one", "two", "three")]


def test_secured_debt_is_paid_before_unsecured_and_that_before_subordinated(small_model: Build) -> None:
    model = estate(small_model)
    recovery = settle(model, "cloud")
    proceeds = 100.0 * RESALE * (1.0 - rules.RESALE_DISCOUNT)  # 56
    purse = rules.ASSET_RECOVERY * (4.0 + proceeds)  # 54
    secured = min(50.0, proceeds, purse)
    assert received(model) == pytest.approx([secured, min(purse - secured, 40.0), 0.0])
    assert recovery[model.books.ids.index("cloud"), 0] == pytest.approx(purse / 100.0)


def test_a_secured_loan_that_its_collateral_does_not_cover_ranks_with_the_unsecured_for_the_rest(small_model: Build) -> None:
    model = estate(small_model, capacity=40.0)
    settle(model, "cloud")
    cover = 40.0 * RESALE * (1.0 - rules.RESALE_DISCOUNT)  # 22.4
    purse = rules.ASSET_RECOVERY * (4.0 + cover)
    secured = min(cover, purse)
    rest = (purse - secured) / (50.0 - cover + 40.0)
    assert received(model) == pytest.approx([secured + rest * (50.0 - cover), rest * 40.0, 0.0])


def test_the_cost_of_bankruptcy_is_charged_once_and_what_is_lost_adds_up(small_model: Build) -> None:
    model = estate(small_model)
    before = model.books.net_worth()[:, 0]
    settle(model, "cloud")
    proceeds = 100.0 * RESALE * (1.0 - rules.RESALE_DISCOUNT)
    costs = (1.0 - rules.ASSET_RECOVERY) * (4.0 + proceeds)
    paid = rules.ASSET_RECOVERY * (4.0 + proceeds)
    assert lost(model, "fire_sale") == pytest.approx(100.0 - proceeds + costs)
    assert lost(model, "counterparty") == pytest.approx(100.0 - paid)
    # Shareholders' book equity of 4 and the creditors' losses are what was lost in all.
    change = model.books.net_worth()[:, 0] - before
    creditors = sum(change[model.books.ids.index(agent)] for agent in ("one", "two", "three"))
    assert -creditors == pytest.approx(100.0 - paid)
    assert of(model, "cash", "cloud") == pytest.approx(0.0, abs=1e-9)
    assert of(model, "alive", "cloud") == 0.0


def test_the_cost_on_claims_falls_on_what_an_estate_receives_from_another(small_model: Build) -> None:
    loans = [
        {"lender": "second", "borrower": "first", "principal": 80.0, "seniority": "senior"},
        {"lender": "one", "borrower": "second", "principal": 100.0, "seniority": "senior"},
    ]
    firms = {"first": {"kind": "cloud", "cash": 40.0}, "second": {"kind": "investor", "cash": 10.0}, "one": lender()}
    model = small_model(firms, loans=loans)
    settle(model, "first", "second")
    passed = rules.ASSET_RECOVERY * 40.0  # 36 of 80
    paid = rules.ASSET_RECOVERY * 10.0 + rules.CLAIM_RECOVERY * passed
    assert of(model, "cash", "one") - 50.0 == pytest.approx(paid)
    assert lost(model, "fire_sale") == pytest.approx((1.0 - rules.ASSET_RECOVERY) * 50.0 + (1.0 - rules.CLAIM_RECOVERY) * passed)


def test_overdue_wages_and_bills_come_first(small_model: Build) -> None:
    model = estate(small_model, capacity=0.0)
    model.ledger.change_stock("operating_arrears", np.eye(model.books.agents)[:, [model.books.ids.index("cloud")]] * 3.0)
    worth = np.zeros_like(model.books["cash"])
    worth[model.books.outside] = 3.0
    model.ledger.post("ordinary", worth)
    settle(model, "cloud")
    purse = rules.ASSET_RECOVERY * 4.0
    rest = (purse - 3.0) / (50.0 + 40.0)
    assert received(model) == pytest.approx([rest * 50.0, rest * 40.0, 0.0])


def test_what_an_estate_has_left_goes_to_its_shareholders(small_model: Build) -> None:
    firms = {"cloud": {"kind": "cloud", "cash": 100.0, "market_value": 30.0}, "one": lender()}
    model = small_model(firms, loans=[{"lender": "one", "borrower": "cloud", "principal": 20.0, "seniority": "senior"}])
    outside = of(model, "cash", "outside")
    settle(model, "cloud")
    assert of(model, "cash", "one") == pytest.approx(70.0)
    assert of(model, "cash", "outside") - outside == pytest.approx(80.0)  # 10 of them are the costs, which use up what Outside provides
    assert lost(model, "counterparty") == pytest.approx(0.0, abs=1e-9)


def test_shares_of_the_failed_are_worth_nothing_to_their_holders(small_model: Build) -> None:
    model = estate(small_model, more={"holder": {"kind": "investor", "cash": 5.0}}, stakes=[{"holder": "holder", "issuer": "cloud", "value": 12.0}])
    settle(model, "cloud")
    assert lost(model, "equity") == pytest.approx(12.0)
    assert model.books.stakes.shares[0, 0] == 0.0
    assert of(model, "share_price", "cloud") == 0.0


def test_a_broken_contract_is_a_claim_of_the_seller_on_the_estate(small_model: Build) -> None:
    firms = {"lab": {"kind": "ai_lab", "cash": 100.0, "market_value": 100.0}, "seller": {"kind": "cloud", "cash": 1.0, "capacity": 50.0}}
    model = small_model(
        firms,
        orders=[{"seller": "seller", "buyer": "lab", "good": "cloud", "amount": 50.0, "start": 1, "end": 60, "take_or_pay": 0.8}],
        leases=[{"lessor": "seller", "lessee": "lab", "rent": 9.0, "start": 1, "end": 60}],
    )
    settle(model, "lab")
    damages = 0.8 * 50.0 * (1.0 - rules.MITIGATION) + 9.0 * rules.LEASE_CLAIM_YEARS
    assert of(model, "cash", "seller") == pytest.approx(1.0 + damages)
    assert model.books.orders.remaining[0, 0] == 0.0
    assert model.books.leases.in_force[0, 0] == 0.0


def test_damages_that_the_estate_cannot_pay_are_lost_through_orders(small_model: Build) -> None:
    firms = {"lab": {"kind": "ai_lab", "cash": 0.0, "market_value": 100.0}, "seller": {"kind": "cloud", "cash": 1.0, "capacity": 50.0}}
    model = small_model(
        firms, orders=[{"seller": "seller", "buyer": "lab", "good": "cloud", "amount": 50.0, "start": 1, "end": 60, "take_or_pay": 1.0}]
    )
    settle(model, "lab")
    assert lost(model, "orders") == pytest.approx(50.0 * (1.0 - rules.MITIGATION))
    assert of(model, "cash", "seller") == pytest.approx(1.0)


def test_the_government_makes_good_its_share_of_lenders_losses_and_keeps_the_bill(small_model: Build) -> None:
    model, plain = estate(small_model), estate(small_model)
    model.books.levers = {**model.books.levers, "government.guarantee_share": np.array([[0.5]])}
    settle(model, "cloud")
    settle(plain, "cloud")
    losses = 100.0 - rules.ASSET_RECOVERY * (4.0 + 100.0 * RESALE * (1.0 - rules.RESALE_DISCOUNT))
    gained = [of(model, "cash", agent) - of(plain, "cash", agent) for agent in ("one", "two", "three")]
    assert sum(gained) == pytest.approx(0.5 * losses)
    assert model.books.series["fiscal_cost"][0, 0] == pytest.approx(0.5 * losses)


def test_claims_of_an_estate_on_the_living_pass_to_the_rest_of_the_world(small_model: Build) -> None:
    firms = {"fund": lender(5.0), "debtor": {"kind": "cloud", "cash": 30.0, "capacity": 60.0}}
    model = small_model(firms, loans=[{"lender": "fund", "borrower": "debtor", "principal": 40.0, "seniority": "senior"}])
    settle(model, "fund")
    assert model.books.loans.principal[0, 0] == 40.0
    assert float(model.books.loans_given()[model.books.outside, 0]) == pytest.approx(40.0)
    assert float(model.books.loans_given()[model.books.ids.index("fund"), 0]) == 0.0
    cash = of(model, "cash", "outside")
    model.ledger.repay(model.books.loans.some(np.arange(1)), np.full((1, 1), 10.0))
    assert of(model, "cash", "outside") == pytest.approx(cash + 10.0)


def bank_run(small_model: Build, assets: float) -> ContagionModel:
    """A second bank that owes 100 to depositors."""
    firms = {
        "bank": {"kind": "lender", "lender_type": "bank", "deposits": 100.0, "other_assets": assets},
        "saver": {"kind": "hyperscaler", "cash": 300.0, "capacity": 10.0},
    }
    return small_model(firms)


def test_deposits_of_a_failed_bank_are_made_good_and_the_government_claims_on_its_estate(small_model: Build) -> None:
    model = bank_run(small_model, 60.0)
    worth = of(model, "book_net_worth", "government")
    settle(model, "bank")
    recovered = rules.ASSET_RECOVERY * 60.0 * (1.0 - rules.OTHER_DISCOUNT_LENDER)
    assert of(model, "cash", "saver") == 300.0
    assert of(model, "deposits", "central_bank") == pytest.approx(100.0)
    assert model.books.series["fiscal_cost"][0, 0] == pytest.approx(100.0 - recovered)
    change = float(model.books.net_worth()[model.books.government, 0]) - worth
    assert change == pytest.approx(-(100.0 - recovered))
    assert of(model, "insured_deposits", "bank") == 0.0


@pytest.mark.parametrize("assets", [60.0, 160.0])
def test_the_estate_of_a_bank_ends_empty_and_its_shareholders_get_what_is_left(small_model: Build, assets: float) -> None:
    model = bank_run(small_model, assets)
    outside = of(model, "cash", "outside")
    settle(model, "bank")
    proceeds = assets * (1.0 - rules.OTHER_DISCOUNT_LENDER)
    left = max(rules.ASSET_RECOVERY * proceeds - 100.0, 0.0)
    costs = (1.0 - rules.ASSET_RECOVERY) * proceeds
    assert [of(model, name, "bank") for name in ("cash", "deposits", "other_assets", "insured_deposits")] == pytest.approx([0.0] * 4)
    assert of(model, "cash", "outside") - outside == pytest.approx(left + costs - proceeds)


def test_estates_of_other_replications_are_left_alone(small_model: Build) -> None:
    model = estate(small_model, replications=(0, 1))
    failed = np.zeros((model.books.agents, 2))
    failed[model.books.ids.index("cloud"), 1] = 1.0
    before = {name: values[:, 0].copy() for name, values in model.books.columns.items() if values.shape[1] == 2}
    model.resolution.settle(model.ledger, Estates(model.books, failed), np.full_like(failed, RESALE))
    check(model.books, model.ledger)
    for name, values in before.items():
        assert values.tobytes() == np.ascontiguousarray(model.books[name][:, 0]).tobytes(), name
    assert model.books["alive"][model.books.ids.index("cloud")].tolist() == [1.0, 0.0]


def two_lenders(small_model: Build, **terms: Any) -> ContagionModel:
    """A cloud that owes 80 on machines worth 40 to one lender, and 20 without collateral to another."""
    loans = [
        {"lender": "one", "borrower": "cloud", "principal": 80.0, "seniority": "secured", "collateral": "accelerators", **terms},
        {"lender": "two", "borrower": "cloud", "principal": 20.0, "seniority": "senior"},
    ]
    firms = {"cloud": {"kind": terms.pop("kind", "cloud"), "cash": 30.0, "capacity": 100.0}, "one": lender(), "two": lender()}
    return small_model(firms, loans=loans)


def test_a_lender_without_recourse_gets_its_pledge_and_no_more(small_model: Build) -> None:
    pledge = 100.0 * RESALE * (1.0 - rules.RESALE_DISCOUNT)  # 56
    purse = rules.ASSET_RECOVERY * (30.0 + pledge)
    model = two_lenders(small_model, recourse=False)
    recovery = settle(model, "cloud")
    assert of(model, "cash", "one") - 50.0 == pytest.approx(pledge)
    assert of(model, "cash", "two") - 50.0 == pytest.approx(20.0)
    assert recovery[model.books.ids.index("cloud"), 0] == pytest.approx((pledge + 20.0) / 100.0)
    model = two_lenders(small_model)
    settle(model, "cloud")
    rest = (purse - pledge) / (80.0 - pledge + 20.0)
    assert of(model, "cash", "two") - 50.0 == pytest.approx(rest * 20.0)


def test_of_a_ring_fenced_vehicle_its_lenders_have_all_there_is(small_model: Build) -> None:
    model = two_lenders(small_model, recourse=False, kind="project_company")
    settle(model, "cloud")
    pledge = 100.0 * RESALE * (1.0 - rules.RESALE_DISCOUNT)
    rest = (rules.ASSET_RECOVERY * (30.0 + pledge) - pledge) / (80.0 - pledge + 20.0)
    assert of(model, "cash", "two") - 50.0 == pytest.approx(rest * 20.0)


def test_receivables_cover_what_living_debtors_owe(small_model: Build) -> None:
    loans = [
        {"lender": "one", "borrower": "fund", "principal": 60.0, "seniority": "secured", "collateral": "receivables"},
        {"lender": "two", "borrower": "fund", "principal": 60.0, "seniority": "senior"},
        {"lender": "fund", "borrower": "firm", "principal": 40.0, "seniority": "senior"},
    ]
    firms = {"fund": {"kind": "lender", "lender_type": "private_credit"}, "one": lender(), "two": lender(), "firm": {"kind": "cloud", "cash": 50.0}}
    model = small_model(firms, loans=loans)
    settle(model, "fund")
    proceeds = 40.0 * (1.0 - rules.CLAIM_DISCOUNT)  # 38, all of it behind the first loan, less the costs of the estate
    assert of(model, "cash", "one") - 50.0 == pytest.approx(rules.ASSET_RECOVERY * proceeds)
    assert of(model, "cash", "two") - 50.0 == pytest.approx(0.0, abs=1e-9)


def test_two_loans_on_parts_of_one_stake_get_the_part_that_is_theirs(small_model: Build) -> None:
    pledge = {"borrower": "holder", "principal": 30.0, "seniority": "secured", "collateral": "shares", "pledged_stake": 0}
    loans = [{**pledge, "lender": "one", "pledged_share": 0.75}, {**pledge, "lender": "two", "pledged_share": 0.25}]
    firms = {"holder": {"kind": "investor"}, "issuer": {"kind": "chipmaker", "market_value": 400.0}, "one": lender(), "two": lender()}
    model = small_model(firms, loans=loans, stakes=[{"holder": "holder", "issuer": "issuer", "value": 40.0}])
    settle(model, "holder")
    worth = 40.0 * (1.0 - rules.STAKE_DISCOUNT_LISTED)
    purse = rules.ASSET_RECOVERY * worth
    covered = [0.75 * worth, 0.25 * worth]
    paid = [purse * part / worth for part in covered]
    assert [of(model, "cash", name) - 50.0 for name in ("one", "two")] == pytest.approx(paid)
    assert float(np.abs(model.books.loans.pledged).max()) == 0.0
