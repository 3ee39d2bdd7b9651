"""The manifest of a run in the making: what is run, which units are finished, and the checksum of every finished file.

It is the first file of a run folder and is renewed, by renaming, after every unit: whatever happens, it lists only files that are whole.
A run of all work keeps ``manifest.json``; shard 2 of 3 keeps ``shard-2-of-3.json`` beside the others, and `merge` makes one of all.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from simulator.errors import InputError
from simulator.results.blocks import SERIES_FOLDER, unit_name
from simulator.results.storage import COMPLETE, FORMAT, MANIFEST, as_json, write_atomically

UNFINISHED = "unfinished"
COUNTED = ("replications", "defaults", "systemic", "unconverged")  # of every finished unit; the names are those of the Monte Carlo engine


@dataclass
class Manifest:
    """A manifest and where it stands. ``units``: by unit name the counts and the names of its files; ``files``: by name checksum and size.

    ``identity``: what the numbers depend on besides the settings; ``plan``: replications and block, which name the units.
    """

    folder: Path
    settings: dict[str, Any]
    identity: dict[str, Any]
    plan: dict[str, Any]
    name: str = MANIFEST
    state: str = UNFINISHED
    seconds: float = 0.0
    units: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return self.folder / self.name

    def write(self) -> None:
        """Put it in its place, in one step."""
        known = {
            "format": FORMAT, "state": self.state, "settings": self.settings, "identity": self.identity, "plan": self.plan,
            "seconds": round(self.seconds, 3), "units": self.units, "files": self.files,
        }  # fmt: skip
        write_atomically(self.path, as_json(known))

    def enter(self, scenario: int, block: int, counts: Mapping[str, int], files: Mapping[str, dict[str, Any]]) -> None:
        """Note a finished unit, whose files are in their places, and write."""
        self.units[unit_name(scenario, block)] = {"scenario": scenario, "block": block, "counts": dict(counts), "files": sorted(files)}
        self.files.update(files)
        self.write()

    def drop(self, name: str) -> None:
        """Forget a unit and delete its files."""
        for file in self.units.pop(name)["files"]:
            self.files.pop(file, None)
            (self.folder / file).unlink(missing_ok=True)

    def counts(self) -> list[dict[str, int]]:
        """Counts of the finished units."""
        return [unit["counts"] for unit in self.units.values()]

    def damaged(self) -> list[str]:
        """Names of listed files that are missing, cut short or altered."""
        return [name for name, known in self.files.items() if not _is_whole(self.folder / name, known)]


def _is_whole(path: Path, known: Mapping[str, Any]) -> bool:
    try:
        if path.stat().st_size != known["bytes"]:
            return False
        with path.open("rb") as file:
            return bool(hashlib.file_digest(file, "sha256").hexdigest() == known["sha256"])
    except OSError:
        return False


def read_manifest(folder: Path, name: str = MANIFEST) -> Manifest:
    """The manifest of a folder. InputError: none there, damaged, of another format, or of a run that was saved from Python."""
    path = folder / name
    if not folder.is_dir():
        raise InputError(f"no folder '{folder}'")
    if not path.is_file():
        raise InputError(f"'{folder}' has no {name}: nothing to go on with")
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["format"] != FORMAT:
            raise InputError(f"'{path}' has format {known['format']}, this version reads {FORMAT}")
        if "units" not in known:
            raise InputError(f"'{folder}' was saved from Python: there is nothing to go on with")
        if not _has_its_shape(known):
            raise TypeError
        return Manifest(
            folder, known["settings"], known["identity"], known["plan"], name, known["state"], known["seconds"], known["units"], known["files"]
        )  # fmt: skip
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"'{path}' is damaged: not a manifest of a run folder") from None


def _has_its_shape(known: dict[str, Any]) -> bool:
    """Whether everything in a manifest is of the type that is read from it: a damaged file may still be JSON."""
    units, files, plan, processor = known["units"], known["files"], known["plan"], known["identity"].get("processor", [])
    return (
        all(isinstance(known[name], dict) for name in ("settings", "identity", "plan", "units", "files"))
        and isinstance(known["state"], str)
        and _is_number(known["seconds"])
        and all(_is_count(plan[name]) and plan[name] > 0 for name in ("replications", "block"))
        and _is_list_of_words(plan["scenarios"])
        and _is_list_of_words(processor)
        and all(_is_inside(name) and _is_count(entry["bytes"]) and isinstance(entry["sha256"], str) for name, entry in files.items())
        and all(_is_unit(name, entry, files) for name, entry in units.items())
    )


def _is_unit(name: str, entry: dict[str, Any], files: dict[str, Any]) -> bool:
    """Whether a finished unit is told as `Manifest.enter` tells it: its own name, every count, and files that are listed."""
    counts, listed = entry["counts"], entry["files"]
    return (
        all(_is_count(entry[place]) for place in ("scenario", "block"))
        and name == unit_name(entry["scenario"], entry["block"])
        and all(_is_count(counts[key]) for key in COUNTED)
        and _is_list_of_words(listed)
        and all(file in files for file in listed)
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list_of_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _is_inside(name: str) -> bool:
    """Whether a file's name stays inside the run folder: what is damaged is deleted under it."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def shard_names(folder: Path) -> list[str]:
    """Names of the manifests of shards in a folder."""
    return sorted(path.name for path in folder.glob("shard-*-of-*.json"))


def shard_name(number: int, shards: int) -> str:
    """Name of a shard's manifest."""
    return f"shard-{number}-of-{shards}.json"


def is_complete(folder: Path) -> bool:
    """Whether a folder holds a run that is complete."""
    try:
        return bool(json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("state", COMPLETE) == COMPLETE)
    except (OSError, ValueError, AttributeError):
        return False


def lock(folder: Path, name: str) -> IO[str]:
    """Keep a second process from the same work; closing the file, or the end of the process, lets go. InputError: it is taken."""
    file = (folder / f".{name}.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise InputError(f"another process is at work in '{folder}'") from None
    except OSError:
        pass  # a file system without locks
    return file


def remove_half_written(folder: Path, name: str, units: Iterable[str]) -> None:
    """Delete what an interrupted run has left half-written: of its manifest, and of these units (another shard may be at work on others)."""
    mine = {name.split(".")[0], *units}
    for path in folder.rglob(".*.part"):
        if path.name[1:].split(".")[0] in mine:
            path.unlink(missing_ok=True)


def remove_unlisted(folder: Path, listed: Iterable[str]) -> None:
    """Delete what a complete run does not list: half-written files anywhere, and tables and series computed beyond its end."""
    known = set(listed)
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)
    for top in ("tables", SERIES_FOLDER):
        for path in sorted((folder / top).rglob("*"), reverse=True):
            if path.is_file() and path.relative_to(folder).as_posix() not in known:
                path.unlink(missing_ok=True)
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
    if (folder / SERIES_FOLDER).is_dir() and not any((folder / SERIES_FOLDER).iterdir()):
        (folder / SERIES_FOLDER).rmdir()
