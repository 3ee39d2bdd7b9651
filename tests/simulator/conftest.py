"""Run folders that several modules of tests look at."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from simulator import runs
from simulator.api import run_experiment
from simulator.results.manifest import Manifest
from tests.simulator.small_runs import computed, settings


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """All units, in one process."""
    return computed(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run folder, without figures."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        run_experiment(settings(output=str(folder)), progress=False)
    return folder


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "documents", partial(runs.documents, figures=False))


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds, and have tests of their own."""
    draw_nothing(monkeypatch)
