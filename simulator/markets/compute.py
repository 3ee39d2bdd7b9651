"""Chips, capacity and power: what is ordered, delivered, built and switched on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.ledger.books import Books
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import total
from simulator.networks.incidence import Incidence

Array = NDArray[np.float64]

OBSOLESCENCE = 0.25  # yearly fall of the resale value of accelerators with new generations (rental prices fell faster; 0.15-0.45)
QUEUE_MONTHS = 9.0  # what waits this month stands for this many months of building
SALES_MEMORY = 1.0 / 6.0


class ComputeMarket:
    """Static masks of the order book, and the stages *trade* (invoices) and *build*."""

    def __init__(self, books: Books) -> None:
        orders = books.orders
        good = orders.static["good"]
        committed = orders.static["amount"] > 0.0
        buyer_kind = np.array(books.economy.kinds)[orders.debtor]
        is_chips = good == "chips"
        self.is_chip_tie = (is_chips & ~committed)[:, None].astype(np.float64)
        self.is_power_tie = ((good == "power") & ~committed)[:, None].astype(np.float64)
        self.is_chips = is_chips[:, None].astype(np.float64)
        self.buyer_makes_chips = (buyer_kind == "chipmaker")[:, None].astype(np.float64)
        self.supply_share = orders.supply_share
        self.of_clouds = orders.some(np.flatnonzero(good == "cloud"))
        of_chips, makes_chips = is_chips & ~committed, buyer_kind == "chipmaker"
        self.ties = [  # supply ties on spending on chips, on parts and on power
            orders.some(np.flatnonzero(mask)) for mask in (of_chips & ~makes_chips, of_chips & makes_chips, (good == "power") & ~committed)
        ]
        bought_by = self.ties[0].debtors
        self.buyers_of_chips = slice(bought_by[0], bought_by[-1] + 1) if len(bought_by) else slice(0, 0)  # from the first to the last
        self.powered = np.zeros(0, dtype=np.int64)  # who may own capacity that draws power, set at the opening
        self.capital_goods = self.is_chips * (1.0 - self.buyer_makes_chips)  # chips that become the buyer's capacity
        is_capital = is_chips & ~makes_chips
        self.capital, self.committed = (orders.some(np.flatnonzero(mask)) for mask in (is_capital, committed))
        self.committed_clouds, self.committed_labs, self.committed_capital = (
            orders.some(np.flatnonzero(committed & mask)) for mask in (good == "cloud", buyer_kind == "ai_lab", is_capital)
        )
        self.of_makers = orders.some(np.flatnonzero(of_chips | (is_chips & committed) | ((good == "power") & ~committed)))  # of chips, parts, power
        self.makers = self.of_makers.holders
        # Sums of some orders out of all of them: nothing is copied out first.
        self.maker_matrix = Incidence(self.of_makers.holder_places, len(self.makers), self.of_makers.rows, orders.count)
        self.capital_matrix = Incidence(self.capital.debtor, books.agents, self.capital.rows, orders.count)
        self.cloud_matrix = Incidence(self.of_clouds.holder, books.agents, self.of_clouds.rows, orders.count)

    def planned(self, books: Books) -> Array:
        """Deliveries of the ``committed`` orders planned for this tick between living parties, USD bn, ``(n, R)``."""
        alive, some = books["alive"], self.committed
        planned = books.order_schedule.due(books.tick, books.orders, some.rows)
        planned *= some.of_holder(alive)
        planned *= some.of_debtor(alive)
        return planned

    def contracted(self, books: Books) -> tuple[Array, Array]:
        """Contracted cloud sales now (yearly rate) and over the coming year, USD bn, by the sellers ``committed_clouds.holders``, ``(n, R)``."""
        orders, some = books.orders, self.committed_clouds
        both = some.of_holder(books["alive"]) * some.of_debtor(books["alive"])
        plan = books.order_schedule
        if plan.is_stretched:
            both *= np.minimum(orders.pace[some.rows], 1.0)
        remaining = orders.remaining[some.rows]
        now = some.by_holders(np.minimum(plan.planned[books.tick][some.rows], remaining) * both) * books.ticks_per_year
        return now, some.by_holders(np.minimum(plan.next_year(books.tick)[some.rows], remaining) * both)

    def committed_chips(self, planned: Array) -> Array:
        """Chips in what is ``planned (n, R)`` of committed orders for this tick, by the buyers ``committed_capital.debtors``, USD bn, ``(n, R)``."""
        return self.committed_capital.by_debtors(planned[self.committed.places(self.committed_capital.rows)])

    def order_bills(self, planned: Array) -> Array:
        """Bills of committed orders as ``planned (n, R)``, by the buyers ``committed.debtors``, USD bn, ``(n, R)``."""
        return self.committed.by_debtors(planned * (1.0 - self.capital_goods[self.committed.rows]))

    def invoices(self, books: Books, planned: Array, investment: Array) -> Array:
        """What is invoiced this tick, USD bn, ``(O, R)``.

        Committed orders: what is ``planned (n, R)``, as far as the seller's capacity serves it and the (lab) buyer calls it. Ties: the supplier's
        share of the buyer's spending on chips, parts or power.
        """
        invoiced: Array = np.zeros_like(books.orders.remaining)
        invoiced[self.committed.rows] = self.served(books, self.called(books, planned))
        buyers, alive = self.buyers_of_chips, books["alive"]
        free = np.maximum(investment[buyers] * books["chips_share"][buyers] - books["committed_chips"][buyers], 0.0)
        of_chips, of_parts, of_power = self.ties
        on_chips = np.take(free, of_chips.debtor - buyers.start, axis=0)
        spent_on = on_chips, of_parts.of_debtor(books["parts_spending"]), of_power.of_debtor(books["power_spending"])
        for ties, bought in zip(self.ties, spent_on, strict=True):
            bought *= ties.of_debtor(alive)
            bought *= self.supply_share[ties.rows]
            bought *= ties.of_holder(alive)
            invoiced[ties.rows] = bought
        return invoiced

    def deliver(self, books: Books, invoices: Array) -> Array:
        """Take what is invoiced, ``invoices (O, R)``, from what remains of committed orders; returns the capital goods in it by buyer, ``(N, R)``."""
        rows, remaining = self.committed.rows, books.orders.remaining
        remaining[rows] = np.maximum(remaining[rows] - invoices[rows], 0.0)
        return self.capital_matrix @ invoices

    def backlog(self, books: Books) -> Array:
        """What remains of all committed orders, USD bn, ``(1, R)``."""
        return total(books.orders.remaining[self.committed.rows])

    def remaining_by_buyer(self, books: Books) -> Array:
        """What remains of committed orders by buyer, USD bn, ``(N, R)``."""
        return self.committed.by_debtor(books.orders.remaining[self.committed.rows])

    def of_cloud(self, invoices: Array) -> Array:
        """What of ``invoices (O, R)`` is for cloud services, by seller, ``(N, R)``."""
        return self.cloud_matrix @ invoices

    def called(self, books: Books, planned: Array) -> Array:
        """What is planned ``(n, R)`` of committed orders as far as buyers call it: labs may delay."""
        called = planned.copy()
        called[self.committed.places(self.committed_labs.rows)] *= self.committed_labs.of_debtor(books["order_share_taken"])
        return called

    def served(self, books: Books, called: Array) -> Array:
        """What is called ``(n, R)`` of committed orders, as far as the capacity of sellers of cloud services serves it."""
        served = called.copy()
        served[self.committed.places(self.committed_clouds.rows)] *= self.committed_clouds.of_holder(books["delivery"])
        return served

    def build(self, books: Books, ledger: Ledger) -> None:
        """Switch on what is built, as far as power is connected; wear and new chip generations take their part."""
        columns = books.columns
        ready = columns["finished_building"]
        utilities = books.rows["utility"]
        has_grid = utilities.stop > utilities.start
        connected = ledger.sum(columns["newly_connected"][utilities]) if has_grid else np.full_like(books.series["power_queue"], 1e9)
        spare = books.series["power_spare"] + connected
        powered = self.powered
        need, waiting = columns["power_needed_per_capacity"][powered], ready[powered]
        wanted = ledger.sum(waiting * need) + 0.0 * spare
        share = np.minimum(1.0, spare / np.maximum(wanted, 1e-9))
        books.series["power_share"] = share
        switched_share = books.series_through("power", "power_share")
        switched = ready.copy()
        switched[powered] = waiting * np.maximum(switched_share, need <= 0.0)  # what needs no power is switched on whole
        retired = ledger.sum(columns["capacity"][powered] * columns["depreciation_rate"][powered] * need) * books.years_per_tick
        books.series["power_spare"] = np.maximum(spare - wanted * share + retired, 0.0)
        books.series["power_queue"] = wanted * (1.0 - share) * QUEUE_MONTHS
        books["power_online"][utilities] += columns["newly_connected"][utilities]
        worn = columns["wear"]
        fresh = switched / np.maximum(columns["capacity"] - worn + switched, 1e-9)
        aged = columns["resale_value"] * (1.0 - OBSOLESCENCE * books.levers["accelerators.ageing"] * books.years_per_tick)
        ledger.set_column("resale_value", np.clip(aged + fresh * (1.0 - aged), 0.02, 1.0))
        ledger.change_stock("capacity", -worn)
        ledger.swap("construction", "capacity", switched)

    def note_sales(self, books: Books, ledger: Ledger, invoices: Array) -> None:
        """Smooth chip and parts sales by seller, yearly, and the part of all invoices that came from firms the seller funds."""
        sales = self.maker_matrix @ invoices
        sales *= books.ticks_per_year
        known = books["chip_sales"][self.makers]
        ledger.set_column("chip_sales", known + SALES_MEMORY * (sales - known), self.makers)
        every = ledger.sum(invoices)
        circular = invoices[np.flatnonzero(books.is_circular[:, 0])]
        books.series["circular_revenue_share"] = ledger.sum(circular) / np.maximum(every, 1e-9)


def ship_new_generation(books: Books, ledger: Ledger, before: Array, now: Array) -> None:
    """A new chip generation: accelerators in service lose the part ``now`` of their resale value, of which ``before`` had gone; nothing comes back.

    Machines bought later enter at full value (`ComputeMarket.build`). No posting: book values follow book life, resale value economic life, and the
    gap is what lenders lose. Source: creative destruction of installed capital as embodied technical change, [greenwood_hercowitz1997].
    """
    lost = np.maximum(now - before, 0.0) / (1.0 - before)
    ledger.set_column("resale_value", np.maximum(books["resale_value"] * (1.0 - lost), 0.02))
