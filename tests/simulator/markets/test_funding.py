"""Funding worked out by hand: maturity walls, covenants, lines drawn in a stress, refused renewals, and what the market reads from others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agents import borrower, issuer, sectors
from simulator.engine import defaults
from simulator.engine.model import ContagionModel
from simulator.ledger.estates import Estates
from simulator.ledger.identities import check
from simulator.markets import funding

Build = Callable[..., ContagionModel]


def fund(**cells: Any) -> dict[str, Any]:
    return {"kind": "lender", "lender_type": "fund", "cash": 50.0, "other_assets": 100.0, **cells}


def cloud(**cells: Any) -> dict[str, Any]:
    return {"kind": "cloud", "cash": 4.0, "capacity": 40.0, "other_assets": 20.0, "market_value": 30.0, "cds": 0.02, **cells}


def funded(small_model: Build, **given: Any) -> ContagionModel:
    """A cloud with a term loan of 10 due in month 5, an amortising one of 12 over 24 months, a bond of 20 due in month 30 and a line of 6."""
    rows = [
        {"kind": "term_loan", "principal": 10.0, "maturity": 5}, {"kind": "term_loan", "principal": 12.0, "maturity": 24, "repayment": "amortising"},
        {"kind": "bond", "principal": 20.0, "maturity": 30}, {"kind": "credit_line", "principal": 0.0, "undrawn": 6.0, "maturity": 30},
    ]  # fmt: skip
    loans = [{"lender": "fund", "borrower": "cloud", "rate": 0.06, **given.pop("cells", {}), **row} for row in rows]
    return small_model({"cloud": given.pop("cloud", cloud()), "fund": fund()}, loans=loans, horizon_months=12, **given)


def put(model: ContagionModel, agent: str, **columns: float) -> None:
    for name, value in columns.items():
        model.books[name][model.books.ids.index(agent)] = value


def of(model: ContagionModel, column: str, agent: str) -> float:
    return float(model.books[column][model.books.ids.index(agent), 0])


def ask(model: ContagionModel, rule: str, agent: str = "cloud") -> float:
    row = model.books.ids.index(agent)
    return float(getattr(issuer.Issuer.cohort_of(model.books, slice(row, row + 1)), rule)()[0, 0])


def test_the_wall_is_what_falls_due_within_the_year_after_this_month(small_model: Build) -> None:
    model = funded(small_model)
    model.credit.funding.look_ahead(model.books)
    assert of(model, "due_next_year", "cloud") == pytest.approx(10.0 + 12.0 * 12.0 / 24.0)
    assert of(model, "open_lines", "cloud") == 6.0


def test_the_wall_is_seen_beyond_the_horizon_of_the_run(small_model: Build) -> None:
    walls = []
    for months in (6, 40):
        model = small_model(
            {"cloud": cloud(), "fund": fund()}, horizon_months=months,
            loans=[{"lender": "fund", "borrower": "cloud", "kind": "bond", "principal": 10.0, "maturity": 10}],
        )  # fmt: skip
        model.credit.funding.look_ahead(model.books)
        walls.append(of(model, "due_next_year", "cloud"))
    assert walls == [10.0, 10.0]


def test_the_refinancing_gap_is_the_wall_less_cash_lines_and_free_earnings(small_model: Build) -> None:
    model = funded(small_model)
    put(model, "cloud", due_next_year=16.0, open_lines=3.0, earnings=4.0, interest_due=0.2, debt=42.0)
    assert ask(model, "refinancing_gap") == pytest.approx((16.0 - 4.0 - 3.0 - (4.0 - 2.4)) / 42.0)
    put(model, "cloud", earnings=-5.0)
    assert ask(model, "refinancing_gap") == pytest.approx((16.0 - 4.0 - 3.0) / 42.0)


def test_a_wall_lowers_the_credit_standing(small_model: Build) -> None:
    model = funded(small_model)
    put(model, "cloud", due_next_year=0.0, debt=42.0)
    put(model, "cloud", refinancing_gap_now=ask(model, "refinancing_gap"))
    calm = ask(model, "credit_standing")
    put(model, "cloud", due_next_year=42.0)
    put(model, "cloud", refinancing_gap_now=ask(model, "refinancing_gap"))
    walled = ask(model, "credit_standing")
    odds = [np.log(share / (1.0 - share)) for share in (calm, walled)]
    assert odds[0] - odds[1] == pytest.approx(issuer.WALL_SLOPE * ((42.0 - 4.0) / 42.0 - issuer.WALL_COMFORT))


@pytest.mark.parametrize(("earnings", "passed"), [(4.8, 1.0), (2.4, 1.0), (1.8, 0.5), (1.2, 0.0), (-1.0, 0.0)])
def test_a_covenant_on_coverage_renews_all_at_its_level_and_nothing_at_half(small_model: Build, earnings: float, passed: float) -> None:
    model = funded(small_model, cells={"covenant_coverage": 2.0})
    put(model, "cloud", interest_due=0.1, earnings=earnings, debt=42.0)
    assert ask(model, "covenant_pass") == pytest.approx(passed)


def test_a_covenant_on_leverage_and_its_lever(small_model: Build) -> None:
    model = funded(small_model, cells={"covenant_leverage": 5.0})
    put(model, "cloud", interest_due=0.0, earnings=6.0, debt=40.0)
    assert ask(model, "covenant_pass") == pytest.approx(2.0 * 30.0 / 40.0 - 1.0)
    model.books.levers = {**model.books.levers, "lender.covenant_tightness": np.zeros((model.books.agents, 1))}
    assert ask(model, "covenant_pass") == 1.0


def test_without_a_given_covenant_coverage_may_fall_by_the_cushion(small_model: Build) -> None:
    model = funded(small_model)
    put(model, "cloud", interest_due=0.1, earnings=6.0, debt=42.0)
    model.credit.funding.note_first_month(model.books)
    assert of(model, "cover_at_start", "cloud") == pytest.approx(5.0)
    put(model, "cloud", earnings=6.0 * (1.0 - borrower.COVENANT_CUSHION))
    assert ask(model, "covenant_pass") == pytest.approx(1.0)
    put(model, "cloud", earnings=6.0 * (1.0 - borrower.COVENANT_CUSHION) * 0.75)
    assert ask(model, "covenant_pass") == pytest.approx(0.5)


def test_bonds_have_no_covenant_that_is_tested(small_model: Build) -> None:
    model = funded(small_model)
    put(model, "cloud", covenant_pass=0.25)
    assert model.credit.funding.renewable(model.books, model.books.loans.some(np.arange(4)))[:, 0].tolist() == [0.25, 0.25, 1.0, 0.25]


def test_a_worried_borrower_draws_its_line_and_pays_back_when_calm(small_model: Build) -> None:
    model = funded(small_model)
    books = model.books
    put(model, "cloud", covenant_pass=1.0, distress=0.5)
    room = of(model, "lending_room", "fund")
    model.credit.funding.draw_lines(books, model.ledger, 0.1)
    assert books.loans.principal[:, 0].tolist() == pytest.approx([10.0, 12.0, 20.0, 0.1 * 0.5 * 6.0])
    assert books.loans.undrawn[3, 0] == pytest.approx(5.7)
    assert of(model, "cash", "cloud") == pytest.approx(4.3)
    assert of(model, "lending_room", "fund") == pytest.approx(max(room - 0.3, 0.0))
    put(model, "cloud", distress=0.0)
    due = books.loans.some(np.arange(4))
    model.credit.funding.pay_back(books, model.ledger, 0.5, due, np.zeros((4, 1)))
    assert books.loans.undrawn[3, 0] == pytest.approx(6.0 - 0.15)
    assert books.loans.principal[3, 0] == pytest.approx(0.15)
    check(books, model.ledger)


def test_trouble_of_the_lender_alone_makes_its_borrowers_draw(small_model: Build) -> None:
    """Ivashina and Scharfstein (2010): firms drew on lines from lenders that were exposed to Lehman."""
    model = funded(small_model)
    put(model, "cloud", covenant_pass=1.0)
    put(model, "fund", distress=1.0)
    put(model, "fund", lending_room=2.0)
    model.credit.funding.draw_lines(model.books, model.ledger, 0.1)
    assert model.books.loans.principal[3, 0] == pytest.approx(0.6)
    assert of(model, "lending_room", "fund") == pytest.approx(1.4)


@pytest.mark.parametrize(("column", "value"), [("months_in_arrears", 1.0), ("covenant_pass", 0.0), ("distress", 0.0)])
def test_who_is_overdue_in_breach_or_calm_draws_nothing(small_model: Build, column: str, value: float) -> None:
    model = funded(small_model)
    put(model, "cloud", **{"covenant_pass": 1.0, "distress": 1.0, column: value})
    model.credit.funding.draw_lines(model.books, model.ledger, 0.1)
    assert model.books.loans.principal[3, 0] == 0.0


@pytest.mark.parametrize("switch", [True, False])
def test_a_refused_renewal_is_paid_by_a_sale_in_haste_whose_loss_is_booked_as_funding(small_model: Build, switch: bool) -> None:
    model = funded(small_model, channels={"funding": switch})
    books = model.books
    due = books.loans.some(np.array([0, 2]))
    refused = np.array([[5.0], [0.0]])
    put(model, "cloud", cash=4.0, interest_due=0.05)
    model.credit.funding.sell_in_haste(books, model.ledger, due, refused)
    short = 5.0 + 0.05 - 4.0
    sold = min(short / (1.0 - funding.HASTE_DISCOUNT), funding.SALEABLE_SHARE * 20.0)
    assert float(model.ledger.loss_by_tag["funding"][0, 0]) == pytest.approx(funding.HASTE_DISCOUNT * sold if switch else 0.0)
    assert of(model, "cash", "cloud") == pytest.approx(4.0 + short + (0.0 if switch else funding.HASTE_DISCOUNT * sold))
    check(books, model.ledger)


def test_protection_gets_dearer_with_the_volatility_of_the_shares(small_model: Build) -> None:
    model = funded(small_model)
    put(model, "cloud", debt=42.0)
    calm = ask(model, "cds_premium")
    model.books["return_variance"][...] *= 4.0
    assert ask(model, "cds_premium") > calm
    row = model.books.ids.index("cloud")
    seen = issuer.Issuer.cohort_of(model.books, slice(row, row + 1)).volatility_factor
    assert float(seen[0, 0]) == pytest.approx(1.0 + issuer.VOLATILITY_PASS)  # twice the volatility


def test_a_default_raises_the_premium_of_those_it_costs_and_the_fear_fades(small_model: Build) -> None:
    model = funded(small_model)
    books = model.books
    before = ask(model, "cds_premium", "fund")
    failed = np.zeros((books.agents, 1))
    failed[books.ids.index("cloud")] = 1.0
    worth = books.net_worth()
    defaults._frighten_neighbours(books, worth, model.resolution.provisional_losses(Estates(books, failed)), failed)
    expected = 42.0 * (1.0 - books.macro["recovery_unsecured"]) / float(worth[books.ids.index("fund"), 0])
    assert of(model, "neighbour_loss", "fund") == pytest.approx(expected)
    assert of(model, "neighbour_loss", "cloud") == 0.0
    assert ask(model, "cds_premium", "fund") - before == pytest.approx(issuer.NEIGHBOUR_PREMIUM * expected)
    assert ask(model, "fear_of_neighbours", "fund") == pytest.approx(expected * (1.0 - issuer.NEIGHBOUR_MEMORY))


def test_short_sellers_share_their_capital_among_targets(small_model: Build) -> None:
    names = [f"cloud_{number}" for number in range(12)]
    model = small_model({name: cloud(listed=True) for name in names})
    for name in names:
        put(model, name, debt=1e3, planned_investment=1e3, cds=1.0, short_score_at_start=0.0)
    seller = model.actor("short_seller")
    pressure = seller.pressure()
    total = float(np.cumsum(pressure[:, 0])[-1])
    assert total == pytest.approx(sectors.SHORT_PRESSURE * sectors.SHORT_NAMES)
    score = seller.score()[model.books.ids.index("cloud_0"), 0]
    assert 0.0 < score <= 1.0
