"""Random economies: plausible, balanced, reproducible and quick to make."""

from __future__ import annotations

import time

import numpy as np
import pytest

from scenarios.economy import Economy
from scenarios.loading import load_economy
from scenarios.synthetic import synthetic_economy
from simulator.errors import InputError
from simulator.ledger.names import KINDS

SIZES = (14, 17, 40, 300)
TABLES = ("loans", "stakes", "orders", "leases", "guarantees")


@pytest.fixture(scope="module", params=[(size, links) for size in SIZES for links in ("core_periphery", "random")], ids=str)
def economy(request: pytest.FixtureRequest) -> Economy:
    size, links = request.param
    return synthetic_economy(size, seed=3, links=links)


def test_all_kinds_are_present_and_the_number_of_agents_is_as_asked(economy: Economy) -> None:
    assert set(economy.kinds) == set(KINDS)
    assert economy.size in SIZES
    assert len(set(economy.ids)) == economy.size
    assert "bank" in economy.lender_types


def test_the_books_balance_and_nobody_starts_insolvent(economy: Economy) -> None:
    sheet = economy.balance_sheet()
    assert (sheet["net_worth"] > 0.0).all()
    assert np.array_equal(sheet["net_worth"], economy.values["equity_book"])
    assert economy.values["cash"].sum() == pytest.approx(economy.values["deposits"].sum(), rel=1e-12)
    assert sheet["loans_given"].sum() == pytest.approx(sheet["debt"].sum(), rel=1e-12)
    for item, numbers in economy.values.items():
        assert np.isfinite(numbers).all(), item
        assert (numbers >= 0.0).all(), item


def test_columns_have_the_names_and_types_of_a_loaded_economy(economy: Economy) -> None:
    loaded = load_economy("three_firms")
    for table in TABLES:
        ours, theirs = getattr(economy, table).columns, getattr(loaded, table).columns
        assert set(ours) == set(theirs)
        for name, column in ours.items():
            assert column.dtype.kind == theirs[name].dtype.kind, (table, name)
            assert len(column) == len(getattr(economy, table)), (table, name)


def test_nobody_has_a_contract_with_itself_and_references_exist(economy: Economy) -> None:
    for table, one, other in (
        ("loans", "lender", "borrower"),
        ("stakes", "holder", "issuer"),
        ("orders", "seller", "buyer"),
        ("leases", "lessor", "lessee"),
        ("guarantees", "guarantor", "beneficiary"),
    ):
        contracts = getattr(economy, table)
        assert (contracts.columns[one] != contracts.columns[other]).all(), table
    pledged = economy.loans.pledged_stake
    assert (economy.stakes.holder[pledged[pledged >= 0]] == economy.loans.borrower[pledged >= 0]).all()
    for table in ("loans", "orders"):
        rows = economy.guarantees.reference_row[economy.guarantees.reference_table == table]
        assert ((rows >= 0) & (rows < len(getattr(economy, table)))).all()


def test_supply_and_round_shares_add_to_one_at_most(economy: Economy) -> None:
    orders, stakes = economy.orders, economy.stakes
    for good in ("chips", "power"):
        chosen = orders.good == good
        assert (np.bincount(orders.buyer[chosen], weights=orders.supply_share[chosen]) <= 1.0 + 1e-9).all()
    assert (np.bincount(stakes.issuer, weights=stakes.round_share) <= 1.0 + 1e-9).all()
    assert (np.bincount(stakes.issuer, weights=stakes.value, minlength=economy.size) <= economy.values["market_value"] + 1e-9).all()


def test_most_firms_earn_their_costs_and_interest(economy: Economy) -> None:
    values, orders, leases, loans = economy.values, economy.orders, economy.leases, economy.loans
    size = economy.size
    yearly = np.where(orders.good == "cloud", 12.0 * orders.amount / np.where(orders.good == "cloud", orders.end - orders.start, 1), 0.0)
    spent = orders.supply_share * (values["capex"] * values["chips_share"])[orders.buyer]
    revenue = values["outside_revenue"] + np.bincount(leases.lessor, weights=leases.rent, minlength=size)
    revenue = revenue + np.bincount(orders.seller, weights=yearly + np.where(orders.good == "chips", spent, 0.0), minlength=size)
    cost = values["fixed_cost"] + values["cost_share"] * revenue + np.bincount(leases.lessee, weights=leases.rent, minlength=size)
    rate = loans.rate + np.where(loans.rate_type == "floating", 0.0363, 0.0)
    interest = np.bincount(loans.borrower, weights=rate * loans.principal, minlength=size)
    for kind in ("chipmaker", "hyperscaler", "cloud", "project_company", "utility"):
        rows = economy.rows(kind)
        assert np.mean((revenue - cost - interest)[rows] > 0.0) >= 0.8, kind


def test_debt_is_a_plausible_share_of_assets(economy: Economy) -> None:
    sheet = economy.balance_sheet()
    for kind in ("cloud", "project_company", "utility"):
        share = np.median((sheet["debt"] / sheet["total_assets"])[economy.rows(kind)])
        assert 0.2 <= share <= 0.6, kind


def test_the_same_seed_gives_the_same_economy_and_another_seed_another() -> None:
    one, twin, other = synthetic_economy(60, seed=5), synthetic_economy(60, seed=5), synthetic_economy(60, seed=6)
    for table in TABLES:
        for name, column in getattr(one, table).columns.items():
            assert np.array_equal(column, getattr(twin, table).columns[name]), (table, name)
    assert all(np.array_equal(one.values[item], twin.values[item]) for item in one.values)
    assert not np.array_equal(one.values["capacity"], other.values["capacity"])


def test_sizes_are_heavy_tailed_and_a_core_periphery_is_more_concentrated() -> None:
    core, even = (synthetic_economy(2000, seed=2, links=links) for links in ("core_periphery", "random"))
    capacity = core.values["capacity"][core.rows("hyperscaler")]
    assert capacity.max() > 20.0 * np.median(capacity)
    largest = [np.bincount(economy.loans.lender).max() / len(economy.loans) for economy in (core, even)]
    assert largest[0] > 3.0 * largest[1]


@pytest.mark.parametrize("degree", [5.0, 10.0])
def test_the_number_of_contracts_follows_the_mean_degree(degree: float) -> None:
    economy = synthetic_economy(3000, seed=1, mean_degree=degree)
    contracts = sum(len(getattr(economy, table)) for table in TABLES)
    assert contracts / economy.size == pytest.approx(degree, rel=0.15)


def test_a_hundred_thousand_agents_and_a_million_contracts_take_seconds() -> None:
    begin = time.perf_counter()
    economy = synthetic_economy(100_000, seed=1, mean_degree=10.0)
    assert sum(len(getattr(economy, table)) for table in TABLES) > 900_000
    assert (economy.net_worth() > 0.0).all()
    assert time.perf_counter() - begin < 30.0  # about 3 seconds; the slack is for a busy machine


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"agents": 13}, "agents: 13 is outside"),
        ({"links": "core"}, "links: 'core' is not one of core_periphery, random"),
        ({"mean_degree": 0.5}, "mean_degree: 0.5 is outside"),
        ({"seed": -1}, "seed"),
        ({"start": "soon"}, "start: 'soon' is not a month"),
    ],
)
def test_bad_arguments_are_told_in_one_line(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told) as fault:
        synthetic_economy(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(fault.value)
