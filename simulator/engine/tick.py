"""READ FIRST: one tick of the model, a month, as a list of named stages.

Each stage asks the agents' rules for decisions (:func:`decide`) and lets the ledger post them. Rules read and decide; the
ledger writes. An unshocked twin, when there is one, goes through every stage just before (amplifier channels that are off read it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.borrower import DRAW_SPEED, PAYBACK
from agents.issuer import MARKET_VOLATILITY, RATE_DURATION
from agents.leverage import LeveragedHolder
from agents.registry import FIRM_KINDS
from simulator.engine import defaults, entry, facility, news, programmes, purchases
from simulator.errors import InputError, nearest
from simulator.ledger import identities, renegotiation
from simulator.ledger.batches import Part
from simulator.ledger.names import LOSS_CHANNELS
from simulator.ledger.resolution import MITIGATION
from simulator.markets import accounts, credit, liquidation, pledges, regulation, shares
from simulator.markets.compute import ship_new_generation
from simulator.markets.funding import TESTED_KINDS

if TYPE_CHECKING:
    from simulator.engine.model import ContagionModel

Array = NDArray[np.float64]

BUILDERS = ("chipmaker", "hyperscaler", "cloud", "project_company", "ai_lab", "utility")
EARNERS = FIRM_KINDS
RAISERS = ("ai_lab", "cloud")  # who sells new shares in rounds
OWN_CDS = tuple(kind for kind in FIRM_KINDS if kind != "project_company")  # the CDS of projects follow those of their tenants


def decide(model: ContagionModel, rule: str, into: str, kinds: tuple[str, ...] = FIRM_KINDS) -> None:
    """Ask a rule of every agent of ``kinds`` and keep the answers in the column ``into``."""
    target = model.books[into]
    for actor in model.actors(rule, kinds):
        target[actor.rows] = getattr(actor, rule)()


def announce(model: ContagionModel) -> None:
    """1. Shocks due now are applied, the Fed sets its rate, the government its programmes."""
    books, ledger = model.books, model.ledger
    ledger.begin_tick()
    before = model.levers_of_last_tick
    books.levers, books.draws = model.schedule.at(books.tick), model.draws.at(books.tick)
    books["opening_cash"][...] = books["cash"]
    for name in ("lab_shares.value", "listed_shares.value"):
        if books.levers[name] is not before[name]:
            shares.shock_values(books, ledger, books.levers[name] / before[name])
    generation = "accelerators.new_generation"
    if books.levers[generation] is not before[generation]:
        ship_new_generation(books, ledger, before[generation], books.levers[generation])
    if books.levers["stakes.unbundled"] is not before["stakes.unbundled"]:
        programmes.unbundle(model, before["stakes.unbundled"], books.levers["stakes.unbundled"])
    model.levers_of_last_tick = books.levers
    bank = model.actor("central_bank")
    books.series["rate_alarm"] = bank.rate_alarm()
    projected, rate = bank.projected_rate(), bank.policy_rate()
    gap = books.series["policy_rate"] - books.series["projected_rate"]
    books.series["rate_news"] = (rate - projected) - gap
    books.series["projected_rate"], books.series["policy_rate"] = projected * np.ones_like(rate), rate * np.ones_like(gap)
    regulation.set_haircuts(books)
    regulation.audit(books)
    purchases.buy(books, ledger)
    refresh(model)
    programmes.supervise(model, before)


def refresh(model: ContagionModel) -> None:
    """Sums over contracts that the rules of this tick read. Where it is always the same agents that hold or owe them, the others keep their zero."""
    books, compute = model.books, model.compute
    loans, committed = books.loans, model.credit.committed
    c = books.columns
    c["book_net_worth"][...] = model.ledger.opening
    dues = model.credit.interest(books)
    model.interest, model.dearer = dues.interest, dues.dearer
    given = books.to_owners(loans, dues.given)
    stakes, leases = books.stakes, books.leases
    c["stake_value"][stakes.holders] = stakes.by_holders(books.stake_values())
    assets = np.add(c["cash"], c["capacity"], out=c["total_assets"])
    for part in (c["construction"], c["other_assets"], given, c["stake_value"]):
        assets += part
    model.due, model.principal_due = books.repayments.due(books.tick)
    model.planned_deliveries = compute.planned(books)
    month = books.tick + 1
    in_term = ((leases.static["start"] <= month) & (leases.static["end"] > month))[:, None]
    model.rents = leases.rent * in_term * leases.in_force * leases.of_debtor(c["alive"]) * books.years_per_tick
    model.due.by_debtor(model.principal_due, out=c["principal_due"])
    c["rent_bills"][leases.debtors] = leases.by_debtors(model.rents)
    called_plan = compute.called(books, model.planned_deliveries)
    c["order_bills"][compute.committed.debtors] = compute.order_bills(called_plan)
    c["committed_chips"][compute.committed_capital.debtors] = compute.committed_chips(model.planned_deliveries)
    model.contracted_sales(month)
    delivered = compute.served(books, called_plan)
    receipts = c["receipts_due"]
    receipts[...] = dues.interest.by_holder
    books.to_owners(loans, receipts)
    for contracts, amounts in ((compute.committed, delivered), (leases, model.rents)):
        owners, earned = books.by_owners(contracts, amounts)
        receipts[owners] += earned
    c["committed_funds"][committed.debtors] = committed.by_debtors(loans.undrawn[committed.rows])
    borrowers, projects = model.credit.backed_borrowers, books.rows["project_company"]
    c["secured_room"][borrowers] = pledges.secured_room(books, dues.on_capacity, borrowers)
    facility.open_lines(books, dues.on_capacity)
    c["months_to_lease"][projects] = np.maximum(model.first_lease[projects] - month, 1.0)


def expect(model: ContagionModel) -> None:
    """2. Demand moves along its adoption curve; expectations adapt and extrapolate."""
    books = model.books
    path, demand, growth = model.growth_path(books.tick), books["demand"], books["expected_growth"]
    luck, growth_news = books["demand_luck"], books["growth_news"]
    luck[...] = demand
    decide(model, "new_demand", "demand")
    np.divide(demand, luck, out=luck)
    np.log(luck, out=luck)
    luck -= path * books.years_per_tick
    deviation = growth - model.growth_path(books.tick - 1)
    decide(model, "new_expected_growth", "expected_growth")
    np.subtract(growth, path, out=growth_news)
    growth_news -= deviation
    news.split_growth_news(books)


def plan(model: ContagionModel) -> None:
    """3. Revenue, cost, investment wanted, and the pecking order of finance."""
    books = model.books
    c = books.columns
    decide(model, "delivered_share", "delivery", ("hyperscaler", "cloud"))
    decide(model, "sales_to_outside", "outside_sales", EARNERS)
    entry.compete(model)
    np.multiply(c["outside_sales"], c["alive"], out=c["outside_sales"])
    decide(model, "revenue", "revenue_now")
    decide(model, "power_wanted", "power_spending", model.owners)
    decide(model, "purchases_of_parts", "parts_spending", ("chipmaker",))
    for buyers, share, spent, bill in model.bought:
        c[bill][buyers] = c[spent][buyers] * share
    decide(model, "operating_cost", "operating_bill")
    np.multiply(c["operating_bill"], c["alive"], out=c["operating_bill"])
    programmes.charge_for_rules(model)
    decide(model, "cash_floor", "cash_floor_now")
    decide(model, "tax", "tax_bill")
    np.multiply(c["tax_bill"], c["alive"], out=c["tax_bill"])
    decide(model, "cash_flow", "cash_flow_now")
    decide(model, "wanted_investment", "planned_investment", BUILDERS)
    decide(model, "funded_share_of_round", "equity_supply", RAISERS)
    model.tranches = model.tranches_due()
    books.stakes.by_holder(model.tranches, out=c["tranches_due"])
    model.credit.funding.look_ahead(books)
    decide(model, "smoothed_earnings", "earnings")
    model.credit.funding.note_first_month(books)
    decide(model, "refinancing_gap", "refinancing_gap_now")
    decide(model, "wanted_borrowing", "planned_borrowing")


def lend(model: ContagionModel) -> None:
    """4. Lenders ration requests and renew or refuse what matures; rates follow risk."""
    decide(model, "lending_room", "lending_room", ("lender",))
    decide(model, "renewal_room", "renewal_room", ("lender",))
    decide(model, "credit_standing", "credit_standing")
    decide(model, "external_finance_premium", "finance_premium")
    decide(model, "covenant_pass", "covenant_pass", TESTED_KINDS)
    decide(model, "distress", "distress")
    model.credit.funding.pay_back(model.books, model.ledger, PAYBACK, model.due, model.principal_due)
    model.credit.funding.draw_lines(model.books, model.ledger, DRAW_SPEED)
    model.principal_due -= model.credit.lend(model.books, model.ledger, model.due, model.principal_due)
    model.due.by_debtor(model.principal_due, out=model.books["principal_due"])


def trade(model: ContagionModel) -> None:
    """5. Orders are invoiced, rents and bills fall due, firms decide what they build, pay out and raise."""
    books, ledger, compute = model.books, model.ledger, model.compute
    c = books.columns
    decide(model, "affordable_investment", "planned_investment", BUILDERS)
    decide(model, "order_share_taken", "order_share_taken", ("ai_lab",))
    investment = c["planned_investment"] * c["alive"]
    model.invoices = compute.invoices(books, model.planned_deliveries, investment)
    chips = compute.deliver(books, model.invoices)
    model.backlog = compute.backlog(books)
    model.renegotiation.run(books, model.renegotiation_lever)
    model.renegotiation_lever = books.levers[renegotiation.LEVER]
    fees = model.resolution.order_changes.cancel(books, MITIGATION)
    if fees is not None:
        model.invoices = model.invoices + fees
    model.building = np.maximum(investment - chips, 0.0)
    model.investment = model.building + chips
    ledger.change_stock("construction", model.investment)  # the cost side is in the invoices and bills accrued below
    sales = c["outside_sales"]
    ledger.pay(model.from_outside(sales))
    programmes.spend(model)
    entry.enter(model)
    compute.note_sales(books, ledger, model.invoices)
    decide(model, "cash_flow", "cash_flow_now", model.makers)
    decide(model, "payout", "payout_flow", EARNERS)
    payout = np.minimum(c["payout_flow"], 0.5 * c["cash"])
    ledger.pay(model.from_outside(-payout))
    c["paid_in"][...] -= payout


def settle(model: ContagionModel) -> None:
    """6. All contractual dues are cleared together; then rounds and tranches are paid out of what is left."""
    books, ledger = model.books, model.ledger
    c = books.columns
    model.credit.funding.sell_in_haste(books, ledger, model.due, model.principal_due)
    credit.raise_cash_for_dues(books, ledger)
    operating = c["operating_bill"] + c["tax_bill"] + model.building
    operating[books.outside] = 0.0
    model.settlement.accrue(ledger, model.interest, model.dearer, model.due, model.principal_due, model.invoices, model.rents, operating)
    protection = model.resolution.protection
    protection.pay_premia(books, ledger)
    protection.fund_government(books, ledger)
    model.settlement.clear(ledger)
    np.subtract(c["cash"], c["opening_cash"], out=c["free_cash_flow"])
    shares.vest_warrants(books, ledger, model.invoices)
    decide(model, "wanted_round", "wanted_round", RAISERS)
    shares.raise_equity(books, ledger, c["wanted_round"], model.tranches)
    decide(model, "smoothed_burn", "last_burn", ("ai_lab",))
    accounts.circulate(books, ledger, ledger.sum(c["operating_bill"] * c["wage_share"]), ledger.sum(c["tax_bill"]))


def build(model: ContagionModel) -> None:
    """7. What is built is switched on as power allows; machines wear and age."""
    decide(model, "newly_connected", "newly_connected", ("utility",))
    decide(model, "wear", "wear", model.owners)
    decide(model, "finished_building", "finished_building", model.owners)
    model.compute.build(model.books, model.ledger)


def price(model: ContagionModel) -> None:
    """8. Shares are repriced by news, trend and short sellers; CDS follow."""
    books, ledger = model.books, model.ledger
    news.take_in_sales(books, model.revenue_deviation(), model.demand_lever_change())
    programmes.show_circular_revenue(model)
    seller = model.actor("short_seller")
    if books.tick == 0:
        books["short_score_at_start"][...] = seller.score()
    books["short_pressure"][...] = seller.pressure()
    books.series["market_index"] = books.series["market_index"] * np.exp(
        np.sqrt(books.years_per_tick) * MARKET_VOLATILITY * books.draws["market"] + accounts.NORMAL_RETURN * books.years_per_tick
        - 0.5 * MARKET_VOLATILITY**2 * books.years_per_tick
    )  # fmt: skip
    decide(model, "new_gearing", "gearing")
    for part in ("return_by_luck", "return_by_shock", "return_by_others"):
        decide(model, part, part)
    books["return_by_rate"][...] = -RATE_DURATION * books.series["rate_news"] * (books["market_beta"] * books["is_issuer"])
    shares.price_shares(books, ledger, books["short_pressure"])
    liquidation.recover_securities(books, ledger)
    books["debt"][...] = books.debt()
    decide(model, "smoothed_variance", "return_variance")
    decide(model, "cds_premium", "cds", OWN_CDS)
    decide(model, "fear_of_neighbours", "neighbour_loss")
    decide(model, "market_leverage", "leverage")
    credit.look_through_projects(books)
    credit.index_of_spreads(books, ledger)


def margin(model: ContagionModel) -> None:
    """9. Collateral is revalued; calls are cured by cash, else by sales; funds meet redemptions; who owes too much sells."""
    books, ledger = model.books, model.ledger
    desk = model.margin_desk
    ledger.set_column("margin_breached", np.zeros((1, 1)), desk.all_borrowers)
    called, late = desk.is_called(books), liquidation.is_late(books)
    active = called | late
    if active.any():
        with Part(books, ledger, active, desk.by_row) as part:
            if called.any():
                desk.run(part.books, part.ledger, called[part.index])
            if late.any():
                liquidation.sell_stakes_to_pay(part.books, part.ledger, late[part.index])
    programmes.deleverage(model)
    decide(model, "redemptions", "redemptions_wanted", ("lender",))
    liquidation.meet_redemptions(books, ledger, books["redemptions_wanted"])
    active = liquidation.is_over_leveraged(books, ledger)
    if active.any():
        with Part(books, ledger, active) as part:
            liquidation.delever(part.books, part.ledger, [actor for actor in model.cohorts_on(part.books) if isinstance(actor, LeveragedHolder)])


def default(model: ContagionModel) -> None:
    """10. Defaults in waves; then all estates of the tick are cleared together."""
    defaults.resolve(model)


def account(model: ContagionModel) -> None:
    """11. Households, government, GDP, market values; the books are checked; the tick is recorded."""
    books, ledger = model.books, model.ledger
    rows = books.rows
    capacity = ledger.sum(books["capacity"][rows["hyperscaler"]]) + ledger.sum(books["capacity"][rows["cloud"]])
    books.series["deployment"] = capacity / np.maximum(books.series["capacity_at_start"], 1e-9)
    books.series["displaced"] = model.actor("household").displaced_share()
    demand = model.actor("household").demand_index()
    books.series["household_demand_now"] = demand
    accounts.market_values(books, ledger, model.index_history, model.contagion_history)
    books.series["household_demand"] = books.series_through("household", "household_demand_now")
    accounts.macroeconomy(books, ledger, model.investment)
    books.series["gpu_resale_value"] = model.gpu_resale_value()
    lenders = rows["lender"]
    books["recent_loss"][lenders] = 0.0
    for channel in LOSS_CHANNELS:
        if channel in ledger.touched:
            books["recent_loss"][lenders] -= np.minimum(ledger.posted[channel][lenders], 0.0)
    books.series["backlog_lost"] = books.series["backlog_lost"] + np.maximum(model.backlog - model.compute.backlog(books), 0.0)
    ledger.lend_to_outside()
    loans_net, owed = books.loans_net()
    identities.check(books, ledger, loans_net)
    model.recorder.record(model, owed)


STAGES: tuple[Callable[[ContagionModel], None], ...] = (
    announce, expect, plan, lend, trade, settle, build, price, margin, default, account,
)  # fmt: skip


def acting(names: tuple[str, ...]) -> tuple[Callable[[ContagionModel], None], ...]:
    """The stages named, in the order of the timetable; all when none is. An economy may leave out what its question does not need.

    Raises InputError for an unknown stage, and without the first and the last, which open and close the books.
    """
    known = [stage.__name__ for stage in STAGES]
    for name in names:
        if name not in known:
            raise InputError(f"stages: there is no stage {name!r}{nearest(name, known)} (allowed: {', '.join(known)})")
    for name in (known[0], known[-1]):
        if names and name not in names:
            raise InputError(f"stages: {name} is missing; it always acts")
    return tuple(stage for stage in STAGES if not names or stage.__name__ in names)


def one_tick(model: ContagionModel) -> None:
    """Run the stages that act once."""
    for stage in model.stages:
        if model.twin is not None:
            stage(model.twin)
        stage(model)
    for world in (model.twin, model):
        if world is not None:
            world.books.tick += 1
