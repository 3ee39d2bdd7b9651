"""Make what README.md shows of the default run: docs/images/readme_figure.png, and the numbers in its findings.

``python docs/make_readme_figure.py RUN`` reads a run folder; without RUN the default experiment is run afresh (a minute or two).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "readme_figure.png"
BEGIN, END = "<!-- findings: begin -->\n", "<!-- findings: end -->"
FIGURE = "default_probability_by_kind"


def findings(folder: Path) -> str:
    """The findings of a run as a block of text, as the command prints them."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    lines = [textwrap.fill(line, 92, initial_indent="- ", subsequent_indent="  ") for line in summary["findings"]]
    return "\n".join(["```", *lines, "```", ""])


def show(folder: Path) -> None:
    """Write the figure and the findings of the run in ``folder``."""
    from simulator.api import load

    run = load(folder)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    run.figure(FIGURE).savefig(PICTURE, dpi=110, metadata={"Software": None})
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    README.write_text(before + BEGIN + findings(folder) + END + rest.split(END)[1], encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)} and the findings of README.md: {run}")


def main(arguments: list[str]) -> None:
    """Show a run folder, or the default run."""
    if arguments:
        show(Path(arguments[0]))
        return
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        subprocess.run([sys.executable, "-m", "simulator", f"output={run}"], cwd=ROOT, check=True)
        show(run)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1:])
