"""How others see a firm: its credit standing, its CDS premium, its leverage, and the equity that investors would fund."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, ndtr

from agents.base import Array, Flow, Parameter, Stock
from agents.borrower import Borrower
from simulator.ledger.columns import rule
from simulator.markets.regulation import unbacked_risk

ACCEPTANCE_AT_ZERO = 6.0  # log-odds that a lender accepts a borrower without risk (assumption, 4-7)
CDS_HALF = 0.02  # a CDS this much higher lowers the log-odds by one (assumption, 0.015-0.03)
LEVERAGE_COMFORT = 0.7  # market leverage above this lowers the log-odds (assumption, 0.6-0.8)
LEVERAGE_SLOPE = 8.0  # by this much per unit (assumption, 5-12)
COVERED_BY_CONTRACT = 2.0  # log-odds for a borrower whose contracted sales of a year equal its debt (assumption, 0-3)
WALL_COMFORT = 0.1  # part of debt that may fall due within a year uncovered before lenders mind (assumption, 0.05-0.2)
WALL_SLOPE = 3.0  # log-odds lost per unit beyond (assumption, 2-8)
PREMIUM_ELASTICITY = 0.02  # chi: spread per log point of assets over equity ([bernanke1999] use 0.05 on the cost of capital; assumption, 0.01-0.05)
LEVERAGE_MAX = 20.0  # assets over equity above which the premium rises no more (assumption, 10-30)
LEVERAGE_FLOOR = 0.1  # a young firm's first loans do not make it riskier: below a tenth, leverage says nothing (assumption, 0.05-0.2)
MARKET_VOLATILITY = 0.16  # yearly, of the market factor (long-run average of US shares; 0.12-0.2)
AI_VOLATILITY = 0.15  # yearly, of the AI factor beyond the market (assumption, 0.1-0.25)
DEBT_VOLATILITY = 0.12  # yearly, of corporate debt, for the asset volatility (assumption, 0.05-0.15)
VOLATILITY_MEMORY = 1.0 / 12.0  # share returns of about a year make the volatility that default protection is priced on
VOLATILITY_PASS = 0.15  # part of a rise of equity volatility that counts as one of assets (assumption, 0.05-0.5; implied volatility leads more)
VOLATILITY_MAX = 1.5  # largest such factor (assumption, 1.25-2)
NEIGHBOUR_PREMIUM = 0.03  # premium when defaults of those it is exposed to cost its equity ([jorion_zhang2009]; 0.01-0.06)
NEIGHBOUR_MEMORY = 1.0 / 6.0  # part of that fear that is gone after a month (assumption, 0.1-0.3)
MERTON_YEARS = 5.0  # horizon of the distance to default: the tenor of the CDS
STRESS_SHARE = 0.25  # part of a name's opening premium that market stress adds, per unit of the index over its start (assumption, 0.1-0.5)
STRESS_FROM = 1.25  # index over its start from which the market is in stress (assumption, 1.1-1.5)
NEWS_TO_REVENUE = 0.5  # log value moved by a log point of surprise in sales (assumption, 0.3-1)
NEWS_TO_GROWTH = 2.0  # years of extra growth that a change of expected growth is worth (assumption, 1-4)
NEWS_MAX = 0.3  # largest move of value by one month's news (assumption, 0.2-0.5)
GEARING_MAX = 3.0  # debt makes shares move more than the firm, at most so much (assumption, 2-4)
RATE_DURATION = 6.0  # fall in log value per unit of surprise in the policy rate (assumption, 3-12)
RISK_PREMIUM = 0.05  # yearly return above the policy rate that shares of unit beta earn (assumption, 0.03-0.07)
SUPPLY_AT_START = 2.5  # log-odds that a wanted round is funded in calm times (assumption, 2-3.5)
SUPPLY_TO_RETURN = 2.0  # per unit of yearly return above the normal one (assumption, 1-4)
SUPPLY_TO_GROWTH = 1.0  # per unit of expected growth over its start (assumption, 0.5-2)


class Issuer(Borrower):
    """An agent whose debt and shares others hold and price."""

    leverage = Flow("share", "debt over debt plus equity, at the market where there is a price")
    shares = Stock("USD bn at the opening price", "shares outstanding")
    share_price = Stock("1 at the start", "price of a share; mark of an unlisted one")
    months_in_arrears = Stock("months", "months for which something has been overdue")
    margin_breached = Stock("0 or 1", "1 while a loan stands above its close-out level")
    expected_growth = Stock("per year", "growth of revenue that the firm expects")
    value_trend = Flow("per month", "smoothed return of the fair value of its shares, of who may raise equity")
    contracted_next = Flow("USD bn", "contracted sales of the coming year")
    outside_growth = Parameter("per year", "expected growth at the start")
    cds_constant = Parameter("per year", "sourced premium less the model's at the start: liquidity and jump risk")
    asset_volatility = Parameter("per year", "volatility of the firm's assets: of equity and debt, weighted by the opening leverage")
    equity_volatility = Parameter("per year", "standard deviation of the share return")
    demand_luck = Flow("log points", "part of this month's surprise in sales that is the firm's own luck")
    lever_news = Flow("log points", "part of it that a demand lever made: the shock itself")
    gearing = Flow("number", "move of the shares per move of the firm, this month")
    price_change = Flow("log points", "move of the price of a share this month")
    is_listed = Parameter("0 or 1", "whether the shares are listed")
    return_variance = Stock("per month", "smoothed squared return of the listed shares")
    neighbour_loss = Stock("share", "what recent defaults of others were expected to cost it, over its equity; fades")
    revenue_surprise = Flow("log points", "change of sales against what was foreseen")
    market_beta = Parameter("number", "loading of the share return on the market factor")
    ai_beta = Parameter("number", "loading of the share return on the AI factor")
    is_issuer = Parameter("0 or 1", "whether the agent has shares")
    total_assets = Flow("USD bn", "book assets at the start of the tick")
    public_backing = Flow("share", "part of its credit losses that lenders expect the government to bear")
    news_of_disclosure = Flow("log points", "move of its value because circular revenue becomes visible")
    news_of_circularity = Flow("log points", "move of its value because disclosed circular revenue changed")

    @property
    def market_value(self) -> Array:
        """Market value of the shares, USD bn, ``(n, R)``."""
        return self.shares * self.share_price

    @rule("number")
    def new_gearing(self) -> Array:
        """Move of the shares per move of the firm, (n, R). Rule: one plus debt over market value, bounded."""
        return np.minimum(1.0 + self.debt / np.maximum(self.market_value, 1e-6), GEARING_MAX)

    @rule("log points")
    def return_by_luck(self) -> Array:
        """Return of the fair value by luck this tick, log points, (n, R).

        Rule: required return, market, AI and own noise that add to the sourced volatility, and the news of the firm's own luck in demand
        and of the growth that luck makes expect.
        Source: two-factor model; discounted-earnings news in flow form ([campbell_shiller1988]), so that the opening value is exact.
        """
        years = self.years_per_tick
        market, ai = self.market_beta * MARKET_VOLATILITY, self.ai_beta * AI_VOLATILITY
        common = market * market + ai * ai
        own = np.sqrt(np.maximum(self.equity_volatility**2 - common, 0.01))
        noise = market * self.draw("market") + ai * self.draw("ai") + own * self.draw("own_return")
        drift = (self.macro("policy_rate") + RISK_PREMIUM - 0.5 * (common + own * own)) * years
        growth = self.seen("expectation", "growth_news") - self.seen("expectation", "growth_news_by_shock")
        growth -= self.seen("expectation", "growth_news_by_others")
        news = self.gearing * (NEWS_TO_REVENUE * self.demand_luck + NEWS_TO_GROWTH * growth)
        return np.sqrt(years) * noise + drift + np.clip(news, -NEWS_MAX, NEWS_MAX)

    @rule("log points")
    def return_by_shock(self) -> Array:
        """Return by what shocks and policies themselves move, log points, (n, R). Rule: surprises of the policy rate by duration, of demand levers by
        their part of sales, the growth that demand levers and the expectation lever make expect, and the disclosure of circular revenue."""
        sales, growth = self.lever_news, self.seen("expectation", "growth_news_by_shock")
        news: Array | float = 0.0
        if sales.any() or growth.any():  # most shocks move neither
            news = np.clip(self.gearing * (NEWS_TO_REVENUE * sales + NEWS_TO_GROWTH * growth), -NEWS_MAX, NEWS_MAX)
        return (news - RATE_DURATION * self.series("rate_news") * self.market_beta + self.news_of_disclosure) * self.is_issuer

    @rule("log points")
    def return_by_others(self) -> Array:
        """Return by sales that others' decisions gave or took and by the growth that they make expect, log points, (n, R).

        Rule: the rest of the surprise and of the growth news, geared, and the change of what is disclosed as circular."""
        rest = NEWS_TO_REVENUE * (self.revenue_surprise - self.demand_luck - self.lever_news)
        rest += NEWS_TO_GROWTH * self.seen("expectation", "growth_news_by_others")
        rest *= self.gearing
        return np.clip(rest, -NEWS_MAX, NEWS_MAX) + self.news_of_circularity

    @rule("share")
    def credit_standing(self) -> Array:
        """Share of its requests that lenders with room to spare would take, in [0, 1], (n, R).

        Rule: falls with the CDS (as far as the government does not stand behind it), with market leverage and with debt that falls due within a
        year and is not covered, rises with contracted sales over debt (backlog is collateral for belief); nothing for who is overdue or in margin
        breach. Source: model.md stage 4; logistic form as in [bernanke1999]-type rationing, coefficients assumed.
        """
        covered = np.minimum(self.contracted_next / np.maximum(self.debt, 1e-6), 1.0)
        odds = ACCEPTANCE_AT_ZERO + COVERED_BY_CONTRACT * covered - unbacked_risk(self.books, self.rows) / CDS_HALF
        odds -= WALL_SLOPE * np.maximum(self.refinancing_gap_now - WALL_COMFORT, 0.0)
        odds -= LEVERAGE_SLOPE * np.maximum(self.seen("spread", "leverage") - LEVERAGE_COMFORT, 0.0)
        standing: Array = expit(odds, out=odds)
        standing[(self.months_in_arrears >= 1.0) | (self.margin_breached >= 1.0)] = 0.0
        standing *= self.alive
        return standing

    @rule("per year")
    def external_finance_premium(self) -> Array:
        """External finance premium, per year, (n, R). Rule: ``χ ln(assets / equity)``. Source: [bernanke1999], eq. 3.8 in logs."""
        return -PREMIUM_ELASTICITY * np.log1p(-np.minimum(self.seen("spread", "leverage"), 1.0 - 1.0 / LEVERAGE_MAX))

    @rule("share")
    def market_leverage(self) -> Array:
        """Debt over debt plus equity, in [0, 1], (n, R). Rule: equity at the market where it has a price, at book elsewhere."""
        equity = np.where(self.is_issuer > 0.0, self.market_value, np.maximum(self.book_net_worth, 0.0))
        return self.debt / np.maximum(self.debt + equity, 1e-6)

    @rule("per month")
    def smoothed_variance(self) -> Array:
        """Squared share return of the last year, per month, (n, R). Rule: a twelfth of the way to this month's; unlisted shares keep theirs."""
        change = np.clip(self.price_change, -1.0, 1.0) * self.alive
        listed = self.is_listed * self.is_issuer
        return self.return_variance + VOLATILITY_MEMORY * listed * (change * change - self.return_variance)

    @property
    def volatility_factor(self) -> Array:
        """Asset volatility that the market sees over that of the start, ``(n, R)``: part of the rise of equity volatility over the sourced one."""
        ratio = np.sqrt(12.0 * self.return_variance) / np.maximum(self.equity_volatility, 0.01)
        return np.clip(1.0 + VOLATILITY_PASS * (ratio - 1.0), 1.0, VOLATILITY_MAX)

    @rule("share")
    def fear_of_neighbours(self) -> Array:
        """Losses expected from recent defaults of others over own equity, fading, in [0, 1], (n, R). Rule: a sixth fades each month."""
        return np.minimum(self.neighbour_loss, 1.0) * (1.0 - NEIGHBOUR_MEMORY)

    @rule("per year")
    def structural_spread(self) -> Array:
        """Spread that pays for expected loss over five years, per year, (n, R).

        Rule: hazard from Merton's distance to default at the firm's own asset volatility (so that equity volatility rises with leverage),
        raised as its shares turn more volatile, times loss given default. Source: [merton1974]; [campbell_taksler2003] for volatility.
        """
        debt = self.debt
        leverage = np.clip(debt / np.maximum(debt + self.market_value, 1e-6), LEVERAGE_FLOOR, 0.999)
        volatility = self.asset_volatility * self.volatility_factor
        distance = (0.02 - 0.5 * volatility * volatility) * MERTON_YEARS - np.log(leverage)
        survival = np.maximum(ndtr(distance / (volatility * np.sqrt(MERTON_YEARS))), 0.02)
        return np.log(survival) / -MERTON_YEARS * (1.0 - self.macro("recovery_unsecured"))

    @rule("per year")
    def cds_premium(self) -> Array:
        """Five-year CDS premium, per year, (n, R); the dead keep their last.

        Rule: the structural spread, a constant per name that makes the opening premium the sourced one, a premium while the whole market is in
        stress, and one after defaults of those to whom the agent is exposed. Source: [merton1974]; [longstaff2011] for the common factor;
        [jorion_zhang2009] for counterparties.
        """
        ratio = self.series("cds_index") / np.maximum(self.series("cds_index_at_start"), 1e-6)
        stress = STRESS_SHARE * self.cds_at_start * np.clip(ratio - STRESS_FROM, 0.0, 4.0)
        least = 0.5 * np.minimum(self.cds_at_start, 0.01)
        fear = NEIGHBOUR_PREMIUM * np.minimum(self.neighbour_loss, 1.0)
        premium = np.minimum(np.maximum(self.structural_spread() + self.cds_constant, least) + stress + fear + self.lever("cds.premium"), 1.0)
        np.copyto(premium, self.cds, where=self.alive <= 0.0)
        return premium

    @rule("share")
    def funded_share_of_round(self) -> Array:
        """Part of wanted new shares that investors are ready to fund, in [0, 1], (n, R).

        Rule: ``expit(a + b (R_AI + R_own) + c (g / g₀ - 1)) × tranche_share``: R_AI the AI share return of the last twelve months, R_own the
        smoothed yearly return of the issuer's own fair value, both above the normal return, g expected growth; lag one tick.
        Source: [baker_wurgler2007] for sentiment-driven supply; the coefficients are assumptions.
        """
        growth = self.expected_growth / np.maximum(self.outside_growth, 0.05)
        recent = self.series("ai_return_year") + np.clip(12.0 * self.value_trend, -1.5, 1.5)
        odds = SUPPLY_AT_START + SUPPLY_TO_RETURN * recent + SUPPLY_TO_GROWTH * np.clip(growth - 1.0, -1.5, 1.0)
        return np.minimum(expit(odds) * self.lever("ai_lab.tranche_share"), 1.0)
