"""Taking something out leaves books that balance, everybody's luck, and nothing of what was taken out."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.economy import Economy
from scenarios.loading import load_economy
from simulator.engine.model import ContagionModel
from simulator.experiments.removal import NEVER, contracts_between, find_contract, opening_spending, without_agent, without_contracts


@pytest.fixture(scope="module")
def economy() -> Economy:
    return load_economy("three_firms")


def run(economy: Economy, months: int = 8) -> ContagionModel:
    """The identities are checked in every month."""
    return ContagionModel(economy, replications=range(3), horizon_months=months, mesa_agents=False).run()


def agents(economy: Economy) -> list[str]:
    return [agent for agent, kind in zip(economy.ids, economy.kinds, strict=True) if kind not in NEVER]


@pytest.mark.parametrize("agent", agents(load_economy("three_firms")))
def test_without_an_agent_the_books_balance_and_the_empty_slot_neither_owes_nor_fails(economy: Economy, agent: str) -> None:
    rest = without_agent(economy, agent)
    assert rest.ids == economy.ids
    assert rest.values["cash"].sum() == pytest.approx(rest.values["deposits"].sum(), rel=1e-9)
    assert rest.net_worth().sum() == pytest.approx(economy.net_worth().sum(), rel=0.5)
    row = economy.index(agent)
    model = run(rest)
    books = model.books
    assert np.array_equal(model.draws.at(3)["own_demand"], run(economy).draws.at(3)["own_demand"])
    assert np.abs(books.net_worth()[row]).max() == 0.0
    assert books["cash"][row].max() == 0.0
    assert books["alive"][row].min() == 1.0
    others = [other for other in range(len(economy.ids)) if other not in (row, economy.rows("outside").start, economy.rows("central_bank").start)]
    assert rest.net_worth()[others] == pytest.approx(economy.net_worth()[others], abs=1e-9)


def test_without_a_loan_each_side_has_the_same_contract_with_the_rest_of_the_world(economy: Economy) -> None:
    loan = next(name for place, name in enumerate(economy.loans.ids) if economy.loans.principal[place] > 0)
    table, place = find_contract(economy, loan)
    rest = without_contracts(economy, [loan])
    assert table == "loans"
    assert rest.net_worth() == pytest.approx(economy.net_worth(), abs=1e-9)
    outside, added = economy.rows("outside").start, len(rest.loans) - 1
    assert (rest.loans.lender[place], rest.loans.borrower[place]) == (outside, economy.loans.borrower[place])
    assert (rest.loans.lender[added], rest.loans.borrower[added]) == (economy.loans.lender[place], outside)
    assert rest.loans.principal[added] == economy.loans.principal[place]
    run(rest)


def test_every_contract_of_an_economy_can_be_taken_out(economy: Economy) -> None:
    spending = opening_spending(economy)
    for table in ("loans", "stakes", "orders", "leases", "guarantees"):
        for name in getattr(economy, table).ids:
            assert run(without_contracts(economy, [name], spending), months=2).books.tick == 2, name


def test_a_tie_is_all_contracts_between_two_agents(economy: Economy) -> None:
    both = contracts_between(economy, "cloud", "chipmaker")
    assert both == contracts_between(economy, "chipmaker", "cloud")
    assert len(both) >= 1


@pytest.mark.slow
def test_every_agent_of_the_main_economy_can_be_taken_out_and_does_not_fail() -> None:
    economy = load_economy("us_ai_2025")
    spending = opening_spending(economy)
    for agent in agents(economy)[::3]:
        rest = without_agent(economy, agent, spending)
        model = ContagionModel(rest, shock="rate_hold", replications=range(2), horizon_months=24, mesa_agents=False)
        assert model.run().books["alive"][economy.index(agent)].min() == 1.0, agent
