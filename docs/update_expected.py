"""Rewrite configs/shock/NAME.expected.csv and configs/policy/NAME.expected.csv: what each file does to the teaching economy.

``python docs/update_expected.py`` rewrites all, ``python docs/update_expected.py rate_cut rate_hold`` those named. A test compares; a reviewer
sees a change of effect in the diff.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from make_effects import _kept, claims, entries, outcomes, scenarios  # noqa: E402

ECONOMY, REPLICATIONS = "three_firms", 64
ALWAYS = ("cloud_defaults", "ai_lab_defaults", "investor_defaults", "credit_loss", "fiscal_cost", "policy_rate", "cds_index", "investment", "credit",
          "market_value", "unemployment")  # fmt: skip


def path_of(group: str, name: str) -> Path:
    """Where a file's expected effect stands."""
    return ROOT / "configs" / group / f"{name}.expected.csv"


def expected(group: str, name: str) -> str:
    """The expected effect of a file on ``three_firms``: means over 64 replications, seed 1, without and with it, and the change."""
    (shocks, rules), (with_shocks, with_rules) = scenarios(group, name)
    without = _kept(ECONOMY, shocks, rules, REPLICATIONS).mean()
    with_it = outcomes(ECONOMY, with_shocks, with_rules, REPLICATIONS).mean()
    lines = ["outcome,without,with,change"]
    for outcome in dict.fromkeys((*ALWAYS, *claims(group, name))):
        before, after = float(without[outcome]), float(with_it[outcome])
        change = after - before if abs(after - before) > 1e-9 * max(abs(before), 1e-9) else 0.0
        lines.append(f"{outcome},{before:.4g},{after:.4g},{change:.3g}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    chosen = set(sys.argv[1:])
    known = entries()
    if unknown := chosen - {name for _, name in known}:
        sys.exit(f"no such file of the menu: {', '.join(sorted(unknown))}")
    for group, name in known:
        if not chosen or name in chosen:
            path_of(group, name).write_text(expected(group, name), encoding="utf-8")
