"""Trials of an earlier run or of a table, as start points: the route."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from lib_optim.plan.records import Trial
from lib_optim.run.folder import RunFolder
from lib_optim.run.results import TrialTable
from tests.plan.test_start_tables import mbw
from tests.ui.fake import FakeManager

pytestmark = pytest.mark.ui


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    base = client.get("/optim/api/setup").json()["form"]["models"][0]
    answer = client.post("/optim/api/starts", json={"base": base, "count": 2, **body})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_table_is_read_and_its_starts_fit_the_form(client: TestClient) -> None:
    found = ask(client, csv=mbw([(0.5, 0.2), (0.7, 0.9)]), name="mbw")
    assert (found["form"], found["rows"], found["problems"]) == ("auto-MBW-rt's CSV", 2, [])
    assert [point["name"] for point in found["points"]] == ["mbw 1", "mbw 2"]
    form = client.get("/optim/api/setup").json()["form"]
    form["start"] = found["points"]
    assert client.post("/optim/api/check", json={"form": form}).json()["problems"] == []


def test_the_best_trials_of_an_earlier_run_are_read(client: TestClient, manager: FakeManager) -> None:
    folder = RunFolder.create(manager.host.paths().outputs, "before")
    folder.plan.write_text("{}", encoding="utf-8")
    trials = [Trial(n, "complete", {"IN00_alpha": n / 10}, "sampler: x", value=float(n)) for n in range(4)]
    TrialTable(folder.trials_csv, ["IN00_alpha"], []).rewrite([(trial, "1", ()) for trial in trials])
    found = ask(client, run=folder.name)
    assert [point["name"] for point in found["points"]] == [f"{folder.name} trial 3", f"{folder.name} trial 2"]
    assert found["points"][0]["values"] == {"IN00_alpha": 0.3}


def test_what_cannot_be_read_is_said_in_a_sentence(client: TestClient) -> None:
    assert "There is no run 'x'" in ask(client, run="x")["problems"][0]
    assert "There is no run '../x'" in ask(client, run="../x")["problems"][0]
    assert "no table of trials" in ask(client, csv="1,2")["problems"][0]
    assert "must lie between 1 and 100" in ask(client, csv=mbw([(0.5, 1.0)]), count="many")["problems"][0]
    assert ask(client, csv="1", base="")["problems"] == ["Choose model A first: the weights are for its blocks."]
