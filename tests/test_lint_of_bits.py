"""No code of the machine uses a way of adding up whose bits depend on how many replications stand side by side.

The right column of the table in the house's rules: ``sum``, ``mean`` and ``std`` over axis 0, ``einsum``, dense ``@``, ``math.exp`` and
``math.log``, boolean choice of columns, and random generators made outside their room. The last holds for results, too.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OUTSIDE_THE_MACHINE = ("simulator/results/", "simulator/app/", "simulator/api.py", "simulator/__main__.py")
SPARSE_PRODUCTS = ("simulator/ledger/sums.py", "simulator/ledger/contracts.py", "simulator/networks/")
"""Where ``@`` is meant: with a matrix in CSR form on its left. The kernels of simulator/networks are tested on their own."""
SPARSE_NAMES = ("_matrix", "matrix")
"""Elsewhere ``@`` is allowed with a left side whose name says that it is a sparse matrix."""
SPARSE_CALLS = ("incidence",)
"""Or that is the answer of one of these."""
RANDOM_ROOM = "simulator/streams.py"
REDUCTIONS = ("sum", "mean", "std", "var", "nansum", "nanmean", "nanstd", "average")
PLAIN_MATHS = ("exp", "log", "log1p", "log2", "log10", "expm1", "pow", "sqrt")


def complaints(source: str, where: str = "simulator/markets/example.py") -> list[str]:
    """What is wrong in a module, one line each: line number and the construct."""
    found: list[tuple[int, str]] = []
    tree = ast.parse(source)
    masks = _mask_names(tree)
    for node in ast.walk(tree):
        problem = None
        if isinstance(node, ast.Call):
            problem = _call(node, where)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            problem = _product(node, where)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            problem = _columns(node, masks, where)
        elif isinstance(node, ast.Attribute):
            problem = _random(node, where)
        elif isinstance(node, ast.ImportFrom) and node.module == "math":
            bad = [alias.name for alias in node.names if alias.name in PLAIN_MATHS]
            problem = f"from math import {', '.join(bad)}" if bad else None
        elif isinstance(node, ast.Import | ast.ImportFrom) and where != RANDOM_ROOM:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            problem = "import random" if "random" in names else None
        if problem:
            found.append((node.lineno, problem))
    return [f"{where}:{line}: {problem}" for line, problem in sorted(set(found))]


def _axis(node: ast.Call, position: int) -> object:
    given = [word.value for word in node.keywords if word.arg == "axis"] or node.args[position : position + 1]
    try:
        return ast.literal_eval(given[0]) if given else None
    except ValueError:
        return "unknown"


def _call(node: ast.Call, where: str) -> str | None:
    function = node.func
    if isinstance(function, ast.Name) and function.id in ("einsum", "default_rng"):
        return function.id if function.id == "einsum" or where != RANDOM_ROOM else None
    if not isinstance(function, ast.Attribute):
        return None
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    is_module = owner in ("np", "numpy", "math")
    if function.attr == "einsum":
        return "einsum"
    if function.attr in ("dot", "matmul", "tensordot", "vdot", "inner") and owner in ("np", "numpy"):
        return f"{owner}.{function.attr}"
    if owner == "math" and function.attr in PLAIN_MATHS:
        return f"math.{function.attr}"
    if function.attr in REDUCTIONS:
        axis = _axis(node, 1 if is_module else 0)
        if axis in (0, (0,), -2):
            return f"{function.attr}(axis=0)"
    return None


def _product(node: ast.BinOp, where: str) -> str | None:
    if where.startswith(SPARSE_PRODUCTS):
        return None
    left = node.left
    name = left.attr if isinstance(left, ast.Attribute) else left.id if isinstance(left, ast.Name) else ""
    if isinstance(left, ast.Call):
        name = left.func.attr if isinstance(left.func, ast.Attribute) else left.func.id if isinstance(left.func, ast.Name) else ""
        return None if name in SPARSE_CALLS else "@ whose left side is no sparse matrix"
    return None if name.endswith(SPARSE_NAMES) else "@ whose left side is no sparse matrix"


def _mask_names(tree: ast.AST) -> set[str]:
    """Names that are given the answer of a comparison: masks."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_mask(node.value, set()):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _is_mask(node: ast.AST, masks: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in masks or node.id in ("mask", "active", "keep")
    if isinstance(node, ast.Compare):
        return not any(isinstance(operator, ast.In | ast.NotIn | ast.Is | ast.IsNot) for operator in node.ops)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        return _is_mask(node.left, masks) or _is_mask(node.right, masks)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("any", "all"):
        return bool(node.keywords or node.args)
    return False


def _columns(node: ast.Subscript, masks: set[str], where: str) -> str | None:
    """``X[:, mask]``: a boolean choice of columns (Fortran order); choosing rows, or with np.compress and np.take, is safe."""
    index = node.slice
    if where.startswith("simulator/networks/") or not isinstance(index, ast.Tuple) or len(index.elts) != 2:
        return None
    first, second = index.elts
    is_all = isinstance(first, ast.Slice) and first.lower is first.upper is first.step is None
    return "X[:, mask]" if is_all and _is_mask(second, masks) else None


def _random(node: ast.Attribute, where: str) -> str | None:
    if where == RANDOM_ROOM:
        return None
    if node.attr == "default_rng":
        return "default_rng"
    if node.attr == "random" and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
        return "np.random"
    return None


def all_modules() -> list[str]:
    paths = [path for room in ("simulator", "agents", "scenarios") for path in sorted((ROOT / room).rglob("*.py"))]
    return [path.relative_to(ROOT).as_posix() for path in paths]


def modules() -> list[str]:
    return [name for name in all_modules() if not name.startswith(OUTSIDE_THE_MACHINE)]


def test_there_is_something_to_look_at() -> None:
    names = modules()
    assert len(names) > 40
    assert {"simulator/ledger/sums.py", "agents/firm.py", "simulator/engine/tick.py", "scenarios/levers.py"} <= set(names)


@pytest.mark.parametrize("name", modules())
def test_no_module_of_the_machine_adds_up_in_a_way_that_moves_bits(name: str) -> None:
    source = (ROOT / name).read_text(encoding="utf-8")
    allowed = {"type hints of the generator": "np.random.Generator"}
    found = [line for line in complaints(source, name) if not (line.endswith("np.random") and _is_hint(source, line, allowed))]
    assert found == []


def _is_hint(source: str, complaint: str, allowed: dict[str, str]) -> bool:
    """A type hint ``np.random.Generator`` draws nothing."""
    text = source.splitlines()[int(complaint.split(":")[1]) - 1]
    return any(f": {hint}" in text or f"-> {hint}" in text for hint in allowed.values())


@pytest.mark.parametrize(
    "bad",
    [
        "x.sum(axis=0)",
        "x.sum(0)",
        "x.mean(axis=0)",
        "x.std(axis=0)",
        "np.sum(x, axis=0)",
        "np.sum(x, 0)",
        "np.mean(x[rows], axis=0)",
        "(a * b).sum(axis=0, keepdims=True)",
        "x.sum(axis=-2)",
        "np.einsum('ij,jk->ik', a, b)",
        "einsum('ij->j', a)",
        "weights @ amounts",
        "books.shares @ prices",
        "np.dot(a, b)",
        "np.matmul(a, b)",
        "math.exp(x)",
        "math.log(x)",
        "from math import exp",
        "x[:, active]",
        "x[:, cash > 0.0]",
        "x[:, ~failed]",
        "failed = (cash < 0.0).any(axis=0)\ny = x[:, failed]",
        "np.random.default_rng(1)",
        "np.random.normal(size=3)",
        "from numpy.random import default_rng\ndefault_rng(1)",
        "import random",
        "rng = np.random.Generator(np.random.Philox(1))",
    ],
)
def test_a_bad_line_is_caught(bad: str) -> None:
    assert complaints(bad), bad


@pytest.mark.parametrize(
    "good",
    [
        "total(x)",
        "x.sum(axis=1)",
        "x.sum()",
        "np.add.reduceat(x, [0], axis=0)",
        "np.cumsum(x, axis=0)[-1]",
        "np.maximum.reduce(x, axis=0)",
        "self.holder_matrix @ amounts",
        "matrix @ amounts",
        "np.exp(x)",
        "math.ceil(x)",
        "np.compress(active, x, axis=1)",
        "np.take(x, index, axis=1)",
        "x[rows]",
        "x[mask]",
        "x[:, 0]",
        "x[:, :1]",
        "x[:, None]",
        "x[:, index]",
        "target[:, active] = values",
        "x.any(axis=0)",
    ],
)
def test_a_good_line_passes(good: str) -> None:
    assert complaints(good) == []


def test_random_generators_are_made_in_one_room_only() -> None:
    source = "rng = np.random.Generator(np.random.Philox(1))"
    assert complaints(source, RANDOM_ROOM) == []
    assert complaints(source, "simulator/engine/model.py")
    assert complaints(source, "simulator/results/measures.py")


def test_results_and_the_api_make_no_random_generator_either() -> None:
    found = []
    for name in sorted(set(all_modules()) - set(modules())):
        source = (ROOT / name).read_text(encoding="utf-8")
        random = [line for line in complaints(source, name) if line.endswith((": np.random", ": default_rng", ": import random"))]
        found += [line for line in random if not _is_hint(source, line, {"type hint": "np.random.Generator"})]
    assert found == []
