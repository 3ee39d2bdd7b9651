"""The experiment rare_event: against brute force on a small economy, the same bits however it is computed, and told in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simulator.engine.paths import EngineWorld, Path, first_ticks, roots
from simulator.errors import InputError
from simulator.experiments.bench import Bench
from simulator.experiments.studies import study_of
from simulator.menu import compose
from simulator.results.study import Study

Build = Callable[..., Bench]
SMALL: Mapping[str, Any] = {
    "experiment.effort": 40, "experiment.pilot": 60, "experiment.repetitions": 4, "experiment.brute_force": 40, "systemic.kinds": 1,
    "systemic.debt_share": 0.01,
}  # fmt: skip


def study(bench: Bench) -> Study:
    found = study_of(bench, None)
    assert found is not None
    return found


def world(bench: Bench, **plan: Any) -> EngineWorld:
    return EngineWorld(bench.economy, bench.chosen(), replace(bench.plan, **plan))


@pytest.mark.parametrize("method", ["importance_sampling", "splitting"])
def test_what_is_found_can_be_told(bench: Build, method: str) -> None:
    found = study(bench("rare_event", {**SMALL, "experiment.method": method}, months=24))
    facts = found.facts
    assert facts["low"] <= facts["value"] <= facts["high"]
    assert len(found.tables["repetitions"]) == 4
    teller = found.teller
    assert "probability of a systemic cascade" in teller.headline(found) or "zero" in teller.headline(found)
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in teller.findings(found))
    for table in teller.shown(found):
        assert all(len(row) == len(table.head) for row in table.rows)
    for draw, reading in teller.figures(found).values():
        assert reading
        assert draw(found).get_axes()


def test_the_same_bits_for_any_chunk_and_number_of_workers(bench: Build) -> None:
    built = bench("rare_event", dict(SMALL), months=12)
    paths = [*roots(0, 5), Path(3, ((4, 0, 1, 2, 0), (8, 0, 2, 1, 1))), Path(3, ((4, 0, 1, 2, 1),)), Path(9, strength=0.5)]
    pushes = {"ai": np.array([-0.4])}
    whole = world(built).run(paths, pushes)
    for other in (world(built, chunk=3), world(built, chunk=1), world(built, chunk=3, workers=2, execution=None)):
        again = other.run(paths, pushes)
        for name in ("scores", "hit", "hit_tick", "along"):
            assert np.array_equal(getattr(whole, name), getattr(again, name)), name
        assert all(np.array_equal(whole.sums[purpose], again.sums[purpose]) for purpose in whole.sums)


def test_clones_of_a_path_are_the_same_run_up_to_the_branch(bench: Build) -> None:
    parent, first, second = world(bench("rare_event", dict(SMALL), months=12)).run(
        [Path(3), Path(3, ((6, 0, 1, 0, 0),)), Path(3, ((6, 0, 1, 0, 1),))], {}
    ).scores.T
    assert np.array_equal(parent[:6], first[:6])
    assert np.array_equal(parent[:6], second[:6])
    assert len({row[6:].tobytes() for row in (parent, first, second)}) == 3


def test_an_unpushed_path_is_the_replication_of_that_number(bench: Build) -> None:
    built = bench("rare_event", {"systemic.kinds": 1, "systemic.debt_share": 0.01}, months=24)
    outcome = world(built).run([Path(number) for number in range(6)], {})
    [frame] = built.run([built.chosen()], 6)
    assert np.array_equal(outcome.hit, frame["systemic"].to_numpy())


def test_only_luck_that_some_rule_reads_can_be_pushed(bench: Build) -> None:
    built = bench("rare_event", dict(SMALL), months=6)
    sums = world(built).run(roots(0, 3), {}).sums
    kinds = np.array(built.economy.kinds)
    for purpose in ("own_return", "own_demand"):
        assert (sums[purpose][np.isin(kinds, ["central_bank", "government", "household", "outside", "short_seller"])] == 0.0).all()
        assert (sums[purpose][np.isin(kinds, ["cloud", "ai_lab", "chipmaker"])] != 0.0).all()


def test_the_tick_of_the_event_is_the_first_at_which_the_definition_is_met() -> None:
    table = pd.DataFrame(
        [(0, 2, 5.0, "cloud"), (0, 9, 6.0, "lender"), (0, 15, 4.0, "cloud"), (1, 3, 50.0, "cloud"), (1, 20, 50.0, "lender")],
        columns=["replication", "tick", "debt", "kind"],
    )
    rule = {"months": 12, "kinds": 2, "debt_share": 0.1}
    assert list(first_ticks(table, rule, np.array([100.0, 100.0]))) == [(0, 9)]
    assert list(first_ticks(table, {**rule, "months": 18}, np.array([100.0, 100.0]))) == [(0, 9), (1, 20)]
    assert list(first_ticks(table, {**rule, "kinds": 1}, np.array([1000.0, 1000.0]))) == []


def test_debt_at_risk_is_a_share_of_debt_and_rises_after_bad_luck(bench: Build) -> None:
    built = bench("rare_event", dict(SMALL), shock="none", months=24)
    bad, good = world(built).run([Path(1, strength=1.0), Path(1, strength=-1.0)], {"market": np.array([-0.5]), "ai": np.array([-0.5])}).scores.T
    assert (bad >= 0.0).all()
    assert bad[-1] > good[-1]


def test_a_method_that_does_not_exist_is_named() -> None:
    with pytest.raises(InputError, match=r"experiment\.method"):
        compose(["experiment=rare_event", "experiment.method=guessing"])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["importance_sampling", "splitting"])
def test_brute_force_agrees_where_both_can_be_had(bench: Build, method: str) -> None:
    """P near 1e-2 (the investor of three firms fails with a sixth of all debt): the difference is within what both intervals allow."""
    values = {
        "systemic.kinds": 1, "systemic.debt_share": 0.17, "experiment.method": method, "experiment.effort": 200, "experiment.pilot": 200,
        "experiment.repetitions": 10, "experiment.brute_force": 8000,
    }  # fmt: skip
    facts = study(bench("rare_event", values, shock="none", months=60)).facts
    assert 3e-3 < facts["brute_value"] < 3e-2
    brute_error = np.sqrt(facts["brute_value"] * (1 - facts["brute_value"]) / facts["brute_replications"])
    assert facts["standard_error"] < 0.25 * facts["value"]
    assert abs(facts["value"] - facts["brute_value"]) < 3.5 * np.hypot(brute_error, facts["standard_error"])
