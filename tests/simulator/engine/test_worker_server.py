"""The server of workers: what its processes have loaded, and pieces of work done aside."""

from __future__ import annotations

import subprocess
import sys

from simulator.engine.worker_server import aside


def test_work_done_aside_gives_its_result() -> None:
    assert aside(max, 3, 7)() == 7


def test_nothing_comes_of_work_that_fails_or_whose_process_dies() -> None:
    assert aside(int, "no number")() is None
    assert aside(exec, "import os; os._exit(1)")() is None


def test_the_first_process_does_not_wait_for_what_draws_figures_and_all_others_have_it() -> None:
    code = (
        "from simulator.engine.worker_server import aside, warm_up\n"
        "warm_up(('simulator.preload',))\n"
        "for _ in range(3):\n"
        "    print(aside(eval, '[name in __import__(\"sys\").modules for name in (\"mesa\", \"matplotlib.figure\")]')())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["[True, False]", "[True, True]", "[True, True]"]
    assert said.stderr == ""


def test_a_server_that_is_ended_while_it_loads_says_nothing_and_gives_nothing() -> None:
    code = (
        "import threading, time\n"
        "from simulator.engine.worker_server import aside, cool_down, warm_up\n"
        "warm_up(('simulator.preload',))\n"
        "result = aside(len, bytes(10**7))  # more than a pipe takes before somebody reads\n"
        "time.sleep(0.3)\n"
        "cool_down()\n"
        "print(result())\n"
        "[thread.join() for thread in threading.enumerate() if thread.daemon]"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == ("None\n", "")
