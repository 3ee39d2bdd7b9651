"""The books of a batch: every stock and contract of all agents in all replications, and what they are worth.

:class:`Books` is the state that rules read and the ledger writes. It holds no behaviour beyond sums and values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.columns import Columns
from simulator.ledger.contracts import Contracts, Summed, Ties
from simulator.ledger.names import AMPLIFIER_CHANNELS, CHANNELS, ENTRANT, KINDS
from simulator.ledger.schedules import DeliverySchedule, RepaymentSchedule
from simulator.ledger.sums import incidence, row_blocks, total
from simulator.networks.incidence import Incidence

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

STOCKS = ("cash", "deposits", "capacity", "construction", "other_assets", "other_liabilities")
"""Stocks of an agent that open at the figures of the economy's tables."""

AT_START = ("market_value", "cds", "capex", "outside_revenue", "power_online", "power_queue")
"""Items that become columns of their own; the table's figure stays as the parameter ``<item>_at_start``."""


class Books:
    """Columns ``(N, R)``, contracts ``(C, R)`` and system series ``(1, R)`` of one batch of replications.

    ``switches`` has one array ``(1, R)`` of 0 or 1 for every channel; ``ticks_per_year`` is 12.
    """

    # Constants of the opening, set by simulator.engine.opening and the markets.
    money_at_start: Array  # cash less deposits over all agents, USD bn, (R,)
    sells_securities: Array  # (N, 1): 1 for lenders and investors, who sell liquid assets when dues exceed cash
    lease_weight: Array  # (L, 1): each lease's part of its lessor's rents
    is_circular: Array  # (O, 1): 1 where the seller holds shares or loans of the buyer
    pledge_rows: NDArray[np.int64]  # (P,): loans behind which a stake is pledged
    pledge_stakes: NDArray[np.int64]  # (P,): the stake of each
    ai_rows: NDArray[np.int64]  # agents whose shares are the AI market
    listed_rows: NDArray[np.int64]  # agents with listed shares
    unlisted_rows: NDArray[np.int64]  # agents with unlisted shares; who has none has no price that moves
    raiser_rows: slice  # from the first to the last agent who may raise equity

    def __init__(self, economy: Any, replications: int, ticks: int, switches: Mapping[str, Array] | None = None) -> None:
        self.economy = economy
        self.ids: tuple[str, ...] = economy.ids
        self.agents, self.replications, self.ticks = len(economy.ids), replications, ticks
        self.ticks_per_year, self.years_per_tick = 12, 1.0 / 12.0
        self.macro: dict[str, Any] = {name: self._varied("macro", name, value) for name, value in economy.macro.items()}  # floats, or (1, R)
        self.rows: dict[str, slice] = {kind: economy.rows(kind) for kind in (*KINDS, ENTRANT)}
        ones = np.ones((1, replications))
        self.switches = {name: np.asarray((switches or {}).get(name, ones), dtype=np.float64) * ones for name in CHANNELS}
        self.tick = 0
        self.levers: Mapping[str, Array] = {}
        self.sides: dict[tuple[str, str], NDArray[np.int64]] = {}  # of accounts of losses, and the rows of each agent in them
        self.sorted_sides: dict[tuple[tuple[str, str], ...], tuple[Rows, Rows]] = {}
        self.dead_rows = np.zeros(0, dtype=np.int64)  # agents whose estate has been settled in at least one replication
        self.twin: Books | None = None  # the unshocked world with the same luck, stepped alongside when an amplifier is off
        self.twin_columns: NDArray[np.int64] | None = None  # column of the twin with each column's luck; None: the same column
        self.held_channels = frozenset(name for name in AMPLIFIER_CHANNELS if not self.switches[name].all())
        self.converged = np.ones(replications, dtype=bool)
        self.draws: Mapping[str, Array] = {}
        self.foreseen: Mapping[str, Array] = {}  # series of the quiet world, (T, 1), for rules that answer to departures from it
        self.outside = self.rows["outside"].start
        self.household = self.rows["household"].start
        self.government = self.rows["government"].start
        self.central_bank = self.rows["central_bank"].start
        self._open_columns(economy)
        self._open_contracts(economy)
        self._open_series()

    # ------------------------------------------------------------------ opening

    def _varied(self, table: str, column: str, values: Any) -> Any:
        """A number or column ``(n,)`` of the economy; ``(1, R)`` or ``(n, R)`` where it is uncertain."""
        varied = getattr(self.economy, "varied", None)
        return values if varied is None else varied.of(table, column, values)

    def narrow(self, values: Array) -> Array:
        """Opening values ``(n, R)`` as one column where they are the same in all replications, ``(n, 1)``: where nothing is uncertain."""
        return values if getattr(self.economy, "varied", None) is not None else values[:, :1]

    def _terms(self, table: str, column: str) -> Any:
        return self._varied(table, column, getattr(self.economy, table).columns[column])

    def _open_columns(self, economy: Any) -> None:
        columns = Columns(self.agents, self.replications)
        opening = {item: self._varied("values", item, values) for item, values in economy.values.items()}
        for item, values in opening.items():
            if item in STOCKS:
                columns.add(item, values, "stock")
                columns.add(f"{item}_at_start", values, "parameter")
            elif item in AT_START:
                columns.add(f"{item}_at_start", values, "parameter")
            elif item != "equity_book":
                columns.add(item, values, "parameter")
        kinds = np.array(economy.kinds)
        is_bank = np.array([kind == "lender" and sort == "bank" for kind, sort in zip(economy.kinds, economy.lender_types, strict=True)])
        columns.add("is_bank", is_bank.astype(np.float64), "parameter")
        columns.add("is_redeemable", np.isin(economy.lender_types, ("fund", "private_credit")).astype(np.float64), "parameter")
        columns.add("issues_money", np.isin(np.arange(self.agents), np.flatnonzero(is_bank | (kinds == "central_bank"))).astype(np.float64))
        columns.add("is_issuer", (opening["market_value"] > 0).astype(np.float64), "parameter")
        columns.add("is_listed", economy.listed.astype(np.float64), "parameter")
        self.makes_money = is_bank | (kinds == "central_bank")  # (N,)
        self.money_issuers = np.flatnonzero(self.makes_money)
        self.can_default = ~np.isin(kinds, ("short_seller", "household", "government", "central_bank", "outside"))
        columns.add("alive", 1.0)
        columns.add("shares", opening["market_value"])
        columns.add("share_price", 1.0)
        columns.add("fair_price", 1.0)
        columns.add("mispricing", 0.0)
        columns.add("gap_by_shock", 0.0)  # log points between mark and fair value of unlisted shares, by what made them
        columns.add("gap_by_others", 0.0)
        columns.add("paid_in", 0.0)  # by shareholders over the run, less what was paid out to them
        columns.add("operating_arrears", 0.0)
        columns.add("insured_deposits", 0.0)
        columns.add("months_in_arrears", 0.0)
        columns.add("months_operating_overdue", 0.0)
        columns.add("past_grace", 0.0)
        columns.add("resale_value", 1.0)
        columns.add("demand", 1.0)
        columns.add("power_online", opening["power_online"])
        columns.add("power_queue", opening["power_queue"])
        columns.add("cds", opening["cds"])
        columns.add("expected_growth", opening["outside_growth"])
        columns.add("price_trend", 0.0)
        columns.add("margin_breached", 0.0)
        columns.add("capital_buffer", 0.0)
        columns.add("redemptions_waiting", 0.0)
        columns.add("gate_room", 0.0)
        columns.add("stake_news", 0.0)
        columns["marketable_share"][self.outside] = 0.0  # Outside is the market for securities
        self.columns = columns

    def _open_contracts(self, economy: Any) -> None:
        size, width = self.agents, self.replications
        self.loans = Contracts(economy.loans, "lender", "borrower", size, width)
        for name in ("principal", "undrawn"):
            del self.loans.static[name]
            self.loans.add(name, self._terms("loans", name))
        floating = self.loans.static["rate_type"] == "floating"
        self.loans.static["is_floating"] = floating.astype(np.float64)[:, None]
        del self.loans.static["rate"]
        rates = self._terms("loans", "rate")  # fixed: the coupon; floating: the spread over the policy rate
        self.loans.add("rate", rates)
        self.loans.static["rate_at_start"] = np.array(rates[:, None] if rates.ndim == 1 else rates, dtype=np.float64)
        self.loans.add("arrears")
        rows = np.flatnonzero(np.isin(self.loans.static["collateral"], ("accelerators", "data_centre")))
        self.capacity_debtor_matrix = Incidence(self.loans.debtor[rows], size, rows, self.loans.count)  # sums what loans owe by debtor
        self.matrix_of_all_loans = incidence(np.zeros(self.loans.count, dtype=np.int64), 1)
        self.repayments = RepaymentSchedule(self.loans, self.ticks)
        self.stakes = Contracts(economy.stakes, "holder", "issuer", size, width)
        self.stakes.add("shares", self._terms("stakes", "value"))
        del self.stakes.static["tranche_remaining"], self.stakes.static["unvested"]
        self.stakes.add("tranche_remaining", self._terms("stakes", "tranche_remaining"))
        self.stakes.add_terms("unvested_at_start", self._terms("stakes", "unvested"))
        self.stakes.add("unvested", self._terms("stakes", "unvested"))
        self.stakes.add_terms("round_share", self._terms("stakes", "round_share"))
        self._open_pledges()
        self.orders = Contracts(economy.orders, "seller", "buyer", size, width)
        self.orders.add("remaining", self._terms("orders", "amount"))
        self.orders.add_terms("amount_at_start", self._terms("orders", "amount"))
        for name in ("take_or_pay", "supply_share"):
            self.orders.add_terms(name, self._terms("orders", name))
        self.orders.add("arrears")
        self.order_schedule = DeliverySchedule(self.orders, self.ticks, self.orders.amount_at_start, self._terms("orders", "ramp_months"))
        self.leases = Contracts(economy.leases, "lessor", "lessee", size, width)
        self.leases.add("arrears")
        self.leases.add("in_force", 1.0)
        self.leases.add_terms("rent", self._terms("leases", "rent"))
        self.guarantees = Contracts(economy.guarantees, "beneficiary", "guarantor", size, width)
        del self.guarantees.static["notional"]
        self.guarantees.add("notional", self._terms("guarantees", "notional"))
        self.guarantees.add("arrears")  # called and not yet paid
        for table in (self.loans, self.orders, self.leases, self.guarantees):
            table.add("months_overdue")

    def _open_pledges(self) -> None:
        """Shares pledged behind each loan, and the months for which each loan has been called."""
        loans = self.loans
        self.pledge_rows = np.flatnonzero(loans.static["pledged_stake"] >= 0)
        self.pledge_stakes = loans.static["pledged_stake"][self.pledge_rows]
        self.pledge_matrix = incidence(self.pledge_stakes, self.stakes.count)
        loans.add("pledged")
        loans.pledged[self.pledge_rows] = self.stakes.shares[self.pledge_stakes] * loans.static["pledged_share"][self.pledge_rows, None]
        loans.add("months_called")
        loans.static["on_receivables"] = (loans.static["collateral"] == "receivables") & (loans.static["kind"] != "facility")
        rows = np.flatnonzero(loans.static["on_receivables"])
        self.receivable_rows = rows
        self.receivable_debtor_matrix = incidence(loans.debtor[rows], self.agents)

    def _open_series(self) -> None:
        start = {"policy_rate": self.macro["policy_rate"], "unemployment": self.macro["unemployment"], "inflation": self.macro["inflation"]}
        self.series: dict[str, Array] = {}
        for name in (
            "policy_rate", "projected_rate", "cds_index", "cds_index_at_start", "sentiment", "ai_return_year", "unemployment", "gdp",
            "gdp_gap", "inflation", "power_share", "power_queue", "fiscal_cost", "household_demand", "gpu_resale_value", "investment",
            "circular_revenue_share", "backlog_lost", "capital_raised", "displaced", "new_credit", "index_by_contagion", "ai_contagion_year",
            "securities_price", "added_haircut", "compliance_cost", "lending_moved", "disclosed", "bought_share",
            "audited_part", "rate_alarm", "lab_sales", "lab_funding",
            "wealth", "investment_at_start", "displaced_at_start", "wealth_at_start",
        ):  # fmt: skip
            self.series[name] = np.full((1, self.replications), start.get(name, 0.0))
        for name in ("household_demand", "gpu_resale_value", "power_share", "securities_price"):
            self.series[name][...] = 1.0
        self.series["gdp"][...] = self.macro["gdp"]

    # ------------------------------------------------------------------ values

    def __getitem__(self, name: str) -> Array:
        """A column ``(N, R)`` (parameters ``(N, 1)``) by name."""
        return self.columns[name]

    def through(self, channel: str, name: str) -> Array:
        """A column as an amplifier sees it: with the channel off, its value in the unshocked twin with the same luck, ``(N, R)``."""
        values = self.columns[name]
        if self.twin is None or channel not in self.held_channels:
            return values
        return np.where(self.switches[channel] > 0.0, values, self._of_twin(self.twin.columns[name]))

    def series_through(self, channel: str, name: str) -> Array:
        """A system series as an amplifier sees it, ``(1, R)``."""
        values = self.series[name]
        if self.twin is None or channel not in self.held_channels:
            return values
        return np.where(self.switches[channel] > 0.0, values, self._of_twin(self.twin.series[name]))

    def _of_twin(self, values: Array) -> Array:
        return values if self.twin_columns is None or values.shape[1] == 1 else np.take(values, self.twin_columns, axis=1)

    def lever(self, name: str) -> Array:
        """The value of a lever in this tick, ``(N, 1)`` or ``(1, 1)``."""
        return self.levers[name]

    def stake_values(self) -> Array:
        """Stakes at the issuer's price or mark, USD bn, ``(S, R)``."""
        return self.stakes.shares * self.stakes.of_debtor(self["share_price"])  # type: ignore[no-any-return]

    def free_shares(self) -> Array:
        """Shares of each stake that no loan has in pledge, ``(S, R)``."""
        if not len(self.pledge_rows):
            return self.stakes.shares  # type: ignore[no-any-return]
        free: Array = np.maximum(self.stakes.shares - self.pledge_matrix @ self.loans.pledged[self.pledge_rows], 0.0)
        return free

    def market_value(self) -> Array:
        """Market value of each issuer's shares, USD bn, ``(N, R)`` (a memo item of the issuer)."""
        return self["shares"] * self["share_price"]

    def by_owner(self, contracts: Ties, amounts: Array) -> Array:
        """Sum amounts ``(C, R)`` by owner, ``(N, R)``: the holder, or Outside, which bought the claims of every settled estate."""
        return self.to_owners(contracts, contracts.by_holder(amounts))

    def by_owners(self, contracts: Ties, amounts: Array) -> tuple[Rows, Array]:
        """As :meth:`by_owner`, of the holders and of Outside alone: their rows, ascending, and the sums ``(n, R)``."""
        rows, owned = contracts.by_holders_and(self.outside, amounts)
        return rows, self._handed_over(contracts, amounts, owned, of=rows)

    def to_owners(self, contracts: Ties, owned: Array, held: Array | None = None) -> Array:
        """Sums ``owned (N, R)`` of amounts of ``contracts``, in which those held by settled estates are handed to Outside in place.

        ``held (N, R)``: the sums by holder, where ``owned`` is less.
        """
        if len(self.dead_rows):
            rows = contracts.holders_among(self.dead_rows)[0]
            if len(rows):
                orphaned = (owned if held is None else held)[rows] * (1.0 - self["alive"][rows])
                owned[rows] -= orphaned
                owned[self.outside] += total(orphaned)[0]
        return owned

    def of_the_dead(self, contracts: Ties, amounts: Array) -> Array | None:
        """The part of ``amounts (C, R)`` that is Outside's, which bought the claims of settled estates; None where nothing is."""
        if not len(self.dead_rows) or not len(contracts.holders_among(self.dead_rows)[0]):
            return None
        rows = contracts.held_by(self.dead_rows)
        lost = amounts[rows] * (1.0 - self["alive"][contracts.holder[rows]])
        if not lost.any():
            return None
        orphaned = np.zeros_like(amounts)
        orphaned[rows] = lost
        return orphaned

    def net(self, contracts: Ties, amounts: Array) -> Array:
        """Amounts ``(C, R)`` added for the owner and taken from the debtor, ``(N, R)``; sums to zero over agents."""
        return self._handed_over(contracts, amounts, contracts.net_matrix @ amounts)

    def net_of(self, contracts: Ties, sums: Summed) -> Array:
        """As :meth:`net`, of amounts whose sums by party are known."""
        return self.to_owners(contracts, contracts.net_of(sums), sums.by_holder)

    def net_of_parties(self, contracts: Ties, amounts: Array, columns: Rows | None = None) -> tuple[slice | Rows, Array]:
        """As :meth:`net`, where few are concerned of them alone: their rows, ascending, and the amounts ``(n, R)``.

        ``columns``: the replications that the amounts are of, when not of all.
        """
        rows, matrix = contracts.parties_and(self.outside)
        if 2 * len(rows) > self.agents:
            return slice(None), self._handed_over(contracts, amounts, contracts.net_matrix @ amounts, columns)
        return rows, self._handed_over(contracts, amounts, matrix @ amounts, columns, rows)

    def _handed_over(self, contracts: Ties, amounts: Array, change: Array, columns: Rows | None = None, of: Rows | None = None) -> Array:
        """Net amounts ``change (n, R)`` (``of`` some rows), in which the claims of settled estates are handed to Outside in place."""
        if len(self.dead_rows):
            rows, holder_matrix = contracts.holders_among(self.dead_rows)
            if len(rows):
                alive = self["alive"][rows] if columns is None else self["alive"][np.ix_(rows, columns)]
                orphaned = (holder_matrix @ amounts) * (1.0 - alive)
                change[rows if of is None else np.searchsorted(of, rows)] -= orphaned
                change[self.outside if of is None else np.searchsorted(of, self.outside)] += total(orphaned)[0]
        return change

    def loans_net(self) -> tuple[Array, Array]:
        """Loans owned less loans owed, arrears included, USD bn, ``(N, R)``, and what is owed in all, ``(1, R)``."""
        loans, (agents, width) = self.loans, self["cash"].shape
        dead, of_the_dead = loans.holders_among(self.dead_rows)
        net, credit, orphaned = (np.zeros((size, width)) for size in (agents, 1, len(dead)))
        for rows in row_blocks(loans.count, width):  # what is owed on each loan is never kept
            owed = loans.principal[rows] + loans.arrears[rows]
            loans.net_matrix.add_block(net, owed, rows)
            self.matrix_of_all_loans.add_block(credit, owed, rows)
            if len(dead):
                of_the_dead.add_block(orphaned, owed, rows)
        if len(dead):
            orphaned *= 1.0 - self["alive"][dead]
            net[dead] -= orphaned
            net[self.outside] += total(orphaned)[0]
        return net, credit

    def debt(self) -> Array:
        """Loans owed, arrears included, USD bn, ``(N, R)``."""
        principal, arrears = self.loans.principal, self.loans.arrears
        debt = np.zeros((self.agents, self.replications))
        for rows in row_blocks(*principal.shape):
            self.loans.debtor_matrix.add_block(debt, principal[rows] + arrears[rows], rows)
        return debt

    def loans_given(self) -> Array:
        """Loans held, arrears included, USD bn, ``(N, R)``."""
        return self.by_owner(self.loans, self.loans.principal + self.loans.arrears)

    def payables(self) -> Array:
        """Overdue bills of orders, leases, operations and called guarantees, USD bn, ``(N, R)``."""
        owed = self.orders.by_debtor(self.orders.arrears) + self.leases.by_debtor(self.leases.arrears) + self["operating_arrears"]
        return owed + self.guarantees.by_debtor(self.guarantees.arrears) if self.guarantees.count else owed

    def net_worth(self, loans_net: Array | None = None) -> Array:
        """Book net worth, USD bn, ``(N, R)``: everything owned less everything owed, at book value and marks.

        ``loans_net (N, R)``: loans owned less loans owed, where they are known.
        """
        worth = self["cash"] - self["deposits"]
        worth += self["capacity"]
        worth += self["construction"]
        worth += self["other_assets"]
        worth -= self["other_liabilities"]
        worth -= self["operating_arrears"]
        worth -= self["insured_deposits"]
        worth += self.loans_net()[0] if loans_net is None else loans_net
        worth += self.stakes.by_holder(self.stake_values())
        for table in (self.orders, self.leases, self.guarantees):
            overdue = np.flatnonzero((table.arrears != 0.0).any(axis=1))  # few
            if len(overdue):
                parties, gained = self.net_of_parties(table.some(overdue), table.arrears[overdue])
                worth[parties] += gained
        worth[self.outside] += total(self["operating_arrears"])[0]
        worth[self.government] += total(self["insured_deposits"])[0]
        return worth

    def gross_positions(self) -> Array:
        """Everything owned plus everything owed, USD bn, ``(N, R)``: the scale of the books' tolerance."""
        gross = self["cash"] + self["deposits"] + self["capacity"] + self["construction"] + self["other_assets"] + self["other_liabilities"]
        owed = self.loans.principal + self.loans.arrears
        gross += self.loans.by_holder(owed) + self.loans.by_debtor(owed) + self.stakes.by_holder(self.stake_values())
        return gross

    def total_assets(self) -> Array:
        """Book assets, USD bn, ``(N, R)``."""
        assets = self["cash"] + self["capacity"] + self["construction"] + self["other_assets"]
        return assets + self.loans_given() + self.stakes.by_holder(self.stake_values())
