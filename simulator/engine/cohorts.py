"""Whom a rule is asked of at once: kinds in which it is the same rule are asked together, where their rows adjoin.

A rule is elementwise, so how its rows are cut moves no bit; fewer and larger cuts cost fewer calls.
"""

from __future__ import annotations

import inspect
from functools import cache
from itertools import chain
from types import CodeType
from typing import Any

from agents.registry import AGENT_CLASSES
from simulator.ledger.books import Books


@cache
def what_a_rule_reads(kind: str, rule: str) -> dict[str, Any]:
    """Every member of the kind's class that ``rule`` may reach, by name: itself, and what it and they name, as far as the class has it."""
    cls, members = AGENT_CLASSES[kind], _members(kind)
    found: dict[str, Any] = {}
    names = [rule]
    while names:
        name = names.pop()
        member = members.get(name)
        if member is None or name in found:
            continue
        found[name] = member
        function = member.fget if isinstance(member, property) else member
        code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
        if code is not None:
            names.extend(_names(code))
            if "__class__" in code.co_freevars:  # it asks its parent class: the same for no other kind
                found[f"parent of {kind}"] = cls
    return found


@cache
def _members(kind: str) -> dict[str, Any]:
    """What the kind's class has of its own and from its parents, by name, nothing computed."""
    members: dict[str, Any] = {}
    for cls in reversed(AGENT_CLASSES[kind].__mro__):
        members |= vars(cls)
    return members


def _names(code: CodeType) -> list[str]:
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return [*code.co_names, *chain.from_iterable(inner)]


def is_same_rule(rule: str, one: str, other: str) -> bool:
    """Whether ``rule`` is the same in two kinds: the same code, which reads the same members with the same values."""
    ours, theirs = what_a_rule_reads(one, rule), what_a_rule_reads(other, rule)
    return ours.keys() == theirs.keys() and all(ours[name] is theirs[name] or _are_equal(ours[name], theirs[name]) for name in ours)


def _are_equal(one: Any, other: Any) -> bool:
    return isinstance(one, str | bool | int | float) and type(one) is type(other) and bool(one == other)


def cohorts_for(books: Books, rule: str, kinds: tuple[str, ...]) -> list[Any]:
    """Cohorts that cover the agents of ``kinds``, each of adjacent rows and of kinds in which ``rule`` is the same rule."""
    present = sorted((kind for kind in kinds if books.rows[kind].stop > books.rows[kind].start), key=lambda kind: books.rows[kind].start)
    groups: list[list[str]] = []
    for kind in present:
        if groups and books.rows[groups[-1][-1]].stop == books.rows[kind].start and is_same_rule(rule, groups[-1][0], kind):
            groups[-1].append(kind)
        else:
            groups.append([kind])
    return [AGENT_CLASSES[group[0]].cohort_of(books, slice(books.rows[group[0]].start, books.rows[group[-1]].stop)) for group in groups]
