"""Fire sales: contagion through the prices of assets held in common.

Sources: Cifuentes, Ferrucci & Shin (2005), JEEA 3(2-3); Cont & Schaanning (2017), Fire sales, indirect contagion and systemic stress
testing; the order of events (orders, one clearing, repayment of debt with cash) as in Farmer, Kleinnijenhuis, Nahai-Williamson &
Wetzer (2020), Foundations of system-wide stress testing; Greenwood, Landier & Thesmar (2015), JFE 115(3), for the one-round linear form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from simulator.networks._checks import (
    TIE,
    BoolArray,
    FloatArray,
    Matrix,
    NetworkInputError,
    NotConverged,
    at_most,
    columns,
    rectangle,
    share,
    switch,
    times,
    whole,
    word,
)

FORMS, RULES, PRICES = ("linear", "exponential", "square_root", "floored"), ("threshold", "target"), ("old", "mid", "new")
SETTLED_SHARE = 1e-13  # of the market: smaller orders than this end the cascade


@dataclass(frozen=True)
class FireSales:
    """A trailing scenarios axis appears when `shock` has one. `defaulted` (n,), `equity` (n,) at the end, `prices` (assets,).

    `defaults_by_step` (steps + 1,) new defaults, the first entry before any; `sold_by_step` (steps,) share of all tradables sold so
    far when the step ends; `holdings` (n, assets) units left.
    """

    defaulted: BoolArray
    equity: FloatArray
    prices: FloatArray
    defaults_by_step: FloatArray
    sold_by_step: FloatArray
    holdings: FloatArray


@dataclass(frozen=True)
class FireSaleLosses:
    """One round (Greenwood et al. 2015). `sales` (n,) money; `price_changes` (assets,) relative, negative; `direct_losses` and
    `losses` (n,) money before and from fire sales; `vulnerability`: `losses` of all over equity of all, a scalar. A trailing
    scenarios axis appears when `shock` has one.
    """

    sales: FloatArray
    price_changes: FloatArray
    direct_losses: FloatArray
    losses: FloatArray
    vulnerability: FloatArray


def fire_sale_cascade(
    holdings: Matrix,
    equity: ArrayLike,
    shock: ArrayLike,
    impact: ArrayLike,
    form: Literal["linear", "exponential", "square_root", "floored"] = "exponential",
    rule: Literal["threshold", "target"] = "threshold",
    minimum: float = 0.03,
    buffer: float = 0.04,
    target: float = 0.05,
    price: Literal["old", "mid", "new"] = "mid",
    *,
    cash: ArrayLike = 0.0,
    other_assets: ArrayLike = 0.0,
    debt: ArrayLike | None = None,
    market: ArrayLike | None = None,
    floor: ArrayLike = 0.0,
    repay_at_once: bool = False,
    steps: int | None = None,
) -> FireSales:
    """Steps of: all orders cleared at once, prices fall, then each holder decides on its next order.

    `holdings` (n, assets), dense or sparse: units of tradables, worth 1 each before the shock. `equity` (n,) before the shock. `shock` (assets,) or
    (assets, scenarios): initial relative fall of prices. `cash`, `other_assets` (n,): the rest of the balance sheet. `debt` (n,): what
    may be repaid early; default assets - equity. Leverage here is equity / assets (for a leverage of assets / equity use 1 / it).
    Rules: `threshold`: below `minimum` a holder defaults and sells everything. `target`: the same, and below `buffer` it repays debt
    with cash, then orders sales (over assets by market value) to bring leverage back to `target`.
    `impact` (scalar or (assets,)) with x = units sold / `market` (units, default all holdings) in this step: `linear` price falls by
    impact * x (absolute, not below 0); `exponential` price times exp(-impact * x); `square_root` price times 1 - impact * sqrt(x);
    `floored` (Cont & Schaanning eq. 7) price - (price - `floor`) (1 - exp(-impact * x)), x in money at the old price.
    An impact of -ln(1 - d) / s makes prices fall by d when a share s is sold. `price` at which orders execute: `old`, `mid`, `new`.
    Proceeds are cash of the next decision, or repay debt on the spot with `repay_at_once`. Stops after `steps`, or when no order is left.
    Raises NetworkInputError on negative or non-finite input or an unknown option.
    """
    for name, value, allowed in (("form", form, FORMS), ("rule", rule, RULES), ("price", price, PRICES)):
        word(name, value, allowed)
    switch("repay_at_once", repay_at_once)
    most = 1000 if steps is None else whole("steps", steps, 1, 1_000_000)
    units = rectangle("holdings", holdings, "assets")
    minimum, buffer, target = (share(name, x) for name, x in (("minimum", minimum), ("buffer", buffer), ("target", target)))
    if rule == "target" and target == 0:
        raise NetworkInputError("target = 0: nobody can hold assets without equity behind them for ever; it must be above 0")
    n, assets = units.shape
    fall, single = columns("shock", shock, assets)
    at_most("shock", 1.0, shock)
    if fall.shape[1] == 0:
        raise NetworkInputError(f"shock has shape {fall.shape}; expected at least one scenario")
    scenarios = fall.shape[1]
    everyone = sparse.csr_matrix(np.ones((1, n)))
    money, others, own = (
        columns(name, x, n, negative=name == "equity", scenarios=scenarios)[0]
        for name, x in (("cash", cash), ("other_assets", other_assets), ("equity", equity))
    )
    all_assets = money + others + _add(units[:, a : a + 1] for a in range(assets))
    liabilities = np.array(np.broadcast_to(all_assets - own, (n, scenarios)))
    owing = np.maximum(all_assets - own, 0.0) if debt is None else columns("debt", debt, n, scenarios=scenarios)[0]
    owed = np.array(np.broadcast_to(owing, (n, scenarios)))
    money = np.array(np.broadcast_to(money, (n, scenarios)))
    held = [np.array(np.broadcast_to(units[:, a : a + 1], (n, scenarios))) for a in range(assets)]
    strength, lowest = (columns(name, x, assets, scenarios=scenarios)[0] for name, x in (("impact", impact), ("floor", floor)))
    all_held = np.concatenate([times(everyone, units[:, a : a + 1]) for a in range(assets)])
    size = all_held if market is None else columns("market", market, assets, scenarios=scenarios)[0]
    tradable = float(np.cumsum(units.ravel())[-1])
    prices = 1.0 - fall
    orders = [np.zeros((n, scenarios)) for _ in range(assets)]
    gone = np.zeros((n, scenarios), dtype=bool)
    defaults, sold, sold_so_far = [np.zeros(scenarios)], [], np.zeros(scenarios)
    for _ in range(most):
        # Clear all orders at once.
        old = prices
        amounts = np.concatenate([times(everyone, order) for order in orders])
        prices = _after_sales(form, old, amounts, size, strength, lowest)
        proceeds = np.zeros((n, scenarios))
        for a in range(assets):
            paid = {"old": old[a], "new": prices[a], "mid": (prices[a] + old[a]) / 2}[price]
            proceeds = proceeds + orders[a] * paid
            held[a] = held[a] - orders[a]
        sold_so_far = sold_so_far + _add(amounts[a] for a in range(assets)) / (tradable if tradable > 0 else 1.0)
        sold.append(sold_so_far)
        repaid = np.minimum(proceeds, owed) if repay_at_once else np.zeros((n, scenarios))
        owed, liabilities, money = owed - repaid, liabilities - repaid, money + proceeds - repaid
        # Decide on the next orders.
        worth = _add(held[a] * prices[a] for a in range(assets))
        balance = money + others + worth
        net = balance - liabilities
        new = (net < minimum * balance - TIE * balance) & ~gone
        gone = gone | new
        defaults.append(times(everyone, new.astype(np.float64))[0])
        wanted = np.zeros((n, scenarios))
        if rule == "target":
            below = ~gone & (net < buffer * balance - TIE * balance)
            wanted = np.where(below, np.maximum(balance - net / target, 0.0), 0.0)
            paid_now = np.minimum(np.minimum(wanted, money), owed)
            money, owed, liabilities = money - paid_now, owed - paid_now, liabilities - paid_now
            wanted = wanted - paid_now
        part = np.where(gone, 1.0, np.minimum(wanted / np.where(worth > 0, worth, 1.0), 1.0))
        orders = [held[a] * part for a in range(assets)]
        if steps is None and not _add(times(everyone, order) for order in orders).max() > SETTLED_SHARE * tradable:
            break
    final = money + others + _add(held[a] * prices[a] for a in range(assets)) - liabilities
    left = np.stack(held, axis=1)
    by_step, sold_steps = np.array(defaults), np.array(sold)
    if single:
        return FireSales(gone[:, 0], final[:, 0], prices[:, 0], by_step[:, 0], sold_steps[:, 0], left[:, :, 0])
    return FireSales(gone, final, prices, by_step, sold_steps, left)


def _add(parts: Iterable[FloatArray]) -> FloatArray:
    """Adds arrays up in order."""
    return reduce(np.add, parts)


def _after_sales(form: str, old: FloatArray, amounts: FloatArray, size: FloatArray, strength: FloatArray, floor: FloatArray) -> FloatArray:
    x = amounts / np.where(size > 0, size, 1.0)
    if form == "linear":
        return np.maximum(old - strength * x, 0.0)
    if form == "square_root":
        return old * np.maximum(1.0 - strength * np.sqrt(x), 0.0)
    if form == "floored":
        return np.asarray(old + np.maximum(old - floor, 0.0) * np.expm1(-strength * x * old))
    return np.asarray(old * np.exp(-strength * x))


def fire_sale_losses(holdings: Matrix, leverage: ArrayLike, shock: ArrayLike, impact: ArrayLike) -> FireSaleLosses:
    """One round of leverage-targeting sales with linear impact (Greenwood, Landier & Thesmar 2015, eqs. 1-6).

    `holdings` (n, assets) money, dense or sparse; `leverage` (n,) = debt / equity to be kept; `shock` (assets,) or (assets, scenarios)
    relative fall of prices, at most 1; `impact` (scalar or (assets,)): relative fall of the price per unit of money sold.
    Sales of i = assets_i * leverage_i * direct return_i, spread over assets as held; losses are those from the fall of prices through sales only.
    Raises NetworkInputError on negative or non-finite input.
    """
    held = rectangle("holdings", holdings, "assets")
    n, assets = held.shape
    fall, single = columns("shock", shock, assets)
    debt_to_equity = columns("leverage", leverage, n, scenarios=fall.shape[1])[0]
    at_most("shock", 1.0, shock)
    if fall.shape[1] == 0:
        raise NetworkInputError(f"shock has shape {fall.shape}; expected at least one scenario")
    strength = columns("impact", impact, assets, scenarios=fall.shape[1])[0]
    book = sparse.csr_matrix(held)
    size = np.asarray(book @ np.ones((assets, 1)))
    direct = np.asarray(book @ fall)
    sales = debt_to_equity * direct
    weights = sparse.csr_matrix(sparse.diags(1.0 / np.where(size[:, 0] > 0, size[:, 0], 1.0)) @ book)
    price_changes = -strength * (weights.T.tocsr() @ sales)
    losses = np.asarray(book @ -price_changes)
    own = float(np.cumsum(size / (1.0 + debt_to_equity))[-1])
    vulnerability = np.cumsum(losses, axis=0)[-1] / (own if own > 0 else np.inf)
    if single:
        return FireSaleLosses(sales[:, 0], price_changes[:, 0], direct[:, 0], losses[:, 0], vulnerability[0])
    return FireSaleLosses(sales, price_changes, direct, losses, vulnerability)


@dataclass(frozen=True)
class FireSaleEquilibrium:
    """`price_falls` (assets,) relative; `share_sold` (n,) of each one's tradables; `equity` (n,) at those prices; `iterations`."""

    price_falls: FloatArray
    share_sold: FloatArray
    equity: FloatArray
    iterations: int


def fire_sale_equilibrium(
    holdings: Matrix,
    other_assets: ArrayLike,
    equity: ArrayLike,
    leverage_max: float,
    impact: ArrayLike,
    form: Literal["linear", "square_root"] = "square_root",
    which: Literal["least", "greatest"] = "least",
    insolvent_sell: bool = True,
    tolerance: float = 1e-13,
    rounds: int = 100_000,
) -> FireSaleEquilibrium:
    """Falls of prices d at which sales and prices agree: d = impact * q or impact * sqrt(q), q = money value sold of each asset.

    Breuer, Summer & Urosevic (2021), Systemic loss evaluation, Assumption 2 and Theorem 2. `holdings` (n, assets) money before the
    fall, `other_assets` and `equity` (n,). Each sells the least share of its tradables that brings assets / equity down to
    `leverage_max`, or everything; impact of an asset is capped at a fall of 1. Equilibria can be several: `least` is reached from no
    fall, `greatest` from everything sold. `insolvent_sell=False`: who is wiped out by the fall sells nothing (the published code
    does so; more falls then mean fewer sales, and least and greatest lose their meaning).
    Raises NetworkInputError on bad input, NotConverged after `rounds`.
    """
    if form not in ("linear", "square_root") or which not in ("least", "greatest"):
        raise NetworkInputError(f"form = {form!r}, which = {which!r}; allowed are linear or square_root, and least or greatest")
    held = rectangle("holdings", holdings, "assets")
    n, assets = held.shape
    others, own = columns("other_assets", other_assets, n)[0][:, 0], columns("equity", equity, n, negative=True)[0][:, 0]
    strength = columns("impact", impact, assets)[0][:, 0]
    book, by_asset = sparse.csr_matrix(held), sparse.csr_matrix(held.T)

    def falls(share_sold: FloatArray) -> FloatArray:
        sold = times(by_asset, share_sold)
        return np.minimum(strength * (sold if form == "linear" else np.sqrt(sold)), 1.0)

    def sales(fall: FloatArray) -> tuple[FloatArray, FloatArray]:
        worth, left = times(book, 1.0 - fall), own - times(book, fall)
        part = np.clip((worth + others - leverage_max * left) / np.where(worth > 0, worth, 1.0), 0.0, 1.0)
        part = np.where(left <= 0, 1.0 if insolvent_sell else 0.0, part)
        return np.where(worth > 0, part, 0.0), left

    fall = np.zeros(assets) if which == "least" else falls(np.ones(n))
    for count in range(1, rounds + 1):
        part, left = sales(fall)
        new = falls(part)
        change = float(np.max(np.abs(new - fall), initial=0.0))
        fall = new
        if change <= tolerance:
            part, left = sales(fall)
            return FireSaleEquilibrium(fall, part, left, count)
    raise NotConverged(f"prices did not settle within {rounds} rounds")
