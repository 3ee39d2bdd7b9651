"""Columns with switches of their own: the same numbers as each coalition alone, whatever the chunk."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scenarios.changes import Change, Scenario
from scenarios.economy import Economy
from scenarios.loading import load_economy
from simulator.engine.coalitions import ColumnSet, run_columns
from simulator.engine.model import ContagionModel
from simulator.engine.montecarlo import Plan
from simulator.engine.randomness import Draws, permutations
from simulator.errors import InputError

SHOCK = Change("marks", "lab_shares.value", "multiply_by", 0.3, 2)
SCENARIO = Scenario("shocked", (), (), (SHOCK,), {})
MONTHS = 8


@pytest.fixture(scope="module")
def economy() -> Economy:
    return load_economy("three_firms")


def columns() -> ColumnSet:
    numbers = np.array([3, 0, 3, 0, 3], dtype=np.int64)
    return ColumnSet(numbers, {
        "equity": np.array([True, False, True, True, False]), "spread": np.array([False, True, True, False, False]),
        "short": np.array([False, True, True, True, True]),
    })  # fmt: skip


def test_a_column_has_the_bits_of_its_coalition_run_alone(economy: Economy) -> None:
    table = run_columns(economy, SCENARIO, columns(), Plan(chunk=500, horizon_months=MONTHS))
    assert table["replication"].tolist() == [3, 0, 3, 0, 3]
    for row, number in enumerate(table["replication"]):
        switches = {name: float(values[row]) for name, values in columns().switches.items()}
        alone = ContagionModel(
            economy, rng=1, replications=[number], horizon_months=MONTHS, changes=(SHOCK,), channels=switches, mesa_agents=False
        ).run()
        expected = alone.recorder.outcomes()
        for name in ("total_loss", "defaults", "market_value_min_share", "loss_equity"):
            assert table[name][row] == expected[name][0], (name, row)
    assert table["total_loss"].nunique() > 1


def test_the_chunk_changes_no_number(economy: Economy) -> None:
    whole, cut = (run_columns(economy, SCENARIO, columns(), Plan(chunk=chunk, horizon_months=MONTHS)) for chunk in (500, 2))
    pd.testing.assert_frame_equal(whole, cut, check_exact=True)


def test_a_number_that_repeats_has_the_same_draws_in_all_of_its_columns() -> None:
    repeated, plain = Draws(1, [5, 2, 5], 3, 4), Draws(1, [2, 5], 3, 4)
    assert repeated.numbers == (2, 5)
    for purpose, block in repeated.at(1).items():
        assert np.array_equal(block[:, 0], block[:, 2])
        assert np.array_equal(block[:, :2], plain.at(1)[purpose][:, ::-1])
        assert np.array_equal(repeated.without_repeats().at(1)[purpose], plain.at(1)[purpose])


def test_permutations_come_in_pairs_of_an_order_and_its_reverse() -> None:
    orders = permutations(1, 7, 6, 3)
    assert orders.shape == (6, 6)
    assert np.array_equal(orders[1::2], orders[::2, ::-1])
    assert all(sorted(order) == list(range(6)) for order in orders.tolist())
    assert np.array_equal(orders, permutations(1, 7, 6, 3))
    assert not np.array_equal(orders, permutations(1, 8, 6, 3))


def test_an_unknown_channel_and_a_wrong_number_of_switches_are_told() -> None:
    with pytest.raises(InputError, match="margins: unknown channel"):
        ColumnSet(np.array([0]), {"margins": np.array([True])})
    with pytest.raises(InputError, match="2 switches for 1 columns"):
        ColumnSet(np.array([0]), {"margin": np.array([True, False])})
