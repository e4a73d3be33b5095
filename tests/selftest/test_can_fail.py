"""The suite can fail: each rule broken once, and the right row goes red."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lib_optim.hosts.base import Host
from lib_optim.selftest import report_text, rows, run_selftest
from tests.selftest.mutations import MUTATIONS, Mutation

# Rows that nothing but a person can run, and one that no test host has a counterpart for.
NEVER_RUN = {(8, "page reload"), (8, "UI reload"), (14, "")}


@pytest.mark.parametrize(
    "mutation", MUTATIONS, ids=lambda m: f"{m.number}-{m.part}-{m.name}-{m.host}".replace(" ", "_")
)
def test_a_broken_rule_is_red(
    mutation: Mutation, make_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make_host(mutation.host)
    mutation.break_it(monkeypatch)
    report = run_selftest(host, only={f"{mutation.number} {mutation.part}".strip()})
    (outcome,) = report.of(mutation.number, mutation.part)
    assert outcome.status == "failed", report_text(report)
    assert outcome.detail


def test_every_row_that_runs_has_a_mutation() -> None:
    broken = {(m.number, m.part) for m in MUTATIONS}
    assert {(row.number, row.part) for row in rows()} - broken == NEVER_RUN
