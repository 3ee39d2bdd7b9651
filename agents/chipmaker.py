"""Chipmakers sell accelerators, hold stakes in their customers and guarantee some of their capacity."""

from __future__ import annotations

from agents.firm import Firm


class Chipmaker(Firm):
    """Sells chips to those who build; its revenue is their investment, so a fall in orders reaches it at once."""

    kind = "chipmaker"
