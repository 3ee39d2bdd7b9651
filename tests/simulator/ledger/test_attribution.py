"""Accounts of losses: which rows agents bear, found without looking at the rows of all others."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.synthetic import synthetic_economy
from simulator.engine.model import ContagionModel
from simulator.ledger.attribution import SALES, Loss, parties, rows_borne_by


@pytest.fixture(scope="module")
def model() -> ContagionModel:
    return ContagionModel(synthetic_economy(200, 4, mean_degree=8), horizon_months=1, mesa_agents=False)


@pytest.mark.parametrize(
    "account",
    [
        Loss("counterparty", "default", "loans"),
        Loss("funding", "decision", "loans", "debtor", "holder"),
        Loss("counterparty", "default", "orders", "outside"),
        Loss("guarantee", "default", "guarantees", "debtor", "reference"),
        Loss("fire_sale", "default", "agents", "self", "self"),
        Loss("fire_sale", "decision", SALES),
    ],
    ids=lambda account: f"{account.table} {account.bearer}",
)
def test_the_rows_an_agent_bears_are_those_that_name_it_agent_after_agent(model: ContagionModel, account: Loss) -> None:
    books = model.books
    bearer, cause = parties(books, account)
    assert len(bearer) == len(cause)
    agents = np.array([books.outside, *np.random.default_rng(1).permutation(books.agents)[:40]])
    sides = (("loans", "holder"), (account.table, account.bearer))
    rows, position = rows_borne_by(books, sides, agents)[1]
    every_position, every_row = np.nonzero(bearer[None, :] == agents[:, None])
    assert rows.tolist() == every_row.tolist()
    assert position.tolist() == every_position.tolist()
