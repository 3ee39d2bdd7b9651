"""Speed of the network kernels: prints one line `name value unit` a measurement. Run: python benchmarks/kernels.py"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import report
from simulator.networks.clearing import EdgeNetwork, clearing_payments
from simulator.networks.debt_rank import debt_rank


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Best of some runs, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def batched_clearing(name: str, assets_scale: float, costs: float) -> None:
    """100 agents of mean degree 10, 10,000 vectors of assets: at once, and one at a time (a sample of 200)."""
    rng = np.random.Generator(np.random.Philox(1))
    owed = np.where(rng.random((100, 100)) < 0.1, rng.random((100, 100)), 0.0)
    np.fill_diagonal(owed, 0.0)
    assets = rng.random((100, 10_000)) * assets_scale
    options = {"outside": 0.5, "asset_recovery": costs, "claim_recovery": costs}
    together = seconds(lambda: clearing_payments(owed, assets, **options))
    alone = seconds(lambda: [clearing_payments(owed, assets[:, k], **options) for k in range(200)]) * 50
    report(f"{name}_default_share", float(clearing_payments(owed, assets, **options).defaulted.mean()), "share")
    report(f"{name}_batched", together, "seconds")
    report(f"{name}_batched_over_single", alone / together, "times")


def batched_debt_rank(name: str, buffer: float, shock: float) -> None:
    """50 agents, 10,000 shocks: at once, and one at a time (a sample of 200)."""
    rng = np.random.Generator(np.random.Philox(2))
    lent = np.where(rng.random((50, 50)) < 0.2, rng.random((50, 50)), 0.0)
    np.fill_diagonal(lent, 0.0)
    equity, shocks = lent.sum(axis=1) * buffer + 0.2, rng.random((50, 10_000)) * shock
    together = seconds(lambda: debt_rank(lent, equity, shocks))
    alone = seconds(lambda: [debt_rank(lent, equity, shocks[:, k]) for k in range(200)]) * 50
    report(f"{name}_default_share", float(debt_rank(lent, equity, shocks).defaulted.mean()), "share")
    report(f"{name}_batched", together, "seconds")
    report(f"{name}_batched_over_single", alone / together, "times")


def edges(agents: int, count: int, scenarios: int, classes: int, cash: float) -> None:
    rng = np.random.Generator(np.random.Philox(3))
    payer = rng.integers(0, agents, count)
    network = EdgeNetwork(payer, (payer + rng.integers(1, agents, count)) % agents, rng.integers(0, classes, count), agents)
    dues, money = rng.random((count, scenarios)), rng.random((agents, scenarios)) * cash
    found = network.clear(dues, money)
    name = f"edges_{agents}_{count}_{scenarios}_{'all_pay' if found.rounds.max() == 0 else 'contagion'}"
    report(name, seconds(lambda: network.clear(dues, money)), "seconds")
    report(f"{name}_rounds", int(found.rounds.max()), "rounds")


if __name__ == "__main__":
    batched_clearing("clearing_calm", 6.0, 1.0)
    batched_clearing("clearing_stress", 2.0, 1.0)
    batched_clearing("clearing_heavy_stress", 1.0, 1.0)
    batched_clearing("clearing_with_costs", 6.0, 0.8)
    batched_clearing("clearing_heavy_stress_with_costs", 1.0, 0.8)
    batched_debt_rank("debt_rank", 1.2, 0.1)
    batched_debt_rank("debt_rank_stress", 1.1, 0.5)
    batched_debt_rank("debt_rank_heavy_stress", 1.0, 0.3)
    edges(50, 400, 256, 3, 1e6)
    edges(50, 400, 256, 3, 3.0)
    edges(50, 400, 1, 3, 1e6)
    edges(50, 400, 1, 3, 3.0)
    edges(100_000, 1_000_000, 1, 1, 3.0)
