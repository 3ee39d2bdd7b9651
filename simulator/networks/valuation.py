"""NEVA: claims on a network valued by the equity of the debtor, to a fixed point from face value downwards.

Source: Barucca, Bardoscia, Caccioli, D'Errico, Visentin, Caldarelli & Battiston (2020), Network valuation in financial systems,
Mathematical Finance 30(4): eqs. 2-3 for the fixed point, 12 and 16 for the ex-ante (Merton) valuation; Black & Cox variant as in
Bardoscia, Barucca, Brinley Codd & Hill (2019), Forward-looking solvency contagion, JEDC 108.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from simulator.networks._checks import (
    TIE,
    FloatArray,
    IntArray,
    Matrix,
    NotConverged,
    at_most,
    columns,
    no_self_links,
    numbers,
    share,
    square,
    switch,
    together,
    whole,
    word,
)

VALUATIONS = ("eisenberg_noe", "rogers_veraart", "furfine", "linear_debt_rank", "merton", "furfine_merton", "black_cox")


@dataclass(frozen=True)
class NetworkValuation:
    """`equity` (n,) or (n, scenarios): assets and claims at their value less liabilities, before bankruptcy costs, signed.

    `claim_values` (same shape): value of a unit of face value owed by each. `iterations`: scalar or (scenarios,).
    """

    equity: FloatArray
    claim_values: FloatArray
    iterations: IntArray


def claim_value(
    valuation: str,
    equity: ArrayLike,
    external_assets: ArrayLike = 0.0,
    interbank_liabilities: ArrayLike = 0.0,
    external_liabilities: ArrayLike = 0.0,
    *,
    recovery: ArrayLike = 0.0,
    volatility: ArrayLike = 0.0,
    reference_equity: ArrayLike = 1.0,
    outside_senior: bool = False,
    asset_recovery: float = 1.0,
    claim_recovery: float = 1.0,
    tie_defaults: bool = True,
) -> FloatArray:
    """Value in [0, 1] of a unit owed by an agent with `equity` (any shape; all arguments broadcast), by one valuation function.

    - `eisenberg_noe`: 1, or with negative equity the share of the debt that is covered; external creditors rank equally, or first
      with `outside_senior`.
    - `rogers_veraart`: the same after costs, with negative equity assets counting `asset_recovery` and claims `claim_recovery`.
    - `furfine`: 1, or `recovery` once equity is gone (a tie is gone if `tie_defaults`).
    - `linear_debt_rank`: equity / `reference_equity`, within [0, 1].
    - `merton`: expected at maturity, external assets following a geometric Brownian motion with `volatility` (over the maturity, so
      sigma sqrt(T)); in default creditors get `recovery` times what Eisenberg & Noe give (eq. 16, ranks as there).
    - `furfine_merton`: the same probability of default, but `recovery` of face value.
    - `black_cox`: default as soon as equity is gone before maturity, `recovery` of face value.
    """
    word("valuation", valuation, VALUATIONS)
    switch("outside_senior", outside_senior)
    switch("tie_defaults", tie_defaults)
    value = np.asarray(numbers("equity", equity, negative=True))
    outside_assets = numbers("external_assets", external_assets, negative=True)
    inside, outside = numbers("interbank_liabilities", interbank_liabilities), numbers("external_liabilities", external_liabilities)
    rho, sigma = numbers("recovery", recovery), numbers("volatility", volatility)
    reference = numbers("reference_equity", reference_equity, negative=True)
    together(
        equity=value, external_assets=outside_assets, interbank_liabilities=inside, external_liabilities=outside, recovery=rho, volatility=sigma,
        reference_equity=reference,
    )  # fmt: skip
    at_most("recovery", 1.0, rho)
    asset_recovery, claim_recovery = share("asset_recovery", asset_recovery), share("claim_recovery", claim_recovery)
    if valuation == "eisenberg_noe":
        return _covered(value, inside, outside, outside_senior)
    if valuation == "rogers_veraart":
        claims = value - outside_assets + inside + outside
        lost = (1 - asset_recovery) * np.maximum(outside_assets, 0.0) + (1 - claim_recovery) * np.maximum(claims, 0.0)
        broke = value < -TIE * (inside + outside)
        return np.where(broke, _covered(value - lost, inside, outside, outside_senior), 1.0)
    if valuation == "furfine":
        margin = TIE * np.maximum(np.abs(outside_assets) + inside + outside, 1e-300)
        return np.where(value > margin if tie_defaults else value >= -margin, 1.0, rho)
    if valuation == "linear_debt_rank":
        return np.where(reference > 0, np.clip(value / np.where(reference > 0, reference, 1.0), 0.0, 1.0), (value > 0) * 1.0)
    if valuation == "merton":
        return _merton_value(value, outside_assets, inside if outside_senior else inside + outside, rho, sigma)
    if valuation == "furfine_merton":
        return 1.0 + (rho - 1.0) * _default_probability(value, outside_assets, sigma)
    return 1.0 + (rho - 1.0) * _passage_probability(value, outside_assets, sigma)


def _covered(equity: FloatArray, inside: FloatArray, outside: FloatArray, outside_senior: bool) -> FloatArray:
    debt = inside if outside_senior else inside + outside
    return np.where(equity >= 0, 1.0, np.clip(1.0 + equity / np.where(debt > 0, debt, 1.0), 0.0, 1.0))


def _log_distance(equity: FloatArray, assets: FloatArray) -> FloatArray:
    """ln(1 - equity / assets): how far external assets must fall, in logs, to wipe the equity out (-inf when they cannot)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(assets > equity, np.log(np.maximum(1.0 - equity / np.where(assets > 0, assets, 1.0), 0.0)), -np.inf)


def _normal(top: FloatArray, sigma: FloatArray) -> FloatArray:
    """N(top / sigma), a step at 0 without volatility."""
    with np.errstate(over="ignore"):  # a tiny volatility sends the quotient to infinity, where N is 0 or 1
        return np.where(sigma > 0, ndtr(top / np.where(sigma > 0, sigma, 1.0)), (top > 0) * 1.0)


def _default_probability(equity: FloatArray, assets: FloatArray, sigma: FloatArray) -> FloatArray:
    """Eq. 16a: external assets end below assets - equity; certain or excluded when there are no external assets left to move."""
    return np.where(assets > 0, _normal(_log_distance(equity, assets) + 0.5 * sigma * sigma, sigma), (equity < 0) * 1.0)


def _merton_value(equity: FloatArray, assets: FloatArray, debt: FloatArray, rho: FloatArray, sigma: FloatArray) -> FloatArray:
    """Eqs. 12 and 16b."""
    owed = np.where(debt > 0, debt, 1.0)
    chance = _default_probability(equity, assets, sigma)
    nothing_left = _default_probability(equity + owed, assets, sigma)
    half = 0.5 * sigma * sigma
    expected = assets * (_normal(_log_distance(equity, assets) - half, sigma) - _normal(_log_distance(equity + owed, assets) - half, sigma))
    expected = np.where(assets > 0, expected, 0.0)
    assets_now = np.where(assets > 0, assets, 0.0)
    return np.clip(1.0 - chance + rho * ((1.0 + (equity - assets_now) / owed) * (chance - nothing_left) + expected / owed), 0.0, 1.0)


def _passage_probability(equity: FloatArray, assets: FloatArray, sigma: FloatArray) -> FloatArray:
    """First passage of external assets (a martingale) below assets - equity before maturity."""
    log_barrier, half = _log_distance(equity, assets), 0.5 * sigma * sigma
    alive = (equity > 0) & (assets > equity)
    barrier = np.where(alive, assets - equity, 1.0)
    passed = _normal(log_barrier + half, sigma) + np.where(alive, assets / barrier, 0.0) * _normal(log_barrier - half, sigma)
    return np.where(equity <= 0, 1.0, np.where(alive, np.clip(passed, 0.0, 1.0), 0.0))


def network_valuation(
    exposures: Matrix,
    external_assets: ArrayLike,
    external_liabilities: ArrayLike,
    valuation: str = "eisenberg_noe",
    *,
    recovery: ArrayLike = 0.0,
    volatility: ArrayLike = 0.0,
    reference_equity: ArrayLike | None = None,
    outside_senior: bool = False,
    asset_recovery: float = 1.0,
    claim_recovery: float = 1.0,
    tie_defaults: bool = True,
    tolerance: float = 1e-12,
    rounds: int = 100_000,
) -> NetworkValuation:
    """Greatest equities that agree with the value of all claims: E_i = external_i + sum_j exposures[i, j] V(E_j) - liabilities_i.

    `exposures` (n, n), dense or sparse: [i, j] = what i lent j. `external_assets` (n,) or (n, scenarios), after any shock, may be
    negative; `external_liabilities` (n,). The other arguments are those of `claim_value`, numbers or (n,) per agent;
    `reference_equity` defaults to the equity at face value (give the one before the shock when `external_assets` are shocked).
    Rounds start from face value and go down. Equity is reported before bankruptcy costs, also for `rogers_veraart`.
    Raises NetworkInputError on bad input, NotConverged after `rounds`.
    """
    lent = square("exposures", exposures)
    no_self_links("exposures", lent)
    agents = int(lent.shape[0])
    assets, single = columns("external_assets", external_assets, agents, negative=True)
    scenarios = assets.shape[1]
    tolerance, rounds = share("tolerance", tolerance), whole("rounds", rounds, 1)
    outside = columns("external_liabilities", external_liabilities, agents, scenarios=1)[0]
    inside = np.asarray(lent.T @ np.ones(agents))[:, None]
    face = np.asarray(lent @ np.ones(agents))[:, None]
    rho, sigma = (columns(name, x, agents, scenarios=1)[0] for name, x in (("recovery", recovery), ("volatility", volatility)))
    naive = assets + face - outside - inside
    given = naive if reference_equity is None else reference_equity
    reference = columns("reference_equity", given, agents, negative=True, scenarios=scenarios)[0]
    reference = np.array(np.broadcast_to(reference, naive.shape))
    scale = np.maximum(np.abs(assets) + face + outside + inside, 1e-300)
    equity_out, value_out = np.empty(naive.shape), np.empty(naive.shape)
    used = np.zeros(naive.shape[1], dtype=np.int64)
    where: IntArray = np.arange(naive.shape[1])
    equity, before = naive, np.full(naive.shape[1], np.inf)
    for count in range(1, rounds + 1 if where.size else 1):
        values = claim_value(
            valuation,
            equity,
            assets,
            inside,
            outside,
            recovery=rho,
            volatility=sigma,
            reference_equity=reference,
            outside_senior=outside_senior,
            asset_recovery=asset_recovery,
            claim_recovery=claim_recovery,
            tie_defaults=tie_defaults,
        )
        new = assets + lent @ values - outside - inside
        change = np.max(np.abs(new - equity) / scale, axis=0)
        ratio = np.minimum(np.where(before > 0, change / np.where(before > 0, before, 1.0), 0.0), 1 - 1e-6)
        done = (change <= 1e-15) | (change * np.maximum(1.0, ratio / (1 - ratio)) <= tolerance)
        equity, before = new, change
        if done.any():
            at, keep = where[done], ~done
            equity_out[:, at], value_out[:, at] = np.compress(done, equity, axis=1), np.compress(done, values, axis=1)
            used[at] = count
            if done.all():
                break
            where, before = where[keep], before[keep]
            equity, assets, scale, reference = (np.compress(keep, array, axis=1) for array in (equity, assets, scale, reference))
    if used.size and not used.all():
        raise NotConverged(f"equity of scenario {int(where[0])} did not settle within {rounds} rounds")
    if single and naive.shape[1] == 1:
        return NetworkValuation(equity_out[:, 0], value_out[:, 0], used[0])
    return NetworkValuation(equity_out, value_out, used)
