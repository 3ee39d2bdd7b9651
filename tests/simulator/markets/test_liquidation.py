"""Forced sales beyond margin calls: leverage targets, the market for securities, investors who leave and gates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agents.leverage import LeveragedHolder
from scenarios.changes import Change
from simulator.engine.model import ContagionModel
from simulator.engine.randomness import Quiet
from simulator.ledger.identities import check
from simulator.markets import liquidation
from simulator.markets.shares import MEAN_REVERSION
from simulator.networks.fire_sales import fire_sale_cascade

Build = Callable[..., ContagionModel]
DEEP = 1e8


def row(model: ContagionModel, agent: str) -> int:
    return model.books.ids.index(agent)


def of(model: ContagionModel, column: str, agent: str) -> float:
    return float(model.books[column][row(model, agent), 0])


def fund(other_assets: float, owed: float, **items: float) -> dict[str, Any]:
    return {"kind": "lender", "lender_type": "fund", "other_assets": other_assets, "other_liabilities": owed, "marketable_share": 1.0, **items}


def economy(small_model: Build, depth: float = DEEP, **firms: Any) -> ContagionModel:
    macro = firms.pop("macro", {})
    tables = {name: firms.pop(name) for name in ("loans", "stakes", "channels", "replications") if name in firms}
    model = small_model(firms, **tables)
    model.books.macro.update({"securities_depth": depth, **macro})
    return model


def delever(model: ContagionModel) -> ContagionModel:
    holders = [actor for actor in model.cohorts_on(model.books) if isinstance(actor, LeveragedHolder)]
    model.books["debt"][...] = model.books.debt()
    if liquidation.is_over_leveraged(model.books, model.ledger).any():
        liquidation.delever(model.books, model.ledger, holders)
    check(model.books, model.ledger)
    return model


def leverage(model: ContagionModel, agent: str) -> float:
    return float(model.books.total_assets()[row(model, agent), 0] / model.books.net_worth()[row(model, agent), 0])


def test_above_its_limit_a_holder_sells_down_to_the_target(small_model: Build) -> None:
    model = delever(economy(small_model, one=fund(100.0, 80.0, leverage_max=4.0, leverage_target=3.0)))
    assert of(model, "other_assets", "one") == pytest.approx(60.0)  # equity 20, so 60 of assets; 40 sold, 40 of debt repaid
    assert of(model, "other_liabilities", "one") == pytest.approx(40.0)
    assert leverage(model, "one") == pytest.approx(3.0, rel=1e-5)


@pytest.mark.parametrize(("limit", "owed"), [(4.0, 74.0), (0.0, 95.0)])
def test_between_target_and_limit_and_without_a_limit_nobody_sells(small_model: Build, limit: float, owed: float) -> None:
    model = delever(economy(small_model, one=fund(100.0, owed, leverage_max=limit, leverage_target=3.0)))
    assert of(model, "other_assets", "one") == 100.0


def test_without_a_target_it_is_a_twentieth_under_the_limit(small_model: Build) -> None:
    model = delever(economy(small_model, one=fund(100.0, 80.0, leverage_max=4.0)))
    assert leverage(model, "one") == pytest.approx(3.8)


def test_loans_are_repaid_before_what_is_owed_to_the_rest_of_the_world(small_model: Build) -> None:
    loan = {"lender": "main_bank", "borrower": "one", "kind": "term_loan", "principal": 50.0, "maturity": 36}
    model = delever(economy(small_model, one=fund(100.0, 30.0, leverage_max=4.0, leverage_target=3.0), loans=[loan]))
    assert float(model.books.loans.principal[0, 0]) == pytest.approx(10.0)
    assert of(model, "other_liabilities", "one") == 30.0


def test_cash_goes_first_half_of_it(small_model: Build) -> None:
    model = delever(economy(small_model, one=fund(80.0, 80.0, cash=20.0, leverage_max=4.0, leverage_target=3.0)))
    assert of(model, "cash", "one") == pytest.approx(10.0)
    assert of(model, "other_assets", "one") == pytest.approx(50.0)
    assert leverage(model, "one") == pytest.approx(3.0)


def test_shares_and_securities_are_sold_in_proportion(small_model: Build) -> None:
    firms = {
        "one": {**fund(50.0, 80.0, leverage_max=4.0, leverage_target=3.0), "kind": "investor", "lender_type": ""},
        "firm": {"kind": "chipmaker", "market_value": 1e9, "listed": True},
    }
    model = delever(economy(small_model, **firms, stakes=[{"holder": "one", "issuer": "firm", "value": 50.0}]))
    assert float(model.books.stakes.shares[0, 0]) == pytest.approx(30.0, rel=1e-6)
    assert of(model, "other_assets", "one") == pytest.approx(30.0, rel=1e-6)


def test_shares_behind_a_loan_are_not_sold(small_model: Build) -> None:
    firms = {
        "one": {"kind": "investor", "leverage_max": 1.5, "leverage_target": 1.2},
        "firm": {"kind": "chipmaker", "market_value": 1e9, "listed": True},
    }
    loan = {
        "lender": "main_bank", "borrower": "one", "kind": "margin_loan", "principal": 50.0, "maturity": 36, "collateral": "shares",
        "pledged_stake": 0, "pledged_share": 0.9,
    }  # fmt: skip
    model = delever(economy(small_model, **firms, stakes=[{"holder": "one", "issuer": "firm", "value": 100.0}], loans=[loan]))
    assert float(model.books.stakes.shares[0, 0]) == pytest.approx(90.0)


@pytest.mark.parametrize("linear", [0.0, 1.0])
def test_a_sale_moves_the_price_for_all_who_hold_and_the_seller_gets_the_middle(small_model: Build, linear: float) -> None:
    macro = {"impact_linear_securities": linear}
    model = economy(small_model, depth=200.0, one=fund(100.0, 50.0), two=fund(60.0, 10.0), macro=macro)
    sold = np.zeros_like(model.books["cash"])
    sold[row(model, "one")] = 20.0
    fetched = liquidation.sell_securities(model.books, model.ledger, sold, "funding")
    check(model.books, model.ledger)
    factor = 0.9 if linear else np.exp(-0.1)
    assert fetched[row(model, "one"), 0] == pytest.approx(20.0 * (1.0 + factor) / 2.0)
    assert of(model, "other_assets", "one") == pytest.approx(80.0 * factor)
    assert of(model, "other_assets", "two") == pytest.approx(60.0 * factor)
    assert model.ledger.loss_by_tag["funding"][0, 0] == pytest.approx(20.0 * (1.0 - factor) / 2.0)
    assert model.ledger.loss_by_tag["fire_sale"][0, 0] == pytest.approx(140.0 * (1.0 - factor))
    assert float(model.books.series["securities_price"][0, 0]) == pytest.approx(factor)


def test_one_holder_s_sale_pushes_the_next_over_its_limit(small_model: Build) -> None:
    alone = economy(small_model, depth=500.0, two=fund(100.0, 79.0, leverage_max=5.0))
    assert of(delever(alone), "other_assets", "two") == 100.0
    both = delever(economy(small_model, depth=500.0, one=fund(100.0, 82.0, leverage_max=5.0), two=fund(100.0, 79.0, leverage_max=5.0)))
    assert of(both, "other_assets", "two") < 90.0
    assert of(both, "other_liabilities", "two") < 79.0


def test_prices_and_holdings_agree_with_the_kernel_of_fire_sales(small_model: Build) -> None:
    """The same rounds in `simulator.networks.fire_sales`: leverage there is equity / assets; one asset, debts repaid on the spot."""
    depth, holdings, owed = 800.0, [100.0, 140.0], [81.0, 109.0]
    model = economy(
        small_model, depth=depth, one=fund(holdings[0], owed[0], leverage_max=5.0, leverage_target=4.0),
        two=fund(holdings[1], owed[1], leverage_max=5.0, leverage_target=4.0), macro={"impact_linear_securities": 0.0},
    )  # fmt: skip
    delever(model)
    kernel = fire_sale_cascade(
        np.array(holdings)[:, None], np.array(holdings) - np.array(owed), np.array([0.0]), sum(holdings) / depth, rule="target",
        minimum=0.0, buffer=0.2, target=0.25, repay_at_once=True,
    )  # fmt: skip
    assert float(model.books.series["securities_price"][0, 0]) == pytest.approx(float(kernel.prices[0]), rel=0.02)
    assert [leverage(model, name) for name in ("one", "two")] == [pytest.approx(4.0, rel=0.25)] * 2
    assert max(leverage(model, name) for name in ("one", "two")) <= 5.0 * (1.0 + 1e-9)


def test_the_price_of_securities_comes_back_and_holders_mark_up(small_model: Build) -> None:
    model = economy(small_model, depth=100.0, one=fund(100.0, 50.0), two=fund(60.0, 10.0))
    sold = np.zeros_like(model.books["cash"])
    sold[row(model, "one")] = 20.0
    liquidation.sell_securities(model.books, model.ledger, sold, "funding")
    low = float(model.books.series["securities_price"][0, 0])
    held = of(model, "other_assets", "two")
    liquidation.recover_securities(model.books, model.ledger)
    check(model.books, model.ledger)
    assert float(model.books.series["securities_price"][0, 0]) == pytest.approx(low ** (1.0 - MEAN_REVERSION))
    assert of(model, "other_assets", "two") == pytest.approx(held * low**-MEAN_REVERSION)


@pytest.mark.parametrize("channel", ["margin", "fire_sale"])
def test_off_is_zero_in_its_account_and_moves_no_price(small_model: Build, channel: str) -> None:
    firms = {"one": fund(100.0, 82.0, leverage_max=5.0), "two": fund(100.0, 79.0, leverage_max=5.0)}
    plain = delever(economy(small_model, depth=500.0, **firms))
    off = delever(economy(small_model, depth=500.0, **firms, channels={channel: 0.0}))
    assert plain.ledger.loss_by_tag[channel][0, 0] > 0.0
    assert off.ledger.loss_by_tag[channel][0, 0] == 0.0


def ask_back(model: ContagionModel, tick: int, amount: float) -> float:
    """What the fund pays to investors who ask for ``amount`` in a month."""
    model.books.tick = tick
    model.books["book_net_worth"][...] = model.books.net_worth()
    wanted = np.zeros_like(model.books["cash"])
    wanted[row(model, "one")] = amount
    before = of(model, "other_liabilities", "one")
    liquidation.meet_redemptions(model.books, model.ledger, wanted)
    check(model.books, model.ledger)
    return before - of(model, "other_liabilities", "one")


def test_a_gate_bounds_what_is_paid_in_a_quarter_and_the_rest_waits(small_model: Build) -> None:
    model = economy(small_model, one=fund(200.0, 80.0, cash=100.0, redemption_gate=0.05))
    assert ask_back(model, 0, 20.0) == pytest.approx(15.0)  # 5 % of 300
    assert of(model, "redemptions_waiting", "one") == pytest.approx(5.0)
    assert ask_back(model, 1, 2.0) == 0.0
    assert of(model, "redemptions_waiting", "one") == pytest.approx(7.0)
    assert ask_back(model, 3, 0.0) == pytest.approx(7.0)
    assert of(model, "redemptions_waiting", "one") == 0.0


def test_without_a_gate_nobody_waits(small_model: Build) -> None:
    model = economy(small_model, one=fund(200.0, 80.0, cash=100.0))
    assert ask_back(model, 0, 15.0) == pytest.approx(15.0)
    assert of(model, "redemptions_waiting", "one") == 0.0


def test_leavers_are_paid_in_cash_then_out_of_securities(small_model: Build) -> None:
    model = economy(small_model, depth=1000.0, one=fund(200.0, 80.0, cash=10.0))
    paid = ask_back(model, 0, 25.0)
    fetched = 20.0 * (1.0 + np.exp(-0.02)) / 2.0
    assert of(model, "cash", "one") == pytest.approx(5.0)
    assert paid == pytest.approx(25.0, rel=1e-3)
    assert fetched < 20.0
    assert model.ledger.loss_by_tag["funding"][0, 0] >= 20.0 - fetched


def test_holders_are_treated_alike_alone_and_beside_a_replication_that_sells_for_longer(small_model: Build) -> None:
    def build(replications: tuple[int, ...], owed: list[float]) -> ContagionModel:
        firms = {"one": fund(100.0, 0.0, leverage_max=5.0), "two": fund(100.0, 79.0, leverage_max=5.0)}
        model = economy(small_model, depth=500.0, **firms, replications=replications)
        model.books["other_liabilities"][row(model, "one")] = owed
        model.ledger.post("ordinary", model.books.net_worth() - model.ledger.worth_so_far())
        return delever(model)

    alone, beside = build((0,), [82.0]), build((0, 1), [82.0, 86.0])
    for column in ("cash", "other_assets", "other_liabilities"):
        assert beside.books[column][:, 0].tobytes() == alone.books[column][:, 0].tobytes()


def after_a_failure(small_economy: Callable[..., Any], failing: tuple[str, ...], **channels: float) -> ContagionModel:
    """A month in which an investor fails that holds, like a fund and the household, a listed share and securities; nobody has luck."""
    firms = {
        "firm": {"kind": "chipmaker", "market_value": 100.0, "market_beta": 0.0, "ai_beta": 0.0, "equity_volatility": 0.4},
        "one": {"kind": "investor", "other_assets": 40.0, "marketable_share": 1.0},
        "two": fund(60.0, 10.0),
    }
    stakes = [{"holder": name, "issuer": "firm", "value": 20.0} for name in ("one", "household")]
    built = small_economy(firms, stakes=stakes)
    built.macro.update({"securities_depth": 400.0})
    changes = [Change("failure", "agent.failure", "set_to", 1.0, 1, agents=failing)] if failing else []
    model = ContagionModel(built, horizon_months=1, draws=Quiet(len(built.ids)), changes=changes, channels=channels)
    model.step()
    return model


def test_an_estate_s_listed_shares_and_securities_press_on_those_who_hold_them_too(small_economy: Callable[..., Any]) -> None:
    quiet, failed = after_a_failure(small_economy, ()), after_a_failure(small_economy, ("one",))
    price = [float(model.books["share_price"][row(model, "firm"), 0]) for model in (quiet, failed)]
    factor = np.exp(-quiet.books.macro["price_impact_listed"] * 0.2)
    assert price[1] == pytest.approx(price[0] * factor)
    assert of(failed, "other_assets", "two") == pytest.approx(of(quiet, "other_assets", "two") * np.exp(-0.1))
    losses = failed.recorder.tables("run")["losses"].set_index(["from_agent", "to_agent", "channel"])["amount"]
    assert losses["one", "household", "fire_sale"] == pytest.approx(20.0 * price[0] * (1.0 - factor))
    assert losses["one", "two", "fire_sale"] == pytest.approx(60.0 * (1.0 - np.exp(-0.1)))
    off = after_a_failure(small_economy, ("one",), fire_sale=0.0)
    assert off.ledger.loss_by_tag["fire_sale"][0, 0] == 0.0
    assert float(off.books["share_price"][row(off, "firm"), 0]) == price[1]
