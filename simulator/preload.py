"""What the server of workers imports before it makes the first one: the engine and the files of a run, so that every worker has them.

At first only what the first of them needs: it runs the quiet world, for which everybody waits. While it does, the server loads what draws figures,
once for all workers that come after. Nothing else imports this module.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterable
from importlib import import_module

MODULES = ("simulator.engine.model", "simulator.engine.montecarlo", "simulator.engine.inputs", "simulator.results.blocks")
FOR_LATER = (
    "simulator.results.documents", "simulator.results.figures", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg",
)  # fmt: skip

_server = os.getpid()
_waiting = list(FOR_LATER)


def preload(modules: Iterable[str]) -> None:
    """Import them. What is there then lives as long as the process: the garbage collector need not look at it, now or in a worker."""
    gc.disable()
    for name in modules:
        import_module(name)
    gc.freeze()
    gc.enable()


def _after_the_first() -> None:
    """In the server, which has just made a process: load what that one does without."""
    if os.getpid() == _server and _waiting:
        modules = tuple(_waiting)
        _waiting.clear()
        with contextlib.suppress(Exception):  # a worker that draws tries again, and says what is wrong
            preload(modules)


preload(MODULES)
os.register_at_fork(after_in_parent=_after_the_first)
