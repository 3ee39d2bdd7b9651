"""Counterfactuals: the same draws with a channel off, without channels, without the shock."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scenarios.changes import Change
from simulator.api import simulate
from simulator.engine.contributions import PREFIXES, amplification
from simulator.engine.model import ContagionModel
from simulator.engine.randomness import Draws
from simulator.ledger.names import CHANNELS
from simulator.results.dataset import Run

SHOCK = ("demand_shortfall", "collateral_devaluation")
SMALL = {"economy": "three_firms", "replications": 3, "horizon_months": 14}


@pytest.fixture(scope="module")
def run() -> Run:
    return simulate(shock=SHOCK, contributions=True, amplification=True, **SMALL)


@pytest.mark.parametrize("channel", ["equity", "expectation"])
def test_a_contribution_is_the_loss_with_all_channels_less_that_of_a_run_without_one(run: Run, channel: str) -> None:
    assert run.contributions is not None
    without = simulate(shock=SHOCK, channels={channel: False}, **SMALL)
    for measure, prefix in PREFIXES.items():
        difference = run.replications[measure].to_numpy(dtype=float) - without.replications[measure].to_numpy(dtype=float)
        np.testing.assert_array_equal(run.contributions[f"{prefix}_{channel}"].to_numpy(), difference)


def test_every_channel_has_a_contribution_in_every_replication(run: Run) -> None:
    assert run.contributions is not None
    assert run.contributions["replication"].tolist() == list(range(3))
    assert not run.contributions[[f"contribution_{name}" for name in CHANNELS]].isna().any(axis=None)
    assert (run.contributions["contribution_equity"] != 0.0).any()


def test_a_channel_that_the_scenario_has_off_contributes_nothing_that_can_be_told() -> None:
    run = simulate(shock=SHOCK, contributions=True, channels={"equity": False, "spread": False}, **{**SMALL, "replications": 2})
    assert run.contributions is not None
    assert run.contributions[["contribution_equity", "contribution_spread"]].isna().all(axis=None)
    assert not run.contributions["contribution_funding"].isna().any()


def test_amplification_is_made_of_four_runs_on_the_same_draws(run: Run) -> None:
    off = dict.fromkeys(CHANNELS, False)
    loss = {
        (shock, switches): simulate(shock=shock, channels=off if switches == "off" else None, **SMALL).replications["total_loss"].to_numpy()
        for shock in (SHOCK, "none") for switches in ("on", "off")
    }  # fmt: skip
    expected = (loss[SHOCK, "on"] - loss["none", "on"]) / (loss[SHOCK, "off"] - loss["none", "off"])
    np.testing.assert_array_equal(run.replications["amplification"].to_numpy(), expected)


def test_a_shock_that_takes_nothing_by_itself_has_no_amplification() -> None:
    table = pd.DataFrame({
        "total_loss": [9.0, 9.0], "loss_unshocked": [3.0, 3.0], "loss_all_off": [2.0, 0.0], "loss_unshocked_all_off": [0.0, 0.0],
    })  # fmt: skip
    np.testing.assert_array_equal(amplification(table), [3.0, np.nan])


def test_a_policy_stays_in_the_world_without_the_shock() -> None:
    run = simulate(shock=SHOCK, policy="rate_cut", amplification=True, **{**SMALL, "replications": 2})
    assert run.contributions is not None
    plain = simulate(shock="none", policy="rate_cut", **{**SMALL, "replications": 2})
    np.testing.assert_array_equal(run.contributions["loss_unshocked"].to_numpy(), plain.replications["total_loss"].to_numpy())


def test_without_being_asked_for_nothing_counterfactual_is_run() -> None:
    run = simulate(shock=SHOCK, **{**SMALL, "replications": 2})
    assert run.contributions is None
    assert run.replications["amplification"].isna().all()


def test_contributions_survive_saving_and_stand_apart_from_the_losses(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    from simulator.api import load

    assert run.contributions is not None
    again = load(run.save(tmp_path_factory.mktemp("run"), figures=False))
    pd.testing.assert_frame_equal(again.contributions, run.contributions)
    assert not [name for name in again.losses.columns if name.startswith("contribution")]
    assert not [name for name in again.replications.columns if name.startswith("contribution")]


def test_columns_of_one_number_share_the_luck_of_a_shock_that_may_come_or_not() -> None:
    chance = Change("chance", "lab_shares.value", "multiply_by", 0.5, 2, probability=0.5)
    draws = Draws(1, (4, 5, 5, 4, 6), 3, len(ContagionModel("three_firms", horizon_months=1).books.ids))
    assert draws.columns == (4, 5, 5, 4, 6)
    columns = ContagionModel("three_firms", replications=range(5), horizon_months=3, draws=draws, changes=(chance,), mesa_agents=False).run()
    alone = ContagionModel("three_firms", replications=(4, 5, 5, 4, 6)[::4], horizon_months=3, changes=(chance,), mesa_agents=False).run()
    direct = columns.ledger.loss_by_tag["direct"][0]
    assert direct[0] == direct[3]
    assert direct[1] == direct[2]
    np.testing.assert_array_equal(direct[[0, 4]], alone.ledger.loss_by_tag["direct"][0])
