"""A part of a batch: what is written to it stands in the batch, and nothing else moves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.ledger.attribution import Loss
from simulator.ledger.batches import Part

Build = Callable[..., ContagionModel]
CHOSEN = np.array([False, True, False, True, False])


def build(small_model: Build) -> ContagionModel:
    """A fund that lent 40 and 10 to a cloud, in five replications."""
    firms = {
        "fund": {"kind": "lender", "lender_type": "fund", "cash": 50.0, "other_assets": 100.0},
        "cloud": {"kind": "cloud", "cash": 30.0, "capacity": 60.0, "market_value": 80.0},
    }
    loans = [{"lender": "fund", "borrower": "cloud", "principal": principal} for principal in (40.0, 10.0)]
    return small_model(firms, loans=loans, replications=range(5))


def test_what_is_written_to_a_part_stands_in_the_batch_and_nothing_else_moves(small_model: Build) -> None:
    model = build(small_model)
    before = model.books["cash"].copy()
    with Part(model.books, model.ledger, CHOSEN) as part:
        part.books["cash"][1] += [1.0, 2.0]
        part.books.loans.arrears[0, 1] = 7.0
    moved = model.books["cash"] - before
    np.testing.assert_array_equal(np.flatnonzero(moved), [5 + 1, 5 + 3])
    np.testing.assert_allclose(moved[1], [0.0, 1.0, 0.0, 2.0, 0.0])
    np.testing.assert_array_equal(model.books.loans.arrears[0], [0.0, 0.0, 0.0, 7.0, 0.0])


def test_a_zero_that_turns_negative_is_written_back_too(small_model: Build) -> None:
    model = build(small_model)
    with Part(model.books, model.ledger, CHOSEN) as part:
        part.books.loans.arrears[0] = -0.0
    assert np.signbit(model.books.loans.arrears[0]).tolist() == CHOSEN.tolist()


def test_an_error_in_a_part_leaves_the_columns_of_the_batch_as_they_were(small_model: Build) -> None:
    model = build(small_model)
    before = model.books["cash"].copy()

    def fail() -> None:
        with Part(model.books, model.ledger, CHOSEN) as part:
            part.books["cash"][...] = 0.0
            raise ValueError("half done")

    with pytest.raises(ValueError, match="half done"):
        fail()
    np.testing.assert_array_equal(model.books["cash"], before)


def test_a_loss_in_a_part_enters_the_account_of_the_batch(small_model: Build) -> None:
    model = build(small_model)
    loss = Loss("fire_sale", "default", "agents", "self", "self")
    with Part(model.books, model.ledger, CHOSEN) as part:
        lost = np.zeros((model.books.agents, 2))
        lost[1] = [3.0, 0.0]
        part.ledger.lose_own("fire_sale", lost, "deadweight")
        part.ledger.lose_own("fire_sale", lost[1:2], "deadweight", slice(1, 2))
    assert model.ledger.losses[loss][1].tolist() == [0.0, 6.0, 0.0, 0.0, 0.0]
    assert model.ledger.losses[loss].sum() == 6.0
    assert model.ledger.posted["fire_sale"][1].tolist() == [0.0, -6.0, 0.0, 0.0, 0.0]


def test_loans_that_are_not_looked_at_are_no_numbers_and_stay_as_they_were(small_model: Build) -> None:
    model = build(small_model)
    before = model.books.loans.principal.copy()
    with Part(model.books, model.ledger, CHOSEN, loans=np.array([0])) as part:
        principal = part.books.loans.principal
        assert np.isnan(principal[1:]).all()
        principal[0] += 1.0
    np.testing.assert_array_equal(model.books.loans.principal[1:], before[1:])
    np.testing.assert_array_equal(model.books.loans.principal[0] - before[0], CHOSEN.astype(float))


def test_cash_that_moves_in_a_part_is_told_in_the_flows_of_the_batch(small_model: Build) -> None:
    model = build(small_model)
    with Part(model.books, model.ledger, CHOSEN) as part:
        change = np.zeros((model.books.agents, 2))
        payer = model.books.rows["cloud"].start
        change[payer], change[model.books.outside] = -2.0, 2.0
        part.ledger.move_cash(change)
    assert model.ledger.flows[payer].tolist() == [0.0, 2.0, 0.0, 2.0, 0.0]
