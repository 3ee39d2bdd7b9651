"""Attribution: every loss has a bearer, a cause and a channel; they add up; every default goes back to the shock or to luck."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenarios.changes import Change
from simulator.engine.inputs import opened
from simulator.engine.model import ContagionModel
from simulator.ledger.attribution import parties
from simulator.ledger.names import CHANNELS, LOSS_CHANNELS, REASONS
from simulator.ledger.postings import TAGS
from simulator.menu import shock_names

ECONOMIES = ("three_firms", "us_ai_2025")
TOLERANCE = 1e-9
NO_GAINS = ("margin", "fire_sale", "funding")
"""Tags under which nobody gains: what is earned by another's loss is ordinary."""


def borne(model: ContagionModel) -> dict[str, np.ndarray]:
    """Losses to date by channel and bearer, ``(N, R)`` each, from the accounts, in plain NumPy."""
    books = model.books
    totals = {tag: np.zeros((books.agents, books.replications)) for tag in TAGS[1:]}
    for account, amounts in model.ledger.losses.items():
        assert (amounts >= 0.0).all(), account
        np.add.at(totals[account.channel], parties(books, account)[0], amounts)
    return totals


shipped = cache(opened)
"""An economy opened once for all tests here: what is foreseen in it takes as long to find as a run."""


def attributed(economy: str, replications: int, months: int = 60, **given: Any) -> ContagionModel:
    """A run in which, after every tick, the accounts of losses are held to the postings, agent by agent; its tables are held to both."""
    model = ContagionModel(shipped(economy), replications=range(replications), horizon_months=months, mesa_agents=False, record="ticks", **given)
    books, ledger = model.books, model.ledger
    before = borne(model)
    while books.tick < months:
        lives = books["alive"] > 0.0
        model.step()
        gross = np.maximum(books.gross_positions() + ledger.flows + sum(np.abs(posted) for posted in ledger.posted.values()), 1.0)
        now = borne(model)
        for tag, total in now.items():
            lost = total - before[tag]
            gained = ledger.posted[tag] + lost  # what was posted is gains less losses
            assert (gained >= -TOLERANCE * gross).all(), f"{tag}: a loss without an account"
            assert tag not in NO_GAINS or (np.abs(gained) <= TOLERANCE * gross).all(), f"{tag}: an account without a loss"
            assert (lost[~lives] <= TOLERANCE * gross[~lives]).all(), f"{tag}: the dead lose"
            assert np.allclose(total.sum(axis=0), ledger.loss_by_tag[tag][0], rtol=TOLERANCE, atol=1e-9), tag
        before = now
        change = books.net_worth() - ledger.opening_of_run
        assert (np.abs(change - sum(ledger.attributed().values())) <= TOLERANCE * gross).all(), "closing less opening is not what was posted"
    hold_tables(model)
    return model


def hold_tables(model: ContagionModel) -> None:
    tables = model.recorder.tables("run")
    runs = tables["replications"].set_index("replication")
    losses = tables["losses"]
    by_channel = losses.pivot_table(index="replication", columns="channel", values="amount", aggfunc="sum", fill_value=0.0)
    for channel in ("direct", *LOSS_CHANNELS):
        told = by_channel[channel].reindex(runs.index, fill_value=0.0) if channel in by_channel else 0.0 * runs["total_loss"]
        assert np.allclose(told, runs[f"loss_{channel}"], rtol=TOLERANCE, atol=1e-9), channel
    assert np.allclose(losses.groupby("replication")["amount"].sum().reindex(runs.index, fill_value=0.0), runs["total_loss"], rtol=TOLERANCE)
    assert np.allclose(runs[["credit_loss", "mark_to_market_loss", "deadweight_loss"]].sum(axis=1), runs["total_loss"], rtol=TOLERANCE)
    assert set(losses["reason"]) <= set(REASONS)
    account = tables["attribution"]
    scale = account[["opening", *TAGS, "closing"]].abs().sum(axis=1)
    assert ((account["opening"] + account[list(TAGS)].sum(axis=1) - account["closing"]).abs() <= TOLERANCE * np.maximum(scale, 1.0)).all()
    assert len(account) == len(runs) * model.books.agents
    hold_trees(tables, model)


def hold_trees(tables: dict[str, pd.DataFrame], model: ContagionModel) -> None:
    """Every chain of causes ends at a root, goes back in time, and agrees with the chains of the defaults in it, with size and with depth."""
    runs = tables["replications"].set_index("replication")
    for number, rows in tables["defaults"].groupby("replication"):
        chains = dict(zip(rows["agent"], rows["chain"].str.split(" < "), strict=True))
        ticks = dict(zip(rows["agent"], rows["tick"], strict=True))
        for row in rows.to_dict("records"):
            chain = chains[row["agent"]]
            assert chain[0] == row["agent"]
            assert chain[-1] == row["root"]
            assert chain[-1] in ("shock", "own_business")
            assert chain[1].strip("[]") == row["triggered_by"]
            assert row["wave"] == len(chain) - 2
            failed = [agent for agent in chain[:-1] if not agent.startswith("[")]
            assert len(set(failed)) == len(failed)
            assert {link.strip("[]") for link in chain[:-1]} <= set(model.books.ids)
            assert all(ticks[later] >= ticks[earlier] for later, earlier in itertools.pairwise(failed))
            for place, agent in enumerate(chain[:-1]):
                assert agent.startswith("[") or chains[agent] == chain[place:]
        assert runs.loc[number, "cascade_size"] == sum(len(chain) > 2 for chain in chains.values())
        assert runs.loc[number, "waves"] == max(len(chain) - 2 for chain in chains.values())
    hold_causes(tables)


def hold_causes(tables: dict[str, pd.DataFrame]) -> None:
    """The trigger of every default is the largest of its causes, funding and the rest of the world aside."""
    causes = tables["causes"]
    assert (causes["amount"] > 0.0).all()
    keys = ["replication", "agent"]
    counted = causes[(causes["channel"] != "funding") & ~causes["from_agent"].isin(["outside", "households", "us_government", "fed", "government"])]
    by = counted["from_agent"].where(counted["reason"] != "shock", "shock")
    by = by.where(counted["reason"] != "own_business", "own_business")
    sums = counted.assign(by=by)[(by != counted["agent"])].groupby([*keys, "by"])["amount"].sum()
    for row in tables["defaults"].to_dict("records"):
        known = sums.get((row["replication"], row["agent"]))
        if row["triggered_by"] not in ("shock", "own_business"):
            assert known is not None
            assert known[row["triggered_by"]] >= known.max() * (1.0 - TOLERANCE)
            assert known[row["triggered_by"]] > known.get("own_business", 0.0)


@pytest.mark.parametrize("economy", ECONOMIES)
@pytest.mark.parametrize("shock", [("rate_hold", "collateral_devaluation"), ("demand_shortfall", "funding_freeze")])
def test_the_attribution_of_every_agent_adds_up_in_every_tick(economy: str, shock: tuple[str, ...]) -> None:
    assert attributed(economy, 3, months=48, shock=shock).books.tick == 48


@pytest.mark.slow
@pytest.mark.parametrize("economy", ECONOMIES)
@pytest.mark.parametrize("shock", shock_names())
def test_the_attribution_adds_up_in_every_replication_of_every_shipped_shock(economy: str, shock: str) -> None:
    assert attributed(economy, 100, shock=shock).books.tick == 60


@cache
def luck_without(channel: str | None) -> list[dict[str, bytes]]:
    """Draws of every tick, and demand, which is moved by luck alone; with a channel off, or with all on."""
    off = {} if channel is None else {channel: False}
    model = ContagionModel("three_firms", "collateral_devaluation", replications=(0, 5), horizon_months=14, mesa_agents=False, channels=off)
    seen = []
    for _ in range(14):
        model.step()
        seen.append({name: np.ascontiguousarray(drawn).tobytes() for name, drawn in (*model.books.draws.items(), ("demand", model.books["demand"]))})
    return seen


@pytest.mark.parametrize("channel", CHANNELS)
def test_switching_a_channel_changes_nobodys_random_draws(channel: str) -> None:
    for tick, (one, other) in enumerate(zip(luck_without(None), luck_without(channel), strict=True)):
        assert [name for name in one if one[name] != other[name]] == [], tick
        assert one.keys() == other.keys()


@pytest.mark.parametrize("channel", LOSS_CHANNELS)
def test_a_loss_channel_that_is_off_loses_nothing_and_its_losses_are_made_good(channel: str) -> None:
    fail = (Change("failures", "agent.failure", "set_to", 1.0, 4, agents=("coreweave", "openai", "softbank")),)
    model = attributed("us_ai_2025", 2, months=12, shock="collateral_devaluation", changes=fail, channels={channel: False})
    assert not model.recorder.tables("run")["replications"][f"loss_{channel}"].any()
    assert channel not in set(model.recorder.tables("run")["losses"]["channel"])


failures = st.lists(
    st.tuples(st.sampled_from(["openai", "xai", "coreweave", "oracle", "softbank", "nvidia", "private_credit", "us_banks"]), st.integers(1, 9)),
    max_size=4, unique_by=lambda pair: pair[0],
)  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(failures, st.sampled_from([(), ("collateral_devaluation",), ("demand_shortfall", "funding_freeze")]), st.integers(1, 10**6))
def test_every_default_goes_back_to_the_shock_or_to_luck_whoever_fails_first(
    failing: list[tuple[str, int]], shock: tuple[str, ...], seed: int
) -> None:
    changes = tuple(Change(f"failure_{agent}", "agent.failure", "set_to", 1.0, month, lasts=1, agents=(agent,)) for agent, month in failing)
    model = ContagionModel("us_ai_2025", shock, rng=seed, replications=range(3), horizon_months=14, mesa_agents=False, changes=changes)
    tables = model.run().recorder.tables("run")
    hold_trees(tables, model)
    for agent, _ in failing:
        rows = tables["defaults"][tables["defaults"]["agent"] == agent]
        assert (rows.loc[rows["tick"] == dict(failing)[agent] - 1, "root"] == "shock").all()
