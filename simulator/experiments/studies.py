"""From settings to a study: which experiment is asked for, checked before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.experiment_settings import (
    Accelerator,
    ChannelDecomposition,
    Compounding,
    DoseResponse,
    Interaction,
    KnockOuts,
    PolicyComparison,
    RareEvent,
    ReverseStressTest,
    Sensitivity,
    Uncertainty,
)
from simulator.experiments.channels import decompose
from simulator.experiments.compounding import compound
from simulator.experiments.curves import accelerate, interact, respond
from simulator.experiments.knock_outs import knock_out
from simulator.experiments.policies import compare_policies
from simulator.experiments.rare_event import estimate_rare_event
from simulator.experiments.reverse import reverse_test
from simulator.experiments.sensitivity import analyse
from simulator.experiments.uncertainty import spread
from simulator.results.study import Study

if TYPE_CHECKING:
    from simulator.experiments.bench import Bench
    from simulator.results.dataset import Run


def study_of(bench: Bench, run: Run | None) -> Study | None:
    """The study of the experiment chosen, None for those that are only scenarios side by side.

    ``run``: the scenarios' own results, which a policy comparison is made of. InputError, before anything is run, for what can't be done.
    """
    asked = bench.settings.experiment
    match asked:
        case PolicyComparison():
            assert run is not None
            return compare_policies(bench.settings, asked, run)
        case ChannelDecomposition():
            return decompose(bench, asked)
        case Accelerator():
            return accelerate(bench, asked)
        case KnockOuts():
            return knock_out(bench, asked)
        case DoseResponse():
            return respond(bench, asked)
        case Interaction():
            return interact(bench, asked)
        case Compounding():
            return compound(bench, asked)
        case ReverseStressTest():
            return reverse_test(bench, asked)
        case Uncertainty():
            return spread(bench, asked)
        case Sensitivity():
            return analyse(bench, asked)
        case RareEvent():
            return estimate_rare_event(bench, asked)
        case _:
            return None
