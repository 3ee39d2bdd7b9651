"""Large tables are read in pieces, and hold what they would hold in memory; progress says what can be trusted."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from simulator.results import documents, progress, storage, tables
from simulator.results.dataset import Run, load
from simulator.results.progress import Progress, duration
from simulator.results.tables import StoredTable


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "REPLICATIONS_PER_FILE", 50)
        return run.save(tmp_path_factory.mktemp("run") / "saved", figures=False)


def test_a_loaded_run_reads_its_large_tables_only_when_asked(run: Run, folder: Path) -> None:
    back = load(folder)
    assert isinstance(back._large["losses"], StoredTable)
    for label in run.scenarios:
        for mine, theirs in (
            (back.rows("losses", label), run.rows("losses", label)),
            (back.rows("losses", label, ["to_agent", "amount"], replication=7), run.rows("losses", label, ["to_agent", "amount"], replication=7)),
            (back.scenario(label).rows("losses"), run.rows("losses", label)),
        ):
            keys = list(mine.columns)
            mine, theirs = (frame.sort_values(keys, ignore_index=True).astype(object) for frame in (mine, theirs))
            assert_frame_equal(mine, theirs, check_exact=True)
    assert isinstance(back._large["losses"], StoredTable)
    assert len(back.losses) == len(run.losses)


def test_summary_figures_and_report_hold_no_large_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    back = load(folder)
    monkeypatch.setattr(StoredTable, "frame", lambda self: pytest.fail(f"{self.files[0].parent.name} is read whole"))
    assert set(documents.documents(back)) > {"summary.json", "report.html"}
    assert isinstance(back._large["causes"], StoredTable)


def test_totals_of_pieces_are_those_of_the_whole(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PIECE_ROWS", 1)
    label = run.scenarios[-1]
    found = load(folder).totals("losses", ["to_agent", "channel"], "amount", label).set_index(["to_agent", "channel"])["amount"]
    whole = run.losses[run.losses["scenario"] == label].groupby(["to_agent", "channel"])["amount"].sum()
    pd.testing.assert_series_equal(found.sort_index(), whole.sort_index(), rtol=1e-12)


def test_files_that_can_not_hold_a_replication_are_not_read(run: Run, folder: Path) -> None:
    last = int(run.losses["replication"].max())
    table = load(folder)._large["losses"]
    assert isinstance(table, StoredTable)
    assert {int(number) for piece in table.pieces(["replication"], replication=last) for number in piece["replication"]} == {last}
    assert list(table.pieces(replication=10**9)) == []
    assert list(table.pieces(scenario="nobody")) == []


COUNTS = {"replications": 500, "defaults": 7, "systemic": 50, "unconverged": 0}


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 31.0, 40.0, 200.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with Progress(4000, True, scenarios=2, stream=stream) as shown:
        for number in range(4):
            shown.unit(number % 2, COUNTS)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0] == "capital-loop: 1,000 of 4,000 replications, 32 a second, 2 min left, 14 defaults, P(systemic) ± 2.6 points"
    assert lines[1].startswith("capital-loop: 2,000 of 4,000 replications, 10 a second, ")


def test_with_a_precision_the_total_is_told_from_the_width_so_far() -> None:
    shown = Progress(100_000, False, scenarios=1, precision=0.01)
    shown.unit(0, COUNTS)
    width = shown.width()
    assert width is not None
    assert shown.total == round(500 * (width / 0.01) ** 2)
    shown.already(0, {**COUNTS, "replications": 99_500})
    assert shown.words().startswith("14 defaults, P(systemic) ± ")


def test_a_terminal_gets_a_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Progress(1000, True, stream=stream) as shown:
        shown.already(0, COUNTS)
        shown.begin()
        assert " 500/1000" in stream.getvalue()  # before anything is done: nobody waits in the dark
        shown.unit(0, COUNTS)
    assert "1000/1000" in stream.getvalue()
    assert "14 defaults" in stream.getvalue()


def test_a_bar_moves_while_units_are_being_worked_on_and_never_goes_back() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with Progress(1000, True, stream=Terminal()) as shown:
        shown.begin()
        seen = []
        for step in (
            lambda: shown.part(120.0),
            lambda: shown.part(480.6),
            lambda: shown.part(0.0),
            lambda: shown.unit(0, COUNTS),
            lambda: shown.part(750.0),
        ):
            step()
            seen.append(shown.bar.n)
    assert seen == [120, 480, 480, 500, 1000]


def test_times_are_told_in_the_unit_that_reads_best() -> None:
    assert [duration(seconds) for seconds in (45, 600, 8000)] == ["45 s", "10 min", "2.2 h"]
