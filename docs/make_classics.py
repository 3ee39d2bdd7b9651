"""Runs the economies of classic papers and writes the figures and tables of docs/classics: `python docs/make_classics.py [NAME ...]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt
from scipy.stats import kurtosis, skew

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from scenarios.classics.holdings import holdings_economy  # noqa: E402
from scenarios.classics.menu import classic_economy  # noqa: E402
from scenarios.loading import load_economy  # noqa: E402
from simulator.engine.model import ContagionModel  # noqa: E402
from simulator.networks.thresholds import contagion_window  # noqa: E402

PAGES = Path(__file__).parent / "classics"
CASES = ROOT / "tests" / "published" / "data"
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"  # Okabe and Ito: told apart by colour-blind readers
DEGREES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.5, 8.0, 8.5, 9.0, 10.0)
DRAWS = 100


def run(economy: Any, months: int = 1, **options: Any) -> ContagionModel:
    """One run of the engine."""
    return ContagionModel(economy, horizon_months=months, mesa_agents=False, **options).run()


def failed(model: ContagionModel, kind: str) -> np.ndarray:
    """Which agents of a kind have failed in the first replication."""
    return np.asarray(model.books["alive"][model.books.rows[kind], 0] < 1.0)


def interval(share: float, count: int) -> float:
    """Half width of a 95 % Wilson interval, about."""
    return float(1.96 * np.sqrt(max(share * (1 - share), 0.25 / count) / count))


def extents(degree: float, draws: int, banks: int = 1000) -> np.ndarray:
    """Share of banks that fail in each of some drawn networks, two in an economy."""
    seeds = range(1, draws // 2 + 1)
    parameters = [{"degree": degree, "networks": 2, "banks": banks, "seed": seed} for seed in seeds]
    return np.concatenate([failed(run(classic_economy("interbank_gai_kapadia", each)), "lender").reshape(2, -1).mean(axis=1) for each in parameters])


def interbank_gai_kapadia() -> dict[str, Any]:
    """Frequency and extent of contagion by average degree, next to the reference runs of file 06."""
    case = next(c for c in json.loads((CASES / "gai_kapadia_watts.json").read_text()) if c["id"] == "gk_monte_carlo_curve_N1000")
    reference = {row["z"]: row for row in case["expected"]["rows"]}
    rows = []
    for degree in DEGREES:
        sizes = extents(degree, DRAWS)
        wide = sizes[sizes > 0.05]
        rows.append({
            "degree": degree, "frequency": wide.size / sizes.size, "extent": float(wide.mean()) if wide.size else None,
            "reference_frequency": reference[degree]["frequency_tie_defaults"], "reference_extent": reference[degree]["extent_tie_defaults"],
            "allowed": 4 * interval(reference[degree]["frequency_tie_defaults"], DRAWS) / 1.96,
        })  # fmt: skip
    low, high = contagion_window(0.04, 0.2)
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    at = [row["degree"] for row in rows]
    every = sorted(reference)
    axes.axvspan(low, high, color="#EEEEEE", zorder=0)
    axes.text((low + high) / 2, 1.06, f"window in theory: {low:.2f} to {high:.2f}", ha="center", color=GREY, fontsize=9)
    axes.plot(every, [reference[z]["frequency_tie_defaults"] for z in every], color=BLUE, label="frequency, systemicrisk (500 draws)")
    pairs = [(z, reference[z]["extent_tie_defaults"]) for z in every if reference[z]["extent_tie_defaults"] is not None]
    axes.plot(*zip(*pairs, strict=True), color=ORANGE, ls="--", label="extent, systemicrisk")
    bars = [interval(row["frequency"], DRAWS) for row in rows]
    axes.errorbar(at, [row["frequency"] for row in rows], bars, fmt="o", color=BLUE, capsize=3, label=f"frequency, engine ({DRAWS} draws, 95 %)")
    some = [row for row in rows if row["extent"] is not None]
    axes.plot([row["degree"] for row in some], [row["extent"] for row in some], "D", color=ORANGE, mfc="white", label="extent, engine")
    axes.set(
        xlabel="average degree (borrowers of a bank)", ylabel="share (of draws; of banks)", ylim=(-0.03, 1.12), xlim=(0, 10.2),
        title="Contagion needs some links and dies of many: rare at degree 8, yet then total",
    )  # fmt: skip
    axes.legend(loc="lower center", fontsize=8, frameon=False, bbox_to_anchor=(0.43, 0.04))
    save(figure, "interbank_gai_kapadia")
    lines = ["| average degree | frequency, systemicrisk | frequency, engine | extent, systemicrisk | extent, engine |", "|--:|--:|--:|--:|--:|"]
    for row in rows:
        wide_shares = ["" if row[key] is None else f"{row[key]:.3f}" for key in ("reference_extent", "extent")]
        lines.append(f"| {row['degree']:g} | {row['reference_frequency']:.3f} | {row['frequency']:.3f} | {wide_shares[0]} | {wide_shares[1]} |")
    table("interbank_gai_kapadia", lines)
    return {"rows": rows, "window": [low, high], "draws": DRAWS}


def amplification(shock: float, impact: float, seeds: range) -> tuple[float, float]:
    """First loss and mark-downs of opening holdings at the last prices, over the first loss; share of banks that fail. Means over draws."""
    found = []
    for seed in seeds:
        economy = classic_economy("interbank_cont_schaanning", {"shock": shock, "impact": impact, "seed": seed})
        model = run(economy)
        banks = economy.rows("investor")
        direct = float((economy.values["other_assets"][banks] * shock / (1 - shock)).sum())
        held = np.zeros(economy.size)
        np.add.at(held, economy.stakes.holder, economy.stakes.value * (1 - model.books["share_price"][economy.stakes.issuer, 0]))
        found.append((1 + (held[banks].sum()) / direct, failed(model, "investor").mean()))
    mean = np.array(found).mean(axis=0)
    return float(mean[0]), float(mean[1])


def interbank_cont_schaanning() -> dict[str, Any]:
    """Amplification and failures against impact and shock."""
    impacts, shocks, seeds = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5), (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08), range(1, 13)
    by_impact = {shock: [amplification(shock, impact, seeds) for impact in impacts] for shock in (0.02, 0.04, 0.06)}
    by_shock = {impact: [amplification(max(shock, 1e-6), impact, seeds) for shock in shocks] for impact in (0.0, 0.05, 0.2)}
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.0), layout="constrained")
    for (shock, points), color, marker in zip(by_impact.items(), (BLUE, ORANGE, GREEN), "osD", strict=True):
        left.plot(impacts, [point[0] for point in points], color=color, marker=marker, label=f"shock {100 * shock:g} %")
    for (impact, points), color, marker in zip(by_shock.items(), (BLUE, ORANGE, GREEN), "osD", strict=True):
        right.plot(100 * np.array(shocks), [100 * point[1] for point in points], color=color, marker=marker, label=f"impact {impact:g}")
    left.set(xlabel="impact λ (log fall of a price when all of a class is sold)", ylabel="all mark-downs / first loss", title="Amplification")
    right.set(xlabel="shock to illiquid assets, %", ylabel="banks that fail, %", title="Failures", ylim=(-3, 103))
    left.legend(frameon=False)
    right.legend(frameon=False)
    figure.suptitle("Shallow markets turn a loss that each bank could bear into the failure of most")
    save(figure, "interbank_cont_schaanning")
    lines = ["| shock | " + " | ".join(f"λ = {impact:g}" for impact in impacts) + " |", "|--:|" + "--:|" * len(impacts)]
    lines += [
        f"| {100 * shock:g} % | " + " | ".join(f"{point[0]:.2f}, {100 * point[1]:.0f} %" for point in points) + " |"
        for shock, points in by_impact.items()
    ]
    table("interbank_cont_schaanning", lines)
    return {
        "impacts": impacts, "shocks": shocks, "economies": len(seeds), "by_impact": {str(k): v for k, v in by_impact.items()},
        "by_shock": {str(k): v for k, v in by_shock.items()},
    }  # fmt: skip


def growth(leverage: float, replications: int = 60, months: int = 120, **options: Any) -> dict[str, Any]:
    """Monthly growth of all sales, and who fails, in the credit network."""
    economy = classic_economy("credit_network_accelerator", {"leverage": leverage})
    model = ContagionModel(economy, horizon_months=months, mesa_agents=False, replications=range(replications), **options)
    sales = []
    for _ in range(months):
        model.step()
        sales.append((model.books["outside_sales"] + model.books["chip_sales"] / 12.0).sum(axis=0))
    moves = np.diff(np.log(np.array(sales)[6:]), axis=0).ravel()
    dead = model.books["alive"] < 1.0
    firms = np.concatenate([dead[model.books.rows[kind]] for kind in ("hyperscaler", "chipmaker")])
    by_run = firms.mean(axis=0)
    largest = max((int(np.bincount(entry[1].column).max()) for entry in model.recorder.events), default=0)
    return {
        "leverage": leverage, "firms": float(by_run.mean()), "firms_half_width": float(1.96 * by_run.std() / np.sqrt(replications)),
        "banks": float(dead[model.books.rows["lender"]].mean()), "skewness": float(skew(moves)), "excess_kurtosis": float(kurtosis(moves)),
        "largest_month": largest, "moves": moves,
    }  # fmt: skip


def credit_network_accelerator() -> dict[str, Any]:
    """Bankruptcies and growth by leverage, and the spread channel on and off under the same shock."""
    rows = [growth(leverage) for leverage in (0.3, 0.4, 0.5, 0.6, 0.65, 0.7)]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.0), layout="constrained")
    at = [row["leverage"] for row in rows]
    left.errorbar(at, [100 * row["firms"] for row in rows], [100 * row["firms_half_width"] for row in rows], color=BLUE, marker="o", label="firms")
    left.plot(at, [100 * row["banks"] for row in rows], color=ORANGE, marker="s", label="banks")
    left.set(xlabel="debt / assets at the start", ylabel="bankrupt within ten years, %", title="Bankruptcies")
    left.legend(frameon=False, loc="upper left")
    for row, color, name in ((rows[2], BLUE, "0.5"), (rows[4], ORANGE, "0.65")):
        scaled = (row["moves"] - row["moves"].mean()) / row["moves"].std()
        density, edges = np.histogram(scaled, bins=np.linspace(-10, 5, 46), density=True)
        keep = density > 0
        right.plot((edges[:-1] + edges[1:])[keep] / 2, density[keep], color=color, marker=".", label=f"debt / assets {name}")
    grid = np.linspace(-5, 5, 200)
    right.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=GREY, ls=":", label="normal")
    right.set(xlabel="monthly growth of all sales, standard deviations", ylabel="density", yscale="log", title="Growth", ylim=(1e-4, 1))
    right.legend(frameon=False)
    figure.suptitle("Leverage makes bankruptcies frequent and gives growth a fat left tail")
    save(figure, "credit_network_accelerator")
    lines = [
        "| debt / assets | firms bankrupt | banks failed | skewness of growth | excess kurtosis | most failures in a month |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['leverage']:g} | {100 * row['firms']:.1f} % ± {100 * row['firms_half_width']:.1f} | {100 * row['banks']:.1f} % "
        f"| {row['skewness']:.2f} | {row['excess_kurtosis']:.1f} | {row['largest_month']} |"
        for row in rows
    ]
    table("credit_network_accelerator", lines)
    return {"rows": [{key: value for key, value in row.items() if key != "moves"} for row in rows]}


def europe() -> list[dict[str, Any]]:
    """The European illustration of the paper: failures by wave for each threshold, as published and by the engine."""
    case = next(c for c in json.loads((CASES / "elliott_golub_jackson.json").read_text()) if c["id"] == "egj_europe_IMB_cascades")
    given = case["inputs"]
    names, dependency, before, now = given["countries"], np.array(given["A"]), np.array(given["p_2008"]), np.array(given["p_2011"])
    rows = []
    for theta in given["thetas"]:
        floor = theta * dependency @ before
        costs = floor / 2
        model = run(holdings_economy(names, [dependency * costs], dependency @ now, floor, costs, "europe"))
        waves: list[list[str]] = []
        if model.recorder.events:
            event = model.recorder.events[0][1]
            first = model.books.rows["investor"].start
            waves = [sorted(names[a - first] for a in event.agent[event.wave == w]) for w in range(int(event.wave.max()) + 1)]
        rows.append({"theta": theta, "published": case["expected"]["hierarchy_by_theta"][str(theta)], "engine": waves})
    return rows


def cross_holdings_elliott() -> dict[str, Any]:
    """Share of organisations that fail, by diversification and by integration."""
    degrees, integrations, many = (0.5, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20), (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9), 20

    def share(**parameters: Any) -> float:
        found = [failed(run(classic_economy("cross_holdings_elliott", {"seed": k, **parameters})), "investor").mean() for k in range(1, many + 1)]
        return float(np.mean(found))

    by_degree = {theta: [share(degree=degree, threshold=theta) for degree in degrees] for theta in (0.9, 0.93, 0.96)}
    by_integration = {degree: [share(degree=degree, integration=c) for c in integrations] for degree in (2, 4, 8)}
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.0), layout="constrained")
    for (theta, points), color, marker in zip(by_degree.items(), (BLUE, ORANGE, GREEN), "osD", strict=True):
        left.plot(degrees, 100 * np.array(points), color=color, marker=marker, label=f"threshold {theta:g}")
    for (degree, points), color, marker in zip(by_integration.items(), (BLUE, ORANGE, GREEN), "osD", strict=True):
        right.plot(integrations, 100 * np.array(points), color=color, marker=marker, label=f"degree {degree:g}")
    left.set(xlabel="diversification: others held, on average", ylabel="organisations that fail, %", title="Integration 0.5", ylim=(-3, 103))
    right.set(xlabel="integration: part of each that others hold", ylabel="organisations that fail, %", title="Threshold 0.93", ylim=(-3, 103))
    left.legend(frameon=False)
    right.legend(frameon=False)
    figure.suptitle("One failure spreads furthest at middle diversification and middle integration")
    save(figure, "cross_holdings_elliott")
    states = europe()
    lines = ["| threshold θ | failures by wave, published | failures by wave, engine |", "|--:|---|---|"]
    lines += [f"| {row['theta']:g} | {shown(row['published'])} | {shown(row['engine'])} |" for row in states]
    table("cross_holdings_elliott", lines)
    return {
        "degrees": degrees, "integrations": integrations, "copies": many, "by_degree": {str(k): v for k, v in by_degree.items()},
        "by_integration": {str(k): v for k, v in by_integration.items()}, "europe": states,
    }  # fmt: skip


def shown(waves: list[list[str]]) -> str:
    """Waves as text: members of a wave joined by commas, waves by arrows."""
    return " → ".join(", ".join(sorted(wave)) for wave in waves)


def save(figure: Any, name: str) -> None:
    """The figure as PNG."""
    figure.savefig(PAGES / f"{name}.png", dpi=130)
    plt.close(figure)


def table(name: str, lines: list[str]) -> None:
    """Writes a table between the marks of a page."""
    page = PAGES / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    begin, end = "<!-- table: begin -->", "<!-- table: end -->"
    before, after = text.split(begin)[0], text.split(end)[1]
    page.write_text(before + begin + "\n" + "\n".join(lines) + "\n" + end + after, encoding="utf-8")


MAKERS: dict[str, Callable[[], dict[str, Any]]] = {
    maker.__name__: maker for maker in (interbank_gai_kapadia, interbank_cont_schaanning, credit_network_accelerator, cross_holdings_elliott)
}

if __name__ == "__main__":
    load_economy("three_firms")  # fails early where the checkout is not the one imported
    for name in sys.argv[1:] or MAKERS:
        numbers = MAKERS[name]()
        (PAGES / f"{name}.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
        print(name, "written", flush=True)
