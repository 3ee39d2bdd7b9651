"""Write the tables of docs/model.md that come from the code: channels, rules, constants, levers, and items of an economy's tables.

``python docs/make_tables.py`` rewrites the parts between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``; a test compares them.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "model.md"
FOLDERS = ("agents", "simulator/engine", "simulator/markets", "simulator/ledger")
# Bounds of loops, tolerances and codes: they steer the computation and say nothing about the world.
TECHNICAL = {"UNLIMITED", "EVENTS", "LOSS_GIVEN_DEFAULT",
             "NEVER", "ROUNDS_MAX", "TOLERANCE", "OWN_BUSINESS", "SHOCK", "OPERATING", "SECURED", "UNSECURED", "SUBORDINATED",
             "UNCONVERGED_MAX", "QUANTILES", "DUST", "CENT", "USED_UP", "SLIGHT", "POLL_SECONDS", "STRIKES_MAX",
             "BARREN_MAX", "BLOCK_MIN", "BLOCKS_MAX", "PANEL_BYTES", "QUANTILE_BYTES", "WIDE", "BUFFERED_FROM", "SELECTIONS_KEPT",
             "SELECTED_ROWS_KEPT", "ROWS_KEPT", "PLACES_KEPT"}  # fmt: skip


UNREAD = "**descriptive: no rule reads it**"


def source_text() -> str:
    """The code of the rules and of the engine."""
    return "\n".join(path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py")))


def rules() -> str:
    """Every rule of an agent, with its unit and the sentence that an economist can dispute, from the docstrings of agents/."""
    lines = ["| rule | unit | what it says | source |", "|---|---|---|---|"]
    for path in sorted((ROOT / "agents").glob("*.py")):
        for owner in ast.parse(path.read_text(encoding="utf-8")).body:
            for method in owner.body if isinstance(owner, ast.ClassDef) else []:
                unit = next((_unit(mark) for mark in getattr(method, "decorator_list", []) if _unit(mark)), "")
                if isinstance(method, ast.FunctionDef) and unit and isinstance(owner, ast.ClassDef):
                    text = " ".join((ast.get_docstring(method) or "").split()).replace("|", "\\|")
                    told, _, source = text.partition(" Source: ")
                    what, _, rule = told.partition(" Rule: ")
                    lines.append(f"| `{owner.name}.{method.name}` | {unit} | {rule or what} | {source.rstrip('.')} |")
    return "\n".join(lines)


def _unit(mark: ast.expr) -> str:
    """The unit of a ``@rule("unit")`` mark; "" for any other."""
    is_rule = isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "rule"
    return str(ast.literal_eval(mark.args[0])) if is_rule else ""  # type: ignore[attr-defined]


def levers() -> str:
    """Every name that a shock or a policy may move, from scenarios/lever_table.py."""
    from scenarios.lever_table import LEVERS

    code = source_text()
    lines = ["| lever | reach | operation | neutral | range | unit | meaning |", "|---|---|---|--:|---|---|---|"]
    for lever in LEVERS.values():
        # Levers of demand are read by kind, under a name put together in the rule.
        is_read = f'"{lever.key}"' in code or lever.key.endswith(".demand")
        meaning = lever.meaning + ("" if is_read else f" ({UNREAD})")
        lines.append(
            f"| `{lever.name}` | {lever.reach} | {lever.operation} | {lever.neutral:g} | {lever.low:g} to {lever.high:g} | {lever.unit} "
            f"| {meaning} |"
        )
    return "\n".join(lines)


def items() -> str:
    """Every number that the tables of an economy may give, from scenarios/items.py, with the default that stands where none does."""
    from scenarios.items import AGENT_ITEMS, MACRO_ITEMS

    code = source_text()
    lines = ["| item | table | unit | default | plausible range of the default | meaning |", "|---|---|---|--:|---|---|"]
    for table, known in (("figures, parameters", AGENT_ITEMS), ("macro", MACRO_ITEMS)):
        for item in known.values():
            default = "computed" if item.default != item.default else f"{item.default:g}"
            span = "" if item.low != item.low else f"{item.low:g} to {item.high:g}"
            # Haircuts are read by the kind of collateral, under a name put together in the rule.
            is_read = re.search(rf"\b{item.name}\b", code) or item.name.startswith("haircut_")
            note = "" if is_read else f" ({UNREAD})"
            lines.append(f"| `{item.name}` | {table} | {item.unit} | {default} | {span} | {item.meaning}{note} |")
    return "\n".join(lines)


def constants() -> str:
    """Every constant of a rule: named numbers of the modules, with the comment that stands beside them."""
    lines = ["| constant | value | module | what it is (range, or source) |", "|---|--:|---|---|"]
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("*.py")):
            text = path.read_text(encoding="utf-8")
            for node in ast.parse(text).body:
                if isinstance(node, ast.Assign):
                    lines += _rows(node, text.splitlines(), str(path.relative_to(ROOT)))
    return "\n".join(lines)


def _rows(node: ast.Assign, lines: list[str], module: str) -> list[str]:
    target, value = node.targets[0], node.value
    several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
    pairs = zip(target.elts, value.elts, strict=False) if several else [(target, value)]  # type: ignore[attr-defined]
    comment = lines[(node.end_lineno or node.lineno) - 1].partition("  # ")[2].strip().replace("|", "\\|")
    rows = []
    for name, number in pairs:
        written = _number(number)
        if isinstance(name, ast.Name) and name.id.isupper() and name.id not in TECHNICAL and written:
            rows.append(f"| `{name.id}` | {written} | `{module}` | {comment} |")
    return rows


def _number(node: ast.expr) -> str:
    """A number as written in the table; "" for anything else."""
    if isinstance(node, ast.Dict):
        parts = [(ast.literal_eval(key), _number(value)) for key, value in zip(node.keys, node.values, strict=True) if key is not None]
        return ", ".join(f"{key} {value}" for key, value in parts) if all(value for _, value in parts) else ""
    code = ast.unparse(node)
    return f"{float(eval(code)):.4g}" if re.fullmatch(r"[\d.eE+\-*/ ()]+", code) else ""


def channels() -> str:
    """Every channel with both meanings, from simulator/ledger/channels.py."""
    from simulator.ledger.channels import MEANINGS

    head = "| channel | accounting: what is booked as `loss_<channel>` | made by (`from_agent`) | counterfactual: off, for `contribution_<channel>` |"
    lines = [head, "|---|---|---|---|"]
    lines += [f"| {name} | {meaning.booked} | {meaning.caused_by} | {meaning.off} |" for name, meaning in MEANINGS.items()]
    return "\n".join(lines)


TABLES = {"channels": channels, "rules": rules, "levers": levers, "constants": constants, "items": items}


def page() -> str:
    """docs/model.md with its tables as the code has them."""
    text = PAGE.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        pattern = re.compile(rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", flags=re.DOTALL)
        text, count = pattern.subn(lambda found, make=make: f"{found[1]}{make()}\n{found[2]}", text)
        if count != 1:
            raise ValueError(f"docs/model.md: {count} places for the table {name!r}, one expected")
    return text


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
