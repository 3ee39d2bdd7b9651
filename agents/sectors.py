"""The sectors around the firms: the Fed, the government, households, short sellers, and the rest of the world."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.base import Array, EconomicAgent
from simulator.ledger.columns import rule
from simulator.ledger.sums import total

DISPLACEMENT = 0.0025  # workers displaced a year per unit of deployment: 6.5 % in ten years if deployment averages 2.6 times its start
WEALTH_EFFECT = 0.03  # consumption per dollar of wealth ([case_quigley_shiller2005]: 0.02-0.05)
WEALTH_GROWTH = 0.055  # yearly growth of share wealth that households take for granted: the median path (assumption, 0.04-0.08)
REHIRE_SPEED = 1.0  # per year; displaced workers find new work in about a year ([jacobson_lalonde_sullivan1993])
SHORT_PRESSURE = 0.02  # price pressure a month on a fully targeted share (assumption, 0.01-0.05)
SHORT_NAMES = 5.0  # firms that the capital of short sellers can press on in full at once (assumption, 2-10)
INERTIA = 0.85  # part of the gap to the projection that a quarter keeps (the inertial rule that the Fed shows; [clarida_gali_gertler2000]: 0.79)
RESPONSE_TO_INFLATION = 1.5  # rate per point of inflation above its path ([taylor1993])
RESPONSE_TO_UNEMPLOYMENT = 1.0  # rate per point of unemployment above its path (0.5 on output by [taylor1993] is 1 by Okun's law; 0.5-2)
TOO_BIG_TO_FAIL = 0.5  # part of an announced bail-out that lenders count on (rating agencies' uplift for support is one to three notches; 0-1)
BAIL_OUT_DEBT = 20.0  # USD bn of debt from which a firm is large enough to be bailed out (assumption, 10-50)
RETRAINING_EFFECT = 0.5  # speed of re-employment added by retraining ([card_kluve_weber2018]: effects grow over two years; 0.1-0.8)
RETRAINING_COST = 0.2  # cost of a year of retraining per yearly wage (assumption, 0.1-0.4)
CDS_ALARM = 2.0  # multiple of the opening CDS index above which the stress rule cuts
CDS_CALM = 1.25  # multiple of the opening CDS index under which the cut is taken back (assumption, 1-1.75)


class CentralBank(EconomicAgent):
    """The Fed: sets the policy rate along its own projection, moved by shocks and policies."""

    kind = "central_bank"

    @rule("per year")
    def projected_rate(self) -> Array:
        """Policy rate of the Fed's projection at the start, per year, (1, 1).

        Rule: the projected cut over the first year, then a linear return to the long-run rate over two years. Source: macro.csv.
        """
        month = self.books.tick + 1
        after_cut = self.macro("policy_rate") - self.macro("policy_rate_cut_2026") * min(month / 12.0, 1.0)
        weight = min(max((month - 12.0) / 24.0, 0.0), 1.0)
        return np.ones((1, 1)) * (after_cut + (self.macro("long_run_policy_rate") - after_cut) * weight)

    @rule("per year")
    def policy_rate(self) -> Array:
        """Policy rate of this tick, per year, (1, R).

        Rule: the projection less its withheld part, or by their weights a Taylor rule and a path of one's own; a shift, and a cut while credit
        markets are in alarm; not under zero.
        Source: [taylor1993] for the second.
        """
        start, projected = self.macro("policy_rate"), self.projected_rate()
        path = start + (1.0 - self.lever("central_bank.hold")) * (projected - start)
        weight = self.lever("central_bank.taylor_weight")
        if weight.any():
            path = path + weight * (projected + self.taylor_gap() - path)
        own = self.lever("central_bank.path_weight")
        path = path + own * (self.lever("central_bank.path_rate") - path)
        path = path + self.lever("central_bank.rate_shift")
        return np.maximum(path - self.series("rate_alarm") * self.lever("central_bank.stress_cut"), 0.0)

    @rule("0 or 1")
    def rate_alarm(self) -> Array:
        """Whether credit markets are in alarm, (1, R).

        Rule: from the month in which the CDS index is above CDS_ALARM times its start until it is under CDS_CALM times: a central bank does not
        take a cut back the month after.
        """
        bound = np.where(self.series("rate_alarm") > 0.0, CDS_CALM, CDS_ALARM)
        return (self.series("cds_index") > bound * self.series("cds_index_at_start")).astype(float)

    def taylor_gap(self) -> Array:
        """Gap between an inertial Taylor rule and the projection, per year, (1, R).

        Rule: ``ρ gap + (1 - ρ) (φπ (π - π₀) + φu (u₀ - u))``: ρ a month, the gap that stood last month, inflation and unemployment of last month
        against their path in the quiet world, so that without luck or shock the rule gives the projection.
        Source: [taylor1993]; inertia as in [clarida_gali_gertler2000].
        """
        inertia = INERTIA ** (1.0 / 3.0)
        month = self.books.tick - 1
        if month < 0:
            return np.zeros((1, self.books.replications))
        inflation = self.series("inflation") - self.books.foreseen["inflation"][month]
        unemployment = self.series("unemployment") - self.books.foreseen["unemployment"][month]
        wanted = RESPONSE_TO_INFLATION * inflation - RESPONSE_TO_UNEMPLOYMENT * unemployment
        return inertia * (self.series("policy_rate") - self.series("projected_rate")) + (1.0 - inertia) * wanted


class Government(EconomicAgent):
    """Absorbs part of the infrastructure cost, guarantees, bails out, insures deposits, and keeps the bill."""

    kind = "government"

    @rule("share")
    def absorbed_share(self) -> Array:
        """Share of building cost (not chips) that the government pays, in [0, 1], (1, 1). Rule: the programme in force."""
        return self.lever("government.absorption_share")

    @rule("share")
    def backing(self) -> Array:
        """Part of a borrower's credit losses that its lenders expect the government to bear, in [0, 1], (N, R).

        Rule: the guarantee in force, and of the rest a part of the bail-out that firms of its size may count on (moral hazard: what is backed is
        lent to more freely and more cheaply).
        """
        columns = self.books.columns
        sure = self.lever("government.guarantee_share")
        large = (columns["debt"] >= BAIL_OUT_DEBT) * self.books.can_default[:, None]
        return sure + (1.0 - sure) * TOO_BIG_TO_FAIL * self.lever("government.bail_out_share") * large

    @rule("USD bn")
    def transfers(self) -> Array:
        """Benefits and transfers to displaced workers this tick, USD bn, (1, R).

        Rule: a quarter of the average wage for each displaced worker (benefits replace a half, and end after half a year), and the transfer in force.
        """
        wage_bill = self.macro("labour_share") * self.macro("gdp") * self.years_per_tick
        return (0.25 + self.lever("government.transfer_share")) * wage_bill * self.series("displaced")

    @rule("USD bn")
    def retraining_cost(self) -> Array:
        """What retraining of displaced workers costs this tick, USD bn, (1, R). Rule: a part of the average wage for each worker retrained."""
        wage_bill = self.macro("labour_share") * self.macro("gdp") * self.years_per_tick
        return RETRAINING_COST * self.lever("government.retraining_share") * wage_bill * self.series("displaced")


class Household(EconomicAgent):
    """Works, consumes, holds shares through funds; customers and displaced workers at once."""

    kind = "household"

    @rule("share")
    def displaced_share(self) -> Array:
        """Share of workers displaced by deployed capacity and not yet re-employed, in [0, 0.5], (1, R).

        Rule: deployed AI capacity displaces workers in proportion, who are re-absorbed over time, sooner after retraining. Source: calibration,
        6.5 % of workers in ten years; [acemoglu_restrepo2020] for the form.
        """
        pace = DISPLACEMENT * self.lever("household.displacement") * self.series("deployment") * self.years_per_tick
        speed = REHIRE_SPEED * (1.0 + RETRAINING_EFFECT * self.lever("government.retraining_share"))
        back = speed * self.years_per_tick * self.series("displaced")
        return np.clip(self.series("displaced") + pace - back, 0.0, 0.5)

    @rule("index")
    def demand_index(self) -> Array:
        """What households spend on AI-using services relative to the start, (1, R).

        Rule: income lost to displacement, half replaced and more by transfers, and a wealth effect of share prices above or under their normal
        path. Source: model.md stage 11.
        """
        lost = 0.5 - self.lever("government.transfer_share")
        income = 1.0 - lost * self.macro("labour_share") * (self.series("displaced") - self.series("displaced_at_start"))
        consumption = self.macro("consumption_share") * self.macro("gdp")
        expected = self.series("wealth_at_start") * np.exp(WEALTH_GROWTH * (self.books.tick + 1) * self.years_per_tick)
        wealth = WEALTH_EFFECT * (self.series("wealth") - expected) / consumption
        return np.clip(income + wealth, 0.5, 1.5)


class ShortSeller(EconomicAgent):
    """Targets tight cash flow, high debt and an unrelenting need to invest."""

    kind = "short_seller"

    @rule("share")
    def score(self, rows: NDArray[np.int64] | None = None) -> Array:
        """How vulnerable each firm (of ``rows``) looks, in [0, 1], (n, R).

        Rule: the mean of four: debt over debt and market value; the cash that operations, dues and investment take in a quarter over cash and open
        lines; investment over investment and operating cash flow; the rise of its CDS over its start.
        Source: model.md, agent ShortSeller; [hirshleifer2011], short sellers choose by accounts.
        """

        asked = np.arange(self.books.agents) if rows is None else rows

        def of(*names: str) -> Array:  # each is cut out when its turn comes: all of them at once don't fit into the processor's cache
            added: Array = self.books[names[0]][asked]
            for name in names[1:]:
                added += self.books[name][asked]
            return added

        investment = of("planned_investment")
        flow = of("outside_sales", "receipts_due")
        flow += of("chip_sales") * self.years_per_tick
        flow -= of("operating_bill", "tax_bill", "power_bill", "supplier_bill", "interest_due", "order_bills", "rent_bills")
        gap = np.maximum(investment + of("principal_due") - flow, 0.0)
        burn = np.minimum(3.0 * gap / np.maximum(of("cash", "open_lines"), 1e-3), 1.0)
        need = investment / np.maximum(investment + np.maximum(flow, 0.0), 1e-6)
        debt = of("debt")
        leverage = debt / (debt + np.maximum(of("shares") * of("share_price"), 1e-6))
        worry = np.clip(of("cds") / np.maximum(of("cds_at_start"), 1e-6) - 1.0, 0.0, 1.0)
        return (leverage + burn + need + worry) / 4.0

    @rule("per month")
    def pressure(self) -> Array:
        """Downward pressure on every listed share this tick, log points, (N, R).

        Rule: what a target's score has risen since the first month is attacked, as far as short sales are allowed; the capital of all short
        sellers suffices for ``SHORT_NAMES`` full targets and is shared by what each score has risen. Source: model.md, agent ShortSeller.
        """
        columns = self.books.columns
        rows = np.flatnonzero(columns["is_listed"][:, 0] * columns["is_issuer"][:, 0])
        excess = np.clip(self.score(rows) - columns["short_score_at_start"][rows], 0.0, 1.0) * columns["alive"][rows]
        capacity = self.lever("short_seller.capacity") * (1.0 - self.lever("short_seller.limit"))
        rationed = np.minimum(1.0, SHORT_NAMES * capacity / np.maximum(total(excess), 1e-9))
        pressure = np.zeros(columns["alive"].shape)
        pressure[rows] = SHORT_PRESSURE * capacity * excess * rationed
        return pressure


class Outside(EconomicAgent):
    """The rest of the world: customers, suppliers and buyers of last resort; closes every flow."""

    kind = "outside"
