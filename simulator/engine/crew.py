"""Processes of this machine: a pool that notes which tasks are in a worker's hands, and a crew that stays for one round of work after another."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import forkserver
from pathlib import Path
from types import TracebackType
from typing import Any

from threadpoolctl import threadpool_limits

from simulator.engine.heartbeat import heard_by
from simulator.engine.worker_server import ignored_interrupts


@dataclass
class Handed:
    """A task that is handed out: its number, and how often a worker has died with it."""

    number: int
    task: Any
    strikes: int = 0


class Pool:
    """Processes that do one kind of work at a time: `begin` says which, and on what is shared by its tasks."""

    def __init__(self, workers: int, preload: Sequence[str] = ()) -> None:
        self.workers = workers
        self.folder = tempfile.TemporaryDirectory(prefix="capital-loop-")
        self.notes = Path(self.folder.name)
        self._rounds = itertools.count()
        self._order = ""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(preload))
        with ignored_interrupts():  # the server of workers and all that it starts inherit that Ctrl-C is not for them
            forkserver.ensure_running()
        self.executor = ProcessPoolExecutor(workers, context, _begin)

    def begin(self, work: Callable[[Any, Any], Any], shared: Any) -> None:
        """Begin a round: what is handed out from now on is worked on by ``work(shared, task)``. Workers read both when they need them."""
        path = self.notes / f"round-{next(self._rounds)}"
        path.write_bytes(pickle.dumps((work, shared), pickle.HIGHEST_PROTOCOL))
        self._order = str(path)

    def submit(self, handed: Handed) -> Future[Any]:
        """Hand a task to the pool; one that is broken already answers with a future that says so."""
        try:
            return self.executor.submit(_do, self._order, handed.number, handed.task)
        except BrokenProcessPool as error:
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    def load(self, modules: Sequence[str]) -> None:
        """Have a process import modules that are wanted next; nobody waits for it."""
        with contextlib.suppress(BrokenProcessPool):
            self.executor.submit(_load, tuple(modules))

    def in_hand(self) -> set[int]:
        """Numbers of the tasks that a worker has begun and not ended."""
        return {int(path.name) for path in self.notes.iterdir() if path.name.isdecimal()}

    def shares(self) -> dict[int, float]:
        """How far the tasks in hand have come, in [0, 1], by number; those of which nothing has been heard are left out."""
        found = {}
        for number in self.in_hand():
            with contextlib.suppress(OSError, ValueError):  # ended meanwhile, or being written
                found[number] = float((self.notes / str(number)).read_text(encoding="ascii"))
        return found

    def close(self, at_once: bool) -> None:
        """Put the workers away; ``at_once``: in the middle of their work."""
        if at_once:
            for process in list((self.executor._processes or {}).values()):
                process.terminate()
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.folder.cleanup()


class Crew:
    """A pool that stays when a round of work is done, for the next one. ``loads``: modules that a process imports when it is left without work."""

    def __init__(self, loads: Sequence[str] = ()) -> None:
        self.loads = tuple(loads)
        self.pool: Pool | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.leave(at_once=True)  # idle, or not wanted any more

    def leave(self, at_once: bool) -> None:
        """Put the pool away; the next round starts another."""
        pool, self.pool = self.pool, None
        if pool is not None:
            pool.close(at_once)


_at_work: dict[str, Any] = {}


def _begin() -> None:
    """Make a worker of a process; it ends when the program that started it has been killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))  # for what is not loaded yet
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(order: str, number: int, task: Any) -> Any:
    note = Path(order).with_name(str(number))
    note.touch()
    if order not in _at_work:
        _at_work.clear()  # what was shared in the round before is let go
        _at_work[order] = pickle.loads(Path(order).read_bytes())
    work, shared = _at_work[order]

    def keep(share: float) -> None:
        note.write_text(f"{share:.4f}", encoding="ascii")

    with threadpool_limits(limits=1), heard_by(keep):
        result = work(shared, task)
    note.unlink()
    return result


def _load(modules: tuple[str, ...]) -> None:
    for name in modules:
        import_module(name)
