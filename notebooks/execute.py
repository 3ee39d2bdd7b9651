"""Run the notebooks: each percent file ``NN_name.py`` of this folder becomes the executed copy ``NN_name.ipynb`` beside it.

``python notebooks/execute.py`` runs all of them, ``python notebooks/execute.py 01_the_loop`` one. The percent file is the one to edit.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
TIMEOUT_SECONDS = 1800
SETUP = """import sys, warnings
sys.path.insert(0, {root!r})
warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm's advice to install widgets, with a path of this machine
"""


def percent_files() -> list[Path]:
    """The numbered stories, in order."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.py"))


def read(path: Path, replications: int | None = None) -> nbformat.NotebookNode:
    """A percent file as a notebook without outputs; ``replications`` replaces the number in its line ``REPLICATIONS = …``."""
    text = path.read_text(encoding="utf-8")
    if replications is not None:
        text, count = re.subn(r"(?m)^REPLICATIONS = \d+$", f"REPLICATIONS = {replications}", text)
        if count != 1:
            raise ValueError(f"{path.name}: {count} lines 'REPLICATIONS = number', one expected")
    notebook = jupytext.reads(text, fmt="py:percent")
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:02d}"  # a random id would make every run another file
    return notebook


def run(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Execute a notebook in ``folder``, which is all that it may write to; the packages of this checkout are the ones imported."""
    setup = nbformat.v4.new_code_cell(SETUP.format(root=str(ROOT)), id="setup")
    notebook.cells.insert(0, setup)
    try:
        NotebookClient(notebook, timeout=TIMEOUT_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    finally:
        notebook.cells.pop(0)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count -= 1
            cell.metadata.pop("execution", None)  # times of the run
            for output in cell.outputs:
                if output.get("execution_count"):
                    output["execution_count"] -= 1
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    return notebook


def main(names: list[str]) -> int:
    """Run the named stories, or all, and write their executed copies."""
    import tempfile

    for path in percent_files():
        if names and path.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(run(read(path), Path(folder)), path.with_suffix(".ipynb"))
        print(path.with_suffix(".ipynb").relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
