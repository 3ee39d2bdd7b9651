"""Firms, their suppliers and their banks: an economy in the manner of Delli Gatti et al. (2010) and Riccetti et al. (2013), JEDC 34 and 37."""

from __future__ import annotations

import numpy as np

from scenarios.classics.drafting import Sheet, generator, number, whole
from scenarios.economy import Economy

MARGIN = 0.3  # of revenue, before interest, wear and tax
TURNOVER = 0.5  # revenue a year / capacity


def credit_network_accelerator(
    downstream: float = 60,
    upstream: float = 20,
    banks: float = 6,
    leverage: float = 0.65,
    links: float = 2,
    volatility: float = 0.25,
    bank_capital: float = 0.08,
    tail: float = 1.2,
    fixed: float = 0.3,
    seed: float = 1,
) -> Economy:
    """Downstream firms buy from upstream firms on credit, both borrow from ``links`` banks each, and sales of each firm are random.

    ``leverage``: debt / assets around which firms are drawn (0.7 to 1.3 of it); ``volatility``: of a firm's sales a year; ``fixed``: fixed cost /
    revenue; ``tail``: standard deviation of the logarithm of sizes. Rates rise with
    leverage by the engine's external finance premium and the firm's CDS. All stages act but margin: nobody borrows against shares.
    Raises InputError for a number out of range.
    """
    buyers, makers, lenders = whole("downstream", downstream, 1, 100_000), whole("upstream", upstream, 1, 100_000), whole("banks", banks, 1, 1000)
    each = whole("links", links, 1, lenders)
    number("leverage", leverage, 0.0, 0.75)
    number("volatility", volatility, 0.0, 2.0)
    number("tail", tail, 0.0, 3.0)
    number("fixed", fixed, 0.0, 1.0 - MARGIN)
    number("bank_capital", bank_capital, 0.001, 1.0)
    rng = generator(int(seed))
    sheet = Sheet({
        "chipmaker": [f"upstream_{i}" for i in range(1, makers + 1)],
        "hyperscaler": [f"downstream_{i}" for i in range(1, buyers + 1)],
        "lender": [f"bank_{i}" for i in range(1, lenders + 1)],
    })  # fmt: skip
    up, down, bank = sheet.rows["chipmaker"], sheet.rows["hyperscaler"], sheet.rows["lender"]
    firms = np.concatenate([up, down])
    size = 10.0 * np.exp(tail * rng.standard_normal(len(firms)))
    debt = size * leverage * (0.7 + 0.6 * rng.random(len(firms)))
    equity = size - debt
    common = {
        "outside_growth": 0.03, "long_run_growth": 0.03, "cost_share": 1.0 - MARGIN - fixed, "depreciation_rate": 0.08, "chips_share": 0.5,
        "revenue_volatility": volatility, "equity_volatility": 0.4, "cds": 0.02, "power_needed_per_capacity": 0.0, "ai_beta": 0.0,
    }  # fmt: skip
    for kind, part in (("chipmaker", slice(0, makers)), ("hyperscaler", slice(makers, None))):
        revenue = TURNOVER * size[part]
        sheet.set(
            kind, **common, capacity=0.9 * size[part], cash=0.1 * size[part], market_value=equity[part], outside_revenue=revenue,
            capex=0.11 * 0.9 * size[part], fixed_cost=fixed * revenue,
        )  # fmt: skip
    supplier = np.repeat(down, 2), np.concatenate([rng.choice(up, min(2, makers), replace=makers < 2) for _ in down])
    if makers > 1:
        sheet.add("orders", seller=supplier[1], buyer=supplier[0], good="chips", amount=0.0, supply_share=0.5, ramp_months=1, end=600)
    else:
        sheet.add("orders", seller=np.full(buyers, up[0]), buyer=down, good="chips", amount=0.0, supply_share=1.0, ramp_months=1, end=600)
    chosen = np.concatenate([rng.choice(bank, each, replace=False) for _ in firms])
    principal = np.repeat(debt / each, each)
    sheet.add(
        "loans", lender=chosen, borrower=np.repeat(firms, each), kind="term_loan", principal=principal, rate=0.03, rate_type="floating",
        maturity=60, repayment="amortising", new_lending=True, new_term_months=60,
    )  # fmt: skip
    lent = np.bincount(chosen, weights=principal, minlength=len(sheet.ids))[bank]
    others = 0.2 * lent
    sheet.set(
        "lender", other_assets=others, deposits=(lent + others) * (1.0 - bank_capital), capital_ratio_min=0.5 * bank_capital,
        capital_ratio_target=bank_capital, cost_share=0.5, growth_room=0.3,
    )  # fmt: skip
    sheet.macro.update(gdp=12.0 * float(np.cumsum(size)[-1]), total_market_value=3.0 * float(np.cumsum(equity)[-1]))
    return sheet.economy(
        f"credit_network_accelerator_{len(firms)}_{int(seed)}",
        "A credit network of firms, suppliers and banks, after Delli Gatti et al. (2010)",
        "Sizes, leverage and partners are drawn; every number is an assumption.",
        ("announce", "expect", "plan", "lend", "trade", "settle", "build", "price", "default", "account"),
        listed=("chipmaker", "hyperscaler"),
    )
