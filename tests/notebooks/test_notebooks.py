"""The notebooks run, import only what a reader has, and their executed copies are those of the percent files."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {"simulator.api", "pandas", "matplotlib", "matplotlib.pyplot", "numpy"}
REPLICATIONS = 6
"""Enough to run every cell; the story is told by the executed copy."""


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


execute = load(ROOT / "notebooks" / "execute.py")
STORIES = execute.percent_files()


def sources(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_there_is_a_notebook() -> None:
    assert [path.name for path in STORIES][:1] == ["01_the_loop.py"]


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_a_notebook_imports_only_the_api_and_what_draws(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or ".")
    assert imported <= ALLOWED


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_the_executed_copy_has_the_cells_of_the_percent_file(path: Path) -> None:
    copy = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    assert sources(copy) == sources(execute.read(path)), "run: python notebooks/execute.py"
    code = [cell for cell in copy.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


@pytest.mark.slow
@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    done = execute.run(execute.read(path, REPLICATIONS), tmp_path)
    assert all(cell.execution_count for cell in done.cells if cell.cell_type == "code")
    assert list(tmp_path.iterdir()) == []
