"""How far a task has come: said by who works on it, heard by who waits for it, in the same process or in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[float], None]] = []


def beat(share: float) -> None:
    """Say that ``share`` of the task in hand is done, in [0, 1]; where nobody listens, nothing happens."""
    if _listeners:
        _listeners[-1](share)


@contextmanager
def heard_by(listener: Callable[[float], None]) -> Iterator[None]:
    """While this lasts, ``listener`` hears what is said."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.pop()
