"""Utilities: power that can be switched on, and the queue for it."""

from __future__ import annotations

import numpy as np

from agents.base import Array
from agents.firm import Firm
from simulator.ledger.columns import Parameter, Stock, rule


class Utility(Firm):
    """Sells power to those who compute; connects new sites at a limited pace."""

    kind = "utility"

    power_online = Stock("GW", "power that can be delivered to data centres")
    power_growth = Parameter("GW per year", "power newly connected in a year")

    @rule("GW")
    def newly_connected(self) -> Array:
        """Power connected this tick, GW, (n, R). Rule: a yearly pace, moved by the connection lever; none by a failed utility."""
        return np.broadcast_to(self.power_growth * self.lever("power.connection_speed") * self.years_per_tick, self.alive.shape) * self.alive
