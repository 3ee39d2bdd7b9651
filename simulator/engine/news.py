"""News by what made it: the shock itself, others' decisions, or luck, so that a move of prices can be booked under its cause.

Expected growth and the trend of sales that it follows are linear in what enters them, so each cause's part follows the same rule with its own
input (:meth:`agents.firm.Firm.new_expected_growth`); luck is what remains.
"""

from __future__ import annotations

from agents.firm import EXPECTATION_SPEED, EXTRAPOLATION
from simulator.ledger.books import Books


def split_sales_trend(books: Books) -> None:
    """The parts of ``sales_trend`` that demand levers and others' decisions made, per year, ``(N, R)`` each."""
    others = books["revenue_surprise"] - books["demand_luck"] - books["lever_news"]
    for name, surprise in (("trend_by_shock", books["lever_news"]), ("trend_by_others", others)):
        books[name][...] += (12.0 * surprise - books[name]) / 6.0


def split_growth_news(books: Books) -> None:
    """The parts of ``growth_news`` that the shock and others made, per year, ``(N, R)`` each.

    The shock's: demand levers and the expectation lever. Others': sales that their decisions gave or took, and the extrapolated return of AI
    shares as far as it is not luck's: a price that a shock has moved is news to everybody else only because others extrapolate it.
    """
    speed = EXPECTATION_SPEED * books.years_per_tick
    by_shock = books["trend_by_shock"] + books.levers["expectation.news"]
    by_others = books["trend_by_others"] + EXTRAPOLATION * books.series["ai_contagion_year"]
    for part, anchor in (("shock", by_shock), ("others", by_others)):
        so_far, news = books[f"growth_by_{part}"], books[f"growth_news_by_{part}"]
        news[...] = speed * (anchor - so_far)
        so_far += news
