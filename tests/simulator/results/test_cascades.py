"""The tree of defaults of one replication."""

from __future__ import annotations

import networkx as nx
import pandas as pd
import pytest

from simulator.errors import InputError
from simulator.results.cascades import build_cascade
from simulator.results.dataset import Run


def defaults(rows: list[tuple[int, int, str, str, str]]) -> pd.DataFrame:
    """Defaults from (tick, wave, agent, cause, triggered_by)."""
    return pd.DataFrame(
        [
            {"scenario": "s", "replication": 7, "tick": tick, "date": f"2026-{tick + 1:02d}", "wave": wave, "agent": agent, "kind": "cloud",
             "cause": cause, "triggered_by": by, "debt": 10.0, "recovery_share": 0.4, "loss_given_default": 6.0, "cds_before": 0.1}
            for tick, wave, agent, cause, by in rows
        ]
    )  # fmt: skip


TREE = [(0, 0, "lab", "illiquid", "shock"), (1, 1, "cloud", "insolvent", "lab"), (1, 1, "fund", "margin", "lab"),
        (2, 2, "bank", "capital", "cloud"), (5, 0, "other", "illiquid", "own_business")]  # fmt: skip


def test_the_cascade_is_a_tree_of_causes() -> None:
    cascade = build_cascade(defaults(TREE), "s", 7, {"lab": "The Lab"})
    assert [event.agent for event in cascade.roots()] == ["lab", "other"]
    assert (cascade.size, cascade.waves) == (3, 2)
    graph = cascade.graph()
    assert sorted(graph.edges) == [("cloud", "bank"), ("lab", "cloud"), ("lab", "fund")]
    assert nx.is_forest(graph)
    assert graph.nodes["bank"]["cause"] == "capital"
    assert graph.nodes["lab"]["name"] == "The Lab"


def test_the_text_tells_who_when_why_and_by_whom() -> None:
    text = build_cascade(defaults(TREE), "s", 7, {"lab": "The Lab"}).text()
    lines = text.splitlines()
    assert lines[0] == "Replication 7, s: 5 defaults, 3 of them caused by another, 2 waves."
    assert lines[1].startswith("2026-01 The Lab (cloud): could not pay what was due, because of the shock itself; debt 10.0 USD bn")
    assert lines[2].startswith("├─ 2026-02 cloud (wave 1, cloud): owed more than its assets were worth, after losses caused by The Lab")
    assert lines[3].startswith("│  └─ 2026-03 bank (wave 2")
    assert len(lines) == 6


def test_a_circle_of_causes_loses_nobody() -> None:
    cascade = build_cascade(defaults([(0, 1, "a", "insolvent", "b"), (0, 1, "b", "insolvent", "a")]), "s", 7)
    assert sorted(event.agent for _, event in cascade.walk()) == ["a", "b"]


def test_a_replication_without_defaults_says_so() -> None:
    cascade = build_cascade(defaults(TREE), "s", 8)
    assert cascade.size == 0
    assert cascade.text() == "Replication 8, s: no agent defaults."


def test_the_cascade_of_a_run_agrees_with_its_replications_table(run: Run) -> None:
    rows = run.replications.set_index(["scenario", "replication"])
    for label in run.scenarios:
        for number in range(0, 200, 17):
            cascade = run.cascade(number, label)
            row = rows.loc[(label, number)]
            assert (len(cascade.events), cascade.size, cascade.waves) == (row["defaults"], row["cascade_size"], row["waves"])
            assert len(list(cascade.walk())) == row["defaults"]


def test_without_a_number_the_median_systemic_replication_is_told(run: Run) -> None:
    cascade = run.cascade()
    rows = run.replications.set_index(["scenario", "replication"])
    assert cascade.scenario == run.worst
    assert bool(rows.loc[(run.worst, cascade.replication), "systemic"])


def test_a_replication_outside_the_run_is_refused(run: Run) -> None:
    with pytest.raises(InputError, match="allowed 0 to 199"):
        run.cascade(200)


def with_causes() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A lab fails by its own business; a fund sells and lives; a cloud fails by the fund's sales; the lab fails without the shock too."""
    table = defaults([(0, 0, "lab", "illiquid", "own_business"), (3, 2, "cloud", "insolvent", "fund")])
    table["root"], table["chain"] = "own_business", ["lab < own_business", "cloud < [fund] < lab < own_business"]
    calm = table.iloc[:1].assign(scenario="calm", date="2027-05")
    rows = [("cloud", "fund", "fire_sale", "decision", 4.0), ("cloud", "lab", "equity", "default", 1.0), ("cloud", "lab", "direct", "shock", 0.5),
            ("cloud", "cloud", "ordinary", "own_business", 2.0), ("cloud", "bank", "funding", "decision", 0.25)]  # fmt: skip
    causes = pd.DataFrame(rows, columns=["agent", "from_agent", "channel", "reason", "amount"]).assign(scenario="s", replication=7, tick=3)
    return pd.concat([table, calm]), causes


def test_a_default_is_told_with_its_losses_its_chain_and_what_happens_without_the_shock() -> None:
    tables, causes = with_causes()
    cascade = build_cascade(tables, "s", 7, {"lab": "The Lab", "fund": "The Fund"}, causes, ("calm", "no shock"))
    assert (cascade.size, cascade.waves) == (1, 2)
    assert [event.agent for event in cascade.children("lab")] == ["cloud"]  # by way of the fund, which lives
    lines = cascade.text().splitlines()
    assert lines[2].strip() == "fails under 'no shock' too (2027-05)"
    assert lines[4].strip() == (
        "lost 7.8 USD bn before: fire sales (The Fund) 4.0, its own business 2.0, falling stakes (The Lab) 1.0, other 0.8; "
        "chain: cloud ← The Fund (lives) ← The Lab ← its own business; does not fail under 'no shock'"
    )


def test_the_losses_of_a_default_are_kept_largest_first() -> None:
    tables, causes = with_causes()
    event = build_cascade(tables, "s", 7, None, causes).events[1]
    assert [loss.amount for loss in event.losses] == [4.0, 2.0, 1.0, 0.5, 0.25]
    assert event.parent == "lab"
    assert event.otherwise is None
