"""Runs that keep what they compute: the same bits wherever and in whatever pieces they are computed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from simulator import runs
from simulator.__main__ import main
from simulator.api import _work, load, merge_shards, run_settings
from simulator.errors import InputError
from simulator.menu import assemble
from simulator.results.manifest import Manifest, read_manifest
from simulator.runs import compute_into, finish, plan_of, settled
from tests.simulator.small_runs import BLOCK, REPLICATIONS, UNITS, computed, local, rows, settings

pytestmark = pytest.mark.usefixtures("without_figures")


@pytest.mark.parametrize("chunk", [3, 64])
def test_files_are_the_same_to_the_byte_for_any_chunk(chunk: int, whole: Manifest, tmp_path: Path) -> None:
    other = computed(tmp_path / "run", **{"montecarlo.chunk": chunk})
    assert len(other.units) == UNITS
    assert other.files == whole.files
    assert other.damaged() == []
    assert rows(other.folder, "defaults")["replication"].nunique() == REPLICATIONS


@pytest.mark.parametrize("workers", [1, 3])
def test_files_are_the_same_to_the_byte_for_any_number_of_workers(workers: int, whole: Manifest, tmp_path: Path) -> None:
    assert computed(tmp_path / "run", **local(workers)).files == whole.files


def test_blocks_of_another_size_hold_the_same_rows(whole: Manifest, tmp_path: Path) -> None:
    other = computed(tmp_path / "run", **{"montecarlo.block": 16})
    for table in ("replications", "defaults", "losses"):
        assert_frame_equal(rows(other.folder, table), rows(whole.folder, table), check_exact=True)


@pytest.mark.parametrize("record", ["summary", "ticks", "agents"])
def test_a_run_folder_holds_what_a_run_in_memory_holds(record: str, tmp_path: Path) -> None:
    given = settings(**{"record.level": record, "output": str(tmp_path / "run"), "montecarlo.replications": 23})
    memory = run_settings(given)
    kept = finish(_work(given), compute_into(_work(given), tmp_path / "run"))
    for run in (kept, load(tmp_path / "run")):
        for table in ("replications", "defaults", "losses", "ticks", "agents"):
            mine, theirs = getattr(run, table), getattr(memory, table)
            if theirs is None:
                assert mine is None
            else:
                assert_frame_equal(mine, theirs, check_exact=True, obj=table)


def test_the_panel_of_agents_is_computed_in_chunks_that_it_leaves_room_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from simulator.engine import montecarlo

    plain = computed(tmp_path / "plain", **{"record.level": "agents", "montecarlo.replications": 12})
    monkeypatch.setattr(montecarlo, "PANEL_BYTES", 3 * 8.0 * 21 * 11 * 4)
    assert computed(tmp_path / "narrow", **{"record.level": "agents", "montecarlo.replications": 12}).files == plain.files


def test_a_million_replications_are_a_hundred_files_a_table_and_scenario() -> None:
    for replications, files in ((1, 1), (1000, 2), (50_000, 100), (100_000, 100), (1_000_000, 100), (10_000_000, 100)):
        plan = plan_of(assemble({}, {"montecarlo.replications": replications}))
        assert -(-replications // plan.block_size) == files


# ---------------------------------------------------------------------- shards and clusters


def test_three_shards_merged_are_the_whole_run(whole: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (3, 1):
        computed(tmp_path / "run", (number, 3))
    assert main(["merge", str(tmp_path / "run")]) == 2
    assert f"merge: 4 blocks are missing in '{tmp_path / 'run'}'" in capsys.readouterr().err
    (tmp_path / "run" / "manifest.json").unlink()
    computed(tmp_path / "run", (2, 3))
    merged = runs.merge([tmp_path / "run"], tmp_path / "run", lambda line: pytest.fail(line))
    assert merged.files == whole.files


def test_a_finished_run_is_left_as_it_is_by_merge(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    before = (tmp_path / "run" / "manifest.json").read_bytes()
    with pytest.raises(InputError, match="holds a finished run; nothing is left to merge"):
        merge_shards([tmp_path / "run"])
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before


def test_shards_in_folders_of_their_own_are_brought_together(finished: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        computed(tmp_path / str(number), (number, 3))
    result = merge_shards([tmp_path / str(number) for number in (1, 2, 3)], tmp_path / "all")
    assert result.run is not None
    for table in ("replications", "defaults", "losses", "ticks"):
        assert_frame_equal(getattr(load(tmp_path / "all"), table), getattr(load(finished), table), check_exact=True)
    assert not list((tmp_path / "all").glob("shard*"))


def test_shards_of_different_runs_are_not_merged(tmp_path: Path) -> None:
    computed(tmp_path / "1", (1, 2))
    computed(tmp_path / "2", (2, 2), **{"montecarlo.seed": 2})
    with pytest.raises(InputError, match=r"are not of one run: montecarlo\.seed differs"):
        merge_shards([tmp_path / "1", tmp_path / "2"])
    (tmp_path / "3").mkdir()
    with pytest.raises(InputError, match="holds no shard of a run"):
        merge_shards([tmp_path / "3"])


def test_a_shard_from_the_command_line_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["economy=three_firms", "shock=none", "montecarlo.replications=20", "montecarlo.block=10", "horizon_months=3", "execution=serial"]
    for _ in range(2):
        assert main(["--shard", "2/2", *words, f"output={tmp_path / 'run'}"]) == 0
        assert capsys.readouterr().out == f"shard 2 of 2: 1 block is finished in {tmp_path / 'run'}\n"
    assert main([*words, f"output={tmp_path / 'run'}"]) == 2
    assert main([f"resume={tmp_path / 'run'}"]) == 2
    assert "holds shards of a run; capital-loop merge" in capsys.readouterr().err
    assert main(["--shard=1/2", *words, f"output={tmp_path / 'run'}"]) == 0
    assert main(["merge", str(tmp_path / "run")]) == 0
    assert load(tmp_path / "run").replications["replication"].tolist() == list(range(20))


@pytest.mark.slow
def test_dask_with_two_workers_one_of_which_is_killed_gives_the_same_bits(tmp_path: Path) -> None:
    import psutil
    from distributed import LocalCluster

    given = {"montecarlo.replications": 200, "montecarlo.block": BLOCK}
    whole = computed(tmp_path / "whole", **given)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:  # type: ignore[no-untyped-call]
        pids = [nanny.process.process.pid for nanny in cluster.workers.values()]
        where = {"execution": {"kind": "dask", "scheduler": cluster.scheduler_address}}
        killed = []

        def kill_one_soon(scenario: int, counts: Any) -> None:
            if not killed:
                psutil.Process(pids[0]).kill()
                killed.append(pids[0])

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runs.Progress, "unit", lambda self, scenario, counts: kill_one_soon(scenario, counts))
            spread = computed(tmp_path / "dask", **given, **where)
    assert killed
    assert spread.files == whole.files


# ---------------------------------------------------------------------- precision


def test_a_precision_is_met_at_the_same_number_whatever_the_workers(tmp_path: Path) -> None:
    asked = {"montecarlo.precision": 0.15, "montecarlo.replications": 15, "montecarlo.replications_max": 500}
    serial = computed(tmp_path / "serial", **asked)
    blocks = {unit["block"] for unit in serial.units.values()}
    assert blocks == set(range(len(blocks)))
    assert 2 <= len(blocks) < 50
    assert serial.files == computed(tmp_path / "local", **asked, **{"montecarlo.chunk": 9}, **local(3)).files
    again = read_manifest(tmp_path / "serial")
    for name in [name for name, unit in again.units.items() if unit["block"] in (1, len(blocks) - 1)]:
        again.drop(name)
    again.write()
    assert computed(tmp_path / "serial", **asked).files == serial.files


def test_a_precision_that_can_not_be_met_ends_at_the_largest_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = computed(tmp_path / "run", **{"montecarlo.precision": 0.0001, "montecarlo.replications": 15, "montecarlo.replications_max": 30})
    assert sum(count["replications"] for count in last.counts()) == 60
    assert "after montecarlo.replications_max=30; it ends there" in capsys.readouterr().err


def test_the_stop_is_looked_for_in_order_and_only_from_the_smallest_number_on() -> None:
    given = settings(**{"montecarlo.precision": 0.5, "montecarlo.replications": 30, "montecarlo.replications_max": 100})
    plan = plan_of(given)
    narrow = {"replications": 10, "systemic": 0}
    units = {f"scenario-{scenario:02d}-block-{block:05d}": narrow for scenario in (0, 1) for block in range(10)}
    assert settled(units, 2, given, plan) == 3
    assert settled({name: unit for name, unit in units.items() if name != "scenario-01-block-00001"}, 2, given, plan) is None
    wide = {**units, "scenario-01-block-00000": {"replications": 10, "systemic": 10},
            "scenario-01-block-00001": {"replications": 10, "systemic": 5}}  # fmt: skip
    strict = settings(**{"montecarlo.precision": 0.3, "montecarlo.replications": 30, "montecarlo.replications_max": 100})
    assert settled(wide, 2, strict, plan_of(strict)) == 4


def test_the_manifest_is_there_first_and_lists_checksums(whole: Manifest) -> None:
    known = json.loads((whole.folder / "manifest.json").read_text())
    assert known["state"] == "unfinished"
    assert len(known["units"]) == UNITS
    assert all(len(file["sha256"]) == 64 for file in known["files"].values())
    assert {name.split("/")[0] for name in known["files"]} == {"tables", "series"}
    schema = pq.read_schema(whole.folder / "tables/replications/scenario-00-block-00000.parquet")
    assert schema.field("total_loss").metadata[b"unit"] == b"USD bn"
