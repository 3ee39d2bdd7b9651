"""The run folder: what is written is what is read, and damage is named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from simulator.errors import InputError
from simulator.results import storage
from simulator.results.dataset import Run, load

TABLES = ("replications", "defaults", "losses", "ticks")


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved run without figures."""
    return run.save(tmp_path_factory.mktemp("run") / "saved", figures=False)


def test_a_saved_run_loads_bit_by_bit(run: Run, folder: Path) -> None:
    back = load(folder)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(back, name), getattr(run, name), check_exact=True)
    for name in ("nodes", "ties"):
        pd.testing.assert_frame_equal(back.network[name], run.network[name], check_exact=True)
    bits = back.replications["total_loss"].to_numpy().view(np.int64)
    assert np.array_equal(bits, run.replications["total_loss"].to_numpy().view(np.int64))
    assert (back.config, back.provenance, back.scenarios, back.reference) == (run.config, run.provenance, run.scenarios, run.reference)


def test_empty_tables_and_a_panel_of_agents_survive(make_run: Callable[..., Run], tmp_path: Path) -> None:
    calm = make_run(5, ("no_shock",), (0.0,))
    panel = pd.DataFrame(
        {"scenario": "no_shock", "replication": [0, 1], "tick": [0, 0], "agent": "nvidia", "kind": "chipmaker", "cash": [1.5, np.nan]}
    )
    one = Run(calm.replications, ticks=calm.ticks, agents=panel)
    back = load(one.save(tmp_path / "one", figures=False))
    assert back.agents is not None
    assert back.defaults.empty
    assert list(back.defaults.columns) == list(one.defaults.columns)
    pd.testing.assert_frame_equal(back.agents, one.agents)
    pd.testing.assert_frame_equal(back.losses, one.losses)


@pytest.mark.parametrize("name", ["tables/losses/part-00000.parquet", "config.yaml", "provenance.json", "summary.json"])
def test_a_damaged_file_is_named(run: Run, tmp_path: Path, name: str) -> None:
    folder = run.save(tmp_path / "run", figures=False)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(InputError, match=f"{name}' is damaged"):
        load(folder)


def test_a_missing_file_is_named(run: Run, tmp_path: Path) -> None:
    folder = run.save(tmp_path / "run", figures=False)
    (folder / "tables/ticks/part-00000.parquet").unlink()
    with pytest.raises(InputError, match="ticks/part-00000.parquet' is missing"):
        load(folder)


def test_a_folder_without_a_manifest_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no manifest\.json"):
        load(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match="is damaged"):
        load(tmp_path)


def test_a_manifest_cannot_reach_outside_its_folder(run: Run, tmp_path: Path) -> None:
    folder = run.save(tmp_path / "run", figures=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["tables/../../../secret.parquet"] = manifest["files"].pop(
        "tables/ties/part-00000.parquet", {"sha256": "", "bytes": 0}
    )
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"secret\.parquet.*outside"):
        load(folder)


def test_saving_again_replaces_the_run_and_leaves_other_files(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "REPLICATIONS_PER_FILE", 50)
    folder = run.save(tmp_path / "run", figures=False)
    assert len(list(folder.glob("tables/replications/*.parquet"))) == 4
    (folder / "notes.txt").write_text("mine")
    monkeypatch.setattr(storage, "REPLICATIONS_PER_FILE", 5000)
    run.save(folder, figures=False)
    assert len(list(folder.glob("tables/replications/*.parquet"))) == 1
    assert (folder / "notes.txt").exists()
    assert not list(folder.rglob("*.part"))
    pd.testing.assert_frame_equal(load(folder).replications, run.replications)


def test_tables_cut_into_several_files_hold_the_same_rows(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "REPLICATIONS_PER_FILE", 64)
    back = load(run.save(tmp_path / "run", figures=False))
    keys = ["scenario", "replication"]
    expected = run.replications.sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(back.replications.sort_values(keys, ignore_index=True), expected)


def test_every_column_carries_its_unit_and_floats_are_split_by_byte(folder: Path) -> None:
    for path in folder.glob("tables/*/*.parquet"):
        for field in pq.read_schema(path):
            assert field.metadata[b"unit"], field.name
    file = pq.ParquetFile(folder / "tables/replications/part-00000.parquet")
    assert file.schema_arrow.field("total_loss").metadata[b"unit"] == b"USD bn"
    columns = {
        file.metadata.row_group(0).column(i).path_in_schema: file.metadata.row_group(0).column(i) for i in range(file.metadata.num_columns)
    }
    assert "BYTE_STREAM_SPLIT" in columns["total_loss"].encodings
    assert columns["total_loss"].compression == "ZSTD"


def test_the_same_run_is_the_same_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    again = run.save(tmp_path / "again", figures=False)
    assert (again / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()


def test_verify_checks_every_file_and_the_summary_is_strict_json(folder: Path) -> None:
    storage.verify(folder)
    told = json.loads((folder / "summary.json").read_text(), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert told["replications"] == 200
    assert told["findings"]
    assert told["table"][0]["measure"] == "systemic"
    assert "| measure | value |" in (folder / "summary.md").read_text()


def test_settings_are_the_same_for_any_yaml_reader() -> None:
    settings = {
        "a": 1,
        "rate": 1e-06,
        "big": 1.5e300,
        "text": "yes: no # ü\n",
        "on": True,
        "empty": {},
        "list": [1, "x"],
        "deep": {"er": {"k": None}, "f": 0.1},
    }
    text = storage.to_yaml(settings)
    assert yaml.safe_load(text) == settings == storage.from_yaml(text)
    assert math.isnan(storage.from_yaml(storage.to_yaml({"x": math.nan}))["x"])
