"""The experiments uncertainty and sensitivity: same numbers for any chunk and worker, intervals, words and figures; bad input in one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simulator.errors import InputError
from simulator.experiments.studies import study_of
from simulator.results.figure_style import look
from simulator.results.study import Study

SMALL = {
    "experiment.samples": 4, "experiment.trajectories": 2, "experiment.luck": 3, "experiment.tornado_luck": 5,
    "experiment.parameters": ["shock.marks.marks", "macro.recovery_unsecured", "all.tax_rate"],
}  # fmt: skip
POINTS = {"experiment.points": 8, "experiment.randomisations": 4, "experiment.parameters": SMALL["experiment.parameters"]}
Build = Callable[..., Any]


def study(made: Any) -> Study:
    found = study_of(made, None)
    assert found is not None
    return found


def is_told(found: Study) -> None:
    words = " ".join([found.teller.headline(found), *found.teller.findings(found)])
    assert "nan" not in words.lower().split()
    with look():
        for draw, reading in found.teller.figures(found).values():
            assert draw(found).axes
            assert reading
    for table in found.teller.shown(found):
        assert all(len(row) == len(table.head) for row in table.rows)


def differing(one: Study, other: Study) -> list[str]:
    """Names of the tables that are not the same to the bit, or that only one of them has."""
    nothing = pd.DataFrame()
    names = {**one.tables, **other.tables}
    return [name for name in names if not one.tables.get(name, nothing).equals(other.tables.get(name, nothing))]


@pytest.mark.parametrize("experiment", ["uncertainty", "sensitivity"])
def test_chunks_and_workers_change_no_bit(bench: Build, experiment: str) -> None:
    made = bench(experiment, {**(POINTS if experiment == "uncertainty" else SMALL), "experiment.outcomes": ["total_loss"]}, months=6)
    whole = study(made)
    assert whole.tables
    assert differing(whole, study(dataclasses.replace(made, plan=dataclasses.replace(made.plan, chunk=3)))) == []


@pytest.mark.parametrize("design", ["plain", "antithetic", "sobol", "latin_hypercube", "nested"])
def test_every_design_gives_estimates_with_paired_differences(bench: Build, design: str) -> None:
    found = study(bench("uncertainty", {**POINTS, "experiment.design": design, "experiment.luck": 3}))
    row = found.tables["estimates"].set_index(["outcome", "scenario"]).loc[("total_loss", "chosen")]
    assert row["value_low"] <= row["value"] <= row["value_high"]
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    values = found.tables["values"].set_index(["outcome", "scenario"])["value"]
    gap = values.loc[("total_loss", "chosen")].to_numpy() - values.loc[("total_loss", "baseline")].to_numpy()
    assert row["difference"] == pytest.approx(gap.mean())
    assert row["replications"] == (24 if design == "nested" else 8)
    assert ("variance" in found.tables) == (design == "nested")
    drawn = found.tables["points"]
    low, high = found.tables["parameters"].set_index("parameter").loc["macro.recovery_unsecured", ["low", "high"]]
    assert drawn["macro.recovery_unsecured"].between(low, high).all()
    is_told(found)


def test_a_point_of_a_design_is_the_run_with_these_numbers(bench: Build) -> None:
    from scenarios.parameters import resolve
    from scenarios.variation import economy_at

    made = bench("uncertainty", {**POINTS, "experiment.design": "plain", "experiment.parameters": ["all.tax_rate", "macro.recovery_unsecured"]})
    found = study(made)
    uncertain = resolve(made.economy, ["all.tax_rate", "macro.recovery_unsecured"], {})
    drawn = found.tables["points"][[each.name for each in uncertain]].to_numpy()[5]
    shares = [(value - each.ends[0]) / (each.ends[1] - each.ends[0]) for value, each in zip(drawn, uncertain, strict=True)]
    alone = dataclasses.replace(made, economy=economy_at(made.economy, uncertain, np.array(shares)))
    (frame,) = alone.run([alone.chosen()], 6)
    values = found.tables["values"]
    chosen = values[(values["scenario"] == "chosen") & (values["outcome"] == "total_loss")].set_index("point")["value"]
    assert frame["total_loss"][5] == pytest.approx(chosen[5], rel=1e-9)


def test_a_sensitivity_analysis_finds_the_shock_and_not_the_tax(bench: Build) -> None:
    found = study(bench("sensitivity", {**SMALL, "experiment.samples": 16, "experiment.outcomes": ["loss_shareholders", "systemic"]}))
    for method, measure in (("sobol", "total"), ("morris", "mu_star"), ("tornado", "swing")):
        rows = found.tables[method]
        sizes = rows[rows["outcome"] == "loss_shareholders"].set_index("parameter")[measure].abs()
        assert sizes["shock.marks.marks"] > 5.0 * sizes["all.tax_rate"]
    tornado = found.tables["tornado"]
    row = tornado[(tornado["outcome"] == "loss_shareholders") & (tornado["parameter"] == "shock.marks.marks")].iloc[0]
    assert row["at_low"] > row["middle"] > row["at_high"]  # marks fall to 0.3 and to 0.9 of their value
    assert row["swing_high"] < 0.0
    assert (found.tables["points"].query("method == 'sobol'")["standard_error"] >= 0.0).all()
    assert "Sampling error, apart from the parameters'" in " ".join(found.teller.findings(found))
    is_told(found)


@pytest.mark.parametrize(
    ("experiment", "values", "told"),
    [
        ("uncertainty", {"experiment.points": 9, "experiment.design": "antithetic"}, "experiment.points: 9 is odd"),
        ("uncertainty", {"experiment.design": "sobl"}, "experiment.design: .*did you mean 'sobol'"),
        ("uncertainty", {"experiment.parameters": ["all.tax_rat"]}, "experiment.parameters: all.tax_rat: .*did you mean 'tax_rate'"),
        ("uncertainty", {"experiment.outcomes": ["total_los"]}, "did you mean 'total_loss'"),
        ("sensitivity", {"experiment.samples": 12}, "experiment.samples: 12 is no power of two.*try 16"),
        ("sensitivity", {"experiment.methods": ["sobol", "sobol"]}, "a method is named twice"),
        ("sensitivity", {"experiment.methods": ["pawn"]}, "experiment.methods.0: .*'tornado', 'sobol' or 'morris'"),
    ],
)
def test_bad_input_is_one_line_before_anything_runs(bench: Build, experiment: str, values: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        study(bench(experiment, values))
    assert "\\n" not in str(caught.value)


def test_parameters_are_written_and_read_on_the_command_line() -> None:
    import shlex

    from simulator.api import command_of
    from simulator.menu import compose

    words = ["experiment=sensitivity", "experiment.parameters=[openai.cash,{name:all.tax_rate,low:0.1,high:0.2},{name:x.y,triangular:[1,2,3]}]"]
    settings = compose(words)
    assert settings.experiment.parameters[1] == {"name": "all.tax_rate", "low": 0.1, "high": 0.2}
    assert compose(shlex.split(command_of(settings))[1:]).experiment == settings.experiment
