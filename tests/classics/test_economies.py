"""The economies of classic papers: the engine against the kernels on the same networks, and what the generators refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from scenarios.classics.drafting import generator
from scenarios.classics.holdings import holdings_economy, random_holdings
from scenarios.classics.menu import CLASSICS, classic_economy
from simulator.engine.model import ContagionModel
from simulator.errors import InputError
from simulator.ledger import identities
from simulator.menu import assemble, compose, load_file
from simulator.networks.cross_holdings import cross_holding_values
from simulator.networks.fire_sales import fire_sale_cascade
from simulator.networks.thresholds import threshold_cascade
from simulator.settings import CLASSICS as NAMES
from simulator.settings import build_settings, open_economy


def run(economy: Any, months: int = 1, **options: Any) -> ContagionModel:
    model = ContagionModel(economy, horizon_months=months, mesa_agents=False, **options)
    return model.run()


def failed(model: ContagionModel, kind: str) -> np.ndarray:
    return model.books["alive"][model.books.rows[kind], 0] < 1.0


@pytest.mark.parametrize("tie_defaults", [True, False])
@pytest.mark.parametrize("degree", [1.0, 2.5, 5.0, 7.0])
def test_the_engine_fails_the_banks_of_the_threshold_cascade_wave_by_wave(degree: float, tie_defaults: bool) -> None:
    economy = classic_economy(
        "interbank_gai_kapadia", {"banks": 150, "networks": 3, "degree": degree, "seed": 5, "tie_defaults": tie_defaults}
    )
    loans, size = economy.loans, economy.size
    lent = sparse.csr_matrix((loans.principal, (loans.lender, loans.borrower)), shape=(size, size))
    rows = economy.rows("lender")
    cascade = threshold_cascade(lent[rows, rows], economy.net_worth()[rows], tie_defaults=tie_defaults)
    model = run(economy)
    assert (failed(model, "lender") == cascade.defaulted).all()
    events = model.recorder.events[0][1]
    order = np.argsort(events.agent)
    assert (events.wave[order] == cascade.wave[cascade.defaulted]).all()
    assert events.recovery.max() == 0.0


def test_separate_networks_do_not_infect_each_other() -> None:
    economy = classic_economy("interbank_gai_kapadia", {"banks": 60, "networks": 5, "degree": 3})
    block = economy.loans.lender - economy.rows("lender").start
    other = economy.loans.borrower - economy.rows("lender").start
    assert (block // 60 == other // 60).all()


@pytest.mark.parametrize("impact", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("shock", [0.02, 0.06])
def test_the_engine_sells_down_to_the_prices_of_the_fire_sale_cascade(shock: float, impact: float) -> None:
    economy = classic_economy("interbank_cont_schaanning", {"shock": shock, "impact": impact, "seed": 3})
    banks, classes = economy.rows("investor"), economy.rows("project_company")
    held, debt = np.zeros((40, 12)), np.zeros(40)
    held[economy.stakes.holder - banks.start, economy.stakes.issuer - classes.start] = economy.stakes.value
    debt[economy.loans.borrower - banks.start] = economy.loans.principal
    others, market = economy.values["other_assets"][banks], economy.values["market_value"][classes]
    kernel = fire_sale_cascade(
        held, held.sum(axis=1) + others - debt, 0.0, impact, "exponential", "target", 0.0, 1 / 33, 1 / 30, "mid",
        other_assets=others, debt=debt, market=market, repay_at_once=True,
    )  # fmt: skip
    model = run(economy)
    np.testing.assert_allclose(model.books["share_price"][classes, 0], kernel.prices, rtol=0, atol=1e-8)
    assert (failed(model, "investor") == kernel.defaulted).all()


@pytest.mark.parametrize("degree", [1.0, 3.0, 8.0])
def test_the_engine_fails_the_organisations_of_the_cross_holdings_kernel(degree: float) -> None:
    economy = classic_economy("cross_holdings_elliott", {"degree": degree, "copies": 4, "seed": 3})
    found = failed(run(economy), "investor").reshape(4, 100)
    rng, costs = generator(3), np.ones(100)
    costs[0] = 0.0
    for copy in range(4):
        held = random_holdings(100, degree, 0.5, rng)
        floor = 0.93 * cross_holding_values(held, np.ones(100)).values
        assert (found[copy] == cross_holding_values(held, costs, floor, costs).failed).all()


def test_leverage_targets_leave_an_investor_without_bound_alone_and_keep_the_books() -> None:
    economy = classic_economy("interbank_cont_schaanning", {"shock": 0.04, "banks": 6})
    model = ContagionModel(economy, horizon_months=2, mesa_agents=False)
    model.books.columns["leverage_max"][model.books.rows["investor"].start] = 0.0
    before = model.books.stakes.by_holder(model.books.stakes.shares).copy()
    model.step()
    after = model.books.stakes.by_holder(model.books.stakes.shares)
    first = model.books.rows["investor"].start
    assert after[first, 0] == before[first, 0] or model.books["alive"][first, 0] == 0.0
    identities.check(model.books, model.ledger)


@pytest.mark.parametrize("name", NAMES)
def test_batches_and_single_agents_give_the_same_bits(name: str) -> None:
    small: dict[str, dict[str, Any]] = {
        "interbank_gai_kapadia": {"banks": 30, "networks": 2},
        "interbank_cont_schaanning": {"banks": 8, "shock": 0.04},
        "credit_network_accelerator": {"downstream": 8, "upstream": 4, "banks": 3},
        "cross_holdings_elliott": {"organisations": 20, "copies": 2},
    }
    economy = classic_economy(name, small[name])
    batch = ContagionModel(economy, horizon_months=6, mesa_agents=False, replications=range(3)).run()
    alone = ContagionModel(economy, horizon_months=6, stepping="agents", replications=[2]).run()
    for column in ("cash", "share_price", "alive", "outside_sales", "other_assets"):
        assert (batch.books[column][:, 2] == alone.books[column][:, 0]).all(), column
    assert (batch.books.loans.principal[:, 2] == alone.books.loans.principal[:, 0]).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_menus_entry_names_every_parameter_with_its_default(name: str) -> None:
    import inspect

    given = load_file("economy", name)["parameters"]
    defaults = {key: parameter.default for key, parameter in inspect.signature(CLASSICS[name]).parameters.items()}
    assert given == defaults
    assert tuple(CLASSICS) == NAMES


def test_an_economys_file_says_what_is_run_with_it_unless_something_else_is_said() -> None:
    settings = compose(["economy=interbank_gai_kapadia"])
    assert (list(settings.shock), settings.experiment.kind, settings.horizon_months) == (["none"], "single", 1)
    other = compose(["economy=interbank_gai_kapadia", "horizon_months=3", "shock=rate_hike", "economy.parameters.degree=2"])
    assert (list(other.shock), other.horizon_months, other.economy.parameters["degree"]) == (["rate_hike"], 3, 2)
    assert assemble({"economy": "cross_holdings_elliott"}).horizon_months == 1


def test_stages_may_be_left_out_of_any_economy() -> None:
    settings = build_settings({"economy": {"name": "three_firms", "stages": ["announce", "default", "account"]}})
    economy = open_economy(settings.economy)
    assert [stage.__name__ for stage in ContagionModel(economy, horizon_months=2).stages] == ["announce", "default", "account"]
    books = run(economy, 2).books
    assert (books["cash"] == books["cash_at_start"]).all()


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (("announce", "pricing", "account"), "there is no stage 'pricing' – did you mean 'price'"),
        (("default", "account"), "announce is missing"),
    ],
)
def test_stages_that_cannot_be_are_named(stages: tuple[str, ...], message: str) -> None:
    settings = build_settings({"economy": {"name": "three_firms", "stages": list(stages)}})
    with pytest.raises(InputError, match=message):
        ContagionModel(open_economy(settings.economy), horizon_months=1)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("interbank_gai_kapadia", {"degre": 3}, "economy.parameters.degre: unknown key – did you mean 'degree'"),
        ("interbank_gai_kapadia", {"degree": -1}, "economy.parameters.degree: -1 is outside"),
        ("interbank_gai_kapadia", {"banks": 10.5}, "banks: 10.5 is not a whole number"),
        ("interbank_gai_kapadia", {"tie_defaults": 1}, "tie_defaults: 1 is not true or false"),
        ("interbank_cont_schaanning", {"holdings": 20}, "holdings: 20 is not a whole number from 1 to 12"),
        ("credit_network_accelerator", {"leverage": "high"}, "leverage: 'high' is not a number"),
        ("cross_holdings_elliott", {"integration": 1.0}, "integration: 1 is outside"),
        ("interbank", {}, "no classic economy 'interbank'"),
    ],
)
def test_bad_parameters_are_named(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        classic_economy(name, parameters)


def test_parameters_belong_to_classic_economies() -> None:
    with pytest.raises(InputError, match="parameters: belong to the economies of classic papers"):
        build_settings({"economy": {"name": "three_firms", "parameters": {"degree": 3}}})


def test_given_cross_holdings_make_an_economy_too() -> None:
    losses = np.array([[0.0, 0.4, 0.0], [0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])
    economy = holdings_economy(["a", "b", "c"], [losses], np.array([2.0, 0.9, 2.0]), np.array([1.7, 1.0, 1.75]), np.ones(3), "three")
    assert failed(run(economy), "investor").tolist() == [True, True, True]
    spared = holdings_economy(["a", "b", "c"], [losses], np.array([2.0, 0.9, 2.0]), np.array([1.5, 1.0, 1.75]), np.ones(3), "three")
    assert failed(run(spared), "investor").tolist() == [False, True, False]
