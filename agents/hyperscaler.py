"""Hyperscalers build out of large cash flow first, and borrow the rest."""

from __future__ import annotations

from agents.base import Array
from agents.firm import Firm


class Hyperscaler(Firm):
    """Earns from advertising, software and cloud; rents capacity to labs; buys chips; invests in labs."""

    kind = "hyperscaler"


    @property
    def served(self) -> Array:
        """A tenth of its outside sales waits when AI capacity is short, ``(n, R)``: most of its revenue needs none."""
        return 0.9 + 0.1 * self.delivery
