"""The share market: rounds, warrants, marks and the impact of forced sales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.engine.tick import decide
from simulator.ledger.identities import check
from simulator.markets import shares

Build = Callable[..., ContagionModel]


def lab_with_holders(small_model: Build, listed: bool = False, **given: Any) -> ContagionModel:
    """A lab of 100 of which an investor holds 30 and takes half of new rounds, a second one holds 10 and takes none."""
    firms = {
        "lab": {"kind": "ai_lab", "cash": 5.0, "market_value": 100.0, "listed": listed},
        "taker": {"kind": "investor", "cash": 500.0},
        "other": {"kind": "investor", "cash": 50.0},
    }
    stakes = [
        {"holder": "taker", "issuer": "lab", "value": 30.0, "round_share": 0.5},
        {"holder": "other", "issuer": "lab", "value": 10.0},
    ]
    model = small_model(firms, stakes=stakes, **given)
    model.books["opening_cash"][...] = model.books["cash"]
    return model


def row(model: ContagionModel, agent: str) -> int:
    return model.books.ids.index(agent)


def raise_round(model: ContagionModel, amount: float) -> float:
    """A round of ``amount`` for which supply is ample; returns the cash raised."""
    books = model.books
    lab = row(model, "lab")
    books["equity_supply"][...] = 1.0
    wanted = np.zeros_like(books["cash"])
    wanted[lab] = amount
    before = float(books["cash"][lab, 0])
    shares.raise_equity(books, model.ledger, wanted, np.zeros_like(books.stakes.shares))
    check(books, model.ledger)
    return float(books["cash"][lab, 0]) - before


def test_post_money_is_pre_money_plus_the_cash_raised(small_model: Build) -> None:
    model = lab_with_holders(small_model)
    raised = raise_round(model, 20.0)
    assert raised == pytest.approx(20.0)
    assert float(model.books.market_value()[row(model, "lab"), 0]) == pytest.approx(120.0)
    assert model.books.series["capital_raised"][0, 0] == pytest.approx(20.0)


def test_every_holder_is_diluted_by_pre_over_post(small_model: Build) -> None:
    model = lab_with_holders(small_model)
    raise_round(model, 20.0)
    books = model.books
    part = books.stakes.shares[:, 0] / books["shares"][row(model, "lab"), 0]
    # The taker paid half of the 20; the other holds 10 of 100 before and 10 of 120 after.
    assert part.tolist() == pytest.approx([40.0 / 120.0, 0.10 * 100.0 / 120.0])
    assert books["cash"][row(model, "taker"), 0] == pytest.approx(490.0)


def test_a_round_moves_every_mark_to_its_price_down_rounds_included(small_model: Build) -> None:
    model = lab_with_holders(small_model)
    books = model.books
    books["fair_price"][row(model, "lab")] = 0.5
    worth = float(books.net_worth()[row(model, "other"), 0])
    raise_round(model, 10.0)
    assert books["share_price"][row(model, "lab"), 0] == pytest.approx(0.5)
    assert float(books.market_value()[row(model, "lab"), 0]) == pytest.approx(60.0)
    assert float(books.net_worth()[row(model, "other"), 0]) - worth == pytest.approx(-0.5 * 10.0)
    assert books.stakes.shares[1, 0] / books["shares"][row(model, "lab"), 0] == pytest.approx(0.10 * 50.0 / 60.0)


def test_without_a_round_marks_of_unlisted_shares_stay(small_model: Build) -> None:
    model = lab_with_holders(small_model)
    model.books["fair_price"][row(model, "lab")] = 0.5
    assert raise_round(model, 0.0) == 0.0
    assert model.books["share_price"][row(model, "lab"), 0] == 1.0
    assert model.ledger.loss_by_tag["equity"][0, 0] == 0.0


def test_prices_move_for_who_has_shares_and_stand_still_for_who_has_none(small_model: Build) -> None:
    firms = {
        "lab": {"kind": "ai_lab", "cash": 5.0, "market_value": 100.0, "outside_revenue": 10.0, "equity_volatility": 0.5},
        "cloud": {"kind": "cloud", "cash": 5.0, "market_value": 100.0, "listed": True, "outside_revenue": 10.0, "equity_volatility": 0.5},
        "fund": {"kind": "investor", "cash": 50.0, "outside_revenue": 1.0, "equity_volatility": 0.5},
        "traded": {"kind": "investor", "cash": 50.0, "listed": True, "outside_revenue": 1.0, "equity_volatility": 0.5},
    }
    model = small_model(firms, stakes=[{"holder": "fund", "issuer": "lab", "value": 30.0}], replications=range(4))
    books = model.books
    opening = books["share_price"].copy()
    for _ in range(3):
        before = books["share_price"].copy()
        model.step()
    for name in ("lab", "cloud"):
        row = books.ids.index(name)
        assert (books["share_price"][row] != opening[row]).all(), name
        np.testing.assert_allclose(books["price_change"][row], np.log(books["share_price"][row] / before[row]), atol=1e-12)
    for name in ("fund", "traded", "household", "outside"):
        row = books.ids.index(name)
        assert (books["share_price"][row] == 1.0).all(), name
        assert not books["price_change"][row].any(), name


def test_a_listed_issuer_sells_at_a_discount_that_its_old_holders_bear(small_model: Build) -> None:
    model = lab_with_holders(small_model, listed=True)
    raise_round(model, 19.0)
    books = model.books
    assert books["shares"][row(model, "lab"), 0] == pytest.approx(100.0 + 19.0 / (1.0 - shares.ISSUE_DISCOUNT))


def test_a_round_finds_only_the_supply_there_is(small_model: Build) -> None:
    model = lab_with_holders(small_model)
    books = model.books
    books["equity_supply"][...] = 0.25
    wanted = np.zeros_like(books["cash"])
    wanted[row(model, "lab")] = 20.0
    shares.raise_equity(books, model.ledger, wanted, np.zeros_like(books.stakes.shares))
    assert books["cash"][row(model, "lab"), 0] == pytest.approx(10.0)


def test_supply_of_new_equity_falls_with_returns_and_expected_growth_and_with_the_lever(small_model: Build) -> None:
    model = lab_with_holders(small_model)
    books = model.books
    lab = row(model, "lab")

    def supply() -> float:
        decide(model, "funded_share_of_round", "equity_supply")
        return float(books["equity_supply"][lab, 0])

    plain = supply()
    books.series["ai_return_year"] = np.full((1, 1), -0.4)
    fallen = supply()
    assert fallen < plain
    books["expected_growth"][...] -= 0.3
    assert supply() < fallen
    books.levers = {**books.levers, "ai_lab.tranche_share": np.zeros((books.agents, 1))}
    assert supply() == 0.0


def test_an_investor_pays_tranches_out_of_a_part_of_its_cash_only(small_model: Build) -> None:
    model = lab_with_holders(small_model)
    books = model.books
    books.stakes.tranche_remaining[...] = 1000.0
    shares.raise_equity(books, model.ledger, np.zeros_like(books["cash"]), np.full_like(books.stakes.shares, 900.0))
    check(books, model.ledger)
    assert books["cash"][row(model, "taker"), 0] >= (1.0 - shares.CASH_FOR_ROUNDS) * 500.0 - 1e-9
    paid = 500.0 - float(books["cash"][row(model, "taker"), 0])
    assert books.stakes.tranche_remaining[0, 0] == pytest.approx(1000.0 - paid)


def test_warrants_vest_as_the_order_they_hang_on_is_delivered(small_model: Build) -> None:
    firms = {
        "lab": {"kind": "ai_lab", "cash": 50.0, "market_value": 100.0},
        "chipmaker": {"kind": "chipmaker", "cash": 50.0, "market_value": 200.0, "capacity": 10.0},
    }
    order = {"seller": "chipmaker", "buyer": "lab", "good": "chips", "amount": 40.0, "start": 1, "end": 40}
    model = small_model(
        firms, orders=[order], stakes=[{"holder": "lab", "issuer": "chipmaker", "kind": "warrant", "unvested": 16.0, "vests_with": 0}]
    )
    books = model.books
    shares.vest_warrants(books, model.ledger, np.full((1, 1), 10.0))
    check(books, model.ledger)
    assert books.stakes.shares[0, 0] == pytest.approx(4.0)
    assert books.stakes.unvested[0, 0] == pytest.approx(12.0)
    assert books["shares"][row(model, "chipmaker"), 0] == pytest.approx(204.0)
    for _ in range(5):
        shares.vest_warrants(books, model.ledger, np.full((1, 1), 10.0))
    assert books.stakes.shares[0, 0] == pytest.approx(16.0)  # no more than was promised
    assert books.stakes.unvested[0, 0] == pytest.approx(0.0, abs=1e-12)


def sell(model: ContagionModel, amount: float) -> None:
    stakes = shares.stakes_beside(model.books, np.array([0]))
    sold = np.zeros_like(model.books.stakes.shares[stakes.rows])
    sold[0] = amount
    shares.ForcedSales(model.books, model.ledger, stakes).sell(sold, "margin")
    check(model.books, model.ledger)


@pytest.mark.parametrize("listed", [True, False])
def test_a_forced_sale_lowers_the_price_by_the_part_of_the_shares_that_is_sold(listed: bool, small_model: Build) -> None:
    model = lab_with_holders(small_model, listed=listed)
    books = model.books
    impact = books.macro["price_impact_listed" if listed else "price_impact_unlisted"]
    sell(model, 10.0)
    factor = np.exp(-impact * 0.10)
    assert books["share_price"][row(model, "lab"), 0] == pytest.approx(factor)
    # The seller gets the middle of old and new price; what all keep is marked down.
    assert books["cash"][row(model, "taker"), 0] == pytest.approx(500.0 + 10.0 * (1.0 + factor) / 2.0)
    assert model.ledger.loss_by_tag["margin"][0, 0] == pytest.approx(10.0 * (1.0 - factor) / 2.0)
    assert model.ledger.loss_by_tag["fire_sale"][0, 0] == pytest.approx((20.0 + 10.0) * (1.0 - factor))


def test_unlisted_shares_fall_further_than_listed_ones_and_large_sales_further_than_small_ones(small_model: Build) -> None:
    def price_after(amount: float, listed: bool) -> float:
        model = lab_with_holders(small_model, listed=listed)
        sell(model, amount)
        return float(model.books["share_price"][row(model, "lab"), 0])

    assert price_after(10.0, False) < price_after(10.0, True)
    assert price_after(20.0, True) < price_after(10.0, True) < 1.0


def test_a_shock_to_values_is_a_direct_loss_of_the_holders(small_model: Build) -> None:
    model = lab_with_holders(small_model)
    ratio = np.ones((model.books.agents, 1))
    ratio[row(model, "lab")] = 0.6
    shares.shock_values(model.books, model.ledger, ratio)
    check(model.books, model.ledger)
    assert model.ledger.loss_by_tag["direct"][0, 0] == pytest.approx(0.4 * 40.0)
    assert model.books["fair_price"][row(model, "lab"), 0] == pytest.approx(0.6)


@pytest.mark.parametrize("listed", [True, False])
def test_the_linear_form_of_the_impact_is_a_setting_by_listing(listed: bool, small_model: Build) -> None:
    model = lab_with_holders(small_model, listed=listed)
    macro = model.books.macro
    macro["impact_linear_listed" if listed else "impact_linear_unlisted"] = 1.0
    sell(model, 10.0)
    impact = macro["price_impact_listed" if listed else "price_impact_unlisted"]
    assert model.books["share_price"][row(model, "lab"), 0] == pytest.approx(1.0 - impact * 0.10)


def test_depth_follows_turnover_and_volatility(small_model: Build) -> None:
    """Cont and Schaanning: depth = c ADV / σ √τ, a month of 21 of 252 days; selling a tenth of the shares of a firm that turns over twice a year."""
    model = lab_with_holders(small_model, listed=True)
    model.books.columns["share_turnover"][...] = 2.0
    model.books.columns["equity_volatility"][...] = 0.4
    daily_volume, daily_volatility = 2.0 * 100.0 / 252.0, 0.4 / np.sqrt(252.0)
    depth = shares.DEPTH * daily_volume / daily_volatility * np.sqrt(21.0)
    sell(model, 10.0)
    assert model.books["share_price"][row(model, "lab"), 0] == pytest.approx(np.exp(-10.0 / depth))


def test_unlisted_shares_are_never_in_deeper_markets_than_listed_ones_and_the_levers_divide(small_model: Build) -> None:
    impacts = {}
    for listed in (True, False):
        model = lab_with_holders(small_model, listed=listed)
        model.books.columns["share_turnover"][...] = 0.5
        impacts[listed] = float(shares.impact_of_issuers(model.books)[row(model, "lab"), 0])
        name = "listed_shares.depth" if listed else "unlisted_shares.depth"
        model.books.levers = {**model.books.levers, name: np.array([[0.5]])}
        assert float(shares.impact_of_issuers(model.books)[row(model, "lab"), 0]) == pytest.approx(2.0 * impacts[listed])
    assert impacts[False] >= impacts[True]
