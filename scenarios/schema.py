"""The schema of an economy's tables as data: per table its columns with type, range and allowed words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scenarios.economy import NO_DATE
from simulator.ledger.names import KINDS, LENDER_TYPES

STATUSES = ("drawn", "signed", "closed", "announced", "conditional", "dropped")
"""How firm a contract is. The first three are in force; the others only when they are switched on."""

IN_FORCE = ("drawn", "signed", "closed")

UNSOURCED = ("assumption", "computed")
"""Words that may stand in the column ``source`` in place of a key of ``sources.csv``."""


@dataclass(frozen=True)
class Column:
    """One column of a table: its type, whether a cell may be blank, and what is allowed in it.

    ``type`` is text | id | agent | word | yes_no | number | whole | date | day. Numbers lie in [``minimum``, ``maximum``].
    ``blank`` is the value of a blank cell where ``required`` is false.
    """

    name: str
    type: str
    required: bool = False
    words: tuple[str, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf
    blank: Any = ""
    unit: str = ""
    may_lack: bool = False  # whether a table may come without the column: every cell is then blank


@dataclass(frozen=True)
class Table:
    """One CSV table: its columns, its main number (to which ``low`` and ``high`` belong) and whether it must have rows."""

    name: str
    columns: tuple[Column, ...]
    main: str = ""
    needs_rows: bool = False

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"{self.name}.csv"

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)


def _money(name: str) -> Column:
    return Column(name, "number", minimum=0.0, blank=0.0, unit="USD bn")


def _share(name: str) -> Column:
    return Column(name, "number", minimum=0.0, maximum=1.0, blank=0.0, unit="share")


def _word(name: str, words: tuple[str, ...], blank: str | None = None) -> Column:
    return Column(name, "word", required=blank is None, words=words, blank=blank)


def _date(name: str, blank: int = NO_DATE) -> Column:
    return Column(name, "date", blank=blank)


def _months(name: str) -> Column:
    return Column(name, "whole", minimum=0, maximum=600, blank=0, unit="months")


_GRACE = Column("grace_months", "whole", minimum=0, maximum=60, blank=-1, unit="months", may_lack=True)
"""Months overdue after which the debtor of the row is in default; blank: by the kind of contract (simulator/ledger/settlement.py)."""


def _covenant(name: str) -> Column:
    return Column(name, "number", minimum=0.0, maximum=1000.0, blank=0.0, unit="ratio", may_lack=True)


_TAIL = (
    Column("source", "text", required=True),
    Column("as_of", "day"),
    _word("confidence", ("high", "medium", "low"), ""),
    Column("low", "number", blank=math.nan),
    Column("high", "number", blank=math.nan),
    Column("note", "text"),
)
_ID = Column("id", "id", required=True)
_STATUS = _word("status", STATUSES)
_CONTRACT_TAIL = (_STATUS, *_TAIL, Column("assumed", "text"))


def _agent(name: str) -> Column:
    return Column(name, "agent", required=True)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "sources",
            (Column("key", "id", required=True), Column("title", "text", required=True), Column("address", "text"), Column("date", "text")),
        ),
        Table(
            "agents",
            (
                _ID,
                Column("name", "text", required=True),
                _word("kind", KINDS),
                _word("lender_type", LENDER_TYPES, ""),
                _word("jurisdiction", ("us", "eu", "asia", "gulf", "offshore")),
                Column("listed", "yes_no", required=True),
                Column("rating", "text"),
                *_TAIL,
            ),
            needs_rows=True,
        ),
        Table(
            "figures",
            (
                _agent("agent"),
                Column("item", "text", required=True),
                Column("value", "number", required=True),
                Column("unit", "text"),
                *_TAIL,
            ),
            main="value",
            needs_rows=True,
        ),
        Table(
            "parameters",
            (
                Column("name", "text", required=True),
                Column("scope", "text", required=True),
                Column("value", "number", required=True),
                Column("unit", "text"),
                *_TAIL,
            ),
            main="value",
        ),
        Table(
            "macro",
            (Column("item", "text", required=True), Column("value", "number", required=True), Column("unit", "text"), *_TAIL),
            main="value",
            needs_rows=True,
        ),
        Table(
            "loans",
            (
                _ID,
                _agent("lender"),
                _agent("borrower"),
                _word(
                    "kind",
                    (
                        "term_loan",
                        "bond",
                        "convertible",
                        "credit_line",
                        "delayed_draw",
                        "margin_loan",
                        "project_bond",
                        "vendor_finance",
                        "facility",
                    ),
                ),
                _money("principal"),
                _money("undrawn"),
                _word("rate_type", ("fixed", "floating")),
                Column("rate", "number", minimum=-0.05, maximum=1.0, blank=0.0, unit="per year"),
                _date("maturity"),
                _word("repayment", ("bullet", "amortising"), "bullet"),
                _word("seniority", ("secured", "senior", "subordinated"), "senior"),
                _word("collateral", ("none", "accelerators", "data_centre", "shares", "receivables"), "none"),
                Column("pledged_stake", "text"),
                Column("pledged_share", "number", minimum=0.0, maximum=1.0, blank=1.0, unit="share", may_lack=True),
                Column("ltv_call", "number", minimum=0.0, maximum=10.0, blank=math.inf, unit="share"),
                Column("ltv_close_out", "number", minimum=0.0, maximum=10.0, blank=math.inf, unit="share"),
                Column("cure_months", "whole", minimum=0, maximum=600, blank=0, unit="months", may_lack=True),
                Column("recourse", "yes_no", blank=True),
                Column("audited", "yes_no", blank=True, may_lack=True),
                Column("new_lending", "yes_no", blank=False),
                _months("new_term_months"),
                _GRACE,
                _covenant("covenant_coverage"),
                _covenant("covenant_leverage"),
                *_CONTRACT_TAIL,
            ),
            main="principal",
        ),
        Table(
            "stakes",
            (
                _ID,
                _agent("holder"),
                _agent("issuer"),
                _word("kind", ("shares", "warrant", "convertible")),
                _money("value"),
                _money("tranche_remaining"),
                _word("tranche_trigger", ("none", "purchases", "schedule"), "none"),
                _date("tranche_end"),
                _share("round_share"),
                _money("unvested"),
                Column("vests_with", "text"),
                *_CONTRACT_TAIL,
            ),
            main="value",
        ),
        Table(
            "orders",
            (
                _ID,
                _agent("seller"),
                _agent("buyer"),
                _word("good", ("chips", "cloud", "power")),
                _money("amount"),
                _date("start", blank=0),
                _months("ramp_months"),
                _date("end"),
                _share("take_or_pay"),
                _share("supply_share"),
                _GRACE,
                Column("cancellable_after", "date", blank=NO_DATE, may_lack=True),
                *_CONTRACT_TAIL,
            ),
            main="amount",
        ),
        Table(
            "leases",
            (
                _ID,
                _agent("lessor"),
                _agent("lessee"),
                Column("rent", "number", minimum=0.0, blank=0.0, unit="USD bn per year"),
                _date("start", blank=0),
                _date("end"),
                _money("residual_value_guarantee"),
                _GRACE,
                *_CONTRACT_TAIL,
            ),
            main="rent",
        ),
        Table(
            "guarantees",
            (
                _ID,
                _agent("guarantor"),
                _agent("beneficiary"),
                Column("reference", "text", required=True),
                _word("kind", ("loan_guarantee", "capacity_backstop", "residual_value", "cds")),
                _money("notional"),
                Column("premium", "number", minimum=0.0, maximum=1.0, blank=0.0, unit="per year"),
                _date("until"),
                *_CONTRACT_TAIL,
            ),
            main="notional",
        ),
    )
}
"""The schema: every table of an economy by name."""

CONTRACTS = ("loans", "stakes", "orders", "leases", "guarantees")
