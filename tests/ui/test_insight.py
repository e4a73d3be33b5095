"""Importances, freezing and forking, as the page asks for them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from lib_optim.plan.records import Trial
from tests.ui.fake import BLOCKS, FakeManager

pytestmark = pytest.mark.ui

MATTER = ("IN05_alpha", "OUT03_alpha")


def until(condition: Callable[[], Any]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def made_trials(count: int) -> list[Trial]:
    """Random trials in which two blocks decide."""
    rng = random.Random(4)
    trials = []
    for number in range(count):
        values = {f"{block}_alpha": rng.random() for block in BLOCKS}
        value = 1 - 2 * (values[MATTER[0]] - 0.3) ** 2 - 2 * (values[MATTER[1]] - 0.7) ** 2 + rng.gauss(0, 0.01)
        trials.append(Trial(number, "complete", values, "sampler: random", value=value))
    return trials


def run(client: TestClient, manager: FakeManager, trials: list[Trial]) -> str:
    """A run of one scripted trial, with `trials` in its place."""
    form = client.get("/optim/api/setup").json()["form"]
    folder = str(client.post("/optim/api/start", json={"form": {**form, "trials": 1}}).json()["folder"])
    until(lambda: not manager.active)
    for trial in trials:
        manager.view.put_trial(trial)
    return folder


def test_the_route_says_what_matters_and_what_does_not(client: TestClient, manager: FakeManager) -> None:
    folder = run(client, manager, made_trials(70))
    answer = client.get(f"/optim/api/importance?folder={folder}").json()
    assert (answer["problem"], answer["caution"]) == ("", "")
    assert (answer["trials"], answer["parameters"]) == (70, 26)
    assert answer["explained"] > 0.5
    rows = sorted(answer["rows"], key=lambda row: -row["share"])
    assert {row["name"] for row in rows[:2]} == set(MATTER)
    assert rows[0]["low"] <= rows[0]["share"] <= rows[0]["high"]
    assert (rows[0]["parameter"], rows[0]["blocks"]) == ("alpha", [rows[0]["name"].removesuffix("_alpha")])
    idle = {row["name"] for row in answer["rows"] if row["idle"]}
    assert len(idle) >= 13
    assert not idle & set(MATTER)
    assert 0 < answer["idle_share"] <= 0.1


def test_too_few_trials_are_an_answer_and_cannot_be_frozen(client: TestClient, manager: FakeManager) -> None:
    folder = run(client, manager, made_trials(5))
    answer = client.get("/optim/api/importance").json()
    assert answer["rows"] == []
    assert answer["problem"].startswith("Too few trials: 5 are scored")
    refused = client.post("/optim/api/freeze", json={"folder": folder})
    assert refused.status_code == 409
    assert refused.json()["error"] == answer["problem"]
    assert client.get("/optim/api/importance?folder=nothing").json()["error"].startswith("There is no run")


def test_freezing_forks_with_the_rest_at_the_best_trials_values(client: TestClient, manager: FakeManager) -> None:
    trials = made_trials(70)
    folder = run(client, manager, trials)
    best = max(trials, key=lambda trial: trial.value or 0.0)
    idle = [row["name"] for row in client.get("/optim/api/importance").json()["rows"] if row["idle"]]
    answer = client.post("/optim/api/freeze", json={"folder": folder}).json()
    assert answer["best"] == best.number
    assert set(answer["frozen"]) == set(idle)
    ((parent, plan),) = manager.forks
    assert parent == folder
    assert {name: bound.value for name, bound in plan.guide.bounds.items()} == {n: best.values[n] for n in idle}
    assert set(plan.sampler.start[0].values) == set(best.values) - set(idle)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"freeze": ["IN5_alpha"]}, 400, "'IN5_alpha' is not a parameter of this run. Did you mean"),
        ({"freeze": []}, 400, "Nothing is chosen to be frozen"),
        ({"freeze": "IN05_alpha"}, 400, "must be a list"),
        ({"freeze": [f"{block}_alpha" for block in BLOCKS]}, 400, "nothing is left to search"),
    ],
)
def test_what_cannot_be_frozen_is_one_sentence(
    client: TestClient, manager: FakeManager, body: dict[str, Any], status: int, words: str
) -> None:
    folder = run(client, manager, made_trials(5))
    answer = client.post("/optim/api/freeze", json={"folder": folder, **body})
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert manager.forks == []


def test_a_fork_takes_the_parts_it_is_told_to(client: TestClient, manager: FakeManager) -> None:
    folder = run(client, manager, [])
    form = client.get("/optim/api/setup").json()["form"]
    form |= {"sampler": "random", "seed": 9, "payloads": ["forest"], "vary": {"mode": "single", "text_encoder": True}}
    answer = client.post(
        "/optim/api/fork",
        json={"folder": folder, "name": "other", "trials": 3, "take": ["search", "payloads"], "form": form},
    ).json()
    assert answer["trials"] == [0, 1, 2]
    assert "3 trials taken over without generating anything" in answer["taken"]
    ((parent, plan),) = manager.forks
    assert (parent, plan.name, plan.budget.trials) == (folder, "other", 3)
    assert (plan.sampler.id, plan.seed, [p.name for p in plan.payloads]) == ("random", 9, ["forest"])
    assert len(plan.guide.components) == 2
    assert plan.guide.bounds == {}  # "single" would tie the text encoder: that part was not taken


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"folder": "nothing"}, "There is no run 'nothing'"),
        ({"take": ["judgse"], "form": {}}, "There is no part 'judgse'"),
        ({"take": "judges"}, "must be a list"),
        ({"trials": "many"}, "must be a whole number"),
        ({"take": ["judges"]}, "neither a plan nor a form"),
    ],
)
def test_a_bad_fork_is_one_sentence(client: TestClient, manager: FakeManager, body: dict[str, Any], words: str) -> None:
    folder = run(client, manager, [])
    if body.get("form") == {}:
        body = {**body, "form": client.get("/optim/api/setup").json()["form"]}
    answer = client.post("/optim/api/fork", json={"folder": folder, **body})
    assert answer.status_code in (400, 409)
    assert words in answer.json()["error"]
    assert manager.forks == []
