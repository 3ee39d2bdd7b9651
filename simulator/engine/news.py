"""News by what made it: the shock itself, others' decisions, or luck, so that a move of prices can be booked under its cause.

Expected growth and the trend of sales that it follows are linear in what enters them, so each cause's part follows the same rule with its own
input (:meth:`agents.firm.Firm.new_expected_growth`); luck is what remains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.firm import EXPECTATION_SPEED, EXTRAPOLATION
from simulator.ledger.books import Books

Array = NDArray[np.float64]


def take_in_sales(books: Books, deviation: Array, change: Array) -> None:
    """Keep the surprise in this month's sales, what of it is luck's and the levers', and the trends that follow from each, ``(N, R)``.

    ``deviation (N, R)``: log of sales over what was foreseen. ``change (N, 1)`` or ``(N, R)``: log change of the demand levers. Both luck and levers
    move outside sales alone, so their parts are in proportion to those; the rest is others' decisions.
    """
    c = books.columns
    surprise, luck, by_levers = c["revenue_surprise"], c["demand_luck"], c["lever_news"]
    np.subtract(deviation, c["deviation"], out=surprise)
    np.clip(surprise, -0.3, 0.3, out=surprise)
    c["deviation"][...] = deviation
    sales = c["outside_sales"] + c["receipts_due"] + c["chip_sales"] / 12.0
    np.maximum(sales, 1e-9, out=sales)
    share = np.divide(c["outside_sales"], sales, out=sales)
    np.copyto(share, 0.0, where=surprise == 0.0)
    luck *= share
    others = surprise - luck
    is_lever_moved = change.any()
    if is_lever_moved:
        np.multiply(change, share, out=by_levers)
        others -= by_levers
    else:
        by_levers[...] = 0.0
    for name, news in (("sales_trend", surprise), ("trend_by_shock", by_levers), ("trend_by_others", others)):
        trend = c[name]
        if news is not by_levers or is_lever_moved or trend.any():  # without a demand lever its part stays at zero
            trend += (12.0 * news - trend) / 6.0


def split_growth_news(books: Books) -> None:
    """The parts of ``growth_news`` that the shock and others made, per year, ``(N, R)`` each.

    The shock's: demand levers and the expectation lever. Others': sales that their decisions gave or took, and the extrapolated return of AI
    shares as far as it is not luck's: a price that a shock has moved is news to everybody else only because others extrapolate it.
    """
    speed = EXPECTATION_SPEED * books.years_per_tick
    extrapolated = EXTRAPOLATION * books.series["ai_contagion_year"]
    for part, more in (("shock", books.levers["expectation.news"]), ("others", extrapolated)):
        trend, so_far, news = books[f"trend_by_{part}"], books[f"growth_by_{part}"], books[f"growth_news_by_{part}"]
        anchor = np.add(trend, more, out=news)
        np.subtract(anchor, so_far, out=news)
        news *= speed
        so_far += news
