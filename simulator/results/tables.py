"""Tables that stay on the disk and are read in pieces: a run of a hundred thousand replications is never held whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

PIECE_ROWS = 1_000_000
LARGE = ("losses", "agents", "causes", "attribution")
"""Tables of a folder that are read when they are asked for, and in pieces."""


@dataclass(frozen=True)
class StoredTable:
    """A table in Parquet files; ``scenario``: only the rows of one scenario."""

    files: tuple[Path, ...]
    scenario: str | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        import pyarrow.parquet as pq

        return list(pq.read_schema(self.files[0]).names)

    def only(self, scenario: str) -> StoredTable:
        """The rows of one scenario."""
        return replace(self, scenario=scenario)

    def pieces(self, columns: Sequence[str] | None = None, scenario: str | None = None, replication: int | None = None) -> Iterator[pd.DataFrame]:
        """The rows, some of them at a time, never an empty piece; files that can't hold a wanted row are not read."""
        import pyarrow.parquet as pq

        wanted: dict[str, str | int] = {}
        if (label := scenario if scenario is not None else self.scenario) is not None:
            wanted["scenario"] = label
        if replication is not None:
            wanted["replication"] = replication
        read = None if columns is None else list(dict.fromkeys([*columns, *wanted]))
        for path in self.files:
            with pq.ParquetFile(path) as file:
                groups = [number for number in range(file.num_row_groups) if _may_hold(file.metadata.row_group(number), wanted)]
                step = max(1, PIECE_ROWS // max(file.metadata.row_group(0).num_rows, 1)) if groups else 1
                for first in range(0, len(groups), step):
                    frame = file.read_row_groups(groups[first : first + step], columns=read).to_pandas()
                    for name, value in wanted.items():
                        if len(frame) and not (frame[name] == value).all():
                            frame = frame[frame[name] == value]
                    if len(frame):
                        yield (frame if columns is None else frame[list(columns)]).reset_index(drop=True)

    def frame(self) -> pd.DataFrame:
        """All rows at once; an empty table has its columns too."""
        import pyarrow.parquet as pq

        found = list(self.pieces())
        return pd.concat(found, ignore_index=True) if found else pq.read_schema(self.files[0]).empty_table().to_pandas()


def _may_hold(group: Any, wanted: dict[str, str | int]) -> bool:
    """Whether the smallest and largest values of a group of rows leave room for the wanted ones."""
    for position in range(group.num_columns):
        column = group.column(position)
        value = wanted.get(column.path_in_schema)
        if value is not None and column.is_stats_set and column.statistics.has_min_max:
            low, high = column.statistics.min, column.statistics.max
            if not low <= value <= high:
                return False
    return True


def open_tables(paths: Iterable[Path]) -> dict[str, pd.DataFrame | StoredTable]:
    """The tables of these files by name (that of their folder): small ones read, large ones to be read in pieces."""
    parts: dict[str, list[Path]] = {}
    for path in paths:
        parts.setdefault(path.parent.name, []).append(path)
    stored = {name: StoredTable(tuple(files)) for name, files in parts.items()}
    return {
        name: table if name in LARGE or (name == "ticks" and "quantile" not in table.columns) else table.frame()
        for name, table in stored.items()
    }
