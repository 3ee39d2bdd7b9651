"""Leverage targeting: who holds assets that others hold too, and must sell when it owes too much."""

from __future__ import annotations

import numpy as np

from agents.base import Array
from agents.firm import Firm
from simulator.ledger.columns import Flow, Parameter, rule

TARGET = 0.95  # leverage to which a holder sells, over its limit, where no target is given ([cont_schaanning2017]: 0.95)


class LeveragedHolder(Firm):
    """An investor or lender with a limit on its leverage."""

    leverage_max = Parameter("assets / equity", "leverage above which the holder sells; 0: none")
    leverage_target = Parameter("assets / equity", "leverage to which it then sells")
    total_assets = Flow("USD bn", "book assets at the start of the tick")
    assets_now = Flow("USD bn", "book assets when the holder may have to sell")
    equity_now = Flow("USD bn", "book net worth then")

    @rule("USD bn")
    def excess_assets(self) -> Array:
        """Assets that the holder must sell, and debt that it must repay with them, USD bn, (n, R).

        Rule: nothing up to the leverage limit; above it as much as brings assets over equity back to the target, everything once equity is gone.
        Source: [cont_schaanning2017], threshold λ_max and target λ_b < λ_max: sales are A - λ_b E.
        """
        target = np.where(self.leverage_target > 0.0, np.minimum(self.leverage_target, self.leverage_max), TARGET * self.leverage_max)
        equity = np.maximum(self.equity_now, 0.0)
        is_above = (self.assets_now > self.leverage_max * equity * (1.0 + 1e-12)) & (self.leverage_max > 0.0)
        return np.where(is_above, np.maximum(self.assets_now - target * equity, 0.0), 0.0) * self.alive
