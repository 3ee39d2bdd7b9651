"""Each experiment on a small economy: what it finds adds up, what it tells can be read, what can't be done is one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.api import experiment
from simulator.errors import InputError
from simulator.experiments.bench import Bench
from simulator.experiments.doses import scaled_parts
from simulator.experiments.studies import study_of
from simulator.menu import load_file
from simulator.results.study import Study

Build = Callable[..., Bench]


def study(bench: Bench) -> Study:
    found = study_of(bench, None)
    assert found is not None
    return found


def is_told(found: Study) -> None:
    """Words, tables and figures can be made of it."""
    teller = found.teller
    assert len(teller.headline(found)) > 20
    assert all(sentence.endswith((".", ":")) and "nan" not in sentence for sentence in teller.findings(found))
    for table in teller.shown(found):
        assert all(len(row) == len(table.head) for row in table.rows)
    for draw, reading in teller.figures(found).values():
        assert reading
        assert draw(found).get_axes()


def test_a_dose_of_nothing_changes_nothing_and_a_larger_shock_costs_more(bench: Build) -> None:
    found = study(bench("dose_response", {"experiment.grid": [0.5, 1.0], "experiment.outcomes": ["total_loss"]}))
    doses = found.tables["doses"].set_index("dose")
    assert doses.index.tolist() == [0.0, 0.5, 1.0]
    assert doses.loc[0.0, "difference"] == 0.0
    assert 0.0 < doses.loc[0.5, "difference"] < doses.loc[1.0, "difference"]
    is_told(found)


def test_a_lever_is_varied_around_its_neutral_value(bench: Build) -> None:
    values = {"experiment.vary": "lab_shares.value", "experiment.grid": [0.5, 0.8], "experiment.starts_after_months": 2}
    found = study(bench("dose_response", values))
    assert found.facts["neutral"] == 1.0
    losses = found.tables["doses"].query("outcome == 'total_loss'").set_index("dose")["value"]
    assert losses[0.5] > losses[0.8] > losses[1.0]


def test_two_that_do_not_meet_add_up_and_the_edges_have_no_excess(bench: Build) -> None:
    axes = {
        "experiment.first": {"vary": "lab_shares.value", "grid": [0.5], "starts_after_months": 1},
        "experiment.second": {"vary": "lender.funding_spread", "grid": [0.05], "starts_after_months": 1},
        "experiment.replications": 5,
    }
    found = study(bench("interaction", axes))
    cells = found.tables["cells"].query("outcome == 'total_loss'").set_index(["first", "second"])
    for edge in ((1.0, 0.0), (0.5, 0.0), (1.0, 0.05)):
        assert cells.loc[edge, "excess"] == pytest.approx(0.0, abs=1e-9)
    both, one, two = (cells.loc[place, "difference"] for place in ((0.5, 0.05), (0.5, 0.0), (1.0, 0.05)))
    assert cells.loc[(0.5, 0.05), "excess"] == pytest.approx(both - one - two)
    is_told(found)


def test_freezing_the_channel_twice_gives_a_ratio_of_one(bench: Build) -> None:
    values = {"experiment.levers": ["ai_lab.demand", "cloud.demand"], "experiment.starts_after_months": 1, "experiment.builds_over_months": 1}
    inert = study(bench("accelerator", {**values, "experiment.channel": "guarantee"}))
    assert inert.tables["ratios"]["accelerator"].to_numpy() == pytest.approx(1.0, abs=1e-12)
    found = study(bench("accelerator", values))
    responses = found.tables["responses"].set_index(["outcome", "direction", "channel_on"])["response"]
    assert responses["investment_total", "down", True] < 0.0 < responses["investment_total", "up", True]
    is_told(found)


def test_shares_of_channels_add_to_the_whole_and_an_inert_one_gets_nothing(bench: Build) -> None:
    players = ["equity", "fire_sale", "spread", "guarantee"]
    exact = study(bench("channel_decomposition", {"experiment.channels": players, "experiment.replications": 3}))
    assert exact.facts["method"] == "exact"
    assert exact.facts["columns"] == 3 * 16
    table = exact.tables["shares"].set_index("channel")
    assert table.loc["guarantee", ["share", "off", "alone"]].tolist() == [0.0, 0.0, 0.0]  # three firms have no guarantees
    assert table["share"].sum() == pytest.approx(exact.facts["whole"], abs=1e-9)
    assert table.loc["equity", "share"] > 0.0
    values = {"experiment.channels": players, "experiment.replications": 3, "experiment.method": "permutations", "experiment.pairs": 12}
    sampled = study(bench("channel_decomposition", values))
    assert sampled.facts["residual"] < 1e-9
    near = sampled.tables["shares"].set_index("channel")["share"]
    assert near.to_numpy() == pytest.approx(table["share"].to_numpy(), abs=0.05 * exact.facts["whole"])
    is_told(exact)
    is_told(sampled)


def test_the_order_in_which_channels_are_named_does_not_matter_and_symmetric_ones_share_alike(bench: Build) -> None:
    """Symmetric on the engine: two channels whose coalitions have the same values are found among all pairs and must have equal shares."""
    from simulator.experiments.channels import Game
    from simulator.experiments.shapley import all_coalitions, exact_shares

    players = ("equity", "fire_sale", "orders", "guarantee", "short")
    game = Game(bench("channel_decomposition"), players, "total_loss")
    coalitions = all_coalitions(len(players))
    numbers = np.zeros(len(coalitions), dtype=np.int64)
    game.play(numbers, coalitions)
    values = game.values(numbers, coalitions)
    shares = exact_shares(values[None, :])[0]
    swapped = coalitions[:, [1, 0, 2, 3, 4]]
    assert exact_shares(game.values(numbers, swapped)[None, :])[0] == pytest.approx(shares[[1, 0, 2, 3, 4]], abs=1e-12)
    symmetric = np.array([game.values(numbers, coalitions), game.values(numbers, swapped)]).mean(axis=0)  # the game made symmetric in the first two
    even = exact_shares(symmetric[None, :])[0]
    assert even[0] == pytest.approx(even[1], abs=1e-12)
    assert even[0] == pytest.approx((shares[0] + shares[1]) / 2.0, abs=1e-12)
    assert even[0] > 0.0


def test_a_reverse_test_finds_the_smallest_dose_after_which_failure_is_likely(bench: Build) -> None:
    values = {
        "systemic.kinds": 1, "systemic.debt_share": 1e-9, "experiment.event": "systemic", "experiment.replications": 12, "experiment.threshold": 0.6,
        "experiment.tolerance": 0.2, "experiment.dose_max": 2.5, "experiment.answers": ["bail_out"],
    }  # fmt: skip
    built = bench("reverse_stress_test", values, shock="margin_loan_spiral", months=24)
    found = study(built)
    doses, dose, below = found.tables["doses"], found.facts["dose"], found.facts["below"]
    assert 0.0 < below < dose < 2.5
    assert dose - below <= 0.2 + 1e-9
    at = doses.set_index("dose")["value"]
    assert at[dose] >= 0.6
    assert (at[at.index < dose] < 0.6).all()
    for tried, passes in ((dose, True), (below, False)):  # and a run of its own says the same
        scenario = built.scenario("again", scaled_parts(built.shock_parts(), tried) | built.policy_parts())
        assert (float(built.run([scenario], 12)[0]["systemic"].mean()) >= 0.6) is passes
    assert len(found.tables["answers"]) == 1
    is_told(found)


@pytest.mark.slow
def test_the_shipped_reverse_test_has_an_answer(bench: Build) -> None:
    """As shipped, in coarser steps and without policies: some dose of the shocks named there makes a cascade likely enough, and none does not."""
    asked = load_file("experiment", "reverse_stress_test")
    values = {"experiment.replications": 48, "experiment.tolerance": 0.3, "experiment.answers": [], "montecarlo.chunk": 48}
    built = bench("reverse_stress_test", values, shock=asked["run"]["shock"], economy="us_ai_2025", months=60)
    found = study(built)
    assert found.facts["event"] == asked["event"]
    assert found.facts["dose"] is not None
    assert 0.0 < found.facts["below"] < found.facts["dose"] <= asked["dose_max"]
    assert found.facts["probability"] >= asked["threshold"]


def test_the_most_plausible_direction_is_no_farther_than_the_files_own(bench: Build) -> None:
    values = {
        "systemic.kinds": 1, "systemic.debt_share": 0.001, "experiment.vary": "levers", "experiment.replications": 4, "experiment.threshold": 0.5,
        "experiment.tolerance": 0.25, "experiment.dose_max": 1.0, "experiment.answers": [],
    }  # fmt: skip
    found = study(bench("reverse_stress_test", values, months=20))
    assert sum(part**2 for part in found.facts["direction"].values()) == pytest.approx(1.0)
    assert len(found.tables["directions"]) >= 1
    is_told(found)


@pytest.mark.parametrize(
    ("kind", "values", "told"),
    [
        ("dose_response", {"experiment.vary": "lab_shares.valu"}, "did you mean 'lab_shares.value'"),
        ("dose_response", {"experiment.vary": "lab_shares.value", "experiment.grid": [5.0]}, "experiment.grid: .*5 is above 3"),
        ("dose_response", {"experiment.grid": [-1.0]}, "experiment.grid: -1 is below 0"),
        ("dose_response", {"experiment.grid": [99.0]}, "99 is above .* bound of its range"),
        ("dose_response", {"experiment.vary": "policy"}, "policy=current_rules changes nothing"),
        ("dose_response", {"experiment.starts": "2026-10"}, "experiment.starts: belongs to an axis that is a lever"),
        ("dose_response", {"experiment.vary": "lab_shares.value", "experiment.starts": "2036-10", "experiment.grid": [0.5]}, "outside the run"),
        ("dose_response", {"experiment.outcomes": ["total_los"]}, "did you mean 'total_loss'"),
        ("channel_decomposition", {"experiment.channels": ["margins"]}, "did you mean 'margin'"),
        ("channel_decomposition", {"experiment.channels": ["margin", "margin"]}, "margin is named twice"),
        ("channel_decomposition", {"experiment.channels": ["margin", "equity"], "channels.margin": False}, "margin is switched off"),
        ("channel_decomposition", {"experiment.method": "exact"}, "at most 10 channels"),
        ("knock_outs", {"experiment.only": ["clod"]}, "did you mean 'cloud'"),
        ("knock_outs", {"experiment.only": ["bank>chipmaker"]}, "there is no contract between them"),
        ("knock_outs", {"experiment.only": ["utility"]}, "can't be taken out"),
        ("knock_outs", {"experiment.kinds": ["clouds"]}, "did you mean 'cloud'"),
        ("accelerator", {"experiment.levers": ["cloud.demands"]}, "did you mean 'cloud.demand'"),
        ("accelerator", {"experiment.channel": "spreads"}, "did you mean 'spread'"),
        ("reverse_stress_test", {"experiment.threshold": 1.5}, "experiment.threshold: 1.5 is not below 1"),
        ("policy_comparison", {"experiment.compare": ["rate_cut", "rate_cut"]}, "rate_cut is named twice"),
        ("policy_comparison", {"experiment.compare": ["rate_cutt"]}, "did you mean 'rate_cut'"),
        ("policy_comparison", {"experiment.shocks": ["rate_hik"]}, "did you mean 'rate_hike'"),
        ("paired", {"experiment.grid": [1.0]}, "experiment.grid: belongs to experiment=dose_response"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_nothing_runs(
    bench: Build, kind: str, values: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simulator.experiments import bench as bench_module

    monkeypatch.setattr(bench_module, "run_variants", lambda *_: pytest.fail("something ran"))
    with pytest.raises(InputError, match=told) as caught:
        study_of(bench(kind, values), None)
    assert len(str(caught.value).splitlines()) == 1


def test_a_policy_comparison_ranks_adds_up_and_comes_back_from_its_folder(tmp_path: Any) -> None:
    from simulator.api import load

    run = experiment(
        "policy_comparison", "three_firms", shock="lab_funding_stop", replications=6, horizon_months=20,
        compare=["rate_cut", "bail_out", "rate_cut+bail_out"], shocks=["lab_funding_stop", "collateral_devaluation"],
    )  # fmt: skip
    found = run.study
    assert found is not None
    policies = found.tables["policies"]
    assert set(policies["world"]) == {"lab_funding_stop", "collateral_devaluation"}
    assert set(policies["policy"]) == {"current_rules", "rate_cut", "bail_out", "rate_cut+bail_out"}
    loss = run.replications.groupby("scenario")["total_loss"].mean()
    row = policies.query("world == 'lab_funding_stop' and policy == 'bail_out' and outcome == 'total_loss'").iloc[0]
    assert row["difference"] == pytest.approx(loss["lab_funding_stop | bail_out"] - loss["lab_funding_stop | current_rules"])
    assert (policies["p_adjusted"].dropna() >= policies["p_value"].dropna() - 1e-12).all()
    is_told(found)
    run.save(tmp_path / "run", figures=False)
    again = load(tmp_path / "run").study
    assert again is not None
    assert again.teller.findings(again) == found.teller.findings(found)
    assert [table.rows for table in again.teller.shown(again)] == [table.rows for table in found.teller.shown(found)]


def test_the_command_of_an_experiment_gives_its_settings_again() -> None:
    import shlex

    from simulator.api import command_of
    from simulator.menu import compose

    for words in (
        ["experiment=policy_comparison"],
        ["experiment=dose_response", "experiment.vary=lab_shares.value", "experiment.grid=[0.4,1.0]"],
        ["experiment=interaction", "experiment.second.grid=[0.0,2.0]", "experiment.replications=7"],
        ["experiment=knock_outs", "experiment.only=[openai]"],
    ):
        settings = compose(words)
        assert compose(shlex.split(command_of(settings))[1:]).experiment == settings.experiment
