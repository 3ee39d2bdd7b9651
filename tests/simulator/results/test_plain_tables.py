"""Tables for a terminal: every cell is there once, whatever the width, and no line is longer than the page."""

from __future__ import annotations

import pytest

from simulator.results.plain_tables import plain_table
from simulator.results.study import ShownTable

HEAD = [("rank", True), ("policy", False), ("total loss, USD bn", True), ("95 % interval", True), ("probability of a cascade, points", True)]
ROWS = [
    ["1", "leverage cap in a single jurisdiction", "−64.5 *", "−83.0 to −46.0", "−1.7"],
    ["2", "rate cut", "+58.25", "+49.9 to +66.5", "0.0"],
]
TABLE = ShownTable("What each policy changes, against current rules.", HEAD, ROWS)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_is_longer_than_the_page_and_every_number_stands_there_once(width: int) -> None:
    lines = plain_table(TABLE, width=width)
    assert max(len(line) for line in lines) <= width
    text = "\n".join(lines)
    for row in ROWS:
        for cell in row[2:]:
            assert text.count(cell) == 1


def test_a_wide_page_has_one_block_with_heads_in_one_line() -> None:
    lines = plain_table(TABLE, width=200)
    assert len(lines) == 1 + 1 + len(ROWS)
    assert all(name in lines[1] for name, _ in HEAD)


def test_columns_that_do_not_fit_follow_below_with_the_rows_name_again() -> None:
    text = "\n".join(plain_table(TABLE, width=60))
    blocks = text.split("\n\n")
    assert len(blocks) > 1
    for block in blocks:
        assert all(row[1] in block for row in ROWS)


def test_the_width_is_the_terminals_and_80_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert max(len(line) for line in plain_table(TABLE)) <= 70
    monkeypatch.delenv("COLUMNS")
    assert max(len(line) for line in plain_table(TABLE)) <= 80


def test_only_so_many_rows_are_printed() -> None:
    assert len(plain_table(TABLE, most=1, width=200)) == 3


def test_a_name_of_two_words_in_two_columns_is_repeated_whole() -> None:
    head = [("outcome", False), ("direction", False), ("with the channel", True), ("without it", True)]
    rows = [["investment", "down", "-21.5 (-24.5 to -18.6)", "-21.3 (-24.3 to -18.4)"], ["investment", "up", "+27.2", "+26.3"]]
    blocks = "\n".join(plain_table(ShownTable("Responses.", head, rows), width=50)).split("\n\n")
    assert len(blocks) == 2
    assert all(word in block for block in blocks for word in ("down", "up"))
