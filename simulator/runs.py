"""Runs that keep what they compute: started, interrupted and resumed, cut into shards and merged, and finished with figures and report.

A run folder is written unit by unit while it is computed (`simulator.results.manifest`), so a run of any length holds little in memory and
loses little when it is stopped at any moment.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.changes import Scenario
from scenarios.economy import Economy
from simulator.computing_settings import PLACEMENT
from simulator.engine.crew import Crew
from simulator.engine.executors import Execution, work_through
from simulator.engine.montecarlo import Plan, Unit, check_convergence, compute, job_of, quantiles_over_replications, units
from simulator.errors import InputError
from simulator.results import storage
from simulator.results.blocks import SERIES_FOLDER, BlockFiles, StoredSeries, stored_series, unit_name
from simulator.results.dataset import Run
from simulator.results.documents import documents
from simulator.results.manifest import (
    UNFINISHED,
    Manifest,
    is_complete,
    lock,
    read_manifest,
    remove_half_written,
    remove_unlisted,
    shard_name,
    shard_names,
)
from simulator.results.measures import wilson
from simulator.results.progress import Progress, interval_width
from simulator.results.provenance import differences, machine_identity
from simulator.results.study import Study
from simulator.results.tables import open_tables
from simulator.settings import Settings, build_settings

QUANTILES = "tables/ticks/quantiles.parquet"
Story = Callable[[float], tuple[dict[str, Any], dict[str, Any]]]
"""Given the seconds that the work took: the settings as kept in config.yaml, and the provenance."""


@dataclass(frozen=True)
class Work:
    """What is run and told: settings, the economy opened, its scenarios (the reference first), story and opening network."""

    settings: Settings
    economy: Economy
    scenarios: tuple[Scenario, ...]
    reference: str
    story: Story
    network: Mapping[str, pd.DataFrame]
    study: Callable[[Run], Study | None]
    shard: tuple[int, int] | None = None
    progress: bool = False
    crew: Crew | None = None  # draws the figures after it has computed
    say: Callable[[str], None] = field(default=lambda line: print(f"capital-loop: {line}", file=sys.stderr))


def stored_settings(folder: str | Path, values: Mapping[str, Any]) -> Settings:
    """The settings of the run begun in a folder, with some top keys given anew. InputError: no run there, or only shards of one."""
    where = Path(folder)
    if not (where / storage.MANIFEST).exists() and shard_names(where):
        raise InputError(f"resume: {str(folder)!r} holds shards of a run; capital-loop merge {folder} makes one run of them")
    return build_settings({**read_manifest(where).settings, **values})


def plan_of(settings: Settings) -> Plan:
    """The plan of the Monte Carlo. With a precision it reaches to the largest number allowed, and is cut short when that is reached."""
    asked, where = settings.montecarlo, settings.execution
    execution = Execution(where.kind, where.processes(), where.scheduler, where.cluster, dict(where.slurm))
    return Plan(
        asked.replications if asked.precision is None else asked.replications_max, asked.seed, asked.chunk, settings.horizon_months,
        settings.record.level, settings.systemic.model_dump(), where.processes(), asked.block or 0, execution,
        settings.record.contributions, settings.record.amplification,
    )  # fmt: skip


def compute_into(work: Work, folder: Path) -> Manifest:
    """Compute all units that the folder's manifest does not hold yet, and return it. A new folder gets its manifest first.

    What is found damaged is named and computed again. Raises InputError when the run there was begun with other settings, data, packages or
    processor features (unless ``resume_anyway``), when another process is at work there, or when the folder can't be written (full, read-only):
    what is finished stays.
    """
    plan = plan_of(work.settings)
    name = storage.MANIFEST if work.shard is None else shard_name(*work.shard)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder, name):
            manifest = _opened(work, folder, name, plan)
            remove_half_written(folder, name, _unit_names(_wanted(work, plan)))
            _drop_damaged(work, manifest)
            _compute(work, manifest, plan)
        return manifest
    except OSError as error:
        raise InputError(_stopped(error, folder, name)) from None


def _stopped(error: OSError, folder: Path, name: str) -> str:
    try:
        kept = len(read_manifest(folder, name).units)
    except InputError:
        kept = 0
    after = f"; what is finished is kept ({kept} blocks), capital-loop resume={folder} goes on" if kept else ""
    return f"output: {str(folder)!r} cannot be written ({error.strerror or error}){after or '; give a folder that you may write to'}"


def identity_of(economy: Economy) -> dict[str, Any]:
    """What the numbers depend on besides the settings: data, program, packages and processor features."""
    found = hashlib.sha256(repr((economy.ids, economy.kinds, economy.lender_types, sorted(economy.macro.items()))).encode())
    tables = (economy.loans, economy.stakes, economy.orders, economy.leases, economy.guarantees)
    for columns in (economy.values, *(table.columns for table in tables)):
        for name in sorted(columns):
            values = np.ascontiguousarray(columns[name])
            content = values.tobytes() if values.dtype != object else repr(values.tolist()).encode()
            found.update(f"{name} {values.dtype.str} {values.shape}".encode() + content)
    return {"data": found.hexdigest(), **machine_identity()}


def _opened(work: Work, folder: Path, name: str, plan: Plan) -> Manifest:
    """The manifest that is there, checked, or a new one."""
    here = identity_of(work.economy)
    numeric = placed_apart(work.settings.model_dump(mode="json"))
    cut = {"replications": plan.replications, "block": plan.block_size, "scenarios": [scenario.label for scenario in work.scenarios]}
    if not (folder / name).exists():
        manifest = Manifest(folder, work.settings.model_dump(mode="json"), here, cut, name)
        manifest.write()
        return manifest
    manifest = read_manifest(folder, name)
    if other := different_keys(numeric, placed_apart(manifest.settings)):
        raise InputError(f"resume: {other[0]} differs from the run in {str(folder)!r}; another run needs another folder")
    if manifest.plan != cut:
        raise InputError(f"resume: the run in {str(folder)!r} was cut into other blocks by another version of the program; begin it again")
    if not work.settings.resume_anyway and (other := differences(manifest.identity, here)):
        raise InputError(f"resume: {'; '.join(other)}: bits may differ within the run in {str(folder)!r} (resume_anyway=true goes on all the same)")
    return manifest


def placed_apart(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted key, without those that say where and how to compute."""
    flat: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                walk(inner, f"{path}.{key}" if path else str(key))
        else:
            flat[path] = value

    walk(settings, "")
    return {key: value for key, value in flat.items() if not any(key == one or key.startswith(f"{one}.") for one in PLACEMENT)}


def different_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Keys in which two flat settings differ."""
    return [key for key in {**one, **other} if (key in one) != (key in other) or one[key] != other[key]]


def _wanted(work: Work, plan: Plan) -> Iterator[Unit]:
    """The units of this shard; a block goes to one shard whole, all of its scenarios."""
    number, shards = work.shard or (1, 1)
    return (unit for unit in units(len(work.scenarios), plan) if unit.block % shards == number - 1)


def _unit_names(wanted: Iterable[Unit]) -> list[str]:
    return [unit_name(unit.scenario, unit.block) for unit in wanted]


def _drop_damaged(work: Work, manifest: Manifest) -> None:
    """Forget what is not whole any more, and say so; the series too where the quantiles have to be taken again."""
    damaged = set(manifest.damaged())
    lost = []
    for name, unit in list(manifest.units.items()):
        bad = [file for file in unit["files"] if file in damaged]
        if bad:
            work.say(f"{manifest.folder / bad[0]} is missing or damaged: its block is computed again")
            lost.append(name)
    takes_quantiles = work.settings.record.level == "summary" and (QUANTILES not in manifest.files or QUANTILES in damaged)
    if takes_quantiles and manifest.state != UNFINISHED:
        work.say(f"{manifest.folder / QUANTILES} is missing or damaged: every block is computed again")
        lost = list(manifest.units)
    for name in lost:
        manifest.drop(name)
    for file in damaged & manifest.files.keys():
        work.say(f"{manifest.folder / file} is missing or damaged: it is made again")
        del manifest.files[file]
    if damaged or lost:
        manifest.state = UNFINISHED
        manifest.write()


def settled(counts: Mapping[str, Mapping[str, int]], scenarios: int, settings: Settings, plan: Plan) -> int | None:
    """Number of blocks after which P(systemic) is known precisely enough in every scenario; None when that is not yet known.

    Looked at after every block from ``montecarlo.replications`` on, in order, and only when all blocks before it are finished: the answer does
    not depend on who computed what when. The interval is Wilson's at 95 %, its whole width counts.
    """
    asked = settings.montecarlo
    found = np.zeros((scenarios, 2), dtype=np.int64)
    blocks = -(-plan.replications // plan.block_size)
    for block in range(blocks):
        for scenario in range(scenarios):
            known = counts.get(unit_name(scenario, block))
            if known is None:
                return None
            found[scenario] += (known["systemic"], known["replications"])
        if asked.precision is None or found[0, 1] < asked.replications:
            continue
        if max(interval_width(wilson(int(systemic), int(n))) for systemic, n in found) <= asked.precision:
            return block + 1
    return blocks


def _compute(work: Work, manifest: Manifest, plan: Plan) -> None:
    """Compute what is missing and enter it; with a precision stop when it is reached, and drop what lies beyond."""
    settings, scenarios = work.settings, len(work.scenarios)
    stop: int | None = None

    def enough() -> int | None:
        return settled({name: unit["counts"] for name, unit in manifest.units.items()}, scenarios, settings, plan)

    def missing() -> Iterator[Unit]:
        for unit in _wanted(work, plan):
            if stop is not None:
                return
            if unit_name(unit.scenario, unit.block) not in manifest.units:
                yield unit

    is_open = settings.montecarlo.precision is not None
    stop = enough() if is_open else None
    total = sum(unit.stop - unit.first for unit in _wanted(work, plan))
    is_elsewhere = plan.where.kind == "dask"  # processes of this machine are this program, with these packages
    files = BlockFiles(manifest.folder, machine_identity() if is_elsewhere else {}, settings.resume_anyway)
    job = job_of(work.economy, work.scenarios, plan, files)
    with Progress(total, work.progress, scenarios=scenarios, precision=settings.montecarlo.precision) as progress:
        for known in manifest.units.values():
            progress.already(known["scenario"], known["counts"])
        progress.begin()
        began = time.perf_counter()
        if stop is None:
            with closing(compute(job, missing(), work.crew, progress.part)) as results:
                for unit, done in results:
                    manifest.seconds += time.perf_counter() - began
                    began = time.perf_counter()
                    manifest.enter(unit.scenario, unit.block, done.counts, done.files)
                    progress.unit(unit.scenario, done.counts)
                    if is_open and (stop := enough()) is not None:
                        break
    if is_open:
        for name in [name for name, unit in manifest.units.items() if stop is not None and unit["block"] >= stop]:
            manifest.drop(name)
        manifest.write()
        width = progress.width()
        if stop == -(-plan.replications // plan.block_size) and width is not None and width > float(settings.montecarlo.precision or 0.0):
            work.say(f"montecarlo.precision: the interval is {width:.3g} wide after montecarlo.replications_max={plan.replications:,}; it ends there")


# ---------------------------------------------------------------------- finishing


def finish(work: Work, manifest: Manifest) -> Run:
    """Quantiles, network, summary, figures and report of a folder whose units are all there; returns its `Run`.

    Raises ArithmeticError when too many replications did not converge: the folder stays, unfinished.
    """
    check_convergence(manifest.counts())
    folder = manifest.folder
    try:
        if work.settings.record.level == "summary" and QUANTILES not in manifest.files:
            _put(manifest, QUANTILES, storage.parquet_bytes(_quantiles(work, manifest)))
        for key, table in work.network.items():
            _put(manifest, f"tables/network_{key}/part-00000.parquet", storage.parquet_bytes(table))
        names = sorted(name for name in manifest.files if name.startswith("tables/") and not name.startswith(f"tables/{storage.STUDY}"))
        config, story = work.story(manifest.seconds)
        labels = [scenario.label for scenario in work.scenarios]
        run = storage.run_of(open_tables(folder / name for name in names), labels, work.reference, config, story)
        run.study = work.study(run)
        for name, table in run.study.tables.items() if run.study is not None else ():
            _put(manifest, f"tables/{storage.STUDY}{name}/part-00000.parquet", storage.parquet_bytes(table))
        for name, content in documents(run, spread=partial(_spread, work)).items():
            _put(manifest, name, content)
        series = [name for name in manifest.files if name.startswith(f"{SERIES_FOLDER}/")]
        for name in series:
            del manifest.files[name]
        for unit in manifest.units.values():
            unit["files"] = [name for name in unit["files"] if name in manifest.files]
        manifest.state = storage.COMPLETE
        manifest.write()
    except OSError as error:
        raise InputError(_stopped(error, folder, manifest.name)) from None
    remove_unlisted(folder, manifest.files)
    for path in [*folder.glob(".*.lock"), *(folder / name for name in shard_names(folder))]:
        path.unlink(missing_ok=True)
    return run


def _spread(work: Work, make: Callable[[Run, str], Any], run: Run, names: list[str]) -> dict[str, Any]:
    """Pieces of the documents of a run, by as many processes as computed it on this machine."""
    where = plan_of(work.settings).where
    here = Execution("local", min(where.workers, len(names))) if where.kind == "local" else Execution()
    _ = run.compared, run.focus, run.worst  # known to all who make a piece, and to who tells the findings afterwards
    return dict(work_through(names, make, run, here, crew=work.crew))


def _put(manifest: Manifest, name: str, content: bytes) -> None:
    storage.write_atomically(manifest.folder / name, content)
    manifest.files[name] = storage.listing(content)


def _quantiles(work: Work, manifest: Manifest) -> pd.DataFrame:
    """Quantiles of all series, read one series at a time."""
    frames = []
    for position, scenario in enumerate(work.scenarios):
        blocks = sorted(unit["block"] for unit in manifest.units.values() if unit["scenario"] == position)
        files = [stored_series(manifest.folder / SERIES_FOLDER / f"{unit_name(position, block)}.npy") for block in blocks]
        frames.append(quantiles_over_replications(scenario.label, work.economy.start, partial(_one_series, files)))
    return pd.concat(frames, ignore_index=True)


def _one_series(files: list[StoredSeries], position: int) -> NDArray[np.float64]:
    """One series of all replications, ``(replication, tick)``."""
    return np.concatenate([file.read(position) for file in files])


# ---------------------------------------------------------------------- shards


def merge(folders: list[Path], target: Path, say: Callable[[str], None]) -> Manifest:
    """One manifest of the shards in these folders, their files brought to ``target``; returned even where blocks are missing.

    Raises InputError when a folder holds no shard, or when shards differ in settings, data, packages or processor features.
    """
    found = []
    for folder in folders:
        names = shard_names(folder) if folder.is_dir() else []
        if not names and (folder / storage.MANIFEST).exists():
            names = [storage.MANIFEST]
        if not names:
            raise InputError(f"merge: {str(folder)!r} holds no shard of a run (--shard i/n output={folder} makes one)")
        if names == [storage.MANIFEST] and is_complete(folder):
            raise InputError(f"merge: {str(folder)!r} holds a finished run; nothing is left to merge")
        found += [read_manifest(folder, name) for name in names]
    first = found[0]
    for other in found[1:]:
        keys = different_keys(placed_apart(first.settings), placed_apart(other.settings))
        told = [f"{keys[0]} differs"] if keys else differences(first.identity, other.identity)
        if told or other.plan != first.plan:
            raise InputError(f"merge: {first.path} and {other.path} are not of one run: {'; '.join(told) or 'other blocks'}")
    target.mkdir(parents=True, exist_ok=True)
    merged = Manifest(target, first.settings, first.identity, first.plan)
    if (target / storage.MANIFEST).exists() and all(manifest.path != merged.path for manifest in found):
        raise InputError(f"merge: {str(target)!r} holds a run already; output=DIR names another folder")
    for manifest in found:
        damaged = set(manifest.damaged())
        merged.seconds += manifest.seconds
        for name, unit in manifest.units.items():
            bad = [file for file in unit["files"] if file in damaged]
            if bad:
                say(f"{manifest.folder / bad[0]} is missing or damaged: its block is left out")
            if bad or name in merged.units:
                continue
            for file in unit["files"]:
                if manifest.folder.resolve() != target.resolve():
                    (target / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(manifest.folder / file, (target / file).with_name(f".{Path(file).name}.merge.part"))
                    (target / file).with_name(f".{Path(file).name}.merge.part").replace(target / file)
                merged.files[file] = manifest.files[file]
            merged.units[name] = unit
    merged.write()
    return merged


def missing_blocks(manifest: Manifest) -> int:
    """Number of units that a run without a precision still lacks."""
    plan = manifest.plan
    return -(-int(plan["replications"]) // int(plan["block"])) * len(plan["scenarios"]) - len(manifest.units)
