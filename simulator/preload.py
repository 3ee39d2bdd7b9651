"""What the server of workers imports before it makes the first one: the engine, the files of a run and the figures, so that every worker has them.

Nothing else imports this module.
"""

from __future__ import annotations

import gc
from importlib import import_module

from simulator.results.provenance import machine_identity

MODULES = (
    "simulator.engine.model", "simulator.engine.montecarlo", "simulator.engine.inputs", "simulator.results.blocks", "simulator.results.figures",
)  # fmt: skip


def preload() -> None:
    """Import them. What is there then lives as long as the process: the garbage collector need not look at it, now or in a worker."""
    gc.disable()
    for name in MODULES:
        import_module(name)
    machine_identity()
    gc.freeze()
    gc.enable()


preload()
