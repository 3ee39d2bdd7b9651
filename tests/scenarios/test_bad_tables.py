"""Every fault in a table is answered with one line that names file, line, column, value and what is allowed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scenarios.loading import load_economy
from simulator.errors import InputError

DATA = Path(__file__).resolve().parents[2] / "scenarios" / "data" / "three_firms"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(DATA, tmp_path / "mine")
    return tmp_path / "mine"


def fault_of(folder: Path) -> str:
    """The one line with which loading the folder fails."""
    with pytest.raises(InputError) as fault:
        load_economy(folder)
    assert "\n" not in str(fault.value)
    return str(fault.value)


def line_of(path: Path, start: str) -> int:
    """Number of the line that starts with a text, as an editor shows it."""
    return next(n for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if line.startswith(start))


# (table, start of the row, column, bad value, what the answer says)
BAD_CELLS = [
    # words, numbers, dates
    ("agents", "cloud", "kind", "clowd", "not one of chipmaker.*did you mean 'cloud'"),
    ("agents", "cloud", "listed", "maybe", "not one of yes, no"),
    ("agents", "cloud", "jurisdiction", "", "is blank.*us, eu, asia, gulf, offshore"),
    ("agents", "cloud", "id", "two words", "is not an id"),
    ("loans", "loan_cloud", "kind", "term_lone", "did you mean 'term_loan'"),
    ("loans", "loan_cloud", "status", "drwan", "did you mean 'drawn'"),
    ("loans", "loan_cloud", "principal", "forty", "is not a number"),
    ("loans", "loan_cloud", "principal", "4_0", "is not a finite number"),
    ("loans", "loan_cloud", "principal", "nan", "is not a finite number"),
    ("loans", "loan_cloud", "principal", "inf", "is not a finite number"),
    ("loans", "loan_cloud", "principal", "-40", "is outside what is allowed: at least 0"),
    ("loans", "loan_cloud", "rate", "5", "is outside what is allowed: -0.05 to 1"),
    ("loans", "loan_cloud", "maturity", "2030-13", "is not a date; write YYYY-MM"),
    ("loans", "loan_cloud", "maturity", "12/2030", "is not a date; write YYYY-MM"),
    ("loans", "loan_cloud", "maturity", "2025-12", "is not after the start of the economy, but the principal is 40"),
    ("loans", "loan_cloud", "maturity", "", "is blank, but the principal is 40; a drawn loan needs the month when it falls due"),
    ("macro", "gdp", "value", "0", r"is outside what is allowed: at least 0.001 \(gdp"),
    ("loans", "loan_cloud", "new_term_months", "2.5", "is not a whole number"),
    ("figures", "lab,cash", "value", "-15", r"is outside what is allowed: at least 0 \(cash, USD bn\)"),
    ("figures", "lab,cash", "unit", "USD mn", "is not the unit of cash, which is 'USD bn'"),
    ("figures", "lab,cost_share", "unit", "percent", "is not the unit of cost_share, which is 'share'"),
    ("figures", "lab,cash", "item", "cahs", "is not an item – did you mean 'cash'"),
    ("figures", "lab,cash", "agent", "labb", "is not an agent in agents.csv – did you mean 'lab'"),
    ("figures", "lab,cash", "item", "other_assets", "is given twice for 'lab': also in line"),
    ("figures", "lab,cash", "item", "deposits", "owes deposits, but only banks and the central bank do"),
    ("parameters", "tax_rate", "name", "tax_rat", "is not an item – did you mean 'tax_rate'"),
    ("parameters", "tax_rate", "scope", "chipmakers", "is not all, a kind, a lender type or the id of an agent – did you mean 'chipmaker'"),
    ("parameters", "tax_rate", "value", "2", "is outside what is allowed: 0 to 1"),
    ("parameters", "tax_rate", "name", "long_run_growth", "is given twice"),
    ("macro", "gdp_growth", "item", "gdp_grwoth", "is not an item – did you mean 'gdp_growth'"),
    ("macro", "gdp_growth", "item", "inflation", "is given twice"),
    ("orders", "order_compute", "take_or_pay", "80", "is outside what is allowed: 0 to 1"),
    # provenance
    ("loans", "loan_cloud", "source", "", "is blank, but a value is required"),
    ("loans", "loan_cloud", "source", "filing_2025", "is not a key in sources.csv, nor assumption, nor computed"),
    ("loans", "loan_cloud", "as_of", "last year", "is not a date"),
    ("loans", "loan_cloud", "low", "41", "is above the principal 40"),
    ("loans", "loan_cloud", "high", "39", "is below the principal 40"),
    ("loans", "loan_cloud", "high", "", "low and high come together"),
    ("loans", "loan_margin", "assumed", "ltv_cal:0.3-0.6", "'ltv_cal', which is no column of this table – did you mean 'ltv_call'"),
    ("loans", "loan_margin", "assumed", "ltv_call", "gives no range of the number 'ltv_call'"),
    ("loans", "loan_margin", "assumed", "ltv_call:0.6-0.7", "gives ltv_call the range 0.6 to 0.7, but its value is 0.5"),
    # agents and contracts
    ("agents", "cloud", "id", "lab", "is used twice: also in line"),
    ("agents", "cloud", "id", "fund", "is the name of a kind or type"),
    ("agents", "bank", "lender_type", "", "is blank, but a lender needs one of bank, private_credit, fund, insurer"),
    ("agents", "cloud", "lender_type", "bank", "is for lenders only, and 'cloud' is a cloud"),
    ("agents", "lab", "kind", "household", "appears twice"),
    ("loans", "loan_cloud", "lender", "bnak", "is not an agent in agents.csv – did you mean 'bank'"),
    ("loans", "loan_cloud", "borrower", "bank", "is also the lender; a contract needs two different agents"),
    ("loans", "loan_cloud", "id", "stake_investor", "is used twice: also in loans.csv"),
    ("loans", "loan_margin", "pledged_stake", "stake_invester", "is no id in stakes.csv – did you mean 'stake_investor'"),
    ("loans", "loan_margin", "pledged_stake", "stake_chipmaker", "is held by 'chipmaker', but the borrower is 'investor'"),
    ("loans", "loan_margin", "pledged_stake", "", "is blank, but the collateral is shares"),
    ("loans", "loan_margin", "collateral", "none", "must be shares, because pledged_stake is given"),
    ("loans", "loan_margin", "ltv_close_out", "0.45", "is below ltv_call 0.5"),
    ("stakes", "stake_chipmaker", "tranche_end", "2025-06", "is not after the start of the economy, but the tranche_remaining is 24"),
    ("stakes", "stake_chipmaker", "vests_with", "order_chps", "is no id in orders.csv – did you mean 'order_chips'"),
    ("orders", "order_compute", "end", "2025-12", "is before the start 2026-01"),
    ("guarantees", "guarantee_capacity", "reference", "order_computer", "is no id in .* – did you mean 'order_compute'"),
]


@pytest.mark.parametrize(("table", "row", "column", "value", "told"), BAD_CELLS, ids=lambda part: str(part)[:24])
def test_a_bad_cell_is_told_with_its_place(folder: Path, table: str, row: str, column: str, value: str, told: str) -> None:
    path = folder / f"{table}.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[0].split(",")
    number = line_of(path, row)
    cells = lines[number - 1].split(",")
    cells[header.index(column)] = value
    ranged = {"principal", "value"} & {column}
    if ranged and re.fullmatch(r"-?[\d.]+", value):  # so that the range of the row is not the first fault
        cells[header.index("low")], cells[header.index("high")] = "-1000", "1000"
    lines[number - 1] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fault = fault_of(folder)
    assert re.search(told, fault), fault
    if "appears twice" not in told and "is used twice" not in told and "given twice" not in told and "household" not in value:
        at = re.search(rf"{table}\.csv, line (\d+), column '(\w+)': '(.*?)' ", fault)
        assert at, fault
        assert int(at[1]) == number
        assert (at[2], at[3]) in ((column, value), (at[2], cells[header.index(at[2])]))
    assert f"{table}.csv, line" in fault or "stakes.csv, line" in fault


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    """An edit that replaces a text that must be there."""

    def apply(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")

    return apply


def keep(name: str, wanted: Callable[[str], bool]) -> Callable[[Path], None]:
    """An edit that keeps the wanted lines of a file, its header always."""

    def apply(folder: Path) -> None:
        lines = (folder / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / name).write_text(lines[0] + "".join(filter(wanted, lines[1:])), encoding="utf-8")

    return apply


def append(name: str, row: str) -> Callable[[Path], None]:
    """An edit that adds a row at the end."""

    def apply(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(row + "\n")

    return apply


SECOND_PLEDGE = (
    "loan_two,bank,investor,margin_loan,50,0,floating,0.02,2027-12,bullet,secured,shares,stake_investor,,,yes,no,0,drawn,"
    "assumption,2025-12,low,40,60,,"
)

BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing file": (lambda folder: (folder / "loans.csv").unlink(), r"loans\.csv: file is missing"),
    "a missing description": (lambda folder: (folder / "economy.yaml").unlink(), r"economy\.yaml: file is missing"),
    "an unknown key": (edit("economy.yaml", "title:", "titel:"), "unknown key 'titel'.*did you mean 'title'"),
    "a missing key": (edit("economy.yaml", "name: three_firms", ""), "key 'name' is missing"),
    "a bad start": (edit("economy.yaml", '"2025-12"', "soon"), "start: 'soon' is not a month"),
    "broken YAML": (edit("economy.yaml", "title: ", "title: ["), "not YAML"),
    "a missing column": (edit("loans.csv", "undrawn,", ""), "loans.csv, line 1: column 'undrawn' is missing"),
    "an unknown column": (edit("loans.csv", "undrawn", "undrawm"), "line 1: unknown column 'undrawm'.*did you mean 'undrawn'"),
    "a column with a control character": (edit("loans.csv", "undrawn", "un\x0bdrawn"), r"line 1: unknown column 'un\\x0bdrawn'"),
    "a column twice": (edit("loans.csv", "undrawn", "principal"), "column 'principal' appears twice"),
    "an empty file": (lambda folder: (folder / "macro.csv").write_text("", encoding="utf-8"), "macro.csv: is empty; a header with"),
    "no agents": (keep("agents.csv", lambda line: False), "agents.csv: has no rows"),
    "no figures": (keep("figures.csv", lambda line: False), "figures.csv: has no rows"),
    "no macro": (keep("macro.csv", lambda line: False), "macro.csv: has no rows"),
    "stakes above the market value": (
        edit("figures.csv", "lab,market_value,200,USD bn,assumption,2025-12,low,160,250", "lab,market_value,70,USD bn,assumption,2025-12,low,60,250"),
        r"stakes\.csv, line 3, column 'value': '60' takes the stakes in 'lab' to 80, above its market value 70",
    ),
    "no government": (keep("agents.csv", lambda line: not line.startswith("government")), "no agent of kind government; exactly one"),
    "no bank": (edit("agents.csv", "lender,bank", "lender,fund"), "id.*'bank' is the name of a kind|no lender of type bank"),
    "too many cells": (append("macro.csv", "a,b,c,d,e,f,g,h,i,j"), r"macro\.csv, line \d+: too many cells: 10, but the header has 9"),
    "too few cells": (append("macro.csv", "a,b"), "too few cells: 2, but the header has 9"),
    "an open quote": (append("macro.csv", '"a,b'), "not a CSV row"),
    "an assumption without a range": (
        edit("macro.csv", "low,2400,3750", "low,,"),
        "an assumption needs low and high around its value 3000",
    ),
    "another encoding": (
        lambda folder: (folder / "agents.csv").write_bytes((folder / "agents.csv").read_bytes().replace(b"AI lab", b"Caf\xe9")),
        r"agents\.csv, line 4: not UTF-8 text \(byte 0xe9\)",
    ),
    "unbalanced books": (
        edit("figures.csv", "lab,equity_book,20", "lab,equity_book,30"),
        r"figures\.csv, line \d+, column 'value': '30' is the published net worth of 'lab', but the tables give 20\.000",
    ),
    "missing cash": (
        edit("figures.csv", "outside,cash,200", "outside,cash,201"),
        "the cash of all agents is 701.000000 and the deposits .* are 700.000000; they must be equal",
    ),
    "a stake pledged twice": (
        append("loans.csv", SECOND_PLEDGE),
        r"loans\.csv, line 4, column 'pledged_stake': 'stake_investor' is pledged twice: loan_margin \(line 3, 1 of it\), "
        r"loan_two \(line 4, 1 of it\); the parts given in pledged_share must add to 1",
    ),
    "supply shares above 1": (
        append("orders.csv", "order_more,outside,cloud,chips,0,2025-12,0,,0,0.1,signed,assumption,2025-12,low,,,,"),
        r"supply_share': '0.1' takes the shares of buyer good 'cloud chips' to 1\.1, above 1",
    ),
    "round shares above 1": (
        edit(
            "stakes.csv",
            "0.3,0,,closed,assumption,2025-12,low,48,75,pledged to loan_margin,round_share:0.2-0.4",
            "0.9,0,,closed,computed,,,,,,",
        ),
        r"round_share': '0.9' takes the shares of issuer 'lab' to 1\.1, above 1",
    ),
    "a source key twice": (
        lambda folder: append("sources.csv", "one,Title,,\none,Title,,")(folder),
        r"sources\.csv, line 3, column 'key': 'one' is used twice",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_told_in_one_line(folder: Path, name: str) -> None:
    spoil, told = BAD_FILES[name]
    spoil(folder)
    fault = fault_of(folder)
    assert re.search(told, fault), fault


def test_an_economy_without_a_bank_is_refused(folder: Path) -> None:
    for path in folder.glob("*.csv"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(?<![\w])bank(?![\w])", "lender_one", text), encoding="utf-8")
    edit("agents.csv", "lender,lender_one", "lender,fund")(folder)
    assert "there is no lender of type bank" in fault_of(folder)


def test_a_stake_may_be_pledged_in_parts_that_add_to_the_whole(folder: Path) -> None:
    path = folder / "loans.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[0] = lines[0].replace("pledged_stake,", "pledged_stake,pledged_share,")
    lines[1] = lines[1].replace("accelerators,,", "accelerators,,,")
    lines[2] = lines[2].replace("stake_investor,", "stake_investor,0.6,")
    slot = SECOND_PLEDGE.replace("margin_loan,50", "margin_loan,0").replace("low,40", "low,0")
    path.write_text("\n".join([*lines, slot.replace("stake_investor,", "stake_investor,0.4,")]) + "\n", encoding="utf-8")
    assert load_economy(folder).loans.pledged_share.tolist() == [1.0, 0.6, 0.4]
    path.write_text("\n".join([*lines, slot.replace("stake_investor,", "stake_investor,0.5,")]) + "\n", encoding="utf-8")
    assert "is pledged twice: loan_margin (line 3, 0.6 of it), loan_two (line 4, 0.5 of it)" in fault_of(folder)


def test_the_line_told_counts_lines_inside_quotes_and_empty_lines(folder: Path) -> None:
    path = folder / "macro.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("3750,\n", '3750,"a note\nof two lines"\n\n', 1), encoding="utf-8")
    number = len(path.read_text(encoding="utf-8").splitlines()) + 1
    append("macro.csv", "gdpp,1,,assumption,2025-12,low,0,2,")(folder)
    assert f"macro.csv, line {number}, column 'item'" in fault_of(folder)


def test_several_sources_may_be_named(folder: Path) -> None:
    append("sources.csv", "one,First report,https://example.org,2025\ntwo,Second report,,2025")(folder)
    edit("macro.csv", "gdp,3000,USD bn per year,assumption", "gdp,3000,USD bn per year,one;two")(folder)
    economy = load_economy(folder)
    assert economy.sources["two"]["title"] == "Second report"
    assert next(fact for fact in economy.facts if fact.column == "gdp").source == "one;two"
