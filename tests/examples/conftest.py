"""Pages of docs/examples as data: their tables are read, so that page and engine can't drift apart."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
CENT = 1e-11  # USD bn
A_DOLLAR = 1e-9  # USD bn: how far a reader may be off who goes on with numbers rounded to cents
_SIGNS = str.maketrans({"−": "-", "×": "*", "÷": "/"})
_ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| (−?[\d.]+|-[\d.]+) \|$", flags=re.MULTILINE)
_OPERATIONS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.USub: operator.neg,
}  # fmt: skip


def reckon(text: str) -> float:
    """The result of a reckoning in numbers, + − × ÷ and brackets."""

    def value(node: ast.AST) -> float:
        if isinstance(node, ast.Expression):
            return value(node.body)
        if isinstance(node, ast.Constant):
            return float(node.value)
        if isinstance(node, ast.UnaryOp):
            return _OPERATIONS[type(node.op)](value(node.operand))
        assert isinstance(node, ast.BinOp), text
        return _OPERATIONS[type(node.op)](value(node.left), value(node.right))

    return value(ast.parse(text.translate(_SIGNS).strip(), mode="eval"))


def read_page(name: str) -> dict[str, float]:
    """Every number of a page's tables by its name, after a check that each reckoning gives the value beside it."""
    rows = _ROW.findall((EXAMPLES / f"{name}.md").read_text(encoding="utf-8"))
    assert len({key for key, _, _ in rows}) == len(rows) > 10
    numbers = {key: float(value.translate(_SIGNS)) for key, _, value in rows}
    wrong = [f"{key}: {text} is {reckon(text)}" for key, text, _ in rows if abs(reckon(text) - numbers[key]) > A_DOLLAR]
    assert wrong == []
    return numbers


def more_than_a_cent_apart(page: dict[str, float], engine: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Numbers of page and engine that differ by more than a cent, or that only one of them tells."""
    names = {**page, **engine}
    both = {key: (page.get(key, math.nan), engine.get(key, math.nan)) for key in names}
    return {key: (told, found) for key, (told, found) in both.items() if not abs(told - found) <= CENT}


@pytest.fixture
def page() -> Callable[[str], dict[str, float]]:
    """`read_page`."""
    return read_page


@pytest.fixture
def apart() -> Callable[[dict[str, float], dict[str, float]], dict[str, tuple[float, float]]]:
    """`more_than_a_cent_apart`."""
    return more_than_a_cent_apart
