"""Judges tried on sorted pictures, through the routes."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from lib_optim.ui.calibrate import MOST, MOST_BYTES
from tests.run.test_calibrating import data, picture
from tests.ui.fake import FakeManager

pytestmark = pytest.mark.ui


def send(client: TestClient, session: str = "s", grade: Any = 2, content: bytes = b"", name: str = "a.png") -> Any:
    body = {"session": session, "name": name, "grade": grade, "prompt": "", "data": base64.b64encode(content).decode()}
    return client.post("/optim/api/calibrate_sample", json=body)


def ask(client: TestClient, *scorers: str, session: str = "s") -> Any:
    rows = [{"id": scorer, "weight": 1, "options": {}} for scorer in scorers]
    return client.post("/optim/api/calibrate", json={"session": session, "form": {"scorers": rows}})


def done(client: TestClient) -> dict[str, Any]:
    limit = time.monotonic() + 60
    while (answer := client.get("/optim/api/calibrate").json())["state"] == "running":
        assert time.monotonic() < limit
        time.sleep(0.02)
    return dict(answer)


def sorted_pictures(client: TestClient, session: str = "s") -> None:
    for i in range(8):
        sharp = i % 2
        answer = send(client, session, 2 if sharp else 0, data(picture(i, 0 if sharp else 3)), f"{i}.png")
        assert answer.json() == {"count": i + 1}


def test_judges_that_see_what_the_user_sees_are_suggested(client: TestClient) -> None:
    sorted_pictures(client)
    assert ask(client, "technical").json()["state"] in ("running", "done")
    answer = done(client)
    (judge,) = answer["judges"]
    assert (judge["share"], judge["pairs"], judge["sure"], judge["problem"]) == (1.0, 16, True, "")
    assert len(judge["raw"]) == 8
    assert answer["suggestion"]["weights"] == {"technical": 1.0}
    assert [sample["grade"] for sample in answer["samples"]] == [0, 2] * 4


def test_a_judge_without_its_weights_says_so_beside_the_others(client: TestClient) -> None:
    sorted_pictures(client)
    ask(client, "imagereward", "technical")
    answer = done(client)
    reward, technical = answer["judges"]
    assert "ImageReward" in reward["problem"]
    assert reward["raw"] == [None] * 8
    assert technical["share"] == 1.0
    assert set(answer["suggestion"]["weights"]) == {"technical"}


def test_other_pictures_replace_those_of_before_and_stop_forgets_them(client: TestClient) -> None:
    sorted_pictures(client, "one")
    send(client, "two", 2, data(picture(1)))
    assert ask(client, "technical", session="one").status_code == 409
    assert len(client.get("/optim/api/calibrate").json()["samples"]) == 1
    assert client.post("/optim/api/calibrate_stop", json={}).json()["samples"] == []
    assert ask(client, "technical", session="two").status_code == 409


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"grade": 3, "content": data(picture(1))}, 400),
        ({"grade": True, "content": data(picture(1))}, 400),
        ({"grade": "good", "content": data(picture(1))}, 400),
        ({"session": "", "content": data(picture(1))}, 400),
        ({"name": "", "content": data(picture(1))}, 400),
        ({"content": b"nonsense"}, 409),
        ({"content": bytes(MOST_BYTES + 1)}, 413),
    ],
)
def test_what_is_wrong_with_a_picture_is_said_and_nothing_kept(
    client: TestClient, how: dict[str, Any], status: int
) -> None:
    refused = send(client, **how)
    assert refused.status_code == status, refused.text
    assert refused.json()["error"].endswith(".")
    assert client.get("/optim/api/calibrate").json()["samples"] == []


def test_data_that_is_not_base64_is_refused(client: TestClient) -> None:
    body = {"session": "s", "name": "a", "grade": 2, "data": "ö"}
    assert client.post("/optim/api/calibrate_sample", json=body).status_code == 400


def test_no_more_pictures_are_taken_than_memory_was_meant_for(client: TestClient) -> None:
    small = data(picture(1, size=16))
    for _ in range(MOST):
        assert send(client, content=small).status_code == 200
    assert send(client, content=small).status_code == 409


def test_unknown_judges_and_none_are_refused(client: TestClient) -> None:
    sorted_pictures(client)
    assert ask(client, "no-such").status_code == 400
    assert ask(client).status_code == 400


def test_other_routes_take_no_large_request(client: TestClient) -> None:
    assert client.post("/optim/api/calibrate", json={"session": "x" * 1_100_000}).status_code == 413


def test_judges_are_not_tried_while_a_run_is_going_on(client: TestClient, manager: FakeManager) -> None:
    sorted_pictures(client)
    form = client.get("/optim/api/setup").json()["form"]
    client.post("/optim/api/start", json={"form": {**form, "trials": 50}})
    try:
        refused = ask(client, "technical")
        assert refused.status_code == 409
        assert "run is going on" in refused.json()["error"]
    finally:
        client.post("/optim/api/command", json={"command": "stop"})
