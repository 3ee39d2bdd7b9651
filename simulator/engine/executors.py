"""Where work is done: in this process, in processes of this machine, or on a Dask cluster, all through `concurrent.futures.Executor`.

`work_through` hands out tasks, a few ahead of what is being computed, and yields their results as they come. A worker that is killed takes
no result with it: its tasks are handed out again, to fresh workers. A task that kills its worker again and again is named, and the run ends.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from simulator.engine.crew import Crew, Handed, Pool
from simulator.engine.heartbeat import heard_by
from simulator.engine.worker_server import ignored_interrupts
from simulator.errors import InputError, RunError

Task = TypeVar("Task")
Result = TypeVar("Result")
Shares = Callable[[Sequence[tuple[Task, float]]], None]
"""Hears of tasks in hand how far each has come, in [0, 1]."""

POLL_SECONDS = 0.2
STRIKES_MAX = 2
"""Times that a worker may die with a task before that task is tried alone."""
BARREN_MAX = 3
"""Pools that may break one after the other without any result between them."""
CLUSTER_EXTRA = "it is not installed; pip install 'capital-loop[cluster]'"


@dataclass(frozen=True)
class Execution:
    """Where to compute. ``kind``: ``serial``, ``local`` or ``dask``; ``workers``: processes.

    For dask, ``scheduler`` is the address of a running scheduler; without one a cluster is started: ``cluster`` is ``local`` or ``slurm``,
    and ``slurm`` holds the arguments of dask-jobqueue's SLURMCluster (queue, account, memory, walltime, …).
    """

    kind: str = "serial"
    workers: int = 1
    scheduler: str | None = None
    cluster: str = "local"
    slurm: dict[str, Any] = field(default_factory=dict)


class Interrupts:
    """Ctrl-C, held back while it would break something: it is noted, and raised by `check` or as soon as `now` is entered.

    In a thread that is not the main one, or where Ctrl-C is ignored, it does nothing. A second Ctrl-C does not disturb the first.
    """

    def __init__(self) -> None:
        self._noted = False
        self._open = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
        if kind is None:
            self.check()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = True
        if self._open:
            self._open = False
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt when Ctrl-C has come."""
        if self._noted:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def now(self) -> Iterator[None]:
        """Let Ctrl-C through at once."""
        self.check()
        self._open = True
        try:
            yield
        finally:
            self._open = False


def work_through(
    tasks: Iterable[Task], work: Callable[[Any, Task], Result], shared: Any, execution: Execution, name: Callable[[Task], str] = str,
    crew: Crew | None = None, on_shares: Shares[Task] | None = None,
) -> Generator[tuple[Task, Result]]:  # fmt: skip
    """``(task, work(shared, task))`` for every task, in the order in which they are done.

    ``tasks`` is read a few ahead of the work, so it may be endless when the caller stops the iteration: workers are then put away at once.
    ``work`` must be importable by name; ``shared`` is sent once to every worker, and its ``preload``, if it has one, names modules to import
    before. ``crew``: processes of this machine that stay for what comes next. ``on_shares`` hears, several times a second, how far the tasks in
    hand have come (`simulator.engine.heartbeat`; not from a cluster). What a task raises is raised here. Ctrl-C is raised between
    results (in one process also while working), after the workers have been ended. BLAS runs on one thread everywhere. Raises RunError for a
    task that kills its worker again and again, for workers that die at once, or for a SLURM that takes no job; InputError when Dask or its
    scheduler is not to be had.
    """
    with Interrupts() as interrupts:
        if execution.kind == "dask":
            yield from _on_cluster(tasks, work, shared, execution, name, interrupts)
        elif execution.kind == "serial" or execution.workers == 1:
            with threadpool_limits(limits=1):
                for task in tasks:
                    with interrupts.now(), _heard(task, on_shares):
                        result = work(shared, task)
                    yield task, result
                    interrupts.check()
        else:
            yield from _in_processes(tasks, work, shared, execution.workers, name, interrupts, crew, on_shares)


@contextlib.contextmanager
def _heard(task: Task, on_shares: Shares[Task] | None) -> Iterator[None]:
    if on_shares is None:
        yield
        return
    with heard_by(lambda share: on_shares([(task, share)])):
        yield
    on_shares([])  # it is not in hand any more


# ---------------------------------------------------------------------- processes of this machine


def _in_processes(
    tasks: Iterable[Any], work: Callable[[Any, Any], Any], shared: Any, workers: int, name: Callable[[Any], str], interrupts: Interrupts,
    lasting: Crew | None = None, on_shares: Shares[Any] | None = None,
) -> Iterator[tuple[Any, Any]]:  # fmt: skip
    crew = Crew() if lasting is None else lasting
    source = (Handed(number, task) for number, task in enumerate(tasks))
    again: deque[Handed] = deque()
    barren, finished = 0, False
    while not finished:
        suspects = [handed for handed in again if handed.strikes >= STRIKES_MAX]
        if suspects:  # alone, so that it is known who kills
            again.remove(suspects[0])
            yield suspects[0].task, _alone(suspects[0], work, shared, name, interrupts)
            continue
        pool = crew.pool = crew.pool or Pool(workers, _preload(work, shared))
        pool.begin(work, shared)
        running: dict[Future[Any], Handed] = {}
        is_broken, loading = False, 0
        try:
            while not is_broken:
                while len(running) < 2 * workers and (handed := again.popleft() if again else next(source, None)) is not None:
                    running[pool.submit(handed)] = handed
                while crew.loads and loading < workers - len(running):
                    pool.load(crew.loads)
                    loading += 1
                if not running:
                    finished = True
                    break
                done = wait(running, POLL_SECONDS, FIRST_COMPLETED).done
                interrupts.check()
                if on_shares is not None:
                    shares = pool.shares()
                    on_shares([(handed.task, shares[handed.number]) for handed in running.values() if handed.number in shares])
                for future in done:
                    error = future.exception()
                    if isinstance(error, BrokenProcessPool):
                        is_broken = True
                        continue
                    handed = running.pop(future)
                    if error is not None:
                        raise error
                    barren = 0
                    yield handed.task, future.result()
                    interrupts.check()
            if is_broken:
                wait(running, 60.0)
                for future in [one for one in running if not isinstance(one.exception(), BrokenProcessPool)]:
                    handed = running.pop(future)  # was done just before the pool broke
                    yield handed.task, future.result()
                killers = pool.in_hand()
                for handed in running.values():
                    handed.strikes += handed.number in killers
                again.extend(sorted(running.values(), key=lambda handed: handed.number))
                barren += 1
        finally:
            if not finished or lasting is None:
                crew.leave(at_once=not finished)
        if barren > BARREN_MAX and not any(handed.strikes >= STRIKES_MAX for handed in again):
            raise RunError(f"workers ended {barren} times in a row before they had done anything (out of memory, or killed from outside)")


def _alone(handed: Handed, work: Callable[[Any, Any], Any], shared: Any, name: Callable[[Any], str], interrupts: Interrupts) -> Any:
    """The result of one task in a pool of its own. Raises RunError, which names the task, when its worker dies again."""
    pool = Pool(1, _preload(work, shared))
    try:
        pool.begin(work, shared)
        future = pool.submit(handed)
        while not wait([future], POLL_SECONDS).done:
            interrupts.check()
        return future.result()
    except BrokenProcessPool:
        raise RunError(f"{name(handed.task)}: the worker was killed {handed.strikes + 1} times (out of memory?)") from None
    finally:
        pool.close(at_once=True)


def _preload(work: Callable[[Any, Any], Any], shared: Any) -> list[str]:
    return [work.__module__, *getattr(shared, "preload", ())]


# ---------------------------------------------------------------------- a cluster


def _on_cluster(
    tasks: Iterable[Any], work: Callable[[Any, Any], Any], shared: Any, execution: Execution, name: Callable[[Any], str],
    interrupts: Interrupts,
) -> Iterator[tuple[Any, Any]]:  # fmt: skip
    if importlib.util.find_spec("distributed") is None:
        raise InputError(f"execution=dask needs the package dask; {CLUSTER_EXTRA}")
    from distributed import KilledWorker

    with contextlib.ExitStack() as stack:
        client = _client(execution, stack)
        token = f"capital-loop-{os.getpid()}-{id(shared)}"
        client.register_plugin(_setup(token, work, shared), name=token)
        stack.callback(_forget, client, token)
        executor: Executor = client.get_executor(pure=False)
        source = iter(tasks)
        running: dict[Future[Any], Any] = {}
        ahead = 2 * max(execution.workers, 1)
        try:
            while True:
                if execution.scheduler is not None:
                    ahead = 2 * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
                while len(running) < ahead and (task := next(source, _NOTHING)) is not _NOTHING:
                    running[executor.submit(_do_on_cluster, token, task)] = task
                if not running:
                    return
                done = wait(running, POLL_SECONDS, FIRST_COMPLETED).done
                interrupts.check()
                for future in done:
                    task = running.pop(future)
                    try:
                        result = future.result()
                    except KilledWorker:
                        raise RunError(f"{name(task)}: the worker was killed again and again (out of memory?)") from None
                    except CancelledError:
                        raise RunError(f"{name(task)}: the Dask scheduler has lost it; is the cluster still there?") from None
                    yield task, result
                    interrupts.check()
        finally:
            for future in running:
                future.cancel()


_NOTHING: Any = object()
_at_work: dict[str, Any] = {}


def _client(execution: Execution, stack: contextlib.ExitStack) -> Any:
    """A client of the scheduler asked for, or of a cluster started for this run; both end with the stack."""
    from distributed import Client, LocalCluster

    address: Any = execution.scheduler
    if execution.scheduler is None:
        with ignored_interrupts():
            if execution.cluster == "slurm":
                address = stack.enter_context(_slurm_cluster(execution))
            else:
                address = stack.enter_context(
                    LocalCluster(n_workers=execution.workers, threads_per_worker=1, processes=True, dashboard_address=None)
                )
    try:
        return stack.enter_context(Client(address, timeout=30))
    except (OSError, ValueError):  # nobody there, or no address at all
        raise InputError(f"execution.scheduler: no Dask scheduler answers at {execution.scheduler!r}") from None


def _slurm_cluster(execution: Execution) -> Any:
    if importlib.util.find_spec("dask_jobqueue") is None:
        raise InputError(f"execution=slurm needs the package dask-jobqueue; {CLUSTER_EXTRA}")
    from dask_jobqueue import SLURMCluster

    try:
        cluster = SLURMCluster(**{"cores": 1, "processes": 1, "memory": "2GB", **execution.slurm})
        _ask_slurm(cluster)
        cluster.scale(jobs=execution.workers)
    except RunError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"execution.slurm: {' '.join(str(error).split())}") from None
    return cluster


def _ask_slurm(cluster: Any) -> None:
    """Let SLURM look at the job that will be submitted. Raises RunError with its answer when it takes none; Dask would wait for ever."""
    with tempfile.NamedTemporaryFile("w", prefix="capital-loop-", suffix=".sh") as script:
        script.write(cluster.job_script())
        script.flush()
        try:
            done = subprocess.run(["sbatch", "--test-only", script.name], capture_output=True, text=True, timeout=60, check=False)
            is_taken, answer = done.returncode == 0, done.stderr
        except OSError as error:
            is_taken, answer = False, f"sbatch: {error.strerror}"
        except subprocess.TimeoutExpired:
            is_taken, answer = False, "sbatch gives no answer in a minute"
    if not is_taken:
        cluster.close()
        raise RunError(f"execution=slurm: no job can be submitted ({' '.join(answer.split())})")


def _setup(token: str, work: Callable[[Any, Any], Any], shared: Any) -> Any:
    """A plugin that gives every worker, also one that joins later, what its tasks need."""
    from distributed import WorkerPlugin

    class Setup(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            from simulator.engine.executors import _at_work

            _at_work[token] = (work, shared)

        def teardown(self, worker: Any) -> None:
            from simulator.engine.executors import _at_work

            _at_work.pop(token, None)

    return Setup()


def _forget(client: Any, token: str) -> None:
    with contextlib.suppress(Exception):  # the cluster may be gone already
        client.unregister_worker_plugin(token)


def _do_on_cluster(token: str, task: Any) -> Any:
    work, shared = _at_work[token]
    with threadpool_limits(limits=1):
        return work(shared, task)
