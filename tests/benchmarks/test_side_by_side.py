"""The side-by-side script compares before it times: the plain port gives the rules' answers, and different bits fail."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from agents.firm import Firm
from benchmarks import side_by_side
from benchmarks.plain_float import PORTS, PlainHyperscaler, PlainModel
from benchmarks.side_by_side import RecordedModel, TimedModel, gate, state_of
from scenarios.changes import Change
from simulator.engine.inputs import opened
from simulator.engine.model import ContagionModel
from simulator.ledger.columns import rule

MONTHS = 5
CHANGES = (
    Change("failure", "agent.failure", "set_to", 1.0, 1, agents=("coreweave",)),
    Change("slump", "hyperscaler.demand", "multiply_by", 0.8, 2),
)
"""A cloud provider fails in the second month, so that the rules are also asked of a dead firm; then a demand lever moves."""
SMALL = ("--replications", "2", "--repeats", "1", "--ticks", "2")


@pytest.fixture(scope="module")
def recorded() -> RecordedModel:
    model = RecordedModel("us_ai_2025", horizon_months=MONTHS, changes=CHANGES, replications=(3,))
    model.run()
    return model


def test_the_plain_port_answers_what_the_rules_answer(recorded: RecordedModel) -> None:
    assert PlainModel(recorded.asked).differences() == []


def test_every_rule_is_recorded_every_month_for_both_kinds(recorded: RecordedModel) -> None:
    for kind in PORTS:
        rows = recorded.books.rows[kind]
        asked = [question for question in recorded.asked if question.kind == kind]
        assert all(len(question.answers) == rows.stop - rows.start for question in asked)
        for name in ("new_demand", "delivered_share", "sales_to_outside", "wanted_investment", "payout", "is_insolvent"):
            assert [question.tick for question in asked if question.rule == name] == list(range(MONTHS)), name


def test_recording_and_timing_change_no_bit(recorded: RecordedModel) -> None:
    options: dict[str, Any] = {"horizon_months": MONTHS, "changes": CHANGES, "replications": (3,)}
    plain = state_of(ContagionModel("us_ai_2025", **options).run(), 3)
    for model in (recorded, TimedModel("us_ai_2025", **options).run()):
        assert side_by_side.differing(plain, state_of(model, 3)) == []


def test_a_port_that_answers_otherwise_is_told_with_firm_rule_and_month(recorded: RecordedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    right = PlainHyperscaler.new_demand
    monkeypatch.setattr(PlainHyperscaler, "new_demand", lambda self: right(self) * (1.0 + 1e-11))
    found = PlainModel(recorded.asked).differences()
    assert len(found) == MONTHS * 5
    assert found[0].startswith("hyperscaler 0, new_demand, tick 0: ")


def test_a_rule_without_a_port_is_told(recorded: RecordedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("benchmarks.plain_float.PlainCloudProvider.wanted_round")
    assert PlainModel(recorded.asked).differences() == ["PlainCloudProvider lacks the rule wanted_round, which the tick asks"]


def test_the_gate_is_open_when_bits_are_the_same() -> None:
    compared, found = gate(opened("us_ai_2025"), 3, {"horizon_months": 3, "changes": CHANGES})
    assert compared > 300
    assert found == []


def test_one_bit_that_depends_on_the_stepping_closes_the_gate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    right = Firm.new_demand

    def in_company(self: Firm) -> Any:
        answer = right(self)
        return np.nextafter(answer, np.inf) if self.rows.stop - self.rows.start > 1 else answer

    monkeypatch.setattr(Firm, "new_demand", rule("index")(in_company))
    assert side_by_side.main(SMALL) == 1
    printed = capsys.readouterr()
    assert "replication 1: column demand differs between cohorts and one agent at a time" in printed.err
    assert printed.out == ""


def test_each_figure_is_a_line_of_name_value_and_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert side_by_side.main(SMALL) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(re.fullmatch(r"[a-z_]+ [\d.e+-]+ [a-z]+", line) for line in lines)
    names = {line.split()[0] for line in lines}
    assert names >= {
        "mesa_seconds_per_replication", "batched_seconds_per_replication", "batched_over_mesa_ratio", "plain_float_seconds_per_replication",
        "batched_rules_over_plain_float_ratio",
    }  # fmt: skip


def test_an_unknown_economy_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert side_by_side.main(("--economy", "atlantis")) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
