"""The network of an economy at its start, as a run keeps it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scenarios.economy import Economy


def opening_network(economy: Economy) -> dict[str, pd.DataFrame]:
    """Agents and ties of an economy at its start: ``nodes`` (agent, name, kind, size, market_value) and ``ties`` (from, to, type, amount)."""
    sheet = economy.balance_sheet()
    nodes = pd.DataFrame({
        "agent": economy.ids, "name": economy.names, "kind": economy.kinds, "size": sheet["total_assets"],
        "market_value": economy.values["market_value"],
    })  # fmt: skip
    ids = np.array(economy.ids, dtype=object)
    frames = []
    for table, kind, source, target, amount in (
        (economy.loans, "loan", "lender", "borrower", "principal"),
        (economy.stakes, "stake", "holder", "issuer", "value"),
        (economy.orders, "order", "buyer", "seller", "amount"),
        (economy.leases, "lease", "lessee", "lessor", "rent"),
        (economy.guarantees, "guarantee", "guarantor", "beneficiary", "notional"),
    ):
        parties = {"from_agent": ids[table.columns[source]], "to_agent": ids[table.columns[target]]}
        frames.append(pd.DataFrame({**parties, "type": kind, "amount": table.columns[amount].astype(float)}))
    ties = pd.concat(frames, ignore_index=True)
    ties = ties[ties["amount"] > 0.0].groupby(["from_agent", "to_agent", "type"])[["amount"]].sum().reset_index()
    return {"nodes": nodes, "ties": ties}
