"""The schema of the whole configuration and the scenarios of each experiment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from simulator.errors import InputError
from simulator.ledger.names import CHANNELS
from simulator.menu import assemble
from simulator.settings import Settings, baseline_label, bibliography_keys, build_settings, open_economy, resolve_scenarios

ECONOMY: Any = SimpleNamespace(
    start="2025-12",
    ids=("nvidia", "openai", "bank"),
    kinds=("chipmaker", "ai_lab", "lender"),
    lender_types=("", "", "bank"),
    jurisdictions=("us", "us", "us"),
    sources={"moodys": {}},
)


def refused(**composed: Any) -> str:
    with pytest.raises(InputError) as caught:
        build_settings(composed)
    return str(caught.value)


def labels(settings: Settings) -> list[str]:
    return [scenario.label for scenario in resolve_scenarios(settings, ECONOMY)]


def test_settings_can_not_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        build_settings({}).horizon_months = 12  # type: ignore[misc]


def test_settings_survive_being_written_and_read() -> None:
    settings = assemble({"experiment": "policy_comparison"})
    assert build_settings(settings.model_dump(mode="json")) == settings


def test_a_number_out_of_range_is_told_with_its_range() -> None:
    assert refused(montecarlo={"replications": 0}) == "montecarlo.replications: 0 is below 1 (allowed 1 to 10,000,000)"
    assert refused(systemic={"debt_share": 0.0}) == "systemic.debt_share: 0 is not above 0 (allowed above 0 to 1)"
    assert refused(horizon_months=601) == "horizon_months: 601 is above 600 (allowed 1 to 600)"


def test_an_unknown_key_is_answered_with_the_nearest_one() -> None:
    assert refused(montecarlo={"seeds": 1}).startswith("montecarlo.seeds: unknown key – did you mean 'seed'?")
    assert refused(channels={"margins": True}).startswith("channels.margins: unknown channel – did you mean 'margin'?")


def test_a_value_of_the_wrong_sort_is_told() -> None:
    assert refused(montecarlo={"seed": "abc"}) == "montecarlo.seed: 'abc' is not a whole number"
    assert refused(montecarlo={"seed": 1.5}) == "montecarlo.seed: 1.5 is not a whole number"
    assert refused(channels={"margin": "perhaps"}) == "channels.margin: 'perhaps' is not true or false"
    assert refused(montecarlo=3) == "montecarlo: 3 is not a mapping of keys and values"
    assert refused(record={"level": "tick"}) == (
        "record.level: 'tick' is not possible – did you mean 'ticks'? (allowed: 'summary', 'ticks' or 'agents')"
    )


def test_every_problem_gets_its_own_line() -> None:
    assert len(refused(montecarlo={"replications": 0, "seed": -1}, horizon_months=0).splitlines()) == 3


def test_a_folder_needs_a_path_and_only_a_folder_has_one() -> None:
    assert refused(economy={"name": "folder"}) == "economy.path: is missing (economy=folder needs economy.path=DIR)"
    assert refused(economy={"path": "x"}).startswith("economy.path: belongs to economy=folder")
    with pytest.raises(InputError, match="no folder of that name"):
        open_economy(build_settings({"economy": {"name": "folder", "path": "nowhere"}}).economy)


def test_a_synthetic_economy_is_drawn_with_its_own_keys() -> None:
    small = build_settings({"economy": {"name": "synthetic", "synthetic": {"agents": 20, "seed": 3}}})
    assert len(open_economy(small.economy).ids) == 20
    assert refused(economy={"synthetic": {"agents": 20}}).startswith("economy.synthetic: belongs to economy=synthetic")
    assert refused(economy={"name": "synthetic", "synthetic": {"agents": 3}}) == (
        "economy.synthetic.agents: 3 is below 14 (allowed 14 to 1,000,000)"
    )
    assert refused(economy={"name": "synthetic", "synthetic": {"agent": 3}}).startswith("economy.synthetic.agent: unknown key")
    assert refused(economy={"name": "synthetic", "include": ["announced"]}).startswith("economy.include and contracts")


def test_no_shock_stands_alone() -> None:
    assert refused(shock={"none": {}, "a": {}}).startswith("shock: none stands alone")


def test_a_channel_that_is_not_mentioned_is_on() -> None:
    switches = build_settings({"channels": {"margin": False}}).channel_switches()
    assert tuple(switches) == CHANNELS
    assert [name for name, on in switches.items() if not on] == ["margin"]


def test_a_paired_experiment_compares_with_no_shock_under_current_rules() -> None:
    settings = assemble({"policy": ["rate_cut", "leverage_cap"]})
    assert labels(settings) == ["none | current_rules", "rate_hold+collateral_devaluation | rate_cut+leverage_cap"]
    assert baseline_label(settings) == "none | current_rules"


def test_a_paired_experiment_of_the_baseline_is_one_scenario() -> None:
    assert labels(assemble({"shock": "none"})) == ["none | current_rules"]


def test_a_single_experiment_is_one_scenario() -> None:
    assert labels(assemble({"shock": "rate_hike", "experiment": "single"})) == ["rate_hike | current_rules"]


def test_a_policy_comparison_sets_every_policy_against_the_chosen_one_under_the_same_shock() -> None:
    settings = assemble({"shock": "rate_hike", "experiment": "policy_comparison"}, {"experiment.compare": ["rate_cut", "current_rules"]})
    assert labels(settings) == ["rate_hike | current_rules", "rate_hike | rate_cut"]
    scenarios = resolve_scenarios(settings, ECONOMY)
    assert [change.name for change in scenarios[0].changes] == ["rate_hike"]
    assert [change.name for change in scenarios[1].changes] == ["rate_hike", "rate_cut"]


def test_a_scenario_knows_its_files_and_switches() -> None:
    scenario = resolve_scenarios(assemble({}, {"channels.power": False}), ECONOMY)[1]
    assert (scenario.shocks, scenario.policies) == (("rate_hold", "collateral_devaluation"), ("current_rules",))
    assert not scenario.channels["power"]


def test_a_source_may_stand_in_the_bibliography_in_the_economy_or_be_the_users_own() -> None:
    change = {"lever": "power.price", "multiply_by": 2.0, "starts": "2026-10"}
    for source in ("taylor1993", "moodys", "mine2026"):
        settings = build_settings({"shock": {"x": {"a": change | {"source": source}}}, "sources": ["mine2026"]})
        assert resolve_scenarios(settings, ECONOMY)[1].changes[0].source == source
    with pytest.raises(InputError, match="shock/x: a: source"):
        resolve_scenarios(build_settings({"shock": {"x": {"a": change | {"source": "nobody1900"}}}}), ECONOMY)


def test_two_policies_that_set_one_lever_apart_are_refused_before_anything_runs() -> None:
    def cap(amount: float) -> dict[str, Any]:
        return {"cap": {"lever": "borrower.leverage_cap", "set_to": amount, "starts": "2026-10", "source": "assumption"}}

    with pytest.raises(InputError, match="set borrower.leverage_cap of nvidia to different values"):
        resolve_scenarios(build_settings({"policy": {"a": cap(0.6), "b": cap(0.7)}}), ECONOMY)


def test_the_bibliography_has_the_papers_behind_the_rules() -> None:
    assert {"eisenberg_noe2001", "rogers_veraart2013", "bernanke1999", "merton1974", "tobin1969", "hayashi1982"} <= bibliography_keys()
