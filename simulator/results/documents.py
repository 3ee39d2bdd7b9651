"""What is told of a run beside its tables: summary, figures and report, in pieces that may be made in several processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from simulator.results import findings
from simulator.results.figure_names import LABORIOUS, names_of
from simulator.results.findings import interval, measure_words, number
from simulator.results.provenance import plain
from simulator.results.report import page_of, with_drawings
from simulator.results.storage import as_json, to_yaml

if TYPE_CHECKING:
    from simulator.results.dataset import Run


def summary(run: Run) -> dict[str, Any]:
    """Headline, findings and the key figures with their intervals, as plain values (summary.json)."""
    compared = findings.comparisons(run)
    table = findings.summary_table(run, compared).drop(columns="style")
    study = {} if run.study is None else {"study": {"kind": run.study.kind, "tables": list(run.study.tables), "facts": dict(run.study.facts)}}
    return {
        **study,
        "scenarios": list(run.scenarios),
        "reference": run.reference,
        "replications": len(run.replications) // len(run.scenarios),
        "horizon_months": run.horizon_months,
        "headline": findings.headline(run, compared),
        "findings": findings.findings(run, compared),
        "table": table.to_dict("records"),
    }


def summary_markdown(run: Run, told: Mapping[str, Any]) -> str:
    """The summary as Markdown: headline, findings, one table a scenario."""
    lines = [f"# {told['headline']}", ""] + [f"- {sentence}" for sentence in told["findings"]]
    for label in run.scenarios:
        against = "" if label == run.reference else f" | difference from {run.title(run.reference)} (95 % interval)"
        lines += [
            "",
            f"## {run.title(label)}",
            "",
            f"| measure | value | 95 % interval{against} |",
            "|---|--:|--:|" + ("--:|" if against else ""),
        ]
        for row in told["table"]:
            if row["scenario"] != label:
                continue
            style = measure_words(row["measure"])[1]
            cells = [row["label"], number(row["value"], style), interval(row["low"], row["high"], style)]
            if against:
                change = number(row["difference"], style, signed=True, bare=True)
                cells.append(f"{change} ({interval(row['difference_low'], row['difference_high'], style, signed=True)})")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


WORDS = "words"
"""The piece of the documents that is no figure."""
Spread = Callable[[Callable[["Run", str], Any], "Run", list[str]], Mapping[str, Any]]
"""Makes pieces of the documents of a run, by name."""


def texts_of(run: Run) -> dict[str, bytes]:
    """The files without figures: settings, provenance, summary."""
    told = summary(run)
    return {
        "config.yaml": to_yaml(plain(run.config)).encode(), "provenance.json": as_json(run.provenance), "summary.json": as_json(told),
        "summary.md": summary_markdown(run, told).encode(),
    }  # fmt: skip


def piece_of(run: Run, name: str) -> Any:
    """A figure by name as PNG and SVG, or (`WORDS`) the texts and the report without its drawings."""
    if name == WORDS:
        return texts_of(run), page_of(run, names_of(run))
    from simulator.results.figures import draw

    return draw(run, name)


def _one_by_one(make: Callable[[Run, str], Any], run: Run, names: list[str]) -> dict[str, Any]:
    return {name: make(run, name) for name in names}


def documents(run: Run, figures: bool = True, spread: Spread = _one_by_one) -> dict[str, bytes]:
    """The files of a run folder besides its tables: settings, provenance, summary, and figures and report when asked for.

    ``spread`` may make the pieces elsewhere, those that take longest first.
    """
    if not figures:
        return texts_of(run)
    names = names_of(run)
    made = spread(piece_of, run, sorted([WORDS, *names], key=lambda name: name not in LABORIOUS))
    files, page = made[WORDS]
    for name in names:
        files[f"figures/{name}.png"], files[f"figures/{name}.svg"] = made[name]
    return {**files, "report.html": with_drawings(page, {name: made[name][1] for name in names}).encode()}
