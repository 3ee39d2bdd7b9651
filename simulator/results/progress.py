"""Progress people can trust: rate, time left, defaults so far, and how well the headline figure is known by now."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from simulator.results.measures import Estimate, wilson

LINE_SECONDS = 30.0
"""In a log, the first line comes after so many seconds, and each wait is half as long again as the one before."""


def interval_width(estimate: Estimate) -> float:
    """Width of an interval; 1 when there is none."""
    return estimate.high - estimate.low if estimate.n else 1.0


class Progress:
    """A bar on a terminal, a line now and then in a log, nothing unless ``shown``.

    ``total``: replications of all scenarios, ``done``: those found finished. With ``precision`` the total is an estimate, renewed as the
    width of the interval of P(systemic) becomes known.
    """

    def __init__(self, total: int, shown: bool, *, scenarios: int = 1, precision: float | None = None, stream: TextIO | None = None) -> None:
        self.total = self.most = total
        self.shown, self.scenarios, self.precision = shown, scenarios, precision
        self.stream = stream if stream is not None else sys.stderr
        self.replications = self.defaults = self.found = 0
        self.in_hand = 0.0
        self.by_scenario: dict[int, list[int]] = {}
        self.began = time.monotonic()
        self.next_line, self.pause = self.began + LINE_SECONDS, LINE_SECONDS
        self.bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def already(self, scenario: int, counts: Mapping[str, int]) -> None:
        """Count a unit that was found finished."""
        self._count(scenario, counts)
        self.found += counts["replications"]

    def begin(self) -> None:
        """Show the bar, before anything is done; in a log nothing."""
        if self.shown and self.stream.isatty():
            self._show()

    def part(self, replications: float) -> None:
        """Note how many replications' worth of work is done of units that are not finished."""
        self.in_hand = replications
        self._show()

    def advance(self, replications: int, defaults: int) -> None:
        """Note finished replications of which no more is known."""
        self.replications += replications
        self.defaults += defaults
        self._show()

    def advance_beyond(self, replications: int, defaults: int) -> None:
        """Note finished replications that were not counted in the total: experiments find out on their way how much they run."""
        self.total += replications
        self.advance(replications, defaults)

    def unit(self, scenario: int, counts: Mapping[str, int]) -> None:
        """Note a finished unit."""
        self._count(scenario, counts)
        self._show()

    def _count(self, scenario: int, counts: Mapping[str, int]) -> None:
        self.replications += counts["replications"]
        self.defaults += counts["defaults"]
        known = self.by_scenario.setdefault(scenario, [0, 0])
        known[0] += counts["systemic"]
        known[1] += counts["replications"]

    def width(self) -> float | None:
        """Width of the widest interval of P(systemic) over the scenarios; None before all of them have been seen."""
        if len(self.by_scenario) < self.scenarios or not self.by_scenario:
            return None
        return max(interval_width(wilson(systemic, n)) for systemic, n in self.by_scenario.values())

    def words(self) -> str:
        """Defaults so far and how well P(systemic) is known."""
        width = self.width()
        known = "" if width is None else f", P(systemic) ± {width * 50:.2g} points"
        return f"{self.defaults:,} default{'' if self.defaults == 1 else 's'}{known}"

    def _show(self) -> None:
        width, done = self.width(), min(self.replications + self.in_hand, self.total)
        if self.precision is not None and width is not None:  # the width falls with the root of the number
            self.total = max(self.replications, min(self.most, round(self.replications * max(1.0, (width / self.precision) ** 2))))
        if self.bar is None and self.shown and self.stream.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                total=self.total, initial=self.found, unit="rep", desc="simulating", dynamic_ncols=True, mininterval=0.2, file=self.stream,
                smoothing=0.0,  # the rate since the beginning: workers end their units together, and a rate between two of them says nothing
            )  # fmt: skip
            self.bar.start_t -= time.monotonic() - self.began  # the rate counts from the beginning
        if self.bar is not None:
            self.bar.total = self.total
            self.bar.set_postfix_str(self.words(), refresh=False)
            self.bar.update(max(int(done) - self.bar.n, 0))
        elif self.shown and (now := time.monotonic()) >= self.next_line:
            rate = (done - self.found) / max(now - self.began, 1e-9)
            left = (self.total - done) / max(rate, 1e-9)
            text = f"{self.replications:,} of {self.total:,} replications, {rate:,.0f} a second, {duration(left)} left, {self.words()}"
            print(f"capital-loop: {text}", file=self.stream, flush=True)
            self.pause *= 1.5
            self.next_line = now + self.pause


def duration(seconds: float) -> str:
    """Time in words: '45 s', '12 min', '3.4 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
