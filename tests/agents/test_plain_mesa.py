"""What a run doesn't use of Mesa is not loaded before it is asked for, and is there when it is."""

from __future__ import annotations

import subprocess
import sys


def said_by(code: str) -> str:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_model_loads_neither_networkx_nor_the_geometry_of_scipy() -> None:
    said = said_by("import sys, simulator.engine.model; print([name for name in ('networkx', 'scipy.spatial') if name in sys.modules])")
    assert said == "[]"


def test_spaces_and_experiments_of_mesa_are_there_when_asked_for() -> None:
    said = said_by(
        "import simulator.engine.model, mesa, inspect, sys\n"
        "assert inspect.getmodule(mesa.Model) is mesa.model and 'networkx' not in sys.modules\n"
        "import mesa.experimental.devs\n"
        "grid = mesa.space.MultiGrid(3, 3, torus=False)\n"
        "print(grid.width, mesa.experimental.devs.ABMSimulator.__name__, mesa.experimental.continuous_space.ContinuousSpace.__name__)"
    )
    assert said == "3 ABMSimulator ContinuousSpace"


def test_a_name_that_mesa_does_not_have_is_an_error_as_ever() -> None:
    said = said_by(
        "import simulator.engine.model, mesa\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        mesa.space.Torus\n"
        "    except AttributeError as error:\n"
        "        print(error)"
    )
    assert said.splitlines() == ["module 'mesa.space' has no attribute 'Torus'"] * 2


def test_who_has_loaded_mesa_before_keeps_it_whole() -> None:
    assert said_by("import mesa, sys, simulator.engine.model; print('networkx' in sys.modules)") == "True"
