"""Shock and policy files: what is read, and the one line that answers each mistake."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from scenarios.changes import Change, month_name, month_number, parse_changes
from simulator.errors import InputError

ECONOMY = SimpleNamespace(
    ids=("nvidia", "openai", "bank", "fund"),
    kinds=("chipmaker", "ai_lab", "lender", "lender"),
    lender_types=("", "", "bank", "fund"),
    jurisdictions=("us", "us", "us", "eu"),
)
GOOD: dict[str, Any] = {"lever": "lab_shares.value", "multiply_by": 0.6, "starts": "2026-10", "source": "assumption"}


def parse(content: object) -> tuple[Change, ...]:
    return parse_changes(content, "shock/mine", start="2025-12", horizon_months=60, sources=["taylor1993"], economy=ECONOMY)


def without(*keys: str, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key not in keys} | more


def test_a_whole_change_is_read_as_written() -> None:
    entry = GOOD | {"builds_over_months": 1, "lasts_months": 12, "fades_over_months": 18, "agents": ["openai"], "low": 0.3, "high": 0.8}
    assert parse({"devaluation": entry | {"source": "taylor1993"}}) == (
        Change("devaluation", "lab_shares.value", "multiply_by", 0.6, 10, 1, 12, 18, ("openai",), "taylor1993", 0.3, 0.8),
    )


def test_an_empty_file_has_no_changes() -> None:
    assert parse(None) == parse({}) == ()


def test_after_nine_months_is_the_tenth_tick() -> None:
    assert parse({"a": without("starts", starts_after_months=9)})[0].starts == parse({"a": GOOD})[0].starts == 10


def test_the_largest_of_a_kind_is_chosen_by_market_value_and_of_lenders_by_assets() -> None:
    economy = SimpleNamespace(
        ids=("small", "large", "bank", "fund"),
        kinds=("ai_lab", "ai_lab", "lender", "lender"),
        lender_types=("", "", "bank", "fund"),
        jurisdictions=("us", "us", "us", "us"),
        values={"market_value": [1.0, 2.0, 9.0, 0.0]},
        balance_sheet=lambda: {"total_assets": [9.0, 1.0, 5.0, 4.0]},
    )
    for words, agent in (("largest ai_lab", "large"), ("largest lender", "bank"), ("largest nonbank", "fund"), ("largest fund", "fund")):
        content = {"a": {"lever": "agent.failure", "set_to": 1, "starts": "2026-10", "agents": [words], "source": "assumption"}}
        (change,) = parse_changes(content, "shock/mine", start="2025-12", horizon_months=60, sources=[], economy=economy)
        assert change.agents == (agent,)


def test_months_have_numbers_and_names() -> None:
    assert month_number("2026-01") - month_number("2025-12") == 1
    assert month_name(month_number("2026-10")) == "2026-10"


MISTAKES: list[tuple[object, str]] = [
    ([GOOD], "shock/mine: must be a mapping of named changes, not a list"),
    ({"title": "Bad times"}, "shock/mine: title: must be a change with a lever, not 'Bad times'"),
    ({"a": without("lever")}, "lever is missing"),
    ({"a": GOOD | {"lever": "lab_share.value"}}, "unknown lever 'lab_share.value' – did you mean 'lab_shares.value'?"),
    ({"a": GOOD | {"multiply": 2}}, "unknown key 'multiply' – did you mean 'multiply_by'?"),
    ({"a": without("multiply_by")}, "give one of multiply_by, add, set_to"),
    ({"a": GOOD | {"add": 0.1}}, "multiply_by and add exclude each other"),
    ({"a": GOOD | {"multiply_by": 5.0}}, "multiply_by: 5 is above 3 (allowed for lab_shares.value: 0.01 to 3, factor)"),
    ({"a": GOOD | {"multiply_by": "half"}}, "multiply_by: 'half' is not a number"),
    ({"a": GOOD | {"multiply_by": float("nan")}}, "multiply_by: 'nan' is not a number"),
    ({"a": GOOD | {"multiply_by": True}}, "multiply_by: 'True' is not a number"),
    ({"a": without("multiply_by", lever="central_bank.rate_shift", multiply_by=2)}, "use add or set_to"),
    ({"a": without("multiply_by", lever="central_bank.rate_shift", add=-0.3)}, "add: -0.3 is below -0.05"),
    ({"a": GOOD | {"starts": "October 2026"}}, "starts: 'October 2026' is not a month; write YYYY-MM"),
    ({"a": GOOD | {"starts": "2026-13"}}, "starts: '2026-13' is not a month"),
    ({"a": GOOD | {"starts": datetime.date(2026, 10, 5)}}, "starts: '2026-10-05' is not a month"),
    ({"a": GOOD | {"starts": "2025-12"}}, "starts: 2025-12 is outside the run (2026-01 to 2030-12; horizon_months=60)"),
    ({"a": GOOD | {"starts": "2031-01"}}, "starts: 2031-01 is outside the run"),
    ({"a": without("starts")}, "starts and starts_after_months are both missing"),
    ({"a": GOOD | {"starts_after_months": 3}}, "starts and starts_after_months exclude each other"),
    ({"a": without("starts", starts_after_months=60)}, "starts_after_months: 60 is outside the run of 60 months"),
    ({"a": GOOD | {"fades_over_months": -1}}, "fades_over_months: '-1' is not a whole number of months"),
    ({"a": GOOD | {"builds_over_months": 1.5}}, "builds_over_months: '1.5' is not a whole number"),
    ({"a": GOOD | {"lasts_months": 0}}, "lasts_months: '0' is not a whole number of months from 1"),
    ({"a": GOOD | {"lasts_months": None}}, "lasts_months: is empty"),
    ({"a": GOOD | {"agents": ["opena"]}}, "agents: unknown agent 'opena' in this economy – did you mean 'openai'?"),
    ({"a": GOOD | {"agents": ["nvidia"]}}, "agents: nvidia is a chipmaker, which lab_shares.value (agents: ai_lab) does not reach"),
    ({"a": GOOD | {"agents": ["largest ai_lob"]}}, "agents: 'largest ai_lob' names no kind of agents – did you mean 'ai_lab'?"),
    ({"a": GOOD | {"agents": ["largest utility"]}}, "agents: 'largest utility': this economy has no utility"),
    ({"a": GOOD | {"agents": "openai"}}, "agents: 'openai' is not a list of agent ids"),
    ({"a": GOOD | {"agents": ["openai", "openai"]}}, "agents: openai is named twice"),
    ({"a": GOOD | {"jurisdictions": "us"}}, "jurisdictions: 'us' is not a list of jurisdictions"),
    ({"a": GOOD | {"jurisdictions": ["moon"]}}, "jurisdictions: no agent of this economy is in 'moon' (there are: eu, us)"),
    ({"a": GOOD | {"lever": "power.price", "jurisdictions": ["us"]}}, "jurisdictions: power.price is a global lever and takes no jurisdictions"),
    ({"a": GOOD | {"lever": "power.price", "agents": ["openai"]}}, "agents: power.price is a global lever and takes no agents"),
    ({"a": GOOD | {"lever": "bank.risk_appetite", "agents": ["fund"]}}, "bank.risk_appetite (agents: bank) does not reach"),
    ({"a": GOOD | {"source": "taylor1992"}}, "source: 'taylor1992' is neither 'assumption' nor a key"),
    ({"a": without("source")}, "source is missing"),
    ({"a": GOOD | {"low": 0.7, "high": 0.8}}, "low 0.7 and high 0.8 do not bracket multiply_by 0.6"),
    ({"a": GOOD | {"low": 0.3}}, "low and high belong together"),
    ({"a": GOOD | {"low": 0.0, "high": 0.8}}, "low: 0 is below 0.01"),
    ({"a": without("multiply_by", lever="agent.failure", set_to=1)}, "agent.failure needs agents"),
    ({"a": without("multiply_by", lever="agent.failure", set_to=1, agents=["openai"], fades_over_months=3)}, "happens at once"),
]


@pytest.mark.parametrize(("content", "told"), MISTAKES, ids=[told[:60] for _, told in MISTAKES])
def test_every_mistake_is_told_in_one_line(content: object, told: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(content)
    assert told in str(caught.value)
    assert str(caught.value).startswith("shock/mine: ")
    assert "\n" not in str(caught.value)
