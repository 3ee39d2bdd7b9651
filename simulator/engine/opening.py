"""The opening of a model: constants that make the first tick reproduce the sourced figures, and columns for decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.issuer import DEBT_VOLATILITY, LEVERAGE_FLOOR
from agents.registry import AGENT_CLASSES, FIRM_KINDS
from simulator.engine.entry import open_slots
from simulator.engine.tick import BUILDERS, RAISERS
from simulator.markets import accounts, credit
from simulator.markets.regulation import NORMAL_VOLATILITY

if TYPE_CHECKING:
    from simulator.engine.model import ContagionModel

Array = NDArray[np.float64]
SPARE_POWER = 0.05  # part of the power online that is free at the start (assumption, 0-0.1)

FLOWS = (
    "debt", "book_net_worth", "contracted_now", "contracted_next", "chip_sales", "interest_due", "principal_due", "order_bills",
    "rent_bills", "receipts_due", "planned_investment", "planned_borrowing", "operating_bill", "tax_bill", "outside_sales",
    "power_bill", "supplier_bill", "stake_value", "secured_room", "new_credit", "delivery", "committed_funds", "months_to_lease",
    "equity_supply", "last_burn", "tranches_due", "total_assets", "recent_loss", "lending_room", "renewal_room", "redemptions_wanted",
    "newly_connected", "order_share_taken", "payout_flow", "wanted_round", "free_cash_flow", "growth_news", "revenue_surprise",
    "deviation", "short_pressure", "opening_cash", "power_spending", "parts_spending", "committed_chips", "credit_standing",
    "finance_premium", "return_by_luck", "return_by_shock", "return_by_others", "return_by_rate", "wear", "finished_building", "demand_luck",
    "growth_news_by_shock", "growth_news_by_others", "growth_by_shock", "growth_by_others", "trend_by_shock", "trend_by_others",
    "sales_trend", "lever_news", "value_trend", "fair_price_last", "leverage", "insolvent", "assets_now", "equity_now",
    "public_backing", "stress_test_failed", "regulatory_cost", "deleveraging", "news_of_disclosure", "news_of_circularity", "circular_share",
    "gearing", "price_change", "due_next_year", "open_lines", "covenant_pass", "distress",
    "revenue_now", "cash_floor_now", "cash_flow_now", "refinancing_gap_now",
)  # fmt: skip


def open_memory(model: ContagionModel) -> None:
    """Make the decision columns and the constants that calibrate rules to the opening figures."""
    books = model.books
    c = books.columns
    for name in FLOWS:
        c.add(name, 0.0, "flow")
    for name in ("fair_price_last", "delivery", "order_share_taken", "equity_supply", "renewal_room"):
        c[name][...] = 1.0
    for kind in FIRM_KINDS:
        c["covenant_pass"][books.rows[kind]] = 1.0  # the covenants of kinds that are not tested always pass
    c.add("sells_automation", [getattr(AGENT_CLASSES[kind], "automates", False) for kind in books.economy.kinds], "parameter")
    for name in ("earnings", "cover_at_start", "neighbour_loss"):
        c.add(name, 0.0)
    c.add("return_variance", c["equity_volatility"] ** 2 / 12.0)
    for name in ("other_market_value", "total_market_value", "ai_market_value", "rate_news", "power_spare", "deployment", "household_demand_now"):
        books.series[name] = np.zeros((1, books.replications))
    books.series["ai_variance"] = np.full((1, books.replications), NORMAL_VOLATILITY**2)
    books.series["deployment"][...] = 1.0
    books.series["household_demand_now"][...] = 1.0
    books.series["market_index"] = np.ones((1, books.replications))
    books.series["projected_rate"][...] = books.macro["policy_rate"]
    c["opening_cash"][...] = c["cash"]
    c["debt"][...] = books.debt()
    c["book_net_worth"][...] = books.net_worth()
    books.money_at_start = _sum(c["cash"])[0] - _sum(c["deposits"])[0]
    kinds = np.array(books.economy.kinds)
    has_cds = np.isin(kinds, ("chipmaker", "hyperscaler", "cloud", "project_company", "ai_lab", "investor"))
    debt = books.narrow(c["debt"])
    c.add("cds_weight", has_cds[:, None] * (debt > 0) * np.sqrt(debt), "parameter")
    model.accelerator_rows = slice(books.rows["hyperscaler"].start, books.rows["cloud"].stop)
    is_bank = c["is_bank"][:, 0] > 0
    books.sells_securities = (np.isin(kinds, ("lender", "investor")) & ~is_bank)[:, None].astype(np.float64)
    rent = books.leases.rent
    by_lessor = books.leases.of_holder(books.leases.by_holder(rent))
    books.lease_weight = np.where(by_lessor > 0.0, rent / np.maximum(by_lessor, 1e-12), 0.0)
    _open_orders(model)
    _open_scores(model, kinds)
    open_slots(books)
    _open_spreads(model)
    model.credit.calibrate(books)
    books.series["capacity_at_start"] = _sum(c["capacity"] * np.isin(kinds, ("hyperscaler", "cloud"))[:, None])
    # What the firms of the model do not draw, other data centres do.
    books.series["power_spare"][...] = SPARE_POWER * _sum(c["power_online_at_start"])
    ai = np.isin(kinds, ("chipmaker", "hyperscaler", "cloud", "ai_lab"))[:, None]
    ai_value = _sum(c["market_value_at_start"] * ai)
    books.series["ai_market_value"][...] = ai_value
    books.series["total_market_value"][...] = np.maximum(books.macro["total_market_value"], ai_value)
    books.series["other_market_value"] = books.series["total_market_value"] - ai_value
    books.series["wealth_at_start"] = books.series["total_market_value"].copy()
    books.series["wealth"] = books.series["total_market_value"].copy()
    books.ai_rows = accounts.ai_rows(books)
    has_shares = (c["is_issuer"] > 0.0).any(axis=1) | np.isin(np.arange(books.agents), books.stakes.debtors)
    is_listed = c["is_listed"][:, 0] > 0.0
    books.listed_rows, books.unlisted_rows = np.flatnonzero(has_shares & is_listed), np.flatnonzero(has_shares & ~is_listed)
    raisers = [books.rows[kind] for kind in RAISERS]
    books.raiser_rows = slice(min(rows.start for rows in raisers), max(rows.stop for rows in raisers))
    model.index_history = [np.log(accounts.share_index(books))]
    model.contagion_history = [np.zeros((1, books.replications))]


def _sum(values: Array) -> Array:
    """Sum over agents of opening values ``(N, w)``, ``(1, w)``: the same bits for any number of replications."""
    return np.cumsum(values, axis=0)[-1:]


def _open_spreads(model: ContagionModel) -> None:
    """CDS premia at their sourced level, and the constants that keep them there until something changes."""
    books = model.books
    c = books.columns
    c.add("cds_constant", np.zeros_like(books.narrow(c["debt"])), "parameter")
    debt, equity = books.narrow(c["debt"]), c["market_value_at_start"]
    leverage = np.clip(debt / np.maximum(debt + equity, 1e-6), LEVERAGE_FLOOR, 0.999)
    c.add("asset_volatility", (c["equity_volatility"] * (1.0 - leverage) + DEBT_VOLATILITY * leverage), "parameter")
    for actor in model.cohorts_on(books):
        c["leverage"][actor.rows] = actor.market_leverage()
        c["cds_constant"][actor.rows] = c["cds_at_start"][actor.rows] - books.narrow(actor.structural_spread())
    credit.look_through_projects(books)
    for actor in model.cohorts_on(books):
        c["finance_premium"][actor.rows] = actor.external_finance_premium()
    weight = c["cds_weight"]
    start = _sum(c["cds_at_start"] * weight) / np.maximum(_sum(weight), 1e-9)
    books.series["cds_index"][...] = start
    books.series["cds_index_at_start"][...] = start


def _open_orders(model: ContagionModel) -> None:
    """Contracted sales, supply ties and the investment gap at the start."""
    books, compute = model.books, model.compute
    c = books.columns
    orders = books.orders
    now, coming = (books.narrow(sales) for sales in model.contracted_sales(1))
    c.add("contracted_at_start", now, "parameter")
    for ties, spent, bill in (
        (compute.is_power_tie, "power_spending", "power_bill"), (compute.is_chip_tie * compute.buyer_makes_chips, "parts_spending", "supplier_bill"),
    ):  # fmt: skip
        share = np.minimum(orders.by_debtor(ties * compute.supply_share), 1.0)
        buyers = np.flatnonzero(share.any(axis=1))
        model.bought.append((buyers, share[buyers], spent, bill))
    books.macro["power_price_at_start"] = _utility_price(model)
    outside = c["outside_revenue_at_start"]
    investment = c["capex_at_start"] / 12.0
    committed = orders.static["amount"][:, None] > 0
    first_plan = books.order_schedule.planned[0] * committed * compute.is_chips
    free = np.maximum(investment * c["chips_share"] - compute.committed_capital.by_debtor(first_plan[compute.committed_capital.rows]), 0.0)
    chips = orders.of_debtor(free) * (1.0 - compute.buyer_makes_chips) * compute.is_chip_tie
    sales = orders.by_holder(chips * compute.supply_share + first_plan) * 12.0
    for _ in range(4):  # suppliers of suppliers: a chain of four is longer than any in the tables
        spending = c["cost_share"] * (outside + now + sales)
        parts_sales = orders.by_holder(orders.of_debtor(spending) * compute.buyer_makes_chips * compute.is_chip_tie * compute.supply_share)
        sales = orders.by_holder(chips * compute.supply_share + first_plan) * 12.0 + parts_sales
    of_makers = {books.economy.kinds[row] for row in compute.of_makers.holder}
    model.makers = tuple(kind for kind in FIRM_KINDS if kind in of_makers)
    assets = c["capacity_at_start"] + c["construction_at_start"]
    model.owners = tuple(kind for kind in FIRM_KINDS if kind in BUILDERS or assets[books.rows[kind]].any())
    may_own = np.isin(books.economy.kinds, model.owners) | assets.any(axis=1)
    model.compute.powered = np.flatnonzero((c["power_needed_per_capacity"] > 0.0).any(axis=1) & may_own)
    power = c["capacity_at_start"] * c["power_needed_per_capacity"] * books.macro["power_price_at_start"]
    sales = sales + orders.by_holder(orders.of_debtor(power) * compute.is_power_tie * compute.supply_share)
    c["chip_sales"][...] = sales
    growth = (outside * c["outside_growth"] + coming - now) / np.maximum(outside + now, 1e-9)
    capacity = c["capacity_at_start"]
    plan = c["capex_at_start"] / np.maximum(capacity, 1e-9) - c["depreciation_rate"] - np.clip(growth, -0.5, 1.0)
    c.add("plan_at_start", np.where(capacity > 0.0, plan, 0.0), "parameter")
    stakes = books.stakes
    end = np.asarray(stakes.static["tranche_end"], dtype=np.float64)
    model.tranche_end = np.where(end >= 10**6, 24.0, np.maximum(end, 1.0))[:, None]
    model.tranche_on_purchases = (stakes.static["tranche_trigger"] == "purchases")[:, None]
    first = np.full((books.agents, 1), 1.0)
    lease_start = np.asarray(books.leases.static["start"], dtype=np.float64)
    np.maximum.at(first[:, 0], books.leases.holder, np.minimum(lease_start, 120.0))
    model.first_lease = first
    pairs, *funded = (ties.holder * books.agents + ties.debtor for ties in (orders, stakes, books.loans))  # a number a pair
    known = np.sort(np.concatenate(funded))
    known = np.append(known, -1)  # np.isin hashes, which takes many times as long
    books.is_circular = (known[np.searchsorted(known[:-1], pairs)] == pairs).astype(np.float64)[:, None]


def _utility_price(model: ContagionModel) -> float | Array:
    """Price of power at the start, USD bn per GW-year: that of the first utility; ``(1, R)`` where it is uncertain."""
    prices = model.books["power_price"][model.books.rows["utility"]]
    if not len(prices):
        return 0.6
    return prices[:1] if prices.shape[1] > 1 else float(prices[0, 0])


def _open_scores(model: ContagionModel, kinds: np.ndarray) -> None:
    """Scores of the short sellers' targets; the first month's is noted in it, so that pressure is on what worsens."""
    model.books.columns.add("short_score_at_start", 0.0)
