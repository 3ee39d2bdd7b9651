"""Shapley values of a game of few players: exact over all coalitions, or from random orders in antithetic pairs.

Source: Shapley (1953); sampling of orders: Castro, Gomez and Tejada (2009); antithetic pairs: Mitchell et al. (2022).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Shares:
    """Shapley shares by player. ``by_replication (R, P)``; ``value (P,)`` their mean; standard errors ``(P,)`` from luck and from orders apart."""

    by_replication: Array
    value: Array
    error_luck: Array
    error_orders: Array


def all_coalitions(players: int) -> Bools:
    """Every coalition as a row of flags, ``(2^P, P)``; row number = the flags read as a binary number."""
    return np.array([[bool(code >> player & 1) for player in range(players)] for code in range(2**players)], dtype=bool).reshape(2**players, players)


def code_of(coalitions: Bools) -> NDArray[np.int64]:
    """Row number of coalitions ``(…, P)`` among `all_coalitions`."""
    weights = 2 ** np.arange(coalitions.shape[-1], dtype=np.int64)
    return np.cumsum(coalitions * weights, axis=-1)[..., -1].astype(np.int64)


def exact_shares(values: Array) -> Array:
    """Shares ``(R, P)`` of a game given by the values ``(R, 2^P)`` of all its coalitions (ordered as `all_coalitions`).

    Share of i = sum over S without i of |S|! (P - |S| - 1)! / P! (v(S and i) - v(S)). The shares add to v(all) - v(none).
    """
    players = int(values.shape[1]).bit_length() - 1
    shares = np.zeros((values.shape[0], players))
    for player in range(players):
        for code in range(2**players):
            if code >> player & 1:
                continue
            size = code.bit_count()
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            shares[:, player] += weight * (values[:, code | 1 << player] - values[:, code])
    return shares


def coalitions_on(orders: NDArray[np.int64]) -> Bools:
    """The coalitions met on the way of orders ``(K, P)``: ``(K, P + 1, P)``, from none to all."""
    count, players = orders.shape
    steps = np.zeros((count, players + 1, players), dtype=bool)
    for step in range(players):
        steps[:, step + 1] = steps[:, step]
        steps[np.arange(count), step + 1, orders[:, step]] = True
    return steps


def contributions(orders: NDArray[np.int64], values: Array) -> Array:
    """What each player adds on the way of each order ``(K, P)``, from the values ``(K, P + 1)`` met on it: ``(K, P)``."""
    added = np.diff(values, axis=1)
    result = np.empty_like(added)
    np.put_along_axis(result, orders, added, axis=1)
    return result


def pooled(by_pair: Sequence[Array]) -> Shares:
    """Shares from contributions by antithetic pair, one array ``(pairs, P)`` a replication, every replication with orders of its own.

    The spread between pairs inside a replication is the orders' part; what the replications' means differ by beyond it is luck's. With one
    pair a replication the parts can't be told apart (both NaN).
    """
    stacked = np.stack(list(by_pair))  # (R, pairs, P)
    replications, pairs, players = stacked.shape
    shares = np.cumsum(stacked, axis=1)[:, -1] / pairs
    value = np.cumsum(shares, axis=0)[-1] / replications
    unknown = np.full(players, np.nan)
    if replications < 2 or pairs < 2:
        return Shares(shares, value, unknown, unknown)
    inside = np.cumsum(np.cumsum((stacked - shares[:, None, :]) ** 2, axis=1)[:, -1], axis=0)[-1] / (replications * (pairs - 1))
    between = np.cumsum((shares - value) ** 2, axis=0)[-1] / (replications - 1)
    orders = inside / (pairs * replications)
    luck = np.maximum(between / replications - orders, 0.0)
    return Shares(shares, value, np.sqrt(luck), np.sqrt(orders))


def from_exact(shares: Array) -> Shares:
    """Shares without any error from orders, ``shares (R, P)``."""
    replications, players = shares.shape
    value = np.cumsum(shares, axis=0)[-1] / replications
    if replications < 2:
        return Shares(shares, value, np.full(players, np.nan), np.zeros(players))
    spread = np.cumsum((shares - value) ** 2, axis=0)[-1] / (replications - 1)
    return Shares(shares, value, np.sqrt(spread / replications), np.zeros(players))


def subsets(players: Sequence[str]) -> list[tuple[str, ...]]:
    """Names of all coalitions in the order of `all_coalitions`, for tables."""
    return [tuple(itertools.compress(players, flags)) for flags in all_coalitions(len(players)).tolist()]
