"""The tables of losses (by tie, channel and reason) and of attribution (why each agent's net worth changed)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.engine.causes import Genealogy
from simulator.engine.default_tables import texts
from simulator.ledger.attribution import Loss, parties
from simulator.ledger.names import REASONS
from simulator.ledger.postings import TAGS

if TYPE_CHECKING:
    from simulator.engine.model import ContagionModel

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


class LossTables:
    """Makes both tables of a batch; keeps them by month where asked to."""

    def __init__(self, model: ContagionModel) -> None:
        self.model = model
        self._before: dict[Loss, Array] = {}
        self._dated: list[tuple[int, Loss, Rows, Rows, Array]] = []
        self._attributed: list[tuple[int, Array, dict[str, Array], Array]] = []
        self.is_dated = False

    def keep_tick(self, with_attribution: bool) -> None:
        """Keep the losses of the tick by account, and the postings of every agent where asked."""
        ledger, tick = self.model.ledger, self.model.books.tick
        self.is_dated = True
        for account in sorted(ledger.losses):
            amounts = ledger.losses[account]
            before = self._before.get(account)
            change = amounts if before is None else amounts - before
            rows, columns = np.nonzero(change)
            if len(rows):
                self._dated.append((tick, account, rows, columns, change[rows, columns]))
                self._before[account] = amounts.copy()
        if with_attribution:
            self._attributed.append((tick, ledger.opening, {tag: ledger.posted[tag].copy() for tag in TAGS}, ledger.closing))

    def losses(self, genealogy: Genealogy) -> pd.DataFrame:
        """One row a tie, channel, reason and replication (and tick, when dated), USD bn; nothing is left out, so they add to ``total_loss``.

        ``from_agent``: whose default or decision made the loss (``reason``); under ``direct`` whose shares the shock moved. ``wave``: of the
        default of ``from_agent`` in the tree of causes, 0 where it made the loss without failing.
        """
        books, ledger = self.model.books, self.model.ledger
        pieces: list[tuple[int, Loss, Rows, Rows, Array]] = self._dated
        if not self.is_dated:
            pieces = []
            for account in sorted(ledger.losses):
                rows, columns = np.nonzero(ledger.losses[account])
                pieces.append((-1, account, rows, columns, ledger.losses[account][rows, columns]))
        agents, channels = books.agents, TAGS
        codes: list[Rows] = [np.zeros(0, dtype=np.int64)]
        amounts: list[Array] = [np.zeros(0)]
        for tick, account, rows, columns, values in pieces:
            bearer, cause = parties(books, account)
            kind = channels.index(account.channel) * len(REASONS) + REASONS.index(account.reason)
            code = ((columns * (books.ticks + 1) + tick + 1) * agents + cause[rows]) * agents + bearer[rows]
            codes.append(code * (len(channels) * len(REASONS)) + kind)
            amounts.append(values)
        code, where = np.unique(np.concatenate(codes), return_inverse=True)
        amount = np.bincount(where, weights=np.concatenate(amounts), minlength=len(code))
        code, what = np.divmod(code, len(channels) * len(REASONS))
        code, bearer = np.divmod(code, agents)
        code, cause = np.divmod(code, agents)
        column, tick_of = np.divmod(code, books.ticks + 1)
        is_default = what % len(REASONS) == REASONS.index("default")
        depth = np.zeros((books.agents, books.replications), dtype=np.int64)
        for place, chains in genealogy.chain.items():
            for agent, chain in chains.items():
                depth[agent, place] = len(chain) - 2
        return pd.DataFrame({
            "replication": np.array(self.model.replications, dtype=np.int64)[column], "tick": tick_of - 1,
            "wave": np.where(is_default, depth[cause, column], 0), "from_agent": texts(books.ids, cause), "to_agent": texts(books.ids, bearer),
            "channel": texts(channels, what // len(REASONS)), "reason": texts(REASONS, what % len(REASONS)),
            "amount": amount,
        })  # fmt: skip

    def attribution(self) -> pd.DataFrame:
        """Why net worth changed: one row an agent and replication (and tick, when dated): ``opening``, a column a tag, ``closing``, USD bn.

        Opening plus the tags is closing, to rounding. Postings are net: what an agent gained under a tag less what it lost.
        """
        ledger = self.model.ledger
        kept = self._attributed or [(-1, ledger.opening_of_run, ledger.attributed(), ledger.closing)]
        return pd.concat([self._attribution(*piece) for piece in kept], ignore_index=True)

    def _attribution(self, tick: int, opening: Array, posted: dict[str, Array], closing: Array) -> pd.DataFrame:
        books = self.model.books
        agents, width = books.agents, books.replications
        columns = {"opening": opening, **posted, "closing": closing}
        return pd.DataFrame({
            "replication": np.repeat(np.array(self.model.replications, dtype=np.int64), agents),
            "tick": np.full(agents * width, tick, dtype=np.int64),
            "agent": np.tile(np.array(books.ids, dtype=object), width),
            **{name: np.ascontiguousarray(values.T).ravel() for name, values in columns.items()},
        })  # fmt: skip
