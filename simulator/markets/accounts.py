"""The accounts of a tick: macroeconomy, market values, and what the recorder keeps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import total
from simulator.markets.cross_holdings import held_within
from simulator.markets.regulation import measure_volatility

Array = NDArray[np.float64]

AI_KINDS = ("chipmaker", "hyperscaler", "cloud", "ai_lab")
OKUN = 0.5  # points of unemployment per point of output gap ([ball_leigh_loungani2017]: 0.4-0.5)
PHILLIPS = 0.2  # points of inflation per point of unemployment gap, yearly (assumption, 0.1-0.4)
DOMESTIC_SHARE = 0.5  # part of AI investment that is value added at home (imports of chips are large; calibration 1.1 of which 0.8 net of imports)
NORMAL_RETURN = 0.086


def ai_rows(books: Books) -> NDArray[np.int64]:
    """Rows of the agents whose shares are the AI market."""
    return np.concatenate([np.arange(books.rows[kind].start, books.rows[kind].stop) for kind in AI_KINDS])


def share_index(books: Books) -> Array:
    """Index of the AI shares, USD bn, ``(1, R)``: opening market values at today's prices, so that issuance does not move it; never zero."""
    rows = books.ai_rows
    return np.maximum(total(books["market_value_at_start"][rows] * np.take(books["share_price"], rows, axis=0)), 1e-9)


def market_values(books: Books, ledger: Ledger, history: list[Array], contagion: list[Array]) -> None:
    """AI and total market value, and the AI share return of the last twelve months above the normal one, ``(1, R)`` each.

    ``history`` and ``contagion`` keep the last thirteen months of the log index and of the part of it that is not luck's.

    The return is that of opening holdings (price changes, not issuance). Other shares move with the market factor.
    """
    rows = books.ai_rows
    value = ledger.sum(np.take(books["shares"], rows, axis=0) * np.take(books["share_price"], rows, axis=0))
    books.series["ai_market_value"] = value
    books.series["ai_market_value_net"] = value - held_within(books, rows)
    others = np.maximum(books.macro["total_market_value"] - ledger.sum(books["market_value_at_start"][rows]), 0.0)
    books.series["other_market_value"] = others * books.series["market_index"]
    books.series["total_market_value"] = value + books.series["other_market_value"]
    history.append(np.log(share_index(books)))
    contagion.append(books.series["index_by_contagion"])
    measure_volatility(books, history[-1] - history[-2])
    months = min(len(history) - 1, 12)
    if months:
        books.series["ai_return_year"] = np.clip(history[-1] - history[-1 - months] - NORMAL_RETURN * months / 12.0, -2.0, 2.0)
        books.series["ai_contagion_year"] = np.clip(contagion[-1] - contagion[-1 - months], -2.0, 2.0)
    if len(history) > 13:
        history.pop(0)
        contagion.pop(0)
    books.series["wealth"] = books.series["total_market_value"]


def macroeconomy(books: Books, ledger: Ledger, investment: Array) -> None:
    """GDP against its reference path, unemployment and inflation, ``(1, R)`` each.

    Rule: GDP = C + I + G + net outside; here the change against the reference of AI investment (its domestic part) and of consumption.
    Unemployment follows Okun's law and displacement; inflation a Phillips curve.
    """
    series = books.series
    years = (books.tick + 1) * books.years_per_tick
    reference = books.macro["gdp"] * np.exp((books.macro["gdp_growth"] + books.macro["inflation_target"]) * years)
    yearly = ledger.sum(investment) * books.ticks_per_year
    series["investment"] = yearly
    if books.tick == 0:
        series["investment_at_start"] = yearly.copy()
    expected = series["investment_at_start"] * reference / books.macro["gdp"]
    series["gdp_gap"] = DOMESTIC_SHARE * (yearly - expected) / reference + books.macro["consumption_share"] * (series["household_demand"] - 1.0)
    series["gdp"] = reference * (1.0 + series["gdp_gap"])
    natural = books.macro["natural_unemployment"]
    wanted = natural + series["displaced"] - OKUN * series["gdp_gap"]
    series["unemployment"] = np.clip(series["unemployment"] + 0.25 * (wanted - series["unemployment"]), 0.005, 0.5)
    slack = series["unemployment"] - natural
    drift = 0.1 * (books.macro["inflation_target"] - series["inflation"]) - PHILLIPS * slack * books.years_per_tick
    series["inflation"] = series["inflation"] + drift


def circulate(books: Books, ledger: Ledger, wages: Array, taxes: Array) -> None:
    """Wages and taxes, which firms pay through Outside, reach households and the government; both spend, so the money goes round.

    ``wages`` and ``taxes`` ``(1, R)``, USD bn. When the rest of the world runs low on deposits, households buy from it with theirs.
    """
    low = 0.25 * books["cash_at_start"][books.outside]
    lent = np.clip(low - books["cash"][books.outside], 0.0, 0.5 * books["cash"][books.household])
    ledger.pay_between(books.household, books.outside, lent[None, :])
    ledger.lend_to_outside()
    for receiver, amount in ((books.household, wages), (books.government, taxes)):
        ledger.pay_between(books.outside, receiver, amount)
        ledger.pay_between(receiver, books.outside, amount)


def concentration(books: Books, ledger: Ledger) -> Array:
    """Herfindahl index of the AI market value over its firms, in [0, 1], ``(1, R)``."""
    value = np.take(books["shares"], books.ai_rows, axis=0) * np.take(books["share_price"], books.ai_rows, axis=0)
    share = value / np.maximum(ledger.sum(value), 1e-9)
    return ledger.sum(share * share)
