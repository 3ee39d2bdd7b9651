"""Programmes of the government, the central bank and supervisors: what each lever does, what it costs, and that neutral does nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from scenarios.changes import Change
from scenarios.levers import LEVERS
from simulator.engine import programmes, purchases
from simulator.engine.inputs import opened
from simulator.engine.model import ContagionModel
from simulator.engine.recorder import SERIES
from simulator.engine.tick import decide
from simulator.ledger.identities import check
from simulator.markets import regulation
from simulator.markets.credit import PORTFOLIO_BALANCE
from simulator.menu import policy_names

Build = Callable[..., ContagionModel]
STORM = ("rate_hold", "collateral_devaluation", "funding_freeze")
SETS_THE_SAME = {"collateral_haircut_coordinated", "leverage_cap_coordinated", "guarantee", "fiscal_absorption", "bail_out"}
"""Policies that set a lever which another of the menu sets to another value or for other agents."""


def put(lever: str, value: float, **more: Any) -> Change:
    return Change("change", lever, "set_to", value, 1, **more)


shipped = cache(opened)
"""An economy opened once for all tests here: what is foreseen in it takes as long to find as a run."""


def run(*changes: Change, economy: Any = "three_firms", months: int = 12, **more: Any) -> ContagionModel:
    return ContagionModel(shipped(economy), changes=changes, replications=(0, 1, 2), horizon_months=months, mesa_agents=False, **more).run()


@pytest.fixture(scope="module")
def plain() -> ContagionModel:
    return run(shock=("lab_funding_stop",))


@pytest.mark.parametrize("lever", [name for name, lever in LEVERS.items() if lever.unit != "flag" and name != "ai_lab.tranche_share"])
def test_a_lever_put_at_its_neutral_value_moves_no_bit(lever: str, plain: ContagionModel) -> None:
    moved = run(put(lever, LEVERS[lever].neutral), shock=("lab_funding_stop",))
    for name in SERIES:
        np.testing.assert_array_equal(moved.recorder.series[name], plain.recorder.series[name], err_msg=name)


def test_all_policies_together_balance_the_books_with_the_same_bits_for_one_agent_at_a_time() -> None:
    together = [name for name in policy_names() if name not in SETS_THE_SAME]
    batch = ContagionModel("three_firms", STORM, together, replications=range(4), horizon_months=30, mesa_agents=False).run()
    alone = ContagionModel("three_firms", STORM, together, replications=(2,), horizon_months=30, stepping="agents").run()
    for name in SERIES:
        np.testing.assert_array_equal(batch.recorder.series[name][:, 2], alone.recorder.series[name][:, 0], err_msg=name)


# ------------------------------------------------------------------ monetary policy


def test_without_luck_or_shock_the_taylor_rule_gives_the_projection() -> None:
    from simulator.engine.randomness import Quiet

    ruled = ContagionModel("three_firms", policy="taylor_rule", mesa_agents=False, draws=Quiet(11), horizon_months=40).run()
    free = ContagionModel("three_firms", mesa_agents=False, draws=Quiet(11), horizon_months=40).run()
    np.testing.assert_allclose(ruled.recorder.series["policy_rate"], free.recorder.series["policy_rate"], atol=1e-12)


def test_the_taylor_rule_cuts_by_little_steps_when_unemployment_rises() -> None:
    model = ContagionModel("three_firms", policy="taylor_rule", mesa_agents=False, horizon_months=6)
    bank, series = model.actor("central_bank"), model.books.series
    model.books.tick = 3
    model.books.levers = model.schedule.at(3)
    series["inflation"][...] = model.books.foreseen["inflation"][2]
    series["unemployment"][...] = model.books.foreseen["unemployment"][2] + 0.02
    series["projected_rate"][...] = series["policy_rate"][...] = bank.projected_rate()
    first = float(bank.taylor_gap()[0, 0])
    assert -0.02 < first < 0.0
    series["policy_rate"] = series["projected_rate"] + first
    assert 2.0 * first < float(bank.taylor_gap()[0, 0]) < first  # goes on falling, by a smaller step
    series["unemployment"][...] = model.books.foreseen["unemployment"][2]
    assert abs(float(bank.taylor_gap()[0, 0])) < abs(first)


# ------------------------------------------------------------------ rescues


def overdue_firm(small_model: Build, debt: float, **given: Any) -> ContagionModel:
    cloud = {"kind": "cloud", "cash": 1.0, "capacity": 200.0, "market_value": 50.0}
    loans = [{"lender": "main_bank", "borrower": "cloud", "principal": debt, "rate": 0.05, "maturity": 60, "seniority": "senior"}]
    bank = {"kind": "lender", "lender_type": "bank", "other_assets": 20_200.0}
    model = small_model({"cloud": cloud, "main_bank": bank}, loans=loans, **given)
    books = model.books
    books.levers = model.schedule.at(0)
    row = books.ids.index("cloud")
    books["debt"][...] = books.debt()
    books.loans.arrears[...] = 0.5
    books.loans.principal[...] -= 0.5
    books["months_in_arrears"][row] = 2.0
    books["past_grace"][row] = 1.0
    return model


@pytest.mark.parametrize(("debt", "paid"), [(10.0, 0.0), (30.0, 0.5)])
def test_a_bail_out_by_size_pays_for_the_large_only(small_model: Build, debt: float, paid: float) -> None:
    model = overdue_firm(small_model, debt, changes=(put("government.bail_out_share", 1.0),))
    programmes.bail_out(model.books, model.ledger, model.settlement)
    assert model.books.series["fiscal_cost"][0, 0] == pytest.approx(paid)
    assert model.books["past_grace"][model.books.ids.index("cloud"), 0] == (0.0 if paid else 1.0)


@pytest.mark.parametrize(("share", "months", "is_saved"), [(0.02, 2.0, False), (0.5, 2.0, True), (0.5, 6.0, False), (1.0, 6.0, True)])
def test_a_small_part_of_what_is_overdue_does_not_save_a_firm_and_none_is_paid_for_nothing(
    small_model: Build, share: float, months: float, is_saved: bool
) -> None:
    model = overdue_firm(small_model, 30.0, changes=(put("government.bail_out_share", share),))
    books, row = model.books, model.books.ids.index("cloud")
    books["months_operating_overdue"][row] = months
    programmes.bail_out(books, model.ledger, model.settlement)
    assert books.series["fiscal_cost"][0, 0] == pytest.approx(0.5 * share if is_saved else 0.0)
    assert books["past_grace"][row, 0] == (0.0 if is_saved else 1.0)
    assert books["months_operating_overdue"][row, 0] == pytest.approx(months * (1.0 - share) if is_saved else months)


@pytest.mark.parametrize(("debt", "paid"), [(0.6, 0.0), (150.0, 0.5)])
def test_a_bail_out_by_rank_pays_where_the_failure_would_hurt_lenders_enough(small_model: Build, debt: float, paid: float) -> None:
    model = overdue_firm(small_model, debt, changes=(put("government.systemic_bail_out_share", 1.0),))
    programmes.bail_out(model.books, model.ledger, model.settlement)
    assert model.books.series["fiscal_cost"][0, 0] == pytest.approx(paid)


def test_the_systemic_rank_of_a_lone_borrower_is_what_it_owes_over_all_equity(small_model: Build) -> None:
    model = overdue_firm(small_model, 100.0)
    books = model.books
    failing = np.zeros((books.agents, 1), dtype=bool)
    row, bank = books.ids.index("cloud"), books.ids.index("main_bank")
    failing[row] = True
    equity = books["book_net_worth"][[row, bank], 0]
    assert programmes.systemic_rank(books, failing)[row, 0] == pytest.approx(100.0 / equity.sum())


def test_what_the_government_backs_is_lent_to_more_freely_and_cheaply(small_model: Build) -> None:
    model = overdue_firm(small_model, 30.0, changes=(put("government.guarantee_share", 0.5),))
    books = model.books
    books["months_in_arrears"][...] = 0.0
    books["cds"][...] = 0.08
    row = books.ids.index("cloud")
    before, price = model.cohorts_on(books)[0].credit_standing(), model.credit.offered_spread(books).copy()
    programmes.supervise(model, model.levers_of_last_tick)
    assert books["public_backing"][row, 0] == 0.5
    assert (model.cohorts_on(books)[0].credit_standing() > before).all()
    assert (model.credit.offered_spread(books) < price).all()


# ------------------------------------------------------------------ asset purchases


def test_purchases_move_loans_and_what_falls_due_of_them_to_the_fed_for_cash(small_model: Build) -> None:
    fund = {"kind": "lender", "lender_type": "fund", "cash": 50.0}
    loans = [
        {"lender": "fund", "borrower": "cloud", "principal": 24.0, "kind": "bond", "rate": 0.06, "rate_type": "fixed", "maturity": 5},
        {"lender": "fund", "borrower": "cloud", "principal": 12.0, "kind": "term_loan", "rate": 0.05, "maturity": 24, "repayment": "amortising"},
        {"lender": "fund", "borrower": "cloud", "principal": 10.0, "kind": "credit_line", "rate": 0.05, "maturity": 24},
    ]
    cloud = {"kind": "cloud", "cash": 100.0, "capacity": 60.0, "market_value": 300.0}
    model = small_model({"cloud": cloud, "fund": fund}, loans=loans, changes=(put("central_bank.asset_purchases", 0.5),), horizon_months=8)
    books = model.books
    books.levers = model.schedule.at(0)
    fund_cash = books["cash"][books.ids.index("fund"), 0]
    purchases.buy(books, model.ledger)
    np.testing.assert_allclose(books.loans.principal[:, 0], [24.0 * 23 / 24, 12.0 * 23 / 24, 10.0, 1.0, 0.5])
    np.testing.assert_allclose(books.loans.rate[3:, 0], books.loans.rate[:2, 0])
    assert books["cash"][books.ids.index("fund"), 0] == pytest.approx(fund_cash + 1.5)
    assert books.series["bought_share"][0, 0] == pytest.approx(1.5 / 36.0)
    check(books, model.ledger)
    slots, due = books.repayments.due(0)
    monthly = dict(zip(slots.rows.tolist(), due[:, 0].tolist(), strict=True))
    assert monthly[1] == pytest.approx(0.5 * 23 / 24)
    assert monthly[4] == pytest.approx(0.5 / 24)
    for tick in range(1, 5):
        slots, due = books.repayments.due(tick)
    monthly = dict(zip(slots.rows.tolist(), due[:, 0].tolist(), strict=True))
    assert (monthly[0], monthly[3]) == (pytest.approx(23.0), pytest.approx(1.0))


def test_purchases_lower_the_spread_of_new_loans_by_the_part_of_the_stock_held() -> None:
    model = ContagionModel("us_ai_2025", mesa_agents=False, horizon_months=2)
    before = model.credit.offered_spread(model.books)
    model.books.series["bought_share"] = np.full((1, 1), 0.2)
    np.testing.assert_allclose(before - model.credit.offered_spread(model.books), 0.2 * PORTFOLIO_BALANCE)


# ------------------------------------------------------------------ audits


def test_collateral_without_audit_carries_no_new_loan_until_it_is_audited() -> None:
    model = ContagionModel("three_firms", changes=(put("collateral.audit", 1.0),), mesa_agents=False, horizon_months=3)
    books = model.books
    books.levers = model.schedule.at(0)
    both = books.loans.some(np.arange(2))
    assert books.loans.ids == ("loan_cloud", "loan_margin")
    for done, kept in ((0.0, 0.0), (0.75, 0.75)):
        books.series["audited_part"] = np.full((1, 1), done)
        asked = np.ones((2, 1))
        regulation.refuse_unaudited(books, both, asked)
        np.testing.assert_allclose(asked[:, 0], [1.0, kept])


def test_after_an_audit_a_stale_mark_counts_at_fair_value_and_a_low_one_as_it_is() -> None:
    model = ContagionModel("three_firms", changes=(put("collateral.audit", 1.0),), mesa_agents=False, horizon_months=3)
    books = model.books
    books.levers = model.schedule.at(0)
    books.series["audited_part"] = np.ones((1, 1))
    lab = np.array([books.ids.index("lab")])
    for fair, counted in ((0.6, 0.6), (1.4, 1.0)):
        books["fair_price"][lab] = fair
        assert regulation.audited_price(books, lab)[0, 0] == pytest.approx(counted)


def test_audits_are_paid_by_the_borrowers() -> None:
    asked, free = run(put("collateral.audit", 1.0)), run()
    cost = asked.books.series["compliance_cost"][0]
    assert (cost > 0.0).all()
    assert not free.books.series["compliance_cost"].any()
    expected = regulation.AUDIT_COST * 20.0  # a year on the margin loan of 20 USD bn
    assert cost.max() == pytest.approx(expected)  # less where margin calls shrink the loan


# ------------------------------------------------------------------ supervision


def test_the_buffer_is_built_over_a_year_and_released_in_stress() -> None:
    model = ContagionModel("three_firms", changes=(put("lender.capital_buffer", 0.024),), mesa_agents=False, horizon_months=30)
    books = model.books
    bank = books.rows["lender"].start
    levels = []
    for _ in range(14):
        model.step()
        levels.append(float(books["capital_buffer"][bank, 0]))
        books.series["cds_index"] = books.series["cds_index_at_start"].copy()  # calm
    assert levels[0] == pytest.approx(0.002)
    assert levels[-1] == pytest.approx(0.024)
    books.series["cds_index"] = 2.0 * books.series["cds_index_at_start"]
    model.step()
    assert books["capital_buffer"][bank, 0] == 0.0


def test_a_lender_whose_capital_is_under_its_buffered_target_lends_less_and_pays_nothing_out() -> None:
    model = ContagionModel("us_ai_2025", changes=(put("lender.capital_buffer", 0.1),), mesa_agents=False, horizon_months=3)
    model.step()
    books = model.books
    lender = next(cohort for cohort in model.cohorts_on(books) if cohort.kind == "lender")
    books["capital_buffer"][...] = 0.0
    room, paid = lender.lending_room().copy(), lender.payout().copy()
    books["capital_buffer"][books.rows["lender"]] = 0.1
    assert (lender.lending_room() <= room).all()
    assert (lender.lending_room() < room).any()
    assert paid.any()
    assert (lender.payout() <= paid).all()
    assert (lender.payout() < paid).any()


def test_a_firm_that_fails_the_stress_test_borrows_nothing_and_repays() -> None:
    strict = run(put("supervision.stress_test", 0.95), economy="us_ai_2025", months=6)
    books = strict.books
    failed = books["stress_test_failed"] > 0.0
    assert failed.any()
    assert not failed.all()
    assert strict.books.series["compliance_cost"].min() > 0.0
    free = run(economy="us_ai_2025", months=6)
    owed = free.books["debt"][failed] - books["debt"][failed]
    assert owed.mean() > 0.0
    drawing, drawn = strict.credit._draw_commitments(books)
    fresh = books["new_credit"] - drawing.by_debtor(drawn)
    assert (fresh[failed] <= 1e-6).all()


def test_disclosure_costs_firms_but_not_lenders_and_takes_from_sellers_who_fund_their_buyers() -> None:
    shown = run(put("market.disclosure", 1.0), economy="us_ai_2025", months=4)
    hidden = run(economy="us_ai_2025", months=4)
    books = shown.books
    assert not books["regulatory_cost"][books.rows["lender"]].any()
    assert books["regulatory_cost"][books.rows["cloud"]].any()
    nvidia = books.ids.index("nvidia")
    assert (books["circular_share"][nvidia] > 0.03).all()
    lower = np.log(hidden.books["share_price"][nvidia] / books["share_price"][nvidia])
    np.testing.assert_allclose(lower, -np.log1p(-regulation.CIRCULAR_DISCOUNT * books["circular_share"][nvidia]), rtol=0.3)


def test_marks_that_must_be_disclosed_follow_fair_value_faster() -> None:
    fall = Change("fall", "listed_shares.value", "multiply_by", 1.0, 1)
    news = Change("news", "expectation.news", "add", -0.5, 1)
    gap = []
    for changes in ((fall, news), (fall, news, put("market.disclosure", 1.0))):
        books = run(*changes, economy="us_ai_2025", months=8).books
        labs = books.rows["ai_lab"]
        gap.append(np.abs(np.log(books["share_price"][labs] / books["fair_price"][labs])).mean())
    assert gap[1] < gap[0]


# ------------------------------------------------------------------ the rest


def test_transfers_and_retraining_cost_the_government_and_bring_workers_back() -> None:
    base = run(Change("jobs", "household.displacement", "multiply_by", 8.0, 1), months=24)
    helped = run(
        Change("jobs", "household.displacement", "multiply_by", 8.0, 1), put("government.transfer_share", 0.25),
        put("government.retraining_share", 1.0), months=24,
    )  # fmt: skip
    assert (helped.books.series["displaced"] < base.books.series["displaced"]).all()
    assert (helped.books.series["fiscal_cost"] > base.books.series["fiscal_cost"]).all()


def test_unbundling_withdraws_a_part_of_the_tied_tranches_and_pays_the_rest_by_schedule() -> None:
    tied, free = run(months=20), run(put("stakes.unbundled", 1.0), months=20)
    row = free.books.stakes.ids.index("stake_chipmaker")
    assert (free.books.stakes.tranche_remaining[row] < 0.5 * tied.books.stakes.tranche_remaining[row]).all()
    first = ContagionModel("three_firms", changes=(put("stakes.unbundled", 1.0),), mesa_agents=False, horizon_months=3)
    first.step()
    paid = 12.0 - float(first.books.stakes.tranche_remaining[row, 0])
    assert paid == pytest.approx(12.0 / 24.0)


def test_a_limit_on_short_sales_lowers_their_pressure_and_slows_the_correction_of_overpricing() -> None:
    from simulator.markets.shares import correction

    model = ContagionModel("three_firms", changes=(put("short_seller.limit", 0.5),), mesa_agents=False, horizon_months=3)
    books = model.books
    books["free_cash_flow"][...] = -5.0
    seller = model.actor("short_seller")
    free, over = seller.pressure().copy(), np.where(np.arange(books.agents)[:, None] % 2, 0.3, -0.3)
    books["mispricing"][...] = over
    before = correction(books)
    books.levers = model.schedule.at(0)
    np.testing.assert_allclose(seller.pressure(), 0.5 * free)
    assert free.any()
    assert (correction(books)[over > 0] < before[over > 0]).all()
    np.testing.assert_array_equal(correction(books)[over < 0], before[over < 0])


def test_decide_asks_lenders_for_their_own_stress_test() -> None:
    model = ContagionModel("us_ai_2025", changes=(put("supervision.stress_test", 0.95),), mesa_agents=False, horizon_months=2)
    model.books.levers = model.schedule.at(0)
    model.ledger.begin_tick()
    model.books["total_assets"][...] = model.books.total_assets()
    decide(model, "fails_stress_test", "stress_test_failed")
    lenders = model.books.rows["lender"]
    assert model.books["stress_test_failed"][lenders].shape == (lenders.stop - lenders.start, 1)
