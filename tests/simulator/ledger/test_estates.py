"""A settlement of estates looks at the contracts of the failing only, and who fails are cleared alone: the numbers are those of all, to the bit."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.engine.model import ContagionModel
from simulator.ledger import estates
from simulator.ledger.identities import check
from simulator.ledger.names import CHANNELS

REPLICATIONS = 3


@cache
def some_months_on() -> ContagionModel:
    """A few months of us_ai_2025, with losses muted in one replication."""
    muted = {name: np.array([True, True, name not in ("counterparty", "equity", "fire_sale", "guarantee")]) for name in CHANNELS}
    model = ContagionModel("us_ai_2025", replications=range(REPLICATIONS), horizon_months=4, mesa_agents=False, channels=muted)
    model.run()
    return model


def every_contract(agents: np.ndarray, party: np.ndarray) -> np.ndarray:
    return np.arange(len(party))


def state_after(failures: list[np.ndarray], of_all: bool) -> dict[str, np.ndarray]:
    """Everything in the books and the ledger after the estates of ``failures`` are settled one after the other; ``of_all``: all contracts are
    chosen, and all agents are cleared."""
    model = some_months_on()
    shared = model.economy, model.books.economy, model.books.levers, model.books.draws, model.books.foreseen
    books, ledger, resolution = deepcopy((model.books, model.ledger, model.resolution), {id(thing): thing for thing in shared})
    found: dict[str, np.ndarray] = {}
    with pytest.MonkeyPatch.context() as patch:
        if of_all:
            patch.setattr(estates, "of_the_failing", every_contract)
            patch.setattr(estates, "FEW_ROUNDS", 1)
        for number, failed in enumerate(failures):
            failing = failed * books["alive"]
            found[f"expected loss {number}"] = resolution.provisional_losses(estates.Estates(books, failing))
            found[f"recovery {number}"] = resolution.settle(ledger, estates.Estates(books, failing), np.full_like(failing, 0.7))
    check(books, ledger)
    found |= dict(books.columns) | books.series | ledger.posted | ledger.loss_by_tag | {str(loss): lost for loss, lost in ledger.losses.items()}
    for name in estates.TABLES:
        found |= {f"{name} {state}": values for state, values in getattr(books, name).state.items()}
    return found


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.03, 0.2, 0.6]))
def test_estates_of_the_contracts_of_the_failing_are_those_of_all_contracts_to_the_bit(seed: int, share: float) -> None:
    books = some_months_on().books
    draws = np.random.default_rng(seed)
    failures = [(draws.random((books.agents, REPLICATIONS)) < share) * books.can_default[:, None] * 1.0 for _ in range(2)]
    of_all, of_few = state_after(failures, of_all=True), state_after(failures, of_all=False)
    assert of_few.keys() == of_all.keys()
    for name, values in of_all.items():
        np.testing.assert_array_equal(of_few[name], values, err_msg=name)


def test_only_the_debts_of_the_failing_are_cleared() -> None:
    books = some_months_on().books
    failed = np.zeros((books.agents, REPLICATIONS))
    cloud = books.rows["cloud"].start
    failed[cloud, 1] = 1.0
    found = estates.Estates(books, failed)
    sizes = [len(payer) for payer, *_ in found.debts]
    assert {agent for payer, *_ in found.debts for agent in payer} == {cloud}
    assert sizes[0] == sizes[1] == np.sum(books.loans.debtor == cloud)
    in_trade = [int(np.sum(getattr(books, name).debtor == cloud)) for name in estates.TRADE]
    assert in_trade[-1] == 0  # it guarantees nothing, and there is no block of such debts
    assert sizes[2:] == [*(number for number in in_trade if number), 1, 1, 0]  # a cloud has no depositors
    assert (found.held["orders"].holder == cloud).all()
