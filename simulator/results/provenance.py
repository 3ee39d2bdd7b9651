"""How a run's numbers came about: version, seed, packages, processor features, hashes, sources and assumptions."""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

DISTRIBUTION = "capital-loop"
PACKAGES = ("numpy", "scipy", "pandas", "mesa", "networkx", "pyarrow", "matplotlib", "hydra-core", "omegaconf", "dask")
# Packages whose version may move the last bit of a number.
BIT_PACKAGES = ("python", "numpy", "scipy", "pandas", "mesa")
# Settings that say where and how to compute, and change no number.
PLACEMENT_KEYS = ("output", "execution", "resume", "hydra", "path")


def version() -> str:
    """Version of the installed program, or 'unknown' in a bare checkout."""
    return _installed(DISTRIBUTION) or "unknown"


@cache
def _installed(distribution: str) -> str | None:
    """Version of an installed package, which takes a look at the disk; None when it is not there."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@cache
def git_commit() -> str | None:
    """Commit of the checkout this code runs from, with '+changes' when files differ from it; None outside a checkout."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5, check=True)
        return done.stdout.strip()

    try:
        # An installed copy may lie inside some other project's checkout: only a tracked file counts.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        commit = git("rev-parse", "HEAD")
        return commit + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def package_versions() -> dict[str, str]:
    """Python and package versions that the numbers may depend on."""
    found = {name: _installed(name) for name in PACKAGES}
    return {"python": platform.python_version(), **{name: known for name, known in found.items() if known is not None}}


def cpu_features() -> list[str]:
    """Processor features that NumPy uses here: another set may change the last bit of exp, log and pow."""
    try:
        internals = importlib.import_module("numpy._core._multiarray_umath")
    except ImportError:  # a NumPy that moved its internals
        return []
    features: Mapping[str, bool] = getattr(internals, "__cpu_features__", {})
    return sorted(name for name, enabled in features.items() if enabled)


@cache
def program_digest() -> str:
    """SHA-256 of the program's own source files: another one may give other numbers."""
    root = Path(__file__).resolve().parents[2]
    found = hashlib.sha256()
    for package in ("agents", "scenarios", "simulator"):
        for path in sorted((root / package).rglob("*.py")):
            found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


@cache
def machine_identity() -> dict[str, Any]:
    """What the bits of a number may depend on besides settings and data: program, packages, processor features."""
    versions = {name: version for name, version in package_versions().items() if name in BIT_PACKAGES}
    return {"program": program_digest(), "packages": versions, "processor": cpu_features()}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """In words, where two identities differ: ``one`` is the run's, ``other`` is here."""
    told = []
    for key, value in one.items():
        here = other.get(key)
        if here == value:
            continue
        if key == "packages" and isinstance(here, Mapping):
            names = [name for name in {**value, **here} if value.get(name) != here.get(name)]
            told += [f"{name} is {here.get(name, 'missing')} here, {value.get(name, 'missing')} in the run" for name in names]
        elif key == "processor" and isinstance(here, list):
            lost, new = sorted(set(value) - set(here)), sorted(set(here) - set(value))
            parts = [f"{', '.join(names[:4])} {words}" for names, words in ((lost, "missing here"), (new, "only here")) if names]
            told.append(f"processor features differ ({'; '.join(parts)})")
        else:
            told.append({"program": "the program's source has changed", "data": "the economy's data have changed"}.get(key, f"{key} differs"))
    return told


PLAIN_TYPES = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """The value as JSON knows it: NumPy numbers, tuples, sets, paths and dataclass-like objects turned into plain ones."""
    if type(value) in PLAIN_TYPES:  # most are; a number of NumPy may be a float too
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


def digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _fields(fact: Any) -> dict[str, Any]:
    if isinstance(fact, Mapping):
        return {str(key): plain(item) for key, item in fact.items()}
    names = ("table", "row_id", "column", "value", "unit", "source", "as_of", "confidence", "low", "high", "note")
    return {name: plain(getattr(fact, name)) for name in names if hasattr(fact, name)}


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def assumptions_of(facts: Iterable[Any]) -> list[dict[str, Any]]:
    """The facts whose source is 'assumption', as name, value, low, high, unit, note."""
    return _assumptions(map(_fields, facts))


def _assumptions(facts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for fields in facts:
        if fields.get("source") != "assumption":
            continue
        name = fields.get("name") or " ".join(str(fields[key]) for key in ("table", "row_id", "column") if fields.get(key))
        found.append(
            {
                "name": name,
                "value": fields.get("value"),
                "low": _number(fields.get("low")),
                "high": _number(fields.get("high")),
                "unit": fields.get("unit", ""),
                "note": fields.get("note", ""),
            }
        )
    return found


def rerun_command(settings: Mapping[str, Any], economy_name: str, seed: int | None) -> str:
    """The command that gives the same numbers again, from the settings' documented keys."""

    def names(value: Any) -> str:
        items = [value] if isinstance(value, str) else [str(item) for item in value]
        return f"'[{','.join(items)}]'" if len(items) != 1 else items[0]

    words = ["capital-loop", f"economy={economy_name}"]
    for key in ("experiment", "shock", "policy"):
        value = settings.get(key)
        if isinstance(value, (str, list, tuple)) and value:
            words.append(f"{key}={names(value)}")
    for key, value in (settings.get("channels") or {}).items():
        if value is False:
            words.append(f"channels.{key}=false")
    montecarlo = settings.get("montecarlo") or {}
    replications = montecarlo.get("replications", settings.get("replications"))
    if replications is not None:
        words.append(f"montecarlo.replications={replications}")
    if seed is not None:
        words.append(f"montecarlo.seed={seed}")
    if settings.get("horizon_months") is not None:
        words.append(f"horizon_months={settings['horizon_months']}")
    return " ".join(words)


def provenance(
    settings: Mapping[str, Any],
    economy_name: str,
    *,
    facts: Iterable[Any] = (),
    sources: Mapping[str, Any] | None = None,
    citations: Iterable[str] = (),
    assumptions: Iterable[Mapping[str, Any]] = (),
    seed: int | None = None,
    wall_time: float | None = None,
    command: str | None = None,
    titles: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Everything needed to judge and repeat a run, as plain JSON values; no path of the machine.

    `facts`: the economy's facts (objects or mappings with table, row_id, column, value, unit, source, low, high, note);
    those marked `assumption` are listed with their ranges, after `assumptions` (of shocks and policies, same keys plus
    `name`). `sources`: the economy's sources.csv; `citations`: keys of the papers behind the rules; `wall_time` seconds.
    """
    known = [_fields(fact) for fact in facts]
    plain_settings = {str(key): plain(value) for key, value in settings.items()}
    montecarlo = plain_settings.get("montecarlo")
    if seed is None:
        seed = montecarlo.get("seed") if isinstance(montecarlo, dict) else plain_settings.get("seed")
    numeric = {key: value for key, value in plain_settings.items() if key not in PLACEMENT_KEYS}
    return {
        "program": DISTRIBUTION,
        "version": version(),
        "git_commit": git_commit(),
        "economy": economy_name,
        "seed": seed,
        "command": command or rerun_command(plain_settings, economy_name, seed),
        "config_hash": digest(numeric),
        "data_hash": digest(known),
        "packages": package_versions(),
        "machine": {"system": platform.system(), "processor": platform.machine(), "cpu_features": cpu_features()},
        "citations": sorted(set(citations)),
        "sources": plain(sources or {}),
        "assumptions": [plain(item) for item in assumptions] + _assumptions(known),
        "facts": len(known),
        "titles": dict(titles or {}),
        "wall_time_seconds": None if wall_time is None else round(float(wall_time), 3),
    }
