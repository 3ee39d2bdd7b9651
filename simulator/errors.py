"""The errors a user may see, each told in one line: bad input, and a run that can't go on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input of a user: one line that names the key or row, what was wrong and what is allowed. Exit code 2."""


class RunError(RuntimeError):
    """A run that can't go on: one line that says what stopped it and what is kept. Exit code 1."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint such as ``" – did you mean 'rate_hold'?"``, or an empty string when nothing is near."""
    matches = difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)
    return f" – did you mean '{matches[0]}'?" if matches else ""
