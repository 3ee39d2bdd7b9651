"""The model: a ``mesa.Model`` whose agents are windows on the books of one or many replications."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.base import EconomicAgent
from agents.plain_mesa import mesa
from agents.registry import AGENT_CLASSES, FIRM_KINDS
from scenarios.changes import Change
from scenarios.levers import LeverSchedule
from simulator.engine.cohorts import cohorts_for
from simulator.engine.entry import with_entrants
from simulator.engine.facility import with_facility
from simulator.engine.foresight import foreseen_sales, foreseen_series
from simulator.engine.opening import open_memory
from simulator.engine.purchases import with_purchases
from simulator.engine.randomness import Draws, Quiet, uniforms
from simulator.engine.recorder import Recorder
from simulator.engine.tick import acting, one_tick
from simulator.ledger.books import Books
from simulator.ledger.names import AMPLIFIER_CHANNELS, CHANNELS
from simulator.ledger.postings import Ledger
from simulator.ledger.renegotiation import LEVER, Renegotiation
from simulator.ledger.resolution import Resolution
from simulator.ledger.settlement import Settlement
from simulator.ledger.sums import buffered_by_row
from simulator.markets.compute import ComputeMarket
from simulator.markets.credit import CreditMarket
from simulator.markets.margin_desk import MarginDesk

Array = NDArray[np.float64]


class ContagionModel(mesa.Model):
    """A batch of replications of one scenario.

    ``economy``: a name, a folder or an :class:`scenarios.economy.Economy`. ``shock`` and ``policy``: names of the menu. ``changes``: lever
    changes given directly (added to those of the menu). ``rng``: the seed. ``replications``: their numbers (the same number has the same luck in
    every scenario); default one, number 0. ``stepping``: ``cohorts`` or ``agents`` (one Mesa agent at a time; the same bits).
    ``channels``: switches by name, each a bool or an array of 0/1 with one element a replication.
    """

    def __init__(
        self,
        economy: Any = "three_firms",
        shock: str | Sequence[str] = (),
        policy: str | Sequence[str] = (),
        rng: int = 1,
        *,
        replications: Iterable[int] = (0,),
        horizon_months: int = 60,
        changes: Sequence[Change] = (),
        channels: Mapping[str, Any] | None = None,
        stepping: str = "cohorts",
        record: str = "summary",
        mesa_agents: bool = True,
        draws: Draws | Quiet | None = None,
        foreseen: Array | None = None,
    ) -> None:
        super().__init__(rng=rng)
        from simulator.engine.inputs import named_changes, opened

        self.economy = opened(economy)
        self.stages = acting(self.economy.stages)
        self.replications = tuple(int(number) for number in replications)
        self.horizon_months, self.stepping = horizon_months, stepping
        self.changes = (*changes, *named_changes(self.economy, shock, policy, horizon_months))
        plain_economy, settled = self.economy, with_entrants(self.economy, self.changes)
        newcomers = settled.ids[len(plain_economy.ids) :]
        self.economy = with_purchases(with_facility(settled, self.changes), self.changes)
        width = len(self.replications)
        switches = {name: np.broadcast_to(np.asarray(value, dtype=np.float64), (1, width)) for name, value in (channels or {}).items()}
        self.books = Books(self.economy, width, horizon_months, switches)
        drawn = (draws.columns, draws.mirrored) if isinstance(draws, Draws) else (self.replications, False)
        luck = partial(_luck, self.economy.varied, rng, *drawn)
        self.schedule = LeverSchedule(self.changes, self.economy, horizon_months, luck)
        self.draws = draws if draws is not None else Draws(rng, self.replications, horizon_months, len(plain_economy.ids))
        if newcomers:
            self.draws = self.draws.with_more(rng, newcomers, horizon_months)
        self.books.levers = self.schedule.neutral
        self.books.draws = self.draws.at(0)
        self._cohorts = {
            kind: cls.cohort_of(self.books, self.books.rows[kind])
            for kind, cls in AGENT_CLASSES.items()
            if self.books.rows[kind].stop > self.books.rows[kind].start
        }
        self.agents_by_row: list[EconomicAgent] = []
        if mesa_agents or stepping == "agents":
            for row, kind in enumerate(self.economy.kinds):
                self.agents_by_row.append(AGENT_CLASSES[kind](self, row))
        self._asked_together: dict[tuple[str, tuple[str, ...]], list[EconomicAgent]] = {}
        self._singles: dict[str, list[EconomicAgent]] = {}
        self.compute = ComputeMarket(self.books)
        self.credit = CreditMarket(self.books)
        self.margin_desk = MarginDesk(self.books)
        self.renegotiation = Renegotiation(self.books)
        self.renegotiation_lever = self.books.levers[LEVER]
        self.backlog: Array = np.zeros((1, width))
        self.accelerator_rows = slice(0, 0)  # of hyperscalers and clouds, which adjoin
        self.makers: tuple[str, ...] = ()  # kinds of firms that sell chips, parts or power
        self.owners: tuple[str, ...] = ()  # kinds of firms that build, or have capacity or construction
        self.bought: list[tuple[NDArray[np.int64], Array, str, str]] = []  # who buys power or parts of the model's own, what part; of what, the bill
        open_memory(self)
        self.sales_by_tick: list[Array] = []
        self.investment = np.zeros((self.books.agents, width))
        self.foreseen = foreseen if foreseen is not None else foreseen_sales(plain_economy, horizon_months, isinstance(draws, Quiet))
        if newcomers and self.foreseen is not None:  # nobody foresees them, so their sales are no surprise either
            self.foreseen = np.concatenate([self.foreseen, np.zeros((len(self.foreseen), len(newcomers), self.foreseen.shape[2]))], axis=1)
        if any(change.lever == "central_bank.taylor_weight" for change in self.changes):
            self.books.foreseen = foreseen_series(plain_economy, horizon_months)
        self.is_disclosing = False
        self.circles: Any = None  # ties of orders through a third firm, found when disclosure first asks for them
        self.ledger = Ledger(self.books)
        self.debt_at_start = np.cumsum(self.books["debt"][self.books.can_default], axis=0)[-1]  # of all who may default, (R,)
        self.ai_value_at_start = self.books.series["ai_market_value"][0].copy()
        self.settlement = Settlement(self.books)
        self.resolution = Resolution(self.books)
        self.recorder = Recorder(self, record)
        self.demand_levers = {name: values for name, values in self.schedule.neutral.items() if name.endswith(".demand")}
        self.levers_of_last_tick: Mapping[str, Array] = self.schedule.neutral
        self.twin: ContagionModel | None = None
        if any(not np.all(self.books.switches[name]) for name in AMPLIFIER_CHANNELS):
            # Columns with the same luck have the same unshocked world: the twin steps each number once.
            single, numbers = self.draws, self.replications
            if isinstance(self.draws, Draws) and self.draws.places is not None and self.economy.varied is None:
                single, numbers = self.draws.without_repeats(), self.draws.numbers
                self.books.twin_columns = self.draws.places
            self.twin = ContagionModel(
                settled, rng=rng, replications=numbers, horizon_months=horizon_months, mesa_agents=False, draws=single,
                channels=dict.fromkeys(CHANNELS, 1.0), foreseen=self.foreseen,
            )  # fmt: skip
            self.books.twin = self.twin.books

    # ------------------------------------------------------------------ stepping

    def step(self) -> None:
        """One tick: a month in every replication. Raises IndexError past the horizon."""
        if self.books.tick >= self.horizon_months:
            raise IndexError(f"the horizon of {self.horizon_months} months is reached")
        with buffered_by_row(self.books.replications):
            one_tick(self)

    def run(self, told: Callable[[int], None] | None = None) -> ContagionModel:
        """Step to the horizon; after each month ``told`` hears how many are done."""
        while self.books.tick < self.horizon_months:
            self.step()
            if told is not None:
                told(self.books.tick)
        return self

    def actors(self, rule: str, kinds: tuple[str, ...] = FIRM_KINDS) -> Iterable[EconomicAgent]:
        """Whom ``rule`` is asked of: cohorts of the kinds, together where the rule is the same, or one Mesa agent after the other."""
        if self.stepping != "agents":
            return self.asked_together(rule, kinds)
        chosen: list[EconomicAgent] = []
        for kind in kinds:
            if kind not in self._singles:
                cls = AGENT_CLASSES[kind]
                self._singles[kind] = list(self.agents_by_type[cls]) if cls in self.agents_by_type else []
            chosen.extend(self._singles[kind])
        return chosen

    def asked_together(self, rule: str, kinds: tuple[str, ...] = FIRM_KINDS) -> list[Any]:
        """Cohorts that cover the agents of the kinds, together where ``rule`` is the same."""
        if (rule, kinds) not in self._asked_together:
            self._asked_together[rule, kinds] = cohorts_for(self.books, rule, kinds)
        return self._asked_together[rule, kinds]

    def cohorts_on(self, books: Books) -> list[Any]:
        """Cohorts of all firms and lenders on the books of a part of the batch."""
        return [AGENT_CLASSES[kind].cohort_of(books, books.rows[kind]) for kind in FIRM_KINDS if kind in self._cohorts]

    def actor(self, kind: str) -> Any:
        """The only agent of a kind (Fed, government, household, short seller, Outside) as a cohort."""
        return self._cohorts[kind]

    # ------------------------------------------------------------------ what stages ask for

    def from_outside(self, amounts: Array) -> Array:
        """The change of cash ``(N, R)`` when Outside pays ``amounts (N, R)``."""
        change = amounts.copy()
        change[self.books.outside] = 0.0
        change[self.books.outside] = -self.ledger.sum(change)[0]
        return change

    def growth_path(self, tick: int) -> Array:
        """Growth of outside demand on the adoption curve at a tick, per year, ``(N, 1)``."""
        c = self.books.columns
        return c["long_run_growth"] + (c["outside_growth"] - c["long_run_growth"]) * np.exp(-c["growth_decay"] * (tick + 1) / 12.0)

    def contracted_sales(self, month: int) -> tuple[Array, Array]:
        """Contracted sales now (yearly rate) and over the coming year, cloud orders and leases, USD bn: the columns ``contracted_now`` and
        ``contracted_next`` ``(N, R)``, written over where the agent sells or lets."""
        books = self.books
        leases, sellers = books.leases, self.compute.committed_clouds.holders
        now, coming = books["contracted_now"], books["contracted_next"]
        rent = leases.rent * leases.in_force
        start, end = leases.static["start"][:, None], leases.static["end"][:, None]
        running = ((start <= month) & (end > month)) * rent
        months_next = np.clip(np.minimum(end, month + 13) - np.maximum(start, month + 1), 0, 12) / 12.0
        for column, sold, let in zip((now, coming), self.compute.contracted(books), (running, rent * months_next), strict=True):
            column[leases.holders] = 0.0
            column[sellers] = sold
            column[leases.holders] += leases.by_holders(let)
        return now, coming

    def tranches_due(self) -> Array:
        """Tranches due this tick, USD bn, ``(S, R)``: by schedule, or as the issuer buys compute (the circular tie).

        What may no longer be tied comes by schedule.
        """
        books = self.books
        stakes = books.stakes
        due = np.zeros_like(stakes.tranche_remaining)
        rows = np.flatnonzero((stakes.tranche_remaining != 0.0).any(axis=1))  # few stakes have tranches to come, in the later years none
        if not len(rows):
            return due
        some = stakes.some(rows)
        months_left = np.maximum(self.tranche_end[rows] - books.tick, 1.0)
        by_schedule = 1.0 / months_left
        commitments = self.compute.remaining_by_buyer(books)
        by_purchases = np.minimum(some.of_debtor(books["order_bills"]) / np.maximum(some.of_debtor(commitments), 1e-9), 1.0)
        on_purchases = self.tranche_on_purchases[rows]
        pace = np.where(on_purchases, by_purchases, by_schedule)
        unbundled = books.levers["stakes.unbundled"]
        if unbundled.any():
            pace = np.where(on_purchases, pace + unbundled * (by_schedule - pace), pace)
        supply = np.minimum(some.of_debtor(books.levers["ai_lab.tranche_share"]), 1.0)
        alive = some.of_holder(books["alive"]) * some.of_debtor(books["alive"])
        due[rows] = stakes.tranche_remaining[rows] * pace * supply * alive
        return due

    def sales(self) -> Array:
        """Sales of the tick at a yearly rate, outside, contracted and of chips and power, USD bn, ``(N, R)``."""
        books = self.books
        contracts = self.compute.of_cloud(self.invoices)
        contracts += books.leases.by_holder(self.rents)
        contracts *= 12.0
        contracts += books["outside_sales"] * 12.0
        contracts += books["chip_sales"]
        return contracts

    def revenue_deviation(self) -> Array:
        """Log of sales over what was foreseen, ``(N, R)``: the surprise that prices and expectations take in."""
        now = self.sales()
        if self.foreseen is None:
            self.sales_by_tick.append(now)
            return np.zeros_like(now)
        plan = self.foreseen[self.books.tick]
        np.maximum(now, 1e-3 * plan + 1e-12, out=now)
        now /= np.maximum(plan, 1e-12)
        deviation: Array = np.log(now, out=now)
        np.copyto(deviation, 0.0, where=(plan <= 1e-6) | (self.books["alive"] <= 0.0))  # neither trifles nor the dead surprise anybody
        return deviation

    def demand_lever_change(self) -> Array:
        """Log change of the demand levers since the tick before, ``(N, 1)``, or ``(N, R)`` with a random shock: the part of sales that the shock
        itself moves."""
        moved = {}
        for kind in FIRM_KINDS:
            name = f"{kind}.demand"
            if name in self.books.levers and self.books.levers[name] is not self.demand_levers[name]:
                now, before, rows = self.books.levers[name], self.demand_levers[name], self.books.rows[kind]
                moved[kind] = np.log(np.maximum(now[rows], 1e-6) / np.maximum(before[rows], 1e-6))
                self.demand_levers[name] = now
        change = np.zeros((self.books.agents, max((values.shape[1] for values in moved.values()), default=1)))
        for kind, values in moved.items():
            change[self.books.rows[kind]] = values
        return change

    def gpu_resale_value(self) -> Array:
        """Average resale value of accelerators per unit of book value, weighted by the capacity of clouds and hyperscalers, ``(1, R)``."""
        books = self.books
        weight = books["capacity"][self.accelerator_rows]
        value = self.ledger.sum(books["resale_value"][self.accelerator_rows] * weight) / np.maximum(self.ledger.sum(weight), 1e-9)
        return value * books.levers["accelerators.resale_value"]


def _luck(varied: Any, seed: int, replications: Sequence[int], mirrored: bool, purpose: str) -> Array:
    """The uniform number of a named draw by replication, ``(R,)``: what a design says, where it does, else luck's."""
    given: Array | None = None if varied is None else varied.share(purpose)
    return uniforms(seed, replications, purpose, mirrored) if given is None else given
