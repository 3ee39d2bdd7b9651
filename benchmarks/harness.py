"""What the benchmarks share: printing a figure, timing, peaks of memory of a command's processes, and the machine that it was measured on."""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
RESULTS = Path(__file__).parent / "results"
POLL_SECONDS = 0.1


def report(name: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(f"{name} {value:.4g} {unit}", flush=True)


def at_least_one(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def in_turns(repeats: int, *runs: Callable[[int], float]) -> list[list[float]]:
    """The times of each run, all of them once in every repeat, garbage collected before each: who is slow for a while is slow for all."""
    times: list[list[float]] = [[] for _ in runs]
    for repeat in range(repeats):
        for kept, run in zip(times, runs, strict=True):
            gc.collect()
            kept.append(run(repeat))
    return times


def median_seconds(calls: Iterable[Callable[[], object]], repeats: int) -> list[float]:
    """Median processor time of each of ``calls``, made in turns. Other programs on the machine count less in it than in time by the clock."""

    def timed(call: Callable[[], object]) -> Callable[[int], float]:
        def run(_: int) -> float:
            start = time.process_time()
            call()
            return time.process_time() - start

        return run

    return [statistics.median(times) for times in in_turns(repeats, *map(timed, calls))]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """The exponent of cost in size: slope of the least squares line through the logarithms, and the steepest slope between neighbouring points."""
    x, y = np.log(sizes), np.log(seconds)
    return float(np.polyfit(x, y, 1)[0]), float(np.max(np.diff(y) / np.diff(x)))


# ---------------------------------------------------------------------- processes


def status_of(process: int) -> dict[str, str]:
    """Fields of a process in Linux's /proc; empty when it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def descendants(process: int) -> list[int]:
    """A process and all that it has started, directly or through others."""
    parents = {int(path.name): status_of(int(path.name)).get("PPid") for path in Path("/proc").iterdir() if path.name.isdecimal()}
    found = [process]
    for parent in found:
        found += [child for child, of in parents.items() if of == str(parent)]
    return found


@dataclass
class Watched:
    """A command that has ended: exit code, seconds, and of every process the peak of its resident memory, MB, in the order in which they began."""

    exit_code: int
    seconds: float
    peaks: dict[int, float] = field(default_factory=dict)


def watch(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Watched:
    """Run a command and note the peak of resident memory of each of its processes (``VmHWM``, which the kernel keeps), several times a second.

    Python keeps what it has compiled, as it does unless told otherwise: a command that was run before doesn't compile its sources again.
    """
    start = time.perf_counter()
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**usual, "PYTHONPATH": str(ROOT), **(environment or {})})
    peaks: dict[int, float] = {}
    while running.poll() is None:
        for process in descendants(running.pid):
            peak = status_of(process).get("VmHWM", "")
            if peak:
                peaks[process] = float(peak.split()[0]) / 1024.0
        time.sleep(POLL_SECONDS)
    return Watched(running.returncode, time.perf_counter() - start, peaks)


# ---------------------------------------------------------------------- results


def machine() -> dict[str, str]:
    """What a figure depends on: date, processor, cores, memory, load, system, packages and commit."""
    from simulator.results.provenance import git_commit, package_versions

    def first(path: str, name: str) -> str:
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except OSError:
            return "unknown"
        return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")

    memory = first("/proc/meminfo", "MemTotal").split()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": first("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{float(memory[0]) / 1024**2:.1f} GB" if memory[0].isdecimal() else "unknown",
        "load": f"{os.getloadavg()[0]:.2f} tasks on average in the minute before",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": ", ".join(f"{name} {number}" for name, number in package_versions().items()),
        "commit": git_commit() or "unknown",
    }


def keep(name: str, command: str, lines: Sequence[str], where: Mapping[str, str], seconds: float) -> Path:
    """Write the lines of a benchmark to ``results/NAME.txt``, under a head that says where, when and how they were measured."""
    RESULTS.mkdir(exist_ok=True)
    head = {"command": command, **where, "took": f"{seconds:.0f} seconds"}
    path = RESULTS / f"{name}.txt"
    path.write_text("".join(f"# {key}: {value}\n" for key, value in head.items()) + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
