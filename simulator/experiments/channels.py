"""The experiment ``channel_decomposition``: what each channel adds to an outcome, off, alone and as its Shapley share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.engine.coalitions import ColumnSet
from simulator.engine.randomness import permutations
from simulator.errors import InputError
from simulator.experiments import shapley
from simulator.experiments.bench import Bench, outcome
from simulator.results.measures import mean_interval
from simulator.results.study import Study

if TYPE_CHECKING:
    from simulator.experiment_settings import ChannelDecomposition

Array = NDArray[np.float64]
EXACT_MAX = 6
Z = 1.959963984540054  # 95 % of a normal


class Game:
    """Values of coalitions of channels by replication, each computed once: ``value(replication, coalition)``."""

    def __init__(self, bench: Bench, players: tuple[str, ...], measure: str) -> None:
        self.bench, self.players, self.measure = bench, players, measure
        self.known: dict[tuple[int, int], float] = {}
        self.columns = 0

    def play(self, numbers: NDArray[np.int64], coalitions: NDArray[np.bool_]) -> None:
        """Compute the columns ``(W,)``, ``(W, P)`` that are not known yet, all in one batch."""
        codes = shapley.code_of(coalitions)
        keys = np.unique(np.stack([numbers, codes], axis=1), axis=0)
        keys = np.array([key for key in keys.tolist() if tuple(key) not in self.known], dtype=np.int64).reshape(-1, 2)
        if not len(keys):
            return
        on = (keys[:, 1:] >> np.arange(len(self.players)) & 1).astype(bool)
        switches = {name: on[:, place] for place, name in enumerate(self.players)}
        frame = self.bench.run_columns(self.bench.chosen(), ColumnSet(keys[:, 0], switches))
        values = outcome(frame, self.measure).astype(float)
        self.known.update({(number, code): value for (number, code), value in zip(keys.tolist(), values.tolist(), strict=True)})
        self.columns += len(keys)

    def values(self, numbers: NDArray[np.int64], coalitions: NDArray[np.bool_]) -> Array:
        """The values of known columns, ``(W,)``."""
        codes = shapley.code_of(coalitions)
        return np.array([self.known[number, code] for number, code in zip(numbers.tolist(), codes.tolist(), strict=True)])


def players_of(bench: Bench, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The channels that play: those asked for, or all that are on. InputError for a player that is switched off, or fewer than two."""
    on = [name for name, is_on in bench.settings.channel_switches().items() if is_on]
    for name in asked:
        if name not in on:
            raise InputError(f"experiment.channels: {name} is switched off (channels.{name}=false), so it adds nothing to tell apart")
    players = tuple(asked) or tuple(on)
    if len(players) < 2:
        raise InputError(f"experiment.channels: {len(players)} channel to share the loss (at least 2)")
    return players


def decompose(bench: Bench, asked: ChannelDecomposition) -> Study:
    """The study: table ``shares`` with a row a channel, and the whole."""
    players = players_of(bench, asked.channels)
    game = Game(bench, players, asked.outcome)
    exact = asked.method == "exact" or (asked.method == "auto" and len(players) <= EXACT_MAX)
    numbers = np.arange(asked.replications, dtype=np.int64)
    shares = _exactly(game, numbers) if exact else _by_orders(game, numbers, asked.pairs)
    count = len(players)
    full, none = np.ones(count, dtype=bool), np.zeros(count, dtype=bool)
    whole = _all(game, numbers, full) - _all(game, numbers, none)
    rows = []
    for place, name in enumerate(players):
        without, alone = full.copy(), none.copy()
        without[place], alone[place] = False, True
        off = mean_interval(_all(game, numbers, full) - _all(game, numbers, without))
        single = mean_interval(_all(game, numbers, alone) - _all(game, numbers, none))
        error = float(np.hypot(shares.error_luck[place], shares.error_orders[place]))
        value = float(shares.value[place])
        rows.append({
            "channel": name, "share": value, "share_low": value - Z * error, "share_high": value + Z * error,
            "error_luck": float(shares.error_luck[place]), "error_orders": float(shares.error_orders[place]),
            "off": off.value, "off_low": off.low, "off_high": off.high, "alone": single.value, "alone_low": single.low, "alone_high": single.high,
        })  # fmt: skip
    total = mean_interval(whole)
    table = pd.DataFrame(rows)
    table["part"] = table["share"] / total.value if total.value else np.nan
    by_replication = pd.DataFrame(shares.by_replication, columns=list(players))
    by_replication.insert(0, "replication", numbers)
    by_replication["whole"] = whole
    facts = {
        "outcome": asked.outcome, "method": "exact" if exact else "permutations", "pairs": 0 if exact else asked.pairs, "replications": len(numbers),
        "columns": game.columns, "whole": total.value, "whole_low": total.low, "whole_high": total.high,
        "all_on": float(_all(game, numbers, full).mean()), "all_off": float(_all(game, numbers, none).mean()),
        "residual": float(np.abs(shares.by_replication.sum(axis=1) - whole).max()),
    }  # fmt: skip
    return Study("channel_decomposition", {"shares": table, "shares_by_replication": by_replication}, facts)


def _all(game: Game, numbers: NDArray[np.int64], coalition: NDArray[np.bool_]) -> Array:
    return game.values(numbers, np.broadcast_to(coalition, (len(numbers), len(coalition))))


def _needed_always(players: int) -> NDArray[np.bool_]:
    """None, all, each alone and each off."""
    single = np.eye(players, dtype=bool)
    return np.concatenate([np.zeros((1, players), dtype=bool), np.ones((1, players), dtype=bool), single, ~single])


def _exactly(game: Game, numbers: NDArray[np.int64]) -> shapley.Shares:
    coalitions = shapley.all_coalitions(len(game.players))
    columns = np.repeat(numbers, len(coalitions)), np.tile(coalitions, (len(numbers), 1))
    game.play(*columns)
    return shapley.from_exact(shapley.exact_shares(game.values(*columns).reshape(len(numbers), -1)))


def _by_orders(game: Game, numbers: NDArray[np.int64], pairs: int) -> shapley.Shares:
    """Every replication has orders of its own, so that the error from orders falls with the replications too."""
    count = len(game.players)
    orders = [permutations(game.bench.plan.seed, int(number), count, pairs) for number in numbers]
    paths = [shapley.coalitions_on(each) for each in orders]
    always = _needed_always(count)
    wanted = [np.concatenate([path.reshape(-1, count), always]) for path in paths]
    game.play(np.repeat(numbers, [len(each) for each in wanted]), np.concatenate(wanted))
    by_pair = []
    for number, own, path in zip(numbers, orders, paths, strict=True):
        flat = path.reshape(-1, count)
        values = game.values(np.full(len(flat), number), flat).reshape(len(own), count + 1)
        added = shapley.contributions(own, values)
        by_pair.append((added[::2] + added[1::2]) / 2.0)
    return shapley.pooled(by_pair)
