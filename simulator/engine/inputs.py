"""Turns names of economies, shocks and policies into what the model runs on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenarios.changes import Change, parse_changes
from scenarios.classics.menu import CLASSICS, classic_economy
from scenarios.economy import Economy
from scenarios.loading import load_economy
from scenarios.synthetic import synthetic_economy


def opened(economy: Any) -> Economy:
    """An economy given as such, as a name, or as a folder."""
    if isinstance(economy, Economy):
        return economy
    if economy == "synthetic":
        return synthetic_economy()
    if economy in CLASSICS:
        return classic_economy(economy)
    return load_economy(economy)


def named_changes(
    economy: Economy, shock: str | Sequence[str], policy: str | Sequence[str], horizon_months: int, config_dir: Path | None = None
) -> tuple[Change, ...]:
    """All changes of the named shocks and policies. Raises InputError on an unknown name or a bad file."""
    if not shock and not policy:
        return ()
    from simulator.menu import load_policy, load_shock  # who is given changes, as workers are, does without the settings, which are slow to load
    from simulator.settings import bibliography_keys

    sources = {*bibliography_keys(), *economy.sources}
    changes: list[Change] = []
    for group, names, load in (("shock", shock, load_shock), ("policy", policy, load_policy)):
        for name in (names,) if isinstance(names, str) else tuple(names):
            content = load(name, config_dir)
            changes += parse_changes(
                content, f"{group}/{name}", start=economy.start, horizon_months=horizon_months, sources=sources, economy=economy
            )
    return tuple(changes)
