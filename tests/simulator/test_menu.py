"""The menu: names, single files without Hydra, composition with it, and a user's own folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simulator.errors import InputError
from simulator.menu import GROUPS, LISTS, assemble, compose, load_file, load_policy, load_shock, menu, policy_names, shock_names, split_list

SHOCK = """# Labs run dry
{name}:
  lever: ai_lab.tranche_share
  multiply_by: 0.25
  starts: 2026-10
  fades_over_months: 18
  source: {source}
"""


@pytest.fixture
def own_menu(tmp_path: Path) -> Path:
    (tmp_path / "shock").mkdir()
    (tmp_path / "shock" / "lab_funding_dries_up.yaml").write_text(SHOCK.format(name="lab_funding_dries_up", source="assumption"))
    return tmp_path


def test_every_file_of_the_menu_says_in_its_first_line_what_it_is() -> None:
    for group in GROUPS:
        for name, meaning in menu(group).items():
            assert len(meaning) > 10 or group in ("execution", "montecarlo"), (group, name)
            assert meaning


def test_names_are_listed_and_files_read() -> None:
    assert "rate_hold" in shock_names()
    assert "current_rules" in policy_names()
    assert load_policy("current_rules") == {}
    assert load_shock("collateral_devaluation")["collateral_devaluation"]["multiply_by"] == 0.6


def test_an_unknown_name_is_answered_with_the_menu() -> None:
    with pytest.raises(InputError, match=r"shock: unknown choice 'rate_hld' – did you mean 'rate_hold'\? \(menu: .*rate_hike"):
        load_shock("rate_hld")
    with pytest.raises(InputError, match="unknown group 'shok' – did you mean 'shock'"):
        menu("shok")


def test_composing_by_hydra_and_from_python_gives_the_same() -> None:
    assert compose(["horizon_months=60"]) == compose([]) == assemble({})
    typed = compose(
        ["shock=[rate_hike,funding_freeze]", "policy=rate_cut", "montecarlo=quick", "montecarlo.seed=7", "channels.short=false"]
    )
    spoken = assemble(
        {"shock": ["rate_hike", "funding_freeze"], "policy": "rate_cut", "montecarlo": "quick"},
        {"montecarlo.seed": 7, "channels.short": False},
    )
    assert typed == spoken
    assert list(typed.shock) == ["rate_hike", "funding_freeze"]


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in LISTS])
def test_files_are_put_together_as_hydra_does_it(group: str) -> None:
    """A value that is the default anyway is read by Hydra; without one the files are put together here."""
    for name in menu(group):
        words = [f"{group}={name}", *(["economy.path=my tables"] if name == "folder" else []), "output=2026"]
        found = []
        for more in ([], ["resume_anyway=false"]):
            try:
                found.append(compose([*words, *more]))
            except InputError as error:
                found.append(str(error))
        assert found[0] == found[1], name


def test_a_default_run_is_composed_without_hydra() -> None:
    code = "import sys; from simulator.menu import compose; compose(['shock=rate_hike', 'output=2026']); print('hydra' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_key_of_a_change_can_be_overridden_by_the_name_of_the_change_alone() -> None:
    for key in ("shock.accelerators_age.multiply_by", "shock.collateral_devaluation.accelerators_age.multiply_by"):
        changed = compose([f"{key}=0.5"]).shock["collateral_devaluation"]
        assert changed["accelerators_age"]["multiply_by"] == 0.5
        assert changed["collateral_devaluation"]["multiply_by"] == 0.6


def test_a_date_stays_a_date_on_the_command_line() -> None:
    assert compose(["shock.accelerators_age.starts=2027-01"]).shock["collateral_devaluation"]["accelerators_age"]["starts"] == "2027-01"


def test_single_contracts_are_switched_by_id() -> None:
    assert compose(["economy.contracts.con-x=false"]).economy.contracts == {"con-x": False}


def test_a_folder_may_have_any_name() -> None:
    for name in ("2026", "my tables (new)", "it's"):
        assert compose(["economy=folder", f"economy.path={name}", f"output={name}"]).economy.path == name


def test_a_users_folder_adds_to_the_menu(own_menu: Path) -> None:
    assert menu("shock", own_menu)["lab_funding_dries_up"] == "Labs run dry"
    for settings in (
        compose(["shock=[rate_hold,lab_funding_dries_up]"], own_menu),
        assemble({"shock": "lab_funding_dries_up"}, None, own_menu),
    ):
        assert settings.shock["lab_funding_dries_up"]["lab_funding_dries_up"]["starts"] == "2026-10"


def test_two_files_may_use_one_name_for_a_change(own_menu: Path) -> None:
    (own_menu / "shock" / "more.yaml").write_text(SHOCK.format(name="rate_hold", source="assumption"))
    settings = compose(["shock=[rate_hold,more]"], own_menu)
    assert settings.shock["more"]["rate_hold"]["lever"] == "ai_lab.tranche_share"
    assert settings.shock["rate_hold"]["rate_hold"]["lever"] == "central_bank.hold"
    with pytest.raises(InputError, match=r"both have a change rate_hold; write shock.FILE.rate_hold.starts"):
        compose(["shock=[rate_hold,more]", "shock.rate_hold.starts=2026-05"], own_menu)


def test_a_users_folder_may_bring_its_own_sources(own_menu: Path) -> None:
    (own_menu / "sources.bib").write_text("@article{mine2026, title = {Mine}}\n")
    assert compose([], own_menu).sources == ("mine2026",)


def test_a_users_file_can_not_hide_one_of_the_house(own_menu: Path) -> None:
    (own_menu / "shock" / "rate_hold.yaml").write_text("{}")
    with pytest.raises(InputError, match=r"shock/rate_hold.yaml has the name of a file of the house"):
        load_shock("rate_hold", own_menu)


def test_broken_yaml_is_told_with_its_line(own_menu: Path) -> None:
    (own_menu / "shock" / "broken.yaml").write_text("# Broken\na: [1\nb: 2\n")
    with pytest.raises(InputError, match=r"shock/broken.yaml: line 3 is not valid YAML"):
        load_file("shock", "broken", own_menu)


def test_commas_inside_brackets_and_quotes_do_not_split() -> None:
    assert split_list("[a,b],{c: 1, d: 2},'e,f',g") == ["[a,b]", "{c: 1, d: 2}", "'e,f'", "g"]


def test_reading_the_menu_imports_nothing_heavy() -> None:
    code = "import sys, simulator.menu as m; m.menu('shock'); m.load_shock('rate_hold'); print([n for n in HEAVY if n in sys.modules])"
    heavy = "HEAVY = ['mesa', 'numpy', 'pandas', 'matplotlib', 'hydra', 'pydantic']; "
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", heavy + code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
