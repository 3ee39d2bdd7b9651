"""The benchmarks of scale: their arithmetic, what they watch, and that every part runs and prints figures."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import all as every
from benchmarks import harness, memory, scaling
from benchmarks.harness import exponent, watch

LINE = re.compile(r"[a-z0-9_]+ (-?[\d.]+(e[+-]\d+)?|nan) [a-zA-Z/]+")


def test_the_exponent_of_a_power_law_is_its_power() -> None:
    sizes = np.array([40.0, 400.0, 4000.0])
    slope, steepest = exponent(sizes, 3.0 * sizes**1.25)
    assert slope == pytest.approx(1.25)
    assert steepest == pytest.approx(1.25)


def test_the_steepest_exponent_shows_a_bend_that_the_line_hides() -> None:
    slope, steepest = exponent([1.0, 10.0, 100.0], [1.0, 1.0, 100.0])
    assert slope == pytest.approx(1.0)
    assert steepest == pytest.approx(2.0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_a_watched_command_tells_the_peak_of_its_children_too() -> None:
    child = "import time; filled = bytearray(b'x') * 80_000_000; time.sleep(1)"
    parent = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {child!r}]).returncode + 3)"
    found = watch([sys.executable, "-c", parent])
    assert found.exit_code == 3
    peaks = list(found.peaks.values())
    assert len(peaks) == 2
    assert peaks[0] < 60 < 76 < peaks[1] < 140


def test_the_rate_begins_when_every_worker_has_done_its_first_unit() -> None:
    finished = [(10.0, 100), (11.0, 100), (12.0, 100), (13.0, 100)]
    assert memory.rate(finished, 2) == pytest.approx(100.0)
    assert np.isnan(memory.rate(finished[:2], 2))


def test_units_that_are_stepped_together_are_one_piece_of_the_rate(tmp_path: Path) -> None:
    manifest = {"plan": {"replications": 70, "block": 10, "scenarios": ["calm"]}, "settings": {"montecarlo": {"chunk": 25}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "tables" / "replications").mkdir(parents=True)
    for block, moment in enumerate((5, 6, 4, 3, 8, 7, 9)):
        file = tmp_path / "tables" / "replications" / f"scenario-00-block-{block:05d}.parquet"
        file.touch()
        os.utime(file, (moment, moment))
    assert memory.finished_at(tmp_path, workers=2) == [(4.0, 20), (6.0, 20), (7.0, 10), (8.0, 10), (9.0, 10)]


def test_results_are_kept_under_a_head_that_tells_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    path = harness.keep("some", "python some.py", ["figure 3 seconds"], harness.machine(), 2.0)
    text = path.read_text()
    assert text.endswith("\nfigure 3 seconds\n")
    for key in ("command: python some.py", "date: 20", "cores: ", "memory: ", "packages: python 3", "commit: ", "took: 2 seconds"):
        assert f"# {key}" in text
    assert str(Path.home()) not in text
    assert str(harness.ROOT) not in text


def test_every_benchmark_of_the_whole_is_there() -> None:
    for command in every.COMMANDS.values():
        assert (harness.ROOT / command.split()[0]).is_file()
    assert every.COMMANDS["memory_100000"].split()[-1] == "100000"


@pytest.mark.parametrize("part", ["replications", "months", "contracts", "large"])
def test_a_part_prints_lines_of_name_value_and_unit(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert scaling.main(["--small", part]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 4
    assert all(LINE.fullmatch(line) for line in lines), lines


@pytest.mark.slow
def test_the_parts_with_processes_print_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert scaling.main(["--small", "workers"]) == 0
    assert memory.main(["--replications", "6", "--economy", "three_firms", "--months", "14", "montecarlo.block=2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(LINE.fullmatch(line) for line in lines), lines
    assert any(line.startswith("peak_memory_of_any_process ") for line in lines)


def test_an_unknown_part_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        scaling.main(["month"])
    assert ended.value.code == 2
    assert "'month' is not one of" in capsys.readouterr().err
