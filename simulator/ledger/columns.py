"""State as columns ``(agent, replication)``, and agents and cohorts as windows on them.

A *stock* or *flow* is a class attribute of an agent; its values for all agents and replications stand in one
array. A Mesa agent is a window on one row. A *cohort* is the same class bound to a slice of rows. Rules run on
cohorts only (of one agent or of all of a kind), so the same line serves the classroom and the Monte Carlo run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Method = TypeVar("Method", bound=Callable[..., Any])


class Column:
    """One named quantity of an agent: unit and meaning here, values in :class:`Columns`.

    Read on a cohort it is the array ``(n, R)`` (parameters: ``(n, 1)``); read on a Mesa agent a plain float when
    there is one replication, else the array ``(R,)``.
    """

    role = "column"

    def __init__(self, unit: str, meaning: str) -> None:
        self.unit, self.meaning, self.name = unit, meaning, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, actor: Any, owner: type | None = None) -> Any:
        if actor is None:
            return self
        values = actor.columns[self.name][actor.rows]
        return values if actor.is_cohort else _spoken(values)

    def __set__(self, actor: Any, value: Any) -> None:
        raise AttributeError(f"{self.name} is written by the ledger only")


class Stock(Column):
    """A quantity at a moment; written by the ledger only."""

    role = "stock"


class Flow(Column):
    """A quantity of one tick, or a decision taken in it; written when the tick stores a rule's answer."""

    role = "flow"


class Parameter(Column):
    """A number of the economy's tables that stays fixed during a run, ``(n, 1)``."""

    role = "parameter"


class Columns(Mapping[str, Array]):
    """All columns of a batch by name; stocks and flows ``(N, R)``, parameters ``(N, 1)``, C-contiguous.

    A parameter that is uncertain (`scenarios.variation`) differs by replication: ``(N, R)``.
    """

    def __init__(self, agents: int, replications: int) -> None:
        self.agents, self.replications = agents, replications
        self._arrays: dict[str, Array] = {}
        self.roles: dict[str, str] = {}

    def add(self, name: str, values: Any = 0.0, role: str = "stock") -> Array:
        """Make a column from a number, ``(N,)`` or ``(N, R)`` values; returns the array that stands from now on."""
        values = np.asarray(values, dtype=np.float64)
        if values.ndim == 1:
            values = values[:, None]
        width = self.replications if role != "parameter" else values.shape[-1] if values.ndim == 2 else 1
        array = np.empty((self.agents, width))
        array[...] = values
        self._arrays[name] = array
        self.roles[name] = role
        return array

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays by name."""
        return self._arrays

    def view(self, arrays: dict[str, Array], replications: int) -> Columns:
        """The same columns on other arrays, as of a part of the batch."""
        columns = Columns(self.agents, replications)
        columns._arrays, columns.roles = arrays, self.roles
        return columns

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def freeze(self, frozen: bool = True) -> None:
        """Make every column read-only (``frozen``) or writable: a rule must work on read-only columns."""
        for array in self._arrays.values():
            array.flags.writeable = not frozen


def _spoken(values: Array) -> Any:
    """What a Mesa user reads: a float for one replication, else ``(R,)``."""
    return float(values[0, 0]) if values.shape == (1, 1) else values[0]


def rule(unit: str) -> Callable[[Method], Method]:
    """Mark a method as a rule: it reads and decides, writes nothing, and answers an array ``(n, R)`` in ``unit``.

    Asked of a Mesa agent, the rule runs on the agent's cohort of one and answers a float (or ``(R,)``).
    """

    def mark(method: Method) -> Method:
        @wraps(method)
        def answer(self: Any, *arguments: Any) -> Any:
            if self.is_cohort:
                return method(self, *arguments)
            return _spoken(np.atleast_2d(method(self.cohort, *arguments)))

        answer.unit = unit  # type: ignore[attr-defined]
        answer.is_rule = True  # type: ignore[attr-defined]
        return answer  # type: ignore[return-value]

    return mark
