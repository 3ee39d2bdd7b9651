"""Every rule moves its answer in the direction that an economist expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from simulator.engine.model import ContagionModel

Ask = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def model() -> ContagionModel:
    """The calibrated economy after its first month, when every decision column has been filled."""
    found = ContagionModel("us_ai_2025", replications=(0, 1), horizon_months=6, mesa_agents=False)
    found.step()
    return found


@pytest.fixture
def ask(model: ContagionModel) -> Iterator[Ask]:
    """``ask(kind, rule, series={…}, levers={…}, column=value or factor function)``: a rule's answer in a changed world, all else equal."""
    books = model.books
    columns = {name: values.copy() for name, values in books.columns.items()}
    series, levers = dict(books.series), books.levers

    def restore() -> None:
        for name, values in columns.items():
            books[name][...] = values
        books.series.clear()
        books.series.update(series)
        books.levers = levers

    def answer(kind: str, rule: str, **changed: Any) -> np.ndarray:
        restore()
        books.series.update({name: np.full((1, books.replications), value) for name, value in changed.pop("series", {}).items()})
        moved = {name: np.full_like(levers[name], value) for name, value in changed.pop("levers", {}).items()}
        books.levers = {**levers, **moved}
        rows = books.rows[kind] if kind != "short_seller" else slice(None)
        for name, value in changed.items():
            books[name][rows] = value(books[name][rows]) if callable(value) else value
        actor = model.actor(kind)
        for part in ("revenue", "cash_floor", "cash_flow", "refinancing_gap"):
            if hasattr(actor, part):
                books[f"{part}_now"][rows] = getattr(actor, part)()
        found = getattr(actor, rule)()
        return np.array(found)

    yield answer
    restore()


def more(values: np.ndarray) -> np.ndarray:
    return values * 1.5 + 0.05


def far_more(values: np.ndarray) -> np.ndarray:
    return values * 20.0 + 20.0


def less(values: np.ndarray) -> np.ndarray:
    return values * 0.5


# ---------------------------------------------------------------------- firms


def test_a_hyperscaler_invests_more_when_it_expects_more_growth_or_is_worth_more(ask: Ask) -> None:
    plain = ask("hyperscaler", "wanted_investment")
    assert (ask("hyperscaler", "wanted_investment", expected_growth=more) > plain).all()
    assert (ask("hyperscaler", "wanted_investment", expected_growth=less) < plain).any()
    assert (ask("hyperscaler", "wanted_investment", share_price=more) > plain).all()
    assert (ask("hyperscaler", "wanted_investment", alive=0.0) == 0.0).all()
    assert (ask("hyperscaler", "wanted_investment", contracted_next=far_more) > plain).all()


def test_a_chipmaker_follows_expected_growth_and_its_share_price(ask: Ask) -> None:
    plain = ask("chipmaker", "wanted_investment")
    assert (ask("chipmaker", "wanted_investment", expected_growth=more) > plain).all()
    assert (ask("chipmaker", "wanted_investment", share_price=less) <= plain).all()
    assert (ask("chipmaker", "wanted_investment", expected_growth=-2.0) == 0.0).all()


def test_a_firm_that_lenders_avoid_builds_what_its_cash_pays(ask: Ask) -> None:
    for kind in ("hyperscaler", "cloud"):
        rich, poor = ask(kind, "affordable_investment", cash=1e6), ask(kind, "affordable_investment", cash=0.0)
        assert (poor <= rich).all()
        assert (ask(kind, "affordable_investment", cash=1e6, planned_investment=3.0) >= 3.0).all()
        assert (ask(kind, "affordable_investment", cash=1e6, planned_investment=3.0, committed_chips=0.0) == 3.0).all()
        assert not ask(kind, "affordable_investment", cash=0.0, outside_sales=0.0, receipts_due=0.0, chip_sales=0.0, committed_chips=0.0).any()


def test_the_pecking_order_is_cash_before_debt(ask: Ask) -> None:
    for kind in ("hyperscaler", "cloud", "chipmaker"):
        plain = ask(kind, "wanted_borrowing")
        assert (ask(kind, "wanted_borrowing", cash=far_more) <= plain).all()
        assert (ask(kind, "wanted_borrowing", cash=1e6) == 0.0).all()
        assert (ask(kind, "wanted_borrowing", planned_investment=far_more) > plain).all()


def test_dividends_stop_when_cash_is_short_or_investment_takes_it(ask: Ask) -> None:
    plain = ask("hyperscaler", "payout")
    assert plain.any()
    assert not ask("hyperscaler", "payout", cash=0.0).any()
    assert not ask("hyperscaler", "payout", planned_investment=1e6).any()
    assert (ask("hyperscaler", "payout", payout_share=0.0) == 0.0).all()


def test_demand_lever_and_households_move_sales(ask: Ask) -> None:
    for kind in ("hyperscaler", "cloud", "ai_lab", "chipmaker"):
        plain = ask(kind, "sales_to_outside")
        assert (ask(kind, "sales_to_outside", levers={f"{kind}.demand": 0.5}) <= plain).all()
        assert ask(kind, "sales_to_outside", levers={f"{kind}.demand": 0.5}).sum() < plain.sum()
        assert ask(kind, "sales_to_outside", series={"household_demand": 0.8}).sum() < plain.sum()


def test_capacity_that_is_short_makes_customers_wait(ask: Ask) -> None:
    share = ask("cloud", "delivered_share", capacity=lambda values: values * 0.01)
    assert ((share >= 0.0) & (share <= 1.0)).all()
    assert (share < ask("cloud", "delivered_share", capacity=far_more)).any()


def test_expected_growth_follows_news_of_sales_shares_and_announcements(ask: Ask) -> None:
    for kind in ("hyperscaler", "cloud", "ai_lab"):
        plain = ask(kind, "new_expected_growth")
        assert (ask(kind, "new_expected_growth", levers={"expectation.news": -0.2}) < plain).all()
        assert (ask(kind, "new_expected_growth", series={"ai_return_year": 0.5}) > plain).all()
        assert (ask(kind, "new_expected_growth", series={"ai_return_year": -0.5}) < plain).all()


def test_profit_is_taxed_and_loss_is_not(ask: Ask) -> None:
    assert (ask("hyperscaler", "tax") > 0.0).all()
    assert (ask("hyperscaler", "tax", operating_bill=1e6) == 0.0).all()


def test_cost_rises_with_sales_and_fixed_cost(ask: Ask) -> None:
    plain = ask("cloud", "operating_cost")
    assert (ask("cloud", "operating_cost", fixed_cost=5.0) > plain).all()
    assert (ask("cloud", "operating_cost", outside_sales=far_more) > plain).all()


def test_a_firm_is_insolvent_when_neither_book_nor_market_sees_equity(ask: Ask) -> None:
    for kind in ("hyperscaler", "cloud", "chipmaker", "ai_lab"):
        assert not ask(kind, "is_insolvent", book_net_worth=-5.0, debt=10.0, shares=100.0, share_price=1.0).any()
        assert not ask(kind, "is_insolvent", book_net_worth=5.0, share_price=0.0, debt=10.0).any()
        assert ask(kind, "is_insolvent", book_net_worth=-5.0, share_price=0.0, debt=10.0).all()


def test_wear_and_finished_building_follow_their_stocks(ask: Ask) -> None:
    wear = ask("cloud", "wear")
    assert (wear >= 0.0).all()
    assert (ask("cloud", "wear", capacity=far_more) > wear).all()
    assert (ask("cloud", "finished_building", construction=0.0) == 0.0).all()
    assert (ask("cloud", "finished_building", construction=more) > ask("cloud", "finished_building", construction=0.0)).all()


# ---------------------------------------------------------------------- how others see a firm


def test_standing_with_lenders_falls_with_risk_and_rises_with_contracts(ask: Ask) -> None:
    for kind in ("cloud", "hyperscaler"):
        plain = ask(kind, "credit_standing")
        assert (ask(kind, "credit_standing", cds=more) < plain).all()
        assert (ask(kind, "credit_standing", leverage=0.99) < plain).all()
        assert (ask(kind, "credit_standing", contracted_next=1e6) >= plain).all()
        assert not ask(kind, "credit_standing", months_in_arrears=1.0).any()


def test_the_finance_premium_rises_with_leverage(ask: Ask) -> None:
    answers = [ask("cloud", "external_finance_premium", leverage=value) for value in (0.0, 0.3, 0.6, 0.9, 0.999)]
    assert (answers[0] == 0.0).all()
    assert all((low < high).all() for low, high in pairwise(answers))


def test_the_robot_tax_falls_on_the_revenue_of_firms_that_sell_automation_alone(ask: Ask) -> None:
    for kind, falls in (("ai_lab", True), ("cloud", True), ("hyperscaler", False), ("chipmaker", False)):
        plain, taxed = ask(kind, "tax"), ask(kind, "tax", levers={"government.robot_tax_rate": 0.1})
        assert ((taxed > plain).all() if falls else taxed.tobytes() == plain.tobytes()), kind


def test_rounds_are_funded_in_good_times(ask: Ask) -> None:
    plain = ask("ai_lab", "funded_share_of_round")
    assert (ask("ai_lab", "funded_share_of_round", series={"ai_return_year": -0.5}) < plain).all()
    assert (ask("ai_lab", "funded_share_of_round", value_trend=-0.1) < plain).all()
    assert (ask("ai_lab", "funded_share_of_round", levers={"ai_lab.tranche_share": 0.0}) == 0.0).all()
    assert ((plain >= 0.0) & (plain <= 1.0)).all()


def test_a_surprise_in_the_policy_rate_lowers_shares(ask: Ask) -> None:
    calm = ask("hyperscaler", "return_by_shock", series={"rate_news": 0.0})
    assert (ask("hyperscaler", "return_by_shock", series={"rate_news": 0.01}) < calm).all()
    assert (ask("hyperscaler", "return_by_others", revenue_surprise=-0.1) < ask("hyperscaler", "return_by_others", revenue_surprise=0.1)).all()


# ---------------------------------------------------------------------- clouds, project companies, labs, investors


def test_a_cloud_builds_for_its_contracts(model: ContagionModel, ask: Ask) -> None:
    plain = ask("cloud", "wanted_investment")
    assert (ask("cloud", "wanted_investment", contracted_next=far_more) >= plain).all()
    assert ask("cloud", "wanted_investment", contracted_next=far_more).sum() > plain.sum()


def test_a_cloud_lets_idle_machines_at_a_price_that_falls_with_their_age(ask: Ask) -> None:
    new = ask("cloud", "sales_to_outside", capacity=1e4, resale_value=1.0)
    assert (ask("cloud", "sales_to_outside", capacity=1e4, resale_value=0.3) < new).all()


def test_a_cloud_issues_shares_for_what_lenders_refused(ask: Ask) -> None:
    assert not ask("cloud", "wanted_round", planned_borrowing=1.0, new_credit=1.0).any()
    refused = ask("cloud", "wanted_round", planned_borrowing=0.01, new_credit=0.0, share_price=1.0)
    assert (refused >= 0.0).all()
    assert refused.any()
    assert (ask("cloud", "wanted_round", planned_borrowing=1e6, new_credit=0.0, share_price=0.0) == 0.0).all()


def test_a_project_company_builds_what_it_has_funds_for_until_its_lease_starts(ask: Ask) -> None:
    slow = ask("project_company", "wanted_investment", committed_funds=12.0, months_to_lease=12.0, receipts_due=1e3)
    fast = ask("project_company", "wanted_investment", committed_funds=12.0, months_to_lease=6.0, receipts_due=1e3)
    np.testing.assert_allclose(slow, 1.0)
    np.testing.assert_allclose(fast, 2.0)
    assert not ask("project_company", "wanted_investment", committed_funds=0.0, months_to_lease=12.0).any()
    assert not ask("project_company", "is_insolvent", book_net_worth=-100.0).any()


def test_a_lab_wants_a_round_when_its_runway_is_short(ask: Ask) -> None:
    burning = {"operating_bill": 2.0, "share_price": 1.0, "shares": 300.0}
    short, long = ask("ai_lab", "wanted_round", cash=1.0, **burning), ask("ai_lab", "wanted_round", cash=1e6, **burning)
    assert (short > 0.0).all()
    assert not long.any()
    assert (ask("ai_lab", "wanted_round", cash=1.0, **{**burning, "share_price": 0.1}) < short).all()  # a ceiling by value
    assert not ask("ai_lab", "wanted_round", cash=1.0, alive=0.0, **burning).any()


def test_a_lab_short_of_cash_calls_less_compute_and_spends_less_on_research(ask: Ask) -> None:
    calm, short = ({"cash": cash, "last_burn": 1.0} for cash in (100.0, 0.0))
    assert (ask("ai_lab", "order_share_taken", **calm) == 1.0).all()
    taken = ask("ai_lab", "order_share_taken", **short)
    assert ((taken > 0.0) & (taken < 1.0)).all()
    lower = ask("ai_lab", "operating_cost", **short)
    assert (lower <= ask("ai_lab", "operating_cost", **calm)).all()
    assert lower.sum() < ask("ai_lab", "operating_cost", **calm).sum()


def test_a_lab_s_burn_is_smoothed(ask: Ask) -> None:
    rising = ask("ai_lab", "smoothed_burn", last_burn=0.0, operating_bill=30.0)
    assert ((rising > 0.0) & (rising < 30.0)).all()


def test_an_investor_borrows_for_tranches_up_to_its_target_loan_to_value(ask: Ask) -> None:
    needy = {"tranches_due": 5.0, "cash": 0.0, "stake_value": 1000.0, "debt": 0.0, "outside_sales": 0.0, "receipts_due": 0.0}
    assert (ask("investor", "wanted_borrowing", **needy) > 0.0).all()
    assert not ask("investor", "wanted_borrowing", **{**needy, "debt": 1e6}).any()
    assert not ask("investor", "wanted_borrowing", **{**needy, "cash": 1e6}).any()
    assert ask("investor", "is_insolvent", book_net_worth=-1.0).all()
    assert not ask("investor", "is_insolvent", book_net_worth=1.0).any()
    assert not ask("investor", "wanted_investment").any()


# ---------------------------------------------------------------------- lenders


def capital(model: ContagionModel, ratio_of_minimum: float) -> dict[str, Any]:
    rows = model.books.rows["lender"]
    return {"book_net_worth": ratio_of_minimum * model.books["capital_ratio_min"][rows] * model.books["total_assets"][rows]}


def test_a_lender_at_its_minimum_capital_has_no_room_to_lend(model: ContagionModel, ask: Ask) -> None:
    assert not ask("lender", "lending_room", **capital(model, 1.0 - 1e-9)).any()
    above = ask("lender", "lending_room", **capital(model, 1.2))
    assert (above > 0.0).all()
    assert (ask("lender", "lending_room", **capital(model, 2.5)) >= above).all()
    assert not ask("lender", "lending_room", alive=0.0).any()


def test_a_lender_that_is_no_bank_lends_only_what_it_can_make_liquid(model: ContagionModel, ask: Ask) -> None:
    room = ask("lender", "lending_room", cash=0.0, other_assets=0.0)
    is_bank = model.books["is_bank"][model.books.rows["lender"], 0] > 0.0
    assert not room[~is_bank].any()
    assert room[is_bank].any()


def test_a_lender_renews_all_at_the_requirement_and_nothing_at_half_of_it(model: ContagionModel, ask: Ask) -> None:
    np.testing.assert_allclose(ask("lender", "renewal_room", **capital(model, 1.0)), 1.0)
    np.testing.assert_allclose(ask("lender", "renewal_room", **capital(model, 0.75)), 0.5)
    np.testing.assert_allclose(ask("lender", "renewal_room", **capital(model, 0.5)), 0.0, atol=1e-12)


def test_a_lender_fails_under_half_of_its_required_capital(model: ContagionModel, ask: Ask) -> None:
    assert not ask("lender", "is_insolvent", **capital(model, 0.51)).any()
    assert ask("lender", "is_insolvent", **capital(model, 0.49)).all()


def test_funds_are_redeemed_after_losses_and_banks_are_not(model: ContagionModel, ask: Ask) -> None:
    is_bank = model.books["is_bank"][model.books.rows["lender"], 0] > 0.0
    calm = ask("lender", "redemptions", recent_loss=0.0)
    assert not calm.any()
    hurt = ask("lender", "redemptions", recent_loss=5.0)
    assert not hurt[is_bank].any()
    assert hurt.any()
    assert (ask("lender", "redemptions", recent_loss=0.0, levers={"lender.redemptions": 0.3}) >= calm).all()


def test_dear_funding_costs_lenders_without_deposits_more(model: ContagionModel, ask: Ask) -> None:
    is_bank = model.books["is_bank"][model.books.rows["lender"], 0] > 0.0
    plain, dear = ask("lender", "operating_cost"), ask("lender", "operating_cost", levers={"lender.funding_spread": 0.05})
    np.testing.assert_array_equal(dear[is_bank], plain[is_bank])
    assert (dear[~is_bank] >= plain[~is_bank]).all()
    assert dear.sum() > plain.sum()


# ---------------------------------------------------------------------- sectors


def test_the_fed_holds_its_rate_when_the_path_is_withheld(model: ContagionModel, ask: Ask) -> None:
    start = model.economy.macro["policy_rate"]
    np.testing.assert_allclose(ask("central_bank", "policy_rate", levers={"central_bank.hold": 1.0}), start)
    path = ask("central_bank", "projected_rate")
    np.testing.assert_allclose(ask("central_bank", "policy_rate", levers={"central_bank.hold": 0.0}), path[0, 0])
    half = ask("central_bank", "policy_rate", levers={"central_bank.hold": 0.5})
    np.testing.assert_allclose(half, 0.5 * (start + path[0, 0]))


def test_the_fed_shifts_its_rate_cuts_in_stress_and_stops_at_zero(ask: Ask) -> None:
    plain = ask("central_bank", "policy_rate")
    np.testing.assert_allclose(ask("central_bank", "policy_rate", levers={"central_bank.rate_shift": 0.02}), plain + 0.02)
    cut = {"levers": {"central_bank.stress_cut": 0.01}}
    np.testing.assert_allclose(ask("central_bank", "policy_rate", series={"rate_alarm": 0.0}, **cut), plain)
    np.testing.assert_allclose(ask("central_bank", "policy_rate", series={"rate_alarm": 1.0}, **cut), plain - 0.01)
    assert (ask("central_bank", "policy_rate", levers={"central_bank.rate_shift": -0.05}) >= 0.0).all()


@pytest.mark.parametrize(("multiple", "before", "after"), [(1.5, 0.0, 0.0), (2.1, 0.0, 1.0), (1.5, 1.0, 1.0), (1.2, 1.0, 0.0)])
def test_the_fed_takes_a_cut_in_stress_back_only_when_credit_markets_are_calm(multiple: float, before: float, after: float, ask: Ask) -> None:
    alarm = ask("central_bank", "rate_alarm", series={"cds_index_at_start": 0.02, "cds_index": 0.02 * multiple, "rate_alarm": before})
    assert (alarm == after).all()


def test_the_government_pays_more_benefits_the_more_are_displaced(ask: Ask) -> None:
    few, many = (ask("government", "transfers", series={"displaced": share}) for share in (0.0, 0.05))
    assert not few.any()
    assert (many > 0.0).all()
    assert (ask("government", "absorbed_share", levers={"government.absorption_share": 0.2}) == 0.2).all()


def test_households_spend_less_when_displaced_or_poorer(ask: Ask) -> None:
    plain = ask("household", "demand_index")
    assert (ask("household", "demand_index", series={"displaced": 0.1}) < plain).all()
    assert (ask("household", "demand_index", series={"wealth": 1.0}) < plain).all()
    displaced = ask("household", "displaced_share", series={"deployment": 1.0, "displaced": 0.01})
    assert (ask("household", "displaced_share", series={"deployment": 3.0, "displaced": 0.01}) > displaced).all()
    assert (ask("household", "displaced_share", series={"deployment": 0.0, "displaced": 0.01}) < 0.01).all()  # re-absorbed


def test_short_sellers_attack_debt_and_cash_burn_of_listed_shares_only(model: ContagionModel, ask: Ask) -> None:
    calm = ask("short_seller", "pressure", outside_sales=1e6, debt=0.0, planned_investment=0.0, cds=0.0, short_score_at_start=0.1)
    tight = ask("short_seller", "pressure", outside_sales=0.0, debt=1e3, planned_investment=1e3, share_price=0.1, short_score_at_start=0.1)
    target = (model.books["is_listed"] * model.books["is_issuer"])[:, 0] > 0.0
    assert not calm.any()
    assert (tight[target] > 0.0).all()
    assert not tight[~target].any()
    assert not ask("short_seller", "pressure", free_cash_flow=-1e3, debt=1e3, levers={"short_seller.capacity": 0.0}).any()


def test_a_utility_connects_at_its_pace_times_the_lever(ask: Ask) -> None:
    plain = ask("utility", "newly_connected")
    assert plain.any()
    np.testing.assert_allclose(ask("utility", "newly_connected", levers={"power.connection_speed": 0.5}), 0.5 * plain)
    assert not ask("utility", "newly_connected", alive=0.0).any()
