"""Columns: what an agent and a cohort read, that nobody writes but the ledger, and that every rule only reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.base import EconomicAgent
from agents.registry import AGENT_CLASSES
from simulator.engine.model import ContagionModel
from simulator.ledger.columns import Column, Columns, Flow, Parameter, Stock, rule
from simulator.ledger.identities import check


class Shop:
    """A small class with columns, apart from the model."""

    cash = Stock("USD bn", "money")
    sales = Flow("USD bn", "of the tick")
    size = Parameter("number", "fixed")

    def __init__(self, columns: Columns, rows: slice, is_cohort: bool) -> None:
        self.columns, self.rows, self.is_cohort = columns, rows, is_cohort

    @property
    def cohort(self) -> Shop:
        return Shop(self.columns, self.rows, True)

    @rule("USD bn")
    def twice(self) -> Any:
        assert self.is_cohort
        return 2.0 * self.cash


def shops(replications: int) -> Columns:
    columns = Columns(3, replications)
    columns.add("cash", np.array([1.0, 2.0, 3.0]))
    columns.add("sales", 0.5, "flow")
    columns.add("size", np.array([10.0, 20.0, 30.0]), "parameter")
    return columns


def test_an_agent_reads_a_float_when_there_is_one_replication() -> None:
    agent = Shop(shops(1), slice(1, 2), False)
    assert (agent.cash, agent.sales, agent.size) == (2.0, 0.5, 20.0)
    assert type(agent.cash) is type(agent.size) is float


def test_an_agent_reads_one_number_a_replication_when_there_are_several() -> None:
    agent = Shop(shops(4), slice(2, 3), False)
    assert agent.cash.shape == (4,)
    assert (agent.cash == 3.0).all()
    assert agent.size == 30.0  # a parameter is the same in all


def test_a_cohort_reads_arrays_of_agent_and_replication() -> None:
    for replications in (1, 4):
        cohort = Shop(shops(replications), slice(1, 3), True)
        assert cohort.cash.shape == (2, replications)
        assert cohort.size.shape == (2, 1)
        assert cohort.cash.dtype == np.float64


def test_a_cohort_reads_the_present_values_and_not_a_copy() -> None:
    columns = shops(2)
    cohort = Shop(columns, slice(0, 2), True)
    columns["cash"][1, 0] = 7.0
    assert cohort.cash[1, 0] == 7.0
    assert np.shares_memory(cohort.cash, columns["cash"])


@pytest.mark.parametrize("name", ["cash", "sales", "size"])
@pytest.mark.parametrize("is_cohort", [True, False])
def test_writing_a_column_is_an_error_that_says_who_writes(name: str, is_cohort: bool) -> None:
    with pytest.raises(AttributeError, match=f"{name} is written by the ledger only"):
        setattr(Shop(shops(1), slice(0, 1), is_cohort), name, 1.0)


def test_a_rule_asked_of_an_agent_answers_a_float_and_of_a_cohort_an_array() -> None:
    assert Shop(shops(1), slice(1, 2), False).twice() == 4.0
    assert isinstance(Shop(shops(1), slice(1, 2), False).twice(), float)
    assert Shop(shops(3), slice(1, 2), False).twice().tolist() == [4.0, 4.0, 4.0]
    assert Shop(shops(3), slice(0, 3), True).twice().shape == (3, 3)


def test_a_column_knows_its_unit_meaning_and_role() -> None:
    assert (Shop.cash.unit, Shop.cash.meaning, Shop.cash.name, Shop.cash.role) == ("USD bn", "money", "cash", "stock")
    assert (Shop.sales.role, Shop.size.role) == ("flow", "parameter")
    assert Shop.twice.unit == "USD bn"


def test_columns_are_c_contiguous_and_of_double_precision() -> None:
    columns = shops(5)
    assert columns.add("matrix", np.arange(15.0).reshape(5, 3).T).flags.c_contiguous
    assert all(array.dtype == np.float64 and array.flags.c_contiguous for array in columns.values())
    assert len(columns) == 4
    assert set(columns) == {"cash", "sales", "size", "matrix"}


def test_frozen_columns_cannot_be_written_until_they_thaw() -> None:
    columns = shops(2)
    columns.freeze()
    with pytest.raises(ValueError, match="read-only"):
        columns["cash"][0, 0] = 1.0
    columns.freeze(False)
    columns["cash"][0, 0] = 9.0
    assert columns["cash"][0, 0] == 9.0


# ---------------------------------------------------------------------- the agents' own columns and rules


@pytest.fixture(scope="module")
def stepped() -> ContagionModel:
    model = ContagionModel("us_ai_2025", "rate_hold", "open_models", replications=range(3), horizon_months=12)
    for _ in range(2):
        model.step()
    return model


def rules_of(cls: type[EconomicAgent]) -> list[str]:
    return [name for name in dir(cls) if getattr(getattr(cls, name), "is_rule", False)]


@pytest.mark.parametrize("kind", list(AGENT_CLASSES))
def test_every_rule_works_on_read_only_columns_and_answers_an_array_in_double_precision(kind: str, stepped: ContagionModel) -> None:
    cls, books = AGENT_CLASSES[kind], stepped.books
    size = books.rows[kind].stop - books.rows[kind].start
    assert size, f"no {kind} in the economy"
    tables = (books.loans, books.stakes, books.orders, books.leases, books.guarantees)
    arrays = [array for table in tables for array in table.state.values()] + list(books.series.values())
    before = {name: array.copy() for name, array in books.columns.items()}
    books.columns.freeze()
    for array in arrays:
        array.flags.writeable = False
    try:
        for name in rules_of(cls):
            answer = getattr(stepped.actor(kind), name)()
            assert isinstance(answer, np.ndarray), name
            assert answer.dtype == np.float64, name
            assert answer.ndim == 2, name
            assert answer.shape[1] in (1, books.replications), name
            assert np.isfinite(answer).all(), name
            whole = books.agents if kind == "short_seller" or name == "backing" else size  # these two look at every firm
            assert answer.shape[0] in (1, whole), name
            if hasattr(cls, "wanted_investment"):
                assert answer.shape == (size, books.replications), f"{name} answers {answer.shape}"
    finally:
        books.columns.freeze(False)
        for array in arrays:
            array.flags.writeable = True
    for name, array in before.items():
        assert (books[name] == array).all(), f"{name} was written"


def test_every_rule_of_one_mesa_agent_gives_its_row_of_the_cohort(stepped: ContagionModel) -> None:
    for agent in stepped.agents:
        if agent.kind == "short_seller":
            continue
        cohort = stepped.actor(agent.kind)
        position = agent.row - stepped.books.rows[agent.kind].start
        for name in rules_of(type(agent)):
            own, all_of_kind = np.atleast_1d(getattr(agent, name)()), getattr(cohort, name)()
            expected = np.broadcast_to(all_of_kind, (max(len(all_of_kind), position + 1), all_of_kind.shape[1]))[position]
            assert own.tobytes() == np.ascontiguousarray(expected).tobytes(), f"{name} of {agent}"


@pytest.mark.parametrize("cls", AGENT_CLASSES.values(), ids=list(AGENT_CLASSES))
def test_every_column_and_rule_says_its_unit_and_meaning(cls: type[EconomicAgent], stepped: ContagionModel) -> None:
    for name in dir(cls):
        found = getattr(cls, name)
        if isinstance(found, Column):
            assert found.unit, name
            assert found.meaning, name
            assert name in stepped.books.columns, f"{name} of {cls.__name__} stands in no column"
    for name in rules_of(cls):
        assert getattr(cls, name).unit, name
        assert "Rule:" in (getattr(cls, name).__doc__ or "") or getattr(cls, name).__doc__, name


def test_a_tick_leaves_the_columns_where_they_were_in_memory(stepped: ContagionModel) -> None:
    model = ContagionModel("three_firms", replications=range(2), horizon_months=3)
    places = {name: array.ctypes.data for name, array in model.books.columns.items()}
    model.run()
    assert {name: array.ctypes.data for name, array in model.books.columns.items()} == places
    check(model.books, model.ledger)
