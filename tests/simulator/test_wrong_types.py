"""The functions of `simulator.api` answer an argument of a wrong type with one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator import api
from simulator.errors import InputError, as_names, as_path, shown
from simulator.results.dataset import Run

NO_PATH: list[Any] = [None, True, b"x", 1.5, float("nan"), -1, 10**30, [], ["x"], {}, object(), np.array([1, 2]), (), 1j, "", "a\0b"]
SMALL: dict[str, Any] = {"economy": "three_firms", "replications": 2, "horizon_months": 2}


@pytest.mark.parametrize("odd", NO_PATH, ids=lambda value: type(value).__name__)
def test_what_is_no_path_is_refused_where_a_folder_is_expected(odd: Any) -> None:
    with pytest.raises(InputError, match="is not a path"):
        as_path("folder", odd)
    for function in (api.load, api.report_again, api.resume):
        with pytest.raises(InputError, match="is not a path"):
            function(odd)
    with pytest.raises(InputError, match="is not a path"):
        api.merge_shards([odd])
    if odd is not None:
        with pytest.raises(InputError, match="config_dir: .* is not a path"):
            api.simulate(**SMALL, config_dir=odd)


@pytest.mark.parametrize("odd", [None, True, 1.5, "runs/a", b"x", {}, [], ()], ids=lambda value: type(value).__name__)
def test_shards_are_named_in_a_list(odd: Any) -> None:
    with pytest.raises(InputError, match="is not a list of folders"):
        api.merge_shards(odd)


@pytest.mark.parametrize("odd", [None, True, -1, "x", 1.5, [], {}, object()], ids=lambda value: type(value).__name__)
def test_settings_and_runs_are_asked_for_by_name(odd: Any, small: Run) -> None:
    with pytest.raises(InputError, match="is not Settings"):
        api.run_experiment(odd)
    with pytest.raises(InputError, match="the second run: .* is not a Run"):
        api.compare(small, odd)
    with pytest.raises(InputError, match="the first run: .* is not a Run"):
        api.compare(odd, small)


@pytest.mark.parametrize(
    "argument", ["economy", "shock", "policy", "replications", "seed", "horizon_months", "channels", "record", "contributions", "chunk", "workers"]
)
def test_simulate_names_the_argument_of_a_wrong_type(argument: str) -> None:
    for odd in (b"x", 1.5, float("nan"), -1, object(), np.array([1, 2]), {1: 2}, [None]):
        with pytest.raises(InputError) as told:
            api.simulate(**{**SMALL, argument: odd})
        assert len(str(told.value).splitlines()) == 1


@pytest.fixture(scope="module")
def small() -> Run:
    return api.simulate(**SMALL)


@pytest.mark.parametrize("odd", [None, True, 1.5, [], ["x"], {}, object(), np.array([1, 2])], ids=lambda value: type(value).__name__)
def test_a_run_answers_wrong_names_with_one_line(odd: Any, small: Run) -> None:
    with pytest.raises(InputError, match="has no table"):
        small.columns(odd)
    with pytest.raises(InputError, match="has no column"):
        small.mean(odd)
    with pytest.raises(InputError, match="no scenario"):
        small.scenario(odd)
    with pytest.raises(InputError, match="no figure"):
        small.figure(odd)
    if odd is not None:
        with pytest.raises(InputError):
            small.rows("defaults", columns=odd)
        with pytest.raises(InputError):
            api.compare(small, small, measures=odd)
    if odd is not None and odd is not True:
        with pytest.raises(InputError, match="no replication"):
            small.cascade(odd)
    with pytest.raises(InputError, match="is not a path"):
        small.report(odd)


def test_an_unknown_column_is_told_with_the_nearest(small: Run) -> None:
    with pytest.raises(InputError, match="no column 'tik' – did you mean 'tick'"):
        small.rows("defaults", columns=["tik"])
    with pytest.raises(InputError, match="by: 'channel' is not a list"):
        small.totals("losses", "channel", "amount")


def test_what_is_shown_of_a_value_is_one_short_line() -> None:
    assert shown(np.ones((50, 50))).endswith("...")
    assert len(shown("x" * 1000)) == 80
    assert "\n" not in shown("a\nb")
    assert as_names("names", ("a", "b")) == ["a", "b"]
    assert as_path("folder", Path("a")) == Path("a")
