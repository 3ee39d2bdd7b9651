"""Entrants: AI labs that do not exist yet. A slot stays empty until entry pays; open models and public funding make it pay sooner."""

from __future__ import annotations

import numpy as np

from agents.base import Array
from agents.firm import Firm
from simulator.ledger.columns import Parameter, Stock, rule

SLOTS = (0.7, 0.9, 1.1, 1.3)  # entry cost of each slot over the usual one: the ablest come first (assumption, 0.5-2)
TARGET_SHARE = 0.04  # part of the labs' customers that an entrant wins (assumption, 0.02-0.08)
ENTRY_YEARS = 2.0  # entry cost in years of the sales aimed at: with 20 to 30 USD bn of sales 1.5 to 2.5 USD bn, a frontier model and its team (1-4)
WORTH_YEARS = 0.9  # what founders' backers pay for a year of such sales in calm times: a margin of 0.3 over three years (assumption, 0.5-2)
UPKEEP = 0.3  # yearly cost of keeping the model at the frontier, over its entry cost (assumption, 0.2-0.6)
RUNWAY_YEARS = 1.0  # years of upkeep that backers pay in beside the entry cost (assumption, 0.5-2)
TRAINING_MONTHS = 12.0  # from the decision to the first customer (assumption, 6-18)
SUCCESS_MAX = 3.0  # most that an entrant wins over the share aimed at (assumption, 2-5)
RAMP_MONTHS = 24.0  # from the first customer to the share aimed at (assumption, 12-36)
SUCCESS_VOLATILITY = 0.8  # yearly, of the share won against the share aimed at: young firms differ much (assumption, 0.4-1.2)
NEW_CUSTOMERS = 0.5  # part of an entrant's sales that nobody served before; the rest is taken from labs (assumption, 0.2-0.8)


class Entrant(Firm):
    """A slot for an AI lab that may enter. It owes no debt and has no listed shares; it fails when it can't pay its bills."""

    kind = "entrant"
    automates = True

    entry_month = Stock("months since the start", "month of entry; 0: not entered")
    entry_cost = Stock("USD bn", "cost of entry, fixed on the day of it")
    success = Stock("index", "share won over the share aimed at, once the ramp is over")
    slot_cost = Parameter("factor", "entry cost of the slot over the usual one")

    @property
    def has_entered(self) -> Array:
        """1 from the month after the decision on, ``(n, R)``."""
        return (self.entry_month > 0.0) & (self.entry_month <= self.books.tick)

    @property
    def age(self) -> Array:
        """Months since entry, ``(n, R)``; at most zero before."""
        return np.where(self.entry_month > 0.0, self.books.tick + 1.0 - self.entry_month, 0.0)

    @rule("USD bn")
    def cost_of_entry(self) -> Array:
        """What entry costs now, before public money, USD bn, (n, R).

        Rule: ``ENTRY_YEARS`` of the sales aimed at, dearer from slot to slot, as far as the barrier stands: the frontier grows with the market.
        """
        aimed = TARGET_SHARE * self.series("lab_sales") / self.years_per_tick
        return ENTRY_YEARS * aimed * self.slot_cost * self.lever("entry.barrier")

    @rule("0 or 1")
    def enters(self) -> Array:
        """Whether the slot's founders decide to enter now, (n, R).

        Rule: once, when what backers pay for the sales aimed at (less in a month in which they fund less of the labs' rounds) covers the cost of
        entry that public money leaves. Without the levers it never does. Source: free entry, as in [hopenhayn1992].
        """
        worth = WORTH_YEARS * TARGET_SHARE * self.series("lab_sales") / self.years_per_tick * self.series("lab_funding")
        own_part = self.cost_of_entry() * (1.0 - self.lever("government.entry_funding"))
        return ((worth >= own_part) & (worth > 0.0) & (self.entry_month == 0.0)).astype(np.float64)

    @rule("index")
    def new_success(self) -> Array:
        """How well the entrant's model does with customers, 1 on the day of entry, (n, R).

        Rule: a martingale in logs, by own luck alone, from entry on. Source: selection among entrants, [hopenhayn1992].
        """
        spread = SUCCESS_VOLATILITY * np.sqrt(self.years_per_tick)
        return self.success * np.where(self.has_entered, np.exp(spread * self.draw("own_demand") - 0.5 * spread * spread), 1.0)

    @rule("share")
    def share_won(self) -> Array:
        """Sales of this tick over those of all labs, (n, R). Rule: none while the model is trained, then a linear rise to ``TARGET_SHARE``,
        times how well the model does; at most three times that share."""
        reached = np.clip((self.age - TRAINING_MONTHS) / RAMP_MONTHS, 0.0, 1.0) * np.minimum(self.success, SUCCESS_MAX)
        return reached * TARGET_SHARE * self.has_entered * self.alive

    @rule("USD bn")
    def operating_cost(self) -> Array:
        """Cost of training before the first customer, then of serving and of keeping up, USD bn, (n, R).

        Rule: entry cost in equal parts over ``TRAINING_MONTHS``; then a share of revenue, and ``UPKEEP``.
        """
        training = self.entry_cost / TRAINING_MONTHS * (self.age <= TRAINING_MONTHS)
        keeping_up = UPKEEP * self.entry_cost * self.years_per_tick * (self.age > TRAINING_MONTHS)
        return (training + keeping_up) * self.has_entered + self.cost_share * self.revenue_now * self.years_per_tick
