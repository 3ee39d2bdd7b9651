"""How cost grows with replications, months, contracts and workers. Run: python benchmarks/scaling.py [PART ...]

Prints a line `name value unit` a figure; README.md of this folder says what each means. Parts: startup, replications, months, contracts, large,
workers, default_run; all of them if none is named. ``--repeats`` and ``--small`` make it quicker (`--small` only shows that it works).
"""

from __future__ import annotations

import argparse
import gc
import math
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import at_least_one, exponent, median_seconds, report, watch
from scenarios.changes import Scenario
from scenarios.synthetic import synthetic_economy
from simulator.engine.executors import Execution
from simulator.engine.inputs import named_changes, opened
from simulator.engine.model import ContagionModel, foreseen_sales
from simulator.engine.montecarlo import Plan, compute, job_of, run_scenarios, units
from simulator.results.blocks import BlockFiles
from simulator.results.provenance import machine_identity

SHOCK = ("rate_hold", "collateral_devaluation")
TABLES = ("loans", "stakes", "orders", "leases", "guarantees")
MEAN_DEGREE = 10.0


@dataclass(frozen=True)
class Sizes:
    """What is run: points of each line, and repeats of each point, of which the median counts."""

    repeats: int = 3
    replications: tuple[int, ...] = (250, 500, 1000, 2000)
    horizon: int = 60
    months: tuple[int, ...] = (15, 30, 60, 120, 240, 480)
    batch: int = 256
    agents: tuple[int, ...] = (40, 400, 4000, 40_000)
    largest: int = 4
    large: int = 100_000
    large_months: int = 12
    units: int = 24
    block: int = 500


SMALL = Sizes(1, (20, 40), 4, (2, 4), 4, (40, 80), 1, 400, 3, 8, 20)


def scenario_of(economy: Any, months: int) -> Scenario:
    """The default shocks; none where they would begin after the end."""
    changes = named_changes(economy, SHOCK, (), months) if months >= 12 else ()
    return Scenario("shock", SHOCK, (), changes, {})


def batch_of(economy: Any, replications: int, months: int) -> Callable[[], object]:
    """What steps a batch from the opened economy to the end of the horizon; the quiet world, kept per economy, is made before."""
    options = {"horizon_months": months, "changes": scenario_of(economy, months).changes, "foreseen": foreseen_sales(economy, months)}
    return lambda: ContagionModel(economy, replications=range(replications), mesa_agents=False, **options).run()


def told(name: str, sizes: Sequence[float], seconds: Sequence[float]) -> None:
    """Print the seconds of every point and the exponent of the line through them."""
    for size, value in zip(sizes, seconds, strict=True):
        report(f"{name}_{size:.0f}_seconds", value, "seconds")
    slope, steepest = exponent(sizes, seconds)
    report(f"{name}_exponent", slope, "exponent")
    report(f"{name}_steepest_exponent", steepest, "exponent")


def in_replications(sizes: Sizes) -> None:
    """Tables of more and more replications of us_ai_2025, in chunks as the program steps them, in one process."""
    economy = opened("us_ai_2025")
    scenario = scenario_of(economy, sizes.horizon)
    foreseen_sales(economy, sizes.horizon)
    plan = Plan(horizon_months=sizes.horizon)

    def tables_of(count: int) -> Callable[[], object]:
        return lambda: run_scenarios(economy, [scenario], replace(plan, replications=count))

    times = median_seconds(map(tables_of, sizes.replications), sizes.repeats)
    told("replications", sizes.replications, times)
    report("replications_per_second_per_core", sizes.replications[-1] / times[-1], "replications/second")


def in_months(sizes: Sizes) -> None:
    """A batch of us_ai_2025 over longer and longer horizons."""
    economy = opened("us_ai_2025")
    told("months", sizes.months, median_seconds([batch_of(economy, sizes.batch, months) for months in sizes.months], sizes.repeats))


def in_contracts(sizes: Sizes, months: int = 12) -> None:
    """Random economies of more and more agents: one replication of each, and as many as keep replications times contracts the same.

    The time of a replication is that of a year, from the opened economy on, without the quiet world. Where there are few contracts the overhead of
    each call weighs, so one replication alone flatters the exponent; the second line does not. It has ``largest`` replications of the largest: with
    one, every number of who owes whom is read for one amount alone, in the largest economy only.
    """
    economies = [synthetic_economy(agents, 1, mean_degree=MEAN_DEGREE) for agents in sizes.agents]
    contracts = [contracts_of(economy) for economy in economies]
    for agents, count in zip(sizes.agents, contracts, strict=True):
        report(f"contracts_of_{agents}_agents", count, "contracts")
    for name, batches in (
        ("contracts", [1] * len(economies)),
        ("contracts_same_memory", [max(1, sizes.largest * sizes.agents[-1] // agents) for agents in sizes.agents]),
    ):
        runs = [batch_of(economy, width, months) for economy, width in zip(economies, batches, strict=True)]
        times = median_seconds(runs, sizes.repeats)
        told(name, contracts, [seconds / width for seconds, width in zip(times, batches, strict=True)])


def contracts_of(economy: Any) -> int:
    """Number of contracts of all kinds."""
    return sum(len(getattr(economy, name)) for name in TABLES)


def large(sizes: Sizes) -> None:
    """One tick of a large economy: opened, with its quiet world, then a year of which each month is timed."""
    start = time.perf_counter()
    economy = synthetic_economy(sizes.large, 1, mean_degree=MEAN_DEGREE)
    report("large_economy_agents", len(economy.ids), "agents")
    report("large_economy_contracts", contracts_of(economy), "contracts")
    report("large_economy_draw", time.perf_counter() - start, "seconds")
    start = time.perf_counter()
    months = sizes.large_months
    model = ContagionModel(economy, horizon_months=months, mesa_agents=False, changes=scenario_of(economy, months).changes)
    report("large_economy_open", time.perf_counter() - start, "seconds")
    times, processor = [], []
    for _ in range(months):
        start, busy = time.perf_counter(), time.process_time()
        model.step()
        times.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    report("large_economy_tick", statistics.median(times), "seconds")
    report("large_economy_slowest_tick", max(times), "seconds")
    report("large_economy_slowest_tick_processor", max(processor), "seconds")
    report("large_economy_peak_memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0, "MB")


def steady_rate(sizes: Sizes, workers: int) -> float:
    """Replications a second of us_ai_2025 while every worker is busy, workers writing their own files."""
    economy = opened("us_ai_2025")
    plan = Plan(
        sizes.units * sizes.block,
        horizon_months=sizes.horizon,
        block=sizes.block,
        chunk=sizes.block,
        workers=workers,
        execution=Execution("local" if workers > 1 else "serial", workers),
    )
    with tempfile.TemporaryDirectory(prefix="capital-loop-benchmark-") as folder:
        job = job_of(economy, [scenario_of(economy, sizes.horizon)], plan, BlockFiles(Path(folder), machine_identity()))
        ends = []
        with closing(compute(job, units(1, plan))) as results:
            for _ in results:
                ends.append(time.perf_counter())
    return (len(ends) - workers) * sizes.block / (ends[-1] - ends[workers - 1])


def in_workers(sizes: Sizes, workers: int = 2) -> None:
    """The steady rate of two workers over that of one, in turns."""
    one, more = [], []
    for _ in range(sizes.repeats):
        gc.collect()
        one.append(steady_rate(sizes, 1))
        more.append(steady_rate(sizes, workers))
    report("units_of_work", sizes.units, "units")
    report("one_worker_rate", statistics.median(one), "replications/second")
    report(f"{workers}_workers_rate", statistics.median(more), "replications/second")
    report(f"{workers}_workers_over_one", statistics.median(two / single for single, two in zip(one, more, strict=True)), "times")


def start_up(sizes: Sizes) -> None:
    """How long the program needs to say something, and to load what a run needs."""
    times: dict[str, list[float]] = {"help": [], "import_api": [], "import_model": []}
    commands = {
        "help": [sys.executable, "-m", "simulator", "--help"],
        "import_api": [sys.executable, "-c", "import simulator.api"],
        "import_model": [sys.executable, "-c", "import simulator.engine.model"],
    }
    for _ in range(max(sizes.repeats, 2)):
        for name, command in commands.items():
            times[name].append(watch(command).seconds)
    for name, values in times.items():
        report(f"{name}_seconds", statistics.median(values), "seconds")


def default_run(sizes: Sizes) -> None:
    """The command with nothing said: time, and peak of any process."""
    found = []
    for _ in range(sizes.repeats):
        with tempfile.TemporaryDirectory(prefix="capital-loop-benchmark-") as folder:
            few = [] if sizes != SMALL else ["montecarlo.replications=20", "horizon_months=3"]
            found.append(watch([sys.executable, "-m", "simulator", f"output={folder}/run", *few]))
    report("default_run_seconds", statistics.median(one.seconds for one in found), "seconds")
    report("default_run_peak_memory", max(max(one.peaks.values(), default=math.nan) for one in found), "MB")


PARTS: dict[str, Callable[[Sizes], None]] = {
    "startup": start_up, "replications": in_replications, "months": in_months, "contracts": in_contracts, "large": large, "workers": in_workers,
    "default_run": default_run,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the parts asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description="How cost grows with replications, months, contracts and workers.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)} (default all)")
    parser.add_argument("--repeats", type=at_least_one, help="repeats of each timing, of which the median is told (default 3)")
    parser.add_argument("--small", action="store_true", help="tiny sizes: shows that it works, and no more")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.parts if name not in PARTS]:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(PARTS)}")
    sizes = SMALL if given.small else Sizes()
    if given.repeats:
        sizes = replace(sizes, repeats=given.repeats)
    for name in given.parts or PARTS:
        with threadpool_limits(limits=1):
            PARTS[name](sizes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
