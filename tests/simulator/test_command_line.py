"""The command line: what it prints, what it refuses in one line, and its exit codes."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from simulator.__main__ import grid, help_text, is_run, main, parse, report_main, run_folder
from simulator.errors import InputError
from simulator.menu import GROUPS, assemble, menu
from simulator.settings import Settings

ROOT = Path(__file__).parents[2]
CHANGE = "lever: {lever}\n  {operation}\n  starts: {starts}\n  source: {source}\n"


def change(lever: str = "power.price", operation: str = "multiply_by: 2", starts: str = "2026-10", source: str = "assumption") -> str:
    return "# Mine\nmine:\n  " + CHANGE.format(lever=lever, operation=operation, starts=starts, source=source)


class Calls(list[Settings]):
    """Settings of the runs that a stub of the program's own interface was asked for."""


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Calls:
    """Replaces simulator.api by a stub, and works in an empty folder. The scenarios are resolved as in a true run."""
    calls = Calls()
    economy: Any = SimpleNamespace(start="2025-12", ids=("nvidia",), kinds=("chipmaker",), lender_types=("",), sources={})

    def run_experiment(settings: Settings, progress: bool = False, shard: tuple[int, int] | None = None, opened: object = None) -> SimpleNamespace:
        from simulator.settings import resolve_scenarios

        resolve_scenarios(settings, economy)
        calls.append(settings)
        return SimpleNamespace(findings="who defaulted", folder=Path(str(settings.output)))

    stub = ModuleType("simulator.api")
    stub.run_experiment = run_experiment  # type: ignore[attr-defined]
    stub.report_again = lambda run, compare=None: run / "report.html"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "simulator.api", stub)
    monkeypatch.setattr("simulator.engine.worker_server.warm_up", lambda modules: None)  # no workers for runs that are none
    monkeypatch.setattr("simulator.__main__._opened_early", lambda settings: None)
    monkeypatch.chdir(tmp_path)
    return calls


@pytest.fixture
def own_menu(tmp_path: Path) -> Path:
    """A user's folder with good and bad files, and a folder that is no run."""
    shocks = tmp_path / "mine" / "shock"
    shocks.mkdir(parents=True)
    files = {
        "good": change(),
        "broken": "# Broken\na: [1\n",
        "listed": "- lever: power.price\n",
        "unknown_lever": change(lever="power.prise"),
        "out_of_range": change(operation="multiply_by: 9"),
        "no_operation": change(operation="low: 1"),
        "two_operations": change(operation="add: 1\n  set_to: 1"),
        "bad_date": change(starts="soon"),
        "too_late": change(starts="2099-01"),
        "unknown_source": change(source="nobody1900"),
        "unknown_key": change(operation="multiply_by: 2\n  laste_months: 3"),
        "unknown_agent": change(lever="cds.premium", operation="add: 0.1\n  agents: [nvidea]"),
        "set_one": change(operation="set_to: 2"),
        "set_other": change(operation="set_to: 3"),
    }
    for name, text in files.items():
        (shocks / f"{name}.yaml").write_text(text)
    (tmp_path / "not_a_run").mkdir()
    (tmp_path / "not_a_run" / "letter.txt").write_text("dear")
    return tmp_path / "mine"


BAD_INPUTS: list[tuple[list[str], str]] = [
    (["--hepl"], "unknown option '--hepl' – did you mean '--help'?"),
    (["--cfg"], "--cfg needs a value: job"),
    (["--cfg", "hydra"], "--cfg: 'hydra' is not possible (allowed: job)"),
    (["--info", "lever"], "--info: 'lever' is not possible"),
    (["--config-dir"], "--config-dir needs a value"),
    (["--config-dir", "nowhere"], "--config-dir: no folder 'nowhere'"),
    (["shock"], "'shock' is not an override; write key=value"),
    (["=3"], "'=3' is not an override"),
    (["~shock"], "'~shock' is not an override"),
    (["shok=rate_hold"], "unknown key 'shok' – did you mean 'shock'?"),
    (["shock=rate_hodl"], "shock: unknown choice 'rate_hodl' – did you mean 'rate_hold'?"),
    (["shock=[rate_hold,rate_hold]"], "shock: rate_hold is named twice"),
    (["shock=[]"], "shock: the list is empty; write shock=none"),
    (["policy=[]"], "policy: the list is empty; write policy=current_rules"),
    (["shock=[rate_hold"], "shock: the list '[rate_hold' has no closing bracket"),
    (["shock=[rate_hold,]"], "shock: '' is not the name of a file of the menu"),
    (["shock="], "shock: '' is not the name of a file of the menu"),
    (["shock=[none,rate_hold]"], "shock: none stands alone"),
    (["shock=rate_hold,rate_hike"], "shock: 2 values; shock=[rate_hold,rate_hike] combines them, -m runs one experiment for each"),
    (["shock=rate_hold", "shock=rate_hike"], "shock is given twice"),
    (["economy=mars"], "economy: unknown choice 'mars'"),
    (["economy=[synthetic]"], "economy: takes one name, not a list"),
    (["economy=folder"], "economy.path: is missing"),
    (["economy.path=x"], "economy.path: belongs to economy=folder"),
    (["economy.include=[maybe]"], "economy.include.0: 'maybe' is not possible"),
    (["execution=spark"], "execution: unknown choice 'spark' (menu: dask, local, serial, slurm)"),
    (["execution.scheduler=tcp://here:1"], "execution.scheduler: belongs to execution=dask, not to execution=local"),
    (["montecarlo.precision=0.1", "montecarlo.replications_max=10"], "montecarlo.replications_max: 10 is below montecarlo.replications, 1,000"),
    (["--shard", "4/3"], "--shard: '4/3' is not possible (allowed: I/N, such as 1/3, 2/3 and 3/3)"),
    (["--shard", "1/3"], "--shard: needs output=DIR"),
    (["--shard", "1/3", "output=here", "montecarlo.precision=0.1"], "can't be cut"),
    (["resume=nowhere"], "no folder 'nowhere'"),
    (["resume=mine"], "'mine' has no manifest.json: nothing to go on with"),
    (["merge"], "usage: capital-loop merge DIR ... [output=DIR]"),
    (["merge", "nowhere"], "merge: no folder 'nowhere'"),
    (["montecarlo.precision=nan"], "montecarlo.precision: nan is not a number (allowed above 0 to 1)"),
    (["systemic.debt_share=nan"], "systemic.debt_share: nan is not a number (allowed "),
    (["record=everything"], "record: unknown choice 'everything'"),
    (["montecarlo.replications=0"], "montecarlo.replications: 0 is below 1 (allowed 1 to 10,000,000)"),
    (["montecarlo.replications=true"], "montecarlo.replications: True is not a whole number"),
    (["horizon_months=false"], "horizon_months: False is not a whole number"),
    (["systemic.debt_share=true"], "systemic.debt_share: True is not a number"),
    (["shock=rate_hold", "shock.rate_hold=null"], "shock.rate_hold: is a change, not a number; name one of its keys"),
    (["output=a\0b"], "is not an override"),
    (["economy=synthetic", "economy.agents=50"], "economy.agents: unknown key; write economy.synthetic.agents"),
    (["economy=interbank_gai_kapadia", "economy.banks=50"], "economy.banks: unknown key; write economy.parameters.banks"),
    (["montecarlo.replications=many"], "montecarlo.replications: 'many' is not a whole number"),
    (["montecarlo.replication=1"], "montecarlo.replication: unknown key – did you mean 'replications'?"),
    (["montecarlo.seed=[1"], "'montecarlo.seed=[1' is not an override that can be read"),
    (["montecarlo.seed="], "montecarlo.seed: has no value"),
    (["montecarlo.seed=${nobody}"], "Interpolation key 'nobody' not found"),
    (["montecarlo.seed=1,2"], "montecarlo.seed: 2 values; -m runs one experiment for each"),
    (["-m", "montecarlo.seed=1,1"], "montecarlo.seed: 1 is named twice"),
    (["-m", "montecarlo.seed=1,"], "montecarlo.seed: an empty value between commas"),
    (["-m", "montecarlo.seed=1,-1"], "montecarlo.seed: -1 is below 0"),
    (["horizon_months=0"], "horizon_months: 0 is below 1"),
    (["channels.margins=false"], "channels.margins: unknown channel – did you mean 'margin'?"),
    (["channels.margin=perhaps"], "channels.margin: 'perhaps' is not true or false"),
    (["systemic.debt_share=2"], "systemic.debt_share: 2 is above 1"),
    (["experiment=policy_comparison", "experiment.compare=[rate_cutt]"], "policy: unknown choice 'rate_cutt' – did you mean 'rate_cut'?"),
    (["experiment.compare=[rate_cut]"], "experiment.compare: belongs to experiment=policy_comparison"),
    (["shock.colateral.starts=2026-10"], "shock.colateral.starts: no such change in shock=rate_hold+collateral_devaluation"),
    (["shock.accelerators_age.starts=2026-99"], "shock/collateral_devaluation: accelerators_age: starts: '2026-99' is not a month"),
    (["shock.accelerators_age.multiply_by=0.95"], "low 0.4 and high 0.9 do not bracket multiply_by 0.95"),
    (["horizon_months=6"], "starts: 2026-10 is outside the run (2026-01 to 2026-06; horizon_months=6)"),
    (["output=not_a_run"], "output: 'not_a_run' is not empty and not a run"),
    (["output=not_a_run/letter.txt"], "output: 'not_a_run/letter.txt' is a file"),
    (["--config-dir", "mine", "shock=broken"], "shock/broken.yaml: line 3 is not valid YAML"),
    (["--config-dir", "mine", "shock=listed"], "shock/listed.yaml: must be a mapping"),
    (["--config-dir", "mine", "shock=unknown_lever"], "mine: unknown lever 'power.prise' – did you mean 'power.price'?"),
    (["--config-dir", "mine", "shock=out_of_range"], "multiply_by: 9 is above 5 (allowed for power.price: 0.1 to 5, factor)"),
    (["--config-dir", "mine", "shock=no_operation"], "give one of multiply_by, add, set_to"),
    (["--config-dir", "mine", "shock=two_operations"], "add and set_to exclude each other"),
    (["--config-dir", "mine", "shock=bad_date"], "starts: 'soon' is not a month; write YYYY-MM"),
    (["--config-dir", "mine", "shock=too_late"], "starts: 2099-01 is outside the run"),
    (["--config-dir", "mine", "shock=unknown_source"], "source: 'nobody1900' is neither"),
    (["--config-dir", "mine", "shock=unknown_key"], "unknown key 'laste_months' – did you mean 'lasts_months'?"),
    (["--config-dir", "mine", "shock=unknown_agent"], "agents: unknown agent 'nvidea' in this economy – did you mean 'nvidia'?"),
    (["--config-dir", "mine", "shock=[set_one,set_other]"], "set power.price to different values (2 and 3)"),
]


@pytest.mark.parametrize(("words", "told"), BAD_INPUTS, ids=[" ".join(words) for words, _ in BAD_INPUTS])
def test_bad_input_is_told_in_one_line_with_exit_code_2(
    words: list[str], told: str, runs: Calls, own_menu: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("capital-loop: ")
    assert told in err
    assert runs == []


def test_the_default_run_prints_its_findings_and_the_report(runs: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "who defaulted"
    assert out.splitlines()[-1].startswith("report: runs/")
    assert out.splitlines()[-1].endswith("_us_ai_2025_rate_hold+collateral_devaluation/report.html")
    assert err == ""
    assert runs[0].montecarlo.replications == 1000


def test_a_users_shock_of_six_lines_runs(runs: Calls, own_menu: Path) -> None:
    assert main(["--config-dir", str(own_menu), "shock=[rate_hold,good]", "output=here"]) == 0
    assert list(runs[0].shock) == ["rate_hold", "good"]
    assert runs[0].output == "here"


def test_a_grid_runs_every_combination_each_in_its_own_folder(runs: Calls) -> None:
    assert main(["-m", "shock=none,rate_hike", "montecarlo.seed=1,2", "policy=[current_rules,rate_cut]", "output=here"]) == 0
    assert [(next(iter(run.shock)), run.montecarlo.seed, run.output) for run in runs] == [
        ("none", 1, "here/1"),
        ("none", 2, "here/2"),
        ("rate_hike", 1, "here/3"),
        ("rate_hike", 2, "here/4"),
    ]


def test_a_grid_keeps_lists_together() -> None:
    assert grid(["shock=[a,b]", "x=1,2"]) == [["shock=[a,b]", "x=1"], ["shock=[a,b]", "x=2"]]


def test_help_shows_every_choice_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for group in GROUPS:
        for name, meaning in menu(group).items():
            assert name in out
            assert meaning in out
    assert "examples" in out


def test_help_shows_a_users_own_menu(own_menu: Path) -> None:
    assert "unknown_lever" in help_text(own_menu)


def test_help_answers_in_a_second_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from simulator.__main__ import main; main(['--help']); main(['--info', 'levers']); "
        "print([n for n in ('mesa', 'numpy', 'pandas', 'matplotlib', 'hydra') if n in sys.modules])"
    )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert time.perf_counter() - began < 5.0  # a second on a free machine; tests share theirs
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_levers_bibliography_and_settings_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in (
        (["--version"], "capital-loop 0.1.0"),
        (["--info", "levers"], "lab_shares.value"),
        (["--bibliography"], "eisenberg_noe2001"),
        (["--cfg", "job", "montecarlo.seed=77"], "seed: 77"),
    ):
        assert main(words) == 0
        assert expected in capsys.readouterr().out


def test_the_printed_settings_say_everything_that_was_composed(capsys: pytest.CaptureFixture[str]) -> None:
    import yaml

    from simulator.settings import build_settings

    assert main(["--cfg", "job"]) == 0
    assert build_settings(yaml.safe_load(capsys.readouterr().out)) == assemble({})


def test_an_interruption_says_what_is_kept(runs: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(settings: Settings, progress: bool = False, shard: tuple[int, int] | None = None, opened: object = None) -> None:
        raise KeyboardInterrupt("1 finished block is kept; capital-loop resume=here goes on")

    monkeypatch.setattr(sys.modules["simulator.api"], "run_experiment", interrupted)
    assert main(["output=here"]) == 130
    assert capsys.readouterr().err == "capital-loop: interrupted; 1 finished block is kept; capital-loop resume=here goes on\n"


def test_a_bug_is_one_line_too(runs: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(settings: Settings, progress: bool = False, shard: tuple[int, int] | None = None, opened: object = None) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(sys.modules["simulator.api"], "run_experiment", fails)
    assert main([]) == 1
    assert capsys.readouterr().err.startswith("capital-loop: this is a bug: RuntimeError: two lines")


def test_a_disk_that_can_not_be_written_is_one_line(
    runs: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(settings: Settings, progress: bool = False, shard: tuple[int, int] | None = None, opened: object = None) -> None:
        raise PermissionError(13, "Permission denied", "here/config.yaml")

    monkeypatch.setattr(sys.modules["simulator.api"], "run_experiment", fails)
    assert main(["output=here"]) == 2
    assert capsys.readouterr().err == "capital-loop: here/config.yaml: Permission denied\n"


def test_a_run_goes_to_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    now = datetime(2026, 11, 22, 8, 5, 3)
    first = run_folder(assemble({"shock": "rate_hold"}), now)
    assert first == Path("runs/2026-11-22_08-05-03_us_ai_2025_rate_hold")
    first.mkdir(parents=True)
    assert run_folder(assemble({"shock": "rate_hold"}), now) != first


def test_a_run_may_be_repeated_in_its_folder(tmp_path: Path) -> None:
    for name in ("config.yaml", "provenance.json"):
        (tmp_path / name).write_text("{}")
    assert is_run(tmp_path)
    assert run_folder(assemble({}, {"output": str(tmp_path)}), datetime.now()) == tmp_path


def test_options_may_carry_their_value_after_an_equals_sign() -> None:
    assert parse(["--config-dir=here", "--cfg=job", "a=1"]).config_dir == Path("here")
    with pytest.raises(InputError):
        parse(["--cfg="])


BAD_REPORTS = [
    ([], "0 run folders given"),
    (["a", "b"], "2 run folders given"),
    (["--compare"], "--compare needs a run folder"),
    (["--fast"], "unknown option '--fast'"),
    (["nowhere"], "no folder 'nowhere'"),
    (["not_a_run"], "'not_a_run' is not a run"),
]


@pytest.mark.parametrize(("words", "told"), BAD_REPORTS, ids=[" ".join(words) or "nothing" for words, _ in BAD_REPORTS])
def test_a_report_of_nothing_is_refused_in_one_line(
    words: list[str], told: str, runs: Calls, own_menu: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--version"]) == 0
    capsys.readouterr()
    assert report_main(words) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert told in err


def test_a_report_is_written_again(runs: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("config.yaml", "provenance.json"):
        (tmp_path / name).write_text("{}")
    assert report_main([str(tmp_path), "--compare", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"report: {tmp_path / 'report.html'}\n"


def test_what_is_slow_to_load_is_left_to_the_workers() -> None:
    """The program that hands out the work and tells the findings needs neither Mesa nor matplotlib: they would take a second of every run."""
    slow = ("mesa", "matplotlib", "scipy.sparse", "scipy.stats", "scipy.optimize", "networkx", "distributed")
    code = f"import sys, simulator.api, simulator.runs; print([name for name in {slow!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
