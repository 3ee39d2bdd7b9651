# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1. The loop
#
# A chipmaker takes a stake in an AI lab. The lab rents machines from a cloud. The cloud borrows to buy chips from the chipmaker.
# Everybody's revenue is somebody else's spending, and part of it is the seller's own money coming back.
#
# This notebook asks what happens when one link of that loop weakens: first in an economy of three firms that can be followed by
# hand, then in the economy of the United States at the end of 2025. It uses `simulator.api` only. Every number below was computed
# by the cell above it.
#
# Money is in USD billion, rates are decimals, a tick is a month.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from simulator.api import compare, economies, policies, shocks, simulate

REPLICATIONS = 200
SEED = 1

pd.set_option("display.width", 160)
pd.set_option("display.precision", 3)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left"})
plt.rcParams.update({"font.size": 9.5, "axes.titlesize": 10.5, "figure.dpi": 80})
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a929b"

print("economies:", ", ".join(economies()))
print("shocks:   ", ", ".join(shocks()))
print("policies: ", ", ".join(policies()))

# %% [markdown]
# ## 1.1 Three firms
#
# `three_firms` has a chipmaker, a cloud and an AI lab, an investor and a bank that fund them, and the sectors that every economy
# has (households, government, central bank, short sellers, a utility, the rest of the world). Its numbers are round and invented;
# `docs/three_firms.md` goes through one month of it by hand.
#
# `simulate` runs a scenario many times, each time with different luck. `record="agents"` keeps every agent's columns in every
# month.

# %%
calm = simulate("three_firms", "none", replications=REPLICATIONS, seed=SEED, record="agents")
calm.network["ties"]

# %% [markdown]
# These are the contracts at the start, so far as they have an amount. Supply ties without an amount (the cloud buys all its chips
# from the chipmaker) are not in the list. Drawn as a picture, with the chip purchase added, they close into a ring:

# %%
SPOTS = {"chipmaker": (0.0, 1.0), "lab": (0.95, -0.6), "cloud": (-0.95, -0.6), "investor": (2.1, 0.75), "bank": (-2.1, 0.75)}
WORDS = {
    "stake": "holds a stake of {:g} in",
    "order": "has ordered for {:g} from",
    "loan": "has lent {:g} to",
    "guarantee": "guarantees {:g} of",
}
BENDS = {("chipmaker", "cloud"): 0.35, ("bank", "investor"): -0.3}


def draw_loop(ties):
    """The firms of the loop and their contracts, an arrow a contract."""
    axes = plt.figure(figsize=(8.2, 4.2)).add_axes((0.0, 0.0, 1.0, 0.92))
    shown = ties[ties["from_agent"].isin(SPOTS) & ties["to_agent"].isin(SPOTS)]
    arrows = [(row.from_agent, row.to_agent, WORDS[row.type].format(row.amount)) for row in shown.itertuples()]
    arrows.append(("cloud", "chipmaker", "buys its chips from"))
    for number, (start, end, words) in enumerate(arrows):
        bend = BENDS.get((start, end), 0.0)
        (x, y), (to_x, to_y) = SPOTS[start], SPOTS[end]
        in_ring = {start, end} <= {"chipmaker", "lab", "cloud"} and "guarantees" not in words
        colour = ORANGE if in_ring else GREY
        look = {"arrowstyle": "-|>", "color": colour, "lw": 2.0 if in_ring else 1.1, "shrinkA": 26, "shrinkB": 26}
        axes.annotate("", (to_x, to_y), (x, y), arrowprops={**look, "connectionstyle": f"arc3,rad={bend}"})
        length = np.hypot(to_x - x, to_y - y)
        side = 0.5 * bend * length
        middle = (0.5 * (x + to_x) + side * (to_y - y) / length, 0.5 * (y + to_y) - side * (to_x - x) / length)
        axes.text(*middle, words, ha="center", va="center", fontsize=8.2, color=colour, zorder=3 + number,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2})  # fmt: skip
    for name, (x, y) in SPOTS.items():
        axes.text(x, y, name, ha="center", va="center", fontsize=11, fontweight="bold", zorder=30,
                  bbox={"boxstyle": "round,pad=0.45", "facecolor": "#f2f4f6", "edgecolor": GREY})  # fmt: skip
    axes.set_xlim(-2.7, 2.7)
    axes.set_ylim(-0.85, 1.5)
    axes.axis("off")
    axes.set_title("The loop (orange) and who funds it (grey), USD bn at the start")


draw_loop(calm.network["ties"])

# %% [markdown]
# ## 1.2 One replication, month by month
#
# A *replication* is one draw of luck: how demand turns out, what the share market does. Here is the lab in replication 0. It sells
# (`outside_sales`), pays its running cost (`operating_bill`) and its compute contract, and lives on its cash and on new shares.

# %%
lab = calm.agents.query("agent == 'lab' and replication == 0").set_index("tick")
lab.loc[[0, 1, 2, 11, 23, 35, 47, 59], ["outside_sales", "operating_bill", "cash", "shares", "share_price"]]

# %% [markdown]
# A growing number in `shares` is a lab that issues. Whether it can go on doing so is not a fact of nature: investors' readiness to
# buy new shares rises with expected growth and with last year's return of AI shares, and it dries up when they turn.

# %% [markdown]
# ## 1.3 One link weakens
#
# In the shock `demand_shortfall` customers pay less for AI than expected, from July 2026 on. We run it with the same seed.
# Replication 7 then has the same luck in both runs, so the difference between the two is the shock's and nobody else's.

# %%
weak = simulate("three_firms", "demand_shortfall", replications=REPLICATIONS, seed=SEED, record="agents")
LINKS = {
    ("lab", "outside_sales"): "lab: sales to its customers",
    ("lab", "cash"): "lab: cash",
    ("cloud", "planned_investment"): "cloud: investment",
    ("chipmaker", "share_price"): "chipmaker: share price",
    ("investor", "book_net_worth"): "investor: net worth",
    ("cloud", "share_price"): "cloud: share price",
}


def monthly(run, agent, column):
    """Values by replication (rows) and month (columns)."""
    rows = run.agents[run.agents["agent"] == agent]
    return rows.pivot(index="replication", columns="tick", values=column).to_numpy()


figure, grid = plt.subplots(2, 3, figsize=(9.4, 4.6), sharex=True)
for axes, ((agent, column), words) in zip(grid.flat, LINKS.items(), strict=True):
    before, after = monthly(calm, agent, column), monthly(weak, agent, column)
    change = 100.0 * (after.mean(axis=0) / before.mean(axis=0) - 1.0)
    axes.axhline(0.0, color=GREY, lw=0.8)
    axes.axvline(6, color=GREY, lw=0.8, ls=":")
    axes.plot(np.arange(1, len(change) + 1), change, color=ORANGE, lw=1.8)
    axes.set_title(words)
for axes in grid[1]:
    axes.set_xlabel("month of the run")
for axes in grid[:, 0]:
    axes.set_ylabel("change, %")
figure.suptitle("What the shortfall changes, against the same luck without it (dotted: it starts)", x=0.02, ha="left", fontsize=11)
figure.tight_layout()

# %% [markdown]
# Follow the panels in the order of the loop. The shock touches the customers of the lab and of the cloud. Everything else in the
# picture is passed on: through prices, through what the cloud then builds, through what the chipmaker then sells. Which panel moves
# first, and which moves most?

# %%
changes = {words: monthly(weak, *key).mean(axis=0) / monthly(calm, *key).mean(axis=0) - 1.0 for key, words in LINKS.items()}
pd.DataFrame({
    "first month off by 2 %": {words: next(iter(np.flatnonzero(np.abs(change) > 0.02) + 1), None) for words, change in changes.items()},
    "largest change, %": {words: 100.0 * change[np.abs(change).argmax()] for words, change in changes.items()},
    "change in the last month, %": {words: 100.0 * change[-1] for words, change in changes.items()},
})

# %% [markdown]
# Does anybody fail of it? `mean` gives an estimate with its 95 % interval.

# %%
for name, run in (("no shock", calm), ("demand shortfall", weak)):
    print(f"{name:18s} defaults in a replication: {run.mean('defaults')}")

# %% [markdown]
# ## 1.4 The United States, end of 2025
#
# `us_ai_2025` is built from sourced tables (`scenarios/data/us_ai_2025`): who lent, sold, leased and guaranteed what to whom. We
# run it with no shock, and with the shock that `make run` uses: the Fed holds its rate, and in autumn 2026 AI labs and used
# accelerators are worth less.

# %%
SHOCK = ["rate_hold", "collateral_devaluation"]
unshocked = simulate("us_ai_2025", "none", replications=REPLICATIONS, seed=SEED)
shocked = simulate("us_ai_2025", SHOCK, replications=REPLICATIONS, seed=SEED, record="ticks")
print("agents:", unshocked.network["nodes"]["kind"].value_counts().to_dict())
print("ties with an amount:", len(unshocked.network["ties"]))

# %% [markdown]
# How likely is it that an agent of each kind defaults within five years? `compare` puts the two runs side by side, replication by
# replication.

# %%
difference = compare(shocked, unshocked)
by_kind = difference.table[difference.table["kind"] != ""].set_index("kind")
SIDES = {"no shock": ("other", "other_low", "other_high"), "shock": ("value", "low", "high"),
         "difference": ("difference", "difference_low", "difference_high")}  # fmt: skip
pd.concat({words: (100.0 * by_kind[list(names)]).set_axis(["%", "from", "to"], axis=1) for words, names in SIDES.items()}, axis=1).round(1)

# %%
order = by_kind.sort_values("value").index
figure, axes = plt.subplots(figsize=(7.6, 3.4))
for shift, colour, words in ((0.14, BLUE, "no shock"), (-0.14, ORANGE, "shock")):
    value, low, high = (100.0 * by_kind.loc[order, name] for name in SIDES[words])
    place = np.arange(len(order)) + shift
    axes.hlines(place, low, high, color=colour, lw=2.2, alpha=0.5)
    axes.plot(value, place, "o", color=colour, ms=5, label=words)
axes.set_yticks(np.arange(len(order)), [f"{kind.replace('_', ' ')} ({unshocked.counts[kind]})" for kind in order])
axes.set_xlim(left=0.0)
axes.set_xlabel("default probability within five years, % (in brackets: agents of the kind)")
axes.legend(frameon=False, loc="lower right")
axes.set_title("Default probabilities with 95 % intervals")
figure.tight_layout()

# %% [markdown]
# Three habits for reading this.
#
# *Look at the run without a shock first.* Default probabilities are not zero there: some of these firms are speculative credits.
#
# *Read the interval of the difference, not the overlap of the two bars.* The two runs share their luck, so the difference is known
# better than either side of it.
#
# *A zero is a bound.* No default in a few hundred replications means "rarer than about one in a hundred", which is what the
# interval says.

# %%
verdict = by_kind.assign(clear=(by_kind["difference_low"] > 0) | (by_kind["difference_high"] < 0))
for kind, row in verdict.iterrows():
    words = "told apart from luck" if row["clear"] else "not told apart from luck"
    print(f"{kind:16s} {100 * row['difference']:+6.1f} points: {words} with {REPLICATIONS} replications")

# %% [markdown]
# ## 1.5 One replication told as a tree
#
# Averages hide how it happens. Take the replication in which most defaults were caused by another agent's. A default is *caused* by
# another agent when the largest loss that led to it came from that agent, who had failed before.

# %%
numbers = shocked.replications.sort_values(["cascade_size", "defaults", "replication"], ascending=[False, False, True])
chosen = int(numbers["replication"].iloc[0])
tree = shocked.cascade(chosen)
print(tree)

# %% [markdown]
# A line without a branch is a firm that failed of its own business or of the shock. An indented line is a firm that failed of the
# one above it. The word in the middle is the way it failed: it could not pay, it owed more than it had, a margin call, or too
# little capital.
#
# Who bore the losses in that replication, and through which channel?

# %%
names = shocked.names
lost = shocked.losses[shocked.losses["replication"] == chosen]
top = lost.groupby(["from_agent", "to_agent", "channel"], as_index=False)["amount"].sum().nlargest(10, "amount")
top.assign(from_agent=top["from_agent"].map(names), to_agent=top["to_agent"].map(names)).round(1)

# %% [markdown]
# How typical is it? The picture shows all replications: how many defaults, and how many of them were passed on.

# %%
figure, axes = plt.subplots(figsize=(7.6, 3.0))
top_count = int(max(shocked.replications["defaults"].max(), unshocked.replications["defaults"].max()))
edges = np.arange(-0.5, top_count + 1.5)
for run, colour, words in ((unshocked, BLUE, "no shock"), (shocked, ORANGE, "shock")):
    axes.hist(run.replications["defaults"], bins=edges, histtype="step", color=colour, lw=1.8, label=words)
axes.axvline(tree.graph().number_of_nodes(), color=GREY, ls=":", lw=1.2)
axes.text(tree.graph().number_of_nodes(), axes.get_ylim()[1], " the one told above", va="top", fontsize=8.5, color=GREY)
axes.set_xlabel("defaults in a replication")
axes.set_ylabel("replications")
axes.legend(frameon=False)
axes.set_title("Defaults in a replication")
figure.tight_layout()
print("some contagion:   no shock", unshocked.probability("cascade_size"))
print("                  shock   ", shocked.probability("cascade_size"))
print("systemic cascade: no shock", unshocked.probability("systemic"))
print("                  shock   ", shocked.probability("systemic"))

# %% [markdown]
# *Systemic* has a fixed meaning: within twelve months, agents of at least three kinds default, with at least a tenth of all
# modelled debt. It was fixed before anyone saw results, and `configs/config.yaml` holds it.

# %% [markdown]
# ## 1.6 Would a policy have changed it?
#
# Every policy of the menu under the same shock and the same luck. The difference to `current_rules` is then the policy's.

# %%
answers = {}
for name in policies():
    if name != "current_rules":
        answers[name] = compare(simulate("us_ai_2025", SHOCK, name, replications=REPLICATIONS, seed=SEED), shocked)

MEASURES = {
    "defaults": ("defaults", 1.0),
    "defaulted_debt_share": ("defaulted debt, % of all", 100.0),
    "credit_loss": ("credit loss, USD bn", 1.0),
    "fiscal_cost": ("fiscal cost, USD bn", 1.0),
}
figure, grid = plt.subplots(1, len(MEASURES), figsize=(10.2, 2.9), sharey=True)
for axes, (measure, (words, factor)) in zip(grid, MEASURES.items(), strict=True):
    for place, answer in enumerate(answers.values()):
        estimate = answer.difference(measure)
        clear = estimate.excludes_zero
        axes.hlines(place, factor * estimate.low, factor * estimate.high, color=ORANGE if clear else GREY, lw=2.4, alpha=0.6)
        axes.plot(factor * estimate.value, place, "o", color=ORANGE if clear else GREY, ms=5)
    axes.axvline(0.0, color="black", lw=0.8)
    axes.set_title(words)
grid[0].set_yticks(np.arange(len(answers)), [name.replace("_", " ") for name in answers])
title = "Change against current rules, same shock, same luck (orange: the 95 % interval leaves out zero)"
figure.suptitle(title, x=0.02, ha="left", fontsize=11)
figure.tight_layout()

# %% [markdown]
# What did sharing the luck buy? The same interval, had the two runs been drawn apart, would have been this many times as wide:

# %%
rows = {name: answer.row("defaulted_debt_share") for name, answer in answers.items()}
pd.DataFrame({
    "paired, points": {name: 100.0 * (row["difference_high"] - row["difference_low"]) for name, row in rows.items()},
    "drawn apart, points": {name: 100.0 * row["unpaired_width"] for name, row in rows.items()},
}).assign(times=lambda table: table["drawn apart, points"] / table["paired, points"]).round(2)

# %% [markdown]
# ## 1.7 What the numbers do not say
#
# - The intervals are over luck only. They don't hold the doubt about the tables and about the rules. `docs/model.md` lists every
#   constant with a range; moving one across its range can move a result by more than any interval here.
# - `total_loss` is gross. A stake that falls by 10 because of what others did, and rises by 10 later, counts as a loss of 10; and a
#   world with higher share prices has more to lose. Use it within one scenario, by channel; use defaults and credit losses across
#   scenarios.
# - A loss by channel is bookkeeping: who passed it on, and how. What would have happened without the channel is another question:
#   run again with `channels={"margin": False}`.
# - A default of a firm in this model is not a forecast for the firm of that name. Its tables are public figures and assumptions as
#   of the end of 2025; what its managers, lenders and governments would do in a crisis is a rule of a few lines.
# - Policies are judged inside the model: nobody games the leverage cap, nobody expects the bail-out.

# %% [markdown]
# ## Exercises
#
# 1. Run section 1.3 with `lab_funding_stop` instead. Which of the six panels move now, and why those? Then run it in `us_ai_2025`:
#    who needs new shares more?
# 2. Switch a channel off: `simulate("us_ai_2025", SHOCK, channels={"equity": False}, ...)`. Compare defaults, not `total_loss`.
#    Which channel matters most?
# 3. Order the default probabilities of `rate_cut`, no shock and `rate_hike` for clouds. Are they in the order you expected? Are the
#    differences told apart from luck?
# 4. Take the tree of section 1.5 and look up the loan that passed the largest loss in `scenarios/data/us_ai_2025/loans.csv`. Is its
#    amount sourced or assumed?
# 5. Write a shock of your own in six lines of YAML (see `README.md`), put it into `my_menu/shock/`, and run it with `simulate(...,
#    config_dir="my_menu")`.
# 6. Double `REPLICATIONS`. Which statements of this notebook change, and which only get narrower intervals?
