"""Loading economies: the arrays that come out are what the tables say."""

from __future__ import annotations

import copy
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from scenarios.economy import NO_DATE, Economy, books
from scenarios.items import AGENT_ITEMS, MACRO_ITEMS
from scenarios.loading import economies, load_economy
from simulator.errors import InputError
from simulator.ledger.names import KINDS

HOUSE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def economy() -> Economy:
    return load_economy("three_firms")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(HOUSE / "scenarios" / "data" / "three_firms", tmp_path / "mine")
    return tmp_path / "mine"


def replace(path: Path, old: str, new: str) -> None:
    """Replace a text that must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_every_economy_of_the_house_loads_and_its_books_balance() -> None:
    assert "three_firms" in economies()
    for name in economies():
        loaded = load_economy(name)
        assert loaded.name == name
        cash, deposits = loaded.values["cash"].sum(), loaded.values["deposits"].sum()
        assert cash == pytest.approx(deposits, rel=1e-6)
        gap = np.abs(loaded.net_worth() - loaded.values["equity_book"])
        assert (gap <= 0.005 * loaded.balance_sheet()["total_assets"] + 1e-12).all()


def test_agents_are_sorted_by_kind_and_each_kind_is_a_slice(economy: Economy) -> None:
    assert [KINDS.index(kind) for kind in economy.kinds] == sorted(KINDS.index(kind) for kind in economy.kinds)
    for kind in KINDS:
        assert economy.kinds[economy.rows(kind)] == tuple(k for k in economy.kinds if k == kind)
    assert economy.rows("hyperscaler").start == economy.rows("hyperscaler").stop
    assert economy.ids[economy.index("cloud")] == "cloud"


def test_an_unknown_agent_or_kind_is_answered_with_the_nearest(economy: Economy) -> None:
    with pytest.raises(InputError, match="no agent 'clod' – did you mean 'cloud'"):
        economy.index("clod")
    with pytest.raises(InputError, match="did you mean 'ai_lab'"):
        economy.rows("ai_labs")


def test_every_item_has_a_number_for_every_agent(economy: Economy) -> None:
    assert set(economy.values) == set(AGENT_ITEMS)
    assert set(economy.macro) == set(MACRO_ITEMS)
    for numbers in economy.values.values():
        assert numbers.shape == (economy.size,)
        assert np.isfinite(numbers).all()


def test_a_figure_beats_a_parameter_and_a_parameter_beats_the_default(economy: Economy) -> None:
    rate = economy.values["depreciation_rate"]
    assert rate[economy.index("cloud")] == 0.2  # figure
    assert rate[economy.index("chipmaker")] == 0.15  # parameter of the kind
    assert economy.values["tax_rate"][economy.index("lab")] == 0.2  # parameter of all
    assert economy.values["runway_target_months"][economy.index("lab")] == 15.0  # default


def test_a_narrower_scope_beats_a_wider_one_whatever_the_order_of_rows(folder: Path) -> None:
    tail = "assumption,2025-12,low,0.01,0.9,\n"
    with (folder / "parameters.csv").open("a", encoding="utf-8") as file:
        for scope, value in (("bank", 0.3), ("lender", 0.2), ("cloud", 0.4), ("all", 0.1)):
            file.write(f"value_margin,{scope},{value},share,{tail}")
    margin = load_economy(folder).values["value_margin"]
    loaded = load_economy(folder)
    assert margin[loaded.index("bank")] == 0.3
    assert margin[loaded.index("cloud")] == 0.4
    assert margin[loaded.index("lab")] == 0.1
    assert margin[loaded.index("chipmaker")] == 0.4  # its figure


def test_contracts_are_columns_of_rows_months_and_words(economy: Economy) -> None:
    loans = economy.loans
    margin = loans.ids.index("loan_margin")
    assert economy.ids[loans.lender[margin]] == "bank"
    assert economy.ids[loans.borrower[margin]] == "investor"
    assert loans.maturity[margin] == 24
    assert loans.kind[margin] == "margin_loan"
    assert economy.stakes.ids[loans.pledged_stake[margin]] == "stake_investor"
    assert np.isinf(loans.ltv_call[loans.ids.index("loan_cloud")])
    assert loans.ltv_call[margin] == 0.5
    assert loans.new_lending.dtype == np.bool_
    assert loans.new_lending.all()
    assert economy.orders.end[economy.orders.ids.index("order_chips")] == NO_DATE
    assert economy.orders.start[economy.orders.ids.index("order_compute")] == 1
    assert economy.guarantees.reference_table[0] == "orders"
    assert economy.orders.ids[economy.guarantees.reference_row[0]] == "order_compute"
    assert len(economy.leases) == 0
    assert economy.leases.rent.dtype == np.float64


def test_a_column_that_does_not_exist_is_an_attribute_error(economy: Economy) -> None:
    with pytest.raises(AttributeError, match="did you mean 'principal'"):
        _ = economy.loans.principle


def test_an_economy_can_be_copied_and_pickled(economy: Economy) -> None:
    for twin in (copy.deepcopy(economy), pickle.loads(pickle.dumps(economy))):
        assert twin.ids == economy.ids
        assert np.array_equal(twin.loans.principal, economy.loans.principal)


def test_arrays_are_read_only(economy: Economy) -> None:
    with pytest.raises(ValueError):
        economy.values["cash"][0] = 1.0
    with pytest.raises(ValueError):
        economy.loans.principal[0] = 1.0


def test_every_number_of_the_tables_is_a_fact_with_its_range(economy: Economy) -> None:
    facts = {(fact.table, fact.row_id, fact.column): fact for fact in economy.facts}
    call = facts["loans", "loan_margin", "ltv_call"]
    assert (call.value, call.low, call.high, call.source) == (0.5, 0.35, 0.6, "assumption")
    assert facts["figures", "lab", "cash"].unit == "USD bn"
    assert facts["macro", "macro", "policy_rate"].value == 0.04
    assert facts["defaults", "all", "runway_target_months"].low == 9.0
    assert all(
        fact.low <= fact.value <= fact.high for fact in economy.facts if fact.source == "assumption" and fact.value and fact.low == fact.low
    )


def announce(folder: Path) -> None:
    """Make the loan of the cloud, the stake of the household and the compute order announced."""
    replace(folder / "loans.csv", "60,drawn", "60,announced")
    replace(folder / "stakes.csv", "0,none,,0,0,,closed", "0,none,,0,0,,conditional")
    replace(folder / "orders.csv", "0.8,0,signed", "0.8,0,announced")
    replace(folder / "figures.csv", "cloud,equity_book,30", "cloud,equity_book,70")
    replace(folder / "figures.csv", "bank,other_assets,560", "bank,other_assets,600")
    replace(folder / "figures.csv", "assumption,2025-12,low,448,700", "assumption,2025-12,low,448,750")
    replace(folder / "figures.csv", "household,equity_book,1900", "household,equity_book,1800")


def test_announced_contracts_are_left_out_unless_included(folder: Path) -> None:
    announce(folder)
    loaded = load_economy(folder)
    assert loaded.loans.ids == ("loan_margin",)
    assert "stake_household" not in loaded.stakes.ids
    assert loaded.guarantees.ids == ()  # its order is not loaded


def test_included_contracts_are_commitments_and_leave_the_opening_books_alone(folder: Path) -> None:
    announce(folder)
    without, loaded = load_economy(folder), load_economy(folder, include=("announced", "conditional"))
    loan = loaded.loans.ids.index("loan_cloud")
    assert (loaded.loans.principal[loan], loaded.loans.undrawn[loan]) == (0.0, 40.0)
    stake = loaded.stakes.ids.index("stake_household")
    assert (loaded.stakes.value[stake], loaded.stakes.tranche_remaining[stake]) == (0.0, 100.0)
    assert (loaded.stakes.tranche_trigger[stake], loaded.stakes.tranche_end[stake]) == ("schedule", 12)
    assert loaded.orders.amount[loaded.orders.ids.index("order_compute")] == 60.0
    assert loaded.guarantees.ids == ("guarantee_capacity",)
    assert np.array_equal(loaded.net_worth(), without.net_worth())


def test_a_contract_switched_off_is_held_against_the_rest_of_the_world(economy: Economy) -> None:
    without = load_economy("three_firms", contracts={"loan_cloud": False, "stake_investor": False})
    assert without.loans.ids == ("loan_margin",)
    assert without.loans.pledged_stake[0] == -1
    assert np.allclose(without.net_worth(), economy.net_worth(), rtol=1e-12)
    bank, cloud = economy.index("bank"), economy.index("cloud")
    assert without.values["other_assets"][bank] == economy.values["other_assets"][bank] + 40.0
    assert without.values["other_liabilities"][cloud] == economy.values["other_liabilities"][cloud] + 40.0


def test_unknown_switches_are_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"economy\.contracts: there is no contract 'loan_cluod' – did you mean 'loan_cloud'"):
        load_economy("three_firms", contracts={"loan_cluod": True})
    with pytest.raises(InputError, match=r"economy\.include: 'anounced' is no status.*did you mean 'announced'"):
        load_economy("three_firms", include=["anounced"])
    with pytest.raises(InputError, match="is switched on, but it guarantees order_compute"):
        load_economy("three_firms", contracts={"order_compute": False, "guarantee_capacity": True})


def test_an_unknown_economy_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"economies are .*three_firms.*did you mean 'three_firms'"):
        load_economy("three_firm")


def test_books_without_a_published_net_worth_are_computed(folder: Path) -> None:
    text = (folder / "figures.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines(keepends=True) if ",equity_book," not in line]
    (folder / "figures.csv").write_text("".join(lines), encoding="utf-8")
    loaded = load_economy(folder)
    assert loaded.values["equity_book"][loaded.index("bank")] == 70.0


def test_a_byte_order_mark_and_windows_line_ends_are_read(folder: Path) -> None:
    for path in folder.glob("*.csv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_economy(folder).ids == load_economy("three_firms").ids


def test_the_books_in_the_docs_are_those_of_the_tables(economy: Economy) -> None:
    assert books(economy) in (HOUSE / "docs" / "three_firms.md").read_text(encoding="utf-8")


def test_a_column_that_is_optional_may_be_left_out_or_given(folder: Path) -> None:
    plain = load_economy(folder)
    assert plain.loans.grace_months.tolist() == [-1] * len(plain.loans.ids)
    lines = (folder / "loans.csv").read_text().splitlines()
    (folder / "loans.csv").write_text("\n".join([lines[0] + ",grace_months", lines[1] + ",4", *(line + "," for line in lines[2:])]) + "\n")
    assert load_economy(folder).loans.grace_months.tolist() == [4, *[-1] * (len(plain.loans.ids) - 1)]


def test_a_swap_may_refer_to_an_agent_and_a_guarantee_may_not(folder: Path) -> None:
    path = folder / "guarantees.csv"
    header, row = path.read_text().splitlines()
    on_agent = row.replace("order_compute", "lab")
    path.write_text(f"{header}\n{on_agent.replace('capacity_backstop', 'cds')}\n")
    loaded = load_economy(folder)
    assert loaded.guarantees.reference_table.tolist() == ["agents"]
    assert loaded.ids[loaded.guarantees.reference_row[0]] == "lab"
    path.write_text(f"{header}\n{on_agent}\n")
    with pytest.raises(InputError, match=r"guarantees.csv, line 2, column 'reference': 'lab' is no id in loans.csv or orders.csv or leases.csv"):
        load_economy(folder)
