"""Prices of default risk: Merton's model of the firm and its inverse, and credit default swaps with both legs.

All functions work element by element on arrays of any (broadcastable) shape. Rates and spreads are decimals per year with
continuous compounding, maturities are years, money is in any one unit.

Sources: Merton (1974), Journal of Finance 29(2); the joint inversion as in Hull, Options, Futures and Other Derivatives, section
"Using equity prices to estimate default probabilities"; the legs of a CDS as in O'Kane & Turnbull (2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from simulator.networks._checks import FloatArray, NetworkInputError, NotConverged, at_most, numbers, share, switch, together, word

LONGEST = 100_000.0
"""Years; a longer maturity is a mistake."""

MOST_GROWTH = 600.0
"""The largest -rate times maturity: exp of more is beyond the range of a float."""


@dataclass(frozen=True)
class MertonValues:
    """`equity`, `debt` (market values), `spread` (per year over the riskless rate), `distance_to_default`, `default_probability`."""

    equity: FloatArray
    debt: FloatArray
    spread: FloatArray
    distance_to_default: FloatArray
    default_probability: FloatArray


@dataclass(frozen=True)
class ImpliedAssets:
    """`assets` (market value of the firm) and `volatility` (of the assets, per year)."""

    assets: FloatArray
    volatility: FloatArray


@dataclass(frozen=True)
class CdsLegs:
    """Present values for a notional of 1: `protection`, and `annuity` = premium leg at a spread of 1, accrued premium included."""

    protection: FloatArray
    annuity: FloatArray


def distance_to_default(
    assets: ArrayLike, debt: ArrayLike, volatility: ArrayLike, rate: ArrayLike = 0.0, maturity: ArrayLike = 1.0
) -> FloatArray:
    """Standard deviations by which assets are expected to end above the face value of debt (d2; negative below).

    (ln(assets / debt) + (rate - volatility^2 / 2) maturity) / (volatility sqrt(maturity)). `rate` is the drift of assets: the riskless
    rate gives the risk-neutral distance (Merton 1974), an expected return the real-world one. +inf without debt, -inf without assets;
    without volatility or maturity +-inf by the sign of assets at maturity minus debt (a tie counts as solvent).
    Raises NetworkInputError on negative assets, debt, volatility or maturity.
    """
    return _distance(*_merton_inputs(assets, debt, volatility, rate, maturity))


def _merton_inputs(
    assets: ArrayLike, debt: ArrayLike, volatility: ArrayLike, rate: ArrayLike, maturity: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    given = (numbers("assets", assets), numbers("debt", debt), numbers("volatility", volatility))
    return (*given, *_rate_and_years(rate, maturity))


def _rate_and_years(rate: ArrayLike, maturity: ArrayLike) -> tuple[FloatArray, FloatArray]:
    rates, years = numbers("rate", rate, negative=True), numbers("maturity", maturity)
    together(rate=rates, maturity=years)
    at_most("maturity", LONGEST, years)
    at_most("-rate", 1.0, -rates)
    if np.any(-rates * years > MOST_GROWTH):
        raise NetworkInputError(f"-rate times maturity is above {MOST_GROWTH:g}: a discount factor beyond all numbers")
    return rates, years


def _distance(assets: FloatArray, debt: FloatArray, volatility: FloatArray, rate: FloatArray, maturity: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        spread_out = volatility * np.sqrt(maturity)
        height = np.log(assets) - np.log(debt) + (rate - 0.5 * volatility * volatility) * maturity
        distance = height / spread_out
        still = np.where(height >= 0, np.inf, -np.inf)
        distance = np.where(spread_out > 0, distance, still)
    return np.where(debt == 0, np.inf, np.where(assets == 0, -np.inf, distance))


def merton(assets: ArrayLike, debt: ArrayLike, volatility: ArrayLike, rate: ArrayLike = 0.0, maturity: ArrayLike = 1.0) -> MertonValues:
    """Equity as a call on the firm's assets, debt as the rest (Merton 1974, eqs. 10 and 13).

    `assets` market value of the firm, `debt` face value due at `maturity`; `default_probability` = N(-d2) is risk-neutral.
    Raises NetworkInputError on negative input.
    """
    value, face, sigma, drift, years = _merton_inputs(assets, debt, volatility, rate, maturity)
    together(assets=value, debt=face, volatility=sigma, rate=drift, maturity=years)
    d2 = _distance(value, face, sigma, drift, years)
    d1 = d2 + sigma * np.sqrt(years)
    discounted = face * np.exp(-drift * years)
    debt_value = value * ndtr(-d1) + discounted * ndtr(d2)
    equity = np.maximum(value * ndtr(d1) - discounted * ndtr(d2), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.where(discounted > 0, debt_value / discounted, 1.0)
        spread = np.where(price >= 1.0, 0.0, np.where(years > 0, -np.log(price) / years, np.inf))
    return MertonValues(equity, debt_value, spread, d2, ndtr(-d2))


def implied_assets(
    equity: ArrayLike, debt: ArrayLike, equity_volatility: ArrayLike, rate: ArrayLike = 0.0, maturity: ArrayLike = 1.0
) -> ImpliedAssets:
    """Assets and their volatility from the market value and volatility of equity: the inverse of `merton`.

    Solves equity = call(assets) and equity_volatility * equity = N(d1) * volatility * assets together. The volatility of assets lies
    between 0 and that of equity; within that bracket it is found by regula falsi (Illinois), the assets for each trial by Newton's
    method from above (the call is convex). Raises NetworkInputError on equity, volatility or maturity that are not positive.
    """
    value, face, sigma_equity, drift, years = _merton_inputs(equity, debt, equity_volatility, rate, maturity)
    for name, array in (("equity", value), ("equity_volatility", sigma_equity), ("maturity", years)):
        if (array <= 0).any():
            raise NetworkInputError(f"{name}{list(map(int, np.argwhere(array <= 0)[0]))} must be above 0")
    together(equity=value, debt=face, equity_volatility=sigma_equity, rate=drift, maturity=years)
    value, face, sigma_equity, drift, years = (np.array(array) for array in np.broadcast_arrays(value, face, sigma_equity, drift, years))
    root_years, discounted = np.sqrt(years), face * np.exp(-drift * years)

    def assets_at(sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The assets whose call is worth `equity`, and how far the volatility of equity is then too high."""
        assets = value + discounted
        running = np.ones(assets.shape, dtype=bool)
        for _ in range(100):
            d2 = _distance(assets, face, sigma, drift, years)
            delta = ndtr(d2 + sigma * root_years)
            error = assets * delta - discounted * ndtr(d2) - value
            step = np.where(delta > 0, error / np.where(delta > 0, delta, 1.0), 0.0)
            better = np.clip(assets - step, value, value + discounted)
            running &= np.abs(better - assets) > 1e-15 * assets
            assets = np.where(running, better, assets)
            if not running.any():
                break
        delta = ndtr(_distance(assets, face, sigma, drift, years) + sigma * root_years)
        return assets, (delta * sigma * assets - sigma_equity * value) / (sigma_equity * value)

    low, high = np.zeros(value.shape), np.array(sigma_equity)
    low_error, high_error = np.full(value.shape, -1.0), np.array(assets_at(high)[1])
    answer, side = np.array(high), np.zeros(value.shape)
    running = np.array(high_error > 1e-14)
    for _ in range(200):
        trial = np.where(running, (low * high_error - high * low_error) / np.where(running, high_error - low_error, 1.0), answer)
        trial = np.where((trial > low) & (trial < high), trial, np.where(running, 0.5 * (low + high), answer))
        error = assets_at(np.maximum(trial, 1e-300))[1]
        answer = np.where(running, trial, answer)
        above = error > 0
        # Illinois: the end that stays put twice has its weight halved.
        low_error = np.where(running & above & (side > 0), 0.5 * low_error, np.where(running & ~above, error, low_error))
        high_error = np.where(running & ~above & (side < 0), 0.5 * high_error, np.where(running & above, error, high_error))
        high, low = np.where(running & above, trial, high), np.where(running & ~above, trial, low)
        side = np.where(above, 1.0, -1.0)
        running = running & (np.abs(error) > 1e-14) & (high - low > 1e-15 * high)
        if not running.any():
            return ImpliedAssets(assets_at(answer)[0], answer)
    raise NotConverged(f"implied_assets did not settle at index {list(map(int, np.argwhere(running)[0]))}")


def cds_legs(
    hazard: ArrayLike,
    recovery: ArrayLike,
    maturity: ArrayLike,
    rate: ArrayLike = 0.0,
    frequency: int = 4,
    default_timing: Literal["continuous", "midpoint"] = "continuous",
    accrued: bool = True,
    schedule: ArrayLike | None = None,
) -> CdsLegs:
    """Present values of both legs of a credit default swap, survival exp(-hazard t), discount exp(-rate t), notional 1.

    Premium is paid `frequency` times a year in arrears, the first period short when `maturity` is not a whole number of periods; with
    `accrued` the part of a period run up to the default is paid then. Defaults fall at any time (`continuous`, exact integrals) or in
    the middle of a period (`midpoint`, as in Hull's tables and QuantLib's mid-point engine). `schedule` = increasing period ends in
    years starting with 0 replaces `maturity` and `frequency`.
    Raises NetworkInputError on negative hazard, recovery outside [0, 1], maturity or frequency not above 0.
    """
    intensity, recovered = numbers("hazard", hazard), numbers("recovery", recovery)
    discount, years = _rate_and_years(rate, maturity)
    together(hazard=intensity, recovery=recovered, rate=discount, maturity=years)
    at_most("recovery", 1.0, recovered)
    word("default_timing", default_timing, ("continuous", "midpoint"))
    switch("accrued", accrued)
    if (years <= 0).any():
        raise NetworkInputError("maturity must be above 0")
    if not share("frequency", frequency, 0.0, 1000.0) > 0:
        raise NetworkInputError("frequency = 0 must be above 0")
    total = intensity + discount
    shape = np.broadcast_shapes(total.shape, years.shape)
    annuity, defaults = np.zeros(shape), np.zeros(shape)
    if schedule is not None:
        ends = numbers("schedule", schedule)
        if ends.ndim != 1 or ends.size < 2 or ends[0] != 0 or (np.diff(ends) <= 0).any():
            raise NetworkInputError("schedule must start with 0 and increase")
        for start, end in pairwise(ends):
            one = _period(intensity, total, np.asarray(end - start), default_timing, accrued)
            survived = np.exp(-total * start)
            annuity, defaults = annuity + survived * one[0], defaults + survived * one[1]
        return CdsLegs((1.0 - recovered) * defaults, annuity)
    # Equal periods after the first: a geometric series of one period.
    periods = np.maximum(np.ceil(np.round(years * frequency, 9)), 1.0)
    full = 1.0 / frequency
    stub = years - (periods - 1) * full
    first, later = (_period(intensity, total, length, default_timing, accrued) for length in (stub, np.asarray(full)))
    flat = np.abs(total) * full < 1e-14
    series = np.where(flat, periods - 1, np.expm1(-total * full * (periods - 1)) / np.where(flat, 1.0, np.expm1(-total * full)))
    weight = np.exp(-total * stub) * series
    annuity, defaults = annuity + first[0] + weight * later[0], defaults + first[1] + weight * later[1]
    return CdsLegs((1.0 - recovered) * defaults, annuity)


def _period(intensity: FloatArray, total: FloatArray, length: FloatArray, timing: str, accrued: bool) -> tuple[FloatArray, FloatArray]:
    """Premium per unit of spread, and discounted probability of default, of one period seen from its start."""
    premium = length * np.exp(-total * length)
    if timing == "midpoint":
        defaults = -np.expm1(-intensity * length) * np.exp(-(total - intensity) * 0.5 * length)
        return premium + (0.5 * length * defaults if accrued else 0.0), defaults
    x = total * length
    small = np.abs(x) < 1e-4
    safe = np.where(small, 1.0, x)
    first = np.where(small, 1 - x / 2 + x * x / 6 - x * x * x / 24, -np.expm1(-safe) / safe)
    second = np.where(small, 0.5 - x / 3 + x * x / 8 - x * x * x / 30, (-np.expm1(-safe) - safe * np.exp(-safe)) / (safe * safe))
    defaults = intensity * length * first
    return premium + (intensity * length * length * second if accrued else 0.0), defaults


def cds_spread(
    hazard: ArrayLike,
    recovery: ArrayLike,
    maturity: ArrayLike,
    rate: ArrayLike = 0.0,
    frequency: int = 4,
    default_timing: Literal["continuous", "midpoint"] = "continuous",
    accrued: bool = True,
    schedule: ArrayLike | None = None,
) -> FloatArray:
    """Par spread per year: the premium at which both legs of `cds_legs` are worth the same. Arguments and errors as there.

    0.2 to 0.6 % (of itself) above the credit triangle hazard * (1 - recovery), because premium is paid in arrears.
    """
    legs = cds_legs(hazard, recovery, maturity, rate, frequency, default_timing, accrued, schedule)
    return legs.protection / np.maximum(legs.annuity, 1e-300)


def hazard_from_spread(
    spread: ArrayLike,
    recovery: ArrayLike,
    maturity: ArrayLike,
    rate: ArrayLike = 0.0,
    frequency: int = 4,
    default_timing: Literal["continuous", "midpoint"] = "continuous",
    accrued: bool = True,
    schedule: ArrayLike | None = None,
) -> FloatArray:
    """Hazard rate per year whose `cds_spread` is `spread`: secant steps from the credit triangle, each element stopped by itself.

    Raises NetworkInputError on a negative spread or full recovery, NotConverged when no hazard gives the spread (possible with
    `midpoint`, where default waits for the middle of the period).
    """
    wanted, recovered = numbers("spread", spread), numbers("recovery", recovery)
    if (recovered >= 1).any():
        raise NetworkInputError("recovery must be below 1: with full recovery any hazard gives a spread of 0")
    rates, years = _rate_and_years(rate, maturity)
    together(spread=wanted, recovery=recovered, rate=rates, maturity=years)
    shape = np.broadcast_shapes(wanted.shape, recovered.shape, years.shape, rates.shape)
    wanted = np.array(np.broadcast_to(wanted, shape))
    hazard = wanted / (1.0 - recovered) + np.zeros(shape)
    running = np.array(hazard > 0)
    for _ in range(100):
        # Spread and hazard are nearly proportional, so scaling the hazard by wanted / found converges fast; the slope refines it.
        found = cds_spread(hazard, recovery, maturity, rate, frequency, default_timing, accrued, schedule)
        nudged = cds_spread(hazard * (1 + 1e-6), recovery, maturity, rate, frequency, default_timing, accrued, schedule)
        slope = (nudged - found) / np.where(running, hazard * 1e-6, 1.0)
        step = (wanted - found) / np.where(running & (slope > 0), slope, 1.0)
        better = np.clip(hazard + step, 0.2 * hazard, 5.0 * hazard)
        moved = np.abs(better - hazard)
        hazard = np.where(running, better, hazard)
        running = running & (moved > 1e-13 * hazard)
        if not running.any():
            break
    found = cds_spread(hazard, recovery, maturity, rate, frequency, default_timing, accrued, schedule)
    bad = np.abs(found - wanted) > 1e-9 * (wanted + 1e-12)
    if bad.any():
        raise NotConverged(f"no hazard rate gives spread{list(map(int, np.argwhere(bad)[0]))} = {wanted[bad][0]:g} per year")
    return hazard
