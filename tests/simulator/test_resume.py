"""Runs that are interrupted, damaged or out of room: nothing that was finished is lost, and the bits are those of an undisturbed run."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pandas.testing import assert_frame_equal

from simulator import runs
from simulator.__main__ import main
from simulator.api import _work, load, run_experiment
from simulator.engine.montecarlo import COUNTS
from simulator.errors import InputError
from simulator.results.manifest import COUNTED, Manifest, lock, read_manifest
from simulator.results.storage import MANIFEST
from simulator.runs import QUANTILES, compute_into, finish
from simulator.settings import Settings
from tests.simulator.small_runs import ROOT, computed, local, settings

pytestmark = pytest.mark.usefixtures("without_figures")



def start_and_kill(arguments: tuple[Settings, Path, float]) -> None:
    """Compute in a process of its own, which is killed with no warning after some seconds."""
    given, folder, seconds = arguments
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["simulator.api", "simulator.runs"])
    process = context.Process(target=compute_in_process, args=(given, folder))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()


def compute_in_process(given: Settings, folder: Path) -> None:
    compute_into(_work(given), folder)


@pytest.mark.slow
def test_a_run_killed_at_twenty_random_moments_and_resumed_gives_the_same_bits(tmp_path: Path) -> None:
    given = settings(**{"montecarlo.replications": 400})
    began = time.monotonic()
    whole = compute_into(_work(given), tmp_path / "whole")
    seconds = time.monotonic() - began
    random.seed(20251201)
    folder, seen = tmp_path / "killed", set()
    start_and_kill((given, tmp_path / "warm", 0.0))
    for _ in range(20):
        start_and_kill((given, folder, random.uniform(0.0, seconds / 4)))
        if (folder / "manifest.json").exists():
            manifest = read_manifest(folder)
            assert manifest.damaged() == []
            seen.add(len(manifest.units))
    assert len(seen) > 3  # killed in the middle, several times
    resumed = compute_into(_work(given), folder)
    assert resumed.files == whole.files
    assert not list(folder.rglob("*.part"))
    finish(_work(given), whole)
    finish(_work(given), resumed)
    assert resumed.files[QUANTILES] == whole.files[QUANTILES]
    for table in ("replications", "defaults", "losses", "ticks"):
        assert_frame_equal(getattr(load(folder), table), getattr(load(whole.folder), table), check_exact=True)


def test_only_what_is_missing_is_computed(whole: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(whole.folder, tmp_path / "run")
    manifest = read_manifest(tmp_path / "run")
    for name in ("scenario-00-block-00002", "scenario-01-block-00004"):
        manifest.drop(name)
    manifest.write()
    asked = []
    honest = runs.compute

    def watched(job: Any, wanted: Any, *more: Any) -> Any:
        units = list(wanted)
        asked.extend((unit.scenario, unit.block) for unit in units)
        return honest(job, iter(units), *more)

    monkeypatch.setattr(runs, "compute", watched)
    assert computed(tmp_path / "run").files == whole.files
    assert asked == [(0, 2), (1, 4)]


def test_half_written_files_of_a_killed_run_are_swept_away(whole: Manifest, tmp_path: Path) -> None:
    shutil.copytree(whole.folder, tmp_path / "run")
    table = next(name for name in whole.files if name.startswith("tables/losses/scenario-01-block-00004"))
    left = [(tmp_path / "run" / name).parent / f".{Path(name).name}.99999.part" for name in (MANIFEST, table)]
    others = tmp_path / "run" / ".shard-2-of-3.json.99999.part"
    for path in [*left, others]:
        path.write_bytes(b"half")
    manifest = computed(tmp_path / "run")
    assert [path.exists() for path in left] == [False, False]
    assert others.exists()  # another process may be writing it
    finish(_work(settings()), manifest)
    assert not list(manifest.folder.rglob("*.part"))


@pytest.mark.parametrize("damage", ["altered", "cut short", "missing"])
def test_a_damaged_file_is_named_and_computed_again(damage: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    name = "tables/losses/scenario-01-block-00003.parquet"
    content = (folder / name).read_bytes()
    if damage == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content[:-9] if damage == "cut short" else content[:99] + bytes([content[99] ^ 1]) + content[100:])
    with pytest.raises(InputError, match=name):
        load(folder)
    assert main([f"resume={folder}"]) == 0
    assert f"capital-loop: {folder / name} is missing or damaged: its block is computed again\n" in capsys.readouterr().err
    assert (folder / name).read_bytes() == content
    assert_frame_equal(load(folder).losses, load(finished).losses, check_exact=True)
    assert not (folder / "series").exists()


def test_damaged_quantiles_and_a_lost_report_are_made_again(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / "summary.md").unlink()
    (folder / QUANTILES).write_bytes(b"")
    assert main([f"resume={folder}"]) == 0
    err = capsys.readouterr().err
    assert f"{folder / QUANTILES} is missing or damaged: every block is computed again" in err
    assert f"{folder / 'summary.md'} is missing or damaged: it is made again" in err
    assert (folder / QUANTILES).read_bytes() == (finished / QUANTILES).read_bytes()
    assert (folder / "summary.md").read_bytes() == (finished / "summary.md").read_bytes()


UNIT = {"scenario": 0, "block": 0, "counts": dict.fromkeys(COUNTED, 0), "files": []}


@pytest.mark.parametrize(
    "damage",
    [
        {"files": "x"},
        {"files": {"tables/x.parquet": {"bytes": "1", "sha256": ""}}},
        {"files": {"tables/x.parquet": {"bytes": 1}}},
        {"files": {"../x": {"bytes": 1, "sha256": ""}}},
        {"files": {"/x": {"bytes": 1, "sha256": ""}}},
        {"units": [1]},
        {"units": {"scenario-00-block-00000": 1}},
        {"units": {"scenario-00-block-00001": UNIT}},
        {"units": {"scenario-00-block-00000": {**UNIT, "scenario": "0"}}},
        {"units": {"scenario-00-block-00000": {**UNIT, "counts": {"replications": 1}}}},
        {"units": {"scenario-00-block-00000": {**UNIT, "counts": 3}}},
        {"units": {"scenario-00-block-00000": {**UNIT, "files": "tables"}}},
        {"units": {"scenario-00-block-00000": {**UNIT, "files": ["tables/not_listed.parquet"]}}},
        {"identity": {"processor": [True]}},
        {"seconds": None},
        {"state": 3},
        {"plan": {"replications": 4, "scenarios": []}},
        {"plan": {"replications": 4, "block": 0, "scenarios": []}},
        {"plan": {"replications": 4, "block": "2", "scenarios": []}},
    ],
)
def test_a_manifest_that_is_json_and_no_manifest_is_one_line(damage: dict[str, Any], whole: Manifest, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    known = json.loads((whole.folder / MANIFEST).read_text())
    (tmp_path / "run" / MANIFEST).write_text(json.dumps({**known, **damage}))
    with pytest.raises(InputError, match=r"manifest\.json' is damaged: not a manifest of a run folder"):
        read_manifest(tmp_path / "run")


def test_the_counts_of_a_manifest_are_those_of_the_engine() -> None:
    assert COUNTED == COUNTS


def test_other_settings_are_refused_and_other_places_are_not(whole: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole.folder, folder)
    with pytest.raises(InputError, match=r"resume: montecarlo\.seed differs from the run in"):
        computed(folder, **{"montecarlo.seed": 2})
    assert computed(folder, **{"montecarlo.chunk": 45}, **local(2)).files == whole.files
    for words, told in (
        (["montecarlo.seed=2"], "resume: montecarlo.seed is 2 here and 1 in"),
        (["shock=rate_hike"], "resume: shock."),
        (["economy=us_ai_2025"], "resume: economy.name is 'us_ai_2025' here and 'three_firms' in"),
        (["horizon_months=5"], "resume: horizon_months is 5 here and 4 in"),
    ):
        assert main([f"resume={folder}", *words]) == 2
        err = capsys.readouterr().err
        assert told in err
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("packages", {"python": "3.1", "numpy": "1.0"}, "numpy is .* here, 1.0 in the run"),
        ("processor", ["ABACUS"], "processor features differ"),
        ("data", "0" * 64, "the economy's data have changed"),
        ("program", "0" * 64, "the program's source has changed"),
    ],
)
def test_another_machine_is_refused_unless_a_key_allows_it(key: str, value: Any, told: str, whole: Manifest, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole.folder, folder)
    manifest = read_manifest(folder)
    manifest.identity[key] = value
    manifest.write()
    with pytest.raises(InputError, match=f"{told}.*resume_anyway=true"):
        computed(folder)
    assert computed(folder, resume_anyway=True).files == whole.files


def test_a_worker_with_other_packages_is_refused(whole: Manifest) -> None:
    from simulator.engine.montecarlo import Unit
    from simulator.results.blocks import BlockFiles

    with pytest.raises(InputError, match=r"this worker would give other numbers: numpy is .* here, 0\.1 in the run"):
        BlockFiles(whole.folder, {"packages": {"numpy": "0.1"}}).open(Unit(0, 0, 0, 10))


def test_two_processes_do_not_work_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with lock(tmp_path / "run", "manifest.json"), pytest.raises(InputError, match="another process is at work in"):
        computed(tmp_path / "run")


def test_an_earlier_run_is_replaced_when_the_new_one_is_complete(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt
        yield

    with monkeypatch.context() as patch:
        patch.setattr(runs, "compute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(settings(output=str(folder), **{"montecarlo.seed": 2}), progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert load(folder).config["montecarlo"]["seed"] == 1
    result = run_experiment(settings(output=str(folder), **{"montecarlo.seed": 2}), progress=False)
    assert load(result.folder).config["montecarlo"]["seed"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_full_disk_is_one_line_and_finished_blocks_are_kept(whole: Manifest, tmp_path: Path) -> None:
    limit = max(known["bytes"] for name, known in whole.files.items() if "-block-00000" in name) - 1
    code = (
        "import resource, sys; from simulator.__main__ import main; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); sys.exit(main(sys.argv[1:]))"
    )
    folder = tmp_path / "run"
    computed(folder)
    manifest = read_manifest(folder)
    for name in [name for name, unit in manifest.units.items() if unit["block"] == 0]:
        manifest.drop(name)
    manifest.write()
    done = subprocess.run([sys.executable, "-c", code, f"resume={folder}"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    told = rf"capital-loop: output: '{folder}' cannot be written \(File too large\); what is finished is kept \(\d blocks\), "
    told += rf"capital-loop resume={folder} goes on\n"
    assert re.fullmatch(told, done.stderr), done.stderr
    assert computed(folder).files == whole.files


def wait_for(path: Path, words: str) -> None:
    """Until a file holds some words, two minutes at most."""
    until = time.monotonic() + 120.0
    while not (path.exists() and words in path.read_text()) and time.monotonic() < until:
        time.sleep(0.02)


@pytest.mark.slow
def test_ctrl_c_at_any_moment_ends_with_a_line_that_says_how_to_go_on(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "simulator", "economy=three_firms", "montecarlo.replications=60000", "montecarlo.block=500",
             "horizon_months=24", "execution.workers=2"]  # fmt: skip
    resumable = 0
    for number, seconds in enumerate((0.0, 0.1, 0.3, 0.8, 1.5, 3.0)):  # after the manifest, so while workers start, and later
        folder = tmp_path / str(number)
        process = subprocess.Popen([*words, f"output={folder}"], cwd=ROOT, text=True, stderr=subprocess.PIPE, start_new_session=True)
        wait_for(folder / "manifest.json", "units")
        if seconds == 3.0:
            wait_for(folder / "manifest.json", "-block-")
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        # -2 where the signal came while a module was being imported, which is 130 to a shell as well
        assert process.returncode in (130, -signal.SIGINT), err
        assert "Traceback" not in err
        assert err.splitlines()[-1].startswith("capital-loop: interrupted; ")
        resumable += f"capital-loop resume={folder} goes on" in err
    assert resumable >= 1


