"""Entrants: slots that stay empty until a policy makes entry pay, with money that the books account for."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from agents.entrant import ENTRY_YEARS, NEW_CUSTOMERS, RUNWAY_YEARS, SLOTS, SUCCESS_MAX, TARGET_SHARE, TRAINING_MONTHS, UPKEEP, WORTH_YEARS
from scenarios.changes import Change
from simulator.engine.inputs import opened
from simulator.engine.model import ContagionModel
from simulator.engine.randomness import Draws
from simulator.ledger.names import CHANNELS, ENTRANT

CHEAP = (Change("barrier", "entry.barrier", "multiply_by", 0.6, 3), Change("funding", "government.entry_funding", "set_to", 0.5, 3))
FREE = (Change("barrier", "entry.barrier", "multiply_by", 0.1, 3), Change("funding", "government.entry_funding", "set_to", 1.0, 3))


shipped = cache(opened)
"""An economy opened once for all tests here: what is foreseen in it takes as long to find as a run."""


def run(*changes: Change, economy: Any = "three_firms", months: int = 48, replications: Any = range(6), **more: Any) -> ContagionModel:
    return ContagionModel(shipped(economy), changes=changes, replications=replications, horizon_months=months, mesa_agents=False, **more).run()


@pytest.fixture(scope="module")
def opened() -> ContagionModel:
    return run(*CHEAP)


@pytest.fixture(scope="module")
def closed() -> ContagionModel:
    return run()


def entrants(model: ContagionModel, name: str) -> np.ndarray:
    return model.books[name][model.books.rows[ENTRANT]]


def test_an_economy_without_a_policy_of_entry_has_no_slots(closed: ContagionModel) -> None:
    assert ENTRANT not in closed.economy.kinds
    assert not closed.recorder.series["entrants"].any()


def test_an_economy_without_labs_gets_no_slots() -> None:
    assert ENTRANT not in run(*CHEAP, economy="interbank_gai_kapadia", months=2).economy.kinds


def test_at_todays_cost_of_entry_nobody_enters_even_when_every_round_is_funded() -> None:
    assert ENTRY_YEARS * min(SLOTS) > WORTH_YEARS


def test_empty_slots_move_no_bit_of_anybody(closed: ContagionModel) -> None:
    dormant = run(Change("barrier", "entry.barrier", "multiply_by", 1.0, 3))
    assert dormant.economy.kinds.count(ENTRANT) == len(SLOTS)
    assert not entrants(dormant, "cash").any()
    for name, values in closed.books.columns.items():
        np.testing.assert_array_equal(dormant.books[name][: closed.books.agents], values, err_msg=name)
    for name, values in closed.recorder.series.items():
        np.testing.assert_array_equal(dormant.recorder.series[name], values, err_msg=name)


def test_entry_has_a_cost_that_the_government_and_backers_pay(opened: ContagionModel, closed: ContagionModel) -> None:
    cost = entrants(opened, "entry_cost").sum(axis=0)
    assert (cost > 0.0).all()
    assert (entrants(opened, "cash") >= 0.0).all()
    short = run(*CHEAP, months=3), run(months=3)  # the month of the first entries: nothing else has moved yet
    paid = entrants(short[0], "entry_cost").sum(axis=0)
    bill = short[0].books.series["fiscal_cost"][0] - short[1].books.series["fiscal_cost"][0]
    np.testing.assert_allclose(bill, 0.5 * paid, rtol=1e-9)
    np.testing.assert_allclose(entrants(short[0], "cash").sum(axis=0), (1.0 + RUNWAY_YEARS * UPKEEP) * paid, rtol=1e-9)


def test_nobody_is_served_while_the_model_is_trained_and_no_entrant_wins_more_than_its_limit(opened: ContagionModel) -> None:
    first = run(*CHEAP, months=2 + int(TRAINING_MONTHS))
    assert entrants(first, "entry_month").any()
    assert not entrants(first, "outside_sales").any()
    assert entrants(opened, "outside_sales").any()
    assert (entrants(opened, "share_won") <= SUCCESS_MAX * TARGET_SHARE).all()


def test_labs_lose_what_entrants_win_but_for_new_customers(opened: ContagionModel) -> None:
    books = opened.books
    labs = books["outside_sales"][books.rows["ai_lab"]].sum(axis=0)
    won = entrants(opened, "outside_sales").sum(axis=0)
    np.testing.assert_allclose(labs, books.series["lab_sales"][0] - (1.0 - NEW_CUSTOMERS) * won, rtol=1e-9)


def test_concentration_falls_where_entrants_sell(opened: ContagionModel, closed: ContagionModel) -> None:
    serves = entrants(opened, "outside_sales").any(axis=0)
    assert serves.any()
    now, before = opened.recorder.series["lab_concentration"][-1], closed.recorder.series["lab_concentration"][-1]
    assert (now < before)[serves].all()


def test_an_entrant_without_luck_fails_and_is_counted_apart() -> None:
    model = run(*FREE, months=60, replications=range(24))
    defaults = model.recorder.tables("with entry")
    table, rows = defaults["replications"], defaults["defaults"]
    failed = rows[rows["kind"] == ENTRANT]
    assert len(failed)
    assert table["entrant_defaults"].sum() == len(failed)
    assert table["defaults"].sum() == len(rows) - len(failed)
    assert (failed["debt"] == 0.0).all()
    assert (table["ai_lab_alive_share"] >= 0.0).all()
    assert model.recorder.series["defaults_to_date"][-1].sum() == table["defaults"].sum()


def test_a_replication_has_the_same_entrants_alone_one_agent_at_a_time_and_with_channels_off(opened: ContagionModel) -> None:
    alone = run(*CHEAP, replications=(4,), stepping="agents")
    for name, values in opened.recorder.series.items():
        np.testing.assert_array_equal(values[:, 4], alone.recorder.series[name][:, 0], err_msg=name)
    off = run(*CHEAP, channels=dict.fromkeys(CHANNELS, 0.0))  # the unshocked twin has the slots too, and they stay empty
    assert off.twin is not None
    assert not entrants(off.twin, "cash").any()
    assert entrants(off, "entry_month").any()


def test_nobody_elses_luck_moves_and_an_entrants_luck_is_named_after_it() -> None:
    plain = Draws(1, (3, 5), 4, 7)
    wider = plain.with_more(1, ("entrant_1", "entrant_2"), 4)
    for tick in range(4):
        before, after = plain.at(tick), wider.at(tick)
        for purpose, values in before.items():
            np.testing.assert_array_equal(after[purpose][: len(values)], values)
        assert after["own_demand"].shape == (9, 2)
    single = Draws(1, (5,), 4, 7).with_more(1, ("entrant_2",), 4)
    np.testing.assert_array_equal(single.at(3)["own_demand"][7], wider.at(3)["own_demand"][8][1:])


def test_the_money_of_the_world_is_the_same_with_entrants(opened: ContagionModel) -> None:
    books = opened.books
    assert (entrants(opened, "entry_month") > 0.0).any()
    np.testing.assert_allclose((books["cash"] - books["deposits"]).sum(axis=0), books.money_at_start, rtol=1e-9, atol=1e-9)


# ------------------------------------------------------------------ rules


@pytest.fixture(scope="module")
def waiting() -> ContagionModel:
    return run(*CHEAP, months=2)


def decided(model: ContagionModel, rule: str, barrier: float = 0.6, funding: float = 0.5, **series: float) -> np.ndarray:
    books = model.books
    levers, before = books.levers, dict(books.series)
    books.levers = {**levers, "entry.barrier": np.array([[barrier]]), "government.entry_funding": np.array([[funding]])}
    books.series.update({name: np.full((1, books.replications), value) for name, value in series.items()})
    try:
        return np.array(getattr(model.actor(ENTRANT), rule)())
    finally:
        books.levers, books.series = levers, before


def test_the_ablest_enter_first_and_a_lower_barrier_or_more_public_money_lets_more_enter(waiting: ContagionModel) -> None:
    calm = decided(waiting, "enters", lab_funding=0.7)
    assert (np.diff(calm, axis=0) <= 0.0).all()
    assert calm.sum() < decided(waiting, "enters", barrier=0.3, lab_funding=0.7).sum()
    assert calm.sum() > decided(waiting, "enters", funding=0.0, lab_funding=0.7).sum()


def test_fewer_enter_when_investors_fund_fewer_rounds_and_nobody_without_customers(waiting: ContagionModel) -> None:
    assert decided(waiting, "enters", lab_funding=0.5).sum() < decided(waiting, "enters", lab_funding=0.95).sum()
    assert not decided(waiting, "enters", lab_sales=0.0).any()
    assert not decided(waiting, "enters", barrier=1.0, funding=0.0, lab_funding=1.0).any()


def test_entry_costs_more_in_a_larger_market(waiting: ContagionModel) -> None:
    np.testing.assert_allclose(decided(waiting, "cost_of_entry", lab_sales=4.0), 2.0 * decided(waiting, "cost_of_entry", lab_sales=2.0))
