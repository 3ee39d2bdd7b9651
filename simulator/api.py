"""What notebooks, scripts and the command line import: simulate, compare, load, the menu, and the network kernels."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError, as_path, shown
from simulator.experiment_settings import Paired, PolicyComparison, Single, overrides
from simulator.menu import assemble, load_file, policy_names, shock_names
from simulator.results.comparison import compare
from simulator.results.dataset import Run, load
from simulator.results.findings import findings_text
from simulator.results.opening_network import opening_network
from simulator.results.provenance import provenance
from simulator.settings import CLASSICS, Settings, baseline_label, bibliography_keys, open_economy, resolve_scenarios

if TYPE_CHECKING:
    from scenarios.changes import Scenario
    from scenarios.economy import Economy
    from simulator.networks.clearing import clearing_payments
    from simulator.networks.credit import cds_spread, hazard_from_spread, implied_assets, merton
    from simulator.networks.cross_holdings import cross_holding_values
    from simulator.networks.debt_rank import debt_rank
    from simulator.networks.fire_sales import fire_sale_cascade, fire_sale_losses
    from simulator.networks.margin import margin_call
    from simulator.networks.random_networks import random_interbank, reconstruct_exposures
    from simulator.networks.thresholds import threshold_cascade
    from simulator.networks.valuation import claim_value, network_valuation
    from simulator.results.study import Study

__all__ = [
    "ExperimentResult", "Run", "cds_spread", "claim_value", "clearing_payments", "compare", "cross_holding_values", "debt_rank", "economies",
    "experiment", "fire_sale_cascade", "fire_sale_losses", "hazard_from_spread", "implied_assets", "load", "margin_call", "merge_shards",
    "merton", "network_valuation", "policies", "random_interbank", "reconstruct_exposures", "report_again", "resume", "run_experiment",
    "shocks", "simulate", "threshold_cascade",
]  # fmt: skip

KERNELS = {
    "clearing": ("clearing_payments",), "credit": ("cds_spread", "hazard_from_spread", "implied_assets", "merton"),
    "cross_holdings": ("cross_holding_values",), "debt_rank": ("debt_rank",), "fire_sales": ("fire_sale_cascade", "fire_sale_losses"),
    "margin": ("margin_call",), "random_networks": ("random_interbank", "reconstruct_exposures"), "thresholds": ("threshold_cascade",),
    "valuation": ("claim_value", "network_valuation"),
}  # fmt: skip
"""Functions by module of simulator/networks: loaded when they are asked for, since a run of the command line does without."""


def __getattr__(name: str) -> Any:
    for module, functions in KERNELS.items():
        if name in functions:
            return getattr(import_module(f"simulator.networks.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


@dataclass(frozen=True)
class ExperimentResult:
    """What a command yields: the run (None for a shard), where it is kept, and the findings as printed."""

    run: Run | None
    folder: Path
    findings: str


def shocks() -> list[str]:
    """Names of the shocks of the menu."""
    return shock_names()


def policies() -> list[str]:
    """Names of the policies of the menu."""
    return policy_names()


def economies() -> list[str]:
    """Names of the economies: those with tables, ``synthetic``, and those of classic papers."""
    from scenarios.loading import economies as with_tables

    return [*with_tables(), "synthetic", *CLASSICS]


def simulate(
    economy: Any = "us_ai_2025",
    shock: str | Sequence[str] = "none",
    policy: str | Sequence[str] = "current_rules",
    replications: int = 1000,
    seed: int = 1,
    *,
    horizon_months: int = 60,
    channels: Mapping[str, bool] | None = None,
    record: str = "summary",
    contributions: bool = False,
    amplification: bool = False,
    chunk: int = 2000,
    workers: int = 1,
    config_dir: str | Path | None = None,
) -> Run:
    """Simulate one scenario and return its :class:`Run`.

    ``economy``: a name of :func:`economies`, a folder of tables, or an ``Economy``. ``shock``, ``policy``: a name of the menu or several.
    ``replications``: their number; the same number has the same luck in every scenario with the same ``seed``. ``channels``: switches by name.
    ``record``: ``summary``, ``ticks`` or ``agents``. ``contributions``, ``amplification``: also run the same draws with each channel off, and with
    all off and without the shock (``run.contributions``, and the column ``amplification``). ``workers``: processes; a script that asks for more
    than one needs the usual
    ``if __name__ == "__main__":``. Raises InputError, one line, for anything that is not on the menu or out of range.
    """
    choices: dict[str, str | Sequence[str]] = {"shock": shock, "policy": policy, "experiment": "single", "record": record}
    values: dict[str, Any] = {
        "montecarlo.replications": replications, "montecarlo.seed": seed, "montecarlo.chunk": chunk, "horizon_months": horizon_months,
        "record.contributions": contributions, "record.amplification": amplification,
    }  # fmt: skip
    if channels is not None and not isinstance(channels, Mapping):
        raise InputError(f"channels: {channels!r} is not a mapping of switches, such as {{'margin': False}}")
    for name, value in (channels or {}).items():
        if not isinstance(value, bool):
            raise InputError(f"channels.{name}: {value!r} is not a switch (allowed: True, False)")
        values[f"channels.{name}"] = value
    return _run_chosen(economy, workers, config_dir, choices, values)


def _run_chosen(economy: Any, workers: object, config_dir: str | Path | None, choices: dict[str, Any], values: dict[str, Any]) -> Run:
    """The run of an economy by name, by folder or as it is, with the choices and values of the menu."""
    from scenarios.economy import Economy as EconomyClass

    given = economy if isinstance(economy, EconomyClass) else None
    in_one = isinstance(workers, int) and workers == 1
    choices["execution"] = "serial" if in_one else "local"
    if not in_one:
        values["execution.workers"] = workers
    if given is None:
        path = as_path("economy", economy)
        is_folder = path.is_dir()
        choices["economy"] = "folder" if is_folder else str(economy)
        values |= {"economy.path": str(path)} if is_folder else {}
    return run_settings(assemble(choices, values, None if config_dir is None else as_path("config_dir", config_dir)), given)


def experiment(
    name: str, economy: Any = "us_ai_2025", shock: str | Sequence[str] | None = None, policy: str | Sequence[str] | None = None, *,
    replications: int = 1000, seed: int = 1, horizon_months: int = 60, workers: int = 1, config_dir: str | Path | None = None, **keys: Any,
) -> Run:
    """Run an experiment of the menu and return its :class:`Run`; ``run.study`` holds its result tables, ``run.report(path)`` tells it.

    ``name``: a file of configs/experiment/, such as ``policy_comparison`` or ``dose_response``. ``shock`` and ``policy``: as in
    :func:`simulate`, the menu's defaults where not given. ``keys``: those of the experiment, as in its file
    (``vary="lab_shares.value", grid=[0.4, 0.7, 1.0]``). Raises InputError as :func:`simulate`.
    """
    choices: dict[str, str | Sequence[str]] = {"experiment": name}
    choices |= {group: chosen for group, chosen in (("shock", shock), ("policy", policy)) if chosen is not None}
    values: dict[str, Any] = {"montecarlo.replications": replications, "montecarlo.seed": seed, "horizon_months": horizon_months}
    values |= {f"experiment.{key}": list(value) if isinstance(value, tuple) else value for key, value in keys.items()}
    return _run_chosen(economy, workers, config_dir, choices, values)


def run_settings(settings: Settings, economy: Economy | None = None, progress: bool = False) -> Run:
    """Run the experiment of ``settings`` and return its :class:`Run`, unsaved. ``progress`` shows a bar with rate and time left.

    All tables are held in memory; `run_experiment` writes them as they are computed.
    """
    from simulator.engine.montecarlo import run_scenarios
    from simulator.results.progress import Progress
    from simulator.runs import plan_of

    if settings.montecarlo.precision is not None:
        raise InputError("montecarlo.precision: needs a run folder (capital-loop, or run_experiment)")
    opened = open_economy(settings.economy) if economy is None else economy
    scenarios = resolve_scenarios(settings, opened)
    plan = plan_of(settings)
    started = time.perf_counter()
    with Progress(plan.replications * len(scenarios), progress) as shown:
        study = _study(settings, opened, shown)
        tables = run_scenarios(opened, scenarios, plan, shown.advance)
    config, story = _story(settings, opened, scenarios, time.perf_counter() - started, given=economy is not None)
    run = Run(
        tables["replications"], tables["defaults"], tables["losses"], tables["ticks"], tables.get("agents"), causes=tables.get("causes"),
        attribution=tables.get("attribution"), contributions=tables.get("contributions"), network=opening_network(opened),
        scenarios=tuple(scenario.label for scenario in scenarios), reference=baseline_label(settings), config=config, provenance=story,
    )  # fmt: skip
    run.study = study(run)
    return run


def _study(settings: Settings, opened: Economy, shown: Any) -> Callable[[Run], Study | None]:
    """What gives the experiment's study once the scenarios' own run is there. Most studies are made here and now, before anything else is run."""
    if isinstance(settings.experiment, Single | Paired):
        return lambda run: None
    from simulator.experiments.bench import Bench
    from simulator.experiments.studies import study_of
    from simulator.runs import plan_of

    bench = Bench(settings, opened, plan_of(settings), shown.advance_beyond)
    if isinstance(settings.experiment, PolicyComparison):
        return lambda run: study_of(bench, run)
    made = study_of(bench, None)
    return lambda run: made


def _story(
    settings: Settings, opened: Economy, scenarios: Sequence[Scenario], seconds: float | None = None, given: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings as kept with a run, and its provenance. ``given``: the economy came as an object, not by name."""
    cited = {change.source for scenario in scenarios for change in scenario.changes} & set(bibliography_keys())
    assumptions = [
        {"name": f"{change.name} ({change.lever})", "value": change.amount, "low": change.low, "high": change.high, "unit": change.operation}
        for scenario in scenarios
        for change in scenario.changes
        if change.source == "assumption"
    ]
    config = settings.model_dump(mode="json", exclude={"sources", "resume", "resume_anyway"})
    config["economy"] = opened.name if given else config["economy"]
    story = provenance(
        config, opened.name, facts=opened.facts, sources=opened.sources, citations=sorted(cited), seed=settings.montecarlo.seed, wall_time=seconds,
        assumptions=list({item["name"]: item for item in assumptions}.values()), command=command_of(settings),
        titles={scenario.label: title_of(scenario) for scenario in scenarios},
    )  # fmt: skip
    return config, story


def title_of(scenario: Scenario) -> str:
    """A scenario in words: ``no shock``, ``rate hold + collateral devaluation``, ``rate hike, with rate cut``."""
    shock = " + ".join(name.replace("_", " ") for name in scenario.shocks if name != "none") or "no shock"
    policy = " + ".join(name.replace("_", " ") for name in scenario.policies if name != "current_rules")
    return f"{shock}, with {policy}" if policy else shock


def command_of(settings: Settings) -> str:
    """The command that runs the same experiment again."""
    words = [f"economy={settings.economy.name}"] if settings.economy.path is None else ["economy=folder", f"economy.path={settings.economy.path}"]
    words += [f"'{group}=[{','.join(names)}]'" for group, names in (("shock", settings.shock), ("policy", settings.policy))]
    words.append(f"experiment={settings.experiment.kind}")
    words += overrides(settings.experiment, load_file("experiment", settings.experiment.kind), policy_names())
    plain = {"replications": settings.montecarlo.replications, "seed": settings.montecarlo.seed, "chunk": settings.montecarlo.chunk}
    words += [f"montecarlo.{key}={value}" for key, value in plain.items()]
    words += [f"horizon_months={settings.horizon_months}", f"record={settings.record.level}"]
    words += [f"record.{key}=true" for key in ("contributions", "amplification") if getattr(settings.record, key)]
    words += [f"channels.{name}=false" for name, is_on in settings.channel_switches().items() if not is_on]
    return "capital-loop " + " ".join(words)


def run_experiment(
    settings: Settings, progress: bool = True, shard: tuple[int, int] | None = None, opened: Economy | None = None
) -> ExperimentResult:
    """Run an experiment, keep its folder (``settings.output``) with tables, figures and report, and tell the findings.

    The folder is written while it is computed. A folder that holds an earlier, complete run is replaced only when the new one is complete.
    ``settings.resume``: go on with the run in that folder. ``shard``: compute part i of n only (`merge_shards` makes one run of all parts).
    ``opened``: the economy of ``settings``, where the caller has opened it already.
    Raises InputError, one line, also when the folder can't be written: what is finished stays. KeyboardInterrupt says how to go on.
    """
    from simulator.engine.crew import Crew
    from simulator.results.manifest import is_complete
    from simulator.runs import compute_into, finish

    if not isinstance(settings, Settings):
        raise InputError(f"run_experiment: {shown(settings)} is not Settings, such as simulator.menu.compose([...]) gives")
    folder = Path(settings.resume or settings.output or "runs/run")
    place, made = folder, [parent for parent in (folder, *folder.parents) if not parent.exists()]
    if settings.resume is None and is_complete(folder):
        place = folder.with_name(folder.name + WRITING)
        made = [] if place.exists() else [place]
    work = _work(settings, shard, progress, opened)
    try:
        with Crew(loads=("simulator.results.figures",)) as crew:
            if shard is None and isinstance(settings.experiment, Single | Paired):  # nothing else is run before the figures are drawn
                work = replace(work, crew=crew)
            manifest = compute_into(work, place)
            if shard is not None:
                return ExperimentResult(None, place, f"shard {shard[0]} of {shard[1]}: {blocks_words(len(manifest.units))} finished in {place}")
            run = finish(work, manifest)
    except BaseException as error:
        _remove_empty(place, made)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(_kept(place, shard)) from None
        raise
    if place.name.endswith(WRITING):
        folder = place.with_name(place.name.removesuffix(WRITING))
        if folder.exists():
            shutil.rmtree(folder)
        place.rename(folder)
        run = load(folder)
    return ExperimentResult(run, folder, findings_text(run))


WRITING = ".writing"
"""Ending of the folder in which a run is computed that will replace an earlier one."""


def _work(settings: Settings, shard: tuple[int, int] | None = None, progress: bool = False, known: Economy | None = None) -> Any:
    from simulator.results.progress import Progress
    from simulator.runs import Work

    opened = open_economy(settings.economy) if known is None else known
    scenarios = resolve_scenarios(settings, opened)
    with Progress(0, progress) as shown:
        study = _study(settings, opened, shown) if shard is None else lambda run: None
    config, story = _story(settings, opened, scenarios)

    def told(seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
        return config, {**story, "wall_time_seconds": round(seconds, 3)}

    return Work(
        settings, opened, tuple(scenarios), baseline_label(settings), told, opening_network(opened), study, shard, progress,
    )  # fmt: skip


def _kept(folder: Path, shard: tuple[int, int] | None) -> str:
    """What an interrupted run leaves, and how to go on with it."""
    from simulator.results.manifest import read_manifest, shard_name
    from simulator.results.storage import MANIFEST

    try:
        finished = len(read_manifest(folder, MANIFEST if shard is None else shard_name(*shard)).units)
    except InputError:
        return ""
    again = f"capital-loop resume={folder}" if shard is None else f"the same command, --shard {shard[0]}/{shard[1]} included,"
    return f"{blocks_words(finished)} finished and kept; {again} goes on"


def blocks_words(number: int) -> str:
    """'1 block is', '7 blocks are'."""
    return f"{number:,} block{' is' if number == 1 else 's are'}"


def _remove_empty(folder: Path, made: Sequence[Path]) -> None:
    """Leave nothing behind where nothing has been finished: the folder with its manifest, and the parents made for it."""
    from simulator.results.manifest import read_manifest, shard_names
    from simulator.results.storage import MANIFEST

    if folder not in made or shard_names(folder):
        return
    try:
        if folder.is_dir() and read_manifest(folder, MANIFEST).units:
            return
    except InputError:
        pass
    shutil.rmtree(folder, ignore_errors=True)
    for parent in made:
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def resume(folder: str | Path, *, workers: int | None = None, anyway: bool = False, progress: bool = False) -> Run:
    """Go on with an interrupted run: compute what its folder lacks, finish it, and return it. InputError as `run_experiment`."""
    from simulator.runs import stored_settings

    folder = as_path("resume", folder)
    values: dict[str, Any] = {"resume": str(folder), "resume_anyway": anyway}
    if workers is not None:
        values["execution"] = {"kind": "serial" if workers == 1 else "local", "workers": workers}
    result = run_experiment(stored_settings(folder, values), progress=progress)
    assert result.run is not None
    return result.run


def merge_shards(folders: Sequence[str | Path], output: str | Path | None = None, progress: bool = False) -> ExperimentResult:
    """Make one run of shards: ``--shard 1/3``, ``2/3``, ``3/3`` in one folder or in several. InputError says how many blocks are missing."""
    from simulator.runs import finish, merge, missing_blocks, stored_settings

    given: object = folders
    if not isinstance(given, list | tuple) or not given:
        raise InputError(f"merge: {shown(folders)} is not a list of folders, such as ['runs/a', 'runs/b']")
    where = [as_path("merge", folder) for folder in given]
    target = as_path("output", output) if output is not None else where[0]
    manifest = merge(where, target, lambda line: print(f"capital-loop: {line}", file=sys.stderr))
    if missing := missing_blocks(manifest):
        raise InputError(f"merge: {blocks_words(missing)} missing in {str(target)!r}; capital-loop resume={target} computes what is missing")
    settings = stored_settings(target, {"output": str(target)})
    run = finish(_work(settings, progress=progress), manifest)
    return ExperimentResult(run, target, findings_text(run))


def report_again(folder: str | Path, other: str | Path | None = None) -> Path:
    """Write the report of a saved run again, beside a second run when ``other`` is given; returns the report's path."""
    run, place = load(folder), as_path("report", folder)
    if other is None:
        return run.report(place / "report.html")
    second = load(other)
    target = place / f"comparison_with_{Path(other).name}.txt"
    blocks = [
        f"{run.title(label)}  less  {second.title(against)}\n{compare(run, second, label, against)}\n"
        for label, against in zip(_told_of(run), _told_of(second), strict=False)
    ]
    target.write_text("\n".join(blocks), encoding="utf-8")
    return target


def _told_of(run: Run) -> list[str]:
    """The scenarios that a run is about: all but its reference, or that one where it stands alone."""
    return [label for label in run.scenarios if label != run.reference] or list(run.scenarios)
