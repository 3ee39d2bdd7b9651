"""Contracts for compute that are renegotiated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scenarios.changes import Change
from simulator.engine.model import ContagionModel
from simulator.ledger.renegotiation import CALLS_TOO_LITTLE, PRICE_CUT, SHORT_MONTHS, SLOWER

CUT = Change("cut", "orders.renegotiation", "set_to", 0.2, 3, agents=("lab",))


def run(months: int, *changes: Change, **options: Any) -> ContagionModel:
    model = ContagionModel("three_firms", changes=changes, **{"horizon_months": 60, "mesa_agents": False, **options})
    for _ in range(months):
        model.step()
    return model


def order_of_lab(model: ContagionModel) -> int:
    return int(model.renegotiation.rows[0])


def test_a_cut_takes_its_share_of_what_remains_once_and_slows_the_rest() -> None:
    plain, cut = run(4), run(4, CUT)
    row = order_of_lab(cut)
    before, after = run(2).books.orders.remaining[row, 0], cut.books.orders.remaining[row, 0]
    third = run(3).books.orders.remaining[row, 0]  # the delivery of the month comes before the cut
    assert run(3, CUT).books.orders.remaining[row, 0] == pytest.approx(0.8 * third)
    assert cut.books.orders.pace[row, 0] == pytest.approx(0.8 * SLOWER)
    assert before > third > after
    delivered = 0.8 * third - after
    assert delivered == pytest.approx(0.8 * SLOWER * (third - plain.books.orders.remaining[row, 0]), rel=0.05)
    assert cut.books.series["backlog_lost"][0, 0] == pytest.approx(0.2 * third)


def test_what_is_deferred_is_delivered_after_the_old_end() -> None:
    model = run(4, CUT, horizon_months=64)
    row, plan, orders = order_of_lab(model), model.books.order_schedule, model.books.orders
    end = int(orders.static["end"][row])
    while model.books.tick <= end:
        model.step()
    assert plan.planned[model.books.tick][row, 0] == 0.0
    assert orders.remaining[row, 0] > 0.0
    assert plan.due(model.books.tick, orders)[row, 0] >= plan.last_month[row, 0] * orders.pace[row, 0]


def test_a_lab_that_calls_too_little_for_long_renegotiates_and_starts_anew() -> None:
    model = run(1)
    books, lab = model.books, model.books.rows["ai_lab"]
    row = order_of_lab(model)
    before = books.orders.remaining[row, 0]
    for month in range(int(SHORT_MONTHS)):
        assert books.orders.remaining[row, 0] == before
        assert books["months_called_short"][lab][0, 0] == month
        books["order_share_taken"][lab] = CALLS_TOO_LITTLE - 0.1
        model.renegotiation.run(books, model.renegotiation_lever)
    assert books.orders.remaining[row, 0] == pytest.approx((1.0 - PRICE_CUT) * before)
    assert books["months_called_short"][lab][0, 0] == 0.0


def test_without_a_renegotiation_the_plan_is_untouched() -> None:
    model = run(6)
    assert not model.books.order_schedule.is_stretched
    assert (model.books.orders.pace == 1.0).all()


def test_stretched_orders_give_the_same_bits_alone_and_beside_orders_that_are_not() -> None:
    chance = Change("cut", "orders.renegotiation", "set_to", 0.2, 3, agents=("lab",), probability=0.5)
    batch = run(12, chance, replications=range(8))
    paces = batch.books.orders.pace[order_of_lab(batch)]
    assert 0 < (paces < 1.0).sum() < 8
    for number in range(8):
        alone = run(12, chance, replications=(number,))
        for name in ("remaining", "arrears"):
            assert np.array_equal(alone.books.orders.state[name][:, 0], batch.books.orders.state[name][:, number])
        assert np.array_equal(alone.books["cash"][:, 0], batch.books["cash"][:, number])
