"""Uncertain numbers: many points side by side are the same as each economy alone, and the books balance at every point."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from scenarios.economy import Economy
from scenarios.loading import load_economy
from scenarios.parameters import resolve, with_uncertain
from scenarios.variation import economy_at, varied
from simulator.engine.inputs import named_changes
from simulator.engine.model import ContagionModel

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
SHOCKS = ("rate_hold", "collateral_devaluation")


@pytest.fixture(scope="module")
def economy() -> Economy:
    return load_economy("us_ai_2025")


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
