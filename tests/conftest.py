"""Small economies made in a test, and models of them: enough to work an expected number out by hand."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios import loading
from scenarios.economy import ContractTable, Economy
from scenarios.items import AGENT_ITEMS, MACRO_ITEMS
from scenarios.loading import load_economy
from scenarios.synthetic_parts import contract_table
from simulator.engine import inputs
from simulator.engine.model import ContagionModel
from simulator.ledger.names import KINDS

SECTORS = {
    "short_seller": "short_seller", "household": "household", "government": "government", "central_bank": "central_bank",
    "outside": "outside",
}  # fmt: skip
PARTIES = ("lender", "borrower", "holder", "issuer", "seller", "buyer", "lessor", "lessee", "guarantor", "beneficiary")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job ignores Ctrl-C, and so would all that the tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _an_economy_of_the_house_is_opened_once() -> Iterator[None]:
    """By the name alone, as most tests do: its arrays are read-only, and its quiet world takes as long as a run to find."""
    honest, known = loading.load_economy, {}

    def load(name_or_folder: str | Path, include: Sequence[str] = (), contracts: Mapping[str, bool] | None = None) -> Economy:
        if name_or_folder not in ("three_firms", "us_ai_2025") or include or contracts:
            return honest(name_or_folder, include, contracts)
        if name_or_folder not in known:
            known[name_or_folder] = honest(name_or_folder)
        return known[name_or_folder]

    with pytest.MonkeyPatch.context() as patch:
        for module in (loading, inputs):
            patch.setattr(module, "load_economy", load)
        yield


def make_economy(firms: dict[str, dict[str, Any]], **contracts: list[dict[str, Any]]) -> Economy:
    """An economy of ``firms`` (id: kind, optional lender_type, listed and items), the five sectors and a bank ``main_bank``.

    ``contracts``: ``loans``, ``stakes``, … each a list of rows, parties by agent id. The main bank's deposits are all cash there is.
    """
    given = {name: dict(cells) for name, cells in firms.items()}
    given.setdefault("main_bank", {"kind": "lender", "lender_type": "bank", "other_assets": 1000.0})
    for name, kind in SECTORS.items():
        given.setdefault(name, {"kind": kind, "cash": 10_000.0 if kind in ("outside", "household") else 0.0})
    ids = tuple(sorted(given, key=lambda name: KINDS.index(given[name]["kind"])))
    values = {name: np.array([float(given[agent].get(name, item.default)) for agent in ids]) for name, item in AGENT_ITEMS.items()}
    values["deposits"][ids.index("main_bank")] = float(np.cumsum(values["cash"])[-1]) - float(np.cumsum(values["deposits"])[-1])
    listed = np.array([bool(given[agent].get("listed", values["market_value"][row] > 0.0)) for row, agent in enumerate(ids)])
    empty = load_economy("three_firms")
    tables: dict[str, ContractTable] = {}
    for table in ("loans", "stakes", "orders", "leases", "guarantees"):
        rows = contracts.get(table, [])
        blocks = []
        for row in rows:
            cells = {key: np.array([ids.index(value)]) if key in PARTIES else np.array([value]) for key, value in row.items()}
            blocks.append(cells)
        if blocks:
            tables[table] = contract_table(table, blocks)
        else:
            tables[table] = ContractTable((), {name: column[:0] for name, column in getattr(empty, table).columns.items()})
    macro = {name: item.default for name, item in MACRO_ITEMS.items()}
    return Economy(
        name="small", title="A small economy", start="2025-12", description="Made in a test.", ids=ids, names=ids,
        kinds=tuple(given[agent]["kind"] for agent in ids), lender_types=tuple(given[agent].get("lender_type", "") for agent in ids),
        jurisdictions=("us",) * len(ids), ratings=("",) * len(ids),
        listed=listed, values=values, macro=macro, facts=(),
        sources={}, **tables,
    )  # fmt: skip


@pytest.fixture(scope="session")
def small_economy() -> Callable[..., Economy]:
    """`make_economy`."""
    return make_economy


@pytest.fixture(scope="session")
def small_model() -> Callable[..., ContagionModel]:
    """A model of a small economy at its start: ``small_model(firms, loans=[…], …, replications=(0,), channels={…})``."""

    def build(firms: dict[str, dict[str, Any]], **given: Any) -> ContagionModel:
        tables = {name: given.pop(name) for name in ("loans", "stakes", "orders", "leases", "guarantees") if name in given}
        model = ContagionModel(make_economy(firms, **tables), **{"horizon_months": 3, **given})
        model.ledger.begin_tick()
        return model

    return build
