"""How often, where, and how much is kept: the settings of the Monte Carlo run, of what it records and of its execution."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from simulator.experiment_settings import Group

PLACEMENT = ("output", "resume", "resume_anyway", "execution", "montecarlo.chunk")
"""Keys that say where and how to compute, and change no number."""


class MonteCarloSettings(Group):
    """How often, with which luck, and how many replications are stepped together (which changes no number).

    precision: go on until the 95 % interval of P(systemic) is that wide or less in every scenario, `replications` at least and
    `replications_max` at most. block: replications in a file and in a piece of work; null chooses.
    """

    replications: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1
    chunk: Annotated[int, Field(ge=1, le=100_000)] = 2000
    precision: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    replications_max: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    block: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _room_for_precision(self) -> MonteCarloSettings:
        if self.precision is not None and self.replications_max < self.replications:
            raise ValueError(f"replications_max: {self.replications_max:,} is below montecarlo.replications, {self.replications:,}")
        return self


class RecordSettings(Group):
    """How much a run keeps. contributions: what each channel adds, by the same draws with it off (some twenty times the work);
    amplification: what contagion makes of the shock, by runs without channels and without the shock (some six times the work)."""

    level: Literal["summary", "ticks", "agents"] = "summary"
    contributions: bool = False
    amplification: bool = False


class ExecutionSettings(Group):
    """Where a run is computed. For dask: the address of a scheduler, or a cluster to start; slurm: arguments of dask-jobqueue's SLURMCluster."""

    kind: Literal["serial", "local", "dask"] = "local"
    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    scheduler: str | None = None
    cluster: Literal["local", "slurm"] = "local"
    slurm: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _only_dask_has_a_cluster(self) -> ExecutionSettings:
        if self.kind != "dask" and (self.scheduler is not None or self.slurm):
            key = "scheduler" if self.scheduler is not None else "slurm"
            raise ValueError(f"{key}: belongs to execution=dask, not to execution={self.kind}")
        return self

    def processes(self) -> int:
        """Number of processes: ``workers``, or as many as there are cores for this process."""
        import os

        return 1 if self.kind == "serial" else self.workers or len(os.sched_getaffinity(0))
