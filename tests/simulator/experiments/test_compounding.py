"""Several shocks alone and together."""

from __future__ import annotations

import pytest

from simulator.api import experiment
from simulator.errors import InputError
from simulator.menu import compose


def test_the_excess_is_the_whole_less_the_sum_of_the_parts() -> None:
    run = experiment(
        "compounding", economy="three_firms", replications=12, horizon_months=18,
        shocks=["rate_hike", "ai_winter"], outcomes=["total_loss", "investment_total"],
    )  # fmt: skip
    assert run.study is not None
    parts = run.study.tables["parts"].set_index(["outcome", "part"])["value"]
    for name in ("total_loss", "investment_total"):
        assert parts[name, "sum of the parts"] == pytest.approx(parts[name, "rate_hike"] + parts[name, "ai_winter"])
        assert parts[name, "excess"] == pytest.approx(parts[name, "together"] - parts[name, "sum of the parts"])
    assert parts["investment_total", "together"] < 0.0
    assert len(run.study.teller.findings(run.study)) == 3
    assert len(run.study.teller.figures(run.study)) == 2


def test_one_shock_is_no_compound() -> None:
    with pytest.raises(InputError, match=r"shocks: 1 named; a compound of shocks has 2 to 12 parts"):
        compose(["experiment=compounding", "experiment.shocks=[rate_hike]"])
