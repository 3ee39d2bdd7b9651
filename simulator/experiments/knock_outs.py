"""The experiment ``knock_outs``: one agent, contract or tie taken out at a time, and the rest rerun on the same draws."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scenarios.contract_rows import PARTIES
from scenarios.economy import Economy
from simulator.engine.coalitions import Variant, replications
from simulator.errors import InputError
from simulator.experiments.bench import Bench, outcome
from simulator.experiments.curves import paired
from simulator.experiments.removal import NEVER, amount_of, contracts_between, find_contract, opening_spending, without_agent, without_contracts
from simulator.results import measures, statistics
from simulator.results.study import Study

if TYPE_CHECKING:
    from simulator.experiment_settings import KnockOuts

SHOWN = ("systemic", "defaults", "total_loss", "credit_loss", "loss_lenders", "fiscal_cost")
LEVEL = 0.05
Removal = tuple[str, str, float, Callable[[Economy], Economy]]
"""What is taken out, in words of ids; its sort; its size, USD bn; and how."""


def knock_out(bench: Bench, asked: KnockOuts) -> Study:
    """The study: table ``knock_outs``, a row a removal and outcome; ``drop`` = outcome with everybody less the outcome without it.

    A positive drop of a loss: so much of it is due to the presence of what was taken out. Claims on the ranked outcome are corrected by Holm.
    """
    removals = _removals(bench, asked)
    scenario, columns = bench.chosen(), replications(asked.replications)
    variants = [Variant(bench.economy, scenario, columns)]
    variants += [Variant(remove(bench.economy), scenario, columns) for _, _, _, remove in removals]
    frames = bench.run_variants(variants)
    base, rows = frames[0], []
    for name in dict.fromkeys((asked.ranked_by, *SHOWN)):
        family = []
        whole = outcome(base, name)
        for (what, sort, size, _), frame in zip(removals, frames[1:], strict=True):
            rest = outcome(frame, name)
            gap, level = paired(whole, rest), measures.mean(frame, name)
            row: dict[str, Any] = {
                "removed": what, "sort": sort, "size": size, "outcome": name, "with_all": measures.mean(base, name).value, "without": level.value,
                "drop": gap.value, "drop_low": gap.low, "drop_high": gap.high, "p_value": statistics.paired_p_value(whole, rest),
            }  # fmt: skip
            family.append(row)
        for row, adjusted in zip(family, statistics.holm([row["p_value"] for row in family]), strict=True):
            rows.append(row | {"p_adjusted": float(adjusted), "told": bool(adjusted < LEVEL)})
    table = pd.DataFrame(rows)
    order = table[table["outcome"] == asked.ranked_by].sort_values("drop", ascending=False, kind="stable")["removed"].tolist()
    table["rank"] = table["removed"].map({what: place + 1 for place, what in enumerate(order)})
    table = table.sort_values(["outcome", "rank"], kind="stable", ignore_index=True)
    facts = {
        "what": asked.what, "ranked_by": asked.ranked_by, "replications": asked.replications, "level": LEVEL,
        "names": dict(zip(bench.economy.ids, bench.economy.names, strict=True)), "tried": len(removals),
    }  # fmt: skip
    return Study("knock_outs", {"knock_outs": table}, facts)


def _removals(bench: Bench, asked: KnockOuts) -> list[Removal]:
    economy = bench.economy
    spending = opening_spending(economy)
    if asked.only:
        return [_named(economy, name, spending) for name in asked.only]
    found = {"agents": _agents, "contracts": _contracts, "ties": _ties}[asked.what](economy, asked, spending)
    found.sort(key=lambda removal: -removal[2])
    if not found:
        raise InputError(f"experiment.what: this economy has no {asked.what} to take out (kinds: {', '.join(asked.kinds)})")
    return found[: asked.largest]


def _named(economy: Economy, name: str, spending: Any) -> Removal:
    """What one id of ``only`` stands for: an agent, two agents (``a>b``) or a contract."""
    if ">" in name:
        one, _, other = name.partition(">")
        return _tie(economy, one.strip(), other.strip(), spending)
    if name in economy.ids:
        without_agent(economy, name, spending)  # told now, not after the first variants have run
        size = float(economy.balance_sheet()["total_assets"][economy.index(name)])
        return name, "agent", size, partial(without_agent, agent=name, spending=spending)
    try:
        table, place = find_contract(economy, name)
    except InputError:
        raise InputError(_unknown(economy, name)) from None
    return name, table.removesuffix("s"), float(amount_of(economy, table)[place]), partial(without_contracts, ids=(name,), spending=spending)


def _unknown(economy: Economy, name: str) -> str:
    from simulator.errors import nearest

    every = [*economy.ids, *(contract for table in PARTIES for contract in getattr(economy, table).ids)]
    return f"experiment.only: economy '{economy.name}' has no agent or contract {name!r}{nearest(name, every)}"


def _agents(economy: Economy, asked: KnockOuts, spending: Any) -> list[Removal]:
    size = economy.balance_sheet()["total_assets"]
    return [
        (agent, "agent", float(size[row]), partial(without_agent, agent=agent, spending=spending))
        for row, agent in enumerate(economy.ids)
        if economy.kinds[row] in asked.kinds and economy.kinds[row] not in NEVER
    ]


def _contracts(economy: Economy, asked: KnockOuts, spending: Any) -> list[Removal]:
    outside = economy.rows("outside").start
    found: list[Removal] = []
    for table, (owner, debtor) in PARTIES.items():
        contracts, size = getattr(economy, table), amount_of(economy, table)
        for place, name in enumerate(contracts.ids):
            pair = (int(contracts.columns[owner][place]), int(contracts.columns[debtor][place]))
            if size[place] > 0.0 and outside not in pair and all(economy.kinds[row] in asked.kinds for row in pair):
                remove = partial(without_contracts, ids=(name,), spending=spending)
                found.append((name, table.removesuffix("s"), float(size[place]), remove))
    return found


def _ties(economy: Economy, asked: KnockOuts, spending: Any) -> list[Removal]:
    outside = economy.rows("outside").start
    sizes: dict[tuple[int, int], float] = {}
    for table, (owner, debtor) in PARTIES.items():
        columns, size = getattr(economy, table).columns, amount_of(economy, table)
        for a, b, amount in zip(columns[owner].tolist(), columns[debtor].tolist(), size.tolist(), strict=True):
            pair = (min(a, b), max(a, b))
            if a != b and outside not in pair and amount > 0.0 and all(economy.kinds[row] in asked.kinds for row in pair):
                sizes[pair] = sizes.get(pair, 0.0) + amount
    return [_tie(economy, economy.ids[a], economy.ids[b], spending) for a, b in sorted(sizes, key=lambda pair: -sizes[pair])[: asked.largest]]


def _tie(economy: Economy, one: str, other: str, spending: Any) -> Removal:
    ids = contracts_between(economy, one, other)
    places = [find_contract(economy, name) for name in ids]
    size = float(np.cumsum([amount_of(economy, table)[place] for table, place in places])[-1])
    return f"{one}>{other}", "tie", size, partial(without_contracts, ids=ids, spending=spending)
