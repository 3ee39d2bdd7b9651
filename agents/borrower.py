"""How a borrower's maturities, covenants and lines stand: what lenders look at when debt comes due, and what it does in a stress."""

from __future__ import annotations

import numpy as np

from agents.base import Array, EconomicAgent, Flow, Parameter, Stock
from simulator.ledger.columns import rule

EARNINGS_MEMORY = 1.0 / 12.0  # covenants are tested on the earnings of the last year
COVENANT_CUSHION = 0.5  # default covenant: coverage may fall by this part below that of the first month ([chava_roberts2008]; 0.25-0.6)
DRAW_FROM = 2.0  # CDS over its start from which a name counts as stressed (assumption, 1.5-3)
DRAW_SPEED = 0.06  # part of an open line that a borrower in full stress draws in a month ([ivashina_scharfstein2010]; 0.03-0.2)
PREFUNDING = 1.0 / 12.0  # part of the refinancing gap of the coming year that a firm tries to fund in a month ([xu2018]; 0-0.2)
PAYBACK = 1.0 / 6.0  # part of what was drawn out of precaution that is paid back in a calm month (assumption, 0.1-0.5)


class Borrower(EconomicAgent):
    """An agent with maturities, covenants and credit lines."""

    due_next_year = Flow("USD bn", "principal that falls due in the coming twelve months, as of the quarter")
    open_lines = Flow("USD bn", "undrawn credit lines")
    earnings = Stock("USD bn per year", "smoothed cash earnings before interest and principal")
    interest_due = Flow("USD bn", "interest due this tick")
    cover_at_start = Stock("number", "earnings / interest in the first month; 0 where there is no test")
    covenant_coverage = Parameter("number", "smallest earnings / interest of the strictest loan that gives one; 0: by the first month")
    covenant_leverage = Parameter("number", "largest debt / earnings of the strictest loan that gives one; 0: none")
    cds = Stock("per year", "five-year CDS premium")
    cds_at_start = Parameter("per year", "sourced CDS premium at the start")

    @property
    def interest_cover(self) -> Array:
        """Earnings over interest, both per year, ``(n, R)``; 0 where there is no interest."""
        interest = self.interest_due / self.years_per_tick
        cover = self.earnings / np.maximum(interest, 1e-6)
        cover[interest <= 1e-6] = 0.0
        return cover

    @rule("share")
    def refinancing_gap(self) -> Array:
        """Part of debt that falls due within a year and that own liquidity does not cover, in [0, 1], (n, R).

        Rule: principal of the coming year less cash, open lines and a year's earnings after interest, over debt: the liquidity ratio of the
        rating agencies. Source: [he_xiong2012], rollover risk; [almeida2012], firms with debt maturing in a crisis.
        """
        gap = self.due_next_year - np.maximum(self.cash, 0.0)
        gap -= self.open_lines
        gap -= np.maximum(self.earnings - self.interest_due / self.years_per_tick, 0.0)
        gap /= np.maximum(self.debt, 1e-6)
        return np.clip(gap, 0.0, 1.0, out=gap)

    refinancing_gap_now = Flow("share", "refinancing gap of this tick, before lending")

    @rule("share")
    def covenant_pass(self) -> Array:
        """Part of a maturing loan with covenants that a lender renews by its covenants alone, in [0, 1], (n, R).

        Rule: all while coverage (earnings over interest) and leverage (debt over earnings) keep their covenants, nothing at half of them, in
        proportion between. Source: [chava_roberts2008], control rights after a violation; [lian_ma2021] for earnings-based tests.
        """
        tight = self.lever("lender.covenant_tightness")
        given = self.covenant_coverage > 0.0
        least = np.where(given, self.covenant_coverage, (1.0 - COVENANT_CUSHION) * self.cover_at_start) * tight
        cover = self.interest_cover / np.maximum(least, 1e-9)
        cover[(least <= 0.0) | (self.interest_due <= 1e-9)] = 1.0
        most = self.covenant_leverage
        if most.any():
            allowed = most * np.maximum(self.earnings, 0.0)
            leverage = np.where((most > 0.0) & (self.debt > 1e-9), allowed / np.maximum(self.debt * tight, 1e-9), 1.0)
            cover = np.minimum(cover, leverage)
        return np.clip(2.0 * cover - 1.0, 0.0, 1.0)

    @rule("share")
    def distress(self) -> Array:
        """How worried others are about the agent, in [0, 1], (n, R).

        Rule: CDS over its start beyond ``DRAW_FROM``; for a lender also what its capital no longer lets it renew.
        """
        risen = np.clip(self.seen("spread", "cds") / np.maximum(self.cds_at_start, 1e-6) - DRAW_FROM, 0.0, 1.0)
        return np.maximum(risen, 1.0 - self.columns["renewal_room"][self.rows]) * self.alive


__all__ = ["PAYBACK", "PREFUNDING", "DRAW_SPEED", "Borrower"]
