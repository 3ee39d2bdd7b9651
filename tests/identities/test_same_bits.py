"""The same seed gives the same numbers, to the bit, however the replications are stepped, cut up, or shocked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from scenarios.changes import Change, Scenario
from scenarios.distributions import Distribution
from scenarios.levers import LEVERS
from scenarios.loading import load_economy
from simulator.engine.inputs import named_changes
from simulator.engine.model import ContagionModel
from simulator.engine.montecarlo import Plan, run_scenarios
from simulator.ledger.names import CHANNELS

MONTHS = 24
ECONOMY = "us_ai_2025"
SHOCK = ("rate_hold", "collateral_devaluation")
FAILURES = (Change("failures", "agent.failure", "set_to", 1.0, 6, agents=("coreweave", "openai")),)
"""Two failures in June, so that estates are settled whatever the calibration."""
TABLES = ("loans", "stakes", "orders", "leases", "guarantees")
KEYS = {
    "replications": ["scenario", "replication"],
    "defaults": ["scenario", "replication", "tick", "wave", "agent"],
    "losses": ["scenario", "replication", "tick", "wave", "from_agent", "to_agent", "channel", "reason"],
    "causes": ["scenario", "replication", "tick", "agent", "from_agent", "channel", "reason"],
    "attribution": ["scenario", "replication", "tick", "agent"],
    "ticks": ["scenario", "replication", "tick"],
}


def run(replications: Iterable[int], shock: Sequence[str] = (), **options: Any) -> ContagionModel:
    options = {"horizon_months": MONTHS, "mesa_agents": False, "changes": FAILURES if shock else (), **options}
    return ContagionModel(ECONOMY, shock, replications=replications, **options).run()


def state(model: ContagionModel, number: int) -> dict[str, np.ndarray]:
    """Everything a replication has come to: columns, contract states, series of the last tick, series of all ticks, and accounts."""
    position = model.replications.index(number)
    width = len(model.replications)

    def one(array: np.ndarray) -> np.ndarray:
        column = position if array.shape[-1] == width else 0
        return np.ascontiguousarray(array[..., column])

    books, ledger = model.books, model.ledger
    found = {f"column {name}": one(values) for name, values in books.columns.items()}
    found |= {f"{table} {name}": one(values) for table in TABLES for name, values in getattr(books, table).state.items()}
    found |= {f"series {name}": one(np.broadcast_to(values, (1, width))) for name, values in books.series.items()}
    found |= {f"recorded {name}": one(values) for name, values in model.recorder.series.items()}
    found |= {f"lost by {tag}": one(amount) for tag, amount in {**ledger.loss_by_tag, **ledger.loss_by_nature}.items()}
    for account, amounts in ledger.losses.items():
        if one(amounts).any():  # a batch keeps an account that only another replication has used
            found[f"losses {account}"] = one(amounts)
    return found | {f"attributed {tag}": one(amounts) for tag, amounts in ledger.attributed().items()}


def assert_same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if one[name].tobytes() != other[name].tobytes()]
    assert different == []


@pytest.fixture(scope="module", params=[(), SHOCK], ids=["no_shock", "shock"])
def shock(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


@pytest.fixture(scope="module")
def one_at_a_time(shock: tuple[str, ...]) -> dict[int, dict[str, np.ndarray]]:
    """Replications 1 and 6, one Mesa agent at a time, each alone."""
    found = {}
    for number in (1, 6):
        model = run((number,), shock, stepping="agents", mesa_agents=True)
        assert len(model.agents) == model.books.agents
        found[number] = state(model, number)
    return found


@pytest.mark.parametrize("batch", [(6,), (0, 1), range(7), pytest.param(range(257), marks=pytest.mark.slow)], ids=len)
def test_one_agent_at_a_time_and_cohorts_of_any_width_give_the_same_bits(
    batch: Sequence[int], shock: tuple[str, ...], one_at_a_time: dict[int, dict[str, np.ndarray]]
) -> None:
    cohorts = run(batch, shock)
    compared = [number for number in one_at_a_time if number in batch]
    assert compared
    for number in compared:
        assert_same_bits(state(cohorts, number), one_at_a_time[number])


def test_defaults_happen_in_every_shocked_replication_that_was_compared(
    shock: tuple[str, ...], one_at_a_time: dict[int, dict[str, np.ndarray]]
) -> None:
    dead = [float(np.cumsum(1.0 - found["column alive"])[-1]) for found in one_at_a_time.values()]
    assert min(dead) >= (2.0 if shock else 0.0)


def test_one_agent_at_a_time_gives_the_same_bits_in_a_batch_too() -> None:
    cohorts = run((4, 0), SHOCK, horizon_months=12)
    singles = run((4, 0), SHOCK, horizon_months=12, stepping="agents", mesa_agents=True)
    for number in (4, 0):
        assert_same_bits(state(cohorts, number), state(singles, number))


def test_replication_7_alone_equals_replication_7_in_a_batch_in_any_order() -> None:
    alone = state(run((7,), SHOCK), 7)
    for batch in (range(5, 9), (12, 7, 3, 0, 5)):
        assert_same_bits(state(run(batch, SHOCK), 7), alone)


def sorted_tables(replications: int, chunk: int, months: int, record: str = "ticks", workers: int = 1) -> dict[str, pd.DataFrame]:
    economy = load_economy(ECONOMY)
    shocked = Scenario("shocked", SHOCK, (), (*FAILURES, *named_changes(economy, SHOCK, (), months)), {})
    scenarios = (Scenario("calm", (), (), (), {}), shocked)
    tables = run_scenarios(economy, scenarios, Plan(replications, 1, chunk, months, record, workers=workers))
    keys = {**KEYS, "agents": ["scenario", "replication", "tick", "agent"]}
    return {name: table.sort_values(keys[name], ignore_index=True) for name, table in tables.items()}


def assert_same_tables(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for name, table in one.items():
        assert_frame_equal(table, other[name], check_exact=True, obj=name)


def test_chunks_of_any_size_give_the_same_tables() -> None:
    whole = sorted_tables(4, 64, 11)
    assert len(whole["defaults"])
    for chunk in (1, 3):
        assert_same_tables(sorted_tables(4, chunk, 11), whole)


@pytest.mark.slow
def test_chunks_of_any_size_give_the_same_tables_in_many_replications() -> None:
    whole = sorted_tables(66, 512, 60)
    for chunk in (7, 64):
        assert_same_tables(sorted_tables(66, chunk, 60), whole)
    assert_same_tables(sorted_tables(9, 1, 60), sorted_tables(9, 512, 60))  # one at a time is slow


@pytest.mark.slow
def test_two_processes_give_the_same_tables_as_one() -> None:
    assert_same_tables(sorted_tables(8, 2, 11, workers=2), sorted_tables(8, 64, 11))


def test_chunks_of_any_size_give_the_same_panel_of_agents() -> None:
    assert_same_tables(sorted_tables(3, 2, 11, "agents"), sorted_tables(3, 3, 11, "agents"))


def test_a_shorter_horizon_is_a_prefix_of_a_longer_one() -> None:
    short, long = run(range(3), SHOCK, horizon_months=13), run(range(3), SHOCK, horizon_months=30)
    for name, series in short.recorder.series.items():
        assert series.tobytes() == np.ascontiguousarray(long.recorder.series[name][:13]).tobytes(), name
    early = long.recorder.tables("run")["defaults"]
    assert len(early)
    assert_frame_equal(short.recorder.tables("run")["defaults"], early[early["tick"] < 13].reset_index(drop=True), check_exact=True)


def draws_of(model: ContagionModel) -> list[bytes]:
    return [draw.tobytes() for tick in range(model.horizon_months) for draw in model.draws.at(tick).values()]


def test_a_policy_a_shock_and_a_channel_leave_the_draws_the_same() -> None:
    plain = ContagionModel(ECONOMY, replications=range(3), horizon_months=12, mesa_agents=False)
    moved = (
        ContagionModel(ECONOMY, policy="rate_cut", replications=range(3), horizon_months=12, mesa_agents=False),
        ContagionModel(ECONOMY, "funding_freeze", replications=range(3), horizon_months=12, mesa_agents=False),
        ContagionModel(ECONOMY, replications=range(3), horizon_months=12, mesa_agents=False, channels=dict.fromkeys(CHANNELS, False)),
    )
    for model in moved:
        assert draws_of(model.run()) == draws_of(plain)


def test_before_a_policy_starts_the_run_is_that_without_it() -> None:
    plain, policy = run(range(3), horizon_months=12), run(range(3), horizon_months=12, policy="rate_cut")  # from month 11
    for name, series in plain.recorder.series.items():
        assert series[:10].tobytes() == policy.recorder.series[name][:10].tobytes(), name
    assert any(series[10:].tobytes() != policy.recorder.series[name][10:].tobytes() for name, series in plain.recorder.series.items())


QUICK = ("counterparty", "equity", "expectation")


@pytest.mark.parametrize("channel", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CHANNELS])
def test_a_channel_switched_off_in_one_replication_leaves_its_neighbour_alone(channel: str) -> None:
    switched = run((0, 1, 2), SHOCK, horizon_months=12, channels={channel: np.array([1.0, 0.0, 1.0])})
    plain = run((0, 1, 2), SHOCK, horizon_months=12)
    off = run((1,), SHOCK, horizon_months=12, channels={channel: False})
    for number in (0, 2):
        for name, series in plain.recorder.series.items():
            assert series[:, number].tobytes() == switched.recorder.series[name][:, number].tobytes(), name
    for name, series in off.recorder.series.items():
        assert series[:, 0].tobytes() == np.ascontiguousarray(switched.recorder.series[name][:, 1]).tobytes(), name


def _every_lever_by_chance() -> tuple[Change, ...]:
    """A small random move of every lever, each at a date of its own and in half of the replications."""
    changes = []
    for lever in LEVERS.values():
        if lever.unit == "flag" or lever.key != lever.name:
            continue
        step = 0.02 * (lever.high - lever.low)
        far = lever.neutral + step if lever.neutral + step <= lever.high else lever.neutral - step
        sizes, dates = Distribution("uniform", tuple(sorted((lever.neutral, far)))), Distribution("uniform", (1.0, 6.0))
        changes.append(Change(f"move_{lever.name}", lever.name, "set_to", sizes.middle, 3, sizes=sizes, dates=dates, probability=0.5))
    failure = Change("failure", "agent.failure", "set_to", 1.0, 4, agents=("cloud",), dates=Distribution("uniform", (2.0, 9.0)), probability=0.5)
    return (*changes, failure)


def test_levers_that_differ_by_replication_give_the_same_bits_alone_and_in_a_batch() -> None:
    options: dict[str, Any] = {"horizon_months": 12, "changes": _every_lever_by_chance()}
    batch = ContagionModel("three_firms", replications=range(9), mesa_agents=False, **options).run()
    assert np.ptp(batch.books["alive"][batch.economy.ids.index("cloud")]) == 1.0  # it fails in some replications only
    for number in (2, 5):
        alone = ContagionModel("three_firms", replications=(number,), stepping="agents", **options).run()
        assert_same_bits(state(alone, number), state(batch, number))
