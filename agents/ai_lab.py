"""AI labs: fast revenue, larger burn, commitments that grow faster than both; they live on rounds."""

from __future__ import annotations

import numpy as np

from agents.base import Array
from agents.firm import Firm
from simulator.ledger.columns import Flow, Parameter, rule

TAKE_FLOOR = 0.35  # share of a contract that can't be delayed: the take-or-pay core (assumption, 0.2-0.6)
CALM_MONTHS = 9.0  # runway above which a lab takes all it ordered (assumption, 6-12)
ROUND_SHARE_MAX = 0.012  # new shares a month as a share of the lab's value, about 15 % a year (rounds of 2025 diluted by 5 to 20 %; 0.008-0.03)
AUSTERITY = 0.5  # part of fixed cost that a lab without runway cuts (assumption, 0.3-0.7)


class AILab(Firm):
    """Buys compute under contract, earns from users, and fills the difference with new shares."""

    kind = "ai_lab"
    automates = True

    runway_target_months = Parameter("months", "months of burn that the lab wants to hold in cash")
    equity_supply = Flow("share", "part of a wanted round that investors are ready to fund")

    @property
    def burn(self) -> Array:
        """Cash that the lab loses in a month as planned, USD bn, ``(n, R)``, never negative."""
        return np.maximum(-self.cash_flow() + self.planned_investment + self.principal_due, 0.0)

    @property
    def runway_months(self) -> Array:
        """Months that cash lasts at the present burn, ``(n, R)``, at most 60."""
        return np.minimum(self.cash / np.maximum(self.burn, 1e-6), 60.0)

    @rule("USD bn")
    def operating_cost(self) -> Array:
        """Operating cost without contracted compute, USD bn, (n, R).

        Rule: a share of revenue, and research that grows with the square root of demand and is cut as the runway shortens.
        """
        calm = np.clip(self.cash / np.maximum(6.0 * self.last_burn, 1e-6), 0.0, 1.0)
        research = self.fixed_cost * np.sqrt(self.demand) * (1.0 - AUSTERITY * (1.0 - calm))
        return (self.cost_share * self.revenue_now + research) * self.years_per_tick

    last_burn = Flow("USD bn", "burn of the month before")

    @rule("USD bn")
    def smoothed_burn(self) -> Array:
        """Burn of the last months, USD bn a month, (n, R). Rule: a third of the way to this month's burn."""
        return self.last_burn + (self.burn - self.last_burn) / 3.0

    @rule("share")
    def order_share_taken(self) -> Array:
        """Share of the compute due under contract that the lab calls, in [TAKE_FLOOR, 1], (n, R).

        Rule: a lab short of cash first delays: it calls less the shorter its runway. Source: model.md, "Labs live on rounds".
        """
        runway = np.minimum(self.cash / np.maximum(self.last_burn, 1e-6), 60.0)
        return np.clip(TAKE_FLOOR + (1.0 - TAKE_FLOOR) * runway / CALM_MONTHS, TAKE_FLOOR, 1.0)

    @rule("USD bn")
    def wanted_round(self) -> Array:
        """New shares that the lab wants to sell this tick, USD bn, (n, R).

        Rule: when the runway falls under its target, raise a quarter of the gap a month, at most a small part of the lab's value.
        """
        gap = self.runway_target_months * self.burn - self.cash
        ceiling = ROUND_SHARE_MAX * self.shares * self.share_price
        return np.minimum(0.25 * np.maximum(gap, 0.0), ceiling) * self.alive

    @rule("USD bn")
    def wanted_borrowing(self) -> Array:
        """New borrowing wanted, USD bn, (n, R). Rule: labs borrow only to build their own capacity; burn is met by rounds."""
        return 0.5 * self.planned_investment * self.alive
