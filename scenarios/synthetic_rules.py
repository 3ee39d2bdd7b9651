"""The rules of random economies, one sort of link or book each, in the order in which `scenarios.synthetic` calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scenarios.synthetic_parts import DEBT_SHARE, LENDER_EQUITY
from simulator.ledger.names import LENDER_TYPES

if TYPE_CHECKING:
    from scenarios.synthetic import Draft

Rows = NDArray[np.int64]


def _merged(owners: Rows, partners: Rows, agents: int) -> tuple[Rows, Rows]:
    """Pairs without repetition and without an agent paired to itself."""
    keys = np.unique(owners[owners != partners] * agents + partners[owners != partners])
    return keys // agents, keys % agents


def trade(draft: Draft) -> None:
    """Compute, chips and power: who buys from whom. The size of a lab is the compute it buys in a year."""
    labs, random = draft.rows["ai_lab"], draft.random
    sellers = np.concatenate([draft.rows["cloud"], draft.rows["hyperscaler"]])
    lab = draft.links(labs, 3.0)
    lab, seller = _merged(lab, draft.partners(len(lab), sellers), draft.agents)
    yearly = draft.split(draft.size, lab)
    years = random.integers(4, 8, len(lab))
    draft.add(
        "orders",
        seller=seller,
        buyer=lab,
        good="cloud",
        amount=yearly * years,
        end=12 * years,
        take_or_pay=draft.between(0.6, 1.0, len(lab)),
    )
    sold = draft.sums(yearly, seller)
    clouds, hyperscalers, chipmakers = draft.rows["cloud"], draft.rows["hyperscaler"], draft.rows["chipmaker"]
    values = draft.values
    values["capacity"][clouds] = np.maximum(draft.size[clouds], sold[clouds] / 0.35)
    values["outside_revenue"][clouds] = 0.45 * values["capacity"][clouds] - sold[clouds]
    values["capex"][clouds] = 0.25 * values["capacity"][clouds]
    values["capacity"][hyperscalers] = np.maximum(draft.size[hyperscalers], sold[hyperscalers])
    values["outside_revenue"][hyperscalers] = 1.2 * values["capacity"][hyperscalers] - 0.5 * sold[hyperscalers]
    values["capex"][hyperscalers] = 0.25 * values["capacity"][hyperscalers]
    buyer = draft.links(sellers, 2.0)
    buyer, seller = _merged(buyer, draft.partners(len(buyer), chipmakers), draft.agents)
    share = draft.split(np.full(draft.agents, 0.95), buyer)
    draft.add("orders", seller=seller, buyer=buyer, good="chips", supply_share=share)
    draft.size[chipmakers] += draft.sums(share * values["capex"][buyer] * values["chips_share"][buyer], seller)[chipmakers]
    utility = draft.partners(len(sellers), draft.rows["utility"])
    draft.add("orders", seller=utility, buyer=sellers, good="power", supply_share=1.0)
    need = draft.sums(values["capacity"][sellers] * values["power_needed_per_capacity"][sellers], utility)
    utilities = draft.rows["utility"]
    values["power_online"][utilities] = 0.05 + 1.2 * need[utilities]
    values["power_growth"][utilities] = 0.25 * values["power_online"][utilities]
    values["power_queue"][utilities] = 0.2 * values["power_online"][utilities]


def firms(draft: Draft) -> None:
    """Stocks and flows of firms but for stakes and debt. Leases: a campus is at most a quarter of what its tenant turns over."""
    values, size, rows = draft.values, draft.size, draft.rows
    chipmakers, labs, utilities, companies = rows["chipmaker"], rows["ai_lab"], rows["utility"], rows["project_company"]
    values["outside_revenue"][chipmakers] = size[chipmakers]
    values["capacity"][chipmakers] = 0.3 * size[chipmakers]
    values["capex"][chipmakers] = 0.06 * size[chipmakers]
    values["outside_revenue"][labs] = size[labs] * draft.between(0.8, 1.4, len(labs))
    values["fixed_cost"][labs] = 0.2 * size[labs]
    values["capacity"][utilities] = size[utilities] + 20.0 * values["power_online"][utilities]
    values["outside_revenue"][utilities] = 0.3 * values["capacity"][utilities]
    values["capex"][utilities] = 0.06 * values["capacity"][utilities]
    tenant = draft.partners(len(companies), np.concatenate([rows["hyperscaler"], rows["cloud"]]))
    campuses = draft.sums(np.ones(len(companies)), tenant)
    values["capacity"][companies] = np.minimum(size[companies], 0.25 * values["outside_revenue"][tenant] / campuses[tenant])
    draft.add("leases", lessor=companies, lessee=tenant, rent=0.14 * values["capacity"][companies], end=180)
    for kind, cash, other in (("chipmaker", 0.4, 0.6), ("hyperscaler", 0.2, 0.4), ("ai_lab", 1.0, 0.5)):
        base = values["outside_revenue"][rows[kind]]
        values["cash"][rows[kind]], values["other_assets"][rows[kind]] = cash * base, other * base
    for kind, cash, other in (("cloud", 0.08, 0.05), ("project_company", 0.03, 0.02), ("utility", 0.04, 0.1)):
        base = values["capacity"][rows[kind]]
        values["cash"][rows[kind]], values["other_assets"][rows[kind]] = cash * base, other * base
    values["market_value"][chipmakers] = 8.0 * size[chipmakers]
    values["market_value"][rows["hyperscaler"]] = 5.0 * values["outside_revenue"][rows["hyperscaler"]]
    values["market_value"][rows["cloud"]] = 1.2 * values["capacity"][rows["cloud"]]
    values["market_value"][labs] = 15.0 * values["outside_revenue"][labs]
    values["market_value"][utilities] = 0.8 * values["capacity"][utilities]


def stakes(draft: Draft) -> None:
    """Investors, chipmakers and hyperscalers hold shares of labs, investors those of clouds, households those of the largest firms."""
    rows, worth = draft.rows, draft.values["market_value"]
    labs, clouds = rows["ai_lab"], rows["cloud"]
    for issuers, part, rounds, mean in ((labs, 0.4, 0.4, 4.0), (clouds, 0.15, 0.2, 1.3)):
        issuer = draft.links(issuers, mean)
        issuer, holder = _merged(issuer, draft.partners(len(issuer), rows["investor"]), draft.agents)
        share = draft.split(np.ones(draft.agents), issuer)
        draft.add("stakes", holder=holder, issuer=issuer, value=part * share * worth[issuer], round_share=rounds * share)
    lab = labs[draft.random.random(len(labs)) < 0.7]
    tranche = 0.6 * draft.size[lab]
    draft.add(
        "stakes",
        holder=draft.partners(len(lab), rows["chipmaker"]),
        issuer=lab,
        value=0.05 * worth[lab],
        tranche_remaining=tranche,
        tranche_trigger="purchases",
        tranche_end=24,
        round_share=0.1,
    )
    lab = labs[draft.random.random(len(labs)) < 0.5]
    draft.add("stakes", holder=draft.partners(len(lab), rows["hyperscaler"]), issuer=lab, value=0.15 * worth[lab], round_share=0.15)
    issuer = np.concatenate([rows["chipmaker"], rows["hyperscaler"]])
    draft.add("stakes", holder=np.repeat(rows["household"], len(issuer)), issuer=issuer, value=0.05 * worth[issuer])
    held = draft.sums(draft.column("stakes", "value"), draft.column("stakes", "holder").astype(np.int64))
    investors, values = rows["investor"], draft.values
    values["other_assets"][investors] = draft.size[investors] + 0.3 * held[investors]
    values["cash"][investors] = 0.1 * (draft.size[investors] + held[investors])
    values["outside_revenue"][investors] = 0.06 * values["other_assets"][investors]


def loans_to_firms(draft: Draft, mean_degree: float) -> None:
    """Debt of firms: a share of their assets, cut among lenders drawn by size or evenly; as many loans as the mean degree leaves."""
    values, random = draft.values, draft.random
    assets = values["cash"] + values["capacity"] + values["other_assets"]
    debt = np.zeros(draft.agents)
    for kind, share in DEBT_SHARE.items():
        members = draft.rows[kind]
        debt[members] = assets[members] * share * draft.between(0.8, 1.1, len(members))
        values["other_liabilities"][members] = 0.05 * assets[members]
    borrowers = np.concatenate([draft.rows[kind] for kind in DEBT_SHARE])
    so_far = sum(len(draft.column(table, "seller" if table == "orders" else "holder")) for table in ("orders", "stakes"))
    borrower = draft.links(borrowers, max(1.5, ((mean_degree - 0.8) * draft.agents - so_far) / (1.15 * len(borrowers))))
    borrower, lender = _merged(borrower, draft.partners(len(borrower), draft.rows["lender"]), draft.agents)
    count = len(borrower)
    edges = [draft.rows[kind][0] for kind in ("hyperscaler", "cloud", "project_company", "ai_lab", "investor", "utility")]
    code = np.searchsorted(edges, borrower, side="right")  # chipmaker 0, hyperscaler 1, cloud 2, project company 3, lab 4, utility 6
    by_bank = lender <= draft.lenders["bank"][-1]
    spread = np.array([0.012, 0.01, 0.045, 0.025, 0.06, 0.0, 0.015])[code] * draft.between(0.8, 1.2, count)
    words = np.array(["bond", "bond", "delayed_draw", "project_bond", "term_loan", "", "bond"])[code]
    collateral = np.array(["none", "none", "accelerators", "data_centre", "none", "", "none"])[code]
    principal = draft.split(debt, borrower)
    draft.add(
        "loans",
        lender=lender,
        borrower=borrower,
        kind=np.where(by_bank & (code != 2), "term_loan", words),
        principal=principal,
        undrawn=np.where(code == 2, 0.2, 0.0) * principal,
        rate_type=np.where(by_bank | (code == 2), "floating", "fixed"),
        rate=spread + np.where(by_bank | (code == 2), 0.0, 0.0375),
        maturity=np.where(code == 3, 180, random.integers(6, 97, count)),
        repayment=np.where((code == 2) | (code == 3), "amortising", "bullet"),
        seniority=np.where((code == 2) | (code == 3), "secured", "senior"),
        collateral=collateral,
        new_lending=random.random(count) < 0.8,
        new_term_months=60,
    )


def loans_among_lenders(draft: Draft) -> None:
    """Banks lend to one another and to other lenders. Core and periphery: one side of every interbank loan is one of the largest banks."""
    given = draft.sums(draft.column("loans", "principal"), draft.column("loans", "lender").astype(np.int64))
    banks = draft.lenders["bank"]
    core = banks[np.argsort(-draft.size[banks], kind="stable")[: max(2, len(banks) // 10)]]
    one = draft.links(banks, 3.0)
    other = draft.partners(len(one), core if draft.by_size else banks)
    is_lender = draft.random.random(len(one)) < 0.5
    lender, borrower = _merged(np.where(is_lender, one, other), np.where(is_lender, other, one), draft.agents)
    others = np.concatenate([draft.lenders["private_credit"], draft.lenders["fund"]])
    credit = draft.links(others, 2.0)
    credit, credit_bank = _merged(credit, draft.partners(len(credit), banks), draft.agents)
    for by, to, part, spread, term in ((lender, borrower, 0.15, 0.002, 12), (credit_bank, credit, 0.25, 0.015, 36)):
        draft.add(
            "loans",
            lender=by,
            borrower=to,
            kind="facility",
            principal=draft.split(part * given, to),
            rate_type="floating",
            rate=spread,
            maturity=draft.random.integers(1, term + 1, len(by)),
            new_lending=True,
            new_term_months=term,
        )


def margin_loans(draft: Draft) -> None:
    """Half of the stakes of investors are pledged for a margin loan of a quarter of their value, half at a bank drawn by size."""
    holder = draft.column("stakes", "holder").astype(np.int64)
    value = draft.column("stakes", "value")
    investors = draft.rows["investor"]
    stake = np.flatnonzero((holder >= investors[0]) & (holder <= investors[-1]) & (draft.random.random(len(holder)) < 0.5))
    draft.add(
        "loans",
        lender=draft.partners(len(stake), draft.lenders["bank"]),
        borrower=holder[stake],
        kind="margin_loan",
        principal=value[stake] * draft.between(0.15, 0.35, len(stake)),
        rate_type="floating",
        rate=0.025,
        maturity=draft.random.integers(12, 49, len(stake)),
        seniority="secured",
        collateral="shares",
        pledged_stake=stake,
        ltv_call=0.5,
        ltv_close_out=0.65,
        new_lending=True,
        new_term_months=24,
    )


def lenders_and_sectors(draft: Draft) -> None:
    """Balance sheets of lenders around their loans, and money: deposits of banks and the central bank are the cash of all the others."""
    values, rows = draft.values, draft.rows
    principal = draft.column("loans", "principal")
    given = draft.sums(principal, draft.column("loans", "lender").astype(np.int64))
    owed = draft.sums(principal, draft.column("loans", "borrower").astype(np.int64))
    banks = draft.lenders["bank"]
    lenders = rows["lender"]
    values["other_assets"][lenders] = draft.size[lenders] + 0.5 * given[lenders]
    for kind in LENDER_TYPES[1:]:
        members = draft.lenders[kind]
        values["cash"][members] = 0.05 * (values["other_assets"][members] + given[members])
        assets = values["cash"][members] + values["other_assets"][members] + given[members]
        values["other_liabilities"][members] = np.maximum((1.0 - LENDER_EQUITY[kind]) * assets - owed[members], 0.0)
    turnover = float(np.cumsum(values["outside_revenue"])[-1])
    gdp = 12.0 * turnover
    household, government, outside = (int(rows[kind][0]) for kind in ("household", "government", "outside"))
    firm_cash = float(np.cumsum(values["cash"])[-1])
    values["cash"][outside] = 0.3 * firm_cash
    values["cash"][household] = max(2.0 * float(np.cumsum(given[banks])[-1]) - 1.3 * firm_cash, 0.5 * firm_cash)
    values["cash"][int(rows["short_seller"][0])] = 0.01 * firm_cash
    base = draft.size[banks] + given[banks]
    values["deposits"][banks] = float(np.cumsum(values["cash"])[-1]) * base / float(np.cumsum(base)[-1])
    values["cash"][banks] = 0.1 * values["deposits"][banks]
    owed_by_banks = values["deposits"][banks] + owed[banks]
    values["other_assets"][banks] = np.maximum(values["other_assets"][banks], owed_by_banks / 0.85 - given[banks] - values["cash"][banks])
    assets = values["cash"][banks] + values["other_assets"][banks] + given[banks]
    values["other_liabilities"][banks] = (1.0 - LENDER_EQUITY["bank"] * draft.between(0.95, 1.4, len(banks))) * assets - owed_by_banks
    values["cash"][government] = 0.02 * gdp
    for row, assets_share, debt_share in ((household, 4.0, 0.6), (government, 1.2, 1.1), (outside, 2.0, 0.0)):
        values["other_assets"][row], values["other_liabilities"][row] = assets_share * gdp, debt_share * gdp
    central_bank = int(rows["central_bank"][0])
    values["deposits"][central_bank] = float(np.cumsum(values["cash"])[-1]) - float(np.cumsum(values["deposits"])[-1])
    values["other_assets"][central_bank] = 1.02 * values["deposits"][central_bank]
    values["outside_revenue"][lenders] = 0.05 * values["other_assets"][lenders]
    worth = values["cash"] + values["other_assets"] + given - values["deposits"] - owed - values["other_liabilities"]
    values["market_value"][lenders] = 1.1 * worth[lenders]
    held = draft.sums(draft.column("stakes", "value"), draft.column("stakes", "holder").astype(np.int64))
    values["market_value"][rows["investor"]] = 0.9 * (worth + held)[rows["investor"]]


def guarantees(draft: Draft) -> None:
    """Chipmakers back some compute orders, hyperscalers the debt of their campuses, insurers sell protection on some loans to banks."""
    random, rows = draft.random, draft.rows
    orders = draft.contracts["orders"][0]
    order = np.flatnonzero(random.random(len(orders["seller"])) < 0.1)
    draft.add(
        "guarantees",
        guarantor=draft.partners(len(order), rows["chipmaker"]),
        beneficiary=orders["seller"][order],
        reference_table="orders",
        reference_row=order,
        kind="capacity_backstop",
        notional=0.1 * orders["amount"][order],
        until=36,
    )
    loans = draft.contracts["loans"][0]
    lease = draft.contracts["leases"][0]
    tenant_of = np.full(draft.agents, -1)
    tenant_of[lease["lessor"]] = lease["lessee"]
    tenant = tenant_of[loans["borrower"]]
    hyperscalers = rows["hyperscaler"]
    loan = np.flatnonzero((tenant >= hyperscalers[0]) & (tenant <= hyperscalers[-1]))
    draft.add(
        "guarantees",
        guarantor=tenant[loan],
        beneficiary=loans["lender"][loan],
        reference_table="loans",
        reference_row=loan,
        kind="loan_guarantee",
        notional=0.5 * loans["principal"][loan],
        until=60,
    )
    insurers, banks = draft.lenders["insurer"], draft.lenders["bank"]
    if len(insurers):
        loan = np.flatnonzero((loans["lender"] <= banks[-1]) & (random.random(len(loans["lender"])) < 0.03))
        draft.add(
            "guarantees",
            guarantor=draft.partners(len(loan), insurers),
            beneficiary=loans["lender"][loan],
            reference_table="loans",
            reference_row=loan,
            kind="cds",
            notional=0.5 * loans["principal"][loan],
            premium=0.02,
            until=60,
        )
