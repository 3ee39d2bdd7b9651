"""What the pages say is so: tables are those of the code, links lead somewhere, commands and citations exist."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from scenarios.changes import parse_changes
from scenarios.loading import load_economy
from simulator.__main__ import grid, parse
from simulator.menu import GROUPS, compose, menu
from simulator.settings import bibliography_keys

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/model.md",
    "docs/house.md",
    "docs/three_firms.md",
    "docs/rare_events.md",
    "docs/examples/margin_spiral.md",
    "docs/examples/lender_default.md",
)
TERMS = {"rules", "constants", "levers", "items"}


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), flags=re.DOTALL | re.MULTILINE)


def anchors(page: str) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", text(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_tables_of_the_model_page_are_those_of_the_code() -> None:
    assert script("make_tables").page() == text("docs/model.md"), "run: python docs/make_tables.py"


def test_every_constant_named_in_the_text_of_the_model_page_is_in_its_table() -> None:
    prose, table = text("docs/model.md").split("## Constants")
    named = set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b", prose))
    assert {name for name in named if f"`{name}`" not in table} == set()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if target.startswith("http"):
            continue
        path, _, heading = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), target
        assert not heading or heading in anchors(str(there.resolve().relative_to(ROOT))), target


@pytest.mark.parametrize("page", PAGES)
def test_citations_are_in_the_bibliography(page: str) -> None:
    prose = text(page).split("## Rules")[0]  # the tables after it quote docstrings, which tests/test_house.py checks
    cited = set(re.findall(r"\[([a-z]+(?:_[a-z]+)*[12]\d{3})\]", prose))
    assert cited <= set(bibliography_keys())


def test_every_command_of_the_readme_is_understood() -> None:
    lines = [line for block in blocks("README.md", "") for line in block.splitlines() if line.startswith("capital-loop ")]
    assert len(lines) > 5
    for line in lines:
        request = parse([word for word in shlex.split(line, comments=True)[1:] if word not in ("--config-dir", "my_menu")])
        for overrides in grid(request.overrides) if request.multirun else [request.overrides]:
            known = [word for word in overrides if word != "shock=lab_funding_dries_up"]
            compose(known)


def test_the_readme_lists_the_whole_menu() -> None:
    for group in GROUPS:
        if group in ("economy", "shock", "policy", "experiment"):
            assert [name for name in menu(group) if f"| `{name}` |" not in text("README.md")] == []


@pytest.mark.parametrize("page", ["README.md", "docs/house.md"])
def test_the_shocks_of_the_pages_are_valid(page: str) -> None:
    economy = load_economy("three_firms")
    for block in blocks(page, "yaml"):
        assert parse_changes(yaml.safe_load(block), "page", start=economy.start, horizon_months=60, sources={"assumption"}, economy=economy)


def test_the_python_of_the_pages_is_python_and_imports_what_exists() -> None:
    for page in ("README.md", "docs/house.md"):
        for block in blocks(page, "python"):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom):
                    module = importlib.import_module(str(node.module))
                    assert all(hasattr(module, alias.name) for alias in node.names)


def test_the_mesa_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = next(block for block in blocks("README.md", "python") if "ContagionModel" in block)
    exec(compile(example, "README.md", "exec"), {})
    assert "AILab" in capsys.readouterr().out
