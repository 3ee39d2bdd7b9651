"""The whole composed configuration as frozen, typed and ranged plain data; nothing below this room ever sees a configuration object.

An unknown key or a bad value becomes one line that names the key, the value and what is allowed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from simulator.computing_settings import ExecutionSettings, MonteCarloSettings, RecordSettings
from simulator.errors import InputError, nearest
from simulator.experiment_settings import KINDS_OF_EXPERIMENT, ChangeFiles, ExperimentSettings, Paired, PolicyComparison, numbers_are_no_switches
from simulator.ledger.names import CHANNELS, KINDS

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from scenarios.changes import Change, Scenario
    from scenarios.economy import Economy

CURRENT_RULES = "current_rules"
CLASSICS = ("interbank_gai_kapadia", "interbank_cont_schaanning", "credit_network_accelerator", "cross_holdings_elliott")
"""Economies of classic papers, drawn by scenarios.classics."""
NO_SHOCK = "none"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, given: Any) -> Any:
        return numbers_are_no_switches(cls, given)


class SyntheticSettings(_Group):
    """A random economy; keys as in `scenarios.synthetic.synthetic_economy`."""

    agents: Annotated[int, Field(ge=14, le=1_000_000)] = 40
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1
    links: Literal["core_periphery", "random"] = "core_periphery"
    mean_degree: Annotated[float, Field(ge=3.0, le=100.0)] = 6.0
    tail: Annotated[float, Field(ge=0.5, le=10.0)] = 1.4
    largest: Annotated[float, Field(ge=1.0, le=1e9)] = 300.0


class EconomySettings(_Group):
    """Which economy: a name, ``folder`` with a path, or ``synthetic`` with its keys; contracts by status and by id."""

    name: str = "us_ai_2025"
    path: str | None = None
    include: tuple[Literal["announced", "conditional", "dropped"], ...] = ()
    contracts: dict[str, bool] = {}
    synthetic: SyntheticSettings | None = None
    parameters: dict[str, bool | int | float] = {}  # of a classic economy; scenarios.classics says which
    stages: tuple[str, ...] = ()  # of the tick that act; none named: those of the economy
    run: dict[str, Any] = {}  # what the menu chooses with this economy where nothing else is said (groups, and keys with dots)

    @model_validator(mode="after")
    def _path_goes_with_folder(self) -> EconomySettings:
        if self.name == "folder" and not self.path:
            raise ValueError("path: is missing (economy=folder needs economy.path=DIR)")
        if self.name != "folder" and self.path:
            raise ValueError(f"path: belongs to economy=folder, not to economy={self.name}")
        return self

    @model_validator(mode="after")
    def _synthetic_has_no_tables(self) -> EconomySettings:
        if self.name != "synthetic" and self.synthetic is not None:
            raise ValueError(f"synthetic: belongs to economy=synthetic, not to economy={self.name}")
        if self.parameters and self.name not in CLASSICS:
            raise ValueError(f"parameters: belong to the economies of classic papers ({', '.join(CLASSICS)}), not to economy={self.name}")
        if self.name == "synthetic" and (self.include or self.contracts):
            raise ValueError("include and contracts choose rows of tables; economy=synthetic has none")
        return self


class SystemicSettings(_Group):
    """When a run counts as systemic: kinds that default and share of modelled debt that defaults, within so many months."""

    months: Annotated[int, Field(ge=1, le=1200)] = 12
    kinds: Annotated[int, Field(ge=1, le=len(KINDS))] = 3
    debt_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.10


class Settings(_Group):
    """One experiment, whole. Keys as in configs/config.yaml; shock and policy hold the contents of their files by name, in order."""

    economy: EconomySettings = EconomySettings()
    shock: Annotated[ChangeFiles, Field(min_length=1)] = {NO_SHOCK: {}}
    policy: Annotated[ChangeFiles, Field(min_length=1)] = {CURRENT_RULES: {}}
    experiment: ExperimentSettings = Paired()
    montecarlo: MonteCarloSettings = MonteCarloSettings()
    record: RecordSettings = RecordSettings()
    execution: ExecutionSettings = ExecutionSettings()
    systemic: SystemicSettings = SystemicSettings()
    horizon_months: Annotated[int, Field(ge=1, le=600)] = 60
    channels: dict[str, bool] = dict.fromkeys(CHANNELS, True)
    output: str | None = None
    resume: str | None = None
    resume_anyway: bool = False
    sources: tuple[str, ...] = ()  # citation keys of the user's own sources.bib, put here by the menu

    @model_validator(mode="after")
    def _channels_are_known(self) -> Settings:
        for name in self.channels:
            if name not in CHANNELS:
                raise ValueError(f"channels.{name}: unknown channel{nearest(name, CHANNELS)} (allowed: {', '.join(CHANNELS)})")
        return self

    @model_validator(mode="after")
    def _none_stands_alone(self) -> Settings:
        if NO_SHOCK in self.shock and len(self.shock) > 1:
            raise ValueError("shock: none stands alone; leave it out of the list")
        return self

    def channel_switches(self) -> dict[str, bool]:
        """All channels; one that is not mentioned is on."""
        return {name: self.channels.get(name, True) for name in CHANNELS}


def build_settings(composed: Mapping[str, Any]) -> Settings:
    """Plain data to `Settings`. InputError: one line per problem, such as
    ``montecarlo.replications: 0 is below 1 (allowed 1 to 10,000,000)``."""
    try:
        return Settings.model_validate(dict(composed))
    except ValidationError as error:
        lines = list(dict.fromkeys(_told(problem) for problem in error.errors()))
        raise InputError("\n".join(lines)) from None


def open_economy(chosen: EconomySettings) -> Economy:
    """The chosen economy: loaded from its tables, or drawn. InputError: as its loader."""
    import dataclasses

    economy = _drawn(chosen)
    if economy is None:
        from scenarios.loading import load_economy

        economy = load_economy(chosen.name if chosen.path is None else chosen.path, chosen.include, chosen.contracts)
    return dataclasses.replace(economy, stages=chosen.stages) if chosen.stages else economy


def _drawn(chosen: EconomySettings) -> Economy | None:
    """The economy when it has no tables; None when it has."""
    if chosen.name == "synthetic":
        from scenarios.synthetic import synthetic_economy

        return synthetic_economy(**(chosen.synthetic or SyntheticSettings()).model_dump())
    if chosen.name in CLASSICS:
        from scenarios.classics.menu import classic_economy

        return classic_economy(chosen.name, chosen.parameters)
    return None


def label(shocks: Sequence[str], policies: Sequence[str]) -> str:
    """Name of a scenario: ``rate_hold+collateral_devaluation | current_rules``."""
    return f"{'+'.join(shocks)} | {'+'.join(policies)}"


def baseline_label(settings: Settings) -> str:
    """Label of the scenario that the others are compared with (the first of `resolve_scenarios`)."""
    return _plan(settings)[0][0]


def resolve_scenarios(settings: Settings, economy: Economy | None = None) -> tuple[Scenario, ...]:
    """The scenarios of the chosen experiment, the baseline first; every change checked against the levers and the economy.

    economy: opened from ``settings.economy`` when not given. InputError: one line naming the file, the change, the key and what is
    allowed.

    - ``single``: the chosen shock and policy.
    - ``paired``: first no shock under current rules, then the chosen shock and policy.
    - ``policy_comparison``: under each shock of ``experiment.shocks`` (or the chosen one), first the chosen policy, then every policy of
      ``experiment.compare`` (``a+b``: two together).
    - every other experiment: as ``paired``; what it varies is planned in `simulator.experiments`.
    """
    from scenarios.changes import Scenario, parse_changes
    from scenarios.levers import LeverSchedule

    if economy is None:
        economy = open_economy(settings.economy)
    known = {*bibliography_keys(), *economy.sources, *settings.sources}
    parsed: dict[str, tuple[Change, ...]] = {}

    def changes_of(folder: str, name: str, content: Mapping[str, Any]) -> tuple[Change, ...]:
        origin = f"{folder}/{name}"
        if origin not in parsed:
            parsed[origin] = parse_changes(
                content, origin, start=economy.start, horizon_months=settings.horizon_months, sources=known, economy=economy
            )
        return parsed[origin]

    scenarios = []
    for name, shocks, policies in _plan(settings):
        changes = tuple(
            change
            for folder, files in (("shock", shocks), ("policy", policies))
            for file, content in files.items()
            for change in changes_of(folder, file, content)
        )
        LeverSchedule(changes, economy, settings.horizon_months)  # two different set_to are found here, before anything runs
        of_policies = tuple(change for file, content in policies.items() for change in changes_of("policy", file, content))
        scenarios.append(Scenario(name, tuple(shocks), tuple(policies), changes, settings.channel_switches(), of_policies))
    return tuple(scenarios)


def bibliography_keys() -> frozenset[str]:
    """Citation keys of configs/sources.bib."""
    return frozenset(re.findall(r"^@\w+\{([^,\s]+),", bibliography(), flags=re.MULTILINE))


def bibliography() -> str:
    """Text of configs/sources.bib."""
    from importlib.resources import files

    return (files("configs") / "sources.bib").read_text(encoding="utf-8")


def _plan(settings: Settings) -> list[tuple[str, ChangeFiles, ChangeFiles]]:
    """Label, shock files and policy files of every scenario; the baseline first."""
    chosen = (label(list(settings.shock), list(settings.policy)), settings.shock, settings.policy)
    experiment = settings.experiment
    if experiment.kind == "single":
        return [chosen]
    if not isinstance(experiment, PolicyComparison):
        none: ChangeFiles = {NO_SHOCK: {}}
        rules: ChangeFiles = {CURRENT_RULES: {}}
        baseline = (label(list(none), list(rules)), none, rules)
        return [baseline] if chosen[0] == baseline[0] else [baseline, chosen]
    plan = []
    for shocks in compared_shocks(settings):
        own = label(list(shocks), list(settings.policy))
        plan.append((own, shocks, settings.policy))
        for name in experiment.compare:
            files = {part: experiment.policies.get(part, {}) for part in name.split("+")}
            compared = label(list(shocks), list(files))
            if compared != own:
                plan.append((compared, shocks, files))
    return plan


def compared_shocks(settings: Settings) -> list[ChangeFiles]:
    """The worlds in which a policy comparison is made: the chosen shock, or each of ``experiment.shocks`` (``a+b``: two together)."""
    experiment = settings.experiment
    if not isinstance(experiment, PolicyComparison) or not experiment.shocks:
        return [settings.shock]
    return [{part: experiment.shock_files.get(part, {}) for part in name.split("+")} for name in experiment.shocks]


def _told(problem: ErrorDetails) -> str:
    """One line for one finding of pydantic."""
    where = [str(part) for part in problem["loc"]]
    shown = [part for place, part in enumerate(where) if not (place == 1 and where[0] == "experiment" and part in KINDS_OF_EXPERIMENT)]
    key, value, kind = ".".join(shown), problem["input"], problem["type"]
    if kind == "value_error":  # our own words, which begin with the key inside the group
        return f"{key + '.' if key else ''}{problem.get('ctx', {}).get('error', problem['msg'])}"
    if kind == "extra_forbidden":
        fields = [name for name in _model_at(where[:-1]).model_fields if name not in ("policies", "shock_files")]
        if where[0] == "experiment" and len(where) == 3:
            owners = [name for name, model in KINDS_OF_EXPERIMENT.items() if where[-1] in model.model_fields]
            if owners:
                return f"{key}: belongs to experiment={' or '.join(owners)}, not to experiment={where[1]}"
        if where[0] == "economy" and (inner := _group_of_economy(where[-1])):
            return f"{key}: unknown key; write economy.{inner}.{where[-1]}"
        return f"{key}: unknown key{nearest(where[-1], fields)} (allowed: {', '.join(fields)})"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        given = value.get("kind") if isinstance(value, dict) else value
        allowed = ", ".join(KINDS_OF_EXPERIMENT)
        return f"{key}.kind: {_shown(given)} is not an experiment{nearest(str(given), KINDS_OF_EXPERIMENT)} (allowed: {allowed})"
    if kind == "missing":
        return f"{key}: is missing"
    if kind in ("greater_than_equal", "less_than_equal", "greater_than", "less_than"):
        if str(value).lower() == "nan":
            return f"{key}: nan is not a number (allowed {_range(where)})"
        side = "above" if kind.startswith("less") else "below"
        return f"{key}: {_shown(value)} is {_side(side, kind, problem)} (allowed {_range(where)})"
    wanted = _WANTED.get(kind)
    if wanted is None:
        wanted = f"allowed: {problem['ctx']['expected']}" if kind == "literal_error" else problem["msg"]
    hint = nearest(str(value), re.findall(r"'([^']+)'", wanted)) if kind == "literal_error" else ""
    return f"{key}: {_shown(value)} is not {wanted}" if kind in _WANTED else f"{key}: {_shown(value)} is not possible{hint} ({wanted})"


def _group_of_economy(key: str) -> str:
    """The group of an economy's settings that has a key of that name; empty for none."""
    if key in SyntheticSettings.model_fields:
        return "synthetic"
    from scenarios.classics.menu import CLASSICS as DRAWN

    return "parameters" if any(key in inspect.signature(draw).parameters for draw in DRAWN.values()) else ""


_WANTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "int_parsing_size": "a whole number of this size",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys and values",
    "model_type": "a mapping of keys and values",
    "model_attributes_type": "a mapping of keys and values",
    "too_short": "a list with at least one name",
}


def _model_at(path: Sequence[str]) -> type[BaseModel]:
    model: type[BaseModel] = Settings
    for place, part in enumerate(path):
        if place == 1 and path[0] == "experiment" and part in KINDS_OF_EXPERIMENT:
            model = KINDS_OF_EXPERIMENT[part]
            continue
        if part == "experiment":
            continue
        annotation = model.model_fields[part].annotation
        inner = next((choice for choice in get_args(annotation) if choice is not type(None)), annotation)
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        model = inner
    return model


def _limits(where: Sequence[str]) -> dict[str, float]:
    found = {}
    for rule in _model_at(where[:-1]).model_fields[where[-1]].metadata:
        for name in ("ge", "gt", "le", "lt"):
            if hasattr(rule, name):
                found[name] = getattr(rule, name)
    if not found:  # a limit inside an optional number, Annotated[int, Field(ge=…)] | None
        annotation = _model_at(where[:-1]).model_fields[where[-1]].annotation
        for choice in get_args(annotation):
            for rule in getattr(next(iter(getattr(choice, "__metadata__", ())), None), "metadata", ()):
                found |= {name: getattr(rule, name) for name in ("ge", "gt", "le", "lt") if hasattr(rule, name)}
    return found


def _range(where: Sequence[str]) -> str:
    limits = _limits(where)
    if "le" not in limits and "lt" not in limits:
        return "a number of the kind shown by --cfg job"
    low = f"{_shown(limits['ge'])}" if "ge" in limits else f"above {_shown(limits['gt'])}"
    return f"{low} to {_shown(limits['le'])}" if "le" in limits else f"{low} to below {_shown(limits['lt'])}"


def _side(side: str, kind: str, problem: ErrorDetails) -> str:
    bound = problem["ctx"][{"greater_than_equal": "ge", "less_than_equal": "le", "greater_than": "gt", "less_than": "lt"}[kind]]
    strict = {"greater_than": "not above", "less_than": "not below"}
    return f"{strict.get(kind, side)} {_shown(bound)}"


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else repr(value)
