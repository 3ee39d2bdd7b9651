"""Compute: what is called, invoiced, built and switched on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agents.firm import BUILD_MONTHS
from simulator.engine.model import ContagionModel
from simulator.engine.tick import build, decide
from simulator.ledger.identities import check

Build = Callable[..., ContagionModel]


def lab_and_cloud(small_model: Build, cash: float = 100.0) -> ContagionModel:
    firms = {
        "cloud": {"kind": "cloud", "cash": 20.0, "capacity": 60.0, "construction": 18.0, "outside_revenue": 5.0, "depreciation_rate": 0.12},
        "lab": {"kind": "ai_lab", "cash": cash, "market_value": 100.0, "fixed_cost": 6.0},
        "chipmaker": {"kind": "chipmaker", "cash": 20.0, "capacity": 10.0, "outside_revenue": 50.0},
        "utility": {"kind": "utility", "cash": 5.0, "capacity": 20.0, "power_online": 5.0, "power_growth": 1.2, "outside_revenue": 9.0},
    }
    orders = [
        {"seller": "cloud", "buyer": "lab", "good": "cloud", "amount": 60.0, "start": 1, "end": 60},
        {"seller": "chipmaker", "buyer": "cloud", "good": "chips", "amount": 0.0, "supply_share": 0.8},
    ]
    return small_model(firms, orders=orders)


def row(model: ContagionModel, agent: str) -> int:
    return model.books.ids.index(agent)


def invoices(model: ContagionModel, investment: float = 0.0) -> np.ndarray:
    books = model.books
    spending = np.zeros_like(books["cash"])
    spending[row(model, "cloud")] = investment
    books["order_share_taken"][...] = 1.0
    books["order_share_taken"][books.rows["ai_lab"]] = model.actor("ai_lab").order_share_taken()
    return model.compute.invoices(books, model.compute.planned(books), spending)


def test_a_lab_short_of_cash_calls_less_of_what_it_ordered(small_model: Build) -> None:
    model = lab_and_cloud(small_model)
    books = model.books
    lab = row(model, "lab")
    bills = []
    for cash in (100.0, 4.0, 1.0, 0.0):
        books["cash"][lab], books["last_burn"][lab] = cash, 1.0
        bills.append(float(invoices(model)[0, 0]))
    assert bills[0] == pytest.approx(1.0)  # one a month for five years
    assert bills[0] > bills[1] > bills[2] > bills[3] > 0.0


def test_a_customer_that_is_no_lab_calls_what_it_ordered(small_model: Build) -> None:
    model = lab_and_cloud(small_model)
    model.books["order_share_taken"][...] = 0.0
    planned = model.compute.planned(model.books)
    free = model.compute.invoices(model.books, planned, np.zeros_like(model.books["cash"]))
    assert free[0, 0] == 0.0  # the lab of this order called nothing
    model.compute.committed_labs = model.books.orders.some(np.zeros(0, dtype=np.int64))
    assert model.compute.invoices(model.books, planned, np.zeros_like(model.books["cash"]))[0, 0] == pytest.approx(1.0)


def test_capacity_that_is_short_is_not_invoiced(small_model: Build) -> None:
    model = lab_and_cloud(small_model)
    full = float(invoices(model)[0, 0])
    model.books["delivery"][row(model, "cloud")] = 0.5
    assert float(invoices(model)[0, 0]) == pytest.approx(0.5 * full)


@pytest.mark.parametrize("replications", [(0,), (0, 1, 2)])
def test_orders_are_summed_by_party_and_good(replications: tuple[int, ...]) -> None:
    model = ContagionModel("us_ai_2025", replications=replications, mesa_agents=False, horizon_months=2)
    books, compute = model.books, model.compute
    orders, kinds = books.orders, books.economy.kinds
    amounts = np.random.default_rng(1).random((orders.count, len(replications)))
    every = list(zip(orders.static["good"], orders.holder, orders.debtor, amounts, strict=True))
    cloud, capital = (np.zeros_like(books["cash"]) for _ in range(2))
    for good, seller, buyer, amount in every:
        if good == "cloud":
            cloud[seller] += amount
        if good == "chips" and kinds[buyer] != "chipmaker":
            capital[buyer] += amount
    assert compute.of_cloud(amounts).tobytes() == cloud.tobytes()
    assert (compute.deliver(books, amounts)).tobytes() == capital.tobytes()
    assert compute.backlog(books)[0] == pytest.approx(np.cumsum(orders.remaining, axis=0)[-1], rel=1e-12)


def test_who_has_capacity_is_asked_for_its_wear_whatever_its_kind(small_model: Build) -> None:
    bank = {"kind": "lender", "lender_type": "bank", "other_assets": 900.0, "capacity": 12.0, "depreciation_rate": 0.1}
    firms = {"cloud": {"kind": "cloud", "cash": 20.0, "capacity": 60.0, "depreciation_rate": 0.12}, "main_bank": bank}
    model = small_model(firms)
    assert set(model.owners) >= {"cloud", "lender"}
    assert "investor" not in model.owners
    build(model)
    assert model.books["capacity"][row(model, "main_bank"), 0] == pytest.approx(12.0 * (1.0 - 0.1 / 12.0))


def test_a_supplier_gets_its_share_of_what_the_buyer_spends_on_chips(small_model: Build) -> None:
    model = lab_and_cloud(small_model)
    chips = float(model.books["chips_share"][row(model, "cloud"), 0]) * 10.0
    assert float(invoices(model, investment=10.0)[1, 0]) == pytest.approx(0.8 * chips)


@pytest.mark.parametrize("gone", ["cloud", "lab"])
def test_nothing_is_delivered_to_or_by_the_dead(gone: str, small_model: Build) -> None:
    model = lab_and_cloud(small_model)
    model.books["alive"][row(model, gone)] = 0.0
    assert not model.compute.planned(model.books).any()
    assert float(invoices(model)[0, 0]) == 0.0


def switched_on(model: ContagionModel, spare: float, connected: float = 0.0) -> float:
    """Capacity switched on by the cloud in a month with so much power to spare (GW)."""
    books = model.books
    cloud = row(model, "cloud")
    books.series["power_spare"] = np.full((1, 1), spare)
    books["newly_connected"][row(model, "utility")] = connected
    before, worn = float(books["capacity"][cloud, 0]), float(books["capacity"][cloud, 0]) * 0.01
    building = float(books["construction"][cloud, 0])
    decide(model, "wear", "wear")
    decide(model, "finished_building", "finished_building")
    model.compute.build(books, model.ledger)
    check(books, model.ledger)
    fresh = float(books["capacity"][cloud, 0]) - before + worn
    assert fresh == pytest.approx(building - float(books["construction"][cloud, 0]))
    return fresh


def test_power_limits_what_is_switched_on(small_model: Build) -> None:
    ready = 18.0 / BUILD_MONTHS
    need = ready * float(lab_and_cloud(small_model).books["power_needed_per_capacity"][0, 0])
    assert switched_on(lab_and_cloud(small_model), spare=50.0) == pytest.approx(ready)
    assert switched_on(lab_and_cloud(small_model), spare=0.5 * need) == pytest.approx(0.5 * ready, rel=0.02)
    assert switched_on(lab_and_cloud(small_model), spare=0.0) == pytest.approx(0.0, abs=1e-12)
    assert switched_on(lab_and_cloud(small_model), spare=0.0, connected=50.0) == pytest.approx(ready)


def test_sites_without_power_wait_in_the_queue(small_model: Build) -> None:
    short, ample = lab_and_cloud(small_model), lab_and_cloud(small_model)
    switched_on(short, spare=0.0)
    switched_on(ample, spare=50.0)
    assert short.books.series["power_queue"][0, 0] > ample.books.series["power_queue"][0, 0] == 0.0
    assert short.books.series["power_share"][0, 0] < 1.0 == ample.books.series["power_share"][0, 0]


def test_capacity_wears_out_and_machines_lose_resale_value(small_model: Build) -> None:
    model = lab_and_cloud(small_model)
    cloud = row(model, "cloud")
    worth = float(model.books.net_worth()[cloud, 0])
    switched_on(model, spare=0.0)
    assert model.books["capacity"][cloud, 0] == pytest.approx(60.0 * 0.99)
    assert model.books.net_worth()[cloud, 0] == pytest.approx(worth - 0.6)
    assert model.books["resale_value"][cloud, 0] < 1.0
