"""Margin calls on loans against collateral, with hysteresis: the level that triggers a call lies above the level that cures it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.networks._checks import BoolArray, FloatArray, NetworkInputError, numbers, together


@dataclass(frozen=True)
class MarginCall:
    """Element by element, in the money unit given, 0 where nothing is called; each of the three alone cures the call.

    `called`; `cash_to_cure` repays the loan; `collateral_to_add` in market value; `collateral_to_sell` with all proceeds repaying the
    loan, without price impact, at most all of the collateral (`curable_by_sale` False when even that is not enough).
    """

    called: BoolArray
    cash_to_cure: FloatArray
    collateral_to_add: FloatArray
    collateral_to_sell: FloatArray
    curable_by_sale: BoolArray


def margin_call(collateral: ArrayLike, loan: ArrayLike, call_ltv: ArrayLike, cure_ltv: ArrayLike | None = None) -> MarginCall:
    """What cures a loan whose loan-to-value ratio is above `call_ltv`, by bringing the ratio to `cure_ltv` (default: the call level).

    `collateral` market value, `loan` outstanding, ratios as decimals with cure_ltv <= call_ltv, cure_ltv < 1 for a sale to help. A
    maintenance margin m (equity / value) is a loan-to-value ratio of 1 - m. At the call level exactly nothing is called.
    With L loan, V value, c cure ratio: cash L - cV; securities L / c - V; sale (L - cV) / (1 - c).
    Raises NetworkInputError on negative values or cure_ltv above call_ltv.
    """
    value, owed, call = numbers("collateral", collateral), numbers("loan", loan), numbers("call_ltv", call_ltv, infinite=True)
    cure = call if cure_ltv is None else numbers("cure_ltv", cure_ltv, infinite=True)
    together(collateral=value, loan=owed, call_ltv=call, cure_ltv=cure)
    if np.any(cure > call):
        raise NetworkInputError("cure_ltv is above call_ltv: a cured loan would be called again at once")
    finite = np.isfinite(call)
    called = finite & (owed > np.where(finite, call, 0.0) * value * (1 + 1e-12))
    level = np.where(np.isfinite(cure), cure, 0.0)
    cash = np.where(called, owed - level * value, 0.0)
    with np.errstate(divide="ignore"):
        add = np.where(called, np.where(level > 0, owed / np.where(level > 0, level, 1.0) - value, np.inf), 0.0)
    wanted = np.where(called, np.where(level < 1, cash / np.where(level < 1, 1.0 - level, 1.0), np.inf), 0.0)
    sell = np.minimum(wanted, np.where(called, value, 0.0))
    return MarginCall(called, cash, add, sell, wanted <= value * (1 + 1e-12))
