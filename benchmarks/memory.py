"""Memory and steadiness of a long run: the peak of every process, and the rate at its beginning and its end.

Runs one command of the program, watches its processes, and prints a line `name value unit` a figure. Needs Linux (/proc). Run:

    python benchmarks/memory.py                          # 100,000 replications of us_ai_2025, 60 months, one scenario, 2 workers
    python benchmarks/memory.py --replications 2000      # what the rate of the long one is compared with
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import at_least_one, report, watch
from simulator.engine.montecarlo import Plan, most_together, together, units
from simulator.results.blocks import unit_name

EDGE = 0.1
"""Part of the pieces of work at the beginning and at the end whose rates are compared."""


def finished_at(folder: Path, workers: int) -> list[tuple[float, int]]:
    """When each piece of work was finished, and its replications, in the order of time. The units that are stepped together are one piece."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    cut = manifest["plan"]
    plan = Plan(cut["replications"], chunk=manifest["settings"]["montecarlo"]["chunk"], block=cut["block"])
    wanted = units(len(cut["scenarios"]), plan)
    found = []
    for piece in together(wanted, most_together(plan, plan.chunk), workers):
        files = [folder / "tables" / "replications" / f"{unit_name(unit.scenario, unit.block)}.parquet" for unit in piece]
        found.append((max(file.stat().st_mtime for file in files), sum(unit.stop - unit.first for unit in piece)))
    return sorted(found)


def seconds_of(folder: Path) -> float:
    """Seconds from the start of the workers to the last unit."""
    return float(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["seconds"])


def rate(finished: Sequence[tuple[float, int]], workers: int) -> float:
    """Replications a second from the moment at which every worker has finished its first piece of work; nan where there are no more."""
    if len(finished) <= workers:
        return float("nan")
    done = sum(count for _, count in finished[workers:])
    return done / max(finished[-1][0] - finished[workers - 1][0], 1e-9)


def command_of(folder: Path, given: argparse.Namespace) -> list[str]:
    """The command that is watched."""
    keys = {
        "economy": given.economy, "experiment": "single", "record": "summary", "montecarlo.replications": given.replications,
        "horizon_months": given.months, "execution.workers": given.workers, "output": folder,
    }  # fmt: skip
    return [sys.executable, "-m", "simulator", *(f"{key}={value}" for key, value in keys.items()), *given.more]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, watch and print; returns the exit code of the command."""
    parser = argparse.ArgumentParser(description="Peak memory of every process of a long run, and its rate.")
    parser.add_argument("--replications", type=at_least_one, default=100_000, help="default 100,000")
    parser.add_argument("--economy", default="us_ai_2025", help="name of an economy (default us_ai_2025)")
    parser.add_argument("--months", type=at_least_one, default=60, help="horizon (default 60)")
    parser.add_argument("--workers", type=at_least_one, default=2, help="processes (default 2)")
    parser.add_argument("--output", type=Path, help="keep the run folder here (default: a temporary one, removed)")
    parser.add_argument("more", nargs="*", help="more keys for the command, as execution.workers=2")
    given = parser.parse_args(arguments)
    folder = given.output or Path(tempfile.mkdtemp(prefix="capital-loop-benchmark-")) / "run"
    try:
        found = watch(command_of(folder, given))
        if found.exit_code:
            print(f"the run ended with exit code {found.exit_code}", file=sys.stderr)
            return found.exit_code
        finished = finished_at(folder, given.workers)
        edge = max(given.workers + 1, round(EDGE * len(finished)))
        report("replications", sum(count for _, count in finished), "replications")
        report("pieces_of_work", len(finished), "pieces")
        report("whole_command", found.seconds, "seconds")
        report("rate_with_start", sum(count for _, count in finished) / seconds_of(folder), "replications/second")
        report("steady_rate", rate(finished, given.workers), "replications/second")
        report("rate_of_first_pieces", rate(finished[: edge + given.workers], given.workers), "replications/second")
        report("rate_of_last_pieces", rate(finished[-edge - given.workers :], given.workers), "replications/second")
        for place, peak in enumerate(found.peaks.values()):
            report("peak_memory_of_command" if place == 0 else f"peak_memory_of_process_{place}", peak, "MB")
        report("peak_memory_of_any_process", max(found.peaks.values()), "MB")
        report("run_folder", sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, "MB")
        return 0
    finally:
        if given.output is None:
            shutil.rmtree(folder.parent, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
