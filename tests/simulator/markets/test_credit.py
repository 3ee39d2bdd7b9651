"""The credit market: who is accepted, who has room to lend, and at what rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel
from simulator.engine.tick import decide
from simulator.ledger.identities import check
from simulator.markets.credit import index_of_spreads

Build = Callable[..., ContagionModel]


@pytest.fixture
def opened() -> ContagionModel:
    model = ContagionModel("us_ai_2025", replications=(0,), horizon_months=3, mesa_agents=False)
    model.ledger.begin_tick()
    return model


def standing(model: ContagionModel) -> np.ndarray:
    """How each agent stands with lenders, ``(N, R)``; one row a firm or lender."""
    decide(model, "credit_standing", "credit_standing")
    return model.books["credit_standing"][model.books.can_default].copy()


def pair(small_model: Build, maturity: int = 60, **given: Any) -> ContagionModel:
    """A cloud that owes 10 to each of two funds, in slots of which each may lend more."""
    fund = {"kind": "lender", "lender_type": "fund", "cash": 200.0, "other_assets": 100.0}
    slot = {"borrower": "cloud", "rate": 0.06, "maturity": maturity, "new_lending": True, "new_term_months": 36, "rate_type": "fixed"}
    cloud = {"kind": "cloud", "cash": 30.0, "capacity": 60.0, "market_value": 300.0, "cds": 0.01}
    loans = [{"lender": name, "principal": 10.0, "seniority": "senior", **slot} for name in ("one", "two")]
    model = small_model({"cloud": cloud, "one": fund, "two": fund}, loans=loans, **given)
    books = model.books
    books["lending_room"][...] = 1000.0
    books["renewal_room"][...] = 1.0
    standing(model)
    books["total_assets"][...] = books.total_assets()
    return model


def lend(model: ContagionModel, wanted: float) -> tuple[np.ndarray, np.ndarray]:
    """What the two slots lend anew when the cloud asks for ``wanted``, and the part of what falls due that they renew, each ``(C, R)``."""
    books = model.books
    books["planned_borrowing"][books.ids.index("cloud")] = wanted
    before = books.loans.principal.copy()
    due, amounts = books.repayments.due(books.tick)
    books["principal_due"][...] = due.by_debtor(amounts)
    renewed = np.zeros_like(before)
    renewed[due.rows] = model.credit.lend(books, model.ledger, due, amounts)
    check(books, model.ledger)
    return books.loans.principal - before, renewed


def test_acceptance_falls_with_the_premium_on_default(opened: ContagionModel) -> None:
    books = opened.books
    answers = []
    for premium in (0.0, 0.02, 0.05, 0.2, 0.6):
        books["cds"][...] = premium
        answers.append(standing(opened))
    for less, more in zip(answers[1:], answers, strict=False):
        assert (less < more).all()
    assert (answers[0] <= 1.0).all()
    assert (answers[-1] < 0.01).all()


def test_acceptance_falls_with_leverage_above_what_is_comfortable(opened: ContagionModel) -> None:
    books = opened.books
    books["leverage"][...] = 0.1
    low = standing(opened)
    books["leverage"][...] = 0.3
    assert (standing(opened) == low).all()
    books["leverage"][...] = 0.95
    assert (standing(opened) < low).all()


def test_acceptance_rises_with_contracted_sales(opened: ContagionModel) -> None:
    books = opened.books
    books["contracted_next"][...] = 0.0
    bare = standing(opened)
    books["contracted_next"][...] = books["debt"] + 1.0
    assert (standing(opened) > bare).all()


@pytest.mark.parametrize(("column", "value"), [("months_in_arrears", 1.0), ("margin_breached", 1.0), ("alive", 0.0)])
def test_who_is_overdue_in_breach_or_gone_gets_nothing(column: str, value: float, opened: ContagionModel) -> None:
    opened.books[column][...] = value
    assert not standing(opened).any()


@pytest.mark.parametrize("economy", ["three_firms", "us_ai_2025"])
def test_the_first_offered_rates_are_the_sourced_rates(economy: str) -> None:
    model = ContagionModel(economy, replications=range(2), horizon_months=3, mesa_agents=False)
    books = model.books
    assert model.credit.offset is not None
    offered = model.credit.offered_spread(books) + model.credit.offset
    offered = offered + (1.0 - books.loans.is_floating) * books.macro["policy_rate"]
    sourced = model.economy.loans.rate[:, None]
    given = sourced[:, 0] != 0.0
    np.testing.assert_allclose(offered[given], np.broadcast_to(sourced, offered.shape)[given], atol=1e-12)


def test_offers_are_dearer_for_the_risky_and_from_lenders_with_dear_funding(opened: ContagionModel) -> None:
    books = opened.books
    plain = opened.credit.offered_spread(books).copy()
    books["cds"][...] += 0.01
    riskier = opened.credit.offered_spread(books).copy()
    assert (riskier > plain).all()
    books.levers = {**books.levers, "lender.funding_spread": np.full((books.agents, 1), 0.02)}
    np.testing.assert_allclose(opened.credit.offered_spread(books), riskier + 0.02, atol=1e-12)


def test_a_lender_without_room_lends_nothing_and_the_other_lends_its_share(small_model: Build) -> None:
    model = pair(small_model)
    model.books["lending_room"][model.books.ids.index("one")] = 0.0
    fresh, _ = lend(model, 8.0)
    assert fresh[0, 0] == 0.0
    assert 3.5 < fresh[1, 0] < 4.0  # half of the request, times acceptance
    assert model.books["new_credit"][model.books.ids.index("cloud"), 0] == pytest.approx(fresh[1, 0])


def test_a_lender_short_of_room_rations_what_it_lends(small_model: Build) -> None:
    model = pair(small_model)
    model.books["lending_room"][model.books.ids.index("one")] = 1.5
    fresh, _ = lend(model, 8.0)
    assert fresh[0, 0] == pytest.approx(1.5)


def test_a_lender_without_capital_to_renew_lets_the_loan_fall_due(small_model: Build) -> None:
    model = pair(small_model, maturity=1)
    model.books["renewal_room"][model.books.ids.index("one")] = 0.0
    model.books["lending_room"][...] = 0.0
    fresh, renewed = lend(model, 0.0)
    assert not fresh.any()
    assert renewed[0, 0] == 0.0
    assert 9.5 < renewed[1, 0] < 10.0


def test_no_new_loan_takes_a_borrower_above_its_leverage_cap(small_model: Build) -> None:
    model = pair(small_model)
    books = model.books
    cloud = books.ids.index("cloud")
    cap = float((books["debt"][cloud, 0] + 3.0) / books["total_assets"][cloud, 0])
    books.levers = {**books.levers, "borrower.leverage_cap": np.full((books.agents, 1), cap)}
    fresh, _ = lend(model, 50.0)
    assert 2.5 < float(np.cumsum(fresh)[-1]) <= 3.0


def test_lenders_that_shun_risk_lend_less(small_model: Build) -> None:
    shy = pair(small_model)
    shy.books.levers = {**shy.books.levers, "lender.risk_appetite": np.full((shy.books.agents, 1), 0.25)}
    np.testing.assert_allclose(lend(shy, 8.0)[0], 0.25 * lend(pair(small_model), 8.0)[0], rtol=1e-9)


def test_a_slot_is_repriced_by_the_weight_of_what_is_new(small_model: Build) -> None:
    model = pair(small_model)
    books = model.books
    assert model.credit.offset is not None
    model.credit.offset[...] += 0.03  # this month's offers are three points dearer
    fresh, _ = lend(model, 8.0)
    # The opening offers equal the sourced 6 %, so the new ones stand at 9 %.
    expected = (10.0 * 0.06 + fresh[:, 0] * 0.09) / (10.0 + fresh[:, 0])
    np.testing.assert_allclose(books.loans.rate[:, 0], expected, atol=1e-12)


def test_undrawn_commitments_are_drawn_as_the_borrower_builds(small_model: Build) -> None:
    spv = {"kind": "project_company", "cash": 5.0, "construction": 60.0}
    firms = {"spv": spv, "cloud": {"kind": "cloud", "cash": 1.0, "market_value": 10.0}}
    row = {"lender": "main_bank", "borrower": "spv", "kind": "delayed_draw", "undrawn": 50.0, "maturity": 60, "rate": 0.06}
    model = small_model(firms, loans=[row])
    books = model.books
    standing(model)
    books["planned_investment"][books.ids.index("spv")] = 7.0
    model.credit.lend(books, model.ledger, *books.repayments.due(0))
    check(books, model.ledger)
    assert books.loans.principal[0, 0] == pytest.approx(7.0)
    assert books.loans.undrawn[0, 0] == pytest.approx(43.0)


def test_premiums_rise_as_share_prices_fall_and_stay_where_nothing_moves(opened: ContagionModel) -> None:
    books, ledger = opened.books, opened.ledger
    start = books["cds_at_start"]
    decide(opened, "cds_premium", "cds")
    issuers = (books["is_issuer"] > 0.0)[:, 0] & (start[:, 0] >= 0.001)
    np.testing.assert_allclose(books["cds"][issuers], start[issuers], rtol=1e-9)
    books["share_price"][...] = 0.3
    decide(opened, "cds_premium", "cds")
    index_of_spreads(books, ledger)
    assert books.series["cds_index"][0, 0] > books.series["cds_index_at_start"][0, 0]


def test_the_premium_of_every_indebted_issuer_rises_as_its_share_price_falls(opened: ContagionModel) -> None:
    books = opened.books
    indebted = (books["is_issuer"] > 0.0)[:, 0] & (books["debt"][:, 0] > 0.2 * books["market_value_at_start"][:, 0])
    assert indebted.any()
    last = books["cds_at_start"][indebted]
    for price in (0.7, 0.5, 0.3, 0.1):
        books["share_price"][...] = price
        decide(opened, "cds_premium", "cds")
        assert (books["cds"][indebted] > last).all(), price
        last = books["cds"][indebted].copy()
