"""What the levers stand at in every tick: the changes of all shocks and policies of a scenario, combined.

The table of levers is in `lever_table.py` (imported here for users of this module).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from scenarios.distributions import value_at
from scenarios.lever_table import LEVERS, Lever, find_lever
from simulator.errors import InputError, nearest

if TYPE_CHECKING:
    from scenarios.changes import Change

__all__ = ["LEVERS", "Lever", "LeverSchedule", "Population", "find_lever"]

FloatArray = npt.NDArray[np.float64]


class Population(Protocol):
    """What the schedule needs of an economy: who there is, in the order of the rows."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the agents, (agent,)."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kind of each agent, a word of ``KINDS``, (agent,)."""

    @property
    def lender_types(self) -> tuple[str, ...]:
        """Type of each lender, a word of ``LENDER_TYPES``; empty for who is none, (agent,)."""

    @property
    def values(self) -> Mapping[str, FloatArray]:
        """The numbers of the agents by item (`scenarios.items`), (agent,) each, in the item's unit."""

    def balance_sheet(self) -> Mapping[str, FloatArray]:
        """The opening books by line, USD bn, (agent,) each."""

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """Where each agent is regulated, (agent,)."""


def _told(change: Change) -> str:
    """A change with the file that it comes from: two files may use one name."""
    return f"{change.name} ({change.origin})" if change.origin else change.name


def strength(change: Change, ticks: int, starts: npt.NDArray[np.int64] | None = None) -> FloatArray:
    """Share of its full size at which a change acts, (tick,), in [0, 1]; (tick, replication) where ``starts`` gives a month for each.

    Rule: from its first tick it builds linearly over ``builds`` months (full in the last of them), stays at full size for ``lasts``
    months and then fades linearly over ``fades`` months (gone in the last of them). No ``lasts`` and no ``fades``: it stays for good;
    ``fades`` without ``lasts``: full size in one month only. A change dated in month m acts in the tick of month m.
    """
    months = np.arange(ticks, dtype=np.float64)
    age = months - (change.starts - 1) if starts is None else months[:, None] - (starts[None, :] - 1.0)  # since the first tick of the change
    building = max(change.builds, 1)
    rising = np.minimum((age + 1.0) / building, 1.0)
    if change.lasts is None and change.fades == 0:
        falling = np.ones_like(age)
    else:
        fading_since = age + 1.0 - (building - 1 + max(change.lasts or 0, 1))  # 1 in the first fading tick
        falling = np.clip(1.0 - fading_since / max(change.fades, 1), 0.0, 1.0)
    return np.where(age >= 0.0, np.minimum(rising, falling), 0.0)


class LeverSchedule:
    """The value of every lever in every tick.

    Changes of one lever combine so: the neutral value is multiplied by every ``multiply_by``, then every ``add`` is added, then a
    ``set_to`` replaces the result (two different ones for one agent and tick: InputError). While a change builds or fades, the factor,
    the addend or the value set is interpolated linearly between neutral and full size. The total is kept inside the lever's range.

    A change of random size, date or occurrence (`scenarios.distributions`) takes them from ``luck``, and its lever then differs by
    replication; without ``luck`` it stands at its median.

    ``bank.risk_appetite`` and its like act on ``lender.risk_appetite``, the only one of them that `at` hands out (`Lever.key`).
    """

    def __init__(self, changes: Sequence[Change], economy: Population, ticks: int, luck: Callable[[str], FloatArray] | None = None) -> None:
        """changes: of all shocks and policies. economy: ids, kinds and lender_types of the agents. ticks: length of the run.

        luck: uniform draws in [0, 1) of a purpose, (replication,).
        """
        self.ticks = ticks
        self._economy = economy
        self._changes = tuple(changes)
        self._row = {agent: row for row, agent in enumerate(economy.ids)}
        self._levers = tuple(find_lever(change.lever) for change in self._changes)
        self._reached = tuple(
            reached_rows(lever, change.agents, economy, change.jurisdictions) for lever, change in zip(self._levers, self._changes, strict=True)
        )
        self._strengths, self._amounts = [], []
        for change in self._changes:
            strengths, amounts = _drawn(change, ticks, luck)
            self._strengths.append(strengths)
            self._amounts.append(amounts)
        self.neutral = self._neutral_values()
        self._segment = np.zeros(ticks, dtype=np.int64)
        self._values: list[Mapping[str, FloatArray]] = []
        self._precompute()

    def at(self, tick: int) -> Mapping[str, FloatArray]:
        """Value of every lever in a tick: (agent, 1) for levers of agents, (1, 1) for global ones; read-only.

        One that a random change moves has a column for each replication.

        The same object is returned as long as nothing changes, so ``is`` tells whether anything did. IndexError outside the run.
        """
        if not 0 <= tick < self.ticks:
            raise IndexError(f"tick {tick} is outside 0..{self.ticks - 1}")
        return self._values[int(self._segment[tick])]

    def changed(self, tick: int) -> bool:
        """Whether any lever stands elsewhere than in the tick before (before the first tick: neutral)."""
        before = self.neutral if tick == 0 else self.at(tick - 1)
        return self.at(tick) is not before

    def _neutral_values(self) -> Mapping[str, FloatArray]:
        values = {}
        for lever in LEVERS.values():
            if lever.key == lever.name:
                rows = len(self._economy.ids) if lever.scope == "agents" else 1
                values[lever.name] = _read_only(np.full((rows, 1), lever.neutral))
        return MappingProxyType(values)

    def _precompute(self) -> None:
        """One mapping for every stretch of ticks in which all changes keep their strength."""
        previous = [np.zeros((2, 1))] * len(self._changes)
        values = self.neutral
        for tick in range(self.ticks):
            states = [
                np.stack(np.broadcast_arrays(share[tick], np.where(share[tick] > 0.0, amount[tick], 0.0)))
                for share, amount in zip(self._strengths, self._amounts, strict=True)
            ]
            moved = {lever.key for lever, now, then in zip(self._levers, states, previous, strict=True) if (now != then).any()}
            if moved:
                fresh = dict(values)
                for key in sorted(moved):
                    fresh[key] = self._combine(key, tick)
                values = MappingProxyType(fresh)
            if moved or not self._values:
                self._values.append(values)
            self._segment[tick] = len(self._values) - 1
            previous = states

    def _combine(self, key: str, tick: int) -> FloatArray:
        lever = LEVERS[key]
        acting = [place for place, other in enumerate(self._levers) if other.key == key and self._strengths[place][tick].any()]
        if not acting:
            return self.neutral[key]
        width = max(self._strengths[place].shape[1] for place in acting)
        value = np.repeat(self.neutral[key], width, axis=1)
        added = np.zeros_like(value)
        is_set = np.zeros(value.shape, dtype=bool)
        set_value = np.zeros_like(value)
        setter: Change | None = None
        for place in acting:
            change, rows, share, size = self._changes[place], self._reached[place], self._strengths[place][tick], self._amounts[place][tick]
            if change.operation == "multiply_by":
                value[rows] *= 1.0 + (size - 1.0) * share
            elif change.operation == "add":
                added[rows] += size * share
            else:
                amount = lever.neutral + (size - lever.neutral) * share
                sets = rows[:, None] & np.broadcast_to(share > 0.0, (1, width))
                clash = sets & is_set & (set_value != amount)
                if setter is not None and clash.any():
                    raise InputError(self._conflict(key, tick, setter, change, clash.any(axis=1)))
                setter = change
                set_value = np.where(sets, amount, set_value)
                is_set |= sets
        value = np.where(is_set, set_value, value + added)
        return _read_only(np.clip(value, lever.low, lever.high))

    def _conflict(self, key: str, tick: int, first: Change, second: Change, clash: npt.NDArray[np.bool_]) -> str:
        where = "" if LEVERS[key].scope == "global" else f" of {self._economy.ids[int(np.flatnonzero(clash)[0])]}"
        return (
            f"{_told(first)} and {_told(second)} set {key}{where} to different values ({first.amount:g} and {second.amount:g}) "
            f"in month {tick + 1}; keep one, or use add or multiply_by, which combine"
        )


def _drawn(change: Change, ticks: int, luck: Callable[[str], FloatArray] | None) -> tuple[FloatArray, FloatArray]:
    """Strength and amount of a change in every tick, each (tick, 1) or (tick, replication)."""
    if change.path:
        amounts = value_at(change.path, ticks)
        return np.where(np.isnan(amounts), 0.0, 1.0)[:, None], np.nan_to_num(amounts)[:, None]
    if luck is None or not change.is_random:
        return strength(change, ticks)[:, None], np.full((ticks, 1), change.amount)
    purpose = f"{change.name}/{change.lever}"
    starts = None if change.dates is None else change.dates.whole(luck(f"date/{purpose}"))
    strengths = strength(change, ticks, starts)
    strengths = strengths[:, None] if strengths.ndim == 1 else strengths
    if change.probability < 1.0:
        strengths = strengths * (luck(f"happens/{purpose}") < change.probability)[None, :]
    size = np.array([change.amount]) if change.sizes is None else change.sizes.quantile(luck(f"size/{purpose}"))
    amounts = np.broadcast_to(size[None, :], (ticks, len(size)))
    width = max(strengths.shape[1], amounts.shape[1])
    return np.broadcast_to(strengths, (ticks, width)), amounts


def reached_rows(
    lever: Lever, agents: Sequence[str], economy: Population, jurisdictions: Sequence[str] = ()
) -> npt.NDArray[np.bool_]:
    """Which rows of the lever's array a change moves, (agent,) or (1,) bool.

    InputError: an unknown agent or jurisdiction, an agent that the lever can't reach, or agents or jurisdictions given for a global lever.
    """
    if lever.scope == "global":
        for key, given in (("agents", agents), ("jurisdictions", jurisdictions)):
            if given:
                raise InputError(f"{key}: {lever.name} is a global lever and takes no {key}")
        return np.ones(1, dtype=bool)
    reached = np.ones(len(economy.ids), dtype=bool)
    for wanted, words in ((lever.kind, economy.kinds), (lever.lender_type, economy.lender_types)):
        if wanted is not None:
            reached &= np.array(words) == wanted
    if jurisdictions:
        known = sorted({place for place in economy.jurisdictions if place})
        for place in jurisdictions:
            if place not in known:
                raise InputError(f"jurisdictions: no agent of this economy is in {place!r}{nearest(place, known)} (there are: {', '.join(known)})")
        reached &= np.array([place in jurisdictions for place in economy.jurisdictions], dtype=bool)
    if not agents:
        return reached
    rows = np.zeros(len(economy.ids), dtype=bool)
    for agent in agents:
        if agent not in economy.ids:
            raise InputError(f"agents: unknown agent {agent!r} in this economy{nearest(agent, economy.ids)}")
        row = economy.ids.index(agent)
        if not reached[row]:
            where = f" of {' or '.join(jurisdictions)}" if jurisdictions else ""
            raise InputError(f"agents: {agent} is a {economy.kinds[row]}, which {lever.name} ({lever.reach}{where}) does not reach")
        rows[row] = True
    return rows


def _read_only(array: FloatArray) -> FloatArray:
    array.flags.writeable = False
    return array
