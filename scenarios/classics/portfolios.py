"""Banks with overlapping portfolios that target their leverage: the economy of Cont and Schaanning (2017), Fire sales, indirect contagion
and systemic stress testing."""

from __future__ import annotations

import numpy as np

from scenarios.classics.drafting import Sheet, generator, number, whole
from scenarios.economy import Economy


def interbank_cont_schaanning(
    banks: float = 40,
    assets: float = 12,
    holdings: float = 4,
    shock: float = 0.05,
    impact: float = 0.3,
    leverage_bound: float = 33.0,
    leverage_target: float = 30.0,
    tradable: float = 0.5,
    seed: float = 1,
) -> Economy:
    """Banks (as leveraged investors) that hold ``holdings`` of ``assets`` classes each; illiquid assets lose part of their value at the start.

    Sizes are lognormal (10 USD bn at the median); a share ``tradable`` of assets is spread over the classes, the rest is illiquid. Equity is
    such that leverage is even between 15 and 28 before the ``shock``, the relative fall of illiquid assets. Above ``leverage_bound`` a bank
    sells down to ``leverage_target``; an insolvent one sells everything. The price of a class falls by ``exp(-impact x)`` when a part x of
    all of it is sold; one half of every class is held outside. Only the stages announce, margin, default and account act.
    Raises InputError for a number out of range.
    """
    size, classes = whole("banks", banks, 1, 100_000), whole("assets", assets, 1, 10_000)
    each = whole("holdings", holdings, 1, classes)
    number("shock", shock, 0.0, 1.0)
    number("impact", impact, 0.0, 100.0)
    number("tradable", tradable, 0.0, 1.0)
    number("leverage_target", leverage_target, 1.0, leverage_bound)
    rng = generator(int(seed))
    total = 10.0 * np.exp(0.8 * rng.standard_normal(size))
    leverage = 15.0 + 13.0 * rng.random(size)
    weights = np.zeros((size, classes))
    for bank in range(size):
        weights[bank, rng.choice(classes, each, replace=False)] = rng.dirichlet(np.full(each, 3.0))
    held = total[:, None] * tradable * weights
    whole_class = 2.0 * np.add.reduce(held, axis=0)
    sheet = Sheet({
        "project_company": [f"asset_{k}" for k in range(1, classes + 1)],
        "investor": [f"bank_{i}" for i in range(1, size + 1)],
        "lender": ["money_market"],
    })  # fmt: skip
    issuer, holder, lender = sheet.rows["project_company"], sheet.rows["investor"], sheet.rows["lender"][0]
    traded = whole_class > 0.0
    sheet.set("project_company", market_value=np.where(traded, whole_class, 1.0), other_assets=np.where(traded, whole_class, 1.0))
    illiquid = total * (1.0 - tradable) * (1.0 - shock)
    sheet.set("investor", other_assets=illiquid, leverage_max=leverage_bound, leverage_target=leverage_target)
    row, column = np.nonzero(held)
    sheet.add("stakes", holder=holder[row], issuer=issuer[column], kind="shares", value=held[row, column])
    debt = total * (1.0 - 1.0 / leverage)
    sheet.add(
        "loans", lender=np.full(size, lender), borrower=holder, kind="term_loan", principal=debt, rate=0.0, rate_type="fixed", maturity=600,
        new_lending=False,
    )  # fmt: skip
    sheet.set("lender", deposits=0.5 * float(np.cumsum(debt)[-1]))
    sheet.macro.update(price_impact_listed=float(impact))
    return sheet.economy(
        f"interbank_cont_schaanning_{size}x{classes}_{int(seed)}",
        "Overlapping portfolios with leverage targets, after Cont and Schaanning (2017)",
        "Portfolios and leverage are drawn; the European data of the paper are not public.",
        ("announce", "margin", "default", "account"),
        listed=("project_company",),
    )
