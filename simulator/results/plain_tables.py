"""Tables of the report as plain text for a terminal: heads wrapped and columns in blocks where the page is narrow."""

from __future__ import annotations

import shutil
import textwrap

from simulator.results.study import ShownTable

GAP = "  "


def plain_table(table: ShownTable, most: int = 40, width: int | None = None) -> list[str]:
    """A table of the report in plain text: its caption and at most so many rows, in lines of ``width`` columns (the terminal's where not given).

    Where it is wider, column heads are wrapped; where it is wider still, the columns that do not fit follow below, with the row's name again.
    """
    width = width or shutil.get_terminal_size((80, 24)).columns
    names = [name for name, _ in table.head]
    rows = [list(row) for row in table.rows[:most]]
    lines = textwrap.wrap(table.caption, min(width, 100))
    full = [max(len(row[place]) for row in [names, *rows]) for place in range(len(names))]
    if sum(full) + len(GAP) * (len(full) - 1) <= width:
        return lines + _block(table, rows, list(range(len(names))), full)
    narrow = [max([*(len(row[place]) for row in rows), *(len(word) for word in names[place].split())]) for place in range(len(names))]
    first = next((place for place, (_, numeric) in enumerate(table.head) if not numeric), 0)
    last = next((place for place in range(first, len(names)) if table.head[place][1]), first + 1)
    for number, places in enumerate(_blocks(narrow, first, max(last, first + 1), width)):
        lines += [""] * (number > 0) + _block(table, rows, places, narrow)
    return lines


def _blocks(widths: list[int], first: int, last: int, width: int) -> list[list[int]]:
    """Columns of each block: all up to the row's name (``first`` to ``last - 1``), then as many as fit; the name again in every further one."""
    blocks = [list(range(last))]
    room = width - sum(widths[:last]) - len(GAP) * (last - 1)
    for place in range(last, len(widths)):
        needed = widths[place] + len(GAP)
        if needed > room and len(blocks[-1]) > last - first:
            blocks.append(list(range(first, last)))
            room = width - sum(widths[first:last]) - len(GAP) * (last - first - 1)
        blocks[-1].append(place)
        room -= needed
    return blocks


def _block(table: ShownTable, rows: list[list[str]], places: list[int], widths: list[int]) -> list[str]:
    heads = [textwrap.wrap(table.head[place][0], max(widths[place], 1), break_long_words=False) or [""] for place in places]
    deep = max(len(head) for head in heads)
    shown = [[([""] * (deep - len(head)) + head)[line] for head in heads] for line in range(deep)]
    shown += [[row[place] for place in places] for row in rows]
    lines = []
    for row in shown:
        cells = [
            cell.rjust(widths[place]) if table.head[place][1] else cell.ljust(widths[place]) for cell, place in zip(row, places, strict=True)
        ]
        lines.append(GAP.join(cells).rstrip())
    return lines
