"""Project companies: ring-fenced data-centre vehicles that borrow against a lease."""

from __future__ import annotations

import numpy as np

from agents.base import Array
from agents.firm import Firm
from simulator.ledger.columns import Flow, rule


class ProjectCompany(Firm):
    """Owns a campus and borrows against its lease; builds what its sponsors and lenders have committed to, and no more."""

    kind = "project_company"

    committed_funds = Flow("USD bn", "undrawn construction loans and cash set aside for building")
    months_to_lease = Flow("months", "months until the lease starts, at least 1")

    @rule("USD bn")
    def wanted_investment(self) -> Array:
        """Investment of the tick, USD bn, (n, R).

        Rule: spend the committed funds evenly until the lease starts, less the interest that they must also pay; afterwards repair what wears out.
        """
        upkeep = np.where(self.months_to_lease <= 1.0, 0.25 * self.depreciation_rate * self.capacity * self.years_per_tick, 0.0)
        building = np.maximum(self.committed_funds / np.maximum(self.months_to_lease, 1.0) - np.maximum(-self.cash_flow_now, 0.0), 0.0)
        return (building + upkeep) * self.alive

    @rule("USD bn")
    def wanted_borrowing(self) -> Array:
        """Draws and new loans wanted, USD bn, (n, R). Rule: what it builds and the interest until rent comes in; then only what cash lacks."""
        open_need = np.where(self.months_to_lease > 1.0, self.planned_investment + np.maximum(-self.cash_flow_now, 0.0), 0.0)
        return np.maximum(open_need, np.maximum(-self.cash_flow_now - self.cash, 0.0)) * self.alive

    @rule("0 or 1")
    def is_insolvent(self) -> Array:
        """A ring-fenced vehicle fails by missing payments only, (n, R): its lenders look to the lease, not to the book value of the campus."""
        return np.zeros_like(self.cash)
