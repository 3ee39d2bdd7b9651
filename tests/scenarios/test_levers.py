"""The table of levers and what they stand at in every tick."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from scenarios.changes import Change
from scenarios.levers import LEVERS, LeverSchedule, find_lever, strength
from simulator.errors import InputError
from simulator.ledger.names import KINDS, LENDER_TYPES

ECONOMY = SimpleNamespace(
    ids=("nvidia", "openai", "xai", "bank", "fund"),
    kinds=("chipmaker", "ai_lab", "ai_lab", "lender", "lender"),
    lender_types=("", "", "", "bank", "fund"),
    jurisdictions=("us", "us", "us", "us", "eu"),
)


def schedule(*changes: Change, ticks: int = 24) -> LeverSchedule:
    return LeverSchedule(changes, ECONOMY, ticks)


def multiply(lever: str, amount: float, starts: int = 1, **more: object) -> Change:
    return Change("change", lever, "multiply_by", amount, starts, **more)


def add(lever: str, amount: float, starts: int = 1, **more: object) -> Change:
    return Change("change", lever, "add", amount, starts, **more)


def set_to(lever: str, amount: float, starts: int = 1, **more: object) -> Change:
    return Change("change", lever, "set_to", amount, starts, **more)


def series(plan: LeverSchedule, lever: str, row: int = 0) -> list[float]:
    return [round(float(plan.at(tick)[lever][row, 0]), 12) for tick in range(plan.ticks)]


def test_every_lever_is_neutral_inside_its_range_and_speaks_of_known_agents() -> None:
    for name, lever in LEVERS.items():
        assert name == lever.name
        assert lever.low <= lever.neutral <= lever.high
        assert lever.meaning
        assert lever.unit
        assert lever.scope in ("global", "agents")
        assert lever.operation in ("multiply", "add", "set")
        assert lever.kind in (None, *KINDS)
        assert lever.lender_type in (None, *LENDER_TYPES)
        assert lever.key in LEVERS
        assert lever.neutral == (1.0 if lever.operation == "multiply" else 10.0 if name.endswith(".leverage_cap") else 0.0)


def test_an_unknown_lever_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"unknown lever 'lab_share.value' – did you mean 'lab_shares.value'\?"):
        find_lever("lab_share.value")


def test_without_changes_every_tick_gives_the_same_neutral_object() -> None:
    plan = schedule()
    assert all(plan.at(tick) is plan.neutral for tick in range(plan.ticks))
    assert not any(plan.changed(tick) for tick in range(plan.ticks))
    for name, values in plan.neutral.items():
        assert values.shape == ((5, 1) if LEVERS[name].scope == "agents" else (1, 1))
        assert (values == LEVERS[name].neutral).all()


def test_what_the_schedule_hands_out_can_not_be_written() -> None:
    plan = schedule(multiply("lab_shares.value", 0.5))
    for values in (*plan.at(0).values(), *plan.neutral.values()):
        assert not values.flags.writeable
    with pytest.raises(TypeError):
        plan.at(0)["lab_shares.value"] = np.ones((5, 1))  # type: ignore[index]


def test_a_change_of_month_m_acts_in_the_tick_of_month_m() -> None:
    plan = schedule(multiply("accelerators.resale_value", 0.75, starts=10))
    assert series(plan, "accelerators.resale_value") == [1.0] * 9 + [0.75] * 15


def test_the_same_object_comes_back_while_nothing_changes() -> None:
    plan = schedule(multiply("lab_shares.value", 0.5, starts=4, lasts=3))
    assert [plan.changed(tick) for tick in range(10)] == [False, False, False, True, False, False, True, False, False, False]
    assert plan.at(3) is plan.at(5)
    assert plan.at(3) is not plan.at(6)


def test_levers_that_do_not_move_keep_their_arrays() -> None:
    plan = schedule(multiply("lab_shares.value", 0.5, starts=4))
    assert plan.at(10)["power.price"] is plan.neutral["power.price"]


def test_a_change_builds_linearly_holds_and_fades_linearly_to_neutral() -> None:
    change = multiply("lab_shares.value", 0.6, starts=3, builds=2, lasts=3, fades=4)
    expected = [1.0, 1.0, 0.8, 0.6, 0.6, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0, 1.0]
    assert series(schedule(change, ticks=12), "lab_shares.value", row=1) == expected


def test_a_change_without_end_stays_for_good() -> None:
    assert strength(add("cds.premium", 0.01, starts=2, builds=4), 8).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]


def test_a_change_that_only_fades_has_full_force_in_its_first_month() -> None:
    assert strength(multiply("ai_lab.tranche_share", 0.25, starts=2, fades=4), 8).tolist() == [0, 1, 0.75, 0.5, 0.25, 0, 0, 0]


def test_a_change_that_only_lasts_ends_at_once() -> None:
    assert strength(multiply("ai_lab.tranche_share", 0.25, starts=2, lasts=3), 8).tolist() == [0, 1, 1, 1, 0, 0, 0, 0]


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    change = multiply("lab_shares.value", 0.6, starts=3, builds=2, lasts=3, fades=4)
    assert series(schedule(change, ticks=24), "lab_shares.value", 1)[:7] == series(schedule(change, ticks=7), "lab_shares.value", 1)


def test_factors_multiply_addends_add_and_a_set_value_replaces() -> None:
    plan = schedule(
        multiply("lab_shares.value", 0.5),
        multiply("lab_shares.value", 0.8),
        add("central_bank.rate_shift", 0.01),
        add("central_bank.rate_shift", -0.004),
        add("borrower.leverage_cap", -1.0),
        set_to("borrower.leverage_cap", 0.6, starts=3),
    )
    assert series(plan, "lab_shares.value", row=1)[0] == 0.4
    assert series(plan, "central_bank.rate_shift")[0] == 0.006
    assert series(plan, "borrower.leverage_cap")[:4] == [9.0, 9.0, 0.6, 0.6]


def test_the_total_stays_inside_the_range_of_the_lever() -> None:
    plan = schedule(multiply("lab_shares.value", 0.05), multiply("lab_shares.value", 0.05))
    assert series(plan, "lab_shares.value", row=1)[0] == LEVERS["lab_shares.value"].low


def test_a_lever_of_a_kind_leaves_the_other_kinds_neutral() -> None:
    assert schedule(multiply("lab_shares.value", 0.5)).at(0)["lab_shares.value"][:, 0].tolist() == [1.0, 0.5, 0.5, 1.0, 1.0]


def test_a_change_may_name_the_agents_it_reaches() -> None:
    plan = schedule(multiply("lab_shares.value", 0.5, agents=("xai",)))
    assert plan.at(0)["lab_shares.value"][:, 0].tolist() == [1.0, 1.0, 0.5, 1.0, 1.0]


def test_risk_appetite_of_one_type_of_lender_acts_on_that_of_all() -> None:
    plan = schedule(multiply("lender.risk_appetite", 0.8), multiply("fund.risk_appetite", 0.5))
    assert plan.at(0)["lender.risk_appetite"][:, 0].tolist() == [1.0, 1.0, 1.0, 0.8, 0.4]
    assert "fund.risk_appetite" not in plan.at(0)


def test_two_different_set_values_for_one_agent_and_month_are_refused() -> None:
    with pytest.raises(InputError, match="set borrower.leverage_cap of nvidia to different values"):
        schedule(set_to("borrower.leverage_cap", 0.6), set_to("borrower.leverage_cap", 0.7))


def test_two_equal_set_values_and_set_values_of_different_agents_or_months_agree() -> None:
    twice = schedule(set_to("central_bank.hold", 1.0), set_to("central_bank.hold", 1.0, starts=3))
    assert series(twice, "central_bank.hold") == [1.0] * 24
    each = schedule(set_to("borrower.leverage_cap", 0.6, agents=("xai",)), set_to("borrower.leverage_cap", 0.7, agents=("openai",)))
    assert [series(each, "borrower.leverage_cap", row)[0] for row in (1, 2)] == [0.7, 0.6]
    later = schedule(set_to("borrower.leverage_cap", 0.6, lasts=3), set_to("borrower.leverage_cap", 0.7, starts=4))
    assert series(later, "borrower.leverage_cap", 1)[:5] == [0.6, 0.6, 0.6, 0.7, 0.7]


def test_a_lever_back_at_neutral_is_exactly_neutral() -> None:
    plan = schedule(multiply("lab_shares.value", 0.3, lasts=1, fades=3), multiply("lab_shares.value", 0.7, lasts=2))
    assert (plan.at(20)["lab_shares.value"] == 1.0).all()


def test_a_tick_outside_the_run_is_an_index_error() -> None:
    for tick in (-1, 24):
        with pytest.raises(IndexError):
            schedule().at(tick)


def test_a_change_may_reach_the_agents_of_some_jurisdictions_only() -> None:
    plan = schedule(add("lender.haircut", 0.1, jurisdictions=("eu",)))
    assert plan.at(0)["lender.haircut"][:, 0].tolist() == [0.0, 0.0, 0.0, 0.0, 0.1]


def test_a_jurisdiction_where_nobody_is_gets_a_line() -> None:
    with pytest.raises(InputError, match=r"jurisdictions: no agent of this economy is in 'moon'"):
        schedule(add("lender.haircut", 0.1, jurisdictions=("moon",)))


def test_two_files_that_set_one_lever_differently_are_told_by_file_where_their_changes_share_a_name() -> None:
    from scenarios.loading import load_economy
    from simulator.engine.inputs import named_changes

    economy = load_economy("three_firms")
    changes = named_changes(economy, (), ("fiscal_backstop", "bail_out"), 24)
    with pytest.raises(InputError, match=r"bail_out \(policy/fiscal_backstop\) and bail_out \(policy/bail_out\) set government.bail_out_share"):
        LeverSchedule(changes, economy, 24)
