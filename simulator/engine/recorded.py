"""Names of what is recorded in every tick, and of the ticks, for who asks without running anything."""

from __future__ import annotations

SERIES = (
    "policy_rate", "ai_market_value", "total_market_value", "cds_index", "investment", "credit", "unemployment", "gdp", "gdp_gap", "inflation",
    "power_queue", "power_online", "circular_revenue_share", "capital_raised", "lab_cash_runway", "defaults_to_date", "loss_to_date",
    "concentration", "fiscal_cost", "gpu_resale_value", "ai_market_value_net", "securities_price", "backlog_lost",
    "central_bank_assets", "compliance_cost", "lending_moved", "lab_concentration", "entrants",
)  # fmt: skip
"""System series of the table ``ticks``, one column each."""
PANEL = ("cash", "capacity", "construction", "other_assets", "debt", "book_net_worth", "share_price", "shares", "cds", "expected_growth",
         "outside_sales", "operating_bill", "planned_investment", "new_credit", "months_in_arrears", "alive")  # fmt: skip
"""Columns of the table ``agents`` (record=agents), besides its keys."""


def month_name(start: str, tick: int) -> str:
    """The month of a tick, ``YYYY-MM``."""
    year, month = (int(part) for part in start.split("-")[:2])
    number = year * 12 + month + tick
    return f"{number // 12}-{number % 12 + 1:02d}"
