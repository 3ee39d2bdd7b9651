"""Banks that lend to each other at random: the economy of Gai and Kapadia (2010), Proceedings of the Royal Society A 466, section 3."""

from __future__ import annotations

import numpy as np

from scenarios.classics.drafting import Sheet, generator, number, whole
from scenarios.economy import Economy
from simulator.networks.random_networks import random_interbank

TIE = 1e-9  # of assets: an equity nearer to zero than this counts as zero


def interbank_gai_kapadia(
    banks: float = 1000,
    networks: float = 1,
    degree: float = 3.0,
    capital: float = 0.04,
    interbank_share: float = 0.2,
    seed: float = 1,
    tie_defaults: bool = True,
) -> Economy:
    """``networks`` separate random networks of ``banks`` each, stacked in one economy; the first bank of each has lost its outside assets.

    Assets of a bank are 1 USD bn, of which ``interbank_share`` is lent to a Poisson number of others (mean ``degree``) in equal parts;
    equity is ``capital`` of assets, deposits are the rest. Nothing is recovered from a failed bank (costs of bankruptcy take all), and a
    bank fails when its equity is gone; ``tie_defaults``: also when a loss just equals it. Only the stages announce, default and account
    act: no bank can raise money or sell. Raises InputError for a number out of range.
    """
    size, copies = whole("banks", banks, 2, 100_000), whole("networks", networks, 1, 10_000)
    number("degree", degree, 0.0, size - 1.0)
    number("capital", capital, 0.0, 1.0)
    number("interbank_share", interbank_share, 0.0, 1.0)
    rng = generator(int(seed))
    drawn = [random_interbank(size, degree, capital, interbank_share, rng) for _ in range(copies)]
    names = [f"n{k}_bank_{i}" for k in range(1, copies + 1) for i in range(1, size + 1)]
    sheet = Sheet({"lender": names})
    first = sheet.rows["lender"][0]
    outside = np.concatenate([network.external_assets for network in drawn])
    outside[::size] = 0.0
    tie = 2.0 * TIE if tie_defaults else -2.0 * TIE
    deposits = np.concatenate([network.external_liabilities for network in drawn])
    sheet.set("lender", other_assets=outside, deposits=deposits, capital_ratio_min=tie, capital_ratio_target=capital)
    for k, network in enumerate(drawn):
        loans = network.exposures.tocoo()
        base = first + k * size
        sheet.add(
            "loans", lender=base + loans.row.astype(np.int64), borrower=base + loans.col.astype(np.int64), kind="term_loan",
            principal=loans.data, rate=0.0, rate_type="fixed", maturity=600, new_lending=False,
        )  # fmt: skip
    sheet.macro.update(recovery_secured=0.0, recovery_unsecured=0.0, asset_recovery=0.0, claim_recovery=0.0)
    return sheet.economy(
        f"interbank_gai_kapadia_{size}x{copies}_z{degree:g}_{int(seed)}",
        "Random interbank networks of Gai and Kapadia (2010)",
        "Who lends to whom is drawn; every number is the paper's baseline or a choice of the user.",
        ("announce", "default", "account"),
    )
