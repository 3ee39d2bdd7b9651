"""Investors: leveraged holders of shares."""

from __future__ import annotations

import numpy as np

from agents.base import Array
from agents.leverage import LeveragedHolder
from simulator.ledger.columns import Flow, Parameter, rule


class Investor(LeveragedHolder):
    """Holds listed and unlisted shares, borrows against them, and pays the tranches it promised."""

    kind = "investor"

    ltv_target = Parameter("share", "debt / value of the stakes that the investor wants")
    tranches_due = Flow("USD bn", "tranches due this tick")

    @rule("USD bn")
    def wanted_investment(self) -> Array:
        """An investor builds nothing, USD bn, (n, R)."""
        return np.zeros_like(self.cash)

    @rule("USD bn")
    def wanted_borrowing(self) -> Array:
        """New borrowing wanted, USD bn, (n, R). Rule: fund tranches and interest that cash does not cover, up to the target loan-to-value."""
        need = np.maximum(self.tranches_due + self.cash_floor_now - self.cash_flow_now - self.cash, 0.0)
        room = np.maximum(self.ltv_target * (self.stake_value + self.other_assets) - self.debt, 0.0)
        return np.minimum(need, room) * self.alive

    @rule("0 or 1")
    def is_insolvent(self) -> Array:
        """Whether stakes at their marks no longer cover debt, (n, R). Rule: an investor's book is at market, so its net worth decides."""
        return (self.book_net_worth < 0.0).astype(np.float64)
