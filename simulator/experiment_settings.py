"""What an experiment is asked for: one model a kind, typed and ranged. Names of levers, policies and agents are checked when it is planned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.errors import nearest
from simulator.ledger.names import CHANNELS, KINDS

ChangeFiles = dict[str, dict[str, Any]]
"""Contents of shock or policy files by file name: named changes, not checked yet (`settings.resolve_scenarios` does)."""

Names = tuple[str, ...]
Grid = Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(min_length=1, max_length=200)]

OUTCOMES = (
    "systemic", "defaults", "cascade_size", "total_loss", "credit_loss", "fiscal_cost", "defaulted_debt_share", "market_value_min_share",
    "gdp_gap_min", "unemployment_max", "loss_lenders", "loss_shareholders", "loss_suppliers", "loss_taxpayers", "loss_workers",
    "investment_total", "investment_above_start", "investment_below_start", "employment_mean", "employment_min", "concentration_end",
    "lab_concentration_end", "entrant_defaults", "entrants_end",
    "backlog_lost", "compliance_cost", "lending_moved",
    *(f"{kind}_defaults" for kind in KINDS[:7]),
)  # fmt: skip
"""Columns of the table ``replications`` that an experiment can look at."""


def numbers_are_no_switches(model: type[BaseModel], given: Any) -> Any:
    """What is given for the fields of a model, as it is. Raises ValueError where a number is true or false, which Python takes for 1 or 0."""
    for name, field in model.model_fields.items():
        if isinstance(given, dict) and isinstance(value := given.get(name), bool) and field.annotation in (int, float):
            raise ValueError(f"{name}: {value} is not {'a whole number' if field.annotation is int else 'a number'}")
    return given


class Group(BaseModel):
    """Frozen, no unknown key, and true is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, given: Any) -> Any:
        return numbers_are_no_switches(cls, given)


def _known_outcomes(names: Names, key: str) -> None:
    for name in names:
        if name not in OUTCOMES:
            raise ValueError(f"{key}: unknown outcome {name!r}{nearest(name, OUTCOMES)} (allowed: {', '.join(OUTCOMES)})")
        if names.count(name) > 1:
            raise ValueError(f"{key}: {name} is named twice")


class Single(Group):
    """Only the chosen shock and policy."""

    kind: Literal["single"] = "single"


class Paired(Group):
    """The chosen shock and policy against no shock under current rules."""

    kind: Literal["paired"] = "paired"


class PolicyComparison(Group):
    """Policies against the chosen one on the same draws, under the chosen shock or under each of ``shocks``.

    compare: names of policies, or ``all``; shocks: names, each a world of its own (empty: the chosen shock); ranked_by: an outcome;
    policies, shock_files: the files' contents, put here by the menu.
    """

    kind: Literal["policy_comparison"] = "policy_comparison"
    compare: Names = ()
    shocks: Names = ()
    ranked_by: str = "total_loss"
    correction: Literal["holm", "benjamini_hochberg"] = "holm"
    policies: ChangeFiles = {}
    shock_files: ChangeFiles = {}

    @model_validator(mode="after")
    def _compares_something(self) -> PolicyComparison:
        if not self.compare:
            raise ValueError("compare: the list is empty; name at least one policy")
        _known_outcomes((self.ranked_by,), "ranked_by")
        return self


class ChannelDecomposition(Group):
    """What each channel adds to an outcome: off, alone, and Shapley's share.

    channels: the players (empty: all that are switched on); method: ``exact`` takes every coalition, ``permutations`` random orders in
    antithetic pairs, ``auto`` is exact up to six players. pairs: of orders a replication.
    """

    kind: Literal["channel_decomposition"] = "channel_decomposition"
    channels: Names = ()
    outcome: str = "total_loss"
    method: Literal["auto", "exact", "permutations"] = "auto"
    pairs: Annotated[int, Field(ge=2, le=1000)] = 2
    replications: Annotated[int, Field(ge=2, le=1_000_000)] = 250

    @model_validator(mode="after")
    def _players_are_channels(self) -> ChannelDecomposition:
        for name in self.channels:
            if name not in CHANNELS:
                raise ValueError(f"channels: unknown channel {name!r}{nearest(name, CHANNELS)} (allowed: {', '.join(CHANNELS)})")
            if self.channels.count(name) > 1:
                raise ValueError(f"channels: {name} is named twice")
        if self.method == "exact" and len(self.channels or CHANNELS) > 10:
            raise ValueError("method: exact takes at most 10 channels (1,024 coalitions); name fewer in channels or use permutations")
        _known_outcomes((self.outcome,), "outcome")
        return self


class Dated(Group):
    """When a lever is moved, as in a shock file; for axes that are levers."""

    operation: Literal["multiply_by", "add", "set_to"] | None = None
    starts: str | None = None
    starts_after_months: int | None = None
    builds_over_months: int | None = None
    lasts_months: int | None = None
    fades_over_months: int | None = None
    agents: Names = ()

    def keys(self) -> dict[str, Any]:
        """The keys of a change that are given."""
        given = {name: getattr(self, name) for name in Dated.model_fields if name not in ("operation", "agents")}
        return {name: value for name, value in given.items() if value is not None} | ({"agents": list(self.agents)} if self.agents else {})


class Axis(Dated):
    """What is varied: ``shock`` or ``policy`` (the chosen files, times the dose), ``shock.NAME``, ``policy.NAME``, or a lever by name."""

    vary: str
    grid: Grid


class Accelerator(Group):
    """The spread channel on and off, under a shock down and the same shock up.

    size: share by which the levers' values fall or rise (factors down: 1 - size, up: 1 / (1 - size)).
    """

    kind: Literal["accelerator"] = "accelerator"
    levers: Names = ()
    size: Annotated[float, Field(gt=0.0, le=0.9)] = 0.2
    starts: str | None = None
    starts_after_months: int | None = 9
    builds_over_months: int | None = None
    lasts_months: int | None = None
    fades_over_months: int | None = None
    channel: str = "spread"
    outcomes: Names = ("investment_total",)

    @model_validator(mode="after")
    def _is_possible(self) -> Accelerator:
        if not self.levers:
            raise ValueError("levers: the list is empty; name at least one lever")
        if self.channel not in CHANNELS:
            raise ValueError(f"channel: unknown channel {self.channel!r}{nearest(self.channel, CHANNELS)} (allowed: {', '.join(CHANNELS)})")
        _known_outcomes(self.outcomes, "outcomes")
        return self


class KnockOuts(Group):
    """One agent, contract or tie removed at a time. what: which sort is tried; only: ids (``openai``, ``oai_orcl_300``, ``oracle>openai``).

    kinds: kinds of agents that are tried; largest: at most so many, by balance sheet or amount; replications of each variant.
    """

    kind: Literal["knock_outs"] = "knock_outs"
    what: Literal["agents", "contracts", "ties"] = "agents"
    only: Names = ()
    kinds: Names = ("chipmaker", "hyperscaler", "cloud", "project_company", "ai_lab", "investor", "lender")
    largest: Annotated[int, Field(ge=1, le=10_000)] = 24
    ranked_by: str = "total_loss"
    replications: Annotated[int, Field(ge=2, le=1_000_000)] = 500

    @model_validator(mode="after")
    def _kinds_are_known(self) -> KnockOuts:
        for name in self.kinds:
            if name not in KINDS:
                raise ValueError(f"kinds: unknown kind {name!r}{nearest(name, KINDS)} (allowed: {', '.join(KINDS)})")
        for name in self.only:
            if self.only.count(name) > 1:
                raise ValueError(f"only: {name} is named twice")
        _known_outcomes((self.ranked_by,), "ranked_by")
        return self


class DoseResponse(Axis):
    """One axis over a grid."""

    kind: Literal["dose_response"] = "dose_response"
    outcomes: Names = ("systemic", "total_loss")
    policies: ChangeFiles = {}
    shock_files: ChangeFiles = {}

    @model_validator(mode="after")
    def _outcomes_are_known(self) -> DoseResponse:
        _known_outcomes(self.outcomes, "outcomes")
        return self


class Interaction(Group):
    """Two axes, every combination of their grids."""

    kind: Literal["interaction"] = "interaction"
    first: Axis
    second: Axis
    outcomes: Names = ("total_loss",)
    replications: Annotated[int, Field(ge=2, le=1_000_000)] = 500
    policies: ChangeFiles = {}
    shock_files: ChangeFiles = {}

    @model_validator(mode="after")
    def _is_possible(self) -> Interaction:
        _known_outcomes(self.outcomes, "outcomes")
        return self


class Compounding(Group):
    """Several shocks alone and together, against none of them. shocks: names of files of the menu; shock_files: their contents."""

    kind: Literal["compounding"] = "compounding"
    shocks: Names = ()
    outcomes: Names = ("total_loss",)
    shock_files: ChangeFiles = {}

    @model_validator(mode="after")
    def _has_parts(self) -> Compounding:
        if not 2 <= len(self.shocks) <= 12:
            raise ValueError(f"shocks: {len(self.shocks)} named; a compound of shocks has 2 to 12 parts")
        _known_outcomes(self.outcomes, "outcomes")
        return self


class ReverseStressTest(Group):
    """The smallest shock that makes P(systemic) pass a threshold, and the smallest policies that bring it back.

    vary: ``shock`` (the chosen files as one direction) or ``levers`` (each change of the shock is a direction of its own, its stated range
    low..high its scale: the most plausible combination is searched).
    event: the definition of systemic, also at half and double the debt share. answers: names of policies; policy_at: times the shock found.
    """

    kind: Literal["reverse_stress_test"] = "reverse_stress_test"
    vary: Literal["shock", "levers"] = "shock"
    event: Literal["systemic", "systemic_at_half", "systemic_at_double"] = "systemic"
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.25
    dose_max: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0
    tolerance: Annotated[float, Field(ge=1e-4, le=0.5)] = 0.01
    answers: Names = ()
    policy_at: Annotated[float, Field(ge=1.0, le=10.0)] = 1.1
    policy_dose_max: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0
    replications: Annotated[int, Field(ge=2, le=1_000_000)] = 500
    policies: ChangeFiles = {}


Parameters = tuple[str | dict[str, Any], ...]
"""Uncertain parameters: names, or mappings with a name and a distribution (`scenarios.parameters`)."""


class Uncertainty(Group):
    """The chosen scenario and its baseline over uncertain parameters, by a design.

    parameters: see `scenarios.parameters` (empty: the ``most`` most uncertain). points: choices of all parameters; luck: replications at each
    point of a nested design (the others have one). randomisations: independent designs that a Sobol' or Latin hypercube design consists of.
    mirrored_luck: antithetic pairs of points have mirrored luck too.
    """

    kind: Literal["uncertainty"] = "uncertainty"
    design: Literal["plain", "antithetic", "sobol", "latin_hypercube", "nested"] = "sobol"
    parameters: Parameters = ()
    most: Annotated[int, Field(ge=1, le=100)] = 10
    points: Annotated[int, Field(ge=4, le=1_000_000)] = 512
    luck: Annotated[int, Field(ge=2, le=100_000)] = 16
    randomisations: Annotated[int, Field(ge=2, le=1000)] = 16
    mirrored_luck: bool = True
    outcomes: Names = ("total_loss", "systemic")

    @model_validator(mode="after")
    def _outcomes_are_known(self) -> Uncertainty:
        _known_outcomes(self.outcomes, "outcomes")
        return self


class Sensitivity(Group):
    """Which uncertain parameters matter: one at a time (``tornado``), ``sobol`` indices, elementary effects (``morris``).

    samples: base points of Sobol' indices (a power of two; parameters + 2 points for each); trajectories: of Morris' method (parameters + 1 points
    each); luck: draws at every point of both, tornado_luck: at the ends of the tornado; the same draws everywhere.
    """

    kind: Literal["sensitivity"] = "sensitivity"
    methods: Annotated[tuple[Literal["tornado", "sobol", "morris"], ...], Field(min_length=1)] = ("tornado", "sobol", "morris")
    parameters: Parameters = ()
    most: Annotated[int, Field(ge=1, le=100)] = 10
    outcomes: Names = ("total_loss", "defaults")
    samples: Annotated[int, Field(ge=4, le=65_536)] = 64
    trajectories: Annotated[int, Field(ge=2, le=10_000)] = 12
    luck: Annotated[int, Field(ge=1, le=100_000)] = 16
    tornado_luck: Annotated[int, Field(ge=2, le=1_000_000)] = 200

    @model_validator(mode="after")
    def _outcomes_are_known(self) -> Sensitivity:
        _known_outcomes(self.outcomes, "outcomes")
        if len(set(self.methods)) < len(self.methods):
            raise ValueError("methods: a method is named twice")
        return self


class RareEvent(Group):
    """The probability of a rare event under the chosen shock and policy, far below what brute force can see, without bias.

    method: ``importance_sampling`` (luck pushed in the direction of the event, hits weighed) or ``splitting`` (paths that come near are
    branched). effort: paths of a repetition (splitting: at each level); pilot: paths at each of its stages; level_share: paths that reach the
    next level; repetitions: independent estimates, from which the interval comes; brute_force: replications of the comparison, 0: none.
    """

    kind: Literal["rare_event"] = "rare_event"
    method: Literal["importance_sampling", "splitting"] = "importance_sampling"
    event: Literal["systemic", "systemic_at_half", "systemic_at_double"] = "systemic"
    effort: Annotated[int, Field(ge=20, le=1_000_000)] = 500
    repetitions: Annotated[int, Field(ge=4, le=10_000)] = 10
    pilot: Annotated[int, Field(ge=20, le=1_000_000)] = 500
    level_share: Annotated[float, Field(ge=0.02, le=0.5)] = 0.15
    brute_force: Annotated[int, Field(ge=0, le=10_000_000)] = 2000


ExperimentSettings = Annotated[
    Single | Paired | PolicyComparison | ChannelDecomposition | Accelerator | KnockOuts | DoseResponse | Interaction
    | Compounding | ReverseStressTest | Uncertainty | Sensitivity | RareEvent,
    Field(discriminator="kind"),
]  # fmt: skip
KINDS_OF_EXPERIMENT: dict[str, type[Group]] = {
    "single": Single, "paired": Paired, "policy_comparison": PolicyComparison, "channel_decomposition": ChannelDecomposition,
    "accelerator": Accelerator, "knock_outs": KnockOuts, "dose_response": DoseResponse, "interaction": Interaction,
    "compounding": Compounding, "reverse_stress_test": ReverseStressTest, "uncertainty": Uncertainty, "sensitivity": Sensitivity,
    "rare_event": RareEvent,
}  # fmt: skip
STUDIES = tuple(kind for kind in KINDS_OF_EXPERIMENT if kind not in ("single", "paired"))


def overrides(experiment: Group, file: dict[str, Any], policies: Sequence[str]) -> list[str]:
    """The keys of an experiment that differ from its ``file`` in the menu, as words of a command. ``policies``: those of the menu."""
    known = dict(file)
    if known.get("compare") == "all":
        known["compare"] = [name for name in policies if name != "current_rules"]
    words = []
    for key, value in experiment.model_dump(mode="json", exclude={"kind", "policies", "shock_files"}).items():
        is_axis = isinstance(value, dict)
        for inner, each in value.items() if is_axis else [("", value)]:
            before = known.get(key, {}).get(inner) if is_axis else known.get(key)
            if each != before and each not in (None, []):
                name = f"{key}.{inner}" if is_axis else key
                words.append(f"'experiment.{name}=[{','.join(map(_written, each))}]'" if isinstance(each, list) else f"experiment.{name}={each}")
    return words


def _written(value: Any) -> str:
    """A value as typed in an override: ``{name:all.tax_rate,low:0.1,high:0.2}``."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_written(each)}" for key, each in value.items()) + "}"
    return "[" + ",".join(map(_written, value)) + "]" if isinstance(value, list) else str(value)
