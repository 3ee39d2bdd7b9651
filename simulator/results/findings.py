"""The findings of a run in words and in one short table: what the command prints, and the head of the report."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simulator.results import measures
from simulator.results.comparison import Comparison
from simulator.results.measures import Estimate
from simulator.results.plain_tables import plain_table

if TYPE_CHECKING:
    from simulator.results.dataset import Run

# Kind -> (one agent in words, several in words).
KIND_WORDS = {
    "chipmaker": ("a chipmaker", "chipmakers"),
    "hyperscaler": ("a hyperscaler", "hyperscalers"),
    "cloud": ("a neocloud", "neoclouds"),
    "project_company": ("a data-centre project company", "project companies"),
    "ai_lab": ("an AI lab", "AI labs"),
    "investor": ("a leveraged investor", "investors"),
    "lender": ("a lender", "lenders"),
    "short_seller": ("a short seller", "short sellers"),
    "utility": ("a utility", "utilities"),
    "household": ("the household sector", "households"),
    "government": ("the government", "government"),
    "central_bank": ("the central bank", "central bank"),
    "entrant": ("an entrant", "entrants"),
    "outside": ("the rest of the world", "rest of the world"),
}
CHANNEL_WORDS = {
    "direct": "the shock itself",
    "counterparty": "unpaid debts",
    "orders": "cancelled orders",
    "equity": "falling stakes",
    "margin": "margin calls",
    "fire_sale": "fire sales",
    "funding": "lost funding",
    "guarantee": "called guarantees",
    "spread": "dearer credit",
    "expectation": "expectations",
    "power": "power limits",
    "household": "households",
    "short": "short sellers",
}
# Column -> (label, how its numbers are written).
MEASURES = {
    "systemic": ("Probability of a systemic cascade", "share"),
    "defaults": ("Defaults", "count"),
    "cascade_size": ("Defaults caused by another agent", "count"),
    "total_loss": ("Total loss, USD bn", "money"),
    "credit_loss": ("Credit loss, USD bn", "money"),
    "fiscal_cost": ("Fiscal cost, USD bn", "money"),
    "defaulted_debt_share": ("Defaulted debt / all modelled debt", "share"),
    "market_value_min_share": ("Lowest AI market value / opening", "share"),
    "gdp_gap_min": ("Lowest GDP gap", "share"),
    "unemployment_max": ("Highest unemployment", "share"),
}
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def horizon_words(months: int) -> str:
    """The horizon as an adjective: 60 -> 'five-year', 18 -> '18-month'."""
    if months >= 12 and months % 12 == 0:
        years = months // 12
        return f"{NUMBER_WORDS[years] if years < len(NUMBER_WORDS) else years}-year"
    return f"{months}-month"


def measure_words(name: str, horizon: int | None = None) -> tuple[str, str]:
    """Label and number style of a measure; default probabilities by kind included."""
    if name.endswith("_default_probability"):
        kind = name.removesuffix("_default_probability")
        words = KIND_WORDS.get(kind, (kind, kind))[0]
        return f"Default probability of {words}", "share"
    return MEASURES.get(name, (name.replace("_", " ").capitalize(), "count"))


def number(value: float, style: str, signed: bool = False, bare: bool = False) -> str:
    """A number for reading: share -> '12.1 %' ('12.1' when `bare`), money -> '1,240', count -> '3.2'; NaN -> 'n/a'."""
    if not np.isfinite(value):
        return "n/a"
    if style == "share":
        value = value * 100
        digits = 2 if 0 < abs(value) < 0.095 else 1
    else:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 or style == "money" else 2
    text = f"{value:,.{digits}f}".replace("-", "−")
    if float(text.replace("−", "-").replace(",", "")) == 0.0:
        text = text.replace("−", "")
    elif signed and value > 0:
        text = "+" + text
    return text if style != "share" or bare else text + " %"


def unbroken(text: str) -> str:
    """The text with its units kept on the line of their number."""
    return text.replace(" %", "\u00a0%").replace(" USD bn", "\u00a0USD\u00a0bn")


def interval(low: float, high: float, style: str, signed: bool = False) -> str:
    """'4.9 to 7.7', in per cent for shares; 'n/a' without an interval."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "n/a"
    return f"{number(low, style, signed, bare=True)} to {number(high, style, signed, bare=True)}"


def with_interval(estimate: Estimate, style: str) -> str:
    """'12.1 % (95 % interval 10.2 to 14.3)'; money with its unit."""
    value = number(estimate.value, style) + (" USD bn" if style == "money" else "")
    if not np.isfinite(estimate.low):
        return f"{value} (no interval from {estimate.n} replication{'' if estimate.n == 1 else 's'})"
    return f"{value} (95 % interval {interval(estimate.low, estimate.high, style)})"


def difference_words(row: Mapping[str, Any], style: str) -> str:
    """'paired difference 6.3 points, 95 % interval 4.9 to 7.7'."""
    unit = {"share": " points", "money": " USD bn"}.get(style, "")
    value = number(float(row["difference"]), style, signed=True, bare=True)
    if not np.isfinite(row["difference_low"]):
        return f"paired difference {value}{unit}, no interval"
    return f"paired difference {value}{unit}, 95 % interval {interval(row['difference_low'], row['difference_high'], style)}"


def direction(row: Mapping[str, Any]) -> int:
    """+1 or -1 when the interval of the difference lies above or below zero, otherwise 0."""
    return int(row["difference_low"] > 0) - int(row["difference_high"] < 0)


def change_sentence(run: Run, comparison: Comparison, measure: str) -> str:
    """One sentence on what changes between two scenarios; says so plainly when the interval contains zero."""
    row = comparison.row(measure)
    label, style = measure_words(measure)
    what = "the " + (label[0].lower() + label[1:] if not label.startswith("AI") else label)
    what = what.replace("the default probability", f"the {horizon_words(run.horizon_months)} default probability")
    what = {"defaults": "the mean number of defaults", "total_loss": "the mean total loss (USD bn)"}.get(measure, what)
    new, old = run.title(comparison.label), run.title(comparison.other_label)
    first, second = number(row["other"], style), number(row["value"], style)
    sign = direction(row)
    if sign == 0:
        told = f"{what} is {second}, against {first} under '{old}': no clear difference"
    else:
        told = f"{what} {'rises' if sign > 0 else 'falls'} from {first} ('{old}') to {second}"
    return f"Under '{new}', {told} ({difference_words(row, style)})."


def comparisons(run: Run) -> dict[str, Comparison]:
    """Every other scenario of the run against its reference."""
    return run.compared


def leading_kind(run: Run, comparison: Comparison | None = None) -> str | None:
    """The kind told first: largest clear change of its default probability, else the highest level of it."""
    if comparison is not None:
        rows = comparison.table[comparison.table["kind"] != ""]
        clear = rows[(rows["difference_low"] > 0) | (rows["difference_high"] < 0)]
        if rows.empty:
            return None
        rank = clear["difference"].abs() if len(clear) else rows["value"] + rows["other"]
        return str((clear if len(clear) else rows)["kind"].to_numpy()[int(rank.to_numpy().argmax())])
    rows = measures.default_probability_by_kind(run.replications, run.counts)
    return None if rows.empty else str(rows["kind"].iloc[int(rows["value"].to_numpy().argmax())])


def headline(run: Run, compared: Mapping[str, Comparison] | None = None) -> str:
    """The finding in a short title, without an interval (the findings below it carry them)."""
    if run.study is not None:
        return run.study.teller.headline(run.study)
    if len(run.scenarios) > 1:
        comparison = (compared or comparisons(run))[run.focus]
        kind = leading_kind(run, comparison)
        name = f"{kind}_default_probability" if kind else "systemic"
        row = comparison.row(name)
        what = (
            f"the {horizon_words(run.horizon_months)} default probability of {KIND_WORDS[kind][0]}"
            if kind
            else "the probability of a systemic cascade"
        )
        sign, new = direction(row), run.title(run.focus)
        new = new[:1].upper() + new[1:]
        if sign == 0:
            return f"{new}: no clear change in {what} ({number(row['other'], 'share')} and {number(row['value'], 'share')})"
        return f"{new}: {what} {'rises' if sign > 0 else 'falls'} from {number(row['other'], 'share')} to {number(row['value'], 'share')}"
    value = measures.probability(run.replications)
    only = run.title(run.scenarios[0])
    return f"{only[:1].upper() + only[1:]}: a systemic cascade in {number(value.value, 'share')} of {value.n:,} replications"


def findings(run: Run, compared: Mapping[str, Comparison] | None = None) -> list[str]:
    """The findings as sentences, most important first; every number with its 95 % interval."""
    sentences: list[str] = []
    if run.study is not None:
        return run.study.teller.findings(run.study)
    if len(run.scenarios) > 1:
        table = compared if compared is not None else comparisons(run)
        order = sorted(table, key=lambda label: label != run.focus)
        for label in order:
            kind = leading_kind(run, table[label])
            names = ([f"{kind}_default_probability"] if kind else []) + ["systemic"]
            names += ["total_loss"] if label == run.focus else []
            sentences += [change_sentence(run, table[label], name) for name in (names if len(order) <= 4 else names[:1])]
    rows = run.outcomes(run.worst)
    title = run.title(run.worst)
    if len(run.scenarios) == 1:
        chance = measures.probability(rows)
        sentences.append(f"Under '{title}', a systemic cascade happens in {with_interval(chance, 'share')} of {chance.n:,} replications.")
        kind = leading_kind(run)
        if kind:
            risk = measures.default_share(rows, kind, run.counts[kind])
            words = KIND_WORDS[kind][0]
            text = with_interval(risk, "share")
            sentences.append(f"Most at risk is {words}: its {horizon_words(run.horizon_months)} default probability is {text}.")
    if not (rows["defaults"] > 0).any():
        sentences.append(f"No agent defaults in any of the {len(rows):,} replications of '{title}'.")
        return sentences
    severe = measures.severity(rows)
    if severe.n:
        tail = measures.expected_shortfall(rows)
        given = with_interval(severe, "money")
        sentences.append(f"Given a systemic cascade under '{title}', the mean loss is {given}.")
        sentences.append(f"The mean loss of the worst 5 % of replications is {with_interval(tail, 'money')}.")
    channels = measures.loss_by_channel(rows)
    if len(channels) and channels["value"].sum() > 0:
        top = channels.sort_values("value", ascending=False).iloc[0]
        amount = with_interval(Estimate(top["value"], top["low"], top["high"], len(rows), "t"), "money")
        share = number(top["share"], "share")
        sentences.append(f"The largest channel of loss under '{title}' is {CHANNEL_WORDS[top['channel']]}: {amount}, {share} of all.")
    failed = int((~rows["converged"].astype(bool)).sum()) if "converged" in rows.columns else 0
    if failed:
        sentences.append(f"{failed:,} of {len(rows):,} replications of '{title}' did not converge; they are included.")
    return sentences


def summary_table(run: Run, compared: Mapping[str, Comparison] | None = None) -> pd.DataFrame:
    """Key figures per scenario: `scenario`, `measure`, `label`, `style`, `value`, `low`, `high`, `n`, and `difference`,
    `difference_low`, `difference_high` against the reference (NaN for the reference itself)."""
    table = compared if compared is not None else comparisons(run)
    rows = []
    for scenario in run.scenarios:
        part = run.outcomes(scenario)
        estimates: dict[str, Estimate] = {}
        for column in MEASURES:
            if column in part.columns:
                estimates[column] = measures.mean(part, column)
        for kind, count in run.counts.items():
            estimates[f"{kind}_default_probability"] = measures.default_share(part, kind, count)
        changes = {} if scenario not in table else {str(row["measure"]): row for row in table[scenario].table.to_dict("records")}
        for name, estimate in estimates.items():
            if not np.isfinite(estimate.value):
                continue
            label, style = measure_words(name)
            known = changes.get(name, {})
            change = [float(known.get(key, np.nan)) for key in ("difference", "difference_low", "difference_high")]
            rows.append((scenario, name, label, style, estimate.value, estimate.low, estimate.high, estimate.n, *change))
    columns = ["scenario", "measure", "label", "style", "value", "low", "high", "n", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=columns)


def short_table(run: Run, table: pd.DataFrame) -> str:
    """The key figures in at most 80 columns: two scenarios side by side with their difference, or a line per scenario."""
    reference, focus = run.reference, run.focus
    chosen = ["systemic", "defaults", "total_loss"] + [f"{kind}_default_probability" for kind in run.counts]
    lines = []
    if reference != focus:
        lines += textwrap.wrap(f"A = {run.title(focus)}", 80) + textwrap.wrap(f"B = {run.title(reference)}", 80)
        lines += [f"{'':<30}{'A':>8}{'B':>10}{'A − B':>10}  95 % interval", "-" * 80]
        for name in chosen:
            pair = [table[(table["measure"] == name) & (table["scenario"] == label)] for label in (focus, reference)]
            if any(rows.empty for rows in pair):
                continue
            one, two = pair[0].iloc[0], pair[1].iloc[0]
            style = one["style"]
            change = number(one["difference"], style, signed=True, bare=True)
            limits = interval(one["difference_low"], one["difference_high"], style, signed=True)
            cells = f"{number(one['value'], style):>8}{number(two['value'], style):>10}{change:>10}  {limits:<20}"
            lines.append(f"{_short(one['label']):<30}{cells}".rstrip())
        return "\n".join(lines)
    lines += [f"{'':<40}{'mean':>12}   95 % interval", "-" * 80]
    for name in chosen:
        rows = table[table["measure"] == name]
        if len(rows):
            one = rows.iloc[0]
            lines.append(
                f"{_short(one['label']):<40}{number(one['value'], one['style']):>12}   {interval(one['low'], one['high'], one['style'])}"
            )
    return "\n".join(lines)


def _short(label: str) -> str:
    label = re.sub(r"^Default probability of (an |a )?", "Default: ", label)
    return label.replace("Probability of a systemic cascade", "Systemic cascade").replace("data-centre ", "")


def findings_text(run: Run) -> str:
    """What the command prints after a run: findings and the short table, at most 80 columns wide."""
    table = {} if run.study is not None else comparisons(run)
    lines = []
    for sentence in findings(run, table):
        lines += textwrap.wrap(sentence, 78, initial_indent="- ", subsequent_indent="  ")
    if run.study is not None:
        return "\n".join([*lines, *(line for table in run.study.teller.shown(run.study)[:1] for line in ("", *plain_table(table)))])
    lines += ["", short_table(run, summary_table(run, table))]
    others = [label for label in run.scenarios if label not in (run.focus, run.reference)]
    if others:
        lines += ["", *_other_scenarios(run, table, others)]
    total = len(run.replications) // len(run.scenarios)
    plural = "" if total == 1 else "s"
    lines += ["", f"{total:,} replication{plural}, horizon {run.horizon_months} months; shares in %, differences in points."]
    return "\n".join(lines)


def _other_scenarios(run: Run, table: Mapping[str, Comparison], others: list[str]) -> list[str]:
    """Systemic probability of the remaining scenarios against the reference, one line each."""
    lines = [f"Systemic cascade against '{run.title(run.reference)}':"[:80]]
    for label in others:
        row = table[label].row("systemic")
        limits = interval(row["difference_low"], row["difference_high"], "share", signed=True)
        change = number(row["difference"], "share", signed=True, bare=True)
        lines.append(f"{run.title(label)[:38]:<40}{number(row['value'], 'share'):>8}{change:>8}  ({limits})")
    return lines


def comparison_text(comparison: Comparison) -> str:
    """A comparison as a table of at most 80 columns."""
    lines = textwrap.wrap(f"A = {comparison.label}", 80) + textwrap.wrap(f"B = {comparison.other_label}", 80)
    lines += [f"{'':<30}{'A':>8}{'B':>10}{'A − B':>10}  95 % interval", "-" * 80]
    for row in comparison.table.to_dict("records"):
        label, style = measure_words(str(row["measure"]))
        change = number(row["difference"], style, signed=True, bare=True)
        limits = interval(row["difference_low"], row["difference_high"], style, signed=True)
        cells = f"{number(row['value'], style):>8}{number(row['other'], style):>10}{change:>10}  {limits}"
        lines.append(f"{_short(label)[:30]:<30}{cells}")
    return "\n".join(lines)
