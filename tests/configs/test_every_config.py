"""Every file of the menu composes, validates, and says where its numbers come from."""

from __future__ import annotations

import pytest

from scenarios.changes import parse_changes
from scenarios.lever_table import find_lever
from scenarios.loading import load_economy
from simulator.ledger.names import CHANNELS
from simulator.menu import GROUPS, LISTS, compose, load_file, menu
from simulator.settings import Settings, bibliography_keys, resolve_scenarios

CHOICES = [(group, name) for group in GROUPS for name in menu(group)]
CHANGE_FILES = [(group, name) for group, name in CHOICES if group in LISTS]
ECONOMY = load_economy("three_firms")


def overrides(group: str, name: str) -> list[str]:
    return [f"{group}={name}"] + (["economy.path=somewhere"] if (group, name) == ("economy", "folder") else [])


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_choice_composes_and_its_scenarios_resolve(group: str, name: str) -> None:
    settings = compose(overrides(group, name))
    assert isinstance(settings, Settings)
    scenarios = resolve_scenarios(settings, ECONOMY)
    assert len({scenario.label for scenario in scenarios}) == len(scenarios) >= 1


@pytest.mark.parametrize(("group", "name"), CHANGE_FILES)
def test_every_number_of_a_shock_or_policy_has_a_source_and_a_range(group: str, name: str) -> None:
    changes = parse_changes(
        load_file(group, name), f"{group}/{name}", start="2025-12", horizon_months=60, sources=bibliography_keys(), economy=ECONOMY
    )
    for change in changes:
        written = load_file(group, name)[change.name].get("agents", [])
        assert all(agent.startswith("largest ") for agent in written), "a file of the house suits every economy"
        if change.path or find_lever(change.lever).unit == "flag":
            continue  # a path is the user's own, and a failure has no size
        assert change.low is not None
        assert change.high is not None
        assert change.low < change.high


def test_only_none_and_current_rules_change_nothing() -> None:
    assert [name for group, name in CHANGE_FILES if not load_file(group, name)] == ["none", "current_rules"]


def test_the_policy_comparison_compares_every_policy_of_the_house() -> None:
    compared = compose(["experiment=policy_comparison"]).experiment.compare
    assert sorted(compared) == sorted(set(menu("policy")) - {"current_rules"})


def test_the_defaults_are_those_of_the_house() -> None:
    settings = compose([])
    assert (settings.economy.name, list(settings.shock), list(settings.policy)) == (
        "us_ai_2025",
        ["rate_hold", "collateral_devaluation"],
        ["current_rules"],
    )
    assert (settings.montecarlo.replications, settings.montecarlo.seed, settings.montecarlo.chunk) == (1000, 1, 2000)
    assert (settings.horizon_months, settings.record.level, settings.experiment.kind) == (60, "summary", "paired")
    assert (settings.systemic.months, settings.systemic.kinds, settings.systemic.debt_share) == (12, 3, 0.10)
    assert tuple(settings.channels) == CHANNELS
    assert all(settings.channels.values())
