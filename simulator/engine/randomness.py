"""Every draw of the model, by name: stream = (seed, replication, purpose).

One block draw a purpose, of shape (tick, slot); its size does not depend on the state, a removed agent keeps its slot, and a
shorter horizon is a prefix of a longer one. So replication 7 is the same alone, in any chunk, and under any policy.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from simulator.streams import hashed, stream

__all__ = ["BELOW_ONE", "COMMON", "OWN", "Draws", "Quiet", "permutations", "stream", "uniforms"]

Array = NDArray[np.float64]

COMMON = ("market", "ai", "common_demand")
"""Purposes with one draw a tick for all agents."""

OWN = ("own_return", "own_demand")
"""Purposes with one draw a tick for each agent."""


def uniforms(seed: int, replications: Sequence[int], purpose: str, mirrored: bool = False) -> Array:
    """One uniform draw in [0, 1) a replication, ``(R,)``; the same number has the same draw wherever it stands.

    ``mirrored``: as in :class:`Draws`; an odd number has 1 - u for the u of the even number before it.
    """
    drawn = {}
    for number in set(replications):
        is_mirror = mirrored and number % 2 == 1
        share = float(stream(seed, number - 1 if is_mirror else number, purpose).random())
        drawn[number] = min(1.0 - share, BELOW_ONE) if is_mirror else share
    return np.array([drawn[number] for number in replications])


BELOW_ONE = float(np.nextafter(1.0, 0.0))


class Draws:
    """Standard normal draws of a batch, for all ticks: ``at(tick)[purpose]`` is ``(N, R)`` or ``(1, R)``.

    A number may stand in several columns, which then share their luck (coalitions of channels do); it is drawn once. ``numbers``: the
    different ones in ascending order; ``places``: where each column's number stands among them, ``(R,)``, or None when none repeats.

    ``mirrored``: antithetic pairs. An even number has the luck that it always has, the odd number after it the opposite: every normal draw z
    becomes -z, every uniform one u becomes 1 - u.
    """

    def __init__(self, seed: int, replications: Sequence[int], ticks: int, agents: int, mirrored: bool = False) -> None:
        self.mirrored = mirrored
        self.numbers: tuple[int, ...] = tuple(int(number) for number in replications)
        self.places: NDArray[np.int64] | None = None
        if len(set(self.numbers)) < len(self.numbers):
            different, places = np.unique(np.array(self.numbers, dtype=np.int64), return_inverse=True)
            self.numbers, self.places = tuple(different.tolist()), places.astype(np.int64)
        self._blocks: dict[str, Array] = {}  # (tick, slot, number), as views: they lie in memory as they are drawn, number after number
        for purpose in (*COMMON, *OWN):
            slots = 1 if purpose in COMMON else agents
            generator = stream(seed, 0, purpose)
            fresh = generator.bit_generator.state  # with another key it is another stream at its start: cheaper than a new generator
            drawn = np.empty((len(self.numbers), ticks * slots))
            for row, replication in zip(drawn, self.numbers, strict=True):
                is_mirror = mirrored and replication % 2 == 1
                fresh["state"]["key"][1] = replication - 1 if is_mirror else replication
                generator.bit_generator.state = fresh
                generator.standard_normal(out=row)
                if is_mirror:
                    np.negative(row, out=row)
            self._blocks[purpose] = drawn.reshape(len(drawn), ticks, slots).transpose(1, 2, 0)

    def at(self, tick: int) -> Mapping[str, Array]:
        """The draws of one tick by purpose."""
        if self.places is None:  # turned into columns when its turn comes: a month of draws fits into the processor's cache
            return {purpose: np.ascontiguousarray(block[tick]) for purpose, block in self._blocks.items()}
        return {purpose: np.take(block[tick], self.places, axis=1) for purpose, block in self._blocks.items()}

    def with_more(self, seed: int, ids: Sequence[str], ticks: int) -> Draws:
        """The same draws with a slot more for each of ``ids``, from streams named after it: nobody else's luck moves."""
        wider = copy.copy(self)
        wider._blocks = dict(self._blocks)
        for purpose in OWN:
            own = np.empty((ticks, len(ids), len(self.numbers)))
            for slot, name in enumerate(ids):
                for column, replication in enumerate(self.numbers):
                    is_mirror = self.mirrored and replication % 2 == 1
                    drawn = stream(seed, replication - 1 if is_mirror else replication, f"{purpose}/{name}").standard_normal(ticks)
                    own[:, slot, column] = -drawn if is_mirror else drawn
            wider._blocks[purpose] = np.concatenate([self._blocks[purpose], own], axis=1)
        return wider

    @property
    def columns(self) -> tuple[int, ...]:
        """The number of each column."""
        return self.numbers if self.places is None else tuple(self.numbers[place] for place in self.places.tolist())

    def without_repeats(self) -> Draws:
        """The same draws with one column a number."""
        if self.places is None:
            return self
        single = copy.copy(self)
        single.places = None
        return single


class PathDraws(Draws):
    """Draws of paths that branch off one another or are pushed in one direction; one column a path, otherwise as :class:`Draws`.

    ``roots``: the number whose luck each path begins with, also that of random shocks. ``branches``: by path, ``(tick, repetition, level,
    parent, child)`` in the order of ticks; from the tick on, the path has the draws of the clone's own stream. ``pushes``: by purpose what is
    added to every draw of a slot at strength 1, ``(slots,)``; ``strengths``: by path.
    """

    def __init__(
        self, seed: int, roots: Sequence[int], ticks: int, agents: int, branches: Sequence[Sequence[Branch]] = (),
        pushes: Mapping[str, Array] | None = None, strengths: Array | None = None,
    ) -> None:  # fmt: skip
        super().__init__(seed, roots, ticks, agents)
        if self.places is not None:
            self._blocks = {purpose: np.take(block, self.places, axis=2) for purpose, block in self._blocks.items()}
            self.numbers, self.places = self.columns, None
        self.branches = branches
        generator = stream(seed, 0, "clone")
        fresh = generator.bit_generator.state  # as in Draws: the same as `clone_stream`, without a new generator
        for column, path in enumerate(branches):
            for tick, repetition, level, parent, child in path:
                for purpose, block in self._blocks.items():
                    fresh["state"]["key"][:] = hashed(seed, clone_name(level, parent, child, purpose)), repetition
                    generator.bit_generator.state = fresh
                    block[tick:, :, column] = generator.standard_normal((ticks, block.shape[1]))[tick:]
        for purpose, push in (pushes or {}).items():
            for slot in np.flatnonzero(push):
                self._blocks[purpose][:, slot, :] += push[slot] * (strengths if strengths is not None else 1.0)

    def with_more(self, seed: int, ids: Sequence[str], ticks: int) -> Draws:
        """As :meth:`Draws.with_more`, with a clone's own luck for ``ids`` too."""
        wider = super().with_more(seed, ids, ticks)
        first = {purpose: self._blocks[purpose].shape[1] for purpose in OWN}
        for column, path in enumerate(self.branches):
            for tick, repetition, level, parent, child in path:
                for purpose in OWN:
                    for slot, name in enumerate(ids, first[purpose]):
                        own = clone_stream(seed, repetition, level, parent, child, f"{purpose}/{name}").standard_normal(ticks)
                        wider._blocks[purpose][tick:, slot, column] = own[tick:]
        return wider

    def along(self, pushes: Mapping[str, Array]) -> Array:
        """Sum of push times draw over all slots up to each tick, ``(T, R)``: all of the draws that a likelihood ratio needs."""
        block = self._blocks[COMMON[0]]
        found = np.zeros((block.shape[0], block.shape[2]))
        for purpose, push in pushes.items():
            for slot in np.flatnonzero(push):
                found += push[slot] * self._blocks[purpose][:, slot, :]
        return np.cumsum(found, axis=0)

    def sums(self, until: NDArray[np.int64]) -> dict[str, Array]:
        """Sum of the draws up to the tick ``until (R,)``, this included, by purpose, ``(slots, R)``."""
        running = (np.arange(self._blocks[COMMON[0]].shape[0])[:, None] <= until)[:, None, :]
        return {purpose: np.cumsum(block * running, axis=0)[-1] for purpose, block in self._blocks.items()}


Branch = tuple[int, int, int, int, int]
"""Tick from which on a clone has draws of its own, and its name: repetition, level, parent, child."""


def clone_name(level: int, parent: int, child: int, purpose: str) -> str:
    """The purpose of a clone's stream: the ``child``-th of ``parent`` (its place on the level before) at a level."""
    return f"clone/{level}/{parent}/{child}/{purpose}"


def clone_stream(seed: int, repetition: int, level: int, parent: int, child: int, purpose: str) -> np.random.Generator:
    """The stream of a clone in multilevel splitting."""
    return stream(seed, repetition, clone_name(level, parent, child, purpose))


def drawn_lots(seed: int, repetition: int, level: int, number: int, lots: int) -> NDArray[np.int64]:
    """Which ``lots`` of ``number`` parents have one child more at a level, ``(lots,)`` in ascending order; a stream of its own."""
    return np.sort(stream(seed, repetition, f"lots/{level}").choice(number, lots, replace=False)).astype(np.int64)


def permutations(seed: int, replication: int, players: int, number: int) -> NDArray[np.int64]:
    """Random orders of ``players``, in antithetic pairs (an order, then its reverse), ``(2 number, players)``; a stream of their own."""
    generator = stream(seed, replication, "permutations")
    orders = [generator.permutation(players) for _ in range(number)]
    return np.array([each for order in orders for each in (order, order[::-1])], dtype=np.int64).reshape(2 * number, players)


class Quiet:
    """Draws of the quiet world: no luck at all. Its sales are what the agents foresee at the start."""

    def __init__(self, agents: int) -> None:
        self.agents = agents
        self._draws = {purpose: np.zeros((1 if purpose in COMMON else agents, 1)) for purpose in (*COMMON, *OWN)}

    def at(self, tick: int) -> Mapping[str, Array]:
        """Zero for every purpose, ``(N, 1)`` or ``(1, 1)``."""
        return self._draws

    def with_more(self, seed: int, ids: Sequence[str], ticks: int) -> Quiet:
        """No luck for ``ids`` either."""
        return Quiet(self.agents + len(ids))
