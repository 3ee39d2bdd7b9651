"""What the economies of the classic papers share: agents by kind, numbers, contracts, and the stages of the tick that act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.economy import Economy
from scenarios.items import AGENT_ITEMS, MACRO_ITEMS
from scenarios.schema import CONTRACTS
from scenarios.synthetic_parts import drafted_economy
from simulator.errors import InputError
from simulator.ledger.names import KINDS, SINGLE_KINDS
from simulator.streams import stream_of_seed

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]


def generator(seed: int) -> np.random.Generator:
    """The random stream of one drawn economy. Raises InputError for a seed that is not a whole number of at least 0."""
    if seed != int(seed) or seed < 0:
        raise InputError(f"seed: {seed} is not a whole number of at least 0")
    return stream_of_seed(int(seed))


def whole(name: str, value: float, low: int, high: int) -> int:
    """``value`` as a whole number within [low, high]. Raises InputError."""
    if value != int(value) or not low <= value <= high:
        raise InputError(f"{name}: {value:g} is not a whole number from {low:,} to {high:,}")
    return int(value)


def number(name: str, value: float, low: float, high: float) -> float:
    """``value`` within [low, high]. Raises InputError."""
    if not low <= value <= high:
        raise InputError(f"{name}: {value:g} is outside what is allowed: {low:g} to {high:g}")
    return float(value)


class Sheet:
    """An economy in the making. ``names``: ids of the agents of each kind, the single sectors aside. Money in USD bn, as everywhere."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        ids = {kind: tuple(names.get(kind, (kind,) if kind in SINGLE_KINDS else ())) for kind in KINDS}
        edges = np.cumsum([0, *(len(ids[kind]) for kind in KINDS)])
        self.rows: dict[str, Rows] = {kind: np.arange(edges[k], edges[k + 1]) for k, kind in enumerate(KINDS)}
        self.ids = tuple(agent for kind in KINDS for agent in ids[kind])
        self.kinds = tuple(kind for kind in KINDS for _ in ids[kind])
        self.values: dict[str, Numbers] = {name: np.full(len(self.ids), item.default) for name, item in AGENT_ITEMS.items()}
        self.contracts: dict[str, list[dict[str, Any]]] = {table: [] for table in CONTRACTS}
        self.macro: dict[str, float] = {name: item.default for name, item in MACRO_ITEMS.items()}

    def set(self, kind: str, **items: Any) -> None:
        """Numbers of all agents of a kind: one for all, or one each."""
        for name, values in items.items():
            self.values[name][self.rows[kind]] = values

    def add(self, table: str, **columns: Any) -> None:
        """Contracts; single values are repeated for all of them."""
        if max(np.size(values) for values in columns.values()):
            self.contracts[table].append(columns)

    def economy(self, name: str, title: str, description: str, stages: Sequence[str], listed: Sequence[str] = ()) -> Economy:
        """The finished economy: all lenders are banks, deposits are the household's, and only ``stages`` of the tick act."""
        deposits = float(np.cumsum(self.values["deposits"])[-1])
        self.values["cash"][self.rows["household"]] = deposits - float(np.cumsum(self.values["cash"])[-1])
        return drafted_economy(
            self.contracts,
            self.values,
            self.ids,
            name=name,
            title=title,
            start="2025-12",
            description=description,
            kinds=self.kinds,
            lender_types=tuple("bank" if kind == "lender" else "" for kind in self.kinds),
            jurisdictions=("us",) * len(self.ids),
            listed=np.isin(np.array(self.kinds), tuple(listed)),
            macro=self.macro,
            stages=tuple(stages),
        )
