"""Rules of supervisors for lending and collateral, each moved by a lever and inert at its neutral value.

What the rules of lenders and firms decide for themselves (buffers, stress tests) stands in agents/; here is what acts between them: haircuts
that all lenders share, caps that bind the lenders of some jurisdictions only, what disclosure shows, and repayment ahead of time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from simulator.ledger.books import Books
from simulator.ledger.contracts import Selection
from simulator.ledger.postings import Ledger
from simulator.ledger.sums import total

Array = NDArray[np.float64]

NORMAL_VOLATILITY = 0.3  # yearly, of AI shares, from which haircuts that follow volatility rise (model's own in calm times; 0.25-0.4)
VOLATILITY_MEMORY = 0.8  # weight of the past in a month ([riskmetrics1996] uses 0.97 for monthly data; a shorter memory reacts; 0.6-0.97)
MOVED_ELSEWHERE = 0.5  # part of what a rule makes lenders refuse that is asked of others ([aiyar_calomiris_wieladek2014]: a third leaks; 0.2-0.8)
AUDIT_MONTHS = 24.0  # months in which about two thirds of unaudited collateral gets its audit (assumption, 12-36)
AUDIT_COST = 0.002  # yearly cost of audits per loan on such collateral (field examinations and valuations of lenders; assumption, 0.0005-0.005)
CIRCULAR_DISCOUNT = 0.5  # part of the value of a sale that investors deny it once they see that the seller funded the buyer (assumption, 0.2-0.8)


def measure_volatility(books: Books, ai_return: Array) -> None:
    """Exponentially weighted variance of the monthly return of AI shares ``(1, R)``, yearly. Source: [riskmetrics1996]."""
    known = books.series["ai_variance"]
    books.series["ai_variance"] = known + (1.0 - VOLATILITY_MEMORY) * (ai_return * ai_return * books.ticks_per_year - known)


def set_haircuts(books: Books) -> None:
    """What is added to every haircut this tick, ``(1, R)``: the lever, what measured volatility asks for, and the floor through the cycle."""
    levers = books.levers
    added = levers["collateral.haircut"] * np.ones((1, books.replications))
    sensitivity, floor = levers["collateral.haircut_sensitivity"], levers["collateral.margin_floor"]
    if sensitivity.any():
        excess = np.maximum(np.sqrt(books.series["ai_variance"]) - NORMAL_VOLATILITY, 0.0)
        added = np.minimum(added + sensitivity * excess, 0.9)
    if floor.any():
        added = np.where(floor > 0.0, np.maximum(added, floor), added)
    books.series["added_haircut"] = added


def bind_lenders(books: Books, slots: Selection, asked: Array, slot_share: Array, is_asset_backed: Array) -> Array:
    """What is asked of ``slots`` under rules that bind some lenders only, USD bn, ``(n, R)``; ``asked (n, R)`` without the rules.

    A bound lender refuses what its cap or its haircut forbids. A part of that is asked of the borrower's lenders outside the rule; the series
    ``lending_moved`` adds it up. Source: leakage of bank regulation to lenders outside its reach, [aiyar_calomiris_wieladek2014].
    """
    cap, haircut = books.levers["lender.leverage_cap"], books.levers["lender.haircut"]
    is_bound = ((cap < 10.0) | (haircut > 0.0)).astype(np.float64)
    if not is_bound.any():
        return asked
    wanted = np.maximum(slots.by_debtor(asked), 1e-9)
    room = np.maximum(slots.of_holder(cap) * slots.of_debtor(books["total_assets"]) - slots.of_debtor(books["debt"]), 0.0)
    allowed = np.minimum(room / slots.of_debtor(wanted), 1.0)
    allowed *= 1.0 - is_asset_backed * np.minimum(slots.of_holder(haircut) / (1.0 - books.macro["haircut_accelerators"]), 1.0)
    allowed = np.where(slots.of_holder(is_bound) > 0.0, allowed, 1.0)
    refused = slots.by_debtor(asked * (1.0 - allowed))
    outside = slot_share * slots.of_holder(books["alive"] * (1.0 - is_bound))
    weight = slots.by_debtor(outside)
    moved = MOVED_ELSEWHERE * refused * (weight > 0.0)
    books.series["lending_moved"] = books.series["lending_moved"] + total(moved)
    return asked * allowed + slots.of_debtor(moved / np.maximum(weight, 1e-9)) * outside


def unbacked_risk(books: Books, rows: slice = slice(None)) -> Array:
    """CDS premia of ``rows`` as their lenders count them, per year, ``(n, R)``: less what the government stands behind, if it does so for anyone."""
    risk = books.through("spread", "cds")[rows]
    if books.levers["government.guarantee_share"].any() or books.levers["government.bail_out_share"].any():
        return risk * (1.0 - books["public_backing"][rows])
    return risk


def needs_audit(books: Books) -> Array:
    """Loans whose collateral rests on nobody's audit, 0/1 ``(C, 1)``: unlisted shares, receivables, and what the tables call unaudited."""
    loans = books.loans
    pledged = loans.static["pledged_stake"]
    on_shares = pledged >= 0
    unlisted = np.zeros(loans.count, dtype=bool)
    unlisted[on_shares] = books["is_listed"][books.stakes.debtor[pledged[on_shares]], 0] == 0.0
    unaudited = unlisted | (loans.static["collateral"] == "receivables") | ~loans.static["audited"].astype(bool)
    answer: Array = (unaudited & (loans.static["kind"] != "facility")).astype(np.float64)[:, None]
    return answer


def audit(books: Books) -> None:
    """Audits of the tick: the series ``audited_part`` of such collateral goes up while the lever asks for them."""
    asked = books.levers["collateral.audit"]
    done = books.series["audited_part"]
    if asked.any() or done.any():
        books.series["audited_part"] = np.where(asked > 0.0, done + (1.0 - done) / AUDIT_MONTHS, 0.0)


def refuse_unaudited(books: Books, slots: Selection, asked: Array) -> None:
    """Cut new loans ``asked (n, R)`` of ``slots``, in place, by what is not eligible before its audit."""
    share = books.levers["collateral.audit"]
    if share.any():
        asked *= 1.0 - needs_audit(books)[slots.rows] * share * (1.0 - books.series["audited_part"])


def audited_price(books: Books, issuer: NDArray[np.int64]) -> Array:
    """Price at which pledged shares of ``issuer (n,)`` count, ``(n, R)``: where audited, an unlisted mark above fair value counts at fair value."""
    price = books["share_price"][issuer]
    share = books.levers["collateral.audit"]
    if not share.any():
        return price
    above = np.maximum(price - books["fair_price"][issuer], 0.0) * (books["is_listed"][issuer] == 0.0)
    counted: Array = price - share * books.series["audited_part"] * above
    return counted


def audit_cost(books: Books) -> Array:
    """What audits cost the borrowers this tick, USD bn, ``(N, R)``."""
    loans = books.loans
    yearly = AUDIT_COST * books.levers["collateral.audit"] * loans.by_debtor(loans.principal * needs_audit(books))
    cost: Array = yearly * books.years_per_tick * books["alive"]
    return cost


def circles(books: Books) -> sparse.csr_matrix:
    """Orders by which each order is paid for in a circle through a third firm, 0/1 ``(O, O)``: those that its buyer sells under, to firms of which
    its own seller holds shares or loans."""
    funded = set(zip(books.stakes.holder.tolist(), books.stakes.debtor.tolist(), strict=True))
    funded |= set(zip(books.loans.holder.tolist(), books.loans.debtor.tolist(), strict=True))
    sellers, buyers = books.orders.holder.tolist(), books.orders.debtor.tolist()
    cells = [
        (order, other)
        for order, (seller, buyer) in enumerate(zip(sellers, buyers, strict=True))
        for other, (second, third) in enumerate(zip(sellers, buyers, strict=True))
        if second == buyer and (seller, third) in funded and (seller, buyer) not in funded
    ]
    rows, columns = ([cell[side] for cell in cells] for side in (0, 1))
    matrix = sparse.csr_matrix((np.ones(len(cells)), (rows, columns)), shape=(len(sellers), len(sellers)))
    matrix.sort_indices()
    return matrix


def circular_sales(books: Books, invoices: Array, sales: Array, circle_matrix: sparse.csr_matrix) -> Array:
    """Sales of the tick, at a yearly rate, that come back from firms the seller funds, USD bn, ``(N, R)``.

    Whole invoices of buyers whose shares or loans the seller holds; and of other buyers' invoices the part of their own sales (``sales``, yearly)
    that comes from such firms (``circle_matrix``, from `circles`).
    """
    orders = books.orders
    yearly = invoices * books.ticks_per_year
    through = np.minimum((circle_matrix @ yearly) / np.maximum(orders.of_debtor(sales), 1e-9), 1.0)
    return orders.by_holder(yearly * np.maximum(books.is_circular, through))


def disclose(books: Books, circular_sales: Array, sales: Array, before: Array) -> None:
    """News of the tick's circular sales ``(N, R)`` of all ``sales (N, R)``, where the lever shows them; ``before (1, R)``: the lever a tick ago.

    Rule: shown circular sales are worth ``1 - CIRCULAR_DISCOUNT`` of others. When they come to be shown, prices react (the policy's own effect);
    when they change later, prices move by it before the sales themselves are lost.
    """
    shown = books.levers["market.disclosure"]
    share = np.clip(circular_sales / np.maximum(sales, 1e-9), 0.0, 1.0) * books["alive"]
    known = books["circular_share"]
    books["news_of_disclosure"][...] = _worth(shown * share) - _worth(before * share)
    books["news_of_circularity"][...] = _worth(before * share) - _worth(before * known)
    books["circular_share"][...] = share * (shown > 0.0)  # as alone, where nothing is shown nothing is kept


def show_nothing(books: Books) -> None:
    """No news of circular sales any more."""
    for name in ("news_of_disclosure", "news_of_circularity", "circular_share"):
        books[name][...] = 0.0


def _worth(shown_share: Array) -> Array:
    return np.log1p(-CIRCULAR_DISCOUNT * shown_share)


def repay_early(books: Books, ledger: Ledger, wanted: Array) -> None:
    """Borrowers repay ``wanted (N, R)``, USD bn, of their loans ahead of time, all in proportion; what is still to fall due shrinks with it."""
    loans = books.loans
    part = np.minimum(wanted / np.maximum(loans.by_debtor(loans.principal), 1e-9), 1.0)
    rows = np.flatnonzero(np.any(part > 0.0, axis=1)[loans.debtor])
    if not len(rows):
        return
    slots = loans.some(rows)
    share = slots.of_debtor(part)
    ledger.repay(slots, loans.principal[rows] * share)
    books.repayments.scale(rows, 1.0 - share)
