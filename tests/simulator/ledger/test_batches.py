"""A part of a batch: what is written to it stands in the batch, and nothing else moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator.engine.model import ContagionModel
from simulator.ledger.attribution import Loss
from simulator.ledger.batches import Part
from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger

Array = NDArray[np.float64]
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


def test_loans_that_are_looked_at_by_rows_are_written_at_once_in_the_columns_of_the_part_alone(small_model: Build) -> None:
    model = build(small_model)
    before = model.books.loans.principal.copy()
    row = np.array([1])
    with Part(model.books, model.ledger, CHOSEN, by_row=frozenset({"loans"})) as part:
        principal = part.books.loans.principal
        np.testing.assert_array_equal(principal[row], before[1:, CHOSEN])
        principal[row] += [[1.0, 2.0]]
        np.testing.assert_array_equal(principal[row], before[1:, CHOSEN] + [1.0, 2.0])
    np.testing.assert_array_equal(model.books.loans.principal - before, [[0.0] * 5, [0.0, 1.0, 0.0, 2.0, 0.0]])


@pytest.mark.parametrize("use", [lambda loans: loans + 1.0, np.sum, np.asarray, lambda loans: np.maximum(loans, 0.0), lambda loans: loans.sum()])
def test_loans_that_are_looked_at_by_rows_cannot_be_taken_whole(use: Callable[[Any], Any], small_model: Build) -> None:
    model = build(small_model)
    with Part(model.books, model.ledger, CHOSEN, by_row=frozenset({"loans"})) as part, pytest.raises((TypeError, AttributeError)):
        use(part.books.loans.principal)


def test_what_is_not_kept_of_a_part_cannot_be_written(small_model: Build) -> None:
    """A flow that a stage of the whole batch decides: a number written to the part's copy would be lost."""
    model = build(small_model)
    with Part(model.books, model.ledger, CHOSEN) as part, pytest.raises(ValueError, match="read-only"):
        part.books["interest_due"][...] = 1.0


KEPT = [
    ("columns", "cash"), ("columns", "book_net_worth"), ("loans", "principal"), ("loans", "arrears"), ("series", "policy_rate"),
    ("posted", "equity"), ("loss_by_tag", "equity"), ("single", "flows"), ("single", "public_support"),
]  # fmt: skip


def arrays_of(books: Books, ledger: Ledger) -> dict[tuple[str, str], Array]:
    """The arrays of a batch or a part of it that are named in ``KEPT``."""
    places: dict[str, Any] = {
        "columns": books.columns, "loans": books.loans.state, "series": books.series, "posted": ledger.posted, "loss_by_tag": ledger.loss_by_tag,
    }  # fmt: skip
    return {(place, name): getattr(ledger, name) if place == "single" else places[place][name] for place, name in KEPT}


NUMBERS = st.sampled_from([-0.0, 0.0, 1.0, -2.5, np.inf, np.nan])
write = st.tuples(st.sampled_from(KEPT), st.integers(0, 9), st.integers(0, 4), NUMBERS, st.integers(0, 2))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.lists(st.booleans(), min_size=5, max_size=5), writes=st.lists(write, max_size=6), replaced=st.sampled_from([None, *KEPT[4:7]]),
    by_row=st.frozensets(st.sampled_from(["cash", "loans"])),
)  # fmt: skip
def test_any_write_to_a_part_stands_in_the_batch_to_the_bit(
    chosen: list[bool], writes: list[Any], replaced: Any, by_row: frozenset[str], small_model: Build
) -> None:
    """Against the same writes to the columns of the batch itself; one array may be replaced by another, as series are."""
    index = np.flatnonzero(chosen)
    model = build(small_model)
    books, ledger = model.books, model.ledger
    wanted = {key: values.copy() for key, values in arrays_of(books, ledger).items()}
    with Part(books, ledger, np.array(chosen), by_row) as part:
        if replaced is not None and len(index):
            place = {"series": part.books.series, "posted": part.ledger.posted, "loss_by_tag": part.ledger.loss_by_tag}[replaced[0]]
            place[replaced[1]] = place[replaced[1]] + 3.0
            wanted[replaced][:, index] += 3.0
        for key, row, column, value, how in writes:
            if len(index):
                row, column = row % len(wanted[key]), column % len(index)
                written = arrays_of(part.books, part.ledger)[key][row : row + 1].copy()
                written[0, column] = value
                arrays_of(part.books, part.ledger)[key][[row, slice(row, row + 1), np.array([row])][how]] = written[0] if how == 0 else written
                wanted[key][row, index[column]] = value
    for key, values in arrays_of(books, ledger).items():
        assert values.tobytes() == wanted[key].tobytes(), key


def test_cash_that_moves_in_a_part_is_told_in_the_flows_of_the_batch(small_model: Build) -> None:
    model = build(small_model)
    with Part(model.books, model.ledger, CHOSEN) as part:
        change = np.zeros((model.books.agents, 2))
        payer = model.books.rows["cloud"].start
        change[payer], change[model.books.outside] = -2.0, 2.0
        part.ledger.move_cash(change)
    assert model.ledger.flows[payer].tolist() == [0.0, 2.0, 0.0, 2.0, 0.0]
