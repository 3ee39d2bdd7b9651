"""Who pays, and boom and bust: the columns add up, and each class of claimants bears what is its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scenarios.changes import Change
from simulator.engine.model import ContagionModel

FAIL = Change("failure", "agent.failure", "set_to", 1.0, 2, agents=("cloud",))
WORTHLESS = Change("glut", "accelerators.resale_value", "multiply_by", 0.05, 1)
GUARANTEE = Change("guarantee", "government.guarantee_share", "set_to", 0.5, 1)


def table(*changes: Change, months: int = 8, **given: Any) -> Any:
    model = ContagionModel("three_firms", replications=range(6), horizon_months=months, changes=changes, mesa_agents=False, **given)
    return model.run().recorder.outcomes()


@pytest.mark.parametrize("changes", [(), (FAIL,), (FAIL, WORTHLESS, GUARANTEE)], ids=["calm", "failure", "guarantee"])
def test_lenders_shareholders_suppliers_and_public_support_add_to_the_total_loss(changes: tuple[Change, ...]) -> None:
    frame = table(*changes)
    parts = frame["loss_lenders"] + frame["loss_shareholders"] + frame["loss_suppliers"] + frame["loss_government"]
    parts = parts + frame["public_support_lenders"]
    np.testing.assert_allclose(parts, frame["total_loss"], rtol=1e-9, atol=1e-9)
    for name in ("loss_lenders", "loss_shareholders", "loss_suppliers", "loss_taxpayers", "loss_workers"):
        assert (frame[name] > -1e-9).all(), name


def test_a_failed_cloud_costs_its_lenders_and_a_public_guarantee_moves_half_of_it_to_taxpayers() -> None:
    calm, bare, guaranteed = table(), table(FAIL, WORTHLESS), table(FAIL, WORTHLESS, GUARANTEE)
    assert (bare["loss_lenders"] > calm["loss_lenders"]).all()
    assert (bare["public_support_lenders"] == 0.0).all()
    assert (guaranteed["loss_lenders"] < bare["loss_lenders"]).all()
    assert (guaranteed["loss_taxpayers"] > bare["loss_taxpayers"]).all()
    assert (guaranteed["public_support_lenders"] <= guaranteed["loss_taxpayers"] + 1e-9).all()


def test_investment_is_the_opening_pace_and_the_boom_less_the_bust() -> None:
    months = 8
    model = ContagionModel("three_firms", replications=range(3), horizon_months=months, mesa_agents=False).run()
    frame, pace = model.recorder.outcomes(), model.recorder.series["investment"][0]
    expected = pace * months / 12.0 + frame["investment_above_start"] - frame["investment_below_start"]
    np.testing.assert_allclose(frame["investment_total"], expected, rtol=1e-9)
    assert frame["employment_min"].le(frame["employment_mean"]).all()
    assert frame["employment_mean"].between(0.5, 1.0).all()
    assert frame["concentration_end"].between(0.0, 1.0).all()


def test_unemployment_costs_workers_their_earnings() -> None:
    displaced = Change("robots", "household.displacement", "multiply_by", 10.0, 1)
    base, more = table(months=24), table(displaced, months=24)
    assert (more["loss_workers"] > base["loss_workers"]).all()
    assert (more["employment_mean"] < base["employment_mean"]).all()
