"""Whom a rule is asked of at once."""

from __future__ import annotations

from agents.registry import AGENT_CLASSES, FIRM_KINDS
from simulator.engine.cohorts import cohorts_for, is_same_rule
from simulator.engine.model import ContagionModel


def test_a_rule_that_every_firm_shares_is_asked_of_adjacent_kinds_together() -> None:
    books = ContagionModel("us_ai_2025", mesa_agents=False).books
    rows = [actor.rows for actor in cohorts_for(books, "cds_premium", FIRM_KINDS)]
    assert len(rows) < sum(books.rows[kind].stop > books.rows[kind].start for kind in FIRM_KINDS)
    asked = [row for span in rows for row in range(span.start, span.stop)]
    assert sorted(asked) == sorted(row for kind in FIRM_KINDS for row in range(books.rows[kind].start, books.rows[kind].stop))


def test_kinds_are_asked_apart_where_the_rule_or_anything_that_it_reads_differs() -> None:
    assert is_same_rule("tax", "chipmaker", "hyperscaler")
    assert not is_same_rule("regulatory_cost", "cloud", "lender")  # a class variable: lenders need not disclose
    assert not is_same_rule("delivered_share", "hyperscaler", "cloud")  # the lever of demand is named after the kind
    assert not is_same_rule("payout", "cloud", "lender")  # another method, which asks its parent
    assert not is_same_rule("sales_to_outside", "hyperscaler", "cloud")  # another property deeper down


def test_a_rule_is_the_same_as_itself_in_every_kind() -> None:
    for kind in FIRM_KINDS:
        members = {name: getattr(AGENT_CLASSES[kind], name) for name in dir(AGENT_CLASSES[kind])}
        assert all(is_same_rule(name, kind, kind) for name, member in members.items() if getattr(member, "is_rule", False))
