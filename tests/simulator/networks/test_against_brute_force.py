"""Every kernel against a slow one written from the paper alone: loops over agents, every set of defaults, numerical integrals."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from simulator import api

SEEDS = st.integers(0, 10**6)
SCALES = st.sampled_from([1e-9, 1e-3, 1.0, 1.0, 1e9])
TINY = 1e-12


def links(rng: np.random.Generator, n: int, scale: float = 1.0) -> np.ndarray:
    """Amounts between n agents, whole numbers half of the time so that ties happen; sometimes an agent without debts or without claims."""
    dense = rng.choice([0.2, 0.5, 0.9])
    amounts = rng.integers(0, 10, (n, n)) if rng.random() < 0.5 else rng.random((n, n)) * 10
    owed = np.where(rng.random((n, n)) < dense, amounts, 0).astype(float)
    np.fill_diagonal(owed, 0)
    owed[rng.integers(n)] *= rng.random() < 0.7
    owed[:, rng.integers(n)] *= rng.random() < 0.7
    return owed * scale


def clearing_from_above(layers: list[np.ndarray], assets: np.ndarray, outside: np.ndarray, senior: bool, alpha: float, beta: float) -> Any:
    """Rounds of the clearing map from full payment until nothing changes by 1e-15."""
    n = len(assets)
    nothing = np.zeros(n)
    classes = [(np.zeros((n, n)), outside), *((layer, nothing) for layer in layers)] if senior else [(layer, nothing) for layer in layers]
    if not senior:
        classes[-1] = (layers[-1], outside)
    dues = [layer.sum(axis=1) + more for layer, more in classes]
    total = sum(dues)
    pays = [due.copy() for due in dues]
    for _ in range(300_000):
        paid = [np.divide(pay, due, out=np.zeros(n), where=due > 0) for due, pay in zip(dues, pays, strict=True)]
        received = sum((layer.T @ part for (layer, _), part in zip(classes, paid, strict=True)), nothing)
        short = assets + received < total * (1 - TINY)
        left = np.where(short, alpha * assets + beta * received, np.inf)
        new = []
        for due in dues:
            new.append(np.minimum(due, left))
            left = left - new[-1]
        change = max(np.abs(one - two).max() for one, two in zip(new, pays, strict=True))
        pays = new
        if change <= 1e-15 * total.max():
            break
    return sum(pays), assets + received - total, short, max(total.max(), 1e-300)


@settings(max_examples=250, deadline=None)
@given(SEEDS, SCALES, st.integers(1, 6), st.integers(1, 3), st.booleans(), st.sampled_from([0.0, 0.5, 0.7, 1.0]), st.sampled_from([0.0, 0.6, 1.0]))
def test_clearing_with_costs_classes_and_outside_creditors(
    seed: int, scale: float, n: int, classes: int, senior: bool, alpha: float, beta: float
) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    layers = [links(rng, n, scale) for _ in range(classes)]
    assets = rng.integers(0, 12, n) * (rng.random(n) < 0.8) * scale
    outside = rng.random(n) * 5 * (rng.random(n) < 0.5) * scale
    payments, equity, short, size = clearing_from_above(layers, assets, outside, senior, alpha, beta)
    found = api.clearing_payments(None, assets, outside, senior, layers, alpha, beta)
    np.testing.assert_allclose(found.payments, payments, rtol=0, atol=1e-10 * size)
    np.testing.assert_allclose(found.equity, equity, rtol=0, atol=1e-10 * size)
    assert (found.defaulted == short).all()


@settings(max_examples=80, deadline=None)
@given(SEEDS, st.integers(1, 6), st.sampled_from([(1.0, 1.0), (0.7, 0.8), (0.5, 0.5), (0.0, 0.0), (1.0, 0.5)]))
def test_no_set_of_defaults_pays_more_than_the_vector_returned(seed: int, n: int, costs: tuple[float, float]) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    owed, assets = links(rng, n), rng.integers(0, 10, n).astype(float)
    total = owed.sum(axis=1)
    shares = np.divide(owed, total[:, None], out=np.zeros((n, n)), where=total[:, None] > 0)
    best = None
    for choice in itertools.product([False, True], repeat=n):
        down = np.array(choice)
        system = np.eye(n) - np.where(down[:, None], costs[1] * shares.T, 0)
        if abs(np.linalg.det(system)) < 1e-12:
            continue
        pay = np.linalg.solve(system, np.where(down, costs[0] * assets, total))
        short = assets + shares.T @ pay < total - 1e-9
        if (pay >= -1e-9).all() and (pay <= total + 1e-9).all() and (short == down).all():
            best = pay if best is None else np.maximum(best, pay)
    assert best is not None
    np.testing.assert_allclose(api.clearing_payments(owed, assets, asset_recovery=costs[0], claim_recovery=costs[1]).payments, best, atol=1e-9)


@settings(max_examples=150, deadline=None)
@given(SEEDS, SCALES, st.integers(1, 7), st.booleans(), st.sampled_from([None, True, False]))
def test_debt_rank_by_the_equations(seed: int, scale: float, n: int, once: bool, cap: bool | None) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    lent = links(rng, n, scale)
    equity = rng.random(n) * lent.sum() * rng.choice([0.05, 0.3, 1.0]) * (rng.random(n) < 0.9)
    start = rng.random(n) * (rng.random(n) < 0.6)
    impact = np.array([[0 if a == 0 else a / e if e > 0 else np.inf for a in row] for row, e in zip(lent, equity, strict=True)])
    impact = np.minimum(impact, 1) if (once if cap is None else cap) else impact
    stress, fresh, hit = start.copy(), start.copy(), start > 0
    for _ in range(200_000):
        more = [sum(w * f for w, f in zip(row, fresh, strict=True) if w > 0 and f > 0) for row in impact]
        new = np.minimum(stress + more, 1)
        fresh = np.where(hit, 0, new) if once else new - stress
        hit, stress = hit | (new > 0), new
        if fresh.max() < 1e-16:
            break
    found = api.debt_rank(lent, equity, start, once=once, cap_impact=cap)
    np.testing.assert_allclose(found.stress, stress, atol=1e-9)
    weights = lent.sum(axis=1) / max(lent.sum(), 1e-300)
    assert found.value == pytest.approx(weights @ (stress - start), abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.integers(1, 8), st.sampled_from([0.0, 0.4, 1.0]), st.booleans())
def test_threshold_cascades_agent_by_agent(seed: int, n: int, recovery: float, tie: bool) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    lent, equity = links(rng, n), rng.integers(-1, 20, n).astype(float)
    failed, loss = rng.random(n) < 0.2, rng.integers(0, 5, n) * (rng.random(n) < 0.5)
    wave: dict[int, int] = {}
    for count in range(n + 1):
        known = list(wave)
        for i in range(n):
            lost = loss[i] + sum((1 - recovery) * lent[i, j] for j in known)
            gone = lost >= equity[i] - 1e-11 if tie else lost > equity[i] + 1e-11
            if i not in known and (gone or (count == 0 and failed[i])):
                wave[i] = count
    found = api.threshold_cascade(lent, equity, failed, loss, recovery, tie)
    assert found.wave.tolist() == [wave.get(i, -1) for i in range(n)]


@settings(max_examples=80, deadline=None)
@given(SEEDS, st.integers(1, 6), st.sampled_from(["eisenberg_noe", "furfine", "linear_debt_rank", "merton", "black_cox"]))
def test_network_valuation_by_its_fixed_point(seed: int, n: int, valuation: str) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    lent, assets, outside = links(rng, n), rng.random(n) * 20 + 1, rng.random(n) * 15
    owed, rho, sigma = lent.sum(axis=0), 0.6, 0.3
    start = assets + lent.sum(axis=1) - owed - outside
    shocked = assets * (1 - 0.3 * rng.random(n))

    def value(e: float, a: float, debt: float, reference: float) -> float:
        if valuation == "eisenberg_noe":
            return 1.0 if e >= 0 else max(0.0, 1 + e / debt)
        if valuation == "furfine":
            return 1.0 if e > 0 else rho
        if valuation == "linear_debt_rank":
            return min(max(e / reference, 0.0), 1.0) if reference > 0 else float(e > 0)
        barrier = a - e  # external assets at which equity is gone; they follow a martingale with log-volatility sigma
        if valuation == "black_cox":
            if e <= 0:
                return rho
            if barrier <= 0:
                return 1.0
            b = np.log(barrier / a)
            return 1 - (1 - rho) * (norm.cdf((b + sigma**2 / 2) / sigma) + a / barrier * norm.cdf((b - sigma**2 / 2) / sigma))

        def payoff(z: float) -> float:
            left = e + a * (np.exp(sigma * z - sigma**2 / 2) - 1)
            return 1.0 if left >= 0 else rho * max(0.0, 1 + left / debt)

        kinks = [(np.log(x / a) + sigma**2 / 2) / sigma for x in (barrier, barrier - debt) if x > 0]
        grid = sorted({-9.0, *(min(max(k, -9.0), 9.0) for k in kinks), 9.0})
        return float(sum(quad(lambda z: payoff(z) * norm.pdf(z), low, high, epsabs=1e-11)[0] for low, high in itertools.pairwise(grid)))

    found = api.network_valuation(lent, shocked, outside, valuation, recovery=rho, volatility=sigma, reference_equity=start)
    worth = np.array([value(*row) for row in zip(found.equity, shocked, np.maximum(owed + outside, 1e-9), start, strict=True)])
    np.testing.assert_allclose(found.equity, shocked + lent @ worth - owed - outside, atol=1e-7)
    if valuation != "merton":  # and it is the fixed point nearest to face value
        equity = shocked + lent.sum(axis=1) - owed - outside
        for _ in range(20_000):
            worth = np.array([value(*row) for row in zip(equity, shocked, np.maximum(owed + outside, 1e-9), start, strict=True)])
            new = shocked + lent @ worth - owed - outside
            if np.abs(new - equity).max() < 1e-13:
                break
            equity = new
        np.testing.assert_allclose(found.equity, equity, atol=1e-8)


@settings(max_examples=80, deadline=None)
@given(SEEDS, st.integers(1, 6))
def test_cross_holdings_by_the_inverse_matrix(seed: int, n: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    held = links(rng, n)
    held = held / np.maximum(held.sum(axis=0), 1e-300) * rng.random(n)
    assets = rng.random(n) * 10
    threshold, cost = rng.random(n) * assets, rng.random(n) * assets * 0.5
    dependency = np.diag(1 - held.sum(axis=0)) @ np.linalg.inv(np.eye(n) - held)
    failed, wave = np.zeros(n, dtype=bool), np.full(n, -1)
    for count in range(n + 1):
        values = dependency @ (assets - cost * failed)
        wave[(values < threshold) & ~failed] = count
        failed |= values < threshold
    found = api.cross_holding_values(held, assets, threshold, cost)
    np.testing.assert_allclose(found.values, values, atol=1e-9)
    np.testing.assert_allclose(found.dependency, dependency, atol=1e-12)
    assert (found.wave == wave).all()


@settings(max_examples=60, deadline=None)
@given(
    SEEDS, st.sampled_from(["linear", "exponential", "square_root"]), st.sampled_from(["threshold", "target"]), st.sampled_from(["old", "mid", "new"])
)
def test_fire_sales_bank_by_bank(seed: int, form: str, rule: str, price: str) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    n, assets, impact = 5, 3, rng.random() * 0.5
    units, cash, equity = rng.random((n, assets)) * 10 * (rng.random((n, assets)) < 0.7), rng.random(n), rng.random(n) * 1.5
    shock = rng.random(assets) * 0.15
    debt = cash + units.sum(axis=1) - equity
    market, tradable = units.sum(axis=0), units.sum()
    held, money, owed, prices = units.copy(), cash.copy(), debt.copy(), 1 - shock
    order, gone, defaults, sold = np.zeros((n, assets)), set(), [0.0], 0.0
    for _ in range(6):
        old = prices.copy()
        for a in range(assets):
            x = order[:, a].sum() / market[a] if market[a] > 0 else 0.0
            prices[a] = {
                "linear": max(old[a] - impact * x, 0),
                "exponential": old[a] * np.exp(-impact * x),
                "square_root": old[a] * (1 - impact * np.sqrt(x)),
            }[form]
        at = {"old": old, "new": prices, "mid": (old + prices) / 2}[price]
        money, held, sold = money + order @ at, held - order, sold + order.sum() / max(tradable, 1e-300)
        order, fresh = np.zeros((n, assets)), 0
        for i in range(n):
            worth = held[i] @ prices
            total = money[i] + worth
            net = total - owed[i]
            if net < 0.03 * total - 1e-12 and i not in gone:
                gone.add(i)
                fresh += 1
            if i in gone:
                order[i] = held[i]
            elif rule == "target" and net < 0.04 * total - 1e-12:
                wanted = max(total - net / 0.05, 0)
                repaid = min(wanted, money[i], max(owed[i], 0))
                money[i], owed[i] = money[i] - repaid, owed[i] - repaid
                order[i] = held[i] * min((wanted - repaid) / worth, 1) if worth > 0 else 0
        defaults.append(fresh)
    found = api.fire_sale_cascade(units, equity, shock, impact, form, rule, price=price, cash=cash, steps=6)
    np.testing.assert_allclose(found.prices, prices, atol=1e-10)
    assert found.defaults_by_step.tolist() == defaults
    assert found.sold_by_step[-1] == pytest.approx(sold, abs=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.3, 3), st.floats(0.05, 1.0), st.floats(0, 0.1), st.floats(0.25, 5))
def test_merton_and_its_inverse_by_integration_and_a_root_finder(ratio: float, sigma: float, rate: float, years: float) -> None:
    assets, debt = 100 * ratio, 100.0
    found = api.merton(assets, debt, sigma, rate, years)

    def payoff(z: float) -> float:
        end = assets * np.exp((rate - sigma**2 / 2) * years + sigma * np.sqrt(years) * z)
        return max(end - debt, 0) * norm.pdf(z) * np.exp(-rate * years)

    kink = -float(found.distance_to_default)
    low = max(kink, -12.0)
    equity = sum(quad(payoff, a, b, epsabs=1e-10, limit=200)[0] for a, b in itertools.pairwise(low + np.arange(0, 25, 2.0)))
    assert found.equity == pytest.approx(equity, rel=1e-7, abs=1e-7)
    assert found.default_probability == pytest.approx(norm.cdf(kink), abs=1e-12)
    if found.equity > 1:
        delta = (api.merton(assets * 1.00001, debt, sigma, rate, years).equity - api.merton(assets / 1.00001, debt, sigma, rate, years).equity) / (
            assets * (1.00001 - 1 / 1.00001)
        )
        implied = api.implied_assets(found.equity, debt, delta * sigma * assets / found.equity, rate, years)
        assert implied.assets == pytest.approx(assets, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-4, 2), st.floats(0, 0.9), st.integers(1, 40), st.floats(0, 0.15), st.sampled_from([1, 2, 4]))
def test_cds_spreads_by_integration_of_both_legs(hazard: float, recovery: float, quarters: int, rate: float, frequency: int) -> None:
    years = quarters / 4
    ends = sorted({0.0, *(years - k / frequency for k in range(int(years * frequency) + 1))})
    protection = (1 - recovery) * quad(lambda t: hazard * np.exp(-(hazard + rate) * t), 0, years, epsabs=1e-13)[0]
    annuity = 0.0
    for start, end in itertools.pairwise(ends):
        annuity += (end - start) * np.exp(-(hazard + rate) * end)
        annuity += quad(lambda t, start=start: (t - start) * hazard * np.exp(-(hazard + rate) * t), start, end, epsabs=1e-13)[0]
    spread = api.cds_spread(hazard, recovery, years, rate, frequency)
    assert spread == pytest.approx(protection / annuity, rel=1e-9)
    root = brentq(lambda h: float(api.cds_spread(h, recovery, years, rate, frequency)) - float(spread), hazard / 3, hazard * 3, xtol=1e-15)
    assert api.hazard_from_spread(spread, recovery, years, rate, frequency) == pytest.approx(root, rel=1e-8)


L = np.array([[0, 3, 2], [1, 0, 4], [0, 2, 0]])
FORMS: dict[str, Any] = {
    "list": L.tolist(), "tuple": tuple(map(tuple, L.tolist())), "float32": L.astype(np.float32), "fortran": np.asfortranarray(L),
    "object": L.astype(object), "frame": pd.DataFrame(L), "csr": sparse.csr_matrix(L), "csc": sparse.csc_matrix(L), "coo": sparse.coo_matrix(L),
    "csr_array": sparse.csr_array(L), "coo_array": sparse.coo_array(L), "lil": sparse.lil_matrix(L), "dia": sparse.dia_matrix(L),
    "twice": sparse.coo_matrix(([1.0, 2, 2, 1, 4, 2], ([0, 0, 0, 1, 1, 2], [1, 1, 2, 0, 2, 1])), shape=(3, 3)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_matrix_and_vector_gives_the_same_and_is_left_as_it_was(form: str) -> None:
    matrix, vector = FORMS[form], np.array([5.0, 4.0, 6.0])
    frozen = L.copy()
    frozen.flags.writeable = vector.flags.writeable = False
    before = matrix.copy() if hasattr(matrix, "copy") else matrix
    calls: list[Any] = [
        lambda m: api.clearing_payments(m, vector).payments,
        lambda m: api.clearing_payments(None, vector[:, None], priority=[m, m]).wave,
        lambda m: api.debt_rank(m, vector, vector / 20).stress,
        lambda m: api.threshold_cascade(m, vector, [True, False, False]).losses,
        lambda m: api.network_valuation(m, vector, vector).equity,
        lambda m: api.cross_holding_values(sparse.csr_matrix(m) / 10 if sparse.issparse(m) else np.array(m, float) / 10, vector, 3, 1).values,
        lambda m: api.fire_sale_cascade(m, vector / 10, [0.1, 0, 0.2], 0.1).prices,
        lambda m: api.fire_sale_losses(m, vector, [[0.1, 0], [0, 0.2], [0, 0]], 0.01).losses,
    ]
    for call in calls:
        np.testing.assert_allclose(call(matrix), call(frozen), rtol=1e-13)
    same = abs(matrix - before).sum() == 0 if sparse.issparse(matrix) else np.array_equal(np.array(matrix), np.array(before))
    assert same


@pytest.mark.parametrize("scenarios", [0, 1, 3])
def test_batches_of_any_width_keep_their_shape(scenarios: int) -> None:
    batch = np.tile([[5.0], [4.0], [6.0]], scenarios)
    assert api.clearing_payments(L, batch).wave.shape == (3, scenarios)
    assert api.debt_rank(L, [5, 4, 6], batch / 20).value.shape == (scenarios,)
    assert api.threshold_cascade(L, [5, 4, 6], loss=batch).wave.shape == (3, scenarios)
    assert api.network_valuation(L, batch, [1, 1, 1]).equity.shape == (3, scenarios)
    assert api.cross_holding_values(L / 10, batch, 3, 1).wave.shape == (3, scenarios)


def test_one_agent_alone_clears_fails_and_is_valued() -> None:
    assert api.clearing_payments([[0]], [1], outside=2).payments == [1]
    assert api.debt_rank([[0]], [1], [0.5]).value == 0
    assert api.threshold_cascade([[0]], [1], loss=[1]).defaulted == [True]
    assert api.network_valuation([[0]], [1], [2]).equity == [-1]
    assert api.cross_holding_values([[0]], [1]).dependency == [[1]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: api.clearing_payments(np.zeros((0, 0)), []), "at least one agent"),
        (lambda: api.clearing_payments(sparse.csr_matrix([[0, -1.0], [0, 0]]), [1, 1]), r"obligations\[0, 1\] = -1"),
        (lambda: api.clearing_payments(L, np.array([[1, 1], [1, -1], [1, 1]])), r"assets\[1, 1\] = -1"),
        (lambda: api.clearing_payments(L, 1.0, asset_recovery="half"), "asset_recovery = 'half' is not a number"),
        (lambda: api.debt_rank(L, [5, -1, 5], 0.1), r"equity\[1\] = -1"),
        (lambda: api.threshold_cascade(L, [5, 5, 5], failed=[0]), r"failed has shape \(1,\); expected a mask"),
        (lambda: api.threshold_cascade(L, [5, 5, 5], failed=[0, 2, 1]), r"failed\[1\] = 2 is neither"),
        (lambda: api.network_valuation(np.eye(2), [1, 1], [0, 0]), r"exposures\[0, 0\]"),
        (lambda: api.claim_value("merton", [1.0], 10, 2, recovery=[1.5]), r"recovery\[0\] = 1.5 is above 1"),
        (lambda: api.claim_value("rogers_veraart", 1.0, asset_recovery=2), "asset_recovery = 2"),
        (lambda: api.fire_sale_cascade(L, [1, 1, 1], [0, 1.2, 0], 0.1), r"shock\[1\] = 1.2 is above 1"),
        (lambda: api.fire_sale_cascade(L, [1, 1, 1], 0.1, 0.1, rule="target", target=0), "target = 0"),
        (lambda: api.fire_sale_losses(L, [1, -1, 1], 0.1, 0.1), r"leverage\[1\]"),
        (lambda: api.random_interbank(10.5, 3), "whole number"),
        (lambda: api.merton([1, -1], 1, 0.2), r"assets\[1\]"),
        (lambda: api.margin_call([1, np.nan], 1, 0.5), r"collateral\[1\]"),
    ],
)
def test_odd_input_is_named_by_its_index(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
