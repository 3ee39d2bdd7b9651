"""Values through stakes, for all holders at once, and market value counted once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scenarios.changes import Change
from simulator.engine.model import ContagionModel
from simulator.engine.randomness import Quiet
from simulator.ledger.estates import Estates
from simulator.markets import cross_holdings, shares
from simulator.networks.cross_holdings import cross_holding_values

Build = Callable[..., ContagionModel]
VALUES = {"chip": 400.0, "cloud": 100.0, "lab": 200.0}
# A circle: the chipmaker holds the lab and the cloud, the lab holds the chipmaker; the investor holds all three.
STAKES = (("chip", "lab", 60.0), ("chip", "cloud", 30.0), ("lab", "chip", 40.0), ("investor", "lab", 50.0), ("investor", "chip", 20.0))


def circle(small_model: Build, **given: Any) -> ContagionModel:
    firms: dict[str, dict[str, Any]] = {
        "chip": {"kind": "chipmaker", "market_value": VALUES["chip"]},
        "cloud": {"kind": "cloud", "market_value": VALUES["cloud"]},
        "lab": {"kind": "ai_lab", "market_value": VALUES["lab"], "listed": False},
        "investor": {"kind": "investor", "market_value": 60.0},
    }
    return small_model(firms, stakes=[{"holder": h, "issuer": i, "value": v} for h, i, v in STAKES], **given)


def row(model: ContagionModel, agent: str) -> int:
    return model.books.ids.index(agent)


def holdings(model: ContagionModel) -> np.ndarray:
    held = np.zeros((model.books.agents, model.books.agents))
    for holder, issuer, value in STAKES:
        held[row(model, holder), row(model, issuer)] = value / VALUES[issuer]
    return held


def test_holders_values_solve_the_system_of_elliott_golub_and_jackson(small_model: Build) -> None:
    model = circle(small_model)
    own = np.zeros((model.books.agents, 1))
    own[[row(model, "lab"), row(model, "cloud")], 0] = -80.0, 12.0
    held = holdings(model)
    whole = np.linalg.solve(np.eye(len(held)) - held, own)
    assert cross_holdings.through_stakes(model.books, own) == pytest.approx(whole - own, abs=1e-12)


def test_the_change_to_outside_owners_is_that_of_the_kernel(small_model: Build) -> None:
    """Outside owners lose what the assets lose, once: market values in the kernel's sense."""
    model = circle(small_model)
    own = np.zeros((model.books.agents, 1))
    own[row(model, "lab"), 0] = -80.0
    held = holdings(model)
    before = cross_holding_values(held, np.full(len(held), 100.0)).values
    after = cross_holding_values(held, np.full(len(held), 100.0) + own[:, 0]).values
    outside = 1.0 - held.sum(axis=0)
    change = own + cross_holdings.through_stakes(model.books, own)
    assert outside * change[:, 0] == pytest.approx(after - before, abs=1e-9)
    assert float((outside * change[:, 0]).sum()) == pytest.approx(-80.0)


def price_month(model: ContagionModel, **returns: float) -> None:
    """Only news that others make, no luck."""
    books = model.books
    for name in ("return_by_luck", "return_by_shock", "return_by_others", "short_pressure"):
        books[name][...] = 0.0
    for agent, value in returns.items():
        books["return_by_others"][row(model, agent)] = value
    shares.price_shares(books, model.ledger, books["short_pressure"])


def test_a_fall_of_the_lab_moves_its_holders_shares_in_the_same_month(small_model: Build) -> None:
    model = circle(small_model)
    books = model.books
    price_month(model, lab=np.log(0.6))
    own = np.zeros((books.agents, 1))
    own[row(model, "lab"), 0] = -80.0
    held = holdings(model)
    expected = np.linalg.solve(np.eye(len(held)) - held, own) - own
    for agent, value in (("chip", 400.0), ("investor", 60.0)):
        assert float(books["share_price"][row(model, agent), 0]) == pytest.approx(1.0 + expected[row(model, agent), 0] / value)
    assert float(books["share_price"][row(model, "cloud"), 0]) == 1.0
    lab = 0.6 * (1.0 + expected[row(model, "lab"), 0] / 200.0)  # its own stake in the chipmaker has fallen too
    assert float(books["fair_price"][row(model, "lab"), 0]) == pytest.approx(lab)
    assert model.ledger.loss_by_tag["direct"][0, 0] == 0.0
    assert model.ledger.loss_by_tag["equity"][0, 0] > 0.0


def test_the_next_month_brings_no_second_helping(small_model: Build) -> None:
    model = circle(small_model)
    price_month(model, lab=np.log(0.6))
    fair = model.books["fair_price"].copy()
    price_month(model)
    assert model.books["fair_price"].tobytes() == fair.tobytes()


def test_a_shock_to_lab_shares_reaches_its_holders_shares(small_economy: Callable[..., Any]) -> None:
    firms: dict[str, dict[str, Any]] = {
        "lab": {"kind": "ai_lab", "market_value": 100.0, "listed": False},
        "investor": {"kind": "investor", "market_value": 50.0, "market_beta": 0.0, "ai_beta": 0.0},
    }
    economy = small_economy(firms, stakes=[{"holder": "investor", "issuer": "lab", "value": 30.0}])
    fall = Change("fall", "lab_shares.value", "multiply_by", 0.5, 1)
    prices = []
    for changes in ((), (fall,)):
        model = ContagionModel(economy, horizon_months=1, draws=Quiet(len(economy.ids)), changes=changes)
        model.step()
        prices.append(float(model.books["share_price"][economy.ids.index("investor"), 0]))
    assert prices[1] / prices[0] == pytest.approx(1.0 - 15.0 / 50.0)


def test_the_failure_of_a_firm_is_news_for_those_who_hold_it(small_model: Build) -> None:
    model = circle(small_model)
    failed = np.zeros((model.books.agents, 1))
    failed[row(model, "lab")] = 1.0
    model.resolution.settle(model.ledger, Estates(model.books, failed), np.ones_like(failed))
    assert model.books["stake_news"][row(model, "investor"), 0] == pytest.approx(-50.0)


def test_market_value_of_the_chain_is_counted_once(small_economy: Callable[..., Any]) -> None:
    kinds = {"chip": "chipmaker", "lab": "ai_lab"}
    firms: dict[str, dict[str, Any]] = {name: {"kind": kind, "market_value": VALUES[name]} for name, kind in kinds.items()}
    firms["investor"] = {"kind": "investor", "market_value": 60.0}
    stakes = [{"holder": h, "issuer": i, "value": v} for h, i, v in STAKES if "cloud" not in (h, i)]
    economy = small_economy(firms, stakes=stakes)
    model = ContagionModel(economy, horizon_months=1, draws=Quiet(len(economy.ids)))
    model.step()
    books = model.books
    gross, net = (float(books.series[name][0, 0]) for name in ("ai_market_value", "ai_market_value_net"))
    value = books.stake_values()[:, 0]
    assert gross - net == pytest.approx(value[0] + value[1])  # the chipmaker's and the lab's; the investor is no firm of the chain
    held = np.array([[0.0, 60.0 / 200.0], [40.0 / 400.0, 0.0]])
    market = books.market_value()[[row(model, "chip"), row(model, "lab")], 0]
    kernel = cross_holding_values(held, market - held @ market)  # what each owns besides shares of the other
    assert net == pytest.approx(float(kernel.values.sum()))


@pytest.mark.parametrize("column", ["months_in_arrears", "margin_breached"])
def test_an_investor_that_is_overdue_or_in_breach_pays_no_tranche(small_model: Build, column: str) -> None:
    firms = {"lab": {"kind": "ai_lab", "market_value": 100.0}, "investor": {"kind": "investor", "cash": 500.0}}
    model = small_model(firms, stakes=[{"holder": "investor", "issuer": "lab", "value": 30.0, "tranche_remaining": 50.0}])
    books = model.books
    books["opening_cash"][...] = books["cash"]
    books[column][row(model, "investor")] = 1.0
    shares.raise_equity(books, model.ledger, np.zeros_like(books["cash"]), np.full_like(books.stakes.shares, 10.0))
    assert float(books["cash"][row(model, "investor"), 0]) == 500.0
    assert float(books.stakes.tranche_remaining[0, 0]) == 50.0


def test_a_tranche_stops_at_the_investor_s_buffer(small_model: Build) -> None:
    firms = {"lab": {"kind": "ai_lab", "market_value": 100.0}, "investor": {"kind": "investor", "cash": 20.0, "cash_floor_months": 4.0}}
    model = small_model(firms, stakes=[{"holder": "investor", "issuer": "lab", "value": 30.0, "tranche_remaining": 50.0}])
    books = model.books
    books["opening_cash"][...] = books["cash"]
    books["operating_bill"][row(model, "investor")] = 5.0
    shares.raise_equity(books, model.ledger, np.zeros_like(books["cash"]), np.full_like(books.stakes.shares, 10.0))
    assert float(books["cash"][row(model, "investor"), 0]) == 20.0
