"""Files of a run in the making: workers write a file a table and unit, under a temporary name that becomes final when it is whole.

The bytes of a file depend on its rows only, not on how they were cut into chunks: rows are written in groups of a fixed size.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulator.errors import InputError
from simulator.results.provenance import differences, machine_identity
from simulator.results.storage import TEXT, parquet_options, unit_of

ROWS_A_GROUP = 131_072
INTEGERS = frozenset({"replication", "tick", "wave"})
SERIES_FOLDER = "series"
"""Where the series of every replication wait until their quantiles are taken; not part of a complete run."""


class UnitPlace(Protocol):
    """What names a unit's files: the position of its scenario and the number of its block."""

    @property
    def scenario(self) -> int:
        """Position of the scenario."""

    @property
    def block(self) -> int:
        """Number of the block."""


def unit_name(scenario: int, block: int) -> str:
    """Name of a unit's files, without ending: ``scenario-00-block-00007``."""
    return f"scenario-{scenario:02d}-block-{block:05d}"


def arrow_schema(frame: pd.DataFrame) -> pa.Schema:
    """Types and units of a table's columns: the same for every chunk, also for one without a row."""

    def kind(name: str, dtype: Any) -> pa.DataType:
        if name in INTEGERS:
            return pa.int64()
        if unit_of(name) == TEXT or dtype.kind == "O":  # objects, and text or categories of pandas
            return pa.string()
        return pa.from_numpy_dtype(dtype)

    return pa.schema([pa.field(str(name), kind(str(name), dtype), metadata={"unit": unit_of(str(name))}) for name, dtype in frame.dtypes.items()])


class HashedFile:
    """A file written under a temporary name beside its place, hashed as it is written. `finish` puts it in its place."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.temporary = path, path.with_name(f".{path.name}.{os.getpid()}.part")
        self._file = self.temporary.open("wb")
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._file.closed

    def write(self, content: Any) -> int:
        """Append bytes."""
        view = memoryview(content).cast("B")
        self._hash.update(view)
        self._file.write(view)
        self.size += len(view)
        return len(view)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.size

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Nothing: `finish` or `discard` closes."""

    def finish(self) -> dict[str, Any]:
        """Write through to the disk and rename; checksum and size."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.temporary.replace(self.path)
        return {"sha256": self._hash.hexdigest(), "bytes": self.size}

    def discard(self) -> None:
        """Leave nothing."""
        try:
            self._file.close()
        finally:
            self.temporary.unlink(missing_ok=True)


class TableFile:
    """One Parquet file that grows chunk by chunk and holds at most one group of rows in memory."""

    def __init__(self, path: Path, first: pd.DataFrame) -> None:
        self.schema = arrow_schema(first)
        self.file = HashedFile(path)
        self._writer = pq.ParquetWriter(self.file, self.schema, **parquet_options(self.schema))
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, frame: pd.DataFrame) -> None:
        """Append rows."""
        arrays = [pa.array(frame[field.name], type=field.type, from_pandas=True) for field in self.schema]
        self._waiting.append(pa.Table.from_arrays(arrays, schema=self.schema))
        self._rows += len(frame)
        if self._rows >= ROWS_A_GROUP:
            self._write(last=False)

    def _write(self, last: bool) -> None:
        table = pa.concat_tables(self._waiting)
        whole = self._rows if last else self._rows // ROWS_A_GROUP * ROWS_A_GROUP
        for first in range(0, whole, ROWS_A_GROUP):
            self._writer.write_table(table.slice(first, min(ROWS_A_GROUP, whole - first)).combine_chunks(), row_group_size=ROWS_A_GROUP)
        self._waiting = [table.slice(whole).combine_chunks()]
        self._rows -= whole

    def finish(self) -> dict[str, Any]:
        """Write the rest and put the file in its place; checksum and size."""
        self._write(last=True)
        self._writer.close()
        return self.file.finish()

    def discard(self) -> None:
        """Leave nothing."""
        self._writer.is_open = False  # or it would write its end when it is forgotten, into a file that is closed
        self.file.discard()


@dataclass(frozen=True)
class StoredSeries:
    """The series of a unit as `UnitWriter` keeps them, ``shape`` (series, replication, tick), from ``start`` of the file on."""

    path: Path
    start: int
    shape: tuple[int, ...]

    def read(self, position: int) -> NDArray[np.float64]:
        """One of the series, ``(replication, tick)``."""
        _, replications, ticks = self.shape
        count = replications * ticks
        found = np.fromfile(self.path, dtype=np.float64, count=count, offset=self.start + position * count * np.dtype(np.float64).itemsize)
        return found.reshape(replications, ticks)


def stored_series(path: Path) -> StoredSeries:
    """Where the series of a unit stand in their file, of which nothing but the head is read."""
    kept: np.memmap[Any, Any] = np.load(path, mmap_mode="r")
    return StoredSeries(path, kept.offset, kept.shape)


@dataclass
class UnitWriter:
    """Writes the tables of one unit."""

    folder: Path
    name: str
    tables: dict[str, TableFile] = field(default_factory=dict)

    def add(self, tables: Mapping[str, pd.DataFrame]) -> None:
        """Keep the tables of the next chunk."""
        for table, frame in tables.items():
            if table not in self.tables:
                self.tables[table] = TableFile(self.folder / "tables" / table / f"{self.name}.parquet", frame)
            self.tables[table].add(frame)

    def close(self, series: NDArray[np.float64]) -> dict[str, dict[str, Any]]:
        """Finish all files; their names in the run folder with checksum and size."""
        files = {}
        if series.size:
            kept = HashedFile(self.folder / SERIES_FOLDER / f"{self.name}.npy")
            try:
                np.lib.format.write_array_header_1_0(kept, np.lib.format.header_data_from_array_1_0(series))
                kept.write(np.ascontiguousarray(series))
                files[f"{SERIES_FOLDER}/{self.name}.npy"] = kept.finish()
            finally:
                if not kept.closed:
                    kept.discard()
        for table, file in self.tables.items():
            files[f"tables/{table}/{self.name}.parquet"] = file.finish()
        return files

    def discard(self) -> None:
        """Leave nothing unfinished behind."""
        for file in self.tables.values():
            file.discard()


@dataclass(frozen=True)
class BlockFiles:
    """The run folder as a worker knows it. ``identity``: packages and processor features of the run (`machine_identity`).

    A worker with others would mix bits, and is refused unless ``anyway``. Empty where workers can have no others.
    """

    folder: Path
    identity: Mapping[str, Any]
    anyway: bool = False

    def open(self, unit: UnitPlace) -> UnitWriter:
        """A writer for one unit. Raises InputError when this machine has other packages or processor features than the run."""
        other = differences(self.identity, machine_identity()) if self.identity and not self.anyway else []
        if other:
            raise InputError(f"this worker would give other numbers: {'; '.join(other)} (resume_anyway=true allows it)")
        return UnitWriter(self.folder, unit_name(unit.scenario, unit.block))
