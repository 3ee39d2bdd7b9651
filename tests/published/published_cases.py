"""Reader of the case files: what the parametrised tests of this folder share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2].parent / "shared" / "published"


def read(file: str) -> list[dict[str, Any]]:
    """All cases of one file."""
    found: list[dict[str, Any]] = json.loads((DATA / f"{file}.json").read_text())
    return found


def cases(*files: str) -> list[Any]:
    """The cases of some files as parameters of a test, named by their ids."""
    return [pytest.param(case, id=case["id"]) for file in files for case in read(file)]


def named(file: str, name: str) -> dict[str, Any]:
    """One case by its id."""
    return next(case for case in read(file) if case["id"] == name)


def third_party(file: str, name: str) -> dict[str, Any]:
    """One case on a data set that may not be copied; the test is skipped where it is not beside this checkout."""
    path = SHARED / file
    if not path.is_file():
        pytest.skip(f"third-party data {file} is not beside this checkout")
    return next(case for case in json.loads(path.read_text()) if case["id"] == name)


def about(expected: Any, absolute: float, relative: float = 0.0) -> Any:
    """What equals ``expected`` within a tolerance, element by element: ``assert found == about(printed, 0.01)``."""
    return pytest.approx(np.asarray(expected, float), abs=absolute, rel=relative)


def waves(wave: np.ndarray) -> list[list[int]]:
    """Members of wave 0, 1, …"""
    return [np.flatnonzero(wave == step).tolist() for step in range(int(wave.max(initial=-1)) + 1)]
