"""Mesa without its spaces and experiments, which this program doesn't use: they are loaded when somebody asks for them.

They bring NetworkX and SciPy's geometry along, and while they are there Mesa itself takes longer to load (it looks through all modules for
the one that called it): together a third of what a run waits for before it begins. Who imports Mesa first gets it whole, as ever.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

WAITING = frozenset({"mesa.experimental", "mesa.space"})


class _WhenAsked(importlib.abc.MetaPathFinder):
    """Finds the modules of `WAITING`, for which `_Later` stands."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module as Python finds it, to be loaded later; None for every other."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname in WAITING else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)
        return spec


class _Later(importlib.abc.Loader):
    """Loads a module when a name is asked of it that every module doesn't have anyway.

    `importlib.util.LazyLoader` would load it also for who only asks where its file is, as the module `inspect` does of all of them.
    """

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module empty until a name is asked of it."""

        def load(name: str) -> Any:
            if vars(module).pop("__getattr__", None) is not None:
                self.loader.exec_module(module)
            return getattr(module, name)

        vars(module)["__getattr__"] = load


@contextmanager
def _some_later() -> Iterator[None]:
    finder = _WhenAsked()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


with _some_later():
    import mesa

__all__ = ["mesa"]
