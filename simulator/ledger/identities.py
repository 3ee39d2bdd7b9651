"""Identities that hold in every tick of every replication; one that fails is an error with the agent, tick and amount."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger

Array = NDArray[np.float64]

TOLERANCE = 1e-9


class IdentityError(ArithmeticError):
    """The books do not balance."""


def check(books: Books, ledger: Ledger, loans_net: Array | None = None) -> None:
    """Check money, flows of funds, signs and pledges; round off negatives within the tolerance against the rounding account.

    ``loans_net (N, R)``: loans owned less loans owed, where they are known.
    Raises IdentityError that names agent, tick and amount.
    """
    _round_off(books, ledger)
    _check_money(books, ledger)
    _check_flow_of_funds(books, ledger, loans_net)
    _check_signs(books)
    _check_pledges(books)


def _round_off(books: Books, ledger: Ledger) -> None:
    """A cash balance negative by less than the tolerance becomes zero; Outside bears the difference, which is counted."""
    cash = books["cash"]
    if cash.min() >= 0.0:
        return
    agent, column = np.divmod(np.flatnonzero(cash < 0.0), books.replications)  # few
    lacking, scale = -cash[agent, column], ledger.flows[agent, column]
    if not (lacking < TOLERANCE * np.maximum(scale, 1.0)).all():  # flows alone are the stricter scale; gross positions are summed where needed
        scale = books.gross_positions()[agent, column] + scale
    slight = np.flatnonzero((lacking < TOLERANCE * np.maximum(scale, 1.0)) & (agent != books.outside))
    if len(slight):
        agent, column, lacking = agent[slight], column[slight], lacking[slight]
        rows, place = np.unique(np.append(agent, books.outside), return_inverse=True)
        change = np.zeros((len(rows), books.replications))
        change[place[:-1], column] = lacking
        amount = ledger.sum(change)
        change[place[-1]] -= amount[0]
        ledger.pay(change, rows=rows)
        cash[agent, column] = 0.0
        ledger.rounding += amount


def _check_money(books: Books, ledger: Ledger) -> None:
    cash = ledger.sum(books["cash"])
    money = cash - ledger.sum(books["deposits"])
    scale = cash + ledger.sum(ledger.flows)
    error = np.abs(money - books.money_at_start)
    if (error > TOLERANCE * scale).any():
        column = int(np.argmax(error - TOLERANCE * scale))
        change = money[0, column] - books.money_at_start[column]
        raise IdentityError(f"tick {books.tick}, column {column}: cash less deposits changed by {change:.6g} USD bn")


def _check_flow_of_funds(books: Books, ledger: Ledger, loans_net: Array | None) -> None:
    closing = books.net_worth(loans_net)
    ledger.closing = closing
    expected = ledger.opening.copy()
    for posting in ledger.postings():
        expected += posting
    error = closing - expected
    np.abs(error, out=error)
    if error.max() <= TOLERANCE:  # the least that is allowed
        return
    turnover = ledger.flows
    allowed = np.maximum(turnover, 1.0)
    allowed *= TOLERANCE
    bad = ~(error <= allowed)
    if bad.any():  # flows alone are the stricter scale; gross positions and postings are summed only where it is not enough
        turnover = turnover + books.gross_positions()
        for posting in ledger.postings():
            turnover += np.abs(posting)
        bad = ~(error <= TOLERANCE * np.maximum(turnover, 1.0))
    if bad.any():
        excess = np.where(np.isfinite(closing), error / np.maximum(turnover, 1.0), np.inf)
        agent, column = np.unravel_index(int(np.argmax(excess)), excess.shape)
        raise IdentityError(
            f"tick {books.tick}, agent {books.ids[int(agent)]}, column {int(column)}: net worth is {closing[agent, column]:.9g} USD bn, "
            f"opening and postings give {expected[agent, column]:.9g} (difference {closing[agent, column] - expected[agent, column]:.3g})"
        )


def _check_signs(books: Books) -> None:
    columns = {name: books[name] for name in ("cash", "deposits", "capacity", "construction")}
    contracts = {
        "principal": (books.loans.principal, books.loans), "remaining order": (books.orders.remaining, books.orders),
        "shares": (books.stakes.shares, books.stakes),
    }  # fmt: skip
    for name, values in columns.items():
        if values.min() < 0.0 and values.min() < -TOLERANCE * max(float(np.abs(values).max()), 1.0):
            agent, column = np.unravel_index(int(np.argmin(values)), values.shape)
            raise IdentityError(f"tick {books.tick}, agent {books.ids[int(agent)]}, column {int(column)}: {name} is {values[agent, column]:.6g}")
    for name, (values, table) in contracts.items():
        if values.size and values.min() < 0.0 and values.min() < -TOLERANCE * max(float(np.abs(values).max()), 1.0):
            row, column = np.unravel_index(int(np.argmin(values)), values.shape)
            raise IdentityError(f"tick {books.tick}, contract {table.ids[int(row)]}, column {int(column)}: {name} is {values[row, column]:.6g}")


def _check_pledges(books: Books) -> None:
    """No share is pledged twice: what loans have in pledge of a stake is never more than the holder has."""
    rows = books.pledge_rows
    if not len(rows):
        return
    pledged = books.pledge_matrix @ books.loans.pledged[rows]
    excess = pledged - books.stakes.shares * (1.0 + TOLERANCE)
    if excess.max() > TOLERANCE:
        stake, column = np.unravel_index(int(np.argmax(excess)), excess.shape)
        raise IdentityError(
            f"tick {books.tick}, stake {books.stakes.ids[int(stake)]}, column {int(column)}: {pledged[stake, column]:.6g} shares are pledged, "
            f"{books.stakes.shares[stake, column]:.6g} are held"
        )
