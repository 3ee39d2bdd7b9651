"""Who pays, and what the boom brought: columns of the table ``replications`` made from the ledger's accounts and the series of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.attribution import Loss, parties
from simulator.ledger.sums import total

if TYPE_CHECKING:
    from simulator.engine.model import ContagionModel

Array = NDArray[np.float64]

def who_pays(model: ContagionModel) -> dict[str, Array]:
    """What each class of claimants lost over the run, USD bn, ``(R,)`` each.

    - ``loss_lenders``: holders of loans, bonds and protection, less what the government made good to lenders (``public_support_lenders``).
    - ``loss_suppliers``: sellers, lessors and those whose bills an estate left unpaid.
    - ``loss_shareholders``: holders of shares; and what firms lose themselves, which is their owners': assets sold below book value, dearer
      renewals, protection that is called, costs of bankruptcy.
    - ``loss_government``: losses that stand in the government's own books (deposits that it insured, guarantees that it gave).
    - ``loss_taxpayers``: the government's whole bill (``fiscal_cost``).
    - ``loss_workers``: earnings lost to unemployment above its natural rate: labour share x GDP x (u - u*) / (1 - u*), summed over months.

    Lenders, shareholders, suppliers, government and ``public_support_lenders`` add to ``total_loss``; taxpayers and workers come on top.
    """
    books, ledger = model.books, model.ledger
    zero = np.zeros((1, books.replications))
    lost = {name: zero.copy() for name in ("lenders", "shareholders", "suppliers", "government")}
    for account in sorted(ledger.losses):
        amounts = ledger.losses[account]
        is_public = parties(books, account)[0] == books.government
        if is_public.any():
            lost["government"] += total(amounts[is_public])
            amounts = amounts[~is_public]
        lost[_class_of(account)] += total(amounts)
    support = np.minimum(total(ledger.public_support[books.rows["lender"]]), lost["lenders"])
    lost["lenders"] = lost["lenders"] - support
    return {
        **{f"loss_{name}": values[0] for name, values in lost.items()},
        "loss_taxpayers": books.series["fiscal_cost"][0],
        "loss_workers": _earnings_lost(model),
        "public_support_lenders": support[0],
    }


def _class_of(account: Loss) -> str:
    """Whose loss an account is, where it isn't the government's."""
    if account.bearer == "holder":
        return {"loans": "lenders", "guarantees": "lenders", "orders": "suppliers", "leases": "suppliers"}.get(account.table, "shareholders")
    return "suppliers" if account.bearer == "outside" else "shareholders"


def _earnings_lost(model: ContagionModel) -> Array:
    macro, series = model.books.macro, model.recorder.series
    natural = macro["natural_unemployment"]
    idle = np.maximum(series["unemployment"] - natural, 0.0) / (1.0 - natural)
    return _over_time(macro["labour_share"] * series["gdp"] * idle) * model.books.years_per_tick


def boom_and_bust(model: ContagionModel) -> dict[str, Array]:
    """What was built and who worked, ``(R,)`` each, so that a policy which avoids the bust by forgoing the boom shows it.

    ``investment_total``: investment over the run, USD bn. ``investment_above_start``, ``investment_below_start``: its parts above and below
    the pace of the first month, summed over months, USD bn: the boom and the bust. ``employment_mean``, ``employment_min``: share of the
    labour force in work. ``concentration_end``: Herfindahl index of AI market value in the last month, ``lab_concentration_end``: of the labs'
    sales to outside customers, entrants among them. ``entrants_end``: entrants that are alive then.
    ``compliance_cost``: what rules cost those whom they bind; ``lending_moved``: new loans that lenders outside a rule gave in place of those
    bound by it (arbitrage), USD bn.
    ``backlog_lost``: revenue under contract that sellers lost to cuts of price, cancellations and failures of buyers, USD bn.
    """
    series = model.recorder.series
    investment, years = series["investment"], model.books.years_per_tick
    change = investment - investment[:1]
    employment = 1.0 - series["unemployment"]
    return {
        "investment_total": _over_time(investment) * years,
        "investment_above_start": _over_time(np.maximum(change, 0.0)) * years,
        "investment_below_start": _over_time(np.maximum(-change, 0.0)) * years,
        "employment_mean": _over_time(employment) / len(employment),
        "employment_min": np.minimum.reduce(employment, axis=0),
        "concentration_end": series["concentration"][-1].copy(),
        "lab_concentration_end": series["lab_concentration"][-1].copy(),
        "entrants_end": series["entrants"][-1].copy(),
        "backlog_lost": series["backlog_lost"][-1].copy(),
        "compliance_cost": series["compliance_cost"][-1].copy(),
        "lending_moved": series["lending_moved"][-1].copy(),
    }


def _over_time(values: Array) -> Array:
    """Sum over ticks ``(T, R)`` -> ``(R,)``, the same bits for any number of replications."""
    summed: Array = np.cumsum(values, axis=0)[-1]
    return summed
