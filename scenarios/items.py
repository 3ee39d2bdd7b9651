"""Every number that an agent or the economy as a whole may have: unit, default, hard limits, plausible range and meaning.

The items of agents appear in ``figures.csv`` (one number of one agent) and ``parameters.csv`` (one number of a group of agents);
the items of the economy appear in ``macro.csv``. An item that no table mentions takes its default.
A default that is neither zero nor structural is an assumption, and ``low`` and ``high`` are its plausible range.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan


@dataclass(frozen=True)
class Item:
    """One number that an agent or the economy may have.

    ``minimum`` and ``maximum`` are hard limits (a value outside them is bad input); ``low`` and ``high`` are the plausible range of the
    default (NaN where the default is zero or structural).
    """

    name: str
    unit: str
    default: float
    minimum: float
    maximum: float
    meaning: str
    low: float = nan
    high: float = nan


_BN = "USD bn"
_BN_YEAR = "USD bn per year"
_YEAR = "per year"
_SHARE = "share"

_AGENT_ITEMS = (
    # Opening stocks.
    Item("cash", _BN, 0.0, 0.0, inf, "deposits held at banks; of banks and the government: reserves and balances at the central bank"),
    Item("deposits", _BN, 0.0, 0.0, inf, "deposits owed (banks and the central bank only)"),
    Item("capacity", _BN, 0.0, 0.0, inf, "productive fixed assets in service, at book value"),
    Item("construction", _BN, 0.0, 0.0, inf, "fixed assets paid for and not yet in service"),
    Item("other_assets", _BN, 0.0, 0.0, inf, "everything else owned: real assets and claims on the rest of the world"),
    Item("other_liabilities", _BN, 0.0, 0.0, inf, "everything else owed, to the rest of the world, without interest"),
    Item("equity_book", _BN, nan, -inf, inf, "book net worth as published, a check on the other stocks; blank: computed"),
    Item("market_value", _BN, 0.0, 0.0, inf, "market capitalisation, or last post-money value of an unlisted firm; 0: no shares"),
    # Yearly flows at the start.
    Item("outside_revenue", _BN_YEAR, 0.0, 0.0, inf, "revenue from customers other than the orders in the tables"),
    Item("outside_growth", _YEAR, 0.0, -0.9, 10.0, "expected growth of outside revenue at the start"),
    Item("long_run_growth", _YEAR, 0.03, -0.1, 0.3, "growth to which the growth of outside revenue falls back", 0.02, 0.05),
    Item("growth_decay", _YEAR, 0.3, 0.0, 12.0, "speed at which growth falls back to its long-run rate", 0.15, 0.6),
    Item("fixed_cost", _BN_YEAR, 0.0, 0.0, inf, "cash operating cost that does not move with revenue"),
    Item(
        "cost_share",
        _SHARE,
        0.6,
        0.0,
        5.0,
        "cash operating cost / revenue, without depreciation, interest and modelled purchases",
        0.4,
        0.8,
    ),
    Item("wage_share", _SHARE, 0.3, 0.0, 1.0, "part of operating cost that is wages of households", 0.2, 0.5),
    Item("tax_rate", _SHARE, 0.15, 0.0, 1.0, "tax / profit before tax, effective", 0.1, 0.25),
    Item("capex", _BN_YEAR, 0.0, 0.0, inf, "planned investment at the start"),
    Item("chips_share", _SHARE, 0.5, 0.0, 1.0, "part of investment that is spent on chips", 0.4, 0.65),
    Item("depreciation_rate", _YEAR, 0.15, 0.0, 12.0, "part of capacity that wears out in a year", 0.1, 0.25),
    Item("payout_share", _SHARE, 0.0, 0.0, 1.0, "part of positive free cash flow that is paid to shareholders"),
    Item("cash_floor_months", "months", 2.0, 0.0, 120.0, "months of cash cost that the firm keeps as its own buffer", 1.0, 4.0),
    # Prices.
    Item("equity_volatility", _YEAR, 0.4, 0.0, 5.0, "standard deviation of the yearly share return", 0.25, 0.6),
    Item("ai_beta", "number", 1.0, -5.0, 10.0, "loading of the share return on the AI factor", 0.5, 1.8),
    Item("market_beta", "number", 1.0, -5.0, 10.0, "loading of the share return on the market factor", 0.6, 1.6),
    Item("share_turnover", _YEAR, 0.0, 0.0, 100.0, "shares traded in a year / shares outstanding; 0: depth by price_impact_listed of macro.csv"),
    Item("cds", _YEAR, 0.01, 0.0, 1.0, "five-year credit default swap premium at the start", 0.003, 0.03),
    Item("value_margin", _SHARE, 0.2, -1.0, 1.0, "long-run earnings / revenue", 0.1, 0.3),
    Item("revenue_volatility", _YEAR, 0.1, 0.0, 5.0, "standard deviation of yearly outside revenue growth", 0.05, 0.2),
    # Lenders.
    Item(
        "capital_ratio_min",
        _SHARE,
        0.06,
        0.0,
        1.0,
        "equity / risk assets that the supervisor requires; in default below half of it",
        0.045,
        0.08,
    ),
    Item("capital_ratio_target", _SHARE, 0.1, 0.0, 1.0, "equity / risk assets that the lender wants", 0.08, 0.14),
    Item("funding_spread", _YEAR, 0.01, -0.1, 1.0, "cost of funding above the policy rate", 0.0, 0.02),
    Item("growth_room", _YEAR, 0.1, 0.0, 10.0, "largest growth of the loan book", 0.05, 0.2),
    Item("redemption_sensitivity", "number", 0.0, 0.0, 50.0, "withdrawals from a fund / its loss, per year"),
    Item("redemption_gate", "share per quarter", 1.0, 0.0, 1.0, "largest part of a fund's net assets paid to leaving investors; 1: no gate"),
    Item("marketable_share", _SHARE, 0.0, 0.0, 1.0, "part of other assets that are securities at a market price which all their holders mark to"),
    Item("leverage_max", "assets / equity", 0.0, 0.0, 1000.0, "leverage above which an investor or lender sells assets; 0: none"),
    Item("leverage_target", "assets / equity", 0.0, 0.0, 1000.0, "leverage to which it then sells; 0: 0.95 of leverage_max"),
    # Investors, AI labs, utilities, owners of capacity.
    Item("ltv_target", _SHARE, 0.25, 0.0, 1.0, "loan / value of the stakes that an investor wants", 0.15, 0.35),
    Item("runway_target_months", "months", 15.0, 0.0, 120.0, "months of cash burn that an AI lab wants to hold", 9.0, 24.0),
    Item("compute_elasticity", "number", 0.8, 0.0, 5.0, "growth of the compute that a lab needs / growth of its revenue", 0.6, 1.1),
    Item("power_online", "GW", 0.0, 0.0, inf, "power that the utility can deliver to data centres"),
    Item("power_growth", "GW per year", 0.0, 0.0, inf, "power that the utility can newly connect in a year"),
    Item("power_queue", "GW", 0.0, 0.0, inf, "power asked for and not yet connected"),
    Item("power_price", "USD bn per GW-year", 0.6, 0.0, 100.0, "price of power; 0.6 is 68 USD a megawatt-hour", 0.4, 0.9),
    Item("power_needed_per_capacity", "GW per USD bn", 0.02, 0.0, 1.0, "power that capacity of one USD bn draws", 0.015, 0.03),
)

_MACRO_ITEMS: tuple[Item, ...] = (
    Item("policy_rate", _YEAR, 0.0363, -0.02, 1.0, "effective policy rate at the start", 0.0350, 0.0375),
    Item("long_run_policy_rate", _YEAR, 0.03, -0.02, 1.0, "policy rate to which the projection returns", 0.025, 0.035),
    Item("policy_rate_cut_2026", _YEAR, 0.0025, -0.1, 0.1, "fall of the policy rate projected for the first year", 0.0, 0.015),
    Item("gdp", _BN_YEAR, 30000.0, 0.001, inf, "gross domestic product", 29500.0, 31500.0),
    Item("gdp_growth", _YEAR, 0.02, -0.3, 0.3, "real growth of gross domestic product on the reference path", 0.015, 0.025),
    Item("inflation", _YEAR, 0.028, -0.2, 1.0, "yearly inflation at the start", 0.025, 0.031),
    Item("inflation_target", _YEAR, 0.02, -0.1, 1.0, "inflation that the central bank wants", 0.02, 0.02),
    Item("unemployment", _SHARE, 0.044, 0.0, 1.0, "unemployed / labour force at the start", 0.042, 0.046),
    Item("natural_unemployment", _SHARE, 0.042, 0.0, 1.0, "unemployment at which inflation is stable", 0.038, 0.046),
    Item("total_market_value", _BN, 70000.0, 0.0, inf, "market value of all listed shares of the country", 60000.0, 75000.0),
    Item("ai_chain_value", _BN, 0.0, 0.0, inf, "published market value of the AI chain, to compare with the sum over the agents; 0: none"),
    Item("cost_per_gw", "USD bn per GW", 40.0, 0.1, 1000.0, "investment for one GW of AI data centres, chips included", 30.0, 55.0),
    Item("consumption_share", _SHARE, 0.68, 0.0, 1.0, "consumption of households / gross domestic product", 0.66, 0.70),
    Item("labour_share", _SHARE, 0.6, 0.0, 1.0, "wages / gross domestic product", 0.55, 0.63),
    Item("recovery_secured", _SHARE, 0.6, 0.0, 1.0, "recovery of secured claims used in premiums before a default", 0.45, 0.75),
    Item("recovery_unsecured", _SHARE, 0.4, 0.0, 1.0, "recovery of unsecured claims used in premiums before a default", 0.25, 0.5),
    Item("asset_recovery", _SHARE, nan, 0.0, 1.0, "part of what an estate's own assets fetch that is left after the costs of bankruptcy; blank: 0.9"),
    Item("claim_recovery", _SHARE, nan, 0.0, 1.0, "part of what an estate receives from others that is left after them; blank: 0.95"),
    Item("haircut_accelerators", _SHARE, 0.35, 0.0, 1.0, "haircut on accelerators in new secured lending", 0.25, 0.5),
    Item("haircut_data_centre", _SHARE, 0.25, 0.0, 1.0, "haircut on data centres in new secured lending", 0.15, 0.4),
    Item("haircut_receivables", _SHARE, 0.2, 0.0, 1.0, "haircut on receivables: one less the advance rate of a borrowing base", 0.1, 0.4),
    Item("haircut_listed", _SHARE, 0.5, 0.0, 1.0, "haircut on listed shares in new margin loans (Regulation T: 0.5)", 0.4, 0.75),
    Item("haircut_unlisted", _SHARE, 0.7, 0.0, 1.0, "haircut on unlisted shares in new margin loans", 0.6, 0.9),
    Item(
        "securities_depth",
        _BN,
        10000.0,
        1.0,
        1e9,
        "depth D of the market for lenders' and investors' securities: selling Q in a month lowers the price by the part Q / D, about",
        3000.0,
        30000.0,
    ),
    Item(
        "price_impact_listed",
        "number",
        0.5,
        0.0,
        100.0,
        "fall of a listed share's price / part of the shares that is sold in a month",
        0.2,
        1.5,
    ),
    Item(
        "price_impact_unlisted",
        "number",
        2.0,
        0.0,
        100.0,
        "fall of an unlisted share's mark / part of the shares that is sold in a month",
        1.0,
        5.0,
    ),
)

_MACRO_ITEMS += tuple(
    Item(f"impact_linear_{name}", "0 or 1", 0.0, 0.0, 1.0, f"form of the price impact on {words}: 0 exponential, 1 linear")
    for name, words in (("listed", "listed shares"), ("unlisted", "unlisted shares"), ("securities", "securities of lenders and investors"))
)

AGENT_ITEMS: dict[str, Item] = {item.name: item for item in _AGENT_ITEMS}
"""Every item of ``figures.csv`` and ``parameters.csv``, by name."""

MACRO_ITEMS: dict[str, Item] = {item.name: item for item in _MACRO_ITEMS}
"""Every item of ``macro.csv``, by name."""
