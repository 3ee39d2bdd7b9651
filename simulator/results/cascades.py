"""The cascade of one replication as a tree: who defaulted, when, why, and whose default caused it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import networkx as nx
import pandas as pd

CAUSES = {
    "illiquid": "could not pay what was due",
    "insolvent": "owed more than its assets were worth",
    "margin": "could not meet a margin call",
    "capital": "fell below its minimum capital",
}
ORIGINS = {"shock": "the shock itself", "own_business": "its own business"}


@dataclass(frozen=True)
class DefaultEvent:
    """One default: when (`tick`, `date`), how deep in the cascade (`wave`, 0 = not caused by another), who, why and by whom.

    `debt` and `loss_given_default` in USD bn, `recovery_share` in [0, 1], `cds_before` decimal per year.
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


@dataclass(frozen=True)
class Cascade:
    """All defaults of one replication, in order, with the tree of causes. Print it, or use `.graph()`."""

    scenario: str
    replication: int
    events: tuple[DefaultEvent, ...]
    names: Mapping[str, str] = field(default_factory=dict)

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
        return tuple(event for event in self.events if event.triggered_by not in defaulted or event.triggered_by == event.agent)

    def children(self, agent: str) -> tuple[DefaultEvent, ...]:
        """Defaults whose largest-loss cause is `agent`."""
        return tuple(event for event in self.events if event.triggered_by == agent and event.agent != agent)

    def graph(self) -> nx.DiGraph[str]:
        """Directed graph: a node per default (its fields as attributes), an edge from the cause to the caused."""
        graph: nx.DiGraph[str] = nx.DiGraph(scenario=self.scenario, replication=self.replication)
        for event in self.events:
            graph.add_node(event.agent, **{key: value for key, value in vars(event).items() if key != "agent"})
        defaulted = set(graph.nodes)
        graph.add_edges_from((event.triggered_by, event.agent) for event in self.events if event.triggered_by in defaulted)
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
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()


def build_cascade(defaults: pd.DataFrame, scenario: str, replication: int, names: Mapping[str, str] | None = None) -> Cascade:
    """The cascade of one replication from the defaults table; `names` maps agent ids to names."""
    known = dict(names or {})
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
        )
        for row in rows.sort_values(["tick", "wave", "agent"]).to_dict("records")
    )
    return Cascade(scenario, int(replication), events, known)
