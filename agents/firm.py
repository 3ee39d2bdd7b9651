"""Rules that all firms share: expectations, revenue, cost, cash, and the pecking order of finance."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agents.base import Array, Flow, Parameter, Stock
from agents.borrower import EARNINGS_MEMORY, PREFUNDING
from agents.issuer import Issuer
from simulator.ledger.columns import rule

EXPECTATION_SPEED = 1.0  # per year; adaptive expectations close about two thirds of a surprise in a year (assumption, 0.5-2)
EXTRAPOLATION = 0.05  # growth expected per unit of yearly AI share return (assumption, 0-0.15; [delong1990])
COMMON_DEMAND = 0.6  # correlation of firms' demand shocks is its square (assumption, 0.4-0.8)
PLANNING_YEARS = 1.0  # a gap in capacity is closed over about a year, the time to build
CATCH_UP_YEARS = 3.0  # the build-out beyond present demand is worked off over about three years (assumption, 2-5)
Q_RESPONSE = 0.03  # share of capacity per unit of relative q (Hayashi estimates 0.02-0.1)
BUILD_MONTHS = 9.0  # from delivered chips to capacity in service (assumption, 6-15)
SLACK = 1.25  # sales per unit of capacity at full use, against those at the start (assumption, 1.1-1.5)
EQUITY_BARRIER = 0.03  # market value under this part of debt is no equity (assumption, 0.01-0.1)
STRESS_TEST_COST = 0.00003  # yearly, per unit of assets: large US banks spend about 0.1 USD bn on each 2,000 USD bn (assumption, 0.00001-0.0001)
DISCLOSURE_COST = 0.0003  # yearly, per unit of assets: valuations, audits, reports (review: [leuz_wysocki2016]; assumption, 0.0001-0.001)
STRESSED_LEVERAGE = 0.75  # market leverage that a firm may reach in a simulated stress (assumption, 0.6-0.85)
LIQUID_MONTHS = 12.0  # cash beyond the buffer that a firm is willing to spend within a year


class Firm(Issuer):
    """A firm: earns from customers outside the model and from contracts, invests, borrows, and may fail."""

    automates: ClassVar[bool] = False  # whether the robot tax falls on the revenue of the kind
    discloses: ClassVar[bool] = True  # whether disclosure of circular revenue and private marks falls on it

    operating_arrears = Stock("USD bn", "overdue wages, taxes and bills")
    demand = Stock("index, 1 at the start", "level of outside demand")
    sales_trend = Stock("per year", "smoothed growth of sales above the adoption curve")
    contracted_now = Flow("USD bn per year", "contracted sales of this tick at a yearly rate")
    chip_sales = Flow("USD bn per year", "smoothed sales of chips to modelled buyers")
    principal_due = Flow("USD bn", "principal due this tick")
    order_bills = Flow("USD bn", "bills of compute, chip and power orders with a commitment, this tick")
    rent_bills = Flow("USD bn", "rents due this tick")
    receipts_due = Flow("USD bn", "interest, rents and bills that others owe this tick")
    planned_investment = Flow("USD bn", "investment wanted this tick")
    planned_borrowing = Flow("USD bn", "new borrowing wanted this tick")
    operating_bill = Flow("USD bn", "operating cost due this tick")
    tax_bill = Flow("USD bn", "tax due this tick")
    outside_sales = Flow("USD bn", "sales to outside customers this tick")
    power_bill = Flow("USD bn", "power bought this tick")
    supplier_bill = Flow("USD bn", "parts bought from modelled suppliers this tick")
    stake_value = Flow("USD bn", "stakes held, at price or mark")
    secured_room = Flow("USD bn", "haircut collateral value less secured debt, of who may borrow against capacity")

    outside_revenue_at_start = Parameter("USD bn per year", "outside revenue at the start")
    contracted_at_start = Parameter("USD bn per year", "contracted sales at the start")
    long_run_growth = Parameter("per year", "growth to which demand returns")
    chips_share = Parameter("share", "part of investment that is spent on chips")
    growth_decay = Parameter("per year", "speed at which growth falls to its long-run rate")
    revenue_volatility = Parameter("per year", "standard deviation of outside demand")
    cost_share = Parameter("share", "operating cost / revenue")
    fixed_cost = Parameter("USD bn per year", "operating cost that does not move with revenue")
    tax_rate = Parameter("share", "tax / profit")
    depreciation_rate = Parameter("per year", "wear of capacity")
    cash_floor_months = Parameter("months", "own buffer in months of cost")
    payout_share = Parameter("share", "part of free cash flow paid out")
    sells_automation = Parameter("0 or 1", "whether the robot tax falls on the firm's revenue")
    capex_at_start = Parameter("USD bn per year", "planned investment at the start")
    capacity_at_start = Parameter("USD bn", "capacity at the start")
    construction_at_start = Parameter("USD bn", "construction at the start")
    market_value_at_start = Parameter("USD bn", "market value at the start")

    @property
    def expected_path_growth(self) -> Array:
        """Growth of outside demand that the adoption curve implies in this tick, per year, ``(n, 1)``."""
        return self.path_growth_at(self.books.tick)

    def path_growth_at(self, tick: int) -> Array:
        """Growth of outside demand on the adoption curve at a tick, per year, ``(n, 1)``."""
        years = (tick + 1) * self.years_per_tick
        return self.long_run_growth + (self.outside_growth - self.long_run_growth) * np.exp(-self.growth_decay * years)

    @rule("per year")
    def new_expected_growth(self) -> Array:
        """Expected growth after this tick's news, per year, (n, R).

        Rule: take the adoption curve as known; adapt to what sales were above or under it, and extrapolate the last year's return of AI shares.
        Source: model.md stage 2; [delong1990].
        """
        path = self.expected_path_growth
        anchor = path + self.sales_trend + EXTRAPOLATION * self.series("ai_return_year") + self.lever("expectation.news")
        known = path - self.path_growth_at(self.books.tick - 1)
        return self.expected_growth + known + EXPECTATION_SPEED * self.years_per_tick * (anchor - self.expected_growth - known)

    @rule("index")
    def new_demand(self) -> Array:
        """Level of outside demand, 1 at the start, (n, R).

        Rule: follow the adoption curve, with common and own shocks. Source: logistic-like growth decay, [gompertz] form.
        """
        shock = COMMON_DEMAND * self.draw("common_demand") + np.sqrt(1.0 - COMMON_DEMAND**2) * self.draw("own_demand")
        step = self.expected_path_growth * self.years_per_tick
        spread = self.revenue_volatility * np.sqrt(self.years_per_tick)
        return self.demand * np.exp(step + spread * shock - 0.5 * spread * spread)

    @rule("USD bn")
    def power_wanted(self) -> Array:
        """Power bought this tick at the utility's price, USD bn, (n, R). Rule: capacity in service draws power all the time."""
        price = self.macro("power_price_at_start") * self.lever("power.price")
        return self.capacity * self.power_needed_per_capacity * price * self.years_per_tick

    @rule("USD bn")
    def purchases_of_parts(self) -> Array:
        """Spending from which suppliers of parts get their share, USD bn, (n, R). Rule: cost of sales."""
        return self.cost_share * self.revenue_now * self.years_per_tick

    @rule("USD bn")
    def wear(self) -> Array:
        """Capacity that wears out this tick, USD bn, (n, R). Rule: a constant rate, by book life."""
        return np.minimum(self.capacity * self.depreciation_rate * self.years_per_tick, self.capacity)

    @rule("USD bn")
    def finished_building(self) -> Array:
        """Construction that could be switched on this tick, USD bn, (n, R).

        Rule: a part each month, so that building takes BUILD_MONTHS on average.
        """
        return self.construction / BUILD_MONTHS

    power_needed_per_capacity = Parameter("GW per USD bn", "power that capacity draws")

    @rule("share")
    def delivered_share(self) -> Array:
        """Share of what is contracted and demanded that the capacity in service can serve, in [0, 1], (n, R).

        Rule: revenue per unit of capacity may rise to ``SLACK`` times its start, beyond that customers wait.
        """
        start = self.outside_revenue_at_start + self.contracted_at_start
        wanted = self.outside_revenue_at_start * self.demand * self.demand_lever + self.contracted_now
        needed = self.capacity_at_start * wanted / np.maximum(start, 1e-9)
        return np.where(needed > 0.0, np.minimum(1.0, SLACK * self.capacity / np.maximum(needed, 1e-9)), 1.0)

    @property
    def demand_lever(self) -> Array:
        """The demand lever of this kind of firm, ``(n, 1)``; 1 for kinds that have none."""
        name = f"{self.kind}.demand"
        return self.lever(name) if name in self.books.levers else np.ones((1, 1))

    @rule("USD bn")
    def sales_to_outside(self) -> Array:
        """Sales to customers outside the model this tick, USD bn, (n, R).

        Rule: demand, times what households spend, as far as capacity can serve it.
        """
        wanted = self.outside_revenue_at_start * self.demand * self.demand_lever * self.series("household_demand")
        return wanted * self.years_per_tick * self.served

    @property
    def served(self) -> Array:
        """Share of outside demand that is served, ``(n, R)``; 1 unless capacity binds."""
        return np.ones((1, 1))

    @rule("USD bn per year")
    def revenue(self) -> Array:
        """Revenue of this tick at a yearly rate, USD bn per year, (n, R). Rule: what is sold outside, what capacity serves of contracts, chips."""
        return self.outside_sales / self.years_per_tick + self.contracted_now * self.delivery + self.chip_sales

    delivery = Flow("share", "share of contracted and demanded capacity that can be served")
    revenue_now = Flow("USD bn per year", "revenue of this tick at a yearly rate")

    @rule("USD bn")
    def operating_cost(self) -> Array:
        """Wages and bills of the tick without modelled purchases of power and parts, USD bn, (n, R).

        Rule: a share of revenue and a fixed cost.
        """
        cost = (self.cost_share * self.revenue_now + self.fixed_cost) * self.years_per_tick
        return np.maximum(cost - self.power_bill - self.supplier_bill, 0.0)

    @rule("USD bn")
    def tax(self) -> Array:
        """Tax on the profit of the tick, USD bn, (n, R).

        Rule: a flat effective rate on positive profit after interest and wear, and the robot tax on the revenue of firms that sell automation. Where
        expensing is withdrawn, last month's investment beyond wear is no longer deducted at once, as far as there was profit to deduct it from
        ([hall_jorgenson1967]); the tariff is paid on the chips in that investment.
        """
        profit = self.revenue_now * self.years_per_tick - self.operating_bill - self.interest_due - self.order_bills - self.rent_bills
        wear = self.capacity * self.depreciation_rate * self.years_per_tick
        profit = profit - wear
        tax = self.tax_rate * np.maximum(profit, 0.0)
        robot_tax = self.lever("government.robot_tax_rate")
        if robot_tax.any():
            tax = tax + robot_tax * self.sells_automation * self.revenue_now * self.years_per_tick
        withdrawn, tariff = self.lever("government.expensing_withdrawn"), self.lever("government.chip_tariff")
        if withdrawn.any():
            deducted = np.clip(self.planned_investment - wear, 0.0, np.maximum(profit, 0.0))
            tax = tax + withdrawn * self.tax_rate * deducted
        return tax + tariff * self.chips_share * self.planned_investment if tariff.any() else tax

    @rule("USD bn")
    def cash_floor(self) -> Array:
        """Cash that the firm keeps this tick, USD bn, (n, R). Rule: some months of operating cost, interest and rent."""
        return self.cash_floor_months * (self.operating_bill + self.interest_due + self.rent_bills)

    cash_floor_now = Flow("USD bn", "cash that the firm keeps this tick")

    @rule("USD bn")
    def cash_flow(self) -> Array:
        """Cash expected this tick before investment and principal, USD bn, (n, R). Rule: what is due from others and outside, less all bills."""
        earned = self.outside_sales + self.receipts_due + self.chip_sales * self.years_per_tick
        paid = self.operating_bill + self.tax_bill + self.power_bill + self.supplier_bill
        return earned - paid - self.interest_due - self.order_bills - self.rent_bills

    cash_flow_now = Flow("USD bn", "cash expected this tick before investment and principal, with the chip sales known so far")

    @property
    def relative_q(self) -> Array:
        """Market value of the firm over its capacity, relative to the start, ``(n, R)``; 1 where there is no share price.

        Source: [tobin1969], [hayashi1982].
        """
        now = self.shares * self.share_price / np.maximum(self.capacity + self.construction, 1e-6)
        start = self.market_value_at_start / np.maximum(self.capacity_at_start + self.construction_at_start, 1e-6)
        return np.where(self.market_value_at_start > 0.0, now / np.maximum(start, 1e-9), 1.0)

    @rule("USD bn")
    def wanted_investment(self) -> Array:
        """Investment wanted this tick, USD bn, (n, R).

        Rule: ``I = K max(0, δ + g + c e^{-t/τ} + φ (q/q₀ - 1))``: replace what wears out, grow with contracted and expected sales and faster when
        the market values capacity above its cost; c is what the sourced plan builds beyond that at the start, and is worked off over τ.
        Source: [tobin1969], [hayashi1982]; model.md stage 3.
        """
        demand_now = self.outside_revenue_at_start * self.demand * self.demand_lever
        coming = self.contracted_next - self.contracted_now
        growth = (demand_now * self.expected_growth + coming) / np.maximum(demand_now + self.contracted_now, 1e-9)
        pull = Q_RESPONSE * np.clip(self.relative_q - 1.0, -1.0, 2.0)
        plan = self.plan_at_start * np.exp(-self.books.tick * self.years_per_tick / CATCH_UP_YEARS)
        yearly = self.capacity * (self.depreciation_rate + np.clip(growth, -0.5, 1.0) + plan + pull)
        return np.maximum(np.maximum(yearly, 0.0) * self.years_per_tick, self.committed_chips) * self.alive

    committed_chips = Flow("USD bn", "chips of committed orders delivered this tick")
    plan_at_start = Parameter("per year", "investment / capacity of the sourced plan beyond wear and expected growth")

    @rule("USD bn")
    def affordable_investment(self) -> Array:
        """Investment after a look at the purse, USD bn, (n, R).

        Rule: pecking order: own cash above the buffer, then debt; a firm that lenders avoid builds only what its cash pays. Source: [myers1984].
        """
        own = np.maximum(self.cash - self.cash_floor_now + self.cash_flow_now - self.principal_due, 0.0)  # cash holds the new loans already
        return np.maximum(np.minimum(self.planned_investment, own), self.committed_chips)

    new_credit = Flow("USD bn", "new loans granted this tick")

    @rule("USD bn")
    def wanted_borrowing(self) -> Array:
        """New borrowing wanted this tick beyond renewals, USD bn, (n, R).

        Rule: what investment and the buffer need beyond own cash, and a part of the refinancing gap of the coming year; cash is used up slowly.
        Source: [xu2018], early refinancing.
        """
        spare = self.cash - self.cash_floor_now
        usable = np.maximum(spare, 0.0) / LIQUID_MONTHS + np.minimum(spare, 0.0)
        early = PREFUNDING * self.refinancing_gap_now * self.debt
        return (np.maximum(self.planned_investment - self.cash_flow_now - usable, 0.0) + early) * self.alive

    @rule("USD bn per year")
    def smoothed_earnings(self) -> Array:
        """Cash earnings before interest and principal, smoothed over a year, USD bn per year, (n, R). Rule: a twelfth of the way each month."""
        now = (self.cash_flow_now + self.interest_due) / self.years_per_tick
        return now if self.books.tick == 0 else self.earnings + EARNINGS_MEMORY * (now - self.earnings)

    @rule("USD bn")
    def payout(self) -> Array:
        """Dividends and buybacks of the tick, USD bn, (n, R).

        Rule: a share of cash flow after investment, none while cash is short or after a failed stress test.
        """
        free = self.cash_flow_now - self.planned_investment
        is_free = (self.cash > self.cash_floor_now) & (self.stress_test_failed < 1.0)
        return self.payout_share * np.maximum(free, 0.0) * is_free * self.alive

    stress_test_failed = Flow("0 or 1", "1 while the firm would not survive the supervisor's simulated stress")

    @rule("USD bn")
    def regulatory_cost(self) -> Array:
        """What stress tests and disclosure cost the firm this tick, USD bn, (n, R). Rule: yearly shares of its assets; lenders need not disclose."""
        yearly = STRESS_TEST_COST * (self.lever("supervision.stress_test") > 0.0)
        if self.discloses:
            yearly = yearly + DISCLOSURE_COST * self.lever("market.disclosure")
        return yearly * self.total_assets * self.years_per_tick * self.alive

    @rule("USD bn")
    def deleveraging(self) -> Array:
        """Debt that the firm repays ahead of time this tick, USD bn, (n, R).

        Rule: after a failed stress test a twelfth of the cash beyond the buffer, at most all debt.
        """
        spare = np.maximum(self.cash - self.cash_floor_now, 0.0)
        return np.minimum(spare / LIQUID_MONTHS, self.debt) * self.stress_test_failed * self.alive

    @rule("0 or 1")
    def fails_stress_test(self) -> Array:
        """Whether the firm fails the supervisor's simulated stress, (n, R).

        Rule: debt over debt and what is left of equity after the simulated fall is above STRESSED_LEVERAGE. Source: form of the supervisory stress
        tests of banks ([hirtle_lehnert2015]), on market leverage.
        """
        kept = 1.0 - self.lever("supervision.stress_test")
        equity = np.where(self.is_issuer > 0.0, self.market_value, np.maximum(self.book_net_worth, 0.0)) * kept
        return (self.debt > STRESSED_LEVERAGE * (self.debt + equity)) * self.alive

    @rule("0 or 1")
    def is_insolvent(self) -> Array:
        """Whether assets at market value no longer cover debt, (n, R).

        Rule: book net worth is negative and the market sees no equity either. Source: barrier of [black_cox1976].
        """
        market_value = self.shares * self.share_price
        return ((self.book_net_worth < 0.0) & (market_value < EQUITY_BARRIER * self.debt)).astype(np.float64)
