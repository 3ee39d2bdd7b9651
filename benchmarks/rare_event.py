"""How much better than brute force a rare event is known, on the AI economy. Run: python benchmarks/rare_event.py [--output FILE]

Two cases without a shock under current rules: ``near_1e-4`` (the horizon cut so that the event is rare) and ``near_1e-2`` (60 months, with brute
force beside it). Each by both methods, in independent repetitions. One line ``name value unit`` a figure; the file holds every repetition.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulator.experiments.bench import Bench
from simulator.experiments.studies import study_of
from simulator.menu import assemble
from simulator.runs import plan_of
from simulator.settings import open_economy

CASES: dict[str, dict[str, Any]] = {
    "near_1e-4": {"horizon_months": 47, "experiment.brute_force": 0},
    "near_1e-2": {"horizon_months": 60, "experiment.brute_force": 4000},
}
METHODS = ("importance_sampling", "splitting")
SHOWN = (("value", "probability"), ("low", "probability"), ("high", "probability"), ("gain", "times"), ("gain_low", "times"), ("gain_high", "times"),
         ("gain_alone", "times"), ("gain_alone_low", "times"), ("gain_alone_high", "times"), ("pilot_work", "ticks"), ("work", "ticks"),
         ("brute_value", "probability"), ("brute_low", "probability"), ("brute_high", "probability"))  # fmt: skip


def machine() -> dict[str, Any]:
    """What it was measured on."""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    cores = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())
    return {"processor": model or platform.processor(), "cores": cores, "system": platform.system(), "python": platform.python_version(),
            "numpy": version("numpy")}  # fmt: skip


def measured(case: str, method: str, seed: int, repetitions: int, effort: int) -> dict[str, Any]:
    """One case by one method."""
    values = CASES[case] | {
        "experiment.method": method, "experiment.repetitions": repetitions, "experiment.effort": effort, "montecarlo.seed": seed,
    }  # fmt: skip
    if method != METHODS[0]:
        values["experiment.brute_force"] = 0
    settings = assemble({"economy": "us_ai_2025", "shock": "none", "experiment": "rare_event", "execution": "serial"}, values)
    started = time.process_time()
    study = study_of(Bench(settings, open_economy(settings.economy), plan_of(settings)), None)
    assert study is not None
    found = {"facts": dict(study.facts), "cpu_seconds": round(time.process_time() - started, 1)}
    for name, table in study.tables.items():
        found[name] = json.loads(table.to_json(orient="records", double_precision=15))
    for name, unit in SHOWN:
        if study.facts.get(name) is not None:
            print(f"{case}.{method}.{name} {study.facts[name]:.6g} {unit}", flush=True)
    return found


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--effort", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    results = {
        f"{case}.{method}": measured(case, method, asked.seed, asked.repetitions, asked.effort) for case in asked.cases for method in asked.methods
    }
    if asked.output is not None:
        asked.output.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
