"""How a policy comparison is told: the ranking with intervals, what is distinguishable, who pays, what is forgone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simulator.results import figure_style as style
from simulator.results.findings import interval, number
from simulator.results.studies.words import change, factor, label_room, outcome_words, plain, sentence_case, unit
from simulator.results.study import ShownTable, Study, Teller

PANELS = ("systemic", "total_loss", "loss_taxpayers", "investment_total", "employment_mean", "lab_concentration_end")
BEARERS = {
    "loss_lenders": ("lenders", style.BLUE), "loss_shareholders": ("shareholders", style.SKY), "loss_suppliers": ("suppliers", style.PURPLE),
    "loss_taxpayers": ("taxpayers", style.VERMILLION), "loss_workers": ("workers", style.GREEN),
}  # fmt: skip
GOOD = {"investment_total": 1, "employment_mean": 1}
"""Outcomes of which more is better; of the others less is."""


def of(study: Study, world: str, outcome: str) -> Any:
    """Rows of one world and outcome, by policy."""
    table = study.tables["policies"]
    return table[(table["world"] == world) & (table["outcome"] == outcome)].set_index("policy")


def ranked(study: Study, world: str) -> list[str]:
    """Policies of a world from best to worst."""
    table = study.tables["ranking"]
    return [str(name) for name in table.loc[table["world"] == world, "policy"]]


def headline(study: Study) -> str:
    """The best policy of the first world, what taxpayers pay for it, and how many can be told from the current one."""
    return _best(study, study.facts["worlds"][0])


def _best(study: Study, world: str) -> str:
    ranking = study.tables["ranking"]
    rows = ranking[ranking["world"] == world]
    if rows.empty:
        return f"No policy to compare with {plain(study.facts['current'])}"
    words, kind = outcome_words(study.facts["ranked_by"])
    told, best = int(rows["told"].sum()), rows.iloc[0]
    sign = 1 if study.facts["ranked_by"] in GOOD else -1
    if not best["told"] or best["difference"] * sign <= 0:
        return f"Under {plain(world)}, no policy of {len(rows)} improves the {words} by more than luck could"
    size = number(abs(best["difference"]), kind, bare=True)
    verb = "raises" if sign > 0 else "lowers"
    start = f"Under {plain(world)}, {plain(best['policy'])} {verb} the {words} most: by {size} {unit(kind, True)}".strip()
    burden = of(study, world, "loss_taxpayers")
    if study.facts["ranked_by"] != "loss_taxpayers" and best["policy"] in burden.index:
        cost = burden.loc[best["policy"]]
        if cost["told"] and cost["difference"] >= 0.5:  # USD bn: what a headline needs to say
            start += f", at a cost of {number(float(cost['difference']), 'money')} USD bn to taxpayers"
    return f"{start} ({told} of {len(rows)} policies distinguishable from {plain(study.facts['current'])})"


def findings(study: Study) -> list[str]:
    """Per world: the best, what it costs and who pays; the policies that look free and are not; what pairing gained."""
    sentences: list[str] = []
    for world in study.facts["worlds"]:
        sentences += _world_findings(study, world)
    ranking, count = study.tables["ranking"], study.facts["replications"]
    method = {"holm": "Holm", "benjamini_hochberg": "Benjamini and Hochberg"}[study.facts["correction"]]
    sentences.append(
        f"Claims on each outcome are corrected over all policies of a world ({method}, level {study.facts['level']:g}); intervals are 95 % each, "
        f"paired over {count:,} replications."
    )
    table = study.tables["policies"]
    rows = table[~table["is_reference"]]
    loss, risk = rows[rows["outcome"] == "total_loss"], rows[rows["outcome"] == "systemic"]
    if len(loss):
        gain = loss["pairing_ratio"].dropna()
        narrower = int((loss["paired_width"] < loss["unpaired_width"]).sum())
        text = f"Pairing: on the total loss the paired interval is narrower than the unpaired one for {narrower} of {len(loss)} comparisons"
        if len(gain):
            text += f" (standard errors {number(float(gain.min()), 'count')} to {number(float(gain.max()), 'count')} of the unpaired ones)"
        ratios = risk.dropna(subset=["pairing_ratio", "least_pairing_ratio"])
        if len(ratios):
            text += f"; on P(systemic) the mean ratio is {number(float(ratios['pairing_ratio'].mean()), 'count')}, "
            text += f"with {number(float(ratios['least_pairing_ratio'].mean()), 'count')} the least attainable at these probabilities"
        sentences.append(text + ".")
        needed = ranking.merge(table, on=["world", "policy", "outcome"])["replications_to_tell"]
        undecided = needed[(needed > count) & np.isfinite(needed)]
        if len(undecided):
            sentences.append(
                f"Too small for {count:,} replications: {len(undecided)} of {len(needed)} differences; as large as they look, the nearest of them "
                f"would take {int(undecided.min()):,} to be distinguishable from zero with a probability of 80 %."
            )
    return sentences


def _world_findings(study: Study, world: str) -> list[str]:
    order = ranked(study, world)
    if not order:
        return [f"Under {plain(world)}, {plain(study.facts['current'])} stands alone: there is no policy to compare it with."]
    name = study.facts["ranked_by"]
    words, kind = outcome_words(name)
    main = of(study, world, name)
    best = main.loc[order[0]]
    sentences = []
    text = f"Under {plain(world)}, {plain(order[0])} changes the {words} by {change(*_ends(best), kind)}"
    paying = _paying(study, world, order[0])
    invested = of(study, world, "investment_total").loc[order[0]]
    sentences.append(f"{text}; {paying}; investment changes by {change(*_ends(invested), 'money')}.")
    worst = [policy for policy in order if main.loc[policy, "told"] and _sign(name) * main.loc[policy, "difference"] < 0]
    if worst:
        last = main.loc[worst[-1]]
        listed = ", ".join(plain(policy) for policy in worst[:6]) + (" and others" if len(worst) > 6 else "")
        sentences.append(f"Worse than {plain(study.facts['current'])} by more than luck: {listed} (the last by {change(*_ends(last), kind)}).")
    forgone = [
        policy for policy in order
        if main.loc[policy, "told"] and _sign(name) * main.loc[policy, "difference"] > 0
        and of(study, world, "investment_total").loc[policy, "told"] and of(study, world, "investment_total").loc[policy, "difference"] < 0
    ]  # fmt: skip
    if forgone:
        ratios = []
        for policy in forgone[:4]:
            given_up = number(-float(of(study, world, "investment_total").loc[policy, "difference"]), "money")
            ratios.append(f"{plain(policy)} (USD {given_up} bn of investment forgone)")
        sentences.append(f"Not free: the smaller bust is paid for with a smaller boom by {', '.join(ratios)}.")
    return sentences


def _sign(outcome: str) -> int:
    return 1 if outcome in GOOD else -1


def _ends(row: Any) -> tuple[float, float, float]:
    return float(row["difference"]), float(row["difference_low"]), float(row["difference_high"])


def _paying(study: Study, world: str, policy: str) -> str:
    """Who gains and who pays most, in words."""
    moved = {words: float(of(study, world, name).loc[policy, "difference"]) for name, (words, _) in BEARERS.items()}
    told = {words: bool(of(study, world, name).loc[policy, "told"]) for name, (words, _) in BEARERS.items()}
    parts = [f"{words} lose {number(abs(moved[words]), 'money')} USD bn {'less' if moved[words] < 0 else 'more'}" for words in moved if told[words]]
    return ", ".join(parts) if parts else "no class of claimants is distinguishably better or worse off"


def shown(study: Study) -> list[ShownTable]:
    """Per world the ranking, who pays, and the tails."""
    tables = []
    for world in study.facts["worlds"]:
        order = ranked(study, world)
        tables += [_scores(study, world, order), _bearers(study, world, order), _costs(study, world, order), _tail_table(study, world, order)]
    return tables


def _scores(study: Study, world: str, order: list[str]) -> ShownTable:
    name = study.facts["ranked_by"]
    names = list(dict.fromkeys((name, "systemic", "total_loss", "investment_total", "employment_mean", "lab_concentration_end")))
    head = [("rank", True), ("policy", False)]
    for column in names:
        words, kind = outcome_words(column)
        words = words.replace("probability of a systemic cascade", "P(systemic)")
        head.append((f"{words}{', ' + unit(kind, True) if unit(kind, True) else ''}", True))
    head[3:3] = [("95 % interval", True), ("corrected p", True)]
    rows, clear = [], []
    for place, policy in enumerate(order, start=1):
        first = of(study, world, name).loc[policy]
        cells = [str(place), plain(policy)]
        for column in names:
            row, kind = of(study, world, column).loc[policy], outcome_words(column)[1]
            digits = _fine(row["difference"]) if column == "lab_concentration_end" else None
            text = digits or number(float(row["difference"]), kind, signed=True, bare=True)
            cells.append(text + (" *" if row["told"] else ""))
        cells[3:3] = [interval(first["difference_low"], first["difference_high"], outcome_words(name)[1], signed=True), _p_value(first["p_adjusted"])]
        rows.append(cells)
        clear.append(bool(first["told"]))
    base = of(study, world, name).loc[study.facts["current"]]
    caption = f"Under {plain(world)}: change of the mean against {plain(study.facts['current'])} ({outcome_words(name)[0]} there "
    caption += f"{number(float(base['value']), outcome_words(name)[1])}); * = distinguishable from zero after correction over all policies."
    return ShownTable(caption, head, rows, clear)


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.0005 else f"{value:.3f}"


def _fine(value: float) -> str:
    """A change of an index, four digits; no sign on a zero."""
    text = f"{value:+.4f}".replace("-", "−")
    return "0.0000" if text[1:] == "0.0000" else text


def _bearers(study: Study, world: str, order: list[str]) -> ShownTable:
    rows = []
    base = [number(float(of(study, world, name).loc[study.facts["current"], "value"]), "money") for name in BEARERS]
    rows.append([f"{plain(study.facts['current'])} (level)", *base])
    for policy in order:
        cells = []
        for name in BEARERS:
            row = of(study, world, name).loc[policy]
            cells.append(number(float(row["difference"]), "money", signed=True) + (" *" if row["told"] else ""))
        rows.append([plain(policy), *cells])
    head = [("policy", False), *((words, True) for words, _ in BEARERS.values())]
    caption = f"Who pays under {plain(world)}: loss of each class, USD bn; first line the level, below changes against it "
    caption += "(lenders net of public support; workers: earnings lost to unemployment above its natural rate)."
    return ShownTable(caption, head, rows)


COSTS = {
    "fiscal_cost": "paid by the government", "compliance_cost": "cost of compliance",
    "investment_above_start": "boom: investment above its first pace",
    "investment_below_start": "bust: investment below it", "lending_moved": "lending moved outside the rule",
}  # fmt: skip


def _costs(study: Study, world: str, order: list[str]) -> ShownTable:
    """What each policy costs: public money, compliance, the boom forgone beside the bust avoided, and what goes round the rule."""
    current = study.facts["current"]
    names = [name for name in COSTS if len(of(study, world, name))]
    rows = [[f"{plain(current)} (level)", *(number(float(of(study, world, name).loc[current, "value"]), "money") for name in names)]]
    for policy in order:
        moved = [of(study, world, name).loc[policy] for name in names]
        rows.append([plain(policy), *(number(float(row["difference"]), "money", signed=True) + (" *" if row["told"] else "") for row in moved)])
    head = [("policy", False), *((COSTS[name], True) for name in names)]
    caption = f"What each policy costs under {plain(world)}, USD bn over the run; first line the level, below changes against it "
    return ShownTable(caption + "(* = distinguishable from zero after correction over all policies).", head, rows)


def _tail_table(study: Study, world: str, order: list[str]) -> ShownTable:
    table = study.tables["tails"]
    table = table[table["world"] == world].set_index("policy")
    risk = of(study, world, "systemic")
    rows = []
    for policy in [study.facts["current"], *order]:
        row, chance = table.loc[policy], risk.loc[policy]
        cells = [plain(policy), f"{number(chance['value'], 'share')} ({interval(chance['low'], chance['high'], 'share')})"]
        for name in ("severity", "value_at_risk", "expected_shortfall"):
            limits = interval(row[name + "_low"], row[name + "_high"], "money")
            cells.append(number(row[name], "money") + (f" ({limits})" if limits != "n/a" else ""))
        if row["is_reference"]:
            cells += ["", ""]
        else:
            cells.append(f"{interval(row['difference_low'], row['difference_high'], 'money', signed=True)}")
            cells.append(f"{number(chance['pairing_ratio'], 'count')} / {number(chance['least_pairing_ratio'], 'count')}")
        rows.append(cells)
    head = [
        ("policy", False),
        ("P(systemic)", True),
        ("mean loss given a cascade", True),
        ("loss exceeded in 5 %", True),
        ("mean of the worst 5 %", True),
    ]
    head += [("change of the last, 95 %", True), ("paired / unpaired, least", True)]
    caption = f"Tails of the total loss under {plain(world)}, USD bn, with 95 % intervals (Wilson; t; bootstrap). Last column: standard error on "
    return ShownTable(caption + "P(systemic) as paired over unpaired, beside the least attainable at the two probabilities.", head, rows)


def scoreboard(study: Study, world: str) -> Figure:
    """Change of five outcomes by policy, paired 95 % intervals; filled where the corrected claim holds."""
    order = ranked(study, world)
    if not order:
        return style.empty_figure(headline(study), "There is no policy to compare.")
    names = [name for name in PANELS if len(of(study, world, name))]
    height = 1.75 + 0.27 * len(order)
    note = f"Change against {plain(study.facts['current'])} on the same draws, 95 % paired intervals. Filled: distinguishable from zero after "
    note += "correction over all policies. Blue: better, orange: worse."
    wide = 10.4
    figure, top = style.new_figure(_best(study, world), note, width=wide, height=height)
    left, gap = label_room([plain(policy) for policy in order], wide), 0.012
    width = (0.985 - left) / len(names)
    at = np.arange(len(order))[::-1]
    for place, name in enumerate(names):
        axes = figure.add_axes((left + place * width + gap, 0.5 / height, width - 2 * gap, top - 0.5 / height - 0.24 / height))
        rows = of(study, world, name).loc[order]
        words, kind = outcome_words(name)
        scale = factor(kind)
        good = GOOD.get(name, -1) * rows["difference"].to_numpy() > 0
        colours = np.where(good, style.BLUE, style.VERMILLION)
        colours = np.where(rows["difference"].to_numpy() == 0.0, style.MUTED, colours)
        axes.axvline(0.0, color=style.MUTED, linewidth=0.9)
        axes.hlines(at, rows["difference_low"] * scale, rows["difference_high"] * scale, color=colours, linewidth=2.0, alpha=0.55)
        fill = np.where(rows["told"].to_numpy(), colours, "white")
        axes.scatter(rows["difference"] * scale, at, s=26, facecolor=fill.tolist(), edgecolor=colours.tolist(), linewidth=1.2, zorder=3)
        words = words.replace("probability of a systemic cascade", "P(systemic)").replace("mean employment", "employment")
        axes.set_title(sentence_case(words), loc="left", color=style.INK, fontsize=8.4)
        axes.set_xlabel(unit(kind, True) or "index")
        axes.set_ylim(-0.6, len(order) - 0.4)
        axes.locator_params(axis="x", nbins=2)
        axes.set_yticks(at, [plain(policy) for policy in order] if place == 0 else [])
        axes.tick_params(axis="y", labelcolor=style.INK)
        axes.grid(axis="y", visible=False)
    return figure


def who_pays(study: Study, world: str) -> Figure:
    """Change of the loss of each class by policy: bars to the left are relief, to the right a burden."""
    order = ranked(study, world)
    if not order:
        return style.empty_figure("Who pays", "There is no policy to compare.")
    moved = {name: of(study, world, name).loc[order, "difference"].to_numpy() for name in BEARERS}
    burden = {policy: sum(max(float(moved[name][place]), 0.0) for name in BEARERS) for place, policy in enumerate(order)}
    costly = max(burden, key=lambda policy: burden[policy])
    payer = max(BEARERS, key=lambda name: moved[name][order.index(costly)])
    if burden[costly] > 0.05:
        title = f"Under {plain(world)}, {plain(costly)} puts the largest burden on one class: "
        title += f"{BEARERS[payer][0]} lose USD {number(float(moved[payer][order.index(costly)]), 'money')} bn more"
    else:
        title = f"Under {plain(world)}, no policy costs any class of claimants more than USD 0.05 bn"
    height = 1.75 + 0.27 * len(order)
    note = "Change of each class's mean loss against the current rules, USD bn; left of zero: relief, right: burden."
    figure, top = style.new_figure(title, note, width=9.0, height=height)
    top = style.colour_key(figure, [(words, colour) for words, colour in BEARERS.values()], top, 9.0)
    left_share = label_room([plain(policy) for policy in order], 9.0)
    axes = figure.add_axes((left_share, 0.5 / height, 0.97 - left_share, top - 0.5 / height))
    at = np.arange(len(order))[::-1].astype(float)
    right, left = np.zeros(len(order)), np.zeros(len(order))
    for name, (_, colour) in BEARERS.items():
        up, down = np.maximum(moved[name], 0.0), np.minimum(moved[name], 0.0)
        axes.barh(at, up, 0.7, left=right, color=colour)
        axes.barh(at, down, 0.7, left=left, color=colour)
        right, left = right + up, left + down
    axes.axvline(0.0, color=style.INK, linewidth=0.9)
    axes.set_yticks(at, [plain(policy) for policy in order])
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_xlabel("change of the mean loss, USD bn")
    axes.use_sticky_edges = False
    axes.margins(x=0.03)
    axes.grid(axis="y", visible=False)
    return figure


def figures(study: Study) -> Mapping[str, tuple[Callable[[Study], Figure], str]]:
    """Two figures a world."""
    found: dict[str, tuple[Callable[[Study], Figure], str]] = {}
    several = len(study.facts["worlds"]) > 1
    for world in study.facts["worlds"]:
        after = f"_{world.replace('+', '_')}" if several else ""
        reading = "A policy is ranked by one outcome; read its whole line, because a smaller bust may be paid for by a smaller boom."
        found[f"policies{after}"] = (partial(scoreboard, world=world), reading)
        found[f"who_pays{after}"] = (partial(who_pays, world=world), "Bars that stand on both sides of zero move a loss from one class to another.")
    return found


TELLER = Teller(headline, findings, shown, figures)
