"""Sums over agents and contracts: the same bits however many replications stand side by side, and whether all or some contracts are summed."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.ledger import contracts
from simulator.ledger.contracts import Contracts
from simulator.ledger.sums import add_to_rows, buffered_by_row, incidence, merged_rows, row_blocks, total
from simulator.networks import incidence as networks_incidence


def amounts(rows: int, replications: int, seed: int) -> np.ndarray:
    """Numbers of very different size, so that another order of adding gives another last bit."""
    random = np.random.default_rng(seed)
    return random.standard_normal((rows, replications)) * 10.0 ** random.uniform(-8.0, 8.0, (rows, replications))


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 300), replications=st.integers(1, 70), seed=st.integers(0, 1000))
def test_a_total_has_the_bits_of_adding_one_row_after_the_other_in_each_replication(rows: int, replications: int, seed: int) -> None:
    values = amounts(rows, replications, seed)
    found = total(values)
    assert found.shape == (1, replications)
    assert found.tobytes() == np.cumsum(values, axis=0)[-1:].tobytes()
    alone = np.concatenate([total(np.ascontiguousarray(values[:, [column]])) for column in range(replications)], axis=1)
    assert found.tobytes() == alone.tobytes()
    assert total(np.asfortranarray(values)).tobytes() == found.tobytes()


def test_a_total_of_nothing_is_zero() -> None:
    assert total(np.zeros((0, 3))).tolist() == [[0.0, 0.0, 0.0]]


def table(holder: Sequence[int] | np.ndarray, debtor: Sequence[int] | np.ndarray, agents: int) -> Contracts:
    columns = {"holder": np.array(holder), "debtor": np.array(debtor)}
    return Contracts(SimpleNamespace(ids=[f"contract_{row}" for row in range(len(holder))], columns=columns), "holder", "debtor", agents, 3)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_some_contracts_are_summed_as_the_table_with_nothing_in_the_others(data: st.DataObject, seed: int) -> None:
    agents, count = 6, data.draw(st.integers(1, 30))
    ends = [data.draw(st.lists(st.integers(0, agents - 1), min_size=count, max_size=count)) for _ in range(2)]
    contracts = table(ends[0], ends[1], agents)
    rows = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    some, values = contracts.some(rows), amounts(len(rows), 3, seed)
    every = np.zeros((count, 3))
    every[rows] = values
    for name in ("by_holder", "by_debtor", "net"):
        assert (getattr(some, name)(values) == getattr(contracts, name)(every)).all(), name
    assert contracts.some(rows.copy()) is some


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_one_replication_is_summed_with_the_bits_that_it_has_beside_others(data: st.DataObject, seed: int) -> None:
    agents, count = 6, data.draw(st.integers(0, 40))
    ends = [data.draw(st.lists(st.integers(0, agents - 1), min_size=count, max_size=count)) for _ in range(2)]
    contracts, values = table(np.array(ends[0], dtype=np.int64), np.array(ends[1], dtype=np.int64), agents), amounts(count, 3, seed)
    asked = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=agents, max_size=agents)))
    among = [matrix for holders, matrix in [contracts.holders_among(asked)] if len(holders)]
    for matrix in (contracts.holder_matrix, contracts.debtor_matrix, contracts.net_matrix, *among):
        together = matrix @ values
        for column in range(3):
            alone = matrix @ np.ascontiguousarray(values[:, [column]])
            assert alone.dtype == np.float64
            assert alone.tobytes() == np.ascontiguousarray(together[:, [column]]).tobytes()
    by_holder = contracts.by_holder(values)
    for holders, matrix in [contracts.holders_among(asked)]:
        assert holders.tolist() == sorted(set(asked.tolist()) & set(ends[0]))
        assert not among or (matrix @ values).tobytes() == by_holder[holders].tobytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000), width=st.sampled_from([1, 3]))
def test_what_parties_gain_are_their_rows_of_what_all_gain_and_the_others_gain_nothing(data: st.DataObject, seed: int, width: int) -> None:
    agents, count = 8, data.draw(st.integers(1, 12))
    ends = [data.draw(st.lists(st.integers(0, agents - 1), min_size=count, max_size=count)) for _ in range(2)]
    contracts, values = table(*ends, agents), amounts(count, width, seed)
    outside = data.draw(st.integers(0, agents - 1))
    parties, matrix = contracts.parties_and(outside)
    assert parties.tolist() == sorted({*ends[0], *ends[1], outside})
    whole = contracts.net(values)
    assert (matrix @ values).tobytes() == whole[parties].tobytes()
    assert not np.delete(whole, parties, axis=0).any()


@settings(max_examples=100, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000), width=st.sampled_from([1, 3]), is_large=st.booleans())
def test_what_agents_gain_follows_from_sums_that_are_known_with_the_bits_of_the_net(
    data: st.DataObject, seed: int, width: int, is_large: bool
) -> None:
    count = data.draw(st.integers(1, 30))
    lenders, borrowers = (0, 5), (4, 9)  # two of ten agents may be both; where many are, all contracts are netted anew
    low, high = ((0, 9), (0, 9)) if is_large else (lenders, borrowers)
    ends = [data.draw(st.lists(st.integers(*limits), min_size=count, max_size=count)) for limits in (low, high)]
    contracts, values = table(*ends, 10), amounts(count, width, seed)
    assert contracts.net_of(contracts.summed(values)).tobytes() == contracts.net(values).tobytes()


def test_without_the_compiled_loop_of_scipy_sums_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, values = incidence(np.array([2, 0, 2, 1, 2]), 4), amounts(5, 7, 1)
    found = matrix @ values
    monkeypatch.setattr(networks_incidence, "csc_matvecs", None)
    assert (matrix @ values).tobytes() == found.tobytes()
    assert found[2].tolist() == (0.0 + values[0] + values[2] + values[4]).tolist()


@pytest.mark.parametrize("is_compiled", [True, False])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000), width=st.sampled_from([1, 3]), step=st.integers(1, 12))
def test_amounts_that_come_in_blocks_are_summed_with_the_bits_of_the_sum_at_once(
    is_compiled: bool, data: st.DataObject, seed: int, width: int, step: int
) -> None:
    count = data.draw(st.integers(1, 40))
    members = np.array(data.draw(st.lists(st.integers(0, 5), min_size=count, max_size=count)), dtype=np.int64)
    chosen = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    values = amounts(count, width, seed)
    with pytest.MonkeyPatch.context() as patch:
        for matrix in (networks_incidence.Incidence(members, 6), networks_incidence.Incidence(members[chosen], 6, chosen, count)):
            at_once = matrix @ values
            if not is_compiled:
                patch.setattr(networks_incidence, "csc_matvecs", None)
            summed = np.zeros((6, width))
            for start in range(0, count, step):
                block = slice(start, min(start + step, count))
                matrix.add_block(summed, values[block], block)
            assert summed.tobytes() == at_once.tobytes()


@given(data=st.data())
def test_contracts_of_some_agents_are_those_whose_party_is_among_them(data: st.DataObject) -> None:
    ends = [np.array(data.draw(st.lists(st.integers(0, 8), min_size=12, max_size=12))) for _ in range(2)]
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, 8)))), dtype=np.int64)
    contracts = table(ends[0], ends[1], 9)
    assert contracts.held_by(rows).tolist() == [row for row in range(12) if ends[0][row] in rows]
    assert contracts.owed_by(rows).tolist() == [row for row in range(12) if ends[1][row] in rows]
    assert contracts.owed_by_holders.tolist() == [row for row in range(12) if ends[1][row] in ends[0]]


@pytest.mark.parametrize("width", [1, 255, 256, 1000, 20_000])
def test_a_buffer_of_one_row_moves_no_bit_and_is_given_back(width: int) -> None:
    values, share, common, before = amounts(9, width, 1), amounts(9, 1, 2), amounts(1, width, 3), np.getbufsize()

    def worked_out() -> list[bytes]:
        results = values * share + common, np.exp(-np.abs(values)) / share, total(values), np.any(values > share, axis=0)
        return [result.tobytes() for result in results]

    found = worked_out()
    with buffered_by_row(width):
        assert np.getbufsize() == {256: 256, 1000: 1008}.get(width, before)
        assert worked_out() == found
    with pytest.raises(ZeroDivisionError), buffered_by_row(width):
        raise ZeroDivisionError
    assert np.getbufsize() == before


@pytest.mark.parametrize(("rows", "width"), [(1, 1), (281, 512), (281, 1), (53, 100_000)])
def test_blocks_of_rows_cover_every_row_once(rows: int, width: int) -> None:
    covered = [row for block in row_blocks(rows, width) for row in range(rows)[block]]
    assert covered == list(range(rows))


ROWS = st.lists(st.integers(0, 60), unique=True).map(lambda rows: np.array(sorted(rows), dtype=np.int64))


@given(one=ROWS, other=ROWS)
def test_merged_rows_are_those_of_both_in_order_and_once(one: np.ndarray, other: np.ndarray) -> None:
    assert merged_rows(one, other).tolist() == sorted({*one.tolist(), *other.tolist()})


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize(("width", "width_added"), [(1, 1), (70, 70), (70, 1)])
def test_amounts_added_to_some_rows_move_no_other_row_and_have_the_bits_of_a_sum(
    width: int, width_added: int, is_compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_compiled:
        monkeypatch.setattr(networks_incidence, "csc_matvecs", None)
    whole, more, rows = amounts(9, width, 1), amounts(4, width_added, 2), np.array([0, 3, 4, 8])
    expected = whole.copy()
    for place, row in enumerate(rows):
        expected[row] = expected[row] + more[place]
    add_to_rows(whole, rows, more)
    assert whole.tobytes() == expected.tobytes()


@pytest.mark.parametrize("width", [1, 3, 70])
@pytest.mark.parametrize("members", [(), (0, 2, 2, 4, 0)])
def test_sums_written_over_a_column_have_the_bits_of_sums_made_anew(members: tuple[int, ...], width: int) -> None:
    matrix, values, column = incidence(np.array(members, dtype=np.int64), 5), amounts(len(members), width, 3), np.full((5, width), 7.0)
    assert matrix.sums(values, out=column) is column
    assert column.tobytes() == (matrix @ values).tobytes()


def test_selections_that_are_kept_hold_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "SELECTED_ROWS_KEPT", 5)
    loans = table([0, 1, 2, 0], [1, 2, 0, 2], 3)
    some = [np.array(rows) for rows in ([0, 1], [1, 2], [2, 3])]
    first, second, third = (loans.some(rows) for rows in some)
    assert loans.some(some[2]) is third
    assert loans.some(some[1]) is second
    assert loans.some(some[0]) is not first
    every = loans.some(np.arange(4))
    assert loans.some(np.arange(4)) is every
