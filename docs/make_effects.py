"""Write docs/effects.md: whether every shock and policy of the menu moves what its file says, in the direction that it says.

``python docs/make_effects.py`` runs every file of configs/shock and configs/policy on the same draws as its reference (some minutes) and writes
the table; ``python docs/make_effects.py rate_cut`` only the lines of rate_cut. A file says ``# Moves: investment down, fiscal_cost up``;
``# On: three_firms`` names another economy than us_ai_2025, ``# Under: rate_hold`` other shocks than the default ones, and ``# Why not: …``
explains a claim that the runs do not bear out.
"""

from __future__ import annotations

import argparse
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from simulator.engine.model import ContagionModel  # noqa: E402
from simulator.menu import menu, notes  # noqa: E402

PAGE = ROOT / "docs" / "effects.md"
ECONOMY, STRESS = "us_ai_2025", "rate_hold, collateral_devaluation"
REPLICATIONS, SEED = 256, 1
Z = 1.96

COUNTS = {
    "defaults": "defaults", "cloud_defaults": "cloud_defaults", "ai_lab_defaults": "ai_lab_defaults",
    "project_company_defaults": "project_company_defaults", "investor_defaults": "investor_defaults", "chipmaker_defaults": "chipmaker_defaults",
    "lender_defaults": "lender_defaults",
    "defaulted_debt": "defaulted_debt", "total_loss": "total_loss", "credit_loss": "credit_loss", "loss_counterparty": "loss_counterparty",
    "loss_margin": "loss_margin", "loss_funding": "loss_funding", "loss_direct": "loss_direct", "fiscal_cost": "fiscal_cost",
    "unemployment_max": "unemployment_max", "backlog_lost": "backlog_lost", "entrant_defaults": "entrant_defaults",
}  # fmt: skip
"""Outcomes that are columns of the table ``replications``: of the whole run."""

SERIES = {
    "policy_rate": "policy_rate", "cds_index": "cds_index", "investment": "investment", "credit": "credit", "market_value": "ai_market_value",
    "unemployment": "unemployment", "inflation": "inflation", "circular_revenue": "circular_revenue_share", "capital_raised": "capital_raised",
    "concentration": "concentration", "runway": "lab_cash_runway", "accelerator_value": "gpu_resale_value", "power_queue": "power_queue",
    "power_online": "power_online", "gdp": "gdp", "gdp_gap": "gdp_gap", "central_bank_assets": "central_bank_assets",
}  # fmt: skip
"""Outcomes that are averages of a system series over the run."""

AT_THE_END = {name: name for name in ("compliance_cost", "lending_moved", "lab_concentration", "entrants")}
"""Outcomes that are a system series in the last month: sums over the run."""

OUTCOMES = (*COUNTS, *SERIES, *AT_THE_END, "chipmaker_sales")


def outcomes(economy: str, shocks: tuple[str, ...], policies: tuple[str, ...], replications: int) -> pd.DataFrame:
    """Every outcome of every replication, one column an outcome."""
    model = ContagionModel(economy, shocks, policies, SEED, replications=range(replications), mesa_agents=False).run()
    table, series = model.recorder.outcomes(), model.recorder.series
    frame = {name: table[column].to_numpy(dtype=np.float64) for name, column in COUNTS.items()}
    frame |= {name: series[column].mean(axis=0) for name, column in SERIES.items()}
    frame |= {name: series[column][-1] for name, column in AT_THE_END.items()}
    makers = model.books.rows["chipmaker"]
    frame["chipmaker_sales"] = model.books["chip_sales"][makers].sum(axis=0)
    return pd.DataFrame(frame)


_kept = lru_cache(maxsize=16)(outcomes)


def scenarios(group: str, name: str) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Shocks and policies of the reference and of the file: no shock against the shock, or the stress under current rules against the policy."""
    if group == "shock":
        return (("none",), ("current_rules",)), ((name,), ("current_rules",))
    stress = tuple(word.strip() for word in notes(group, name).get("Under", STRESS).split(","))
    return (stress, ("current_rules",)), (stress, (name,))


def claims(group: str, name: str) -> dict[str, str]:
    """What a file says it moves: direction (up, down) by outcome. ValueError: an unknown outcome or direction."""
    found = {}
    for claim in filter(None, (part.strip() for part in notes(group, name).get("Moves", "").split(","))):
        outcome, _, direction = claim.partition(" ")
        if outcome not in OUTCOMES or direction not in ("up", "down"):
            raise ValueError(f"{group}/{name}.yaml: '# Moves: {claim}' is not an outcome and up or down (outcomes: {', '.join(OUTCOMES)})")
        found[outcome] = direction
    return found


def entries() -> list[tuple[str, str]]:
    """Every file that moves something."""
    return [(group, name) for group in ("shock", "policy") for name in menu(group) if name not in ("none", "current_rules")]


def verdict(difference: pd.Series, direction: str) -> tuple[str, str]:
    """The mean change with its 95 % interval, and whether it goes in the direction: yes, the other way, no change, or can't be told."""
    mean, half = float(difference.mean()), Z * float(difference.std(ddof=1)) / np.sqrt(len(difference))
    told = f"{mean:+.3g} ± {half:.2g}"
    if half == 0.0 and mean == 0.0:
        return told, "no change"
    if abs(mean) <= half:
        return told, "not distinguishable"
    return told, "yes" if (mean > 0.0) == (direction == "up") else "the other way"


def rows(group: str, name: str, replications: int) -> list[str]:
    """The lines of the table for one file."""
    said = notes(group, name)
    economy = said.get("On", ECONOMY)
    (shocks, rules), (with_shocks, with_rules) = scenarios(group, name)
    base = _kept(economy, shocks, rules, replications)
    difference = outcomes(economy, with_shocks, with_rules, replications) - base
    lines = []
    for outcome, direction in claims(group, name).items():
        told, answer = verdict(difference[outcome], direction)
        reason = "" if answer == "yes" else said.get("Why not", "")
        if answer != "yes":
            print(f"{group}/{name}: {outcome} {direction}: {told}, {answer}{'' if reason else '  <- the file does not say why not'}", file=sys.stderr)
        where = f"{economy}" if group == "shock" else f"{economy}, {' + '.join(shocks)}"
        lines.append(f"| `{name}` | {outcome} | {direction} | {base[outcome].mean():.4g} | {told} | {answer} | {reason} | {where} |")
    return lines


HEAD = """# What the menu moves

Written by `python docs/make_effects.py`; not by hand. Every file of `configs/shock/` and `configs/policy/` says in a line `# Moves:` what it
moves and in which direction; here is whether it does, on {replications} replications of 60 months with the draws of its reference (seed {seed}).
A shock stands against no shock, a policy against current rules under the shocks of the last column. *Change* is the mean paired difference with
its 95 % interval. Defaults are counted a run; rates, shares and stocks are averages over the run; costs, losses, `compliance_cost` and
`lending_moved` are sums over it, USD bn. What is *not distinguishable* or goes *the other way* is explained by the file.

| file | outcome | said | without | change | does it | why not | where |
|---|---|---|--:|--:|---|---|---|
"""


def page(names: frozenset[str] = frozenset(), replications: int = REPLICATIONS) -> str:
    """docs/effects.md from fresh runs of all files, or of ``names`` with the other lines as they stand."""
    kept = PAGE.read_text(encoding="utf-8").splitlines() if names else []
    lines = []
    for group, name in entries():
        old = [line for line in kept if line.startswith(f"| `{name}` |")]
        lines += old if names and name not in names else rows(group, name, replications)
    return HEAD.format(replications=replications, seed=SEED) + "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write docs/effects.md.")
    parser.add_argument("names", nargs="*", help="files whose lines are made anew; without any, all")
    parser.add_argument("--replications", type=int, default=REPLICATIONS)
    given = parser.parse_args()
    PAGE.write_text(page(frozenset(given.names), given.replications), encoding="utf-8")
