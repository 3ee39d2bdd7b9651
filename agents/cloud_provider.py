"""Cloud providers (neoclouds): capacity rented out under take-or-pay contracts, debt on ageing machines."""

from __future__ import annotations

import numpy as np

from agents.base import Array
from agents.firm import PLANNING_YEARS, Q_RESPONSE, Firm
from simulator.ledger.columns import Stock, rule

ISSUE_SHARE_MAX = 0.015  # largest share issue a month as a share of market value (at-the-market programmes; assumption, 0.005-0.03)
CAPITAL_PER_SALES = 2.2  # capacity per unit of yearly sales once it bills; a contract pays a machine back in half its term (assumption, 1.5-3)
SPOT_DISCOUNT = 0.5  # price of capacity let by the hour against the contract price when machines are new (assumption, 0.3-0.7)


class CloudProvider(Firm):
    """Borrows against its accelerators to build what its contracts need; lets what lies idle at the spot price."""

    kind = "cloud"
    automates = True

    resale_value = Stock("share", "resale value of its accelerators per unit of book value")

    @property
    def served(self) -> Array:
        """Outside customers wait like the contracted ones when capacity is short, ``(n, R)``."""
        return self.delivery

    @rule("USD bn")
    def sales_to_outside(self) -> Array:
        """Sales to outside customers this tick, USD bn, (n, R).

        Rule: demand as far as capacity serves it; idle capacity is let on the spot market, at a price that falls with the machines' resale value.
        """
        wanted = self.outside_revenue_at_start * self.demand * self.demand_lever * self.series("household_demand")
        idle = np.maximum(self.capacity / CAPITAL_PER_SALES - self.contracted_now - wanted, 0.0)
        spot = SPOT_DISCOUNT * self.resale_value * idle * self.demand_lever
        return (wanted * self.served + spot) * self.years_per_tick

    @rule("USD bn")
    def wanted_investment(self) -> Array:
        """Investment wanted this tick, USD bn, (n, R).

        Rule: keep up what contracts use, close the gap to the capacity that next year's contracted and expected sales need, and build
        faster when the market values capacity above its cost; the plan of the first months is the sourced one, and fades within a year.
        Source: [tobin1969]; model.md stage 3.
        """
        outside = self.outside_revenue_at_start * self.demand * self.demand_lever
        coming = outside * (1.0 + np.clip(self.expected_growth, -0.5, 3.0)) + np.maximum(self.contracted_next, self.contracted_now)
        needed = CAPITAL_PER_SALES * coming
        used = np.minimum(needed / np.maximum(self.capacity, 1e-6), 1.0)
        pull = Q_RESPONSE * np.clip(self.relative_q - 1.0, -1.0, 2.0)
        yearly = self.capacity * (self.depreciation_rate * used + pull) + (needed - self.capacity - self.construction) / PLANNING_YEARS
        opening = np.exp(-self.books.tick * self.years_per_tick * 2.0)
        yearly = opening * self.capex_at_start + (1.0 - opening) * np.maximum(yearly, 0.0)
        return np.maximum(np.maximum(yearly, 0.0) * self.years_per_tick, self.committed_chips) * self.alive

    @rule("USD bn")
    def wanted_round(self) -> Array:
        """New shares that the firm wants to sell this tick, USD bn, (n, R).

        Rule: last in the pecking order: what lenders did not grant of the borrowing wanted, a small part of market value at most.
        Source: [myers1984].
        """
        unmet = np.maximum(self.planned_borrowing - self.new_credit, 0.0)
        return np.minimum(unmet, ISSUE_SHARE_MAX * self.shares * self.share_price) * self.alive
