"""Lenders: banks create deposits; private credit, funds and insurers hand on cash."""

from __future__ import annotations

import numpy as np

from agents.base import Array, Stock
from agents.leverage import LeveragedHolder
from simulator.ledger.columns import Flow, Parameter, rule

BUFFER_MONTHS = 12.0  # months over which a buffer is built: banks get a year's notice ([bcbs2010])
BUFFER_RELEASE = 1.5  # multiple of the opening CDS index above which the buffer is released (assumption, 1.25-2)
STRESS_LOAN_LOSS = 0.15  # loss on loans per unit of simulated fall of equity (severely adverse tests: 6-8 % of loans at a fall of 50 %; 0.1-0.2)
FLIGHT_FROM_ILLIQUID = 0.7  # how much stronger investors run from losses of a fund that holds nothing it can sell ([chen_goldstein_jiang2010]; 0.3-1)


class Lender(LeveragedHolder):
    """Funds the gap: lends out of capital and funding, renews or refuses, and fails when its capital is gone."""

    kind = "lender"
    discloses = False

    is_bank = Parameter("0 or 1", "whether the lender creates deposits")
    capital_ratio_min = Parameter("share", "required equity / assets")
    capital_ratio_target = Parameter("share", "wanted equity / assets")
    growth_room = Parameter("per year", "largest growth of the loan book")
    funding_spread = Parameter("per year", "funding cost above the policy rate")
    redemptions_wanted = Flow("USD bn", "money that investors asked back last month")
    is_redeemable = Parameter("0 or 1", "whether investors can take their money back: bond funds and private credit")
    redemption_sensitivity = Parameter("number", "withdrawals / loss")
    recent_loss = Flow("USD bn", "losses of the month before outside ordinary business")
    deposits = Flow("USD bn", "deposits owed")
    capital_buffer = Stock("share", "countercyclical buffer in force, equity / assets")

    @property
    def capital_ratio(self) -> Array:
        """Equity over assets, ``(n, R)``; there is no risk weighting in this version."""
        return self.book_net_worth / np.maximum(self.total_assets, 1e-9)

    @rule("USD bn")
    def lending_room(self) -> Array:
        """New loans that the lender can make this tick, USD bn, (n, R).

        Rule: a share of its book a month, less the nearer capital is to the requirement (with its buffer); nothing at it. Who is asked for money back
        lends that much less. Source: [adrian_shin2010].
        """
        spread = np.maximum(self.capital_ratio_target - self.capital_ratio_min, 1e-6)
        slack = np.clip((self.capital_ratio - (self.capital_ratio_min + self.capital_buffer)) / spread, 0.0, 1.0)
        room = self.growth_room * self.total_assets * self.years_per_tick * slack * self.alive
        liquid = self.cash + self.other_assets
        return np.where(self.is_bank > 0.0, room, np.maximum(np.minimum(room, 0.5 * liquid) - self.redemptions_wanted, 0.0))

    @rule("share")
    def new_capital_buffer(self) -> Array:
        """Countercyclical buffer in force this tick, equity / assets, (n, R).

        Rule: built up over BUFFER_MONTHS to the level set while spreads are calm, released at once while the CDS index is above BUFFER_RELEASE
        times its start. Source: Basel III countercyclical capital buffer ([bcbs2010]).
        """
        level = self.lever("lender.capital_buffer")
        calm = self.series("cds_index") <= BUFFER_RELEASE * self.series("cds_index_at_start")
        return np.where(calm, np.minimum(self.capital_buffer + level / BUFFER_MONTHS, level), 0.0)

    @rule("USD bn")
    def payout(self) -> Array:
        """Dividends of the tick, USD bn, (n, R). Rule: as a firm's, but none while capital is under its target with the buffer in force."""
        is_short = (self.capital_buffer > 0.0) & (self.capital_ratio < self.capital_ratio_target + self.capital_buffer)
        return np.where(is_short, 0.0, super().payout())

    @rule("0 or 1")
    def fails_stress_test(self) -> Array:
        """Whether the lender fails the supervisor's simulated stress, (n, R).

        Rule: capital after the loss that the simulated fall makes on its loans is under the requirement.
        """
        loans = self.total_assets - self.cash - self.other_assets - self.capacity - self.construction - self.stake_value
        loss = STRESS_LOAN_LOSS * self.lever("supervision.stress_test") * loans
        return (self.book_net_worth - loss < self.capital_ratio_min * self.total_assets) * self.alive

    @rule("share")
    def renewal_room(self) -> Array:
        """Share of maturing loans that the lender's capital lets it renew, in [0, 1], (n, R). Rule: all at the requirement, none at half of it."""
        half = 0.5 * self.capital_ratio_min
        return np.clip((self.capital_ratio - half) / np.maximum(half, 1e-6), 0.0, 1.0) * self.alive

    @rule("USD bn")
    def operating_cost(self) -> Array:
        """Cost of the tick, USD bn, (n, R).

        Rule: a share of income (funding at opening rates included), and what the policy rate and the funding spread have since added
        to the cost of market funding.
        """
        income = (self.receipts_due + self.outside_sales) * self.cost_share
        rise = self.series("policy_rate") - self.macro("policy_rate") + self.lever("lender.funding_spread")
        dearer = np.where(self.is_bank > 0.0, 0.0, 0.25 * np.maximum(self.other_liabilities, 0.0) * rise) * self.years_per_tick
        return np.maximum(income + self.fixed_cost * self.years_per_tick + dearer, 0.0)

    @property
    def served(self) -> Array:
        """Income on other assets shrinks with them, ``(n, R)``."""
        return np.minimum(self.other_assets / np.maximum(self.other_assets_at_start, 1e-9), 1.0)

    other_assets_at_start = Parameter("USD bn", "other assets at the start")

    @rule("USD bn")
    def redemptions(self) -> Array:
        """Money that investors of a fund ask back this tick, USD bn, (n, R).

        Rule: the shock's yearly share of assets, and a multiple of the month's loss, the larger the more of the fund can't be sold: who leaves
        first is paid at the old value, and those who stay bear the cost. Nobody can ask a bank or an insurer.
        Source: [chen_goldstein_jiang2010], flow-performance relation, stronger for illiquid funds.
        """
        called = self.lever("lender.redemptions") * self.years_per_tick * self.total_assets
        illiquid = np.clip(1.0 - (self.cash + self.other_assets) / np.maximum(self.total_assets, 1e-9), 0.0, 1.0)
        flight = self.redemption_sensitivity * self.recent_loss * (1.0 + FLIGHT_FROM_ILLIQUID * illiquid)
        return np.minimum(called + flight, 0.25 * self.other_liabilities) * self.is_redeemable * self.alive

    @rule("USD bn")
    def wanted_investment(self) -> Array:
        """A lender builds nothing, USD bn, (n, R)."""
        return np.zeros_like(self.cash)

    @rule("USD bn")
    def wanted_borrowing(self) -> Array:
        """New borrowing wanted, USD bn, (n, R). Rule: lenders keep their lines; they borrow more only to cover a cash shortfall."""
        return np.where(self.is_bank > 0.0, 0.0, np.maximum(-self.cash_flow_now - self.cash, 0.0)) * self.alive

    @rule("0 or 1")
    def is_insolvent(self) -> Array:
        """Whether capital is under half the requirement, (n, R). Rule: prompt corrective action. Source: Basel III minimum ratios."""
        # One with nothing on either side, taken out by an experiment, is not insolvent.
        has_books = (self.total_assets > 0.0) | (self.book_net_worth < 0.0)
        return ((self.capital_ratio < 0.5 * self.capital_ratio_min) & has_books).astype(np.float64)
