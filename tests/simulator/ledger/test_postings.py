"""Postings: every flow twice, every loss under a tag, and what a channel switched off means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.ledger.attribution import Loss
from simulator.ledger.identities import check
from simulator.ledger.names import LOSS_CHANNELS

Build = Callable[..., ContagionModel]


def build(small_model: Build, **given: Any) -> ContagionModel:
    """A fund that lent 40 to a cloud and holds 20 of its shares."""
    firms = {
        "fund": {"kind": "lender", "lender_type": "fund", "cash": 50.0, "other_assets": 100.0},
        "cloud": {"kind": "cloud", "cash": 30.0, "capacity": 60.0, "market_value": 80.0},
    }
    return small_model(
        firms, loans=[{"lender": "fund", "borrower": "cloud", "principal": 40.0}],
        stakes=[{"holder": "fund", "issuer": "cloud", "value": 20.0}], **given,
    )  # fmt: skip


def row(model: ContagionModel, agent: str) -> int:
    return model.books.ids.index(agent)


def write_down(model: ContagionModel, amount: float, channel: str = "counterparty") -> None:
    """The fund forgives a part of its loan, as a write-off does."""
    lost = np.full((1, model.books.replications), amount)
    model.books.loans.principal[...] -= lost
    model.ledger.lose("loans", channel, lost, "credit", relief=True)


def test_a_loss_is_posted_under_its_channel_and_counted_by_contract_and_nature(small_model: Build) -> None:
    model = build(small_model)
    write_down(model, 15.0)
    check(model.books, model.ledger)
    ledger = model.ledger
    assert ledger.posted["counterparty"][row(model, "fund"), 0] == -15.0
    assert ledger.posted["counterparty"][row(model, "cloud"), 0] == 15.0
    assert ledger.loss_by_tag["counterparty"][0, 0] == 15.0
    assert ledger.loss_by_nature["credit"][0, 0] == 15.0
    assert ledger.losses[Loss("counterparty", "default", "loans")][0, 0] == 15.0
    assert sum(float(amount[0, 0]) for amount in ledger.loss_by_tag.values()) == 15.0


def test_a_loss_of_a_channel_switched_off_is_made_good_by_outside_in_cash(small_model: Build) -> None:
    model = build(small_model, channels={"counterparty": False})
    books = model.books
    fund, outside = row(model, "fund"), books.outside
    worth, cash = books.net_worth()[fund, 0], books["cash"][:, 0].copy()
    write_down(model, 15.0)
    check(books, model.ledger)
    assert books.net_worth()[fund, 0] == pytest.approx(worth)
    assert books["cash"][fund, 0] - cash[fund] == pytest.approx(15.0)
    assert books["cash"][outside, 0] - cash[outside] == pytest.approx(-15.0)
    assert model.ledger.loss_by_tag["counterparty"][0, 0] == 0.0
    assert not model.ledger.posted["counterparty"].any()
    assert not model.ledger.losses[Loss("counterparty", "default", "loans")].any()
    assert model.ledger.loss_by_nature["credit"][0, 0] == 0.0


def test_a_channel_may_be_off_in_one_replication_and_on_in_another(small_model: Build) -> None:
    model = build(small_model, replications=(0, 1), channels={"counterparty": np.array([0.0, 1.0])})
    write_down(model, 15.0)
    check(model.books, model.ledger)
    assert model.ledger.loss_by_tag["counterparty"][0].tolist() == [0.0, 15.0]
    assert model.books["cash"][row(model, "fund")].tolist() == [65.0, 50.0]


@pytest.mark.parametrize("channel", LOSS_CHANNELS)
def test_every_loss_of_a_channel_that_is_off_leaves_its_account_empty(channel: str, small_model: Build) -> None:
    model = build(small_model, channels={channel: False})
    ledger, books = model.ledger, model.books
    worth = books.net_worth()
    ones = np.ones((1, 1))
    books.loans.principal[...] -= 3.0
    ledger.lose("loans", channel, 3.0 * ones, "credit", relief=True)
    books.stakes.shares[...] -= 2.0
    ledger.lose("stakes", channel, 2.0 * ones, "mark_to_market")
    own = np.zeros_like(books["cash"])
    own[row(model, "cloud")] = 4.0
    books["capacity"][...] -= own
    ledger.lose_own(channel, own, "deadweight")
    check(books, ledger)
    assert ledger.loss_by_tag[channel][0, 0] == 0.0
    assert all(not amount.any() for amount in ledger.loss_by_nature.values())
    assert not ledger.posted[channel].any()
    after = books.net_worth()
    assert after[row(model, "fund"), 0] == pytest.approx(worth[row(model, "fund"), 0])
    assert after[row(model, "cloud"), 0] == pytest.approx(worth[row(model, "cloud"), 0] + 3.0)
    assert after[books.outside, 0] == pytest.approx(worth[books.outside, 0] - 9.0)


def test_a_dearer_renewal_is_a_loss_of_the_borrower_and_income_of_the_lender(small_model: Build) -> None:
    for channels, expected in ((None, -2.0), ({"funding": False}, 0.0)):
        model = build(small_model, channels=channels)
        books = model.books
        worth = books.net_worth()[row(model, "cloud"), 0]
        model.ledger.cost_debtors("loans", "funding", np.full((1, 1), 2.0))
        books.loans.arrears[...] += 2.0
        check(books, model.ledger)
        assert books.net_worth()[row(model, "cloud"), 0] - worth == pytest.approx(expected)
        assert model.ledger.loss_by_tag["funding"][0, 0] == pytest.approx(-expected)


def test_a_fall_of_a_price_is_a_loss_and_a_rise_is_none(small_model: Build) -> None:
    model = build(small_model, replications=(0, 1))
    books = model.books
    model.ledger.revalue_stakes(np.array([[-5.0, 5.0]]), "equity")
    assert model.ledger.loss_by_tag["equity"][0].tolist() == [5.0, 0.0]
    assert model.ledger.posted["equity"][row(model, "fund")].tolist() == [-5.0, 5.0]
    books["share_price"][row(model, "cloud")] = [0.75, 1.25]
    check(books, model.ledger)


def test_the_government_pays_with_borrowed_money_and_keeps_the_bill(small_model: Build) -> None:
    model = build(small_model)
    books = model.books
    amounts = np.zeros_like(books["cash"])
    amounts[row(model, "cloud")] = 7.0
    worth = books.net_worth()
    model.ledger.government_pays(amounts)
    check(books, model.ledger)
    assert books.series["fiscal_cost"][0, 0] == 7.0
    assert (books.net_worth() - worth)[[row(model, "cloud"), books.government], 0].tolist() == pytest.approx([7.0, -7.0])
    assert books["other_liabilities"][books.government, 0] == 7.0


def test_a_loan_creates_deposits_at_a_bank_and_repayment_destroys_them(small_model: Build) -> None:
    model = small_model(
        {"cloud": {"kind": "cloud", "cash": 30.0, "capacity": 60.0}},
        loans=[{"lender": "main_bank", "borrower": "cloud", "principal": 10.0}],
    )
    books = model.books
    before = float(books["deposits"][row(model, "main_bank"), 0])
    model.ledger.lend(model.books.loans.some(np.arange(1)), np.full((1, 1), 25.0))
    assert books["deposits"][row(model, "main_bank"), 0] == before + 25.0
    assert books["cash"][row(model, "cloud"), 0] == 55.0
    model.ledger.repay(model.books.loans.some(np.arange(1)), np.full((1, 1), 35.0))
    assert books["deposits"][row(model, "main_bank"), 0] == before - 10.0
    check(books, model.ledger)


def test_a_fund_lends_only_money_that_it_has(small_model: Build) -> None:
    model = build(small_model)
    deposits = float(model.books["deposits"][row(model, "main_bank"), 0])
    model.ledger.lend(model.books.loans.some(np.arange(1)), np.full((1, 1), 25.0))
    check(model.books, model.ledger)
    assert model.books["cash"][[row(model, "fund"), row(model, "cloud")], 0].tolist() == [25.0, 55.0]
    assert model.books["deposits"][row(model, "main_bank"), 0] == deposits


def test_a_bank_that_takes_in_more_than_its_deposits_holds_reserves(small_model: Build) -> None:
    model = build(small_model)
    books = model.books
    bank = row(model, "main_bank")
    owed = float(books["deposits"][bank, 0])
    change = np.zeros_like(books["cash"])
    change[bank], change[books.outside] = owed + 20.0, -owed - 20.0
    model.ledger.pay(change)
    assert books["deposits"][bank, 0] == 0.0
    assert books["cash"][bank, 0] == pytest.approx(20.0)


def test_paying_between_agents_moves_cash_and_net_worth_alike(small_model: Build) -> None:
    model = build(small_model)
    books = model.books
    worth = books.net_worth()
    model.ledger.pay_between(row(model, "cloud"), row(model, "fund"), np.full((1, 1), 6.0))
    check(books, model.ledger)
    change = (books.net_worth() - worth)[:, 0]
    assert change[row(model, "fund")] == pytest.approx(6.0)
    assert change[row(model, "cloud")] == pytest.approx(-6.0)


@pytest.mark.parametrize("names", [("main_bank", "cloud", "outside"), ("cloud", "fund"), ("main_bank", "central_bank", "fund")])
def test_cash_of_some_agents_moves_as_with_no_change_for_all_others(small_model: Build, names: tuple[str, ...]) -> None:
    """Also where a bank takes in more than its deposits, and holds the rest as reserves."""
    amounts = np.array([600.0, -590.0, -10.0]) if len(names) == 3 else np.array([7.5, -7.5])
    some, whole = build(small_model), build(small_model)
    rows = np.sort([row(some, name) for name in names])
    change = np.zeros_like(whole.books["cash"])
    change[rows, 0] = amounts
    some.ledger.pay(amounts[:, None], rows=rows)
    whole.ledger.pay(change)
    for name in ("cash", "deposits"):
        assert (some.books[name] == whole.books[name]).all()
    assert (some.ledger.flows == whole.ledger.flows).all()
    assert (some.ledger.posted["ordinary"] == whole.ledger.posted["ordinary"]).all()
    assert some.books["cash"][rows].any()


@pytest.mark.parametrize("sellers", [slice(0, 2), np.array([0, 1])])
def test_some_agents_sell_other_assets_to_outside_at_book_value(small_model: Build, sellers: Any) -> None:
    model = build(small_model)
    books = model.books
    worth, assets, cash = books.net_worth(), books["other_assets"].copy(), books["cash"].copy()
    model.ledger.exchange_other_assets(np.array([[3.0], [-1.0]]), sellers)
    check(books, model.ledger)
    np.testing.assert_allclose(books.net_worth(), worth, atol=1e-9)
    assert (books["other_assets"] - assets)[[0, 1, books.outside], 0].tolist() == pytest.approx([-3.0, 1.0, 2.0])
    assert (books["cash"] - cash)[[0, 1, books.outside], 0].tolist() == pytest.approx([3.0, -1.0, -2.0])


def test_unpaid_bills_of_an_estate_are_lost_by_their_creditor(small_model: Build) -> None:
    model = build(small_model)
    amounts = np.zeros_like(model.books["cash"])
    amounts[row(model, "cloud")] = 2.5
    model.ledger.lose_on_estate(amounts, "outside")
    ledger = model.ledger
    assert ledger.posted["counterparty"][[row(model, "cloud"), model.books.outside], 0].tolist() == [2.5, -2.5]
    assert ledger.loss_by_tag["counterparty"][0, 0] == 2.5
    assert ledger.losses[Loss("counterparty", "default", "agents", "outside", "self")][row(model, "cloud"), 0] == 2.5
