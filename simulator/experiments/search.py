"""The smallest dose that passes a test, by repeated cuts of the interval; several searches share a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Search:
    """Looks for the smallest dose in [0, top] whose value passes.

    On common draws the value of a dose is one fixed number, so the search is free of noise. A value that turns back on its way is met by the
    first grid: the bracket kept is always the lowest that was seen, and the answer passes while the dose ``tolerance`` below it does not.
    """

    top: float
    passes: Callable[[float], bool]
    tolerance: float
    cuts: int = 3
    known: dict[float, float] = field(default_factory=dict)

    def wanted(self) -> list[float]:
        """The doses to be tried next; empty when done."""
        if not self.known or self.top not in self.known:
            return [dose for dose in (self.top * step / (self.cuts + 1) for step in range(self.cuts + 2)) if dose not in self.known]
        bracket = self.bracket()
        if bracket is None or bracket[1] == 0.0 or bracket[1] - bracket[0] <= self.tolerance:
            return []
        below, above = bracket
        steps = min(self.cuts, max(1, int((above - below) / self.tolerance)))
        return [below + (above - below) * step / (steps + 1) for step in range(1, steps + 1)]

    def bracket(self) -> tuple[float, float] | None:
        """The lowest dose that passes with the highest below it that does not; (0, 0) when 0 passes; None when none does."""
        passing = [dose for dose in sorted(self.known) if self.passes(self.known[dose])]
        if not passing:
            return None
        failing = [dose for dose in sorted(self.known) if dose < passing[0]]
        return (failing[-1] if failing else 0.0), passing[0]

    @property
    def answer(self) -> float | None:
        """The smallest dose found, None when none up to the top passes."""
        bracket = self.bracket()
        return None if bracket is None else bracket[1]
