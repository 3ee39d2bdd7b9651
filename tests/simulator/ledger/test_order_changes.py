"""Orders that change hands or are cancelled, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.ledger import order_changes
from simulator.ledger import resolution as rules
from simulator.ledger.estates import Estates
from simulator.ledger.identities import check

Build = Callable[..., ContagionModel]
LAB = {"kind": "ai_lab", "cash": 50.0, "market_value": 100.0}


def market(small_model: Build, **cells: Any) -> ContagionModel:
    """A cloud with three customers: 40 of the first lab, 20 and 60 of two others."""
    firms = {"first": LAB, "second": LAB, "third": LAB, "seller": {"kind": "cloud", "cash": 1.0, "capacity": 50.0}}
    order = {"seller": "seller", "good": "cloud", "start": 1, "end": 60, "take_or_pay": 0.8, **cells}
    buyers = (("first", 40.0), ("second", 20.0), ("third", 60.0))
    return small_model(firms, orders=[{**order, "buyer": buyer, "amount": amount} for buyer, amount in buyers])


def fail(model: ContagionModel, name: str) -> None:
    failed = np.zeros((model.books.agents, 1))
    failed[model.books.ids.index(name)] = 1.0
    model.resolution.settle(model.ledger, Estates(model.books, failed), np.full_like(failed, 0.8))
    check(model.books, model.ledger)


def test_other_buyers_take_over_a_quarter_of_their_own_contract_and_damages_are_due_on_the_rest(small_model: Build) -> None:
    model = market(small_model)
    fail(model, "first")
    taken = order_changes.TAKE_OVER * (20.0 + 60.0)
    assert model.books.orders.remaining[:, 0].tolist() == pytest.approx([0.0, 25.0, 75.0])
    damages = 0.8 * (40.0 - taken) * (1.0 - rules.MITIGATION)
    assert float(model.books["cash"][model.books.ids.index("seller"), 0]) == pytest.approx(1.0 + damages)


def test_no_more_is_taken_over_than_was_left(small_model: Build) -> None:
    model = market(small_model)
    model.books.orders.remaining[0] = 4.0
    fail(model, "first")
    assert model.books.orders.remaining[:, 0].tolist() == pytest.approx([0.0, 21.0, 63.0])


@pytest.mark.parametrize(("column", "value"), [("months_in_arrears", 1.0), ("order_share_taken", 0.9)])
def test_a_buyer_in_trouble_takes_nothing_over(small_model: Build, column: str, value: float) -> None:
    model = market(small_model)
    model.books[column][model.books.ids.index("third")] = value
    fail(model, "first")
    assert model.books.orders.remaining[:, 0].tolist() == pytest.approx([0.0, 25.0, 60.0])


def test_a_buyer_short_of_cash_cancels_what_it_may_against_a_fee(small_model: Build) -> None:
    model = market(small_model, cancellable_after=0)
    books = model.books
    books["order_share_taken"][books.ids.index("second")] = 0.5
    fees = model.resolution.order_changes.cancel(books, rules.MITIGATION)
    assert fees is not None
    assert fees[:, 0].tolist() == pytest.approx([0.0, 0.8 * 20.0 * (1.0 - rules.MITIGATION), 0.0])
    assert books.orders.remaining[:, 0].tolist() == [40.0, 0.0, 60.0]


def test_before_its_date_and_without_one_nothing_is_cancelled(small_model: Build) -> None:
    for cells in ({"cancellable_after": 1}, {}):
        model = market(small_model, **cells)
        model.books["order_share_taken"][...] = 0.1
        assert model.resolution.order_changes.cancel(model.books, rules.MITIGATION) is None
