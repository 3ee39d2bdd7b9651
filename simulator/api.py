"""What notebooks, scripts and the command line import: simulate, compare, load, the menu, and the network kernels."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simulator.errors import InputError
from simulator.experiment_settings import PolicyComparison
from simulator.menu import assemble, policy_names, shock_names
from simulator.networks.clearing import clearing_payments
from simulator.networks.credit import cds_spread, hazard_from_spread, implied_assets, merton
from simulator.networks.cross_holdings import cross_holding_values
from simulator.networks.debt_rank import debt_rank
from simulator.networks.fire_sales import fire_sale_cascade, fire_sale_losses
from simulator.networks.margin import margin_call
from simulator.networks.random_networks import random_interbank, reconstruct_exposures
from simulator.networks.thresholds import threshold_cascade
from simulator.networks.valuation import claim_value, network_valuation
from simulator.results.comparison import compare
from simulator.results.dataset import Run, load
from simulator.results.findings import findings_text
from simulator.results.provenance import provenance
from simulator.settings import CLASSICS, Settings, baseline_label, bibliography_keys, open_economy, resolve_scenarios

if TYPE_CHECKING:
    from scenarios.changes import Scenario
    from scenarios.economy import Economy

__all__ = [
    "ExperimentResult", "Run", "cds_spread", "claim_value", "clearing_payments", "compare", "cross_holding_values", "debt_rank", "economies",
    "experiment",
    "fire_sale_cascade", "fire_sale_losses", "hazard_from_spread", "implied_assets", "load", "margin_call", "merton", "network_valuation",
    "policies", "random_interbank", "reconstruct_exposures", "report_again", "run_experiment", "shocks", "simulate", "threshold_cascade",
]  # fmt: skip


@dataclass(frozen=True)
class ExperimentResult:
    """What a command yields: the run, where it was saved, and the findings as printed."""

    run: Run
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
    chunk: int = 500,
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
    from scenarios.economy import Economy as EconomyClass

    given = economy if isinstance(economy, EconomyClass) else None
    choices: dict[str, str | Sequence[str]] = {"shock": shock, "policy": policy, "experiment": "single", "record": record}
    choices["execution"] = "serial" if workers == 1 else "local"
    values: dict[str, Any] = {
        "montecarlo.replications": replications, "montecarlo.seed": seed, "montecarlo.chunk": chunk, "horizon_months": horizon_months,
        "record.contributions": contributions, "record.amplification": amplification,
    }  # fmt: skip
    if workers != 1:
        values["execution.workers"] = workers
    if given is None:
        if Path(str(economy)).is_dir():
            choices["economy"] = "folder"
            values["economy.path"] = str(economy)
        else:
            choices["economy"] = str(economy)
    if channels is not None and not isinstance(channels, Mapping):
        raise InputError(f"channels: {channels!r} is not a mapping of switches, such as {{'margin': False}}")
    for name, value in (channels or {}).items():
        if not isinstance(value, bool):
            raise InputError(f"channels.{name}: {value!r} is not a switch (allowed: True, False)")
        values[f"channels.{name}"] = value
    settings = assemble(choices, values, Path(config_dir) if config_dir is not None else None)
    return run_settings(settings, given)


def experiment(
    name: str, economy: Any = "us_ai_2025", shock: str | Sequence[str] | None = None, policy: str | Sequence[str] | None = None, *,
    replications: int = 1000, seed: int = 1, horizon_months: int = 60, workers: int = 1, config_dir: str | Path | None = None, **keys: Any,
) -> Run:
    """Run an experiment of the menu and return its :class:`Run`; ``run.study`` holds its result tables, ``run.report(path)`` tells it.

    ``name``: a file of configs/experiment/, such as ``policy_comparison`` or ``dose_response``. ``shock`` and ``policy``: as in
    :func:`simulate`, the menu's defaults where not given. ``keys``: those of the experiment, as in its file
    (``vary="lab_shares.value", grid=[0.4, 0.7, 1.0]``). Raises InputError as :func:`simulate`.
    """
    from scenarios.economy import Economy as EconomyClass

    given = economy if isinstance(economy, EconomyClass) else None
    choices: dict[str, str | Sequence[str]] = {"experiment": name, "execution": "serial" if workers == 1 else "local"}
    choices |= {group: chosen for group, chosen in (("shock", shock), ("policy", policy)) if chosen is not None}
    values: dict[str, Any] = {"montecarlo.replications": replications, "montecarlo.seed": seed, "horizon_months": horizon_months}
    values |= {f"experiment.{key}": list(value) if isinstance(value, tuple) else value for key, value in keys.items()}
    if workers != 1:
        values["execution.workers"] = workers
    if given is None and Path(str(economy)).is_dir():
        choices["economy"], values["economy.path"] = "folder", str(economy)
    elif given is None:
        choices["economy"] = str(economy)
    return run_settings(assemble(choices, values, Path(config_dir) if config_dir is not None else None), given)


def run_settings(settings: Settings, economy: Economy | None = None, progress: bool = False) -> Run:
    """Run the experiment of ``settings`` and return its :class:`Run`, unsaved. ``progress`` shows a bar with rate and time left."""
    from simulator.engine.montecarlo import Plan, run_scenarios
    from simulator.experiments.bench import Bench
    from simulator.experiments.studies import study_of

    opened = open_economy(settings.economy) if economy is None else economy
    scenarios = resolve_scenarios(settings, opened)
    plan = Plan(
        settings.montecarlo.replications, settings.montecarlo.seed, settings.montecarlo.chunk, settings.horizon_months,
        settings.record.level, settings.systemic.model_dump(), settings.execution.processes(),
        contributions=settings.record.contributions, amplification=settings.record.amplification,
    )  # fmt: skip
    started = time.perf_counter()
    with _Progress(plan.replications * len(scenarios), progress) as bar:
        bench = Bench(settings, opened, plan, bar.advance_beyond)
        study = None if isinstance(settings.experiment, PolicyComparison) else study_of(bench, None)
        tables = run_scenarios(opened, scenarios, plan, bar.advance)
    wall_time = time.perf_counter() - started
    cited = {change.source for scenario in scenarios for change in scenario.changes} & set(bibliography_keys())
    assumptions = [
        {"name": f"{change.name} ({change.lever})", "value": change.amount, "low": change.low, "high": change.high, "unit": change.operation}
        for scenario in scenarios
        for change in scenario.changes
        if change.source == "assumption"
    ]
    config = settings.model_dump(mode="json", exclude={"sources"})
    config["economy"] = opened.name if economy is not None else config["economy"]
    story = provenance(
        config, opened.name, facts=opened.facts, sources=opened.sources, citations=sorted(cited), seed=plan.seed, wall_time=wall_time,
        assumptions=list({item["name"]: item for item in assumptions}.values()), command=command_of(settings),
        titles={scenario.label: title_of(scenario) for scenario in scenarios},
    )  # fmt: skip
    run = Run(
        tables["replications"], tables["defaults"], tables["losses"], tables["ticks"], tables.get("agents"), causes=tables.get("causes"),
        attribution=tables.get("attribution"), contributions=tables.get("contributions"), network=opening_network(opened),
        scenarios=tuple(scenario.label for scenario in scenarios), reference=baseline_label(settings), config=config, provenance=story,
        study=study,
    )  # fmt: skip
    if isinstance(settings.experiment, PolicyComparison):
        run.study = study_of(bench, run)
    return run


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
    plain = {"replications": settings.montecarlo.replications, "seed": settings.montecarlo.seed, "chunk": settings.montecarlo.chunk}
    words += [f"montecarlo.{key}={value}" for key, value in plain.items()]
    words += [f"horizon_months={settings.horizon_months}", f"record={settings.record.level}"]
    words += [f"record.{key}=true" for key in ("contributions", "amplification") if getattr(settings.record, key)]
    words += [f"channels.{name}=false" for name, is_on in settings.channel_switches().items() if not is_on]
    return "capital-loop " + " ".join(words)


def run_experiment(settings: Settings, progress: bool = True) -> ExperimentResult:
    """Run an experiment, save its folder (``settings.output``) with tables, figures and report, and tell the findings.

    A folder that holds an earlier run is replaced only when the new one is complete.
    """
    folder = Path(settings.output or "runs/run")
    fresh = folder.with_name(folder.name + ".writing")
    made = [parent for parent in folder.parents if not parent.exists()]
    try:  # before the work, not after it
        fresh.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(fresh)
    except OSError as error:
        raise InputError(f"output: {str(folder)!r} cannot be written ({error.strerror}); give a folder that you may write to") from None
    try:
        run = run_settings(settings, progress=progress)
        run.save(fresh)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise InputError(f"output: {str(folder)!r} cannot be written ({error.strerror}); nothing was left there") from None
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        raise
    if folder.exists():
        shutil.rmtree(folder)
    fresh.rename(folder)
    return ExperimentResult(run, folder, findings_text(run))


def report_again(folder: str | Path, other: str | Path | None = None) -> Path:
    """Write the report of a saved run again, beside a second run when ``other`` is given; returns the report's path."""
    run = load(folder)
    if other is None:
        run.report(Path(folder) / "report.html")
        return Path(folder) / "report.html"
    second = load(other)
    target = Path(folder) / f"comparison_with_{Path(other).name}.txt"
    blocks = [
        f"{run.title(label)}  less  {second.title(against)}\n{compare(run, second, label, against)}\n"
        for label, against in zip(_told_of(run), _told_of(second), strict=False)
    ]
    target.write_text("\n".join(blocks), encoding="utf-8")
    return target


def _told_of(run: Run) -> list[str]:
    """The scenarios that a run is about: all but its reference, or that one where it stands alone."""
    return [label for label in run.scenarios if label != run.reference] or list(run.scenarios)


def opening_network(economy: Economy) -> dict[str, pd.DataFrame]:
    """Agents and ties of an economy at its start: ``nodes`` (agent, name, kind, size, market_value) and ``ties`` (from, to, type, amount)."""
    sheet = economy.balance_sheet()
    nodes = pd.DataFrame({
        "agent": economy.ids, "name": economy.names, "kind": economy.kinds, "size": sheet["total_assets"],
        "market_value": economy.values["market_value"],
    })  # fmt: skip
    ids = np.array(economy.ids, dtype=object)
    frames = []
    for table, kind, source, target, amount in (
        (economy.loans, "loan", "lender", "borrower", "principal"),
        (economy.stakes, "stake", "holder", "issuer", "value"),
        (economy.orders, "order", "buyer", "seller", "amount"),
        (economy.leases, "lease", "lessee", "lessor", "rent"),
        (economy.guarantees, "guarantee", "guarantor", "beneficiary", "notional"),
    ):
        parties = {"from_agent": ids[table.columns[source]], "to_agent": ids[table.columns[target]]}
        frames.append(pd.DataFrame({**parties, "type": kind, "amount": table.columns[amount].astype(float)}))
    ties = pd.concat(frames, ignore_index=True)
    ties = ties[ties["amount"] > 0.0].groupby(["from_agent", "to_agent", "type"])[["amount"]].sum().reset_index()
    return {"nodes": nodes, "ties": ties}


class _Progress:
    """A progress bar over replications, with rate, time left and defaults so far; silent when not asked for."""

    def __init__(self, total: int, shown: bool) -> None:
        self.total, self.shown = total, shown
        self.bar: Any = None
        self.defaults = 0

    def __enter__(self) -> _Progress:
        if self.shown:
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, unit="rep", desc="simulating", dynamic_ncols=True, mininterval=0.2)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def advance_beyond(self, replications: int, defaults: int) -> None:
        """Note a finished chunk that was not counted before: experiments find out on their way how much they run."""
        if self.bar is not None:
            self.bar.total += replications
        self.advance(replications, defaults)

    def advance(self, replications: int, defaults: int) -> None:
        """Note a finished chunk."""
        self.defaults += defaults
        if self.bar is not None:
            self.bar.set_postfix_str(f"{self.defaults} defaults", refresh=False)
            self.bar.update(replications)
