"""The run folder: tables as Parquet, settings, provenance, summary, figures and report, with checksums.

Every file is written under a temporary name and renamed, the manifest last: a folder with a matching manifest is whole.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from simulator.errors import InputError
from simulator.results.provenance import plain
from simulator.results.study import Study

if TYPE_CHECKING:
    import pyarrow as pa

    from simulator.results.dataset import Run

FORMAT = 1
MANIFEST, COMPLETE = "manifest.json", "complete"
# Replications in one Parquet file: fixed, so that the files don't show how the work was cut into chunks.
REPLICATIONS_PER_FILE = 5000

STUDY = "study_"
"""Before the names of the tables of a study."""

MONEY, MONEY_RATE, SHARE, RATE, MONTHS, COUNT, TEXT = "USD bn", "USD bn per year", "share", "per year", "months", "count", "text"
UNITS: dict[str, str] = {
    # keys
    "scenario": TEXT, "replication": "number of the draw", "tick": "months after the start, 0 = first; -1 = summed over the run",
    "date": "YYYY-MM", "agent": TEXT, "kind": TEXT, "quantile": "quantile over replications; blank = mean", "wave": COUNT,
    # replications
    "defaults": COUNT, "cascade_size": COUNT, "waves": COUNT, "systemic": "yes/no", "converged": "yes/no", "total_loss": MONEY,
    "credit_loss": MONEY, "mark_to_market_loss": MONEY, "deadweight_loss": MONEY, "amplification": "ratio", "fiscal_cost": MONEY,
    "market_value_min_share": SHARE, "gdp_gap_min": SHARE, "unemployment_max": SHARE, "defaulted_debt": MONEY,
    "defaulted_debt_share": SHARE, "first_default_tick": "months after the start; -1 = none", "months_to_peak": MONTHS,
    "loss_lenders": MONEY, "loss_shareholders": MONEY, "loss_suppliers": MONEY, "loss_government": MONEY, "loss_taxpayers": MONEY,
    "loss_workers": MONEY,
    "public_support_lenders": MONEY, "investment_total": MONEY, "investment_above_start": MONEY, "investment_below_start": MONEY,
    "employment_mean": SHARE, "employment_min": SHARE, "concentration_end": "Herfindahl index",
    "lab_concentration_end": "Herfindahl index", "entrants_end": "entrants", "backlog_lost": MONEY,
    # defaults and losses
    "cause": TEXT, "triggered_by": TEXT, "debt": MONEY, "recovery_share": SHARE, "loss_given_default": MONEY, "cds_before": RATE,
    "from_agent": TEXT, "to_agent": TEXT, "channel": TEXT, "amount": MONEY, "reason": TEXT, "root": TEXT, "chain": TEXT,
    # ticks
    "policy_rate": RATE, "ai_market_value": MONEY, "total_market_value": MONEY, "cds_index": RATE, "investment": MONEY_RATE,
    "credit": MONEY, "unemployment": SHARE, "gdp": MONEY_RATE, "inflation": RATE, "power_queue": "GW", "power_online": "GW",
    "circular_revenue_share": SHARE,
    "capital_raised": "USD bn per month", "lab_cash_runway": MONTHS, "defaults_to_date": COUNT, "loss_to_date": MONEY,
    "concentration": "Herfindahl index", "lab_concentration": "Herfindahl index", "entrants": "entrants",
    "gpu_resale_value": "share of the opening value",
    "ai_market_value_net": "USD bn", "securities_price": "1 at the start",
    "central_bank_assets": MONEY, "compliance_cost": MONEY, "lending_moved": MONEY,
    # network
    "name": TEXT, "size": MONEY, "market_value": MONEY, "type": TEXT,
}  # fmt: skip


def unit_of(column: str) -> str:
    """Unit of a column: from the registry, else by its suffix; USD bn for the remaining columns (stocks and flows of agents)."""
    if column in UNITS:
        return UNITS[column]
    for suffix, unit in (
        ("_defaults", COUNT),
        ("_share", SHARE),
        ("_rate", RATE),
        ("_index", "index"),
        ("_count", COUNT),
        ("_tick", MONTHS),
    ):
        if column.endswith(suffix):
            return unit
    return MONEY


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """A table as Parquet: zstd, floats byte-split, text as dictionaries, the unit in each column's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [field.with_metadata({"unit": unit_of(field.name)}) for field in table.schema]
    table = table.cast(pa.schema(fields, metadata=table.schema.metadata))
    buffer = BytesIO()
    pq.write_table(table, buffer, **parquet_options(table.schema))
    return buffer.getvalue()


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """How columns are packed: zstd, floats byte-split, everything else as dictionaries."""
    import pyarrow as pa

    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    others = [field.name for field in schema if not pa.types.is_floating(field.type)]
    return {"compression": "zstd", "compression_level": 1, "use_dictionary": others, "use_byte_stream_split": floats or False}


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def to_yaml(settings: Mapping[str, Any], depth: int = 0) -> str:
    """Settings as YAML: nested mappings by indentation, every leaf as JSON (which YAML contains)."""
    lines = []
    for key, value in settings.items():
        name = (
            key
            if re.fullmatch(r"[A-Za-z_][\w.-]*", key) and key.lower() not in ("yes", "no", "on", "off", "true", "false", "null", "y", "n")
            else json.dumps(key)
        )
        if isinstance(value, Mapping) and value:
            lines.append(f"{'  ' * depth}{name}:\n{to_yaml(value, depth + 1)}")
        else:
            lines.append(f"{'  ' * depth}{name}: {_leaf(value)}\n")
    return "".join(lines)


def _leaf(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = json.dumps(value, ensure_ascii=False)
    # YAML 1.1 reads 1e-06 as text: it wants a point in the mantissa.
    return re.sub(r"^(-?\d+)e", r"\1.0e", text) if isinstance(value, float) else text


def from_yaml(text: str) -> dict[str, Any]:
    """Read back what `to_yaml` writes (and nothing wider)."""
    special = {".nan": math.nan, ".inf": math.inf, "-.inf": -math.inf}
    root: dict[str, Any] = {}
    levels = [root]
    for line in text.splitlines():
        body = line.lstrip(" ")
        if not body:
            continue
        depth = (len(line) - len(body)) // 2
        matched = re.match(r'("(?:[^"\\]|\\.)*"|[\w.-]+):\s*(.*)$', body)
        if matched is None or depth >= len(levels):
            raise ValueError(f"unreadable line '{line}'")
        key = json.loads(matched[1]) if matched[1].startswith('"') else matched[1]
        del levels[depth + 1 :]
        if matched[2] == "":
            levels[depth][key] = {}
            levels.append(levels[depth][key])
        else:
            levels[depth][key] = special[matched[2]] if matched[2] in special else json.loads(matched[2])
    return root


def as_json(value: Any) -> bytes:
    """A value as strict JSON: what is not finite becomes null."""

    def clean(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: clean(part) for key, part in item.items()}
        if isinstance(item, list):
            return [clean(part) for part in item]
        return None if isinstance(item, float) and not math.isfinite(item) else item

    return (json.dumps(clean(plain(value)), indent=2, ensure_ascii=False) + "\n").encode()


def _tables(run: Run) -> dict[str, pd.DataFrame]:
    tables = {"replications": run.replications, "defaults": run.defaults, "losses": run.losses, "ticks": run.ticks}
    if run.agents is not None:
        tables["agents"] = run.agents
    tables["causes"] = run.causes
    for name, frame in (("attribution", run.attribution), ("contributions", run.contributions)):
        if frame is not None:
            tables[name] = frame
    tables["network_nodes"], tables["network_ties"] = run.network["nodes"], run.network["ties"]
    if run.study is not None:
        tables |= {STUDY + name: frame for name, frame in run.study.tables.items()}
    return tables


def _parts(frame: pd.DataFrame) -> list[pd.DataFrame]:
    if "replication" not in frame.columns or frame.empty:
        return [frame]
    block = frame["replication"] // REPLICATIONS_PER_FILE
    return [frame[block == number] for number in sorted(block.unique())]


def listing(content: bytes) -> dict[str, Any]:
    """What a manifest says of a file."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def save(run: Run, folder: str | Path, figures: bool = True) -> Path:
    """Write the run folder; figures and report only when `figures`. Returns the folder.

    An earlier run in the same folder is replaced; other files there are left alone.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise InputError(f"'{target}' is a file, not a folder for a run")
    from simulator.results.documents import documents

    files = documents(run, figures)
    for name, frame in _tables(run).items():
        for position, part in enumerate(_parts(frame)):
            files[f"tables/{name}/part-{position:05d}.parquet"] = parquet_bytes(part)
    old = _read_manifest(target) if (target / MANIFEST).exists() else {}
    (target / MANIFEST).unlink(missing_ok=True)
    for name in old.get("files", {}):
        if name not in files and _inside(name):
            (target / name).unlink(missing_ok=True)
    for name, content in files.items():
        write_atomically(target / name, content)
    listed = {name: listing(content) for name, content in files.items()}
    write_atomically(target / MANIFEST, as_json({"format": FORMAT, "state": COMPLETE, "files": listed}))
    return target


def _inside(name: str) -> bool:
    """Whether a manifest's file name stays inside the run folder."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(manifest.get("files"), dict):
            raise ValueError
    except (OSError, ValueError, AttributeError):
        raise InputError(f"'{folder / MANIFEST}' is damaged: not a manifest of a run folder") from None
    return dict(manifest)


def _checked(folder: Path, name: str, listed: Mapping[str, Any]) -> Path:
    """Path of one file of the folder; InputError when it is missing or differs from its checksum."""
    path = folder / name
    if not _inside(name):
        raise InputError(f"'{folder / MANIFEST}' is damaged: it lists '{name}', which lies outside the folder")
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise InputError(f"'{path}' is missing or unreadable: the run folder is not whole") from None
    if found != listed[name].get("sha256"):
        raise InputError(f"'{path}' is damaged: its checksum differs from {MANIFEST}")
    return path


def verify(folder: str | Path) -> None:
    """Check every file of a run folder, figures and report included; InputError names the first that fails."""
    listed = _read_manifest(Path(folder))["files"]
    for name in listed:
        _checked(Path(folder), name, listed)


def load(folder: str | Path) -> Run:
    """The run kept in a folder; every file is checked, InputError names a missing or damaged one. Large tables are read when asked for."""
    source = Path(folder)
    if not source.is_dir():
        raise InputError(f"no run folder '{source}'")
    if not (source / MANIFEST).exists():
        raise InputError(f"'{source}' has no {MANIFEST}: not a run folder, or its writing was interrupted")
    manifest = _read_manifest(source)
    if manifest.get("format") != FORMAT:
        raise InputError(f"'{source / MANIFEST}' has format {manifest.get('format')}, this version reads {FORMAT}")
    if manifest.get("state", COMPLETE) != COMPLETE:
        raise InputError(f"'{source}' holds an unfinished run; capital-loop resume={source} goes on")
    listed = manifest["files"]
    for name in ("config.yaml", "provenance.json", "summary.json"):
        if name not in listed:
            raise InputError(f"'{source / MANIFEST}' is damaged: it lists no {name}")
    texts = {name: _checked(source, name, listed).read_text(encoding="utf-8") for name in ("config.yaml", "provenance.json", "summary.json")}
    from simulator.results.tables import open_tables

    tables = open_tables(_checked(source, name, listed) for name in sorted(listed) if name.startswith("tables/"))
    if "replications" not in tables:
        raise InputError(f"'{source / MANIFEST}' is damaged: it lists no table 'replications'")
    told = json.loads(texts["summary.json"])
    config, provenance = from_yaml(texts["config.yaml"]), json.loads(texts["provenance.json"])
    return run_of(tables, told["scenarios"], told["reference"], config, provenance, _study(told, tables))


def run_of(
    tables: Mapping[str, Any], scenarios: Sequence[str], reference: str, config: Mapping[str, Any], provenance: Mapping[str, Any],
    study: Study | None = None,
) -> Run:  # fmt: skip
    """A run made of its stored tables."""
    from simulator.results.dataset import Run

    return Run(
        tables["replications"],
        tables.get("defaults"),
        tables.get("losses"),
        tables.get("ticks"),
        tables.get("agents"),
        causes=tables.get("causes"),
        attribution=tables.get("attribution"),
        contributions=tables.get("contributions"),
        network={"nodes": tables["network_nodes"], "ties": tables["network_ties"]},
        scenarios=scenarios,
        reference=reference,
        config=config,
        provenance=provenance,
        study=study,
    )


def _study(told: Mapping[str, Any], tables: Mapping[str, Any]) -> Study | None:
    known = told.get("study")
    return None if known is None else Study(known["kind"], {name: tables[STUDY + name] for name in known["tables"]}, known["facts"])
