"""The cascade of one replication as a tree: who defaulted, when, why, and whose default caused it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import networkx as nx

CAUSES = {
    "illiquid": "could not pay what was due",
    "insolvent": "owed more than its assets were worth",
    "margin": "could not meet a margin call",
    "capital": "fell below its minimum capital",
}
ORIGINS = {"shock": "the shock itself", "own_business": "its own business"}
CAUSES_SHOWN = 3


@dataclass(frozen=True)
class LossCause:
    """What an agent had lost before it failed: by whom (`agent`), through which `channel`, for which `reason`, USD bn."""

    agent: str
    channel: str
    reason: str
    amount: float


@dataclass(frozen=True)
class DefaultEvent:
    """One default: when (`tick`, `date`), how deep in the cascade (`wave`, 0 = not caused by another), who, why and by whom.

    `debt` and `loss_given_default` in USD bn, `recovery_share` in [0, 1], `cds_before` decimal per year. `chain`: from the agent up to the `root`,
    `shock` or `own_business`; agents in brackets acted and did not fail. `losses`: what led to it, largest first. `otherwise`: the date of its
    default in the reference scenario on the same draws, "" when it does not default there, None when that is not known.
    """

    tick: int
    date: str
    wave: int
    agent: str
    name: str
    kind: str
    cause: str
    triggered_by: str
    debt: float
    recovery_share: float
    loss_given_default: float
    cds_before: float
    root: str = ""
    chain: tuple[str, ...] = ()
    losses: tuple[LossCause, ...] = ()
    otherwise: str | None = None

    @property
    def parent(self) -> str:
        """The agent whose default comes next in the chain of causes; "" when none does."""
        links = self.chain[1:-1] if self.chain else (self.triggered_by,)
        return next((link for link in links if not link.startswith("[") and link not in ORIGINS), "")


@dataclass(frozen=True)
class Cascade:
    """All defaults of one replication, in order, with the tree of causes. Print it, or use `.graph()`."""

    scenario: str
    replication: int
    events: tuple[DefaultEvent, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""

    @property
    def size(self) -> int:
        """Defaults caused by another agent's default or loss (the descendants in the tree)."""
        return sum(event.triggered_by not in ORIGINS for event in self.events)

    @property
    def waves(self) -> int:
        """Depth of the tree: 0 without contagion."""
        return max((event.wave for event in self.events), default=0)

    def roots(self) -> tuple[DefaultEvent, ...]:
        """Defaults not caused by another defaulted agent (those caused by a surviving agent's action included)."""
        defaulted = {event.agent for event in self.events}
        return tuple(event for event in self.events if event.parent not in defaulted or event.parent == event.agent)

    def children(self, agent: str) -> tuple[DefaultEvent, ...]:
        """Defaults that the default of `agent` led to, directly or by way of agents that did not fail."""
        return tuple(event for event in self.events if event.parent == agent and event.agent != agent)

    def graph(self) -> nx.DiGraph[str]:
        """Directed graph: a node per default (its fields as attributes), an edge from the cause to the caused."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph(scenario=self.scenario, replication=self.replication)
        for event in self.events:
            graph.add_node(event.agent, **{key: value for key, value in vars(event).items() if key != "agent"})
        defaulted = set(graph.nodes)
        graph.add_edges_from((event.parent, event.agent) for event in self.events if event.parent in defaulted)
        return graph

    def walk(self) -> Iterator[tuple[str, DefaultEvent]]:
        """Every default once, parents before children, with the branch lines drawn before it."""
        seen: set[str] = set()

        def descend(event: DefaultEvent, first: str, rest: str) -> Iterator[tuple[str, DefaultEvent]]:
            if event.agent in seen:
                return
            seen.add(event.agent)
            yield first, event
            below = [child for child in self.children(event.agent) if child.agent not in seen]
            for position, child in enumerate(below):
                last = position == len(below) - 1
                yield from descend(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))

        for root in self.roots():
            yield from descend(root, "", "")
        for event in self.events:  # a default inside a circle of causes would otherwise be lost
            yield from descend(event, "", "")

    def cause_of(self, event: DefaultEvent) -> str:
        """In words: why the agent defaulted and what set it off."""
        why = CAUSES.get(event.cause, event.cause)
        origin = ORIGINS.get(event.triggered_by) or self.names.get(event.triggered_by, event.triggered_by)
        if event.triggered_by in ORIGINS:
            return f"{why}, because of {origin}"
        return f"{why}, after losses caused by {origin}"

    def losses_before(self, event: DefaultEvent) -> str:
        """In words: what the agent had lost until it failed and by whom, the chain of causes, and what happens to it without the shock."""
        from simulator.results.findings import CHANNEL_WORDS

        by: dict[tuple[str, str], float] = {}
        for loss in event.losses:
            who = "" if loss.reason in ("shock", "own_business") else f" ({self.names.get(loss.agent, loss.agent)})"
            key = (ORIGINS["own_business"] if loss.reason == "own_business" else CHANNEL_WORDS.get(loss.channel, loss.channel), who)
            by[key] = by.get(key, 0.0) + loss.amount
        ranked = sorted(by.items(), key=lambda item: -item[1])
        told = [f"{what}{who} {amount:,.1f}" for (what, who), amount in ranked[:CAUSES_SHOWN] if amount >= 0.05]
        rest = sum(amount for _, amount in ranked[CAUSES_SHOWN:])
        told += [f"other {rest:,.1f}"] if rest >= 0.05 else []
        parts = [f"lost {sum(by.values()):,.1f} USD bn before: {', '.join(told)}"] if told else []
        if len(event.chain) > 2:
            links = [self.names.get(link.strip("[]"), link.strip("[]")) + (" (lives)" if link.startswith("[") else "") for link in event.chain[1:-1]]
            parts.append("chain: " + " ← ".join([event.name, *links, ORIGINS.get(event.root, event.root)]))
        if event.otherwise is not None and self.reference:
            parts.append(f"fails under '{self.reference}' too ({event.otherwise})" if event.otherwise else f"does not fail under '{self.reference}'")
        return "; ".join(parts)

    def text(self) -> str:
        """The tree in words, one line a default."""
        head = f"Replication {self.replication}, {self.scenario}: "
        if not self.events:
            return head + "no agent defaults."
        count = len(self.events)
        caused = f"{self.size} of them caused by another, {self.waves} wave{'' if self.waves == 1 else 's'}"
        lines = [f"{head}{count} default{'' if count == 1 else 's'}, {caused}."]
        for branch, event in self.walk():
            wave = f"wave {event.wave}, " if event.wave else ""
            recovery = f", recovery {event.recovery_share * 100:.0f} %" if event.recovery_share == event.recovery_share else ""
            money = f"debt {event.debt:,.1f} USD bn{recovery}"
            lines.append(f"{branch}{event.date} {event.name} ({wave}{event.kind.replace('_', ' ')}): {self.cause_of(event)}; {money}")
            before = self.losses_before(event)
            if before:
                lines.append(f"{branch.replace('├─', '│ ').replace('└─', '  ')}      {before}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()


def build_cascade(
    defaults: pd.DataFrame, scenario: str, replication: int, names: Mapping[str, str] | None = None, causes: pd.DataFrame | None = None,
    reference: tuple[str, str] | None = None,
) -> Cascade:  # fmt: skip
    """The cascade of one replication from the tables of defaults and of `causes`; `names` maps agent ids to names.

    `reference`: label and title of the scenario against which a default is told to happen there too or not.
    """
    known = dict(names or {})
    losses: dict[str, list[LossCause]] = {}
    if causes is not None:
        chosen = causes[(causes["scenario"] == scenario) & (causes["replication"] == replication)].sort_values("amount", ascending=False)
        for row in chosen.to_dict("records"):
            cause = LossCause(str(row["from_agent"]), str(row["channel"]), str(row["reason"]), float(row["amount"]))
            losses.setdefault(str(row["agent"]), []).append(cause)
    elsewhere: dict[str, str] | None = None
    if reference is not None and reference[0] != scenario:
        there = defaults[(defaults["scenario"] == reference[0]) & (defaults["replication"] == replication)]
        elsewhere = dict(zip(there["agent"].astype(str), there["date"].astype(str), strict=True))
    rows = defaults[(defaults["scenario"] == scenario) & (defaults["replication"] == replication)]
    events = tuple(
        DefaultEvent(
            tick=int(row["tick"]),
            date=str(row["date"]),
            wave=int(row["wave"]),
            agent=str(row["agent"]),
            name=known.get(str(row["agent"]), str(row["agent"])),
            kind=str(row["kind"]),
            cause=str(row["cause"]),
            triggered_by=str(row["triggered_by"]),
            debt=float(row["debt"]),
            recovery_share=float(row["recovery_share"]),
            loss_given_default=float(row["loss_given_default"]),
            cds_before=float(row["cds_before"]),
            root=str(row.get("root", "")),
            chain=tuple(str(row["chain"]).split(" < ")) if "chain" in row else (),
            losses=tuple(losses.get(str(row["agent"]), ())),
            otherwise=None if elsewhere is None else elsewhere.get(str(row["agent"]), ""),
        )
        for row in rows.sort_values(["tick", "wave", "agent"]).to_dict("records")
    )
    return Cascade(scenario, int(replication), events, known, reference[1] if reference is not None and elsewhere is not None else "")
