"""Schedules: a slot repays, month by month, what the single loans behind it repay; deliveries add to the amount of the order."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.ledger.contracts import Contracts
from simulator.ledger.schedules import EARLIEST_REPAYMENT, NEVER, DeliverySchedule, RepaymentSchedule

TICKS = 60
NEAR = {"rtol": 1e-9, "atol": 1e-9}


def slots(principal: list[float], maturity: list[int], repayment: list[str], terms: list[int], replications: int = 1) -> Contracts:
    count = len(principal)
    columns = {
        "lender": np.zeros(count, dtype=np.int64), "borrower": np.ones(count, dtype=np.int64), "maturity": np.array(maturity),
        "repayment": np.array(repayment), "new_term_months": np.array(terms),
    }  # fmt: skip
    loans = Contracts(SimpleNamespace(ids=[f"slot_{row}" for row in range(count)], columns=columns), "lender", "borrower", 2, replications)
    loans.add("principal", np.array(principal))
    return loans


def single_loan(amount: float, first_tick: int, last_tick: int, is_amortising: bool, ticks: int = TICKS) -> np.ndarray:
    """Repayments by tick of one loan that falls due from ``first_tick`` to ``last_tick``."""
    due = np.zeros(max(ticks, last_tick + 1))
    if is_amortising:
        due[first_tick : last_tick + 1] = amount / (last_tick + 1 - first_tick)
    else:
        due[last_tick] = amount
    return due[:ticks]


def all_due(schedule: RepaymentSchedule, tick: int) -> np.ndarray:
    """What falls due in ``tick``, a row for every loan."""
    some, amounts = schedule.due(tick)
    due = np.zeros_like(schedule.loans.principal)
    due[some.rows] = amounts
    return due


def repaid(schedule: RepaymentSchedule, events: dict[int, list[tuple[str, np.ndarray]]], ticks: int = TICKS) -> np.ndarray:
    """Step through the months as a model does: what falls due is asked first, and paid; then new loans and draws are entered."""
    loans, months = schedule.loans, []
    for tick in range(ticks):
        due = all_due(schedule, tick)
        loans.principal[...] -= due
        months.append(due)
        for sort, amounts in events.get(tick, []):
            loans.principal[...] += amounts
            getattr(schedule, sort)(amounts, tick, np.arange(loans.count))
    return np.stack(months)


@pytest.mark.parametrize("repayment", ["bullet", "amortising"])
@pytest.mark.parametrize("maturity", [1, 2, 12, 59, 60, 61, 200])
def test_an_opening_loan_is_repaid_by_the_month_of_its_maturity(repayment: str, maturity: int) -> None:
    loans = slots([12.0], [maturity], [repayment], [24])
    found = repaid(RepaymentSchedule(loans, TICKS), {})[:, 0, 0]
    np.testing.assert_allclose(found, single_loan(12.0, 0, maturity - 1, repayment == "amortising"), **NEAR)


def test_a_loan_overdue_at_the_start_falls_due_at_once_and_one_without_a_date_never() -> None:
    loans = slots([5.0, 5.0], [-3, NEVER], ["bullet", "bullet"], [1, 1])
    found = repaid(RepaymentSchedule(loans, TICKS), {})
    assert found[0, :, 0].tolist() == [5.0, 0.0]
    assert found[1:].sum() == 0.0


@settings(max_examples=60, deadline=None)
@given(
    opening=st.floats(0.0, 100.0),
    maturity=st.integers(1, 80),
    term=st.integers(1, 40),
    is_amortising=st.booleans(),
    lent=st.lists(st.tuples(st.integers(0, 50), st.floats(0.0, 50.0)), max_size=6),
    drawn=st.lists(st.tuples(st.integers(0, 50), st.floats(0.0, 50.0)), max_size=6),
)
def test_a_slot_repays_in_each_month_what_its_single_loans_repay(
    opening: float, maturity: int, term: int, is_amortising: bool, lent: list[tuple[int, float]], drawn: list[tuple[int, float]]
) -> None:
    loans = slots([opening], [maturity], ["amortising" if is_amortising else "bullet"], [term])
    schedule = RepaymentSchedule(loans, TICKS)
    events: dict[int, list[tuple[str, np.ndarray]]] = {}
    expected = single_loan(opening, 0, maturity - 1, is_amortising)
    for tick, amount in lent:
        events.setdefault(tick, []).append(("add", np.array([[amount]])))
        expected = expected + single_loan(amount, tick + 1, tick + term, is_amortising)
    for tick, amount in drawn:
        events.setdefault(tick, []).append(("draw", np.array([[amount]])))
        last = max(maturity - 1, tick + EARLIEST_REPAYMENT)
        expected = expected + single_loan(amount, tick + 1, last, is_amortising)
    np.testing.assert_allclose(repaid(schedule, events)[:, 0, 0], expected, rtol=1e-7, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_slots_and_replications_do_not_disturb_each_other(data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 30), st.booleans()), min_size=2, max_size=5))
    lent = np.array([[data.draw(st.floats(0.0, 9.0)) for _ in range(3)] for _ in rows])
    words = ["amortising" if slow else "bullet" for _, _, slow in rows]
    dates, terms = [row[0] for row in rows], [row[1] for row in rows]
    together = repaid(RepaymentSchedule(slots([4.0] * len(rows), dates, words, terms, 3), TICKS), {3: [("add", lent)]})
    for position, word in enumerate(words):
        for column in range(3):
            alone_loans = slots([4.0], [dates[position]], [word], [terms[position]])
            events = {3: [("add", lent[position : position + 1, column : column + 1])]}
            alone = repaid(RepaymentSchedule(alone_loans, TICKS), events)
            assert alone[:, 0, 0].tobytes() == np.ascontiguousarray(together[:, position, column]).tobytes()


@settings(max_examples=40, deadline=None)
@given(maturity=st.integers(2, 59), part=st.floats(0.0, 1.0), when=st.integers(0, 30), is_amortising=st.booleans())
def test_an_early_repayment_shrinks_what_is_still_to_come_in_proportion(maturity: int, part: float, when: int, is_amortising: bool) -> None:
    loans = slots([30.0, 30.0], [maturity] * 2, ["amortising" if is_amortising else "bullet"] * 2, [12, 12])
    schedule = RepaymentSchedule(loans, TICKS)
    months = []
    for tick in range(TICKS):
        due = all_due(schedule, tick)
        loans.principal[...] -= due
        months.append(due[:, 0])
        if tick == when:
            loans.principal[0] *= part
            schedule.scale(np.array([0]), np.array([[part]]))
    found = np.stack(months)
    np.testing.assert_allclose(found[: when + 1, 0], found[: when + 1, 1], **NEAR)
    np.testing.assert_allclose(found[when + 1 :, 0], part * found[when + 1 :, 1], **NEAR)


def test_no_more_falls_due_than_is_owed() -> None:
    loans = slots([10.0], [5], ["bullet"], [12])
    schedule = RepaymentSchedule(loans, TICKS)
    loans.principal[...] = 4.0  # written down, say
    assert [float(all_due(schedule, tick)[0, 0]) for tick in range(6)] == [0.0, 0.0, 0.0, 0.0, 4.0, 0.0]


def test_the_horizon_does_not_change_what_falls_due_within_it() -> None:
    for word in ("bullet", "amortising"):
        short, long = (RepaymentSchedule(slots([10.0], [30], [word], [12]), ticks) for ticks in (20, 60))
        events = {2: [("add", np.array([[3.0]]))], 7: [("draw", np.array([[2.0]]))]}
        assert repaid(short, events, 20).tobytes() == repaid(long, events, 60)[:20].tobytes()


# ---------------------------------------------------------------------- deliveries


def orders(amount: float, start: int, ramp: int, end: int) -> Contracts:
    columns = {
        "seller": np.array([0]), "buyer": np.array([1]), "start": np.array([start]), "ramp_months": np.array([ramp]), "end": np.array([end]),
        "amount": np.array([amount]),
    }  # fmt: skip
    return Contracts(SimpleNamespace(ids=["order"], columns=columns), "seller", "buyer", 2, 1)


@settings(max_examples=150, deadline=None)
@given(
    amount=st.floats(0.0, 500.0), start=st.integers(-36, 60), ramp=st.integers(0, 60), length=st.integers(0, 90)
)  # fmt: skip
def test_deliveries_add_to_the_amount_of_the_order(amount: float, start: int, ramp: int, length: int) -> None:
    end = max(start + length, 1)
    planned = DeliverySchedule(orders(amount, start, ramp, end), 200).planned[:, 0, 0]
    assert planned.sum() == pytest.approx(amount, rel=1e-9, abs=1e-9)
    assert (planned >= 0.0).all()
    months = np.arange(1, len(planned) + 1)
    assert not planned[(months < max(start, 1)) | (months > end)].any()
    inside = planned[(months >= max(start, 1)) & (months <= end)]
    assert (np.diff(inside) >= -1e-9 * max(amount, 1.0)).all(), "deliveries fall during the ramp"


def test_a_ramp_is_linear_and_then_level() -> None:
    planned = DeliverySchedule(orders(10.0, 1, 4, 4 + 2), 24).planned[:, 0, 0]
    # Weights 1/4, 2/4, 3/4, 1, 1, 1 add to 4.5.
    np.testing.assert_allclose(planned[:7], [10 * w / 4.5 for w in (0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.0)], **NEAR)


def test_an_order_under_way_goes_on_from_where_its_ramp_stands() -> None:
    planned = DeliverySchedule(orders(12.0, -1, 4, 3), 24).planned[:, 0, 0]
    # Month 1 is the third of the ramp of four months: weights 3/4, 1, 1.
    np.testing.assert_allclose(planned[:4], [12 * w / 2.75 for w in (0.75, 1.0, 1.0, 0.0)], **NEAR)


def test_an_open_ended_tie_has_no_plan_and_an_order_without_an_end_takes_five_years() -> None:
    assert not DeliverySchedule(orders(0.0, 0, 0, NEVER), 24).planned.any()
    planned = DeliverySchedule(orders(60.0, 1, 0, NEVER), 80).planned[:, 0, 0]
    np.testing.assert_allclose(planned[:60], 1.0, **NEAR)
    assert not planned[60:].any()


def test_next_year_is_the_sum_of_the_coming_twelve_months() -> None:
    schedule = DeliverySchedule(orders(60.0, 3, 6, 40), 48)
    for tick in (0, 5, 30, 47):
        assert schedule.next_year(tick)[0, 0] == pytest.approx(schedule.planned[tick + 1 : tick + 13, 0, 0].sum(), rel=1e-12)
