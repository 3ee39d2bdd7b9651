"""Figures and report: drawn for any run, self-contained, and saying what the tables say."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.errors import InputError
from simulator.results import figure_names, figures, network_figure
from simulator.results.dataset import Run
from simulator.results.report import report_html

CASES = {
    "nobody defaults": (8, ("no_shock", "b"), (0.0, 0.0)),
    "one replication": (1, ("no_shock", "b"), (1.0, 1.0)),
    "one scenario": (12, ("no_shock",), (1.0,)),
    "all default": (4, ("no_shock", "b"), (1e9, 1e9)),
    "six policies": (8, ("current_rules", "a", "b", "c", "d", "e"), (2.0, 1.0, 1.5, 1.2, 0.5, 3.0)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES)
def test_every_figure_and_the_report_are_drawn_when(case: str, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.results.report.base64.b64encode", lambda content: content[:0])
    run = make_run(*CASES[case])
    drawings = dict.fromkeys(figures.FIGURES, b"")
    for name in figures.FIGURES:
        figure = run.figure(name)
        titles = " ".join(text.get_text() for text in figure.texts)
        assert len(titles) > 15
        assert "nan" not in titles
        figure.canvas.draw()
    assert "nan" not in re.sub(r"<style>.*?</style>", "", report_html(run, drawings), flags=re.S).lower().replace("governance", "")


def test_a_run_of_tables_alone_is_drawn_and_reported(run: Run) -> None:
    bare = Run(run.scenario("no_shock").replications)
    for name in figures.FIGURES:
        bare.figure(name)
    assert "keeps no table of single defaults" in report_html(bare, {})


def test_an_unknown_figure_is_answered_with_the_nearest(run: Run) -> None:
    with pytest.raises(InputError, match="did you mean 'cascade_sizes'"):
        run.figure("cascade_size")


def test_the_same_figure_is_the_same_file(run: Run) -> None:
    for kind in ("svg", "png"):
        first, second = (figures.render(run.figure("cascade_sizes"), kind) for _ in range(2))
        assert first == second


def test_every_figure_has_a_reading() -> None:
    assert figure_names.READINGS.keys() == figures.FIGURES.keys()


def test_the_network_shows_the_median_systemic_replication_at_its_worst_month(run: Run) -> None:
    label, number, systemic = network_figure.worst_typical(run)
    assert label == run.worst
    assert systemic
    assert number == run.cascade().replication
    rows = run.defaults[(run.defaults["scenario"] == label) & (run.defaults["replication"] == number)]
    month = network_figure.worst_month(rows)
    assert rows.loc[rows["tick"] == month, "debt"].sum() == rows.groupby("tick")["debt"].sum().max()


def test_no_two_names_in_the_network_share_a_place(run: Run) -> None:
    nodes = run.network["nodes"]
    places, headings = network_figure.layout(nodes, set(nodes["agent"]))
    assert set(places) == set(nodes["agent"])
    by_column: dict[float, list[float]] = {}
    for across, up in [*places.values(), *((round(across + 0.05), up) for across, up, _ in headings)]:
        by_column.setdefault(across, []).append(up)
    for heights in by_column.values():
        heights.sort()
        assert min(b - a for a, b in itertools.pairwise(heights)) > 0.02
        assert heights[0] > -0.02
        assert heights[-1] < 1.02


def test_a_report_is_one_file_that_loads_nothing(run: Run, tmp_path: Path) -> None:
    text = run.report(tmp_path / "out.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["']?(?!data:)[^"'>\s]""", text)
    assert "@import" not in text
    assert "url(" not in text
    assert "<script" not in text
    assert text.count("<img ") == len(figures.FIGURES)
    assert "project company rises from" in re.search(r"<title>(.*?)</title>", text).group(1)  # type: ignore[union-attr]


def test_a_report_escapes_what_users_name(run: Run) -> None:
    rows = run.replications.assign(scenario=run.replications["scenario"].replace({"no_shock": "<b>evil</b>&"}))
    text = report_html(Run(rows, provenance=run.provenance, network=run.network), {})
    assert "<b>evil</b>" not in text
    assert "&lt;b&gt;evil&lt;/b&gt;&amp;" in text
    assert "loans on lab shares &lt;ltv&gt;" in text


def test_the_report_tells_the_cascade_in_order(run: Run) -> None:
    text = report_html(run, {})
    cascade = run.cascade()
    places = [text.index(f"<b>{event.name}</b> (") for event in cascade.events]
    assert places == sorted(places)


def test_a_saved_run_holds_every_figure_twice_and_the_report(make_run: Callable[..., Run], tmp_path: Path) -> None:
    folder = make_run(10).save(tmp_path / "run")
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {f"{name}.{kind}" for name in figures.FIGURES for kind in ("png", "svg")}
    assert (folder / "report.html").stat().st_size < 4_000_000
