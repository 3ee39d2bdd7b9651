"""The results of a run: tables, measures with intervals, cascades, figures, a report, and a folder to keep them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simulator.errors import InputError, as_names, as_path, nearest, shown
from simulator.results import measures
from simulator.results.cascades import Cascade, build_cascade
from simulator.results.measures import Estimate
from simulator.results.tables import StoredTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.results.comparison import Comparison
    from simulator.results.study import Study

REPLICATION_COLUMNS = ("scenario", "replication", "defaults", "cascade_size", "waves", "systemic", "total_loss")
DEFAULT_COLUMNS = (
    ("scenario", "str"), ("replication", "int64"), ("tick", "int64"), ("date", "str"), ("wave", "int64"), ("agent", "str"),
    ("kind", "str"), ("cause", "str"), ("triggered_by", "str"), ("debt", "float64"), ("recovery_share", "float64"),
    ("loss_given_default", "float64"), ("cds_before", "float64"),
)  # fmt: skip
LOSS_COLUMNS = (
    ("scenario", "str"), ("replication", "int64"), ("tick", "int64"), ("wave", "int64"), ("from_agent", "str"),
    ("to_agent", "str"), ("channel", "str"), ("amount", "float64"),
)  # fmt: skip
CAUSE_COLUMNS = (
    ("scenario", "str"), ("replication", "int64"), ("tick", "int64"), ("agent", "str"), ("from_agent", "str"), ("channel", "str"),
    ("reason", "str"), ("amount", "float64"),
)  # fmt: skip
TICK_COLUMNS = (("scenario", "str"), ("tick", "int64"), ("date", "str"))
NODE_COLUMNS = (("agent", "str"), ("name", "str"), ("kind", "str"), ("size", "float64"), ("market_value", "float64"))
TIE_COLUMNS = (("from_agent", "str"), ("to_agent", "str"), ("type", "str"), ("amount", "float64"))
LARGE_COLUMNS: dict[str, Sequence[tuple[str, str]]] = {
    "losses": LOSS_COLUMNS, "ticks": TICK_COLUMNS, "agents": (), "causes": CAUSE_COLUMNS, "attribution": (),
}  # fmt: skip
RECORDED = ("agents", "attribution")
"""Tables that are None unless recorded."""
# A scenario with one of these names is what the others are measured against, unless the caller names another.
REFERENCE_NAMES = ("no_shock", "none", "baseline", "reference", "current_rules")


def _table(frame: pd.DataFrame | None, name: str, columns: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """A copy with text columns as strings and a plain index; an empty table with typed columns when there is none."""
    if frame is None or (frame.empty and not len(frame.columns)):
        return pd.DataFrame({column: pd.Series(dtype=dtype) for column, dtype in columns})
    missing = [column for column, _ in columns if column not in frame.columns]
    if missing:
        raise InputError(f"table '{name}' lacks column '{missing[0]}' (has: {', '.join(map(str, frame.columns))})")
    tidy = frame.reset_index(drop=True)
    text = [column for column in tidy.columns if isinstance(tidy[column].dtype, pd.CategoricalDtype) or tidy[column].dtype == object]
    return tidy.astype(dict.fromkeys(text, "str")) if text else tidy


class Run:
    """Results of one experiment: one or more scenarios on the same draws (replication 7 is the same luck in each).

    Tables (DataFrames; USD bn, decimals, months): `replications`, `defaults`, `causes` (the losses that led to each default), `losses`
    (accounting), `contributions` (counterfactual; None unless computed), `ticks`, `agents` and `attribution` (None unless recorded), `network`
    (`nodes`, `ties`: the opening network). The large ones of a run folder are read when they are first asked for; `pieces` goes
    through one without holding it. `scenarios`: labels; `reference`: the label others are
    measured against; `config`: the settings; `provenance`: how the numbers came about;
    `study`: what an experiment found beyond its scenarios (None for a plain comparison). Errors: InputError.
    """

    def __init__(
        self,
        replications: pd.DataFrame,
        defaults: pd.DataFrame | None = None,
        losses: pd.DataFrame | StoredTable | None = None,
        ticks: pd.DataFrame | StoredTable | None = None,
        agents: pd.DataFrame | StoredTable | None = None,
        *,
        causes: pd.DataFrame | StoredTable | None = None,
        attribution: pd.DataFrame | StoredTable | None = None,
        contributions: pd.DataFrame | None = None,
        network: Mapping[str, pd.DataFrame] | None = None,
        scenarios: Sequence[str] | None = None,
        reference: str | None = None,
        config: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        study: Study | None = None,
    ) -> None:
        self.replications = _table(replications, "replications", [(column, "") for column in REPLICATION_COLUMNS])
        self.defaults = _table(defaults, "defaults", DEFAULT_COLUMNS)
        given_tables = {"losses": losses, "ticks": ticks, "agents": agents, "causes": causes, "attribution": attribution}
        self._large: dict[str, pd.DataFrame | StoredTable] = {
            name: table if isinstance(table, StoredTable) else _table(table, name, LARGE_COLUMNS[name])
            for name, table in given_tables.items()
            if table is not None or name not in RECORDED
        }
        self.contributions = None if contributions is None else _table(contributions, "contributions", ())
        given = dict(network or {})
        self.network = {
            "nodes": _table(given.get("nodes"), "nodes", NODE_COLUMNS),
            "ties": _table(given.get("ties"), "ties", TIE_COLUMNS),
        }
        found = tuple(str(label) for label in pd.unique(self.replications["scenario"]))
        self.scenarios = tuple(scenarios) if scenarios is not None else found
        if set(self.scenarios) != set(found) or not found:
            raise InputError(f"table 'replications' holds scenarios {list(found)}, expected {list(self.scenarios)}")
        self.config = dict(config or {})
        self.provenance = dict(provenance or {})
        self.study = study
        self.reference = self._label(reference) if reference is not None else self._guess_reference()

    @property
    def losses(self) -> pd.DataFrame:
        """Losses by tie and channel."""
        return self._whole("losses")

    @property
    def ticks(self) -> pd.DataFrame:
        """System series by tick: quantiles over replications, or every replication's."""
        return self._whole("ticks")

    @property
    def agents(self) -> pd.DataFrame | None:
        """Every stock and flow of every agent, where recorded."""
        return self._whole("agents") if "agents" in self._large else None

    @property
    def causes(self) -> pd.DataFrame:
        """The losses that led to each default."""
        return self._whole("causes")

    @property
    def attribution(self) -> pd.DataFrame | None:
        """Losses by bearer, cause and reason, where recorded."""
        return self._whole("attribution") if "attribution" in self._large else None

    def _whole(self, name: str) -> pd.DataFrame:
        table = self._large[name]
        if isinstance(table, StoredTable):
            self._large[name] = table = _table(table.frame(), name, LARGE_COLUMNS[name])
        return table

    def pieces(
        self, table: str, scenario: str | None = None, columns: Sequence[str] | None = None, replication: int | None = None
    ) -> Iterator[pd.DataFrame]:
        """Rows of `losses`, `ticks`, `agents`, `defaults` or `replications`, some at a time: of one scenario, replication, or of all.

        Nothing but the piece is held when the run comes from a folder. Never an empty piece.
        """
        kept = self._kept(table)
        if columns is not None:
            for column in as_names("columns", columns):
                if column not in list(kept.columns):
                    raise InputError(f"table {table!r} has no column {shown(column)}{nearest(str(column), kept.columns)}")
        if scenario is not None:
            self._label(scenario)
        if isinstance(kept, StoredTable):
            yield from kept.pieces(columns, scenario, replication)
            return
        rows = pd.Series(True, index=kept.index)
        if scenario is not None:
            rows &= kept["scenario"] == scenario
        if replication is not None:
            rows &= kept["replication"] == replication
        if rows.any():
            yield kept.loc[rows, list(kept.columns if columns is None else columns)]

    def rows(
        self, table: str, scenario: str | None = None, columns: Sequence[str] | None = None, replication: int | None = None
    ) -> pd.DataFrame:
        """The rows that `pieces` goes through, in one table."""
        found = list(self.pieces(table, scenario, columns, replication))
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(columns or self.columns(table)))

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns, without reading it."""
        return list(self._kept(table).columns)

    def _kept(self, table: Any) -> pd.DataFrame | StoredTable:
        here = {"replications": self.replications, "defaults": self.defaults, "contributions": self.contributions, **self._large}
        names = [name for name, kept in here.items() if kept is not None]
        if not isinstance(table, str) or table not in names:
            raise InputError(f"this run has no table {shown(table)}{nearest(str(table), names)} (has: {', '.join(names)})")
        return here[table]  # type: ignore[return-value]  # None was left out above

    def totals(self, table: str, by: Sequence[str], column: str, scenario: str | None = None) -> pd.DataFrame:
        """Sums of a column by the columns `by`, taken piece by piece: one row a group."""
        by = as_names("by", by)
        sums = [piece.groupby(list(by), observed=True)[column].sum() for piece in self.pieces(table, scenario, [*by, column])]
        if not sums:
            return pd.DataFrame(columns=[*by, column])
        return pd.DataFrame(pd.concat(sums).groupby(level=list(range(len(by))), observed=True).sum().reset_index())

    def _guess_reference(self) -> str:
        for name in REFERENCE_NAMES:
            for label in self.scenarios:
                if label == name or label.startswith((name + "|", name + " ", name + ":")):
                    return label
        return self.scenarios[0]

    def _label(self, label: Any) -> str:
        if not isinstance(label, str) or label not in self.scenarios:
            raise InputError(f"no scenario {shown(label)} in this run (has: {', '.join(self.scenarios)}){nearest(str(label), self.scenarios)}")
        return label

    def _one(self, label: str | None) -> str:
        """The named scenario, or the only one, or the one with the most defaults."""
        return self.worst if label is None else self._label(label)

    @cached_property
    def focus(self) -> str:
        """The scenario told first: the one whose number of defaults differs most from the reference's."""
        average = self.replications.groupby("scenario")["defaults"].mean()
        others = [label for label in self.scenarios if label != self.reference]
        return max(others, key=lambda label: abs(average[label] - average[self.reference])) if others else self.reference

    @cached_property
    def worst(self) -> str:
        """The scenario with the most defaults (the last of them when several have as many)."""
        average = self.replications.groupby("scenario")["defaults"].mean()
        return max(reversed(self.scenarios), key=lambda label: average[label])

    @cached_property
    def horizon_months(self) -> int:
        """Months simulated: from the settings, else from the tables."""
        given = self.config.get("horizon_months")
        if given is not None:
            return int(given)
        months = [int(piece["tick"].max()) for name in ("ticks", "defaults") for piece in self.pieces(name, columns=["tick"])]
        return max([-1, *months]) + 1

    @property
    def names(self) -> dict[str, str]:
        """Agent id -> name."""
        nodes = self.network["nodes"]
        return dict(zip(nodes["agent"], nodes["name"], strict=True))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Kind -> number of agents, for the kinds whose defaults are counted."""
        return measures.agent_counts(self.replications, self.network["nodes"], self.defaults)

    @cached_property
    def opening_year(self) -> float | None:
        """Decimal year at the end of tick 0 less one month (the start of the run), read from any dated row; None without."""
        for name in ("ticks", "defaults"):
            if "date" not in self.columns(name):
                continue
            for piece in self.pieces(name, columns=["tick", "date"]):
                year, month = str(piece["date"].iloc[0]).split("-")[:2]
                return int(year) + (int(month) - 1 - int(piece["tick"].iloc[0])) / 12.0
        return None

    @cached_property
    def compared(self) -> dict[str, Comparison]:
        """Every other scenario against the reference, draw by draw."""
        from simulator.results.comparison import compare

        return {label: compare(self, self, label, self.reference) for label in self.scenarios if label != self.reference}

    def outcomes(self, label: str) -> pd.DataFrame:
        """The rows of `replications` of one scenario."""
        return self.replications[self.replications["scenario"] == label]

    def title(self, label: str) -> str:
        """A scenario's label in words (a title in `provenance['titles']` wins)."""
        titles = self.provenance.get("titles") or {}
        return str(titles.get(str(label)) or str(label).replace("_", " ").replace("+", " + ").replace("|", ", ").replace("  ", " ").strip())

    def scenario(self, label: str) -> Run:
        """The part of this run that belongs to one scenario."""
        self._label(label)

        def part(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[frame["scenario"] == label].reset_index(drop=True)

        def large(table: pd.DataFrame | StoredTable | None) -> pd.DataFrame | StoredTable | None:
            return table.only(label) if isinstance(table, StoredTable) else None if table is None else part(table)

        return Run(
            part(self.replications),
            part(self.defaults),
            *(large(self._large.get(name)) for name in ("losses", "ticks", "agents")),
            causes=large(self._large.get("causes")),
            attribution=large(self._large.get("attribution")),
            contributions=None if self.contributions is None else part(self.contributions),
            network=self.network,
            scenarios=(label,),
            config=self.config,
            provenance=self.provenance,
        )

    def _rows(self, scenario: str | None) -> pd.DataFrame:
        if scenario is None and len(self.scenarios) > 1:
            raise InputError(f"this run holds several scenarios, name one: scenario='{self.focus}' (has: {', '.join(self.scenarios)})")
        label = self.scenarios[0] if scenario is None else self._label(scenario)
        return self.replications[self.replications["scenario"] == label]

    def probability(self, column: str = "systemic", scenario: str | None = None) -> Estimate:
        """Share of replications in which `column` is true (or above zero: `cloud_defaults`), with Wilson's interval."""
        return measures.probability(self._rows(scenario), column)

    def mean(self, column: str, scenario: str | None = None) -> Estimate:
        """Mean of `column` over replications with a t interval (Wilson's for a yes/no column)."""
        return measures.mean(self._rows(scenario), column)

    def cascade(self, replication: int | None = None, scenario: str | None = None) -> Cascade:
        """The tree of defaults of one replication with their causes; without a number, of the median systemic replication.

        Without a scenario, of the one with the most defaults. InputError when there is no such replication.
        """
        label = self._one(scenario)
        rows = self.replications[self.replications["scenario"] == label]
        number: Any = measures.median_systemic_replication(rows) if replication is None else replication
        if number is None:
            raise InputError(f"no replication of '{label}' is systemic: name one, replication=0 to {int(rows['replication'].max())}")
        if not isinstance(number, int | np.integer) or number not in set(rows["replication"].tolist()):
            first, last = int(rows["replication"].min()), int(rows["replication"].max())
            raise InputError(f"no replication {shown(number)} in '{label}': allowed {first} to {last}")
        causes = self.rows("causes", label, replication=int(number))  # of a large table these alone are read
        return build_cascade(self.defaults, label, int(number), self.names, causes, (self.reference, self.title(self.reference)))

    def figure(self, name: str) -> Figure:
        """A matplotlib figure by name (`simulator.results.figures.FIGURES` lists them)."""
        from simulator.results import figures

        return figures.figure(self, name)

    def report(self, path: str | Path) -> Path:
        """Write a self-contained HTML report and return its path."""
        from simulator.results import report

        return report.write_report(self, as_path("report", path))

    def save(self, folder: str | Path, figures: bool = True) -> Path:
        """Write the run folder (tables, settings, summary; figures and report unless `figures=False`); return its path."""
        from simulator.results import storage

        return storage.save(self, as_path("save", folder), figures=figures)

    def __repr__(self) -> str:
        return f"Run({len(self.replications)} replications in all; scenarios: {', '.join(self.scenarios)})"


def load(folder: str | Path) -> Run:
    """The run kept in a folder written by `Run.save`; InputError names a missing or damaged file."""
    from simulator.results import storage

    return storage.load(as_path("load", folder))
