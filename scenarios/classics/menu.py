"""The economies of classic papers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from scenarios.classics.credit_network import credit_network_accelerator
from scenarios.classics.holdings import cross_holdings_elliott
from scenarios.classics.interbank import interbank_gai_kapadia
from scenarios.classics.portfolios import interbank_cont_schaanning
from scenarios.economy import Economy
from simulator.errors import InputError, nearest

CLASSICS: dict[str, Callable[..., Economy]] = {
    draw.__name__: draw for draw in (interbank_gai_kapadia, interbank_cont_schaanning, credit_network_accelerator, cross_holdings_elliott)
}


def classic_economy(name: str, parameters: Mapping[str, Any] | None = None) -> Economy:
    """The economy of a classic paper, drawn with ``parameters`` (numbers by name; the rest at their defaults).

    Raises InputError for an unknown name or parameter, a value that is not a number, or one out of range.
    """
    if name not in CLASSICS:
        raise InputError(f"economy: no classic economy {name!r}{nearest(name, CLASSICS)} (there are {', '.join(CLASSICS)})")
    known = inspect.signature(CLASSICS[name]).parameters
    for key, value in (parameters or {}).items():
        if key not in known:
            raise InputError(f"economy.parameters.{key}: unknown key{nearest(key, known)} (allowed: {', '.join(known)})")
        wanted = bool if isinstance(known[key].default, bool) else (int, float)
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise InputError(f"economy.parameters.{key}: {value!r} is not {'true or false' if wanted is bool else 'a number'}")
    try:
        return CLASSICS[name](**(parameters or {}))
    except InputError as error:
        raise InputError(f"economy.parameters.{error}") from None
