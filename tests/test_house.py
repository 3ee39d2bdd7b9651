"""Rules of the house that no single module can keep alone."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path

import pytest

from simulator.settings import bibliography, bibliography_keys

ROOT = Path(__file__).parents[1]
PACKAGES = ("simulator", "agents", "scenarios", "configs")
LINES_MAX = 400


def own_files() -> list[Path]:
    """Files that are tracked or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def modules() -> list[Path]:
    return [path for path in own_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in (*PACKAGES, "tests")]


def texts(paths: list[Path]) -> list[tuple[str, str]]:
    found = []
    for path in paths:
        try:
            found.append((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue  # a picture
    return found


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_come_from_this_checkout(name: str) -> None:
    package = importlib.import_module(name)
    assert Path(next(iter(package.__path__))).resolve() == (ROOT / name).resolve()


def test_the_package_simulator_re_exports_nothing() -> None:
    assert (ROOT / "simulator" / "__init__.py").read_text().strip() == ""


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {name: text.count("\n") for name, text in texts(modules())}
    assert {name: length for name, length in lengths.items() if length > LINES_MAX} == {}


def test_no_file_names_a_package_registry_or_a_path_of_a_machine() -> None:
    registry = re.compile(r"(pypi|pythonhosted|conda|anaconda)\.(org|com)|index-url|/simple/?\b|find-links", re.IGNORECASE)
    machine = re.compile(r"(?<![\w.])/(home|Users|root|work|tmp|mnt|opt)/\w")
    for name, text in texts(own_files()):
        if name == "tests/test_house.py":
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            assert not registry.search(line), f"{name}:{number}: {line.strip()[:100]}"
            assert not machine.search(line), f"{name}:{number}: {line.strip()[:100]}"


def test_every_bibliography_entry_has_author_title_and_year_and_its_own_key() -> None:
    entries = re.findall(r"^@\w+\{(.*)$", bibliography(), flags=re.MULTILINE)
    assert len(entries) == len(bibliography_keys())
    for entry in entries:
        key = entry.split(",")[0]
        assert re.fullmatch(r"[a-z_]+\d{4}", key)
        for field in ("author", "title", "year"):
            assert f"{field} = {{" in entry, key
        assert f"year = {{{key[-4:]}}}" in entry


def test_every_citation_in_a_docstring_is_in_the_bibliography() -> None:
    cited = re.compile(r"\[([a-z]+(?:_[a-z]+)*[12]\d{3})\]")
    missing = {f"{name}: {key}" for name, text in texts(modules()) for key in cited.findall(text) if key not in bibliography_keys()}
    assert missing == set()


def test_pinned_versions_are_plain() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+]+", line), line
