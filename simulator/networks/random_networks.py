"""Networks to try the kernels on: random ones in the style of Gai & Kapadia, and reconstructions from balance-sheet totals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from simulator.errors import shown
from simulator.networks._checks import FloatArray, NetworkInputError, NotConverged, numbers, share, whole, word
from simulator.streams import stream_of_seed

ENTROPY_ROUNDS = 100_000


@dataclass(frozen=True)
class Interbank:
    """`exposures` (n, n) CSR, [i, j] = what i lent j; the rest (n,): `equity`, `external_assets`, `external_liabilities`.

    Money in units of one bank's total assets when it has borrowers.
    """

    exposures: sparse.csr_matrix
    equity: FloatArray
    external_assets: FloatArray
    external_liabilities: FloatArray


def random_interbank(
    n: int, degree: float, capital: float = 0.04, interbank_share: float = 0.2, rng: np.random.Generator | int = 0
) -> Interbank:
    """A directed Erdos-Renyi network of loans with mean `degree`, as in the baseline of Gai & Kapadia (2010), section 3.

    Total assets are 1; a share `interbank_share` is lent, spread evenly over a bank's borrowers (a bank without borrowers holds
    external assets instead); equity is `capital`, and deposits (`external_liabilities`) fill the balance sheet, at least 0, external
    assets growing where interbank debts alone exceed 1 - capital. `rng`: a Generator, or a seed for a Philox generator.
    """
    n = whole("n", n, 2, 100_000)
    degree = share("degree", degree, 0.0, n - 1)
    interbank_share, capital = share("interbank_share", interbank_share), share("capital", capital, 0.0, 1e6)
    if isinstance(rng, int | np.integer):
        if rng < 0:
            raise NetworkInputError(f"rng = {rng}: a seed is a whole number of at least 0")
        rng = stream_of_seed(int(rng))
    elif not hasattr(rng, "binomial"):
        raise NetworkInputError(f"rng = {shown(rng)} must be a numpy Generator or a whole number of at least 0")
    pairs = n * (n - 1)
    links = np.sort(rng.choice(pairs, size=int(rng.binomial(pairs, degree / (n - 1))), replace=False, shuffle=False))
    lender, borrower = links // (n - 1), links % (n - 1)
    borrower = borrower + (borrower >= lender)  # skips the lender itself
    borrowers = np.bincount(lender, minlength=n)
    amount = interbank_share / np.maximum(borrowers, 1)[lender]
    exposures = sparse.csr_matrix((amount, (lender, borrower)), shape=(n, n))
    lent = np.where(borrowers > 0, interbank_share, 0.0)
    debts = np.asarray(exposures.T @ np.ones(n))
    equity = np.full(n, float(capital))
    deposits = np.maximum(1.0 - equity - debts, 0.0)
    return Interbank(exposures, equity, equity + debts + deposits - lent, deposits)


def reconstruct_exposures(
    assets: ArrayLike, liabilities: ArrayLike, method: Literal["entropy", "density"] = "entropy"
) -> sparse.csr_matrix:
    """Exposures (n, n) CSR with row sums `assets` and column sums `liabilities` (both (n,), equal totals) and an empty diagonal.

    `entropy`: as even as possible, by iterative proportional fitting (Upper & Worms 2004). `density`: with few links, the largest
    lender matched with the largest borrower again and again: the economics of Anand, Craig & von Peter (2015), without their random
    search. Raises NetworkInputError when totals differ by more than 1e-9 or when one agent is more than all others can match.
    """
    lent, owed = numbers("assets", assets), numbers("liabilities", liabilities)
    if lent.ndim != 1 or lent.shape != owed.shape or lent.size == 0:
        raise NetworkInputError(f"assets {lent.shape} and liabilities {owed.shape} must be vectors of the same length")
    total = float(np.cumsum(lent)[-1])
    if abs(total - float(np.cumsum(owed)[-1])) > 1e-9 * max(total, 1e-300):
        raise NetworkInputError("assets and liabilities differ in total")
    crowded = lent + owed > total * (1 + 1e-9)
    if crowded.any() and total > 0:
        raise NetworkInputError(f"agent {int(np.flatnonzero(crowded)[0])} lends and owes more than all others could match")
    word("method", method, ("entropy", "density"))
    if method == "entropy":
        return _even(lent, owed)
    return _sparse(lent, owed)


def _even(lent: FloatArray, owed: FloatArray) -> sparse.csr_matrix:
    n = lent.size
    total = float(np.cumsum(lent)[-1])
    whole = np.flatnonzero(lent + owed >= total * (1 - 1e-12))
    if whole.size and total > 0:  # one agent is a side of every loan: the answer is unique, and fitting would take for ever to reach it
        star, hub = np.zeros((n, n)), int(whole[0])
        star[hub], star[:, hub] = owed, lent
        star[hub, hub] = 0.0
        return sparse.csr_matrix(star)
    # x[i, j] = row[i] column[j] off the diagonal, so the sums need no matrix.
    row, column = np.array(lent), np.array(owed)
    scale = max(float(np.max(lent, initial=0.0)), float(np.max(owed, initial=0.0)), 1e-300)
    for _ in range(ENTROPY_ROUNDS):
        others = np.cumsum(column)[-1] - column
        row = np.where(others > 0, lent / np.where(others > 0, others, 1.0), 0.0)
        others = np.cumsum(row)[-1] - row
        column = np.where(others > 0, owed / np.where(others > 0, others, 1.0), 0.0)
        if np.max(np.abs(row * (np.cumsum(column)[-1] - column) - lent)) <= 1e-13 * scale:
            break
    else:
        if np.max(np.abs(row * (np.cumsum(column)[-1] - column) - lent)) > 1e-6 * scale:
            raise NotConverged("proportional fitting did not settle")
    dense = row[:, None] * column[None, :]
    dense[np.arange(n), np.arange(n)] = 0.0
    return sparse.csr_matrix(dense)


def _sparse(lent: FloatArray, owed: FloatArray) -> sparse.csr_matrix:
    n = lent.size
    supply, demand = np.array(lent), np.array(owed)
    tiny = 1e-13 * max(float(np.max(lent, initial=0.0)), 1e-300)
    found: dict[tuple[int, int], float] = {}

    def add(i: int, j: int, amount: float) -> None:
        found[i, j] = found.get((i, j), 0.0) + amount

    for _ in range(4 * n):
        i, j = int(np.argmax(supply)), int(np.argmax(demand))
        if supply[i] <= tiny or demand[j] <= tiny:
            break
        if i == j:
            # The second best partner of whichever side has one.
            rest_supply, rest_demand = np.array(supply), np.array(demand)
            rest_supply[i] = rest_demand[i] = 0.0
            if rest_demand.max() > tiny:
                j = int(np.argmax(rest_demand))
            elif rest_supply.max() > tiny:
                i = int(np.argmax(rest_supply))
            else:
                break
        amount = min(supply[i], demand[j])
        add(i, j, amount)
        supply[i] -= amount
        demand[j] -= amount
    own = int(np.argmax(supply))
    left = float(min(supply[own], demand[own]))
    # One agent left with itself: put it between other lenders and borrowers.
    for (i, j), amount in sorted(found.items(), key=lambda link: -link[1]):
        if left <= tiny:
            break
        if own in (i, j):
            continue
        moved = min(left, amount)
        add(i, j, -moved)
        add(i, own, moved)
        add(own, j, moved)
        left -= moved
    kept = {link: amount for link, amount in found.items() if amount > 0}
    rows, others = [link[0] for link in kept], [link[1] for link in kept]
    return sparse.csr_matrix((list(kept.values()), (rows, others)), shape=(n, n))
