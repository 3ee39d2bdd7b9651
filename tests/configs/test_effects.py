"""What the files of the menu say that they move: stated in their heads, checked on runs, and kept beside them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from simulator.menu import menu, notes

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


effects = script("make_effects")
update = script("update_expected")
ENTRIES = effects.entries()


@pytest.mark.parametrize(("group", "name"), ENTRIES)
def test_every_file_says_what_it_moves_and_a_policy_what_it_costs(group: str, name: str) -> None:
    assert effects.claims(group, name)
    said = notes(group, name)
    if group == "policy":
        assert said["Cost"]
        assert said["Side effect"]


@pytest.mark.parametrize(("group", "name"), ENTRIES)
def test_the_page_of_effects_has_every_claim_and_the_file_explains_what_is_not_so(group: str, name: str) -> None:
    lines = [line.split(" | ") for line in (ROOT / "docs" / "effects.md").read_text().splitlines() if line.startswith(f"| `{name}` |")]
    told = {cells[1]: cells[2] for cells in lines}
    assert told == effects.claims(group, name), "run: python docs/make_effects.py"
    for cells in lines:
        assert cells[5] == "yes" or notes(group, name)["Why not"], f"{name}: {cells[1]} {cells[5]}: add a line '# Why not: …' to the file"


def test_the_menu_lists_no_table_of_expected_effects() -> None:
    assert not [name for group in ("shock", "policy") for name in menu(group) if "expected" in name]


def test_no_expected_effect_is_left_of_a_file_that_is_gone() -> None:
    kept = {path for group in ("shock", "policy") for path in (ROOT / "configs" / group).glob("*.csv")}
    assert kept == {update.path_of(group, name) for group, name in ENTRIES}, "run: python docs/update_expected.py"


@pytest.mark.slow
@pytest.mark.parametrize(("group", "name"), ENTRIES)
def test_the_effect_on_the_teaching_economy_is_the_one_kept_beside_the_file(group: str, name: str, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.csv"
    fresh.write_text(update.expected(group, name))
    now, kept = (pd.read_csv(path, index_col="outcome") for path in (fresh, update.path_of(group, name)))
    advice = f"the effect of {group}/{name} has changed; if it was meant to: python docs/update_expected.py {name}, and look at the diff"
    assert list(now.index) == list(kept.index), advice
    np.testing.assert_allclose(now.to_numpy(), kept.to_numpy(), rtol=2e-3, atol=1e-6, err_msg=advice)


@pytest.mark.parametrize(("change", "direction", "answer"), [
    ([1.0, 1.1, 0.9, 1.0], "up", "yes"), ([1.0, 1.1, 0.9, 1.0], "down", "the other way"), ([1.0, -1.0, 0.5, -0.4], "up", "not distinguishable"),
    ([0.0, 0.0], "up", "no change"),
])  # fmt: skip
def test_a_claim_holds_only_if_the_interval_excludes_zero_on_its_side(change: list[float], direction: str, answer: str) -> None:
    assert effects.verdict(pd.Series(change), direction)[1] == answer
