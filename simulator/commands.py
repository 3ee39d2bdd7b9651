"""Where a run goes, what a resumed one may be told, shards and their merging: the parts of the command line besides its words.

Everything heavy is imported where it is used.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.errors import InputError

if TYPE_CHECKING:
    from simulator.settings import Settings


def run_folder(settings: Settings, now: datetime) -> Path:
    """Where a run goes: ``output``, or ``runs/DATE_TIME_ECONOMY_SHOCK`` under the current folder.

    InputError: a file, a folder that holds anything but a run, or one with an unfinished run.
    """
    if settings.output is None:
        economy = settings.economy.name if settings.economy.path is None else Path(settings.economy.path).resolve().name
        stem = f"{now:%Y-%m-%d_%H-%M-%S}_{economy}_{'+'.join(settings.shock)}"
        folder = Path("runs") / stem[:120]
        return next(path for number in itertools.count(1) if not (path := folder if number == 1 else Path(f"{folder}_{number}")).exists())
    folder = Path(settings.output).expanduser()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output: {settings.output!r} is a file; give a folder")
    for place in (folder, folder.with_name(folder.name + ".writing")):
        if is_unfinished(place):
            raise InputError(f"output: {str(place)!r} holds an unfinished run; capital-loop resume={place} goes on, or give a new folder")
    if folder.is_dir() and any(folder.iterdir()) and not is_run(folder):
        raise InputError(f"output: {settings.output!r} is not empty and not a run; give a new folder")
    return folder


def is_unfinished(folder: Path) -> bool:
    """Whether a folder holds a run that was interrupted, or shards that are not merged."""
    if any(folder.glob("shard-*-of-*.json")):
        return True
    try:
        return '"state": "unfinished"' in (folder / "manifest.json").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run (config and provenance)."""
    return (folder / "config.yaml").is_file() and (folder / "provenance.json").is_file()


def shard_settings(settings: Settings) -> Settings:
    """The settings of a shard. InputError: no output, a precision, or a folder with a run of its own."""
    if settings.output is None:
        raise InputError("--shard: needs output=DIR, the same for all shards or one for each")
    if settings.montecarlo.precision is not None:
        raise InputError("--shard: a run with montecarlo.precision can't be cut, since nobody knows how long it is")
    folder = Path(settings.output).expanduser()
    if (folder / "manifest.json").exists():
        raise InputError(f"output: {settings.output!r} holds a run; shards need a folder without one")
    return settings.model_copy(update={"output": str(folder)})


def resumed_settings(settings: Settings, typed: Sequence[str]) -> Settings:
    """The settings of the run to go on with; what is typed besides must say the same, or only where and how to compute.

    InputError: nothing to go on with, or a key typed that the run in the folder has otherwise.
    """
    from simulator.menu import split_overrides
    from simulator.runs import different_keys, placed_apart, stored_settings

    choices, values = split_overrides(typed)
    folder = str(Path(str(settings.resume)).expanduser())
    anew: dict[str, object] = {"resume": folder, "resume_anyway": settings.resume_anyway, "output": None}
    if any(key.split(".")[0] == "execution" for key in (*choices, *values)):
        anew["execution"] = settings.execution.model_dump(mode="json")
    stored = stored_settings(folder, anew)
    if "montecarlo.chunk" in values:
        stored = stored.model_copy(update={"montecarlo": stored.montecarlo.model_copy(update={"chunk": settings.montecarlo.chunk})})
    mine, theirs = (placed_apart(one.model_dump(mode="json")) for one in (settings, stored))
    said = {word.split(".")[0] if word.startswith(("shock", "policy")) else word for word in (*choices, *values)}
    for key in different_keys(mine, theirs):
        if any(key == word or key.startswith(f"{word}.") for word in said):
            raise InputError(f"resume: {key} is {mine.get(key)!r} here and {theirs.get(key)!r} in {folder!r}; another run needs another folder")
    return stored


def merge_command(words: list[str]) -> str:
    """Carry out ``capital-loop merge DIR ... [output=DIR]``; returns what it has to say. InputError: bad words, or blocks that are missing."""
    usage = "usage: capital-loop merge DIR ... [output=DIR]"
    if any(word in ("-h", "--help") for word in words):
        return f"{usage}\n\nMakes one run of shards computed with --shard, in one folder or several; output: where, by default the first folder."
    outputs = [word.partition("=")[2] for word in words if word.startswith("output=")]
    folders = [word for word in words if not word.startswith("output=")]
    if not folders or len(outputs) > 1 or any(word.startswith("-") for word in folders):
        raise InputError(usage)
    for folder in folders:
        if not Path(folder).is_dir():
            raise InputError(f"merge: no folder {folder!r}")
    from simulator.api import merge_shards

    result = merge_shards(folders, outputs[0] if outputs else None)
    return f"{result.findings}\nreport: {result.folder / 'report.html'}"
