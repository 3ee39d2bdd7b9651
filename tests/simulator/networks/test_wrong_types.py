"""Every public kernel answers a wrong type, shape or number with one line, and never with an error of NumPy."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from simulator import api
from simulator.errors import InputError
from simulator.networks._checks import NotConverged

AMOUNTS = np.array([1.0, 2.0, 3.0])
TIES = np.array([[0.0, 1.0, 2.0], [0.5, 0.0, 1.0], [0.0, 0.2, 0.0]])
HIT = np.array([0.1, 0.0, 0.0])
GOOD: dict[str, dict[str, Any]] = {
    "clearing_payments": {"obligations": TIES, "assets": AMOUNTS},
    "debt_rank": {"exposures": TIES, "equity": AMOUNTS, "loss": HIT},
    "fire_sale_cascade": {"holdings": TIES + 0.1, "equity": 0.05 * AMOUNTS, "shock": HIT, "impact": 0.01, "debt": AMOUNTS},
    "fire_sale_losses": {"holdings": TIES + 0.1, "leverage": 4.0 * AMOUNTS, "shock": HIT, "impact": 0.01},
    "margin_call": {"collateral": AMOUNTS, "loan": 0.6 * AMOUNTS, "call_ltv": 0.5},
    "merton": {"assets": 100.0, "debt": 60.0, "volatility": 0.3},
    "cds_spread": {"hazard": 0.02, "recovery": 0.4, "maturity": 5.0},
    "hazard_from_spread": {"spread": 0.02, "recovery": 0.4, "maturity": 5.0},
    "implied_assets": {"equity": 40.0, "debt": 60.0, "equity_volatility": 0.4},
    "cross_holding_values": {"holdings": 0.1 * TIES, "assets": AMOUNTS},
    "random_interbank": {"n": 10, "degree": 3.0},
    "reconstruct_exposures": {"assets": AMOUNTS, "liabilities": AMOUNTS[::-1]},
    "threshold_cascade": {"exposures": TIES, "equity": 0.3 * AMOUNTS, "failed": np.array([True, False, False])},
    "claim_value": {"valuation": "eisenberg_noe", "equity": AMOUNTS, "external_assets": AMOUNTS, "interbank_liabilities": AMOUNTS},
    "network_valuation": {"exposures": TIES, "external_assets": 2.0 * AMOUNTS, "external_liabilities": AMOUNTS},
}
ODD: list[Any] = [
    None, True, "", "x", b"x", 1.5, float("nan"), float("inf"), -1, 0, 10**30, -(10**30), [], ["x"], [None], {}, {"a": 1}, object(), len, (), set(),
    1 + 1j, np.array([1, 2]), np.array([]), np.zeros((0, 0)), np.array([1.0, np.nan, 2.0]), -AMOUNTS, 1e307 * AMOUNTS, np.zeros((3, 3)),
    np.ones((3, 3, 3)), np.ones((2, 3)), [[1, 2], [3]], sparse.csr_matrix(TIES), np.array([1 + 1j, 2, 3]), [1, None, 2],
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_kernel_answers_any_wrong_argument_with_one_line(name: str) -> None:
    kernel, told = getattr(api, name), []
    kernel(**GOOD[name])
    for argument in inspect.signature(kernel).parameters:
        for odd in ODD:
            try:
                kernel(**{**GOOD[name], argument: odd})
            except (InputError, NotConverged) as error:
                told.append(str(error))
    assert len(told) > 3 * len(inspect.signature(kernel).parameters)
    assert [line for line in told if not 0 < len(line) < 400] == []
