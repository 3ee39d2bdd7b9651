"""Reading and checking the CSV tables of an economy, one cell at a time. The schema is data: `scenarios.schema`.

Every fault is one `InputError` line with file, line as an editor shows it (the header is line 1), column, value and what is allowed.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from scenarios.economy import Fact
from scenarios.schema import UNSOURCED, Column, Table
from simulator.errors import InputError, nearest


@dataclass
class Row:
    """One row with its checked cells and the ranges of the cells named in ``assumed``."""

    table: Table
    line: int
    cells: dict[str, Any]
    raw: dict[str, str]
    assumed: dict[str, tuple[float, float]] = field(default_factory=dict)

    def fault(self, column: str, wanted: str) -> NoReturn:
        """Raise the InputError of this row: file, line, column, value and what is wanted."""
        raise InputError(f"{self.table.file}, line {self.line}, column '{column}': {self.raw.get(column, '')!r} {wanted}")

    def __getitem__(self, column: str) -> Any:
        return self.cells[column]


_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_DATE_PATTERN = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")
_ASSUMED_PATTERN = re.compile(r"(\w+)\s*(?::\s*(.+))?")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE_PATTERN = re.compile(rf"({_NUMBER})\s*[-–]\s*({_NUMBER})")


def months_of(text: str) -> int | None:
    """Months since the year 0 of a date ``YYYY-MM`` or ``YYYY-MM-DD``; None when the text is no such date."""
    match = _DATE_PATTERN.fullmatch(text)
    if not match or not 1 <= int(match[2]) <= 12 or not 1 <= int(match[3] or 1) <= 31:
        return None
    return int(match[1]) * 12 + int(match[2]) - 1


def read_table(folder: Path, table: Table, start: int) -> list[Row]:
    """All rows of a table, each cell checked against the schema. ``start`` is the start month (`months_of`) that dates are counted from."""
    lines = _cells(folder / table.file, table)
    header_line, header = lines[0]
    names = [column.name for column in table.columns]
    for position, name in enumerate(header):
        if name not in names:
            raise InputError(
                f"{table.file}, line {header_line}: unknown column {name!r}; columns are {', '.join(names)}{nearest(name, names)}"
            )
        if name in header[:position]:
            raise InputError(f"{table.file}, line {header_line}: column {name!r} appears twice")
    for name in names:
        if name not in header and not table.column(name).may_lack:
            raise InputError(f"{table.file}, line {header_line}: column '{name}' is missing; columns are {', '.join(names)}")
    if table.needs_rows and len(lines) == 1:
        raise InputError(f"{table.file}: has no rows; at least one is required")
    rows = []
    for line, texts in lines[1:]:
        if len(texts) != len(header):
            many = "many" if len(texts) > len(header) else "few"
            raise InputError(
                f"{table.file}, line {line}: too {many} cells: {len(texts)}, but the header has {len(header)}"
                " (a comma in a text needs quotes)"
            )
        rows.append(_read_row(table, line, dict.fromkeys(names, "") | dict(zip(header, texts, strict=True)), start))
    return rows


def _cells(path: Path, table: Table) -> list[tuple[int, list[str]]]:
    """Header and rows of a file as (line number, stripped cells); lines without any text are skipped."""
    if not path.is_file():
        raise InputError(f"{table.file}: file is missing in {path.parent.name}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = fault.object[: fault.start].count(b"\n") + 1
        raise InputError(
            f"{table.file}, line {line}: not UTF-8 text (byte {fault.object[fault.start]:#04x}); save the file as UTF-8"
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines = []
    first = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((first, [cell.strip() for cell in cells]))
            first = reader.line_num + 1
    except csv.Error as fault:
        raise InputError(f"{table.file}, line {first}: not a CSV row: {fault}") from None
    if not lines:
        raise InputError(f"{table.file}: is empty; a header with the columns {', '.join(c.name for c in table.columns)} is required")
    return lines


def _read_row(table: Table, line: int, raw: dict[str, str], start: int) -> Row:
    row = Row(table, line, {}, raw)
    for column in table.columns:
        row.cells[column.name] = _read_cell(row, column, raw.setdefault(column.name, ""), start)
    if "source" in row.cells:
        _read_assumed(row, raw.get("assumed", ""))
        _check_range(row)
    return row


def _read_cell(row: Row, column: Column, text: str, start: int) -> Any:
    """The checked value of one cell."""
    if not text:
        if column.required:
            allowed = f" ({', '.join(column.words)})" if column.words else ""
            row.fault(column.name, f"is blank, but a value is required{allowed}")
        return column.blank
    if column.type == "word" and text not in column.words:
        row.fault(column.name, f"is not one of {', '.join(column.words)}{nearest(text, column.words)}")
    if column.type == "id" and not _ID_PATTERN.fullmatch(text):
        row.fault(column.name, "is not an id; letters, digits, '_', '-' and '.' are allowed")
    if column.type == "yes_no":
        if text not in ("yes", "no"):
            row.fault(column.name, "is not one of yes, no")
        return text == "yes"
    if column.type in ("number", "whole"):
        return _read_number(row, column, text)
    if column.type in ("date", "day"):
        months = months_of(text)
        if months is None:
            row.fault(column.name, "is not a date; write YYYY-MM or YYYY-MM-DD")
        return months - start if column.type == "date" else text
    return text


def _read_number(row: Row, column: Column, text: str) -> float | int:
    try:
        number = float(text)
    except ValueError:
        row.fault(column.name, "is not a number (write 1234.5: no thousands separator, no unit, no percent)")
    if not math.isfinite(number) or "_" in text:
        row.fault(column.name, "is not a finite number")
    if not column.minimum <= number <= column.maximum:
        row.fault(column.name, f"is outside {limits(column.minimum, column.maximum)}")
    if column.type == "whole":
        if number != int(number):
            row.fault(column.name, "is not a whole number")
        return int(number)
    return number


def limits(minimum: float, maximum: float) -> str:
    """The allowed interval in words."""
    if maximum == math.inf:
        return "what is allowed: at least " + f"{minimum:g}"
    return f"what is allowed: {minimum:g} to {maximum:g}"


def _read_assumed(row: Row, text: str) -> None:
    """Fill ``row.assumed`` from a list such as ``ltv_call:0.35-0.6; recourse``. A number needs its range, a word or date may go without."""
    columns = {column.name: column for column in row.table.columns}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        match = _ASSUMED_PATTERN.fullmatch(part)
        name = match[1] if match else part
        if not match or name not in columns:
            row.fault(
                "assumed",
                f"names '{name}', which is no column of this table{nearest(name, columns)}; write column:low-high; column:low-high",
            )
        if columns[name].type not in ("number", "whole"):
            row.assumed[name] = (math.nan, math.nan)
            continue
        bounds = _RANGE_PATTERN.fullmatch((match[2] or "").strip())
        if not bounds:
            row.fault("assumed", f"gives no range of the number '{name}'; write {name}:low-high")
        low, high = float(bounds[1]), float(bounds[2])
        value = row[name]
        if row.raw[name] and not low <= value <= high:
            row.fault("assumed", f"gives {name} the range {low:g} to {high:g}, but its value is {value:g}")
        row.assumed[name] = (low, high)


def _check_range(row: Row) -> None:
    """``low`` <= main number <= ``high``; both are required of an assumption that is not zero."""
    main, low, high = row.table.main, row["low"], row["high"]
    if not main:
        return
    value = row[main]
    if math.isnan(low) != math.isnan(high):
        row.fault("low" if math.isnan(low) else "high", "is blank, but low and high come together")
    if math.isnan(low):
        if row["source"] == "assumption" and value != 0.0:
            row.fault("low", f"is blank: an assumption needs low and high around its {main} {value:g}")
    elif low > value:
        row.fault("low", f"is above the {main} {value:g}")
    elif high < value:
        row.fault("high", f"is below the {main} {value:g}")


def check_source(row: Row, keys: Collection[str]) -> None:
    """The source of a row is ``assumption``, ``computed`` or one or more keys of ``sources.csv`` joined by ';'."""
    for key in row["source"].split(";"):
        if key.strip() not in UNSOURCED and key.strip() not in keys:
            row.fault("source", f"is not a key in sources.csv, nor assumption, nor computed{nearest(key.strip(), keys)}")


def facts_of(row: Row, row_id: str, column: str | None = None, unit: str | None = None) -> list[Fact]:
    """The numbers of a row with their provenance; ``column`` and ``unit`` rename the main number where the row has just that one."""
    facts = []
    for schema in row.table.columns:
        if schema.type not in ("number", "whole") or schema.name in ("low", "high") or not row.raw[schema.name]:
            continue
        is_main = schema.name == row.table.main
        is_assumed = schema.name in row.assumed
        low, high = row.assumed.get(schema.name, (row["low"], row["high"]) if is_main else (math.nan, math.nan))
        facts.append(
            Fact(
                row.table.name,
                row_id,
                column if column and is_main else schema.name,
                float(row[schema.name]),
                unit if unit is not None and is_main else schema.unit,
                "assumption" if is_assumed else row["source"],
                row["as_of"],
                "low" if is_assumed and not row["confidence"] else row["confidence"],
                low,
                high,
                row["note"],
            )
        )
    return facts
