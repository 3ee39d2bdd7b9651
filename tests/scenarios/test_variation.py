"""Uncertain numbers: many points side by side are the same as each economy alone, and the books balance at every point."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.economy import Economy
from scenarios.loading import load_economy
from scenarios.parameters import resolve, with_uncertain
from scenarios.variation import economy_at, varied
from simulator.engine.inputs import named_changes
from simulator.engine.model import ContagionModel
from simulator.errors import InputError

SOME = [
    "macro.recovery_unsecured", "macro.recovery_secured", "macro.securities_depth", "macro.price_impact_unlisted", "macro.policy_rate",
    "macro.natural_unemployment", "macro.labour_share", "macro.total_market_value", "macro.haircut_accelerators",
    {"name": "macro.gdp", "low": 28000, "high": 33000},
    "openai.cash", "openai.market_value", "jpmorgan.cash", "cloud.depreciation_rate", "all.tax_rate", "all.share_turnover", "bank.marketable_share",
    {"name": "hyperscaler.capex", "multiply_by": {"uniform": [0.8, 1.2]}}, {"name": "coreweave.capacity", "multiply_by": {"uniform": [0.8, 1.2]}},
    {"name": "cloud.equity_volatility", "multiply_by": {"uniform": [0.8, 1.2]}}, {"name": "us_utilities.power_price", "low": 0.4, "high": 0.9},
    {"name": "private_credit.leverage_max", "low": 4.0, "high": 8.0}, {"name": "coreweave.cds", "low": 0.02, "high": 0.1},
    "oai_orcl_300.take_or_pay", "oai_orcl_300.ramp_months", "nvidia_bond_2026.rate", "msft_openai.round_share",
    {"name": "oai_orcl_300.amount", "low": 200, "high": 350}, {"name": "nvda_cw_osprey.rent", "low": 0.2, "high": 0.4},
    {"name": "nvidia_bond_2030.principal", "low": 3.0, "high": 5.0}, {"name": "nvda_cw_backstop.notional", "low": 4.0, "high": 8.0},
    {"name": "mgx_openai_secondary.value", "low": 2.0, "high": 4.0},
    "shock.rate_hold.cuts_priced_out", "shock.collateral_devaluation.accelerators_age",
    {"name": "lever.lender.risk_appetite", "low": 0.8, "high": 1.1},
]  # fmt: skip
BALANCE = [
    "openai.cash", "openai.market_value", "oracle.capacity", "mgx_openai_secondary.value", "us_banks.cash",
    {"name": "nvidia_bond_2030.principal", "low": 1.0, "high": 9.0}, {"name": "all.other_assets", "multiply_by": {"uniform": [0.5, 1.5]}},
    {"name": "cloud.cash", "multiply_by": {"uniform": [0.5, 1.5]}}, {"name": "msft_openai.value", "low": 50.0, "high": 300.0},
]  # fmt: skip
SHOCKS = ("rate_hold", "collateral_devaluation")


@functools.cache
def load() -> Economy:
    return load_economy("us_ai_2025")


@pytest.fixture(scope="module")
def economy() -> Economy:
    return load()


def _parts(economy: Economy, months: int) -> dict[str, tuple]:
    return {f"shock/{name}": named_changes(economy, name, (), months) for name in SHOCKS}


def _existing(economy: Economy, names: list) -> list:
    return [each for each in names if not (isinstance(each, str) and each == "jpmorgan.cash" and "jpmorgan" not in economy.ids)]


def _run(economy: Economy, changes: tuple, numbers: list[int], months: int) -> pd.DataFrame:
    from simulator.engine.randomness import Draws

    draws = Draws(1, numbers, months, economy.size)
    model = ContagionModel(
        economy, rng=1, replications=range(len(numbers)), horizon_months=months, changes=changes, mesa_agents=False, draws=draws
    ).run()
    return model.recorder.outcomes(None).drop(columns="replication")


@pytest.mark.parametrize("months", [14, pytest.param(48, marks=pytest.mark.slow)])
def test_points_side_by_side_are_the_same_bits_as_each_economy_alone(economy: Economy, months: int) -> None:
    parts = _parts(economy, months)
    uncertain = resolve(economy, _existing(economy, SOME), parts)
    changes = tuple(change for found in with_uncertain(parts, uncertain).values() for change in found)
    points, numbers = 3, [4, 0]
    shares = np.random.Generator(np.random.Philox(7)).random((points, len(uncertain)))
    places = np.repeat(np.arange(points), len(numbers))
    wide = dataclasses.replace(economy, varied=varied(economy, uncertain, shares).at(places))
    together = _run(wide, changes, numbers * points, months)
    for point in range(points):
        alone = economy_at(economy, uncertain, shares[point])
        levers = dataclasses.replace(varied(alone, uncertain, shares[point : point + 1]), cells={}).at(np.zeros(len(numbers), dtype=np.int64))
        apart = _run(dataclasses.replace(alone, varied=levers if levers.shares else None), changes, numbers, months)
        rows = together.iloc[point * len(numbers) : (point + 1) * len(numbers)].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, apart, check_exact=True)
    assert together["total_loss"].nunique() == len(together)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), chosen=st.sets(st.integers(0, len(BALANCE) - 1), min_size=1))
def test_the_books_balance_wherever_the_numbers_are_drawn(seed: int, chosen: set[int]) -> None:
    economy = load()
    uncertain = resolve(economy, [BALANCE[place] for place in sorted(chosen)], {})
    shares = np.random.Generator(np.random.Philox(seed)).random((4, len(uncertain)))
    before = economy.balance_sheet()
    for point in shares:
        drawn = economy_at(economy, uncertain, point)
        sheet = drawn.balance_sheet()
        assert np.sum(drawn.values["cash"]) == pytest.approx(np.sum(drawn.values["deposits"]), abs=1e-6 * np.sum(drawn.values["cash"]))
        for name in ("cash", "deposits", "other_assets", "other_liabilities", "capacity"):
            assert (drawn.values[name] >= 0.0).all()
        held = np.bincount(drawn.stakes.columns["issuer"], weights=drawn.stakes.columns["value"], minlength=drawn.size)
        was = np.bincount(economy.stakes.columns["issuer"], weights=economy.stakes.columns["value"], minlength=economy.size)
        assert (held <= np.maximum(drawn.values["market_value"], was) * (1.0 + 1e-6)).all()
        bank = economy.lender_types.index("bank")
        if not any(each.name.startswith(("us_banks", "jpmorgan", "openai.market", "all.other")) for each in uncertain):
            assert sheet["net_worth"][bank] == pytest.approx(before["net_worth"][bank], rel=1e-9)  # others' cash is no income of a bank


def test_more_cash_of_a_firm_is_its_equity_and_a_deposit_at_the_banks(economy: Economy) -> None:
    (parameter,) = resolve(economy, [{"name": "openai.cash", "low": 60.0, "high": 80.0}], {})
    before, after = economy.balance_sheet(), economy_at(economy, [parameter], np.array([0.5])).balance_sheet()
    row = economy.index("openai")
    more = 70.0 - economy.values["cash"][row]
    assert after["net_worth"][row] - before["net_worth"][row] == pytest.approx(more)
    assert np.sum(after["deposits"] - before["deposits"]) == pytest.approx(more)
    others = np.arange(economy.size) != row
    np.testing.assert_allclose(after["net_worth"][others], before["net_worth"][others], atol=1e-9)


def test_a_larger_loan_changes_nobodys_equity_and_stakes_move_with_their_issuer(economy: Economy) -> None:
    loan = resolve(economy, [{"name": "nvidia_bond_2030.principal", "low": 3.0, "high": 5.0}], {})
    sheet = economy_at(economy, loan, np.array([0.99])).balance_sheet()
    np.testing.assert_allclose(sheet["net_worth"], economy.net_worth(), atol=1e-9)
    value = resolve(economy, [{"name": "openai.market_value", "multiply_by": {"uniform": [0.4, 0.6]}}], {})
    drawn = economy_at(economy, value, np.array([0.5]))
    of_lab = economy.stakes.columns["issuer"] == economy.index("openai")
    np.testing.assert_allclose(drawn.stakes.columns["value"][of_lab], 0.5 * economy.stakes.columns["value"][of_lab])


def test_a_stake_drawn_too_large_makes_the_others_give_way(economy: Economy) -> None:
    stake = resolve(economy, ["mgx_openai_secondary.value"], {})
    drawn = economy_at(economy, stake, np.array([0.999]))
    of_lab = economy.stakes.columns["issuer"] == economy.index("openai")
    assert np.sum(drawn.stakes.columns["value"][of_lab]) == pytest.approx(np.sum(economy.stakes.columns["value"][of_lab]))
    np.testing.assert_allclose(drawn.net_worth(), economy.net_worth(), atol=1e-9)


def test_a_groups_number_reaches_those_without_one_of_their_own(economy: Economy) -> None:
    (one,) = resolve(economy, ["all.long_run_growth"], {})
    kinds = {economy.kinds[row] for row in one.rows}
    assert "ai_lab" not in kinds
    assert "cloud" not in kinds
    assert "hyperscaler" in kinds
    (factor,) = resolve(economy, [{"name": "hyperscaler.capex", "multiply_by": {"uniform": [0.9, 1.1]}}], {})
    assert [economy.kinds[row] for row in factor.rows] == ["hyperscaler"] * len(factor.rows)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("openai.cahs", "'cahs' is not an item – did you mean 'cash'"),
        ("opnai.cash", "no agent, group or contract 'opnai' – did you mean 'openai'"),
        ("cash", "is no parameter; write macro.ITEM"),
        ("us_banks.deposits", "deposits follow from the cash that others hold"),
        ("openai.equity_book", "book equity follows from the other stocks"),
        ("macro.recovery", "'recovery' is not an item"),
        ("oai_orcl_300.end", "'end' can't be varied .*amount, take_or_pay"),
        ("shock.rate_hike.up", "'rate_hike' is not the chosen shock .*rate_hold"),
        ("shock.rate_hold.cut", "has no change 'cut' .*rate_hold, cuts_priced_out"),
        ("lever.lender.risk_apetite", "unknown lever – did you mean 'lender.risk_appetite'"),
        ("lever.lender.risk_appetite", "nothing states a range"),
        ({"name": "all.tax_rate", "low": 0.2}, "low and high come together"),
        ({"name": "all.tax_rate", "low": 0.3, "high": 0.2}, "low 0.3 is not below high 0.2"),
        ({"name": "all.tax_rate", "low": 0.3, "high": 1.2}, "leaves what is allowed"),
        ({"name": "all.tax_rate", "hihg": 1.2}, "unknown key 'hihg' – did you mean 'high'"),
        ({"name": "all.tax_rate", "beta": [1, 2]}, "unknown key 'beta'"),
        ({"name": "all.tax_rate", "triangular": [0.3, 0.2]}, "triangular takes"),
        ({"low": 1}, "neither a name nor a mapping with a name"),
        ({"name": "oai_orcl_300.ramp_months", "multiply_by": {"uniform": [0.5, 2]}}, "whole number of months"),
        ({"name": "hyperscaler.capex", "multiply_by": 2}, "2 is not a distribution"),
    ],
)  # fmt: skip
def test_what_is_no_parameter_is_told_in_one_line(economy: Economy, asked: object, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        resolve(economy, [asked], _parts(economy, 48))  # type: ignore[list-item]
    assert "\n" not in str(caught.value)


def test_no_number_is_drawn_twice(economy: Economy) -> None:
    with pytest.raises(InputError, match=r"openai.cash and all.cash reach the same number|all.cash and openai.cash"):
        resolve(economy, ["openai.cash", {"name": "all.cash", "multiply_by": {"uniform": [0.9, 1.1]}}], {})
    with pytest.raises(InputError, match="named twice"):
        resolve(economy, ["openai.cash", "openai.cash"], {})


def test_where_none_is_named_the_sizes_of_the_shocks_come_first_and_then_the_house_list(economy: Economy) -> None:
    names = [each.name for each in resolve(economy, [], _parts(economy, 48), most=6)]
    assert len(names) == 6
    assert names[:2] == ["shock.rate_hold.rate_hold", "shock.rate_hold.cuts_priced_out"]
    assert "macro.recovery_unsecured" in names
