"""The books balance: identities worked out anew from stocks and contracts, beside those that the engine checks itself."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest

from scenarios.changes import Change
from scenarios.loading import load_economy
from simulator.engine.model import ContagionModel
from simulator.ledger.contracts import Contracts
from simulator.ledger.identities import IdentityError
from simulator.ledger.names import CHANNELS, LOSS_CHANNELS
from simulator.ledger.postings import NATURES, TAGS
from simulator.markets import accounts
from simulator.menu import policy_names, shock_names

ECONOMIES = ("three_firms", "us_ai_2025")
shipped = cache(load_economy)
"""An economy opened once for all tests here: what is foreseen in it takes as long to find as a run."""
MONTHS = 60
TOLERANCE = 1e-9
CHUNK = 256
REPLICATIONS = int(os.environ.get("CAPITAL_LOOP_REPLICATIONS", "200"))
"""Replications of every shipped shock; 1,000 before a release."""


def added_up(rows: np.ndarray, amounts: np.ndarray, agents: int) -> np.ndarray:
    """Amounts ``(C, R)`` by agent, ``(N, R)``, in plain NumPy."""
    total = np.zeros((agents, amounts.shape[1]))
    np.add.at(total, rows, amounts)
    return total


def net_worth(model: ContagionModel) -> np.ndarray:
    """What each agent owns less what it owes, ``(N, R)``, from stocks and contracts alone.

    A claim of a dead agent is Outside's; overdue operating bills are owed to Outside, the deposits of failed banks to the government.
    """
    books = model.books
    everybody, alive = books.agents, books["alive"]
    worth = np.zeros((everybody, books.replications))
    for name, sign in (
        ("cash", 1.0), ("capacity", 1.0), ("construction", 1.0), ("other_assets", 1.0), ("deposits", -1.0), ("other_liabilities", -1.0),
        ("operating_arrears", -1.0), ("insured_deposits", -1.0),
    ):  # fmt: skip
        worth += sign * books[name]
    worth[books.outside] += books["operating_arrears"].sum(axis=0)
    worth[books.government] += books["insured_deposits"].sum(axis=0)

    def claims(contracts: Contracts, amounts: np.ndarray) -> None:
        living = alive[contracts.holder]
        worth[:] += added_up(contracts.holder, amounts * living, everybody) - added_up(contracts.debtor, amounts, everybody)
        worth[books.outside] += (amounts * (1.0 - living)).sum(axis=0)

    claims(books.loans, books.loans.principal + books.loans.arrears)
    claims(books.orders, books.orders.arrears)
    claims(books.leases, books.leases.arrears)
    claims(books.guarantees, books.guarantees.arrears)
    stakes = books.stakes
    worth += added_up(stakes.holder, stakes.shares * books["share_price"][stakes.debtor], everybody)
    return worth


def close(one: Any, other: Any, scale: Any) -> bool:
    return bool((np.abs(np.asarray(one) - np.asarray(other)) <= TOLERANCE * np.maximum(np.abs(np.asarray(scale)), 1.0)).all())


def audited(model: ContagionModel) -> ContagionModel:
    """Step to the horizon; after each tick work out every identity anew."""
    books, ledger = model.books, model.ledger
    money = books["cash"].sum(axis=0) - books["deposits"].sum(axis=0)
    opening = net_worth(model)
    total_before = np.zeros(books.replications)
    while books.tick < model.horizon_months:
        model.step()
        gross = books.gross_positions() + ledger.flows
        for posting in ledger.posted.values():
            gross = gross + np.abs(posting)
        assert close(books["cash"].sum(axis=0) - books["deposits"].sum(axis=0), money, gross.sum(axis=0)), "money"
        closing = net_worth(model)
        assert set(ledger.posted) == set(TAGS)
        assert close(opening + sum(ledger.posted.values()), closing, gross), "flow of funds"  # every agent, Outside included
        opening = closing
        audit_the_dead(model)
        audit_signs(model)
        total_before = audit_losses(model, total_before)
    return model


def audit_the_dead(model: ContagionModel) -> None:
    books = model.books
    dead = books["alive"] == 0.0
    assert np.isin(books["alive"], (0.0, 1.0)).all()
    for name in (
        "cash",
        "deposits",
        "capacity",
        "construction",
        "other_assets",
        "other_liabilities",
        "operating_arrears",
        "insured_deposits",
    ):
        assert (np.abs(books[name][dead]) <= TOLERANCE).all(), f"a dead agent has {name}"
    assert (books["share_price"][dead] == 0.0).all()
    for table, name in (("loans", "principal"), ("loans", "arrears"), ("loans", "undrawn"), ("orders", "arrears"), ("leases", "arrears"),
                        ("guarantees", "arrears"), ("guarantees", "notional"),
                        ("leases", "in_force"), ("orders", "remaining"), ("stakes", "shares"), ("stakes", "tranche_remaining")):  # fmt: skip
        contracts = getattr(books, table)
        of_dead_debtor = contracts.state[name][dead[contracts.debtor]]
        assert (np.abs(of_dead_debtor) <= TOLERANCE).all(), f"a dead agent still has {name} of {table}"
    assert (np.abs(books.stakes.shares[dead[books.stakes.holder]]) <= TOLERANCE).all(), "a dead agent still holds shares"
    assert (np.abs(books.loans.undrawn[dead[books.loans.holder]]) <= TOLERANCE).all(), "a dead lender still has lines open"


def audit_signs(model: ContagionModel) -> None:
    books = model.books
    for name in ("cash", "deposits", "capacity", "construction", "share_price", "shares", "insured_deposits"):
        assert (books[name] >= -TOLERANCE * np.maximum(np.abs(books[name]).max(), 1.0)).all(), f"{name} is negative"
    assert (books["cash"] >= 0.0).all()
    assert (books["operating_arrears"] >= -1e-6).all()
    for contracts in (books.loans, books.stakes, books.orders, books.leases, books.guarantees):
        for name, amounts in contracts.state.items():
            if name != "rate":
                assert (amounts >= -1e-9 * max(1.0, float(np.abs(amounts).max(initial=0.0)))).all(), f"{name} is negative"
    for columns in (books.columns, books.series):
        for name, values in columns.items():
            assert np.isfinite(values).all(), name


def audit_losses(model: ContagionModel, total_before: np.ndarray) -> np.ndarray:
    """Tags add to the total, natures add to the total, contracts and estates explain every tag; returns the total so far."""
    books, ledger = model.books, model.ledger
    total = sum(ledger.loss_by_tag.values())[0]
    assert (np.asarray([amount.min() for amount in ledger.loss_by_tag.values()]) >= -TOLERANCE).all()
    assert (total >= total_before - TOLERANCE * np.maximum(total, 1.0)).all(), "a loss was taken back"
    assert set(ledger.loss_by_nature) == set(NATURES)
    assert close(sum(ledger.loss_by_nature.values())[0], total, total), "natures"
    for tag, amount in ledger.loss_by_tag.items():
        explained = np.zeros(books.replications)
        for account, lost in ledger.losses.items():
            if account.channel == tag:
                explained = explained + lost.sum(axis=0)
        assert close(explained, amount[0], total), tag
    assert (ledger.rounding <= 1e-5).all()
    return total


def audited_tables(economy: str, replications: Iterable[int], months: int = MONTHS, **given: Any) -> ContagionModel:
    """An audited run whose table of replications adds up too."""
    model = audited(ContagionModel(shipped(economy), replications=replications, horizon_months=months, mesa_agents=False, **given))
    table = model.recorder.tables("run")["replications"]
    tags = table[[f"loss_{tag}" for tag in ("direct", *LOSS_CHANNELS)]].sum(axis=1)
    natures = table[[f"{nature}_loss" for nature in ("credit", "mark_to_market", "deadweight")]].sum(axis=1)
    assert np.allclose(tags, table["total_loss"], rtol=1e-9)
    assert np.allclose(natures, table["total_loss"], rtol=1e-9)
    assert table["converged"].all()
    dead = (1.0 - model.books["alive"]).sum(axis=0)
    assert ((table["defaults"] + table["entrant_defaults"]).to_numpy() == dead).all()
    return model


@pytest.mark.parametrize("economy", ECONOMIES)
@pytest.mark.parametrize("shock", shock_names())
def test_the_books_balance_under_every_shock(economy: str, shock: str) -> None:
    model = audited_tables(economy, range(3), months=30, shock=shock)  # five years below, in many replications
    assert model.books.tick == 30


@pytest.mark.parametrize("economy", ECONOMIES)
@pytest.mark.parametrize("policy", policy_names())
def test_the_books_balance_under_every_policy_when_the_crisis_comes(economy: str, policy: str) -> None:
    model = audited_tables(economy, range(2), months=30, shock=("rate_hold", "collateral_devaluation"), policy=policy)
    assert model.books.tick == 30


@pytest.mark.parametrize("economy", ECONOMIES)
def test_the_books_balance_when_everybody_fails_in_the_same_month(economy: str) -> None:
    fail = Change("failures", "agent.failure", "set_to", 1.0, 3)
    model = audited_tables(economy, range(2), months=9, changes=(fail,))
    assert (model.books["alive"][model.books.can_default] == 0.0).all()


@pytest.mark.parametrize(
    "agent",
    [
        "jpmorgan", "us_banks", "softbank", "openai", "coreweave", "oracle",
        "microsoft", "nvidia", "private_credit", "insurers",
    ],
)  # fmt: skip
def test_the_books_balance_when_a_large_agent_fails(agent: str) -> None:
    fail = Change("failure", "agent.failure", "set_to", 1.0, 5, agents=(agent,))
    model = audited_tables("us_ai_2025", range(2), months=18, changes=(fail,))
    table = model.recorder.tables("run")["defaults"]
    assert set(table.loc[table["agent"] == agent, "triggered_by"]) == {"shock"}


@pytest.mark.parametrize("channel", ["all", *(pytest.param(name, marks=pytest.mark.slow) for name in CHANNELS)])
def test_the_books_balance_with_channels_switched_off(channel: str) -> None:
    names = CHANNELS if channel == "all" else (channel,)
    changes = (Change("failures", "agent.failure", "set_to", 1.0, 5, agents=("coreweave", "openai", "softbank")),)
    off = audited_tables("us_ai_2025", range(2), months=24, shock="collateral_devaluation", changes=changes, channels=dict.fromkeys(names, False))
    for name in set(names) & set(LOSS_CHANNELS):
        assert not off.ledger.loss_by_tag[name].any()


@pytest.mark.slow
@pytest.mark.parametrize("economy", ECONOMIES)
@pytest.mark.parametrize("shock", shock_names())
def test_the_books_balance_in_many_replications_of_every_shock(economy: str, shock: str) -> None:
    for first in range(0, REPLICATIONS, CHUNK):
        model = audited_tables(economy, range(first, min(first + CHUNK, REPLICATIONS)), shock=shock)
        assert model.books.tick == MONTHS


# ---------------------------------------------------------------------- the checks themselves


def broken(model: ContagionModel, agent: str, amount: float, stock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From month 3 on, somebody writes ``amount`` into a stock behind the ledger's back."""
    honest = accounts.macroeconomy

    def dishonest(*given: Any) -> None:
        honest(*given)
        if model.books.tick == 3:
            model.books[stock][model.books.ids.index(agent), 1] += amount

    monkeypatch.setattr(accounts, "macroeconomy", dishonest)


def test_a_stock_changed_without_a_posting_is_an_error_that_names_agent_tick_and_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ContagionModel("three_firms", replications=range(3), horizon_months=6)
    broken(model, "cloud", 0.125, "other_assets", monkeypatch)
    with pytest.raises(IdentityError, match=r"tick 3, agent cloud, column 1: net worth .*difference 0\.125\)"):
        model.run()


def test_a_posting_without_a_change_of_stocks_is_an_error_that_names_agent_tick_and_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ContagionModel("three_firms", replications=range(3), horizon_months=6)
    honest = model.ledger.change_stock

    def dishonest(name: str, change: np.ndarray, tag: str = "ordinary") -> None:
        honest(name, change, tag)
        if model.books.tick == 4 and name == "capacity":
            extra = np.zeros_like(change)
            extra[model.books.ids.index("utility"), 2] = 0.5
            model.ledger.post(tag, extra)

    monkeypatch.setattr(model.ledger, "change_stock", dishonest)
    with pytest.raises(IdentityError, match=r"tick 4, agent utility, column 2: net worth .*difference -0\.5\)"):
        model.run()


def test_cash_made_out_of_nothing_is_an_error_that_names_tick_and_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ContagionModel("three_firms", replications=range(3), horizon_months=6)
    broken(model, "lab", 0.25, "cash", monkeypatch)
    with pytest.raises(IdentityError, match=r"tick 3, column 1: cash less deposits changed by 0\.25 USD bn"):
        model.run()


def test_negative_cash_is_an_error_that_names_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ContagionModel("three_firms", replications=range(2), horizon_months=6)
    taken = np.zeros_like(model.books["cash"])
    taken[model.books.ids.index("lab"), 1] = -1000.0
    taken[model.books.outside, 1] = 1000.0
    honest = accounts.macroeconomy
    monkeypatch.setattr(accounts, "macroeconomy", lambda *given: (honest(*given), model.ledger.pay(taken)))
    with pytest.raises(IdentityError, match=r"tick 0, agent lab, column 1: cash is -9\d\d"):
        model.run()
