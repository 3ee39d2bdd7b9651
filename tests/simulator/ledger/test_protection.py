"""Guarantees and swaps worked out by hand: premia, calls, sellers that fail, and who bears what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.ledger import resolution as rules
from simulator.ledger.estates import Estates
from simulator.ledger.identities import check

Build = Callable[..., ContagionModel]
RESALE = 0.8


def lender(cash: float = 50.0) -> dict[str, Any]:
    return {"kind": "lender", "lender_type": "fund", "cash": cash, "other_assets": 100.0}


def protected(small_model: Build, seller_cash: float = 100.0, **cells: Any) -> ContagionModel:
    """A cloud owes fund ``one`` 60 on a senior loan and has 20 in cash; the seller, a hyperscaler, protects fund ``buyer``."""
    firms = {
        "cloud": {"kind": "cloud", "cash": 20.0, "market_value": 30.0}, "one": lender(), "buyer": lender(),
        "seller": {"kind": "hyperscaler", "cash": seller_cash, "market_value": 10.0},
    }  # fmt: skip
    loans = [{"lender": "one", "borrower": "cloud", "principal": 60.0, "seniority": "senior"}]
    row = {"guarantor": "seller", "beneficiary": "one", "reference_table": "loans", "reference_row": 0, "kind": "loan_guarantee", "notional": 15.0}
    return small_model(firms, loans=loans, guarantees=[{**row, **cells}])


def fail(model: ContagionModel, *names: str) -> None:
    books = model.books
    failed = np.zeros((books.agents, books.replications))
    for name in names:
        failed[books.ids.index(name)] = 1.0
    model.resolution.settle(model.ledger, Estates(model.books, failed), np.full_like(failed, RESALE))
    check(books, model.ledger)


def clear(model: ContagionModel) -> None:
    model.resolution.protection.fund_government(model.books, model.ledger)
    model.settlement.clear(model.ledger)
    check(model.books, model.ledger)


def of(model: ContagionModel, column: str, agent: str) -> float:
    return float(model.books[column][model.books.ids.index(agent), 0])


def lost(model: ContagionModel, tag: str) -> float:
    return float(model.ledger.loss_by_tag[tag][0, 0])


PAID = rules.ASSET_RECOVERY * 20.0  # 18 of 60
SHARE_LOST = 1.0 - PAID / 60.0


def test_a_called_guarantee_is_owed_at_once_and_paid_in_the_next_settlement(small_model: Build) -> None:
    model = protected(small_model)
    fail(model, "cloud")
    assert model.books.guarantees.arrears[0, 0] == pytest.approx(15.0)
    assert lost(model, "guarantee") == pytest.approx(15.0)
    assert of(model, "cash", "seller") == 100.0
    clear(model)
    assert of(model, "cash", "seller") == pytest.approx(85.0)
    assert of(model, "cash", "one") == pytest.approx(50.0 + PAID + 15.0)
    assert model.books.guarantees.notional[0, 0] == 0.0


def test_a_guarantee_pays_no_more_than_was_lost(small_model: Build) -> None:
    model = protected(small_model, notional=500.0)
    fail(model, "cloud")
    clear(model)
    assert of(model, "cash", "one") == pytest.approx(50.0 + 60.0)


def test_a_swap_pays_the_share_of_its_notional_that_the_reference_loan_lost_whoever_holds_it(small_model: Build) -> None:
    model = protected(small_model, kind="cds", beneficiary="buyer", notional=10.0)
    fail(model, "cloud")
    clear(model)
    assert of(model, "cash", "buyer") == pytest.approx(50.0 + 10.0 * SHARE_LOST)
    assert lost(model, "counterparty") == pytest.approx(60.0 - PAID)  # the holder of the loan is not protected


def test_a_swap_on_an_agent_pays_on_the_average_of_its_loans(small_model: Build) -> None:
    firms = ["chipmaker", "hyperscaler", "cloud"]
    model = protected(small_model, kind="cds", beneficiary="buyer", reference_table="agents", notional=10.0)
    assert model.books.economy.kinds[0] in firms
    row = model.books.ids.index("cloud")
    model = protected(small_model, kind="cds", beneficiary="buyer", reference_table="agents", reference_row=row, notional=10.0)
    fail(model, "cloud")
    clear(model)
    assert of(model, "cash", "buyer") == pytest.approx(50.0 + 10.0 * SHARE_LOST)


def test_a_seller_that_cannot_pay_is_overdue_and_its_buyer_bears_the_rest(small_model: Build) -> None:
    model = protected(small_model, seller_cash=4.0)
    fail(model, "cloud")
    clear(model)
    assert of(model, "cash", "seller") == pytest.approx(0.0, abs=1e-12)
    assert model.books.guarantees.arrears[0, 0] == pytest.approx(11.0)
    assert of(model, "past_grace", "seller") == 1.0
    fail(model, "seller")
    assert lost(model, "guarantee") == pytest.approx(15.0 + 11.0)  # the seller's promise, and what the buyer did not get of it
    assert model.books.guarantees.arrears[0, 0] == 0.0
    change = of(model, "cash", "one") - 50.0
    assert change == pytest.approx(PAID + 4.0)


def test_a_seller_that_fails_with_its_reference_owes_the_estimated_claim(small_model: Build) -> None:
    model = protected(small_model, seller_cash=20.0)
    fail(model, "cloud", "seller")
    recovery = model.books.macro["recovery_unsecured"]
    claim = min(60.0 * (1.0 - recovery), 15.0)
    assert of(model, "cash", "one") == pytest.approx(50.0 + PAID + min(claim, rules.ASSET_RECOVERY * 20.0))
    assert model.books.guarantees.notional[0, 0] == 0.0


def test_protection_of_an_expected_loss_counts_in_the_waves_of_a_month(small_model: Build) -> None:
    model = protected(small_model)
    books = model.books
    failing = np.zeros((books.agents, 1))
    failing[books.ids.index("cloud")] = 1.0
    loss = model.resolution.provisional_losses(Estates(books, failing))[:, 0]
    expected = 60.0 * (1.0 - books.macro["recovery_unsecured"])
    assert loss[books.ids.index("seller")] == pytest.approx(15.0)
    assert loss[books.ids.index("one")] == pytest.approx(expected - 15.0)


def test_the_government_pays_its_guarantee_with_money_it_borrows(small_model: Build) -> None:
    model = protected(small_model, guarantor="government")
    fail(model, "cloud")
    clear(model)
    assert of(model, "cash", "one") == pytest.approx(50.0 + PAID + 15.0)
    assert of(model, "other_liabilities", "government") == pytest.approx(15.0)
    assert model.books.series["fiscal_cost"][0, 0] == pytest.approx(15.0)


def test_a_seller_that_acknowledges_half_pays_half(small_model: Build) -> None:
    model = protected(small_model)
    model.books.levers = {**model.books.levers, "guarantor.honoured_share": np.full((model.books.agents, 1), 0.5)}
    fail(model, "cloud")
    clear(model)
    assert of(model, "cash", "seller") == pytest.approx(92.5)


def test_the_premium_is_paid_every_month_on_the_notional(small_model: Build) -> None:
    model = protected(small_model, kind="cds", beneficiary="buyer", notional=12.0, premium=0.05)
    model.resolution.protection.pay_premia(model.books, model.ledger)
    check(model.books, model.ledger)
    assert of(model, "cash", "buyer") == pytest.approx(50.0 - 0.05)
    assert of(model, "cash", "seller") == pytest.approx(100.0 + 0.05)


def test_a_buyer_without_the_cash_for_its_premium_loses_the_cover(small_model: Build) -> None:
    model = protected(small_model, kind="cds", beneficiary="cloud", notional=12_000.0, premium=0.05)
    model.resolution.protection.pay_premia(model.books, model.ledger)
    assert of(model, "cash", "cloud") == 20.0
    assert model.books.guarantees.notional[0, 0] == 0.0


def test_cover_ends_with_its_term_and_with_its_reference(small_model: Build) -> None:
    model = protected(small_model, until=1, premium=0.05)
    model.books.tick = 1
    model.resolution.protection.pay_premia(model.books, model.ledger)
    assert model.books.guarantees.notional[0, 0] == 0.0
    assert of(model, "cash", "one") == 50.0


def test_with_the_channel_off_the_seller_is_made_good_and_the_buyer_is_paid_all_the_same(small_model: Build) -> None:
    firms = {
        "cloud": {"kind": "cloud", "cash": 20.0, "market_value": 30.0}, "one": lender(),
        "seller": {"kind": "hyperscaler", "cash": 100.0, "market_value": 10.0},
    }  # fmt: skip
    loans = [{"lender": "one", "borrower": "cloud", "principal": 60.0, "seniority": "senior"}]
    row = {"guarantor": "seller", "beneficiary": "one", "reference_table": "loans", "reference_row": 0, "kind": "loan_guarantee", "notional": 15.0}
    model = small_model(firms, loans=loans, guarantees=[row], channels={"guarantee": False})
    fail(model, "cloud")
    clear(model)
    assert lost(model, "guarantee") == 0.0
    assert of(model, "cash", "seller") == pytest.approx(100.0)
    assert of(model, "cash", "one") == pytest.approx(50.0 + PAID + 15.0)
