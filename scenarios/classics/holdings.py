"""Organisations that own parts of each other: the economy of Elliott, Golub and Jackson (2014), AER 104(10), sections I and IV."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scenarios.classics.drafting import Sheet, generator, number, whole
from scenarios.economy import Economy
from simulator.networks.cross_holdings import cross_holding_values

Numbers = NDArray[np.float64]


def cross_holdings_elliott(
    organisations: float = 100,
    degree: float = 3.0,
    integration: float = 0.5,
    threshold: float = 0.93,
    failure_cost: float = 1.0,
    copies: float = 1,
    seed: float = 1,
) -> Economy:
    """Random cross-holdings, ``copies`` of them stacked in one economy; the first organisation's own asset has become worthless in each.

    Each organisation owns an asset worth 1 USD bn. A share ``integration`` of it is held by others, in equal parts by the organisations that
    drew it as one of their partners (each pair with probability ``degree`` / (n - 1)); who was drawn by nobody belongs to outside owners. An
    organisation fails when its market value is below ``threshold`` of what it was, and then loses ``failure_cost`` × its own asset.
    See `holdings_economy` for how values travel. Raises InputError for a number out of range.
    """
    size, many = whole("organisations", organisations, 2, 10_000), whole("copies", copies, 1, 10_000)
    number("degree", degree, 0.0, size - 1.0)
    number("integration", integration, 0.0, 0.999)
    number("threshold", threshold, 0.0, 1.0)
    number("failure_cost", failure_cost, 0.0, 1.0)
    rng = generator(int(seed))
    blocks = []
    own, shocked, costs = np.ones(size), np.ones(size), np.full(size, float(failure_cost))
    shocked[0] = costs[0] = 0.0  # the first failure: its asset is gone, so there is nothing more for it to lose
    for _ in range(many):
        blocks.append(_block(random_holdings(size, degree, integration, rng), own, shocked, threshold, costs))
    names = [f"e{k}_organisation_{i}" for k in range(1, many + 1) for i in range(1, size + 1)]
    return holdings_economy(
        names, [block[0] for block in blocks], np.concatenate([block[1] for block in blocks]), np.concatenate([block[2] for block in blocks]),
        np.tile(costs, many), f"cross_holdings_elliott_{size}x{many}_{int(seed)}",
    )  # fmt: skip


def random_holdings(size: int, degree: float, integration: float, rng: np.random.Generator) -> Numbers:
    """Cross-holdings C (n, n): [i, j] = share of j held by i. Columns add up to ``integration``, or to 0 where nobody was drawn."""
    linked = (rng.random((size, size)) < degree / (size - 1)).astype(np.float64)
    linked[np.arange(size), np.arange(size)] = 0.0
    holders = np.add.reduce(linked, axis=0)
    return np.asarray(integration * linked / np.maximum(holders, 1.0))


def _block(held: Numbers, own: Numbers, shocked: Numbers, threshold: float, costs: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """What each can lose by each other's failure (n, n), market values after the shock (n,), and failure thresholds (n,)."""
    before, after = cross_holding_values(held, own), cross_holding_values(held, shocked)
    return before.dependency * costs[None, :], after.values, threshold * before.values


def holdings_economy(
    names: Sequence[str], losses: Sequence[Numbers], values: Numbers, thresholds: Numbers, costs: Numbers, title: str
) -> Economy:
    """Organisations as investors. Market values are v = A (p - costs of failure), so the failure of j costs i the amount A[i, j] × cost of j.

    The engine's books hold that part as a stake of i in j, worth ``losses[k][i, j]`` in block k of the economy, which is lost when j fails;
    the rest of the value ``values`` (after the shock) stands as other assets, and the threshold as a debt, so that net worth below zero is a
    value below the threshold. All that looks through chains of holdings is in A. Only the stages announce, default and account act.
    """
    sheet = Sheet({"investor": names, "lender": ["bank"]})
    first, offset = sheet.rows["investor"][0], 0
    held = np.zeros(len(names))
    for block in losses:
        others = np.array(block)
        size = len(others)
        others[np.arange(size), np.arange(size)] = 0.0
        row, column = np.nonzero(others)
        sheet.add(
            "stakes", holder=first + offset + row, issuer=first + offset + column, kind="shares", value=others[row, column],
        )  # fmt: skip
        held[offset : offset + size] = np.add.reduce(others.T, axis=0)
        offset += size
    sheet.set("lender", capital_ratio_min=0.0)  # the bank that every economy has; here it has nothing to do
    sheet.set("investor", other_assets=values - held, other_liabilities=thresholds, market_value=costs)
    return sheet.economy(
        title,
        "Cross-holdings of Elliott, Golub and Jackson (2014)",
        "Who holds whom is drawn, or given; values follow from the paper's equations.",
        ("announce", "default", "account"),
    )
