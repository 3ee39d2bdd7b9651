"""The closed vocabulary of the house: kinds of agents, types of lenders and channels of contagion."""

from __future__ import annotations

KINDS: tuple[str, ...] = (
    "chipmaker",
    "hyperscaler",
    "cloud",
    "project_company",
    "ai_lab",
    "investor",
    "lender",
    "short_seller",
    "utility",
    "household",
    "government",
    "central_bank",
    "outside",
)
"""Kinds of agents, in the order in which the agents of every economy are sorted: each kind is one contiguous slice of rows."""

ENTRANT = "entrant"
"""Kind of the empty slots that a policy of entry adds behind all agents of an economy; no table names it."""

LENDER_TYPES: tuple[str, ...] = ("bank", "private_credit", "fund", "insurer")
"""Types of lenders. Banks create deposits; the other three hand on cash."""

SINGLE_KINDS: tuple[str, ...] = ("central_bank", "government", "household", "outside", "short_seller")
"""Kinds of which every economy has exactly one agent."""

LOSS_CHANNELS: tuple[str, ...] = ("counterparty", "orders", "equity", "margin", "fire_sale", "funding", "guarantee")
"""Channels that can carry a posting: each has a ``loss_<channel>``."""

AMPLIFIER_CHANNELS: tuple[str, ...] = ("spread", "expectation", "power", "household", "short")
"""Channels that carry no posting of their own but change what the agents decide."""

CHANNELS: tuple[str, ...] = LOSS_CHANNELS + AMPLIFIER_CHANNELS
"""All channels that have a switch in the settings."""

REASONS: tuple[str, ...] = ("shock", "decision", "default")
"""What made a loss: the shock itself, an agent's decision (a sale, a price, a withdrawal), or an agent's default."""
