"""Settlement worked out by hand: priority, shortage, credit lines and arrears."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.ledger.identities import check
from simulator.networks import edges

Build = Callable[..., ContagionModel]
LINE = {"kind": "credit_line", "seniority": "senior"}


def firm(kind: str, cash: float, **items: Any) -> dict[str, Any]:
    return {"kind": kind, "cash": cash, "other_assets": 100.0, **items}


def dues(model: ContagionModel, table: str, amounts: list[float]) -> np.ndarray:
    """Amounts ``(C, R)`` of a table's contracts, the same in every replication."""
    assert len(amounts) == getattr(model.books, table).count
    return np.array(amounts)[:, None] * np.ones((1, model.books.replications))


def settle(model: ContagionModel, *, interest: Any = (), principal: Any = (), invoices: Any = (), rents: Any = (), bills: Any = None) -> None:
    """Accrue what falls due and clear it; the books must balance afterwards."""
    books = model.books
    loans = [*interest] or [0.0] * books.loans.count
    operating = np.zeros((books.agents, books.replications))
    for agent, amount in (bills or {}).items():
        operating[books.ids.index(agent)] = amount
    model.settlement.accrue(
        model.ledger, books.loans.summed(dues(model, "loans", loans)), np.zeros_like(books.loans.principal),
        books.loans.some(np.arange(books.loans.count)), dues(model, "loans", [*principal] or [0.0] * books.loans.count),
        dues(model, "orders", [*invoices] or [0.0] * books.orders.count),
        dues(model, "leases", [*rents] or [0.0] * books.leases.count), operating,
    )  # fmt: skip
    model.settlement.clear(model.ledger)
    check(books, model.ledger)


def of(model: ContagionModel, column: str, agent: str) -> float:
    return float(model.books[column][model.books.ids.index(agent), 0])


def falls_due(model: ContagionModel, tick: int, row: int) -> float:
    """Principal of a loan that falls due in ``tick``."""
    loans, due = model.books.repayments.due(tick)
    return float(np.add.reduce(due[loans.rows == row, 0]))


def chain(small_model: Build, **given: Any) -> ContagionModel:
    """A owes B interest on a secured loan of 60 and C for compute; B owes C rent; C owes bills."""
    return small_model(
        {"a": firm("cloud", 10.0), "b": firm("investor", 1.0), "c": firm("project_company", 0.0), **given.pop("more", {})},
        loans=[{"lender": "b", "borrower": "a", "kind": "term_loan", "principal": 60.0, "seniority": "secured"}, *given.pop("lines", [])],
        orders=[{"seller": "c", "buyer": "a", "good": "cloud", "amount": 100.0, "end": 60}],
        leases=[{"lessor": "c", "lessee": "b", "rent": 60.0, "start": 0, "end": 60}],
        **given,
    )


def test_three_agents_are_cleared_together(small_model: Build) -> None:
    model = chain(small_model)
    settle(model, interest=[6.0], invoices=[8.0], rents=[5.0], bills={"c": 4.0})
    # A pays the secured 6 in full and C 4 of 8; B pays its 5 out of 1 + 6; C its bills out of 4 + 5.
    assert [of(model, "cash", agent) for agent in "abc"] == pytest.approx([0.0, 2.0, 5.0])
    assert model.books.orders.arrears[0, 0] == pytest.approx(4.0)
    assert model.books.loans.arrears[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert [of(model, "months_in_arrears", agent) for agent in "abc"] == [1.0, 0.0, 0.0]


def test_wages_and_bills_come_before_secured_debt_and_that_before_the_rest(small_model: Build) -> None:
    model = chain(small_model)
    settle(model, interest=[6.0], invoices=[8.0], rents=[0.0], bills={"a": 7.0})
    assert of(model, "operating_arrears", "a") == pytest.approx(0.0, abs=1e-12)
    assert model.books.loans.arrears[0, 0] == pytest.approx(3.0)
    assert model.books.orders.arrears[0, 0] == pytest.approx(8.0)


def test_claims_of_one_class_share_pro_rata(small_model: Build) -> None:
    model = small_model(
        {"a": firm("cloud", 6.0), "b": firm("investor", 0.0), "c": firm("hyperscaler", 0.0)},
        loans=[
            {"lender": "b", "borrower": "a", "principal": 50.0, "seniority": "senior"},
            {"lender": "c", "borrower": "a", "principal": 50.0, "seniority": "senior"},
            {"lender": "c", "borrower": "a", "principal": 50.0, "seniority": "subordinated"},
        ],
    )
    settle(model, interest=[4.0, 8.0, 5.0])
    assert [of(model, "cash", agent) for agent in "abc"] == pytest.approx([0.0, 2.0, 4.0])
    assert model.books.loans.arrears[:, 0].tolist() == pytest.approx([2.0, 4.0, 5.0])


def test_a_ring_of_debts_is_paid_in_full_out_of_nothing(small_model: Build) -> None:
    """The greatest clearing vector: what goes round in a ring needs no cash."""
    ring = [("b", "a"), ("c", "b"), ("a", "c")]
    model = small_model(
        {agent: firm("cloud", 0.0) for agent in "abc"},
        loans=[{"lender": lender, "borrower": borrower, "principal": 50.0, "seniority": "senior"} for lender, borrower in ring],
    )
    settle(model, principal=[5.0, 5.0, 5.0])
    assert model.books.loans.arrears[:, 0].tolist() == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)
    assert model.books.loans.principal[:, 0].tolist() == pytest.approx([45.0, 45.0, 45.0])
    assert [of(model, "cash", agent) for agent in "abc"] == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)


def test_a_credit_line_is_drawn_as_far_as_cash_falls_short_and_becomes_debt(small_model: Build) -> None:
    model = chain(small_model, lines=[{"lender": "main_bank", "borrower": "a", "undrawn": 7.0, "maturity": 20, **LINE}])
    settle(model, interest=[6.0, 0.0], invoices=[8.0])
    loans = model.books.loans
    assert model.books.orders.arrears[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert loans.principal[1, 0] == pytest.approx(4.0)
    assert loans.undrawn[1, 0] == pytest.approx(3.0)
    assert of(model, "cash", "a") == pytest.approx(0.0, abs=1e-12)
    assert of(model, "months_in_arrears", "a") == 0.0


def test_a_drawn_line_falls_due_like_any_loan(small_model: Build) -> None:
    model = chain(small_model, lines=[{"lender": "main_bank", "borrower": "a", "undrawn": 7.0, "maturity": 20, **LINE}], horizon_months=24)
    settle(model, interest=[6.0, 0.0], invoices=[8.0])
    due = [falls_due(model, tick, 1) for tick in range(1, 24)]
    assert sum(due) == pytest.approx(4.0)
    assert due[18] == pytest.approx(4.0)  # a maturity of month 20 is tick 19


def test_a_line_is_worth_no_more_than_its_cap(small_model: Build) -> None:
    model = chain(small_model, lines=[{"lender": "main_bank", "borrower": "a", "undrawn": 3.0, "maturity": 20, **LINE}])
    settle(model, interest=[6.0, 0.0], invoices=[8.0])
    assert model.books.orders.arrears[0, 0] == pytest.approx(1.0)
    assert model.books.loans.undrawn[1, 0] == pytest.approx(0.0, abs=1e-12)


def test_a_lender_without_cash_cannot_fund_the_line_it_promised(small_model: Build) -> None:
    fund = {"fund": {"kind": "lender", "lender_type": "fund", "cash": 2.5, "other_assets": 50.0}}
    model = chain(small_model, more=fund, lines=[{"lender": "fund", "borrower": "a", "undrawn": 7.0, "maturity": 20, **LINE}])
    settle(model, interest=[6.0, 0.0], invoices=[8.0])
    assert model.books.loans.principal[1, 0] == pytest.approx(2.5)
    assert model.books.orders.arrears[0, 0] == pytest.approx(1.5)
    assert of(model, "cash", "fund") == pytest.approx(0.0, abs=1e-12)


def test_a_line_that_is_not_needed_stays_undrawn(small_model: Build) -> None:
    model = chain(small_model, lines=[{"lender": "main_bank", "borrower": "a", "undrawn": 7.0, "maturity": 20, **LINE}])
    settle(model, interest=[1.0, 0.0], invoices=[8.0])
    assert model.books.loans.undrawn[1, 0] == 7.0
    assert of(model, "cash", "a") == pytest.approx(1.0)


def test_what_stays_unpaid_is_arrears_and_is_paid_when_money_comes(small_model: Build) -> None:
    model = chain(small_model)
    settle(model, interest=[6.0], invoices=[8.0])
    settle(model)
    assert of(model, "months_in_arrears", "a") == 2.0
    assert model.books.orders.arrears[0, 0] == pytest.approx(4.0)
    gift = np.zeros_like(model.books["cash"])
    gift[model.books.ids.index("a")], gift[model.books.outside] = 5.0, -5.0
    model.ledger.pay(gift)
    settle(model)
    assert model.books.orders.arrears[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert of(model, "months_in_arrears", "a") == 0.0
    assert of(model, "cash", "a") == pytest.approx(1.0)


def test_principal_that_falls_due_moves_from_principal_to_payment_and_no_net_worth_changes(small_model: Build) -> None:
    model = chain(small_model)
    before = model.books.net_worth()
    settle(model, interest=[0.0], principal=[7.0])
    assert model.books.loans.principal[0, 0] == pytest.approx(53.0)
    assert of(model, "cash", "b") == pytest.approx(8.0)
    np.testing.assert_allclose(model.books.net_worth(), before, atol=1e-9)


def test_cost_of_the_one_is_income_of_the_other_whether_or_not_it_is_paid(small_model: Build) -> None:
    model = chain(small_model)
    before = model.books.net_worth()[:, 0]
    settle(model, interest=[6.0], invoices=[8.0], rents=[5.0], bills={"c": 4.0})
    change = dict(zip(model.books.ids, model.books.net_worth()[:, 0] - before, strict=True))
    assert [change[agent] for agent in ("a", "b", "c", "outside")] == pytest.approx([-14.0, 1.0, 9.0, 4.0])


def test_a_bank_pays_by_creating_deposits(small_model: Build) -> None:
    model = small_model({"a": firm("cloud", 3.0)}, loans=[{"lender": "a", "borrower": "main_bank", "principal": 50.0, "seniority": "senior"}])
    deposits = of(model, "deposits", "main_bank")
    settle(model, principal=[20.0])
    assert of(model, "cash", "a") == pytest.approx(23.0)
    assert of(model, "deposits", "main_bank") == pytest.approx(deposits + 20.0)


def test_replications_are_settled_apart(small_model: Build) -> None:
    model = chain(small_model, replications=(0, 1, 2))
    model.books["cash"][model.books.ids.index("a")] = [10.0, 20.0, 0.0]
    model.books["cash"][model.books.outside] += [0.0, -10.0, 10.0]
    model.ledger.post("ordinary", model.books.net_worth() - model.ledger.opening)
    settle(model, interest=[6.0], invoices=[8.0])
    assert model.books.orders.arrears[0].tolist() == pytest.approx([4.0, 0.0, 8.0])
    assert model.books.loans.arrears[0].tolist() == pytest.approx([0.0, 0.0, 6.0])
    assert model.books.converged.all()


def test_each_contract_has_its_own_grace_period(small_model: Build) -> None:
    """An order waits for three months, a loan for two, and a row may say otherwise."""
    for given, months in ((None, 3), (1, 1), (5, 5)):
        order = {"seller": "c", "buyer": "a", "good": "cloud", "amount": 100.0, "end": 60}
        model = small_model(
            {"a": firm("cloud", 0.0), "c": firm("project_company", 0.0)}, orders=[order if given is None else {**order, "grace_months": given}]
        )
        past = []
        for month in range(1, 7):
            settle(model, invoices=[8.0 if month == 1 else 0.0])
            past.append(of(model, "past_grace", "a"))
        assert past == [0.0] * (months - 1) + [1.0] * (7 - months)


def test_the_shortest_grace_among_overdue_contracts_counts(small_model: Build) -> None:
    model = chain(small_model)
    settle(model, interest=[20.0], invoices=[8.0], rents=[0.0])  # the secured loan and the order are overdue
    assert of(model, "past_grace", "a") == 0.0
    settle(model)
    assert of(model, "past_grace", "a") == 1.0
    assert model.books.orders.months_overdue[0, 0] == 2.0


def test_grace_starts_anew_once_everything_is_paid(small_model: Build) -> None:
    model = chain(small_model)
    settle(model, interest=[6.0], invoices=[8.0])
    gift = np.zeros_like(model.books["cash"])
    gift[model.books.ids.index("a")], gift[model.books.outside] = 5.0, -5.0
    model.ledger.pay(gift)
    settle(model)
    assert model.books.orders.months_overdue[0, 0] == 0.0
    settle(model, invoices=[8.0])
    assert model.books.orders.months_overdue[0, 0] == 1.0
    assert of(model, "past_grace", "a") == 0.0


def test_a_settlement_among_those_who_may_be_short_has_the_bits_of_one_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Firms owe more than they have, draw on lines, are overdue and fail: the books are the same whether the few are cleared alone or all are."""
    books, overdue = [], 0
    for worth in (0, 10**9):
        monkeypatch.setattr(edges, "WORTH_CUTTING", worth)
        model = ContagionModel("us_ai_2025", replications=range(6), mesa_agents=False, horizon_months=10)
        for _ in range(10):
            model.step()
            overdue += int(model.books["months_in_arrears"].any(axis=1).sum())
            for place, kind in enumerate(("cloud", "ai_lab", "investor")):
                firms = model.books.rows[kind]
                model.books["operating_arrears"][firms] += 2.0 * model.books["cash"][firms] * (np.arange(6) % 3 == place)
            model.ledger.closing = model.books.net_worth()
        assert (len(model.settlement.network._few) > 2) == (worth == 0)
        books.append(model.books)
    assert overdue > 20
    few, every = books
    for name in few.columns:
        assert (few[name] == every[name]).all(), name
    for table in ("loans", "orders", "leases", "guarantees"):
        for name, values in getattr(few, table).state.items():
            assert (values == getattr(every, table).state[name]).all(), (table, name)
