"""Every benchmark, one after the other, its lines kept in results/NAME.txt with the machine described. Run: python benchmarks/all.py [NAME ...]

About 45 minutes on two quiet cores, of which the run of 100,000 replications takes a quarter. Figures are only worth keeping from a quiet machine.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import RESULTS, ROOT, keep, machine

COMMANDS = {
    "side_by_side": "benchmarks/side_by_side.py",
    "kernels": "benchmarks/kernels.py",
    "startup": "benchmarks/scaling.py startup default_run",
    "scaling": "benchmarks/scaling.py replications months contracts",
    "large": "benchmarks/scaling.py large",
    "workers": "benchmarks/scaling.py workers",
    "memory_2000": "benchmarks/memory.py --replications 2000 montecarlo.chunk=500",
    "memory_100000": "benchmarks/memory.py --replications 100000",
}
"""What is run by name; each in a process of its own, so that peaks of memory are its own."""


def run(name: str) -> int:
    """Run one benchmark, show its lines as they come, and keep them if it ends well; returns its exit code."""
    where, start, lines = machine(), time.perf_counter(), []
    command = [sys.executable, *shlex.split(COMMANDS[name])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    if not running.returncode:
        path = keep(name, f"python {COMMANDS[name]}", lines, where, time.perf_counter() - start)
        print(f"kept in {path.relative_to(ROOT)}", file=sys.stderr)
    return running.returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks asked for; returns 1 when one of them has failed."""
    parser = argparse.ArgumentParser(description=f"Run benchmarks and keep their lines in {RESULTS.name}/.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(COMMANDS)} (default all)")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in COMMANDS]:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(COMMANDS)}")
    failed = [name for name in given.names or COMMANDS if run(name)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
