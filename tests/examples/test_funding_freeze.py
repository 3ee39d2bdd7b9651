"""docs/examples/funding_freeze.md: the engine finds the numbers of the page to the cent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scenarios.changes import Change
from simulator.engine.model import ContagionModel
from simulator.engine.randomness import Quiet
from simulator.ledger.resolution import CAUSES, Resolution
from simulator.markets.funding import Funding

FREEZE = Change("freeze", "lender.risk_appetite", "multiply_by", 0.0, starts=1)
WORRY = Change("worry", "cds.premium", "add", 0.015, starts=1, agents=("firm",))
NOTE, LINE, LOAN = range(3)  # rows of loans.csv


def build(changes: tuple[Change, ...] = (FREEZE, WORRY), **given: Any) -> ContagionModel:
    return ContagionModel("funding_freeze", changes=changes, horizon_months=3, draws=Quiet(8), **given)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Three months run, and what the engine did in them under the page's names."""
    model = build()
    books, ledger, loans = model.books, model.ledger, model.books.loans
    firm, bank, fund = (books.ids.index(name) for name in ("firm", "bank", "credit_fund"))
    found: dict[str, float] = {}

    def of(column: str, agent: int = firm) -> float:
        return float(books[column][agent, 0])

    draw, sell, pay, close = Funding.draw_lines, Funding.sell_in_haste, Resolution._pay, Resolution._close

    def watched_draw(funding: Funding, *rest: Any) -> None:
        before = float(loans.principal[LINE, 0])
        draw(funding, *rest)
        if books.tick == 1:
            found.update(
                distress=of("distress"), precautionary_draw=float(loans.principal[LINE, 0]) - before, cash_before_dues=of("cash"),
                line_left=float(loans.undrawn[LINE, 0]),
            )  # fmt: skip

    def watched_sell(funding: Funding, books: Any, ledger: Any, due: Any, refused: np.ndarray) -> None:
        lacking = funding.lacking(books, due.by_debtor(refused))
        assets, cash = of("other_assets"), of("cash")
        sell(funding, books, ledger, due, refused)
        if books.tick == 1:
            found.update(lacking=float(lacking[firm, 0]), sold_in_haste=assets - of("other_assets"), fetched=of("cash") - cash)

    def watched_pay(resolution: Resolution, ledger: Any, estates: Any, paid: np.ndarray, costs: np.ndarray) -> None:
        now = ledger.books
        found["assets_fetch"] = float(now["cash"][firm, 0])
        found["firm_estate"] = found["assets_fetch"] - float(costs[firm, 0])
        found["firm_costs"], found["fund_costs"] = float(costs[firm, 0]), float(costs[fund, 0])
        found["firm_owes"] = float(now.debt()[firm, 0])
        found["fund_estate"] = float(now.loans_given()[fund, 0]) - found["fund_costs"]
        pay(resolution, ledger, estates, paid, costs)

    def watched_close(resolution: Resolution, ledger: Any, estates: Any) -> None:
        found["left_of_firm"], found["left_of_fund"] = (float(ledger.books["cash"][agent, 0]) for agent in (firm, fund))
        close(resolution, ledger, estates)

    for owner, name, watched in (
        (Funding, "draw_lines", watched_draw), (Funding, "sell_in_haste", watched_sell), (Resolution, "_pay", watched_pay),
        (Resolution, "_close", watched_close),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, watched)

    model.step()
    row = slice(firm, firm + 1)
    found.update(
        wall=of("due_next_year"), earnings=of("earnings"), wanted_ahead=of("planned_borrowing"), granted=of("new_credit"),
        gap=12.0 * of("planned_borrowing"), cash_month_1=of("cash"), cds_month_1=of("cds"),
    )  # fmt: skip
    assert books["planned_investment"][row].item() == 0.0
    model.step()
    arrears = loans.arrears[:, 0]
    found.update(
        loss_funding=float(ledger.loss_by_tag["funding"][0, 0]), firm_overdue_month_2=float(arrears[NOTE]),
        fund_overdue_month_2=float(arrears[LOAN]), paid_on_note=10.0 - float(arrears[NOTE]), paid_by_fund=9.0 - float(arrears[LOAN]),
        firm_purse=10.0 - float(arrears[NOTE]) + of("operating_bill"), line_drawn=float(loans.principal[LINE, 0]),
        deposits_month_2=of("deposits", bank),
    )  # fmt: skip
    settle = Resolution.settle

    def watched_settle(resolution: Resolution, ledger: Any, *rest: Any) -> np.ndarray:
        now = ledger.books
        worth = now.net_worth()
        overdue = now.loans.arrears[:, 0]
        found.update(
            firm_overdue_month_3=float(overdue[NOTE]), fund_overdue_month_3=float(overdue[LOAN]), firm_worth=float(worth[firm, 0]),
            fund_worth=float(worth[fund, 0]), paid_month_3=found["firm_overdue_month_2"] - float(overdue[NOTE]),
        )  # fmt: skip
        return settle(resolution, ledger, *rest)

    monkeypatch.setattr(Resolution, "settle", watched_settle)
    model.step()
    events = model.recorder.events[0][1]
    assert [books.ids[agent] for agent in events.agent] == ["firm", "credit_fund"]
    assert [CAUSES[cause] for cause in events.cause] == ["illiquid", "illiquid"]
    assert events.recovery.tolist() == [1.0, 1.0]
    for channel in ("fire_sale", "counterparty"):
        found[f"loss_{channel}"] = float(ledger.loss_by_tag[channel][0, 0])
    found["deposits_end"] = of("deposits", bank)
    return found


def test_the_engine_finds_the_numbers_of_the_page(
    page: Callable[[str], dict[str, float]], apart: Callable[..., Any], engine: dict[str, float]
) -> None:
    assert apart(page("funding_freeze"), engine) == {}


def test_without_the_freeze_the_note_is_renewed_and_nobody_fails() -> None:
    model = build(changes=()).run()
    assert model.books["alive"].all()
    assert float(model.books.loans.arrears.max()) == 0.0


def test_with_the_funding_channel_off_the_sale_in_haste_is_made_good() -> None:
    model = build(channels={"funding": 0.0}).run()
    assert float(model.ledger.loss_by_tag["funding"][0, 0]) == 0.0
