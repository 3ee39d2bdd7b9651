"""Two kinds of agents in plain Python: what the rules cost when an agent is an ordinary ``mesa.Agent`` with float attributes.

A port of the rules that the tick asks of hyperscalers and cloud providers. It is driven with inputs recorded from a run of the model and must
give the model's answers before it is timed. It stands here for side_by_side.py, so that a slow baseline can't flatter the batch:
no arrays, no descriptors, conditionals rather than calls of ``max``, and the time of loading inputs is not counted.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mesa

from agents import cloud_provider, firm
from simulator.engine.model import ContagionModel

YEARS_PER_TICK = 1.0 / 12.0
OWN_PART = math.sqrt(1.0 - firm.COMMON_DEMAND**2)
TOLERANCE = 1e-12
"""Largest relative difference of an answer of the port from the model's (``math.exp`` and ``numpy.exp`` differ in the last bit)."""


class PlainFirm(mesa.Agent):
    """A firm with float attributes; each method is the rule of the same name in agents/firm.py.

    ``step`` is the rule whose turn it is; attributes are named as the model's columns, levers end in ``_lever``, draws in ``_draw``,
    system series in ``_series``.
    """

    step: Callable[[], float]
    tick: int
    cash: float
    capacity: float
    construction: float
    alive: float
    debt: float
    book_net_worth: float
    demand: float
    expected_growth: float
    sales_trend: float
    share_price: float
    shares: float
    contracted_now: float
    contracted_next: float
    chip_sales: float
    interest_due: float
    principal_due: float
    order_bills: float
    rent_bills: float
    receipts_due: float
    planned_investment: float
    operating_bill: float
    tax_bill: float
    outside_sales: float
    power_bill: float
    supplier_bill: float
    delivery: float
    committed_chips: float
    outside_revenue_at_start: float
    contracted_at_start: float
    outside_growth: float
    long_run_growth: float
    growth_decay: float
    revenue_volatility: float
    cost_share: float
    fixed_cost: float
    tax_rate: float
    depreciation_rate: float
    cash_floor_months: float
    payout_share: float
    capex_at_start: float
    capacity_at_start: float
    construction_at_start: float
    market_value_at_start: float
    plan_at_start: float
    demand_lever: float
    expectation_news_lever: float
    common_demand_draw: float
    own_demand_draw: float
    ai_return_year_series: float
    household_demand_series: float

    def path_growth_at(self, tick: int) -> float:
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
        spread = self.revenue_volatility * math.sqrt(YEARS_PER_TICK)
        return self.demand * math.exp(self.path_growth_at(self.tick) * YEARS_PER_TICK + spread * shock - 0.5 * spread * spread)

    def delivered_share(self) -> float:
        start = self.outside_revenue_at_start + self.contracted_at_start
        wanted = self.outside_revenue_at_start * self.demand * self.demand_lever + self.contracted_now
        needed = self.capacity_at_start * wanted / (start if start > 1e-9 else 1e-9)
        if needed <= 0.0:
            return 1.0
        share = 1.25 * self.capacity / (needed if needed > 1e-9 else 1e-9)
        return share if share < 1.0 else 1.0

    def served(self) -> float:
        return 1.0

    def sales_to_outside(self) -> float:
        wanted = self.outside_revenue_at_start * self.demand * self.demand_lever * self.household_demand_series
        return wanted * YEARS_PER_TICK * self.served()

    def revenue(self) -> float:
        return self.outside_sales / YEARS_PER_TICK + self.contracted_now * self.delivery + self.chip_sales

    def operating_cost(self) -> float:
        cost = (self.cost_share * self.revenue() + self.fixed_cost) * YEARS_PER_TICK - self.power_bill - self.supplier_bill
        return cost if cost > 0.0 else 0.0

    def tax(self) -> float:
        profit = self.revenue() * YEARS_PER_TICK - self.operating_bill - self.interest_due - self.order_bills - self.rent_bills
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
        own = self.cash - self.cash_floor() + self.cash_flow() - self.principal_due
        own = own if own > 0.0 else 0.0
        paid = self.planned_investment if self.planned_investment < own else own
        return paid if paid > self.committed_chips else self.committed_chips

    def wanted_borrowing(self) -> float:
        spare = self.cash - self.cash_floor()
        need = self.planned_investment - self.cash_flow() - (spare / firm.LIQUID_MONTHS if spare > 0.0 else spare)
        return need * self.alive if need > 0.0 else 0.0

    def payout(self) -> float:
        if self.cash <= self.cash_floor():
            return 0.0
        free = self.cash_flow() - self.planned_investment
        return self.payout_share * free * self.alive if free > 0.0 else 0.0

    def is_insolvent(self) -> float:
        return 1.0 if self.book_net_worth < 0.0 and self.shares * self.share_price < firm.EQUITY_BARRIER * self.debt else 0.0


class PlainHyperscaler(PlainFirm):
    """Port of agents/hyperscaler.py."""

    def served(self) -> float:
        return 0.9 + 0.1 * self.delivery


class PlainCloudProvider(PlainFirm):
    """Port of agents/cloud_provider.py."""

    resale_value: float
    planned_borrowing: float
    new_credit: float

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


# ---------------------------------------------------------------------- what the model asks, recorded or timed


@dataclass(frozen=True)
class Asked:
    """A rule asked of all agents of a kind in a tick: what it read, a list of floats per attribute and agent, and its answers."""

    kind: str
    rule: str
    tick: int
    inputs: dict[str, list[float]]
    answers: list[float]


class _Watched(Mapping[str, Any]):
    """A mapping of arrays that notes what is read from it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values_by_name, self.read = values, set[str]()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def __contains__(self, name: object) -> bool:
        return name in self.values_by_name


class _WatchedBooks:
    """Books that note the columns, levers, draws and series that are read."""

    def __init__(self, books: Any) -> None:
        self.books = books
        self.columns, self.levers = _Watched(books.columns), _Watched(books.levers)
        self.draws, self.series = _Watched(books.draws), _Watched(books.series)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.books, name)

    def read_by(self, kind: str, rows: slice) -> dict[str, list[float]]:
        """What was read, by the name of the port's attribute, a float per agent."""
        named = {name: self.books.columns[name] for name in self.columns.read}
        for name in self.levers.read:
            named[f"{name.removeprefix(f'{kind}.').replace('.', '_')}_lever"] = self.books.levers[name]
        named |= {f"{name}_draw": self.books.draws[name] for name in self.draws.read}
        named |= {f"{name}_series": self.books.series[name] for name in self.series.read}
        count = rows.stop - rows.start
        found = {}
        for name, values in named.items():
            column = (values if len(values) == 1 else values[rows])[:, 0].tolist()
            found[name] = column * count if len(column) == 1 else column
        return found


class _Actor:
    """Stands in for a cohort (``actor``): passes a rule's question on through ``ask(actor, rule)``."""

    def __init__(self, actor: Any, ask: Callable[[Any, str], Any]) -> None:
        self.actor, self.ask, self.rows = actor, ask, actor.rows

    def __getattr__(self, name: str) -> Any:
        return lambda: self.ask(self.actor, name)


class _ListeningModel(ContagionModel):
    """A model whose hyperscalers and cloud providers are asked through :meth:`ask`."""

    def ask(self, actor: Any, rule: str) -> Any:
        raise NotImplementedError

    def actors(self, *arguments: Any, **options: Any) -> Iterable[Any]:
        actors = super().actors(*arguments, **options)
        return [_Actor(actor, self.ask) if actor.kind in PORTS else actor for actor in actors]


class RecordedModel(_ListeningModel):
    """One replication that keeps every question to the two kinds in ``asked``."""

    def __init__(self, economy: Any, **options: Any) -> None:
        super().__init__(economy, **{"mesa_agents": False, **options})
        if self.books.replications != 1:
            raise ValueError("one replication is recorded at a time")
        self.asked: list[Asked] = []

    def ask(self, actor: Any, rule: str) -> Any:
        books = _WatchedBooks(actor.books)
        cohort = type(actor).cohort_of(books, actor.rows)
        answer = getattr(cohort, rule)()
        count = actor.rows.stop - actor.rows.start
        answers = answer[:, 0].tolist() * (1 if len(answer) == count else count)
        self.asked.append(Asked(actor.kind, rule, books.tick, books.read_by(actor.kind, actor.rows), answers))
        return answer


class TimedModel(_ListeningModel):
    """Any batch and stepping; ``rule_seconds`` is the time spent in the rules of the two kinds."""

    rule_seconds = 0.0

    def ask(self, actor: Any, rule: str) -> Any:
        method = getattr(actor, rule)
        start = time.perf_counter()
        answer = method()
        self.rule_seconds += time.perf_counter() - start
        return answer


# ---------------------------------------------------------------------- the port, driven by what was recorded


class PlainModel(mesa.Model):
    """The plain agents of a recorded run; they are asked what the model's agents were asked, in the same order."""

    def __init__(self, asked: Iterable[Asked]) -> None:
        super().__init__(rng=1)
        self.asked = list(asked)
        self.firms: dict[str, list[PlainFirm]] = {}
        for question in self.asked:
            if not hasattr(PORTS[question.kind], question.rule):
                raise AttributeError(f"plain_float.py: {PORTS[question.kind].__name__} lacks the rule {question.rule}, which the tick asks")
            if question.kind not in self.firms:
                self.firms[question.kind] = [PORTS[question.kind](self) for _ in question.answers]

    def prepare(self, question: Asked) -> list[PlainFirm]:
        """The agents asked, their attributes set to what the rule read in the model."""
        firms = self.firms[question.kind]
        for row, one in enumerate(firms):
            one.tick = question.tick
            for name, values in question.inputs.items():
                setattr(one, name, values[row])
            one.step = getattr(one, question.rule)
        return firms

    def differences(self) -> list[str]:
        """Answers that differ from the model's by more than ``TOLERANCE``, a line each; empty when the port agrees."""
        found = []
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
