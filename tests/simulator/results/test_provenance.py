"""Provenance: what must be known to judge and repeat a run."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from simulator.results import provenance
from simulator.results.dataset import Run


@dataclass
class Fact:
    """A fact as the economy keeps it."""

    table: str = "loans"
    row_id: str = "loan_1"
    column: str = "ltv_call"
    value: float = 0.5
    unit: str = "share"
    source: str = "assumption"
    as_of: str = "2025-12"
    confidence: str = "low"
    low: float = 0.35
    high: float = 0.6
    note: str = ""


SETTINGS = {"economy": "us_ai_2025", "shock": ["rate_hold", "collateral_devaluation"], "policy": ["current_rules"], "horizon_months": 60,
            "montecarlo": {"replications": np.int64(1000), "seed": 1, "chunk": 256}, "channels": {"margin": False, "equity": True},
            "output": "/somewhere/private"}  # fmt: skip


def test_provenance_is_plain_json_and_names_no_path() -> None:
    found = provenance.provenance(
        SETTINGS, "us_ai_2025", facts=[Fact()], sources={"a": {"title": "A"}}, citations=["b", "a", "b"], wall_time=1.23456
    )
    text = json.dumps(found)
    assert json.loads(text) == found
    assert "/somewhere" not in text
    assert str(Path(__file__).resolve().parents[3]) not in text
    assert found["seed"] == 1
    assert found["citations"] == ["a", "b"]
    assert found["wall_time_seconds"] == 1.235
    assert found["packages"]["numpy"] == np.__version__
    assert found["machine"]["cpu_features"]


def test_processor_features_that_numpy_does_not_tell_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert provenance.cpu_features() == sorted(provenance.cpu_features())
    moved = importlib.import_module

    def elsewhere(name: str) -> object:
        if name.startswith("numpy._core"):
            raise ImportError(name)
        return moved(name)

    monkeypatch.setattr(provenance.importlib, "import_module", elsewhere)
    assert provenance.cpu_features() == []


def test_the_command_repeats_the_run() -> None:
    command = provenance.provenance(SETTINGS, "us_ai_2025")["command"]
    assert command == (
        "capital-loop economy=us_ai_2025 shock='[rate_hold,collateral_devaluation]' policy=current_rules channels.margin=false "
        "montecarlo.replications=1000 montecarlo.seed=1 horizon_months=60"
    )


def test_the_hash_sees_numbers_and_not_the_place_or_the_order_of_keys() -> None:
    def hashed(**changes: object) -> str:
        return str(provenance.provenance({**SETTINGS, **changes}, "us_ai_2025")["config_hash"])

    assert hashed() == hashed(output="elsewhere") == hashed(execution={"workers": 2})
    assert hashed() != hashed(horizon_months=59)
    assert provenance.digest({"a": 1, "b": 2}) == provenance.digest({"b": 2, "a": 1})


def test_assumptions_are_listed_with_their_ranges() -> None:
    known = Fact(source="nvda10q")
    shock = {"name": "collateral_devaluation", "value": 0.6, "low": 0.3, "high": 0.8, "unit": "factor"}
    found = provenance.provenance(SETTINGS, "us_ai_2025", facts=[Fact(), known], assumptions=[shock])
    assert [item["name"] for item in found["assumptions"]] == ["collateral_devaluation", "loans loan_1 ltv_call"]
    assert (found["assumptions"][1]["low"], found["assumptions"][1]["high"]) == (0.35, 0.6)
    assert found["data_hash"] != provenance.provenance(SETTINGS, "us_ai_2025", facts=[known])["data_hash"]


def test_provenance_survives_the_run_folder(run: Run, tmp_path: Path) -> None:
    from simulator.results.dataset import load

    found = provenance.provenance(SETTINGS, "us_ai_2025", facts=[Fact()])
    one = Run(run.scenario("no_shock").replications, provenance=found)
    assert load(one.save(tmp_path / "run", figures=False)).provenance == found
