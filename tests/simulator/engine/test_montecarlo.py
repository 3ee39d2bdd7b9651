"""Monte Carlo: chunks, several scenarios on the same draws, quantiles, and what stops a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.changes import Change, Scenario
from scenarios.economy import Economy
from scenarios.loading import load_economy
from simulator.engine import montecarlo
from simulator.engine.model import ContagionModel
from simulator.engine.montecarlo import QUANTILES, Plan, chunks, run_scenarios, together, units
from simulator.engine.recorded import SERIES
from simulator.errors import InputError

FAIL = Change("failure", "agent.failure", "set_to", 1.0, 2, agents=("lab",))
CALM, SHOCKED = Scenario("calm", (), (), (), {}), Scenario("shocked", (), (), (FAIL,), {})


@pytest.fixture(scope="module")
def economy() -> Economy:
    return load_economy("three_firms")


def run(economy: Economy, *scenarios: Scenario, **given: Any) -> dict[str, pd.DataFrame]:
    progress = given.pop("on_progress", None)
    return run_scenarios(economy, scenarios, Plan(**{"replications": 5, "chunk": 2, "horizon_months": 4, **given}), progress)


def test_chunks_cover_every_replication_once() -> None:
    for replications, chunk in ((10, 3), (10, 10), (10, 64), (1, 1), (0, 5)):
        assert [number for part in chunks(replications, chunk) for number in part] == list(range(replications))
        assert all(len(part) <= chunk for part in chunks(replications, chunk))


def test_what_is_wider_than_a_chunk_is_cut_into_chunks_of_a_size(economy: Economy, monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []
    run_chunk = montecarlo.run_chunk

    def listened(job: Any, scenario: Any, numbers: Any, *rest: Any) -> Any:
        widths.append(len(numbers))
        return run_chunk(job, scenario, numbers, *rest)

    monkeypatch.setattr(montecarlo, "run_chunk", listened)
    for replications, chunk, expected in ((9, 4, [3, 3, 3]), (5, 4, [3, 2]), (8, 4, [4, 4]), (3, 4, [3])):
        widths.clear()
        run(economy, CALM, replications=replications, chunk=chunk)
        assert widths == expected


def test_tables_are_sorted_by_scenario_as_given_and_replication(economy: Economy) -> None:
    tables = run(economy, SHOCKED, CALM, record="ticks")
    assert tables["replications"]["scenario"].tolist() == ["shocked"] * 5 + ["calm"] * 5
    assert tables["replications"]["replication"].tolist() == [*range(5), *range(5)]
    for table in tables.values():
        for _, rows in table.groupby("scenario", sort=False):
            assert rows["replication"].is_monotonic_increasing


def test_the_shock_shows_in_its_scenario_only(economy: Economy) -> None:
    tables = run(economy, CALM, SHOCKED)
    assert set(tables["defaults"]["scenario"]) == {"shocked"}
    counts = tables["replications"].groupby("scenario")["ai_lab_defaults"].sum()
    assert counts["shocked"] == 5
    assert counts["calm"] == 0


def test_scenarios_share_their_luck(economy: Economy) -> None:
    ticks = run(economy, CALM, Scenario("twin", (), (), (), {}), record="ticks")["ticks"]
    one, other = (ticks[ticks["scenario"] == label].drop(columns="scenario").reset_index(drop=True) for label in ("calm", "twin"))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_two_scenarios_of_one_label_are_refused(economy: Economy) -> None:
    with pytest.raises(InputError, match="two scenarios have the label 'calm'"):
        run(economy, CALM, CALM)


def test_a_summary_keeps_quantiles_and_the_mean_of_each_series(economy: Economy) -> None:
    full, summary = run(economy, CALM, SHOCKED, record="ticks")["ticks"], run(economy, CALM, SHOCKED)["ticks"]
    assert len(summary) == 2 * 4 * (len(QUANTILES) + 1)
    assert "replication" not in summary.columns
    for label in ("calm", "shocked"):
        for name in SERIES:
            part = full[(full["scenario"] == label) & (full["tick"] == 3)][name].to_numpy()
            rows = summary[(summary["scenario"] == label) & (summary["tick"] == 3)]
            found = rows.dropna(subset="quantile").sort_values("quantile")[name].to_numpy()
            np.testing.assert_allclose(found, np.quantile(part, QUANTILES), rtol=1e-12, atol=1e-12)
            assert float(rows[rows["quantile"].isna()][name].iloc[0]) == pytest.approx(part.mean(), rel=1e-9, abs=1e-12)


def test_progress_is_told_of_every_finished_chunk(economy: Economy) -> None:
    told: list[tuple[int, int]] = []
    run(economy, CALM, SHOCKED, on_progress=lambda replications, defaults: told.append((replications, defaults)))
    assert sum(replications for replications, _ in told) == 10
    assert sum(defaults for _, defaults in told) >= 5


@given(st.integers(1, 5), st.integers(1, 4000), st.integers(1, 5), st.integers(1, 9))
def test_units_stepped_together_are_of_one_scenario_and_leave_no_worker_idle(scenarios: int, replications: int, most: int, workers: int) -> None:
    wanted = list(units(scenarios, Plan(replications)))
    pieces = list(together(wanted, most, workers))
    assert sorted(unit for piece in pieces for unit in piece) == sorted(wanted)
    assert all(len({unit.scenario for unit in piece}) == 1 and list(piece) == sorted(piece) and len(piece) <= most for piece in pieces)
    assert len(pieces) >= min(workers, len(wanted))


def test_two_workers_step_a_scenario_each_but_share_a_single_one() -> None:
    def cut(scenarios: int, workers: int) -> list[list[tuple[int, int]]]:
        return [[(unit.scenario, unit.block) for unit in piece] for piece in together(units(scenarios, Plan(1000)), 2, workers)]

    assert cut(2, 2) == [[(0, 0), (0, 1)], [(1, 0), (1, 1)]]
    assert cut(1, 2) == [[(0, 0)], [(0, 1)]]
    assert cut(3, 2) == [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(2, 0)], [(2, 1)]]
    assert cut(2, 4) == [[(0, 0)], [(1, 0)], [(1, 1)], [(0, 1)]]


def test_too_many_replications_that_do_not_converge_stop_the_run(economy: Economy, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ContagionModel.run

    def spoiled(self: Any, told: Any = None) -> Any:
        honest(self, told)
        self.books.converged[0] = False
        return self

    monkeypatch.setattr(ContagionModel, "run", spoiled)
    with pytest.raises(ArithmeticError, match="did not converge"):
        run(economy, CALM)


def test_another_seed_gives_other_numbers_and_the_same_seed_the_same(economy: Economy) -> None:
    one, again, other = (run(economy, CALM, seed=seed, record="ticks")["ticks"] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again, check_exact=True)
    assert (one["ai_market_value"] != other["ai_market_value"]).all()
