"""Side by side: one Mesa agent at a time, cohorts of a batch, and plain Python floats. Run: python benchmarks/side_by_side.py

First the two steppings must give the same bits and the plain port the same answers; then they are timed. One line
``name value unit`` a figure; README.md of this folder says what each means. Exit code 1 when something differs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))

from agents.registry import FIRM_KINDS
from benchmarks.harness import at_least_one, in_turns, report
from benchmarks.plain_float import PORTS, Asked, PlainModel
from simulator.engine.inputs import opened
from simulator.engine.model import ContagionModel
from simulator.engine.montecarlo import Plan
from simulator.errors import InputError

TABLES = ("loans", "stakes", "orders", "leases", "guarantees")
BATCH = Plan().chunk


# ---------------------------------------------------------------------- the model, listened to


class _Watched(Mapping[str, Any]):
    """A mapping of arrays that notes what is read from it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values_by_name, self.read = values, set[str]()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def __contains__(self, name: object) -> bool:
        return name in self.values_by_name


class _WatchedBooks:
    """Books that note the columns, levers, draws and series that are read."""

    def __init__(self, books: Any) -> None:
        self.books = books
        self.columns, self.levers = _Watched(books.columns), _Watched(books.levers)
        self.draws, self.series, self.macro = _Watched(books.draws), _Watched(books.series), _Watched(books.macro)
        self.others: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.books, name)
        if isinstance(value, int | float):
            self.others[name] = value
        return value

    def through(self, channel: str, name: str) -> Any:
        """A column as an amplifier lets others see it."""
        self.others[f"{name}_seen"] = self.books.through(channel, name)
        return self.others[f"{name}_seen"]

    def read_by(self, kind: str, rows: slice) -> dict[str, list[float]]:
        """What was read, by the name of the port's attribute, a float per agent."""
        named = {name: self.books.columns[name] for name in self.columns.read} | self.others
        named |= {f"{name.removeprefix(f'{kind}.').replace('.', '_')}_lever": self.books.levers[name] for name in self.levers.read}
        for sort, watched in (("draw", self.draws), ("series", self.series), ("macro", self.macro)):
            named |= {f"{name}_{sort}": watched.values_by_name[name] for name in watched.read}
        count = rows.stop - rows.start
        found = {}
        for name, values in named.items():
            if isinstance(values, int | float):
                found[name] = [values] * count
            else:
                found[name] = values[rows, 0].tolist() if len(values) > 1 else values[:, 0].tolist() * count
        return found


class _Actor:
    """Stands in for a cohort (``actor``): passes a rule's question on through ``ask(actor, rule)``."""

    def __init__(self, actor: Any, ask: Callable[[Any, str], Any]) -> None:
        self.actor, self.ask, self.rows = actor, ask, actor.rows

    def __getattr__(self, name: str) -> Any:
        return lambda: self.ask(self.actor, name)


class _ListeningModel(ContagionModel):
    """A model whose hyperscalers and cloud providers are asked through :meth:`ask`, which answers as they do."""

    together = True

    def ask(self, actor: Any, rule: str) -> Any:
        """The answer of a cohort or agent to a rule, of the rule's shape."""
        return getattr(actor, rule)()

    def actors(self, rule: str, kinds: tuple[str, ...] = FIRM_KINDS) -> Iterable[Any]:
        """The two kinds apart from the others, and told apart from each other or not, as ``together`` says: which moves no bit."""
        others = tuple(kind for kind in kinds if kind not in PORTS)
        ported = [kind for kind in kinds if kind in PORTS]
        groups = [tuple(ported)] if self.together else [(kind,) for kind in ported]
        listened = [_Actor(actor, self.ask) for group in groups for actor in super(_ListeningModel, self).actors(rule, group)]
        return [*super().actors(rule, others), *listened]


class RecordedModel(_ListeningModel):
    """One replication that keeps every question to the two kinds in ``asked``, one kind after the other."""

    together = False

    def __init__(self, economy: Any, **options: Any) -> None:
        super().__init__(economy, **{"mesa_agents": False, **options})
        if self.books.replications != 1:
            raise ValueError("one replication is recorded at a time")
        self.asked: list[Asked] = []

    def ask(self, actor: Any, rule: str) -> Any:
        """The answer; what the rule read of the books is kept with it."""
        books = _WatchedBooks(actor.books)
        cohort = type(actor).cohort_of(books, actor.rows)
        answer = getattr(cohort, rule)()
        count = actor.rows.stop - actor.rows.start
        answers = answer[:, 0].tolist() * (1 if len(answer) == count else count)
        self.asked.append(Asked(actor.kind, rule, books.tick, books.read_by(actor.kind, actor.rows), answers))
        return answer


class TimedModel(_ListeningModel):
    """Any batch and stepping; ``rule_seconds`` is the time spent in the rules of the two kinds."""

    rule_seconds = 0.0

    def ask(self, actor: Any, rule: str) -> Any:
        """The answer, its time added up."""
        method = getattr(actor, rule)
        start = time.perf_counter()
        answer = method()
        self.rule_seconds += time.perf_counter() - start
        return answer


# ---------------------------------------------------------------------- checks and timings


def state_of(model: ContagionModel, number: int) -> dict[str, NDArray[Any]]:
    """Everything that replication ``number`` has come to: columns, states of contracts, series now and by tick, losses."""
    position, width = model.replications.index(number), len(model.replications)

    def one(values: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(values[..., position if values.shape[-1] == width else 0])

    books, ledger = model.books, model.ledger
    found = {f"column {name}": one(values) for name, values in books.columns.items()}
    for table in TABLES:
        found |= {f"{table} {name}": one(values) for name, values in getattr(books, table).state.items()}
    found |= {f"series {name}": one(values) for name, values in books.series.items()}
    found |= {f"recorded series {name}": one(values) for name, values in model.recorder.series.items()}
    losses = {f"losses {name}": one(values) for name, values in ledger.loss_by_tag.items()}
    return found | {name: values for name, values in losses.items() if values.any()}  # an account may be open for another replication's sake


def differing(ours: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]]) -> list[str]:
    """Names of what is missing on one side or not the same to the bit."""
    names = sorted(ours.keys() ^ theirs.keys())
    return names + [name for name in ours if name in theirs and ours[name].tobytes() != theirs[name].tobytes()]


def gate(economy: Any, replications: int, options: dict[str, Any]) -> tuple[int, list[str]]:
    """Compare the two steppings after the whole horizon, for the first, middle and last replication of a batch.

    Returns how many arrays were compared, and a line for each that differs.
    """
    batch = ContagionModel(economy, replications=range(replications), mesa_agents=False, stepping="cohorts", **options).run()
    compared, found = 0, []
    for number in sorted({0, replications // 2, replications - 1}):
        alone = ContagionModel(economy, replications=(number,), stepping="agents", **options).run()
        ours, theirs = state_of(batch, number), state_of(alone, number)
        compared += len(ours)
        found += [f"replication {number}: {name} differs between cohorts and one agent at a time" for name in differing(ours, theirs)]
    return compared, found


def over(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Median of how many times faster the second is, repeat by repeat."""
    return statistics.median(one / other for one, other in zip(slow, fast, strict=True))


def time_steppings(economy: Any, replications: int, repeats: int, options: dict[str, Any]) -> None:
    """Whole runs in turns, from the opened economy to the end of the horizon; each Mesa repeat is another replication."""

    def seconds(**how: Any) -> float:
        start = time.perf_counter()
        model = ContagionModel(economy, **how, **options).run()
        return (time.perf_counter() - start) / len(model.replications)

    mesa, batched = in_turns(
        repeats,
        lambda repeat: seconds(replications=(repeat,), stepping="agents"),
        lambda _: seconds(replications=range(replications), mesa_agents=False),
    )
    report("mesa_seconds_per_replication", statistics.median(mesa), "seconds")
    report("batched_seconds_per_replication", statistics.median(batched), "seconds")
    report("batched_over_mesa_ratio", over(mesa, batched), "times")
    report("batched_over_mesa_least_ratio", min(one / other for one, other in zip(mesa, batched, strict=True)), "times")


def time_rules(economy: Any, plain: PlainModel, replications: int, repeats: int, options: dict[str, Any]) -> None:
    """The rules of two kinds alone, in turns: plain floats, our Mesa agents one at a time, and cohorts of a batch."""

    def seconds(**how: Any) -> float:
        model = TimedModel(economy, **how, **options)
        model.run()
        return model.rule_seconds / len(model.replications)

    floats, mesa, batched = in_turns(
        repeats,
        lambda _: plain.seconds(),
        lambda _: seconds(replications=(0,), stepping="agents"),
        lambda _: seconds(replications=range(replications), mesa_agents=False),
    )
    report("plain_float_seconds_per_replication", statistics.median(floats), "seconds")
    report("mesa_rules_seconds_per_replication", statistics.median(mesa), "seconds")
    report("batched_rules_seconds_per_replication", statistics.median(batched), "seconds")
    report("batched_rules_over_plain_float_ratio", over(floats, batched), "times")
    report("batched_rules_over_mesa_rules_ratio", over(mesa, batched), "times")
    report("plain_float_over_mesa_rules_ratio", over(mesa, floats), "times")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, time and print; returns the exit code."""
    parser = argparse.ArgumentParser(description="Time one Mesa agent at a time, cohorts of a batch, and plain Python floats side by side.")
    parser.add_argument(
        "--replications", type=at_least_one, default=BATCH, help=f"replications of the batch (default {BATCH}, a chunk of the program)"
    )
    parser.add_argument("--repeats", type=at_least_one, default=5, help="repeats of each timing, of which the median is told (default 5)")
    parser.add_argument("--ticks", type=at_least_one, default=60, help="months (default 60)")
    parser.add_argument("--economy", default="us_ai_2025", help="name or folder of an economy (default us_ai_2025)")
    parser.add_argument("--shock", nargs="*", default=[], help="shocks by name (default none)")
    given = parser.parse_args(arguments)
    options = {"horizon_months": given.ticks, "shock": tuple(given.shock)}
    try:
        economy = opened(given.economy)
        with threadpool_limits(limits=1):
            return _side_by_side(economy, given.replications, given.repeats, options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2


def _side_by_side(economy: Any, replications: int, repeats: int, options: dict[str, Any]) -> int:
    compared, found = gate(economy, replications, options)  # runs first: it also prepares the quiet world, which is kept per economy
    if not found:
        recorded = RecordedModel(economy, **options)
        recorded.run()
        plain = PlainModel(recorded.asked)
        found = [f"plain float port: {line}" for line in plain.differences()]
    if found:
        for line in found:
            print(line, file=sys.stderr)
        return 1
    report("agents", len(economy.ids), "agents")
    report("ticks", options["horizon_months"], "ticks")
    report("batch", replications, "replications")
    report("arrays_with_same_bits", compared, "arrays")
    report("plain_float_answers_checked", sum(len(question.answers) for question in plain.asked), "answers")
    time_steppings(economy, replications, repeats, options)
    time_rules(economy, plain, replications, repeats, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
