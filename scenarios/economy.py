"""One economy at its start: agents, their numbers, their contracts, and where every number comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.errors import InputError, nearest
from simulator.ledger.names import ENTRANT, KINDS

if TYPE_CHECKING:
    from scenarios.variation import Varied

NO_DATE = 10**6
"""Months after the start of a date that is not given: never."""


@dataclass(frozen=True, eq=False)
class ContractTable:
    """Contracts of one sort as columns of equal length ``(n,)``; a column is also an attribute: ``loans.lender``.

    Agents are row numbers (int64), dates are months after the start (int64; not given: ``NO_DATE``), words are numpy strings, yes/no is
    bool, money is USD bn, rates are decimals per year.
    """

    ids: tuple[str, ...]
    columns: Mapping[str, NDArray[Any]]

    def __getattr__(self, name: str) -> NDArray[Any]:
        # Called only for names that are not fields; the guard keeps copying and unpickling from asking for a missing `columns` for ever.
        if name.startswith("__") or name in ("columns", "ids"):
            raise AttributeError(name)
        try:
            return self.columns[name]
        except KeyError:
            raise AttributeError(f"the table has no column '{name}'{nearest(name, self.columns)}") from None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Fact:
    """One number with its provenance.

    ``source`` is a key of ``sources.csv``, ``assumption`` or ``computed``; ``low`` and ``high`` are NaN where no range is given.
    """

    table: str
    row_id: str
    column: str
    value: float
    unit: str
    source: str
    as_of: str
    confidence: str
    low: float
    high: float
    note: str


@dataclass(frozen=True, eq=False)
class Economy:
    """One economy at its start. Agents are sorted by kind (order of ``KINDS``), so that each kind is one slice of rows.

    ``values`` has one array ``(N,)`` for every item of ``scenarios.items.AGENT_ITEMS``; ``macro`` one number for every item of
    ``MACRO_ITEMS``. ``stages``: the stages of the tick that act; none named, all do. Money in USD bn, rates as decimals per year.
    ``varied``: numbers that differ by replication (`scenarios.variation`). All arrays are read-only.
    """

    name: str
    title: str
    start: str
    description: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    lender_types: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    ratings: tuple[str, ...]
    listed: NDArray[np.bool_]
    values: Mapping[str, NDArray[np.float64]]
    macro: Mapping[str, float]
    loans: ContractTable
    stakes: ContractTable
    orders: ContractTable
    leases: ContractTable
    guarantees: ContractTable
    facts: tuple[Fact, ...]
    sources: Mapping[str, dict[str, str]]
    stages: tuple[str, ...] = ()
    varied: Varied | None = None

    @property
    def size(self) -> int:
        """Number of agents N."""
        return len(self.ids)

    @cached_property
    def _row_by_id(self) -> dict[str, int]:
        return {agent: row for row, agent in enumerate(self.ids)}

    @cached_property
    def _slice_by_kind(self) -> dict[str, slice]:
        kinds = (*KINDS, ENTRANT)
        rank = {kind: position for position, kind in enumerate(kinds)}
        ranks = np.array([rank[kind] for kind in self.kinds], dtype=np.int64)
        edges = np.searchsorted(ranks, np.arange(len(kinds) + 1))
        return {kind: slice(int(edges[k]), int(edges[k + 1])) for k, kind in enumerate(kinds)}

    def index(self, agent_id: str) -> int:
        """Row of an agent. Raises InputError, with the nearest name, when there is no such agent."""
        try:
            return self._row_by_id[agent_id]
        except KeyError:
            raise InputError(f"economy '{self.name}' has no agent '{agent_id}'{nearest(agent_id, self.ids)}") from None

    def rows(self, kind: str) -> slice:
        """Rows of all agents of a kind (an empty slice when the economy has none). Raises InputError for an unknown kind."""
        try:
            return self._slice_by_kind[kind]
        except KeyError:
            raise InputError(f"no kind '{kind}'; kinds are {', '.join(KINDS)}{nearest(kind, KINDS)}") from None

    def balance_sheet(self) -> dict[str, NDArray[np.float64]]:
        """Opening balance sheets, USD bn, each ``(N,)``: assets, liabilities and ``net_worth`` (assets less liabilities)."""
        sheet: dict[str, NDArray[np.float64]] = {item: self.values[item] for item in ("cash", "capacity", "construction")}
        sheet["stakes"] = self._sum_by_agent(self.stakes, "holder", "value")
        sheet["loans_given"] = self._sum_by_agent(self.loans, "lender", "principal")
        sheet["other_assets"] = self.values["other_assets"]
        sheet["deposits"] = self.values["deposits"]
        sheet["debt"] = self._sum_by_agent(self.loans, "borrower", "principal")
        sheet["other_liabilities"] = self.values["other_liabilities"]
        sheet["total_assets"] = (
            sheet["cash"] + sheet["capacity"] + sheet["construction"] + sheet["stakes"] + sheet["loans_given"] + sheet["other_assets"]
        )
        sheet["net_worth"] = sheet["total_assets"] - sheet["deposits"] - sheet["debt"] - sheet["other_liabilities"]
        return sheet

    def net_worth(self) -> NDArray[np.float64]:
        """Opening book net worth, USD bn, ``(N,)``: cash, fixed and other assets, loans given and stakes held less all that is owed."""
        return self.balance_sheet()["net_worth"]

    def _sum_by_agent(self, table: ContractTable, agent: str, amount: str) -> NDArray[np.float64]:
        return np.bincount(table.columns[agent], weights=table.columns[amount], minlength=self.size).astype(np.float64)


_BOOK_COLUMNS = (
    ("cash", "cash"),
    ("capacity", "capacity"),
    ("stakes", "stakes"),
    ("loans given", "loans_given"),
    ("other assets", "other"),
    ("deposits", "deposits"),
    ("debt", "debt"),
    ("other liabilities", "other_liabilities"),
    ("net worth", "net_worth"),
)


def books(economy: Economy) -> str:
    """Opening balance sheets as a printed table, USD bn: one line an agent, assets left, liabilities right, and a line of sums.

    Construction is shown with capacity.
    """
    sheet = dict(economy.balance_sheet())
    sheet["capacity"] = sheet["capacity"] + sheet["construction"]
    sheet["other"] = sheet["other_assets"]
    width = max(len("agent"), *(len(agent) for agent in economy.ids))
    header = "agent".ljust(width) + " |" + "".join(f" {title:>{max(len(title), 8)}}" for title, _ in _BOOK_COLUMNS)
    header = header.replace(f" {'deposits':>8}", f" | {'deposits':>8}").replace(" net worth", " | net worth")
    lines = [header, "-" * len(header)]
    lines += [_book_line(agent, width, [float(sheet[key][row]) for _, key in _BOOK_COLUMNS]) for row, agent in enumerate(economy.ids)]
    lines.append("-" * len(header))
    lines.append(_book_line("all", width, [float(np.cumsum(sheet[key])[-1]) for _, key in _BOOK_COLUMNS]))
    return "\n".join(line.rstrip() for line in lines)


def _book_line(label: str, width: int, numbers: list[float]) -> str:
    cells = []
    for (title, _), number in zip(_BOOK_COLUMNS, numbers, strict=True):
        text = f"{number:,.1f}" if abs(number) >= 0.05 else "."
        bar = " |" if title in ("deposits", "net worth") else ""
        cells.append(f"{bar} {text:>{max(len(title), 8)}}")
    return label.ljust(width) + " |" + "".join(cells)
