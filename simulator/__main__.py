"""The command line: ``capital-loop [overrides]``, the same as ``python -m simulator``, and ``capital-loop-report``.

Everything heavy is imported where it is used, so that ``--help`` answers at once. Exit codes: 0 done, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import itertools
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.commands import is_run, merge_command, resumed_settings, run_folder, shard_settings
from simulator.errors import InputError, RunError, nearest

if TYPE_CHECKING:
    from scenarios.economy import Economy
    from simulator.settings import Settings

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
TRACEBACK_SWITCH = "CAPITAL_LOOP_TRACEBACK"

USAGE = """Capital Loop: who defaults, in which order and through which channel, when the financing of the AI build-out turns

usage: capital-loop [options] [key=value ...]
       capital-loop resume=DIR              go on with a run that was interrupted
       capital-loop merge DIR ... [output=DIR]   one run of the shards in these folders

options
  -h, --help            this text
  --version             version
  --cfg job             print the composed settings and stop
  --config-dir DIR      your own menu: DIR/shock/x.yaml, DIR/policy/..., DIR/economy/..., DIR/sources.bib
  --shard I/N           compute part I of N into output=DIR (a job array's task); capital-loop merge DIR makes one run of them
  -m, --multirun        run every combination of values between commas, one after another
  --info levers         print every lever that a shock or a policy may move
  --bibliography        print the papers behind the rules
"""

EXAMPLES = """examples
  capital-loop
  capital-loop 'shock=[rate_hold,lab_funding_stop]' policy=leverage_cap montecarlo=quick
  capital-loop experiment=policy_comparison montecarlo.replications=500 output=my_run
  capital-loop experiment=dose_response experiment.vary=lab_shares.value 'experiment.grid=[0.4,0.6,0.8,1.0]'
  capital-loop experiment=single shock=collateral_devaluation shock.collateral_devaluation.multiply_by=0.5
  capital-loop economy=folder economy.path=my_tables
  capital-loop -m shock=rate_hold,rate_hike montecarlo.seed=1,2 montecarlo=quick
  capital-loop-report my_run --compare my_other_run
"""

VALUES = """other keys (default)
  montecarlo.replications=1000  montecarlo.seed=1  montecarlo.chunk=2000  horizon_months=60  output=DIR
  montecarlo.precision=0.02     go on until the 95 % interval of P(systemic) is that wide (montecarlo.replications_max=100000)
  execution.workers=2           execution.scheduler=ADDRESS (dask)   execution.slurm.queue=NAME (slurm)   resume_anyway=true
  channels.NAME=true|false      counterparty orders equity margin fire_sale funding guarantee | spread expectation power household short
  economy.path=DIR  economy.include=[announced,conditional]  economy.contracts.ID=true|false  systemic.{months,kinds,debt_share}
"""


@dataclass
class Request:
    """What the user asked for."""

    overrides: list[str] = field(default_factory=list)
    action: str = "run"
    config_dir: Path | None = None
    multirun: bool = False
    shard: tuple[int, int] | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Bad input is told in one line a mistake, never with a traceback."""
    return _guarded(lambda: _main(list(sys.argv[1:] if argv is None else argv)))


def report_main(argv: Sequence[str] | None = None) -> int:
    """``capital-loop-report RUN [--compare RUN2]``: report again from a run folder."""
    return _guarded(lambda: _report(list(sys.argv[1:] if argv is None else argv)))


def parse(argv: Sequence[str]) -> Request:
    """Options and overrides of a command line. InputError: an unknown option or an option without its value."""
    request = Request()
    words = iter(argv)
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if option in ("-h", "--help"):
            request.action = "help"
        elif option == "--version":
            request.action = "version"
        elif option == "--bibliography":
            request.action = "bibliography"
        elif option in ("-m", "--multirun"):
            request.multirun = True
        elif option in _OPTION_VALUES:
            given = value if equals else next(words, None)
            if not given or given.startswith("-"):
                raise InputError(f"{option} needs a value: {_OPTION_VALUES[option]}")
            if option == "--shard":
                request.shard = _shard(given)
            elif option == "--config-dir":
                request.config_dir = Path(given)
            elif given != _OPTION_VALUES[option]:
                raise InputError(f"{option}: {given!r} is not possible (allowed: {_OPTION_VALUES[option]})")
            else:
                request.action = given
        elif word.startswith("-"):
            raise InputError(f"unknown option {word!r}{nearest(word, _OPTIONS)} (capital-loop --help lists them)")
        else:
            request.overrides.append(word)
    return request


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]) <= 100_000:
        raise InputError(f"--shard: {text!r} is not possible (allowed: I/N, such as 1/3, 2/3 and 3/3)")
    return int(found[1]), int(found[2])


_OPTION_VALUES = {"--cfg": "job", "--info": "levers", "--config-dir": "DIR", "--shard": "I/N"}
_OPTIONS = ("--help", "--version", "--bibliography", "--multirun", *_OPTION_VALUES)


def help_text(config_dir: Path | None = None) -> str:
    """Usage, the menu with a line for each choice, and examples."""
    from simulator.menu import GROUPS, LISTS, menu

    lines = [USAGE]
    for group in GROUPS:
        lines.append(f"{group}=NAME" + (f" or '{group}=[NAME,NAME]'" if group in LISTS else ""))
        lines += [f"  {name:<24}{meaning}" for name, meaning in menu(group, config_dir).items()]
        lines.append("")
    return "\n".join([*lines, VALUES, EXAMPLES])


def lever_text() -> str:
    """The table of levers."""
    from scenarios.lever_table import LEVERS

    lines = [f"{'lever':<32}{'reach':<24}{'neutral':<9}{'range':<16}{'unit':<38}meaning"]
    for lever in LEVERS.values():
        limits = f"{lever.low:g}..{lever.high:g}"
        lines.append(f"{lever.name:<32}{lever.reach:<24}{lever.neutral:<9g}{limits:<16}{lever.unit:<38}{lever.meaning}")
    return "\n".join(lines)


def grid(overrides: Sequence[str]) -> list[list[str]]:
    """All combinations of the values between commas, in the order typed."""
    from simulator.menu import split_list

    choices = []
    for word in overrides:
        key, equals, value = word.partition("=")
        values = [part.strip() for part in split_list(value)]
        if len(values) > 1 and "" in values:
            raise InputError(f"{key}: an empty value between commas in {value!r}")
        if repeated := next((part for part in values if values.count(part) > 1), None):
            raise InputError(f"{key}: {repeated} is named twice")
        choices.append([f"{key}{equals}{part}" for part in values] if len(values) > 1 else [word])
    return [list(combination) for combination in itertools.product(*choices)]


def _main(argv: list[str]) -> int:
    if argv[:1] == ["merge"]:
        text = merge_command(argv[1:])
        print(text)
        return DONE
    request = parse(argv)
    if request.config_dir is not None and not request.config_dir.is_dir():
        raise InputError(f"--config-dir: no folder {str(request.config_dir)!r}")
    if request.action == "help":
        print(help_text(request.config_dir))
    elif request.action == "version":
        print(_version())
    elif request.action == "levers":
        print(lever_text())
    elif request.action == "bibliography":
        from simulator.settings import bibliography

        print(bibliography())
    elif request.action == "job":
        print(_as_yaml(_compose(request.overrides, request.config_dir)), end="")
    elif request.multirun:
        if request.shard is not None:
            raise InputError("--shard: belongs to one run, not to --multirun")
        _run_grid(request)
    else:
        _run_early(request)
    return DONE


def _run_early(request: Request) -> None:
    """Run it; most runs want workers, whose server is therefore started before anything else is known."""
    gc.disable()  # what is loaded until the run begins stays
    atexit.register(gc.freeze)  # at the end there is nothing to tidy up: to look through all that is loaded takes a quarter of a second
    from simulator.engine.worker_server import cool_down, warm_up

    if not any(word.startswith("execution") and word != "execution=local" for word in request.overrides):
        warm_up(("simulator.preload",))
    try:
        _run(_compose(request.overrides, request.config_dir), request.shard, request.overrides)
    except BaseException:  # the server may still be loading, and would make a process of what is told to it in half
        cool_down()
        raise
    finally:
        gc.enable()


def _compose(overrides: Sequence[str], config_dir: Path | None) -> Settings:
    from simulator.menu import compose

    return compose(overrides, config_dir)


def _run(settings: Settings, shard: tuple[int, int] | None = None, typed: Sequence[str] = ()) -> None:
    if settings.resume is not None:
        settings = resumed_settings(settings, typed)
    elif shard is not None:
        settings = shard_settings(settings)
    else:
        settings = settings.model_copy(update={"output": str(run_folder(settings, datetime.now()))})
    opened = _opened_early(settings)
    from simulator.api import run_experiment

    gc.enable()
    result = run_experiment(settings, progress=True, shard=shard, opened=opened)
    print(result.findings)
    if shard is None:
        print(f"report: {result.folder / 'report.html'}")


def _opened_early(settings: Settings) -> Economy | None:
    """The economy, when there are workers: one of them runs the quiet world while this process still loads. None otherwise."""
    if settings.execution.kind != "local" or settings.execution.processes() == 1:
        return None
    from simulator.engine import foresight
    from simulator.engine.worker_server import aside, warm_up
    from simulator.settings import open_economy

    warm_up(("simulator.preload",))
    economy = open_economy(settings.economy)
    if foresight.is_foreseen(economy):
        foresight.expect(economy, settings.horizon_months, aside(foresight.quiet_world, economy, settings.horizon_months))
    return economy


def _run_grid(request: Request) -> None:
    combinations = grid(request.overrides)
    jobs = [_compose(words, request.config_dir) for words in combinations]  # all mistakes are told before anything runs
    outputs = [settings.output for settings in jobs]
    for number, (words, settings, output) in enumerate(zip(combinations, jobs, outputs, strict=True), start=1):
        print(f"[{number}/{len(jobs)}] {' '.join(words)}")
        if output is not None and outputs.count(output) > 1:
            settings = settings.model_copy(update={"output": str(Path(output) / str(number))})
        _run(settings, typed=words)


def _report(argv: list[str]) -> int:
    usage = "usage: capital-loop-report RUN [--compare RUN2]"
    if any(word in ("-h", "--help") for word in argv):
        print(f"{usage}\n\nWrites the report of a run folder again; with --compare, a report of the differences of two runs.")
        return DONE
    runs, other = [], None
    words = iter(argv)
    for word in words:
        if word == "--compare" or word.startswith("--compare="):
            other = word.partition("=")[2] or next(words, None)
            if other is None:
                raise InputError("--compare needs a run folder")
        elif word.startswith("-"):
            raise InputError(f"unknown option {word!r} ({usage})")
        else:
            runs.append(word)
    if len(runs) != 1:
        raise InputError(f"{len(runs)} run folders given ({usage})")
    for path in [runs[0], *([other] if other else [])]:
        if not Path(path).is_dir():
            raise InputError(f"no folder {path!r}")
        if not is_run(Path(path)):
            raise InputError(f"{path!r} is not a run: it has no config.yaml and provenance.json")
    from simulator.api import report_again

    print(f"report: {report_again(Path(runs[0]), Path(other) if other else None)}")
    return DONE


def _guarded(work: Callable[[], int]) -> int:
    """Turn every way to fail into an exit code and a line on stderr."""
    try:
        return work()
    except InputError as error:
        for line in str(error).splitlines():
            _say(line)
        return BAD_INPUT
    except RunError as error:
        _say(str(error))
        return FAILED
    except KeyboardInterrupt as interrupt:
        _say(f"interrupted; {str(interrupt) or 'nothing had been started, nothing is kept'}")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has gone
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes stdout at exit, into nothing
        return DONE
    except OSError as error:
        _say(f"{error.filename or 'file system'}: {error.strerror or error}")
        return BAD_INPUT
    except Exception as error:
        if os.environ.get(TRACEBACK_SWITCH):
            traceback.print_exc()
        _say(f"this is a bug: {type(error).__name__}: {' '.join(str(error).split())} (set {TRACEBACK_SWITCH}=1 to see where)")
        return FAILED


def _say(line: str) -> None:
    print(f"capital-loop: {line}", file=sys.stderr)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"capital-loop {version('capital-loop')}"
    except PackageNotFoundError:  # run from a checkout that is not installed
        declared = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
        found = re.search(r'^version = "([^"]+)"', declared, flags=re.MULTILINE)
        return f"capital-loop {found.group(1) if found else 'unknown'}"


def _as_yaml(settings: Settings) -> str:
    import yaml

    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


if __name__ == "__main__":
    sys.exit(main())
