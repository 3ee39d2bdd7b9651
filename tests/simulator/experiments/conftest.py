"""A bench on the smallest economy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.engine.montecarlo import Plan
from simulator.experiments.bench import Bench
from simulator.menu import assemble
from simulator.settings import open_economy


@pytest.fixture(scope="session")
def bench() -> Callable[..., Bench]:
    """``bench("dose_response", {"experiment.grid": [0, 1]}, shock="rate_hike")`` on ``three_firms``: 6 replications, 10 months."""
    opened = {"three_firms": open_economy(assemble({"economy": "three_firms"}).economy)}

    def build(
        experiment: str, values: dict[str, Any] | None = None, shock: Any = "marks", months: int = 10, economy: str = "three_firms", **more: Any
    ) -> Bench:
        chosen = "none" if shock == "marks" else shock
        settings = assemble(
            {"economy": economy, "experiment": experiment, "shock": chosen, **more}, {"horizon_months": months, **(values or {})}
        )
        if shock == "marks":  # a shock early enough for a short run
            content = {
                "marks": {
                    "lever": "lab_shares.value",
                    "multiply_by": 0.5,
                    "starts_after_months": 1,
                    "source": "assumption",
                    "low": 0.3,
                    "high": 0.9,
                },
                "funding": {
                    "lever": "lender.funding_spread", "add": 0.02, "starts_after_months": 1, "source": "assumption", "low": 0.0, "high": 0.05,
                },
            }
            settings = settings.model_copy(update={"shock": {"marks": content}})
        if economy not in opened:
            opened[economy] = open_economy(settings.economy)
        return Bench(settings, opened[economy], Plan(replications=6, horizon_months=months, systemic=settings.systemic.model_dump()))

    return build
