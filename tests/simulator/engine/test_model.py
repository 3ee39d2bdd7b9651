"""The model as a user of Mesa meets it."""

from __future__ import annotations

import mesa
import numpy as np
import pytest

from agents.ai_lab import AILab
from agents.hyperscaler import Hyperscaler
from agents.registry import AGENT_CLASSES
from simulator.engine.model import ContagionModel
from simulator.errors import InputError


@pytest.fixture(scope="module")
def model() -> ContagionModel:
    found = ContagionModel("us_ai_2025", horizon_months=3)
    found.step()
    return found


def test_it_is_a_mesa_model_with_one_mesa_agent_for_every_row(model: ContagionModel) -> None:
    assert isinstance(model, mesa.Model)
    assert len(model.agents) == len(model.economy.ids)
    assert [agent.name for agent in model.agents_by_row] == list(model.economy.ids)
    assert all(isinstance(agent, mesa.Agent) for agent in model.agents)


def test_agents_by_type_holds_the_agents_of_a_kind(model: ContagionModel) -> None:
    for kind, cls in AGENT_CLASSES.items():
        rows = model.economy.rows(kind)
        assert len(model.agents_by_type[cls]) == rows.stop - rows.start if rows.stop > rows.start else cls not in model.agents_by_type


def test_a_stock_of_an_agent_is_a_plain_float(model: ContagionModel) -> None:
    for agent in model.agents_by_type[Hyperscaler]:
        assert type(agent.cash) is float
        assert type(agent.wanted_investment()) is float
        assert agent.cash == float(model.books["cash"][agent.row, 0])


def test_an_agent_set_can_be_aggregated_selected_and_asked(model: ContagionModel) -> None:
    labs = model.agents_by_type[AILab]
    total = labs.agg("cash", sum)
    assert isinstance(total, float)
    assert total == pytest.approx(float(model.books["cash"][model.books.rows["ai_lab"]].sum()))
    rich = labs.select(lambda lab: lab.cash > 0.5 * labs.agg("cash", max))
    assert 1 <= len(rich) <= len(labs)
    assert labs.get("kind") == ["ai_lab"] * len(labs)
    assert all(isinstance(answer, float) for answer in labs.map("wanted_round"))


def test_a_data_collector_of_mesa_collects_from_it() -> None:
    model = ContagionModel("three_firms", horizon_months=2)
    collector = mesa.DataCollector(
        model_reporters={"policy_rate": lambda found: float(found.books.series["policy_rate"][0, 0])}, agent_reporters={"cash": "cash"}
    )
    for _ in range(2):
        model.step()
        collector.collect(model)
    assert len(collector.get_model_vars_dataframe()) == 2
    assert collector.get_agent_vars_dataframe()["cash"].notna().all()


def test_nobody_but_the_ledger_writes_a_stock(model: ContagionModel) -> None:
    agent = next(iter(model.agents_by_type[AILab]))
    with pytest.raises(AttributeError, match="written by the ledger only"):
        agent.cash = 5.0


def test_with_several_replications_an_agent_reads_one_number_for_each() -> None:
    model = ContagionModel("three_firms", replications=range(4), horizon_months=2)
    model.step()
    lab = next(iter(model.agents_by_type[AILab]))
    assert lab.cash.shape == (4,)
    assert lab.wanted_round().shape == (4,)


def test_one_step_more_than_the_horizon_is_an_error() -> None:
    model = ContagionModel("three_firms", horizon_months=2)
    model.step()
    model.step()
    with pytest.raises(IndexError, match="horizon of 2 months"):
        model.step()


def test_run_steps_to_the_horizon_and_gives_the_model_back() -> None:
    model = ContagionModel("three_firms", horizon_months=4)
    model.step()
    assert model.run() is model
    assert model.books.tick == 4


def test_an_unknown_economy_shock_or_policy_is_answered_in_one_line() -> None:
    for arguments in (("us_ai_2052",), ("three_firms", "rate_hlod"), ("three_firms", (), "rate_cutt")):
        with pytest.raises(InputError) as error:
            ContagionModel(*arguments, horizon_months=24)
        assert "\n" not in str(error.value)
        assert "did you mean" in str(error.value)


def test_a_model_takes_several_shocks_and_policies() -> None:
    model = ContagionModel("three_firms", ["rate_hold", "collateral_devaluation"], ["rate_cut"], horizon_months=14)
    assert {"rate_hold", "collateral_devaluation", "rate_cut"} <= {change.name for change in model.changes}


def test_an_economy_may_be_given_as_such(small_economy: object) -> None:
    economy = small_economy({"cloud": {"kind": "cloud", "cash": 20.0, "capacity": 30.0, "outside_revenue": 10.0, "market_value": 20.0}})  # type: ignore[operator]
    model = ContagionModel(economy, replications=range(2), horizon_months=6).run()
    assert np.isfinite(model.books["cash"]).all()


def test_an_unshocked_twin_is_kept_only_when_an_amplifier_is_off() -> None:
    assert ContagionModel("three_firms", horizon_months=2).twin is None
    assert ContagionModel("three_firms", horizon_months=2, channels={"equity": False}).twin is None
    assert ContagionModel("three_firms", horizon_months=2, channels={"spread": False}).twin is not None


def test_without_a_shock_an_amplifier_that_is_off_changes_nothing() -> None:
    plain = ContagionModel("us_ai_2025", replications=(0, 1), horizon_months=8, mesa_agents=False).run()
    off = ContagionModel(
        "us_ai_2025", replications=(0, 1), horizon_months=8, mesa_agents=False,
        channels=dict.fromkeys(("spread", "expectation", "power", "household", "short"), False),
    ).run()  # fmt: skip
    for name, series in plain.recorder.series.items():
        assert series.tobytes() == off.recorder.series[name].tobytes(), name
