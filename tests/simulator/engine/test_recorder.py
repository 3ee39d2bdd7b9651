"""The recorder: tables, cascades as a tree of causes, and what counts as systemic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.changes import Change
from simulator.engine.model import ContagionModel
from simulator.engine.recorder import COUNTED_KINDS, SERIES, _worst_year, month_name
from simulator.ledger.names import LOSS_CHANNELS
from simulator.ledger.resolution import CAUSES

DEFAULTS = ["scenario", "replication", "tick", "date", "wave", "agent", "kind", "cause", "triggered_by", "debt", "recovery_share",
            "loss_given_default", "cds_before", "root", "chain"]  # fmt: skip
RULE = {"months": 12, "kinds": 3, "debt_share": 0.10}


@pytest.fixture(scope="module")
def model() -> ContagionModel:
    fail = Change("failures", "agent.failure", "set_to", 1.0, 4, agents=("coreweave", "openai", "oracle", "softbank"))
    return ContagionModel("us_ai_2025", replications=(3, 8), horizon_months=18, mesa_agents=False, record="agents", changes=(fail,)).run()


@pytest.fixture(scope="module")
def tables(model: ContagionModel) -> dict[str, pd.DataFrame]:
    return model.recorder.tables("run")


def test_the_defaults_table_has_its_columns_and_closed_vocabularies(tables: dict[str, pd.DataFrame], model: ContagionModel) -> None:
    table = tables["defaults"]
    assert list(table.columns) == DEFAULTS
    assert len(table) >= 8
    assert set(table["cause"]) <= set(CAUSES)
    assert set(table["triggered_by"]) <= {"shock", "own_business", *model.books.ids}
    assert set(table["replication"]) == {3, 8}
    assert table["recovery_share"].between(0.0, 1.0).all()
    assert (table["debt"] >= 0.0).all()
    assert np.allclose(table["loss_given_default"], table["debt"] * (1.0 - table["recovery_share"]))
    assert (table["date"] == [month_name("2025-12", tick) for tick in table["tick"]]).all()


def test_a_table_without_defaults_has_the_same_columns() -> None:
    empty = ContagionModel("three_firms", horizon_months=1, mesa_agents=False).run().recorder.tables("run")["defaults"]
    assert list(empty.columns) == DEFAULTS
    assert len(empty) == 0


def test_an_agent_defaults_at_most_once(tables: dict[str, pd.DataFrame]) -> None:
    assert not tables["defaults"].duplicated(["replication", "agent"]).any()


def test_agents_made_to_fail_are_triggered_by_the_shock_in_its_month(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["defaults"]
    shocked = table[table["agent"].isin(["coreweave", "openai", "oracle"])]
    assert set(shocked["triggered_by"]) == {"shock"}
    assert set(shocked["tick"]) == {3}
    assert set(shocked["date"]) == {"2026-04"}
    assert set(shocked["wave"]) == {0}


def test_a_wave_is_one_more_than_that_of_who_caused_it(tables: dict[str, pd.DataFrame]) -> None:
    for _, rows in tables["defaults"].groupby("replication"):
        waves = dict(zip(rows["agent"], rows["wave"], strict=True))
        for wave, trigger in zip(rows["wave"], rows["triggered_by"], strict=True):
            assert wave == (waves[trigger] + 1 if trigger in waves else 0)


def test_who_caused_a_default_failed_before_it_or_in_the_same_month(tables: dict[str, pd.DataFrame]) -> None:
    for _, rows in tables["defaults"].groupby("replication"):
        when = dict(zip(rows["agent"], rows["tick"], strict=True))
        for tick, trigger in zip(rows["tick"], rows["triggered_by"], strict=True):
            assert trigger not in when or when[trigger] <= tick


def test_cascade_size_and_waves_are_counted_from_the_tree_of_causes(tables: dict[str, pd.DataFrame]) -> None:
    runs = tables["replications"].set_index("replication")
    for number, rows in tables["defaults"].groupby("replication"):
        assert runs.loc[number, "defaults"] == len(rows)
        assert runs.loc[number, "cascade_size"] == (~rows["triggered_by"].isin(["shock", "own_business"])).sum()
        assert runs.loc[number, "waves"] == rows["wave"].max()
        assert runs.loc[number, "first_default_tick"] == rows["tick"].min()
        assert runs.loc[number, "defaulted_debt"] == pytest.approx(rows["debt"].sum())
        for kind in COUNTED_KINDS:
            assert runs.loc[number, f"{kind}_defaults"] == (rows["kind"] == kind).sum()


def test_the_table_of_replications_has_the_losses_by_channel(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["replications"]
    assert table["replication"].tolist() == [3, 8]
    parts = table[[f"loss_{tag}" for tag in ("direct", *LOSS_CHANNELS)]]
    assert np.allclose(parts.sum(axis=1), table["total_loss"])
    assert (parts >= -1e-9).all(axis=None)
    assert table["amplification"].isna().all()
    assert table["converged"].all()
    assert (table["market_value_min_share"] <= 1.5).all()
    for kind in COUNTED_KINDS:
        assert table[f"{kind}_alive_share"].between(0.0, 1.0).all()


def test_losses_name_who_caused_and_who_bore_them(tables: dict[str, pd.DataFrame], model: ContagionModel) -> None:
    table = tables["losses"]
    assert list(table.columns) == ["scenario", "replication", "tick", "wave", "from_agent", "to_agent", "channel", "reason", "amount"]
    assert (table["amount"] > 0.0).all()
    assert set(table["channel"]) <= {"direct", *LOSS_CHANNELS}
    assert set(table["from_agent"]) | set(table["to_agent"]) <= set(model.books.ids)
    openai = table[(table["from_agent"] == "openai") & (table["channel"] == "equity")]
    assert len(openai)
    assert {"microsoft", "softbank"} & set(openai["to_agent"])


def test_the_table_of_ticks_has_every_series_of_every_month(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["ticks"]
    assert len(table) == 2 * 18
    assert set(SERIES) <= set(table.columns)
    assert table.loc[0, "date"] == "2026-01"
    assert not table[list(SERIES)].isna().any(axis=None)
    for _, rows in table.groupby("replication"):
        assert rows["defaults_to_date"].is_monotonic_increasing
        assert (rows["loss_to_date"].diff().dropna() >= -1e-9).all()


def test_the_panel_has_every_agent_in_every_month(tables: dict[str, pd.DataFrame], model: ContagionModel) -> None:
    panel = tables["agents"]
    assert len(panel) == 2 * 18 * len(model.books.ids)
    last = panel[(panel["tick"] == 17) & (panel["replication"] == 8)].set_index("agent")
    assert last.loc["openai", "alive"] == 0.0
    np.testing.assert_array_equal(last["cash"].to_numpy(), model.books["cash"][:, 1])


def events(*rows: tuple[int, str, float], replication: int = 4) -> pd.DataFrame:
    return pd.DataFrame([(replication, *row) for row in rows], columns=["replication", "tick", "kind", "debt"])


def worst(table: pd.DataFrame, **changes: float) -> float | None:
    return _worst_year(table, {**RULE, **changes}).get(4)


def test_the_worst_year_counts_the_debt_that_fails_with_enough_kinds_in_the_window() -> None:
    kinds = events((5, "cloud", 4.0), (9, "ai_lab", 3.0), (16, "lender", 3.0))
    assert worst(kinds) == 10.0
    assert worst(kinds, kinds=4) is None
    assert worst(kinds, months=11) is None  # months 5 to 15
    assert worst(events((5, "cloud", 50.0), (6, "cloud", 50.0), (7, "ai_lab", 50.0))) is None
    assert worst(events()) is None


def test_the_window_of_the_systemic_rule_may_open_at_any_default() -> None:
    late = events((0, "cloud", 1.0), (30, "cloud", 5.0), (33, "ai_lab", 5.0), (41, "lender", 5.0))
    assert worst(late) == 15.0


def test_replications_do_not_mix_in_the_systemic_rule() -> None:
    table = pd.concat([events((5, "cloud", 4.0), (6, "ai_lab", 4.0), replication=3), events((7, "lender", 4.0))])
    assert _worst_year(table, RULE) == {}


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(("cloud", "ai_lab", "lender", "utility")), st.floats(0.0, 9.0)), max_size=12))
def test_the_worst_year_is_the_worst_of_the_windows_that_open_at_each_default(rows: list[tuple[int, str, float]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    windows = [[row for row in rows[place:] if row[0] < first[0] + RULE["months"]] for place, first in enumerate(rows)]
    debts = [sum(row[2] for row in window) for window in windows if len({row[1] for row in window}) >= RULE["kinds"]]
    assert worst(events(*rows)) == (pytest.approx(max(debts), rel=1e-12) if debts else None)


def test_the_systemic_columns_are_nested(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["replications"]
    assert (table["systemic_at_double"] <= table["systemic"]).all()
    assert (table["systemic"] <= table["systemic_at_half"]).all()
