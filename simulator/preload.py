"""What the server of workers imports before it makes the first one: the engine and the files of a run, so that every worker has them.

Only what the first of them needs: it runs the quiet world, for which everybody waits. Nothing else imports this module.
"""

from __future__ import annotations

import gc
from importlib import import_module

MODULES = ("simulator.engine.model", "simulator.engine.montecarlo", "simulator.engine.inputs", "simulator.results.blocks")


def preload() -> None:
    """Import them. What is there then lives as long as the process: the garbage collector need not look at it, now or in a worker."""
    gc.disable()
    for name in MODULES:
        import_module(name)
    gc.freeze()
    gc.enable()


preload()
