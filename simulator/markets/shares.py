"""The share market: rounds and tranches, prices of listed shares, marks of unlisted ones, and who gains and loses by them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Selection
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import merged_rows
from simulator.markets.accounts import share_index
from simulator.markets.cross_holdings import return_through_stakes

Array = NDArray[np.float64]
Rows = slice | NDArray[np.int64]

ALL = slice(None)
MEAN_REVERSION = 0.15  # part of a mispricing that goes in a month (assumption, 0.05-0.3)
TREND_FOLLOWING = 0.05  # part of the smoothed monthly return that trend followers add (assumption, 0-0.15)
TREND_MEMORY = 1.0 / 6.0
MARK_SPEED = 0.04  # part of the gap between mark and fair value that unlisted marks close in a month without a round (quarterly reviews; 0.02-0.1)
MARK_SPEED_DISCLOSED = 0.33  # the same when marks must be disclosed: a full valuation every quarter (0.1-1)
OVERPRICING_STAYS = 0.6  # part of the correction of overpricing that short sales make (assumption, 0.3-0.9)
THINNER = 0.5  # price impact that a full ban on short sales adds ([beber_pagano2013]: the bans of 2008 cost liquidity; assumption, 0.2-1)
CASH_FOR_ROUNDS = 0.2  # part of an investor's cash that one month's rounds and tranches may take
ISSUE_DISCOUNT = 0.05
DEPTH = 0.4  # c in depth = c ADV / σ √τ ([cont_schaanning2017] after estimates for bonds; 0.3-1)
LEAST_FACTOR = 0.01  # a single forced sale leaves at least this part of the price
READ_OF_INVESTORS = (
    "cash_floor_months", "operating_bill", "interest_due", "rent_bills", "cash", "opening_cash", "months_in_arrears", "margin_breached",
)  # fmt: skip


def raise_equity(books: Books, ledger: Ledger, wanted_round: Array, tranches_due: Array) -> None:
    """Pay tranches and rounds out of what investors have left after settlement; issuers can spend it next tick.

    ``wanted_round (N, R)`` new shares wanted; ``tranches_due (S, R)``. Post-money = pre-money + cash raised; an unlisted round moves every
    holder's mark to the fair value, down-rounds included. What of the gap between mark and fair value the shock or others' decisions had made is
    booked as ``direct`` and ``equity``, the rest (luck and the firm's own business) as ``ordinary``.
    """
    stakes = books.stakes
    raising = np.flatnonzero((wanted_round != 0.0).any(axis=1))
    some = stakes.some(merged_rows(stakes.owed_by(raising), np.flatnonzero((tranches_due != 0.0).any(axis=1))))
    issuers = merged_rows(raising, some.debtors)  # the few who raise anything, and the stakes that it is asked of
    books.series["capital_raised"] = np.zeros((1, books.replications))
    if not len(issuers):
        return
    offered, tranches = wanted_round[issuers] * books["equity_supply"][issuers], tranches_due[some.rows]
    at_issuer = np.searchsorted(issuers, some.debtor)
    asked = tranches + offered[at_issuer] * stakes.round_share[some.rows] * some.of_holder(books["alive"])
    paid = asked * _paid_share(books, some, asked)
    taken = np.minimum(tranches, paid)
    stakes.tranche_remaining[some.rows] = np.maximum(stakes.tranche_remaining[some.rows] - taken, 0.0)
    public = offered * np.maximum(1.0 - stakes.by_debtor(stakes.round_share)[issuers], 0.0)
    received = some.by_debtors(paid)
    raised = public.copy()
    raised[np.searchsorted(issuers, some.debtors)] += received
    private = raised > 1e-9
    at = np.flatnonzero((books["is_listed"][issuers, 0] == 0.0) & private.any(axis=1))
    if len(at):
        in_round, private = issuers[at], private[at]
        moved = private & (books["alive"][in_round] > 0.0)
        price = np.where(moved, books["fair_price"][in_round], books["share_price"][in_round])
        gaps = books["gap_by_shock"][in_round], books["gap_by_others"][in_round]
        _reprice(books, ledger, in_round, price, *_close_gap(ledger, in_round, private, *gaps))
    share_price = books["share_price"][issuers]
    price = np.maximum(share_price, 1e-6) * (1.0 - ISSUE_DISCOUNT * books["is_listed"][issuers])
    ledger.set_column("shares", books["shares"][issuers] + raised / price, issuers)
    # The holder swaps cash for shares at the price paid; the issuer's book gains the cash.
    parties, handed_over = books.net_of_parties(some, paid)
    ledger.move_cash(-handed_over, parties)
    ledger.post("ordinary", received, some.debtors)
    bought = paid / price[at_issuer]
    stakes.shares[some.rows] += bought
    ledger.post("ordinary", some.by_holders(bought * share_price[at_issuer] - paid), some.holders)
    from_public, value = ledger.sum(public)[0], ledger.sum(public / price * share_price)[0]
    ledger.pay(public, rows=issuers)
    ledger.move_cash(-from_public[None], np.array([books.outside]))
    books["other_assets"][books.outside] += value
    ledger.post("ordinary", value - from_public, books.outside)
    books.series["capital_raised"] = ledger.sum(raised)
    books["paid_in"][issuers] += raised


def _paid_share(books: Books, some: Selection, asked: Array) -> Array:
    """The part of what is ``asked (n, R)`` of the stakes ``some`` that their holders pay out of this month's purse, in [0, 1], ``(n, R)``."""
    holders = some.holders
    c = {name: books[name][holders] for name in READ_OF_INVESTORS}
    buffer = c["cash_floor_months"] * (c["operating_bill"] + c["interest_due"] + c["rent_bills"])
    purse = np.maximum(np.minimum(c["cash"], c["opening_cash"]) - buffer, 0.0) * CASH_FOR_ROUNDS
    purse[books.makes_money[holders]] = 1e9
    purse *= (c["months_in_arrears"] < 1.0) & (c["margin_breached"] < 1.0)  # who is overdue or called pays nobody in
    paid: Array = np.minimum(1.0, purse / np.maximum(some.by_holders(asked), 1e-9))
    return paid[some.holder_places]


def vest_warrants(books: Books, ledger: Ledger, invoices: Array) -> None:
    """Warrants vest as the order they hang on is delivered: new shares to the holder, at no cost. ``invoices (O, R)``."""
    stakes = books.stakes
    rows = np.flatnonzero(stakes.static["vests_with"] >= 0)
    if not len(rows):
        return
    some, order = stakes.some(rows), stakes.static["vests_with"][rows]
    progress = invoices[order] / np.maximum(books.orders.amount_at_start[order], 1e-9)
    vested = np.minimum(stakes.unvested_at_start[rows] * progress, stakes.unvested[rows])
    stakes.unvested[rows] -= vested
    stakes.shares[rows] += vested
    ledger.set_column("shares", books["shares"][some.debtors] + some.by_debtors(vested), some.debtors)
    ledger.post("ordinary", some.by_holders(vested * some.of_debtor(books["share_price"])), some.holders)


def _set_mark(books: Books, ledger: Ledger, rows: Rows, price: Array, tag: str, *, reason: str = "decision", cause: str = "debtor") -> None:
    """Move the prices of ``rows`` to ``price (n, R)`` and book the change of their stakes' values under ``tag``, by ``reason`` and ``cause``.

    A slice of ``rows`` has every issuer of a stake in it. Shares of the dead stand at zero, and ``price`` must leave them there.
    """
    change = price - books["share_price"][rows]
    whole = books.stakes
    if isinstance(rows, slice):
        amounts = whole.shares * np.take(change, whole.debtor - (rows.start or 0), axis=0)
        ledger.revalue_stakes(amounts, tag, reason=reason, cause=cause)
    else:
        stakes = whole.some(whole.owed_by(rows))
        amounts = whole.shares[stakes.rows] * np.take(change, np.searchsorted(rows, stakes.debtor), axis=0)
        ledger.revalue_stakes(amounts, tag, stakes, reason=reason, cause=cause)
    # The price itself, not the old one plus the change: where nothing moves, a step that others in the batch need must not touch the last digit.
    ledger.set_column("share_price", price, rows)


def note_contagion(books: Books, before: Array) -> Array:
    """Keep what moved the index of AI shares, other than luck, since its value was ``before (1, R)``: who extrapolates makes it news to all.

    Returns the index as it is now, ``(1, R)``.
    """
    index = share_index(books)
    books.series["index_by_contagion"] = books.series["index_by_contagion"] + np.log(index / before)
    return index


def shock_values(books: Books, ledger: Ledger, ratio: Array) -> None:
    """The shock itself: fair value and price of shares multiplied by ``ratio (N, 1)``; booked as ``direct``."""
    before = share_index(books)
    stakes = books.stakes
    change = stakes.by_holder(stakes.shares * stakes.of_debtor(books["fair_price"] * (ratio - 1.0) * books["alive"]))
    ledger.set_column("stake_news", books["stake_news"] + change)
    ledger.set_column("fair_price", books["fair_price"] * ratio)
    _set_mark(books, ledger, ALL, books["share_price"] * ratio, "direct", reason="shock")
    note_contagion(books, before)


def _close_gap(ledger: Ledger, rows: Rows, closed: Array | NDArray[np.bool_], by_shock: Array, by_others: Array) -> tuple[Array, Array]:
    """The parts ``closed (n, R)`` of what the shock and others' decisions have put between marks and fair values of ``rows`` (``by_shock`` and
    ``by_others``, log points); they leave the gap."""
    direct, others = closed * by_shock, closed * by_others
    ledger.set_column("gap_by_shock", by_shock - direct, rows)
    ledger.set_column("gap_by_others", by_others - others, rows)
    return direct, others


def _reprice(books: Books, ledger: Ledger, rows: Rows, price: Array, direct: Array, others: Array) -> Array:
    """Move the prices of ``rows`` to ``price (n, R)`` in the fixed order luck, shock (``direct`` log points), ``others`` (log points too).

    Returns the index of AI shares after it, ``(1, R)``.
    """
    not_luck = direct + others
    np.negative(not_luck, out=not_luck)
    _set_mark(books, ledger, rows, price * np.exp(not_luck, out=not_luck), "ordinary")
    before = share_index(books)
    if direct.any():
        _set_mark(books, ledger, rows, price * np.exp(-others), "direct", reason="shock")
    _set_mark(books, ledger, rows, price, "equity")
    return note_contagion(books, before)


def price_shares(books: Books, ledger: Ledger, pressure: Array) -> None:
    """Move every issuer's price in a fixed order, each part booked on its own.

    First luck (market, AI and own noise, own demand and what it makes expect, trend followers and the return to fair value: ``ordinary``),
    then surprises of the policy rate, of demand levers and of the expectation lever (``direct``: only shocks and policies make them), then news
    that others' decisions make (``equity``: sales they gave or took, the mood that a fall of AI shares by shock or contagion leaves, and what shocks
    and others' decisions did to the shares that an issuer holds itself, for all holders at once), then
    short sellers (``equity``). Listed shares: ``log P = log F + m``: fair value F follows luck and news, mispricing m follows trend and
    short sellers and reverts. Unlisted: F moves the same way, marks close the gap slowly, each cause's part of it alike.
    Source: [brock_hommes1998] for trend followers.
    """
    luck, direct, others = books["return_by_luck"], books["return_by_shock"], books["return_by_others"].copy()
    holders = books.stakes.holders
    others[holders] += return_through_stakes(books)
    ledger.set_column("stake_news", np.zeros((1, 1)), holders)
    short = books.through("short", "short_pressure")
    news = luck + direct
    news += others
    fair = np.exp(news, out=news)
    fair *= books["fair_price"]
    raisers = books.raiser_rows  # they follow the trend
    growth = _log_change(books["fair_price_last"][raisers], fair[raisers])
    growth -= books["value_trend"][raisers]
    growth /= 12.0
    books["value_trend"][raisers] += growth
    ledger.set_column("fair_price", fair)
    ledger.set_column("fair_price_last", fair[raisers], raisers)
    price = books["share_price"].copy()  # who has no shares keeps the price that it opened with
    by_shock, by_others = direct.copy(), others

    rows = books.unlisted_rows
    before, is_alive = price[rows], books["alive"][rows]
    marks, moved, closed = _new_marks(books, before, fair[rows])
    price[rows] = marks * is_alive
    ledger.set_column("price_change", moved * is_alive, rows)
    gaps = books["gap_by_shock"][rows] + direct[rows], books["gap_by_others"][rows] + others[rows]
    by_shock[rows], by_others[rows] = _close_gap(ledger, rows, closed, *gaps)

    rows = books.listed_rows
    before, price_trend, mispricing, pressed = (values[rows] for values in (price, books["price_trend"], books["mispricing"], short))
    trend = TREND_FOLLOWING * price_trend - correction(books, rows)
    listed = np.exp(luck[rows] + trend + direct[rows] + others[rows]) * before
    price[rows] = listed
    mispricing += trend
    mispricing -= pressed
    ledger.set_column("mispricing", mispricing, rows)
    shown = _shown_rows(books)
    index = _reprice(books, ledger, shown, price[shown], by_shock[shown], by_others[shown])
    ledger.set_column("share_price", price)
    if pressed.any():
        listed *= np.exp(-pressed)
        _set_mark(books, ledger, rows, listed, "equity", cause="short_seller")
        note_contagion(books, index)
    change = _log_change(before, listed)
    ledger.set_column("price_change", change, rows)
    change -= price_trend
    change *= TREND_MEMORY
    ledger.set_column("price_trend", price_trend + change, rows)


def _shown_rows(books: Books) -> slice:
    """From the first to the last agent whose share price stands in others' books or in the index: the others' moves are booked nowhere."""
    rows = merged_rows(books.stakes.debtors, books.ai_rows)
    return slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)


def _log_change(before: Array, now: Array) -> Array:
    """Log change of prices, ``(n, R)``; a price that is gone stands at next to nothing."""
    base, change = np.maximum(before, 1e-12), np.maximum(now, 1e-12)
    change /= base
    return np.log(change, out=change)


def _new_marks(books: Books, before: Array, fair: Array) -> tuple[Array, Array, Array]:
    """Marks of unlisted shares after a month, their log change, and the part of the log gap to fair value that it closes, three arrays ``(n, R)``."""
    speed = MARK_SPEED + books.levers["market.disclosure"] * (MARK_SPEED_DISCLOSED - MARK_SPEED)
    marks = before + speed * (fair - before)
    gap, moved = _log_change(before, fair), _log_change(before, marks)
    is_closed = np.abs(gap) <= 1e-9
    np.copyto(gap, 1.0, where=is_closed)
    closed = np.clip(moved / gap, 0.0, 1.0)
    np.copyto(closed, speed, where=is_closed)
    return marks, moved, closed


def correction(books: Books, rows: Rows = ALL) -> Array:
    """Part of a mispricing (of ``rows``) that goes this month, log points, ``(n, R)``: overpricing goes slower where short sales are limited.

    Source: [miller1977]; [beber_pagano2013] for the bans of 2008.
    """
    mispricing = books["mispricing"][rows]
    limit = books.levers["short_seller.limit"]
    if not limit.any():
        return MEAN_REVERSION * mispricing
    return MEAN_REVERSION * np.where(mispricing > 0.0, 1.0 - OVERPRICING_STAYS * limit, 1.0) * mispricing


def impact_of_issuers(books: Books, rows: Rows = ALL) -> Array:
    """Price impact λ of the shares of each issuer (of ``rows``): log fall (linear form: relative fall) of the price per part of the shares sold in a
    month, ``(n, 1)``.

    A listed share whose turnover T is given: ``λ = √12 σ / (c T)``, which is ``σ Q / (c ADV √τ)`` for Q sold over a month and
    ADV = T × market value / 252: depth follows market value and turnover. Else, and for unlisted shares, the number of ``macro.csv``; an unlisted
    market is never deeper than a listed one of the same volatility and turnover. The levers of depth divide; a limit on short sales thins markets.
    Source: market depth of [cont_schaanning2017].
    """
    turnover = books["share_turnover"][rows]
    by_turnover = np.sqrt(12.0) * books["equity_volatility"][rows] / (DEPTH * np.where(turnover > 0.0, turnover, 1.0))
    listed = np.where(turnover > 0.0, by_turnover, books.macro["price_impact_listed"])
    unlisted = np.where(turnover > 0.0, np.maximum(by_turnover, books.macro["price_impact_unlisted"]), books.macro["price_impact_unlisted"])
    levers = books.levers
    impact = np.where(books["is_listed"][rows] > 0.0, listed / levers["listed_shares.depth"], unlisted / levers["unlisted_shares.depth"])
    impact = impact * (1.0 + THINNER * levers["short_seller.limit"])
    return np.asarray(impact)


def price_factor(part: Array, impact: Array, linear: Array | float) -> Array:
    """New price over old after a part of the market is sold: ``exp(-λ part)``, or ``1 - λ part`` where ``linear`` is 1; at least `LEAST_FACTOR`.

    Source: [cont_schaanning2017], exponential and linear impact; [greenwood2015], linear.
    """
    pressure = impact * part
    return np.where(np.asarray(linear) > 0.0, np.maximum(1.0 - pressure, LEAST_FACTOR), np.exp(-pressure))


class ForcedSales:
    """Sales of ``stakes`` to Outside that nobody wants to make, once or in several rounds of a stage: the price falls by the impact and every other
    holder marks down.

    ``stakes`` are all those in some issuers, as :func:`stakes_beside` gives them; amounts are ``(n, R)``, of them. Until the last round nothing else
    moves the prices of their shares, or who holds them. The form of the impact is a setting by listing (``impact_linear_listed``,
    ``impact_linear_unlisted`` of ``macro.csv``).
    Source: [cont_schaanning2017].
    """

    def __init__(self, books: Books, ledger: Ledger, stakes: Selection) -> None:
        self.books, self.ledger, self.stakes = books, ledger, stakes
        self.issuers, self.at_issuer = stakes.debtors, stakes.debtor_places
        issuers = self.issuers
        self.price, self.mispricing, self.alive = (books[name][issuers] for name in ("share_price", "mispricing", "alive"))
        self.held: Array = books.stakes.shares[stakes.rows]
        self.outstanding = np.maximum(books["shares"][issuers], 1e-9)
        self.impact = impact_of_issuers(books, issuers)
        self.is_listed = books["is_listed"][issuers]
        self.is_linear = np.where(self.is_listed > 0.0, books.macro["impact_linear_listed"], books.macro["impact_linear_unlisted"])
        self.index = share_index(books)

    def sell(self, sold: Array, seller_tag: str) -> Array:
        """Holders sell ``sold (n, R)`` shares: the seller receives the mid of old and new price (margin or funding loss), and the mark-down of what
        others keep is a fire-sale loss. Returns what a share of each stake fetched, USD bn, ``(n, R)``."""
        books, ledger, stakes = self.books, self.ledger, self.stakes
        of_issuer = stakes.by_debtors(sold)
        factor = self._factor(of_issuer)
        fetched: Array = (self.price * 0.5 * (1.0 + factor))[self.at_issuer]
        proceeds = sold * fetched
        loss = sold * self.price[self.at_issuer] - proceeds
        self.held = self.held - sold
        books.stakes.shares[stakes.rows] = self.held
        ledger.lose("stakes", seller_tag, loss, "deadweight", some=stakes, reason="decision", cause="holder")
        parties, flow = stakes.by_holders_and(books.outside, proceeds)
        outside = ledger.sum(flow)[0]
        flow[np.searchsorted(parties, books.outside)] -= outside
        ledger.move_cash(flow, parties)
        books["other_assets"][books.outside] += outside
        self._press(sold, of_issuer, factor, "decision")
        return fetched

    def press(self, sold: Array, reason: str) -> None:
        """Prices fall because ``sold (n, R)`` shares have been sold; who keeps shares marks them down (fire_sale)."""
        of_issuer = self.stakes.by_debtors(sold)
        self._press(sold, of_issuer, self._factor(of_issuer), reason)

    def _factor(self, of_issuer: Array) -> Array:
        """New price over old after ``of_issuer (I, R)`` shares of each issuer are sold."""
        return price_factor(of_issuer / self.outstanding, self.impact, self.is_linear)

    def _press(self, sold: Array, of_issuer: Array, factor: Array, reason: str) -> None:
        books, ledger = self.books, self.ledger
        fall = self.price * (1.0 - factor) * self.alive
        part = sold / np.maximum(of_issuer, 1e-300)[self.at_issuer]
        ledger.mark_down(self.held * fall[self.at_issuer], part, self.stakes, reason)
        self.price = self.price - fall
        ledger.set_column("share_price", self.price, self.issuers)
        self.index = note_contagion(books, self.index)
        self.mispricing = self.mispricing + np.log(factor) * self.is_listed
        ledger.set_column("mispricing", self.mispricing, self.issuers)


def stakes_beside(books: Books, rows: NDArray[np.int64]) -> Selection:
    """All stakes in the issuers of which the stakes ``rows`` are."""
    stakes = books.stakes
    return stakes.some(stakes.owed_by(stakes.debtor[rows]))


def listed_shares_of(books: Books, held: Selection, failed: Array) -> Array:
    """Listed shares of issuers that live on, of the stakes ``held (n,)`` that the estates of ``failed (N, R)`` will sell, ``(n, R)``."""
    return books.stakes.shares[held.rows] * held.of_holder(failed) * held.of_debtor(books["is_listed"] * (1.0 - failed))  # type: ignore[no-any-return]


def press_by_estates(books: Books, ledger: Ledger, held: Selection, sold: Array) -> None:
    """Estates have sold ``sold (n, R)`` listed shares of the stakes ``held (n,)``: prices fall by the impact, and everybody else who holds any marks
    down (fire_sale).

    What the estates themselves lose is the discount at which they sell. Unlisted shares of an estate go in a private sale that moves no mark.
    """
    is_sold = (sold > 0.0).any(axis=1)
    if is_sold.any():
        rows = held.rows[is_sold]
        stakes = stakes_beside(books, rows)
        of_all = np.zeros((len(stakes.rows), books.replications))
        of_all[stakes.places(rows)] = sold[is_sold]
        ForcedSales(books, ledger, stakes).press(of_all, "default")
