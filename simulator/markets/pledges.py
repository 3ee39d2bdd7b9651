"""What collateral is worth to a lender: capacity, receivables and shares, each less the haircut of its kind.

A haircut is the part of the market value on which nothing is lent: opening loan to value is one less the haircut.
Source: Brunnermeier and Pedersen (2009), eq. 3: the loan against a position is its price less the margin; [geanakoplos2010].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.contracts import Contracts, Selection
from simulator.ledger.sums import common_rows
from simulator.markets import regulation

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

CURE = 0.9  # a call is cured down to this part of the call level (assumption, 0.8-1)
RECEIVABLE_MONTHS = 3.0  # contracted sales of this many months are in the borrowing base: those billed and those about to be (assumption, 1-6)


def resale_fraction(books: Books) -> Array:
    """Resale value of capacity per unit of book value, ``(N, R)``: accelerators by generation and shock, the rest as a building."""
    chips = books["chips_share"]
    accelerators = books["resale_value"] * books.levers["accelerators.resale_value"]
    return chips * accelerators + (1.0 - chips) * books.levers["data_centres.resale_value"]


def haircut(books: Books, kind: str) -> Array:
    """Haircut on collateral of a kind (accelerators, data_centre, receivables, listed, unlisted), in [0, 0.95], ``(1, R)``."""
    least: Array = np.clip(books.macro[f"haircut_{kind}"] + books.series["added_haircut"], 0.0, 0.95)
    return least


def recognised(books: Books, unaudited: Array) -> Array:
    """Part of a collateral's market value that counts in a loan-to-value test, by loan, ``(n, R)``: one less the haircuts in force."""
    haircuts = books.series["added_haircut"] + unaudited * books.levers["collateral.unaudited_haircut"]
    return 1.0 - np.minimum(np.maximum(haircuts, 0.0), 0.9)


def secured_room(books: Books, secured: Array, rows: slice = slice(None)) -> Array:
    """Haircut value of capacity (of ``rows``) less the debt ``secured (N, R)`` that it already secures, USD bn, ``(n, R)``."""
    chips = books["chips_share"][rows]
    value = (chips * (1.0 - haircut(books, "accelerators"))) * (books["resale_value"][rows] * books.levers["accelerators.resale_value"])
    value += (1.0 - chips) * (1.0 - haircut(books, "data_centre")) * books.levers["data_centres.resale_value"]
    room: Array = (books["capacity"][rows] + books["construction"][rows]) * value
    room -= secured[rows]
    return room


def receivables(books: Books, owners: Rows) -> Array:
    """What each of the agents ``owners (n,)`` can pledge as receivables, USD bn, ``(n, R)``.

    Of a firm: unpaid invoices and rents owed to it, and contracted sales of the coming `RECEIVABLE_MONTHS`. Of a lender: its loans, and its
    other assets, which are claims on the rest of the world.
    """
    orders, leases = _held(books.orders, owners), _held(books.leases, owners)
    owned = books.by_owner(orders, books.orders.arrears[orders.rows])[owners]
    owned += books.by_owner(leases, books.leases.arrears[leases.rows])[owners]
    owned += books["contracted_now"][owners] * (RECEIVABLE_MONTHS / 12.0)
    lenders = books.rows["lender"]
    is_fund = (owners >= lenders.start) & (owners < lenders.stop) & (books["is_bank"][owners, 0] == 0.0)
    if is_fund.any():
        funds = owners[is_fund]
        loans = _held(books.loans, funds)
        given = books.by_owner(loans, books.loans.principal[loans.rows] + books.loans.arrears[loans.rows])
        owned[is_fund] += given[funds] + books["other_assets"][funds]
    return owned


def _held(table: Contracts, holders: Rows) -> Selection:
    is_holder = np.zeros(table.agents, dtype=bool)
    is_holder[holders] = True
    return table.some(np.flatnonzero(is_holder[table.holder]))


def pledged_values(books: Books, rows: NDArray[np.int64]) -> Array:
    """Market value of the shares pledged behind loans ``rows``, USD bn, ``(len(rows), R)``."""
    return value_of(books, books.loans.pledged[rows], books.stakes.debtor[books.loans.static["pledged_stake"][rows]])


def value_of(books: Books, shares: Array, issuer: Rows) -> Array:
    """Market value of pledged ``shares (n, R)`` of ``issuer (n,)``, USD bn, ``(n, R)``."""
    value: Array = shares * regulation.audited_price(books, issuer)
    return value


def limit_to_pledges(books: Books, slots: Selection, asked: Array, drawing: Selection | None = None, drawn: Array | None = None) -> None:
    """Cut new loans ``asked (n, R)`` in ``slots``, in place, to what their pledge still carries beside ``drawn`` of the loans ``drawing``.

    Receivables: a borrowing base, haircut receivables less what is drawn on them, shared in proportion. Shares: haircut value of the pledge, and
    never above the level to which a call would have to be cured.
    """
    loans = books.loans
    if drawn is not None and not drawn.any():
        drawn = None
    at = np.flatnonzero(loans.static["on_receivables"][slots.rows])
    at = at[np.any(asked[at], axis=1)]
    if len(at):
        every, some = loans.some(books.receivable_rows), loans.some(slots.rows[at])
        borrowers = some.debtors
        used = every.by_debtor(loans.principal[every.rows] + loans.arrears[every.rows])
        if drawn is not None and drawing is not None:
            shared = np.flatnonzero(loans.static["on_receivables"][drawing.rows])
            if len(shared):
                used += loans.some(drawing.rows[shared]).by_debtor(drawn[shared])
        room = np.maximum(receivables(books, borrowers) * (1.0 - haircut(books, "receivables")) - used[borrowers], 0.0)
        share = np.minimum(1.0, room / np.maximum(some.by_debtors(asked[at]), 1e-12))
        asked[at] *= share[some.debtor_places]
    at = np.flatnonzero(loans.static["pledged_stake"][slots.rows] >= 0)
    if len(at) and asked[at].any():
        room = share_room(books, slots.rows[at])
        if drawn is not None and drawing is not None:
            mine, others = common_rows(slots.rows[at], drawing.rows)
            room[mine] = np.maximum(room[mine] - drawn[others], 0.0)
        asked[at] = np.minimum(asked[at], room)


def share_room(books: Books, rows: NDArray[np.int64]) -> Array:
    """What may still be lent against pledged shares by loans ``rows``, USD bn, ``(len(rows), R)``."""
    loans = books.loans
    issuer = books.stakes.debtor[loans.static["pledged_stake"][rows]]
    listed = books["is_listed"][issuer] > 0.0
    lendable = np.where(listed, 1.0 - haircut(books, "listed"), 1.0 - haircut(books, "unlisted"))
    lendable = np.minimum(lendable, CURE * loans.static["ltv_call"][rows][:, None])
    room: Array = np.maximum(lendable * pledged_values(books, rows) - loans.principal[rows] - loans.arrears[rows], 0.0)
    return room
