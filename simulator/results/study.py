"""What an experiment found beyond its scenarios' tables: result tables of its own, and the words and figures made from them.

A study is data only, so that a saved run tells the same again: everything printed or drawn comes from ``tables`` and ``facts``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Study:
    """``kind``: the experiment; ``tables``: its result tables by name; ``facts``: plain numbers and words (JSON)."""

    kind: str
    tables: Mapping[str, pd.DataFrame]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def teller(self) -> Teller:
        """The words and figures of this kind of study."""
        from simulator.results.studies import TELLERS

        return TELLERS[self.kind]


@dataclass(frozen=True)
class ShownTable:
    """A table of the report: caption, column heads (name, numeric), rows of text; ``clear``: rows set apart (interval without zero)."""

    caption: str
    head: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[str]]
    clear: Sequence[bool] = ()


@dataclass(frozen=True)
class Teller:
    """How a kind of study is told. ``figures``: of a study, name -> (drawing, how to read it)."""

    headline: Callable[[Study], str]
    findings: Callable[[Study], list[str]]
    shown: Callable[[Study], list[ShownTable]]
    figures: Callable[[Study], Mapping[str, tuple[Callable[[Study], Figure], str]]]
