"""The menu of configs/: what there is to choose, single files without Hydra, and whole settings composed by Hydra.

Only this module and ``__main__`` may import Hydra, and only `compose` does. A user's own folder (``--config-dir DIR``) adds
``DIR/shock/x.yaml``, ``DIR/policy/…``, ``DIR/economy/…``, and may carry a ``DIR/sources.bib``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError, nearest

if TYPE_CHECKING:
    from simulator.settings import Settings

GROUPS = ("economy", "shock", "policy", "experiment", "montecarlo", "record", "execution")
LISTS = ("shock", "policy")
"""Groups of which several files combine: ``shock=[a,b]``."""

PATHS = ("output", "resume", "economy.path")
"""Keys whose values are taken as typed: a folder may be called 2026 or have a bracket in its name."""

TOP_KEYS = (*GROUPS, "horizon_months", "channels", "systemic", "output", "resume", "resume_anyway")


def menu(group: str, config_dir: Path | None = None) -> dict[str, str]:
    """Names in a group with the first comment line of each file; a user's folder first wins. InputError: an unknown group."""
    return {name: _first_comment(path) for name, path in sorted(_paths(group, config_dir).items())}


def shock_names(config_dir: Path | None = None) -> list[str]:
    """Names of all shocks."""
    return list(menu("shock", config_dir))


def policy_names(config_dir: Path | None = None) -> list[str]:
    """Names of all policies."""
    return list(menu("policy", config_dir))


def load_file(group: str, name: str, config_dir: Path | None = None) -> dict[str, Any]:
    """Content of one file of the menu as plain data. InputError: an unknown group or name, broken YAML, or not a mapping."""
    paths = _paths(group, config_dir)
    if name not in paths:
        raise InputError(f"{group}: unknown choice {name!r}{nearest(name, paths)} (menu: {', '.join(sorted(paths))})")
    content = _read_yaml(paths[name], f"{group}/{name}.yaml")
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{group}/{name}.yaml: must be a mapping of keys and values, not {type(content).__name__}")
    return content


def notes(group: str, name: str, config_dir: Path | None = None) -> dict[str, str]:
    """What the head of a file of the menu says in lines ``# Word: text``, by word (Cost, Moves, …). InputError: an unknown group or name."""
    paths = _paths(group, config_dir)
    if name not in paths:
        raise InputError(f"{group}: unknown choice {name!r}{nearest(name, paths)} (menu: {', '.join(sorted(paths))})")
    found: dict[str, str] = {}
    for line in paths[name].read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if told := re.fullmatch(r"# ([A-Z][a-z]+(?: [a-z]+)*): (.+)", line):
            found[told[1]] = f"{found[told[1]]} {told[2]}" if told[1] in found else told[2]
    return found


def load_shock(name: str, config_dir: Path | None = None) -> dict[str, Any]:
    """Named changes of a shock, as written."""
    return load_file("shock", name, config_dir)


def load_policy(name: str, config_dir: Path | None = None) -> dict[str, Any]:
    """Named changes of a policy, as written."""
    return load_file("policy", name, config_dir)


def user_sources(config_dir: Path | None) -> frozenset[str]:
    """Citation keys of a user's own ``sources.bib``; empty when there is none."""
    path = config_dir / "sources.bib" if config_dir is not None else None
    if path is None or not path.is_file():
        return frozenset()
    return frozenset(re.findall(r"^@\w+\{([^,\s]+),", path.read_text(encoding="utf-8"), flags=re.MULTILINE))


def assemble(
    choices: Mapping[str, str | Sequence[str]], values: Mapping[str, Any] | None = None, config_dir: Path | None = None
) -> Settings:
    """Settings from Python, without Hydra: ``assemble({"shock": ["rate_hold"]}, {"montecarlo.seed": 3})``.

    choices: file names by group (the defaults of configs/config.yaml where not given; shock and policy take one name or several).
    values: single keys with dots. InputError as in `compose`.
    """
    from simulator.settings import build_settings

    for group in choices:
        _paths(group, config_dir)
    config: dict[str, Any] = _read_yaml(Path(str(files("configs"))) / "config.yaml", "config.yaml")
    del config["defaults"]
    selected, values = _with_choices_of_files(choices, values or {}, config_dir)
    for group in GROUPS:
        contents = {name: load_file(group, name, config_dir) for name in _names(group, selected[group])}
        if group not in LISTS and len(contents) > 1:
            raise InputError(f"{group}: takes one name, not a list (lists: {', '.join(LISTS)})")
        config[group] = contents if group in LISTS else next(iter(contents.values()))
    changes = {group: config[group] for group in LISTS}
    for key, value in values.items():
        inner = config
        *parts, last = _full_key(key, changes).split(".")
        for part in parts:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise InputError(f"{key}: unknown key ({part} has no keys inside)")
        inner[last] = value
    return build_settings(_completed(config, config_dir))


def compose(overrides: Sequence[str], config_dir: Path | None = None) -> Settings:
    """Settings from overrides as typed on the command line. InputError: one line for every mistake.

    Each shock and policy file is composed under its own name (``shock.FILE.CHANGE``), so that two files may use the same name for a
    change. ``shock.CHANGE.key=value`` reaches a change by its name alone where only one file has it. Where nothing is typed that has Hydra's grammar,
    files of the house are put together without it: the same settings, sooner.
    """
    from simulator.settings import build_settings

    chosen, given = split_overrides(overrides)
    if config_dir is None and all(_is_as_typed(key, value) for key, value in given.items()):
        return assemble(chosen, given)
    selected, values = _with_choices_of_files(chosen, given, config_dir)
    changes = {group: {name: load_file(group, name, config_dir) for name in _names(group, selected[group])} for group in LISTS}
    words = [f"{group}=[]" for group in LISTS]  # the names come back one by one, each under its own name
    words += [f"+{group}@{group}.{name}={name}" for group in LISTS for name in changes[group]]
    for group in GROUPS:
        if group not in LISTS:
            (name,) = _names(group, selected[group])
            load_file(group, name, config_dir)  # an unknown name or broken YAML is told here, in our words
            words.append(f"{group}={name}")
    words += [f"++{_full_key(key, changes)}={_as_text(value) if key in PATHS else value}" for key, value in values.items()]
    data = _hydra_compose(words, config_dir)
    for group in LISTS:  # Hydra leaves no key for an empty file, and the order of the list is ours
        found = data.get(group) or {}
        data[group] = {name: found.get(name) or {} for name in changes[group]}
    return build_settings(_completed(data, config_dir))


def split_overrides(overrides: Sequence[str]) -> tuple[dict[str, str | list[str]], dict[str, str]]:
    """Choices of files by group, and other values by key as typed. InputError: whatever is malformed, unknown or given twice."""
    choices: dict[str, str | list[str]] = {}
    values: dict[str, str] = {}
    for word in overrides:
        key, equals, value = word.partition("=")
        key = key.lstrip("+")
        if not equals or not re.fullmatch(r"[A-Za-z_][\w.\-]*", key) or "\0" in value:
            raise InputError(f"{word!r} is not an override; write key=value, such as montecarlo.replications=1000")
        if key in choices or key in values:
            raise InputError(f"{key} is given twice")
        top = key.split(".")[0]
        if top not in TOP_KEYS:
            raise InputError(f"unknown key {top!r}{nearest(top, TOP_KEYS)} (allowed: {', '.join(TOP_KEYS)})")
        if len(sweep := split_list(value)) > 1:
            hint = f"{key}=[{value}] combines them, " if key in LISTS else ""
            raise InputError(f"{key}: {len(sweep)} values; {hint}-m runs one experiment for each")
        if key in GROUPS:
            choices[key] = _choice(key, value.strip())
        elif value.strip() == "":
            raise InputError(f"{key}: has no value")
        else:
            values[key] = value
    return choices, values


def split_list(value: str) -> list[str]:
    """Parts of a value between commas that stand outside brackets, braces and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in value:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[{(":
            depth += 1
        elif letter in "]})":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += letter
    return parts


def _choice(key: str, value: str) -> str | list[str]:
    if value.startswith("["):
        if key not in LISTS:
            raise InputError(f"{key}: takes one name, not a list (lists: {', '.join(LISTS)})")
        if not value.endswith("]"):
            raise InputError(f"{key}: the list {value!r} has no closing bracket")
        inside = value[1:-1].strip()
        return [name.strip().strip("'\"") for name in inside.split(",")] if inside else []
    return value.strip("'\"")


def _names(key: str, value: object, together: bool = False) -> list[str]:
    """One name or a list of names as a list; with ``together`` also ``a+b``. InputError: nothing, not names, or one name twice."""
    names: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    if not names:
        none = {"shock": "; write shock=none", "policy": "; write policy=current_rules"}.get(key, "")
        raise InputError(f"{key}: the list is empty{none}")
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w\-]*(\+\w[\w\-]*)*" if together else r"\w[\w\-]*", name):
            raise InputError(f"{key}: {str(name)!r} is not the name of a file of the menu")
        if names.count(name) > 1:
            raise InputError(f"{key}: {name} is named twice")
    return names


def _full_key(key: str, changes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """``shock.CHANGE.key`` with the file that has the change; any other key as it is."""
    group, *path = key.split(".")
    if group not in LISTS:
        return key
    files_of_group = changes[group]
    if len(path) >= 3 and path[0] in files_of_group and path[1] in files_of_group[path[0]]:
        return key
    having = [name for name, content in files_of_group.items() if path[0] in content]
    if len(path) == 2 and len(having) == 1:
        return ".".join([group, having[0], *path])
    if len(path) == 2 and len(having) > 1:
        raise InputError(f"{key}: {' and '.join(having)} both have a change {path[0]}; write {group}.FILE.{path[0]}.{path[1]}")
    known = [change for content in files_of_group.values() for change in content]
    if len(path) == 1 and path[0] in known:
        raise InputError(f"{key}: is a change, not a number; name one of its keys, such as {key}.starts=2026-10")
    raise InputError(
        f"{key}: no such change in {group}={'+'.join(files_of_group)}{nearest(path[0], known)} (changes: {', '.join(known) or 'none'})"
    )


def _is_as_typed(key: str, value: str) -> bool:
    """Whether a value is a text that stands for itself."""
    return key in PATHS and value != "null" and value[0] not in "'\"" and "${" not in value


def _as_text(value: str) -> str:
    if value == "null" or value[0] in "'\"":
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _hydra_compose(words: Iterable[str], config_dir: Path | None) -> dict[str, Any]:
    import warnings

    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    words = list(words)
    if config_dir is not None:
        words.append(f"hydra.searchpath=[{_as_text(f'file://{config_dir.resolve()}')}]")
    GlobalHydra.instance().clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Hydra 1.4 warns of version_base, 1.3 of its absence
            with initialize_config_module("configs", version_base="1.3"):
                config = hydra_compose("config", overrides=words)
                data = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OverrideParseException as error:
        raise InputError(f"{error.override.lstrip('+')!r} is not an override that can be read (quote special characters)") from None
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(" ".join(str(error).split("\n")[0].split())) from None
    finally:
        GlobalHydra.instance().clear()
    assert isinstance(data, dict)
    return {str(key): value for key, value in data.items()}


def _completed(config: dict[str, Any], config_dir: Path | None) -> dict[str, Any]:
    """The contents of the policies that an experiment compares, and a user's citation keys, are part of the settings."""
    experiment = config.get("experiment")
    if isinstance(experiment, dict):
        experiment.pop("run", None)
        _fill_files(experiment, config_dir)
    config["sources"] = sorted(user_sources(config_dir))
    return config


def _fill_files(experiment: dict[str, Any], config_dir: Path | None) -> None:
    """Put the contents of every policy and shock that an experiment names beside its other keys; ``compare: all`` becomes the menu's list."""
    for key, instead in (("policies", "experiment.compare, such as 'experiment.compare=[rate_cut]'"), ("shock_files", "experiment.shocks")):
        if experiment.get(key):
            raise InputError(f"experiment.{key}: name the files in {instead}")
    if experiment.get("compare") == "all":
        experiment["compare"] = [name for name in policy_names(config_dir) if name != "current_rules"]
    wanted: dict[str, list[str]] = {"policy": [], "shock": []}
    from simulator.experiment_settings import KINDS_OF_EXPERIMENT

    model = KINDS_OF_EXPERIMENT.get(str(experiment.get("kind")))
    fields = model.model_fields if model is not None else {}
    for key, group in (("compare", "policy"), ("answers", "policy"), ("shocks", "shock")):
        if key in fields and experiment.get(key):
            for name in _names(f"experiment.{key}", experiment[key], together=True):
                wanted[group] += _names(f"experiment.{key}", name.split("+"))
    for axis in (experiment, experiment.get("first"), experiment.get("second")):
        group, dot, name = _text(axis.get("vary")).partition(".") if isinstance(axis, dict) else ("", "", "")
        if dot and group in LISTS:
            wanted[group] += _names("experiment.vary", name)
    for group, key in (("policy", "policies"), ("shock", "shock_files")):
        if wanted[group] and key in fields:
            experiment[key] = {name: load_file(group, name, config_dir) for name in dict.fromkeys(wanted[group])}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _defaults() -> dict[str, str | list[str]]:
    entries = _read_yaml(Path(str(files("configs"))) / "config.yaml", "config.yaml")["defaults"]
    return {group: choice for entry in entries if isinstance(entry, dict) for group, choice in entry.items()}


def _with_choices_of_files(
    choices: Mapping[str, str | Sequence[str]], values: Mapping[str, Any], config_dir: Path | None
) -> tuple[dict[str, str | Sequence[str]], dict[str, Any]]:
    """Choices and values of the menu: the house's, those under ``run`` in the experiment's and the economy's file, and over them what was said."""
    selected: dict[str, str | Sequence[str]] = {**_defaults(), **choices}
    said: dict[str, Any] = {}
    for group in ("experiment", "economy"):
        name = selected[group]
        said |= load_file(group, name, config_dir).get("run", {}) if isinstance(name, str) else {}
    of_groups = {key: value for key, value in said.items() if key in GROUPS}
    of_keys = {key: value for key, value in said.items() if key not in GROUPS}
    return {**_defaults(), **of_groups, **choices}, {**of_keys, **values}


def _paths(group: str, config_dir: Path | None) -> dict[str, Path]:
    if group not in GROUPS:
        raise InputError(f"unknown group {group!r}{nearest(group, GROUPS)} (allowed: {', '.join(GROUPS)})")
    found = {path.stem: path for path in (Path(str(files("configs"))) / group).glob("*.yaml")}
    if config_dir is None:
        return found
    if not config_dir.is_dir():
        raise InputError(f"--config-dir: no folder {str(config_dir)!r}")
    for path in sorted((config_dir / group).glob("*.yaml")):
        if path.stem in found:
            raise InputError(f"--config-dir: {group}/{path.name} has the name of a file of the house; give it another")
        found[path.stem] = path
    return found


def _first_comment(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next((line.lstrip("# ").strip() for line in lines if line.startswith("#") and "@package" not in line), "")


def _read_yaml(path: Path, shown: str) -> Any:
    import yaml

    try:
        # LibYAML where PyYAML was built with it: eight times as fast, and a start reads thirty files
        return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"{shown}:{where} is not valid YAML: {getattr(error, 'problem', None) or 'unreadable'}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{shown}: can't be read ({error.__class__.__name__})") from None
