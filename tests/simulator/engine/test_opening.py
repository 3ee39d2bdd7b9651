"""The opening: before the first step the model stands where the tables say."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.synthetic import synthetic_economy
from simulator.engine.model import ContagionModel
from simulator.engine.tick import announce, expect, plan
from simulator.ledger.books import AT_START, STOCKS

ECONOMIES = ("three_firms", "us_ai_2025", "synthetic")


@pytest.fixture(scope="module", params=ECONOMIES)
def model(request: pytest.FixtureRequest) -> ContagionModel:
    economy = synthetic_economy(agents=60) if request.param == "synthetic" else request.param
    return ContagionModel(economy, replications=range(3), horizon_months=2, mesa_agents=False)


def opens_at(model: ContagionModel, name: str, expected: np.ndarray) -> bool:
    found = model.books[name]
    return np.array_equal(found, np.broadcast_to(expected[:, None], found.shape))


@pytest.mark.parametrize("item", STOCKS)
def test_stocks_open_at_the_figures_of_the_tables(item: str, model: ContagionModel) -> None:
    assert opens_at(model, item, model.economy.values[item])
    assert opens_at(model, f"{item}_at_start", model.economy.values[item])


@pytest.mark.parametrize("item", AT_START)
def test_opening_figures_are_kept_as_parameters(item: str, model: ContagionModel) -> None:
    assert opens_at(model, f"{item}_at_start", model.economy.values[item])


def test_every_other_item_is_a_parameter_of_its_name(model: ContagionModel) -> None:
    for item, values in model.economy.values.items():
        if item not in (*STOCKS, *AT_START, "equity_book"):
            assert opens_at(model, item, values)


def test_market_values_are_the_sourced_ones(model: ContagionModel) -> None:
    value = model.economy.values["market_value"]
    np.testing.assert_array_equal(model.books.market_value(), np.broadcast_to(value[:, None], (len(value), 3)))
    kinds = np.array(model.economy.kinds)
    ai = value[np.isin(kinds, ("chipmaker", "hyperscaler", "cloud", "ai_lab"))].sum()
    assert model.books.series["ai_market_value"][0, 0] == pytest.approx(ai)
    assert model.books.series["total_market_value"][0, 0] == pytest.approx(max(model.economy.macro["total_market_value"], ai))


def test_premiums_on_default_are_the_sourced_ones(model: ContagionModel) -> None:
    assert opens_at(model, "cds", model.economy.values["cds"])
    assert model.books.series["cds_index"].tolist() == model.books.series["cds_index_at_start"].tolist()


def test_contracts_open_at_the_tables(model: ContagionModel) -> None:
    books, economy = model.books, model.economy
    for table, pairs in (
        ("loans", (("principal", "principal"), ("undrawn", "undrawn"), ("rate", "rate"))),
        ("stakes", (("shares", "value"), ("tranche_remaining", "tranche_remaining"), ("unvested", "unvested"))),
        ("orders", (("remaining", "amount"),)),
        ("guarantees", (("notional", "notional"),)),
    ):
        for state, column in pairs:
            values = getattr(getattr(economy, table), column)
            found = getattr(books, table).state[state]
            np.testing.assert_array_equal(found, np.broadcast_to(values[:, None], found.shape), err_msg=f"{table} {state}")


def test_net_worth_is_that_of_the_economy(model: ContagionModel) -> None:
    expected = model.economy.net_worth()
    np.testing.assert_allclose(model.books.net_worth(), np.broadcast_to(expected[:, None], (len(expected), 3)), rtol=1e-9, atol=1e-9)
    sheet = model.economy.balance_sheet()
    np.testing.assert_allclose(model.books.debt()[:, 0], sheet["debt"], rtol=1e-12)
    np.testing.assert_allclose(model.books.loans_given()[:, 0], sheet["loans_given"], rtol=1e-12)


def test_all_cash_is_a_deposit(model: ContagionModel) -> None:
    cash, deposits = model.books["cash"][:, 0].sum(), model.books["deposits"][:, 0].sum()
    assert cash == pytest.approx(deposits, rel=1e-6)


def test_the_macroeconomy_opens_at_macro_csv(model: ContagionModel) -> None:
    series, macro = model.books.series, model.economy.macro
    for name in ("policy_rate", "unemployment", "inflation", "gdp"):
        assert (series[name] == macro[name]).all()


def test_nobody_is_dead_overdue_or_in_breach_at_the_start(model: ContagionModel) -> None:
    assert (model.books["alive"] == 1.0).all()
    for name in ("months_in_arrears", "margin_breached", "operating_arrears", "insured_deposits"):
        assert not model.books[name].any()


@pytest.mark.parametrize("economy", ["three_firms", "us_ai_2025"])
def test_the_first_month_s_investment_of_builders_is_the_sourced_one(economy: str) -> None:
    model = ContagionModel(economy, replications=range(40), horizon_months=2, mesa_agents=False)
    for stage in (announce, expect, plan):
        stage(model)
    books = model.books
    for kind in ("chipmaker", "hyperscaler", "utility"):
        rows = books.rows[kind]
        wanted, sourced = 12.0 * books["planned_investment"][rows].mean(axis=1), books["capex_at_start"][rows, 0]
        np.testing.assert_allclose(wanted, sourced, rtol=0.05, atol=0.05)


def test_the_first_policy_rate_lies_on_the_projected_path() -> None:
    model = ContagionModel("us_ai_2025", horizon_months=2, mesa_agents=False)
    model.step()
    macro = model.economy.macro
    expected = macro["policy_rate"] - macro["policy_rate_cut_2026"] / 12.0
    assert model.books.series["policy_rate"][0, 0] == pytest.approx(expected)
