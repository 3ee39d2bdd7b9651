"""Sales that nobody wants to make: to pay what is overdue, to pay investors who leave, to come back under a limit on leverage.

Besides shares there is one market for the **securities** of lenders and investors: the part ``marketable_share`` of their other assets. A forced sale
lowers their price, everybody who holds them marks down, and the price comes back slowly.
Source: Cont and Schaanning (2017); Greenwood, Landier and Thesmar (2015).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Contracts
from simulator.ledger.postings import ALL, Ledger
from simulator.markets.margin_desk import MONTHLY_SALE_UNLISTED
from simulator.markets.shares import MEAN_REVERSION, ForcedSales, price_factor, stakes_beside

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

HAGGLE = 0.03  # discount on other assets that have no market, as loans of a fund sold to another (assumption, 0.01-0.1)
CASH_TO_LEAVERS = 0.5  # part of its cash that a fund pays out to leaving investors, or a holder to its lenders, before it sells
PREPAYABLE = ("term_loan", "credit_line", "delayed_draw", "margin_loan", "vendor_finance")
QUARTER = 3
ROUNDS_MAX = 50
SMALL = 1e-9  # part of what could be sold under which a round of sales is the last


def is_late(books: Books) -> Bools:
    """Replications in which somebody who holds stakes is overdue, ``(R,)``."""
    holders = books.stakes.holders
    late = books["months_in_arrears"][holders] > 0.0
    late &= books["stake_value"][holders] > 0.0
    return np.asarray(late.any(axis=0))


def sell_stakes_to_pay(books: Books, ledger: Ledger, late: Bools) -> None:
    """Who is overdue sells stakes that are not pledged, to Outside, for next month's settlement, in the replications ``late (R,)``; the loss is a
    funding loss.

    Rule: as much as the overdue sum, a tenth more, and two months' bills; the same part of every stake, a month's limit for unlisted ones.
    """
    stakes = books.stakes
    sellers = stakes.holders[(books["months_in_arrears"][stakes.holders] > 0.0).any(axis=1)]
    overdue = _overdue(books, sellers) * (books["months_in_arrears"][sellers] > 0.0) * books["alive"][sellers] * late
    if not overdue.any():
        return
    held = stakes.some(stakes.held_by(sellers))
    limit = np.where(books["is_listed"][held.debtor] > 0.0, 0.5, MONTHLY_SALE_UNLISTED) * books.free_shares()[held.rows]
    value = held.by_holder(limit * books["share_price"][held.debtor])[sellers]
    coming = 2.0 * (books["interest_due"][sellers] + books["operating_bill"][sellers] + books["rent_bills"][sellers])
    part = np.minimum(1.0, (1.1 * overdue + coming * (overdue > 0.0)) / np.maximum(value, 1e-9))
    sale = limit * part[np.searchsorted(sellers, held.holder)]
    rows = held.rows[(sale > 0.0).any(axis=1)]
    if len(rows):
        some = stakes_beside(books, rows)
        sold = np.zeros((stakes.count, books.replications))
        sold[held.rows] = sale
        ForcedSales(books, ledger, some).sell(sold[some.rows], "funding")


def _overdue(books: Books, debtors: NDArray[np.int64]) -> Array:
    """What is overdue of the bills and loans of ``debtors (n,)``, USD bn, ``(n, R)``."""

    def owed(table: Contracts) -> Array:
        some = table.some(table.owed_by(debtors))
        return some.by_debtor(table.arrears[some.rows])[debtors]

    bills = owed(books.orders) + owed(books.leases) + books["operating_arrears"][debtors]
    if books.guarantees.count:
        bills = bills + owed(books.guarantees)
    return bills + owed(books.loans)


# ---------------------------------------------------------------------- the market for securities


def securities(books: Books, rows: slice = ALL) -> Array:
    """Securities held (by the agents of ``rows``), at their price, USD bn, ``(n, R)``."""
    held: Array = books["marketable_share"][rows] * books["other_assets"][rows]
    return held


def _span(chosen: Bools) -> slice:
    """The slice of rows from the first with some of the ``chosen (N, R)`` to the last; an empty one where there is none."""
    rows = np.flatnonzero(chosen.any(axis=1))
    return slice(rows[0], rows[-1] + 1) if len(rows) else slice(0, 0)


def sell_securities(books: Books, ledger: Ledger, sold: Array, tag: str) -> Array:
    """Sell securities worth ``sold (N, R)`` at today's price to Outside; returns what they fetched, ``(N, R)``.

    The price falls by the impact of all sales together, linear or exponential (``impact_linear_securities``), over ``securities_depth``. Sellers get
    the mid of old and new price (a loss under ``tag``); who keeps securities marks them down (fire_sale).
    """
    rows = _holders(books)
    held, other_assets, sale = securities(books, rows), books["other_assets"][rows], sold[rows]
    factor = _factor_of_sales(books, ledger.sum(sale))
    fetched = np.zeros_like(sold)
    fetched[rows] = sale * (0.5 * (1.0 + factor))
    other_assets -= sale
    if sale.any():
        books["other_assets"][books.outside] += ledger.take_from_outside(fetched[rows], rows)
    ledger.lose_own(tag, sale - fetched[rows], "deadweight", rows, reason="decision", cause="outside" if tag == "funding" else "self")
    fall = np.maximum(held - sale, 0.0) * (1.0 - factor)
    other_assets -= fall
    ledger.mark_down_securities(fall, sale, rows)
    books.series["securities_price"] = books.series["securities_price"] * factor
    return fetched


def press_by_estates(books: Books, ledger: Ledger, sold: Array) -> None:
    """Estates have sold securities worth ``sold (N, R)``: their price falls by the impact, and all others who hold them mark down (fire_sale)."""
    rows = _holders(books)
    sale = sold[rows]
    if not (sale > 0.0).any():
        return
    factor = _factor_of_sales(books, ledger.sum(sale))
    fall = securities(books, rows) * (1.0 - factor)
    books["other_assets"][rows] -= fall
    ledger.mark_down_securities(fall, sale, rows, "default")
    books.series["securities_price"] = books.series["securities_price"] * factor


def _holders(books: Books) -> slice:
    """The rows of those who hold securities, and so of those who sell any."""
    return _span(books["marketable_share"] > 0.0)


def _factor_of_sales(books: Books, sold: Array) -> Array:
    """New price of securities over old after ``sold (1, R)`` of them are sold, USD bn."""
    impact = 1.0 / (books.macro["securities_depth"] * books.levers["securities.depth"])
    return price_factor(sold, impact, books.macro["impact_linear_securities"])


def recover_securities(books: Books, ledger: Ledger) -> None:
    """The price of securities goes back by `MEAN_REVERSION` a month of its log distance from where it stood; holders mark up (ordinary)."""
    price = books.series["securities_price"]
    if not (price != 1.0).any():
        return
    ratio = np.where(price != 1.0, np.exp(-MEAN_REVERSION * np.log(price)), 1.0)
    ledger.change_stock("other_assets", securities(books) * (ratio - 1.0))
    books.series["securities_price"] = price * ratio


# ---------------------------------------------------------------------- investors who leave


def meet_redemptions(books: Books, ledger: Ledger, wanted: Array) -> None:
    """Fund investors ask back ``wanted (N, R)``; a fund with a gate pays no more in a quarter than its part of net assets, and the rest waits.

    Source: quarterly caps of interval and private credit funds; the queue is paid first come, first served in later quarters.
    """
    funds = _span(books["is_redeemable"] > 0.0)
    wanted = wanted[funds]
    gated = np.flatnonzero(books["redemption_gate"][funds, 0] < 1.0)
    if len(gated):
        at = gated + funds.start
        if books.tick % QUARTER == 0:
            net_assets = np.maximum(books["other_liabilities"][at] + books["book_net_worth"][at], 0.0)
            ledger.set_column("gate_room", books["redemption_gate"][at] * net_assets, at)
        room = books["gate_room"][at]
        asked = np.minimum(wanted[gated] + books["redemptions_waiting"][at], books["other_liabilities"][at]) * books["alive"][at]
        paid = np.minimum(asked, room)
        ledger.set_column("gate_room", room - paid, at)
        ledger.set_column("redemptions_waiting", asked - paid, at)
        wanted = wanted.copy()
        wanted[gated] = paid
    some = _span(wanted != 0.0)  # few funds are asked in a month
    if some.stop:
        redeem(books, ledger, wanted[some], slice(funds.start + some.start, funds.start + some.stop))


def redeem(books: Books, ledger: Ledger, wanted: Array, rows: slice) -> None:
    """The funds of ``rows`` pay their investors ``wanted (n, R)``: in cash, then by selling securities, then other assets at a discount (funding
    losses)."""
    cash = np.minimum(wanted, CASH_TO_LEAVERS * np.maximum(books["cash"][rows], 0.0))
    got = np.zeros_like(cash)
    sold = np.minimum(wanted - cash, securities(books, rows)) * (books["marketable_share"][rows] > 0.0)
    if sold.any():
        every = np.zeros((books.agents, books.replications))
        every[rows] = sold
        got = sell_securities(books, ledger, every, "funding")[rows]
    rest = np.maximum(wanted - cash - got, 0.0)
    sold = np.minimum(rest / (1.0 - HAGGLE), books["other_assets"][rows])
    discount = HAGGLE * sold
    if sold.any():
        ledger.exchange_other_assets(sold, rows)
        lost = -ledger.take_from_outside(-discount, rows)
        ledger.lose_own("funding", discount, "deadweight", rows, reason="decision", cause="outside")  # the fund's investors are Outside
        ledger.post("ordinary", lost, books.outside)
    _repay_outside(books, ledger, np.minimum(cash + got + sold - discount, books["other_liabilities"][rows]), rows)


def _repay_outside(books: Books, ledger: Ledger, paid: Array, rows: slice = ALL) -> None:
    """Pay back ``paid (n, R)`` of what the agents (of ``rows``) owe to the rest of the world."""
    books["other_liabilities"][rows] -= paid
    books["other_assets"][books.outside] += ledger.take_from_outside(-paid, rows)


# ---------------------------------------------------------------------- limits on leverage


def is_over_leveraged(books: Books, ledger: Ledger) -> Bools:
    """Replications in which some holder's assets are above its leverage limit, ``(R,)``."""
    limit = books["leverage_max"]
    rows = _span(limit > 0.0)
    equity = ledger.worth_so_far(rows)
    owed = books["debt"][rows] + books["other_liabilities"][rows] + books["deposits"][rows] + books["operating_arrears"][rows]
    above = (equity + owed > limit[rows] * np.maximum(equity, 0.0)) & (limit[rows] > 0.0) & (books["alive"][rows] > 0.0)
    return np.asarray(above.any(axis=0))


def delever(books: Books, ledger: Ledger, holders: Iterable[Any]) -> None:
    """Who is above its leverage limit repays debt with half of its cash, then sells securities and free shares in proportion, and repays with that.

    Prices fall, other holders pass their own limits and sell in the next round, inside the tick, until nobody has to or nothing is left to sell. What
    sellers lose is a margin loss. ``holders``: cohorts with the rule ``excess_assets``. Source: [cont_schaanning2017], threshold and target.
    """
    has_limit = np.any(books["leverage_max"] > 0.0, axis=1)
    stakes = stakes_beside(books, np.flatnonzero(has_limit[books.stakes.holder]))
    limit = np.where(stakes.of_debtor(books["is_listed"]) > 0.0, 1.0, MONTHLY_SALE_UNLISTED) * books.free_shares()[stakes.rows]
    sales = ForcedSales(books, ledger, stakes)
    is_open = np.ones(books.replications, dtype=bool)
    purse = np.where(books["is_bank"] > 0.0, 0.0, CASH_TO_LEAVERS * np.maximum(books["cash"], 0.0))
    excess = np.zeros((books.agents, books.replications))
    for _ in range(ROUNDS_MAX):
        books["assets_now"][...] = books.total_assets()
        books["equity_now"][...] = books.net_worth()
        for holder in holders:
            excess[holder.rows] = holder.excess_assets()
        excess *= is_open
        if not (excess > 0.0).any():
            break
        cash = repay_debts(books, ledger, np.minimum(excess, purse))
        purse -= cash
        value = stakes.by_holder(limit * stakes.of_debtor(books["share_price"]))
        liquid = securities(books)
        part = np.minimum(1.0, np.maximum(excess - cash, 0.0) / np.maximum(value + liquid, 1e-12))
        sells: Bools = part * (value + liquid) > SMALL * (value + liquid + 1e-3)
        is_open &= sells.any(axis=0)
        part *= is_open
        if not part.any():
            break
        sold = limit * stakes.of_holder(part)
        got = stakes.by_holder(sold * sales.sell(sold, "margin")) if sold.any() else np.zeros_like(part)
        limit = np.maximum(limit - sold, 0.0)
        if liquid.any():
            got = got + sell_securities(books, ledger, part * liquid, "margin")
        repay_debts(books, ledger, got * (1.0 - books["is_bank"]))  # what a bank is paid has destroyed deposits already


def repay_debts(books: Books, ledger: Ledger, amounts: Array) -> Array:
    """Repay debt early with up to ``amounts (N, R)`` of cash: loans that may be prepaid, in proportion, then what is owed to the rest of the world.

    Returns what was paid, ``(N, R)``.
    """
    if not amounts.any():
        return amounts
    loans = books.loans
    rows = np.flatnonzero(np.isin(loans.static["kind"], PREPAYABLE))
    slots = loans.some(rows)
    principal = loans.principal[rows]
    share = np.minimum(1.0, amounts / np.maximum(slots.by_debtor(principal), 1e-12))[loans.debtor[rows]]
    on_loans = slots.by_debtor(principal * share)
    ledger.repay(slots, principal * share)
    books.repayments.scale(rows, 1.0 - share)
    paid = np.minimum(np.maximum(amounts - on_loans, 0.0), books["other_liabilities"])
    _repay_outside(books, ledger, paid)
    return on_loans + paid
