"""The ledger: the only writer of the books.

Every flow is posted twice, and every change of net worth carries a tag: ``ordinary``, ``direct`` (the shock itself) or a channel of contagion. Per
agent, opening net worth plus the sum of its postings is closing net worth; each tick :mod:`simulator.ledger.identities` checks it against stocks.

Every loss under a tag carries its cause too. Who posts one says, besides the channel and its nature, the ``reason`` (``default``, ``decision`` or
``shock``) and the ``cause``: the side of the contract, or the agent, whose default or decision made it (:class:`simulator.ledger.attribution.Loss`).
What is ordinary has no cause but luck and the agent's own business.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.attribution import AGENTS, SALES, SECURITIES, Loss, enter, pairs_among, pairs_of_securities, pairs_of_stakes
from simulator.ledger.books import Books
from simulator.ledger.contracts import Contracts, Selection, Summed, Ties
from simulator.ledger.names import LOSS_CHANNELS
from simulator.ledger.sums import WIDE, add_to_rows, total

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

TAGS = ("ordinary", "direct", *LOSS_CHANNELS)
ALL = slice(None)
NATURES = ("credit", "mark_to_market", "deadweight")


class Ledger:
    """Writes the books and keeps the account of every change of net worth by tag, and of losses by contract and channel."""

    def __init__(self, books: Books) -> None:
        self.books = books
        size, width = books.agents, books.replications
        self.width = width  # of the accounts of losses, which are kept for all
        self.columns: Rows | None = None  # in a part of a batch: its columns in them
        self.posted: dict[str, Array] = {tag: np.zeros((size, width)) for tag in TAGS}
        self.touched: set[str] = set()  # tags posted to in this tick; shared by the parts of a batch
        self.to_date = {tag: np.zeros((size, width)) for tag in TAGS}  # postings of the ticks before this one
        self.opening = books.net_worth()
        self.opening_of_run = self.opening.copy()
        self.closing = self.opening
        self.flows = np.zeros((size, width))
        self.loss_by_tag: dict[str, Array] = {tag: np.zeros((1, width)) for tag in TAGS[1:]}
        self.loss_by_nature: dict[str, Array] = {nature: np.zeros((1, width)) for nature in NATURES}
        self.losses: dict[Loss, Array] = {}  # to date, by account
        self._pairs: list[tuple[Rows, Rows]] = []  # found when first asked for, and shared by the parts of a batch
        self.pairs_of_holders = pairs_of_securities(books)
        self.public_support = np.zeros((size, width))  # what the government has paid out, by receiver
        self.rounding = np.zeros((1, width))
        self.mute = {name: books.switches[name] for name in LOSS_CHANNELS if not books.switches[name].all()}

    @property
    def pairs(self) -> tuple[Rows, Rows]:
        """Every pair of stakes in the same issuer: the one kept and the one sold."""
        if not self._pairs:
            self._pairs.append(pairs_of_stakes(self.books.stakes))
        return self._pairs[0]

    def begin_tick(self) -> None:
        """Open the account of a tick: it opens at the net worth at which the last one was found to close."""
        self.opening = self.closing
        for tag in sorted(self.touched):
            posted = self.posted[tag]
            moved: slice | Rows = ALL
            if self.width >= WIDE:  # most channels move the net worth of few: to look who they are takes less than to add all
                some = np.flatnonzero((posted != 0.0).any(axis=1))
                moved = some if 2 * len(some) < len(posted) else ALL
            self.to_date[tag][moved] += posted[moved]
            posted[moved] = 0.0
        self.touched.clear()
        self.flows[...] = 0.0

    def worth_so_far(self, rows: slice | Rows = ALL, into: Array | None = None) -> Array:
        """Net worth now (of ``rows``), USD bn, ``(N, R)``: the opening and what has been posted since; written ``into`` an array, if one is given."""
        worth = np.empty_like(self.opening[rows]) if into is None else into
        worth[...] = self.opening[rows]
        for posting in self.postings():
            worth += posting[rows]
        return worth

    def postings(self) -> list[Array]:
        """The postings of this tick, one array ``(N, R)`` a tag that has any, in the order of ``TAGS``."""
        return [self.posted[tag] for tag in TAGS if tag in self.touched]

    def attributed(self) -> dict[str, Array]:
        """Postings of the run so far by tag, ``(N, R)`` each: with the opening of the run they add to net worth."""
        return {tag: self.to_date[tag] + self.posted[tag] for tag in TAGS}

    @staticmethod
    def sum(amounts: Array) -> Array:
        """Sum over the first axis, ``(1, R)``, with bits that do not depend on the number of replications."""
        return total(amounts)

    def move_cash(self, change: Array, rows: slice | Rows = ALL) -> None:
        """Change cash (of ``rows``) by ``change (N, R)``, in all zero; banks and the central bank pay by creating deposits."""
        books = self.books
        cash, deposits = books["cash"], books["deposits"]
        cash[rows] += change
        self.flows[rows] += np.abs(change)
        at = books.makes_money[rows].nonzero()[0]
        if not len(at):
            return
        issuers = np.arange(books.agents)[rows][at]
        created = change[at] * books["issues_money"][issuers]  # a bank in resolution pays with what cash it has
        held = cash[issuers]
        held -= created
        owed = deposits[issuers]
        owed -= created
        if owed.min() < 0.0:  # an issuer that takes in more than its deposits holds the rest as reserves
            spare = np.maximum(-owed, 0.0)
            owed += spare
            held += spare
        cash[issuers], deposits[issuers] = held, owed

    def post(self, tag: str, change: Array, rows: int | slice | Rows = slice(None)) -> None:
        """Enter a change of net worth ``(N, R)`` under a tag, or that of some ``rows``."""
        self.touched.add(tag)
        self.posted[tag][rows] += change

    def pay(self, change: Array, tag: str = "ordinary", rows: slice | Rows = ALL) -> None:
        """An income of some that is a cost of others: cash and net worth (of ``rows``) move by ``change (N, R)``, which sums to zero over agents."""
        self.move_cash(change, rows)
        self.post(tag, change, rows)

    def pay_between(self, payer: int, payee: int, amounts: Array, tag: str = "ordinary") -> None:
        """Pay ``amounts (1, R)`` from one agent to another."""
        if self.books.makes_money[[payer, payee]].any():
            self.pay(np.concatenate([-amounts, amounts]), tag, np.array([payer, payee]))
        else:
            self._hand_over(payer, payee, amounts[0])
            self.post(tag, -amounts[0], payer)
            self.post(tag, amounts[0], payee)

    def _hand_over(self, payer: int, payee: int, paid: Array) -> None:
        """Cash ``paid (R,)`` from one agent to another, neither of whom makes money."""
        self.books["cash"][payer] -= paid
        self.books["cash"][payee] += paid
        self.flows[np.array([payer, payee])] += np.abs(paid)

    def change_stock(self, name: str, change: Array, tag: str = "ordinary") -> None:
        """Change a stock of value (capacity, other assets, …) and the net worth with it; liabilities lower net worth."""
        self.books[name][...] += change
        self.post(tag, -change if name in ("other_liabilities", "deposits", "operating_arrears") else change)

    def swap(self, source: str, target: str, amounts: Array) -> None:
        """Turn ``amounts (N, R)`` of one stock into another at book value, as when construction is switched on."""
        self.books[source][...] -= amounts
        self.books[target][...] += amounts

    def exchange_other_assets(self, amounts: Array, rows: slice | Rows = ALL) -> None:
        """Sell other assets worth ``amounts (N, R)`` (of some ``rows``), none of them Outside's, to Outside at book value; negative amounts buy."""
        if not amounts.any():
            return
        self.books["other_assets"][rows] -= amounts
        self.books["other_assets"][self.books.outside] += self.take_from_outside(amounts, rows)

    def take_from_outside(self, amounts: Array, rows: slice | Rows = ALL) -> Array:
        """Outside pays ``amounts (n, R)`` in cash to agents (of ``rows``) other than itself, or is paid negative ones; returns the sum, ``(R,)``."""
        paid: Array = total(amounts)[0]
        self.move_cash(amounts, rows)
        self.books["cash"][self.books.outside] -= paid
        self.flows[self.books.outside] += np.abs(paid)
        return paid

    def lend_to_outside(self) -> None:
        """The central bank lends Outside what it lacks: to buy the estates of a banking sector, or in tables that give it little cash."""
        books = self.books
        lacking = np.maximum(-books["cash"][books.outside], 0.0)
        if not lacking.any():
            return
        for agent, name in (
            (books.outside, "cash"), (books.outside, "other_liabilities"), (books.central_bank, "deposits"), (books.central_bank, "other_assets")
        ):  # fmt: skip
            books[name][agent] += lacking
        self.flows[np.array([books.outside, books.central_bank])] += lacking

    def release_pledges(self) -> None:
        """Where a stake has become smaller than what is pledged of it (an estate, a failed issuer), the pledges shrink in proportion."""
        books = self.books
        rows = books.pledge_rows
        if len(rows):
            pledged = books.loans.pledged[rows]
            held, owed = books.stakes.shares[books.pledge_stakes], (books.pledge_matrix @ pledged)[books.pledge_stakes]
            books.loans.pledged[rows] = np.where(owed > held, pledged * (held / np.maximum(owed, 1e-300)), pledged)

    def set_column(self, name: str, values: Array, rows: slice | Rows = slice(None)) -> None:
        """Write a column that carries no value of its own (a decision, a price memo, an index), or some ``rows`` of it."""
        self.books[name][rows] = values

    def lend(self, slots: Selection, amounts: Array) -> None:
        """New loans ``amounts (n, R)`` in ``slots``: cash to the borrower, principal to the lender's assets. No one's net worth moves."""
        add_to_rows(self.books.loans.principal, slots.rows, amounts)
        parties, given = self.books.net_of_parties(slots, amounts)
        self.move_cash(np.negative(given, out=given), parties)

    def repay(self, slots: Selection, amounts: Array) -> Array:
        """Principal ``amounts (n, R)`` of ``slots`` paid back in cash; returns what is left of it, ``(n, R)``."""
        principal = self.books.loans.principal
        principal[slots.rows] = left = np.maximum(principal[slots.rows] - amounts, 0.0)
        parties, received = self.books.net_of_parties(slots, amounts)
        self.move_cash(received, parties)
        return left  # type: ignore[no-any-return]

    def assign(self, sold: Selection, bought: Selection, amounts: Array) -> None:
        """Principal ``amounts (n, R)`` of loans ``sold`` passes, at book value for cash, to the same borrowers' loans ``bought``, whose rates become
        averages weighted by principal. The holders of the latter pay those of the former."""
        loans = self.books.loans
        held = loans.principal[bought.rows]
        weight = np.maximum(held + amounts, 1e-12)
        rate = np.where(amounts > 0.0, (held * loans.rate[bought.rows] + amounts * loans.rate[sold.rows]) / weight, loans.rate[bought.rows])
        loans.rate[bought.rows] = rate
        loans.principal[sold.rows] -= amounts
        loans.principal[bought.rows] = held + amounts
        self.move_cash(sold.by_holder(amounts) - bought.by_holder(amounts))

    # ------------------------------------------------------------------ losses

    def lose(
        self, table: str, channel: str, amounts: Array, nature: str, relief: bool = False, *, some: Selection | None = None,
        reason: str = "default", cause: str = "debtor",
    ) -> None:  # fmt: skip
        """Holders of contracts (all, or ``some``) lose ``amounts (C, R)``, not negative, through a channel; ``relief`` frees the debtors of as much.

        ``reason`` and ``cause``: by whose default or decision; the default of the debtor if nothing is said. With the channel switched off the
        loss is made good by Outside, in cash, as a booked indemnity: it is then ordinary.
        """
        whole: Contracts = getattr(self.books, table)
        contracts: Ties = whole if some is None else some
        switch = self._muted(channel)
        booked = amounts if switch is None else amounts * switch
        loss = Loss(channel, reason, table, "holder", cause)
        account = self._account(loss, whole.count)
        if not len(amounts):
            return
        is_claim = table != "stakes"  # the dead hold no shares
        by_owner = self.books.by_owner if is_claim else Ties.by_holder
        orphaned = self.books.of_the_dead(contracts, booked) if is_claim else None
        rows = ALL if some is None else some.rows
        enter(account, booked if orphaned is None else booked - orphaned, rows, self.columns)
        if orphaned is not None:
            enter(self._account(loss._replace(bearer="outside"), whole.count), orphaned, rows, self.columns)
        self._count(channel, nature, total(booked))
        owners, lost = (ALL, by_owner(contracts, booked)) if is_claim else contracts.by_holders_and(self.books.outside, booked)
        self.post(channel, -lost, owners)
        if relief:
            self.post(channel if switch is None else "ordinary", contracts.by_debtor(amounts))
        if switch is not None:
            self._indemnify(by_owner(contracts, amounts * (1.0 - switch)))

    def cost_debtors(
        self, table: str, channel: str, amounts: Array, some: Selection | None = None, *, reason: str = "decision", cause: str = "holder"
    ) -> Summed:
        """Debtors of contracts (all, or ``some``) bear an extra cost ``amounts (C, R)`` through a channel that the holders earn, as a dearer renewal.

        ``reason`` and ``cause``: by whose decision or default; the decision of the holder if nothing is said. Returns the sums by party.
        """
        whole: Contracts = getattr(self.books, table)
        contracts: Ties = whole if some is None else some
        switch = self._muted(channel)
        booked = amounts if switch is None else amounts * switch
        self._enter(Loss(channel, reason, table, "debtor", cause), booked, whole.count, some or ALL)
        sums = contracts.summed(amounts)
        borne = sums.by_debtor if switch is None else contracts.by_debtor(booked)
        self._count(channel, "credit", total(borne))
        self.post(channel, -borne)
        self.post("ordinary", self.books.to_owners(contracts, sums.by_holder.copy()))
        if switch is not None:
            self._indemnify(contracts.by_debtor(amounts * (1.0 - switch)))
        return sums

    def charge_debtors(self, table: str, channel: str, amounts: Array, nature: str, some: Selection) -> None:
        """Debtors of ``some`` contracts lose ``amounts (n, R)`` by what the holders decide, and no holder earns it, as by a sale in haste."""
        switch = self._muted(channel)
        booked = amounts if switch is None else amounts * switch
        self._enter(Loss(channel, "decision", table, "debtor", "holder"), booked, some.contracts, some)
        self._count(channel, nature, total(booked))
        self.post(channel, -some.by_debtor(booked))
        if switch is not None:
            self._indemnify(some.by_debtor(amounts * (1.0 - switch)))

    def lose_own(self, channel: str, amounts: Array, nature: str, rows: slice = ALL, *, reason: str = "default", cause: str = "self") -> None:
        """Agents (of ``rows``) lose ``amounts (n, R)`` with nobody's contract behind it: an estate by its sales, a fund by what its investors take.

        ``reason`` and ``cause``: by whose default or decision; the agent's own default if nothing is said.
        """
        switch = self._muted(channel)
        booked = amounts if switch is None else amounts * switch
        self._enter(Loss(channel, reason, AGENTS, "self", cause), booked, self.books.agents, rows)
        self._count(channel, nature, total(booked))
        self.post(channel, -booked, rows)
        if switch is not None:
            self._indemnify(amounts * (1.0 - switch), rows)

    def lose_on_estate(self, amounts: Array, creditor: str, rows: slice | Rows = ALL) -> None:
        """Unpaid bills ``amounts (n, R)`` of estates (of ``rows``) are lost by one ``creditor``, ``outside`` or ``government``; the estates are freed
        of them."""
        account = self._account(Loss("counterparty", "default", AGENTS, creditor, "self"), self.books.agents)
        if not len(amounts):
            return
        switch = self._muted("counterparty")
        booked = amounts if switch is None else amounts * switch
        lost, row = total(booked), self.books.rows[creditor].start
        enter(account, booked, rows, self.columns)
        self._count("counterparty", "credit", lost)
        self.post("counterparty", booked, rows)
        self.posted["counterparty"][row] -= lost[0]
        if switch is not None:  # Outside would indemnify itself, so the loss is simply ordinary
            rest = amounts - booked
            self.post("ordinary", rest, rows)
            self.posted["ordinary"][row] -= total(rest)[0]

    def revalue_stakes(self, change: Array, tag: str, some: Selection | None = None, *, reason: str = "decision", cause: str = "debtor") -> None:
        """Stakes (all, or ``some``) change in value by ``change (S, R)`` because their issuers' prices have; falls outside ``ordinary`` are losses.

        ``reason`` and ``cause``: by whose decision or default prices moved; by what the issuer does if nothing is said.
        """
        stakes: Ties = self.books.stakes if some is None else some
        if tag == "ordinary":
            self.post(tag, stakes.by_holders(change), stakes.holders)
            return
        self.lose("stakes", tag, np.maximum(-change, 0.0), "mark_to_market", some=some, reason=reason, cause=cause)
        self.post(tag, stakes.by_holders(np.maximum(change, 0.0)), stakes.holders)

    def mark_down(self, amounts: Array, part: Array, stakes: Selection, reason: str = "decision") -> None:
        """Of ``stakes``, all those in some issuers, holders lose ``amounts (n, R)``, a fire-sale loss, because some of them have sold: each the
        ``part (n, R)`` of what is sold of its issuer, by which it is the cause."""
        switch = self._muted("fire_sale")
        booked = amounts if switch is None else amounts * switch
        rows, kept, seller = pairs_among(self.pairs, stakes)
        self._enter(Loss("fire_sale", reason, SALES), booked.take(kept, axis=0) * part.take(seller, axis=0), len(self.pairs[0]), rows)
        self._count("fire_sale", "mark_to_market", total(booked))
        holders, lost = stakes.by_holders_and(self.books.outside, booked)
        self.post("fire_sale", -lost, holders)
        if switch is not None:
            self._indemnify(stakes.by_holder(amounts * (1.0 - switch)))

    def mark_down_securities(self, amounts: Array, sold: Array, holders: slice, reason: str = "decision") -> None:
        """Agents of the rows ``holders`` lose ``amounts (n, R)`` on securities because they sold ``sold (n, R)``: a fire-sale loss, by each seller's
        part. ``reason``: the sellers' ``decision``, or their ``default``."""
        switch = self._muted("fire_sale")
        booked = amounts if switch is None else amounts * switch
        keeper, seller = self.pairs_of_holders
        market = len(sold)  # the last row of the parts: where there are too many holders to tell them apart
        part = np.append(sold / np.maximum(total(sold), 1e-300), np.ones((1, sold.shape[1])), axis=0)
        seller = np.where(seller == self.books.outside, market, seller - holders.start)
        some = np.flatnonzero(np.append(sold.any(axis=1), True)[seller])  # few sell
        lost = np.take(booked, keeper[some] - holders.start, axis=0) * np.take(part, seller[some], axis=0)
        self._enter(Loss("fire_sale", reason, SECURITIES), lost, len(keeper), some)
        self._count("fire_sale", "mark_to_market", total(booked))
        self.post("fire_sale", -booked, holders)
        if switch is not None:
            self._indemnify(amounts * (1.0 - switch), holders)

    def _enter(self, loss: Loss, amounts: Array, count: int = 0, some: Selection | slice | Rows = ALL) -> None:
        """Add ``amounts (K, R)`` to an account of losses; those of ``some`` contracts or rows of ``count`` to their rows."""
        account = self._account(loss, count or len(amounts))
        enter(account, amounts, some.rows if isinstance(some, Selection) else some, self.columns)

    def _account(self, loss: Loss, count: int) -> Array:
        """The account of a loss, of ``count`` rows; it is opened when first asked for."""
        if loss not in self.losses:
            self.losses[loss] = np.zeros((count, self.width))
        return self.losses[loss]

    def government_pays(self, amounts: Array, receiver: int | None = None) -> None:
        """The government pays ``amounts (N, R)``, or ``(1, R)`` to one ``receiver``, with money it borrows from Outside, and keeps the bill."""
        books = self.books
        bill = total(amounts)
        self.public_support[slice(None) if receiver is None else [receiver]] += amounts
        books["other_liabilities"][books.government] += bill[0]
        books["other_assets"][books.outside] += bill[0]
        self._hand_over(books.outside, books.government, bill[0])
        if receiver is None:
            change = amounts.copy()
            change[books.government] -= bill[0]
            self.pay(change)
        else:
            self.pay_between(books.government, receiver, bill)
        books.series["fiscal_cost"] = books.series["fiscal_cost"] + bill

    def _muted(self, channel: str) -> Array | None:
        """The switch of a channel that is off in some replication, ``(1, R)``; None where it is on in all."""
        return self.mute[channel] if channel in self.mute else None  # noqa: SIM401 - in a part of a batch, asking is what cuts the array

    def _count(self, channel: str, nature: str, amount: Array) -> None:
        self.loss_by_tag[channel] += amount
        self.loss_by_nature[nature] += amount

    def _indemnify(self, amounts: Array, rows: slice = ALL) -> None:
        """Outside makes good ``amounts (n, R)`` of the agents (of ``rows``): the loss and its compensation are both ordinary."""
        self.post("ordinary", -amounts, rows)
        change = np.zeros((self.books.agents, self.books.replications))
        change[rows] = amounts
        change[self.books.outside] -= total(amounts)[0]
        self.pay(change)
