"""Every name that a shock or a policy may move: a table of data, read by the parser, the command line and the schedule.

A lever has a **neutral** value, at which the model runs as if the lever did not exist. A change moves it away from neutral for a
while. ``operation`` is the natural way to move it (`changes.py` says which others are accepted).
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.errors import InputError, nearest


@dataclass(frozen=True)
class Lever:
    """One lever.

    name: what a YAML file writes. scope: ``global`` (one number) or ``agents`` (one number an agent). operation: ``multiply``,
    ``add`` or ``set``. neutral: value without any change. unit: of the value. low, high: allowed range of the value.
    meaning: one line. kind, lender_type: the agents it can reach (None: all). target: the name under which the schedule hands its
    value to the model (a lever restricted to banks moves the same number as the lever of all lenders).
    """

    name: str
    scope: str
    operation: str
    neutral: float
    unit: str
    low: float
    high: float
    meaning: str
    kind: str | None = None
    lender_type: str | None = None
    target: str = ""

    @property
    def key(self) -> str:
        """Name under which `LeverSchedule.at` gives the value."""
        return self.target or self.name

    @property
    def reach(self) -> str:
        """Whom the lever reaches, for tables and messages."""
        if self.scope == "global":
            return "global"
        return f"agents: {self.lender_type or self.kind or 'all'}"


def _global(name: str, operation: str, neutral: float, unit: str, low: float, high: float, meaning: str) -> Lever:
    return Lever(name, "global", operation, neutral, unit, low, high, meaning)


def _agents(name: str, operation: str, neutral: float, unit: str, low: float, high: float, meaning: str, kind: str | None = None) -> Lever:
    return Lever(name, "agents", operation, neutral, unit, low, high, meaning, kind)


def _risk_appetite(lender_type: str, words: str) -> Lever:
    name, meaning = f"{lender_type}.risk_appetite", f"willingness of {words} to lend and renew; multiplies lender.risk_appetite"
    return Lever(name, "agents", "multiply", 1.0, "factor", 0.0, 2.0, meaning, "lender", lender_type, "lender.risk_appetite")


def _demand(kind: str, words: str) -> Lever:
    return _agents(f"{kind}.demand", "multiply", 1.0, "factor", 0.0, 2.0, f"revenue of {words} from outside customers against its path", kind)


_RATE, _SHARE, _FACTOR = "rate per year", "share", "factor"

_CENTRAL_BANK = (
    _global("central_bank.hold", "set", 0.0, _SHARE, 0.0, 1.0,
            "share of the projected policy-rate path that is withheld; 1 = the rate stays at its level of the start date"),
    _global("central_bank.rate_shift", "add", 0.0, _RATE, -0.05, 0.10, "added to the policy rate"),
    _global("central_bank.stress_cut", "add", 0.0, _RATE, 0.0, 0.05, "rate cut in alarm: CDS index from twice its start until under 1.25 times"),
    _global("central_bank.taylor_weight", "set", 0.0, _SHARE, 0.0, 1.0,
            "weight of the inertial Taylor rule in the policy rate; the rest follows the projection"),
    _global("central_bank.path_weight", "set", 0.0, _SHARE, 0.0, 1.0,
            "weight of a path of one's own (central_bank.path_rate) in the policy rate, in place of projection and rule"),
    _global("central_bank.path_rate", "set", 0.0, _RATE, 0.0, 0.25, "policy rate of a path of one's own, if central_bank.path_weight is above 0"),
    _global("central_bank.facility_share", "set", 0.0, _SHARE, 0.0, 1.0,
            "emergency facility: share of haircut collateral that a solvent firm or lender short of cash can borrow"),
    _global("central_bank.asset_purchases", "set", 0.0, "share of the stock per year", 0.0, 0.5,
            "bonds and term loans of the borrowers of the model that the central bank buys from their lenders"),
)  # fmt: skip
_LENDERS = (
    _agents("lender.risk_appetite", "multiply", 1.0, _FACTOR, 0.0, 2.0, "willingness of all lenders to lend and renew", "lender"),
    _risk_appetite("bank", "banks"),
    _risk_appetite("private_credit", "private credit"),
    _risk_appetite("fund", "bond funds"),
    _risk_appetite("insurer", "insurers"),
    _agents("lender.funding_spread", "add", 0.0, _RATE, -0.02, 0.2, "added to what a lender pays for its own funding", "lender"),
    _global("bond_market.access", "multiply", 1.0, _FACTOR, 0.0, 1.0, "part of wanted bonds, new or renewed, that the market takes"),
    _agents("lender.redemptions", "add", 0.0, "share of assets per year", 0.0, 2.0, "money that a fund's investors take out", "lender"),
)  # fmt: skip
_RULES_FOR_LENDING = (
    _agents("lender.covenant_tightness", "multiply", 1.0, _FACTOR, 0.0, 5.0,
            "coverage and leverage covenants that a borrower must keep to have maturing loans renewed, against those in force; 0: no test"),
    _global("borrower.precautionary_draws", "multiply", 1.0, _FACTOR, 0.0, 5.0, "readiness of worried borrowers to draw their credit lines"),
    _agents("borrower.leverage_cap", "set", 10.0, "debt / assets", 0.0, 10.0,
            "no new lending that would take the borrower's debt / assets above it, whoever lends"),
    _agents("lender.leverage_cap", "set", 10.0, "debt / assets", 0.0, 10.0,
            "the same cap, for loans of these lenders only: what they must refuse is asked of lenders outside the rule", "lender"),
    _agents("lender.haircut", "add", 0.0, _SHARE, 0.0, 0.9,
            "added to the haircuts of these lenders on new secured loans: what they must refuse is asked of lenders outside the rule", "lender"),
    _agents("lender.capital_buffer", "set", 0.0, "equity / assets", 0.0, 0.1,
            "countercyclical buffer that lenders build up in good times, and that is released in stress", "lender"),
    _global("supervision.stress_test", "set", 0.0, "share of equity lost", 0.0, 0.95,
            "simulated fall of equity that a firm must survive, or borrow no more, pay out nothing and repay"),
)  # fmt: skip
_COLLATERAL = (
    _global("collateral.haircut", "add", 0.0, _SHARE, -0.5, 0.9,
            "added to every haircut on new secured lending and in the valuation for margin calls"),
    _global("collateral.haircut_sensitivity", "set", 0.0, "haircut per unit of yearly volatility", 0.0, 3.0,
            "added to every haircut per unit by which measured volatility of AI shares stands above its normal level"),
    _global("collateral.margin_floor", "set", 0.0, _SHARE, 0.0, 0.9,
            "through-the-cycle floor under what is added to haircuts: high in calm, so that it need not rise in stress"),
    _global("collateral.audit", "set", 0.0, _SHARE, 0.0, 1.0,
            "share of collateral that rests on unlisted shares, receivables or no audit which must be audited: no new loans on it before, "
            "fair value in place of a stale mark after"),
    _global("collateral.unaudited_haircut", "add", 0.0, _SHARE, 0.0, 0.9, "added to the haircut on collateral that nobody has audited"),
    _agents("lab_shares.value", "multiply", 1.0, _FACTOR, 0.01, 3.0, "fair value and mark of an AI lab's shares", "ai_lab"),
    _agents("listed_shares.value", "multiply", 1.0, _FACTOR, 0.01, 3.0, "fair value of an issuer's listed shares"),
    _global("accelerators.resale_value", "multiply", 1.0, _FACTOR, 0.01, 2.0, "resale value of accelerators"),
    _global("accelerators.new_generation", "set", 0.0, _SHARE, 0.0, 0.9,
            "part of their resale value that the accelerators in service lose, once, when a new chip generation ships; new ones come at full value"),
    _global("accelerators.ageing", "multiply", 1.0, _FACTOR, 0.0, 4.0, "ordinary yearly fall of the resale value of accelerators"),
    _global("data_centres.resale_value", "multiply", 1.0, _FACTOR, 0.01, 2.0, "resale value of data centres"),
)  # fmt: skip
_DEPTH_OF_MARKETS = (
    _global("listed_shares.depth", "multiply", 1.0, _FACTOR, 0.02, 50.0, "depth of the market for listed shares: half of it doubles the impact"),
    _global("unlisted_shares.depth", "multiply", 1.0, _FACTOR, 0.02, 50.0, "depth of the market for unlisted shares"),
    _global("securities.depth", "multiply", 1.0, _FACTOR, 0.02, 50.0, "depth of the market for the securities that lenders and investors hold"),
)  # fmt: skip
_CAPITAL_AND_EXPECTATIONS = (
    _agents("ai_lab.tranche_share", "multiply", 1.0, _FACTOR, 0.0, 2.0, "supply of new equity (rounds and tranches) that reaches AI labs", "ai_lab"),
    _global("stakes.unbundled", "set", 0.0, _SHARE, 0.0, 1.0, "share of the tranches tied to purchases that may no longer be tied to them"),
    _agents("orders.renegotiation", "set", 0.0, _SHARE, 0.0, 0.9,
            "cut of the price of what remains under contract that AI labs get from their sellers, against a longer term", "ai_lab"),
    _demand("ai_lab", "AI labs"),
    _demand("cloud", "clouds"),
    _demand("hyperscaler", "hyperscalers"),
    _demand("chipmaker", "chipmakers"),
    _agents("expectation.news", "add", 0.0, "growth per year", -1.0, 1.0, "news added to the growth that an agent expects while in force"),
    _agents("cds.premium", "add", 0.0, "decimal spread", 0.0, 0.2, "added to an agent's CDS spread"),
    _global("market.disclosure", "set", 0.0, _SHARE, 0.0, 1.0,
            "share of private marks and circular revenue that must be disclosed: marks follow fair value, circular sales count for less"),
    _global("short_seller.capacity", "multiply", 1.0, _FACTOR, 0.0, 5.0, "capital that short sellers can commit"),
    _global("short_seller.limit", "set", 0.0, _SHARE, 0.0, 1.0,
            "share of short sales that is forbidden: less pressure, slower correction of overpricing, thinner markets"),
)  # fmt: skip
_POWER_AND_LABOUR = (
    _global("power.connection_speed", "multiply", 1.0, _FACTOR, 0.0, 2.0, "power energised per year"),
    _global("power.price", "multiply", 1.0, _FACTOR, 0.1, 5.0, "price of power"),
    _global("household.displacement", "multiply", 1.0, _FACTOR, 0.0, 10.0, "workers displaced per unit of deployed capacity"),
)  # fmt: skip
_GOVERNMENT = (
    _global("government.absorption_share", "set", 0.0, _SHARE, 0.0, 1.0,
            "share of infrastructure investment (data-centre shell and power) paid by the government"),
    _global("government.guarantee_share", "set", 0.0, _SHARE, 0.0, 1.0,
            "share of lenders' credit losses on AI borrowers made good by the government"),
    _global("government.bail_out_share", "set", 0.0, _SHARE, 0.0, 1.0, "share of the shortfall of failing firms above the size threshold covered"),
    _global("government.systemic_bail_out_share", "set", 0.0, _SHARE, 0.0, 1.0,
            "share of the shortfall of failing firms whose failure would hurt others enough (DebtRank) covered"),
    _agents("guarantor.honoured_share", "multiply", 1.0, _SHARE, 0.0, 1.0,
            "share of what is called on its guarantees and swaps that a protection seller acknowledges; it may still be unable to pay"),
    _global("government.expensing_withdrawn", "set", 0.0, _SHARE, 0.0, 1.0,
            "share of investment that firms may no longer deduct from profit at once, but only as it wears out"),
    _global("government.chip_tariff", "set", 0.0, "share of the price", 0.0, 1.0, "tariff on the chips in firms' investment"),
    _global("government.robot_tax_rate", "set", 0.0, "share of the revenue of automated capacity", 0.0, 0.5, "robot tax"),
    _global("government.transfer_share", "set", 0.0, "share of the wage", 0.0, 0.5, "transfer to displaced workers on top of their benefits"),
    _global("government.retraining_share", "set", 0.0, _SHARE, 0.0, 1.0,
            "share of displaced workers in retraining, which brings them back to work sooner"),
)  # fmt: skip
_ENTRY = (
    _global("entry.barrier", "multiply", 1.0, _FACTOR, 0.1, 1.0,
            "cost of entering the market of AI labs: open weights, data and shared compute lower it"),
    _global("government.entry_funding", "set", 0.0, _SHARE, 0.0, 1.0, "share of an entrant's cost of entry that the government pays"),
)  # fmt: skip
_SINGLE_FIRMS = (
    Lever("agent.failure", "agents", "set", 0.0, "flag", 0.0, 1.0, "1: the agent fails at the start of the change (agents: [...])"),
)

_TABLE = (
    *_CENTRAL_BANK, *_LENDERS, *_RULES_FOR_LENDING, *_COLLATERAL, *_DEPTH_OF_MARKETS, *_CAPITAL_AND_EXPECTATIONS,
    *_POWER_AND_LABOUR, *_GOVERNMENT, *_ENTRY, *_SINGLE_FIRMS,
)  # fmt: skip

LEVERS: dict[str, Lever] = {lever.name: lever for lever in _TABLE}


def find_lever(name: object) -> Lever:
    """The lever of that name; InputError with the nearest valid name otherwise."""
    lever = LEVERS.get(name) if isinstance(name, str) else None
    if lever is None:
        raise InputError(f"unknown lever {str(name)!r}{nearest(str(name), LEVERS)} (capital-loop --info levers lists all)")
    return lever
