"""docs/examples/lender_default.md: the engine finds the numbers of the page to the cent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scenarios.changes import Change
from simulator.engine.model import ContagionModel
from simulator.engine.randomness import Quiet
from simulator.ledger.estates import Estates
from simulator.ledger.resolution import CAUSES, Resolution

FAILURE = Change("failure", "agent.failure", "set_to", 1.0, starts=1, agents=("builder",))
LINE = 2  # row of the fund's line in loans.csv


def build(**given: Any) -> ContagionModel:
    return ContagionModel("lender_default", changes=[FAILURE], horizon_months=3, draws=Quiet(8), **given)


def of(model: ContagionModel, values: np.ndarray, agent: str) -> float:
    return float(values[model.books.ids.index(agent), 0])


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Three months run, and what the engine did in them under the page's names."""
    model = build()
    books, ledger = model.books, model.ledger
    builder, bank, fund, outside = (books.ids.index(name) for name in ("builder", "bank", "credit_fund", "outside"))
    found: dict[str, float] = {}
    settle, sell, pay = Resolution.settle, Resolution._sell_assets, Resolution._pay
    bought: list[float] = []

    def watched_settle(resolution: Resolution, ledger: Any, estates: Estates, *rest: Any) -> np.ndarray:
        now = ledger.books
        if estates.failed[bank, 0]:
            failing = np.zeros_like(estates.failed)
            failing[builder] = 1.0
            expected = resolution.provisional_losses(Estates(now, failing))
            worth = now.net_worth()
            found.update(
                draw=float(now.loans.principal[LINE, 0]) - 2.0, line_drawn=float(now.loans.principal[LINE, 0]),
                line_left=float(now.loans.undrawn[LINE, 0]), deposits_before=float(now["deposits"][bank, 0]),
                bank_assets_before=float(now.total_assets()[bank, 0]), bank_worth_before=float(worth[bank, 0]),
                expected_loss=float(expected[bank, 0]), bank_worth_expected=float(now["book_net_worth"][bank, 0]),
            )  # fmt: skip
        else:
            found["fund_owes"] = float((now.debt() + now["operating_arrears"] + now["other_liabilities"])[fund, 0])
            found["overdue_month_3"] = float(now["operating_arrears"][fund, 0])
        return settle(resolution, ledger, estates, *rest)

    def watched_sell(resolution: Resolution, ledger: Any, *rest: Any) -> None:
        before = float(ledger.books["other_assets"][outside, 0])
        sell(resolution, ledger, *rest)
        bought.append(float(ledger.books["other_assets"][outside, 0]) - before)

    def watched_pay(resolution: Resolution, ledger: Any, estates: Any, paid: np.ndarray, costs: np.ndarray) -> None:
        cash = ledger.books["cash"].copy()
        pay(resolution, ledger, estates, paid, costs)
        if len(bought) == 1:
            campus = float(cash[builder, 0]) - 2.0
            found.update(campus_fetches=campus, builder_costs=float(costs[builder, 0]), builder_purse=float(cash[builder, 0] - costs[builder, 0]))
            found.update(other_assets_fetch=bought[0] - campus, bank_own_assets=float(cash[bank, 0]), bank_costs=float(costs[bank, 0]))
            found["claim_on_fund_fetches"] = found["bank_own_assets"] - 5.0 - found["other_assets_fetch"]
            found["bank_purse"] = found["bank_own_assets"] + found["builder_purse"] - found["bank_costs"]
        else:
            found.update(loan_fetches=float(cash[fund, 0]), fund_costs=float(costs[fund, 0]), fund_purse=float(cash[fund, 0] - costs[fund, 0]))
            found["left_for_owners"] = float(ledger.books["cash"][fund, 0])

    monkeypatch.setattr(Resolution, "settle", watched_settle)
    monkeypatch.setattr(Resolution, "_sell_assets", watched_sell)
    monkeypatch.setattr(Resolution, "_pay", watched_pay)
    model.step()
    lost = model.recorder.tables("run")["losses"].set_index(["from_agent", "to_agent", "channel"])["amount"]
    (_, events, _), *_ = model.recorder.events
    recovery = dict(zip(events.agent.tolist(), events.recovery.tolist(), strict=True))
    fire_sale = float(ledger.loss_by_tag["fire_sale"][0, 0])
    found.update(
        bank_claim_lost=float(lost["builder", "bank", "counterparty"]), builder_recovery=recovery[builder], bank_recovery=recovery[bank],
        note_lost=float(lost["bank", "credit_fund", "counterparty"]),
        government_gets=of(model, books["cash"], "government"), government_loses=float(books.series["fiscal_cost"][0, 0]),
        loss_counterparty=float(ledger.loss_by_tag["counterparty"][0, 0]), loss_fire_sale=fire_sale,
        fund_worth_month_1=of(model, books.net_worth(), "credit_fund"), deposits_central_bank=of(model, books["deposits"], "central_bank"),
    )  # fmt: skip
    model.step()
    found.update(
        overdue_month_2=of(model, books["operating_arrears"], "credit_fund"), fund_worth_month_2=of(model, books.net_worth(), "credit_fund")
    )
    model.step()
    found["loss_fire_sale_fund"] = float(ledger.loss_by_tag["fire_sale"][0, 0]) - fire_sale
    found["outside_worth"] = of(model, books.net_worth(), "outside")
    return found


def test_the_engine_finds_the_numbers_of_the_page_to_the_cent(
    engine: dict[str, float], page: Callable[..., Any], apart: Callable[..., Any]
) -> None:
    assert apart(page("lender_default"), engine) == {}


def test_the_bank_fails_by_its_borrower_and_the_fund_by_its_bank_for_lack_of_cash() -> None:
    model = build().run()
    ids = model.books.ids
    told = [
        (tick + 1, ids[agent], CAUSES[cause], int(wave))
        for tick, events, _ in model.recorder.events
        for agent, cause, wave in zip(events.agent, events.cause, events.wave, strict=True)
    ]
    assert told == [(1, "builder", "insolvent", 0), (1, "bank", "capital", 1), (3, "credit_fund", "illiquid", 0)]
    assert ids[model.recorder.events[1][1].trigger[0]] == "bank"


def test_nobody_loses_a_deposit() -> None:
    model = build()
    model.step()
    books = model.books
    assert of(model, books["cash"], "household") == 8.0
    assert of(model, books["deposits"], "bank") == 0.0
    assert float(books.loans.undrawn[LINE, 0]) == 0.0


def test_with_the_counterparty_channel_off_its_account_is_zero_and_the_fund_lives() -> None:
    model = build(channels={"counterparty": 0.0}).run()
    assert model.ledger.loss_by_tag["counterparty"][0, 0] == 0.0
    assert of(model, model.books["alive"], "credit_fund") == 1.0
