"""docs/examples/margin_spiral.md: the engine finds the numbers of the page to the cent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scenarios.changes import Change
from simulator.engine.model import ContagionModel
from simulator.engine.randomness import Quiet
from simulator.ledger.postings import Ledger
from simulator.markets import margin_desk
from simulator.markets.shares import ForcedSales

FALL = Change("fall", "listed_shares.value", "multiply_by", 0.8, starts=1, agents=("firm",))
FIRM, INVESTOR, BANK, HOUSEHOLD = "firm", "investor", "bank", "household"


def month(**given: Any) -> ContagionModel:
    model = ContagionModel("margin_spiral", changes=[FALL], horizon_months=1, draws=Quiet(8), **given)
    model.step()
    return model


def of(model: ContagionModel, values: np.ndarray, agent: str) -> float:
    return float(values[model.books.ids.index(agent), 0])


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> tuple[ContagionModel, dict[str, float]]:
    """The month run, and what the engine did in it under the page's names."""
    found: dict[str, float] = {}
    rounds: list[float] = []  # what the loan was before each
    sell, repay = ForcedSales.sell, Ledger.repay

    def watched_sale(sales: ForcedSales, sold: np.ndarray, tag: str) -> np.ndarray:
        books, ledger = sales.books, sales.ledger
        firm = books.ids.index(FIRM)
        price, loan = float(books["share_price"][firm, 0]), float(books.loans.principal[0, 0])
        rounds.append(loan)
        k = len(rounds)
        if k == 1:
            worth = float(books.stakes.shares[0, 0]) * price
            found.update(price_after_shock=price, value_0=worth, loan_to_value_0=24.0 / worth, target_0=margin_desk.CURE * 0.5 * worth)
            found.update(cash_paid=24.0 - loan, loan_0=loan)
        lost = {tag: float(ledger.loss_by_tag[tag][0, 0]) for tag in ("margin", "fire_sale")}
        found[f"short_{k}"] = float(sold[0, 0]) * price * (1.0 - margin_desk.CURE * 0.5)
        found[f"sale_{k}"] = float(sold[0, 0])
        fetched = sell(sales, sold, tag)
        found[f"price_{k}"] = float(books["share_price"][firm, 0])
        found[f"shares_{k}"] = float(books.stakes.shares[0, 0])
        found[f"value_{k}"] = found[f"shares_{k}"] * found[f"price_{k}"]
        for name, before in lost.items():
            found[f"loss_{name}_{k}"] = float(ledger.loss_by_tag[name][0, 0]) - before
        return fetched

    def watched_repayment(ledger: Ledger, slots: Any, amounts: np.ndarray) -> np.ndarray:
        left = repay(ledger, slots, amounts)
        k = len(rounds)
        if rounds and f"loan_{k}" not in found:  # by what the sale fetched; cash is paid before it
            found[f"loan_{k}"] = float(ledger.books.loans.principal[0, 0])
            found[f"proceeds_{k}"] = rounds[-1] - found[f"loan_{k}"]
            found[f"loan_to_value_{k}"] = found[f"loan_{k}"] / found[f"value_{k}"]
        return left

    monkeypatch.setattr(ForcedSales, "sell", watched_sale)
    monkeypatch.setattr(Ledger, "repay", watched_repayment)
    model = month()
    books, ledger = model.books, model.ledger
    worth = books.net_worth()
    losses = {tag: float(amount[0, 0]) for tag, amount in ledger.loss_by_tag.items()}
    price = of(model, books["share_price"], FIRM)
    found.update({f"loss_{tag}": losses[tag] for tag in ("direct", "margin", "fire_sale")}, total_loss=float(np.cumsum(list(losses.values()))[-1]))
    found.update(
        investor_cash=of(model, books["cash"], INVESTOR), investor_net_worth=of(model, worth, INVESTOR),
        household_stake=float(books.stake_values()[1, 0]), household_net_worth=of(model, worth, HOUSEHOLD),
        bank_net_worth=of(model, worth, BANK), fall_without_spiral=1.0 - found["price_after_shock"], fall_with_spiral=1.0 - price,
    )  # fmt: skip
    return model, found


def test_the_engine_finds_the_numbers_of_the_page_to_the_cent(
    engine: tuple[ContagionModel, dict[str, float]], page: Callable[..., Any], apart: Callable[..., Any]
) -> None:
    assert apart(page("margin_spiral"), engine[1]) == {}


def test_the_spiral_takes_three_rounds_and_ends_below_the_call_level(engine: tuple[ContagionModel, dict[str, float]]) -> None:
    assert "sale_4" not in engine[1]
    assert engine[1]["loan_to_value_2"] > 0.5 > engine[1]["loan_to_value_3"]


def test_with_a_channel_off_its_account_is_zero_and_the_prices_are_the_same() -> None:
    plain = month()
    for channel in ("margin", "fire_sale"):
        off = month(channels={channel: 0.0})
        assert off.ledger.loss_by_tag[channel][0, 0] == 0.0
        assert of(off, off.books["share_price"], FIRM) == of(plain, plain.books["share_price"], FIRM)


def test_one_agent_at_a_time_gives_the_same_bits() -> None:
    alone, cohorts = month(stepping="agents"), month()
    assert alone.books.net_worth().tobytes() == cohorts.books.net_worth().tobytes()
