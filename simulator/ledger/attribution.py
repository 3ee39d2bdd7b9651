"""Accounts of losses: who bore them, who made them, how, and through which channel.

Every loss that is posted enters one account. An account has fixed rows, each with a bearer and a cause (agents), and amounts ``(K, R)``
to date. So the losses of any agent can be added up by channel and by whom, and they add up to what was posted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from simulator.ledger.contracts import Contracts, Selection
from simulator.networks.incidence import by_member

if TYPE_CHECKING:
    from simulator.ledger.books import Books

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

AGENTS, SALES, SECURITIES = "agents", "sales", "securities"
"""Tables of an account besides those of contracts: a row an agent; a row a pair of stakes in the same issuer (one kept, one sold); a row a pair of
agents that hold securities (one that keeps, one that sells)."""
PAIRED_MAX = 200  # holders of securities up to which each one's part in a fall of the price is kept; with more the seller is Outside, the market


class Loss(NamedTuple):
    """What an account of losses is about.

    ``channel``: a loss channel or ``direct``. ``reason``: ``shock``, ``decision`` or ``default`` (of the cause). ``table``: a table of contracts,
    ``agents`` or ``sales``. ``bearer`` and ``cause``: a side of the contract (``holder``, ``debtor``; of a guarantee also ``reference``, the agent
    that it is about), ``self`` (the agent of the row), or a kind of which there is one agent (``outside``, ``government``, ``short_seller``).
    """

    channel: str
    reason: str
    table: str
    bearer: str = "holder"
    cause: str = "debtor"


def pairs_of_stakes(stakes: Contracts) -> tuple[Rows, Rows]:
    """Every pair of stakes in the same issuer, the same stake twice included: two arrays of rows, of the one kept and of the one sold."""
    stakes_of_issuer = stakes.debtor_matrix.matrix.as_sparse()
    issuer_matrix = stakes_of_issuer.T.tocsr()
    together = sparse.csr_matrix(issuer_matrix @ stakes_of_issuer)
    together.sort_indices()
    return np.repeat(np.arange(stakes.count), np.diff(together.indptr)), together.indices.astype(np.int64)


def pairs_among(pairs: tuple[Rows, Rows], stakes: Selection) -> tuple[Rows, Rows, Rows]:
    """The ``pairs`` of ``stakes``, which are all those in some issuers: their rows among all pairs, and which of the stakes is kept and sold.

    Found once for a selection of stakes.
    """
    if stakes.pairs is None:
        kept, seller = pairs
        is_among = np.zeros(stakes.contracts, dtype=bool)
        is_among[stakes.rows] = True
        rows = np.flatnonzero(is_among[kept])
        stakes.pairs = rows, stakes.places(kept[rows]), stakes.places(seller[rows])
    return stakes.pairs


def pairs_of_securities(books: Books) -> tuple[Rows, Rows]:
    """Every pair of holders of securities: two arrays of agents, who keeps and who sells."""
    holders = np.flatnonzero((books["marketable_share"] > 0.0).any(axis=1))
    if len(holders) > PAIRED_MAX:
        return holders, np.full(len(holders), books.rows["outside"].start)
    return np.repeat(holders, len(holders)), np.tile(holders, len(holders))


def parties(books: Books, loss: Loss) -> tuple[Rows, Rows]:
    """Who bears and who causes each row of an account: two arrays of agents ``(K,)``."""
    return _side(books, loss.table, loss.bearer), _side(books, loss.table, loss.cause)


def enter(account: Array, amounts: Array, rows: Rows | slice, columns: Rows | None) -> None:
    """Add ``amounts (n, R)`` to ``rows`` of an account of losses ``(K, W)``; ``columns (R,)``: the replications they are of, when not all of a
    batch."""
    if columns is None:
        account[rows] += amounts
        return
    if amounts.shape[1] != len(columns):
        amounts = np.broadcast_to(amounts, (len(amounts), len(columns)))
    lost = amounts.reshape(-1)
    places = (lost != 0.0).nonzero()[0]  # few contracts lose in few replications
    row, column = np.divmod(places, len(columns))
    account[row + (rows.start or 0) if isinstance(rows, slice) else rows[row], columns[column]] += lost[places]


def rows_borne_by(books: Books, sides: tuple[tuple[str, str], ...], agents: Rows) -> list[tuple[Rows, Rows]]:
    """By side (table and bearer) of accounts, the rows that ``agents (E,)`` bear, and which of them bears each: two arrays, agent after agent, each
    one's rows ascending."""
    if sides not in books.sorted_sides:
        books.sorted_sides.clear()  # other sides stood in the accounts so far
        found = [by_member(_side(books, *side), books.agents) for side in sides]
        before = np.cumsum([0, *(len(order) for order, _ in found)])[:-1, None]
        books.sorted_sides[sides] = np.concatenate([order for order, _ in found]), before + np.array([starts for _, starts in found])
    order, starts = books.sorted_sides[sides]
    first = starts[:, agents]
    count = starts[:, agents + 1] - first  # (sides, E)
    ends = count.sum(axis=1).cumsum().tolist()
    flat = count.reshape(-1)
    position = np.arange(len(flat)).repeat(flat) % len(agents)
    rows = order[np.arange(len(position)) + (first.reshape(-1) - flat.cumsum() + flat).repeat(flat)]
    return [(rows[start:end], position[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _side(books: Books, table: str, word: str) -> Rows:
    """The agents on one side of the rows of an account. Found once: they are fixed while a model runs."""
    if (table, word) not in books.sides:
        books.sides[table, word] = _found_side(books, table, word)
    return books.sides[table, word]


def _found_side(books: Books, table: str, word: str) -> Rows:
    if table == SALES:
        return books.stakes.holder[pairs_of_stakes(books.stakes)[0 if word == "holder" else 1]]
    if table == SECURITIES:
        return pairs_of_securities(books)[0 if word == "holder" else 1]
    if table == AGENTS:
        return np.arange(books.agents) if word == "self" else np.full(books.agents, books.rows[word].start)
    contracts: Contracts = getattr(books, table)
    if word == "holder":
        return contracts.holder
    if word == "debtor":
        return contracts.debtor
    if word == "reference":
        return _reference(books)
    return np.full(contracts.count, books.rows[word].start)


def _reference(books: Books) -> Rows:
    """The agent whose default each guarantee is about; its beneficiary where the tables name no contract."""
    guarantees = books.guarantees
    about = guarantees.holder.copy()
    tables, rows = guarantees.static["reference_table"], np.asarray(guarantees.static["reference_row"], dtype=np.int64)
    for table in ("agents", "loans", "orders", "leases"):
        named = tables == table
        about[named] = rows[named] if table == "agents" else getattr(books, table).debtor[rows[named]]
    return about
