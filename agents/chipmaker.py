"""Chipmakers sell accelerators, hold stakes in their customers and guarantee some of their capacity."""

from __future__ import annotations

import numpy as np

from agents.base import Array
from agents.firm import Firm
from simulator.ledger.columns import rule


class Chipmaker(Firm):
    """Sells chips to those who build; its revenue is their investment, so a fall in orders reaches it at once."""

    kind = "chipmaker"

    @rule("USD bn")
    def wanted_investment(self) -> Array:
        """Investment wanted this tick, USD bn, (n, R).

        Rule: replace what wears out and follow expected growth and relative q; a chipmaker builds ahead of demand only by its own plan.
        Source: [tobin1969]; model.md stage 3, the starting form ``I = K max(0, δ + g + φ (q/q₀ - 1))``.
        """
        pull = 0.03 * np.clip(self.relative_q - 1.0, -1.0, 2.0)
        plan = self.capex_at_start / np.maximum(self.capacity_at_start, 1e-6) - self.depreciation_rate - self.outside_growth
        rate = self.depreciation_rate + self.expected_growth + plan * np.exp(-0.5 * self.books.tick * self.years_per_tick) + pull
        return self.capacity * np.maximum(rate, 0.0) * self.years_per_tick * self.alive
