"""Kernels and ticks under pytest-benchmark, to set one commit beside another. Run: pytest benchmarks/test_speed.py

Keep a run with ``--benchmark-autosave``, compare with ``--benchmark-compare``; ``-k tick`` chooses. Each asserts something of what it timed, so that
nothing fast and wrong is measured. Ratios against Mesa and plain floats are in side_by_side.py, growth with size in scaling.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from simulator.engine.inputs import opened
from simulator.engine.model import ContagionModel
from simulator.networks.clearing import EdgeNetwork, clearing_payments
from simulator.networks.debt_rank import debt_rank
from simulator.streams import stream

SHOCK = ("rate_hold", "collateral_devaluation")
MONTHS = 24


@pytest.mark.parametrize(("assets_scale", "recovery"), [(6.0, 1.0), (2.0, 1.0), (1.0, 0.8)], ids=["calm", "stress", "heavy stress with costs"])
@pytest.mark.parametrize("vectors", [1, 1000])
def test_clearing_of_100_banks(benchmark: Any, vectors: int, assets_scale: float, recovery: float) -> None:
    random = stream(1, 0, "benchmark/clearing")
    owed = np.where(random.random((100, 100)) < 0.1, random.random((100, 100)), 0.0)
    np.fill_diagonal(owed, 0.0)
    assets = random.random((100, vectors)) * assets_scale
    found = benchmark(clearing_payments, owed, assets, outside=0.5, asset_recovery=recovery, claim_recovery=recovery)
    assert found.payments.shape == (100, vectors)
    assert (found.payments <= owed.sum(axis=1)[:, None] + 0.5 + 1e-9).all()


@pytest.mark.parametrize("shocks", [1, 1000])
def test_debt_rank_of_50_banks(benchmark: Any, shocks: int) -> None:
    random = stream(1, 0, "benchmark/debt_rank")
    lent = np.where(random.random((50, 50)) < 0.2, random.random((50, 50)), 0.0)
    np.fill_diagonal(lent, 0.0)
    equity = lent.sum(axis=1) * 1.1 + 0.2
    found = benchmark(debt_rank, lent, equity, random.random((50, shocks)) * 0.5)
    assert found.defaulted.shape == (50, shocks)


@pytest.mark.parametrize(("agents", "edges", "scenarios"), [(50, 400, 256), (10_000, 100_000, 1)])
def test_clearing_by_edges_with_classes(benchmark: Any, agents: int, edges: int, scenarios: int) -> None:
    random = stream(1, 0, "benchmark/edges")
    payer = random.integers(0, agents, edges)
    network = EdgeNetwork(payer, (payer + random.integers(1, agents, edges)) % agents, random.integers(0, 3, edges), agents)
    dues, cash = random.random((edges, scenarios)), random.random((agents, scenarios)) * 3.0
    found = benchmark(network.clear, dues, cash)
    assert found.converged.all()
    assert ((found.paid >= 0.0) & (found.paid <= dues * (1.0 + 1e-12))).all()


@pytest.mark.parametrize("economy", ["three_firms", "us_ai_2025"])
@pytest.mark.parametrize(("replications", "stepping"), [(1, "agents"), (1, "cohorts"), (64, "cohorts"), (1000, "cohorts")])
def test_tick_of_two_shocked_years(benchmark: Any, economy: str, replications: int, stepping: str) -> None:
    """Whole runs of 24 months from the opened economy on; the identities are checked in every tick, as always."""
    known = opened(economy)
    options = {"shock": SHOCK, "horizon_months": MONTHS, "stepping": stepping, "mesa_agents": stepping == "agents"}

    def run() -> ContagionModel:
        return ContagionModel(known, replications=range(replications), **options).run()

    with threadpool_limits(limits=1):
        run()  # the quiet world, which is kept per economy, is outside
        model = benchmark.pedantic(run, rounds=3, warmup_rounds=0)
    assert model.books.tick == MONTHS
    assert len(model.recorder.outcomes()) == replications
