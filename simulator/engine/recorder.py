"""Keeps what a batch yields: system series by tick, defaults with their causes, losses by tie and channel."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.engine import default_tables, entry
from simulator.engine.causes import Genealogy, Story
from simulator.engine.loss_tables import LossTables
from simulator.engine.outcomes import boom_and_bust, who_pays
from simulator.engine.recorded import PANEL, SERIES, month_name
from simulator.ledger.names import ENTRANT, LOSS_CHANNELS
from simulator.ledger.postings import NATURES
from simulator.ledger.resolution import DefaultEvents
from simulator.markets.accounts import concentration

if TYPE_CHECKING:
    from simulator.engine.model import ContagionModel

Array = NDArray[np.float64]

COUNTED_KINDS = ("chipmaker", "hyperscaler", "cloud", "project_company", "ai_lab", "investor", "lender")
SYSTEMIC: dict[str, float] = {"months": 12, "kinds": 3, "debt_share": 0.10}
"""The definition of a systemic run where none is given."""


class Recorder:
    """Records one batch; :meth:`tables` makes the tables of the run folder from it."""

    def __init__(self, model: ContagionModel, record: str) -> None:
        self.model, self.record_level = model, record
        books = model.books
        self.series = {name: np.zeros((books.ticks, books.replications)) for name in SERIES}
        self.events: list[tuple[int, DefaultEvents, Story]] = []
        self.genealogy = Genealogy(books.agents)
        self.accounts = LossTables(model)
        self._panel: list[pd.DataFrame] = []
        self._lab_floor = 1e-6
        self._incumbents = books.agents - (books.rows[ENTRANT].stop - books.rows[ENTRANT].start)
        self._central_bank_loans = np.flatnonzero(books.loans.holder == books.central_bank)

    def note_defaults(self, tick: int, events: DefaultEvents, story: Story) -> None:
        """Keep the defaults of a tick and the losses that led to them."""
        self.events.append((tick, events, story))

    # ------------------------------------------------------------------ every tick

    def record(self, model: ContagionModel, credit: Array) -> None:
        """Keep the system series of the tick, and what the level of recording asks for beyond. ``credit (1, R)``: what is owed on all loans."""
        books, ledger = model.books, model.ledger
        tick, series = books.tick, books.series
        books.series["credit"] = credit
        books.series["power_online"] = ledger.sum(books["power_online"])
        books.series["concentration"] = concentration(books, ledger)
        books.series["central_bank_assets"] = books["other_assets"][[books.central_bank]] + self._lent_by_central_bank()
        books.series["lab_concentration"], books.series["entrants"] = entry.lab_concentration(model), entry.entered(books)
        labs = books.rows["ai_lab"]
        burn = ledger.sum(books["last_burn"][labs] * books["alive"][labs])
        cash = ledger.sum(books["cash"][labs])
        runway = np.minimum(cash / np.maximum(burn, self._lab_floor), 60.0)
        for name in SERIES:
            if name in series:
                self.series[name][tick] = series[name][0]
        self.series["lab_cash_runway"][tick] = runway[0]
        self.series["defaults_to_date"][tick] = self._incumbents - ledger.sum(books["alive"][: self._incumbents])[0]
        loss = np.zeros((1, books.replications))
        for amount in ledger.loss_by_tag.values():
            loss += amount
        self.series["loss_to_date"][tick] = loss[0]
        if self.record_level in ("ticks", "agents"):
            self.accounts.keep_tick(self.record_level == "agents")
        if self.record_level == "agents":
            self._keep_panel()

    def _lent_by_central_bank(self) -> Array:
        """What firms and lenders owe the central bank, USD bn, ``(1, R)``."""
        loans = self.model.books.loans
        rows = self._central_bank_loans
        return self.model.ledger.sum(loans.principal[rows] + loans.arrears[rows])

    def _keep_panel(self) -> None:
        books = self.model.books
        agents, width = books.agents, books.replications
        frame = pd.DataFrame({
            "replication": np.tile(np.array(self.model.replications, dtype=np.int64), agents),
            "tick": np.int64(books.tick),
            "agent": np.repeat(np.array(books.ids, dtype=object), width),
            "kind": np.repeat(np.array(books.economy.kinds, dtype=object), width),
        })  # fmt: skip
        for name in PANEL:
            frame[name] = np.broadcast_to(books[name], (agents, width)).ravel()
        self._panel.append(frame)

    # ------------------------------------------------------------------ tables

    def tables(self, label: str, systemic: dict[str, float] | None = None) -> dict[str, pd.DataFrame]:
        """The tables of the batch under the scenario's label; ``systemic`` holds months, kinds and debt_share of the definition."""
        rule = {**SYSTEMIC, **(systemic or {})}
        defaults = default_tables.defaults(self)
        result = {
            "replications": self.replications_table(defaults, rule),
            "defaults": defaults,
            "causes": default_tables.causes(self),
            "losses": self.accounts.losses(self.genealogy),
        }
        if self.record_level != "summary":  # a summary keeps the quantiles of the series, taken over all batches
            result["ticks"] = self.ticks_table()
            result["attribution"] = self.accounts.attribution()
        if self._panel:
            result["agents"] = pd.concat(self._panel, ignore_index=True)
        for frame in result.values():
            frame.insert(0, "scenario", pd.Series(default_tables.texts([label], np.zeros(len(frame), dtype=np.int64)), index=frame.index))
        return result

    def outcomes(self, systemic: dict[str, float] | None = None) -> pd.DataFrame:
        """The table ``replications`` alone, without the scenario's label: all that an experiment with many variants needs."""
        return self.replications_table(default_tables.defaults(self), {**SYSTEMIC, **(systemic or {})})

    def replications_table(self, defaults: pd.DataFrame, rule: dict[str, float]) -> pd.DataFrame:
        """One row a replication: counts, losses by channel, and the worst of the series. Defaults are those of the economy's own agents."""
        of_entrants = defaults["kind"] == ENTRANT
        newcomers, defaults = defaults[of_entrants], defaults[~of_entrants]
        model = self.model
        books, ledger = model.books, model.ledger
        width = books.replications
        where = pd.Series(np.array(model.replications, dtype=np.int64))
        frame: dict[str, Any] = {"replication": where}  # made a table at the end: sixty insertions cost more than a chunk's month
        by = defaults.groupby("replication")
        frame["defaults"] = where.map(by.size()).fillna(0).astype(np.int64)
        frame["cascade_size"] = where.map((defaults["wave"] > 0).groupby(defaults["replication"]).sum()).fillna(0).astype(np.int64)
        frame["waves"] = where.map(by["wave"].max()).fillna(0).astype(np.int64)
        modelled_debt = model.debt_at_start
        worst = _worst_year(defaults, rule)
        largest = np.array([worst.get(number, -1.0) for number in model.replications])
        for name, factor in (("systemic", 1.0), ("systemic_at_half", 0.5), ("systemic_at_double", 2.0)):
            frame[name] = (largest >= 0.0) & (largest >= factor * rule["debt_share"] * modelled_debt)
        total = np.zeros(width)
        for tag in ("direct", *LOSS_CHANNELS):
            total += ledger.loss_by_tag[tag][0]
        frame["total_loss"] = total
        for nature in NATURES:
            frame[f"{nature}_loss"] = ledger.loss_by_nature[nature][0]
        for tag in ("direct", *LOSS_CHANNELS):
            frame[f"loss_{tag}"] = ledger.loss_by_tag[tag][0]
        frame["amplification"] = np.nan
        frame["converged"] = books.converged
        frame["fiscal_cost"] = books.series["fiscal_cost"][0]
        start = model.ai_value_at_start
        frame["market_value_min_share"] = np.minimum.reduce(self.series["ai_market_value"], axis=0) / np.maximum(start, 1e-9)
        frame["gdp_gap_min"] = np.minimum.reduce(self.series["gdp_gap"], axis=0)
        frame["unemployment_max"] = np.maximum.reduce(self.series["unemployment"], axis=0)
        of_kinds = defaults.groupby(["replication", "kind"]).size().unstack(fill_value=0).reindex(index=where, columns=COUNTED_KINDS, fill_value=0)
        for kind in COUNTED_KINDS:
            frame[f"{kind}_defaults"] = of_kinds[kind].to_numpy(np.int64)
            size = books.rows[kind].stop - books.rows[kind].start
            frame[f"{kind}_alive_share"] = 1.0 - frame[f"{kind}_defaults"] / size if size else 1.0
        frame["entrant_defaults"] = where.map(newcomers.groupby("replication").size()).fillna(0).astype(np.int64)
        frame["defaulted_debt"] = where.map(by["debt"].sum()).fillna(0.0)
        frame["defaulted_debt_share"] = frame["defaulted_debt"] / np.maximum(modelled_debt, 1e-9)
        frame["first_default_tick"] = where.map(by["tick"].min()).fillna(-1).astype(np.int64)
        frame |= who_pays(model) | boom_and_bust(model)
        frame["months_to_peak"] = np.argmax(self.series["ai_market_value"], axis=0).astype(np.int64)
        return pd.DataFrame(frame)

    def ticks_table(self) -> pd.DataFrame:
        """Every replication's series, one row a replication and tick."""
        ticks, width = self.model.books.ticks, self.model.books.replications
        start = self.model.economy.start
        frame = pd.DataFrame({
            "replication": np.repeat(np.array(self.model.replications, dtype=np.int64), ticks),
            "tick": np.tile(np.arange(ticks, dtype=np.int64), width),
            "date": np.tile(np.array([month_name(start, tick) for tick in range(ticks)], dtype=object), width),
        })  # fmt: skip
        for name in SERIES:
            frame[name] = np.ascontiguousarray(self.series[name].T).ravel()
        return frame


def _worst_year(defaults: pd.DataFrame, rule: dict[str, float]) -> dict[int, float]:
    """Most debt, USD bn, that defaults within the rule's months together with enough kinds of agents, by replication; only where enough kinds do."""
    numbers, ticks, debt = (defaults[name].to_numpy() for name in ("replication", "tick", "debt"))
    kinds = defaults["kind"].to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1), len(numbers)] if len(numbers) else [0]
    worst: dict[int, float] = {}
    for first, last in itertools.pairwise(edges):
        months, opens = np.unique(ticks[first:last], return_index=True)  # a later default of the same month has no wider window
        closes = np.searchsorted(ticks[first:last], months + rule["months"])
        for start, stop in zip(first + opens, first + closes, strict=True):
            if len(set(kinds[start:stop])) >= rule["kinds"]:
                number = int(numbers[start])
                worst[number] = max(worst.get(number, -1.0), float(np.cumsum(debt[start:stop])[-1]))
    return worst
