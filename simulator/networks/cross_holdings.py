"""Values of organisations that own shares of each other, and the failures that spread through them.

Source: Elliott, Golub & Jackson (2014), American Economic Review 104(10), eqs. 4 and 5 and the algorithm of section I.D.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from simulator.networks._checks import TIE, BoolArray, FloatArray, IntArray, Matrix, NetworkInputError, columns, square


@dataclass(frozen=True)
class CrossHoldings:
    """Arrays (n,) or (n, scenarios). `values`: market values v; `failed`; `wave` of failure (0 = first, -1 = none)."""

    values: FloatArray
    failed: BoolArray
    wave: IntArray
    _valuer: _Valuer

    @cached_property
    def dependency(self) -> FloatArray:
        """The matrix A (n, n): [i, j] = what a unit of j's own assets adds to the market value of i; columns sum to 1."""
        return self._valuer.values(np.eye(self._valuer.agents))


class _Valuer:
    """Market values from assets: C_hat (I - C)^-1, factorised once, or a dependency matrix that was given."""

    def __init__(self, holdings: sparse.csr_matrix | None, dependency: sparse.csr_matrix | None) -> None:
        self.given = dependency
        if holdings is None:
            assert dependency is not None
            self.agents = int(dependency.shape[0])
            return
        self.agents = int(holdings.shape[0])
        held = np.asarray(holdings.T @ np.ones(self.agents))
        over = held > 1 + TIE
        if over.any():
            at = int(np.flatnonzero(over)[0])
            raise NetworkInputError(f"holdings[:, {at}] add up to {held[at]:g}: more than the whole of {at} is held by others")
        from scipy.sparse.linalg import splu  # slow to load, and not wanted by every run

        self.outside = np.maximum(1.0 - held, 0.0)[:, None]
        try:
            self.solver = splu(sparse.csc_matrix(sparse.identity(self.agents) - holdings))
        except RuntimeError:
            raise NetworkInputError("holdings contain a group that wholly owns itself: its values have no ground") from None

    def values(self, assets: FloatArray) -> FloatArray:
        """Market values (n, R) of organisations whose own assets are worth `assets` (n, R), nobody failing."""
        if self.given is not None:
            return np.asarray(self.given @ assets)
        book = np.empty(assets.shape)
        for column in range(assets.shape[1]):  # one by one: a solve of many right-hand sides rounds by its width
            book[:, column] = self.solver.solve(np.ascontiguousarray(assets[:, column]))
        return self.outside * book


def cross_holding_values(
    holdings: Matrix | None,
    assets: ArrayLike,
    threshold: ArrayLike | None = None,
    failure_cost: ArrayLike = 0,
    dependency: Matrix | None = None,
) -> CrossHoldings:
    """Market values v = C_hat (I - C)^-1 (assets - costs of failure), with failures until no more follow: the best equilibrium.

    `holdings` (n, n), dense or sparse: C[i, j] = share of j held by i, zero diagonal, columns adding up to at most 1; C_hat is what
    is held by outside owners. Market values count each asset once (book values (I - C)^-1 assets would count it several times).
    `assets` (n,) or (n, scenarios): value of what each owns besides shares (D p). `threshold` (same or scalar): an organisation
    whose value is below it (by more than 1e-12 relative) fails and loses `failure_cost` (same or scalar, money, once). Failures
    only ever add up, so the result is the equilibrium with fewest failures. `dependency`: use this matrix A instead of `holdings`.
    Raises NetworkInputError on negative holdings or costs, columns above 1, an economy that owns itself entirely.
    """
    if (holdings is None) == (dependency is None):
        raise NetworkInputError("give either holdings or dependency")
    if holdings is not None:
        owned = square("holdings", holdings)
        own = owned.diagonal()
        if own.any():
            raise NetworkInputError(f"holdings[{int(np.flatnonzero(own)[0])}, same] must be 0: nobody holds its own shares")
        valuer = _Valuer(owned, None)
    else:
        valuer = _Valuer(None, square("dependency", dependency))
    agents = valuer.agents
    owns, single = columns("assets", assets, agents, negative=True)
    owns = np.array(owns)
    wave = np.full(owns.shape, -1, dtype=np.int64)
    values = valuer.values(owns)
    if threshold is not None:
        floor = columns("threshold", threshold, agents, negative=True, scenarios=owns.shape[1])[0]
        cost = columns("failure_cost", failure_cost, agents, scenarios=owns.shape[1])[0]
        limit = np.array(np.broadcast_to(floor - TIE * np.abs(floor), owns.shape))
        lost = np.array(np.broadcast_to(cost, owns.shape))
        moving: IntArray = np.arange(owns.shape[1])
        for count in range(agents + 1):
            fresh = (np.take(values, moving, axis=1) < np.take(limit, moving, axis=1)) & (np.take(wave, moving, axis=1) < 0)
            wave[:, moving] = np.where(fresh, count, np.take(wave, moving, axis=1))
            spread = fresh.any(axis=0)
            moving = moving[spread]
            if moving.size == 0:
                break
            fallen = np.take(wave, moving, axis=1) >= 0
            after = np.take(owns, moving, axis=1) - np.where(fallen, np.take(lost, moving, axis=1), 0.0)
            values[:, moving] = valuer.values(after)
    if single:
        return CrossHoldings(values[:, 0], wave[:, 0] >= 0, wave[:, 0], valuer)
    return CrossHoldings(values, wave >= 0, wave, valuer)
