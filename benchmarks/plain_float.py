"""Two kinds of agents in plain Python: what the rules cost when an agent is an ordinary ``mesa.Agent`` with float attributes.

A port of the rules that the tick asks of hyperscalers and cloud providers. It is driven with inputs recorded from a run of the model and
must give the model's answers before it is timed. It stands here for side_by_side.py, so that a slow baseline can't flatter the batch: no
arrays, no descriptors, conditionals rather than calls of ``max``, and the time of setting the inputs is not counted.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mesa

from agents import borrower, cloud_provider, firm, issuer

YEARS_PER_TICK = 1.0 / 12.0
ROOT_OF_TICK = math.sqrt(YEARS_PER_TICK)
ROOT_OF_HALF = math.sqrt(0.5)
ROOT_OF_MERTON_YEARS = math.sqrt(issuer.MERTON_YEARS)
OWN_PART = math.sqrt(1.0 - firm.COMMON_DEMAND**2)
TOLERANCE = 1e-12
"""Largest relative difference of an answer of the port from the model's (``math.exp`` and ``numpy.exp`` differ in the last bit)."""


def bounded(value: float, low: float, high: float) -> float:
    """``numpy.clip`` of a float."""
    return low if value < low else high if value > high else value


def logistic(odds: float) -> float:
    """``scipy.special.expit`` of a float."""
    if odds >= 0.0:
        return 1.0 / (1.0 + math.exp(-odds))
    power = math.exp(odds)
    return power / (1.0 + power)


class PlainFirm(mesa.Agent):  # type: ignore[misc]  # Mesa ships no types
    """A firm with float attributes; each method is the rule of the same name in agents/firm.py or agents/issuer.py.

    ``step`` is the rule whose turn it is. Attributes are named as the model's columns; levers end in ``_lever``, draws in ``_draw``, system
    series in ``_series``, numbers of macro.csv in ``_macro``, and columns as an amplifier lets others see them in ``_seen``.
    """

    step: Callable[[], float]

    if TYPE_CHECKING:  # all other attributes are set from the recording, and are floats

        def __getattr__(self, name: str) -> float: ...

    def path_growth_at(self, tick: float) -> float:
        years = (tick + 1) * YEARS_PER_TICK
        return self.long_run_growth + (self.outside_growth - self.long_run_growth) * math.exp(-self.growth_decay * years)

    def new_expected_growth(self) -> float:
        path = self.path_growth_at(self.tick)
        anchor = path + self.sales_trend + firm.EXTRAPOLATION * self.ai_return_year_series + self.expectation_news_lever
        known = path - self.path_growth_at(self.tick - 1)
        expected = self.expected_growth
        return expected + known + firm.EXPECTATION_SPEED * YEARS_PER_TICK * (anchor - expected - known)

    def new_demand(self) -> float:
        shock = firm.COMMON_DEMAND * self.common_demand_draw + OWN_PART * self.own_demand_draw
        spread = self.revenue_volatility * ROOT_OF_TICK
        return self.demand * math.exp(self.path_growth_at(self.tick) * YEARS_PER_TICK + spread * shock - 0.5 * spread * spread)

    def delivered_share(self) -> float:
        start = self.outside_revenue_at_start + self.contracted_at_start
        wanted = self.outside_revenue_at_start * self.demand * self.demand_lever + self.contracted_now
        needed = self.capacity_at_start * wanted / (start if start > 1e-9 else 1e-9)
        if needed <= 0.0:
            return 1.0
        share = firm.SLACK * self.capacity / (needed if needed > 1e-9 else 1e-9)
        return share if share < 1.0 else 1.0

    def served(self) -> float:
        return 1.0

    def sales_to_outside(self) -> float:
        wanted = self.outside_revenue_at_start * self.demand * self.demand_lever * self.household_demand_series
        return wanted * YEARS_PER_TICK * self.served()

    def revenue(self) -> float:
        return self.outside_sales / YEARS_PER_TICK + self.contracted_now * self.delivery + self.chip_sales

    def operating_cost(self) -> float:
        cost = (self.cost_share * self.revenue_now + self.fixed_cost) * YEARS_PER_TICK - self.power_bill - self.supplier_bill
        return cost if cost > 0.0 else 0.0

    def tax(self) -> float:
        profit = self.revenue_now * YEARS_PER_TICK - self.operating_bill - self.interest_due - self.order_bills - self.rent_bills
        profit -= self.capacity * self.depreciation_rate * YEARS_PER_TICK
        return self.tax_rate * profit if profit > 0.0 else 0.0

    def cash_floor(self) -> float:
        return self.cash_floor_months * (self.operating_bill + self.interest_due + self.rent_bills)

    def cash_flow(self) -> float:
        earned = self.outside_sales + self.receipts_due + self.chip_sales * YEARS_PER_TICK
        bills = earned - self.operating_bill - self.tax_bill - self.power_bill - self.supplier_bill
        return bills - self.interest_due - self.order_bills - self.rent_bills

    def relative_q(self) -> float:
        if self.market_value_at_start <= 0.0:
            return 1.0
        assets, assets_at_start = self.capacity + self.construction, self.capacity_at_start + self.construction_at_start
        start = self.market_value_at_start / (assets_at_start if assets_at_start > 1e-6 else 1e-6)
        return self.shares * self.share_price / (assets if assets > 1e-6 else 1e-6) / (start if start > 1e-9 else 1e-9)

    def pull_of_q(self) -> float:
        excess = self.relative_q() - 1.0
        return firm.Q_RESPONSE * (-1.0 if excess < -1.0 else 2.0 if excess > 2.0 else excess)

    def wanted_investment(self) -> float:
        demand_now = self.outside_revenue_at_start * self.demand * self.demand_lever
        sales = demand_now + self.contracted_now
        growth = (demand_now * self.expected_growth + (self.contracted_next - self.contracted_now)) / (sales if sales > 1e-9 else 1e-9)
        growth = -0.5 if growth < -0.5 else 1.0 if growth > 1.0 else growth
        plan = self.plan_at_start * math.exp(-self.tick * YEARS_PER_TICK / firm.CATCH_UP_YEARS)
        return self.at_least_committed(self.capacity * (self.depreciation_rate + growth + plan + self.pull_of_q()))

    def at_least_committed(self, yearly: float) -> float:
        monthly = yearly * YEARS_PER_TICK if yearly > 0.0 else 0.0
        return (monthly if monthly > self.committed_chips else self.committed_chips) * self.alive

    def affordable_investment(self) -> float:
        own = self.cash - self.cash_floor_now + self.cash_flow_now - self.principal_due
        own = own if own > 0.0 else 0.0
        paid = self.planned_investment if self.planned_investment < own else own
        return paid if paid > self.committed_chips else self.committed_chips

    def wanted_borrowing(self) -> float:
        spare = self.cash - self.cash_floor_now
        need = self.planned_investment - self.cash_flow_now - (spare / firm.LIQUID_MONTHS if spare > 0.0 else spare)
        return ((need if need > 0.0 else 0.0) + borrower.PREFUNDING * self.refinancing_gap_now * self.debt) * self.alive

    def smoothed_earnings(self) -> float:
        now = (self.cash_flow_now + self.interest_due) / YEARS_PER_TICK
        return now if self.tick == 0 else self.earnings + borrower.EARNINGS_MEMORY * (now - self.earnings)

    def refinancing_gap(self) -> float:
        free = self.earnings - self.interest_due / YEARS_PER_TICK
        gap = self.due_next_year - (self.cash if self.cash > 0.0 else 0.0) - self.open_lines - (free if free > 0.0 else 0.0)
        return bounded(gap / (self.debt if self.debt > 1e-6 else 1e-6), 0.0, 1.0)

    def covenant_pass(self) -> float:
        tight, interest = self.lender_covenant_tightness_lever, self.interest_due / YEARS_PER_TICK
        given = self.covenant_coverage
        least = (given if given > 0.0 else (1.0 - borrower.COVENANT_CUSHION) * self.cover_at_start) * tight
        cover = 1.0
        if least > 0.0 and self.interest_due > 1e-9:
            cover = (self.earnings / interest if interest > 1e-6 else 0.0) / (least if least > 1e-9 else 1e-9)
        leverage = 1.0
        if self.covenant_leverage > 0.0 and self.debt > 1e-9:
            allowed = self.covenant_leverage * (self.earnings if self.earnings > 0.0 else 0.0)
            leverage = allowed / (self.debt * tight if self.debt * tight > 1e-9 else 1e-9)
        return bounded(2.0 * (cover if cover < leverage else leverage) - 1.0, 0.0, 1.0)

    def distress(self) -> float:
        start = self.cds_at_start if self.cds_at_start > 1e-6 else 1e-6
        return bounded(self.cds_seen / start - borrower.DRAW_FROM, 0.0, 1.0) * self.alive  # a firm's own renewal room is always 1

    def payout(self) -> float:
        if self.cash <= self.cash_floor_now or self.stress_test_failed >= 1.0:
            return 0.0
        free = self.cash_flow_now - self.planned_investment
        return self.payout_share * free * self.alive if free > 0.0 else 0.0

    def is_insolvent(self) -> float:
        return 1.0 if self.book_net_worth < 0.0 and self.shares * self.share_price < firm.EQUITY_BARRIER * self.debt else 0.0

    def power_wanted(self) -> float:
        return self.capacity * self.power_needed_per_capacity * (self.power_price_at_start_macro * self.power_price_lever) * YEARS_PER_TICK

    def purchases_of_parts(self) -> float:
        return self.cost_share * self.revenue_now * YEARS_PER_TICK

    def wear(self) -> float:
        worn = self.capacity * self.depreciation_rate * YEARS_PER_TICK
        return worn if worn < self.capacity else self.capacity

    def finished_building(self) -> float:
        return self.construction / firm.BUILD_MONTHS

    def market_value(self) -> float:
        return self.shares * self.share_price

    def new_gearing(self) -> float:
        value = self.market_value()
        gearing = 1.0 + self.debt / (value if value > 1e-6 else 1e-6)
        return gearing if gearing < issuer.GEARING_MAX else issuer.GEARING_MAX

    def return_by_luck(self) -> float:
        market, ai = self.market_beta * issuer.MARKET_VOLATILITY, self.ai_beta * issuer.AI_VOLATILITY
        common = market * market + ai * ai
        rest = self.equity_volatility**2 - common
        own = math.sqrt(rest if rest > 0.01 else 0.01)
        noise = market * self.market_draw + ai * self.ai_draw + own * self.own_return_draw
        drift = (self.policy_rate_macro + issuer.RISK_PREMIUM - 0.5 * (common + own * own)) * YEARS_PER_TICK
        growth = self.growth_news_seen - self.growth_news_by_shock_seen - self.growth_news_by_others_seen
        news = self.gearing * (issuer.NEWS_TO_REVENUE * self.demand_luck + issuer.NEWS_TO_GROWTH * growth)
        return ROOT_OF_TICK * noise + drift + bounded(news, -issuer.NEWS_MAX, issuer.NEWS_MAX)

    def return_by_shock(self) -> float:
        news = issuer.NEWS_TO_REVENUE * self.lever_news + issuer.NEWS_TO_GROWTH * self.growth_news_by_shock_seen
        news = bounded(self.gearing * news, -issuer.NEWS_MAX, issuer.NEWS_MAX)
        return (news - issuer.RATE_DURATION * self.rate_news_series * self.market_beta + self.news_of_disclosure) * self.is_issuer

    def return_by_others(self) -> float:
        rest = issuer.NEWS_TO_REVENUE * (self.revenue_surprise - self.demand_luck - self.lever_news)
        rest += issuer.NEWS_TO_GROWTH * self.growth_news_by_others_seen
        return bounded(self.gearing * rest, -issuer.NEWS_MAX, issuer.NEWS_MAX) + self.news_of_circularity

    def credit_standing(self) -> float:
        if self.months_in_arrears >= 1.0 or self.margin_breached >= 1.0:
            return 0.0
        covered = self.contracted_next / (self.debt if self.debt > 1e-6 else 1e-6)
        covered = covered if covered < 1.0 else 1.0
        odds = issuer.ACCEPTANCE_AT_ZERO + issuer.COVERED_BY_CONTRACT * covered
        risk = self.cds_seen
        if self.government_guarantee_share_lever > 0.0 or self.government_bail_out_share_lever > 0.0:
            risk *= 1.0 - self.public_backing
        odds -= risk / issuer.CDS_HALF
        wall = self.refinancing_gap_now - issuer.WALL_COMFORT
        if wall > 0.0:
            odds -= issuer.WALL_SLOPE * wall
        excess = self.leverage_seen - issuer.LEVERAGE_COMFORT
        if excess > 0.0:
            odds -= issuer.LEVERAGE_SLOPE * excess
        return logistic(odds) * self.alive

    def external_finance_premium(self) -> float:
        leverage, most = self.leverage_seen, 1.0 - 1.0 / issuer.LEVERAGE_MAX
        return -issuer.PREMIUM_ELASTICITY * math.log1p(-(leverage if leverage < most else most))

    def market_leverage(self) -> float:
        equity = self.market_value() if self.is_issuer > 0.0 else self.book_net_worth if self.book_net_worth > 0.0 else 0.0
        total = self.debt + equity
        return self.debt / (total if total > 1e-6 else 1e-6)

    def smoothed_variance(self) -> float:
        change = bounded(self.price_change, -1.0, 1.0) * self.alive
        return self.return_variance + issuer.VOLATILITY_MEMORY * self.is_listed * self.is_issuer * (change * change - self.return_variance)

    def volatility_factor(self) -> float:
        ratio = math.sqrt(12.0 * self.return_variance) / (self.equity_volatility if self.equity_volatility > 0.01 else 0.01)
        return bounded(1.0 + issuer.VOLATILITY_PASS * (ratio - 1.0), 1.0, issuer.VOLATILITY_MAX)

    def fear_of_neighbours(self) -> float:
        return (self.neighbour_loss if self.neighbour_loss < 1.0 else 1.0) * (1.0 - issuer.NEIGHBOUR_MEMORY)

    def structural_spread(self) -> float:
        total = self.debt + self.market_value()
        leverage = bounded(self.debt / (total if total > 1e-6 else 1e-6), issuer.LEVERAGE_FLOOR, 0.999)
        volatility = self.asset_volatility * self.volatility_factor()
        distance = -math.log(leverage) + (0.02 - 0.5 * volatility * volatility) * issuer.MERTON_YEARS
        survival = 0.5 * math.erfc(-distance / (volatility * ROOT_OF_MERTON_YEARS) * ROOT_OF_HALF)
        return -math.log(survival if survival > 0.02 else 0.02) / issuer.MERTON_YEARS * (1.0 - self.recovery_unsecured_macro)

    def cds_premium(self) -> float:
        if self.alive <= 0.0:
            return self.cds
        start = self.cds_index_at_start_series
        ratio = self.cds_index_series / (start if start > 1e-6 else 1e-6)
        stress = issuer.STRESS_SHARE * self.cds_at_start * bounded(ratio - issuer.STRESS_FROM, 0.0, 4.0)
        least = 0.5 * (self.cds_at_start if self.cds_at_start < 0.01 else 0.01)
        own = self.structural_spread() + self.cds_constant
        fear = issuer.NEIGHBOUR_PREMIUM * (self.neighbour_loss if self.neighbour_loss < 1.0 else 1.0)
        premium = (own if own > least else least) + stress + fear + self.cds_premium_lever
        return premium if premium < 1.0 else 1.0

    def funded_share_of_round(self) -> float:
        growth = self.expected_growth / (self.outside_growth if self.outside_growth > 0.05 else 0.05)
        recent = self.ai_return_year_series + bounded(12.0 * self.value_trend, -1.5, 1.5)
        odds = issuer.SUPPLY_AT_START + issuer.SUPPLY_TO_RETURN * recent + issuer.SUPPLY_TO_GROWTH * bounded(growth - 1.0, -1.5, 1.0)
        share = logistic(odds) * self.ai_lab_tranche_share_lever
        return share if share < 1.0 else 1.0


class PlainHyperscaler(PlainFirm):
    """Port of agents/hyperscaler.py."""

    def served(self) -> float:
        return 0.9 + 0.1 * self.delivery


class PlainCloudProvider(PlainFirm):
    """Port of agents/cloud_provider.py."""

    def served(self) -> float:
        return self.delivery

    def sales_to_outside(self) -> float:
        wanted = self.outside_revenue_at_start * self.demand * self.demand_lever * self.household_demand_series
        idle = self.capacity / cloud_provider.CAPITAL_PER_SALES - self.contracted_now - wanted
        spot = cloud_provider.SPOT_DISCOUNT * self.resale_value * idle * self.demand_lever if idle > 0.0 else 0.0
        return (wanted * self.delivery + spot) * YEARS_PER_TICK

    def wanted_investment(self) -> float:
        outside = self.outside_revenue_at_start * self.demand * self.demand_lever
        growth = self.expected_growth
        growth = -0.5 if growth < -0.5 else 3.0 if growth > 3.0 else growth
        contracted = self.contracted_next if self.contracted_next > self.contracted_now else self.contracted_now
        needed = cloud_provider.CAPITAL_PER_SALES * (outside * (1.0 + growth) + contracted)
        used = needed / (self.capacity if self.capacity > 1e-6 else 1e-6)
        used = used if used < 1.0 else 1.0
        yearly = self.capacity * (self.depreciation_rate * used + self.pull_of_q())
        yearly += (needed - self.capacity - self.construction) / firm.PLANNING_YEARS
        opening = math.exp(-self.tick * YEARS_PER_TICK * 2.0)
        return self.at_least_committed(opening * self.capex_at_start + (1.0 - opening) * (yearly if yearly > 0.0 else 0.0))

    def wanted_round(self) -> float:
        unmet = self.planned_borrowing - self.new_credit
        unmet = unmet if unmet > 0.0 else 0.0
        most = cloud_provider.ISSUE_SHARE_MAX * self.shares * self.share_price
        return (unmet if unmet < most else most) * self.alive


PORTS: dict[str, type[PlainFirm]] = {"hyperscaler": PlainHyperscaler, "cloud": PlainCloudProvider}
"""The port of each kind."""


# ---------------------------------------------------------------------- driven by what was recorded


@dataclass(frozen=True)
class Asked:
    """A rule asked of all agents of a kind in a tick: what it read, a list of floats per attribute and agent, and its answers."""

    kind: str
    rule: str
    tick: int
    inputs: dict[str, list[float]]
    answers: list[float]


class PlainModel(mesa.Model):  # type: ignore[misc]  # Mesa ships no types
    """The plain agents of a recorded run; they are asked what the model's agents were asked, in the same order."""

    def __init__(self, asked: Iterable[Asked]) -> None:
        super().__init__(rng=1)
        self.asked = list(asked)
        self.firms: dict[str, list[PlainFirm]] = {}
        for question in self.asked:
            if question.kind not in self.firms:
                self.firms[question.kind] = [PORTS[question.kind](self) for _ in question.answers]

    def prepare(self, question: Asked) -> list[PlainFirm]:
        """The agents asked, their attributes set to what the rule read in the model."""
        firms = self.firms[question.kind]
        for row, one in enumerate(firms):
            for name, values in question.inputs.items():
                setattr(one, name, values[row])
            one.step = getattr(one, question.rule)
        return firms

    def differences(self) -> list[str]:
        """Rules that the port lacks, else answers further than ``TOLERANCE`` from the model's, a line each; empty when it agrees."""
        asked = dict.fromkeys((PORTS[question.kind], question.rule) for question in self.asked)
        found = [f"{port.__name__} lacks the rule {rule}, which the tick asks" for port, rule in asked if not hasattr(port, rule)]
        if found:
            return found
        for question in self.asked:
            for row, (one, expected) in enumerate(zip(self.prepare(question), question.answers, strict=True)):
                answer = one.step()
                if not math.isclose(answer, expected, rel_tol=TOLERANCE, abs_tol=1e-15):
                    found.append(f"{question.kind} {row}, {question.rule}, tick {question.tick}: {answer!r}, the model says {expected!r}")
        return found

    def seconds(self) -> float:
        """Time in all rules of the recorded run; setting the inputs is not counted."""
        gc.collect()
        total = 0.0
        for question in self.asked:
            firms = self.prepare(question)
            start = time.perf_counter()
            for one in firms:
                one.step()
            total += time.perf_counter() - start
        return total
