"""What is foreseen at the start: the quiet world, without luck or shock. It is run once per economy and horizon, here or in another process."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Quietness = tuple[Array, dict[str, Array]]
"""Sales by tick and agent, USD bn per year, ``(T, N, 1)``, and series by tick, ``(T, 1)`` each; ``(…, R)`` where numbers are uncertain."""

_KNOWN: weakref.WeakKeyDictionary[Any, dict[int, Quietness]] = weakref.WeakKeyDictionary()
_COMING: weakref.WeakKeyDictionary[Any, dict[int, Callable[[], Quietness | None]]] = weakref.WeakKeyDictionary()


def quiet_world(economy: Any, horizon_months: int) -> Quietness:
    """What is foreseen, found here and now; of an economy with uncertain numbers by replication, stepped once a point."""
    from simulator.engine.model import ContagionModel
    from simulator.engine.randomness import Quiet

    varied = economy.varied
    points = economy if varied is None else dataclasses.replace(economy, varied=varied.each_point())
    quiet = ContagionModel(
        points, replications=range(1 if varied is None else varied.points), horizon_months=horizon_months, mesa_agents=False,
        draws=Quiet(len(economy.ids)),
    ).run()  # fmt: skip
    sales = np.stack(quiet.sales_by_tick or [quiet.investment])
    series = {name: quiet.recorder.series[name].copy() for name in ("inflation", "unemployment")}
    if varied is None or varied.places is None:
        return sales, series
    return np.take(sales, varied.places, axis=2), {name: np.take(values, varied.places, axis=1) for name, values in series.items()}


def is_foreseen(economy: Any) -> bool:
    """Whether an economy has a stage that prices what sales bring, for which they are foreseen."""
    return not economy.stages or "price" in economy.stages


def expect(economy: Any, horizon_months: int, result: Callable[[], Quietness | None]) -> None:
    """Say that the quiet world is being run elsewhere; ``result()`` waits for it, and gives None when nothing came of it."""
    _COMING.setdefault(economy, {})[horizon_months] = result


def _foreseen(economy: Any, horizon_months: int) -> Quietness:
    known = _KNOWN.setdefault(economy, {})
    if horizon_months not in known:
        coming = _COMING.get(economy, {}).pop(horizon_months, None)
        found = None if coming is None else coming()
        known[horizon_months] = quiet_world(economy, horizon_months) if found is None else found
    return known[horizon_months]


def foreseen_sales(economy: Any, horizon_months: int, is_quiet: bool = False) -> Array | None:
    """Sales by tick and agent that are foreseen at the start, USD bn per year, ``(T, N, 1)``: those of the quiet world, without luck or shock.

    None for the quiet world itself, whose agents meet no surprise, and where no stage prices what sales bring.
    """
    return None if is_quiet or not is_foreseen(economy) else _foreseen(economy, horizon_months)[0]


def foreseen_series(economy: Any, horizon_months: int) -> dict[str, Array]:
    """Inflation and unemployment of the quiet world by tick, ``(T, 1)`` each; ``(T, R)`` where numbers are uncertain."""
    return _foreseen(economy, horizon_months)[1]
