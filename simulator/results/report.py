"""The report: one self-contained HTML page that states the finding, shows the figures and says how far to trust them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from simulator.results import findings as words
from simulator.results import measures
from simulator.results.cascades import CAUSES, ORIGINS, Cascade
from simulator.results.contributions import amplification_words
from simulator.results.figure_names import READINGS, names_of, reading
from simulator.results.findings import KIND_WORDS, interval, number

if TYPE_CHECKING:
    from simulator.results.comparison import Comparison
    from simulator.results.dataset import Run

ASSUMPTIONS_SHOWN = 40
EVENTS_SHOWN = 14
CSS = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 58rem; padding: 2.5rem 1.5rem 4rem; background: #fff; color: #22282d;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .7rem; padding-top: .9rem; border-top: 1px solid #dde2e6; }
p, li { max-width: 46rem; } .muted, caption, figcaption { color: #5f6b75; } .muted { font-size: .92rem; }
ul.findings { padding-left: 1.1rem; font-size: 1.05rem; } ul.findings li { margin: .35rem 0; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 1rem; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; font-size: .92rem; }
th, td { text-align: left; padding: .34rem .6rem .34rem 0; border-bottom: 1px solid #e6eaed; vertical-align: top; }
th { font-weight: 600; color: #5f6b75; border-bottom-color: #b9c2c9; } td.n, th.n { text-align: right; white-space: nowrap; }
thead th.n { white-space: normal; vertical-align: bottom; }
tr.clear td.d { font-weight: 600; } .scroll { overflow-x: auto; }
figure { margin: 1.4rem 0 2rem; } figure img { width: 100%; height: auto; display: block; }
figcaption { font-size: .95rem; margin-top: .3rem; }
ol.story { padding-left: 0; list-style: none; border-left: 2px solid #dde2e6; margin-left: .3rem; }
ol.story li { padding: .1rem 0 .5rem 1rem; } ol.story time { color: #5f6b75; font-variant-numeric: tabular-nums; margin-right: .5rem; }
.wave { background: #eef1f3; border-radius: .6rem; padding: 0 .5rem; font-size: .82rem; color: #5f6b75; white-space: nowrap; }
.box { background: #f6f8f9; border: 1px solid #e0e5e9; border-radius: .5rem; padding: .4rem 1.1rem .6rem; }
code, pre { font: .87rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; white-space: pre-wrap; }
.study table { font-size: .84rem; } .study tr.clear td { font-weight: 600; }
@media print { body { padding: 0; max-width: none; font-size: 10.5pt; }
  figure, table, .box, li { break-inside: avoid; } h2 { break-after: avoid; } }
"""


def _table(caption: str, head: list[tuple[str, bool]], rows: list[tuple[list[str], bool]]) -> str:
    """An HTML table; `head` = (name, numeric); rows = (cells already escaped, set apart)."""
    top = "".join(f'<th scope="col"{" class=n" if numeric else ""}>{escape(name)}</th>' for name, numeric in head)
    body = []
    for cells, clear in rows:
        classes = ["n" if numeric else "" for _, numeric in head]
        if clear:
            classes[-2:] = [f"{one} d" for one in classes[-2:]]
        inner = "".join(
            f'<td class="{one.strip()}">{cell}</td>' if one else f"<td>{cell}</td>" for one, cell in zip(classes, cells, strict=True)
        )
        body.append(f"<tr{' class=clear' if clear else ''}>{inner}</tr>")
    inner = f"<caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="scroll"><table>{inner}</table></div>'


def _key_figures(run: Run, table: pd.DataFrame, label: str) -> str:
    """One scenario's key figures, beside the reference when there is one."""
    mine = table[table["scenario"] == label]
    if label == run.reference:
        rows = [
            ([escape(r["label"]), number(r["value"], r["style"]), interval(r["low"], r["high"], r["style"])], False)
            for r in mine.to_dict("records")
        ]
        return _table(
            f"Key figures under '{run.title(label)}' (shares in %)", [("", False), ("value", True), ("95 % interval", True)], rows
        )
    theirs = table[table["scenario"] == run.reference].set_index("measure")
    rows = []
    for row in mine.to_dict("records"):
        style, other = row["style"], theirs.loc[row["measure"]] if row["measure"] in theirs.index else None
        cells = [escape(row["label"])]
        cells += (
            ["n/a"]
            if other is None
            else [f"{number(other['value'], style)} <span class=muted>({interval(other['low'], other['high'], style)})</span>"]
        )
        cells.append(f"{number(row['value'], style)} <span class=muted>({interval(row['low'], row['high'], style)})</span>")
        cells.append(number(row["difference"], style, signed=True, bare=True))
        cells.append(interval(row["difference_low"], row["difference_high"], style, signed=True))
        rows.append((cells, bool(row["difference_low"] > 0 or row["difference_high"] < 0)))
    head = [("", False), (run.title(run.reference), True), (run.title(label), True), ("difference", True), ("95 % interval", True)]
    caption = "Means over replications with 95 % intervals; differences are paired draw by draw, shares in percentage points; "
    caption += "bold: interval without zero."
    return _table(caption, head, rows)


def _figures(run: Run, names: Iterable[str]) -> str:
    """Figures with their readings; in place of each drawing its mark."""
    parts = []
    for name in names:
        told = escape(reading(run, name))
        image = f'<img alt="{escape(name.replace("_", " "))}: {told}" src="{_mark(name)}">'
        parts.append(f'<figure id="{name}">{image}<figcaption>{told}</figcaption></figure>')
    return "".join(parts)


def _mark(name: str) -> str:
    """What stands in a page where a drawing comes; no text of a run has a zero byte."""
    return f"\0{name}\0"


def with_drawings(page: str, drawings: Mapping[str, bytes]) -> str:
    """The page of `page_of` with its drawings, given as SVG."""
    for name, svg in drawings.items():
        page = page.replace(_mark(name), "data:image/svg+xml;base64," + base64.b64encode(svg).decode())
    return page


def _story(run: Run) -> str:
    """The median systemic cascade of the worst scenario, told default by default."""
    label = run.worst
    rows = run.replications[run.replications["scenario"] == label]
    replication = measures.median_systemic_replication(rows)
    if replication is None:
        some = int((rows["defaults"] > 0).sum())
        rest = f"{some:,} of {len(rows):,} replications see a default, none a systemic cascade." if some else "No agent defaults."
        return f"<p>No replication of '{escape(run.title(label))}' is systemic. {rest}</p>"
    cascade = run.cascade(replication, label)
    if not cascade.events:
        return "<p>This run keeps no table of single defaults.</p>"
    first = cascade.events[0]
    last = cascade.events[-1]
    text = f"Replication {replication} of '{run.title(label)}' is the systemic one of middle severity. "
    text += f"It begins with {first.name} in {first.date} and ends with {last.name} in {last.date}: {len(cascade.events)} defaults, "
    text += f"{cascade.size} of them caused by another agent, in {cascade.waves} wave{'' if cascade.waves == 1 else 's'}."
    items = [_event(cascade, event) for event in cascade.events[:EVENTS_SHOWN]]
    more = len(cascade.events) - EVENTS_SHOWN
    tail = f"<p class=muted>… and {more} more; <code>run.cascade({replication})</code> prints all.</p>" if more > 0 else ""
    return f"<p>{escape(text)}</p><ol class=story>{''.join(items)}</ol>{tail}"


def _event(cascade: Cascade, event: Any) -> str:
    why = CAUSES.get(event.cause, event.cause)
    by = ORIGINS.get(event.triggered_by)
    trigger = (
        f"because of {by}" if by else f"after losses caused by <b>{escape(cascade.names.get(event.triggered_by, event.triggered_by))}</b>"
    )
    wave = f"<span class=wave>wave {event.wave}</span> " if event.wave else "<span class=wave>origin</span> "
    lost = (
        f"creditors lose {number(event.loss_given_default, 'money')} of {number(event.debt, 'money')} USD bn"
        if event.debt > 0
        else "no debt"
    )
    kind = KIND_WORDS.get(event.kind, (event.kind, event.kind))[0]
    return f"<li><time>{escape(event.date)}</time>{wave}<b>{escape(event.name)}</b> ({escape(kind)}) {escape(why)}, {trigger}; {lost}.</li>"


def _amplified(run: Run) -> str:
    """What contagion makes of the shock, where it was computed."""
    text = amplification_words(run.replications[run.replications["scenario"] == run.focus])
    return f"<p>{escape(text)}</p>" if text else ""


def _bearers(run: Run) -> str:
    """Who lost: mean loss borne by kind of agent, a column a scenario."""
    tables = {}
    for label in words_order(run):
        rows = run.totals("losses", ["to_agent"], "amount", label)
        n = int((run.replications["scenario"] == label).sum())
        tables[label] = measures.loss_by_bearer(rows, run.network["nodes"], n).set_index("kind")
    kinds = list(dict.fromkeys(kind for table in tables.values() for kind in table.index))
    if not kinds:
        return "<p>No agent bears a loss in any replication.</p>"
    main = tables[run.focus]
    kinds.sort(key=lambda kind: -float(main["value"].get(kind, 0.0)))
    lines: list[tuple[list[str], bool]] = []
    for kind in kinds:
        name = KIND_WORDS.get(kind, (kind, kind))[1]
        cells = [escape(name[0].upper() + name[1:])]
        for table in tables.values():
            value, share = float(table["value"].get(kind, 0.0)), float(table["share"].get(kind, 0.0))
            cells.append(f"{number(value, 'money')} <span class=muted>({number(share, 'share')})</span>")
        lines.append((cells, False))
    spread = measures.concentration(main["value"].to_numpy())
    head = [("", False)] + [(run.title(label), True) for label in tables]
    text = f"Concentration over kinds under '{escape(run.title(run.focus))}' (Herfindahl index, 1 = one kind bears all)"
    text = f"<p class=muted>{text}: {number(spread, 'count')}.</p>"
    return _table("Mean loss borne per replication, USD bn (share of all losses between agents)", head, lines) + text


def words_order(run: Run) -> list[str]:
    """Reference, focus, then the others; at most four, to fit the page."""
    return list(dict.fromkeys([run.reference, run.focus, *run.scenarios]))[:4]


def _assumptions(run: Run) -> str:
    listed = [item for item in run.provenance.get("assumptions") or [] if isinstance(item, dict)]
    sources, citations = run.provenance.get("sources") or {}, run.provenance.get("citations") or []
    counted = f"{len(sources):,} data source{'' if len(sources) == 1 else 's'} and {len(citations):,} cited "
    counted += f"work{'' if len(citations) == 1 else 's'} stand behind the rest."
    if not listed:
        return f"<p>This run lists no assumptions. {counted}</p>"
    rows = []
    for item in listed[:ASSUMPTIONS_SHOWN]:
        low, high = item.get("low"), item.get("high")
        span = "not given" if low is None and high is None else f"{_plain(low)} to {_plain(high)}"
        rows.append(
            (
                [escape(str(item.get("name", ""))), escape(_plain(item.get("value"))), escape(span), escape(str(item.get("unit") or ""))],
                False,
            )
        )
    more = f" The first {ASSUMPTIONS_SHOWN} of {len(listed)} are shown; provenance.json has all." if len(listed) > ASSUMPTIONS_SHOWN else ""
    head = [("assumption", False), ("value", True), ("range", True), ("unit", False)]
    return _table("Numbers without a source, with the range they may lie in", head, rows) + f"<p class=muted>{counted}{more}</p>"


def _plain(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str("?" if value is None else value)


def _trust(run: Run) -> str:
    """Convergence and how to repeat the run."""
    source = run.provenance
    rows: list[tuple[str, str]] = []
    part = run.replications[run.replications["scenario"] == run.focus]
    n = len(part)
    half = measures.probability(part.sort_values("replication").head(max(1, n // 2)))
    full = measures.probability(part)
    if n > 1:
        width = (full.high - full.low) / 2
        text = f"The systemic probability is known to ± {number(width, 'share', bare=True)} points from {n:,} replications "
        text += f"({number(full.value, 'share')}; from the first half of them {number(half.value, 'share')}). "
        rows.append(("Sampling error", text + "Half that width takes four times as many."))
    if "converged" in run.replications.columns:
        failed = int((~run.replications["converged"].astype(bool)).sum())
        rows.append(("Convergence", f"{failed:,} of {len(run.replications):,} replications did not converge"))
    keys = (
        ("version", "Version"),
        ("git_commit", "Commit"),
        ("seed", "Seed"),
        ("config_hash", "Hash of settings"),
        ("data_hash", "Hash of data"),
    )
    rows += [(name, str(source[key])) for key, name in keys if source.get(key) is not None]
    packages = source.get("packages") or {}
    if packages:
        rows.append(("Packages", ", ".join(f"{name} {version}" for name, version in packages.items())))
    features = (source.get("machine") or {}).get("cpu_features") if isinstance(source.get("machine"), dict) else None
    if features:
        rows.append(("Processor features", ", ".join(map(str, features))))
    if source.get("wall_time_seconds") is not None:
        rows.append(("Wall time", f"{source['wall_time_seconds']:,.1f} s"))
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in rows)
    command = f"<p>To run it again:</p><pre>{escape(str(source['command']))}</pre>" if source.get("command") else ""
    return f'<div class="box"><table>{body}</table>{command}</div>'


def report_html(run: Run, drawings: Mapping[str, bytes] | None = None) -> str:
    """The report as one HTML page; `drawings` = figures already drawn as SVG (drawn here when not given)."""
    if drawings is None:
        from simulator.results.figures import render

        drawings = {name: render(run.figure(name), "svg") for name in names_of(run)}
    return with_drawings(page_of(run, list(drawings)), drawings)


def page_of(run: Run, names: Sequence[str]) -> str:
    """The report without its drawings: `with_drawings` puts those of these names in their places."""
    compared: dict[str, Comparison] = words.comparisons(run)
    table = words.summary_table(run, compared)
    title = words.headline(run, compared)
    economy = run.provenance.get("economy") or run.config.get("economy")
    subject = [f"economy {economy}"] if isinstance(economy, str) else []
    each = len(run.replications) // len(run.scenarios)
    subject += [
        f"{len(run.scenarios)} scenario{'' if len(run.scenarios) == 1 else 's'}",
        f"{each:,} replication{'' if each == 1 else 's'} each",
    ]
    subject.append(f"{run.horizon_months} months")
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in words.findings(run, compared))
    labels = [label for label in run.scenarios if label != run.reference] or [run.reference]
    labels.sort(key=lambda label: label != run.focus)
    if run.study is not None:  # the study's own tables tell the many; of the scenarios one is shown beside the reference
        labels = labels[:1]
    figures = "".join(_key_figures(run, table, label) for label in labels)
    scenarios = "" if run.study is None else " of the scenarios"
    page = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{CSS}</style></head><body>",
        f"<header><h1>{escape(title)}</h1>",
        f"<p class=muted>{escape(', '.join(subject))}. All numbers describe the simulated economy.</p></header>",
        f"<main><ul class=findings>{sentences}</ul>",
        _study(run, names),
        f"<h2>Key figures{scenarios}</h2>{figures}",
        f"<h2>Figures{scenarios}</h2>{_figures(run, [name for name in names if name in READINGS])}",
        f"<h2>How a typical cascade ran</h2>{_story(run)}",
        f"<h2>Who lost</h2>{_bearers(run)}{_amplified(run)}",
        f"<h2>Assumptions</h2>{_assumptions(run)}",
        f"<h2>How far to trust it, and how to repeat it</h2>{_trust(run)}</main></body></html>",
    ]
    return words.unbroken("\n".join(page)) + "\n"


def _study(run: Run, names: Sequence[str]) -> str:
    """The section of an experiment: its figures, then its tables."""
    if run.study is None:
        return ""
    own = run.study.teller.figures(run.study)
    parts = [f"<h2>{escape(run.study.kind.replace('_', ' ').capitalize())}</h2>"]
    parts.append(_figures(run, [name for name in names if name in own]))
    for shown in run.study.teller.shown(run.study):
        clear = shown.clear or [False] * len(shown.rows)
        rows = [([escape(cell) for cell in row], is_clear) for row, is_clear in zip(shown.rows, clear, strict=True)]
        parts.append(_table(shown.caption, list(shown.head), rows))
    return f"<div class=study>{''.join(parts)}</div>"


def write_report(run: Run, path: str | Path) -> Path:
    """Write the report as one HTML file and return its path."""
    from simulator.results.storage import write_atomically

    target = Path(path)
    write_atomically(target, report_html(run).encode())
    return target
