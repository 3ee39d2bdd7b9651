"""A made-up run of realistic size: 45 agents, two scenarios on the same draws, contagion along made-up ties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simulator.results.dataset import Run

NAMES = {
    "chipmaker": ["NVIDIA", "AMD", "Broadcom"],
    "hyperscaler": ["Microsoft", "Alphabet", "Amazon", "Meta Platforms", "Oracle"],
    "cloud": ["CoreWeave", "Nebius", "Lambda", "Crusoe", "Nscale", "IREN", "Applied Digital", "Cipher Mining"],
    "project_company": ["Abilene campus", "Hyperion campus", "Stargate Michigan", "Lordstown campus", "Fairwater lease vehicle"],
    "ai_lab": ["OpenAI", "Anthropic", "xAI", "Mistral AI"],
    "investor": ["SoftBank", "MGX", "Thrive Capital"],
    "lender": ["US money-centre banks", "European banks", "Japanese banks", "Blue Owl", "Blackstone Credit", "Apollo", "PIMCO funds",
               "High-yield funds", "US life insurers", "Private-credit BDCs"],
    "short_seller": ["Short sellers"], "utility": ["ERCOT region", "PJM region"], "household": ["Households"],
    "government": ["US government"], "central_bank": ["Federal Reserve"], "outside": ["Rest of the world"],
}  # fmt: skip
SIZE = {"chipmaker": 180, "hyperscaler": 500, "cloud": 25, "project_company": 18, "ai_lab": 45, "investor": 150, "lender": 900}
TIES = [  # from kind, to kind, type, typical amount, share of pairs tied
    ("lender", "cloud", "loan", 4, 0.4), ("lender", "project_company", "loan", 5, 0.35), ("lender", "investor", "loan", 9, 0.3),
    ("lender", "hyperscaler", "loan", 15, 0.5), ("lender", "lender", "loan", 20, 0.12), ("chipmaker", "ai_lab", "stake", 20, 0.5),
    ("hyperscaler", "ai_lab", "stake", 60, 0.4), ("investor", "ai_lab", "stake", 40, 0.6), ("chipmaker", "cloud", "stake", 2, 0.2),
    ("cloud", "ai_lab", "order", 30, 0.35), ("hyperscaler", "ai_lab", "order", 100, 0.4), ("chipmaker", "cloud", "order", 10, 0.5),
    ("chipmaker", "hyperscaler", "order", 40, 0.8), ("project_company", "hyperscaler", "lease", 12, 0.3),
    ("project_company", "cloud", "lease", 6, 0.3), ("hyperscaler", "project_company", "guarantee", 10, 0.2),
    ("chipmaker", "cloud", "guarantee", 5, 0.2),
]  # fmt: skip
CHANNEL = {"loan": "counterparty", "stake": "equity", "order": "orders", "lease": "orders", "guarantee": "guarantee"}
HAZARD = {
    "chipmaker": 0.001,
    "hyperscaler": 0.002,
    "cloud": 0.05,
    "project_company": 0.04,
    "ai_lab": 0.05,
    "investor": 0.03,
    "lender": 0.004,
}
FIRMS = tuple(HAZARD)


def made_up_network(seed: int = 3) -> dict[str, pd.DataFrame]:
    """Nodes and ties of the opening network."""
    draw = np.random.Generator(np.random.Philox(seed))
    nodes = [
        {"agent": name.lower().replace(" ", "_"), "name": name, "kind": kind,
         "size": float(SIZE.get(kind, 500) * draw.lognormal(0, 0.6)), "market_value": float(SIZE.get(kind, 0) * 3)}
        for kind, names in NAMES.items() for name in names
    ]  # fmt: skip
    ties = [
        {"from_agent": one["agent"], "to_agent": two["agent"], "type": tie, "amount": float(amount * draw.lognormal(0, 0.7))}
        for first, second, tie, amount, share in TIES
        for one in nodes if one["kind"] == first
        for two in nodes if two["kind"] == second and two is not one and draw.random() < share
    ]  # fmt: skip
    return {"nodes": pd.DataFrame(nodes), "ties": pd.DataFrame(ties)}


def made_up_run(
    replications: int = 200, labels: tuple[str, ...] = ("no_shock", "rate_hold+collateral_devaluation"),
    strength: tuple[float, ...] = (1.0, 1.9), months: int = 60, seed: int = 1, contagion: float = 1.0,
) -> Run:  # fmt: skip
    """A run whose defaults spread along ties; `strength` multiplies the hazards of each scenario (0: nobody defaults)."""
    network = made_up_network()
    nodes, ties = network["nodes"], network["ties"]
    kind = dict(zip(nodes["agent"], nodes["kind"], strict=True))
    size = dict(zip(nodes["agent"], nodes["size"], strict=True))
    firms = [agent for agent in nodes["agent"] if kind[agent] in FIRMS]
    exposed: dict[str, list[tuple[str, str, float]]] = {agent: [] for agent in nodes["agent"]}
    for tie in ties.to_dict("records"):
        exposed[tie["to_agent"]].append((tie["from_agent"], tie["type"], tie["amount"]))
    rows: dict[str, list[dict[str, Any]]] = {"replications": [], "defaults": [], "losses": []}
    for label, power in zip(labels, strength, strict=True):
        for number in range(replications):
            draw = np.random.Generator(np.random.Philox([seed, number]))
            boom, luck = draw.normal(), draw.random(len(firms))
            delay, recovery, spread = draw.integers(0, months, len(firms)), draw.uniform(0.2, 0.8, len(firms)), draw.random((len(firms), 4))
            one_replication(rows, label, number, firms, kind, size, exposed, power, boom, luck, delay, recovery, spread, months, contagion)
    ticks = made_up_ticks(labels, strength, months, seed)
    config = {"economy": "us_ai_2025", "shock": ["rate_hold", "collateral_devaluation"], "policy": ["current_rules"],
              "montecarlo": {"replications": replications, "seed": seed}, "horizon_months": months}  # fmt: skip
    provenance = {
        "version": "0.1.0", "git_commit": "0123abc", "seed": seed, "economy": "us_ai_2025", "config_hash": "a" * 64, "data_hash": "b" * 64,
        "packages": {"numpy": "2.4.6", "scipy": "1.17.1"}, "wall_time_seconds": 12.3, "command": "capital-loop experiment=first",
        "sources": {"nvda10q": {"title": "NVIDIA 10-Q", "address": "https://example.org", "date": "2025-11"}},
        "citations": ["eisenberg2001"],
        "assumptions": [
            {"name": "close-out level of loans on lab shares <ltv>", "value": 0.5, "low": 0.35, "high": 0.6, "unit": "share"}
        ],
    }  # fmt: skip
    return Run(
        pd.DataFrame(rows["replications"]), pd.DataFrame(rows["defaults"]), pd.DataFrame(rows["losses"]), ticks,
        network=network, scenarios=labels, config=config, provenance=provenance,
    )  # fmt: skip


def one_replication(
    rows: dict[str, list[dict[str, Any]]], label: str, number: int, firms: list[str], kind: dict[str, str], size: dict[str, float],
    exposed: dict[str, list[tuple[str, str, float]]], power: float, boom: float, luck: np.ndarray, delay: np.ndarray,
    recovery: np.ndarray, spread: np.ndarray, months: int, contagion: float,
) -> None:  # fmt: skip
    """Adds one replication's rows: fundamental defaults first, then those caused along ties."""
    dead: dict[str, tuple[int, int, str]] = {}
    for position, agent in enumerate(firms):
        if luck[position] < HAZARD[kind[agent]] * power * np.exp(1.2 * boom - 0.7):
            dead[agent] = (int(delay[position]), 0, "shock" if power > 1 and luck[position] < 0.03 else "own_business")
    losses: dict[tuple[str, str, str], float] = {}
    todo = sorted(dead, key=lambda agent: dead[agent])
    while todo:
        agent = todo.pop(0)
        tick, wave, _ = dead[agent]
        for other, tie, amount in exposed[agent]:
            lost = 0.5 * amount
            losses[(agent, other, CHANNEL[tie])] = losses.get((agent, other, CHANNEL[tie]), 0.0) + lost
            position = firms.index(other)
            if other not in dead and spread[position, wave % 4] < contagion * 1.5 * lost / size[other]:
                dead[other] = (min(months - 1, tick + 1 + position % 3), wave + 1, agent)
                todo.append(other)
    channels = {name: sum(v for key, v in losses.items() if key[2] == name) for name in ("counterparty", "orders", "equity", "guarantee")}
    margin = 0.6 * channels["equity"]
    if margin:
        (first_from, first_to, _), _ = next((k, v) for k, v in losses.items() if k[2] == "equity")
        losses[(first_from, first_to, "margin")] = margin
    by_kind = {name: sum(kind[agent] == name for agent in dead) for name in FIRMS}
    total = {name: sum(k == name for k in kind.values()) for name in FIRMS}
    direct = 40.0 * (power > 1)
    debt = sum(0.4 * size[agent] for agent in dead)
    caused = sum(by not in ("shock", "own_business") for _, _, by in dead.values())
    first = min((tick for tick, _, _ in dead.values()), default=-1)
    loss = direct + margin + sum(channels.values())
    rows["replications"].append({
        "scenario": label, "replication": number, "defaults": len(dead), "cascade_size": caused,
        "waves": max((wave for _, wave, _ in dead.values()), default=0),
        "systemic": sum(count > 0 for count in by_kind.values()) >= 3 and len(dead) > 5, "total_loss": loss,
        "credit_loss": channels["counterparty"], "mark_to_market_loss": channels["equity"] + margin, "deadweight_loss": 0.1 * loss,
        "loss_direct": direct, "loss_counterparty": channels["counterparty"], "loss_orders": channels["orders"],
        "loss_equity": channels["equity"], "loss_margin": margin, "loss_fire_sale": 0.0, "loss_funding": 0.0,
        "loss_guarantee": channels["guarantee"], "amplification": np.nan, "converged": True, "fiscal_cost": 0.02 * debt,
        "market_value_min_share": float(np.exp(-0.3 - 0.1 * power + 0.2 * boom)), "gdp_gap_min": -0.01 * power + 0.004 * boom,
        "unemployment_max": 0.05 + 0.004 * power - 0.004 * boom, **{f"{name}_defaults": n for name, n in by_kind.items()},
        **{f"{name}_alive_share": 1 - n / total[name] for name, n in by_kind.items()}, "defaulted_debt": debt,
        "defaulted_debt_share": debt / 9000, "first_default_tick": first, "months_to_peak": 3,
    })  # fmt: skip
    causes = ("illiquid", "insolvent", "margin", "capital")
    for agent, (tick, wave, by) in sorted(dead.items(), key=lambda item: item[1][:2]):
        cause = "capital" if kind[agent] == "lender" else causes[firms.index(agent) % 3]
        share = float(recovery[firms.index(agent)])
        rows["defaults"].append({
            "scenario": label, "replication": number, "tick": tick, "date": f"{2026 + tick // 12}-{tick % 12 + 1:02d}", "wave": wave,
            "agent": agent, "kind": kind[agent], "cause": cause, "triggered_by": by, "debt": 0.4 * size[agent], "recovery_share": share,
            "loss_given_default": 0.4 * size[agent] * (1 - share), "cds_before": 0.05,
        })  # fmt: skip
    for (one, two, channel), amount in losses.items():
        rows["losses"].append({"scenario": label, "replication": number, "tick": -1, "wave": dead[one][1] + 1, "from_agent": one,
                               "to_agent": two, "channel": channel, "amount": amount})  # fmt: skip


def made_up_ticks(labels: tuple[str, ...], strength: tuple[float, ...], months: int, seed: int) -> pd.DataFrame:
    """System series as quantile rows, the mean with quantile NaN."""
    frames = []
    for label, power in zip(labels, strength, strict=True):
        draw = np.random.Generator(np.random.Philox([seed, 99]))
        month = np.arange(months)
        drift = {
            "policy_rate": (0.037 - 0.0001 * month * (2 - power), 0.004),
            "ai_market_value": (24000 * np.exp((0.008 - 0.005 * power) * month), 0.25),
            "total_market_value": (65000 * np.exp((0.006 - 0.002 * power) * month), 0.2),
            "cds_index": (0.011 + 0.0002 * power * month, 0.4),
            "investment": (400 * np.exp((0.012 - 0.008 * power) * month), 0.2),
            "credit": (2500 * np.exp((0.01 - 0.004 * power) * month), 0.1),
            "unemployment": (0.045 + 0.0002 * power * month, 0.1), "gdp": (30000 * np.exp(0.0035 * month), 0.02),
            "inflation": (0.027 - 0.0001 * month, 0.2), "power_queue": (60 + 0.5 * month, 0.2), "power_online": (40 + 1.0 * month, 0.1),
            "circular_revenue_share": (0.18 + 0.0005 * month, 0.2), "capital_raised": (20 - 0.05 * month * power, 0.4),
            "lab_cash_runway": (15 - 0.03 * month * power, 0.3), "defaults_to_date": (0.02 * month * power, 0.8),
            "loss_to_date": (3.0 * month * power, 0.8), "concentration": (0.12 + 0 * month, 0.1), "fiscal_cost": (0.1 * month * power, 0.5),
            "gpu_resale_value": (np.exp(-0.03 * month), 0.15),
        }  # fmt: skip
        wiggle = np.cumsum(draw.normal(0, 0.01, months))
        for quantile in (0.05, 0.25, 0.5, 0.75, 0.95, np.nan):
            step = {0.05: -1.64, 0.25: -0.67, 0.75: 0.67, 0.95: 1.64}.get(quantile, 0.0)
            series = {name: level * np.exp(wiggle + step * width * np.sqrt((month + 1) / months)) for name, (level, width) in drift.items()}
            dates = [f"{2026 + m // 12}-{m % 12 + 1:02d}" for m in month]
            frames.append(pd.DataFrame({"scenario": label, "quantile": quantile, "tick": month, "date": dates, **series}))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    """The generator itself, for runs of another size or strength."""
    return made_up_run


@pytest.fixture(scope="session")
def run() -> Run:
    """Two scenarios of 200 replications."""
    return made_up_run()
