"""The errors a user may see, each told in one line: bad input, and a run that can't go on."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """Bad input of a user: one line that names the key or row, what was wrong and what is allowed. Exit code 2."""


class RunError(RuntimeError):
    """A run that can't go on: one line that says what stopped it and what is kept. Exit code 1."""


def as_path(name: str, value: Any) -> Path:
    """The path that a caller gave for ``name``. Raises InputError for what is none: no text or ``Path``, empty, or with a null in it."""
    if isinstance(value, str | os.PathLike) and isinstance(path := os.fspath(value), str) and path and "\0" not in path:
        return Path(path)
    raise InputError(f"{name}: {shown(value)} is not a path (allowed: a text or a pathlib.Path)")


def as_names(name: str, values: Any) -> list[str]:
    """The texts that a caller gave for ``name``, at least one. Raises InputError for anything but a list or tuple of texts."""
    if isinstance(values, list | tuple) and values and all(isinstance(value, str) for value in values):
        return list(values)
    raise InputError(f"{name}: {shown(values)} is not a list with at least one name")


def shown(value: Any) -> str:
    """A value as it is told in a message: on one line, cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint such as ``" – did you mean 'rate_hold'?"``, or an empty string when nothing is near."""
    matches = difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)
    return f" – did you mean '{matches[0]}'?" if matches else ""
