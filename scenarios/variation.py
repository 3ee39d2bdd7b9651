"""An economy with uncertain numbers: what stands in its books at each point of a design, in balance.

A *point* is one choice of all uncertain numbers. Points stand side by side as columns of a batch, so that many of them cost as much as that many
replications; a number that nobody varies stays one column.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scenarios.economy import ContractTable, Economy
from simulator.errors import InputError

if TYPE_CHECKING:
    from scenarios.parameters import Uncertain

Array = NDArray[np.float64]
Cell = tuple[str, str]
"""Table (``values``, ``macro`` or a contract table) and column."""

SLACK = 1e-9


@dataclass(frozen=True, eq=False)
class Varied:
    """The uncertain numbers of an economy by point.

    ``cells``: columns ``(n, P)`` of the economy that differ by point. ``shares``: uniform numbers in [0, 1) ``(P,)`` that take the place of named
    draws of random shocks. ``places``: the point of each replication, ``(R,)``; None: one point a replication.
    """

    points: int
    cells: Mapping[Cell, Array]
    shares: Mapping[str, Array] = field(default_factory=dict)
    places: NDArray[np.int64] | None = None

    @property
    def width(self) -> int:
        """Number of replications."""
        return self.points if self.places is None else len(self.places)

    def of(self, table: str, column: str, values: Any) -> Any:
        """The column of a table with its uncertain numbers, ``(n, R)`` (``(1, R)`` of ``macro``); ``values`` as given where none is uncertain.

        Rows beyond those of the cell, which a policy has added, keep their values.
        """
        cell = self.cells.get((table, column))
        if cell is None:
            return values
        wide = cell if self.places is None else np.take(cell, self.places, axis=1)
        if table == "macro" or len(wide) == len(values):
            return wide
        return np.concatenate([wide, np.repeat(np.asarray(values, dtype=np.float64)[len(wide) :, None], wide.shape[1], axis=1)])

    def share(self, purpose: str) -> Array | None:
        """The uniform number of a named draw by replication, ``(R,)``; None where the draw is luck's."""
        known = self.shares.get(purpose)
        return known if known is None or self.places is None else known[self.places]

    def each_point(self) -> Varied:
        """One replication a point."""
        return dataclasses.replace(self, places=None)

    def at(self, places: NDArray[np.int64]) -> Varied:
        """Replications at these points ``(R,)``; points that none of them has are left out."""
        chosen, inner = np.unique(places, return_inverse=True)
        cells = {key: np.take(cell, chosen, axis=1) for key, cell in self.cells.items()}
        shares = {name: values[chosen] for name, values in self.shares.items()}
        return Varied(len(chosen), cells, shares, inner.astype(np.int64))

    def part(self, rows: NDArray[np.int64]) -> Varied:
        """Some of the replications."""
        return self.at(np.asarray(rows) if self.places is None else self.places[rows])


def varied(economy: Economy, uncertain: Sequence[Uncertain], shares: Array) -> Varied:
    """The economy's numbers at the points ``shares (P, parameters)``, uniform in [0, 1), each through its parameter's quantile function.

    The books balance at every point:

    - ``cash`` is a deposit: banks owe it in proportion to their deposits, the central bank that of banks and the government; who owes more
      deposits owns as much more other assets.
    - the amount of a loan or stake moves against other assets of its owner and other liabilities of its debtor, as when a contract is switched off.
    - stakes move in proportion to the market value of their issuer; where one is drawn so large that all would be worth more, the others give way.
    - whatever else is owned or owed more or less is equity's, as is what other assets or liabilities can't take.

    Raises InputError where uncertain stakes alone would be worth more than their issuer, or where deposits would be negative.
    """
    cells = _Cells(economy, len(shares))
    lever_shares: dict[str, Array] = {}
    for parameter, column in zip(uncertain, shares.T, strict=True):
        if parameter.purpose:
            lever_shares[parameter.purpose] = np.ascontiguousarray(column)
            continue
        drawn = parameter.value(column)
        cell = cells.get(parameter.table, parameter.column)
        rows = list(parameter.rows)
        cell[rows] = cells.before(parameter.table, parameter.column)[rows] * drawn if parameter.is_factor else drawn
    _settle_stakes(economy, cells, uncertain)
    _hold_deposits(economy, cells)
    _hold_loans(economy, cells)
    return Varied(len(shares), dict(cells.made), lever_shares)


def economy_at(economy: Economy, uncertain: Sequence[Uncertain], shares: Array) -> Economy:
    """The economy at one point ``shares (parameters,)``, with its numbers in its tables. Levers stay what they are."""
    made = varied(economy, uncertain, np.asarray(shares, dtype=np.float64)[None, :])
    values, macro = dict(economy.values), dict(economy.macro)
    tables: dict[str, Any] = {}
    for (table, column), cell in made.cells.items():
        if table == "values":
            values[column] = cell[:, 0].copy()
        elif table == "macro":
            macro[column] = float(cell[0, 0])
        else:
            old = tables.get(table, getattr(economy, table))
            tables[table] = ContractTable(old.ids, {**old.columns, column: cell[:, 0].astype(old.columns[column].dtype)})
    return dataclasses.replace(economy, values=values, macro=macro, **tables)


class _Cells:
    """Columns of the economy, widened to the points when first asked for."""

    def __init__(self, economy: Economy, points: int) -> None:
        self.economy, self.points = economy, points
        self.made: dict[Cell, Array] = {}

    def before(self, table: str, column: str) -> Array:
        """The column as the tables have it, ``(n, 1)``."""
        if table == "macro":
            return np.full((1, 1), self.economy.macro[column])
        held = self.economy.values if table == "values" else getattr(self.economy, table).columns
        return np.asarray(held[column], dtype=np.float64)[:, None]

    def get(self, table: str, column: str) -> Array:
        """The column by point, ``(n, P)``, to be changed in place."""
        if (table, column) not in self.made:
            self.made[table, column] = np.repeat(self.before(table, column), self.points, axis=1)
        return self.made[table, column]

    def change(self, table: str, column: str) -> Array | None:
        """By how much the column differs from the tables, ``(n, P)``; None where it doesn't."""
        known = self.made.get((table, column))
        return None if known is None else known - self.before(table, column)


def _settle_stakes(economy: Economy, cells: _Cells, uncertain: Sequence[Uncertain]) -> None:
    """Stakes are parts of their issuer: they move with its market value, and where one is drawn so large that all are worth more than the issuer,
    the others give way in proportion. What a holder has more or less by a stake's own draw or by giving way, it has less or more of other assets."""
    if not {("stakes", "value"), ("values", "market_value")} & cells.made.keys():
        return
    own = np.zeros(len(economy.stakes), dtype=bool)
    own[[row for each in uncertain if (each.table, each.column) == ("stakes", "value") for row in each.rows]] = True
    issuers, values, before = economy.stakes.columns["issuer"], cells.get("stakes", "value"), cells.before("stakes", "value")
    limit, limit_before = cells.get("values", "market_value"), cells.before("values", "market_value")
    scaled = before * np.where(limit != limit_before, limit / np.maximum(limit_before, SLACK), 1.0)[issuers]
    values[~own] = scaled[~own]
    held, given = np.zeros_like(limit), np.zeros_like(limit)
    np.add.at(held, issuers, values)
    np.add.at(given, issuers[~own], values[~own])
    most = np.maximum(limit, _held_before(economy, cells))
    excess = np.maximum(held - most * (1.0 + SLACK), 0.0)
    if (excess > given).any():
        issuer, point = (int(place) for place in np.argwhere(excess > given)[0])
        names = ", ".join(each.name for each in uncertain if each.column in ("value", "market_value"))
        raise InputError(
            f"parameters: the stakes in {economy.ids[issuer]} can be worth {held[issuer, point]:.4g} with a market value of "
            f"{limit[issuer, point]:.4g} USD bn; narrow the ranges of {names}"
        )
    kept = 1.0 - np.where(excess > 0.0, excess / np.maximum(given, SLACK), 0.0)[issuers]
    values[~own] *= kept[~own]
    _move_outside(economy, cells, "stakes", values - np.where(own[:, None], before, scaled), "holder", "")


def _hold_deposits(economy: Economy, cells: _Cells) -> None:
    change = cells.change("values", "cash")
    if change is None:
        return
    is_bank = np.array([kind == "lender" and sort == "bank" for kind, sort in zip(economy.kinds, economy.lender_types, strict=True)])
    at_central_bank = is_bank | (np.array(economy.kinds) == "government") | (np.array(economy.kinds) == "central_bank")
    owed = economy.values["deposits"] * is_bank
    for reserves, weight in ((True, np.array(economy.kinds) == "central_bank"), (False, owed / max(float(np.cumsum(owed)[-1]), SLACK))):
        kept = np.where((at_central_bank == reserves)[:, None], change, 0.0)
        moved = np.cumsum(kept, axis=0)[-1:] * weight.astype(np.float64)[:, None]
        deposits, assets = cells.get("values", "deposits"), cells.get("values", "other_assets")
        deposits += moved
        assets[...] = np.maximum(assets + moved, 0.0)
        if (deposits < -SLACK).any():
            agent = economy.ids[int(np.argwhere(deposits < -SLACK)[0][0])]
            raise InputError(f"parameters: the cash drawn would leave negative deposits at {agent}; narrow the ranges of cash")


def _hold_loans(economy: Economy, cells: _Cells) -> None:
    change = cells.change("loans", "principal")
    if change is not None:
        _move_outside(economy, cells, "loans", change, "lender", "borrower")


def _move_outside(economy: Economy, cells: _Cells, table: str, change: Array, owner: str, debtor: str) -> None:
    """Take a change of contracts ``(C, P)`` off the other assets of their owners and the other liabilities of their debtors."""
    contracts = getattr(economy, table).columns
    rows = np.flatnonzero(change.any(axis=1))
    for party, item in ((owner, "other_assets"), (debtor, "other_liabilities")):
        if party and len(rows):
            held = cells.get("values", item)
            for row in rows:  # one after the other: the same bits for any number of points
                agent = contracts[party][row]
                held[agent] = np.maximum(held[agent] - change[row], 0.0)


def _held_before(economy: Economy, cells: _Cells) -> Array:
    held = np.zeros((economy.size, 1))
    np.add.at(held, economy.stakes.columns["issuer"], cells.before("stakes", "value"))
    return np.where(held > cells.before("values", "market_value"), held, 0.0)
