"""Random economies of any size, for teaching, scaling studies and tests.

Sizes are heavy-tailed (Pareto), links are drawn with weights by size (``core_periphery``) or evenly (``random``), and the opening books are
built from the links, so that they balance exactly: first who buys how much from whom, then the revenue and capacity that this takes, then
the debt that pays for the capacity, then the lenders that hold the debt, then the money. All shares are assumptions,
here and in `scenarios.synthetic_parts` and `scenarios.synthetic_rules`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.economy import Economy
from scenarios.items import AGENT_ITEMS, MACRO_ITEMS
from scenarios.schema import CONTRACTS
from scenarios.synthetic_parts import KIND_ITEMS, KIND_SHARES, LENDER_ITEMS, SMALLEST, drafted_economy
from scenarios.synthetic_rules import (
    firms,
    guarantees,
    lenders_and_sectors,
    loans_among_lenders,
    loans_to_firms,
    margin_loans,
    stakes,
    trade,
)
from scenarios.tables import months_of
from simulator.errors import InputError, nearest
from simulator.ledger.names import KINDS, LENDER_TYPES
from simulator.streams import stream_of_seed

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]

LINKS = ("core_periphery", "random")
AGENTS_MIN, AGENTS_MAX = 14, 1_000_000


def synthetic_economy(
    agents: int = 40,
    seed: int = 1,
    links: str = "core_periphery",
    mean_degree: float = 6.0,
    tail: float = 1.4,
    largest: float = 300.0,
    start: str = "2025-12",
) -> Economy:
    """A random economy with all kinds of agents and contracts and books that balance exactly.

    ``agents`` from 14 to 1,000,000; ``links``: ``core_periphery`` (partners drawn by size) or ``random`` (drawn evenly); ``mean_degree``:
    contracts / agents, reached approximately (repeated loans of one pair are one loan); ``tail``: Pareto exponent of sizes, cut at
    ``largest`` times the smallest agent of the kind. The same arguments give the same economy. Raises InputError.
    """
    for name, value, low, high in (
        ("agents", agents, AGENTS_MIN, AGENTS_MAX),
        ("mean_degree", mean_degree, 3, 100),
        ("tail", tail, 0.5, 10),
    ):
        if not low <= value <= high:
            raise InputError(f"synthetic economy: {name}: {value} is outside what is allowed: {low} to {high}")
    if largest < 1.0 or seed < 0:
        raise InputError(f"synthetic economy: largest ({largest}) must be at least 1 and seed ({seed}) at least 0")
    if links not in LINKS:
        raise InputError(f"synthetic economy: links: '{links}' is not one of {', '.join(LINKS)}{nearest(links, LINKS)}")
    if months_of(start) is None:
        raise InputError(f"synthetic economy: start: '{start}' is not a month; write YYYY-MM")
    draft = Draft(agents, seed, links == "core_periphery", tail, largest)
    trade(draft)
    firms(draft)
    stakes(draft)
    loans_to_firms(draft, mean_degree)
    loans_among_lenders(draft)
    margin_loans(draft)
    lenders_and_sectors(draft)
    guarantees(draft)
    return _economy(draft, f"synthetic_{agents}_{seed}", start)


class Draft:
    """An economy in the making: sizes, numbers and contract columns, with the random stream that all draws come from."""

    def __init__(self, agents: int, seed: int, by_size: bool, tail: float, largest: float) -> None:
        self.random = stream_of_seed(seed)
        self.by_size = by_size
        self.agents = agents
        counts = dict.fromkeys(KINDS, 1) | {kind: max(1, int(share * (agents - 5))) for kind, share in KIND_SHARES.items()}
        counts["cloud"] += agents - sum(counts.values())
        edges = np.cumsum([0, *(counts[kind] for kind in KINDS)])
        self.rows: dict[str, Rows] = {kind: np.arange(edges[k], edges[k + 1]) for k, kind in enumerate(KINDS)}
        uniform = self.random.random(agents)
        pareto = (1.0 - uniform * (1.0 - largest**-tail)) ** (-1.0 / tail)
        scale = np.repeat([SMALLEST.get(kind, 1.0) for kind in KINDS], [counts[kind] for kind in KINDS])
        self.size: Numbers = scale * pareto
        self.values: dict[str, Numbers] = {name: np.full(agents, item.default) for name, item in AGENT_ITEMS.items()}
        for kind, items in KIND_ITEMS.items():
            for name, value in items.items():
                self.values[name][self.rows[kind]] = value
        for name in ("outside_growth", "cost_share", "cds", "equity_volatility"):
            self.values[name] = self.values[name] * self.between(0.85, 1.15, agents)
        lenders = self.rows["lender"]
        types = np.floor(np.arange(len(lenders)) * 20 / len(lenders))
        bounds = (0, 8, 13, 17, 20)  # twentieths: 40 % banks, 25 % private credit, 20 % funds, 15 % insurers
        self.lenders: dict[str, Rows] = {
            kind: lenders[(types >= bounds[k]) & (types < bounds[k + 1])] for k, kind in enumerate(LENDER_TYPES)
        }
        for kind, items in LENDER_ITEMS.items():
            for name, value in items.items():
                self.values[name][self.lenders[kind]] = value
        self.contracts: dict[str, list[dict[str, Any]]] = {table: [] for table in CONTRACTS}

    def links(self, members: Rows, mean: float) -> Rows:
        """Each member repeated by its number of links: one and a Poisson number, ``mean`` on average."""
        return np.repeat(members, 1 + self.random.poisson(max(mean - 1.0, 0.0), len(members)))

    def partners(self, count: int, members: Rows) -> Rows:
        """``count`` members drawn with replacement, by size or evenly."""
        weights = np.cumsum(self.size[members] if self.by_size else np.ones(len(members)))
        drawn = np.searchsorted(weights, self.random.random(count) * weights[-1], side="right")
        chosen: Rows = members[np.minimum(drawn, len(members) - 1)]
        return chosen

    def split(self, totals: Numbers, owners: Rows) -> Numbers:
        """The total of each owner cut into random parts, one for each of its links."""
        weights = 0.2 + self.random.exponential(1.0, len(owners))
        return totals[owners] * weights / self.sums(weights, owners)[owners]

    def sums(self, amounts: Numbers, owners: Rows) -> Numbers:
        """Amounts added up by owner, ``(agents,)``."""
        return np.bincount(owners, weights=amounts, minlength=self.agents).astype(np.float64)

    def between(self, low: float, high: float, count: int) -> Numbers:
        """Even draws in [low, high)."""
        return low + (high - low) * self.random.random(count)

    def add(self, table: str, **columns: Any) -> None:
        """Append contracts; single values are repeated for all of them."""
        self.contracts[table].append(columns)

    def column(self, table: str, name: str) -> NDArray[Any]:
        """One column of all contracts of a table so far."""
        return np.concatenate([np.zeros(0), *(np.asarray(block[name]) for block in self.contracts[table])])


def _economy(draft: Draft, name: str, start: str) -> Economy:
    kinds = [kind for kind in KINDS for _ in draft.rows[kind]]
    types = [""] * draft.agents
    for lender_type, members in draft.lenders.items():
        for row in members:
            types[row] = lender_type
    ids = [f"{kind}_{number}" if kind in KIND_SHARES else kind for kind in KINDS for number in range(1, len(draft.rows[kind]) + 1)]
    macro = {key: item.default for key, item in MACRO_ITEMS.items()}
    macro["gdp"] = 12.0 * float(np.cumsum(draft.values["outside_revenue"])[-1])
    macro["ai_chain_value"] = float(np.cumsum(draft.values["market_value"])[-1])
    macro["total_market_value"] = 3.0 * macro["ai_chain_value"]
    listed = np.isin(np.array(kinds), ("chipmaker", "hyperscaler", "cloud", "investor", "lender", "utility"))
    places = draft.random.choice(["us", "us", "us", "eu", "asia", "gulf", "offshore"], draft.agents)
    return drafted_economy(
        draft.contracts,
        draft.values,
        tuple(ids),
        name=name,
        title=f"Synthetic economy of {draft.agents} agents",
        start=start,
        description="Random sizes and links; every number is an assumption.",
        kinds=tuple(kinds),
        lender_types=tuple(types),
        jurisdictions=tuple(str(place) for place in places),
        listed=listed,
        macro=macro,
    )
