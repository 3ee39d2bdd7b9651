"""Where work is done: results come whatever happens to the workers, and a task that kills its worker is named."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_info

from simulator.engine import executors
from simulator.engine.crew import Crew
from simulator.engine.executors import Execution, Interrupts, work_through
from simulator.engine.heartbeat import beat
from simulator.errors import InputError, RunError

LOCAL = Execution("local", 2)


def square(shared: int, number: int) -> int:
    return shared * number * number


def blas_threads(shared: None, number: int) -> set[int]:
    import numpy  # noqa: F401 - brings BLAS

    return {int(library["num_threads"]) for library in threadpool_info()}


def die_the_first_time(folder: str, number: int) -> int:
    note = Path(folder) / f"died-{number}"
    if number in (3, 5) and not note.exists():
        note.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_at_three(shared: None, number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def refuse_three(shared: None, number: int) -> int:
    if number == 3:
        raise InputError("three is not possible")
    return number


def note_tasks(results: Iterable[tuple[int, int]], done: list[int]) -> None:
    for task, _ in results:
        done.append(task)


def sleep_long(shared: None, number: int) -> int:
    time.sleep(60.0)
    return number


@pytest.mark.parametrize("execution", [Execution(), Execution("local", 1), LOCAL, Execution("local", 3)], ids=str)
def test_every_task_is_done_once(execution: Execution) -> None:
    done = list(work_through(range(20), square, 2, execution))
    assert sorted(done) == [(number, 2 * number * number) for number in range(20)]


def process_and_modules(names: tuple[str, ...], number: int) -> tuple[int, set[str]]:
    time.sleep(0.05)
    return os.getpid(), {name for name in names if name in sys.modules}


def test_a_crew_does_one_kind_of_work_after_another_in_the_same_processes_and_loads_what_comes_next_meanwhile(tmp_path: Path) -> None:
    asked = ("colorsys", "mesa")
    with Crew(loads=("colorsys",)) as crew:
        before = [result for _, result in work_through(range(6), process_and_modules, asked, LOCAL, crew=crew)]
        squares = dict(work_through(range(6), square, 3, LOCAL, crew=crew))
        after = [result for _, result in work_through(range(6), process_and_modules, asked, LOCAL, crew=crew)]
        assert squares == {number: 3 * number * number for number in range(6)}
        assert {process for process, _ in after} <= {process for process, _ in before}
        assert any("colorsys" in loaded for _, loaded in after)
        assert sorted(result for _, result in work_through(range(12), die_the_first_time, str(tmp_path), LOCAL, crew=crew)) == list(range(12))
        fresh = {process for _, (process, _) in work_through(range(6), process_and_modules, asked, LOCAL, crew=crew)}
        assert not fresh & {process for process, _ in before}
    assert crew.pool is None


@pytest.mark.parametrize("execution", [Execution(), LOCAL], ids=["serial", "local"])
def test_blas_runs_on_one_thread_everywhere(execution: Execution) -> None:
    assert [threads for _, threads in work_through([1], blas_threads, None, execution)] == [{1}]


def say_how_far(shared: Any, task: int) -> int:
    for step in range(1, 5):
        beat(step / 4)
        time.sleep(shared)
    return task


@pytest.mark.parametrize(("execution", "pause"), [(Execution(), 0.0), (LOCAL, 0.3)])
def test_it_is_heard_how_far_tasks_in_hand_have_come(execution: Execution, pause: float) -> None:
    heard: list[tuple[int, float]] = []
    done = dict(work_through(range(3), say_how_far, pause, execution, on_shares=heard.extend))
    assert sorted(done) == [0, 1, 2]
    assert {task for task, _ in heard} == {0, 1, 2}
    for number in range(3):
        shares = [share for task, share in heard if task == number]
        assert shares == sorted(shares)
        assert set(shares) <= {0.25, 0.5, 0.75, 1.0}
        assert len(set(shares)) > 1


def test_the_tasks_of_killed_workers_are_done_by_fresh_ones(tmp_path: Path) -> None:
    done = [result for _, result in work_through(range(12), die_the_first_time, str(tmp_path), LOCAL)]
    assert sorted(done) == list(range(12))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_task_that_kills_its_worker_again_and_again_is_named_and_what_was_done_is_kept() -> None:
    done: list[int] = []
    results = work_through(range(40), die_at_three, None, LOCAL, lambda number: f"task number {number}")
    with pytest.raises(RunError, match="task number 3: the worker was killed 3 times"):
        note_tasks(results, done)
    assert 3 not in done
    assert len(done) >= 2


def test_what_a_task_raises_is_raised_here() -> None:
    for execution in (Execution(), LOCAL):
        with pytest.raises(InputError, match="three is not possible"):
            list(work_through(range(9), refuse_three, None, execution))


def test_tasks_are_read_only_a_few_ahead_so_that_an_endless_list_can_be_stopped() -> None:
    read = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            read.append(number)
            yield number
            number += 1

    with closing(work_through(endless(), square, 1, LOCAL)) as results:
        for _ in range(6):
            next(results)
    assert len(read) < 20


def test_an_interrupt_ends_workers_in_the_middle_of_their_work() -> None:
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(work_through(range(4), sleep_long, None, LOCAL))
    assert time.monotonic() - began < 30.0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def interrupted_twice(reached: list[str]) -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("after the signal")
        with interrupts.now():
            reached.append("never")


def test_an_interrupt_is_held_back_until_it_can_do_no_harm() -> None:
    reached: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted_twice(reached)
    assert reached == ["after the signal"]


def test_dask_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"execution=dask needs the package dask; .*pip install 'capital-loop\[cluster\]'"):
        list(work_through(range(3), square, 1, Execution("dask", 2)))
    with pytest.raises(InputError, match="execution=slurm needs the package dask-jobqueue"):
        executors._slurm_cluster(Execution("dask", 2, cluster="slurm"))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("sbatch: error: Unable to contact slurm controller", r"\(sbatch: error: Unable to contact slurm controller\)"),
        (None, r"\(sbatch: No such file or directory\)"),
    ],
)
def test_a_slurm_that_takes_no_job_is_one_line(said: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if said is not None:
        command = tmp_path / "sbatch"
        command.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match=f"execution=slurm: no job can be submitted {told}"):
        list(work_through(range(3), square, 1, Execution("dask", 1, cluster="slurm")))
