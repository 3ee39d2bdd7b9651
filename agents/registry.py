"""The classes of agents by the word that tables use for their kind."""

from __future__ import annotations

from agents.ai_lab import AILab
from agents.base import EconomicAgent
from agents.chipmaker import Chipmaker
from agents.cloud_provider import CloudProvider
from agents.entrant import Entrant
from agents.hyperscaler import Hyperscaler
from agents.investor import Investor
from agents.lender import Lender
from agents.project_company import ProjectCompany
from agents.sectors import CentralBank, Government, Household, Outside, ShortSeller
from agents.utility import Utility

AGENT_CLASSES: dict[str, type[EconomicAgent]] = {
    cls.kind: cls
    for cls in (
        Chipmaker, Hyperscaler, CloudProvider, ProjectCompany, AILab, Investor, Lender, ShortSeller, Utility, Household, Government,
        CentralBank, Outside, Entrant,
    )
}  # fmt: skip
"""Class of each kind, in the order of the tables."""

FIRM_KINDS = tuple(kind for kind, cls in AGENT_CLASSES.items() if hasattr(cls, "wanted_investment"))
"""Kinds that run the rules of a firm."""
