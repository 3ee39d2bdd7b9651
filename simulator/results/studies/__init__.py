"""How each kind of study is told: headline, findings in words, tables of the report, figures."""

from simulator.results.studies import (
    accelerator,
    channel_decomposition,
    compounding,
    grids,
    knock_outs,
    policy_comparison,
    rare_event,
    reverse_stress_test,
    sensitivity,
    uncertainty,
)
from simulator.results.study import Teller

TELLERS: dict[str, Teller] = {
    "policy_comparison": policy_comparison.TELLER,
    "channel_decomposition": channel_decomposition.TELLER,
    "accelerator": accelerator.TELLER,
    "knock_outs": knock_outs.TELLER,
    "dose_response": grids.DOSE_RESPONSE,
    "interaction": grids.INTERACTION,
    "compounding": compounding.TELLER,
    "reverse_stress_test": reverse_stress_test.TELLER,
    "uncertainty": uncertainty.TELLER,
    "sensitivity": sensitivity.TELLER,
    "rare_event": rare_event.TELLER,
}
