"""Cloud providers (neoclouds): capacity rented out under take-or-pay contracts, debt on ageing machines."""

from __future__ import annotations

import numpy as np

from agents.base import Array
from agents.firm import Firm
from simulator.ledger.columns import Flow, rule

ISSUE_SHARE_MAX = 0.015  # largest share issue a month as a share of market value (at-the-market programmes; assumption, 0.005-0.03)


class CloudProvider(Firm):
    """Borrows against its accelerators to build what its contracts need; all of its sales need capacity."""

    kind = "cloud"

    delivery = Flow("share", "share of contracted and demanded capacity that can be served")

    @property
    def served(self) -> Array:
        """Outside customers wait like the contracted ones when capacity is short, ``(n, R)``."""
        return self.delivery

    @rule("USD bn")
    def wanted_round(self) -> Array:
        """New shares that the firm wants to sell this tick, USD bn, (n, R).

        Rule: last in the pecking order: what lenders did not grant of the borrowing wanted, a small part of market value at most. Source: [myers1984].
        """
        unmet = np.maximum(self.planned_borrowing - self.new_credit, 0.0)
        return np.minimum(unmet, ISSUE_SHARE_MAX * self.shares * self.share_price) * self.alive
